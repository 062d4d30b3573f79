//! What our writers write of real captures comes back when it is read; so does what Zeek's own logs say.

use std::collections::BTreeMap;
use std::sync::Arc;

use atalaya_format::told::{Options, Told, What};
use atalaya_format::{eve, zeek};
use atalaya_model::{Event, Fact, Protocol};
use serde_json::{Value, json};

use crate::replay::{Settings, by_capture, folder, replay, rows, share};

const OPTIONS: Options = Options { query_strings: true };

/// Lines that came back, and all, by their kind.
type Shares = BTreeMap<String, (usize, usize)>;

fn event(told: Told) -> Option<Event> {
    Some(match told.what {
        What::Ended(connection) => Event::new(told.written, Fact::ConnectionClosed(Arc::from(connection))),
        What::Said(time, connection, message) => {
            let connection = Arc::from(connection);
            let message = *message;
            let protocol = Protocol {
                time,
                connection,
                message,
            };
            Event::new(told.written, Fact::Protocol(Arc::new(protocol)))
        }
        What::Odd(_) => return None,
    })
}

fn zeek_lines(event: &Event) -> Vec<Value> {
    let mut lines = Vec::new();
    zeek::lines(&mut String::new(), event, |log, line| {
        if matches!(log, "conn" | "dns" | "ssl" | "http") {
            let mut value: Value = serde_json::from_str(line).unwrap();
            value.as_object_mut().unwrap().remove("uid");
            lines.push(value);
        }
    });
    lines
}

fn eve_lines(event: &Event) -> Vec<Value> {
    let mut text = String::new();
    eve::event(&mut text, event);
    let values = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let wanted = values.filter(|value| {
        matches!(
            value["event_type"].as_str(),
            Some("flow" | "dns" | "tls" | "http")
        )
    });
    let without_names = wanted.map(|mut value| {
        let object = value.as_object_mut().unwrap();
        object.remove("flow_id");
        // The line has it, the record of a conversation that said something does not.
        if object["event_type"] != "flow" {
            object.remove("vlan");
            object.remove("in_iface");
        }
        value
    });
    without_names.collect()
}

fn count(shares: &mut Shares, kind: &str, first: &[Value], again: &[Value]) {
    for line in first {
        let (same, all) = shares.entry(kind.replace("KIND", line_kind(line))).or_default();
        *all += 1;
        if again.contains(line) {
            *same += 1;
        } else if *all - *same <= 3 {
            println!("  {kind} differs: {line}\n            {again:?}");
        }
    }
}

fn line_kind(line: &Value) -> &str {
    line["_path"].as_str().or(line["event_type"].as_str()).unwrap()
}

#[test]
fn lines_of_real_captures_come_back() {
    let mut shares = Shares::new();
    for corpus in ["conn", "app"] {
        let Some(folder) = folder(corpus) else { return };
        for ((capture, checksums), _) in by_capture(rows(&folder.join("expected.jsonl"))) {
            let settings = Settings {
                checksums,
                apart_by_vlan: false,
            };
            replay(&folder.join(capture), settings, &mut |told| {
                let first = zeek_lines(told);
                let mut reader = zeek::read::Reader::new("all.log", OPTIONS);
                let again = first
                    .iter()
                    .filter_map(|line| reader.line(&line.to_string()).unwrap());
                let again: Vec<_> = again
                    .filter_map(event)
                    .flat_map(|event| zeek_lines(&event))
                    .collect();
                count(&mut shares, "Zeek KIND", &first, &again);

                let first = eve_lines(told);
                let mut reader = eve::read::Reader::new(OPTIONS);
                let mut read = Vec::new();
                for line in &first {
                    reader.line(&line.to_string(), &mut read).unwrap();
                }
                reader.finish(&mut read);
                let again: Vec<_> = read
                    .into_iter()
                    .filter_map(event)
                    .flat_map(|it| eve_lines(&it))
                    .collect();
                count(&mut shares, "EVE KIND", &first, &again);
            });
        }
    }
    hold(
        &shares,
        &[
            ("EVE dns", 100.0),
            ("EVE flow", 99.6),
            ("EVE http", 97.3),
            ("EVE tls", 97.5),
            ("Zeek conn", 93.7),
            ("Zeek dns", 99.5),
            ("Zeek http", 100.0),
            ("Zeek ssl", 100.0),
        ],
    );
}

#[test]
fn rows_of_zeeks_own_logs_are_understood() {
    let Some(folder) = folder("conn") else { return };
    let mut shares = Shares::new();
    for row in rows(&folder.join("expected.jsonl")) {
        let log = row["log"].as_str().unwrap();
        if !matches!(log, "conn" | "dns" | "ssl" | "http") {
            continue;
        }
        // What varies was left out of the rows.
        let mut line = json!({"_path": log, "ts": 1_700_000_000.5, "duration": 1.5});
        let fields = row["fields"].as_object().unwrap();
        line.as_object_mut().unwrap().extend(fields.clone());
        let mut reader = zeek::read::Reader::new("", OPTIONS);
        let told = reader.line(&line.to_string()).unwrap().unwrap();
        let again = event(told).map(|event| zeek_lines(&event)).unwrap_or_default();
        for (name, value) in fields {
            let (same, all) = shares.entry(format!("Zeek's own {log}")).or_default();
            *all += 1;
            let found = again.first().map_or(&Value::Null, |line| &line[name]);
            let is_same = found == value || (found.is_number() && found.as_f64() == value.as_f64());
            *same += usize::from(is_same);
            if !is_same && *all - *same <= 12 {
                println!("  {log} {name}: {value} comes back as {found}");
            }
        }
    }
    hold(
        &shares,
        &[
            ("Zeek's own conn", 99.7),
            ("Zeek's own dns", 99.6),
            ("Zeek's own http", 99.9),
            ("Zeek's own ssl", 100.0),
        ],
    );
}

/// Prints the shares, and fails where one is below what was reached.
fn hold(shares: &Shares, reached: &[(&str, f64)]) {
    for (kind, (same, all)) in shares {
        println!(
            "import: {kind}: {same} of {all} come back ({:.2} %)",
            share(*same, *all)
        );
    }
    for (kind, least) in reached {
        let (same, all) = shares[*kind];
        assert!(share(same, all) >= *least, "{kind}: {same} of {all}");
    }
}
