//! `/proc` by descriptor: listing processes and their descriptors without allocating for each.

use std::ffi::CStr;
use std::io::Write as _;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};

use rustix::fs::{
    AtFlags, CWD, Mode, OFlags, RawDir, SeekFrom, Stat, open, openat, readlinkat_raw, seek, statat,
};
use rustix::io::Errno;

/// Room for the entries of a folder that one call returns.
const LISTING: usize = 32 << 10;

/// A folder of `/proc`, kept open.
#[derive(Debug)]
pub struct ProcFolder {
    root: OwnedFd,
    listing: Box<[MaybeUninit<u8>]>,
    /// `stat` of a descriptor folder tells how many descriptors there are (Linux 6.2).
    counts_descriptors: bool,
}

/// A path below `/proc` in a buffer of its own.
struct Path {
    bytes: [u8; 40],
}

impl Path {
    /// `PID/suffix`, or only `PID` with an empty suffix.
    fn new(pid: u32, suffix: &str) -> Self {
        let mut bytes = [0; 40];
        let mut rest = &mut bytes[..39];
        // Ten digits and the longest suffix fit.
        let written = if suffix.is_empty() {
            write!(rest, "{pid}")
        } else {
            write!(rest, "{pid}/{suffix}")
        };
        debug_assert!(written.is_ok());
        Self { bytes }
    }

    fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.bytes).unwrap_or(c".")
    }
}

/// The file that a process runs. Its change time moves when it is unlinked or replaced, so that a deleted executable
/// is noticed although the inode that runs stays the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Executable {
    device: u64,
    inode: u64,
    /// Seconds and nanoseconds.
    changed: (i64, u64),
}

