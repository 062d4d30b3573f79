//! Bounded reads below one process's folder in `/proc`, held open so that a reused pid cannot mix two processes.

use std::fmt::Write as _;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use atalaya_model::process::Unread;
use rustix::fs::{AtFlags, Mode, OFlags, Stat, openat, readlinkat_raw, statat};
use rustix::io::Errno;

/// Longest path a link in `/proc` can name.
pub const MAX_LINK: usize = 4096;

/// An open `/proc/PID`. Every read fails with [`Unread::Gone`] once that very process is gone.
#[derive(Debug)]
pub struct ProcessFolder(OwnedFd);

impl ProcessFolder {
    /// Opens the folder of `pid` below `root`, an open `/proc`.
    ///
    /// # Errors
    /// The reason, where there is no such process, or it is hidden.
    pub fn open(root: BorrowedFd<'_>, pid: u32) -> Result<Self, Unread> {
        let mut name = Name::default();
        write!(name, "{pid}").map_err(|_| Unread::Failed)?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        openat(root, name.as_str(), flags, Mode::empty())
            .map(Self)
            .map_err(reason)
    }

    /// Reads a file into `buffer`, as much as fits.
    ///
    /// # Errors
    /// The reason.
    pub fn read<'b>(&self, name: &str, buffer: &'b mut [u8]) -> Result<&'b [u8], Unread> {
        read_at(self.0.as_fd(), name, buffer)
    }

    /// Where a link points to.
    ///
    /// # Errors
    /// The reason; a thread of the kernel and a zombie have no `exe`, which reads as [`Unread::Gone`].
    pub fn link<'b>(&self, name: &str, buffer: &'b mut [u8; MAX_LINK]) -> Result<&'b [u8], Unread> {
        let length = readlinkat_raw(&self.0, name, &mut buffer[..]).map_err(reason)?;
        Ok(&buffer[..length])
    }

    /// Describes the file behind a link or path below the folder.
    ///
    /// # Errors
    /// The reason.
    pub fn stat(&self, name: &[u8]) -> Result<Stat, Unread> {
        statat(&self.0, name, AtFlags::empty()).map_err(reason)
    }

    /// Opens what is behind a link as a place to start from, without reading it.
    ///
    /// # Errors
    /// The reason.
    pub fn open_path(&self, name: &str) -> Result<OwnedFd, Unread> {
        openat(&self.0, name, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).map_err(reason)
    }

    /// Opens the file behind a link for reading.
    ///
    /// # Errors
    /// The reason.
    pub fn open_file(&self, name: &str) -> Result<OwnedFd, Unread> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        openat(&self.0, name, flags, Mode::empty()).map_err(reason)
    }
}

/// Reads `PID/stat` below `root` without opening the folder first: the cheapest look at a process.
///
/// # Errors
/// The reason.
pub fn read_stat<'b>(root: BorrowedFd<'_>, pid: u32, buffer: &'b mut [u8]) -> Result<&'b [u8], Unread> {
    let mut name = Name::default();
    write!(name, "{pid}/stat").map_err(|_| Unread::Failed)?;
    read_at(root, name.as_str(), buffer)
}

fn read_at<'b>(folder: BorrowedFd<'_>, name: &str, buffer: &'b mut [u8]) -> Result<&'b [u8], Unread> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let file = openat(folder, name, flags, Mode::empty()).map_err(reason)?;
    // `/proc` gives all there is in one read, if it fits: asking for the end would double the cost.
    loop {
        match rustix::io::read(&file, &mut *buffer) {
            Ok(count) => return Ok(&buffer[..count]),
            Err(Errno::INTR) => {}
            Err(error) => return Err(reason(error)),
        }
    }
}

/// What a failed call says about why a process was not read.
pub fn reason(error: Errno) -> Unread {
    match error {
        Errno::NOENT | Errno::SRCH => Unread::Gone,
        Errno::ACCESS | Errno::PERM => Unread::NoPermission,
        _ => Unread::Failed,
    }
}

/// As [`reason`], for errors of the standard library.
pub fn reason_of(error: &io::Error) -> Unread {
    error
        .raw_os_error()
        .map_or(Unread::Failed, |code| reason(Errno::from_raw_os_error(code)))
}

/// A short file name on the stack.
#[derive(Default)]
struct Name {
    bytes: [u8; 24],
    length: usize,
}

impl Name {
    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }
}

impl std::fmt::Write for Name {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let end = self.length + text.len();
        let room = self.bytes.get_mut(self.length..end).ok_or(std::fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> OwnedFd {
        openat(
            rustix::fs::CWD,
            "/proc",
            OFlags::PATH | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .unwrap()
    }

    #[test]
    fn reads_itself_and_misses_what_does_not_exist() {
        let root = root();
        let mut buffer = [0; 1024];
        let folder = ProcessFolder::open(root.as_fd(), std::process::id()).unwrap();
        let whole = folder.read("stat", &mut buffer).unwrap().to_vec();
        assert!(whole.starts_with(std::process::id().to_string().as_bytes()));
        let mut small = [0; 3];
        assert_eq!(folder.read("stat", &mut small).unwrap(), &whole[..3]);
        let gone = ProcessFolder::open(root.as_fd(), u32::MAX).err();
        assert_eq!(gone, Some(Unread::Gone));
        assert_eq!(read_stat(root.as_fd(), u32::MAX, &mut buffer), Err(Unread::Gone));
        assert_eq!(folder.read("no such file", &mut buffer), Err(Unread::Gone));
    }
}
