//! Frames made here, decoded.

mod build;
mod fragments;
mod hostile;
mod links;
mod transports;
mod tunnels;

use atalaya_model::Time;

use super::*;
use crate::LinkType;

/// What the tests look at of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    source: String,
    protocol: u8,
    length: u32,
    frames: u32,
    frame_bytes: u32,
    vlans: [u16; 3],
    tunnels: Vec<&'static str>,
    /// Ports, where it has some.
    ports: Option<(u16, u16)>,
    payload: Vec<u8>,
    /// The payload's true length.
    payload_length: u32,
}

fn seen(packet: &Packet<'_>) -> Seen {
    let (ports, payload, payload_length) = match packet.segment {
        Segment::Tcp {
            source_port,
            destination_port,
            payload,
            length,
            ..
        }
        | Segment::Udp {
            source_port,
            destination_port,
            payload,
            length,
        }
        | Segment::Sctp {
            source_port,
            destination_port,
            payload,
            length,
        } => (Some((source_port, destination_port)), payload, length),
        Segment::Icmp { payload, length, .. } | Segment::Other { payload, length } => (None, payload, length),
    };
    Seen {
        source: packet.ip.source.to_string(),
        protocol: packet.ip.protocol,
        length: packet.ip.length,
        frames: packet.frames,
        frame_bytes: packet.frame_bytes,
        vlans: packet.vlans,
        tunnels: packet.tunnels.iter().map(|tunnel| tunnel.kind).collect(),
        ports,
        payload: payload.to_vec(),
        payload_length,
    }
}

fn frame(link: LinkType, data: &[u8]) -> Frame<'_> {
    Frame {
        time: Time(0),
        link,
        interface: 3,
        length: data.len() as u32,
        data,
        vlan: None,
    }
}

/// What a decoder makes of a frame.
fn decode(decoder: &mut Decoder, frame: &Frame<'_>) -> (Result<(), Undecoded>, Vec<Seen>) {
    let mut all = Vec::new();
    let result = decoder.decode(frame, &mut |packet| all.push(seen(packet)));
    assert_eq!(result.is_ok(), !all.is_empty());
    (result, all)
}

/// The packets in one frame.
#[track_caller]
fn packets(link: LinkType, data: &[u8]) -> Vec<Seen> {
    let (result, all) = decode(&mut Decoder::default(), &frame(link, data));
    assert_eq!(result, Ok(()));
    all
}

/// The frame holds the packet that says hello, and nothing else.
#[track_caller]
fn says_hello(link: LinkType, data: &[u8]) -> Seen {
    let [packet] = packets(link, data).try_into().unwrap();
    assert_eq!(packet.ports, Some((4000, 4001)));
    assert_eq!(
        (packet.payload.as_slice(), packet.payload_length),
        (&b"hello"[..], 5)
    );
    assert_eq!(packet.frame_bytes, data.len() as u32);
    packet
}

#[track_caller]
fn refused(link: LinkType, data: &[u8]) -> Undecoded {
    let (result, _) = decode(&mut Decoder::default(), &frame(link, data));
    result.unwrap_err()
}
