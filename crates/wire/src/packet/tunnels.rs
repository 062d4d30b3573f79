//! Tunnels: packets inside of packets.
//!
//! Those over UDP are told by their ports and by a header that fits; Teredo, which chooses its ports, by a header that
//! fits exactly and one of its addresses. Where what looked like a tunnel carries no packet, it is not opened.

use super::bytes::Bytes;
use super::walk::{Around, DEEPEST, Walk};
use super::{Ip, Segment, Tunnel, Undecoded};

const NO_TUNNEL: Tunnel = Tunnel {
    kind: "",
    source: std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED),
    destination: std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED),
};

/// What a tunnel carries.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inside<'a> {
    kind: &'static str,
    carries: Carries,
    bytes: Bytes<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Carries {
    Internet,
    Ethernet,
    Ppp,
    Mpls,
    Llc,
    Wireless,
    Type(u16),
}

impl Walk<'_> {
    /// A protocol of IP that is neither TCP, UDP, ICMP nor SCTP.
    pub(super) fn tunnel_or_other(
        &mut self,
        ip: &Ip,
        bytes: Bytes<'_>,
        around: &Around<'_>,
    ) -> Result<(), Undecoded> {
        if around.tunnels.len() < usize::from(self.options.tunnels)
            && let Some(inside) = in_ip(ip.protocol, bytes)
        {
            let segment = Segment::Other {
                payload: bytes.data,
                length: bytes.length(),
            };
            return self.through(ip, segment, inside, around);
        }
        self.other(ip, bytes, around);
        Ok(())
    }

    /// Gives the packet outside, where it is wanted or all there is, and those inside.
    #[cold]
    pub(super) fn through(
        &mut self,
        ip: &Ip,
        segment: Segment<'_>,
        inside: Inside<'_>,
        around: &Around<'_>,
    ) -> Result<(), Undecoded> {
        if self.options.outer {
            self.give(ip, segment, around);
        }
        let given = self.given;
        // that what is inside cannot be read takes nothing from the packet outside
        let opened = self.step().and_then(|()| self.open(ip, inside, around));
        if opened.is_err() {
            self.counts.unopened += 1;
        }
        if !self.options.outer && self.given == given {
            if opened == Err(Undecoded::Fragment) {
                return opened;
            }
            self.give(ip, segment, around);
        }
        Ok(())
    }

    fn open(&mut self, ip: &Ip, inside: Inside<'_>, around: &Around<'_>) -> Result<(), Undecoded> {
        let mut tunnels = [NO_TUNNEL; DEEPEST];
        let depth = around.tunnels.len();
        let Some((place, outer)) = tunnels.get_mut(..=depth).and_then(<[_]>::split_last_mut) else {
            return Err(Undecoded::Damaged);
        };
        outer.copy_from_slice(around.tunnels);
        *place = Tunnel {
            kind: inside.kind,
            source: ip.source,
            destination: ip.destination,
        };
        let around = Around {
            tunnels: tunnels.get(..=depth).unwrap_or_default(),
            ..*around
        };
        match inside.carries {
            Carries::Internet => self.internet(inside.bytes, &around),
            Carries::Ethernet => self.ethernet(inside.bytes, &around),
            Carries::Ppp => self.ppp(inside.bytes, &around),
            Carries::Mpls => self.mpls(inside.bytes, &around),
            Carries::Llc => self.llc(inside.bytes, &around),
            Carries::Wireless => self.wireless(inside.bytes, 1, &around),
            Carries::Type(kind) => self.ether_type(kind, inside.bytes, &around),
        }
    }
}

