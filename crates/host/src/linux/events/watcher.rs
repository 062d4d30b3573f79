//! A thread that reads processes while they are alive: those of a millisecond wait for nobody.

use std::os::fd::{AsFd as _, OwnedFd};
use std::thread::{Builder, JoinHandle};

use atalaya_model::process::Unread;
use atalaya_model::{Process, Span};
use crossbeam_channel::{Receiver, Sender, bounded};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;
use rustix::process::setpriority_process;

use super::connector::{Connector, Losses, Notice};
use crate::HostError;
use crate::clock::Deadline;
use crate::linux::owners::proc_folder::ProcFolder;
use crate::linux::process::{CommandLines, ProcessReader};

/// Bytes that the kernel may queue: some 20,000 notices.
const RECEIVE_BUFFER: usize = 8 << 20;
/// Notices read and not yet taken. Beyond, the kernel queues.
const QUEUE: usize = 16_384;
/// The thread's priority, as `nice` counts.
const PRIORITY: i32 = -10;
/// How long a process may take from its notice to its end, and how often that is looked at. The notice is of the first
/// thread, and others may go on for long: then a listing will miss the process one day.
const LEAVING: Span = Span::from_seconds(1);
const RETRY: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 20_000_000,
};
/// Most processes that are on their way out; others are said to have ended at once.
const MOST_LEAVING: usize = 1_024;
/// Notices read in one go.
const AT_ONCE: usize = 256;

/// What was learnt of a process. Times are nanoseconds of the monotonic clock.
#[derive(Debug)]
pub(super) enum Word {
    /// It began; `start` is as `/proc` says it, unless it was gone already.
    Forked {
        time: u64,
        parent: u32,
        process: u32,
        start: Option<u64>,
    },
    /// It became another program, as far as that could still be read.
    Executed {
        time: u64,
        process: u32,
        read: Result<Box<Process>, Unread>,
    },
    Exited(Exit),
    Lost(Losses),
    /// There will be nothing more.
    Broken(std::io::Error),
}

/// A process ended; the code is the exit status, or 128 and the signal's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Exit {
    pub(super) time: u64,
    pub(super) process: u32,
    pub(super) code: i32,
}

/// The thread, ended when this is dropped.
#[derive(Debug)]
pub(super) struct Watcher {
    words: Receiver<Word>,
    stop: OwnedFd,
    thread: Option<JoinHandle<()>>,
}

impl Watcher {
    /// Subscribes, and begins to read.
    ///
    /// # Errors
    /// When the kernel does not tell of processes.
    pub(super) fn start(command_lines: CommandLines) -> Result<Self, HostError> {
        let connector = Connector::subscribe(RECEIVE_BUFFER)
            .map_err(HostError::system("ask the kernel for process events"))?;
        let reader = ProcessReader::new(command_lines)?;
        let folder = ProcFolder::open().map_err(|error| HostError::file("read", "/proc")(error.into()))?;
        let stop = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK);
        let failed = HostError::system("start a thread");
        let stop = match stop.and_then(|stop| Ok((stop.try_clone().map_err(|_| Errno::MFILE)?, stop))) {
            Ok(stop) => stop,
            Err(error) => return Err(failed(error.into())),
        };
        let (sender, words) = bounded(QUEUE);
        let work = Work {
            connector,
            reader,
            folder,
            words: sender,
            leaving: Vec::new(),
        };
        let (theirs, stop) = stop;
        let thread = Builder::new()
            .name("processes".into())
            .spawn(move || work.run(&theirs))
            .map_err(failed)?;
        Ok(Self {
            words,
            stop,
            thread: Some(thread),
        })
    }

    /// What waits, without waiting.
    pub(super) fn words(&self) -> impl Iterator<Item = Word> {
        self.words.try_iter().take(2 * QUEUE)
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let _was_told = rustix::io::write(&self.stop, &1u64.to_ne_bytes());
        // A full queue must not keep the thread from seeing that.
        let (_, nothing) = bounded(0);
        self.words = nothing;
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

struct Work {
    connector: Connector,
    reader: ProcessReader,
    folder: ProcFolder,
    words: Sender<Word>,
    leaving: Vec<(Deadline, Exit)>,
}

impl Work {
    fn run(mut self, stop: &OwnedFd) {
        // It has little to do, and no time. Without privilege it waits like others.
        let _is_favoured = setpriority_process(None, PRIORITY);
        loop {
            let mut waiting = [
                PollFd::from_borrowed_fd(self.connector.as_fd(), PollFlags::IN),
                PollFd::new(stop, PollFlags::IN),
            ];
            let timeout = (!self.leaving.is_empty()).then_some(&RETRY);
            match poll(&mut waiting, timeout) {
                Ok(_) if !waiting[1].revents().is_empty() => return,
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => {
                    drop(self.words.send(Word::Broken(error.into())));
                    return;
                }
            }
            let Self {
                connector,
                reader,
                folder,
                words,
                leaving,
            } = &mut self;
            let mut is_wanted = true;
            leaving.retain(|(deadline, exit)| {
                let is_over = folder.is_over(exit.process);
                if is_over {
                    is_wanted &= words.send(Word::Exited(*exit)).is_ok();
                }
                !is_over && deadline.left().is_some()
            });
            let drained = connector.drain(AT_ONCE, &mut |notice| match word(notice, reader, folder) {
                Word::Exited(exit) if leaving.len() < MOST_LEAVING && !folder.is_over(exit.process) => {
                    leaving.push((Deadline::after(LEAVING), exit));
                }
                word => is_wanted &= words.send(word).is_ok(),
            });
            let lost = match drained {
                Ok(losses) if losses == Losses::default() => None,
                Ok(losses) => Some(Word::Lost(losses)),
                Err(error) => {
                    is_wanted = false;
                    Some(Word::Broken(error))
                }
            };
            if let Some(lost) = lost {
                is_wanted &= words.send(lost).is_ok();
            }
            if !is_wanted {
                return;
            }
        }
    }
}

fn word(notice: Notice, reader: &mut ProcessReader, folder: &ProcFolder) -> Word {
    match notice {
        Notice::Forked {
            time,
            parent,
            process,
        } => Word::Forked {
            time,
            parent,
            process,
            start: folder.start_of(process).ok(),
        },
        Notice::Executed { time, process } => Word::Executed {
            time,
            process,
            read: reader.describe(process).map(Box::new),
        },
        Notice::Exited { time, process, code } => Word::Exited(Exit { time, process, code }),
    }
}
