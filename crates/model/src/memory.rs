//! What a detector must remember across restarts. The app loads it at start, the engine emits it, the store keeps it.

use serde::{Deserialize, Serialize};

use crate::Text;

/// One remembered thing of one detector. A later record of the same (detector, key) replaces the earlier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// Who remembers.
    pub detector: Text,
    /// Format version of `bytes`; a detector ignores versions that it does not know.
    pub version: u16,
    /// What it is about, at most 1 KiB.
    pub key: Text,
    /// What it remembers, at most 64 KiB; `None` forgets it.
    pub bytes: Option<Vec<u8>>,
}

impl Memory {
    /// Longest key, in bytes.
    pub const MAX_KEY: usize = 1 << 10;
    /// Longest value, in bytes.
    pub const MAX_BYTES: usize = 64 << 10;
}
