//! What our writers of Zeek's and Suricata's lines write, our readers read: written again, it is the same. And whatever
//! else stands in a line, reading it ends with words, not with a panic.

#![expect(clippy::panic, clippy::unwrap_used, reason = "tests")]

mod samples;

use std::sync::Arc;

use atalaya_format::told::{Options, Told, What};
use atalaya_format::{eve, zeek};
use atalaya_model::{Event, Fact, Message, Protocol, Transport};
use proptest::prelude::*;
use serde_json::Value;

use samples::{START, connection, dns, http, tls};

const OPTIONS: Options = Options { query_strings: true };

/// Lines of an event as Zeek has them, without the name of the conversation.
fn zeek_lines(event: &Event) -> Vec<Value> {
    let mut lines = Vec::new();
    zeek::lines(&mut String::new(), event, |_, line| {
        let mut value: Value = serde_json::from_str(line).unwrap();
        value.as_object_mut().unwrap().remove("uid").unwrap();
        lines.push(value);
    });
    lines
}

fn eve_lines(event: &Event) -> Vec<Value> {
    let mut text = String::new();
    eve::event(&mut text, event);
    let lines = text.lines().map(|line| {
        let mut value: Value = serde_json::from_str(line).unwrap();
        value.as_object_mut().unwrap().remove("flow_id").unwrap();
        value
    });
    lines.collect()
}

/// The event that was told.
fn event(told: Told) -> Event {
    match told.what {
        What::Ended(connection) => Event::new(told.written, Fact::ConnectionClosed(Arc::from(connection))),
        What::Said(time, connection, message) => {
            let protocol = Protocol {
                time,
                connection: Arc::from(connection),
                message: *message,
            };
            Event::new(time, Fact::Protocol(Arc::new(protocol)))
        }
        What::Odd(finding) => panic!("{finding:?}"),
    }
}

fn through_zeek(event_in: &Event) -> (Vec<Value>, Vec<Value>) {
    let first = zeek_lines(event_in);
    let mut reader = zeek::read::Reader::new("all.log", OPTIONS);
    let again = first
        .iter()
        .flat_map(|line| zeek_lines(&event(reader.line(&line.to_string()).unwrap().unwrap())))
        .collect();
    (first, again)
}

fn through_eve(event_in: &Event) -> (Vec<Value>, Vec<Value>) {
    let first = eve_lines(event_in);
    let mut reader = eve::read::Reader::new(OPTIONS);
    let mut told = Vec::new();
    for line in &first {
        reader.line(&line.to_string(), &mut told).unwrap();
    }
    reader.finish(&mut told);
    (
        first,
        told.into_iter()
            .flat_map(|told| eve_lines(&event(told)))
            .collect(),
    )
}

fn said(message: Message, transport: Transport) -> Event {
    let mut connection = samples::plain();
    connection.transport = transport;
    let protocol = Protocol {
        time: START,
        connection: Arc::new(connection),
        message,
    };
    Event::new(START, Fact::Protocol(Arc::new(protocol)))
}

