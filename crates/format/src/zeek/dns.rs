//! `dns`: names asked for, and answers.

use std::borrow::Cow;
use std::fmt::Write;

use atalaya_model::Connection;
use atalaya_model::protocol::dns::{Answer, Data, Dns, code_name};

use super::{names, transport};
use crate::eve;
use crate::json::{self, Object};

pub(super) fn columns(it: &mut Object<'_>, connection: &Connection, dns: &Dns) {
    it.word("proto", transport(connection.transport));
    it.number("trans_id", dns.id);
    let response = dns.response.as_ref();
    if let (Some(asked), Some(response)) = (dns.asked, response) {
        it.seconds("rtt", response.time.since(asked).0);
    }
    let update = dns.opcode == UPDATE;
    let answers = response.map(|response| &*response.answers).unwrap_or_default();
    let sent = dns.sent.as_deref().filter(|_| update);
    let demanded = sent.map(|sent| &*sent.answers).unwrap_or_default();
    let changed = sent.map(|sent| &*sent.authorities).unwrap_or_default();
    let question = dns.questions.first();
    // Whoever sees only an answer knows the name by it; what was asked of the name is not known then. The question of
    // an update is its zone.
    let records = demanded.iter().chain(changed).chain(answers);
    match question.filter(|_| !update) {
        Some(question) => {
            it.text("query", &question.name);
            it.number("qclass", question.class);
            named(
                it,
                "qclass_name",
                names::class(question.class),
                "qclass",
                question.class,
            );
            it.number("qtype", question.kind);
            named(
                it,
                "qtype_name",
                names::query(question.kind),
                "query",
                question.kind,
            );
        }
        None => it.some_text("query", records.clone().next().map(|first| &*first.name)),
    }
    if let Some(response) = response {
        it.number("rcode", response.code);
        named(it, "rcode_name", code_name(response.code), "rcode", response.code);
    }
    // The question says what is wanted, the answer what was done: of an answer without records Zeek keeps nothing.
    let asked = dns.asked.map_or(0, |_| dns.flags);
    let said = response.filter(|response| !response.answers.is_empty());
    let said = said.map_or(0, |response| response.flags);
    let wanted = response.map_or(0, |response| match dns.questions.is_empty() {
        true => 0,
        false => response.flags,
    });
    it.truth("AA", said & 0x0400 > 0);
    it.truth("TC", (asked | wanted) & 0x0200 > 0);
    it.truth(
        "RD",
        (if dns.asked.is_some() { asked } else { wanted }) & 0x0100 > 0,
    );
    it.truth("RA", said & 0x0080 > 0);
    it.number("Z", (asked >> 4) & 7);
    let mut text = String::new();
    // What has no data says something in an update alone.
    let answers = answers.iter().filter(|answer| answer.data != Data::Empty);
    let records = demanded.iter().chain(changed).chain(answers);
    let shown = records.filter(|answer| answer.data != Data::Unreadable && has_words(answer));
    it.list("answers", shown.clone().enumerate(), |out, (index, answer)| {
        text.clear();
        match index.checked_sub(demanded.len()) {
            None => demand(&mut text, answer),
            Some(index) if index < changed.len() => change(&mut text, answer),
            Some(_) => words(&mut text, answer),
        }
        json::text(out, &text);
    });
    it.list("TTLs", shown, |out, answer| {
        json::seconds(out, i64::from(answer.ttl) * 1_000_000);
    });
    let rejected = response.is_some_and(|response| {
        let records = [&response.answers, &response.authorities, &response.additionals];
        response.code != 0 && records.iter().all(|it| it.is_empty()) && response.left_out == 0
    });
    it.truth("rejected", rejected);
}

const UPDATE: u8 = 5;

fn named(it: &mut Object<'_>, column: &str, name: Option<&str>, kind: &str, number: u16) {
    match name {
        Some(name) => it.word(column, name),
        None => it.word(column, &format!("{kind}-{number}")),
    }
}

