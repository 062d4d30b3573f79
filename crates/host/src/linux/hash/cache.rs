//! Digests by file identity, shared by the pool's threads and whoever only wants what is known already.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use atalaya_model::Text;

use super::FileIdentity;

/// Most digests remembered; at the limit all are forgotten.
const MAX_DIGESTS: usize = 8192;

/// Digests of files, by identity.
#[derive(Debug, Default)]
pub struct DigestCache(Mutex<HashMap<FileIdentity, Text>>);

impl DigestCache {
    /// The digest, in lower-case hexadecimal, of a file with this identity, where it is known.
    pub fn get(&self, file: &FileIdentity) -> Option<Text> {
        self.map().get(file).cloned()
    }

    /// Remembers a digest.
    pub fn insert(&self, file: FileIdentity, digest: Text) {
        let mut map = self.map();
        if map.len() >= MAX_DIGESTS {
            map.clear();
        }
        map.insert(file, digest);
    }

    /// The map stays sound if a thread panics: it only ever holds whole entries.
    fn map(&self) -> MutexGuard<'_, HashMap<FileIdentity, Text>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
