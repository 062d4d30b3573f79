//! The loop of a watch: observations, commands, signals and time come in; the engine decides; everything goes out.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use atalaya_alert::{Item, Silence};
use atalaya_host::clock;
use atalaya_host::packets::Delivery;
use atalaya_host::service::Notifier;
use atalaya_model::live::{Request, Response};
use atalaya_model::{AlertRecord, Event, Fact, Gap, Observation, Severity, Span, Stage, Text, Time};
use atalaya_report::snapshot::{JsonOptions, Snapshot, write_json};
use atalaya_store::Entry;
use crossbeam_channel::{Sender, never, select};

use super::losses::Losses;
use super::parts::{Collected, Parts, Signal};
use super::{Plan, scan, status};
use crate::control::{self, Command, Subscriber};
use crate::documents::Schedule;
use crate::engine::Output;
use crate::exit::{Exit, Failure};
use crate::setup::context;

/// How long the loop sleeps at most: time must pass for the engine, too.
const TICK: Duration = Duration::from_secs(1);
/// How long a frame may wait in the ring and in a batch, as a span back from now.
const RETIRED: Span = Span(-200_000);
/// How often a service manager without a watchdog is told how things are.
const STATUS_EVERY: Span = Span::from_seconds(20);
/// How long outlets may take to write what waits when the watch ends.
const FAREWELL: Duration = Duration::from_secs(5);
/// A look that takes longer than this, beside the interval, is held to be stuck.
const SLOW_LOOK: Span = Span::from_seconds(60);
/// How often the store is told that time passes.
const KEEP_TICK: Span = Span::from_seconds(30);
/// The first scan waits so long: what runs already is being hashed meanwhile.
const SETTLED: Span = Span::from_seconds(5);
/// Subscribers at a time.
const MAX_SUBSCRIBERS: usize = 16;

/// A watch that runs.
struct Watch {
    plan: Plan,
    parts: Parts,
    subscribers: Vec<Subscriber>,
    /// What the engine gave, reused.
    out: Vec<Output>,
    counts: status::Totals,
    /// Alerts raised since the last look.
    raised_since_look: u64,
    last_status: Span,
    last_alive: Span,
    /// When the store was last told that time passes.
    last_kept_tick: Time,
    /// When the collector last said anything (monotonic).
    last_heard: Span,
    look_failing: bool,
    /// Learning is over, and the store knows, or there was none.
    has_learnt: bool,
    losses: Losses,
    unread: Vec<(Text, u32)>,
    /// When it ends by itself: so long after the first look, however long that took.
    end: Option<clock::Deadline>,
}

pub(super) fn watch(plan: Plan, parts: Parts) -> Result<Exit, Failure> {
    let parts_began = parts.began;
    let mut failure = None;
    let mut watch = Watch {
        has_learnt: parts.learning_until.is_none(),
        plan,
        parts,
        subscribers: Vec::new(),
        out: Vec::new(),
        counts: status::Totals::default(),
        raised_since_look: 0,
        last_status: Span(i64::MIN / 2),
        last_alive: Span(i64::MIN / 2),
        last_kept_tick: parts_began,
        last_heard: clock::monotonic(),
        look_failing: false,
        losses: Losses::default(),
        unread: Vec::new(),
        end: None,
    };
    watch.greet();
    let deliveries = watch
        .parts
        .packets
        .as_ref()
        .map_or_else(never, |packets| packets.deliveries.clone());
    // How it is seen stands in the history from the start, with the reasons.
    watch.observe(Observation::Tier(parts_began, watch.parts.tier.clone()));
    loop {
        let patience = match watch.end {
            Some(end) => match end.left() {
                Some(left) => left.min(TICK),
                None => break,
            },
            None => TICK,
        };
        select! {
            recv(watch.parts.observations) -> message => {
                watch.last_heard = clock::monotonic();
                match message {
                    Ok(Collected::Observation(observation)) => watch.observe(*observation),
                    Ok(Collected::Failed(error)) => watch.look_failed(&error),
                    Err(_) => {
                        failure = Some(Failure::Failed("the collector's thread ended unexpectedly".to_owned()));
                        break;
                    }
                }
            },
            recv(deliveries) -> message => match message {
                Ok(delivery) => watch.deliver(delivery),
                Err(_) => {
                    failure = Some(Failure::Failed("the thread that reads packets ended unexpectedly".to_owned()));
                    break;
                }
            },
            recv(watch.parts.commands) -> message => if let Ok(command) = message {
                watch.obey(command);
            },
            recv(watch.parts.signals) -> message => match message {
                Ok(Signal::Stop) | Err(_) => break,
                Ok(Signal::Reload) => watch.reload_on_signal(),
            },
            default(patience) => {
                watch.parts.engine.tick(clock::now(), &mut watch.out);
                watch.hand_out();
            }
        }
        watch.record();
        if watch.parts.packets.is_some() && deliveries.is_empty() {
            watch.parts.engine.packets_read_until(clock::now().after(RETIRED));
        }
        watch.alive();
        watch.show_status(false);
    }
    // Whatever ended it: what waits is written.
    let exit = watch.end();
    failure.map_or(Ok(exit), Err)
}

