//! From path to package in few bytes: a sorted list of path hashes. A hit is only a hint; the caller looks it up.

/// Most paths kept (16 bytes each); the rest of a larger system is unowned, and `truncated` says so.
const MAX_PATHS: usize = 2_000_000;

/// Folders without executables, which hold half of all paths.
const SKIPPED: [&[u8]; 6] = [
    b"/usr/share/doc/",
    b"/usr/share/man/",
    b"/usr/share/locale/",
    b"/usr/share/info/",
    b"/usr/share/icons/",
    b"/usr/share/zoneinfo/",
];

/// Which list files may name a path.
#[derive(Debug, Default)]
pub(super) struct PathIndex {
    /// (hash of the path, number of the list).
    paths: Vec<(u64, u32)>,
    /// Paths did not fit.
    pub(super) truncated: bool,
}

impl PathIndex {
    /// Adds the lines of list number `list`.
    pub(super) fn add(&mut self, list: u32, content: &[u8]) {
        for path in content.split(|byte| *byte == b'\n') {
            if path.len() < 2 || SKIPPED.iter().any(|skipped| path.starts_with(skipped)) {
                continue;
            }
            if self.paths.len() >= MAX_PATHS {
                self.truncated = true;
                return;
            }
            self.paths.push((hash(path), list));
        }
    }

    /// Makes the index ready to be asked.
    pub(super) fn finish(&mut self) {
        self.paths.sort_unstable();
        self.paths.shrink_to_fit();
    }

    /// Numbers of the lists that may name `path`.
    pub(super) fn candidates(&self, path: &[u8]) -> impl Iterator<Item = u32> {
        let wanted = hash(path);
        let start = self.paths.partition_point(|(hash, _)| *hash < wanted);
        self.paths[start..]
            .iter()
            .take_while(move |(hash, _)| *hash == wanted)
            .map(|(_, list)| *list)
    }
}

fn hash(bytes: &[u8]) -> u64 {
    mix(0xcbf2_9ce4_8422_2325, bytes)
}

/// FNV-1a: short, and collisions only cost a look at one more file.
pub(super) fn mix(state: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(state, |state, byte| {
        (state ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_every_list_that_names_a_path() {
        let mut index = PathIndex::default();
        index.add(0, b"/.\n/usr\n/usr/bin/a\n/usr/share/doc/a/copyright\n");
        index.add(7, b"/.\n/usr\n/usr/bin/b\n");
        index.finish();
        let of = |path: &str| index.candidates(path.as_bytes()).collect::<Vec<_>>();
        assert_eq!(of("/usr"), [0, 7]);
        assert_eq!(of("/usr/bin/b"), [7]);
        assert_eq!(of("/usr/bin/c"), [0; 0]);
        assert_eq!(of("/usr/share/doc/a/copyright"), [0; 0]);
        assert!(!index.truncated);
    }
}
