//! IPv4 and IPv6 with their options, extension headers and fragments.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::bytes::Bytes;
use super::checksum::Sum;
use super::fragments::{Fragment, Key, Outcome};
use super::walk::{Around, Walk};
use super::{Ip, Undecoded};

const AUTHENTICATION: u8 = 51;
const FRAGMENT: u8 = 44;
const NOTHING: u8 = 59;
/// Extension headers that one packet may have.
const EXTENSIONS: usize = 16;

impl Walk<'_> {
    /// IP of the version that the first half byte says.
    pub(super) fn internet(&mut self, bytes: Bytes<'_>, around: &Around<'_>) -> Result<(), Undecoded> {
        match bytes.u8(0)? >> 4 {
            4 => self.ipv4(bytes, around),
            6 => self.ipv6(bytes, around),
            _ => Err(Undecoded::Damaged),
        }
    }

    #[inline]
    pub(super) fn ipv4(&mut self, bytes: Bytes<'_>, around: &Around<'_>) -> Result<(), Undecoded> {
        let Some(head) = bytes.data.first_chunk::<20>() else {
            return Err(Undecoded::Damaged);
        };
        let header = usize::from(head[0] & 0x0f) * 4;
        let total = u32::from(u16::from_be_bytes([head[2], head[3]]));
        let whole = match total {
            // left to the network card, or longer than 16 bits can say
            0 => bytes,
            _ => bytes.limit(total),
        };
        let length = whole.length();
        if head[0] >> 4 != 4 || header < 20 || length < total || length < header as u32 {
            return Err(Undecoded::Damaged);
        }
        let rest = whole.after(header)?;
        let [source, destination] = [
            Ipv4Addr::new(head[12], head[13], head[14], head[15]),
            Ipv4Addr::new(head[16], head[17], head[18], head[19]),
        ];
        let mut pseudo = None;
        if self.options.checksums {
            if !whole
                .data
                .get(..header)
                .is_some_and(|header| Sum::default().and(header).fits())
            {
                return Err(Undecoded::Checksum);
            }
            pseudo = Some(Sum::of_ipv4(source, destination));
        }
        let mut ip = Ip {
            source: IpAddr::V4(source),
            destination: IpAddr::V4(destination),
            protocol: head[9],
            length,
            ttl: head[8],
        };
        let place = u16::from_be_bytes([head[6], head[7]]);
        if place & 0x3fff == 0 {
            return self.transport(&mut ip, rest, pseudo, around);
        }
        let key = Key {
            source: ip.source,
            destination: ip.destination,
            protocol: ip.protocol,
            number: u32::from(u16::from_be_bytes([head[4], head[5]])),
            vlans: around.vlans,
            tunnel: around.tunnels.last().copied(),
        };
        let fragment = Fragment {
            offset: u32::from(place & 0x1fff) * 8,
            more: place & 0x2000 != 0,
            protocol: ip.protocol,
            header: header as u32,
            bytes: rest,
        };
        self.fragment(&mut ip, key, &fragment, pseudo, around)
    }

    #[inline]
    pub(super) fn ipv6(&mut self, bytes: Bytes<'_>, around: &Around<'_>) -> Result<(), Undecoded> {
        let Some((head, rest)) = bytes.data.split_first_chunk::<40>() else {
            return Err(Undecoded::Damaged);
        };
        let claimed = u32::from(u16::from_be_bytes([head[4], head[5]]));
        let rest = Bytes {
            data: rest,
            cut: bytes.cut,
        };
        let rest = match (claimed, head[6]) {
            // a jumbogram, or left to the network card; less than any header is the padding of a short frame
            (0, next) if next != NOTHING && rest.length() >= 8 => rest,
            _ => rest.limit(claimed),
        };
        if head[0] >> 4 != 6 || rest.length() < claimed {
            return Err(Undecoded::Damaged);
        }
        let [source, destination] = [address(head, 8), address(head, 24)];
        let pseudo = self.options.checksums.then(|| Sum::of_ipv6(source, destination));
        let mut ip = Ip {
            source: IpAddr::V6(source).to_canonical(),
            destination: IpAddr::V6(destination).to_canonical(),
            protocol: head[6],
            length: rest.length().saturating_add(40),
            ttl: head[7],
        };
        match ip.protocol {
            6 | 17 | 58 => self.transport(&mut ip, rest, pseudo, around),
            _ => self.extensions(&mut ip, rest, pseudo, around),
        }
    }

    /// What stands between IPv6's header and the transport.
    fn extensions(
        &mut self,
        ip: &mut Ip,
        bytes: Bytes<'_>,
        pseudo: Option<Sum>,
        around: &Around<'_>,
    ) -> Result<(), Undecoded> {
        let mut rest = bytes;
        let mut pseudo = pseudo;
        for _ in 0..EXTENSIONS {
            let length = match ip.protocol {
                // hop-by-hop, routing, destination, mobility, host identity, shim
                0 | 43 | 60 | 135 | 139 | 140 => (usize::from(rest.u8(1)?) + 1) * 8,
                AUTHENTICATION => (usize::from(rest.u8(1)?) + 2) * 4,
                FRAGMENT => return self.fragment_header(ip, rest, pseudo, around),
                _ => return self.transport(ip, rest, pseudo, around),
            };
            // on its way by other stations, its checksum is that of the last one
            if ip.protocol == 43 && rest.u8(3)? > 0 {
                pseudo = None;
            }
            ip.protocol = rest.u8(0)?;
            rest = rest.after(length)?;
        }
        Err(Undecoded::Damaged)
    }

    fn fragment_header(
        &mut self,
        ip: &mut Ip,
        bytes: Bytes<'_>,
        pseudo: Option<Sum>,
        around: &Around<'_>,
    ) -> Result<(), Undecoded> {
        self.step()?;
        let place = bytes.u16(2)?;
        let rest = bytes.after(8)?;
        ip.protocol = bytes.u8(0)?;
        // a packet that is its own only fragment (RFC 6946)
        if place & 0xfff9 == 0 {
            return self.extensions(ip, rest, pseudo, around);
        }
        let key = Key {
            source: ip.source,
            destination: ip.destination,
            protocol: 0,
            number: bytes.u32(4)?,
            vlans: around.vlans,
            tunnel: around.tunnels.last().copied(),
        };
        let fragment = Fragment {
            offset: u32::from(place & 0xfff8),
            more: place & 1 == 1,
            protocol: ip.protocol,
            header: ip.length.saturating_sub(rest.length()),
            bytes: rest,
        };
        self.fragment(ip, key, &fragment, pseudo, around)
    }

    fn fragment(
        &mut self,
        ip: &mut Ip,
        key: Key,
        fragment: &Fragment<'_>,
        pseudo: Option<Sum>,
        around: &Around<'_>,
    ) -> Result<(), Undecoded> {
        match self.fragments.add(key, fragment, around, self.counts) {
            Outcome::Waits => Err(Undecoded::Fragment),
            Outcome::Dropped => Err(Undecoded::Damaged),
            Outcome::Whole(whole) => {
                let around = Around {
                    frames: whole.frames,
                    frame_bytes: whole.frame_bytes,
                    ..*around
                };
                ip.length = whole.length();
                ip.protocol = whole.protocol;
                match key.protocol {
                    0 => self.extensions(ip, whole.bytes(), pseudo, &around),
                    _ => self.transport(ip, whole.bytes(), pseudo, &around),
                }
            }
        }
    }

    /// IPsec's proof of origin hides nothing: what it protects follows it.
    pub(super) fn authenticated(
        &mut self,
        ip: &mut Ip,
        bytes: Bytes<'_>,
        pseudo: Option<Sum>,
        around: &Around<'_>,
    ) -> Result<(), Undecoded> {
        self.step()?;
        let length = (usize::from(bytes.u8(1)?) + 2) * 4;
        ip.protocol = bytes.u8(0)?;
        self.transport(ip, bytes.after(length)?, pseudo, around)
    }
}

fn address(head: &[u8; 40], at: usize) -> Ipv6Addr {
    let mut octets = [0; 16];
    octets.copy_from_slice(&head[at..at + 16]);
    Ipv6Addr::from(octets)
}
