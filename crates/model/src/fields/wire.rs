//! Fields of conversations that only packets tell. Those of a protocol are also of what was said: there it is the
//! record's own word, and of a record of another protocol the conversation's.

use super::Kind::{self, Connection};
use super::{Field, Privacy, Record, Type};
use crate::protocol::tls::{Certificate, ClientHello, ServerHello, version_words};
use crate::protocol::{Http, Message, Ssh, Tls};
use crate::{Value, Wire};

/// What was said in a conversation, and the conversation itself.
const SAID: &[Kind] = &[Connection, Kind::Protocol];

fn wire<'a>(record: &Record<'a>) -> Option<&'a Wire> {
    match record {
        Record::Connection(connection) => connection.wire.as_deref(),
        Record::Protocol(protocol) => protocol.connection.wire.as_deref(),
        _ => None,
    }
}

pub(super) fn message<'a>(record: &Record<'a>) -> Option<&'a Message> {
    match record {
        Record::Protocol(protocol) => Some(&protocol.message),
        _ => None,
    }
}

fn tls<'a>(record: &Record<'a>) -> Option<&'a Tls> {
    match message(record) {
        Some(Message::Tls(tls)) => Some(tls),
        _ => wire(record)?.tls.as_deref(),
    }
}

fn hello<'a>(record: &Record<'a>) -> Option<&'a ClientHello> {
    match message(record) {
        Some(Message::Quic(quic)) => quic.client.as_ref(),
        _ => tls(record)?.client.as_ref(),
    }
}

fn answer<'a>(record: &Record<'a>) -> Option<&'a ServerHello> {
    match message(record) {
        Some(Message::Quic(quic)) => quic.server.as_ref(),
        _ => tls(record)?.server.as_ref(),
    }
}

fn version(record: &Record<'_>) -> Option<u16> {
    match message(record) {
        Some(Message::Quic(quic)) => quic.tls().version,
        _ => tls(record)?.version,
    }
}

fn certificate<'a>(record: &Record<'a>) -> Option<&'a Certificate> {
    match message(record) {
        Some(Message::Quic(_)) => None,
        _ => tls(record)?.certificates.first(),
    }
}

fn http<'a>(record: &Record<'a>) -> Option<&'a Http> {
    match message(record) {
        Some(Message::Http(http)) => Some(http),
        _ => wire(record)?.http.as_deref(),
    }
}

fn ssh<'a>(record: &Record<'a>) -> Option<&'a Ssh> {
    match message(record) {
        Some(Message::Ssh(ssh)) => Some(ssh),
        _ => wire(record)?.ssh.as_deref(),
    }
}

pub(super) fn boxed(text: &Option<Box<str>>) -> Option<Value> {
    text.as_deref().map(Value::from)
}

/// A text that is empty where it is unknown.
fn word(text: &str) -> Option<Value> {
    (!text.is_empty()).then(|| text.into())
}

fn positive(number: u64) -> Option<Value> {
    (number > 0).then(|| number.into())
}

fn some_bytes(number: u64) -> Option<Value> {
    (number > 0).then_some(Value::Bytes(number))
}

fn vlan(record: &Record<'_>, depth: usize) -> Option<Value> {
    positive((*wire(record)?.vlans.get(depth)?).into())
}

