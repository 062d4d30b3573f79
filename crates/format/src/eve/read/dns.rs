//! `dns`, as versions 1 to 3 write it.

use atalaya_model::Time;
use atalaya_model::protocol::dns::{Answer, Data, Dns, Question, Response, code_number, type_number};
use serde_json::Value;

use super::members::{number, text};
use crate::told::{BadLine, MAX_LIST, bad};

/// Longest name, in bytes: 255 on the wire, each as `\DDD`.
const MAX_NAME: usize = 1_020;

/// A question, or an answer.
pub(super) fn read(dns: &Value, at: Time) -> Result<Dns, BadLine> {
    let is_answer = match text(dns, "type", 16).as_deref() {
        Some("request" | "query") => false,
        Some("response" | "answer") => true,
        _ => return Err(bad("dns.type", "one of request, response, query, answer")),
    };
    let flags = text(dns, "flags", 8).and_then(|digits| u16::from_str_radix(&digits, 16).ok());
    let flags = flags.unwrap_or_else(|| {
        let named = [
            ("qr", 0x8000),
            ("aa", 0x0400),
            ("tc", 0x0200),
            ("rd", 0x0100),
            ("ra", 0x0080),
            ("z", 0x0040),
        ];
        let set = named
            .iter()
            .filter(|(name, _)| dns[*name].as_bool() == Some(true));
        set.map(|(_, bit)| bit).sum()
    });
    // Where there is no list of questions, the top says what was asked for.
    let questions: Box<[Question]> = match dns["queries"].as_array() {
        Some(queries) => queries.iter().take(16).filter_map(question).collect(),
        None => question(dns).into_iter().collect(),
    };
    let response = is_answer.then(|| {
        let code = text(dns, "rcode", 32).unwrap_or_default();
        let mut answers = records(dns, "answers");
        if answers.is_empty() && dns["rdata"].is_string() {
            // Version 1: a line for each record.
            answers = record(dns).into_iter().collect();
        }
        if answers.is_empty() {
            answers = grouped(dns, questions.first().map_or("", |question| &*question.name));
        }
        Response {
            time: at,
            flags,
            code: code_number(&code).or_else(|| code.parse().ok()).unwrap_or(0),
            answers,
            authorities: records(dns, "authorities"),
            additionals: records(dns, "additionals"),
            left_out: 0,
        }
    });
    Ok(Dns {
        id: number(dns, "id")?
            .or(number(dns, "tx_id").unwrap_or_default())
            .unwrap_or(0),
        opcode: number(dns, "opcode")?.unwrap_or(0),
        asked: (!is_answer).then_some(at),
        flags: if is_answer { 0 } else { flags },
        questions,
        sent: None,
        response,
    })
}

fn kind(object: &Value) -> u16 {
    let name = text(object, "rrtype", 32).unwrap_or_default();
    type_number(&name).or_else(|| name.parse().ok()).unwrap_or(0)
}

fn question(object: &Value) -> Option<Question> {
    let name = text(object, "rrname", MAX_NAME)?;
    let lower = name.to_ascii_lowercase();
    Some(Question {
        as_sent: (*name != *lower).then_some(name),
        name: lower.into(),
        kind: kind(object),
        class: 1,
    })
}

fn records(dns: &Value, section: &str) -> Box<[Answer]> {
    let list = dns[section].as_array();
    let list = list.into_iter().flatten().take(MAX_LIST);
    list.filter_map(record).collect()
}

fn record(object: &Value) -> Option<Answer> {
    let kind = kind(object);
    let data = match object.get("rdata") {
        Some(Value::String(text)) => data(kind, text),
        _ => structured(object).unwrap_or(Data::Empty),
    };
    Some(Answer {
        name: text(object, "rrname", MAX_NAME)?,
        kind,
        class: 1,
        ttl: number(object, "ttl").unwrap_or_default().unwrap_or(0),
        data,
    })
}

/// What a text says, by the type of its record.
fn data(kind: u16, said: &str) -> Data {
    let said = crate::told::clip(said, crate::told::MAX_TEXT);
    match kind {
        1 | 28 => said
            .parse()
            .map_or_else(|_| Data::Other(said.into()), Data::Address),
        16 | 99 => Data::Text([escaped(said)].into()),
        2 | 5 | 7 | 8 | 9 | 12 | 15 | 39 => Data::Name(said.into()),
        _ => Data::Other(said.into()),
    }
}

/// As in zone files: what is no printable ASCII is `\DDD`, byte by byte.
fn escaped(text: &str) -> Box<str> {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'\\' => out.push_str("\\092"),
            b' '..=b'~' => out.push(char::from(byte)),
            byte => out.push_str(&format!("\\{byte:03}")),
        }
    }
    out.into()
}

fn structured(object: &Value) -> Option<Data> {
    let name = |part: &Value, key: &str| text(part, key, MAX_NAME).unwrap_or_default();
    fn count<N: TryFrom<u64> + Default>(part: &Value, key: &str) -> N {
        number(part, key).unwrap_or_default().unwrap_or_default()
    }
    if let Some(it) = object.get("srv") {
        return Some(Data::Srv {
            priority: count(it, "priority"),
            weight: count(it, "weight"),
            port: count(it, "port"),
            name: name(it, "name"),
        });
    }
    if let Some(it) = object.get("soa") {
        return Some(Data::Soa {
            mname: name(it, "mname"),
            rname: name(it, "rname"),
            serial: count(it, "serial"),
            refresh: count(it, "refresh"),
            retry: count(it, "retry"),
            expire: count(it, "expire"),
            minimum: count(it, "minimum"),
        });
    }
    let it = object.get("sshfp")?;
    Some(Data::Sshfp {
        algorithm: count(it, "algo"),
        kind: count(it, "type"),
        fingerprint: name(it, "fingerprint"),
    })
}

/// Answers by their types alone: their owner is whoever was asked for.
fn grouped(dns: &Value, owner: &str) -> Box<[Answer]> {
    let groups = dns["grouped"].as_object();
    let each = groups.into_iter().flatten().flat_map(|(name, values)| {
        let kind = type_number(name).unwrap_or(0);
        let values = values.as_array().into_iter().flatten().filter_map(Value::as_str);
        values.map(move |said| Answer {
            name: owner.into(),
            kind,
            class: 1,
            ttl: 0,
            data: data(kind, said),
        })
    });
    each.take(MAX_LIST).collect()
}
