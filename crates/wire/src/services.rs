//! All others, each recognised by its first bytes.

use crate::analyser::Speaker;

/// The protocols of this folder.
pub static SPEAKERS: &[Speaker] = &[];
