//! Community ID v1: the same conversation has the same id in every tool (corelight/community-id-spec).

use sha1::{Digest, Sha1};

use crate::{Endpoint, Transport};

/// The Community ID of a conversation, seed 0: `1:` and the base64 of SHA-1 over
/// `seed | lower ip | higher ip | protocol | 0 | lower port | higher port`, big-endian.
///
/// For ICMP and ICMPv6 the ports are type and code; see [`icmp_ports`].
pub fn community_id(transport: Transport, source: Endpoint, destination: Endpoint) -> String {
    with_seed(0, transport, source, destination)
}

/// As [`community_id`], with a seed that keeps two networks apart.
pub fn with_seed(seed: u16, transport: Transport, source: Endpoint, destination: Endpoint) -> String {
    let one_way = is_one_way(transport, source.port);
    let (low, high) = if one_way || (octets(source), source.port) <= (octets(destination), destination.port) {
        (source, destination)
    } else {
        (destination, source)
    };
    let mut hash = Sha1::new();
    hash.update(seed.to_be_bytes());
    hash.update(octets(low));
    hash.update(octets(high));
    hash.update([transport.number(), 0]);
    if has_ports(transport) {
        hash.update(low.port.to_be_bytes());
        hash.update(high.port.to_be_bytes());
    }
    format!("1:{}", base64(&hash.finalize()))
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

fn octets(endpoint: Endpoint) -> Vec<u8> {
    match endpoint.ip {
        std::net::IpAddr::V4(ip) => ip.octets().to_vec(),
        std::net::IpAddr::V6(ip) => ip.octets().to_vec(),
    }
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

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = chunk
            .iter()
            .chain([&0, &0])
            .take(3)
            .fold(0u32, |word, byte| word << 8 | u32::from(*byte));
        for position in 0..4 {
            if position <= chunk.len() {
                text.push(char::from(ALPHABET[(word >> (18 - 6 * position) & 63) as usize]));
            } else {
                text.push('=');
            }
        }
    }
    text
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
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }
}