impl Watch {
    fn greet(&mut self) {
        if self.plan.quiet {
            return;
        }
        for line in status::greeting(&self.plan, &self.parts) {
            tracing::info!("{line}");
        }
    }

    fn tell_manager(&self, message: impl Fn(&Notifier) -> std::io::Result<()>) {
        if let Err(error) = message(&self.parts.notifier) {
            tracing::debug!(%error, "the service manager does not listen");
        }
    }

    /// The loop has come round: tells the watchdog, and now and then the person who looks at the service.
    fn alive(&mut self) {
        if !self.parts.notifier.is_managed() {
            return;
        }
        let watchdog = self.parts.notifier.watchdog_interval();
        let interval = watchdog.unwrap_or(STATUS_EVERY);
        let now = clock::monotonic();
        if is_stuck(self.last_heard, now, self.plan.interval) {
            // The manager shall start another one; a loop that only turns watches nothing.
            return;
        }
        if now.0 - self.last_alive.0 >= interval.0 / 2 {
            self.last_alive = now;
            if watchdog.is_some() {
                self.tell_manager(Notifier::alive);
            }
            let line = status::line(&self.plan, &self.parts, &self.counts);
            self.tell_manager(|notifier| notifier.status(&line));
        }
    }

    fn observe(&mut self, observation: Observation) {
        let look = match &observation {
            Observation::LookDone(time, look) => {
                self.unread.clone_from(&look.unread_processes);
                Some(*time)
            }
            Observation::Tier(_, report) => {
                if report.tier != self.parts.tier.tier {
                    tracing::warn!("{}", status::fallen(self.parts.tier.tier, report));
                }
                self.parts.tier = report.clone();
                None
            }
            _ => None,
        };
        if let Some(recording) = &mut self.parts.recording {
            recording.observe(&observation);
        }
        self.parts.engine.observe(observation, &mut self.out);
        self.hand_out();
        if let Some(time) = look {
            self.looked(time);
        }
    }

    /// A look is complete.
    fn looked(&mut self, time: Time) {
        if self.counts.looks == 0 {
            self.tell_manager(Notifier::ready);
            self.end = self.plan.duration.map(clock::Deadline::after);
        }
        self.counts.looks += 1;
        self.look_failing = false;
        if !self.has_learnt && self.parts.learning_until.is_none_or(|until| time >= until) {
            self.has_learnt = true;
            if let Some(keeper) = &self.parts.keeper {
                keeper.send(crate::keeper::learning_mark(false));
            }
        }
        if time.since(self.last_kept_tick).0.abs() >= KEEP_TICK.0
            && let Some(keeper) = &self.parts.keeper
        {
            // On a quiet host nothing else would bring what waits in the writer into the file.
            self.last_kept_tick = time;
            keeper.send(Entry::Event(Event::new(time, Fact::Tick { look: true })));
        }
        self.tell_losses(time);
        if self.raised_since_look == 0 {
            self.parts.outlets.send(&Item::Quiet(time));
        }
        self.raised_since_look = 0;
        if self.parts.outlets.want_snapshots() {
            self.send_snapshot(time);
        }
        if time.since(self.parts.began).0 >= SETTLED.0 {
            self.scan(time);
        }
        self.tell_outlets(time);
    }

