//! DNS and DHCP facts against what Zeek and Suricata say of the same captures.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may stop, and says what it skipped"
)]

#[path = "streams/assemble.rs"]
mod assemble;

use std::path::{Path, PathBuf};

use assemble::{Talk, talks};
use atalaya_model::protocol::dns::{Answer, Data, Response, code_name, type_name};
use atalaya_model::protocol::{Dns, Message, Other};
use serde_json::{Map, Value, json};

fn corpora() -> Option<PathBuf> {
    let folder = std::env::var_os("ATALAYA_CORPORA").map(PathBuf::from);
    if folder.is_none() {
        println!("skipped: no corpora");
    }
    folder
}

fn rows(folder: &Path, name: &str, value: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join("expected.jsonl")).unwrap();
    text.lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|row| row[name] == value)
        .collect()
}

fn messages(talk: &Talk) -> impl Iterator<Item = &Dns> {
    talk.said.iter().filter_map(|(_, message)| match message {
        Message::Dns(dns) => Some(&**dns),
        _ => None,
    })
}

fn kind_name(kind: u16) -> String {
    type_name(kind).map_or_else(|| format!("query-{kind}"), str::to_owned)
}

/// One entry of Zeek's `answers`; `None` for what it does not list.
fn zeek_answer(answer: &Answer) -> Option<String> {
    let text = |name: &str, strings: &[Box<str>]| {
        let each = strings.iter().map(|text| format!("{name} {} {text}", text.len()));
        each.collect::<Vec<_>>().join(" ")
    };
    Some(match &answer.data {
        _ if answer.kind == 65_534 => "BIND9 signing signal".into(),
        Data::Address(address) => address.to_string(),
        Data::Name(name) | Data::Mx { name, .. } | Data::Srv { name, .. } => name.to_string(),
        Data::Soa { mname, .. } => mname.to_string(),
        Data::Text(strings) => text(&kind_name(answer.kind), strings),
        Data::Ds {
            algorithm,
            digest_kind,
            ..
        } => format!("DS {algorithm} {digest_kind}"),
        Data::Dnskey { algorithm, .. } => format!("DNSKEY {algorithm}"),
        Data::Rrsig { covered, signer, .. } => format!("RRSIG {covered} {signer}"),
        _ => return None,
    })
}

/// What a dynamic update demands and changes.
fn zeek_update(answer: &Answer, is_demand: bool) -> String {
    let kind = kind_name(answer.kind);
    let name = &answer.name;
    match (answer.class, zeek_answer(answer)) {
        (254, _) if is_demand => format!("pre: NoRRSet {kind} {name}"),
        (255, _) => format!("del: RRSet {kind}"),
        (_, data) => format!("add: {kind} {name} {}", data.unwrap_or_default()),
    }
}

/// The columns of Zeek's dns.log.
fn zeek(talk: &Talk, dns: &Dns) -> Value {
    let is_turned = talk.source.port() == 53 && talk.destination.port() != 53;
    let (source, destination) = if is_turned {
        (talk.destination, talk.source)
    } else {
        (talk.source, talk.destination)
    };
    let none = Response::default();
    let response = dns.response.as_ref().unwrap_or(&none);
    let is_update = dns.opcode == 5;
    let records: Vec<(String, u32)> = if is_update {
        let sent = dns.sent.as_deref();
        let demands = sent.map_or(&response.answers, |sent| &sent.answers);
        let changes = sent.map_or(&response.authorities, |sent| &sent.authorities);
        let demands = demands
            .iter()
            .map(|answer| (zeek_update(answer, true), answer.ttl));
        demands
            .chain(
                changes
                    .iter()
                    .map(|answer| (zeek_update(answer, false), answer.ttl)),
            )
            .collect()
    } else {
        let answers = response.answers.iter();
        answers
            .filter_map(|answer| Some((zeek_answer(answer)?, answer.ttl)))
            .collect()
    };
    let question = dns.questions.last().filter(|_| dns.asked.is_some() && !is_update);
    let first = dns
        .sent
        .as_ref()
        .and_then(|sent| sent.answers.first())
        .or(response.answers.first());
    let answered = dns.response.as_ref();
    let flag = |flags: u16, bit: u16| flags & bit != 0;
    let is_told = !response.answers.is_empty() && !is_update;
    let is_empty = response.answers.is_empty()
        && response.authorities.is_empty()
        && response.additionals.is_empty()
        && response.left_out == 0;
    json!({
        "id.orig_h": source.ip(),
        "id.orig_p": source.port(),
        "id.resp_h": destination.ip(),
        "id.resp_p": destination.port(),
        "proto": "udp",
        "trans_id": dns.id,
        "query": question.map(|question| &question.name).or(first.map(|answer| &answer.name)),
        "qclass": question.map(|question| question.class),
        "qclass_name": question.map(|_| "C_INTERNET"),
        "qtype": question.map(|question| question.kind),
        "qtype_name": question.map(|question| kind_name(question.kind)),
        "rcode": answered.map(|response| response.code),
        "rcode_name": answered.and_then(|response| code_name(response.code)),
        "AA": is_told && flag(response.flags, 0x400),
        "TC": flag(response.flags, 0x200),
        "RD": flag(dns.flags, 0x100),
        "RA": is_told && flag(response.flags, 0x80),
        "answers": (!records.is_empty()).then(|| records.iter().map(|(text, _)| text).collect::<Vec<_>>()),
        "TTLs": (!records.is_empty())
            .then(|| records.iter().map(|(_, ttl)| f64::from(*ttl)).collect::<Vec<_>>()),
        "rejected": response.code != 0 && is_empty,
    })
}

