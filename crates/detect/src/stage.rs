//! A small world for the detectors' tests: things happen one after the other, and findings come back.

use std::collections::BTreeMap;
use std::sync::Arc;

use atalaya_model::memory::Memory;
use atalaya_model::process::{Digest, Package};
use atalaya_model::state::State;
use atalaya_model::{
    Connection, Direction, Endpoint, Event, Evidence, Fact, Finding, Listener, Process, ProcessKey, Scope,
    Side, Span, Time, Transport,
};

use crate::{Detectors, Findings, Learning, Lists, Options};

/// When the watch begins.
pub(crate) const START: Time = Time::from_seconds(1_700_000_000);

pub(crate) struct Stage {
    pub(crate) detectors: Detectors,
    world: World,
    now: Time,
}

#[derive(Default)]
struct World {
    processes: BTreeMap<ProcessKey, Arc<Process>>,
    connections: BTreeMap<u64, Arc<Connection>>,
    listeners: BTreeMap<u64, Arc<Listener>>,
}

/// What came of an event.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) findings: Vec<Finding>,
    pub(crate) memories: Vec<Memory>,
}

impl Outcome {
    pub(crate) fn of(&self, rule: &str) -> Vec<Finding> {
        let found = self.findings.iter().filter(|finding| &*finding.rule == rule);
        found.cloned().collect()
    }

    #[track_caller]
    pub(crate) fn silent(&self, rule: &str) {
        assert_eq!(self.of(rule), [], "{rule} should be silent");
    }
}

impl Stage {
    pub(crate) fn new() -> Self {
        Self::with(Options::default(), Lists::default())
    }

    pub(crate) fn with(options: Options, lists: Lists) -> Self {
        Self::staged(options, lists, Learning::default())
    }

    /// The first half hour is learnt.
    pub(crate) fn learning() -> Self {
        let until = Some(START.after(Span::from_seconds(1_800)));
        let learning = Learning {
            until,
            ..Learning::default()
        };
        Self::staged(Options::default(), Lists::default(), learning)
    }

    /// One look at a host of which nothing is known.
    pub(crate) fn first_look() -> Self {
        let learning = Learning {
            until: Some(Time(i64::MAX)),
            first_look: true,
        };
        Self::staged(Options::default(), Lists::default(), learning)
    }

    fn staged(options: Options, lists: Lists, learning: Learning) -> Self {
        Self {
            detectors: Detectors::new(&options, &lists, learning),
            world: World::default(),
            now: START,
        }
    }

    fn happens(&mut self, fact: Fact) -> Outcome {
        let mut out = Findings::default();
        self.detectors
            .look_at(&self.world, &Event::new(self.now, fact), &mut out);
        Outcome {
            findings: out.findings,
            memories: out.memories,
        }
    }

    fn meets(&mut self, process: Option<&Arc<Process>>) {
        if let Some(process) = process {
            self.world.processes.insert(process.key, process.clone());
        }
    }

    pub(crate) fn opens(&mut self, connection: Connection) -> Outcome {
        self.meets(connection.process.as_ref());
        let connection = Arc::new(connection);
        self.world.connections.insert(connection.id, connection.clone());
        self.happens(Fact::ConnectionOpened(connection))
    }

    pub(crate) fn updates(&mut self, connection: Connection) -> Outcome {
        let connection = Arc::new(connection);
        self.world.connections.insert(connection.id, connection.clone());
        self.happens(Fact::ConnectionUpdated(connection))
    }

    pub(crate) fn closes(&mut self, ids: impl IntoIterator<Item = u64>) {
        for id in ids {
            if let Some(connection) = self.world.connections.remove(&id) {
                self.happens(Fact::ConnectionClosed(connection));
            }
        }
    }

    pub(crate) fn listens(&mut self, listener: Listener) -> Outcome {
        self.meets(listener.process.as_ref());
        let mut listener = listener;
        listener.started = self.now;
        let listener = Arc::new(listener);
        self.world.listeners.insert(listener.id, listener.clone());
        self.happens(Fact::ListenerAppeared(listener))
    }

    pub(crate) fn gone(&mut self, id: u64) {
        if let Some(listener) = self.world.listeners.remove(&id) {
            self.happens(Fact::ListenerGone(listener));
        }
    }

    pub(crate) fn starts(&mut self, process: Arc<Process>) -> Outcome {
        self.meets(Some(&process));
        self.happens(Fact::ProcessStarted(process))
    }

    /// More is known of a process.
    pub(crate) fn learns(&mut self, process: Arc<Process>) -> Outcome {
        self.meets(Some(&process));
        self.happens(Fact::ProcessUpdated(process))
    }

