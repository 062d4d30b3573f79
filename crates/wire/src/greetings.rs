//! Protocols that begin with a line or a greeting.

use crate::analyser::Speaker;

/// The protocols of this folder.
pub static SPEAKERS: &[Speaker] = &[];
