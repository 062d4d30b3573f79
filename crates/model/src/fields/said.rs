//! Fields of what was said, beside those that conversations have too: the members of its JSON, for filters.

use std::borrow::Cow;

use super::Kind::Protocol;
use super::wire::{boxed, message};
use super::{Field, Privacy, Record, Type};
use crate::Value;
use crate::protocol::dns::{Answer, Data, Dns, Question, Response, code_name, type_name};
use crate::protocol::tls::{Certificate, cipher_name, curve_name};
use crate::protocol::{Http2Settings, Mail, Message, Quic, Tls};

fn dns<'a>(record: &Record<'a>) -> Option<&'a Dns> {
    match message(record)? {
        Message::Dns(dns) => Some(dns),
        _ => None,
    }
}

fn question<'a>(record: &Record<'a>) -> Option<&'a Question> {
    dns(record)?.questions.first()
}

fn response<'a>(record: &Record<'a>) -> Option<&'a Response> {
    dns(record)?.response.as_ref()
}

fn operation(code: u8) -> Option<Value> {
    match code {
        0 => None,
        4 => Some("NOTIFY".into()),
        5 => Some("UPDATE".into()),
        other => Some(other.to_string().into()),
    }
}

fn header_flags(dns: &Dns) -> Option<Value> {
    list(dns.header_flags().map(Value::from))
}

fn kind(number: u16) -> Value {
    type_name(number).map_or_else(|| format!("TYPE{number}").into(), Value::from)
}

fn code(number: u16) -> Value {
    code_name(number).map_or_else(|| number.to_string().into(), Value::from)
}

fn address(answer: &Answer) -> Option<Value> {
    match answer.data {
        Data::Address(ip) => Some(ip.into()),
        _ => None,
    }
}

/// Of TLS, also inside QUIC.
fn handshake<'a>(record: &Record<'a>) -> Option<Cow<'a, Tls>> {
    match message(record)? {
        Message::Tls(tls) => Some(Cow::Borrowed(tls)),
        Message::Quic(quic) => Some(Cow::Owned(quic.tls())),
        _ => None,
    }
}

fn certificate<'a>(record: &Record<'a>) -> Option<&'a Certificate> {
    match message(record)? {
        Message::Tls(tls) => tls.certificates.first(),
        _ => None,
    }
}

fn quic<'a>(record: &Record<'a>) -> Option<&'a Quic> {
    match message(record)? {
        Message::Quic(quic) => Some(quic),
        _ => None,
    }
}

fn settings<'a>(record: &Record<'a>) -> Option<&'a Http2Settings> {
    match message(record)? {
        Message::Http2Settings(settings) => Some(settings),
        _ => None,
    }
}

fn mail<'a>(record: &Record<'a>) -> Option<&'a Mail> {
    match message(record)? {
        Message::Mail(mail) => Some(mail),
        _ => None,
    }
}

fn attributes(record: &Record<'_>) -> Option<Value> {
    match message(record)? {
        Message::Other(other) => {
            let each = other.attributes.iter();
            list(each.map(|(name, value)| format!("{name}={value}").into()))
        }
        _ => None,
    }
}

/// Several values; unset where there is none.
fn list(values: impl Iterator<Item = Value>) -> Option<Value> {
    let values: Vec<Value> = values.collect();
    (!values.is_empty()).then_some(Value::List(values))
}