pub(super) const FIELDS: &[Field] = &[
    Field {
        name: "network.application",
        aliases: &["application", "app"],
        column: "application",
        kind: Type::Text,
        doc: "What is spoken, by what was said in packets, else as a guess by the port (`connection.application_basis`).",
        sigma: &[],
        privacy: Privacy::Plain,
        of: &[Connection],
        get: |r| Some(wire(r)?.application?.0.name().into()),
    },
    Field {
        name: "network.vlan.id",
        aliases: &["vlan"],
        column: "vlan",
        kind: Type::Integer,
        doc: "Number of the outermost VLAN that the packets were in.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: &[Connection],
        get: |r| vlan(r, 0),
    },
    Field {
        name: "network.inner.vlan.id",
        aliases: &["inner_vlan"],
        column: "inner_vlan",
        kind: Type::Integer,
        doc: "Number of the next VLAN inside that.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: &[Connection],
        get: |r| vlan(r, 1),
    },
    Field {
        name: "connection.application_basis",
        aliases: &["application_basis"],
        column: "application_basis",
        kind: Type::Text,
        doc: "How the application was named: `content` (what was said) or `port` (a guess).",
        sigma: &[],
        privacy: Privacy::Plain,
        of: &[Connection],
        get: |r| Some(wire(r)?.application?.1.name().into()),
    },
    Field {
        name: "connection.tunnel",
        aliases: &["tunnel"],
        column: "tunnel",
        kind: Type::Text,
        doc: "The tunnel that the packets were in, and between whom.",
        sigma: &[],
        privacy: Privacy::Personal,
        of: &[Connection],
        get: |r| wire(r)?.tunnel.as_ref().map(Value::from),
    },
    Field {
        name: "connection.source_ip_bytes",
        aliases: &[],
        column: "source_ip_bytes",
        kind: Type::Bytes,
        doc: "Bytes of the IP packets that the source sent, with their headers.",
        sigma: &["orig_ip_bytes"],
        privacy: Privacy::Plain,
        of: &[Connection],
        get: |r| Some(Value::Bytes(wire(r)?.source.ip_bytes)),
    },
    Field {
        name: "connection.destination_ip_bytes",
        aliases: &[],
        column: "destination_ip_bytes",
        kind: Type::Bytes,
        doc: "Bytes of the IP packets that the destination sent, with their headers.",
        sigma: &["resp_ip_bytes"],
        privacy: Privacy::Plain,
        of: &[Connection],
        get: |r| Some(Value::Bytes(wire(r)?.destination.ip_bytes)),
    },
    Field {
        name: "connection.segments_sent_again",
        aliases: &["sent_again"],
        column: "segments_sent_again",
        kind: Type::Integer,
        doc: "Segments that packets show to have been sent again, by either side; unset where there were none.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: &[Connection],
        get: |r| positive(wire(r)?.sent_again()),
    },
    Field {
        name: "connection.segments_out_of_order",
        aliases: &["out_of_order"],
        column: "segments_out_of_order",
        kind: Type::Integer,
        doc: "Segments that overtook others, of either side; unset where there were none.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: &[Connection],
        get: |r| positive(wire(r)?.out_of_order()),
    },
    Field {
        name: "zeek.connection.state",
        aliases: &["conn_state"],
        column: "conn_state",
        kind: Type::Text,
        doc: "How far the conversation came, with Zeek's names: S0, S1, SF, REJ, RSTO and so on.",
        sigma: &["conn_state"],
        privacy: Privacy::Plain,
        of: &[Connection],
        get: |r| Some(wire(r)?.state.name().into()),
    },
    Field {
        name: "zeek.connection.history",
        aliases: &["history"],
        column: "history",
        kind: Type::Text,
        doc: "What happened in order, with Zeek's letters: upper case by the source, lower case by the destination.",
        sigma: &["history"],
        privacy: Privacy::Plain,
        of: &[Connection],
        get: |r| word(&wire(r)?.history),
    },
    Field {
        name: "zeek.connection.missed_bytes",
        aliases: &["missed_bytes"],
        column: "missed_bytes",
        kind: Type::Bytes,
        doc: "Payload that is missing in what was captured; unset where nothing is.",
        sigma: &["missed_bytes"],
        privacy: Privacy::Plain,
        of: &[Connection],
        get: |r| {
            let wire = wire(r)?;
            let missed = wire
                .source
                .missed_bytes
                .saturating_add(wire.destination.missed_bytes);
            (missed > 0).then_some(Value::Bytes(missed))
        },
    },
    Field {
        name: "tls.version_protocol",
        aliases: &[],
        column: "tls_protocol",
        kind: Type::Text,
        doc: "`tls`, `dtls` or `ssl`.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: SAID,
        get: |r| Some(version_words(version(r)?).0.into()),
    },
    Field {
        name: "tls.version",
        aliases: &[],
        column: "tls_version",
        kind: Type::Text,
        doc: "Version of TLS in force: `1.2`, `1.3`.",
        sigma: &["tls_version"],
        privacy: Privacy::Plain,
        of: SAID,
        get: |r| Some(version_words(version(r)?).1.as_ref().into()),
    },
    Field {
        name: "tls.next_protocol",
        aliases: &[],
        column: "tls_next_protocol",
        kind: Type::Text,
        doc: "Application protocol that the server chose (in the clear up to TLS 1.2).",
        sigma: &["next_protocol"],
        privacy: Privacy::Plain,
        of: SAID,
        get: |r| answer(r)?.protocol.as_ref().map(Value::from),
    },
    Field {
        name: "tls.client.server_name",
        aliases: &["server_name", "sni"],
        column: "server_name",
        kind: Type::Text,
        doc: "Server name in the client's hello.",
        sigma: &["server_name"],
        privacy: Privacy::Personal,
        of: SAID,
        get: |r| hello(r)?.server_name.as_ref().map(Value::from),
    },
    Field {
        name: "tls.client.ja3",
        aliases: &["ja3"],
        column: "ja3",
        kind: Type::Text,
        doc: "JA3 of the client's hello.",
        sigma: &["ja3"],
        privacy: Privacy::Plain,
        of: SAID,
        get: |r| hello(r)?.ja3.as_ref().map(Value::from),
    },
    Field {
        name: "tls.client.ja4",
        aliases: &["ja4"],
        column: "ja4",
        kind: Type::Text,
        doc: "JA4 of the client's hello.",
        sigma: &["ja4"],
        privacy: Privacy::Plain,
        of: SAID,
        get: |r| word(&hello(r)?.ja4),
    },
    Field {
        name: "tls.client.alpn",
        aliases: &["alpn"],
        column: "alpn",
        kind: Type::Texts,
        doc: "Application protocols that the client offers.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: SAID,
        get: |r| {
            let names: Vec<_> = hello(r)?
                .protocols
                .iter()
                .map(|name| Value::from(&**name))
                .collect();
            (!names.is_empty()).then_some(Value::List(names))
        },
    },
    Field {
        name: "tls.server.ja3s",
        aliases: &["ja3s"],
        column: "ja3s",
        kind: Type::Text,
        doc: "JA3S of the server's hello.",
        sigma: &["ja3s"],
        privacy: Privacy::Plain,
        of: SAID,
        get: |r| word(&answer(r)?.ja3s),
    },
    Field {
        name: "tls.server.subject",
        aliases: &[],
        column: "tls_subject",
        kind: Type::Text,
        doc: "Whom the server's certificate names (in the clear up to TLS 1.2).",
        sigma: &["certificate.subject"],
        privacy: Privacy::Personal,
        of: SAID,
        get: |r| Some((&*certificate(r)?.subject).into()),
    },
    Field {
        name: "tls.server.issuer",
        aliases: &[],
        column: "tls_issuer",
        kind: Type::Text,
        doc: "Who issued the server's certificate.",
        sigma: &["certificate.issuer"],
        privacy: Privacy::Plain,
        of: SAID,
        get: |r| Some((&*certificate(r)?.issuer).into()),
    },
    Field {
        name: "tls.server.hash.sha256",
        aliases: &[],
        column: "certificate_sha256",
        kind: Type::Text,
        doc: "SHA-256 of the server's certificate.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: SAID,
        get: |r| Some((&*certificate(r)?.sha256).into()),
    },
    Field {
        name: "http.version",
        aliases: &[],
        column: "http_version",
        kind: Type::Text,
        doc: "Version of HTTP: `1.1`.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: SAID,
        get: |r| Some(http(r)?.version_name()?.into()),
    },
    Field {
        name: "http.request.method",
        aliases: &[],
        column: "http_method",
        kind: Type::Text,
        doc: "Method of the first HTTP request.",
        sigma: &["cs-method", "method"],
        privacy: Privacy::Plain,
        of: SAID,
        get: |r| http(r)?.method.as_ref().map(Value::from),
    },
    Field {
        name: "http.request.referrer",
        aliases: &[],
        column: "http_referrer",
        kind: Type::Text,
        doc: "The page that the request says it comes from, without its query.",
        sigma: &["cs-referrer", "referrer"],
        privacy: Privacy::Personal,
        of: SAID,
        get: |r| http(r)?.referrer.as_ref().map(Value::from),
    },
    Field {
        name: "http.request.mime_type",
        aliases: &[],
        column: "http_request_mime_type",
        kind: Type::Text,
        doc: "Media type of the request's body by its first bytes.",
        sigma: &["orig_mime_types"],
        privacy: Privacy::Plain,
        of: SAID,
        get: |r| http(r)?.request_mime.as_ref().map(Value::from),
    },
    Field {
        name: "http.request.body.bytes",
        aliases: &[],
        column: "http_request_bytes",
        kind: Type::Bytes,
        doc: "Bytes of the request's body; unset where there are none.",
        sigma: &["request_body_len"],
        privacy: Privacy::Plain,
        of: SAID,
        get: |r| some_bytes(http(r)?.request_bytes),
    },
    Field {
        name: "http.response.status_code",
        aliases: &["http.status"],
        column: "http_status",
        kind: Type::Integer,
        doc: "Status code of the first HTTP response.",
        sigma: &["sc-status", "status_code"],
        privacy: Privacy::Plain,
        of: SAID,
        get: |r| http(r)?.status.map(Value::from),
    },
    Field {
        name: "http.response.mime_type",
        aliases: &[],
        column: "http_response_mime_type",
        kind: Type::Text,
        doc: "Media type of the response's body by its first bytes.",
        sigma: &["resp_mime_types"],
        privacy: Privacy::Plain,
        of: SAID,
        get: |r| http(r)?.response_mime.as_ref().map(Value::from),
    },
    Field {
        name: "http.response.body.bytes",
        aliases: &[],
        column: "http_response_bytes",
        kind: Type::Bytes,
        doc: "Bytes of the response's body; unset where there are none.",
        sigma: &["response_body_len"],
        privacy: Privacy::Plain,
        of: SAID,
        get: |r| some_bytes(http(r)?.response_bytes),
    },
    Field {
        name: "url.domain",
        aliases: &[],
        column: "url_domain",
        kind: Type::Text,
        doc: "Host that the first HTTP request asks for, as said.",
        sigma: &["cs-host"],
        privacy: Privacy::Personal,
        of: SAID,
        get: |r| http(r)?.host.as_ref().map(Value::from),
    },
    Field {
        name: "url.path",
        aliases: &[],
        column: "url_path",
        kind: Type::Text,
        doc: "What the first HTTP request asks for, without its query.",
        sigma: &["c-uri", "cs-uri-stem", "uri"],
        privacy: Privacy::Personal,
        of: SAID,
        get: |r| Some(http(r)?.path_and_query().0?.into()),
    },
    Field {
        name: "url.query",
        aliases: &[],
        column: "url_query",
        kind: Type::Text,
        doc: "Its query; only where the configuration keeps queries.",
        sigma: &["cs-uri-query"],
        privacy: Privacy::Sensitive,
        of: SAID,
        get: |r| Some(http(r)?.path_and_query().1?.into()),
    },
    Field {
        name: "user_agent.original",
        aliases: &["user_agent"],
        column: "user_agent",
        kind: Type::Text,
        doc: "What the client calls itself in its first HTTP request.",
        sigma: &["c-useragent"],
        privacy: Privacy::Personal,
        of: SAID,
        get: |r| http(r)?.user_agent.as_ref().map(Value::from),
    },
    Field {
        name: "ssh.client",
        aliases: &[],
        column: "ssh_client",
        kind: Type::Text,
        doc: "Banner of the SSH client.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: SAID,
        get: |r| boxed(&ssh(r)?.client),
    },
    Field {
        name: "ssh.server",
        aliases: &[],
        column: "ssh_server",
        kind: Type::Text,
        doc: "Banner of the SSH server.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: SAID,
        get: |r| boxed(&ssh(r)?.server),
    },
    Field {
        name: "ssh.hassh",
        aliases: &["hassh"],
        column: "hassh",
        kind: Type::Text,
        doc: "HASSH of the SSH client.",
        sigma: &["hassh"],
        privacy: Privacy::Plain,
        of: SAID,
        get: |r| boxed(&ssh(r)?.hassh),
    },
    Field {
        name: "ssh.hassh_server",
        aliases: &["hassh_server"],
        column: "hassh_server",
        kind: Type::Text,
        doc: "HASSH of the SSH server.",
        sigma: &["hasshServer"],
        privacy: Privacy::Plain,
        of: SAID,
        get: |r| boxed(&ssh(r)?.hassh_server),
    },
    Field {
        name: "ssh.authenticated",
        aliases: &[],
        column: "ssh_authenticated",
        kind: Type::Bool,
        doc: "A log-in seems to have succeeded, by how much was said after it; unset where that cannot be told.",
        sigma: &["auth_success"],
        privacy: Privacy::Plain,
        of: SAID,
        get: |r| ssh(r)?.authenticated.map(Value::from),
    },
    Field {
        name: "observer.ingress.interface.name",
        aliases: &["interface"],
        column: "interface",
        kind: Type::Text,
        doc: "Interface on which the packets were seen.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: &[Connection],
        get: |r| wire(r)?.interface.as_ref().map(Value::from),
    },
];
