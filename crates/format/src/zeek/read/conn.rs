//! `conn`: ended conversations.

use std::sync::Arc;

use atalaya_model::connection::Traffic;
use atalaya_model::protocol::Tls;
use atalaya_model::{
    Application, Basis, Connection, ConnectionState, Lane, Outcome, SocketState, Span, Transport, Wire,
};

use super::row::Row;
use crate::told::{BadLine, bad};
use crate::zeek::names;

/// Fills in what the row says.
pub(super) fn read(row: &Row<'_>, connection: &mut Connection) -> Result<(), BadLine> {
    let duration = row.span("duration")?;
    connection.seen = connection.started.after(Span(duration.unwrap_or(0)));
    connection.ended = Some(connection.seen);
    let state = match row.text("conn_state") {
        None => ConnectionState::OTH,
        Some(name) => {
            ConnectionState::from_name(&name).ok_or_else(|| bad("conn_state", "one of Zeek's states"))?
        }
    };
    let bytes = [row.number("orig_bytes")?, row.number("resp_bytes")?];
    let packets: [Option<u64>; 2] = [row.number("orig_pkts")?, row.number("resp_pkts")?];
    if bytes.iter().chain(&packets).any(Option::is_some) {
        connection.traffic = Some(Traffic {
            sent_bytes: bytes[0].unwrap_or(0),
            received_bytes: bytes[1].unwrap_or(0),
            sent_packets: packets[0].unwrap_or(0),
            received_packets: packets[1].unwrap_or(0),
            ..Traffic::default()
        });
    }
    let lane = |place: usize, ip_bytes: Option<u64>| Lane {
        packets: packets[place].unwrap_or(0),
        ip_bytes: ip_bytes.unwrap_or(0),
        payload_bytes: bytes[place],
        ..Lane::default()
    };
    let history = row.text_within("history", 128);
    let missed: Option<u64> = row.number("missed_bytes")?;
    let ip_bytes = [row.number("orig_ip_bytes")?, row.number("resp_ip_bytes")?];
    // What the kernel told, and no packets, has none of these.
    if history.is_some() || missed.is_some() || ip_bytes.iter().any(Option::is_some) {
        let (application, tls) = application(row, connection.transport);
        let mut wire = Wire {
            source: lane(0, ip_bytes[0]),
            destination: lane(1, ip_bytes[1]),
            state,
            history: history.unwrap_or_default(),
            application,
            tls,
            tunnel: row.text("tunnel").map(|text| (&*text).into()),
            vlans: [
                row.number("vlan")?.unwrap_or(0),
                row.number("inner_vlan")?.unwrap_or(0),
                0,
            ],
            ..Wire::default()
        };
        wire.source.missed_bytes = missed.unwrap_or(0);
        connection.wire = Some(Box::new(wire));
    }
    connection.outcome = outcome(state, connection.transport);
    connection.state = socket(state, connection.transport);
    Ok(())
}

/// What was spoken: the first of Zeek's words that is known here. Whether it went over to TLS stands behind.
fn application(row: &Row<'_>, transport: Transport) -> (Option<(Application, Basis)>, Option<Arc<Tls>>) {
    let service = row.text("service").unwrap_or_default();
    let mut words = service
        .split(',')
        .filter_map(|word| match word.trim_start_matches('-') {
            "ssl" | "tls" if transport == Transport::Udp => Some(Application::Dtls),
            "ssl" | "tls" => Some(Application::Tls),
            "rdpeudp" => Some(Application::Rdp),
            word => {
                let mut all = Application::ALL.iter().copied();
                all.find(|known| names::service(*known) == word)
            }
        });
    let first = words.next();
    let tls = words.any(|word| word == Application::Tls).then(Arc::default);
    (first.map(|first| (first, Basis::Content)), tls)
}

fn outcome(state: ConnectionState, transport: Transport) -> Outcome {
    use ConnectionState as State;
    match state {
        State::REJ => Outcome::Refused,
        State::S0 if transport == Transport::Tcp => Outcome::Unanswered,
        State::RSTO | State::RSTR => Outcome::Reset,
        State::RSTOS0 | State::SH => Outcome::Abandoned,
        State::SF => Outcome::Finished,
        State::S1 | State::S2 | State::S3 => Outcome::TimedOut,
        _ if transport == Transport::Tcp => Outcome::Unknown,
        _ => Outcome::Finished,
    }
}

/// The state that a socket would have had in the end.
fn socket(state: ConnectionState, transport: Transport) -> SocketState {
    use ConnectionState as State;
    match state {
        _ if transport != Transport::Tcp => SocketState::Established,
        State::S0 | State::SH => SocketState::SynSent,
        State::S1 | State::OTH => SocketState::Established,
        State::S2 => SocketState::FinWait2,
        State::S3 => SocketState::CloseWait,
        _ => SocketState::Close,
    }
}
