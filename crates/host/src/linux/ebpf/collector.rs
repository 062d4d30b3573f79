//! The collector of this tier.

use std::collections::HashMap;
use std::time::Duration;

use atalaya_model::observation::{Change, Look, SocketEvent};
use atalaya_model::{
    Evidence, Gap, Ledger, Observation, Owners, Side, Socket, SocketState, Span, Stage, Text, Tier,
    TierReport, Time,
};
use rustix::event::epoll;
use rustix::io::Errno;

use super::decode;
use super::listeners::Listeners;
use super::loader::{Kernel, Sizes};
use super::privileges;
use super::processes;
use super::ring::Lost;
use super::scope::{self, Scope};
use super::walker::Walk;
use crate::collector::{Collector, Options, Sink};
use crate::linux::names::{self, Names};
use crate::linux::owners::numbers::NumberSet;
use crate::linux::poll::{FETCH, PollCollector};
use crate::{HostError, clock};

/// How often the ring is read while nothing in it is urgent.
const READ: Duration = Duration::from_millis(100);
/// How often the walker runs while something happens; it runs at each look in any case.
const WALK: Span = Span(250_000);
/// How often it reads every socket.
const THOROUGH_WALK: Span = Span::from_seconds(8);
/// One part in so many of the time may go into walks. Most of a walk is empty places of the tables: a quiet host pays for
/// them, too.
const MOST_OF_TIME: i64 = 300;
/// Events in one message.
const CHUNK: usize = 1_024;
/// Old processes without sockets that one look describes.
const OLD_PROCESSES: usize = 64;
/// How long one complete list may take: that of 100,000 sockets takes a tenth of a second.
const LIST: Span = Span::from_seconds(2);
/// After a list that was not completed, nothing is listed for so long.
const PAUSE: Span = Span::from_seconds(10);
/// Most network namespaces remembered, for saying that nothing is left in them.
const MOST_NAMESPACES: usize = 65_536;
/// Most sockets remembered that nobody held at the first look.
const MOST_UNHELD: usize = 4_096;

/// Observes this host by programs in its kernel.
#[derive(Debug)]
pub struct EbpfCollector {
    kernel: Kernel,
    /// Looks once at what is there already, and describes processes.
    poll: PollCollector,
    wakes: std::os::fd::OwnedFd,
    pending: Pending,
    /// Ends were lost: what is still shown may be over.
    is_list_uncertain: bool,
    next_list: clock::Deadline,
    /// Starts or ends of processes were lost.
    is_process_table_uncertain: bool,
    next_walk: clock::Deadline,
    next_thorough_walk: clock::Deadline,
    /// Something was told since the last walk.
    is_busy: bool,
    report: TierReport,
    looks: u32,
}

/// What was read from the ring, on its way to the sink.
#[derive(Debug, Default)]
struct Pending {
    events: Vec<SocketEvent>,
    listeners: Listeners,
    scope: Scope,
    namespaces: NumberSet<u32>,
    /// Sockets of the first look, by cookie, that nobody held: the kernel's own, or waiting to be accepted. The programs
    /// do not know them until they are used or end, and cannot list them.
    unheld: HashMap<u64, Socket>,
    /// Which names processes ask for.
    resolver: Option<Names>,
    /// While a complete list is made: every event is also a row of it.
    is_listing: bool,
    boot: Time,
}

impl EbpfCollector {
    /// Loads the programs, and begins to watch: from here on nothing is missed.
    ///
    /// # Errors
    /// Why this tier does not work here, and what would help.
    pub fn open(options: Options) -> Result<Self, HostError> {
        // What reading the kernel's types leaves behind goes with what loading the programs does, before rings are mapped.
        let (resolver, unnamed) = options.names.then(names::open_or_say).unzip();
        let kernel = Kernel::load(Sizes::with_ring(options.ring))?;
        let wakes =
            wakes_of(&kernel).map_err(|error| HostError::system("wait for the ring")(error.into()))?;
        let limits = kernel.limits.iter().cloned().chain(privileges::limit());
        let report = TierReport {
            tier: Tier::Ebpf,
            unavailable: options.unavailable.clone(),
            limits: limits.chain(unnamed).collect(),
        };
        let once = Options {
            follow: false,
            ..options
        };
        let poll = PollCollector::open_for(Tier::Ebpf, once)?;
        let pending = Pending {
            scope: Scope::of(scope::process_namespace(), poll.namespaces.own()),
            resolver: resolver.flatten(),
            ..Pending::default()
        };
        Ok(Self {
            kernel,
            poll,
            wakes,
            pending,
            is_list_uncertain: false,
            next_list: clock::Deadline::after(Span(0)),
            is_process_table_uncertain: false,
            next_walk: clock::Deadline::after(WALK),
            next_thorough_walk: clock::Deadline::after(THOROUGH_WALK),
            is_busy: false,
            report,
            looks: 0,
        })
    }

