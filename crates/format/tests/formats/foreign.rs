//! Lines as Suricata and Zeek write them.

use atalaya_format::{Language, eve, zeek};
use atalaya_model::protocol::dns::{Dns, Response};
use atalaya_model::{Event, Fact, Message};
use serde_json::{Value, json};

use crate::{said, samples};

fn eve_of(events: &[Event]) -> Vec<Value> {
    let mut out = String::new();
    for event in events {
        eve::event(&mut out, event);
    }
    out.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn zeek_of(events: &[Event]) -> Vec<Value> {
    let (mut room, mut lines) = (String::new(), Vec::new());
    for event in events {
        zeek::lines(&mut room, event, |log, line| {
            let value: Value = serde_json::from_str(line).unwrap();
            assert_eq!(value["_path"], log);
            lines.push(value);
        });
    }
    lines
}

#[test]
fn eve_lines() {
    let mut events = samples::events();
    events.extend(said::events());
    insta::assert_json_snapshot!(eve_of(&events));
}

#[test]
fn zeek_lines() {
    let mut events = samples::events();
    events.extend(said::events());
    insta::assert_json_snapshot!(zeek_of(&events));
}

#[test]
fn alerts_in_foreign_words() {
    let mut lines = String::new();
    let mut room = String::new();
    for row in samples::alert_rows() {
        eve::alert(&mut lines, &row, Language::English);
        zeek::alert(&mut room, &row, Language::English, |_, line| {
            lines.push_str(line);
            lines.push('\n');
        });
    }
    let lines: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    insta::assert_json_snapshot!(lines);
}

/// Who saw only an answer, or only a question, says so.
#[test]
fn halves_of_questions() {
    let of = |dns: Dns| {
        let mut protocol = said::protocols().swap_remove(0);
        protocol.message = Message::Dns(Box::new(dns));
        [Event::new(samples::START, Fact::Protocol(protocol.into()))]
    };
    let asked = of(Dns {
        response: None,
        ..said::dns()
    });
    assert_eq!(eve_of(&asked).len(), 1);
    let zeek = &zeek_of(&asked)[0];
    assert_eq!(
        [&zeek["RD"], &zeek["AA"], &zeek["rcode"]],
        [&json!(true), &json!(false), &Value::Null]
    );
    let answered = of(Dns {
        asked: None,
        questions: Box::default(),
        ..said::dns()
    });
    let eve = &eve_of(&answered)[0];
    assert_eq!(
        [&eve["dns"]["type"], &eve["src_port"]],
        [&json!("response"), &json!(53)]
    );
    let zeek = &zeek_of(&answered)[0];
    assert_eq!(
        [&zeek["query"], &zeek["qtype"]],
        [&json!("static.example.net"), &Value::Null]
    );
    let refused = of(Dns {
        response: Some(Response {
            code: 5,
            ..Response::default()
        }),
        ..said::dns()
    });
    let zeek = &zeek_of(&refused)[0];
    assert_eq!(zeek["rcode_name"], "REFUSED");
    assert_eq!(
        [&zeek["rejected"], &zeek["answers"]],
        [&json!(true), &Value::Null]
    );
}

/// One conversation has one name in all lines about it, and another has another.
#[test]
fn lines_about_a_conversation_belong_together() {
    let (eve, zeek) = (eve_of(&said::events()), zeek_of(&said::events()));
    assert_eq!(eve[0]["flow_id"], eve[4]["flow_id"]);
    assert_eq!(zeek[0]["uid"], zeek[3]["uid"]);
    assert_eq!(zeek[0]["uid"].as_str().map(str::len), Some(18));
    let mut other = said::connection();
    other.id += 1;
    let other = [Event::new(samples::START, Fact::ConnectionClosed(other.into()))];
    assert_ne!(zeek_of(&other)[0]["uid"], zeek[0]["uid"]);
    assert_ne!(eve_of(&other)[0]["flow_id"], eve[0]["flow_id"]);
}