    pub(crate) fn ends(&mut self, pid: u32) -> Outcome {
        let Some(process) = self.world.processes.get_mut(&key(pid)) else {
            return Outcome::default();
        };
        Arc::make_mut(process).ended = Some(self.now);
        let process = process.clone();
        self.happens(Fact::ProcessEnded(process))
    }

    pub(crate) fn look(&mut self) -> Outcome {
        self.happens(Fact::Tick { look: true })
    }

    /// So many seconds later.
    pub(crate) fn pass(&mut self, seconds: i64) -> Outcome {
        self.now = self.now.after(Span::from_seconds(seconds));
        self.happens(Fact::Tick { look: true })
    }

    pub(crate) fn flush(&mut self) -> Outcome {
        let mut out = Findings::default();
        self.detectors.flush(&self.world, self.now, &mut out);
        Outcome {
            findings: out.findings,
            memories: out.memories,
        }
    }
}

impl State for World {
    fn watching_since(&self) -> Time {
        START
    }

    fn process(&self, key: ProcessKey) -> Option<&Arc<Process>> {
        self.processes.get(&key)
    }

    fn connections_of(&self, key: ProcessKey) -> Box<dyn Iterator<Item = &Arc<Connection>> + '_> {
        let owned =
            move |connection: &&Arc<Connection>| connection.process.as_ref().is_some_and(|p| p.key == key);
        Box::new(self.connections.values().filter(owned))
    }

    fn connection_count(&self, key: ProcessKey) -> usize {
        self.connections_of(key).count()
    }

    fn connected_processes(&self) -> Box<dyn Iterator<Item = ProcessKey> + '_> {
        let connected = |key: &ProcessKey| self.connection_count(*key) > 0;
        Box::new(self.processes.keys().copied().filter(connected))
    }

    fn listeners(&self) -> Box<dyn Iterator<Item = &Arc<Listener>> + '_> {
        Box::new(self.listeners.values())
    }
}

pub(crate) fn key(pid: u32) -> ProcessKey {
    ProcessKey { pid, start: 10 }
}

/// A process whose hash is still to come.
pub(crate) fn unhashed(pid: u32, path: &str) -> Arc<Process> {
    let name = path.rsplit('/').next().unwrap_or_default();
    let mut process = Process::bare(key(pid), name.into(), START);
    process.executable = Some(path.into());
    Arc::new(process)
}

pub(crate) fn program(pid: u32, path: &str, hash: &str) -> Arc<Process> {
    let mut process = Arc::unwrap_or_clone(unhashed(pid, path));
    process.sha256 = Some(hash.into());
    Arc::new(process)
}

/// The same, of a package that vouches for the file at the path.
pub(crate) fn packaged(mut process: Process) -> Arc<Process> {
    process.package = Some(Package {
        manager: "dpkg".into(),
        name: "tool".into(),
        version: Some("2.0".into()),
        digest: Digest::Agrees,
    });
    Arc::new(process)
}

fn end(text: &str) -> Endpoint {
    let address: std::net::SocketAddr = text.parse().unwrap();
    Endpoint::new(address.ip(), address.port())
}

pub(crate) fn outbound(id: u64, process: &Arc<Process>, remote: &str) -> Connection {
    connection(id, process, "192.0.2.1:50000", remote, Side::Source)
}

pub(crate) fn inbound(id: u64, process: &Arc<Process>, local: &str, remote: &str) -> Connection {
    connection(id, process, remote, local, Side::Destination)
}

fn connection(id: u64, process: &Arc<Process>, source: &str, destination: &str, side: Side) -> Connection {
    Connection {
        id,
        side,
        direction: match side {
            Side::Source => Direction::Outbound,
            Side::Destination => Direction::Inbound,
        },
        scope: Scope::External,
        network_namespace: 1,
        cookie: id,
        user_id: Some(1000),
        outcome: Default::default(),
        process: Some(process.clone()),
        attribution: Evidence::Descriptor.into(),
        ..Connection::bare(START, Transport::Tcp, end(source), end(destination))
    }
}

pub(crate) fn listener(id: u64, process: &Arc<Process>, transport: Transport, local: &str) -> Listener {
    Listener {
        id,
        started: START,
        started_before: false,
        ended: None,
        transport,
        local: end(local),
        network_namespace: 1,
        cookie: id,
        user_id: Some(1000),
        service: None,
        process: Some(process.clone()),
        attribution: Evidence::Descriptor.into(),
        shared_with: Box::default(),
    }
}
