//! Names asked for, and answers: version 3 of Suricata's DNS records.

use std::fmt::Write;

use atalaya_model::protocol::dns::{Answer, Data, Dns, Question, Response, code_name, type_name};
use atalaya_model::{Protocol, Time};

use super::{Way, head, process};
use crate::json::{self, Object};

pub(super) fn write(out: &mut String, protocol: &Protocol, dns: &Dns) {
    if let Some(asked) = dns.asked {
        line(out, protocol, asked, Way::ToServer, |it| {
            it.word("type", "request");
            top(it, dns, dns.flags);
            questions(it, &dns.questions);
        });
    }
    if let Some(response) = &dns.response {
        // Whose question was not seen: Suricata names the client first there, too.
        let way = if dns.asked.is_some() {
            Way::ToClient
        } else {
            Way::ToServer
        };
        line(out, protocol, response.time, way, |it| {
            it.word("type", "response");
            top(it, dns, response.flags);
            match code_name(response.code) {
                Some(name) => it.word("rcode", name),
                None => it.word("rcode", &response.code.to_string()),
            }
            questions(it, &dns.questions);
            it.list("answers", &*response.answers, answer);
            it.list("authorities", &*response.authorities, answer);
            it.list("additionals", &*response.additionals, answer);
            if !response.answers.is_empty() {
                it.object("grouped", |it| grouped(it, response));
            }
        });
    }
}

fn line(out: &mut String, protocol: &Protocol, time: Time, way: Way, fill: impl FnOnce(&mut Object<'_>)) {
    json::object(out, |line| {
        head(line, time, "dns", &protocol.connection, way);
        line.object("dns", |dns| {
            dns.number("version", 3u8);
            fill(dns);
        });
        process(
            line,
            protocol.connection.process.as_deref(),
            Some(&protocol.connection),
        );
    });
    out.push('\n');
}

fn top(it: &mut Object<'_>, dns: &Dns, flags: u16) {
    it.number("id", dns.id);
    let out = it.member("flags");
    out.push('"');
    json::hex(out, flags);
    out.push('"');
    for (bit, name) in [
        (0x8000, "qr"),
        (0x0400, "aa"),
        (0x0200, "tc"),
        (0x0100, "rd"),
        (0x0080, "ra"),
        (0x0040, "z"),
    ] {
        if flags & bit > 0 {
            it.truth(name, true);
        }
    }
    it.number("opcode", dns.opcode);
}

fn questions(it: &mut Object<'_>, questions: &[Question]) {
    it.list("queries", questions, |out, question| {
        json::object(out, |it| {
            it.text("rrname", question.as_sent.as_ref().unwrap_or(&question.name));
            kind(it, question.kind);
        });
    });
}

fn kind(it: &mut Object<'_>, kind: u16) {
    match type_name(kind) {
        Some(name) => it.word("rrtype", name),
        None => it.word("rrtype", &kind.to_string()),
    }
}

fn answer(out: &mut String, answer: &Answer) {
    json::object(out, |it| {
        it.text("rrname", &answer.name);
        kind(it, answer.kind);
        it.number("ttl", answer.ttl);
        let name = match answer.data {
            Data::Srv { .. } => "srv",
            Data::Soa { .. } => "soa",
            Data::Sshfp { .. } => "sshfp",
            // Of these Suricata says nothing.
            Data::Ds { .. }
            | Data::Dnskey { .. }
            | Data::Rrsig { .. }
            | Data::Nsec { .. }
            | Data::Caa { .. }
            | Data::Empty
            | Data::Unreadable => return,
            _ => "rdata",
        };
        data(it.member(name), &answer.data);
    });
}

/// What a record says, as the value of a member.
fn data(out: &mut String, data: &Data) {
    match data {
        Data::Address(ip) => json::address(out, *ip),
        Data::Name(name) | Data::Mx { name, .. } | Data::Other(name) => json::text(out, name),
        Data::Text(texts) => match &**texts {
            [text] if !text.contains('\\') => json::text(out, text),
            texts => {
                let mut plain = String::new();
                texts.iter().for_each(|text| unescape(&mut plain, text));
                json::text(out, &plain);
            }
        },
        Data::Srv {
            priority,
            weight,
            port,
            name,
        } => json::object(out, |it| {
            it.number("priority", *priority);
            it.number("weight", *weight);
            it.number("port", *port);
            it.text("name", name);
        }),
        Data::Soa {
            mname,
            rname,
            serial,
            refresh,
            retry,
            expire,
            minimum,
        } => json::object(out, |it| {
            it.text("mname", mname);
            it.text("rname", rname);
            it.number("serial", *serial);
            it.number("refresh", *refresh);
            it.number("retry", *retry);
            it.number("expire", *expire);
            it.number("minimum", *minimum);
        }),
        Data::Sshfp {
            algorithm,
            kind,
            fingerprint,
        } => json::object(out, |it| {
            it.text("fingerprint", fingerprint);
            it.number("algo", *algorithm);
            it.number("type", *kind);
        }),
        _ => out.push_str("null"),
    }
}

/// Takes back the escapes of zone files: `\092` is `\`, and what is no ASCII becomes `\xNN`, as Suricata and Zeek write it.
pub(crate) fn unescape(out: &mut String, text: &str) {
    let mut rest = text;
    while let Some((plain, escaped)) = rest.split_once('\\') {
        out.push_str(plain);
        let byte = escaped.get(..3).and_then(|digits| digits.parse::<u8>().ok());
        match byte {
            Some(byte) if byte.is_ascii() => out.push(char::from(byte)),
            // Writing to a String cannot fail.
            Some(byte) => write!(out, "\\x{byte:02x}").unwrap_or_default(),
            None => out.push('\\'),
        }
        rest = &escaped[if byte.is_some() { 3 } else { 0 }..];
    }
    out.push_str(rest);
}

/// The answers by their types, in the order in which the types first came.
fn grouped(it: &mut Object<'_>, response: &Response) {
    let readable = |answer: &&Answer| {
        matches!(
            answer.data,
            Data::Address(_)
                | Data::Name(_)
                | Data::Text(_)
                | Data::Mx { .. }
                | Data::Srv { .. }
                | Data::Soa { .. }
                | Data::Sshfp { .. }
        )
    };
    for (index, first) in response.answers.iter().enumerate() {
        let earlier = response.answers[..index].iter();
        let again = earlier.filter(readable).any(|answer| answer.kind == first.kind);
        if let (false, Some(name)) = (again, type_name(first.kind)) {
            let same = response.answers[index..].iter().filter(readable);
            let same = same.filter(|answer| answer.kind == first.kind);
            it.list(name, same, |out, answer| data(out, &answer.data));
        }
    }
}
