//! One of each record in each format, as snapshots; and what hostile names may not do in any of them.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test stops at what it did not expect"
)]

mod asked;
mod foreign;
mod page;
mod said;
mod samples;
mod tables;

use std::collections::BTreeSet;
use std::sync::Arc;

use atalaya_format::text::{self, Style};
use atalaya_format::{Context, Language, basic, csv, ecs, sentence};
use atalaya_model::fields::{self, Kind, Record};
use atalaya_model::{Alert, Severity, Span, Text, Value};
use samples::START;

fn context() -> Context {
    Context {
        host_name: "bastion".into(),
        host_id: Some("f81d4fae".into()),
        version: "0.1.0".into(),
        language: Language::English,
        of_captures: false,
    }
}

fn json(write: impl Fn(&mut String, &Context)) -> serde_json::Value {
    let mut out = String::new();
    write(&mut out, &context());
    assert!(!out.contains('\n'), "one line: {out}");
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
}

/// Local times differ from machine to machine.
fn steady(text: &str) -> String {
    [START, START.after(Span::from_seconds(60))]
        .iter()
        .fold(text.to_owned(), |text, time| {
            let text = text.replace(&time.local(), "YYYY-MM-DD HH:MM:SS");
            text.replace(&time.local_clock(), "HH:MM:SS")
        })
}

#[test]
fn ecs_records() {
    let (connection, listener) = (samples::connection(samples::process()), samples::listener());
    let (process, alert, gap) = (samples::process(), samples::alert(), samples::gap());
    let (refused, ended) = (samples::refused(samples::process()), samples::ended());
    for (name, record) in [
        ("connection", Record::Connection(&connection)),
        ("connection_refused", Record::Connection(&refused)),
        ("process", Record::Process(&process)),
        ("process_ended", Record::Process(&ended)),
        ("listener", Record::Listener(&listener)),
        ("alert", Record::Alert(&alert)),
        ("gap", Record::Gap(&gap)),
    ] {
        insta::assert_json_snapshot!(
            format!("ecs_{name}"),
            json(|out, context| ecs::record(out, record, context))
        );
    }
}

#[test]
fn ecs_events() {
    // The fields are in the snapshots of the records; here what an event adds.
    let heads: Vec<_> = samples::events()
        .iter()
        .map(|event| json(|out, context| ecs::event(out, event, context)))
        .map(|value| {
            serde_json::json!({
                "@timestamp": value["@timestamp"],
                "event": value["event"],
                "tier": value["atalaya"]["tier"],
            })
        })
        .collect();
    insta::assert_json_snapshot!(heads);
}

#[test]
fn ecs_alert_rows() {
    let rows: Vec<_> = samples::alert_rows()
        .iter()
        .skip(1)
        .map(|row| json(|out, context| ecs::alert_record(out, row, context)))
        .collect();
    insta::assert_json_snapshot!(rows);
    let raised = &samples::alert_rows()[0];
    assert_eq!(
        json(|out, context| ecs::alert_record(out, raised, context)),
        json(|out, context| ecs::record(out, raised.raised().unwrap(), context)),
    );
}

/// Fields of which no sample says anything.
const NEVER_SET: [&str; 1] = ["process.unread"];

/// Every field that is set stands at its name in the JSON, and in its column of the CSV.
#[test]
fn every_field_is_written() {
    let (connection, listener) = (samples::connection(samples::process()), samples::listener());
    let (process, alert, gap) = (samples::process(), samples::alert(), samples::gap());
    let (refused, ended) = (samples::refused(samples::ended()), samples::ended());
    let (seen, placed) = (said::connection(), samples::placed());
    let kept = fields::all().filter(|field| !field.column.is_empty());
    let mut unset: BTreeSet<_> = kept.map(|field| field.name).collect();
    for record in [
        Record::Connection(&connection),
        Record::Connection(&refused),
        Record::Connection(&seen),
        Record::Connection(&placed),
        Record::Process(&process),
        Record::Process(&ended),
        Record::Listener(&listener),
        Record::Alert(&alert),
        Record::Gap(&gap),
    ] {
        let value = json(|out, context| ecs::record(out, record, context));
        let table = csv::table(record.kind(), [record]);
        let mut lines = ::csv::Reader::from_reader(table.as_bytes());
        let header = lines.headers().unwrap().clone();
        let row = lines.records().next().unwrap().unwrap();
        for field in fields::of(record.kind()) {
            let pointer = format!("/{}", field.name.replace('.', "/"));
            let set = (field.get)(&record).is_some();
            if set {
                unset.remove(field.name);
            }
            assert_eq!(value.pointer(&pointer).is_some(), set, "{} in JSON", field.name);
            let column = header.iter().position(|name| name == field.column).unwrap();
            assert_eq!(!row[column].is_empty(), set, "{} in CSV", field.name);
        }
    }
    assert_eq!(unset, NEVER_SET.into(), "fields that no sample sets");
}

#[test]
fn csv_tables() {
    let (connection, hostile) = (
        samples::connection(samples::process()),
        samples::connection(samples::hostile()),
    );
    let records = [&connection, &hostile].map(Record::Connection);
    insta::assert_snapshot!(csv::table(Kind::Connection, records));
}

