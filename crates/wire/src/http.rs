//! HTTP/1 and HTTP/2, and what looks like it.

use crate::analyser::Speaker;

/// The protocols of this folder.
pub static SPEAKERS: &[Speaker] = &[];
