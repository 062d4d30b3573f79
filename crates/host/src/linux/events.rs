//! Tier `events`: without BPF, tracepoints tell who, notices of closed sockets tell how much, and the process connector
//! tells of processes while they are alive. Looks go on as in tier `poll`, for what neither tells.

mod called;
mod connector;
mod conversations;
mod format;
mod functions;
mod join;
mod lives;
mod outcome;
mod perf;
mod probes;
mod recorder;
mod samples;
mod tracefs;
mod watcher;

use std::cell::RefCell;
use std::time::Duration;

use atalaya_model::tier::Limit;
use atalaya_model::{Ledger, Observation, Socket, Span, Stage, Text, Tier, TierReport, Transport};

use self::conversations::Conversations;
use self::join::Joined;
use self::lives::Lives;
use self::recorder::Recorder;
use self::samples::Samples;
use self::watcher::{Watcher, Word};
use super::owners::numbers::NumberSet;
use super::owners::proc_folder::ProcFolder;
use super::poll::{FETCH, PollCollector};
use super::process::CommandLines;
use super::sockets::Part;
use crate::clock::{Deadline, KernelClock};
use crate::collector::{Collector, Options, Sink};
use crate::{HostError, clock};

/// How often processes are passed on although no socket closes.
const PROCESSES: Duration = Duration::from_millis(200);
/// What happened so short a time ago, in nanoseconds, may still be on its way into the ring of another CPU.
const UNSETTLED: u64 = 200_000;
/// How long the watcher may take to come to a process, in nanoseconds.
const WATCHERS_TIME: u64 = 5_000_000_000;
/// Most samples that wait for being settled.
const MOST_UNSETTLED: usize = 1 << 18;
/// How often the end of a look waits, a millisecond each, for tracepoints that are on their way.
const WAITS: u32 = 3;

/// Observes this host by what its kernel records.
#[derive(Debug)]
pub struct EventsCollector {
    recorder: Recorder,
    watcher: Watcher,
    poll: PollCollector,
    lives: Lives,
    conversations: Conversations,
    /// What was read from the rings and is not in order yet.
    unsettled: Samples,
    /// Notices whose tracepoint has not come yet, with the time since they wait.
    late: Vec<(u64, Socket)>,
}

impl EventsCollector {
    /// Opens the tracepoints, the process connector, and what looking needs.
    ///
    /// # Errors
    /// Why this tier does not work here: no tracepoints, no permission, no process connector.
    pub fn open(options: Options) -> Result<Self, HostError> {
        let recorder = Recorder::start(options.ring)?;
        let command_lines = CommandLines {
            keep_secrets: !options.redact,
            key: options.command_line_key.as_ref().map(|key| key.0),
        };
        let watcher = Watcher::start(command_lines)?;
        let limits = limits(&recorder);
        let folder = ProcFolder::open().map_err(|error| HostError::file("read", "/proc")(error.into()))?;
        let lives = Lives::new(folder, options.ledger.clone());
        let mut poll = PollCollector::open_for(Tier::Events, options)?;
        poll.set_limits(limits);
        Ok(Self {
            recorder,
            watcher,
            poll,
            lives,
            conversations: Conversations::default(),
            unsettled: Samples::default(),
            late: Vec::new(),
        })
    }

    /// Takes everything that waits: closed sockets first, so that whatever the tracepoints told of them is there, too.
    fn drain(&mut self, sink: &mut Sink<'_>) -> Result<(), HostError> {
        let mut notices = std::mem::take(&mut self.late);
        let now = KernelClock::now();
        self.poll.notices(sink, &mut |remembered, mut socket, sink| {
            if socket.transport == Transport::Tcp {
                notices.push((now.monotonic, socket));
            } else {
                remembered.complete(&mut socket);
                sink(Observation::SocketClosed(now.time, socket));
            }
        });
        // Of each process that the watcher names, the tracepoint was there before.
        let words: Vec<Word> = self.watcher.words().collect();
        let clock = KernelClock::now();
        self.take_samples(&clock, sink);
        self.take_words(words, &clock, sink)?;
        self.join(notices, &clock, sink);
        self.poll.describer.fetch(sink);
        Ok(())
    }

    /// Processes.
    fn take_words(
        &mut self,
        words: Vec<Word>,
        clock: &KernelClock,
        sink: &mut Sink<'_>,
    ) -> Result<(), HostError> {
        let mut lost = connector::Losses::default();
        let mut broken = None;
        for word in words {
            match word {
                Word::Lost(losses) => {
                    lost.missing += losses.missing;
                    lost.unreadable += losses.unreadable;
                    self.lives.forget_all();
                }
                Word::Broken(error) => broken = Some(error),
                word => self.lives.take(word, clock, &mut self.poll.describer, sink),
            }
        }
        self.lives
            .forget_paths(clock.monotonic.saturating_sub(WATCHERS_TIME));
        for (count, reason) in [
            (lost.missing, "the kernel's buffer of process events overflowed"),
            (lost.unreadable, "a process event could not be read"),
        ] {
            if count > 0 {
                self.poll.gap(clock.time, Stage::Processes, count, reason, sink);
            }
        }
        match broken {
            Some(error) => Err(HostError::system("read process events")(error)),
            None => Ok(()),
        }
    }

