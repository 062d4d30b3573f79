//! Every capture of the corpora, decoded: nothing panics, and packets and bytes of each conversation are exact.
//!
//! A plain count by addresses and ports is all that is needed here; connections are the tracker's.

#![expect(
    clippy::let_underscore_must_use,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that tells shares, and whose frames need not be packets"
)]

use std::collections::HashMap;
use std::fs::{self, File};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use atalaya_wire::capture::Reader;
use atalaya_wire::packet::Options;
use atalaya_wire::{Decoder, Frame, Packet, Segment};
use serde_json::Value;

/// Rows whose bytes differ, each for a reason: the reference counts only the first frame of a packet in fragments
/// (`dns*`), and of frames that were cut only what was captured (`fins`).
const OTHER_BYTES: [&str; 3] = [
    "dns_fragmented.pcap",
    "dnscrypt-v1-and-resolver-pings.pcap",
    "fins.pcap",
];

/// Zeek counts no bytes for packets whose length was left to the network card (0): three connections here.
const NO_LENGTH: [&str; 1] = ["ldap-missing_ldap_logs.pcapng"];

type End = (IpAddr, u16);

/// What one end sent to another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Lane {
    packets: u64,
    ip_bytes: u64,
    frame_bytes: u64,
}

/// By transport and ends.
type Lanes = HashMap<(&'static str, End, End), Lane>;

fn corpora() -> Option<PathBuf> {
    let folder = std::env::var_os("ATALAYA_CORPORA").map(PathBuf::from);
    if folder.is_none() {
        println!("skipped: no corpora");
    }
    folder
}

/// Gives every frame of a capture up to its first damage.
fn read(path: &Path, take: &mut dyn FnMut(&Frame<'_>)) {
    let Ok(mut reader) = Reader::open(Box::new(File::open(path).unwrap())) else {
        return;
    };
    while let Ok(Some(frame)) = reader.next() {
        take(&frame);
    }
}

fn ends(packet: &Packet<'_>) -> Option<(&'static str, End, End)> {
    let (transport, source, destination) = match packet.segment {
        Segment::Tcp {
            source_port,
            destination_port,
            ..
        } => ("tcp", source_port, destination_port),
        Segment::Udp {
            source_port,
            destination_port,
            ..
        } => ("udp", source_port, destination_port),
        _ => return None,
    };
    Some((
        transport,
        (packet.ip.source, source),
        (packet.ip.destination, destination),
    ))
}

fn lanes(path: &Path, options: Options) -> Lanes {
    let mut lanes = Lanes::new();
    let mut decoder = Decoder::new(options);
    read(path, &mut |frame| {
        let _ = decoder.decode(frame, &mut |packet| {
            if let Some(ends) = ends(packet) {
                let lane = lanes.entry(ends).or_default();
                lane.packets += 1;
                lane.ip_bytes += u64::from(packet.ip.length);
                lane.frame_bytes += u64::from(packet.frame_bytes);
            }
        });
    });
    lanes
}

fn rows(folder: &Path) -> Vec<Value> {
    let text = fs::read_to_string(folder.join("expected.jsonl")).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Both ways of a row's conversation.
fn ways(lanes: &Lanes, transport: &str, source: End, destination: End) -> [Lane; 2] {
    let transport = if transport == "tcp" { "tcp" } else { "udp" };
    [(source, destination), (destination, source)]
        .map(|(from, to)| lanes.get(&(transport, from, to)).copied().unwrap_or_default())
}

fn end(row: &Value, address: &str, port: &str) -> End {
    let port = u16::try_from(row[port].as_u64().unwrap()).unwrap();
    (row[address].as_str().unwrap().parse().unwrap(), port)
}

#[test]
fn no_capture_breaks_it() {
    let Some(corpora) = corpora() else { return };
    for folder in [
        "flows",
        "conn",
        "app",
        "damaged",
        "detection",
        "ja4",
        "community-id",
    ] {
        let [mut frames, mut packets] = [0, 0];
        for entry in fs::read_dir(corpora.join(folder)).unwrap() {
            for (checksums, outer) in [(false, true), (true, false)] {
                let options = Options {
                    checksums,
                    outer,
                    ..Options::default()
                };
                let mut decoder = Decoder::new(options);
                read(&entry.as_ref().unwrap().path(), &mut |frame| {
                    let _ = decoder.decode(frame, &mut |packet| {
                        assert!(packet.frames > 0 && packet.tunnels.len() <= 4);
                    });
                });
                let counts = decoder.counts();
                let told = counts.packets
                    + counts.arp
                    + counts.not_ip
                    + counts.unknown_link
                    + counts.damaged
                    + counts.checksum
                    + counts.fragments;
                assert!(told >= counts.frames, "every frame is accounted for: {counts:?}");
                if options == Options::default() {
                    frames += counts.frames;
                    packets += counts.packets;
                }
            }
        }
        println!("{folder}: {frames} frames, {packets} packets");
    }
}

#[test]
fn flows_are_counted_exactly() {
    let Some(corpora) = corpora() else { return };
    let folder = corpora.join("flows");
    let rows = rows(&folder);
    let mut captures: HashMap<&str, Lanes> = HashMap::new();
    let [mut packets_exact, mut bytes_exact] = [0, 0];
    for row in &rows {
        let capture = row["capture"].as_str().unwrap();
        let lanes = captures
            .entry(capture)
            .or_insert_with(|| lanes(&folder.join(capture), Options::default()));
        let [out, back] = ways(
            lanes,
            row["transport"].as_str().unwrap(),
            end(row, "source", "source_port"),
            end(row, "destination", "destination_port"),
        );
        let number = |name: &str| row[name].as_u64().unwrap();
        let packets = [out.packets, back.packets] == [number("packets_out"), number("packets_in")];
        let bytes = [out.frame_bytes, back.frame_bytes] == [number("bytes_out"), number("bytes_in")];
        packets_exact += usize::from(packets);
        bytes_exact += usize::from(bytes);
        let explained = packets && (bytes || OTHER_BYTES.contains(&capture));
        assert!(explained, "{row}: {out:?} {back:?}");
    }
    println!(
        "flows: {} rows, packets exact in {packets_exact}, bytes in {bytes_exact}",
        rows.len()
    );
    assert_eq!([packets_exact, bytes_exact], [3426, 3300]);
}

#[test]
fn connections_are_counted_exactly() {
    let Some(corpora) = corpora() else { return };
    let folder = corpora.join("conn");
    let [mut all, mut exact] = [0, 0];
    for row in rows(&folder) {
        let fields = &row["fields"];
        let transport = fields["proto"].as_str().unwrap_or_default();
        // those that time-outs split, and tunnels that the reference leaves shut, are not confirmed
        if row["log"] != "conn" || !["tcp", "udp"].contains(&transport) || row["confirmed"] != true {
            continue;
        }
        let capture = row["capture"].as_str().unwrap();
        let options = Options {
            checksums: row["checksums"] == "checked",
            ..Options::default()
        };
        let [out, back] = ways(
            &lanes(&folder.join(capture), options),
            transport,
            end(fields, "id.orig_h", "id.orig_p"),
            end(fields, "id.resp_h", "id.resp_p"),
        );
        let same = [
            ("orig_pkts", out.packets),
            ("resp_pkts", back.packets),
            ("orig_ip_bytes", out.ip_bytes),
            ("resp_ip_bytes", back.ip_bytes),
        ]
        .iter()
        .all(|(name, got)| fields[name].as_u64().is_none_or(|expected| expected == *got));
        assert!(same || NO_LENGTH.contains(&capture), "{row}: {out:?} {back:?}");
        all += 1;
        exact += usize::from(same);
    }
    println!("conn: {all} confirmed rows, exact {exact}");
    assert_eq!([all, exact], [168, 165]);
}
