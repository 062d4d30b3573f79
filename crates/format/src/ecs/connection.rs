//! Connections, straight down: the same bytes as the list of fields gives, in a tenth of the time.

use std::sync::LazyLock;

use atalaya_model::community_id::CommunityId;
use atalaya_model::fields::{self, Kind, Record};
use atalaya_model::{Connection, Evidence, Outcome, Place, Wire};

use super::Context;
use super::members::ECS_VERSION;
use super::subject::Subject;
use super::tree::{Node, Tree};
use super::wire;
use crate::json::{self, Object, object};

/// The objects that are written by hand; the other fields of connections are those of its process.
const BY_HAND: [&str; 13] = [
    "event",
    "network",
    "source",
    "destination",
    "connection",
    "attribution",
    "zeek",
    "tls",
    "http",
    "url",
    "user_agent",
    "ssh",
    "observer",
];

/// Appends the object about a connection.
pub(super) fn write(out: &mut String, subject: &Subject<'_>, connection: &Connection, context: &Context) {
    object(out, |line| {
        json::rfc3339(line.member("@timestamp"), subject.time());
        line.object("event", |it| event(it, subject, connection, context));
        line.object("network", |it| network(it, connection, context));
        ends(line, connection);
        line.filled("connection", |it| details(it, connection, context));
        if !context.of_captures || connection.attribution.evidence == Evidence::CaptureFile {
            attribution(line, connection);
        }
        let wire = connection.wire.as_deref();
        if let Some(wire) = wire {
            wire::spoken(line, wire);
        }
        observer(line, wire, context);
        process(line, subject, connection, context);
        host(line, context);
    });
}

fn event(it: &mut Object<'_>, subject: &Subject<'_>, connection: &Connection, context: &Context) {
    it.word("kind", "event");
    it.member("category").push_str("[\"network\"]");
    it.member("type").push_str(subject.types());
    it.word("action", subject.action());
    if !context.of_captures {
        it.word("dataset", "atalaya.connection");
    }
    it.some_text("outcome", subject.outcome());
    json::rfc3339(it.member("start"), connection.started);
    if let Some(ended) = connection.ended
        && !context.of_captures
    {
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

pub(super) fn attribution(line: &mut Object<'_>, connection: &Connection) {
    line.object("attribution", |it| {
        it.word("certainty", connection.attribution.certainty.name());
        it.word("evidence", connection.attribution.evidence.name());
    });
}

fn network(it: &mut Object<'_>, connection: &Connection, context: &Context) {
    it.word("transport", connection.transport.name());
    let v4 = connection.source.ip.is_ipv4();
    it.word("type", if v4 { "ipv4" } else { "ipv6" });
    it.word("direction", connection.direction.name());
    it.word("scope", connection.scope.name());
    if !context.of_captures {
        it.word("state", connection.state.name());
    }
    it.some_text("protocol", connection.service.as_deref());
    let id = CommunityId::new(0, connection.transport, connection.source, connection.destination);
    it.word("community_id", id.as_str());
    if !context.of_captures {
        it.number("namespace", connection.network_namespace);
    }
    let bytes = connection.bytes();
    it.some_number(
        "bytes",
        bytes.map(|(source, destination)| source.saturating_add(destination)),
    );
    if let Some(wire) = connection.wire.as_deref() {
        wire::network(it, wire);
    }
}

/// Where an end is.
pub(super) fn place(it: &mut Object<'_>, place: Option<&Place>) {
    let Some(place) = place else { return };
    if let Some(country) = &place.country {
        it.object("geo", |it| it.text("country_iso_code", country));
    }
    it.filled("as", |it| {
        it.some_number("number", place.asn);
        if let Some(name) = &place.organization {
            it.object("organization", |it| it.text("name", name));
        }
    });
}

fn ends(line: &mut Object<'_>, connection: &Connection) {
    let (bytes, packets) = (connection.bytes(), connection.packets());
    line.object("source", |it| {
        it.address("ip", connection.source.ip);
        it.number("port", connection.source.port);
        it.some_number("bytes", bytes.map(|(source, _)| source));
        it.some_number("packets", packets.map(|(source, _)| whole(source)));
        place(it, connection.places.source.as_deref());
    });
    line.object("destination", |it| {
        it.address("ip", connection.destination.ip);
        it.number("port", connection.destination.port);
        it.some_text("domain", connection.name.as_deref());
        it.some_number("bytes", bytes.map(|(_, destination)| destination));
        it.some_number("packets", packets.map(|(_, destination)| whole(destination)));
        place(it, connection.places.destination.as_deref());
    });
}

/// A number as a field holds it: not beyond 63 bits.
fn whole(number: u64) -> u64 {
    number.min(i64::MAX.unsigned_abs())
}

fn details(it: &mut Object<'_>, connection: &Connection, context: &Context) {
    if let Some(traffic) = connection.traffic {
        if traffic.round_trip > 0 {
            nanoseconds(it.member("round_trip"), traffic.round_trip.into());
        }
        if !context.of_captures {
            it.number("retransmits", traffic.retransmits);
        }
    }
    let side = if connection.is_initiator() {
        "source"
    } else {
        "destination"
    };
    if !context.of_captures {
        it.word("side", side);
    }
    if connection.outcome != Outcome::Unknown {
        it.word("outcome", connection.outcome.name());
    }
    it.some_text("name_source", connection.name_source.map(|source| source.name()));
    if let Some(place) = connection.remote_place() {
        it.some_text("country", place.country.as_deref());
        it.some_number("asn", place.asn);
    }
    if connection.cookie > 0 {
        it.number("cookie", whole(connection.cookie));
    }
    if !context.of_captures {
        it.truth("started_before", connection.started_before);
    }
    it.some_number("user_id", connection.user_id);
    if let Some(wire) = connection.wire.as_deref() {
        wire::connection(it, wire);
    }
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

/// Who saw it, and by which interface.
pub(super) fn observer(line: &mut Object<'_>, wire: Option<&Wire>, context: &Context) {
    line.filled("observer", |it| {
        if let Some(name) = wire.and_then(|wire| wire.interface.as_deref()) {
            it.object("ingress", |it| it.object("interface", |it| it.text("name", name)));
        }
        if !context.of_captures {
            it.word("product", "Atalaya");
            it.word("type", "sensor");
            it.text("version", &context.version);
        }
    });
}

/// On which host, and in whose words.
pub(super) fn host(line: &mut Object<'_>, context: &Context) {
    if !context.of_captures {
        line.object("host", |it| {
            it.text("name", &context.host_name);
            it.some_text("id", context.host_id.as_deref());
        });
    }
    line.object("ecs", |it| it.word("version", ECS_VERSION));
}

#[cfg(test)]
mod tests;
