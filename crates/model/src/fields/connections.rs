//! Fields of conversations and listeners.

use super::Kind::{Alert, Connection, Listener, Protocol};
use super::{Field, Privacy, Record, Type};
use crate::community_id::community_id;
use crate::{Attribution, Outcome, Value};

fn attribution(record: &Record<'_>) -> Option<Attribution> {
    match record {
        Record::Connection(connection) => Some(connection.attribution),
        Record::Listener(listener) => Some(listener.attribution),
        _ => None,
    }
}

/// What a socket of either kind has.
const SOCKETS: &[super::Kind] = &[Connection, Listener, Alert];
const CONNECTIONS: &[super::Kind] = &[Connection, Alert];

pub(super) const FIELDS: &[Field] = &[
    Field {
        name: "event.start",
        aliases: &["start"],
        column: "start_time",
        kind: Type::Time,
        doc: "When the conversation or listener began, or was first seen if it is older than the watch.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: &[Connection, Listener],
        get: |r| match r {
            Record::Connection(c) => Some(c.started.into()),
            Record::Listener(l) => Some(l.started.into()),
            _ => None,
        },
    },
    Field {
        name: "event.end",
        aliases: &["end"],
        column: "end_time",
        kind: Type::Time,
        doc: "When it ended; unset while it lives.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: &[Connection, Listener],
        get: |r| match r {
            Record::Connection(c) => c.ended.map(Value::from),
            Record::Listener(l) => l.ended.map(Value::from),
            _ => None,
        },
    },
    Field {
        name: "event.duration",
        aliases: &["duration"],
        column: "duration",
        kind: Type::Span,
        doc: "How long the conversation lasted, or has been seen to last (JSON: nanoseconds, as in ECS).",
        sigma: &[],
        privacy: Privacy::Plain,
        of: &[Connection],
        get: |r| match r {
            Record::Connection(c) => Some(c.duration().into()),
            _ => None,
        },
    },
    Field {
        name: "network.transport",
        aliases: &["proto", "transport"],
        column: "transport",
        kind: Type::Text,
        doc: "Transport protocol: tcp, udp, icmp, sctp and so on.",
        sigma: &["Protocol"],
        privacy: Privacy::Plain,
        of: SOCKETS,
        get: |r| {
            let transport = r
                .connection()
                .map(|c| c.transport)
                .or_else(|| r.listener().map(|l| l.transport))?;
            Some(transport.name().into())
        },
    },
    Field {
        name: "network.type",
        aliases: &["family"],
        column: "network_type",
        kind: Type::Text,
        doc: "`ipv4` or `ipv6`.",
        sigma: &["DestinationIsIpv6"],
        privacy: Privacy::Plain,
        of: SOCKETS,
        get: |r| {
            let ip = r
                .connection()
                .map(|c| c.source.ip)
                .or_else(|| r.listener().map(|l| l.local.ip))?;
            Some(if ip.is_ipv4() { "ipv4" } else { "ipv6" }.into())
        },
    },
    Field {
        name: "network.direction",
        aliases: &["direction"],
        column: "direction",
        kind: Type::Text,
        doc: "`outbound`, `inbound`, `local` (both ends on this host) or `unknown`.",
        sigma: &["Initiated"],
        privacy: Privacy::Plain,
        of: CONNECTIONS,
        get: |r| r.connection().map(|c| c.direction.name().into()),
    },
    Field {
        name: "network.scope",
        aliases: &["scope"],
        column: "scope",
        kind: Type::Text,
        doc: "How far away the remote side is: `loopback`, `private`, `multicast` or `external`.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: CONNECTIONS,
        get: |r| r.connection().map(|c| c.scope.name().into()),
    },
    Field {
        name: "network.state",
        aliases: &["state"],
        column: "state",
        kind: Type::Text,
        doc: "State of the observed socket, or its last one: ESTABLISHED, TIME_WAIT, LISTEN and so on.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: CONNECTIONS,
        get: |r| r.connection().map(|c| c.state.name().into()),
    },
    Field {
        name: "network.protocol",
        aliases: &["service"],
        column: "service",
        kind: Type::Text,
        doc: "The service that usually has the port; of what was said, what is spoken (a filter looks at both).",
        sigma: &["DestinationPortName"],
        privacy: Privacy::Plain,
        of: &[Connection, Listener, Alert, Protocol],
        get: |r| {
            if let Record::Protocol(protocol) = r {
                let spoken = [protocol.message.kind().into()].into_iter();
                let service = protocol.connection.service.as_ref().map(Value::from);
                return Some(Value::List(spoken.chain(service).collect()));
            }
            let service = r.connection().and_then(|c| c.service.as_ref());
            service
                .or_else(|| r.listener().and_then(|l| l.service.as_ref()))
                .map(Value::from)
        },
    },
    Field {
        name: "network.community_id",
        aliases: &["community_id"],
        column: "community_id",
        kind: Type::Text,
        doc: "Community ID v1, seed 0: the same in every tool.",
        sigma: &[],
        privacy: Privacy::Personal,
        of: CONNECTIONS,
        get: |r| {
            r.connection()
                .map(|c| community_id(c.transport, c.source, c.destination).into())
        },
    },
    Field {
        name: "network.namespace",
        aliases: &["netns"],
        column: "network_namespace",
        kind: Type::Integer,
        doc: "Inode number of the network namespace.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: SOCKETS,
        get: |r| {
            let namespace = r.connection().map(|c| c.network_namespace);
            namespace
                .or_else(|| r.listener().map(|l| l.network_namespace))
                .map(Value::from)
        },
    },
    Field {
        name: "network.bytes",
        aliases: &["bytes"],
        column: "bytes",
        kind: Type::Bytes,
        doc: "Payload bytes of both sides together.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: CONNECTIONS,
        get: |r| {
            let (source, destination) = r.connection()?.bytes()?;
            Some(Value::Bytes(source.saturating_add(destination)))
        },
    },
    Field {
        name: "source.ip",
        aliases: &["src.ip", "src"],
        column: "source_ip",
        kind: Type::Address,
        doc: "Address of the side that began the conversation.",
        sigma: &["SourceIp", "src_ip"],
        privacy: Privacy::Personal,
        of: CONNECTIONS,
        get: |r| r.connection().map(|c| c.source.ip.into()),
    },
    Field {
        name: "source.port",
        aliases: &["src.port", "sport"],
        column: "source_port",
        kind: Type::Integer,
        doc: "Port of the side that began the conversation.",
        sigma: &["SourcePort", "src_port"],
        privacy: Privacy::Plain,
        of: CONNECTIONS,
        get: |r| r.connection().map(|c| c.source.port.into()),
    },
    Field {
        name: "source.bytes",
        aliases: &["src.bytes"],
        column: "source_bytes",
        kind: Type::Bytes,
        doc: "Payload bytes sent by the source; unset where nobody counted.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: CONNECTIONS,
        get: |r| Some(Value::Bytes(r.connection()?.bytes()?.0)),
    },
    Field {
        name: "source.packets",
        aliases: &["src.packets"],
        column: "source_packets",
        kind: Type::Integer,
        doc: "Packets sent by the source.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: CONNECTIONS,
        get: |r| Some(r.connection()?.packets()?.0.into()),
    },
    Field {
        name: "source.geo.country_iso_code",
        aliases: &["src.country"],
        column: "source_country",
        kind: Type::Text,
        doc: "ISO code of the country of the side that began the conversation, where a database says so.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: CONNECTIONS,
        get: |r| {
            r.connection()?
                .places
                .source
                .as_ref()?
                .country
                .as_ref()
                .map(Value::from)
        },
    },
    Field {
        name: "source.as.number",
        aliases: &["src.asn"],
        column: "source_asn",
        kind: Type::Integer,
        doc: "Number of the autonomous system of the side that began the conversation, where a database says so.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: CONNECTIONS,
        get: |r| r.connection()?.places.source.as_ref()?.asn.map(Value::from),
    },
    Field {
        name: "source.as.organization.name",
        aliases: &["src.organization"],
        column: "source_organization",
        kind: Type::Text,
        doc: "Who runs the autonomous system of the side that began the conversation.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: CONNECTIONS,
        get: |r| {
            r.connection()?
                .places
                .source
                .as_ref()?
                .organization
                .as_ref()
                .map(Value::from)
        },
    },
    Field {
        name: "destination.ip",
        aliases: &["dst.ip", "dst"],
        column: "destination_ip",
        kind: Type::Address,
        doc: "Address of the side that answered.",
        sigma: &["DestinationIp", "dst_ip"],
        privacy: Privacy::Personal,
        of: CONNECTIONS,
        get: |r| r.connection().map(|c| c.destination.ip.into()),
    },
    Field {
        name: "destination.port",
        aliases: &["dst.port", "dport"],
        column: "destination_port",
        kind: Type::Integer,
        doc: "Port of the side that answered.",
        sigma: &["DestinationPort", "dst_port"],
        privacy: Privacy::Plain,
        of: CONNECTIONS,
        get: |r| r.connection().map(|c| c.destination.port.into()),
    },
    Field {
        name: "destination.domain",
        aliases: &["domain", "dst.domain"],
        column: "destination_domain",
        kind: Type::Text,
        doc: "Name by which the process asked for the destination.",
        sigma: &["DestinationHostname"],
        privacy: Privacy::Personal,
        of: CONNECTIONS,
        get: |r| r.connection()?.name.as_ref().map(Value::from),
    },
    Field {
        name: "destination.bytes",
        aliases: &["dst.bytes"],
        column: "destination_bytes",
        kind: Type::Bytes,
        doc: "Payload bytes sent by the destination; unset where nobody counted.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: CONNECTIONS,
        get: |r| Some(Value::Bytes(r.connection()?.bytes()?.1)),
    },
    Field {
        name: "destination.packets",
        aliases: &["dst.packets"],
        column: "destination_packets",
        kind: Type::Integer,
        doc: "Packets sent by the destination.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: CONNECTIONS,
        get: |r| Some(r.connection()?.packets()?.1.into()),
    },
    Field {
        name: "destination.geo.country_iso_code",
        aliases: &["dst.country"],
        column: "destination_country",
        kind: Type::Text,
        doc: "ISO code of the country of the side that answered, where a database says so.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: CONNECTIONS,
        get: |r| {
            r.connection()?
                .places
                .destination
                .as_ref()?
                .country
                .as_ref()
                .map(Value::from)
        },
    },
    Field {
        name: "destination.as.number",
        aliases: &["dst.asn"],
        column: "destination_asn",
        kind: Type::Integer,
        doc: "Number of the autonomous system of the side that answered, where a database says so.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: CONNECTIONS,
        get: |r| r.connection()?.places.destination.as_ref()?.asn.map(Value::from),
    },
    Field {
        name: "destination.as.organization.name",
        aliases: &["dst.organization"],
        column: "destination_organization",
        kind: Type::Text,
        doc: "Who runs the autonomous system of the side that answered.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: CONNECTIONS,
        get: |r| {
            r.connection()?
                .places
                .destination
                .as_ref()?
                .organization
                .as_ref()
                .map(Value::from)
        },
    },
    Field {
        name: "server.ip",
        aliases: &["listen.ip"],
        column: "listen_ip",
        kind: Type::Address,
        doc: "Address that a listener is bound to.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: &[Listener, Alert],
        get: |r| r.listener().map(|l| l.local.ip.into()),
    },
    Field {
        name: "server.port",
        aliases: &["listen.port"],
        column: "listen_port",
        kind: Type::Integer,
        doc: "Port that a listener is bound to.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: &[Listener, Alert],
        get: |r| r.listener().map(|l| l.local.port.into()),
    },
    Field {
        name: "connection.round_trip",
        aliases: &["rtt"],
        column: "round_trip",
        kind: Type::Span,
        doc: "Smoothed round-trip time of a TCP connection.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: &[Connection],
        get: |r| {
            let round_trip = r.connection()?.traffic?.round_trip;
            (round_trip > 0).then(|| crate::Span(round_trip.into()).into())
        },
    },
    Field {
        name: "connection.retransmits",
        aliases: &["retransmits"],
        column: "retransmits",
        kind: Type::Integer,
        doc: "Segments that the observed socket sent again.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: &[Connection],
        get: |r| Some(r.connection()?.traffic?.retransmits.into()),
    },
    Field {
        name: "connection.side",
        aliases: &["side"],
        column: "side",
        kind: Type::Text,
        doc: "Which end the observed socket is: `source` or `destination`.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: &[Connection],
        get: |r| {
            Some(
                if r.connection()?.is_initiator() {
                    "source"
                } else {
                    "destination"
                }
                .into(),
            )
        },
    },
    Field {
        name: "connection.outcome",
        aliases: &["outcome"],
        column: "outcome",
        kind: Type::Text,
        doc: "How it ended (`finished`, `reset`, `timed_out`), or why it was never established (`refused`, \
              `unanswered`, `unreachable`, `abandoned`); unset while it lives and where nobody can tell.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: CONNECTIONS,
        get: |r| {
            let outcome = r.connection()?.outcome;
            (outcome != Outcome::Unknown).then(|| outcome.name().into())
        },
    },
    Field {
        name: "connection.name_source",
        aliases: &["name_source"],
        column: "name_source",
        kind: Type::Text,
        doc: "Where the name of the destination was learnt: `resolver` (what the process asked the system for).",
        sigma: &[],
        privacy: Privacy::Plain,
        of: CONNECTIONS,
        get: |r| r.connection()?.name_source.map(|source| source.name().into()),
    },
    Field {
        name: "connection.country",
        aliases: &["country"],
        column: "country",
        kind: Type::Text,
        doc: "ISO code of the country of the remote side, whichever side that is.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: CONNECTIONS,
        get: |r| r.connection()?.remote_place()?.country.as_ref().map(Value::from),
    },
    Field {
        name: "connection.asn",
        aliases: &["asn"],
        column: "asn",
        kind: Type::Integer,
        doc: "Number of the autonomous system of the remote side.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: CONNECTIONS,
        get: |r| r.connection()?.remote_place()?.asn.map(Value::from),
    },
    Field {
        name: "connection.cookie",
        aliases: &["cookie"],
        column: "cookie",
        kind: Type::Integer,
        doc: "The socket's cookie in the kernel: unique in one boot.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: &[Connection, Listener],
        get: |r| match r {
            Record::Connection(c) => (c.cookie > 0).then(|| c.cookie.into()),
            Record::Listener(l) => (l.cookie > 0).then(|| l.cookie.into()),
            _ => None,
        },
    },
    Field {
        name: "connection.started_before",
        aliases: &["started_before"],
        column: "started_before",
        kind: Type::Bool,
        doc: "It existed before the watch began, so its true start is unknown.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: &[Connection, Listener],
        get: |r| match r {
            Record::Connection(c) => Some(c.started_before.into()),
            Record::Listener(l) => Some(l.started_before.into()),
            _ => None,
        },
    },
    Field {
        name: "connection.user_id",
        aliases: &["socket.uid"],
        column: "socket_user_id",
        kind: Type::Integer,
        doc: "User id that owns the socket; known also where the process is not.",
        sigma: &[],
        privacy: Privacy::Personal,
        of: &[Connection, Listener],
        get: |r| match r {
            Record::Connection(c) => c.user_id.map(Value::from),
            Record::Listener(l) => l.user_id.map(Value::from),
            _ => None,
        },
    },
    Field {
        name: "attribution.certainty",
        aliases: &["certainty"],
        column: "certainty",
        kind: Type::Text,
        doc: "How sure the process is: `exact`, `likely` or `unknown`.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: &[Connection, Listener],
        get: |r| attribution(r).map(|a| a.certainty.name().into()),
    },
    Field {
        name: "attribution.evidence",
        aliases: &["evidence"],
        column: "evidence",
        kind: Type::Text,
        doc: "How the process was learnt, or why it is not known.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: &[Connection, Listener],
        get: |r| attribution(r).map(|a| a.evidence.name().into()),
    },
];
