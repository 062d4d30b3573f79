//! Where this host keeps its libc.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The usual places: Debian's folders by architecture, those of Fedora and SUSE, of Arch.
const USUAL: [&str; 5] = [
    "/lib/x86_64-linux-gnu/libc.so.6",
    "/lib/aarch64-linux-gnu/libc.so.6",
    "/lib64/libc.so.6",
    "/usr/lib64/libc.so.6",
    "/usr/lib/libc.so.6",
];
/// What every 64-bit ELF file begins with.
const ELF_64: [u8; 5] = [0x7f, b'E', b'L', b'F', 2];

/// Every 64-bit libc of this host, each file once under however many names.
pub(super) fn found() -> Vec<PathBuf> {
    let own = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let usual = USUAL.into_iter().map(PathBuf::from);
    let mut seen = Vec::new();
    let mut found = Vec::new();
    for path in in_maps(&own).into_iter().chain(usual) {
        if let Some(file) = identity(&path)
            && !seen.contains(&file)
        {
            seen.push(file);
            found.push(path);
        }
    }
    found
}

/// The libc that this program itself runs with; a static one has none.
fn in_maps(maps: &str) -> Option<PathBuf> {
    let path = maps.lines().find_map(|line| {
        let path = line.find('/').and_then(|at| line.get(at..))?;
        path.ends_with("/libc.so.6").then_some(path)
    })?;
    Some(PathBuf::from(path))
}

/// Device and inode of a 64-bit ELF file.
fn identity(path: &Path) -> Option<(u64, u64)> {
    let mut file = File::open(path).ok()?;
    let stat = file.metadata().ok()?;
    let mut start = [0; ELF_64.len()];
    file.read_exact(&mut start).ok()?;
    (stat.is_file() && start == ELF_64).then_some((stat.dev(), stat.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_library_is_found_once() {
        let found = found();
        let identities: Vec<_> = found.iter().filter_map(|path| identity(path)).collect();
        assert_eq!(identities.len(), found.len());
        assert!((1..found.len()).all(|place| !identities[..place].contains(&identities[place])));
    }

    #[test]
    fn our_own_is_read_from_the_maps() {
        let maps = "\
7f0000000000-7f0000001000 r--p 00000000 fe:00 123                        /usr/lib/x86_64-linux-gnu/libm.so.6
7f0000001000-7f0000002000 r-xp 00001000 fe:00 124                        /usr/lib/x86_64-linux-gnu/libc.so.6
7ffd00000000-7ffd00001000 rw-p 00000000 00:00 0                          [stack]
";
        assert_eq!(
            in_maps(maps),
            Some(PathBuf::from("/usr/lib/x86_64-linux-gnu/libc.so.6"))
        );
        assert_eq!(in_maps("7f00-7f01 r--p 0 0:0 0 [vdso]\n"), None);
        assert_eq!(identity(Path::new("/proc/self/maps")), None);
    }
}
