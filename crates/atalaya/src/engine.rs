//! The engine: observations in; events, alerts and memories out. The one owner of all state; no I/O, no clock.
//!
//! Live watching, snapshots, replays and tests drive this same engine.

use std::sync::Arc;

use atalaya_alert::{Counts, Desk, Silence};
use atalaya_detect::{Detectors, Findings};
use atalaya_model::live::{Query, Response};
use atalaya_model::memory::Memory;
use atalaya_model::{
    AlertRecord, Connection, Event, Fact, Finding, Gap, Ledger, Observation, Stage, Text, Time,
};
use atalaya_track::{FlowOptions, Tracker};
use atalaya_wire::capture::Whose;
use atalaya_wire::{Frame, packet};

use crate::config::load::Loaded;

/// What comes out of the engine, in order.
#[derive(Clone, Debug)]
pub enum Output {
    /// Something happened.
    Event(Arc<Event>),
    /// A row about an alert.
    Alert(Arc<AlertRecord>),
    /// A detector wants this kept.
    Memory(Memory),
}

/// How packets are read.
#[derive(Clone, Debug, Default)]
pub struct PacketOptions {
    /// How frames are taken apart.
    pub decoding: packet::Options,
    /// How conversations are followed.
    pub flows: FlowOptions,
    /// The sockets of the network namespace in which packets are read are observed at the same time: its inode
    /// number, 0 where that is unknown. `None` for captures.
    pub live: Option<u32>,
}

/// All state of a watch.
pub struct Engine {
    tracker: Tracker,
    detectors: Detectors,
    desk: Desk,
    ledger: Ledger,
    /// Gap events that passed through.
    gaps: u64,
    /// Events are given out, not only alerts.
    gives_events: bool,
    /// Reused between calls.
    events: Vec<Event>,
    findings: Findings,
}

impl Engine {
    /// An engine with its parts.
    pub fn new(tracker: Tracker, detectors: Detectors, desk: Desk, ledger: Ledger) -> Self {
        Self {
            tracker,
            detectors,
            desk,
            ledger,
            gaps: 0,
            gives_events: true,
            events: Vec::new(),
            findings: Findings::default(),
        }
    }

    /// Takes one observation.
    pub fn observe(&mut self, observation: Observation, out: &mut Vec<Output>) {
        let mut events = std::mem::take(&mut self.events);
        self.tracker.observe(observation, &mut events);
        for event in events.drain(..) {
            self.told(event, out);
        }
        self.events = events;
    }

    /// Gives out alerts and memories only: whoever takes one look asks for the state itself.
    pub const fn without_events(&mut self) {
        self.gives_events = false;
    }

    /// Gives detectors back what they remembered. Before the first observation.
    pub fn recall(&mut self, memories: &[Memory]) {
        memories.iter().for_each(|memory| self.detectors.recall(memory));
    }

    /// Gives the alert desk back what an earlier run told, so that nothing is told twice.
    pub fn recall_alerts(&mut self, records: Vec<AlertRecord>) {
        self.desk.recall(records);
    }

    /// Reads packets from now on, see [`Engine::frame`].
    pub fn read_packets(&mut self, options: PacketOptions) {
        self.tracker
            .read_packets(options.decoding, options.flows, options.live);
    }

    /// Calls an interface, by the number that its frames carry, by its name.
    pub fn name_interface(&mut self, number: u32, name: Text) {
        self.tracker.name_interface(number, name);
    }

    /// Takes a frame.
    pub fn frame(&mut self, frame: &Frame<'_>, out: &mut Vec<Output>) {
        self.frame_of(frame, Whose::default(), out);
    }

    /// Takes a frame of which its capture says whose it is.
    pub fn frame_of(&mut self, frame: &Frame<'_>, whose: Whose<'_>, out: &mut Vec<Output>) {
        let mut events = std::mem::take(&mut self.events);
        self.tracker.frame_of(frame, whose, &mut events);
        for event in events.drain(..) {
            self.told(event, out);
        }
        self.events = events;
    }

    /// No frame waits that was captured before this time.
    pub fn packets_read_until(&mut self, time: Time) {
        self.tracker.packets_read_until(time);
    }

    /// No packet will follow, or one that is older: what is open in packets ends, some of it with each call. False when
    /// all has ended.
    pub fn end_packets(&mut self, out: &mut Vec<Output>) -> bool {
        let mut events = std::mem::take(&mut self.events);
        let goes_on = self.tracker.end_packets(&mut events);
        for event in events.drain(..) {
            self.told(event, out);
        }
        self.events = events;
        goes_on
    }

    /// Lets time pass while nothing is observed.
    pub fn tick(&mut self, now: Time, out: &mut Vec<Output>) {
        let mut events = std::mem::take(&mut self.events);
        self.tracker.tick(now, &mut events);
        for event in events.drain(..) {
            self.told(event, out);
        }
        self.events = events;
    }

