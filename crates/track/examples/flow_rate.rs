//! What the table of conversations costs: time a packet and memory a conversation, over packets made here.
//!
//! `cargo run --release -p atalaya-track --example flow_rate`

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "a measurement"
)]

use std::time::Instant;

use atalaya_model::{Event, Time};
use atalaya_track::{FlowOptions, Options, Tracker};
use atalaya_wire::{Frame, LinkType, packet};

/// A raw IPv4 packet in `bytes`; its length.
fn write(
    bytes: &mut [u8; 128],
    protocol: u8,
    ends: [(u32, u16); 2],
    numbers: (u32, u32, u8),
    payload: &[u8],
) -> usize {
    let head = if protocol == 6 { 20 } else { 8 };
    let length = 20 + head + payload.len();
    bytes.fill(0);
    bytes[0] = 0x45;
    bytes[2..4].copy_from_slice(&(length as u16).to_be_bytes());
    bytes[8] = 64;
    bytes[9] = protocol;
    for (index, (address, port)) in ends.into_iter().enumerate() {
        bytes[12 + 4 * index..16 + 4 * index].copy_from_slice(&address.to_be_bytes());
        bytes[20 + 2 * index..22 + 2 * index].copy_from_slice(&port.to_be_bytes());
    }
    if protocol == 6 {
        bytes[24..28].copy_from_slice(&numbers.0.to_be_bytes());
        bytes[28..32].copy_from_slice(&numbers.1.to_be_bytes());
        bytes[32] = 0x50;
        bytes[33] = numbers.2;
        bytes[34] = 0xff;
    } else {
        bytes[24..26].copy_from_slice(&((8 + payload.len()) as u16).to_be_bytes());
    }
    bytes[20 + head..length].copy_from_slice(payload);
    length
}

struct Bench {
    tracker: Tracker,
    bytes: [u8; 128],
    now: i64,
    step: i64,
    out: Vec<Event>,
    packets: u64,
    events: u64,
    most: (usize, usize),
}

impl Bench {
    fn new(most: usize, step: i64) -> Self {
        let mut tracker = Tracker::new(Options::new(Time(0)));
        let options = FlowOptions {
            most,
            ..FlowOptions::default()
        };
        tracker.read_packets(packet::Options::default(), options, None);
        Self {
            tracker,
            bytes: [0; 128],
            now: 1_700_000_000_000_000,
            step,
            out: Vec::new(),
            packets: 0,
            events: 0,
            most: (0, 0),
        }
    }

    fn send(&mut self, protocol: u8, ends: [(u32, u16); 2], numbers: (u32, u32, u8), payload: &[u8]) {
        let length = write(&mut self.bytes, protocol, ends, numbers, payload);
        self.now += self.step;
        let frame = Frame {
            time: Time(self.now),
            link: LinkType::RAW,
            interface: 0,
            length: length as u32,
            data: &self.bytes[..length],
            vlan: None,
        };
        self.tracker.frame(&frame, &mut self.out);
        self.packets += 1;
        self.events += self.out.len() as u64;
        self.out.clear();
        if self.packets.is_multiple_of(999_983) {
            self.most = self
                .most
                .max((self.tracker.flow_count(), self.tracker.flow_bytes()));
        }
    }
}

fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split(' ')
        .nth(1)
        .and_then(|pages| pages.parse::<u64>().ok())
        .unwrap_or(0)
        / 256
}

fn measure(name: &str, mut bench: Bench, run: impl FnOnce(&mut Bench)) {
    let began = Instant::now();
    run(&mut bench);
    let took = began.elapsed().as_nanos() as f64;
    bench.most = bench
        .most
        .max((bench.tracker.flow_count(), bench.tracker.flow_bytes()));
    let (flows, bytes) = bench.most;
    println!(
        "{name}: {:.0} ns a packet, {} packets, {} events, most {flows} conversations at {} bytes each, {} MB resident",
        took / bench.packets as f64,
        bench.packets,
        bench.events,
        bytes / flows.max(1),
        resident()
    );
}

const SERVER: (u32, u16) = (0xc000_0201, 9_999);

fn main() {
    measure(
        "few flows, data and acknowledgments",
        Bench::new(400_000, 1),
        |bench| {
            let text = [7; 60];
            for round in 0..20_000u32 {
                for flow in 0..100u16 {
                    let client = (0x0a00_0001, 20_000 + flow);
                    let at = 1 + round * 60;
                    bench.send(6, [client, SERVER], (at, 1, 0x18), &text);
                    bench.send(6, [SERVER, client], (1, at + 60, 0x10), &[]);
                }
            }
        },
    );
    measure(
        "short TCP conversations of ten packets",
        Bench::new(400_000, 10),
        |bench| {
            for flow in 0..200_000u32 {
                let client = (0x0a00_0000 + flow / 30_000, 20_000 + (flow % 30_000) as u16);
                bench.send(6, [client, SERVER], (0, 0, 2), &[]);
                bench.send(6, [SERVER, client], (0, 1, 0x12), &[]);
                bench.send(6, [client, SERVER], (1, 1, 0x10), &[]);
                bench.send(6, [client, SERVER], (1, 1, 0x18), b"\x01\x02hello there");
                bench.send(6, [SERVER, client], (1, 14, 0x10), &[]);
                bench.send(6, [SERVER, client], (1, 14, 0x18), b"\x01\x02and so on");
                bench.send(6, [client, SERVER], (14, 12, 0x10), &[]);
                bench.send(6, [client, SERVER], (14, 12, 0x11), &[]);
                bench.send(6, [SERVER, client], (12, 15, 0x11), &[]);
                bench.send(6, [client, SERVER], (15, 13, 0x10), &[]);
            }
        },
    );
    measure("UDP pairs", Bench::new(400_000, 5), |bench| {
        for flow in 0..1_000_000u32 {
            let client = (0x0a00_0000 + flow / 30_000, 20_000 + (flow % 30_000) as u16);
            bench.send(17, [client, SERVER], (0, 0, 0), b"\x01\x02hello there");
            bench.send(17, [SERVER, client], (0, 0, 0), b"\x01\x02and so on");
        }
    });
    measure("a flood of 3,000,000 SYNs", Bench::new(400_000, 2), |bench| {
        for flow in 0..3_000_000u32 {
            bench.send(6, [(0x0b00_0000 + flow, 1_234), SERVER], (flow, 0, 2), &[]);
        }
    });
    measure(
        "1,000,000 conversations at once",
        Bench::new(1_100_000, 1),
        |bench| {
            for round in 0..2 {
                for flow in 0..1_000_000u32 {
                    let client = (0x0c00_0000 + flow, 40_000);
                    bench.send(6, [client, SERVER], (1, 1, 0x10), &[]);
                    if round == 1 {
                        bench.send(6, [SERVER, client], (1, 1, 0x10), &[]);
                    }
                }
            }
        },
    );
}