/// Zeek says nothing of some types.
fn has_words(answer: &Answer) -> bool {
    !matches!(answer.kind, 10 | 11 | 41 | 250)
}

/// What a dynamic update demands (RFC 2136, 2.4).
fn demand(out: &mut String, record: &Answer) {
    let (name, kind) = (&record.name, kind(record.kind));
    match (record.class, record.kind) {
        (NONE, ANY_TYPE) => write!(out, "pre: NameNotUsed {name}"),
        (ANY, ANY_TYPE) => write!(out, "pre: NameUsed {name}"),
        (NONE, _) => write!(out, "pre: NoRRSet {kind} {name}"),
        (ANY, _) => write!(out, "pre: RRSet {kind} {name}"),
        _ => write!(out, "pre: RR {kind} {name}"),
    }
    .unwrap_or_default();
}

/// What a dynamic update changes (RFC 2136, 2.5).
fn change(out: &mut String, record: &Answer) {
    let (name, kind) = (&record.name, kind(record.kind));
    match (record.class, record.kind) {
        (ANY, ANY_TYPE) => write!(out, "del: Name {name}"),
        (ANY, _) => write!(out, "del: RRSet {kind}"),
        (NONE, _) => write!(out, "del: RR {kind} {name} "),
        _ => write!(out, "add: {kind} {name} "),
    }
    .unwrap_or_default();
    if record.class != ANY {
        words(out, record);
    }
}

fn kind(kind: u16) -> Cow<'static, str> {
    names::query(kind).map_or_else(|| format!("query-{kind}").into(), Cow::Borrowed)
}

const NONE: u16 = 254;
const ANY: u16 = 255;
const ANY_TYPE: u16 = 255;

/// What a record says, in Zeek's words.
fn words(out: &mut String, answer: &Answer) {
    // Writing to a String cannot fail.
    match &answer.data {
        Data::Address(ip) => write!(out, "{ip}").unwrap_or_default(),
        Data::Name(name) | Data::Mx { name, .. } | Data::Srv { name, .. } => out.push_str(name),
        Data::Soa { mname, .. } => out.push_str(mname),
        Data::Text(texts) => {
            let kind = if answer.kind == 99 { "SPF" } else { "TXT" };
            for (index, text) in texts.iter().enumerate() {
                let space = if index > 0 { " " } else { "" };
                // The bytes that were sent: each `\DDD` was one.
                let length = text.len() - 3 * text.matches('\\').count().min(text.len() / 4);
                write!(out, "{space}{kind} {length} ").unwrap_or_default();
                eve::unescape(out, text);
            }
        }
        Data::Sshfp { fingerprint, .. } => {
            out.push_str("SSHFP: ");
            out.extend(fingerprint.chars().filter(|c| *c != ':'));
        }
        Data::Dnskey { algorithm, .. } => write!(out, "DNSKEY {algorithm}").unwrap_or_default(),
        Data::Ds {
            algorithm,
            digest_kind,
            ..
        } => write!(out, "DS {algorithm} {digest_kind}").unwrap_or_default(),
        Data::Rrsig { covered, signer, .. } => {
            let signer = if signer.is_empty() { "<Root>" } else { signer };
            write!(out, "RRSIG {covered} {signer}").unwrap_or_default();
        }
        Data::Nsec { next, .. } => write!(out, "NSEC {} {next}", answer.name).unwrap_or_default(),
        Data::Caa { flags, tag, value } => {
            write!(out, "CAA {flags} {tag} {value}").unwrap_or_default();
        }
        Data::Other(_) if answer.kind == 65_534 => out.push_str("BIND9 signing signal"),
        Data::Other(said) => match answer.kind {
            13 | 29 | 50 | 51 => write!(out, "{} {said}", kind(answer.kind)).unwrap_or_default(),
            _ => out.push_str(said),
        },
        Data::Empty | Data::Unreadable => {}
    }
}
