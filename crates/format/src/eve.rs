//! Lines as Suricata writes them (EVE JSON), so that what reads those reads ours.
//!
//! An ended conversation is a `flow`; what was said in it is `dns` (version 3: a line for the request and one for the
//! response), `tls`, `quic`, `http`, `ssh`, `smtp`, `dhcp` and so on, by Suricata's names; an alert is an `alert`. What
//! Suricata has no word for is left out, but for the process: `process` says who it was, where that is known.

mod alerts;
mod dns;
mod flow;
mod http;
mod names;
mod others;
pub mod read;
mod tls;

use atalaya_model::community_id::CommunityId;
use atalaya_model::{Connection, Event, Evidence, Fact, Message, Process, Protocol, Time, Transport};

use crate::identity;
use crate::json::{self, Object};

pub use alerts::alert;
pub(crate) use dns::unescape;
pub(crate) use flow::last;
pub(crate) use others::{Words, attributes};

/// Appends the lines about an event, each with its newline; events that Suricata does not tell of add none.
pub fn event(out: &mut String, event: &Event) {
    match &event.fact {
        Fact::ConnectionClosed(connection) => flow::write(out, event.time, connection),
        Fact::Protocol(protocol) => said(out, protocol),
        _ => {}
    }
}

fn said(out: &mut String, protocol: &Protocol) {
    match &protocol.message {
        Message::Dns(it) => dns::write(out, protocol, it),
        Message::Tls(it) => line(out, protocol, "tls", |line| tls::tls(line, it)),
        Message::Quic(it) => {
            line(out, protocol, "quic", |line| tls::quic(line, it));
            if let Some(server) = &it.server {
                line(out, protocol, "quic", |line| tls::quic_answer(line, it, server));
            }
        }
        Message::Http(it) => line(out, protocol, "http", |line| http::http(line, it)),
        Message::Http2Settings(it) => line(out, protocol, "http", |line| http::settings(line, it)),
        Message::Ssh(it) => line(out, protocol, "ssh", |line| others::ssh(line, it)),
        Message::Mail(it) => line(out, protocol, "smtp", |line| others::mail(line, it)),
        Message::Other(it) => {
            let kind = names::application(it.application);
            line(out, protocol, kind, |line| others::other(line, kind, it));
        }
    }
}

/// A line about what was said, from the side that began the conversation.
fn line(out: &mut String, protocol: &Protocol, kind: &str, fill: impl FnOnce(&mut Object<'_>)) {
    json::object(out, |line| {
        head(line, protocol.time, kind, &protocol.connection, Way::ToServer);
        fill(line);
        let connection = &*protocol.connection;
        process(line, connection.process.as_deref(), Some(connection));
    });
    out.push('\n');
}

/// Who is the source of a line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    ToServer,
    ToClient,
}

/// What every line begins with.
fn head(line: &mut Object<'_>, time: Time, kind: &str, connection: &Connection, way: Way) {
    json::rfc3339_offset(line.member("timestamp"), time);
    line.number("flow_id", identity::number(connection));
    let wire = connection.wire.as_deref();
    line.some_text("in_iface", wire.and_then(|wire| wire.interface.as_deref()));
    line.word("event_type", kind);
    if let Some(wire) = wire {
        let vlans = wire.vlans.into_iter().filter(|vlan| *vlan > 0);
        line.list("vlan", vlans, |out, vlan| json::integer(out, vlan.into()));
    }
    let (source, destination) = match way {
        Way::ToServer => (connection.source, connection.destination),
        Way::ToClient => (connection.destination, connection.source),
    };
    let control = matches!(connection.transport, Transport::Icmp | Transport::Icmpv6);
    line.address("src_ip", source.ip);
    if !control {
        line.number("src_port", source.port);
    }
    line.address("dest_ip", destination.ip);
    if !control {
        line.number("dest_port", destination.port);
    }
    match connection.transport {
        Transport::Tcp => line.word("proto", "TCP"),
        Transport::Udp => line.word("proto", "UDP"),
        Transport::Icmp => line.word("proto", "ICMP"),
        Transport::Icmpv6 => line.word("proto", "IPv6-ICMP"),
        Transport::Sctp => line.word("proto", "SCTP"),
        other => line.word("proto", &other.number().to_string()),
    }
    if control {
        line.number("icmp_type", connection.source.port);
        line.number("icmp_code", connection.destination.port);
    }
    let id = CommunityId::new(0, connection.transport, connection.source, connection.destination);
    line.word("community_id", id.as_str());
}

/// Who it was, where that is known.
fn process(line: &mut Object<'_>, process: Option<&Process>, connection: Option<&Connection>) {
    let Some(process) = process else {
        return;
    };
    line.object("process", |it| {
        it.number("pid", process.key.pid);
        it.text("name", &process.name);
        it.some_text("executable", process.executable.as_deref());
        it.some_text("sha256", process.sha256.as_deref());
        it.some_text("user", process.user_name.as_deref());
        if let Some(connection) = connection.filter(|it| it.attribution.evidence == Evidence::CaptureFile) {
            it.word("evidence", connection.attribution.evidence.name());
        }
    });
}
