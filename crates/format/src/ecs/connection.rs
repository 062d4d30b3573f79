//! Connections, straight down: the same bytes as the list of fields gives, in a tenth of the time.

use std::sync::LazyLock;

use atalaya_model::community_id::CommunityId;
use atalaya_model::fields::{self, Kind, Record};
use atalaya_model::{Connection, Outcome, Wire};

use super::Context;
use super::members::ECS_VERSION;
use super::said::{self, Much};
use super::subject::Subject;
use super::tree::{Node, Tree};
use super::wire;
use crate::json::{self, Object, object};

/// The objects that are written by hand; the other fields of connections are those of its process.
const BY_HAND: [&str; 6] = [
    "event",
    "network",
    "source",
    "destination",
    "connection",
    "attribution",
];

/// Appends the object about a connection.
pub(super) fn write(out: &mut String, subject: &Subject<'_>, connection: &Connection, context: &Context) {
    object(out, |line| {
        json::rfc3339(line.member("@timestamp"), subject.time());
        line.object("event", |it| event(it, subject, connection));
        line.object("network", |it| network(it, connection));
        ends(line, connection);
        line.object("connection", |it| details(it, connection));
        line.object("attribution", |it| {
            it.word("certainty", connection.attribution.certainty.name());
            it.word("evidence", connection.attribution.evidence.name());
        });
        process(line, subject, connection, context);
        let wire = connection.wire.as_deref();
        if let Some(wire) = wire {
            spoken(line, wire);
        }
        watcher(line, wire, context);
    });
}

fn event(it: &mut Object<'_>, subject: &Subject<'_>, connection: &Connection) {
    it.member("kind").push_str("\"event\",\"category\":[\"network\"]");
    it.member("type").push_str(subject.types());
    it.word("action", subject.action());
    it.word("dataset", "atalaya.connection");
    it.some_text("outcome", subject.outcome());
    json::rfc3339(it.member("start"), connection.started);
    if let Some(ended) = connection.ended {
        json::rfc3339(it.member("end"), ended);
    }
    nanoseconds(it.member("duration"), connection.duration().0);
}

/// A span, as ECS has it.
pub(super) fn nanoseconds(out: &mut String, micros: i64) {
    match micros.checked_mul(1_000) {
        Some(nanoseconds) => json::signed(out, nanoseconds),
        None => json::number(out, i128::from(micros) * 1_000),
    }
}

fn network(it: &mut Object<'_>, connection: &Connection) {
    it.word("transport", connection.transport.name());
    let v4 = connection.source.ip.is_ipv4();
    it.word("type", if v4 { "ipv4" } else { "ipv6" });
    it.word("direction", connection.direction.name());
    it.word("scope", connection.scope.name());
    it.word("state", connection.state.name());
    it.some_text("protocol", connection.service.as_deref());
    let id = CommunityId::new(0, connection.transport, connection.source, connection.destination);
    it.word("community_id", id.as_str());
    it.number("namespace", connection.network_namespace);
    let bytes = connection.bytes();
    it.some_number(
        "bytes",
        bytes.map(|(source, destination)| source.saturating_add(destination)),
    );
    if let Some(wire) = connection.wire.as_deref() {
        if wire.application.is_some() {
            wire::application(it.member("application"), wire);
        }
        if wire.vlans[0] > 0 {
            wire::vlan(it.member("vlan"), wire);
        }
        if wire.vlans[1] > 0 {
            wire::inner(it.member("inner"), wire);
        }
    }
}

fn ends(line: &mut Object<'_>, connection: &Connection) {
    let (bytes, packets) = (connection.bytes(), connection.packets());
    line.object("source", |it| {
        it.address("ip", connection.source.ip);
        it.number("port", connection.source.port);
        it.some_number("bytes", bytes.map(|(source, _)| source));
        it.some_number("packets", packets.map(|(source, _)| whole(source)));
    });
    line.object("destination", |it| {
        it.address("ip", connection.destination.ip);
        it.number("port", connection.destination.port);
        it.some_text("domain", connection.name.as_deref());
        it.some_number("bytes", bytes.map(|(_, destination)| destination));
        it.some_number("packets", packets.map(|(_, destination)| whole(destination)));
    });
}

