//! Records in Suricata's words beside those that its own tests ask for.

use std::collections::BTreeMap;

use atalaya_format::eve;
use atalaya_model::{Endpoint, Transport, community_id};
use serde_json::{Map, Value};

use crate::replay::{Settings, by_capture, folder, replay, rows, share};

/// Members of records that are not made, and why.
const LEFT_OUT: [(&str, &str); 7] = [
    ("email.body_md5", "bodies of e-mails"),
    ("email.url", "bodies of e-mails"),
    ("email.attachment", "bodies of e-mails"),
    ("email.received", "raw heads"),
    ("http.request_headers", "raw heads"),
    ("http.response_headers", "raw heads"),
    ("quic.cyu", "fingerprints of user agents"),
];

/// Why a row asks for what is not told.
fn left_out(row: &Value) -> Option<&'static str> {
    let wanted = row["match"].as_object().unwrap();
    if wanted.get("app_proto").is_some_and(|name| name == "dnp3") {
        return Some("DNP3");
    }
    wanted
        .keys()
        .find_map(|name| LEFT_OUT.iter().find(|(member, _)| name.starts_with(member)))
        .map(|(_, reason)| *reason)
}

/// A member by its path: `dns.answers[0].rdata`.
fn member<'a>(record: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(record, |value, step| {
        let (name, index) = match step.split_once('[') {
            Some((name, index)) => (name, Some(index.trim_end_matches(']'))),
            None => (step, None),
        };
        let value = value.get(name)?;
        match index {
            Some(index) => value.get(index.parse::<usize>().ok()?),
            None => Some(value),
        }
    })
}

/// The members that are not as wanted.
fn differences(record: &Value, wanted: &Map<String, Value>) -> Vec<String> {
    wanted
        .iter()
        .filter(|(path, value)| member(record, path) != Some(value))
        .map(|(path, value)| {
            let found = member(record, path).map_or_else(|| "nothing".to_owned(), Value::to_string);
            format!("{path}: {found}, not {value}")
        })
        .collect()
}

/// A record with the community id for the seed of Suricata's tests.
fn seeded(mut record: Value, capture: &str) -> Value {
    let seed = if capture == "community-id-sameip.pcap" {
        1
    } else {
        7
    };
    let transport = match record["proto"].as_str() {
        Some("TCP") => Transport::Tcp,
        Some("UDP") => Transport::Udp,
        _ => return record,
    };
    let [source, destination] = ["src", "dest"].map(|side| {
        let ip = record[format!("{side}_ip")].as_str().unwrap();
        let port = record[format!("{side}_port")].as_u64().unwrap();
        Endpoint::new(ip.parse().unwrap(), u16::try_from(port).unwrap())
    });
    record["community_id"] = community_id::with_seed(seed, transport, source, destination).into();
    record
}

#[test]
fn records_are_those_that_suricatas_tests_ask_for() {
    let Some(folder) = folder("app") else { return };
    let mut kinds: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let mut skipped = 0;
    for ((capture, _), wanted) in by_capture(rows(&folder.join("expected.jsonl"))) {
        let mut text = String::new();
        let settings = Settings {
            // Suricata counts packets with wrong checksums like others, and reads datagrams of such, too.
            checksums: false,
            apart_by_vlan: true,
        };
        replay(&folder.join(&capture), settings, &mut |event| {
            eve::event(&mut text, event);
        });
        let records: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .map(|record| seeded(record, &capture))
            .collect();
        for row in wanted {
            let test = row["test"].as_str().unwrap();
            let kind = row["event_type"].as_str().unwrap();
            if let Some(reason) = left_out(&row) {
                println!("skipped ({reason}): {kind} of {test}, {capture}");
                skipped += 1;
                continue;
            }
            let wanted = row["match"].as_object().unwrap();
            let of_kind: Vec<&Value> = records
                .iter()
                .filter(|record| record["event_type"] == kind)
                .collect();
            let found = of_kind
                .iter()
                .filter(|record| differences(record, wanted).is_empty())
                .count();
            let count = usize::try_from(row["count"].as_u64().unwrap()).unwrap();
            let is_right = if row["compare"] == "equal" {
                found == count
            } else {
                found >= count
            };
            let (right, all) = kinds.entry(kind.to_owned()).or_default();
            *all += 1;
            *right += usize::from(is_right);
            if !is_right {
                let nearest = of_kind.iter().map(|record| differences(record, wanted));
                let nearest = nearest.filter(|them| !them.is_empty()).min_by_key(Vec::len);
                println!(
                    "{capture}: {kind} of {test}: {found} of {} records, not {count}: {}",
                    of_kind.len(),
                    nearest.unwrap_or_default().join("; ")
                );
            }
        }
    }
    for (kind, (right, all)) in &kinds {
        println!("app: {kind}: {right} of {all}");
    }
    let right = kinds.values().map(|(right, _)| right).sum();
    let all = kinds.values().map(|(_, all)| all).sum();
    println!(
        "app: {right} of {all} rows, {:.2} %; {skipped} skipped",
        share(right, all)
    );
    assert_eq!(all + skipped, 168);
    assert!(right >= FLOOR, "fewer rows than were reached before");
}

/// Rows that were reached.
const FLOOR: usize = 149;