proptest! {
    #[test]
    fn conversations_come_back(connection in connection()) {
        let ended = connection.ended.unwrap();
        let event = Event::new(ended, Fact::ConnectionClosed(Arc::new(connection)));
        let (first, again) = through_zeek(&event);
        prop_assert_eq!(first, again);
        let (first, again) = through_eve(&event);
        prop_assert_eq!(first, again);
    }

    #[test]
    fn names_come_back(dns in dns()) {
        let event = said(Message::Dns(Box::new(dns)), Transport::Udp);
        let (first, again) = through_zeek(&event);
        prop_assert_eq!(first, again);
        let (first, again) = through_eve(&event);
        prop_assert_eq!(first, again);
    }

    #[test]
    fn handshakes_come_back(tls in tls()) {
        let event = said(Message::Tls(Box::new(tls)), Transport::Tcp);
        let (first, again) = through_zeek(&event);
        prop_assert_eq!(first, again);
        let (first, again) = through_eve(&event);
        prop_assert_eq!(first, again);
    }

    #[test]
    fn requests_come_back(http in http()) {
        let event = said(Message::Http(Box::new(http)), Transport::Tcp);
        let (first, again) = through_zeek(&event);
        prop_assert_eq!(first, again);
        let (first, again) = through_eve(&event);
        prop_assert_eq!(first, again);
    }

    #[test]
    fn text_between_tabs_says_the_same_as_json(connection in connection()) {
        let ended = connection.ended.unwrap();
        let event_in = Event::new(ended, Fact::ConnectionClosed(Arc::new(connection)));
        let first = zeek_lines(&event_in);
        let mut reader = zeek::read::Reader::new("x.log", OPTIONS);
        for line in tabs(&first[0]) {
            if let Some(told) = reader.line(&line).unwrap() {
                prop_assert_eq!(&zeek_lines(&event(told)), &first);
            }
        }
    }

    #[test]
    fn any_line_is_read_or_refused(line in ".{0,200}", log in "[a-z]{0,6}", fields in "[a-z_.]{0,9}") {
        let mut reader = zeek::read::Reader::new(&log, Options::default());
        let head = format!("#fields\tts\tid.orig_h\t{fields}");
        for line in [&line, &head, &line, &line.replace(' ', "\t"), &format!("{{\"ts\":{line}}}")] {
            drop(reader.line(line));
        }
        let mut reader = eve::read::Reader::new(Options::default());
        let mut out = Vec::new();
        drop(reader.line(&line, &mut out));
        prop_assert!(out.is_empty());
    }

    #[test]
    fn any_value_in_any_member_is_read_or_refused(
        connection in connection(), dns in dns(), tls in tls(), http in http(), at in any::<prop::sample::Index>(),
        odd in prop::sample::select(vec!["-1", "1e99", "\"x\"", "[]", "{}", "null", "true", "18446744073709551616", "\"-\"", "0.5", "[[1]]", "\"\\u0000é\""]),
    ) {
        let odd: Value = serde_json::from_str(odd).unwrap();
        let events = [
            Event::new(START, Fact::ConnectionClosed(Arc::new(connection))),
            said(Message::Dns(Box::new(dns)), Transport::Udp),
            said(Message::Tls(Box::new(tls)), Transport::Tcp),
            said(Message::Http(Box::new(http)), Transport::Tcp),
        ];
        for event in &events {
            for mut line in zeek_lines(event).into_iter().chain(eve_lines(event)) {
                spoil(&mut line, &odd, &at);
                drop(zeek::read::Reader::new("", OPTIONS).line(&line.to_string()));
                let (mut reader, mut out) = (eve::read::Reader::new(OPTIONS), Vec::new());
                drop(reader.line(&line.to_string(), &mut out));
                reader.finish(&mut out);
            }
        }
    }
}

/// Puts something else into one of the members.
fn spoil(line: &mut Value, odd: &Value, at: &prop::sample::Index) {
    let object = line.as_object_mut().unwrap();
    let key = object.keys().nth(at.index(object.len())).unwrap().clone();
    match &mut object[&key] {
        inner @ Value::Object(_) if at.index(3) > 0 && !inner.as_object().unwrap().is_empty() => {
            spoil(inner, odd, at)
        }
        other => *other = odd.clone(),
    }
}

/// A log with one row, as text.
fn tabs(row: &Value) -> Vec<String> {
    let row = row.as_object().unwrap();
    let keys: Vec<_> = row
        .keys()
        .filter(|key| *key != "_path")
        .map(String::as_str)
        .collect();
    let cell = |value: &Value| match value {
        Value::Bool(truth) => if *truth { "T" } else { "F" }.to_owned(),
        Value::String(text) if text.is_empty() => "(empty)".to_owned(),
        // A text that looks like one of the two words is told from them by its first character.
        Value::String(text) if text == "-" => "\\x2d".to_owned(),
        Value::String(text) if text == "(empty)" => "\\x28empty)".to_owned(),
        Value::String(text) => text
            .replace('\\', "\\x5c")
            .replace('\t', "\\x09")
            .replace('\n', "\\x0a"),
        other => other.to_string(),
    };
    vec![
        "#separator \\x09".to_owned(),
        "#set_separator\t,".to_owned(),
        "#empty_field\t(empty)".to_owned(),
        "#unset_field\t-".to_owned(),
        format!("#path\t{}", row["_path"].as_str().unwrap()),
        format!("#fields\t{}\tnot_set", keys.join("\t")),
        format!(
            "{}\t-",
            keys.iter()
                .map(|key| cell(&row[*key]))
                .collect::<Vec<_>>()
                .join("\t")
        ),
    ]
}

