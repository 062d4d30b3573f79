//! What packets told of one conversation in several parts, put together and turned to the kernel's direction.

use atalaya_model::{Connection, ConnectionState, Side, Wire};

/// What packets told, as the kernel sees the conversation: it knows who began, packets may have been read from the middle.
pub(super) fn turned(flow: &Connection, row: &Connection) -> Option<Box<Wire>> {
    let mut wire = flow.wire.clone()?;
    let is_turned = flow.source != row.source
        && flow.source.port == row.destination.port
        && flow.destination.port == row.source.port
        && (flow.source == row.destination || flow.destination == row.source);
    if !is_turned {
        return Some(wire);
    }
    std::mem::swap(&mut wire.source, &mut wire.destination);
    let flip = |letter: char| {
        if letter.is_ascii_uppercase() {
            letter.to_ascii_lowercase()
        } else {
            letter.to_ascii_uppercase()
        }
    };
    let (turn, letters) = match wire.history.strip_prefix('^') {
        Some(letters) => ("", letters),
        None => ("^", &*wire.history),
    };
    wire.history = turn.chars().chain(letters.chars().map(flip)).collect();
    wire.state = match wire.state {
        ConnectionState::S2 => ConnectionState::S3,
        ConnectionState::S3 => ConnectionState::S2,
        ConnectionState::RSTO => ConnectionState::RSTR,
        ConnectionState::RSTR => ConnectionState::RSTO,
        ConnectionState::RSTOS0 => ConnectionState::RSTRH,
        ConnectionState::RSTRH => ConnectionState::RSTOS0,
        ConnectionState::SH => ConnectionState::SHR,
        ConnectionState::SHR => ConnectionState::SH,
        other => other,
    };
    Some(wire)
}

/// Counts of packets that several sockets in turn have in common, as the kernel counted them for this one. Bytes of heads
/// are divided by packets.
pub(super) fn count_by_kernel(wire: &mut Wire, row: &Connection) {
    let Some(traffic) = row.traffic else {
        return;
    };
    let sent = (traffic.sent_packets, traffic.sent_bytes);
    let received = (traffic.received_packets, traffic.received_bytes);
    let (source, destination) = match row.side {
        Side::Source => (sent, received),
        Side::Destination => (received, sent),
    };
    for (lane, (packets, payload)) in [(&mut wire.source, source), (&mut wire.destination, destination)] {
        let heads = |bytes: u64| {
            let all = bytes.saturating_sub(lane.payload_bytes.unwrap_or(0));
            payload.saturating_add((all / lane.packets.max(1)).saturating_mul(packets))
        };
        (lane.ip_bytes, lane.frame_bytes) = (heads(lane.ip_bytes), heads(lane.frame_bytes));
        lane.packets = packets;
        lane.payload_bytes = Some(payload);
    }
    wire.state = match (source.0 > 0, destination.0 > 0) {
        (true, true) => ConnectionState::SF,
        (true, false) => ConnectionState::S0,
        (false, true) => ConnectionState::SHR,
        (false, false) => ConnectionState::OTH,
    };
}

/// Letters of the history of a conversation in several parts, at most.
const MOST_LETTERS: usize = 128;

/// Two parts of one conversation, between which packets paused: counts are added, the later words win.
pub(super) fn together(past: Option<Box<Wire>>, last: Option<Box<Wire>>) -> Option<Box<Wire>> {
    let (mut past, mut last) = match (past, last) {
        (Some(past), Some(last)) => (past, last),
        (past, last) => return past.or(last),
    };
    last.source.add(&past.source);
    last.destination.add(&past.destination);
    // The rest of a conversation has no beginning of its own.
    last.state = match last.state {
        ConnectionState::OTH => past.state,
        state => state,
    };
    let rest = last.history.trim_start_matches('^');
    last.history = past
        .history
        .chars()
        .chain(rest.chars())
        .take(MOST_LETTERS)
        .collect();
    last.tls = last.tls.or(past.tls.take());
    last.http = last.http.or(past.http.take());
    last.ssh = last.ssh.or(past.ssh.take());
    // What was said tells more than a port.
    let sure = |wire: &Wire| wire.application.map(|(_, basis)| basis);
    if sure(&past) > sure(&last) {
        last.application = past.application;
    }
    last.interface = last.interface.or(past.interface.take());
    Some(last)
}
