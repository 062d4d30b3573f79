//! Hash maps by numbers that the kernel gives out: inodes, cookies, process ids.
//!
//! Their order is not chosen by anybody, so one multiplication spreads them well enough; with 100,000 sockets in a look
//! the default hash would cost several milliseconds.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

/// A map from a kernel's number.
pub type NumberMap<K, V> = HashMap<K, V, BuildHasherDefault<NumberHasher>>;
/// A set of a kernel's numbers.
pub type NumberSet<K> = HashSet<K, BuildHasherDefault<NumberHasher>>;

/// Multiplies by 2⁶⁴ divided by the golden ratio, and folds the well-mixed high half down.
#[derive(Clone, Copy, Debug, Default)]
pub struct NumberHasher(u64);

impl Hasher for NumberHasher {
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64((*byte).into());
        }
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(number.into());
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hash::BuildHasher as _;

    #[test]
    fn rising_numbers_spread_over_both_ends_of_the_hash() {
        let build = BuildHasherDefault::<NumberHasher>::default();
        let hashes: Vec<u64> = (0u32..4096).map(|number| build.hash_one(number)).collect();
        let low: HashSet<u64> = hashes.iter().map(|hash| hash % 4096).collect();
        let high: HashSet<u64> = hashes.iter().map(|hash| hash >> 57).collect();
        assert!(low.len() > 2400, "{}", low.len());
        assert_eq!(high.len(), 128);
    }
}
