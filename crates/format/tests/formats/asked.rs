//! What was said, as filters see it.

use std::collections::BTreeSet;

use atalaya_format::ecs;
use atalaya_model::fields::{self, Kind, Record};
use atalaya_model::{Message, filter};
use serde_json::Value;

use crate::{json, said};

/// Members of what was said that are no fields.
const NO_FIELDS: [&str; 4] = [
    "dns.answers.class",
    "dns.answers.ttl",
    "dns.question.class",
    "http2.settings",
];

/// Fields of which no sample says anything.
const NEVER_SET: [&str; 2] = ["dns.op_code", "smtp.greeting"];

/// Paths and texts of everything in a value, those of lists without their places.
fn leaves(value: &Value, path: &str, found: &mut Vec<(String, String)>) {
    match value {
        Value::Object(members) if path != "atalaya.attributes" => {
            for (name, value) in members {
                let dot = if path.is_empty() { "" } else { "." };
                leaves(value, &format!("{path}{dot}{name}"), found);
            }
        }
        Value::Array(items) if path != "http2.settings" => {
            items.iter().for_each(|item| leaves(item, path, found));
        }
        Value::String(text) => found.push((path.to_owned(), text.clone())),
        other => found.push((path.to_owned(), other.to_string())),
    }
}

/// What stands in the JSON of what was said can be asked for by its name, and finds that record.
#[test]
fn everything_that_was_said_can_be_asked_for() {
    let own = fields::of(Kind::Protocol).filter(|field| field.column.is_empty());
    let mut unset: BTreeSet<_> = own.map(|field| field.name).collect();
    for protocol in said::protocols() {
        let record = Record::Protocol(&protocol);
        let value = json(|out, context| ecs::record(out, record, context));
        for field in fields::of(Kind::Protocol).filter(|field| field.value(&record).is_some()) {
            unset.remove(field.name);
        }
        let mut found = Vec::new();
        for name in [
            "dns",
            "tls",
            "quic",
            "http",
            "http2",
            "url",
            "user_agent",
            "ssh",
            "email",
            "smtp",
        ] {
            if let Some(value) = value.get(name) {
                leaves(value, name, &mut found);
            }
        }
        found.retain(|(path, _)| !NO_FIELDS.contains(&path.as_str()));
        for (path, text) in found {
            let text = text.replace('\\', "\\\\").replace('"', "\\\"");
            let filter = filter::parse(&format!("{path}:\"{text}\"")).unwrap();
            assert!(filter.matches(&record), "{filter} in {value}");
        }
    }
    assert_eq!(unset, NEVER_SET.into(), "fields that no sample sets");
}

#[test]
fn a_filter_judges_what_was_said_and_its_conversation() {
    let judged = |filter: &str| -> Vec<&str> {
        let filter = filter::parse(filter).unwrap();
        let protocols = said::protocols();
        let passing = protocols
            .iter()
            .filter(|protocol| filter.matches(&Record::Protocol(protocol)));
        passing.map(|protocol| protocol.message.kind()).collect()
    };
    assert_eq!(judged("network.protocol:dns"), ["dns"]);
    assert_eq!(judged("dns.question.name:*"), ["dns"]);
    assert_eq!(judged("attributes:*=*"), judged("atalaya.attributes:*"));
    // A conversation's field finds everything that was said in it, as does the process.
    assert_eq!(judged("destination.port:443").len(), judged("*").len() - 1);
    assert!(judged("pid:1").is_empty());
    // What was said counts, not the first request of its conversation.
    let mut protocol = said::protocols()
        .into_iter()
        .find(|protocol| matches!(protocol.message, Message::Http(_)))
        .unwrap();
    if let Message::Http(http) = &mut protocol.message {
        http.method = Some("DELETE".into());
    }
    let is = |text: &str| filter::parse(text).unwrap().matches(&Record::Protocol(&protocol));
    assert!(is("http.request.method:DELETE"));
    assert!(!is("http.request.method:GET"));
}