#[test]
fn offsets_of_times_are_read_and_odd_ones_refused() {
    let line = |time: &str| {
        let flow = r#""event_type":"alert","src_ip":"10.0.0.1","dest_ip":"10.0.0.2","proto":"TCP","alert":{"signature":"x"}"#;
        let mut told = Vec::new();
        let line = format!("{{\"timestamp\":\"{time}\",{flow}}}");
        eve::read::Reader::new(OPTIONS)
            .line(&line, &mut told)
            .map(|()| told[0].written)
    };
    let noon = atalaya_model::Time::parse("2026-11-20T12:00:00Z").unwrap();
    for time in [
        "2026-11-20T13:30:00+0130",
        "2026-11-20T13:30:00+01:30",
        "2026-11-20T12:00:00Z",
    ] {
        assert_eq!(line(time).unwrap(), noon, "{time}");
    }
    // What fuzzing found: an offset that ends within a character.
    for time in [
        "2026-11-20T12:00:00.1+\u{25}\u{496}1",
        "2026-11-20T12:00:00+M\u{498}0",
        "+\u{7ff}\u{7ff}",
        "\u{7ff}",
        "",
    ] {
        assert!(line(time).is_err(), "{time}");
    }
}

#[test]
fn a_bad_line_says_what_is_wrong_with_it() {
    let refused = |line: &str| {
        zeek::read::Reader::new("conn.log", OPTIONS)
            .line(line)
            .unwrap_err()
            .to_string()
    };
    assert!(refused("{").starts_with("it is no JSON: "));
    assert_eq!(refused("{}"), "`ts` is not there");
    assert_eq!(
        refused("{\"ts\":\"x\"}"),
        "`ts` is not a time: seconds since 1970, or ISO 8601"
    );
    assert_eq!(refused("{\"ts\":1}"), "`id.orig_h` is not there");
    assert_eq!(
        refused("{\"ts\":1,\"id.orig_h\":\"x\"}"),
        "`id.orig_h` is not an address"
    );
    assert_eq!(
        refused("1\t2"),
        "it is neither JSON nor below a head (`#fields`) that names its columns"
    );
    let mut reader = zeek::read::Reader::new("conn.log", OPTIONS);
    reader.line("#fields\tts\tuid").unwrap();
    assert_eq!(
        reader.line("1").unwrap_err().to_string(),
        "it has 1 columns, where `#fields` names 2"
    );
    let refused = |line: &str| {
        let mut out = Vec::new();
        let refused = eve::read::Reader::new(OPTIONS).line(line, &mut out);
        refused.unwrap_err().to_string()
    };
    assert_eq!(refused("{}"), "`event_type` is not there");
    assert_eq!(refused("{\"event_type\":\"flow\"}"), "`timestamp` is not a time");
}

#[test]
fn lines_of_others_are_read() {
    // As Suricata 7 and Zeek 6 write them, shortened.
    let eve = r#"{"timestamp":"2026-11-20T21:27:03.123456+0100","flow_id":7,"event_type":"alert","src_ip":"10.0.0.1","src_port":1,"dest_ip":"192.0.2.1","dest_port":80,"proto":"TCP","alert":{"action":"allowed","gid":1,"signature_id":2013028,"rev":4,"signature":"ET POLICY curl","category":"Misc","severity":1}}"#;
    let mut out = Vec::new();
    eve::read::Reader::new(OPTIONS).line(eve, &mut out).unwrap();
    let What::Odd(finding) = &out[0].what else {
        panic!()
    };
    assert_eq!(&*finding.rule, "suricata_alert");
    assert_eq!(finding.severity, atalaya_model::Severity::High);
    assert_eq!(finding.time.rfc3339(), "2026-11-20T20:27:03.123456Z");
    assert_eq!(finding.connections[0].destination.port, 80);

    let zeek = [
        "#separator \\x09",
        "#set_separator\t,",
        "#empty_field\t(empty)",
        "#unset_field\t-",
        "#path\tdns",
        "#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\ttrans_id\trtt\tquery\tqclass\tqtype\trcode\tAA\tTC\tRD\tRA\tZ\tanswers\tTTLs\trejected",
        "1300475167.096535\tCx\t10.0.0.1\t51000\t10.0.0.2\t53\tudp\t7\t0.100000\twww.example.org\t1\t1\t0\tF\tF\tT\tT\t0\tcdn.example.net,192.0.2.7\t60.000000,30.000000\tF",
    ];
    let mut reader = zeek::read::Reader::new("dns.log", OPTIONS);
    let told: Vec<_> = zeek
        .iter()
        .filter_map(|line| reader.line(line).unwrap())
        .collect();
    let What::Said(_, connection, message) = &told[0].what else {
        panic!()
    };
    let Message::Dns(dns) = &**message else { panic!() };
    assert_eq!(connection.destination.to_string(), "10.0.0.2:53");
    let found: Vec<_> = dns
        .addresses()
        .map(|(name, ip, ttl)| format!("{name} {ip} {ttl}"))
        .collect();
    assert_eq!(found, ["www.example.org 192.0.2.7 30"]);
    assert_eq!(
        dns.response.as_ref().unwrap().time.0 - dns.asked.unwrap().0,
        100_000
    );
}
