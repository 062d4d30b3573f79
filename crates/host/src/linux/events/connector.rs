//! The kernel's process connector: a notice for each fork, exec and exit, with its time.
//!
//! Layouts from `linux/netlink.h`, `linux/connector.h` and `linux/cn_proc.h`.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use netlink_sys::protocols::NETLINK_CONNECTOR;
use netlink_sys::{Socket, SocketAddr};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::sockopt::{set_socket_recv_buffer_size, set_socket_recv_buffer_size_force};
use rustix::net::{RecvFlags, recv};

use crate::linux::describe::exit_code;

/// `CN_IDX_PROC` and `CN_VAL_PROC`.
const PROCESSES: u32 = 1;
/// `PROC_CN_MCAST_LISTEN` and `PROC_CN_MCAST_IGNORE`.
const LISTEN: u32 = 1;
const IGNORE: u32 = 2;
/// Places in a message: the numbers of the connector, what happened, and its details.
const INDEX: usize = 16;
const SEQUENCE: usize = 24;
const ACKNOWLEDGED: usize = 28;
const EVENT: usize = 36;
const DETAILS: usize = EVENT + 16;
/// Kinds of event.
const ANSWER: u32 = 0;
const FORK: u32 = 1;
const EXEC: u32 = 2;
const EXIT: u32 = 0x8000_0000;
/// How long the kernel may take to say yes.
const ANSWER_TIME: Timespec = Timespec {
    tv_sec: 1,
    tv_nsec: 0,
};
/// Most CPUs whose numbers are remembered.
const MOST_CPUS: usize = 4_096;

/// Something happened to a process. Times are nanoseconds of the monotonic clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Notice {
    /// A new process; threads are not told.
    Forked { time: u64, parent: u32, process: u32 },
    /// It became another program.
    Executed { time: u64, process: u32 },
    /// It ended; the exit status, or 128 and the signal's number.
    Exited { time: u64, process: u32, code: i32 },
}

/// One message. Each CPU numbers what it sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Message {
    cpu: u32,
    sequence: u32,
    what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Notice(Notice),
    /// The kernel answers somebody's request of this number, with an error number.
    Answer(u32, u32),
    Other,
}

/// A subscription.
#[derive(Debug)]
pub(super) struct Connector {
    socket: Socket,
    /// The number that the next notice of each CPU has.
    next: Vec<Option<u32>>,
    buffer: Box<[u8]>,
}

/// What one reading found besides notices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Losses {
    /// Notices that the kernel numbered, and that did not come.
    pub(super) missing: u64,
    /// Messages that could not be read.
    pub(super) unreadable: u64,
}

impl Connector {
    /// Subscribes, with a kernel buffer of `receive_buffer` bytes or what the system allows.
    ///
    /// # Errors
    /// When the kernel has no process connector, does not let us, or this is a container.
    pub(super) fn subscribe(receive_buffer: usize) -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_CONNECTOR)?;
        if set_socket_recv_buffer_size_force(&socket, receive_buffer).is_err() {
            set_socket_recv_buffer_size(&socket, receive_buffer)?;
        }
        socket.bind(&SocketAddr::new(0, PROCESSES))?;
        let mut connector = Self {
            socket,
            next: Vec::new(),
            buffer: vec![0; 4096].into_boxed_slice(),
        };
        connector.ask(LISTEN).map_err(|error| match error.kind() {
            // Nobody hears us outside of the network namespace in which the machine began.
            io::ErrorKind::ConnectionRefused => unsupported(),
            _ => error,
        })?;
        connector.wait_for_answer()?;
        Ok(connector)
    }

    fn ask(&self, what: u32) -> io::Result<()> {
        // A kind or a length, and flags of which there are none.
        let half = |number: u16| {
            let [first, second] = number.to_ne_bytes();
            [first, second, 0, 0]
        };
        let words = [
            40u32.to_ne_bytes(),
            half(libc::NLMSG_DONE as u16),
            [0; 4],
            [0; 4],
            PROCESSES.to_ne_bytes(),
            PROCESSES.to_ne_bytes(),
            [0; 4],
            std::process::id().to_ne_bytes(), // comes back in the answer
            half(4),
            what.to_ne_bytes(),
        ];
        let bytes = words.concat();
        self.socket.send_to(&bytes, &SocketAddr::new(0, 0), 0).map(|_| ())
    }

    fn wait_for_answer(&mut self) -> io::Result<()> {
        let ours = std::process::id().wrapping_add(1);
        // Notices come meanwhile, and answers to others.
        for _ in 0..MOST_CPUS {
            let mut waiting = [PollFd::new(&self.socket, PollFlags::IN)];
            if poll(&mut waiting, Some(&ANSWER_TIME))? == 0 {
                break;
            }
            let (length, _) = recv(&self.socket, &mut *self.buffer, RecvFlags::DONTWAIT)?;
            let message = message(&self.buffer[..length.min(self.buffer.len())]);
            match message.map(|message| message.what) {
                Some(What::Answer(asked, 0)) if asked == ours => return Ok(()),
                Some(What::Answer(asked, error)) if asked == ours => {
                    return Err(io::Error::from_raw_os_error((error as i32).wrapping_abs()));
                }
                _ => {}
            }
        }
        Err(unsupported())
    }

    /// Gives what waits to `each`, at most `most` notices. Does not wait.
    ///
    /// # Errors
    /// When the socket cannot be read any more.
    pub(super) fn drain(&mut self, most: usize, each: &mut dyn FnMut(Notice)) -> io::Result<Losses> {
        let mut losses = Losses::default();
        for _ in 0..most {
            let length = match recv(&self.socket, &mut *self.buffer, RecvFlags::DONTWAIT) {
                Ok((length, _)) => length.min(self.buffer.len()),
                Err(Errno::AGAIN) => break,
                // The numbers of the notices tell how many were lost.
                Err(Errno::INTR | Errno::NOBUFS) => continue,
                Err(error) => return Err(error.into()),
            };
            let Some(message) = message(&self.buffer[..length]) else {
                losses.unreadable += 1;
                continue;
            };
            losses.missing += self.missing(message.cpu, message.sequence);
            if let What::Notice(notice) = message.what {
                each(notice);
            }
        }
        Ok(losses)
    }

    /// How many notices of this CPU did not come before this one.
    fn missing(&mut self, cpu: u32, sequence: u32) -> u64 {
        let cpu = cpu as usize; // older kernels number no answers, and give them no CPU
        if cpu >= MOST_CPUS {
            return 0;
        }
        if self.next.len() <= cpu {
            self.next.resize(cpu + 1, None);
        }
        let before = self.next[cpu].replace(sequence.wrapping_add(1));
        // A number from the past is another order, not a loss.
        match before.map(|next| sequence.wrapping_sub(next)) {
            Some(missing) if missing < u32::MAX / 2 => missing.into(),
            _ => 0,
        }
    }
}

