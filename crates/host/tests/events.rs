//! Tier `events` on this machine, with processes, namespaces and sockets that the tests make.
#![cfg(target_os = "linux")]
#![expect(
    clippy::disallowed_methods,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "these are tests, which start the programs that they watch"
)]

#[path = "events/actors.rs"]
mod actors;
#[path = "events/connections.rs"]
mod connections;
#[path = "events/losses.rs"]
mod losses;
#[path = "events/privileges.rs"]
mod privileges;
#[path = "events/processes.rs"]
mod processes;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use atalaya_host::collector::{Collector as _, Options};
use atalaya_host::linux::events::EventsCollector;
use atalaya_model::{
    Change, Gap, Observation, Outcome, Owners, Process, ProcessKey, Socket, SocketEvent, Stage,
};

fn options() -> Options {
    Options {
        hash: false,
        packages: false,
        ..Options::default()
    }
}

/// A collector that has looked once; `None`, said, without root.
fn start(options: Options) -> Option<(EventsCollector, Seen)> {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: not root");
        return None;
    }
    let mut collector = EventsCollector::open(options).unwrap();
    let mut seen = Seen::default();
    seen.look(&mut collector);
    Some((collector, seen))
}

/// Everything that was told.
#[derive(Default)]
struct Seen {
    /// As they were told last.
    processes: HashMap<ProcessKey, Arc<Process>>,
    gone: Vec<ProcessKey>,
    events: Vec<SocketEvent>,
    /// Told as tier `poll` does.
    closed: Vec<Socket>,
    /// Of the last look.
    sockets: Vec<Socket>,
    gaps: Vec<Gap>,
}

impl Seen {
    fn take(&mut self, observation: Observation) {
        match observation {
            Observation::Process(_, process) => {
                self.processes.insert(process.key, process);
            }
            Observation::ProcessGone(_, key) => {
                assert!(
                    self.processes.contains_key(&key),
                    "{key:?} is gone before it was told"
                );
                self.gone.push(key);
            }
            Observation::SocketEvents(events) => {
                assert!(events.len() <= 4096);
                for event in &events {
                    if let Owners::Used(key) = event.socket.owners {
                        assert!(self.processes.contains_key(&key), "{key:?} is not described");
                    }
                }
                self.events.extend(events);
            }
            Observation::SocketClosed(_, socket) => self.closed.push(socket),
            Observation::Sockets(_, sockets) => self.sockets.extend(sockets),
            Observation::Gap(gap) => self.gaps.push(gap),
            _ => {}
        }
    }

    fn look(&mut self, collector: &mut EventsCollector) {
        self.sockets.clear();
        collector.look(&mut |observation| self.take(observation)).unwrap();
    }

    /// Waits until `done`, for as long as a slow machine may need.
    fn wait(&mut self, collector: &mut EventsCollector, mut done: impl FnMut(&Self) -> bool) {
        for _ in 0..500 {
            collector
                .wait(Duration::from_millis(20), &mut |observation| {
                    self.take(observation)
                })
                .unwrap();
            if done(self) {
                return;
            }
        }
        panic!("what was waited for did not come; gaps: {:?}", self.gaps);
    }

    /// The ends of connections from or to this port.
    fn ends(&self, port: u16) -> impl Iterator<Item = (&SocketEvent, Outcome)> {
        self.events.iter().filter_map(move |event| match event.change {
            Change::Closed(outcome)
                if event.socket.local.port == port && event.socket.remote.port != 0
                    || event.socket.remote.port == port =>
            {
                Some((event, outcome))
            }
            _ => None,
        })
    }

    fn lost(&self, stage: Stage) -> u64 {
        let gaps = self.gaps.iter().filter(|gap| gap.stage == stage);
        gaps.map(|gap| gap.count).sum()
    }
}

fn user(socket: &Socket) -> Option<u32> {
    match socket.owners {
        Owners::Used(key) => Some(key.pid),
        _ => None,
    }
}