/// Tunnels that are protocols of IP.
fn in_ip(protocol: u8, bytes: Bytes<'_>) -> Option<Inside<'_>> {
    let (kind, carries, bytes) = match protocol {
        4 | 41 => ("ipip", Carries::Internet, bytes),
        47 => return gre(bytes),
        // EtherIP, RFC 3378: version 3
        97 if bytes.u16(0) == Ok(0x3000) => ("etherip", Carries::Ethernet, bytes.after(2).ok()?),
        137 => ("mpls", Carries::Mpls, bytes),
        _ => return None,
    };
    Some(Inside { kind, carries, bytes })
}

/// RFC 2784, 2890; version 1 as of RFC 2637 (PPTP) and MikroTik's EoIP.
fn gre(bytes: Bytes<'_>) -> Option<Inside<'_>> {
    let [flags, kind] = [bytes.u16(0).ok()?, bytes.u16(2).ok()?];
    let [checksum, routing, key, sequence] = [0x8000, 0x4000, 0x2000, 0x1000].map(|bit| flags & bit != 0);
    if routing {
        return None;
    }
    let optional = |there: bool| if there { 4 } else { 0 };
    if flags & 7 == 1 {
        if kind == 0x6400 {
            return inside("eoip", Carries::Ethernet, bytes.after(8).ok()?);
        }
        let length = bytes.u16(4).ok()?;
        if kind != 0x880b || !key || length == 0 {
            return None;
        }
        let acknowledges = flags & 0x80 != 0;
        let payload = bytes
            .after(8 + optional(sequence) + optional(acknowledges))
            .ok()?;
        return inside("pptp", Carries::Ppp, payload.limit(u32::from(length)));
    }
    let payload = bytes
        .after(4 + optional(checksum) + optional(key) + optional(sequence))
        .ok()?;
    match kind {
        // ERSPAN: without a number of order it is of type I and has no header
        0x88be if !sequence => inside("erspan", Carries::Ethernet, payload),
        0x88be => inside("erspan", Carries::Ethernet, payload.after(8).ok()?),
        0x22eb => {
            let optional = if payload.u8(11).ok()? & 1 == 1 { 8 } else { 0 };
            inside("erspan", Carries::Ethernet, payload.after(12 + optional).ok()?)
        }
        // Aruba's wireless access points
        0x0000 | 0x8200..=0x8210 | 0x9000 if wireless_data(&payload) => {
            inside("gre", Carries::Wireless, payload)
        }
        0x0000 => None,
        0x007a | 0x00fe => inside("gre", Carries::Llc, payload),
        _ => inside("gre", Carries::Type(kind), payload),
    }
}

fn wireless_data(bytes: &Bytes<'_>) -> bool {
    bytes.u8(0).is_ok_and(|control| control & 0x0f == 0x08)
}

/// Tunnels over UDP.
#[inline]
pub(super) fn in_udp(source: u16, destination: u16, payload: Bytes<'_>) -> Option<Inside<'_>> {
    match (source, destination) {
        (_, 4789 | 8472) => vxlan(payload),
        (_, 6081) => geneve(payload),
        (_, 6635) => inside("mpls", Carries::Mpls, payload),
        (2152, _) | (_, 2152) => gtp(payload),
        (5072, _) | (_, 5072) => ayiya(payload),
        (1701, _) | (_, 1701) => l2tp(payload),
        _ => match payload.data.first() {
            Some(0x00 | 0x60..=0x6f) => teredo(payload),
            _ => None,
        },
    }
}

/// The kind of the tunnel that a datagram belongs to.
pub(crate) fn tunnel_in(source: u16, destination: u16, payload: &[u8]) -> Option<&'static str> {
    let payload = Bytes {
        data: payload,
        cut: 0,
    };
    in_udp(source, destination, payload).map(|inside| inside.kind)
}

fn inside<'a>(kind: &'static str, carries: Carries, bytes: Bytes<'a>) -> Option<Inside<'a>> {
    Some(Inside { kind, carries, bytes })
}

/// RFC 7348; reserved bits may be set.
fn vxlan(payload: Bytes<'_>) -> Option<Inside<'_>> {
    let valid = payload.u8(0).ok()? & 0x08 != 0;
    inside(
        "vxlan",
        Carries::Ethernet,
        payload.after(8).ok().filter(|_| valid)?,
    )
}

/// RFC 8926.
fn geneve(payload: Bytes<'_>) -> Option<Inside<'_>> {
    let first = payload.u8(0).ok()?;
    let kind = payload.u16(2).ok()?;
    let options = usize::from(first & 0x3f) * 4;
    if first >> 6 != 0 {
        return None;
    }
    inside("geneve", Carries::Type(kind), payload.after(8 + options).ok()?)
}

/// 3GPP TS 29.281: version 1, and of its messages the one that carries packets.
fn gtp(payload: Bytes<'_>) -> Option<Inside<'_>> {
    const PACKET: u8 = 0xff;
    const EXTENSIONS: usize = 16;
    let [flags, kind] = payload.array(0).ok()?;
    if flags & 0xf0 != 0x30 || kind != PACKET {
        return None;
    }
    let mut rest = payload.after(8).ok()?.limit(u32::from(payload.u16(2).ok()?));
    // number of order, of datagram, and the next extension: all three where one is there
    if flags & 0x07 != 0 {
        let mut next = rest.u8(3).ok().filter(|_| flags & 0x04 != 0).unwrap_or(0);
        rest = rest.after(4).ok()?;
        for _ in 0..EXTENSIONS {
            if next == 0 {
                break;
            }
            let length = usize::from(rest.u8(0).ok().filter(|length| *length > 0)?) * 4;
            next = rest.u8(length - 1).ok()?;
            rest = rest.after(length).ok()?;
        }
    }
    inside("gtp", Carries::Internet, rest)
}

/// AYIYA, draft-massar-v6ops-ayiya-02: lengths of identity and signature, then the next header.
fn ayiya(payload: Bytes<'_>) -> Option<Inside<'_>> {
    const FORWARD: u8 = 1;
    let [identity, signature, operation, next] = payload.array(0).ok()?;
    if operation & 0x0f != FORWARD || !matches!(next, 4 | 41) {
        return None;
    }
    let length = 8 + (1_usize << (identity >> 4)) + usize::from(signature >> 4) * 4;
    inside("ayiya", Carries::Internet, payload.after(length).ok()?)
}

/// RFC 2661: messages of data, with PPP in them.
fn l2tp(payload: Bytes<'_>) -> Option<Inside<'_>> {
    let flags = payload.u16(0).ok()?;
    let [control, length, sequence, offset] = [0x8000, 0x4000, 0x0800, 0x0200].map(|bit| flags & bit != 0);
    if control || flags & 0x0f != 2 {
        return None;
    }
    let mut at = if length { 8 } else { 6 };
    if sequence {
        at += 4;
    }
    if offset {
        at += 2 + usize::from(payload.u16(at).ok()?);
    }
    inside("l2tp", Carries::Ppp, payload.after(at).ok()?)
}

/// RFC 4380: perhaps a proof and the origin, then an IPv6 packet.
fn teredo(payload: Bytes<'_>) -> Option<Inside<'_>> {
    let mut rest = payload;
    if rest.u16(0) == Ok(0x0001) {
        let [identity, proof] = rest.array(2).ok()?;
        rest = rest.after(13 + usize::from(identity) + usize::from(proof)).ok()?;
    }
    if rest.u16(0) == Ok(0x0000) {
        rest = rest.after(8).ok()?;
    }
    let length = u32::from(rest.u16(4).ok()?);
    let teredo_or_local = |address: [u8; 4]| address == [0x20, 0x01, 0, 0] || address[..2] == [0xfe, 0x80];
    let addressed = teredo_or_local(rest.array(8).ok()?) || teredo_or_local(rest.array(24).ok()?);
    if rest.u8(0).ok()? >> 4 != 6 || !addressed || rest.length() < 40 + length {
        return None;
    }
    inside("teredo", Carries::Internet, rest)
}
