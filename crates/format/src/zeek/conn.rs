//! `conn`: ended conversations.

use atalaya_model::community_id::CommunityId;
use atalaya_model::{Application, Basis, Connection, ConnectionState, Outcome, Scope, Transport, Wire};

use super::{identify, names, process, transport};
use crate::eve;
use crate::json::Object;

pub(super) fn columns(it: &mut Object<'_>, connection: &Connection) {
    it.seconds("ts", connection.started.0);
    identify(it, connection);
    it.word("proto", transport(connection.transport));
    let wire = connection.wire.as_deref();
    if let Some(wire) = wire {
        service(it, connection.transport, wire);
    }
    let duration = eve::last(connection).since(connection.started).0;
    if duration > 0 {
        it.seconds("duration", duration);
    }
    match wire {
        // Zeek says nothing of bytes where all packets have the same time, and counts none where it knows no ports.
        Some(_) if duration == 0 => {}
        Some(_) if !super::has_ports(connection.transport) => {
            it.number("orig_bytes", 0u8);
            it.number("resp_bytes", 0u8);
        }
        Some(wire) => {
            it.some_number("orig_bytes", wire.source.payload_bytes);
            it.some_number("resp_bytes", wire.destination.payload_bytes);
        }
        None => {
            let bytes = connection.bytes();
            it.some_number("orig_bytes", bytes.map(|(source, _)| source));
            it.some_number("resp_bytes", bytes.map(|(_, destination)| destination));
        }
    }
    it.word("conn_state", state(connection).name());
    it.truth("local_orig", is_local(connection.source.ip));
    it.truth("local_resp", is_local(connection.destination.ip));
    if let Some(wire) = wire {
        it.number(
            "missed_bytes",
            wire.source
                .missed_bytes
                .saturating_add(wire.destination.missed_bytes),
        );
        if !wire.history.is_empty() {
            it.text("history", &wire.history);
        }
        it.number("orig_pkts", wire.source.packets);
        it.number("orig_ip_bytes", wire.source.ip_bytes);
        it.number("resp_pkts", wire.destination.packets);
        it.number("resp_ip_bytes", wire.destination.ip_bytes);
        it.some_text("tunnel", wire.tunnel.as_deref());
        for (name, vlan) in ["vlan", "inner_vlan"].into_iter().zip(wire.vlans) {
            if vlan > 0 {
                it.number(name, vlan);
            }
        }
    } else if let Some((source, destination)) = connection.packets() {
        it.number("orig_pkts", source);
        it.number("resp_pkts", destination);
    }
    it.number("ip_proto", connection.transport.number());
    let id = CommunityId::new(0, connection.transport, connection.source, connection.destination);
    it.word("community_id", id.as_str());
    process(it, connection.process.as_deref());
}

/// What was spoken, by its content; what it changed to stands behind.
fn service(it: &mut Object<'_>, transport: Transport, wire: &Wire) {
    let first = match wire.application {
        Some((Application::Rdp, Basis::Content)) if transport == Transport::Udp => Some("rdpeudp"),
        Some((first, Basis::Content)) => Some(names::service(first)),
        _ => None,
    };
    match (first, wire.tls.is_some()) {
        (Some("ssl"), _) | (None, true) => it.word("service", "ssl"),
        (Some(first), true) => {
            let out = it.member("service");
            for part in ["\"", first, ",ssl\""] {
                out.push_str(part);
            }
        }
        (Some(first), false) => it.word("service", first),
        (None, false) => {}
    }
}

/// How far it came; where no packets were read, by what the kernel told.
fn state(connection: &Connection) -> ConnectionState {
    if let Some(wire) = &connection.wire {
        return wire.state;
    }
    match (connection.transport, connection.outcome) {
        (_, Outcome::Refused) => ConnectionState::REJ,
        (_, Outcome::Unanswered | Outcome::Unreachable | Outcome::Abandoned) => ConnectionState::S0,
        (Transport::Tcp, Outcome::Finished) => ConnectionState::SF,
        (Transport::Tcp, Outcome::TimedOut) => ConnectionState::S1,
        // Who reset it is not known.
        (Transport::Tcp, _) => ConnectionState::OTH,
        _ => match connection.packets() {
            Some((_, 0)) => ConnectionState::S0,
            Some((0, _)) => ConnectionState::SHR,
            _ => ConnectionState::SF,
        },
    }
}

fn is_local(ip: std::net::IpAddr) -> bool {
    matches!(Scope::of(ip), Scope::Private | Scope::Loopback)
}
