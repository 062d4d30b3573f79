//! Every capture of the corpora, decoded: nothing panics, and packets and bytes of each conversation are exact.

use std::collections::HashMap;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use atalaya_wire::capture::Reader;
use atalaya_wire::packet::Options;
use atalaya_wire::{Decoder, Frame, Packet, Segment};
use serde_json::Value;

fn corpora() -> Option<PathBuf> {
    let folder = std::env::var_os("ATALAYA_CORPORA").map(PathBuf::from);
    if folder.is_none() {
        println!("skipped: no corpora");
    }
    folder
}

fn captures(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut captures: Vec<_> = entries
        .filter(|path| {
            path.extension()
                .is_some_and(|ending| ending.to_string_lossy().contains("cap"))
        })
        .collect();
    captures.sort();
    captures
}

/// Gives every frame of a capture up to its first damage.
fn read(path: &Path, take: &mut dyn FnMut(&Frame<'_>)) {
    let file = fs::File::open(path).unwrap();
    let Ok(mut reader) = Reader::open(Box::new(file)) else {
        return;
    };
    while let Ok(Some(frame)) = reader.next() {
        take(&frame);
    }
}

type End = (IpAddr, u16);

/// Packets, IP bytes and frame bytes of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Lane {
    packets: u64,
    ip_bytes: u64,
    frame_bytes: u64,
}

/// What each end sent to each other, by transport.
type Lanes = HashMap<(&'static str, End, End), Lane>;

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
        Segment::Sctp {
            source_port,
            destination_port,
            ..
        } => ("sctp", source_port, destination_port),
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

fn end(row: &Value, address: &str, port: &str) -> End {
    let text = row[address].as_str().unwrap();
    (text.parse().unwrap(), row[port].as_u64().unwrap() as u16)
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
        let mut all = atalaya_wire::packet::Counts::default();
        for path in captures(&corpora.join(folder)) {
            for checksums in [false, true] {
                let mut decoder = Decoder::new(Options {
                    checksums,
                    ..Options::default()
                });
                read(&path, &mut |frame| {
                    let _ = decoder.decode(frame, &mut |packet| {
                        assert!(packet.frames > 0 && packet.tunnels.len() <= 4);
                    });
                });
                let counts = decoder.counts();
                if std::env::var_os("VERBOSE").is_some() && !checksums {
                    println!("{} {counts:?}", path.display());
                }
                if !checksums {
                    all.frames += counts.frames;
                    all.packets += counts.packets;
                    all.damaged += counts.damaged;
                    all.not_ip += counts.not_ip;
                    all.unknown_link += counts.unknown_link;
                }
            }
        }
        println!("{folder}: {all:?}");
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
        let transport = row["transport"].as_str().unwrap();
        let transport = match transport {
            "tcp" => "tcp",
            "udp" => "udp",
            "sctp" => "sctp",
            other => panic!("{other}"),
        };
        let [source, destination] = [
            end(row, "source", "source_port"),
            end(row, "destination", "destination_port"),
        ];
        let out = lanes
            .get(&(transport, source, destination))
            .copied()
            .unwrap_or_default();
        let back = lanes
            .get(&(transport, destination, source))
            .copied()
            .unwrap_or_default();
        let number = |name: &str| row[name].as_u64().unwrap();
        let packets = [out.packets, back.packets] == [number("packets_out"), number("packets_in")];
        let bytes = [out.frame_bytes, back.frame_bytes] == [number("bytes_out"), number("bytes_in")];
        packets_exact += usize::from(packets);
        bytes_exact += usize::from(bytes);
        if !packets || !bytes {
            println!("{row}\n   {out:?} {back:?}");
        }
    }
    println!(
        "flows: {} rows, packets exact {packets_exact}, bytes exact {bytes_exact}",
        rows.len()
    );
}

#[test]
fn connections_are_counted_exactly() {
    let Some(corpora) = corpora() else { return };
    let folder = corpora.join("conn");
    let [mut all, mut exact] = [0, 0];
    for row in rows(&folder) {
        let fields = &row["fields"];
        let transport = match fields["proto"].as_str() {
            Some("tcp") => "tcp",
            Some("udp") => "udp",
            _ => continue,
        };
        if row["log"] != "conn" {
            continue;
        }
        let confirmed = row["confirmed"] == true;
        let checksums = row["checksums"] == "checked";
        let capture = folder.join(row["capture"].as_str().unwrap());
        let lanes = lanes(
            &capture,
            Options {
                checksums,
                ..Options::default()
            },
        );
        let [source, destination] = [
            end(fields, "id.orig_h", "id.orig_p"),
            end(fields, "id.resp_h", "id.resp_p"),
        ];
        let out = lanes
            .get(&(transport, source, destination))
            .copied()
            .unwrap_or_default();
        let back = lanes
            .get(&(transport, destination, source))
            .copied()
            .unwrap_or_default();
        let number = |name: &str| fields[name].as_u64();
        let same = [
            (number("orig_pkts"), out.packets),
            (number("resp_pkts"), back.packets),
            (number("orig_ip_bytes"), out.ip_bytes),
            (number("resp_ip_bytes"), back.ip_bytes),
        ]
        .iter()
        .all(|(expected, got)| expected.is_none_or(|expected| expected == *got));
        if confirmed {
            all += 1;
            exact += usize::from(same);
        }
        if !same {
            println!(
                "confirmed {confirmed} {} {fields}\n   {out:?} {back:?}",
                row["capture"]
            );
        }
    }
    println!("conn: {all} confirmed rows, exact {exact}");
}
