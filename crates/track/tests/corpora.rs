//! Conversations in other projects' captures, beside what these projects make of them (`$ATALAYA_CORPORA`).
//!
//! Each test prints its share and what differs, and fails where the share is below what was reached.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that tells shares"
)]

#[path = "corpora/replay.rs"]
mod replay;

use std::collections::{BTreeMap, HashMap};

use atalaya_model::{Connection, Endpoint, Transport, community_id};
use atalaya_track::FlowOptions;
use serde_json::Value;

use replay::{expected, folder, replay};

fn endpoint(row: &Value, ip: &str, port: &str) -> Option<Endpoint> {
    Some(Endpoint::new(
        row[ip].as_str()?.parse().ok()?,
        u16::try_from(row[port].as_u64().unwrap_or(0)).ok()?,
    ))
}

/// A connection in the words of Zeek's connection log.
fn zeek(connection: &Connection) -> BTreeMap<&'static str, Value> {
    let wire = connection.wire.as_ref().unwrap();
    let (source, destination) = (connection.source, connection.destination);
    let is_known = matches!(
        connection.transport,
        Transport::Tcp | Transport::Udp | Transport::Icmp | Transport::Icmpv6
    );
    let port = |end: Endpoint| Value::from(if is_known { end.port } else { 0 });
    let proto = match connection.transport {
        Transport::Tcp => "tcp",
        Transport::Udp => "udp",
        Transport::Icmp | Transport::Icmpv6 => "icmp",
        _ => "unknown_transport",
    };
    // Zeek leaves bytes out where all packets have the same time.
    let bytes = |bytes: Option<u64>| match bytes {
        _ if connection.duration().0 == 0 => Value::Null,
        Some(_) if !is_known => Value::from(0),
        bytes => Value::from(bytes),
    };
    let history = if wire.history.is_empty() {
        Value::Null
    } else {
        Value::from(&*wire.history)
    };
    BTreeMap::from([
        ("id.orig_h", Value::from(source.ip.to_string())),
        ("id.orig_p", port(source)),
        ("id.resp_h", Value::from(destination.ip.to_string())),
        ("id.resp_p", port(destination)),
        ("proto", Value::from(proto)),
        ("orig_bytes", bytes(wire.source.payload_bytes)),
        ("resp_bytes", bytes(wire.destination.payload_bytes)),
        ("conn_state", Value::from(wire.state.name())),
        ("history", history),
        ("orig_pkts", Value::from(wire.source.packets)),
        ("orig_ip_bytes", Value::from(wire.source.ip_bytes)),
        ("resp_pkts", Value::from(wire.destination.packets)),
        ("resp_ip_bytes", Value::from(wire.destination.ip_bytes)),
    ])
}

#[test]
fn connections_are_those_of_zeeks_logs() {
    let Some(folder) = folder("conn") else { return };
    let mut rows: BTreeMap<(String, bool), Vec<Value>> = BTreeMap::new();
    for row in expected(&folder).into_iter().filter(|row| row["log"] == "conn") {
        let capture = row["capture"].as_str().unwrap().to_owned();
        let checks = row["checksums"] == "checked";
        rows.entry((capture, checks)).or_default().push(row);
    }
    let (mut fields, mut right) = (0, 0);
    for ((capture, checks), rows) in rows {
        let options = FlowOptions {
            apart_by_vlan: false,
            ..FlowOptions::default()
        };
        let found: Vec<_> = replay(&folder.join(&capture), checks, options)
            .iter()
            .map(zeek)
            .collect();
        // The same test run with other settings tells of the same connections again.
        let mut free: HashMap<String, Vec<bool>> = HashMap::new();
        for row in rows {
            let test = row["test"].as_str().unwrap().to_owned();
            let free = free.entry(test).or_insert_with(|| vec![true; found.len()]);
            let wanted: Vec<(&String, &Value)> = row["fields"]
                .as_object()
                .unwrap()
                .iter()
                .filter(|(name, _)| *name != "service")
                .collect();
            let alike = |found: &BTreeMap<&str, Value>| {
                wanted
                    .iter()
                    .filter(|(name, value)| found[name.as_str()] == **value)
                    .count()
            };
            let ends = |found: &BTreeMap<&str, Value>| {
                let same = |name: &str| found[name] == row["fields"][name];
                same("proto") && ["id.orig_h", "id.resp_h"].into_iter().all(same)
            };
            let best = (0..found.len())
                .filter(|index| free[*index] && ends(&found[*index]))
                .max_by_key(|index| alike(&found[*index]));
            fields += wanted.len();
            let Some(best) = best else {
                println!("{capture}: nothing like {}", row["fields"]);
                continue;
            };
            free[best] = false;
            right += alike(&found[best]);
            for (name, value) in wanted {
                if found[best][name.as_str()] != *value {
                    println!(
                        "{capture}: {name} {} not {value} of {}",
                        found[best][name.as_str()],
                        row["fields"]
                    );
                }
            }
        }
    }
    let share = f64::from(right as u32) * 100.0 / f64::from(fields as u32);
    println!("conn: {right} of {fields} fields, {share:.2} %");
    assert!(share >= 97.8);
}

