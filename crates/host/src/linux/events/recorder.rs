//! A thread that empties the rings when they fill up while nobody else does: a look at a large table takes its time,
//! and whoever takes the observations may, too.

use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::io::Errno;

use super::probes::Probes;
use super::samples::{Losses, Samples};
use crate::HostError;

/// Most samples that are kept in memory, about 30 MB. Beyond, the rings fill up, and the kernel counts what it drops.
const MOST_KEPT: usize = 1 << 18;
/// How long the thread rests where it may not keep more.
const REST: Duration = Duration::from_millis(20);

/// The rings, and the thread, which ends when this is dropped.
#[derive(Debug)]
pub(super) struct Recorder {
    shared: Arc<Mutex<Shared>>,
    /// Wakes the thread: the CPUs have changed, or it is to end.
    wake: OwnedFd,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    probes: Probes,
    kept: Samples,
    is_over: bool,
}

impl Recorder {
    /// As [`Probes::open`].
    ///
    /// # Errors
    /// As [`Probes::open`].
    pub(super) fn start(size: usize) -> Result<Self, HostError> {
        let failed = HostError::system("start a thread");
        let shared = Arc::new(Mutex::new(Shared {
            probes: Probes::open(size)?,
            kept: Samples::default(),
            is_over: false,
        }));
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK);
        let pair = wake
            .map_err(std::io::Error::from)
            .and_then(|wake| Ok((wake.try_clone()?, wake)));
        let (theirs, wake) = match pair {
            Ok(pair) => pair,
            Err(error) => return Err(failed(error)),
        };
        let of_thread = shared.clone();
        let thread = Builder::new()
            .name("tracepoints".into())
            .spawn(move || keep(&of_thread, &theirs))
            .map_err(failed)?;
        Ok(Self {
            shared,
            wake,
            thread: Some(thread),
        })
    }

    /// As [`Probes::take`].
    pub(super) fn take(&mut self, samples: &mut Samples) -> Losses {
        let mut shared = lock(&self.shared);
        samples.append(&mut shared.kept);
        shared.probes.take(samples)
    }

    /// As [`Probes::follow_cpus`].
    ///
    /// # Errors
    /// As [`Probes::follow_cpus`].
    pub(super) fn follow_cpus(&mut self) -> Result<(), HostError> {
        if lock(&self.shared).probes.follow_cpus()? {
            self.wake();
        }
        Ok(())
    }

    /// Is it known whether a connection that we ended first received the peer's end, too?
    pub(super) fn knows_functions(&self) -> bool {
        lock(&self.shared).probes.knows_functions()
    }

    fn wake(&self) {
        // It can only fail when the thread has been woken often, and has not looked yet.
        let _was_told = rustix::io::write(&self.wake, &1u64.to_ne_bytes());
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        lock(&self.shared).is_over = true;
        self.wake();
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// A panic elsewhere leaves samples as they are: whole.
fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn keep(shared: &Mutex<Shared>, wake: &OwnedFd) {
    loop {
        // Of our own, as those of the rings go with their CPUs.
        let rings: Vec<OwnedFd> = lock(shared)
            .probes
            .descriptors()
            .filter_map(|ring| ring.try_clone_to_owned().ok())
            .collect();
        loop {
            let mut waiting = vec![PollFd::new(wake, PollFlags::IN)];
            waiting.extend(
                rings
                    .iter()
                    .map(|ring| PollFd::from_borrowed_fd(ring.as_fd(), PollFlags::IN)),
            );
            match poll(&mut waiting, None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(_) => return,
            }
            let is_woken = waiting.first().is_some_and(|wake| !wake.revents().is_empty());
            let mut shared = lock(shared);
            if shared.is_over {
                return;
            }
            let Shared { probes, kept, .. } = &mut *shared;
            let is_full = kept.sockets.len() + kept.executed.len() >= MOST_KEPT;
            if !is_full {
                probes.empty(kept);
            }
            drop(shared);
            if is_woken {
                let _count = rustix::io::read(wake, &mut [0; 8]);
                break;
            }
            if is_full {
                std::thread::sleep(REST);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn a_small_ring_is_emptied_while_nobody_asks() {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: not root");
            return;
        }
        let mut recorder = Recorder::start(1 << 16).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        // Ten times what the ring holds.
        for _ in 0..1_000 {
            drop(TcpStream::connect(listener.local_addr().unwrap()).unwrap());
            drop(listener.accept().unwrap());
        }
        let mut samples = Samples::default();
        let losses = recorder.take(&mut samples);
        // Some may be lost on a busy machine, but not most.
        assert!(
            samples.sockets.len() > 5_000,
            "{} {losses:?}",
            samples.sockets.len()
        );
        recorder.follow_cpus().unwrap();
    }
}
