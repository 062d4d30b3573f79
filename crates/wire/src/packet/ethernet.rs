//! Ethernet and what lies between it and IP: VLAN tags, LLC and SNAP, MPLS, PPPoE, fabric headers.

use super::Undecoded;
use super::arp;
use super::bytes::Bytes;
use super::walk::{Around, Walk};

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;

impl Walk<'_> {
    #[inline]
    pub(super) fn ethernet(&mut self, bytes: Bytes<'_>, around: &Around<'_>) -> Result<(), Undecoded> {
        let Some((head, rest)) = bytes.data.split_first_chunk::<14>() else {
            return Err(Undecoded::Damaged);
        };
        let rest = Bytes {
            data: rest,
            cut: bytes.cut,
        };
        match u16::from_be_bytes([head[12], head[13]]) {
            IPV4 => self.ipv4(rest, around),
            IPV6 => self.ipv6(rest, around),
            other => self.ether_type(other, rest, around),
        }
    }

    /// What follows a type of Ethernet, or a length below 1,536 and LLC.
    pub(super) fn ether_type(
        &mut self,
        kind: u16,
        bytes: Bytes<'_>,
        around: &Around<'_>,
    ) -> Result<(), Undecoded> {
        self.step()?;
        match kind {
            IPV4 => self.ipv4(bytes, around),
            IPV6 => self.ipv6(bytes, around),
            // 802.1Q, 802.1ad, and the numbers used before that
            0x8100 | 0x88a8 | 0x9100 | 0x9200 | 0x9300 => {
                self.ether_type(bytes.u16(2)?, bytes.after(4)?, &around.tagged(bytes.u16(0)?))
            }
            0x8847 | 0x8848 => self.mpls(bytes, around),
            0x8864 => self.pppoe(bytes, around),
            0x880b => self.ppp(bytes, around),
            0x0806 => Err(arp::read(&bytes)),
            // Cisco FabricPath: what was read as an Ethernet header was its outer addresses; two bytes of tag
            // follow, then the real frame
            0x8903 => self.ethernet(bytes.after(2)?, around),
            // Cisco VN-Tag and metadata, 802.1BR: a tag, then the next type
            0x8926 => self.ether_type(bytes.u16(4)?, bytes.after(6)?, around),
            0x8909 => self.ether_type(bytes.u16(6)?, bytes.after(8)?, around),
            0x893f => self.ether_type(bytes.u16(6)?, bytes.after(8)?, around),
            // 802.1ah: the service's number, then the customer's frame
            0x88e7 => self.ethernet(bytes.after(4)?, around),
            // transparent Ethernet bridging
            0x6558 => self.ethernet(bytes, around),
            // LLC with frames too long for a length
            0x8870 => self.llc(bytes, around),
            length @ ..=1500 => self.llc(bytes.limit(u32::from(length)), around),
            _ => Err(Undecoded::NotIp),
        }
    }

    /// 802.2: service access points, a control byte, and often SNAP.
    pub(super) fn llc(&mut self, bytes: Bytes<'_>, around: &Around<'_>) -> Result<(), Undecoded> {
        self.step()?;
        match bytes.array::<3>(0)? {
            [0xaa, 0xaa, 0x03] => match bytes.array::<3>(3)? {
                // Ethernet's types, also in the form for bridges
                [0, 0, 0] | [0, 0, 0xf8] => self.ether_type(bytes.u16(6)?, bytes.after(8)?, around),
                // bridged Ethernet with (1) or without (7) its checksum
                [0, 0x80, 0xc2] if matches!(bytes.u16(6)?, 1 | 7) => self.ethernet(bytes.after(10)?, around),
                _ => Err(Undecoded::NotIp),
            },
            [0x06, 0x06, 0x03] => self.ipv4(bytes.after(3)?, around),
            _ => Err(Undecoded::NotIp),
        }
    }

    /// Labels do not say what they carry: the first half byte does, as RFC 4928 has it.
    pub(super) fn mpls(&mut self, bytes: Bytes<'_>, around: &Around<'_>) -> Result<(), Undecoded> {
        self.step()?;
        let mut bytes = bytes;
        loop {
            let bottom = bytes.u8(2)? & 1 == 1;
            bytes = bytes.after(4)?;
            if bottom {
                break;
            }
        }
        match bytes.u8(0)? >> 4 {
            4 => self.ipv4(bytes, around),
            6 => self.ipv6(bytes, around),
            // a control word (RFC 4385), or an Ethernet address that begins so
            0 => {
                let given = self.given;
                let result = self.ethernet(bytes.after(4)?, around);
                if self.given == given && result.is_err() {
                    return self.ethernet(bytes, around).or(result);
                }
                result
            }
            1 => Err(Undecoded::NotIp),
            _ => self.ethernet(bytes, around),
        }
    }

    pub(super) fn pppoe(&mut self, bytes: Bytes<'_>, around: &Around<'_>) -> Result<(), Undecoded> {
        // version and type 1, code 0: a session's data
        if bytes.u16(0)? != 0x1100 {
            return Err(Undecoded::NotIp);
        }
        // its length is not looked at: some that carry padded packets say too little, and IP says its own
        self.ppp(bytes.after(6)?, around)
    }
}
