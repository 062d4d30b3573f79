//! The threads that carry frames from the rings to the engine.

use std::io::{PipeReader, PipeWriter};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use atalaya_model::{Gap, Ledger, Span, Stage, Text};
use crossbeam_channel::{SendTimeoutError, Sender, bounded};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::socket::RETIRE;
use super::{Groups, Ring};
use crate::HostError;
use crate::clock::{self, Deadline};
use crate::packets::{Batch, CaptureReport, Delivery, Options, Pool};

/// Longest sleep without any frame.
const SLEEP: Duration = Duration::from_secs(1);
/// How long one attempt to hand over waits before it is looked whether to stop.
const ATTEMPT: Duration = Duration::from_millis(100);
/// Attempts after which a batch is dropped: the ring behind it fills meanwhile.
const ATTEMPTS: u32 = 10;
/// After the stop, rings are read until the blocks that were being filled have come.
const LAST: Span = Span(RETIRE as i64 * 2_000);
/// Most threads.
const MOST_THREADS: usize = 64;

/// The threads of a capture.
#[derive(Debug)]
pub(crate) struct Threads {
    shared: Arc<Shared>,
    /// Closed, it wakes all threads.
    wake: Option<PipeWriter>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    report: Mutex<CaptureReport>,
}

impl Threads {
    pub(crate) fn start(options: Options, sender: Sender<Delivery>) -> Result<Self, HostError> {
        let (woken, wake) = std::io::pipe().map_err(HostError::system("create a pipe"))?;
        let count = options.threads.clamp(1, MOST_THREADS);
        let options = Options {
            threads: count,
            ..options
        };
        let groups = (count > 1).then(Groups::default);
        let mut threads = Self {
            shared: Arc::default(),
            wake: Some(wake),
            threads: Vec::new(),
        };
        for member in 0..count {
            let (opened, answer) = bounded(1);
            let (shared, options, groups) = (Arc::clone(&threads.shared), options.clone(), groups.clone());
            let sender = sender.clone();
            let woken = woken.try_clone().map_err(HostError::system("create a pipe"))?;
            let name = if member == 0 {
                "packets".to_owned()
            } else {
                format!("packets-{member}")
            };
            let run = move || {
                let entered = options.namespace.as_deref().map_or(Ok(()), enter);
                match entered.and_then(|()| Ring::open_shared(options.clone(), groups)) {
                    Ok(mut ring) => {
                        let carrier = Carrier {
                            ledger: options.ledger,
                            pool: Pool::default(),
                            is_first: member == 0,
                            shared,
                            sender,
                            woken,
                        };
                        // Whoever started it may ask at once what is captured.
                        carrier.publish(&mut ring);
                        drop(opened.send(Ok(())));
                        carrier.run(ring);
                    }
                    Err(error) => drop(opened.send(Err(error))),
                }
            };
            let thread = Builder::new().name(name).spawn(run);
            threads
                .threads
                .push(thread.map_err(HostError::system("start a thread"))?);
            let gone = || HostError::system("start a thread")(std::io::ErrorKind::BrokenPipe.into());
            answer.recv().unwrap_or_else(|_| Err(gone()))?;
        }
        Ok(threads)
    }

    pub(crate) fn report(&self) -> CaptureReport {
        self.shared
            .report
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        drop(self.wake.take());
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
    }
}

/// Lets this thread see another network namespace.
fn enter(namespace: &Path) -> Result<(), HostError> {
    let failed = || HostError::file("enter the network namespace", namespace);
    let file = std::fs::File::open(namespace).map_err(failed())?;
    move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
        .map_err(|error| failed()(error.into()))
}

/// Why a thread goes on or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Continue,
    /// Nobody listens any more, or nobody reads after the stop.
    End,
}

struct Carrier {
    shared: Arc<Shared>,
    sender: Sender<Delivery>,
    woken: PipeReader,
    pool: Pool,
    ledger: Ledger,
    /// Of several threads, the one that tells of interfaces.
    is_first: bool,
}