    /// Takes an event that did not come from an observation: one of the past, or a gap of another stage.
    pub fn replay(&mut self, mut event: Event, out: &mut Vec<Output>) {
        self.tracker.locate(&mut event);
        self.tracker.apply(&event);
        self.conclude(event, out);
    }

    /// Completes a conversation of another sensor.
    pub fn introduce(&mut self, connection: &mut Connection) {
        self.tracker.introduce(connection);
    }

    /// Has the tracker told what another sensor told; `tell` may give back what that sensor holds for odd.
    pub fn heard(
        &mut self,
        tell: impl FnOnce(&mut Tracker, &mut Vec<Event>) -> Option<Finding>,
        out: &mut Vec<Output>,
    ) {
        let mut events = std::mem::take(&mut self.events);
        let odd = tell(&mut self.tracker, &mut events);
        for event in events.drain(..) {
            self.replay(event, out);
        }
        self.events = events;
        if let Some(mut finding) = odd {
            for connection in &mut finding.connections {
                self.tracker.introduce(Arc::make_mut(connection));
            }
            let time = finding.time;
            self.findings.findings.push(finding);
            self.decide(time, out);
        }
    }

    /// The watch ends: what still waited for a hash, or was only counted so far, is told.
    pub fn finish(&mut self, now: Time, out: &mut Vec<Output>) {
        let mut events = std::mem::take(&mut self.events);
        self.tracker.finish(&mut events);
        for event in events.drain(..) {
            self.told(event, out);
        }
        self.events = events;
        self.detectors.flush(&self.tracker, now, &mut self.findings);
        self.decide(now, out);
        out.extend(
            self.desk
                .finish(now)
                .into_iter()
                .map(|record| Output::Alert(Arc::new(record))),
        );
    }

    /// The tracker told this: its own losses are counted.
    fn told(&mut self, event: Event, out: &mut Vec<Output>) {
        if let Fact::Gap(gap) = &event.fact
            && matches!(gap.stage, Stage::Packets | Stage::Streams | Stage::Tables)
        {
            self.ledger.dropped(gap.stage, gap.count);
        }
        self.conclude(event, out);
    }

    fn conclude(&mut self, event: Event, out: &mut Vec<Output>) {
        let time = event.time;
        self.detectors.look_at(&self.tracker, &event, &mut self.findings);
        let is_tick = matches!(event.fact, Fact::Tick { .. });
        self.gaps += u64::from(matches!(event.fact, Fact::Gap(_)));
        if !is_tick && self.gives_events {
            out.push(Output::Event(Arc::new(event)));
        }
        self.decide(time, out);
        if is_tick {
            out.extend(
                self.desk
                    .tick(time)
                    .into_iter()
                    .map(|record| Output::Alert(Arc::new(record))),
            );
            if let Some(gap) = self.desk.gap(time) {
                self.ledger.dropped(Stage::Tables, gap.count);
                self.gap(gap, out);
            }
        }
    }

    /// Hands the findings so far to the alert desk.
    fn decide(&mut self, time: Time, out: &mut Vec<Output>) {
        for finding in self.findings.findings.drain(..) {
            out.extend(
                self.desk
                    .consider(finding, time)
                    .map(|record| Output::Alert(Arc::new(record))),
            );
        }
        out.extend(self.findings.memories.drain(..).map(Output::Memory));
    }

    /// Adds a gap to the history.
    pub fn gap(&mut self, gap: Gap, out: &mut Vec<Output>) {
        self.gaps += 1;
        out.push(Output::Event(Arc::new(Event::new(gap.time, Fact::Gap(gap)))));
    }

    /// The tracked state.
    pub const fn tracker(&self) -> &Tracker {
        &self.tracker
    }

    /// The detectors.
    pub const fn detectors(&self) -> &Detectors {
        &self.detectors
    }

    /// What became of findings so far.
    pub fn counts(&self) -> Counts {
        self.desk.counts()
    }

    /// Gap events so far.
    pub const fn gaps(&self) -> u64 {
        self.gaps
    }

    /// Answers a bounded question about what lives now.
    pub fn answer(&self, query: &Query) -> Response {
        let filter = match atalaya_model::filter::parse(&query.filter) {
            Ok(filter) => filter,
            Err(error) => return Response::Refused(error.to_string().into()),
        };
        self.tracker.page(
            query.what,
            &|record| filter.matches(record),
            query.offset,
            query.limit,
        )
    }

    /// Holds back findings for a while.
    pub fn silence(&mut self, silence: Silence) -> Response {
        let until = silence.until;
        match self.desk.silence(silence) {
            Ok(()) => Response::Done(format!("silent until {}", until.local()).into()),
            Err(error) => Response::Refused(error.to_string().into()),
        }
    }

    /// Puts a new configuration in place; what was learnt is kept.
    pub fn reconfigure(&mut self, settings: Loaded) {
        self.tracker.set_networks(settings.networks());
        self.tracker.set_atlas(settings.atlas);
        self.detectors.reload(&settings.config.detect, &settings.lists);
        self.desk.set_allow_list(settings.allow);
        self.desk.set_options(settings.config.alerts);
    }
}
