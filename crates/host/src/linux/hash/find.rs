//! Finding the file that a process ran, also when the process is gone. Nothing is opened for reading before it is known
//! to be a regular file: opening a device or a pipe can have effects.

use std::fmt::Write as _;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};

use atalaya_model::Process;
use atalaya_model::process::Unread;
use rustix::fs::{CWD, FileType, Mode, OFlags, Stat, fstat, openat};

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
    let ours = is_ours.then(|| regular(CWD, path)).flatten();
    let relatives = process.ancestors.iter().take(MOST_ROOTS);
    let theirs = relatives
        .filter(move |_| !has_our_mounts)
        .filter_map(move |ancestor| {
            let folder = ProcessFolder::open(root, ancestor.key.pid).ok()?;
            below(&folder, path)
        });
    ours.into_iter().chain(theirs)
}

/// The regular file at an absolute path as a process sees it.
pub(super) fn below(folder: &ProcessFolder, path: &str) -> Option<(OwnedFd, Stat)> {
    let path = path.strip_prefix('/')?;
    let root = folder.open_path("root").ok()?;
    regular(root.as_fd(), path)
}

fn regular(folder: BorrowedFd<'_>, path: &str) -> Option<(OwnedFd, Stat)> {
    let file = openat(folder, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).ok()?;
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
