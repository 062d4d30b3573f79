//! Community ID v1: the same conversation has the same id in every tool (corelight/community-id-spec).

use std::net::IpAddr;

use sha1::{Digest, Sha1};

use crate::{Endpoint, Transport};

/// The Community ID of a conversation, seed 0: `1:` and the base64 of SHA-1 over
/// `seed | lower ip | higher ip | protocol | 0 | lower port | higher port`, big-endian.
///
/// For ICMP and ICMPv6 the ports are type and code; see [`icmp_ports`].
pub fn community_id(transport: Transport, source: Endpoint, destination: Endpoint) -> String {
    CommunityId::new(0, transport, source, destination)
        .as_str()
        .into()
}

/// As [`community_id`], with a seed that keeps two networks apart.
pub fn with_seed(seed: u16, transport: Transport, source: Endpoint, destination: Endpoint) -> String {
    CommunityId::new(seed, transport, source, destination)
        .as_str()
        .into()
}

/// A Community ID as text, in place: writers make one for every record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommunityId([u8; 30]);

impl CommunityId {
    /// As [`with_seed`].
    pub fn new(seed: u16, transport: Transport, source: Endpoint, destination: Endpoint) -> Self {
        let one_way = is_one_way(transport, source.port);
        let (low, high) = if one_way || (source.ip, source.port) <= (destination.ip, destination.port) {
            (source, destination)
        } else {
            (destination, source)
        };
        let mut said = Said {
            bytes: [0; 40],
            length: 0,
        };
        said.add(&seed.to_be_bytes());
        for end in [low, high] {
            match end.ip {
                IpAddr::V4(ip) => said.add(&ip.octets()),
                IpAddr::V6(ip) => said.add(&ip.octets()),
            }
        }
        said.add(&[transport.number(), 0]);
        if has_ports(transport) {
            said.add(&low.port.to_be_bytes());
            said.add(&high.port.to_be_bytes());
        }
        let mut text = [b'='; 30];
        text[..2].copy_from_slice(b"1:");
        base64(&Sha1::digest(&said.bytes[..said.length]), &mut text[2..]);
        Self(text)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// What is hashed: 40 bytes at most.
struct Said {
    bytes: [u8; 40],
    length: usize,
}

impl Said {
    fn add(&mut self, bytes: &[u8]) {
        let end = self.length + bytes.len();
        if let Some(place) = self.bytes.get_mut(self.length..end) {
            place.copy_from_slice(bytes);
            self.length = end;
        }
    }
}

/// Nothing answers an ICMP or ICMPv6 message of this type: both ways are conversations of their own.
pub const fn is_one_way(transport: Transport, source_port: u16) -> bool {
    match transport {
        Transport::Icmp => icmp_reply(source_port).is_none(),
        Transport::Icmpv6 => icmpv6_reply(source_port).is_none(),
        _ => false,
    }
}

/// The ports that stand for an ICMP (`v6 == false`) or ICMPv6 message: its type and the type that answers it, or its
/// code where nothing answers.
pub fn icmp_ports(v6: bool, kind: u8, code: u8) -> (u16, u16) {
    let reply = if v6 {
        icmpv6_reply(kind.into())
    } else {
        icmp_reply(kind.into())
    };
    (kind.into(), reply.unwrap_or(code.into()))
}

fn has_ports(transport: Transport) -> bool {
    use Transport::{Icmp, Icmpv6, Sctp, Tcp, Udp};
    matches!(transport, Icmp | Icmpv6 | Sctp | Tcp | Udp)
}

const fn icmp_reply(kind: u16) -> Option<u16> {
    let reply = match kind {
        0 => 8,
        8 => 0,
        9 => 10,
        10 => 9,
        13 => 14,
        14 => 13,
        15 => 16,
        16 => 15,
        17 => 18,
        18 => 17,
        _ => return None,
    };
    Some(reply)
}

const fn icmpv6_reply(kind: u16) -> Option<u16> {
    let reply = match kind {
        128 => 129,
        129 => 128,
        130 => 131,
        131 => 130,
        133 => 134,
        134 => 133,
        135 => 136,
        136 => 135,
        139 => 140,
        140 => 139,
        144 => 145,
        145 => 144,
        _ => return None,
    };
    Some(reply)
}

/// Puts the base64 of `bytes` into `text`, whose padding is there already.
fn base64(bytes: &[u8], text: &mut [u8]) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (chunk, letters) in bytes.chunks(3).zip(text.chunks_mut(4)) {
        let word = chunk
            .iter()
            .chain([&0, &0])
            .take(3)
            .fold(0u32, |word, byte| word << 8 | u32::from(*byte));
        for (position, letter) in letters.iter_mut().enumerate().take(chunk.len() + 1) {
            *letter = ALPHABET[(word >> (18 - 6 * position) & 63) as usize];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(ip: &str, port: u16) -> Endpoint {
        Endpoint::new(ip.parse().unwrap(), port)
    }

    #[test]
    fn both_directions_have_the_published_id() {
        let (a, b) = (endpoint("128.232.110.120", 34855), endpoint("66.35.250.204", 80));
        let expected = "1:LQU9qZlK+B5F3KDmev6m5PMibrg=";
        assert_eq!(community_id(Transport::Tcp, a, b), expected);
        assert_eq!(community_id(Transport::Tcp, b, a), expected);
    }

    #[test]
    fn base64_pads() {
        let cases = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
        ];
        for (plain, coded) in cases {
            let mut text = vec![b'='; coded.len()];
            base64(plain.as_bytes(), &mut text);
            assert_eq!(text, coded.as_bytes());
        }
    }
}