    /// Tracepoints, in the order of their time over all CPUs.
    fn take_samples(&mut self, clock: &KernelClock, sink: &mut Sink<'_>) {
        let losses = self.recorder.take(&mut self.unsettled);
        let ledger = &self.poll.ledger;
        ledger.received(
            Stage::KernelRing,
            losses.read + losses.dropped + losses.unreadable,
        );
        ledger.passed(Stage::KernelRing, losses.read);
        for (count, reason) in [
            (losses.dropped, "the rings of the tracepoints were full"),
            (losses.unreadable, "a record of a tracepoint could not be read"),
        ] {
            if count > 0 {
                self.conversations.shake();
                self.poll.gap(clock.time, Stage::KernelRing, count, reason, sink);
            }
        }
        for executed in self.unsettled.executed.drain(..) {
            self.lives.executed(executed);
        }
        let sockets = &mut self.unsettled.sockets;
        sockets.sort_by_key(|sample| sample.time);
        let until = clock.monotonic.saturating_sub(UNSETTLED);
        let mut settled = sockets.partition_point(|sample| sample.time <= until);
        settled = settled.max(sockets.len().saturating_sub(MOST_UNSETTLED));
        self.conversations.set_time(clock.monotonic);
        for sample in sockets.drain(..settled) {
            self.conversations.take(sample);
        }
        if sockets.capacity() > 4 * sockets.len() + 4_096 {
            sockets.shrink_to(2 * sockets.len());
        }
    }

    /// Looks at everything, and tells of what the look meets how it began.
    fn look_and_meet(&mut self, sink: &mut Sink<'_>) -> Result<Option<Observation>, HostError> {
        let clock = KernelClock::now();
        // Every end is told as it comes, unless something was lost.
        self.poll.part = if self.poll.look == 0 || self.conversations.is_shaken() {
            Part::Everything
        } else {
            Part::NotWaiting
        };
        let by_ends = self.conversations.by_ends();
        let joined = RefCell::new(Joined {
            conversations: &mut self.conversations,
            lives: &mut self.lives,
            by_ends,
            met: NumberSet::default(),
            clock,
        });
        let mut done = None;
        self.poll.look_at_everything(
            &mut |socket| joined.borrow_mut().user_of(socket),
            &mut |observation| match observation {
                Observation::Sockets(time, sockets) => {
                    let alive = joined.borrow_mut().meet(time, &sockets);
                    if !alive.is_empty() {
                        sink(Observation::SocketEvents(alive));
                    }
                    sink(Observation::Sockets(time, sockets));
                }
                Observation::LookDone(..) => done = Some(observation),
                other => sink(other),
            },
        )?;
        let met = joined.into_inner().met;
        let is_partial = self.poll.namespaces.turns() > 1;
        self.conversations
            .settle(|cookie| is_partial || met.contains(&cookie));
        self.lives.sweep(clock.monotonic);
        Ok(done)
    }

    fn tell_losses(&mut self, sink: &mut Sink<'_>) {
        let now = clock::now();
        let late = self.lives.take_late();
        if late > 0 {
            let reason = "a process ended before it could be read";
            PollCollector::tell_gap(now, Stage::LateLookups, late, reason, sink);
        }
        let refused = self.conversations.take_refused();
        if refused > 0 {
            let reason = "more open connections than can be followed";
            self.poll.gap(now, Stage::Tables, refused, reason, sink);
        }
    }
}

impl Collector for EventsCollector {
    fn report(&self) -> TierReport {
        self.poll.report()
    }

    fn look(&mut self, sink: &mut Sink<'_>) -> Result<(), HostError> {
        self.drain(sink)?;
        self.recorder.follow_cpus()?;
        let done = self.look_and_meet(sink)?;
        // What ended during the look is told before the look concludes it from absence.
        self.drain(sink)?;
        for _ in 0..WAITS {
            if self.late.is_empty() {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
            self.drain(sink)?;
        }
        self.tell_losses(sink);
        if let Some(done) = done {
            sink(done);
        }
        Ok(())
    }

    fn wait(&mut self, timeout: Duration, sink: &mut Sink<'_>) -> Result<(), HostError> {
        let deadline = Deadline::after(Span(i64::try_from(timeout.as_micros()).unwrap_or(i64::MAX)));
        loop {
            self.drain(sink)?;
            let Some(left) = deadline.left() else {
                return Ok(());
            };
            let is_pending = self.poll.describer.pending() > 0 || !self.late.is_empty();
            let slice = left.min(if is_pending { FETCH } else { PROCESSES });
            if !self.poll.wait_for_notice(slice)? {
                return Ok(());
            }
            if let Some(left) = deadline.left() {
                std::thread::sleep(left.min(self.poll.time_to_gather()));
            }
        }
    }

    fn pending(&self) -> usize {
        self.poll.pending()
    }

    fn ledger(&self) -> Ledger {
        self.poll.ledger()
    }
}

/// What this tier adds to the limits of looking.
fn limits(recorder: &Recorder) -> Vec<Limit> {
    let mut limits = Vec::new();
    if !recorder.knows_functions() {
        limits.push(Limit {
            what: Text::from(
                "whether the last of the bytes received was one: the kernel hides the addresses of its functions",
            ),
            remedy: Text::from("grant CAP_SYSLOG, or `sysctl -w kernel.kptr_restrict=0`"),
        });
    }
    limits
}