fn unsupported() -> io::Error {
    let reason = "the kernel does not answer: it has no CONFIG_PROC_EVENTS, or this is a container";
    io::Error::new(io::ErrorKind::Unsupported, reason)
}

impl AsFd for Connector {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Connector {
    fn drop(&mut self) {
        // Older kernels go on counting us among their listeners otherwise.
        drop(self.ask(IGNORE));
    }
}

fn message(bytes: &[u8]) -> Option<Message> {
    let word = |at: usize| -> Option<u32> { Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?)) };
    if word(INDEX)? != PROCESSES {
        return None;
    }
    let (what, cpu) = (word(EVENT)?, word(EVENT + 4)?);
    let time = u64::from_ne_bytes(*bytes.get(EVENT + 8..)?.first_chunk()?);
    let detail = |place: usize| word(DETAILS + 4 * place);
    let what = match what {
        ANSWER => What::Answer(word(ACKNOWLEDGED)?, detail(0)?),
        // Thread and process of the parent, thread and process of the child.
        FORK if detail(2)? == detail(3)? => What::Notice(Notice::Forked {
            time,
            parent: detail(1)?,
            process: detail(3)?,
        }),
        EXEC => What::Notice(Notice::Executed {
            time,
            process: detail(1)?,
        }),
        EXIT if detail(0)? == detail(1)? => What::Notice(Notice::Exited {
            time,
            process: detail(1)?,
            code: exit_code(detail(2)?),
        }),
        _ => What::Other,
    };
    Some(Message {
        cpu,
        sequence: word(SEQUENCE)?,
        what,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes(what: u32, cpu: u32, sequence: u32, details: [u32; 4]) -> Vec<u8> {
        let mut words = vec![76, 3, 0, 0, 1, 1, sequence, 0, 40, what, cpu];
        words.extend([7_000, 0]); // the time, on a machine with its small end first
        words.extend(details);
        words.into_iter().flat_map(u32::to_ne_bytes).collect()
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn processes_are_told_and_threads_are_not() {
        let notice = |what, details| {
            let message = message(&bytes(what, 1, 5, details)).unwrap();
            assert_eq!((message.cpu, message.sequence), (1, 5));
            match message.what {
                What::Notice(notice) => Some(notice),
                other => {
                    assert_eq!(other, What::Other);
                    None
                }
            }
        };
        let time = 7_000;
        assert_eq!(
            notice(FORK, [11, 10, 20, 20]),
            Some(Notice::Forked {
                time,
                parent: 10,
                process: 20
            })
        );
        assert_eq!(notice(FORK, [11, 10, 21, 20]), None);
        assert_eq!(
            notice(EXEC, [21, 20, 0, 0]),
            Some(Notice::Executed { time, process: 20 })
        );
        assert_eq!(
            notice(EXIT, [20, 20, 3 << 8, 17]),
            Some(Notice::Exited {
                time,
                process: 20,
                code: 3
            })
        );
        assert_eq!(notice(EXIT, [21, 20, 0, 17]), None);
        assert_eq!(notice(0x200, [20, 20, 0, 0]), None);
        let answer = message(&bytes(ANSWER, 0, 0, [1, 0, 0, 0])).map(|message| message.what);
        assert_eq!(answer, Some(What::Answer(0, 1)));
    }

    #[test]
    fn numbers_that_are_left_out_are_losses() {
        let Ok(mut connector) = Connector::subscribe(1 << 16) else {
            println!("skipped: the process connector is refused");
            return;
        };
        connector.next.clear();
        let mut missing = |cpu, sequence| connector.missing(cpu, sequence);
        assert_eq!((missing(0, 10), missing(0, 11), missing(0, 15)), (0, 0, 3));
        assert_eq!((missing(1, 3), missing(1, 2), missing(u32::MAX, 5)), (0, 0, 0));
        assert_eq!((missing(2, u32::MAX), missing(2, 1)), (0, 1));
    }

    proptest! {
        #[test]
        fn any_message_ends(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = message(&bytes);
        }
    }
}
