//! Records in Zeek's words beside the logs of its own tests.

use std::collections::{BTreeMap, HashMap};

use atalaya_format::zeek;
use serde_json::{Map, Value};

use crate::replay::{Settings, by_capture, folder, replay, rows, share};

/// A record has this value; `null` is for what must be left out.
fn has(record: &Value, name: &str, value: &Value) -> bool {
    same(record.get(name).unwrap_or(&Value::Null), value)
}

/// Equal; numbers by their values, however they are written.
fn same(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Number(found), Value::Number(wanted)) => found.as_f64() == wanted.as_f64(),
        (Value::Array(found), Value::Array(wanted)) => {
            found.len() == wanted.len() && found.iter().zip(wanted).all(|(one, other)| same(one, other))
        }
        _ => found == wanted,
    }
}

/// A test of Zeek's whose script writes the client's address without its last two bytes.
const MASKING: &str = "language.init-in-anon-function";

/// Two records are only about the same where the addresses are equal.
fn is_candidate(record: &Value, row: &Value, fields: &Map<String, Value>) -> bool {
    let client = row["test"] == MASKING || has(record, "id.orig_h", &fields["id.orig_h"]);
    client && has(record, "id.resp_h", &fields["id.resp_h"])
}

/// For each wanted row, the record that is most like it; each record is given once to each test.
fn pair(wanted: &[Value], records: &[Value]) -> Vec<Option<usize>> {
    let mut taken: HashMap<&str, Vec<bool>> = HashMap::new();
    let mut pairs = vec![None; wanted.len()];
    let mut ranked = Vec::new();
    for (row, expected) in wanted.iter().enumerate() {
        let fields = expected["fields"].as_object().unwrap();
        for (index, record) in records.iter().enumerate() {
            if is_candidate(record, expected, fields) {
                let wrong = fields
                    .iter()
                    .filter(|(name, value)| !has(record, name, value))
                    .count();
                ranked.push((wrong, row, index));
            }
        }
    }
    ranked.sort_unstable();
    for (_, row, index) in ranked {
        let test = wanted[row]["test"].as_str().unwrap();
        let taken = taken.entry(test).or_insert_with(|| vec![false; records.len()]);
        if pairs[row].is_none() && !taken[index] {
            taken[index] = true;
            pairs[row] = Some(index);
        }
    }
    pairs
}

#[test]
fn fields_are_those_of_zeeks_logs() {
    let Some(folder) = folder("conn") else { return };
    let mut logs: BTreeMap<String, (usize, usize, usize)> = BTreeMap::new();
    for ((capture, checksums), rows) in by_capture(rows(&folder.join("expected.jsonl"))) {
        let mut records: HashMap<&str, Vec<Value>> = HashMap::new();
        let mut line = String::new();
        let settings = Settings {
            checksums,
            apart_by_vlan: false,
        };
        replay(&folder.join(&capture), settings, &mut |event| {
            zeek::lines(&mut line, event, |log, line| {
                let record = serde_json::from_str(line).unwrap();
                records.entry(log).or_default().push(record);
            });
        });
        let mut wanted: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for row in rows {
            let log = row["log"].as_str().unwrap().to_owned();
            wanted.entry(log).or_default().push(row);
        }
        for (log, wanted) in wanted {
            let records = records.remove(&*log).unwrap_or_default();
            let (rows, right, all) = logs.entry(log.clone()).or_default();
            for (row, index) in wanted.iter().zip(pair(&wanted, &records)) {
                let fields = row["fields"].as_object().unwrap();
                *rows += 1;
                *all += fields.len();
                let Some(index) = index else {
                    println!("{capture}: {log}: nothing like {}", row["fields"]);
                    continue;
                };
                let record = &records[index];
                for (name, value) in fields {
                    if has(record, name, value) {
                        *right += 1;
                    } else {
                        let found = record.get(name).unwrap_or(&Value::Null);
                        println!(
                            "{capture}: {log} of {}: {name}: {found}, not {value}",
                            record["uid"]
                        );
                    }
                }
            }
        }
    }
    let (mut said, mut everything) = ((0, 0), (0, 0));
    for (log, (rows, right, all)) in &logs {
        println!(
            "conn: {log}: {rows} rows, {right} of {all} fields, {:.2} %",
            share(*right, *all)
        );
        everything = (everything.0 + right, everything.1 + all);
        if log != "conn" {
            said = (said.0 + right, said.1 + all);
        }
    }
    for (what, (right, all)) in [("all logs", everything), ("all but conn", said)] {
        println!(
            "conn: {what}: {right} of {all} fields, {:.2} %",
            share(right, all)
        );
    }
    assert!(
        everything.0 >= FLOOR && said.0 >= FLOOR_SAID,
        "fewer fields than were reached before"
    );
}

/// Fields of all logs that were reached, and of those of protocols.
const FLOOR: usize = 6_433;
const FLOOR_SAID: usize = 3_020;