impl ProcFolder {
    /// Opens `/proc`.
    ///
    /// # Errors
    /// When it is not mounted or may not be read.
    pub fn open() -> Result<Self, Errno> {
        let root = open(
            "/proc",
            OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        let own = statat(&root, c"self/fd", AtFlags::empty())?;
        Ok(Self {
            root,
            listing: vec![MaybeUninit::uninit(); LISTING].into_boxed_slice(),
            counts_descriptors: own.st_size > 0,
        })
    }

    /// Every process id, rising, into `pids`; the first `most` of them.
    ///
    /// # Errors
    /// When the folder cannot be listed.
    pub fn list(&mut self, pids: &mut Vec<u32>, most: usize) -> Result<(), Errno> {
        pids.clear();
        seek(&self.root, SeekFrom::Start(0))?;
        let mut entries = RawDir::new(&self.root, &mut self.listing);
        while let Some(entry) = entries.next() {
            if let Some(pid) = number(entry?.file_name().to_bytes())
                && pids.len() < most
            {
                pids.push(pid);
            }
        }
        if !pids.is_sorted() {
            pids.sort_unstable();
        }
        Ok(())
    }

    /// The id that was given last to a process or thread, from `/proc/loadavg`.
    pub fn last_pid(&self) -> Option<u32> {
        let mut buffer = [0; 128];
        let text = self.read_at(c"loadavg", &mut buffer).ok()?;
        let last = text.rsplit(|byte| *byte == b' ').next()?;
        number(last.trim_ascii())
    }

    /// When a process started, in clock ticks since boot.
    ///
    /// # Errors
    /// `NOENT` or `SRCH` when it is gone.
    pub fn start_of(&self, pid: u32) -> Result<u64, Errno> {
        let mut buffer = [0; 1024];
        let text = self.read_at(Path::new(pid, "stat").as_c_str(), &mut buffer)?;
        start_in_stat(text).ok_or(Errno::IO)
    }

    /// Has a process ended, and with all of its threads? One that is gone altogether has.
    pub fn is_over(&self, pid: u32) -> bool {
        let mut buffer = [0; 1024];
        let text = self.read_at(Path::new(pid, "stat").as_c_str(), &mut buffer);
        text.is_err() || text.ok().and_then(is_over_in_stat) == Some(true)
    }

    /// Real and effective user id of a process, for one whose descriptors may not be read.
    ///
    /// # Errors
    /// `NOENT` or `SRCH` when it is gone.
    pub fn users_of(&self, pid: u32) -> Result<(u32, u32), Errno> {
        let mut buffer = [0; 2048];
        let text = self.read_at(Path::new(pid, "status").as_c_str(), &mut buffer)?;
        users_in_status(text).ok_or(Errno::IO)
    }

    /// Inode number of a process's network namespace.
    ///
    /// # Errors
    /// `ACCESS` without the privilege to look at that process.
    pub fn network_namespace_of(&self, pid: u32) -> Result<u32, Errno> {
        let mut buffer = [MaybeUninit::uninit(); 64];
        let path = Path::new(pid, "ns/net");
        let (link, _) = readlinkat_raw(&self.root, path.as_c_str(), &mut buffer[..])?;
        inode_in_link(b"net:[", link).ok_or(Errno::IO)
    }

    /// Opens a process's network namespace.
    ///
    /// # Errors
    /// `ACCESS` without the privilege to look at that process.
    pub fn open_network_namespace(&self, pid: u32) -> Result<OwnedFd, Errno> {
        let path = Path::new(pid, "ns/net");
        openat(
            &self.root,
            path.as_c_str(),
            OFlags::RDONLY | OFlags::CLOEXEC,
            Mode::empty(),
        )
    }

    /// The file that a process runs, by device and inode, without its path.
    ///
    /// # Errors
    /// `NOENT` for a kernel thread, `ACCESS` without privilege.
    pub fn executable_of(&self, pid: u32) -> Result<Executable, Errno> {
        let path = Path::new(pid, "exe");
        let stat = statat(&self.root, path.as_c_str(), AtFlags::empty())?;
        Ok(Executable {
            device: stat.st_dev,
            inode: stat.st_ino,
            changed: (stat.st_ctime, stat.st_ctime_nsec),
        })
    }

    /// How many descriptors a process has open; `None` where this kernel does not say.
    ///
    /// # Errors
    /// `NOENT` or `SRCH` when it is gone, `ACCESS` without privilege.
    pub fn descriptor_count(&self, pid: u32) -> Result<Option<u32>, Errno> {
        if !self.counts_descriptors {
            return Ok(None);
        }
        let stat: Stat = statat(&self.root, Path::new(pid, "fd").as_c_str(), AtFlags::empty())?;
        Ok(Some(u32::try_from(stat.st_size).unwrap_or(u32::MAX)))
    }

    /// Gives every open descriptor of a process to `each`, rising, with a way to read what it is. Stops when `each`
    /// returns false.
    ///
    /// # Errors
    /// `NOENT` or `SRCH` when the process is gone, `ACCESS` without privilege.
    pub fn descriptors(
        &mut self,
        pid: u32,
        each: &mut dyn FnMut(u32, &Descriptor<'_>) -> bool,
    ) -> Result<(), Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = openat(&self.root, Path::new(pid, "fd").as_c_str(), flags, Mode::empty())?;
        // Of ourselves, not the descriptor that is open only to list them.
        let own = (pid == std::process::id()).then(|| folder.as_raw_fd() as u32);
        let mut entries = RawDir::new(&folder, &mut self.listing);
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.file_name();
            if let Some(number) = number(name.to_bytes())
                && own != Some(number)
                && !each(
                    number,
                    &Descriptor {
                        folder: folder.as_fd(),
                        name,
                    },
                )
            {
                break;
            }
        }
        Ok(())
    }

    fn read_at<'b>(&self, path: &CStr, buffer: &'b mut [u8]) -> Result<&'b [u8], Errno> {
        let file = openat(&self.root, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        let mut length = 0;
        while let Some(rest) = buffer.get_mut(length..)
            && !rest.is_empty()
        {
            match rustix::io::read(&file, rest) {
                Ok(0) => break,
                Ok(count) => length += count,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(buffer.get(..length).unwrap_or_default())
    }
}

/// One entry of a descriptor folder.
#[derive(Debug)]
pub struct Descriptor<'a> {
    folder: BorrowedFd<'a>,
    name: &'a CStr,
}

impl Descriptor<'_> {
    /// The inode number, if it is a socket.
    pub fn socket(&self) -> Option<u32> {
        let mut buffer = [MaybeUninit::uninit(); 32];
        let (link, _) = readlinkat_raw(self.folder, self.name, &mut buffer[..]).ok()?;
        inode_in_link(b"socket:[", link)
    }
}

/// The device of the file system that namespaces live in.
pub fn namespace_device() -> Option<u64> {
    Some(statat(CWD, c"/proc/self/ns/net", AtFlags::empty()).ok()?.st_dev)
}