    /// Sends every process to the table of processes, where its turn has come.
    fn scan(&mut self, time: Time) {
        if self.parts.outlets.want_scan(time) {
            scan::send(self.parts.engine.tracker(), time, &self.parts.outlets);
        }
    }

    /// Tells the logs that asked for it how the watch is.
    fn tell_outlets(&mut self, time: Time) {
        let mut outlets = std::mem::take(&mut self.parts.outlets);
        outlets.tell_status(time, || status::line(&self.plan, &self.parts, &self.counts));
        self.parts.outlets = outlets;
    }

    fn look_failed(&mut self, error: &str) {
        if self.end.is_none() {
            self.end = self.plan.duration.map(clock::Deadline::after);
        }
        if !self.look_failing {
            tracing::error!("a look failed: failed to {error}; trying again at every interval");
        }
        self.look_failing = true;
        self.parts.ledger.failed(Stage::SocketTable, 1);
        let reason = format!("a look failed: failed to {error}").into();
        let gap = Gap {
            time: clock::now(),
            stage: Stage::SocketTable,
            count: 0,
            reason,
        };
        self.parts.engine.gap(gap, &mut self.out);
        self.hand_out();
    }

    fn send_snapshot(&mut self, time: Time) {
        let (connections, listeners) = crate::snapshot::rows(&self.parts.engine, &self.plan.filter);
        let stages = self.parts.ledger.counts();
        let snapshot = Snapshot {
            timestamp: time,
            duration: clock::now().since(time),
            host: &self.parts.identity.name,
            connections: connections.iter().copied(),
            listeners: listeners.iter().copied(),
            alerts: &self.counts.alerts_of_look,
            tier: &self.parts.tier,
            unread: &self.unread,
            stages: &stages,
        };
        let context = context(&self.parts.identity, self.parts.language);
        let mut bytes = Vec::new();
        let written = write_json(
            &snapshot,
            &JsonOptions {
                context,
                pretty: false,
            },
            &mut bytes,
        );
        let text = written.ok().and_then(|()| String::from_utf8(bytes).ok());
        if let Some(text) = text {
            self.parts
                .outlets
                .send(&Item::Snapshot(time, text.trim_end().into()));
        }
        self.counts.alerts_of_look.clear();
    }

    /// Gives what the engine made to store, outlets and subscribers.
    fn hand_out(&mut self) {
        for output in self.out.drain(..) {
            match output {
                Output::Event(event) => {
                    self.counts.event(&event);
                    if let Some(keeper) = &self.parts.keeper {
                        keeper.send(Entry::Event((*event).clone()));
                    }
                    self.subscribers.retain(|subscriber| subscriber.event(&event));
                    if !matches!(event.fact, Fact::Tick { .. }) {
                        self.parts.outlets.send(&Item::Event(event));
                    }
                }
                Output::Alert(record) => {
                    if let AlertRecord::Raised(alert) = &*record {
                        if let Some(recording) = &mut self.parts.recording {
                            recording.alert(alert);
                        }
                        self.raised_since_look += u64::from(alert.finding.severity > Severity::Info);
                        self.counts.alert(alert, self.parts.outlets.want_snapshots());
                    }
                    if let Some(keeper) = &self.parts.keeper {
                        keeper.send(Entry::Alert((*record).clone()));
                    }
                    self.subscribers.retain(|subscriber| subscriber.alert(&record));
                    self.parts.terminal.status("");
                    self.parts.outlets.send(&Item::Alert(record));
                }
                Output::Memory(memory) => {
                    if let Some(keeper) = &self.parts.keeper {
                        keeper.send(Entry::Memory(memory));
                    }
                }
            }
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Ask(request, user, answer) => {
                let response = self.answer(request, &user);
                self.hand_out();
                reply(&answer, response);
            }
            Command::Subscribe(subscriber) => {
                if self.subscribers.len() < MAX_SUBSCRIBERS {
                    self.subscribers.push(subscriber);
                }
            }
            Command::Reconfigure(loaded, answer) => {
                let outlets = super::parts::open_outlets(
                    &self.plan,
                    &loaded,
                    context(&self.parts.identity, self.parts.language),
                    self.parts.terminal,
                    &self.parts.ledger,
                    &PathBuf::from(&self.parts.folder),
                    &self.parts.ask,
                );
                let response = match outlets {
                    Ok(outlets) => {
                        std::mem::replace(&mut self.parts.outlets, outlets).close(FAREWELL);
                        self.parts.reports =
                            Schedule::start(&loaded.config, self.plan.store.as_deref(), self.parts.language);
                        self.parts.engine.reconfigure(*loaded);
                        tracing::info!("the configuration was read again");
                        Response::Done("the configuration was read again".into())
                    }
                    Err(error) => {
                        tracing::error!("the configuration was not taken, the old one stays: {error}");
                        Response::Refused(format!("the old configuration stays: {error}").into())
                    }
                };
                reply(&answer, response);
            }
        }
    }

