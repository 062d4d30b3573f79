//! Ended conversations.

use atalaya_model::{Connection, SocketState, Time, Transport, Wire};

use super::{Way, head, names, process};
use crate::json::{self, Object};

/// TCP's flags by their bits, with Suricata's names.
const FLAGS: [(u8, &str); 8] = [
    (0x02, "syn"),
    (0x01, "fin"),
    (0x04, "rst"),
    (0x08, "psh"),
    (0x10, "ack"),
    (0x20, "urg"),
    (0x40, "ecn"),
    (0x80, "cwr"),
];

pub(super) fn write(out: &mut String, time: Time, connection: &Connection) {
    json::object(out, |line| {
        head(line, time, "flow", connection, Way::ToServer);
        let wire = connection.wire.as_deref();
        if let Some(wire) = wire {
            let (now, first) = names::applications(wire);
            line.some_text("app_proto", now);
            line.some_text("app_proto_orig", first);
        }
        flow(line, connection);
        if let (Transport::Tcp, Some(wire)) = (connection.transport, wire) {
            tcp(line, connection, wire);
        }
        process(line, connection.process.as_deref(), Some(connection));
    });
    out.push('\n');
}

fn flow(line: &mut Object<'_>, connection: &Connection) {
    let lanes = connection
        .wire
        .as_deref()
        .map(|wire| (wire.source, wire.destination));
    line.object("flow", |flow| {
        if let Some((source, destination)) = lanes {
            flow.number("pkts_toserver", source.packets);
            flow.number("pkts_toclient", destination.packets);
            flow.number("bytes_toserver", source.frame_bytes);
            flow.number("bytes_toclient", destination.frame_bytes);
        } else {
            // What the kernel counts is payload: the best there is.
            let (packets, bytes) = (connection.packets(), connection.bytes());
            flow.some_number("pkts_toserver", packets.map(|(source, _)| source));
            flow.some_number("pkts_toclient", packets.map(|(_, destination)| destination));
            flow.some_number("bytes_toserver", bytes.map(|(source, _)| source));
            flow.some_number("bytes_toclient", bytes.map(|(_, destination)| destination));
        }
        let end = last(connection);
        json::rfc3339_offset(flow.member("start"), connection.started);
        json::rfc3339_offset(flow.member("end"), end);
        // Whole seconds of the clock, not of the span: as Suricata rounds.
        let age = end.seconds().saturating_sub(connection.started.seconds());
        flow.number("age", age.max(0).unsigned_abs());
        let state = match connection.transport {
            Transport::Tcp => match connection.state {
                SocketState::LastAck | SocketState::TimeWait | SocketState::Close => "closed",
                SocketState::SynSent | SocketState::SynReceived | SocketState::Listen => "new",
                _ => "established",
            },
            _ if answered(connection) => "established",
            _ => "new",
        };
        flow.word("state", state);
    });
}

/// When the last packet was seen; the end where there are none.
pub(crate) fn last(connection: &Connection) -> Time {
    let end = connection.ended.unwrap_or(connection.seen);
    match connection.wire {
        Some(_) => end.min(connection.seen),
        None => end,
    }
}

fn answered(connection: &Connection) -> bool {
    match connection.wire.as_deref() {
        Some(wire) => wire.destination.packets > 0,
        None => connection
            .packets()
            .is_some_and(|(_, destination)| destination > 0),
    }
}

fn tcp(line: &mut Object<'_>, connection: &Connection, wire: &Wire) {
    let (source, destination) = (wire.source.tcp_flags, wire.destination.tcp_flags);
    let all = source | destination;
    line.object("tcp", |tcp| {
        for (name, flags) in [
            ("tcp_flags", all),
            ("tcp_flags_ts", source),
            ("tcp_flags_tc", destination),
        ] {
            let [high, low] = [flags >> 4, flags & 15].map(|digit| char::from_digit(digit.into(), 16));
            let out = tcp.member(name);
            out.push('"');
            out.extend([high, low].into_iter().flatten());
            out.push('"');
        }
        for (bit, name) in FLAGS {
            if all & bit > 0 {
                tcp.truth(name, true);
            }
        }
        tcp.word(
            "state",
            match connection.state {
                SocketState::SynSent => "syn_sent",
                SocketState::SynReceived => "syn_recv",
                SocketState::Established => "established",
                SocketState::FinWait1 => "fin_wait1",
                SocketState::FinWait2 => "fin_wait2",
                SocketState::LastAck => "last_ack",
                SocketState::CloseWait => "close_wait",
                SocketState::Closing => "closing",
                // Suricata waits in `time_wait` for the last acknowledgment alone.
                SocketState::Close | SocketState::TimeWait => "closed",
                SocketState::Listen => "none",
            },
        );
    });
}
