//! DNS and its kin, and how hosts get their addresses.

use crate::analyser::Speaker;

/// The protocols of this folder.
pub static SPEAKERS: &[Speaker] = &[];
