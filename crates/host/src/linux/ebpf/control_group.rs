//! Where the kernel programs for packets are attached: the root of the (version 2) control groups.

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use rustix::fs::{Mode, OFlags, open};

use crate::HostError;

/// What to do where they are mounted nowhere, and this user may not.
pub(super) const REMEDY: &str = "run as root, or mount the control groups of version 2 anywhere: \
    `sudo mkdir -p /run/cgroup2 && sudo mount -t cgroup2 none /run/cgroup2`";

/// Are they mounted anywhere?
pub(super) fn is_mounted() -> bool {
    std::fs::read("/proc/self/mountinfo").is_ok_and(|mounts| find(&mounts).is_some())
}

/// Opens the root of the hierarchy, where it is mounted.
///
/// # Errors
/// When it is mounted nowhere, or may not be opened.
pub(super) fn open_root() -> Result<OwnedFd, HostError> {
    let mounts =
        std::fs::read("/proc/self/mountinfo").map_err(HostError::file("read", "/proc/self/mountinfo"))?;
    let Some(path) = find(&mounts) else {
        return open_detached();
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    open(&path, flags, Mode::empty()).map_err(|error| HostError::file("open", path)(error.into()))
}

/// Where the root itself is mounted; otherwise the first mount of a part of it.
fn find(mountinfo: &[u8]) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStringExt as _;

    let mut found = None;
    for line in mountinfo.split(|byte| *byte == b'\n') {
        // 35 24 0:30 / /sys/fs/cgroup rw,relatime shared:9 - cgroup2 cgroup2 rw
        let fields: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
        let Some(separator) = fields.iter().position(|field| *field == b"-") else {
            continue;
        };
        if fields.get(separator + 1) != Some(&b"cgroup2".as_slice()) {
            continue;
        }
        let (Some(root), Some(point)) = (fields.get(3), fields.get(4)) else {
            continue;
        };
        let path = PathBuf::from(std::ffi::OsString::from_vec(unescape(point)));
        if *root == b"/" {
            return Some(path);
        }
        found.get_or_insert(path);
    }
    found
}

/// Blanks and backslashes are written as three octal digits.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, tail @ ..] = rest {
        if let [
            b'\\',
            a @ b'0'..=b'3',
            b @ b'0'..=b'7',
            c @ b'0'..=b'7',
            tail @ ..,
        ] = rest
        {
            plain.push((a - b'0') * 64 + (b - b'0') * 8 + (c - b'0'));
            rest = tail;
        } else {
            plain.push(*first);
            rest = tail;
        }
    }
    plain
}

/// A mount of our own that nobody else sees, for hosts that mount only version 1.
fn open_detached() -> Result<OwnedFd, HostError> {
    use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};

    let mount = || -> rustix::io::Result<OwnedFd> {
        let context = fsopen("cgroup2", FsOpenFlags::FSOPEN_CLOEXEC)?;
        fsconfig_create(&context)?;
        fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())
    };
    mount().map_err(|error| {
        let reason = format!("they are mounted nowhere, and may not be mounted ({error}): {REMEDY}");
        HostError::system("find the control groups (version 2)")(io::Error::other(reason))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_is_preferred() {
        let text = b"24 1 0:22 / /sys rw - sysfs sysfs rw\n\
            30 24 0:26 /a/b /mnt/part rw - cgroup2 cgroup2 rw\n\
            31 24 0:26 / /sys/fs/a\\040b rw,relatime shared:9 - cgroup2 cgroup2 rw\n";
        assert_eq!(find(text), Some(PathBuf::from("/sys/fs/a b")));
        assert_eq!(
            find(b"30 24 0:26 /a /mnt rw - cgroup2 x rw\n"),
            Some(PathBuf::from("/mnt"))
        );
        assert_eq!(
            find(b"1 2 3 / /cgroup2 rw - tmpfs cgroup2 rw\n - cgroup2\n\n"),
            None
        );
    }

    #[test]
    fn a_mount_of_our_own_is_the_same_root() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let own = open_detached().unwrap();
        let root = open_root().unwrap();
        let inode = |file: &OwnedFd| rustix::fs::fstat(file).unwrap().st_ino;
        assert_eq!(inode(&own), inode(&root));
    }
}
