//! TCP, UDP, SCTP, ICMP.
//!
//! A header that the capture cut is told as far as it was captured; one whose length contradicts its packet is told
//! without payload, and counted, as analysers do: hosts may see it otherwise.

use super::bytes::Bytes;
use super::checksum::Sum;
use super::walk::{Around, Walk};
use super::{Ip, Segment, Undecoded};

const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const AUTHENTICATION: u8 = 51;
const ICMPV6: u8 = 58;
const SCTP: u8 = 132;

impl Walk<'_> {
    /// `pseudo`: the sum of the addresses, where checksums are to be looked at.
    #[inline]
    pub(super) fn transport(
        &mut self,
        ip: &mut Ip,
        bytes: Bytes<'_>,
        pseudo: Option<Sum>,
        around: &Around<'_>,
    ) -> Result<(), Undecoded> {
        if let Some(pseudo) = pseudo
            && !sound(ip.protocol, &bytes, pseudo)
        {
            return Err(Undecoded::Checksum);
        }
        match ip.protocol {
            TCP => self.tcp(ip, bytes, around),
            UDP => self.udp(ip, bytes, around),
            ICMP | ICMPV6 => self.icmp(ip, bytes, around),
            SCTP => self.sctp(ip, bytes, around),
            AUTHENTICATION => self.authenticated(ip, bytes, pseudo, around),
            _ => self.tunnel_or_other(ip, bytes, around),
        }
    }

    #[inline]
    fn tcp(&mut self, ip: &Ip, bytes: Bytes<'_>, around: &Around<'_>) -> Result<(), Undecoded> {
        let Some((head, _)) = bytes.data.split_first_chunk::<20>() else {
            return self.short_tcp(ip, bytes, around);
        };
        let header = usize::from(head[12] >> 4) * 4;
        let payload = self.payload(bytes, header, 20);
        self.give(
            ip,
            Segment::Tcp {
                source_port: u16::from_be_bytes([head[0], head[1]]),
                destination_port: u16::from_be_bytes([head[2], head[3]]),
                sequence: u32::from_be_bytes([head[4], head[5], head[6], head[7]]),
                acknowledgment: u32::from_be_bytes([head[8], head[9], head[10], head[11]]),
                flags: head[13],
                window: u16::from_be_bytes([head[14], head[15]]),
                payload: payload.data,
                length: payload.length(),
            },
            around,
        );
        Ok(())
    }

    /// Less than a header: told where the flags are there and it was the capture that cut it.
    #[cold]
    fn short_tcp(&mut self, ip: &Ip, bytes: Bytes<'_>, around: &Around<'_>) -> Result<(), Undecoded> {
        let Some(head) = bytes.data.first_chunk::<14>().filter(|_| bytes.length() >= 20) else {
            return self.short(ip, bytes, around);
        };
        let header = u32::from(head[12] >> 4) * 4;
        self.give(
            ip,
            Segment::Tcp {
                source_port: u16::from_be_bytes([head[0], head[1]]),
                destination_port: u16::from_be_bytes([head[2], head[3]]),
                sequence: u32::from_be_bytes([head[4], head[5], head[6], head[7]]),
                acknowledgment: u32::from_be_bytes([head[8], head[9], head[10], head[11]]),
                flags: head[13],
                window: bytes.u16(14).unwrap_or(0),
                payload: &[],
                length: bytes.length().saturating_sub(header.max(20)),
            },
            around,
        );
        Ok(())
    }

    /// What follows a header of `header` bytes, of which `least` are sure to be there.
    #[inline]
    fn payload<'a>(&mut self, bytes: Bytes<'a>, header: usize, least: usize) -> Bytes<'a> {
        if header < least || header as u32 > bytes.length() {
            self.counts.lying += 1;
            return Bytes { data: &[], cut: 0 };
        }
        // options that were cut off
        bytes.after(header).unwrap_or(Bytes {
            data: &[],
            cut: bytes.length().saturating_sub(header as u32),
        })
    }

    #[inline]
    fn udp(&mut self, ip: &Ip, bytes: Bytes<'_>, around: &Around<'_>) -> Result<(), Undecoded> {
        let (Ok(source_port), Ok(destination_port), 8..) = (bytes.u16(0), bytes.u16(2), bytes.length())
        else {
            return self.short(ip, bytes, around);
        };
        let claimed = bytes.u16(4).map_or(0, u32::from);
        let payload = self.payload(bytes, 8, 8);
        let payload = match claimed {
            // a jumbogram, left to the network card, or cut off
            0 => payload,
            _ => {
                if claimed < 8 || claimed - 8 > payload.length() {
                    self.counts.lying += 1;
                }
                payload.limit(claimed.saturating_sub(8))
            }
        };
        let segment = Segment::Udp {
            source_port,
            destination_port,
            payload: payload.data,
            length: payload.length(),
        };
        if around.tunnels.len() < usize::from(self.options.tunnels)
            && let Some(inside) = super::tunnels::in_udp(source_port, destination_port, payload)
        {
            return self.through(ip, segment, inside, around);
        }
        self.give(ip, segment, around);
        Ok(())
    }

    fn icmp(&mut self, ip: &Ip, bytes: Bytes<'_>, around: &Around<'_>) -> Result<(), Undecoded> {
        let Ok([kind, code]) = bytes.array(0) else {
            return self.short(ip, bytes, around);
        };
        let payload = self.payload(bytes, 8, 8);
        self.give(
            ip,
            Segment::Icmp {
                v6: ip.protocol == ICMPV6,
                kind,
                code,
                payload: payload.data,
                length: payload.length(),
            },
            around,
        );
        Ok(())
    }

    fn sctp(&mut self, ip: &Ip, bytes: Bytes<'_>, around: &Around<'_>) -> Result<(), Undecoded> {
        let (Ok(source_port), Ok(destination_port), 12..) = (bytes.u16(0), bytes.u16(2), bytes.length())
        else {
            return self.short(ip, bytes, around);
        };
        let payload = self.payload(bytes, 12, 12);
        self.give(
            ip,
            Segment::Sctp {
                source_port,
                destination_port,
                payload: payload.data,
                length: payload.length(),
            },
            around,
        );
        Ok(())
    }

    /// No whole header.
    #[cold]
    fn short(&mut self, ip: &Ip, bytes: Bytes<'_>, around: &Around<'_>) -> Result<(), Undecoded> {
        self.counts.short += 1;
        self.other(ip, bytes, around);
        Ok(())
    }

    pub(super) fn other(&mut self, ip: &Ip, bytes: Bytes<'_>, around: &Around<'_>) {
        self.give(
            ip,
            Segment::Other {
                payload: bytes.data,
                length: bytes.length(),
            },
            around,
        );
    }
}

/// Whether the checksum fits, where there is one and all that it is over was captured.
fn sound(protocol: u8, bytes: &Bytes<'_>, pseudo: Sum) -> bool {
    if bytes.cut > 0 {
        return true;
    }
    match protocol {
        TCP if bytes.data.len() >= 20 => pseudo.of_transport(TCP, bytes.length()).and(bytes.data).fits(),
        UDP => match (bytes.u16(4), bytes.u16(6)) {
            // none was made
            (_, Ok(0)) => true,
            (Ok(length @ 8..), Ok(_)) if u32::from(length) <= bytes.length() => {
                let datagram = bytes.limit(u32::from(length));
                pseudo
                    .of_transport(UDP, datagram.length())
                    .and(datagram.data)
                    .fits()
            }
            _ => true,
        },
        ICMP if bytes.data.len() >= 8 => Sum::default().and(bytes.data).fits(),
        ICMPV6 if bytes.data.len() >= 8 => pseudo.of_transport(ICMPV6, bytes.length()).and(bytes.data).fits(),
        _ => true,
    }
}