    fn answer(&mut self, request: Request, user: &Text) -> Response {
        match request {
            Request::Status => Response::Status(Box::new(status::of(&self.plan, &self.parts, &self.counts))),
            Request::Query(query) => self.parts.engine.answer(&query),
            Request::Triage(triage) => {
                let record = crate::alerts::record(triage, user.clone(), clock::now());
                self.out.push(Output::Alert(Arc::new(record)));
                Response::Done("noted".into())
            }
            Request::Silence { rule, key, span } => self.parts.engine.silence(Silence {
                rule,
                key,
                until: clock::now().after(span),
            }),
            Request::Reload | Request::Subscribe { .. } => {
                Response::Refused("the control socket's own thread serves this".into())
            }
        }
    }

    fn reload_on_signal(&self) {
        let surroundings = Arc::clone(&self.parts.reload);
        // The answer comes back as a command; the outcome is told in the log.
        let work = move || drop(control::reload(&surroundings));
        if let Err(error) = std::thread::Builder::new().name("reload".into()).spawn(work) {
            tracing::error!(%error, "no thread to read the configuration again; the old one stays");
        }
    }

    fn show_status(&mut self, now: bool) {
        if self.plan.quiet || !self.parts.terminal.stderr {
            return;
        }
        let time = clock::monotonic();
        if now || time.0 - self.last_status.0 >= 1_000_000 {
            self.last_status = time;
            let line = status::line(&self.plan, &self.parts, &self.counts);
            self.parts.terminal.status(&line);
        }
    }

    /// What has happened so far is told, also what the collector has not read yet.
    fn hear_the_last(&mut self) {
        self.parts.finish.store(true, Ordering::Relaxed);
        let span = Span(i64::try_from(FAREWELL.as_micros()).unwrap_or(i64::MAX));
        let deadline = clock::Deadline::after(span);
        while let Some(left) = deadline.left() {
            match self.parts.observations.recv_timeout(left) {
                Ok(Collected::Observation(observation)) => self.observe(*observation),
                Ok(Collected::Failed(_)) => {}
                Err(_) => return,
            }
        }
    }

    /// Takes what the packet rings hand over.
    fn deliver(&mut self, delivery: Delivery) {
        match delivery {
            Delivery::Frames(batch) => {
                for captured in batch.captured() {
                    if let Some(recording) = &mut self.parts.recording {
                        recording.frame(&captured);
                    }
                    self.parts.engine.frame(&captured.frame, &mut self.out);
                }
            }
            Delivery::Appeared(interface) => {
                // What is there at the start stands in the greeting.
                let packets = self.parts.packets.as_ref();
                if packets.is_some_and(|packets| packets.is_new(interface.number)) {
                    tracing::info!("reads packets of {} from now on", interface.name);
                }
                if let Some(recording) = &mut self.parts.recording {
                    recording.interface(&interface);
                }
                self.parts.engine.name_interface(interface.number, interface.name);
            }
            Delivery::Gone(interface) => {
                tracing::warn!("{} is gone: no packets come from it any more", interface.name);
            }
            Delivery::Gap(gap) => self.parts.engine.gap(gap, &mut self.out),
        }
        self.hand_out();
    }

