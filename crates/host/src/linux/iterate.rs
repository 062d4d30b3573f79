//! Every socket that a process holds, with that process, in one pass through the kernel.
//!
//! An iterator of the kernel walks through the descriptors of all processes; the small program in `bpf/sockets.bpf.c`
//! writes a record for each that is a network socket. That is everything that a dump of the socket tables and a walk
//! through `/proc/*/fd` tell together, of every network namespace at once, for an eighth of their cost. What no
//! process holds (the kernel's own, TIME_WAIT, connections that nobody accepted yet) is not in it.

mod kernel;
mod record;
mod types;

use std::io::{self, Read as _};

use rustix::fs::{AtFlags, CWD, statat};

use crate::HostError;
pub use record::Held;
use record::RECORD;

/// The program, built from `bpf/sockets.bpf.c` by `bpf/build`.
static OBJECT: &[u8] = aya::include_bytes_aligned!("iterate/bpf/sockets.bpf.o");

/// The kernel's function that stands for the iterator.
const TARGET: &str = "bpf_iter_task_file";
/// The kernel gathers 32 KiB before it hands them over.
const BUFFER: usize = 64 << 10;
/// Where the namespace is in which times since boot are told to us, and the inode of the first one.
const TIMES: (&str, u64) = ("/proc/self/ns/time", 0xefff_fffa);

/// Lists sockets with their holders.
#[derive(Debug)]
pub struct Sockets {
    iterator: kernel::Iterator,
    buffer: Box<[u8]>,
}

impl Sockets {
    /// Loads the program. Needs CAP_BPF and CAP_PERFMON, and Linux 5.11 with a description of its types (BTF).
    ///
    /// # Errors
    /// When the kernel refuses, or this program runs in a namespace where processes began at other times than the kernel
    /// says. Of processes in other namespaces of ids, those are told that have an id in ours, by that id.
    pub fn open() -> Result<Self, HostError> {
        let action = "load the program that lists sockets with their holders";
        let (times, first) = TIMES;
        if statat(CWD, times, AtFlags::empty()).is_ok_and(|stat| stat.st_ino != first) {
            let reason = format!("{times} is not the host's own");
            return Err(HostError::system(action)(io::Error::new(
                io::ErrorKind::Unsupported,
                reason,
            )));
        }
        Ok(Self {
            iterator: kernel::Iterator::load(OBJECT, TARGET).map_err(HostError::system(action))?,
            buffer: vec![0; BUFFER].into_boxed_slice(),
        })
    }

    /// Gives every socket to `each`, process by process. A socket with several descriptors comes once for each.
    ///
    /// # Errors
    /// When reading fails; what was given until then is true.
    pub fn read(&mut self, each: &mut dyn FnMut(Held)) -> Result<(), HostError> {
        let action = "list sockets with their holders";
        let mut file = self.iterator.walk().map_err(HostError::system(action))?;
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
                    ) =>
                {
                    continue;
                }
                Err(error) => return Err(HostError::system(action)(error)),
            }
            let (records, part) = self
                .buffer
                .get(..filled)
                .unwrap_or_default()
                .as_chunks::<RECORD>();
            records.iter().filter_map(record::held).for_each(&mut *each);
            let part = filled - part.len()..filled;
            filled = part.len();
            self.buffer.copy_within(part, 0);
        }
    }
}
