//! All others, each recognised by its first bytes.

mod brief;
pub(crate) mod databases;
pub(crate) mod peers;
pub(crate) mod sessions;
pub(crate) mod tunnels;
pub(crate) mod windows;

use crate::analyser::Speaker;

#[cfg(test)]
mod tests;

/// The protocols of this folder.
pub static SPEAKERS: &[Speaker] = &[];
