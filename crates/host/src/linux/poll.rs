//! Tier `poll`: looks at the socket tables and `/proc`, and listens for closed sockets in between.

mod look;
mod one_pass;
mod remember;
mod report;

use std::time::Duration;

use atalaya_model::tier::Limit;
use atalaya_model::{Gap, Ledger, Observation, Socket, Span, Stage, Text, Tier, TierReport, Time};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use self::remember::Remembered;
use super::describe::Describer;
use super::iterate::Sockets;
use super::namespaces::Namespaces;
use super::owners::Owners;
use super::sockets::{Buffer, Part};
use crate::collector::{Collector, Options, Sink};
use crate::{HostError, clock};

/// How long notices gather.
const GATHER: Duration = Duration::from_millis(50);
/// The same where the kernel's buffer is small.
const GATHER_BRIEFLY: Duration = Duration::from_millis(5);
/// How often results of the helper pool are fetched while some are expected.
pub(super) const FETCH: Duration = Duration::from_millis(50);

/// Observes this host by looking at it.
#[derive(Debug)]
pub struct PollCollector {
    /// The tier that looks: this one, or a better one that looks now and then.
    tier: Tier,
    limits: Vec<Limit>,
    pub(super) options: Options,
    owners: Owners,
    pub(super) namespaces: Namespaces,
    pub(super) describer: Describer,
    pub(super) remembered: Remembered,
    buffer: Buffer,
    /// What looks read of the socket tables.
    pub(super) part: Part,
    pub(super) ledger: Ledger,
    report: TierReport,
    pub(super) look: u32,
    /// Looks in one pass, where that pays: for one who does not follow.
    one_pass: Option<Sockets>,
}

impl PollCollector {
    /// Opens what looking needs. Sees what the privileges at hand allow; the report says what is missing.
    ///
    /// # Errors
    /// When the kernel offers no `sock_diag`, or `/proc` cannot be read.
    pub fn open(options: Options) -> Result<Self, HostError> {
        Self::open_for(Tier::Poll, options)
    }

    /// As [`open`](Self::open), for a better tier that looks as this one does.
    pub(super) fn open_for(tier: Tier, options: Options) -> Result<Self, HostError> {
        let ledger = options.ledger.clone();
        let mut owners = Owners::new(options.follow, report::may_read_every_process())
            .map_err(|error| HostError::file("read", "/proc")(error.into()))?;
        let receive_buffer = options.follow.then_some(options.receive_buffer);
        let namespaces =
            Namespaces::open(receive_buffer).map_err(HostError::system("open a socket of kind sock_diag"))?;
        let one_pass = (!options.follow && options.programs)
            .then(one_pass::open)
            .flatten();
        if !options.programs {
            owners.without_programs();
        }
        let mut collector = Self {
            tier,
            limits: Vec::new(),
            describer: Describer::start(&options, ledger.clone())?,
            options,
            owners,
            namespaces,
            remembered: Remembered::default(),
            buffer: Buffer::default(),
            part: Part::Everything,
            ledger,
            report: report::empty(tier, Vec::new()),
            look: 0,
            one_pass,
        };
        collector.report = collector.report_now();
        Ok(collector)
    }

    /// Reports these limits as well.
    pub(super) fn set_limits(&mut self, limits: Vec<Limit>) {
        self.limits = limits;
        self.report = self.report_now();
    }

    fn report_now(&self) -> TierReport {
        let unavailable = &self.options.unavailable;
        let mut report = report::of(self.tier, &self.namespaces, self.options.follow, unavailable);
        report.limits.extend_from_slice(&self.limits);
        report
    }

    /// Passes on every notice of a closed socket that waits.
    fn drain(&mut self, sink: &mut Sink<'_>) {
        let now = clock::now();
        self.notices(sink, &mut |remembered, mut socket, sink| {
            remembered.complete(&mut socket);
            sink(Observation::SocketClosed(now, socket));
        });
    }