#[test]
fn flows_have_the_packets_and_bytes_that_ndpi_counts() {
    let Some(folder) = folder("flows") else { return };
    let mut rows: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for row in expected(&folder) {
        rows.entry(row["capture"].as_str().unwrap().to_owned())
            .or_default()
            .push(row);
    }
    let (mut all, mut packets, mut bytes, mut explained) = (0, 0, 0, 0);
    for (capture, rows) in rows {
        let options = FlowOptions {
            apart_by_vlan: false,
            ..FlowOptions::default()
        };
        // Packets and bytes sent by each end: nDPI knows no time-outs.
        let mut sent: HashMap<(Transport, Endpoint, Endpoint), (u64, u64)> = HashMap::new();
        for connection in replay(&folder.join(&capture), false, options) {
            let wire = connection.wire.as_ref().unwrap();
            let (source, destination) = (connection.source, connection.destination);
            for (from, to, lane) in [
                (source, destination, &wire.source),
                (destination, source, &wire.destination),
            ] {
                let counts = sent.entry((connection.transport, from, to)).or_default();
                counts.0 += lane.packets;
                counts.1 += lane.frame_bytes;
            }
        }
        for row in rows {
            let transport = if row["transport"] == "tcp" {
                Transport::Tcp
            } else {
                Transport::Udp
            };
            let source = endpoint(&row, "source", "source_port").unwrap();
            let destination = endpoint(&row, "destination", "destination_port").unwrap();
            let count = |from, to| sent.get(&(transport, from, to)).copied().unwrap_or_default();
            let wanted =
                |packets: &str, bytes: &str| (row[packets].as_u64().unwrap(), row[bytes].as_u64().unwrap());
            let found = (count(source, destination), count(destination, source));
            let wanted = (
                wanted("packets_out", "bytes_out"),
                wanted("packets_in", "bytes_in"),
            );
            all += 1;
            let split = |((a, b), (c, d)): ((u64, u64), (u64, u64))| ((a, c), (b, d));
            let (found, wanted) = (split(found), split(wanted));
            packets += u32::from(found.0 == wanted.0);
            bytes += u32::from(found.1 == wanted.1);
            let is_known = BYTES_COUNTED_OTHERWISE.contains(&&*capture);
            explained += u32::from(found.1 != wanted.1 && is_known);
            if found.0 != wanted.0 || (found.1 != wanted.1 && !is_known) {
                println!("{capture}: {transport:?} {source} {destination}: {found:?}, not {wanted:?}");
            }
        }
    }
    println!("flows: packets of {packets} of {all}, bytes of {bytes} (and {explained} explained)");
    assert_eq!(packets, all);
    assert_eq!(bytes + explained, all);
}

/// nDPI counts the bytes of a packet's first fragment alone (the first two), and frames that claim to be shorter than
/// what was captured of them as short as they claim (the last).
const BYTES_COUNTED_OTHERWISE: [&str; 3] = [
    "dns_fragmented.pcap",
    "dnscrypt-v1-and-resolver-pings.pcap",
    "fins.pcap",
];

#[test]
fn community_ids_are_those_of_the_specification() {
    let Some(folder) = folder("community-id") else {
        return;
    };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "pcap") {
            found.extend(replay(&path, false, FlowOptions::default()));
        }
    }
    let (mut all, mut right) = (0, 0);
    for row in expected(&folder) {
        let transport = Transport::from_number(u8::try_from(row["protocol"].as_u64().unwrap()).unwrap());
        let wanted = row["community_id"].as_str().unwrap();
        let source = endpoint(&row, "source", "source_port");
        let destination = endpoint(&row, "destination", "destination_port");
        let seed = u16::try_from(row["seed"].as_u64().unwrap()).unwrap();
        all += 1;
        let mut ids = found
            .iter()
            .filter(|connection| connection.transport == transport)
            .filter(|connection| {
                let ends = (Some(connection.source), Some(connection.destination));
                let ips = |end: Option<Endpoint>| end.map(|end| end.ip);
                let same = |a, b| ips(ends.0) == ips(a) && ips(ends.1) == ips(b);
                same(source, destination) || same(destination, source)
            })
            .map(|connection| {
                community_id::with_seed(seed, transport, connection.source, connection.destination)
            });
        // The specification also shows the digest in hexadecimal, without base64.
        let in_base64 = row["base64"] == true;
        if ids.any(|id| {
            if in_base64 {
                id == wanted
            } else {
                hexadecimal(&id) == wanted
            }
        }) {
            right += 1;
        } else {
            println!("{row}");
        }
    }
    println!("community-id: {right} of {all}");
    assert_eq!((right, all), (69, 69));
}

/// Captures made to harm: every conversation that is opened is closed, and nothing panics.
#[test]
fn damaged_captures_do_no_harm() {
    let Some(folder) = folder("damaged") else { return };
    let (mut captures, mut connections) = (0, 0);
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        for checksums in [false, true] {
            connections += replay(&path, checksums, FlowOptions::default()).len();
        }
        captures += 1;
    }
    println!("damaged: {connections} conversations in {captures} files, each read twice");
    assert!(captures > 600);
}

/// The id with its base64 part as hexadecimal digits.
fn hexadecimal(id: &str) -> String {
    let (version, coded) = id.split_once(':').unwrap();
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits: String = coded
        .trim_end_matches('=')
        .chars()
        .map(|letter| format!("{:06b}", alphabet.find(letter).unwrap()))
        .collect();
    let digits = bits.as_bytes().chunks_exact(8).map(|byte| {
        let byte = std::str::from_utf8(byte).unwrap();
        format!("{:02x}", u8::from_str_radix(byte, 2).unwrap())
    });
    format!("{version}:{}", digits.collect::<String>())
}