    /// Passes on everything that waits in the ring, and what was lost of it.
    fn drain(&mut self, sink: &mut Sink<'_>) {
        self.read(false, sink);
        let lost = self.kernel.ring.lost();
        if lost != Lost::default() {
            self.tell_lost(lost, sink);
        }
    }

    /// Passes on what waits in the ring, or in that of lists.
    fn read(&mut self, is_listing: bool, sink: &mut Sink<'_>) {
        self.pending.set_boot(clock::boot());
        self.pending.is_listing = is_listing;
        let (kernel, pending, poll) = (&mut self.kernel, &mut self.pending, &mut self.poll);
        let mut unreadable = 0;
        let mut take = |record: &[u8]| unreadable += u64::from(!pending.take(record, poll, sink));
        let count = if is_listing {
            kernel.ring.drain_list(&mut take)
        } else {
            kernel.ring.drain(&mut take)
        };
        pending.flush(poll, sink);
        self.is_busy |= count > 0;
        let ledger = &self.poll.ledger;
        ledger.received(Stage::KernelRing, count as u64);
        ledger.passed(Stage::KernelRing, count as u64 - unreadable);
        ledger.failed(Stage::KernelRing, unreadable);
    }

    fn tell_lost(&mut self, lost: Lost, sink: &mut Sink<'_>) {
        let now = clock::now();
        let ledger = &self.poll.ledger;
        let mut gap = |stage, count: u64, reason: &str| {
            if count > 0 {
                ledger.received(stage, count);
                ledger.dropped(stage, count);
                sink(Observation::Gap(Gap {
                    time: now,
                    stage,
                    count,
                    reason: Text::from(reason),
                }));
            }
        };
        let ring = Stage::KernelRing;
        gap(ring, lost.ends, "ends of conversations found the ring full");
        gap(
            ring,
            lost.listeners,
            "changes of listening sockets found the ring full",
        );
        gap(
            ring,
            lost.processes,
            "starts and ends of processes found the ring full",
        );
        let reason = "sockets found the tables of the kernel programs full";
        gap(Stage::KernelTables, lost.entries, reason);
        self.is_list_uncertain |= lost.ends + lost.listeners > 0;
        self.is_process_table_uncertain |= lost.processes > 0;
    }

    /// Lets the kernel tell what lives and has changed, if it is time to.
    fn walk_when_due(&mut self, sink: &mut Sink<'_>) -> Result<(), HostError> {
        if self.next_walk.left().is_some() {
            return Ok(());
        }
        let kind = if self.next_thorough_walk.left().is_none() {
            Walk::Thorough
        } else {
            Walk::Quick
        };
        self.walk(kind)?;
        self.drain(sink);
        Ok(())
    }

    /// Walks, and says whether it came to its end. However much there is to walk over, it takes a small part of the
    /// time.
    fn walk(&mut self, kind: Walk) -> Result<bool, HostError> {
        let began = clock::monotonic();
        self.is_busy = false;
        let walked = self.kernel.walk(kind)?;
        let took = clock::monotonic().0 - began.0;
        self.next_walk = clock::Deadline::after(WALK.max(Span(took * MOST_OF_TIME)));
        if kind == Walk::Thorough {
            let after = THOROUGH_WALK.max(Span(took * 4 * MOST_OF_TIME));
            self.next_thorough_walk = clock::Deadline::after(after);
        }
        Ok(!walked.was_stopped)
    }

    /// Lists everything that lives. What has ended unseen is known by its absence.
    fn list(&mut self, sink: &mut Sink<'_>) -> Result<Vec<u32>, HostError> {
        self.is_list_uncertain = false;
        self.drain(sink);
        self.kernel.walker.begin_round();
        let deadline = clock::Deadline::after(LIST);
        let mut is_complete = false;
        while !is_complete && deadline.left().is_some() {
            is_complete = self.walk(Walk::List)?;
            // An end that is told by now comes after what was listed before it.
            self.read(true, sink);
            self.drain(sink);
        }
        // What was lost meanwhile makes the next look list again.
        if is_complete && !self.is_list_uncertain {
            let unheld = self.pending.unheld.values().cloned().collect();
            sink(Observation::Sockets(clock::now(), unheld));
            return Ok(self.pending.namespaces.iter().copied().collect());
        }
        self.is_list_uncertain = true;
        if !is_complete {
            self.next_list = clock::Deadline::after(PAUSE);
        }
        Ok(Vec::new())
    }

