//! Frames → packets: link layers, IP, tunnels, fragments, transports.

//!
//! All of it is written by hand, by bounds-checked slices. Most packets are Ethernet, IP and TCP or UDP, and take one
//! straight way: 36 ns a frame of mixed lengths (`examples/decode_rate.rs`, 2 cores of a virtual machine). The crate
//! etherparse took 48 ns for the same frames beside 41 ns for this, and knows neither tunnels nor most links; a second
//! decoder for the rarer ones would only add a second opinion, so there is one. Everything off the straight way is
//! counted against `LAYERS`, so that no frame takes more than a bounded time or stack.
//!
//! A packet that says it is longer than its frame was on the wire is refused, as hosts do; one that only the capture
//! cut is told as far as it can be read. A length of 0 (left to the network card) means up to the frame's end.

mod arp;
mod bytes;
mod checksum;
mod ethernet;
mod fragments;
mod internet;
mod link;
mod transport;
mod tunnels;
mod walk;
mod wireless;

#[cfg(test)]
mod tests;

use std::net::IpAddr;

use atalaya_model::Time;

pub use self::arp::Arp;
use self::bytes::Bytes;
use self::fragments::Fragments;
pub(crate) use self::tunnels::tunnel_in;
use self::walk::{Around, DEEPEST, LAYERS, Walk};
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
    /// Bytes of the IP packet with its header as it says itself; where it came in fragments, of the whole with one
    /// header.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tunnel {
    /// `ipip`, `gre`, `pptp`, `erspan`, `eoip`, `etherip`, `mpls`, `vxlan`, `geneve`, `teredo`, `ayiya`, `gtp`, `l2tp`.
    pub kind: &'static str,
    /// Its ends.
    pub source: IpAddr,
    /// Its ends.
    pub destination: IpAddr,
}

/// Why a frame gave no packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undecoded {
    /// It is ARP, and says this.
    Arp(Arp),
    /// It carries something that is no IP: LLDP, spanning tree, what is encrypted by 802.11, and so on.
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

/// How frames are taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// How many tunnels one inside the other are opened; 0 opens none, 8 is the most.
    pub tunnels: u8,
    /// Whether the packet around a tunnel is given, too, where the tunnel could be opened.
    pub outer: bool,
    /// Whether packets with a wrong checksum are refused. Captures made on the sending host often have such.
    pub checksums: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            tunnels: 4,
            outer: true,
            checksums: false,
        }
    }
}

/// What was decoded, and what was not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Frames that came in.
    pub frames: u64,
    /// Packets given.
    pub packets: u64,
    /// Frames of ARP.
    pub arp: u64,
    /// Frames of anything else that is no IP.
    pub not_ip: u64,
    /// Frames of an unknown kind of link.
    pub unknown_link: u64,
    /// Frames whose headers are damaged, fragments that contradict others among them.
    pub damaged: u64,
    /// Frames with a wrong checksum.
    pub checksum: u64,
    /// Tunnels whose inside could not be read, or was a fragment.
    pub unopened: u64,
    /// Packets given whose transport header is too short.
    pub short: u64,
    /// Packets given whose transport header says a length that cannot be.
    pub lying: u64,
    /// Fragments that came in.
    pub fragments: u64,
    /// Packets made of fragments.
    pub reassembled: u64,
    /// Fragments dropped: damaged, overlapping, or given up with their packet.
    pub fragments_dropped: u64,
    /// Of these, the ones that overlapped others.
    pub overlaps: u64,
    /// Packets given up because fragments stayed away, or too many waited.
    pub unfinished: u64,
}

/// Takes frames apart; remembers fragments.
#[derive(Debug, Default)]
pub struct Decoder {
    options: Options,
    counts: Counts,
    fragments: Fragments,
}

impl Decoder {
    /// A decoder with these options.
    pub fn new(options: Options) -> Self {
        let tunnels = options.tunnels.min(u8::try_from(DEEPEST).unwrap_or(u8::MAX));
        Self {
            options: Options { tunnels, ..options },
            ..Self::default()
        }
    }

    /// What was decoded so far, and what was not.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Gives every packet in the frame to `take`: that of a tunnel first, then those inside it.
    ///
    /// # Errors
    /// Why there was none.
    pub fn decode(&mut self, frame: &Frame<'_>, take: &mut dyn FnMut(&Packet<'_>)) -> Result<(), Undecoded> {
        self.counts.frames += 1;
        let bytes = Bytes {
            data: frame.data,
            cut: frame.length.saturating_sub(bytes::saturated(frame.data.len())),
        };
        let around = Around {
            time: frame.time,
            interface: frame.interface,
            frames: 1,
            frame_bytes: frame.length,
            vlans: [frame.vlan.map_or(0, |tag| tag & 0x0fff), 0, 0],
            tunnels: &[],
        };
        let mut walk = Walk {
            options: self.options,
            counts: &mut self.counts,
            fragments: &mut self.fragments,
            take,
            given: 0,
            layers: LAYERS,
        };
        let result = walk.link(frame.link, bytes, &around);
        match result {
            Err(reason) if walk.given == 0 => {
                self.counts.count(reason);
                Err(reason)
            }
            _ => Ok(()),
        }
    }
}

impl Counts {
    #[cold]
    fn count(&mut self, reason: Undecoded) {
        let counter = match reason {
            Undecoded::Arp(_) => &mut self.arp,
            Undecoded::NotIp => &mut self.not_ip,
            Undecoded::UnknownLink => &mut self.unknown_link,
            Undecoded::Damaged => &mut self.damaged,
            Undecoded::Checksum => &mut self.checksum,
            // counted where it waits
            Undecoded::Fragment => return,
        };
        *counter += 1;
    }
}
