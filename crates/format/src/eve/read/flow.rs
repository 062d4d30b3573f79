//! `flow`: ended conversations.

use std::sync::Arc;

use atalaya_model::connection::Traffic;
use atalaya_model::{
    Application, Basis, Connection, ConnectionState, Lane, Outcome, SocketState, Transport, Wire,
};
use serde_json::Value;

use super::members::{number, text, time};
use crate::eve::names;
use crate::told::{BadLine, LONGEST, bad};

/// Fills in what the line says. Bytes are those of whole frames: Suricata counts no others.
pub(super) fn read(line: &Value, connection: &mut Connection) -> Result<(), BadLine> {
    let flow = &line["flow"];
    let start = time(flow, "start").ok_or_else(|| bad("flow.start", "a time"))?;
    let end = time(flow, "end").unwrap_or(start);
    if !(0..=LONGEST).contains(&end.since(start).0) {
        return Err(bad("flow.end", "a time within ten years after flow.start"));
    }
    (connection.started, connection.seen, connection.ended) = (start, end, Some(end));
    let lane = |way: &str| {
        let count = |what: &str| number::<u64>(flow, &format!("{what}_{way}"));
        Ok::<_, BadLine>((count("pkts")?, count("bytes")?))
    };
    let (to_server, to_client) = (lane("toserver")?, lane("toclient")?);
    if [to_server.0, to_server.1, to_client.0, to_client.1]
        .iter()
        .any(Option::is_some)
    {
        connection.traffic = Some(Traffic {
            sent_bytes: to_server.1.unwrap_or(0),
            received_bytes: to_client.1.unwrap_or(0),
            sent_packets: to_server.0.unwrap_or(0),
            received_packets: to_client.0.unwrap_or(0),
            ..Traffic::default()
        });
    }
    let is_tcp = connection.transport == Transport::Tcp;
    let tcp = line.get("tcp");
    let answered = to_client.0.unwrap_or(0) > 0;
    connection.state = match tcp {
        Some(tcp) => socket(text(tcp, "state", 32).as_deref()),
        None if !is_tcp => SocketState::Established,
        None => match text(flow, "state", 32).as_deref() {
            Some("closed") => SocketState::Close,
            Some("new") => SocketState::SynSent,
            _ => SocketState::Established,
        },
    };
    let flags = |key: &str| {
        let digits = tcp.and_then(|tcp| text(tcp, key, 4)).unwrap_or_default();
        u8::from_str_radix(&digits, 16).unwrap_or(0)
    };
    let (sent, received) = (flags("tcp_flags_ts"), flags("tcp_flags_tc"));
    connection.outcome = match (is_tcp, connection.state) {
        (false, _) => Outcome::Finished,
        (_, SocketState::SynSent) if received & RST > 0 => Outcome::Refused,
        (_, SocketState::SynSent | SocketState::SynReceived) => Outcome::Unanswered,
        _ if (sent | received) & RST > 0 && sent & received & FIN == 0 => Outcome::Reset,
        (_, SocketState::Close | SocketState::TimeWait | SocketState::LastAck) => Outcome::Finished,
        _ => Outcome::TimedOut,
    };
    if is_tcp && tcp.is_none() {
        return Ok(()); // what the kernel told, and no packets
    }
    let names = ["app_proto_orig", "app_proto"].map(|key| text(line, key, 32));
    let mut known = names.iter().flatten().filter_map(|name| {
        let mut all = Application::ALL.iter().copied();
        all.find(|known| names::application(*known) == &**name)
    });
    let (application, next) = (known.next(), known.next());
    // It went over to TLS (STARTTLS).
    let tls = (next == Some(Application::Tls)).then(Arc::default);
    let lane = |(packets, bytes): (Option<u64>, Option<u64>), tcp_flags| Lane {
        packets: packets.unwrap_or(0),
        frame_bytes: bytes.unwrap_or(0),
        tcp_flags,
        ..Lane::default()
    };
    let mut vlans = [0; 3];
    let list = line["vlan"].as_array();
    for (vlan, value) in vlans.iter_mut().zip(list.into_iter().flatten()) {
        *vlan = value
            .as_u64()
            .and_then(|number| u16::try_from(number).ok())
            .unwrap_or(0);
    }
    connection.wire = Some(Box::new(Wire {
        source: lane(to_server, sent),
        destination: lane(to_client, received),
        state: state(connection.outcome, is_tcp, answered),
        application: application.map(|application| (application, Basis::Content)),
        interface: text(line, "in_iface", 64).map(|name| (&*name).into()),
        vlans,
        tls,
        ..Wire::default()
    }));
    Ok(())
}

const FIN: u8 = 0x01;
const RST: u8 = 0x04;

fn socket(state: Option<&str>) -> SocketState {
    match state {
        Some("syn_sent") => SocketState::SynSent,
        Some("syn_recv") => SocketState::SynReceived,
        Some("fin_wait1") => SocketState::FinWait1,
        Some("fin_wait2") => SocketState::FinWait2,
        Some("time_wait") => SocketState::TimeWait,
        Some("last_ack") => SocketState::LastAck,
        Some("close_wait") => SocketState::CloseWait,
        Some("closing") => SocketState::Closing,
        Some("closed") => SocketState::Close,
        Some("none") => SocketState::Listen,
        _ => SocketState::Established,
    }
}

/// How far it came, in Zeek's words, as far as Suricata's tell.
const fn state(outcome: Outcome, is_tcp: bool, answered: bool) -> ConnectionState {
    match (outcome, answered) {
        (Outcome::Refused, _) => ConnectionState::REJ,
        (Outcome::Unanswered, _) | (_, false) => ConnectionState::S0,
        (Outcome::Reset, _) => ConnectionState::RSTR,
        (Outcome::TimedOut, _) if is_tcp => ConnectionState::S1,
        _ => ConnectionState::SF,
    }
}
