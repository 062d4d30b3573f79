//! A hundred thousand sockets through the tracker: build with `--release`, take the time with `perf stat` or `time`.
//!
//! `cargo build --release -p atalaya-track --example hundred_thousand`, then
//! `/usr/bin/time -v target/release/examples/hundred_thousand [LOOKS] [SOCKETS]`. With 0 looks it only makes the
//! observations, so that the difference of two runs is the tracker's own cost.

use std::sync::Arc;

use atalaya_model::connection::Traffic;
use atalaya_model::observation::Look;
use atalaya_model::{
    Endpoint, Observation, Owners, Process, ProcessKey, Socket, SocketState, Time, Transport,
};
use atalaya_track::{Options, Tracker};

fn main() {
    let mut arguments = std::env::args()
        .skip(1)
        .filter_map(|text| text.parse::<u64>().ok());
    let looks = arguments.next().unwrap_or(1);
    let sockets = arguments.next().unwrap_or(100_000);
    let mut tracker = Tracker::new(Options::new(Time(0)));
    let mut events = Vec::new();
    let mut told = 0;
    for pid in 0..50u32 {
        let process = Process::bare(key(pid), format!("p{pid}").into(), Time(0));
        tracker.observe(Observation::Process(Time(0), Arc::new(process)), &mut events);
    }
    for look in 0..looks.max(1) {
        let time = Time::from_seconds(look as i64);
        for chunk in 0..sockets.div_ceil(4_096) {
            let rows = (chunk * 4_096..sockets.min((chunk + 1) * 4_096)).map(socket);
            let rows: Vec<Socket> = rows.collect();
            if looks > 0 {
                tracker.observe(Observation::Sockets(time, rows), &mut events);
            } else {
                std::hint::black_box(rows);
            }
        }
        let done = Look {
            namespaces: vec![1],
            ..Look::default()
        };
        tracker.observe(Observation::LookDone(time, done), &mut events);
        told += events.len();
        events.clear();
    }
    #[expect(clippy::print_stdout, reason = "an example says what it did")]
    {
        println!("{} connections, {told} events", tracker.connection_count());
    }
}

fn key(pid: u32) -> ProcessKey {
    ProcessKey { pid, start: 1 }
}

/// Both ends of loopback conversations, every even one a client.
fn socket(number: u64) -> Socket {
    let pair = number / 2;
    let loopback = std::net::IpAddr::from([127, 0, 0, 1 + (pair / 28_000) as u8]);
    let client = Endpoint::new(loopback, 32_768 + (pair % 28_000) as u16);
    let server = Endpoint::new(loopback, 8_000);
    let (local, remote) = if number.is_multiple_of(2) {
        (client, server)
    } else {
        (server, client)
    };
    Socket {
        transport: Transport::Tcp,
        state: SocketState::Established,
        local,
        remote,
        namespace: 1,
        cookie: number + 1,
        inode: number as u32,
        user_id: 0,
        cgroup_id: 1,
        traffic: Some(Traffic::default()),
        owners: Owners::One(key((number % 50) as u32)),
    }
}