    /// Gives every notice of a closed socket that waits to `each`, and tells `sink` what was lost of them.
    pub(super) fn notices(
        &mut self,
        sink: &mut Sink<'_>,
        each: &mut dyn FnMut(&Remembered, Socket, &mut Sink<'_>),
    ) {
        let now = clock::now();
        let (mut passed, mut overflows, mut lost) = (0, 0, 0);
        let remembered = &self.remembered;
        for notices in self.namespaces.notices() {
            let drained = notices.drain(&mut self.buffer, &mut |socket| each(remembered, socket, sink));
            match drained {
                Ok(drained) => {
                    passed += drained.sockets;
                    overflows += drained.overflows;
                    lost += drained.unreadable;
                }
                Err(_) => lost += 1,
            }
        }
        self.ledger.received(Stage::SocketEvents, passed + lost);
        self.ledger.passed(Stage::SocketEvents, passed);
        if overflows > 0 {
            let reason = "the kernel's buffer of closed sockets overflowed; how many were lost is not known";
            self.gap(now, Stage::SocketEvents, overflows, reason, sink);
        }
        if lost > 0 {
            let reason = "a notice of a closed socket could not be read";
            self.gap(now, Stage::SocketEvents, lost, reason, sink);
        }
    }

    /// After the first notice, how long others may come before all are read: one wake-up for many.
    pub(super) fn time_to_gather(&mut self) -> Duration {
        if self.namespaces.notices().any(|notices| !notices.has_full_buffer) {
            GATHER_BRIEFLY
        } else {
            GATHER
        }
    }

    pub(super) fn gap(&self, time: Time, stage: Stage, count: u64, reason: &str, sink: &mut Sink<'_>) {
        self.ledger.dropped(stage, count);
        Self::tell_gap(time, stage, count, reason, sink);
    }

    /// As [`gap`](Self::gap), for what is told all the same, but not wholly.
    pub(super) fn incomplete(&self, time: Time, stage: Stage, count: u64, reason: &str, sink: &mut Sink<'_>) {
        self.ledger.failed(stage, count);
        Self::tell_gap(time, stage, count, reason, sink);
    }

    /// For what is counted already.
    pub(super) fn tell_gap(time: Time, stage: Stage, count: u64, reason: &str, sink: &mut Sink<'_>) {
        sink(Observation::Gap(Gap {
            time,
            stage,
            count,
            reason: Text::from(reason),
        }));
    }

    /// Waits until a notice comes, `timeout` is over, or a signal arrives (`false`).
    pub(super) fn wait_for_notice(&mut self, timeout: Duration) -> Result<bool, HostError> {
        let timeout = Timespec {
            tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        };
        let notices: Vec<_> = self.namespaces.notices().map(|notices| &*notices).collect();
        let mut waiting: Vec<PollFd<'_>> = notices
            .iter()
            .map(|notices| PollFd::new(*notices, PollFlags::IN))
            .collect();
        match poll(&mut waiting, Some(&timeout)) {
            Ok(_) => Ok(true),
            Err(Errno::INTR) => Ok(false),
            Err(error) => Err(HostError::system("wait for closed sockets")(error.into())),
        }
    }
}

impl Collector for PollCollector {
    fn report(&self) -> TierReport {
        self.report.clone()
    }

    fn look(&mut self, sink: &mut Sink<'_>) -> Result<(), HostError> {
        self.drain(sink);
        self.look_at_everything(&mut |_| None, sink)
    }

    fn wait(&mut self, timeout: Duration, sink: &mut Sink<'_>) -> Result<(), HostError> {
        let span = Span(i64::try_from(timeout.as_micros()).unwrap_or(i64::MAX));
        let deadline = clock::Deadline::after(span);
        loop {
            self.drain(sink);
            self.describer.fetch(sink);
            let Some(left) = deadline.left() else {
                return Ok(());
            };
            let slice = if self.describer.pending() > 0 {
                left.min(FETCH)
            } else {
                left
            };
            if !self.wait_for_notice(slice)? {
                return Ok(());
            }
            if let Some(left) = deadline.left() {
                std::thread::sleep(left.min(self.time_to_gather()));
            }
        }
    }

    fn pending(&self) -> usize {
        self.describer.pending()
    }

    fn ledger(&self) -> Ledger {
        self.ledger.clone()
    }
}
