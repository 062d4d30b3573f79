//! Every socket that a process holds, with that process, in one pass through the kernel.
//!
//! An iterator of the kernel walks through the descriptors of all processes; the small program in `bpf/sockets.bpf.c`
//! writes a record for each that is a network socket. That is everything that a dump of the socket tables and a walk
//! through `/proc/*/fd` tell together, of every network namespace at once, for an eighth of their cost. What no
//! process holds (the kernel's own, TIME_WAIT, connections that nobody accepted yet) is not in it.

mod record;

use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, OwnedFd};

use rustix::fs::{AtFlags, CWD, statat};

use super::programs::Programs;
use super::programs::calls::{self, Kind};
use crate::HostError;
use record::{DESCRIPTOR, RECORD};
pub use record::{Descriptor, Held};

/// The programs, built from `bpf/sockets.bpf.c` by `bpf/build`.
static OBJECT: &[u8] = aya::include_bytes_aligned!("iterate/bpf/sockets.bpf.o");

/// The kernel's function that stands for the iterator.
const TARGET: &str = "bpf_iter_task_file";
/// The kernel gathers 32 KiB before it hands them over.
const BUFFER: usize = 64 << 10;
/// With fewer open files on this host, loading a program costs more than it saves.
pub const WORTH: u64 = 3_000;
/// Where the namespace is in which times since boot are told to us, and the inode of the first one.
const TIMES: (&str, u64) = ("/proc/self/ns/time", 0xefff_fffa);

/// Lists sockets with their holders.
#[derive(Debug)]
pub struct Sockets(Walk<RECORD>);

impl Sockets {
    /// Loads the program. Needs CAP_BPF and CAP_PERFMON, and Linux 5.11 with a description of its types (BTF).
    ///
    /// # Errors
    /// When the kernel refuses, or this program runs in a namespace where processes began at other times than the kernel
    /// says. Of processes in other namespaces of ids, those are told that have an id in ours, by that id.
    pub fn open() -> Result<Self, HostError> {
        Walk::open("held_sockets").map(Self)
    }

    /// Gives every socket to `each`, process by process. A socket with several descriptors comes once for each.
    ///
    /// # Errors
    /// When reading fails; what was given until then is true.
    pub fn read(&mut self, each: &mut dyn FnMut(Held)) -> Result<(), HostError> {
        self.0
            .read(&mut |records| records.iter().filter_map(record::held).for_each(&mut *each))
    }
}

/// Lists descriptors.
#[derive(Debug)]
pub struct Descriptors(Walk<DESCRIPTOR>);

impl Descriptors {
    /// Loads the program.
    ///
    /// # Errors
    /// As [`Sockets::open`].
    pub fn open() -> Result<Self, HostError> {
        Walk::open("descriptors").map(Self)
    }

    /// Gives every descriptor to `each`, process by process.
    ///
    /// # Errors
    /// As [`Sockets::read`].
    pub fn read(&mut self, each: &mut dyn FnMut(Descriptor)) -> Result<(), HostError> {
        self.0
            .read(&mut |records| records.iter().map(record::descriptor).for_each(&mut *each))
    }
}

/// A program in the kernel that writes records of `N` bytes.
#[derive(Debug)]
struct Walk<const N: usize> {
    link: OwnedFd,
    buffer: Box<[u8]>,
}

impl<const N: usize> Walk<N> {
    fn open(program: &str) -> Result<Self, HostError> {
        let action = "load a program that walks through all descriptors";
        let (times, first) = TIMES;
        if statat(CWD, times, AtFlags::empty()).is_ok_and(|stat| stat.st_ino != first) {
            let reason = format!("{times} is not the host's own");
            return Err(HostError::system(action)(io::Error::new(
                io::ErrorKind::Unsupported,
                reason,
            )));
        }
        let link = || {
            let program = Programs::read(OBJECT, Some(TARGET))?.load(program, Kind::Iterator)?;
            calls::link_iterator(program.as_fd())
        };
        Ok(Self {
            link: link().map_err(HostError::system(action))?,
            buffer: vec![0; BUFFER].into_boxed_slice(),
        })
    }

    fn read(&mut self, each: &mut dyn FnMut(&[[u8; N]])) -> Result<(), HostError> {
        let action = "walk through all descriptors";
        let mut file = calls::walk(self.link.as_fd()).map_err(HostError::system(action))?;
        let mut filled = 0;
        loop {
            let rest = self.buffer.get_mut(filled..).unwrap_or_default();
            match file.read(rest) {
                Ok(0) => return Ok(()),
                Ok(count) => filled += count,
                // After a million descriptors of other kinds in a row the kernel asks to go on.
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock
                    ) => {}
                Err(error) => return Err(HostError::system(action)(error)),
            }
            let (records, part) = self.buffer.get(..filled).unwrap_or_default().as_chunks::<N>();
            each(records);
            let part = filled - part.len()..filled;
            filled = part.len();
            self.buffer.copy_within(part, 0);
        }
    }
}

/// How many files are open on this host.
pub fn files_open() -> u64 {
    let text = std::fs::read_to_string("/proc/sys/fs/file-nr").unwrap_or_default();
    let first = text.split_ascii_whitespace().next();
    first.and_then(|word| word.parse().ok()).unwrap_or(0)
}
