//! Every process with its sockets, for the table of processes.

use std::collections::HashMap;
use std::sync::Arc;

use atalaya_alert::outlet::SCAN_ROWS;
use atalaya_alert::{Item, Outlets};
use atalaya_format::csv::watched::{MAX_SOCKETS, Running};
use atalaya_model::{Connection, Listener, ProcessKey, Time};
use atalaya_track::Tracker;

/// The sockets of one process: some of them, and how many they are.
#[derive(Default)]
struct Sockets {
    connections: Vec<Arc<Connection>>,
    listeners: Vec<Arc<Listener>>,
    count: u64,
}

/// Sends every process that lives, by process id, some at a time.
pub(super) fn send(tracker: &Tracker, time: Time, outlets: &Outlets) {
    let mut sockets = sockets(tracker);
    let mut processes: Vec<_> = tracker.processes().cloned().collect();
    processes.sort_unstable_by_key(|process| process.key);
    for some in processes.chunks(SCAN_ROWS) {
        let rows = some.iter().map(|process| {
            let of = sockets.remove(&process.key).unwrap_or_default();
            Running {
                process: Arc::clone(process),
                connections: of.connections,
                listeners: of.listeners,
                count: of.count,
            }
        });
        outlets.send(&Item::Scan(time, rows.collect()));
    }
}

fn sockets(tracker: &Tracker) -> HashMap<ProcessKey, Sockets> {
    let mut found: HashMap<ProcessKey, Sockets> = HashMap::new();
    for connection in tracker.connections() {
        let Some(process) = &connection.process else {
            continue;
        };
        let of = found.entry(process.key).or_default();
        of.count += 1;
        if of.connections.len() < MAX_SOCKETS {
            of.connections.push(Arc::clone(connection));
        }
    }
    for listener in tracker.listeners() {
        let Some(process) = &listener.process else {
            continue;
        };
        let of = found.entry(process.key).or_default();
        of.count += 1;
        if of.listeners.len() < MAX_SOCKETS {
            of.listeners.push(Arc::clone(listener));
        }
    }
    found
}