#[test]
fn all_that_zeek_logs() {
    let Some(corpora) = corpora() else { return };
    let folder = corpora.join("conn");
    let rows = rows(&folder, "log", "dns");
    let mut wrong = 0;
    for row in &rows {
        let capture = row["capture"].as_str().unwrap();
        let found = talks(&folder.join(capture), row["checksums"] == "checked");
        let logged = found
            .iter()
            .flat_map(|talk| messages(talk).map(move |dns| zeek(talk, dns)));
        let logged: Vec<Value> = logged.collect();
        let wanted = row["fields"].as_object().unwrap();
        let is_found = logged
            .iter()
            .any(|line| wanted.iter().all(|(name, value)| line[name] == *value));
        if !is_found {
            wrong += 1;
            println!("{capture}: missing {}", row["fields"]);
            for line in logged
                .iter()
                .filter(|line| line["trans_id"] == wanted["trans_id"])
            {
                let wanted = wanted
                    .iter()
                    .filter(|(name, value)| line[name.as_str()] != **value);
                let wanted: Vec<String> = wanted
                    .map(|(name, value)| format!("{name}: {} not {value}", line[name]))
                    .collect();
                println!("  {}", wanted.join(", "));
            }
        }
    }
    println!("dns.log: {} of {}", rows.len() - wrong, rows.len());
    assert_eq!(rows.len(), 25);
    assert_eq!(wrong, 0);
}

fn eve_record(answer: &Answer) -> Value {
    let mut record = json!({"rrname": answer.name, "rrtype": kind_name(answer.kind), "ttl": answer.ttl});
    match &answer.data {
        Data::Soa {
            mname,
            rname,
            serial,
            refresh,
            retry,
            expire,
            minimum,
        } => {
            record["soa"] = json!({
                "mname": mname, "rname": rname, "serial": serial, "refresh": refresh, "retry": retry,
                "expire": expire, "minimum": minimum,
            });
        }
        Data::Srv {
            priority,
            weight,
            port,
            name,
        } => {
            record["srv"] = json!({"priority": priority, "weight": weight, "port": port, "name": name});
        }
        Data::Sshfp {
            algorithm,
            kind,
            fingerprint,
        } => {
            record["sshfp"] = json!({"algo": algorithm, "type": kind, "fingerprint": fingerprint});
        }
        Data::Text(strings) => record["rdata"] = json!(strings.concat()),
        _ => record["rdata"] = json!(zeek_answer(answer)),
    }
    record
}

