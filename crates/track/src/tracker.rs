//! The tracker itself: every observation has its place here.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

use atalaya_model::{
    Endpoint, Event, Fact, Gap, Networks, Observation, Process, ProcessKey, Socket, Span, Stage, Text, Time,
};
use foldhash::{HashMap, HashMapExt};

use crate::atlas::{Atlas, Cache};
use crate::hearsay::Hearsay;
use crate::listeners::Listeners;
use crate::meter::Meter;
use crate::names::Names;
use crate::packets::Packets;
use crate::processes::{Admission, Processes};
use crate::services::ServiceNames;
use crate::sockets::{SocketKey, Sockets};

/// What the tracker needs to know beforehand.
#[derive(Clone, Debug)]
pub struct Options {
    /// The owner's own ranges.
    pub networks: Networks,
    /// Most sockets (connections and listeners together) kept at once; more are counted in a gap.
    pub max_sockets: usize,
    /// Most processes kept at once; more are counted in a gap.
    pub max_processes: usize,
    /// When the watch begins.
    pub now: Time,
}

impl Options {
    /// 200,000 sockets, 65,536 processes, no own ranges.
    pub fn new(now: Time) -> Self {
        Self {
            networks: Networks::default(),
            max_sockets: 200_000,
            max_processes: 65_536,
            now,
        }
    }
}

/// Turns observations into events, and knows what lives now.
#[derive(Debug)]
pub struct Tracker {
    pub(crate) options: Options,
    pub(crate) sockets: Sockets,
    pub(crate) listeners: Listeners,
    pub(crate) processes: Processes,
    /// Names that processes asked for.
    pub(crate) names: Names,
    /// Addresses that sockets of a namespace are bound to, with the number of such sockets; loopback is left out.
    pub(crate) addresses: HashMap<(u32, IpAddr), u32>,
    /// TCP sockets that the tracker met only as they ended, by addresses: the kernel gives what is left of one another
    /// cookie than its notice, when nobody had asked for the cookie before.
    pub(crate) partings: HashMap<Parting, u32>,
    /// What the last look concluded to be over: its notice may still come, and says nothing new.
    pub(crate) concluded: HashSet<SocketKey>,
    /// Sockets first seen in the look that is under way, to be announced when its listeners are known.
    pub(crate) unannounced: Vec<u32>,
    /// Sockets that closed between two looks, whose direction the listeners of the next look may tell.
    pub(crate) late: Vec<(Time, Socket)>,
    /// The kernel tells of every conversation by itself: no look needs to.
    pub(crate) kernel_tells_all: bool,
    /// Number of the look that is under way, from 1.
    pub(crate) look: u32,
    /// Rows refused since the last gap, because a table was full.
    pub(crate) refused: Refused,
    pub(crate) services: ServiceNames,
    /// Where addresses are.
    pub(crate) atlas: Cache,
    /// Frames and what is in them; only where packets are read.
    pub(crate) packets: Option<Box<Packets>>,
    /// What goes over the network per second.
    pub(crate) meter: Meter,
    /// What other sensors told of.
    pub(crate) hearsay: Hearsay,
    pub(crate) last_id: u64,
    pub(crate) last_tick: Time,
    /// Events on their way to the join with packets, reused.
    told: Vec<Event>,
    /// An observation is being concluded from: what packets tell meanwhile waits, as only the kernel's word goes to the
    /// join. Then, the time that has passed for them.
    held: Option<Option<Time>>,
}

/// Network namespace, own end, peer.
pub(crate) type Parting = (u32, Endpoint, Endpoint);

/// Counts of what the tables had no room for.
#[derive(Debug, Default)]
pub(crate) struct Refused {
    pub(crate) sockets: u64,
    pub(crate) processes: u64,
}

impl Tracker {
    /// A tracker that knows nothing yet.
    pub fn new(options: Options) -> Self {
        let meter = Meter::new(options.now);
        Self {
            last_tick: options.now,
            processes: Processes::new(options.max_processes),
            options,
            sockets: Sockets::default(),
            listeners: Listeners::default(),
            names: Names::default(),
            addresses: HashMap::new(),
            partings: HashMap::new(),
            concluded: HashSet::new(),
            unannounced: Vec::new(),
            late: Vec::new(),
            kernel_tells_all: false,
            look: 1,
            refused: Refused::default(),
            services: ServiceNames::default(),
            atlas: Cache::default(),
            packets: None,
            meter,
            hearsay: Hearsay::default(),
            last_id: 0,
            told: Vec::new(),
            held: None,
        }
    }

    /// Takes other own ranges; connections that are open already keep their scope.
    pub fn set_networks(&mut self, networks: Networks) {
        self.options.networks = networks;
    }

    /// Takes other databases of addresses; conversations that are open already stay where they were.
    pub fn set_atlas(&mut self, atlas: Arc<Atlas>) {
        self.atlas.set(atlas);
    }

    /// Notes where the ends of an event's conversation are, where it does not say so itself: for events that come from
    /// elsewhere.
    pub fn locate(&mut self, event: &mut Event) {
        if self.atlas.is_empty() {
            return;
        }
        match &mut event.fact {
            Fact::ConnectionOpened(it) | Fact::ConnectionUpdated(it) | Fact::ConnectionClosed(it) => {
                self.atlas.note(Arc::make_mut(it));
            }
            Fact::Protocol(it) => self.atlas.note(Arc::make_mut(&mut Arc::make_mut(it).connection)),
            _ => {}
        }
    }

