//! What tells one conversation in packets from all others, whichever way a packet goes.

use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv6Addr};

use atalaya_model::{Endpoint, Transport, community_id};
use atalaya_wire::{Packet, Segment};

/// Both ends in a fixed order, the transport, and the VLANs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    addresses: [[u64; 2]; 2],
    ports: [u16; 2],
    pub(super) vlans: [u16; 3],
    protocol: u8,
}

/// One of the two ends in a key.
pub(super) type End = bool;

impl Key {
    /// The key of a packet, and which end sent it.
    pub(super) fn of(packet: &Packet<'_>, vlans: [u16; 3]) -> (Self, End) {
        let (source_port, destination_port) = ports(packet);
        let source = Endpoint {
            ip: packet.ip.source,
            port: source_port,
        };
        let destination = Endpoint {
            ip: packet.ip.destination,
            port: destination_port,
        };
        Self::new(packet.ip.protocol, source, destination, vlans)
    }

    /// The key of a conversation, and which end `source` is.
    pub(super) fn new(protocol: u8, source: Endpoint, destination: Endpoint, vlans: [u16; 3]) -> (Self, End) {
        let from = (bits(source.ip), source.port);
        let to = (bits(destination.ip), destination.port);
        let transport = Transport::from_number(protocol);
        let turned = from > to && !community_id::is_one_way(transport, source.port);
        let (low, high) = if turned { (to, from) } else { (from, to) };
        let key = Self {
            addresses: [low.0, high.0],
            ports: [low.1, high.1],
            vlans,
            protocol,
        };
        (key, turned)
    }

    pub(super) const fn transport(&self) -> Transport {
        Transport::from_number(self.protocol)
    }

    /// An end as it is written elsewhere.
    pub(super) fn endpoint(&self, end: End) -> Endpoint {
        let [high, low] = self.addresses[usize::from(end)];
        let ip = Ipv6Addr::from(u128::from(high) << 64 | u128::from(low));
        Endpoint::new(IpAddr::V6(ip), self.port(end))
    }

    pub(super) const fn port(&self, end: End) -> u16 {
        self.ports[end as usize]
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [[a, b], [c, d]] = self.addresses;
        let [low, high] = self.ports.map(u64::from);
        let [x, y, z] = self.vlans.map(u64::from);
        // An IPv4 address is told by its lower half.
        if a | c != 0 {
            state.write_u64(a);
            state.write_u64(c);
        }
        state.write_u64(b);
        state.write_u64(d);
        state.write_u64(low | high << 16 | u64::from(self.protocol) << 32 | x << 40);
        if y | z != 0 {
            state.write_u64(y | z << 16);
        }
    }
}

fn bits(ip: IpAddr) -> [u64; 2] {
    match ip {
        IpAddr::V4(ip) => [0, 0xffff_0000_0000 | u64::from(ip.to_bits())],
        IpAddr::V6(ip) => {
            let bits = ip.to_bits();
            [(bits >> 64) as u64, bits as u64]
        }
    }
}

/// The ports of a packet; for ICMP its type and what answers it, or its code.
fn ports(packet: &Packet<'_>) -> (u16, u16) {
    match packet.segment {
        Segment::Tcp {
            source_port,
            destination_port,
            ..
        }
        | Segment::Udp {
            source_port,
            destination_port,
            ..
        }
        | Segment::Sctp {
            source_port,
            destination_port,
            ..
        } => (source_port, destination_port),
        Segment::Icmp { v6, kind, code, .. } => community_id::icmp_ports(v6, kind, code),
        Segment::Other { .. } => (0, 0),
    }
}
