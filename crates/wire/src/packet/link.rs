//! Kinds of link other than Ethernet.

use super::Undecoded;
use super::bytes::Bytes;
use super::walk::{Around, Walk};
use crate::LinkType;

impl Walk<'_> {
    #[inline]
    pub(super) fn link(
        &mut self,
        link: LinkType,
        bytes: Bytes<'_>,
        around: &Around<'_>,
    ) -> Result<(), Undecoded> {
        if link == LinkType::ETHERNET {
            return self.ethernet(bytes, around);
        }
        self.other_link(link, bytes, around)
    }

    fn other_link(&mut self, link: LinkType, bytes: Bytes<'_>, around: &Around<'_>) -> Result<(), Undecoded> {
        self.step()?;
        match link {
            LinkType::ETHERNET => self.ethernet(bytes, around),
            LinkType::RAW | LinkType::RAW_BSD | LinkType::RAW_OPENBSD => self.internet(bytes, around),
            LinkType::IPV4 => self.ipv4(bytes, around),
            LinkType::IPV6 => self.ipv6(bytes, around),
            LinkType::NULL | LinkType::LOOP => self.family(bytes, around),
            LinkType::LINUX_SLL => self.cooked(bytes.u16(2)?, bytes.u16(14)?, bytes.after(16)?, around),
            LinkType::LINUX_SLL2 => self.cooked(bytes.u16(8)?, bytes.u16(0)?, bytes.after(20)?, around),
            LinkType::PPP => self.ppp(bytes, around),
            LinkType::PPP_HDLC => match bytes.u8(0)? {
                0x0f | 0x8f => self.cisco_hdlc(bytes, around),
                _ => self.ppp(bytes, around),
            },
            LinkType::PPP_WITH_DIRECTION => self.ppp(bytes.after(1)?, around),
            LinkType::PPPOE => self.pppoe(bytes, around),
            LinkType::CISCO_HDLC => self.cisco_hdlc(bytes, around),
            LinkType::FRAME_RELAY => self.frame_relay(bytes, around),
            LinkType::ATM_RFC1483 => self.llc(bytes, around),
            LinkType::IEEE802_11 => self.wireless(bytes, 1, around),
            LinkType::RADIOTAP => self.radiotap(bytes, around),
            LinkType::PRISM => self.prism(bytes, around),
            LinkType::AVS => self.avs(bytes, around),
            LinkType::PPI => self.per_packet_information(bytes, around),
            LinkType::NFLOG => self.netfilter_log(bytes, around),
            _ => Err(Undecoded::UnknownLink),
        }
    }

    /// BSD's numbers of address families, in either byte order; they differ for IPv6.
    fn family(&mut self, bytes: Bytes<'_>, around: &Around<'_>) -> Result<(), Undecoded> {
        let word = bytes.u32(0)?;
        let family = if word <= 0xffff { word } else { word.swap_bytes() };
        let rest = bytes.after(4)?;
        match family {
            2 => self.ipv4(rest, around),
            10 | 23 | 24 | 28 | 30 => self.ipv6(rest, around),
            _ => Err(Undecoded::NotIp),
        }
    }

    /// Linux cooked capture: the kind of device, and a type of Ethernet or one of Linux's own.
    fn cooked(
        &mut self,
        device: u16,
        protocol: u16,
        bytes: Bytes<'_>,
        around: &Around<'_>,
    ) -> Result<(), Undecoded> {
        match (device, protocol) {
            // 802.11 without, with Prism's, with radiotap's head
            (801, _) => self.wireless(bytes, 1, around),
            (802, _) => self.prism(bytes, around),
            (803, _) => self.radiotap(bytes, around),
            // netlink messages
            (824, _) => Err(Undecoded::NotIp),
            (_, 0x0001) => Err(Undecoded::NotIp),
            (_, 0x0004) => self.llc(bytes, around),
            // tags of CAN and other Linux numbers are below the types of Ethernet
            (_, ..=1535) => Err(Undecoded::NotIp),
            _ => self.ether_type(protocol, bytes, around),
        }
    }

    /// RFC 1661 and 1662: address and control may be left out, and half of the protocol's number.
    pub(super) fn ppp(&mut self, bytes: Bytes<'_>, around: &Around<'_>) -> Result<(), Undecoded> {
        self.step()?;
        let bytes = match bytes.u16(0)? {
            0xff03 => bytes.after(2)?,
            _ => bytes,
        };
        let first = bytes.u8(0)?;
        let (protocol, rest) = match first & 1 {
            1 => (u16::from(first), bytes.after(1)?),
            _ => (bytes.u16(0)?, bytes.after(2)?),
        };
        match protocol {
            0x0021 => self.ipv4(rest, around),
            0x0057 => self.ipv6(rest, around),
            0x0281 | 0x0283 => self.mpls(rest, around),
            _ => Err(Undecoded::NotIp),
        }
    }

    fn cisco_hdlc(&mut self, bytes: Bytes<'_>, around: &Around<'_>) -> Result<(), Undecoded> {
        self.ether_type(bytes.u16(2)?, bytes.after(4)?, around)
    }

    /// RFC 2427, or Cisco's own with a type of Ethernet after the address.
    fn frame_relay(&mut self, bytes: Bytes<'_>, around: &Around<'_>) -> Result<(), Undecoded> {
        // the last byte of the address has its lowest bit set
        let address = (1..4).find_map(|last| match bytes.u8(last) {
            Ok(byte) if byte & 1 == 1 => Some(Ok(last + 1)),
            Ok(_) => None,
            Err(reason) => Some(Err(reason)),
        });
        let bytes = bytes.after(address.unwrap_or(Err(Undecoded::Damaged))?)?;
        if bytes.u8(0)? != 0x03 {
            return self.ether_type(bytes.u16(0)?, bytes.after(2)?, around);
        }
        // one byte of padding may stand before the network layer's number
        let bytes = bytes.after(if bytes.u8(1)? == 0 { 2 } else { 1 })?;
        match bytes.u8(0)? {
            0xcc => self.ipv4(bytes.after(1)?, around),
            0x8e => self.ipv6(bytes.after(1)?, around),
            0x80 => match bytes.array::<3>(1)? {
                [0, 0, 0] => self.ether_type(bytes.u16(4)?, bytes.after(6)?, around),
                [0, 0x80, 0xc2] if matches!(bytes.u16(4)?, 1 | 7) => self.ethernet(bytes.after(6)?, around),
                _ => Err(Undecoded::NotIp),
            },
            _ => Err(Undecoded::NotIp),
        }
    }

    /// Attributes of netlink, one of which is the packet.
    fn netfilter_log(&mut self, bytes: Bytes<'_>, around: &Around<'_>) -> Result<(), Undecoded> {
        const PAYLOAD: u16 = 9;
        const MOST: usize = 64;
        let family = bytes.u8(0)?;
        let mut rest = bytes.after(4)?;
        for _ in 0..MOST {
            let [length, kind] = [rest.array(0)?, rest.array(2)?];
            // in the byte order of the host that wrote it; the kinds are small numbers
            let little = u16::from_le_bytes(kind) <= 0xff;
            let [length, kind] = [length, kind].map(|pair| {
                if little {
                    u16::from_le_bytes(pair)
                } else {
                    u16::from_be_bytes(pair)
                }
            });
            if length < 4 {
                return Err(Undecoded::Damaged);
            }
            if kind & 0x7fff == PAYLOAD {
                let packet = rest.limit(u32::from(length)).after(4)?;
                return match family {
                    2 => self.ipv4(packet, around),
                    10 => self.ipv6(packet, around),
                    _ => Err(Undecoded::NotIp),
                };
            }
            rest = rest.after(usize::from(length).next_multiple_of(4))?;
        }
        Err(Undecoded::Damaged)
    }

    /// A head that names the kind of link inside.
    fn per_packet_information(&mut self, bytes: Bytes<'_>, around: &Around<'_>) -> Result<(), Undecoded> {
        let length = usize::from(u16::from_le_bytes(bytes.array(2)?));
        let link = u16::try_from(u32::from_le_bytes(bytes.array(4)?)).map_err(|_| Undecoded::UnknownLink)?;
        if length < 8 {
            return Err(Undecoded::Damaged);
        }
        self.link(LinkType(link), bytes.after(length)?, around)
    }
}