/// Suricata's records of one transaction: its question, and its answer.
fn eve(talk: &Talk, dns: &Dns) -> Vec<Value> {
    let questions = dns.questions.iter().map(|question| {
        let name = question.as_sent.as_ref().unwrap_or(&question.name);
        json!({"rrname": name, "rrtype": kind_name(question.kind)})
    });
    let questions: Vec<Value> = questions.collect();
    let record = |kind: &str, from: std::net::SocketAddr, to: std::net::SocketAddr, mut dns: Value| {
        dns["type"] = json!(kind);
        json!({
            "src_ip": from.ip(), "src_port": from.port(), "dest_ip": to.ip(), "dest_port": to.port(),
            "proto": "UDP", "dns": dns,
        })
    };
    let mut records = Vec::new();
    if dns.asked.is_some() {
        let said = json!({"id": dns.id, "queries": questions});
        records.push(record("request", talk.source, talk.destination, said));
    }
    if let Some(response) = &dns.response {
        let mut grouped = Map::new();
        for answer in &response.answers {
            if let Some(text) = eve_record(answer).get("rdata") {
                let list = grouped.entry(kind_name(answer.kind)).or_insert(json!([]));
                list.as_array_mut().unwrap().push(text.clone());
            }
        }
        let said = json!({
            "id": dns.id,
            "queries": questions,
            "rcode": code_name(response.code),
            "flags": format!("{:x}", response.flags),
            "qr": true,
            "rd": response.flags & 0x100 != 0,
            "ra": response.flags & 0x80 != 0,
            "answers": response.answers.iter().map(eve_record).collect::<Vec<_>>(),
            "authorities": response.authorities.iter().map(eve_record).collect::<Vec<_>>(),
            "grouped": grouped,
        });
        records.push(record("response", talk.destination, talk.source, said));
    }
    records
}

/// Suricata's record of a DHCP message.
fn eve_dhcp(talk: &Talk, other: &Other) -> Value {
    let all = |name: &str| {
        let named = other.attributes.iter().filter(|(known, _)| &**known == name);
        named.map(|(_, value)| &**value).collect::<Vec<_>>()
    };
    let number = |name| other.get(name).and_then(|value| value.parse::<u32>().ok());
    let (from, to) = match other.get("op") {
        Some("request") => (talk.source, talk.destination),
        _ => (talk.destination, talk.source),
    };
    json!({
        "src_ip": from.ip(), "src_port": from.port(), "dest_ip": to.ip(), "dest_port": to.port(),
        "proto": "UDP",
        "dhcp": {
            "type": other.get("op"),
            "dhcp_type": other.get("type"),
            "id": number("id"),
            "client_mac": other.get("client_mac"),
            "lease_time": number("lease_time"),
            "vendor_class_identifier": other.get("vendor_class"),
            "dns_servers": all("dns_server"),
            "routers": all("router"),
            "params": all("parameter"),
        },
    })
}

/// The value at a path like `dns.answers[0].rdata`.
fn at<'a>(record: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(record, |record, step| {
        let (name, index) = step
            .split_once('[')
            .map_or((step, None), |(name, index)| (name, Some(index)));
        let value = &record[name];
        index.map_or(value, |index| {
            &value[index.trim_end_matches(']').parse::<usize>().unwrap()]
        })
    })
}

fn against_suricata(kind: &str, records: impl Fn(&Talk) -> Vec<Value>) -> (usize, usize) {
    let Some(corpora) = corpora() else { return (0, 0) };
    let folder = corpora.join("app");
    let mut rows = rows(&folder, "event_type", kind);
    // What is asked over HTTP is read there.
    rows.retain(|row| !row["capture"].as_str().unwrap().contains("http"));
    let mut right = 0;
    for row in &rows {
        let capture = row["capture"].as_str().unwrap();
        // Suricata looks at the checksums of TCP alone.
        let found = talks(&folder.join(capture), false);
        let logged: Vec<Value> = found.iter().flat_map(&records).collect();
        let wanted = row["match"].as_object().unwrap();
        let fits = |record: &&Value| wanted.iter().all(|(path, value)| at(record, path) == value);
        let count = logged.iter().filter(fits).count() as u64;
        let expected = row["count"].as_u64().unwrap();
        if if row["compare"] == "equal" {
            count == expected
        } else {
            count >= expected
        } {
            right += 1;
        } else {
            println!("{capture}: {count} of {expected}: {}", row["match"]);
            logged.iter().for_each(|record| println!("  {record}"));
        }
    }
    println!("{kind}: {right} of {}", rows.len());
    (right, rows.len())
}

#[test]
fn dns_that_suricata_logs() {
    let (right, all) = against_suricata("dns", |talk| {
        messages(talk).flat_map(|dns| eve(talk, dns)).collect()
    });
    assert_eq!(right, all);
}

#[test]
fn dhcp_that_suricata_logs() {
    let (right, all) = against_suricata("dhcp", |talk| {
        let others = talk.said.iter().filter_map(|(_, message)| match message {
            Message::Other(other) => Some(&**other),
            _ => None,
        });
        others.map(|other| eve_dhcp(talk, other)).collect()
    });
    assert_eq!(right, all);
}