/// A number as a field holds it: not beyond 63 bits.
fn whole(number: u64) -> u64 {
    number.min(i64::MAX.unsigned_abs())
}

fn details(it: &mut Object<'_>, connection: &Connection) {
    if let Some(traffic) = connection.traffic {
        if traffic.round_trip > 0 {
            nanoseconds(it.member("round_trip"), traffic.round_trip.into());
        }
        it.number("retransmits", traffic.retransmits);
    }
    let side = if connection.is_initiator() {
        "source"
    } else {
        "destination"
    };
    it.word("side", side);
    if connection.outcome != Outcome::Unknown {
        it.word("outcome", connection.outcome.name());
    }
    it.some_text("name_source", connection.name_source.map(|source| source.name()));
    if connection.cookie > 0 {
        it.number("cookie", whole(connection.cookie));
    }
    it.truth("started_before", connection.started_before);
    it.some_number("user_id", connection.user_id);
    let Some(wire) = connection.wire.as_deref() else {
        return;
    };
    if wire.application.is_some() {
        wire::basis(it.member("application_basis"), wire);
    }
    it.some_text("tunnel", wire.tunnel.as_deref());
    it.number("source_ip_bytes", wire.source.ip_bytes);
    it.number("destination_ip_bytes", wire.destination.ip_bytes);
    it.some_number("segments_sent_again", wire::sent_again(wire));
    it.some_number("segments_out_of_order", wire::out_of_order(wire));
}

/// The fields of the process, where it is known; these come from the list.
pub(super) fn process(
    line: &mut Object<'_>,
    subject: &Subject<'_>,
    connection: &Connection,
    context: &Context,
) {
    static FIELDS: LazyLock<Tree> = LazyLock::new(|| {
        let mut tree = Tree::default();
        let by_hand = |name: &str| BY_HAND.contains(&name.split('.').next().unwrap_or_default());
        for field in fields::of(Kind::Connection).filter(|field| !by_hand(field.name)) {
            tree.add(field.name, Node::Field(field));
        }
        tree
    });
    if connection.process.is_some() {
        FIELDS.members(
            line.out(),
            Some(&Record::Connection(connection)),
            subject,
            context,
        );
    }
}

/// What was spoken.
fn spoken(line: &mut Object<'_>, wire: &Wire) {
    wire::zeek(line.member("zeek"), wire);
    if let Some(tls) = &wire.tls {
        said::tls(line.member("tls"), tls, Much::Little);
    }
    if let Some(http) = &wire.http {
        said::http(line.member("http"), http);
        if http.host.is_some() || http.path.is_some() {
            said::url(line.member("url"), http);
        }
        if http.user_agent.is_some() {
            said::agent(line.member("user_agent"), http);
        }
    }
    if let Some(ssh) = &wire.ssh {
        said::ssh(line.member("ssh"), ssh);
    }
}

/// Whose record it is.
pub(super) fn watcher(line: &mut Object<'_>, wire: Option<&Wire>, context: &Context) {
    line.object("host", |it| {
        it.text("name", &context.host_name);
        it.some_text("id", context.host_id.as_deref());
    });
    line.object("observer", |it| {
        it.member("product").push_str("\"Atalaya\",\"type\":\"sensor\"");
        it.text("version", &context.version);
        if let Some(wire) = wire.filter(|wire| wire.interface.is_some()) {
            wire::ingress(it.member("ingress"), wire);
        }
    });
    line.object("ecs", |it| it.word("version", ECS_VERSION));
}

#[cfg(test)]
mod tests;
