//! What short connections cost the engine: `cargo run --release -p atalaya --example engine_rate [connections]`.
//!
//! Each is told by the kernel in one word, as it ends. Prints CPU time for the tracker alone, and with every detector.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "an example says what it did"
)]

use std::sync::Arc;

use atalaya::engine::Engine;
use atalaya_alert::{AlertOptions, AllowList, Desk};
use atalaya_detect::{Detectors, Learning, Lists, Options as DetectOptions, registry};
use atalaya_host::usage;
use atalaya_model::connection::{Side, Traffic};
use atalaya_model::observation::Look;
use atalaya_model::*;
use atalaya_track::{Options, Tracker};

const BATCH: u64 = 1_024;

fn main() {
    let connections = std::env::args()
        .nth(1)
        .map_or(100_000, |text| text.parse().unwrap());
    let made = measure(connections, |batch| drop(std::hint::black_box(batch)));
    let mut tracker = tracker();
    let mut events = Vec::new();
    let mut told = 0;
    let tracked = measure(connections, |batch| {
        tracker.observe(batch, &mut events);
        told += events.len();
        events.clear();
    });
    let mut engine = engine();
    let mut out = Vec::new();
    let decided = measure(connections, |batch| {
        engine.observe(batch, &mut out);
        out.clear();
    });
    println!("{connections} short connections, {told} events; microseconds of CPU each:");
    println!(
        "made {made:.2}, tracker {:.2}, engine {:.2}",
        tracked - made,
        decided - made
    );
}

/// CPU microseconds per connection.
fn measure(connections: u64, mut each: impl FnMut(Observation)) -> f64 {
    for pid in 0..50 {
        let mut process = Process::bare(key(pid), "worker".into(), Time(0));
        process.executable = Some("/usr/bin/worker".into());
        each(Observation::Process(Time(0), Arc::new(process)));
    }
    each(Observation::LookDone(Time(0), Look::default()));
    let before = usage::own().cpu;
    for first in (0..connections).step_by(BATCH as usize) {
        let batch = (first..connections.min(first + BATCH)).map(event).collect();
        each(Observation::SocketEvents(batch));
    }
    (usage::own().cpu.0 - before.0) as f64 / connections as f64
}

fn tracker() -> Tracker {
    Tracker::new(Options::new(Time(0)))
}

fn engine() -> Engine {
    let detectors = Detectors::new(&DetectOptions::default(), &Lists::default(), Learning::default());
    let techniques = Box::new(registry::techniques);
    let desk = Desk::new(AlertOptions::default(), AllowList::default(), techniques, 0);
    Engine::new(tracker(), detectors, desk, Ledger::default())
}

fn key(pid: u64) -> ProcessKey {
    ProcessKey {
        pid: pid as u32,
        start: 1,
    }
}

/// Both ends of loopback conversations, every even one a client's.
fn event(number: u64) -> SocketEvent {
    let client = Endpoint::new([127, 0, 0, 1].into(), 32_768 + (number / 2 % 28_000) as u16);
    let server = Endpoint::new([127, 0, 0, 1].into(), 8_080);
    let is_client = number.is_multiple_of(2);
    let (local, remote) = if is_client {
        (client, server)
    } else {
        (server, client)
    };
    SocketEvent {
        time: Time(number as i64 * 50),
        change: Change::Closed(Outcome::Finished),
        started: Time(number as i64 * 50 - 700),
        started_before: false,
        side: Some(if is_client {
            Side::Source
        } else {
            Side::Destination
        }),
        socket: Socket {
            transport: Transport::Tcp,
            state: SocketState::Established,
            local,
            remote,
            namespace: 1,
            cookie: number + 1,
            inode: 0,
            user_id: 1_000,
            cgroup_id: 0,
            traffic: Some(Traffic::default()),
            owners: Owners::Used(key(number % 50)),
        },
    }
}