    /// The sockets that exist already, as tier `poll` finds them. The programs are attached, and know them.
    fn look_first(&mut self, sink: &mut Sink<'_>) -> Result<(), HostError> {
        let mut done = None;
        let pending = &mut self.pending;
        self.poll
            .look_at_everything(&mut |_| None, &mut |observation| match observation {
                Observation::Sockets(time, mut sockets) => {
                    sockets.retain(is_told_of_by_the_kernel);
                    for socket in &sockets {
                        pending.listeners.note(socket);
                        pending.note_namespace(socket.namespace);
                        pending.note_unheld(socket);
                    }
                    sink(Observation::Sockets(time, sockets));
                }
                Observation::LookDone(time, look) => done = Some((time, look)),
                // The report is ours.
                Observation::Tier(..) => {}
                other => sink(other),
            })?;
        if self.poll.namespaces.missing() > 0 {
            // What could not be entered is told by the programs.
            self.list(sink)?;
        }
        self.drain(sink);
        if let Some((time, look)) = done {
            sink(Observation::LookDone(time, look));
        }
        Ok(())
    }
}

impl Collector for EbpfCollector {
    fn report(&self) -> TierReport {
        self.report.clone()
    }

    fn look(&mut self, sink: &mut Sink<'_>) -> Result<(), HostError> {
        self.looks = self.looks.saturating_add(1);
        if self.looks == 1 {
            return self.look_first(sink);
        }
        self.kernel.check()?;
        self.drain(sink);
        let is_list_due = self.is_list_uncertain && self.next_list.left().is_none();
        if !is_list_due {
            self.walk_when_due(sink)?;
        }
        let now = clock::now();
        if std::mem::take(&mut self.is_process_table_uncertain) {
            self.poll.describer.compare_with_listing();
        }
        self.poll.describer.check(self.looks, now, sink);
        self.poll.describer.look_after_told(now, sink);
        self.poll.describer.describe_some(OLD_PROCESSES, now, sink);
        self.poll.describer.fetch(sink);
        let unread = self.poll.describer.take_unread();
        let look = Look {
            namespaces: Vec::new(),
            processes: self.poll.describer.count(),
            unread_processes: unread
                .into_iter()
                .map(|(reason, count)| (Text::from(reason), count))
                .collect(),
        };
        sink(Observation::LookDone(now, look.clone()));
        if is_list_due {
            // A look of its own: what was told before does not count as listed, for its end may be what was lost.
            let namespaces = self.list(sink)?;
            if !namespaces.is_empty() {
                sink(Observation::LookDone(clock::now(), Look { namespaces, ..look }));
            }
        }
        Ok(())
    }

    fn wait(&mut self, timeout: Duration, sink: &mut Sink<'_>) -> Result<(), HostError> {
        let span = Span(i64::try_from(timeout.as_micros()).unwrap_or(i64::MAX));
        let deadline = clock::Deadline::after(span);
        loop {
            if self.is_busy {
                self.walk_when_due(sink)?;
            }
            self.drain(sink);
            self.poll.describer.fetch(sink);
            let Some(left) = deadline.left() else {
                return Ok(());
            };
            let slice = if self.pending() > 0 { FETCH } else { READ };
            if !wait_for(&self.wakes, left.min(slice))? {
                return Ok(());
            }
        }
    }

    fn finish(&mut self, sink: &mut Sink<'_>) -> Result<(), HostError> {
        self.drain(sink);
        // Some ends are known to the walker only.
        self.walk(Walk::Thorough)?;
        self.drain(sink);
        self.poll.describer.fetch(sink);
        Ok(())
    }

    fn pending(&self) -> usize {
        self.poll.describer.pending()
    }

    fn ledger(&self) -> Ledger {
        self.poll.ledger.clone()
    }
}

impl Pending {
    /// Sets when the host booted, unless that is only the noise of asking.
    fn set_boot(&mut self, boot: Time) {
        if (boot.0 - self.boot.0).abs() > 1_000 {
            self.boot = boot;
        }
    }

