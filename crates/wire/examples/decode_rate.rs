//! Nanoseconds of CPU that a frame takes to decode: over frames made here, or over a capture read into memory.
//!
//! `cargo run --release -p atalaya-wire --example decode_rate [CAPTURE]…`

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::let_underscore_must_use,
    reason = "it measures, and tells what it measured"
)]

use std::fs::File;
use std::time::Instant;

use atalaya_model::Time;
use atalaya_wire::capture::{CaptureError, Reader};
use atalaya_wire::packet::Options;
use atalaya_wire::{Decoder, Frame, LinkType, Segment};

/// A frame that owns its bytes.
struct Kept {
    link: LinkType,
    length: u32,
    data: Vec<u8>,
}

fn main() -> Result<(), CaptureError> {
    let paths: Vec<String> = std::env::args().skip(1).collect();
    measure("made here", &made());
    for path in paths {
        let mut kept = Vec::new();
        let Ok(file) = File::open(&path) else {
            println!("{path}: cannot be opened");
            continue;
        };
        let mut reader = Reader::open(Box::new(file))?;
        while let Some(frame) = reader.next()? {
            kept.push(Kept {
                link: frame.link,
                length: frame.length,
                data: frame.data.to_vec(),
            });
        }
        measure(&path, &kept);
    }
    Ok(())
}

fn measure(name: &str, frames: &[Kept]) {
    for checksums in [false, true] {
        let mut decoder = Decoder::new(Options {
            checksums,
            ..Options::default()
        });
        let rounds = 4_000_000 / frames.len().max(1);
        let [mut packets, mut bytes] = [0_u64, 0_u64];
        let begin = Instant::now();
        for _ in 0..rounds {
            for kept in frames {
                let frame = Frame {
                    time: Time(0),
                    link: kept.link,
                    interface: 0,
                    length: kept.length,
                    data: &kept.data,
                    vlan: None,
                };
                // damaged ones are part of what is measured
                let _ = decoder.decode(&frame, &mut |packet| {
                    packets += 1;
                    if let Segment::Tcp { length, .. } | Segment::Udp { length, .. } = packet.segment {
                        bytes += u64::from(length);
                    }
                });
            }
        }
        let nanoseconds = begin.elapsed().as_nanos() as f64;
        println!(
            "{name}: {:.1} ns a frame{} ({} frames, {packets} packets, {bytes} bytes of payload)",
            nanoseconds / (rounds * frames.len()) as f64,
            if checksums { ", checksums checked" } else { "" },
            rounds * frames.len(),
        );
    }
}

/// TCP and UDP over IPv4 and IPv6, every seventh in a VLAN, of mixed lengths.
fn made() -> Vec<Kept> {
    (0..4096_usize).map(one).collect()
}

fn one(number: usize) -> Kept {
    let [v6, udp, tagged] = [
        number.is_multiple_of(3),
        number.is_multiple_of(4),
        number.is_multiple_of(7),
    ];
    let payload = (number * 37) % 900;
    let segment = payload + if udp { 8 } else { 20 };
    let mut data = vec![2; 12];
    if tagged {
        data.extend([0x81, 0, 0, 7]);
    }
    let protocol = if udp { 17 } else { 6 };
    let host = (number % 251) as u8;
    if v6 {
        data.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
        data.extend((segment as u16).to_be_bytes());
        data.extend([protocol, 64]);
        data.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, host]);
        data.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, host]);
    } else {
        data.extend([8, 0, 0x45, 0]);
        data.extend((segment as u16 + 20).to_be_bytes());
        data.extend([0, 1, 0x40, 0, 64, protocol, 0, 0, 10, 0, 0, host, 10, 0, 1, host]);
    }
    data.extend([0x9c, host, 0x01, 0xbb]);
    if udp {
        data.extend((segment as u16).to_be_bytes());
        data.extend([0, 0]);
    } else {
        data.extend([0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x18, 1, 0, 0, 0, 0, 0]);
    }
    data.resize(data.len() + payload, 0x5a);
    Kept {
        link: LinkType::ETHERNET,
        length: data.len() as u32,
        data,
    }
}