    /// Takes one observation and appends the events that follow from it.
    pub fn observe(&mut self, observation: Observation, out: &mut Vec<Event>) {
        if !self.joins() {
            self.conclude(observation, out);
            return;
        }
        if let Observation::LookDone(time, _) = &observation {
            self.note_look(*time);
        }
        let mut told = std::mem::take(&mut self.told);
        self.held = Some(None);
        self.conclude(observation, &mut told);
        self.join(&mut told, out);
        self.told = told;
        if let Some(Some(time)) = self.held.take() {
            self.pass_packets(time, out);
        }
    }

    fn conclude(&mut self, observation: Observation, out: &mut Vec<Event>) {
        match observation {
            Observation::Process(time, process) => {
                self.process_seen(time, process, out);
                self.tick(time, out);
            }
            Observation::ProcessGone(time, key) => {
                if let Some(process) = self.processes.end(key, time) {
                    out.push(Event::new(time, Fact::ProcessEnded(process)));
                }
                self.tick(time, out);
            }
            Observation::Sockets(time, sockets) => {
                for socket in sockets {
                    self.socket_seen(time, socket, out);
                }
            }
            Observation::SocketClosed(time, socket) => {
                self.socket_closed(time, socket, out);
                self.tick(time, out);
            }
            Observation::SocketEvents(events) => {
                for event in events {
                    self.socket_event(event, out);
                }
            }
            Observation::Resolved(resolution) => self.names.note(resolution),
            Observation::LookDone(time, look) => self.look_done(time, &look, out),
            Observation::Gap(gap) => out.push(Event::new(gap.time, Fact::Gap(gap))),
            Observation::Tier(time, report) => {
                out.push(Event::new(time, Fact::TierChanged(report.into())));
            }
        }
    }

    /// No look will follow: tells of what still waited for one.
    pub fn finish(&mut self, out: &mut Vec<Event>) {
        let mut told = Vec::new();
        self.tell_late(&mut told);
        self.join(&mut told, out);
        while self.end_packets(out) {}
    }

    /// Lets time pass; call it at least once a second of event time when no observation comes.
    pub fn tick(&mut self, time: Time, out: &mut Vec<Event>) {
        if time.since(self.last_tick) >= Span::from_seconds(1) {
            self.pass(time, false, out);
        }
    }

    pub(crate) fn pass(&mut self, time: Time, look: bool, out: &mut Vec<Event>) {
        match &mut self.held {
            Some(passed) => *passed = Some(time),
            None => self.pass_packets(time, out),
        }
        self.strike(time, look, out);
    }

    /// Tells that time passed, and what was lost since the last time.
    pub(crate) fn strike(&mut self, time: Time, look: bool, out: &mut Vec<Event>) {
        self.processes.forget_ended(time);
        if !self.meter.reads_packets {
            self.meter.pass(time);
        }
        let refused = std::mem::take(&mut self.refused);
        for (count, reason) in [
            (refused.sockets, "the table of sockets is full"),
            (refused.processes, "the table of processes is full"),
        ] {
            if count > 0 {
                let gap = Gap {
                    time,
                    stage: Stage::Tables,
                    count,
                    reason: reason.into(),
                };
                out.push(Event::new(time, Fact::Gap(gap)));
            }
        }
        self.last_tick = time;
        out.push(Event::new(time, Fact::Tick { look }));
    }

    fn process_seen(&mut self, time: Time, process: Arc<Process>, out: &mut Vec<Event>) {
        let key = process.key;
        match self.processes.admit(process) {
            Admission::New(process) => out.push(Event::new(time, Fact::ProcessStarted(process))),
            Admission::Changed(process) => {
                out.push(Event::new(time, Fact::ProcessUpdated(process)));
                self.refresh(time, key, out);
            }
            Admission::Same => {}
            Admission::Refused => self.refused.processes += 1,
        }
    }

    /// Gives the new facts about a process to everything that it holds.
    fn refresh(&mut self, time: Time, key: ProcessKey, out: &mut Vec<Event>) {
        let Some(process) = self.processes.get(key).cloned() else {
            return;
        };
        // A connection's row names the process; its other facts did not change, so there is no event for each.
        for &slot in self.processes.connections(key) {
            if let Some(connection) = self.sockets.connection_mut(slot) {
                connection.process = Some(process.clone());
            }
        }
        for listener in self.listeners.of_process_mut(key) {
            Arc::make_mut(listener).process = Some(process.clone());
            out.push(Event::new(time, Fact::ListenerUpdated(listener.clone())));
        }
    }

    pub(crate) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// The service's name, each kept once.
    pub(crate) fn service(&mut self, transport: atalaya_model::Transport, port: u16) -> Option<Text> {
        self.services.name(transport, port)
    }

    pub(crate) fn is_full(&self) -> bool {
        self.sockets.len() + self.listeners.len() >= self.options.max_sockets
    }
}

#[cfg(test)]
mod tests;