#[test]
fn basic_lines() {
    let mut out = String::new();
    let blocked = Alert {
        finding: samples::finding("blocklisted_address", vec![]),
        ..samples::alert()
    };
    basic::alert(&mut out, &blocked);
    let values: Vec<(Text, Value)> = vec![("count".into(), 45.into())];
    let excessive = Alert {
        finding: samples::finding("excessive_connections", values),
        ..samples::alert()
    };
    basic::alert(&mut out, &excessive);
    basic::alert(&mut out, &samples::alert());
    insta::assert_snapshot!(steady(&out));
    for line in out.lines() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(value["timestamp"].as_str().is_some_and(|text| text.len() == 19));
    }
}

#[test]
fn lines_for_people() {
    let mut out = String::new();
    for language in Language::ALL {
        let style = Style {
            colour: false,
            language,
        };
        for row in samples::alert_rows() {
            out.push_str(&format!("{}\n", text::alert_line(&row, style)));
            out.push_str(&format!("{}\n", text::log_line(&row, language)));
        }
        for event in samples::events() {
            if let Some(line) = text::event(&event, style) {
                out.push_str(&format!("{line}\n"));
            }
        }
        out.push_str(&text::details(&samples::alert(), style));
        out.push('\n');
    }
    insta::assert_snapshot!(steady(&out));
}

#[test]
fn colour_is_the_callers_choice() {
    let row = &samples::alert_rows()[0];
    let coloured = Style {
        colour: true,
        language: Language::English,
    };
    assert!(text::alert_line(row, coloured).contains("\u{1b}[31mHIGH"));
    assert!(!text::alert_line(row, Style::default()).contains('\u{1b}'));
    let words: Vec<_> = Severity::ALL.map(|s| text::severity(s, Style::default())).into();
    assert_eq!(words.concat(), "INFO    LOW     MEDIUM  HIGH    CRITICAL");
}

#[test]
fn hostile_names_cannot_forge_anything() {
    let process = Arc::new(samples::hostile());
    let mut alert = samples::alert();
    alert.finding.connections = vec![Arc::new(samples::connection(samples::hostile()))];
    alert.finding.process = Some(process);
    alert
        .finding
        .values
        .push(("evil\n\u{1b}".into(), "\u{1b}[31m\nHIGH fake".into()));
    let row = atalaya_model::AlertRecord::Raised(Box::new(alert.clone()));
    let mut hostile_name = samples::connection(samples::hostile());
    hostile_name.name = Some("x\u{1b}[2J\n\u{202e}".into());
    for line in [
        text::alert_line(&row, Style::default()),
        text::log_line(&row, Language::Spanish),
        text::record(
            &Record::Connection(&alert.finding.connections[0]),
            Language::English,
        ),
        text::connection(&hostile_name, Language::English),
    ] {
        assert!(
            !line.chars().any(|c| c.is_control() || c == '\u{202e}'),
            "{line:?}"
        );
    }
    let block = text::details(&alert, Style::default());
    assert!(block.lines().all(|line| line.starts_with("  ")), "{block}");
    assert!(!block.contains(['\u{1b}', '\u{202e}', '\r']), "{block:?}");
    let mut line = String::new();
    ecs::alert_record(&mut line, &row, &context());
    assert!(!line.chars().any(|c| c.is_control() || c == '\u{202e}'));
    let value: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(value["process"]["name"], &*samples::hostile().name);
    assert_eq!(
        value["atalaya"]["values"]["evil\n\u{1b}"],
        "\u{1b}[31m\nHIGH fake"
    );
    let table = csv::table(Kind::Alert, [Record::Alert(&alert)]);
    assert_eq!(table.lines().count(), 2);
}

#[test]
fn sentences() {
    let values: Vec<(Text, Value)> = vec![
        ("count".into(), 60.into()),
        (
            "hosts".into(),
            Value::List(["a", "b", "c", "d", "e"].map(Value::from).into()),
        ),
    ];
    let unknown = samples::finding("no_such_rule", values);
    let say = |language| sentence::render(&unknown, language, sentence::Part::Sentence);
    assert_eq!(
        say(Language::English),
        "no_such_rule: /usr/bin/nc (pid 1234, user ana) (count = 60, hosts = a, b, c and 2 more)."
    );
    assert!(say(Language::Spanish).contains("a, b, c y 2 más"));
    let values: Vec<(Text, Value)> = vec![
        ("destination".into(), "203.0.113.7:4444".into()),
        ("port".into(), 4_444.into()),
        ("name".into(), "example.org".into()),
    ];
    let named = samples::finding("suspicious_port", values);
    let said = sentence::render(&named, Language::English, sentence::Part::Sentence);
    assert!(said.contains("to example.org (203.0.113.7:4444)"), "{said}");
    let missing = samples::finding("excessive_connections", vec![]);
    let said = sentence::render(&missing, Language::English, sentence::Part::Sentence);
    assert!(said.contains("?count?"), "{said}");
    let list = |items: &[&str]| Value::List(items.iter().map(|item| Value::from(*item)).collect());
    let show = |value: &Value| sentence::value(value, Language::English);
    assert_eq!(show(&list(&[])), "none");
    assert_eq!(show(&list(&["a"])), "a");
    assert_eq!(show(&list(&["a", "b"])), "a and b");
    assert_eq!(show(&Value::Bytes(1_234_567)), "1.2 MB");
    assert_eq!(show(&Value::Float(2.50)), "2.5");
    assert_eq!(show(&Value::Float(100.0)), "100");
    assert_eq!(show(&"x".repeat(9_000).into()).chars().count(), 299);
}