    /// Takes one record. False when it makes no sense.
    fn take(&mut self, record: &[u8], poll: &mut PollCollector, sink: &mut Sink<'_>) -> bool {
        if decode::kind(record).is_some_and(|kind| kind >= processes::FIRST) {
            if processes::becomes_another(record).is_some_and(|pid| self.names(pid)) {
                // What it did before, it did as what it was before.
                self.flush(poll, sink);
            }
            return processes::take(record, self.boot, &mut poll.describer, sink);
        }
        let Some(mut event) = decode::event(record, self.boot) else {
            return false;
        };
        if !self.scope.takes(&event.socket) {
            return true;
        }
        self.unheld.remove(&event.socket.cookie);
        self.complete(&mut event);
        self.events.push(event);
        if self.events.len() >= CHUNK {
            self.flush(poll, sink);
        }
        true
    }

    /// Does anything that waits to be passed on name a process with this id?
    fn names(&self, pid: u32) -> bool {
        let mut users = self.events.iter().map(|event| &event.socket.owners);
        users.any(|owners| matches!(owners, Owners::Used(key) if key.pid == pid))
    }

    /// Adds what is known here: who listens.
    fn complete(&mut self, event: &mut SocketEvent) {
        let socket = &mut event.socket;
        self.note_namespace(socket.namespace);
        if socket.state == SocketState::Listen {
            match event.change {
                Change::Alive => self.listeners.note(socket),
                Change::Closed(_) => self.listeners.forget(socket),
            }
        } else if event.side == Some(Side::Destination)
            && socket.owners == Owners::Unknown(Evidence::NotFound)
            && let Some(process) = self.listeners.process_for(socket)
        {
            socket.owners = Owners::Accepting(process);
        }
    }

    fn note_unheld(&mut self, socket: &Socket) {
        if matches!(socket.owners, Owners::Unknown(_)) && self.unheld.len() < MOST_UNHELD {
            self.unheld.insert(socket.cookie, socket.clone());
        }
    }

    fn note_namespace(&mut self, namespace: u32) {
        if self.namespaces.len() < MOST_NAMESPACES {
            self.namespaces.insert(namespace);
        }
    }

    /// Passes on what has gathered, after the processes that it names, and the names that these asked for.
    fn flush(&mut self, poll: &mut PollCollector, sink: &mut Sink<'_>) {
        // A name that was asked for before any of these is told by now.
        if let Some(resolver) = &mut self.resolver {
            resolver.tell(self.boot, &poll.ledger, sink);
        }
        let Some(time) = self.events.last().map(|event| event.time) else {
            return;
        };
        for event in &self.events {
            match &event.socket.owners {
                Owners::Unknown(_) => {}
                Owners::One(key) | Owners::Used(key) | Owners::Accepting(key) => poll.describer.need(*key),
                Owners::Many(keys) => keys.iter().for_each(|key| poll.describer.need(*key)),
            }
        }
        poll.describer.describe_needed(time, sink);
        let events = std::mem::take(&mut self.events);
        let rows: Vec<Socket> = if self.is_listing {
            let alive = events.iter().filter(|event| event.change == Change::Alive);
            alive.map(|event| event.socket.clone()).collect()
        } else {
            Vec::new()
        };
        sink(Observation::SocketEvents(events));
        if !rows.is_empty() {
            sink(Observation::Sockets(time, rows));
        }
    }
}

/// Will the programs tell its end? Not of what has only a shadow left of it in the kernel (TIME_WAIT and the like), and
/// not of what is no connection yet.
fn is_told_of_by_the_kernel(socket: &Socket) -> bool {
    let is_shadow = socket.transport == atalaya_model::Transport::Tcp
        && socket.inode == 0
        && (socket.traffic.is_none() || socket.state == SocketState::SynReceived);
    socket.state != SocketState::TimeWait && !is_shadow
}

/// Something to wait on, which is ready once after each forced wake-up, and not because there is something to read.
fn wakes_of(kernel: &Kernel) -> Result<std::os::fd::OwnedFd, Errno> {
    let wakes = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
    epoll::add(&wakes, &kernel.ring, epoll::EventData::new_u64(0), flags)?;
    Ok(wakes)
}

/// Waits until the ring is urgent, or the time is over. False after a signal.
fn wait_for(wakes: &std::os::fd::OwnedFd, timeout: Duration) -> Result<bool, HostError> {
    let timeout = rustix::event::Timespec {
        tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: timeout.subsec_nanos().into(),
    };
    let mut events = Vec::with_capacity(1);
    match epoll::wait(wakes, rustix::buffer::spare_capacity(&mut events), Some(&timeout)) {
        Ok(_) => Ok(true),
        Err(Errno::INTR) => Ok(false),
        Err(error) => Err(HostError::system("wait for the kernel programs")(error.into())),
    }
}
