//! Lines as Suricata and Zeek write them.

use std::sync::Arc;

use atalaya_format::text::{self, Style};
use atalaya_format::{Context, Language, ecs, eve, zeek};
use atalaya_model::protocol::dns::{self, Dns, Response};
use atalaya_model::protocol::{Http, Other, Protocol};
use atalaya_model::{Application, Event, Fact, Message, Time};
use proptest::prelude::*;
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
fn zeek_writes_zero_where_answers_have_no_status() {
    let mut protocol = said::protocols().remove(0);
    let line = |protocol: &Protocol| {
        zeek_of(&[Event::new(Time(0), Fact::Protocol(Arc::new(protocol.clone())))]).remove(0)
    };
    let mut http = Http {
        version: 9,
        method: Some("GET".into()),
        ..Http::default()
    };
    protocol.message = Message::Http(Box::new(http.clone()));
    let unanswered = line(&protocol);
    assert_eq!(
        (&unanswered["uri"], unanswered.get("status_code")),
        (&json!(""), None)
    );
    http.response_bytes = 7;
    protocol.message = Message::Http(Box::new(http));
    let answered = line(&protocol);
    let words = (
        &answered["version"],
        &answered["status_code"],
        &answered["status_msg"],
    );
    assert_eq!(words, (&json!("0.9"), &json!(0), &json!("<empty>")));
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
    // The client is named first, as Suricata does where it did not see the question.
    assert_eq!(
        [&eve["dns"]["type"], &eve["dest_port"]],
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

#[test]
fn what_was_said_in_ecs() {
    let mut lines = vec![];
    for event in said::events() {
        let mut out = String::new();
        ecs::event(&mut out, &event, &context());
        lines.push(serde_json::from_str::<Value>(&out).unwrap());
    }
    insta::assert_json_snapshot!(lines);
}

#[test]
fn what_was_said_for_people() {
    let mut lines = String::new();
    for language in Language::ALL {
        for protocol in said::protocols() {
            lines.push_str(&format!(
                "{} {}\n",
                protocol.message.kind(),
                text::said(&protocol, language)
            ));
        }
    }
    insta::assert_snapshot!(lines);
    let event = &said::events()[2];
    let line = text::event(event, Style::default()).unwrap();
    assert!(line.contains(" dns "), "{line}");
}

fn context() -> Context {
    Context {
        host_name: "bastion".into(),
        host_id: None,
        version: "0.1.0".into(),
        language: Language::English,
        of_captures: false,
    }
}

/// The messages of the samples with `hostile` wherever a text comes from the wire.
fn poisoned(hostile: &str) -> Vec<Event> {
    let text = || -> Box<str> { hostile.into() };
    let mut protocols = said::protocols();
    for protocol in &mut protocols {
        match &mut protocol.message {
            Message::Dns(dns) => {
                dns.questions
                    .iter_mut()
                    .for_each(|question| question.name = text());
                if let Some(response) = &mut dns.response {
                    for answer in &mut response.answers {
                        answer.name = text();
                        match &mut answer.data {
                            dns::Data::Name(name) | dns::Data::Other(name) => *name = text(),
                            dns::Data::Text(texts) => *texts = [text(), text()].into(),
                            dns::Data::Sshfp { fingerprint, .. } => *fingerprint = text(),
                            _ => {}
                        }
                    }
                }
            }
            Message::Tls(tls) => {
                tls.history = text();
                tls.client.iter_mut().for_each(|client| {
                    (client.server_name, client.ja4) = (Some(text().into()), text().into());
                    (client.ja3, client.ja3_text) = (Some(text().into()), Some(text().into()));
                });
                for certificate in &mut tls.certificates {
                    (certificate.subject, certificate.issuer) = (text(), text());
                    (certificate.serial, certificate.sha1) = (text(), text());
                }
            }
            Message::Quic(quic) => {
                quic.client_connection = text();
                quic.cyu = Some((text(), text()));
            }
            Message::Http(http) => {
                let some = || Some(text().into());
                (http.method, http.host, http.path) = (some(), some(), some());
                (http.user_agent, http.reason) = (some(), some());
                (http.response_type, http.proxied) = (some(), [text()].into());
            }
            Message::Ssh(ssh) => (ssh.client, ssh.server) = (Some(text()), Some(text())),
            Message::Mail(mail) => {
                (mail.from, mail.to, mail.helo) = (Some(text()), [text(), text()].into(), Some(text()));
            }
            Message::Other(other) => {
                **other = Other::new(Application::Dhcp);
                other.attributes = vec![("hostname".into(), text()), (hostile.into(), text())];
            }
            Message::Http2Settings(_) => {}
        }
    }
    let said = protocols.into_iter().map(|it| Fact::Protocol(it.into()));
    said.map(|fact| Event::new(samples::START, fact)).collect()
}

proptest! {
    #[test]
    fn hostile_words_stay_inside_their_line(hostile in any::<String>(), name in "[\\\\0-9:=, \u{1b}]{0,12}") {
        for hostile in [hostile, name] {
            let hidden = |line: &str| line.chars().any(|c| c.is_control() || c == '\u{202e}');
            for event in poisoned(&hostile) {
                let (mut out, mut room) = (String::new(), String::new());
                ecs::event(&mut out, &event, &context());
                out.push('\n');
                eve::event(&mut out, &event);
                zeek::lines(&mut room, &event, |_, line| {
                    out.push_str(line);
                    out.push('\n');
                });
                for line in out.lines() {
                    prop_assert!(serde_json::from_str::<Value>(line).is_ok() && !hidden(line), "{:?}", line);
                }
                let line = text::event(&event, Style::default()).unwrap();
                prop_assert!(!hidden(&line), "{:?}", line);
            }
        }
    }
}
