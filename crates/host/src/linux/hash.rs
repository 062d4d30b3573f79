//! SHA-256 of running executables, in a small pool of threads, so that nothing else waits for a disk.

pub mod cache;
mod find;
pub mod inspector;

use std::os::fd::AsFd;

use rustix::fs::{Stat, fstat};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

/// Bytes read at once; the pool's threads keep one buffer each.
pub const BUFFER: usize = 256 << 10;
/// Larger files are not hashed unless asked for.
pub const MAX_FILE: u64 = 1 << 30;

/// What makes two opened files the same content, as far as the kernel tells without reading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FileIdentity {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl FileIdentity {
    /// The identity in what `stat` answers.
    pub fn of(stat: &Stat) -> Self {
        let nanoseconds = |value: u64| i64::try_from(value).unwrap_or_default();
        Self {
            device: stat.st_dev,
            inode: stat.st_ino,
            size: u64::try_from(stat.st_size).unwrap_or_default(),
            modified: (stat.st_mtime, nanoseconds(stat.st_mtime_nsec)),
            changed: (stat.st_ctime, nanoseconds(stat.st_ctime_nsec)),
        }
    }

    /// The identity of an inode as the kernel itself knows it: `device` in its own encoding, times in seconds and
    /// nanoseconds.
    pub fn of_inode(device: u32, inode: u64, size: u64, modified: (i64, u32), changed: (i64, u32)) -> Self {
        /// A bit in the kernel's nanoseconds that says whether somebody has looked at the time.
        const QUERIED: u32 = 1 << 31;
        let time = |(seconds, nanoseconds): (i64, u32)| (seconds, i64::from(nanoseconds & !QUERIED));
        Self {
            device: rustix::fs::makedev(device >> 20, device & 0xf_ffff),
            inode,
            size,
            modified: time(modified),
            changed: time(changed),
        }
    }

    /// Is this the inode that `stat` describes? Compared as [`Self::is_content_of`] does, but for what changes while it
    /// runs: its number of links, and with it the time of change.
    pub fn has_inode_of(&self, stat: &Stat) -> bool {
        let other = Self::of(stat);
        (self.inode, self.size, self.modified) == (other.inode, other.size, other.modified)
    }

    /// Is this the same content as `stat` describes? The device is left out: some file systems (overlays, btrfs) tell
    /// another one than the inode has.
    pub fn is_content_of(&self, stat: &Stat) -> bool {
        let other = Self::of(stat);
        Self {
            device: other.device,
            ..*self
        } == other
    }
}

/// Why a file has no hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// Larger than the limit.
    #[error("the file is larger than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// It changed while it was read.
    #[error("the file changed while it was read")]
    Changed,
    /// The process ended, or became another program.
    #[error("the process is gone")]
    Gone,
    /// The privileges at hand do not allow it.
    #[error("no permission")]
    NoPermission,
    /// The system could not read it.
    #[error("{0}")]
    System(Errno),
}

/// The SHA-256 of an open file from its current position, with its identity.
///
/// # Errors
/// When it is larger than `limit` bytes, changes meanwhile, or cannot be read.
pub fn sha256(file: impl AsFd, buffer: &mut [u8], limit: u64) -> Result<(FileIdentity, [u8; 32]), HashError> {
    let before = FileIdentity::of(&fstat(&file).map_err(HashError::System)?);
    if before.size > limit {
        return Err(HashError::TooLarge { limit });
    }
    let mut hash = Sha256::new();
    let mut left = limit;
    loop {
        match rustix::io::read(&file, &mut *buffer) {
            Ok(0) => break,
            Ok(count) => {
                left = left
                    .checked_sub(count as u64)
                    .ok_or(HashError::TooLarge { limit })?;
                hash.update(&buffer[..count]);
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(HashError::System(error)),
        }
    }
    let after = FileIdentity::of(&fstat(&file).map_err(HashError::System)?);
    if before != after {
        return Err(HashError::Changed);
    }
    Ok((before, hash.finalize().into()))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write as _;

    use super::*;
    use crate::linux::redact::hexadecimal;

    #[test]
    fn the_published_digests() {
        let mut file = tempfile::tempfile().unwrap();
        let mut buffer = [0; 64];
        let (_, digest) = sha256(&file, &mut buffer, 10).unwrap();
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(hexadecimal(&digest), empty);
        file.write_all(b"abc").unwrap();
        std::io::Seek::rewind(&mut file).unwrap();
        let (_, digest) = sha256(&file, &mut buffer, 3).unwrap();
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hexadecimal(&digest), abc);
    }

    #[test]
    fn limits_and_folders_are_refused() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"abcd").unwrap();
        let mut buffer = [0; 2];
        assert_eq!(
            sha256(&file, &mut buffer, 3),
            Err(HashError::TooLarge { limit: 3 })
        );
        // A file that says it is empty and is not ends at the limit, too.
        let endless = File::open("/dev/zero").unwrap();
        assert_eq!(
            sha256(&endless, &mut buffer, 99),
            Err(HashError::TooLarge { limit: 99 })
        );
        let folder = File::open("/").unwrap();
        assert!(matches!(
            sha256(&folder, &mut buffer, MAX_FILE),
            Err(HashError::System(Errno::ISDIR))
        ));
    }
}
