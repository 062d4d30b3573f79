//! A collector, and everything that it has told.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use atalaya_host::collector::{Collector as _, Options};
use atalaya_host::linux::ebpf::EbpfCollector;
use atalaya_model::connection::{Outcome, Traffic};
use atalaya_model::observation::{Change, SocketEvent};
use atalaya_model::{Gap, Observation, Owners, Process, ProcessKey, Socket, Transport};

/// A collector that has looked once.
pub(crate) struct Watch {
    pub(crate) collector: EbpfCollector,
    pub(crate) told: Told,
}

/// What a collector told.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) events: Vec<SocketEvent>,
    /// Of the last complete list.
    pub(crate) sockets: Vec<Socket>,
    pub(crate) processes: HashMap<ProcessKey, Arc<Process>>,
    pub(crate) gaps: Vec<Gap>,
    /// Namespaces that the last list covered.
    pub(crate) listed: Vec<u32>,
}

pub(crate) fn options() -> Options {
    Options {
        hash: false,
        packages: false,
        ..Options::default()
    }
}

/// Says so when the test cannot run here.
pub(crate) fn is_root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        println!("skipped: not root");
    }
    is_root
}

impl Watch {
    /// Begins to watch; `None` where that needs root and the test has to be left out.
    pub(crate) fn start() -> Option<Self> {
        is_root().then(|| Self::with(options()))
    }

    pub(crate) fn with(options: Options) -> Self {
        let mut watch = Self {
            collector: EbpfCollector::open(options).unwrap(),
            told: Told::default(),
        };
        watch.look();
        watch
    }

    /// Looks once, which also lets the walker tell what lives.
    pub(crate) fn look(&mut self) {
        let told = &mut self.told;
        self.collector
            .look(&mut |observation| told.take(observation))
            .unwrap();
    }

    /// Watches until `is_done`, for as long as a slow machine may need.
    #[track_caller]
    pub(crate) fn until(&mut self, what: &str, mut is_done: impl FnMut(&Told) -> bool) {
        for _ in 0..300 {
            self.look();
            if is_done(&self.told) {
                return;
            }
            let told = &mut self.told;
            let short = Duration::from_millis(50);
            self.collector
                .wait(short, &mut |observation| told.take(observation))
                .unwrap();
        }
        let last: Vec<_> = self.told.events.iter().rev().take(5).collect();
        panic!(
            "never seen: {what}; gaps {:?}; last events {last:#?}",
            self.told.gaps
        );
    }

    /// Waits for the end of the conversation between these, and gives it.
    #[track_caller]
    pub(crate) fn closed(
        &mut self,
        transport: Transport,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> SocketEvent {
        self.closed_in(None, transport, local, remote)
    }

    /// The same in one network namespace.
    #[track_caller]
    pub(crate) fn closed_in(
        &mut self,
        namespace: Option<u32>,
        transport: Transport,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> SocketEvent {
        let is = |event: &SocketEvent| {
            event.socket.transport == transport
                && namespace.is_none_or(|namespace| event.socket.namespace == namespace)
                && is_at(event.socket.local, local)
                && is_at(event.socket.remote, remote)
                && matches!(event.change, Change::Closed(_))
        };
        self.until(&format!("the end of {local} - {remote}"), |told| {
            told.events.iter().any(is)
        });
        self.told.events.iter().find(|event| is(event)).unwrap().clone()
    }
}

fn is_at(endpoint: atalaya_model::Endpoint, address: SocketAddr) -> bool {
    endpoint == atalaya_model::Endpoint::new(address.ip(), address.port())
}

impl Told {
    fn take(&mut self, observation: Observation) {
        match observation {
            Observation::SocketEvents(events) => {
                assert!(events.len() <= 1024);
                for event in &events {
                    for key in keys(&event.socket.owners) {
                        assert!(self.processes.contains_key(key), "{key:?} was not described");
                    }
                }
                self.events.extend(events);
            }
            Observation::Sockets(_, sockets) => self.sockets.extend(sockets),
            Observation::Process(_, process) => {
                self.processes.insert(process.key, process);
            }
            Observation::Gap(gap) => self.gaps.push(gap),
            Observation::LookDone(_, look) => {
                if !look.namespaces.is_empty() {
                    self.listed = look.namespaces;
                }
            }
            Observation::SocketClosed(..) => panic!("not of this tier: {observation:?}"),
            Observation::ProcessGone(..) | Observation::Resolved(_) | Observation::Tier(..) => {}
        }
    }

    /// Events of conversations or listeners with this local port.
    pub(crate) fn at_port(&self, port: u16) -> impl Iterator<Item = &SocketEvent> {
        self.events
            .iter()
            .filter(move |event| event.socket.local.port == port)
    }
}

pub(crate) fn keys(owners: &Owners) -> &[ProcessKey] {
    match owners {
        Owners::Unknown(_) => &[],
        Owners::One(key) | Owners::Used(key) | Owners::Accepting(key) => std::slice::from_ref(key),
        Owners::Many(keys) => keys,
    }
}

/// The process that the kernel named, if it named one.
pub(crate) fn user(event: &SocketEvent) -> Option<u32> {
    match event.socket.owners {
        Owners::Used(key) => Some(key.pid),
        _ => None,
    }
}

pub(crate) fn outcome(event: &SocketEvent) -> Option<Outcome> {
    match event.change {
        Change::Closed(outcome) => Some(outcome),
        Change::Alive => None,
    }
}

/// Bytes sent and received.
pub(crate) fn bytes(event: &SocketEvent) -> (u64, u64) {
    let traffic = event.socket.traffic.unwrap_or_default();
    (traffic.sent_bytes, traffic.received_bytes)
}

pub(crate) fn packets(event: &SocketEvent) -> (u64, u64) {
    let Traffic {
        sent_packets,
        received_packets,
        ..
    } = event.socket.traffic.unwrap_or_default();
    (sent_packets, received_packets)
}