    /// Time passes for the flight recorder.
    fn record(&mut self) {
        if let Some(recording) = &mut self.parts.recording {
            recording.pass(clock::now(), false);
        }
    }

    /// The rings are read to their ends.
    fn hear_the_last_packets(&mut self) {
        if let Some(packets) = self.parts.packets.take() {
            for delivery in packets.stop() {
                if !matches!(delivery, Delivery::Appeared(_) | Delivery::Gone(_)) {
                    self.deliver(delivery);
                }
            }
        }
    }

    /// Tells what outlets lost since the last time.
    fn tell_losses(&mut self, time: Time) {
        if let Some(gap) = self.losses.gap(&self.parts.ledger, time) {
            self.parts.engine.gap(gap, &mut self.out);
            self.hand_out();
        }
    }

    /// Ends cleanly: everything that waits is written.
    fn end(mut self) -> Exit {
        self.tell_manager(Notifier::stopping);
        self.hear_the_last_packets();
        self.hear_the_last();
        self.parts.engine.finish(clock::now(), &mut self.out);
        self.hand_out();
        if let Some(recording) = &mut self.parts.recording {
            recording.pass(clock::now(), true);
        }
        if self.parts.outlets.want_snapshots() && !self.counts.alerts_of_look.is_empty() {
            // Alerts that came after the last look, such as those that waited for a hash, are in a document, too.
            self.send_snapshot(clock::now());
        }
        // A watch that ends before its first scan makes it now.
        self.scan(clock::now());
        self.parts.terminal.status("");
        self.tell_losses(clock::now());
        let summary = status::summary(&self.plan, &self.parts, &self.counts);
        self.parts.outlets.tell_at_once(clock::now(), &summary);
        let Parts {
            outlets,
            keeper,
            reports,
            served,
            ledger,
            ..
        } = self.parts;
        drop(served);
        if let Some(reports) = reports {
            reports.close();
        }
        outlets.close(FAREWELL);
        let late = self.losses.gap(&ledger, clock::now());
        if let Some(keeper) = keeper {
            if let Some(gap) = &late {
                keeper.send(Entry::Event(Event::new(gap.time, Fact::Gap(gap.clone()))));
            }
            keeper.close();
        }
        if !self.plan.quiet {
            tracing::info!("{summary}");
        }
        if let Some(gap) = late {
            // The summary, which outlets write, too, could not know.
            tracing::error!(
                "{} lines that still waited could not be written to outlets",
                gap.count
            );
        }
        match self.plan.fail_on {
            Some(threshold) => Exit::of_findings(self.counts.worst, threshold),
            None => Exit::Clean,
        }
    }
}

/// Has the collector said nothing for much longer than a look may take?
fn is_stuck(last_heard: Span, now: Span, interval: Span) -> bool {
    let patience = SLOW_LOOK.0.saturating_add(interval.0.saturating_mul(2));
    now.0.saturating_sub(last_heard.0) > patience
}

/// A client that no longer waits loses nothing.
fn reply(answer: &Sender<Response>, response: Response) {
    drop(answer.try_send(response));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_is_stuck_when_it_says_nothing_for_long() {
        let seconds = Span::from_seconds;
        assert!(!is_stuck(seconds(0), seconds(60), seconds(1)));
        assert!(is_stuck(seconds(0), seconds(63), seconds(1)));
        assert!(!is_stuck(seconds(0), seconds(3_600), seconds(3_600)));
        assert!(!is_stuck(seconds(0), seconds(60), Span(i64::MAX)));
    }
}
