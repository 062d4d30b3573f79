//! Finding the file that a process ran, also when the process is gone. Nothing is opened for reading before it is known
//! to be a regular file: opening a device or a pipe can have effects.

use std::fmt::Write as _;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};

use atalaya_model::Process;
use atalaya_model::process::Unread;
use rustix::fs::{
    CWD, FileType, Mode, OFlags, PROC_SUPER_MAGIC, ResolveFlags, Stat, fstat, fstatfs, openat, openat2,
};

use crate::linux::process::files::{ProcessFolder, reason};

/// Ancestors in whose root a file is searched.
const MOST_ROOTS: usize = 4;

/// Where the file that a process ran is to be had.
#[derive(Debug)]
pub(super) enum Place {
    /// The process lives and runs it.
    Alive(ProcessFolder),
    /// The file itself, open as a path only.
    Found {
        /// The file.
        file: OwnedFd,
        /// What it is.
        stat: Stat,
    },
}

/// The regular files at `path`, as we see it where the process had our mounts, or as its ancestors that live see it.
pub(super) fn by_path<'a>(
    root: BorrowedFd<'a>,
    process: &'a Process,
    has_our_mounts: bool,
    path: &'a str,
) -> impl Iterator<Item = (OwnedFd, Stat)> + 'a {
    let is_ours = has_our_mounts && path.starts_with('/');
    let ours = is_ours
        .then(|| regular(CWD, path, ResolveFlags::empty()))
        .flatten();
    let relatives = process.ancestors.iter().take(MOST_ROOTS);
    let theirs = relatives
        .filter(move |_| !has_our_mounts)
        .filter_map(move |ancestor| {
            let folder = ProcessFolder::open(root, ancestor.key.pid).ok()?;
            below(&folder, path)
        });
    ours.into_iter().chain(theirs)
}

/// The regular file at a path that a process was given. A path to a descriptor is to one of its own.
pub(super) fn of_process(folder: &ProcessFolder, path: &str) -> Option<(OwnedFd, Stat)> {
    match path.strip_prefix("/dev/fd/") {
        Some(number) => {
            let number: u32 = number.parse().ok()?;
            if_regular(folder.open_path(&format!("fd/{number}")).ok()?)
        }
        None => below(folder, path),
    }
}

/// The regular file at an absolute path as a process sees it.
fn below(folder: &ProcessFolder, path: &str) -> Option<(OwnedFd, Stat)> {
    if !path.starts_with('/') {
        return None;
    }
    let root = folder.open_path("root").ok()?;
    regular(root.as_fd(), path, ResolveFlags::IN_ROOT)
}

/// What leads through `/proc/self` would lead to us, and not to the process that it is about.
fn regular(folder: BorrowedFd<'_>, path: &str, flags: ResolveFlags) -> Option<(OwnedFd, Stat)> {
    let flags = flags | ResolveFlags::NO_MAGICLINKS;
    let open = |path: &[u8]| openat2(folder, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), flags);
    let file = open(path.as_bytes()).or_else(|_| open(&bytes_of(path))).ok()?;
    let is_about_processes = fstatfs(&file).is_ok_and(|system| system.f_type == PROC_SUPER_MAGIC);
    (!is_about_processes).then(|| if_regular(file)).flatten()
}

/// The path whose text this is, where it was none: `\xNN` stands for a byte.
fn bytes_of(path: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once("\\x") {
        bytes.extend_from_slice(before.as_bytes());
        match after.get(..2).map(|digits| u8::from_str_radix(digits, 16)) {
            Some(Ok(byte)) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.extend_from_slice(b"\\x");
                rest = after;
            }
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}

fn if_regular(file: OwnedFd) -> Option<(OwnedFd, Stat)> {
    let stat = fstat(&file).ok()?;
    (FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile).then_some((file, stat))
}

/// Opens for reading what is open as a path. `root` is `/proc`.
///
/// # Errors
/// The reason.
pub(super) fn reopen(root: BorrowedFd<'_>, file: &OwnedFd) -> Result<OwnedFd, Unread> {
    let mut link = String::new();
    write!(link, "self/fd/{}", file.as_raw_fd()).map_err(|_| Unread::Failed)?;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY;
    openat(root, link.as_str(), flags, Mode::empty()).map_err(reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linux::process::{CommandLines, ProcessReader};

    #[test]
    fn nothing_leads_to_ourselves() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let file = std::fs::File::create(path("file")).unwrap();
        let own = format!("/proc/self/fd/{}", file.as_raw_fd());
        std::os::unix::fs::symlink(&own, path("link")).unwrap();
        std::os::unix::fs::symlink("/proc/self/environ", path("environ")).unwrap();
        std::os::unix::fs::symlink(path("file"), path("fine")).unwrap();
        let process = ProcessReader::new(CommandLines::default())
            .unwrap()
            .describe(std::process::id())
            .unwrap();
        let root = rustix::fs::open("/proc", OFlags::PATH, Mode::empty()).unwrap();
        let living = ProcessFolder::open(root.as_fd(), std::process::id()).unwrap();
        for (path, is_found) in [
            (path("file"), true),
            (path("fine"), true),
            (path("link"), false),
            (path("environ"), false),
            (path("none"), false),
            (own, false),
            ("/dev/null".into(), false),
            ("relative".into(), false),
        ] {
            let ours = by_path(root.as_fd(), &process, true, &path).next();
            assert_eq!(ours.is_some(), is_found, "{path}");
            assert_eq!(of_process(&living, &path).is_some(), is_found, "{path}");
        }
        let descriptor = format!("/dev/fd/{}", file.as_raw_fd());
        assert!(of_process(&living, &descriptor).is_some());
        assert!(below(&living, &descriptor).is_none());
        assert!(of_process(&living, "/dev/fd/../exe").is_none());
    }

    #[test]
    fn a_path_that_is_no_text_is_found_again() {
        let hostile = b"/a\xff\\x\\xz\\x4\x01";
        let shown = crate::linux::process::arguments::text(hostile);
        assert_eq!(bytes_of(&shown), hostile);
        assert_eq!(bytes_of("/plain"), b"/plain");
    }
}