fn number(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u32, |number, digit| {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number.checked_mul(10)?.checked_add(digit.into())
    })
}

/// The number in `socket:[123]`.
fn inode_in_link(prefix: &[u8], link: &[u8]) -> Option<u32> {
    number(link.strip_prefix(prefix)?.strip_suffix(b"]")?)
}

/// Field 22 of `/proc/PID/stat`. The name in field 2 may hold anything, so the last `)` ends it.
fn start_in_stat(text: &[u8]) -> Option<u64> {
    let after_name = text.iter().rposition(|byte| *byte == b')')? + 2;
    let field = text.get(after_name..)?.split(|byte| *byte == b' ').nth(19)?;
    std::str::from_utf8(field).ok()?.trim_ascii().parse().ok()
}

/// Fields 3 (state) and 20 (threads, with the first of them as long as it was not waited for).
fn is_over_in_stat(text: &[u8]) -> Option<bool> {
    let after_name = text.iter().rposition(|byte| *byte == b')')? + 2;
    let mut fields = text.get(after_name..)?.split(|byte| *byte == b' ');
    let has_ended = matches!(fields.next()?, b"Z" | b"X");
    let threads = number(fields.nth(16)?)?;
    Some(has_ended && threads <= 1)
}

/// The first two numbers of the line `Uid:`. The name on the first line cannot hold a newline: the kernel escapes it.
fn users_in_status(text: &[u8]) -> Option<(u32, u32)> {
    let line = text
        .split(|byte| *byte == b'\n')
        .find_map(|line| line.strip_prefix(b"Uid:"))?;
    let mut numbers = line.split(|byte| *byte == b'\t').filter_map(number);
    Some((numbers.next()?, numbers.next()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::UdpSocket;

    #[test]
    fn own_process_and_descriptors() {
        let own = std::process::id();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let expected = rustix::fs::fstat(&socket).unwrap().st_ino as u32;
        let mut folder = ProcFolder::open().unwrap();
        let mut pids = Vec::new();
        folder.list(&mut pids, 1 << 20).unwrap();
        assert!(pids.is_sorted() && pids.contains(&own) && pids.contains(&1));
        folder.list(&mut pids, 1).unwrap();
        assert_eq!(pids, [1]);

        let mut found = Vec::new();
        folder
            .descriptors(own, &mut |number, descriptor| {
                if number == socket.as_raw_fd() as u32 {
                    found.push(descriptor.socket());
                }
                true
            })
            .unwrap();
        assert_eq!(found, [Some(expected)]);
        assert!(folder.start_of(own).unwrap() > 0);
        assert!(folder.last_pid().is_some());
        assert_eq!(
            folder.users_of(own).unwrap().0,
            rustix::process::getuid().as_raw()
        );
        assert!(folder.network_namespace_of(own).unwrap() > 0);
        assert!(folder.executable_of(own).unwrap().inode > 0);
        assert_eq!(folder.start_of(u32::MAX).unwrap_err(), Errno::NOENT);
    }

    #[test]
    fn a_hostile_name_does_not_move_the_fields() {
        let stat = b"77 (a) R 1 2 3) S 1 77 77 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4242 1 2\n";
        assert_eq!(start_in_stat(stat), Some(4242));
        for (state, threads, expected) in [("S", 1, false), ("Z", 1, true), ("Z", 2, false), ("X", 0, true)] {
            let stat =
                format!("77 (a) Z 1) {state} 1 77 77 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 {threads} 0 4242 1\n");
            assert_eq!(is_over_in_stat(stat.as_bytes()), Some(expected), "{stat}");
        }
        let status = b"Name:\tx\\nUid:\t0\nUmask:\t0022\nUid:\t1000\t1001\t0\t0\n";
        assert_eq!(users_in_status(status), Some((1000, 1001)));
        assert_eq!(inode_in_link(b"socket:[", b"socket:[4294967295]"), Some(u32::MAX));
        assert_eq!(inode_in_link(b"socket:[", b"socket:[4294967296]"), None);
        assert_eq!(inode_in_link(b"socket:[", b"/tmp/socket:[1]"), None);
    }

    proptest! {
        #[test]
        fn parsers_are_total(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = (start_in_stat(&bytes), is_over_in_stat(&bytes), users_in_status(&bytes), inode_in_link(b"net:[", &bytes), number(&bytes));
        }
    }
}