impl Carrier {
    fn run(&self, mut ring: Ring) {
        let mut last: Option<Deadline> = None;
        loop {
            let waited = match last.map(Deadline::left) {
                None => ring.wait(SLEEP, Some(self.woken.as_fd())),
                Some(Some(left)) => ring.wait(left, None),
                Some(None) => break,
            };
            if let Err(error) = waited {
                self.tell_end(&error);
                break;
            }
            if self.carry(&mut ring) == Next::End {
                return;
            }
            if last.is_none() && self.shared.stop.load(Ordering::Relaxed) {
                last = Some(Deadline::after(LAST));
            }
        }
        ring.count();
        _ = self.tell(&mut ring);
    }

    /// Everything that waits now, in batches.
    fn carry(&self, ring: &mut Ring) -> Next {
        let mut batch = self.pool.batch();
        // A flood must not keep the list of interfaces and the counters from being read.
        let mut left = 1_024;
        while left > 0
            && let Some(block) = ring.block()
        {
            left -= 1;
            for captured in block.frames() {
                if !batch.push(&captured) {
                    if self.hand_over(batch) == Next::End {
                        return Next::End;
                    }
                    batch = self.pool.batch();
                    batch.push(&captured);
                }
            }
        }
        if self.hand_over(batch) == Next::End {
            return Next::End;
        }
        self.tell(ring)
    }

    fn hand_over(&self, batch: Batch) -> Next {
        if batch.is_empty() {
            return Next::Continue;
        }
        let count = batch.len() as u64;
        let mut delivery = Delivery::Frames(batch);
        for _ in 0..ATTEMPTS {
            delivery = match self.sender.send_timeout(delivery, ATTEMPT) {
                Ok(()) => return Next::Continue,
                Err(SendTimeoutError::Disconnected(_)) => return Next::End,
                Err(SendTimeoutError::Timeout(delivery)) => delivery,
            };
            if self.shared.stop.load(Ordering::Relaxed) {
                self.ledger.dropped(Stage::EngineQueue, count);
                return Next::End;
            }
        }
        self.ledger.dropped(Stage::EngineQueue, count);
        self.send(Delivery::Gap(Gap {
            time: clock::now(),
            stage: Stage::EngineQueue,
            count,
            reason: Text::from("packets came faster than they were read"),
        }))
    }

    /// Passes on what the ring tells.
    fn tell(&self, ring: &mut Ring) -> Next {
        self.publish(ring);
        let told: Vec<Delivery> = ring.told().collect();
        for delivery in told {
            let is_for_all = matches!(delivery, Delivery::Gap(_));
            if (self.is_first || is_for_all) && self.send(delivery) == Next::End {
                return Next::End;
            }
        }
        Next::Continue
    }

    /// Hands over what must not be lost; waits as long as that takes, but for the stop.
    fn send(&self, mut delivery: Delivery) -> Next {
        loop {
            delivery = match self.sender.send_timeout(delivery, ATTEMPT) {
                Ok(()) => return Next::Continue,
                Err(SendTimeoutError::Disconnected(_)) => return Next::End,
                Err(SendTimeoutError::Timeout(delivery)) => delivery,
            };
            if self.shared.stop.load(Ordering::Relaxed) {
                return Next::Continue;
            }
        }
    }

    /// Lets others see what is captured, where that has changed.
    fn publish(&self, ring: &mut Ring) {
        if self.is_first && ring.take_changed() {
            *self.shared.report.lock().unwrap_or_else(PoisonError::into_inner) = ring.report();
        }
    }

    fn tell_end(&self, error: &HostError) {
        _ = self.send(Delivery::Gap(Gap {
            time: clock::now(),
            stage: Stage::PacketRing,
            count: 0,
            reason: Text::from(format!("the capture ended: failed to {error}")),
        }));
    }
}