pub(super) const FIELDS: &[Field] = &[
    Field {
        name: "dns.type",
        aliases: &[],
        column: "",
        kind: Type::Text,
        doc: "`answer` where one was seen, else `query`.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: &[Protocol],
        get: |r| {
            Some(
                if dns(r)?.response.is_some() {
                    "answer"
                } else {
                    "query"
                }
                .into(),
            )
        },
    },
    Field {
        name: "dns.id",
        aliases: &[],
        column: "",
        kind: Type::Text,
        doc: "Number of the question.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: &[Protocol],
        get: |r| Some(dns(r)?.id.to_string().into()),
    },
    Field {
        name: "dns.op_code",
        aliases: &[],
        column: "",
        kind: Type::Text,
        doc: "What kind of message it is, where it is no plain question: `NOTIFY`, `UPDATE` or a number.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: &[Protocol],
        get: |r| operation(dns(r)?.opcode),
    },
    Field {
        name: "dns.header_flags",
        aliases: &[],
        column: "",
        kind: Type::Texts,
        doc: "What its header says: AA, TC, RD, RA, AD, CD.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: &[Protocol],
        get: |r| header_flags(dns(r)?),
    },
    Field {
        name: "dns.question.name",
        aliases: &["dns.name", "query"],
        column: "",
        kind: Type::Text,
        doc: "Name that was asked for.",
        sigma: &["QueryName", "query"],
        privacy: Privacy::Personal,
        of: &[Protocol],
        get: |r| Some((&*question(r)?.name).into()),
    },
    Field {
        name: "dns.question.type",
        aliases: &[],
        column: "",
        kind: Type::Text,
        doc: "What was asked of it: A, AAAA, TXT and so on.",
        sigma: &["record_type", "qtype_name"],
        privacy: Privacy::Plain,
        of: &[Protocol],
        get: |r| Some(kind(question(r)?.kind)),
    },
    Field {
        name: "dns.response_code",
        aliases: &["rcode"],
        column: "",
        kind: Type::Text,
        doc: "How it was answered: NOERROR, NXDOMAIN and so on.",
        sigma: &["rcode_name"],
        privacy: Privacy::Plain,
        of: &[Protocol],
        get: |r| Some(code(response(r)?.code)),
    },
    Field {
        name: "dns.answers.name",
        aliases: &[],
        column: "",
        kind: Type::Texts,
        doc: "Names that the answers are of.",
        sigma: &[],
        privacy: Privacy::Personal,
        of: &[Protocol],
        get: |r| list(response(r)?.answers.iter().map(|answer| (&*answer.name).into())),
    },
    Field {
        name: "dns.answers.type",
        aliases: &[],
        column: "",
        kind: Type::Texts,
        doc: "Types of the answers.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: &[Protocol],
        get: |r| list(response(r)?.answers.iter().map(|answer| kind(answer.kind))),
    },
    Field {
        name: "dns.answers.data",
        aliases: &[],
        column: "",
        kind: Type::Texts,
        doc: "What the answers say, each in one line.",
        sigma: &["answers", "QueryResults"],
        privacy: Privacy::Personal,
        of: &[Protocol],
        get: |r| {
            list(
                response(r)?
                    .answers
                    .iter()
                    .map(|answer| answer.data.to_string().into()),
            )
        },
    },
    Field {
        name: "dns.resolved_ip",
        aliases: &["resolved"],
        column: "",
        kind: Type::Address,
        doc: "Addresses in the answers.",
        sigma: &[],
        privacy: Privacy::Personal,
        of: &[Protocol],
        get: |r| list(response(r)?.answers.iter().filter_map(address)),
    },
    Field {
        name: "tls.cipher",
        aliases: &[],
        column: "",
        kind: Type::Text,
        doc: "Cipher suite that the server chose.",
        sigma: &["cipher"],
        privacy: Privacy::Plain,
        of: &[Protocol],
        get: |r| Some(cipher_name(handshake(r)?.server.as_ref()?.cipher)?.into()),
    },
    Field {
        name: "tls.curve",
        aliases: &[],
        column: "",
        kind: Type::Text,
        doc: "Group or curve of the key exchange.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: &[Protocol],
        get: |r| Some(curve_name(handshake(r)?.curve?)?.into()),
    },
    Field {
        name: "tls.established",
        aliases: &[],
        column: "",
        kind: Type::Bool,
        doc: "Both sides changed to encryption.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: &[Protocol],
        get: |r| Some(handshake(r)?.established.into()),
    },
    Field {
        name: "tls.resumed",
        aliases: &[],
        column: "",
        kind: Type::Bool,
        doc: "The session was resumed.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: &[Protocol],
        get: |r| Some(handshake(r)?.resumed.into()),
    },
    Field {
        name: "tls.server.hash.sha1",
        aliases: &[],
        column: "",
        kind: Type::Text,
        doc: "SHA-1 of the server's certificate: what older lists name.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: &[Protocol],
        get: |r| Some((&*certificate(r)?.sha1).into()),
    },
    Field {
        name: "tls.server.not_before",
        aliases: &[],
        column: "",
        kind: Type::Time,
        doc: "From when the server's certificate is valid.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: &[Protocol],
        get: |r| Some(certificate(r)?.not_before.into()),
    },
    Field {
        name: "tls.server.not_after",
        aliases: &[],
        column: "",
        kind: Type::Time,
        doc: "Until when the server's certificate is valid.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: &[Protocol],
        get: |r| Some(certificate(r)?.not_after.into()),
    },
    Field {
        name: "tls.server.self_signed",
        aliases: &[],
        column: "",
        kind: Type::Bool,
        doc: "The server's certificate names the same as subject and issuer.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: &[Protocol],
        get: |r| Some(certificate(r)?.self_signed.into()),
    },
    Field {
        name: "tls.server.x509.serial_number",
        aliases: &[],
        column: "",
        kind: Type::Text,
        doc: "Serial number of the server's certificate.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: &[Protocol],
        get: |r| Some((&*certificate(r)?.serial).into()),
    },
    Field {
        name: "tls.server.x509.alternative_names",
        aliases: &[],
        column: "",
        kind: Type::Texts,
        doc: "Names and addresses that the server's certificate is for.",
        sigma: &[],
        privacy: Privacy::Personal,
        of: &[Protocol],
        get: |r| list(certificate(r)?.names.iter().map(|name| (&**name).into())),
    },
    Field {
        name: "quic.version",
        aliases: &[],
        column: "",
        kind: Type::Text,
        doc: "Version of QUIC.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: &[Protocol],
        get: |r| Some(quic(r)?.version_name().into()),
    },
    Field {
        name: "quic.client_initial_destination",
        aliases: &[],
        column: "",
        kind: Type::Text,
        doc: "Destination connection id of the client's first packet.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: &[Protocol],
        get: |r| Some((&*quic(r)?.client_initial_destination).into()),
    },
    Field {
        name: "quic.client_connection",
        aliases: &[],
        column: "",
        kind: Type::Text,
        doc: "The client's own connection id.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: &[Protocol],
        get: |r| Some((&*quic(r)?.client_connection).into()),
    },
    Field {
        name: "quic.server_connection",
        aliases: &[],
        column: "",
        kind: Type::Text,
        doc: "The server's own connection id.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: &[Protocol],
        get: |r| Some((&*quic(r)?.server_connection).into()),
    },
    Field {
        name: "quic.history",
        aliases: &[],
        column: "",
        kind: Type::Text,
        doc: "What came in order, with Zeek's letters.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: &[Protocol],
        get: |r| Some((&*quic(r)?.history).into()),
    },
    Field {
        name: "http2.by_client",
        aliases: &[],
        column: "",
        kind: Type::Bool,
        doc: "The settings of HTTP/2 are the client's.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: &[Protocol],
        get: |r| Some(settings(r)?.by_client.into()),
    },
    Field {
        name: "email.from.address",
        aliases: &["mail.from"],
        column: "",
        kind: Type::Texts,
        doc: "Reverse path of a mail.",
        sigma: &[],
        privacy: Privacy::Personal,
        of: &[Protocol],
        get: |r| list(mail(r)?.from.as_deref().map(Value::from).into_iter()),
    },
    Field {
        name: "email.to.address",
        aliases: &["mail.to"],
        column: "",
        kind: Type::Texts,
        doc: "Forward paths of a mail.",
        sigma: &[],
        privacy: Privacy::Personal,
        of: &[Protocol],
        get: |r| list(mail(r)?.to.iter().map(|path| (&**path).into())),
    },
    Field {
        name: "smtp.helo",
        aliases: &[],
        column: "",
        kind: Type::Text,
        doc: "What the client called itself.",
        sigma: &[],
        privacy: Privacy::Personal,
        of: &[Protocol],
        get: |r| boxed(&mail(r)?.helo),
    },
    Field {
        name: "smtp.greeting",
        aliases: &[],
        column: "",
        kind: Type::Text,
        doc: "What the server called itself.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: &[Protocol],
        get: |r| boxed(&mail(r)?.greeting),
    },
    Field {
        name: "smtp.code",
        aliases: &[],
        column: "",
        kind: Type::Integer,
        doc: "Code of the server's last answer.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: &[Protocol],
        get: |r| mail(r)?.code.map(Value::from),
    },
    Field {
        name: "smtp.starttls",
        aliases: &[],
        column: "",
        kind: Type::Bool,
        doc: "It went on over TLS.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: &[Protocol],
        get: |r| Some(mail(r)?.starttls.into()),
    },
    Field {
        name: "atalaya.attributes",
        aliases: &["attributes", "attribute"],
        column: "",
        kind: Type::Texts,
        doc: "What another protocol says of itself: for filters each is `NAME=VALUE`, in JSON a member of its own.",
        sigma: &[],
        privacy: Privacy::Personal,
        of: &[Protocol],
        get: |r| attributes(r),
    },
];
