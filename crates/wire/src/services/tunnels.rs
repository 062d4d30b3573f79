//! Private tunnels and their like: WireGuard, OpenVPN, IKE, GTP, SOCKS, Teredo, VXLAN, Geneve, AYIYA.

use atalaya_model::{Application, Side};

use super::brief::{Brief, Bytes, Notes, hexadecimal};
use crate::analyser::{Appetite, Guess, Opening, Over, Speaker};
use crate::packet::tunnel_in;

const DATAGRAMS: &[Over] = &[Over::Datagrams];

pub(crate) static SPEAKERS: [Speaker; 9] = [
    Speaker {
        application: Application::WireGuard,
        over: DATAGRAMS,
        ports: &[51_820],
        recognise: |opening| guess(is_wireguard(opening)),
        analyser: None,
    },
    Speaker {
        application: Application::Ike,
        over: DATAGRAMS,
        ports: &[500, 4500],
        recognise: |opening| guess(ike_head(opening).is_some()),
        analyser: Some(|_| Box::new(Brief::new(Application::Ike, ike))),
    },
    Speaker {
        application: Application::OpenVpn,
        over: &[Over::Stream, Over::Datagrams],
        ports: &[1194],
        recognise: |opening| guess(is_openvpn(opening)),
        analyser: None,
    },
    Speaker {
        application: Application::Gtp,
        over: DATAGRAMS,
        ports: &[2123, 2152, 3386],
        recognise: |opening| guess(is_gtp(opening)),
        analyser: None,
    },
    Speaker {
        application: Application::Socks,
        over: &[Over::Stream],
        ports: &[1080, 9050, 9150],
        recognise: |opening| guess(is_socks(opening)),
        analyser: Some(|_| Box::new(Socks::default())),
    },
    Speaker {
        application: Application::Teredo,
        over: DATAGRAMS,
        ports: &[3544],
        recognise: |opening| {
            let is_usual = on(opening, 3544) && is_teredo(opening.data);
            guess(is_usual || carries(opening, "teredo"))
        },
        analyser: None,
    },
    Speaker {
        application: Application::Geneve,
        over: DATAGRAMS,
        ports: &[6081],
        recognise: |opening| guess(carries(opening, "geneve")),
        analyser: None,
    },
    Speaker {
        application: Application::Ayiya,
        over: DATAGRAMS,
        ports: &[5072],
        recognise: |opening| guess(carries(opening, "ayiya")),
        analyser: None,
    },
    Speaker {
        application: Application::Vxlan,
        over: DATAGRAMS,
        ports: &[4789, 8472],
        recognise: |opening| {
            let is = matches!(opening.data, [8, 0, 0, 0, _, _, _, 0, ..] if opening.data.len() > 22);
            guess(is && (opening.destination_port == 4789 || opening.destination_port == 8472))
        },
        analyser: None,
    },
];

const fn guess(is: bool) -> Guess {
    if is { Guess::Yes } else { Guess::No }
}

const fn on(opening: &Opening<'_>, port: u16) -> bool {
    opening.destination_port == port || opening.source_port == port
}

/// The decoder opens this kind of tunnel in it.
fn carries(opening: &Opening<'_>, kind: &str) -> bool {
    tunnel_in(opening.source_port, opening.destination_port, opening.data) == Some(kind)
}

/// Kind, three bytes of zero, and the length that the kind demands (the protocol's paper, section 5.4). Data, padded to
/// 16 bytes, tell on the usual port alone, else where two datagrams in a row are for the same receiver and their counters
/// follow each other.
fn is_wireguard(opening: &Opening<'_>) -> bool {
    let data = opening.data;
    match data {
        [1, 0, 0, 0, ..] => data.len() == 148,
        [2, 0, 0, 0, ..] => data.len() == 92,
        [3, 0, 0, 0, ..] => data.len() == 64,
        [4, 0, 0, 0, ..] if data.len() >= 32 && data.len().is_multiple_of(16) => {
            let follows = || {
                let (now, then) = (counter(data)?, counter(opening.earlier)?);
                let same = data.get(..8) == opening.earlier.get(..8);
                Some(same && (1..=16).contains(&now.wrapping_sub(then)))
            };
            on(opening, 51_820) || follows().unwrap_or_default()
        }
        _ => false,
    }
}

/// The lower half of the counter of WireGuard's data.
fn counter(data: &[u8]) -> Option<u32> {
    Bytes(data.get(8..)?).little32()
}

/// The head of ISAKMP, after the four zeros that tell it from ESP on port 4500.
fn ike_head<'a>(opening: &Opening<'a>) -> Option<&'a [u8]> {
    let data = match opening.data {
        [0, 0, 0, 0, rest @ ..] if on(opening, 4500) => rest,
        data => data,
    };
    let mut bytes = Bytes(data);
    let initiator = bytes.take(8)?;
    let _responder = bytes.take(8)?;
    let _next = bytes.byte()?;
    let version = bytes.byte()?;
    let exchange = bytes.byte()?;
    let _flags = bytes.byte()?;
    let _message = bytes.big32()?;
    let length = bytes.big32()? as usize;
    let known = match version {
        0x10 => (1..=5).contains(&exchange) || (32..=34).contains(&exchange),
        0x20 => (34..=37).contains(&exchange),
        _ => false,
    };
    let fits = length == data.len() || (length > 28 && length < 65_536 && on(opening, 500));
    (known && fits && initiator != [0; 8]).then_some(data)
}

fn ike(side: Side, data: &[u8], notes: &mut Notes) -> Appetite {
    let data = match data {
        [0, 0, 0, 0, rest @ ..] => rest,
        data => data,
    };
    if side == Side::Source
        && let Some([version, exchange]) = data.get(17..19)
    {
        notes.add("version", &format!("{}.{}", version >> 4, version & 15));
        let exchange = match exchange {
            2 => "identity_protection".to_owned(),
            4 => "aggressive".to_owned(),
            5 => "informational".to_owned(),
            32 => "quick".to_owned(),
            34 => "ike_sa_init".to_owned(),
            35 => "ike_auth".to_owned(),
            other => other.to_string(),
        };
        notes.add("exchange", &exchange);
        if let Some(initiator) = data.get(..8) {
            notes.add("initiator", &hexadecimal(initiator));
        }
    }
    Appetite::More
}

/// A reset by a client, or a server's answer: the operation in the upper five bits of the first byte, a session number
/// of eight bytes that is no run of zeros.
fn is_openvpn(opening: &Opening<'_>) -> bool {
    let data = match opening.over {
        Over::Datagrams => opening.data,
        Over::Stream => {
            let mut bytes = Bytes(opening.data);
            let length = bytes.big16().map(usize::from);
            match length {
                Some(length @ 14..=1_400) if bytes.0.len() >= length => &bytes.0[..length],
                _ => return false,
            }
        }
    };
    let Some((&first, rest)) = data.split_first() else {
        return false;
    };
    let resets = match opening.side {
        Side::Source => matches!(first, 0x08 | 0x38 | 0x50),
        Side::Destination => matches!(first, 0x10 | 0x40),
    };
    let number = rest
        .get(..8)
        .is_some_and(|number| number.iter().filter(|byte| **byte != 0).count() > 5);
    // Of a bare reset the length is known; with a key for its control channel it is longer.
    let plain = data.len() == 14 && rest.get(8..) == Some(&[0, 0, 0, 0, 0]);
    let usual = on(opening, 1194) && (14..=120).contains(&data.len());
    // Over a stream the reset is all that is said at first.
    let alone = opening.over == Over::Datagrams || data.len() + 2 == opening.data.len();
    let keyed = matches!(data.len(), 42 | 54 | 86) && alone;
    // The answer acknowledges packet 0 of the session that it names, and is packet 0 itself.
    let answers = first == 0x40
        && data.len() == 26
        && rest.get(8..13) == Some(&[1, 0, 0, 0, 0])
        && rest.get(21..) == Some(&[0; 4]);
    number && (answers || (resets && (plain || usual || keyed)))
}

fn is_gtp(opening: &Opening<'_>) -> bool {
    let ports = [2123, 2152, 3386];
    if !ports.iter().any(|port| on(opening, *port)) {
        return false;
    }
    let mut bytes = Bytes(opening.data);
    let (Some(flags), Some(_), Some(length)) = (bytes.byte(), bytes.byte(), bytes.big16()) else {
        return false;
    };
    // Charging (GTP') has a short head, but for the long one of its first version.
    let charges = flags & 0x10 == 0;
    let head = match flags >> 5 {
        0 if !charges || flags & 1 == 0 => 20,
        0..=2 if charges && on(opening, 3386) => 6,
        1 => 8,
        2 => 4,
        _ => return false,
    };
    usize::from(length) + head == opening.data.len()
}

fn is_teredo(data: &[u8]) -> bool {
    match data {
        [0, 0 | 1, ..] => data.len() > 8,
        [first, ..] => first >> 4 == 6 && data.len() >= 40,
        [] => false,
    }
}

/// Version, number of methods, and as many methods; or version 4 with a command, a port and an address.
fn is_socks(opening: &Opening<'_>) -> bool {
    if opening.side != Side::Source {
        return false;
    }
    match opening.data {
        [5, count @ 1..=16, methods @ ..] => {
            methods.len() == usize::from(*count)
                && methods.iter().all(|method| *method < 10 || *method >= 0x80)
                && (on(opening, 1080) || opening.data.len() <= 6)
        }
        [4, 1 | 2, _, _, _, _, _, _, user @ ..] => {
            opening.data.len() <= 300
                && user.last() == Some(&0)
                && user.iter().filter(|byte| **byte == 0).count() <= 2
        }
        _ => false,
    }
}

/// SOCKS: what it is asked to connect to. What follows is the protocol inside.
#[derive(Debug, Default)]
struct Socks {
    request: Option<(&'static str, String)>,
    told: bool,
}

impl crate::analyser::Analyser for Socks {
    fn application(&self) -> Application {
        Application::Socks
    }

    fn read(&mut self, piece: &crate::analyser::Piece<'_>, out: &mut Vec<crate::analyser::Said>) -> Appetite {
        match (piece.side, piece.data) {
            (Side::Source, [4, 1, ..]) => {
                let mut bytes = Bytes(&piece.data[2..]);
                if let (Some(port), Some([a, b, c, d])) = (bytes.big16(), bytes.take(4)) {
                    let named = [a, b, c] == [&0, &0, &0] && *d != 0;
                    let _user = bytes.text();
                    let target = match bytes.text() {
                        Some(name) if named => String::from_utf8_lossy(name).into_owned(),
                        _ => format!("{a}.{b}.{c}.{d}"),
                    };
                    self.request = Some(("4", format!("{target}:{port}")));
                }
                Appetite::More
            }
            (Side::Source, [5, 1, 0, kind, rest @ ..]) => {
                let mut bytes = Bytes(rest);
                let target = match kind {
                    1 => bytes
                        .take(4)
                        .map(|ip| format!("{}.{}.{}.{}", ip[0], ip[1], ip[2], ip[3])),
                    3 => bytes
                        .byte()
                        .and_then(|length| bytes.take(usize::from(length)))
                        .map(|name| String::from_utf8_lossy(name).into_owned()),
                    4 => bytes
                        .take(16)
                        .and_then(|ip| <[u8; 16]>::try_from(ip).ok())
                        .map(|ip| format!("[{}]", std::net::Ipv6Addr::from(ip))),
                    _ => None,
                };
                if let (Some(target), Some(port)) = (target, bytes.big16()) {
                    self.request = Some(("5", format!("{target}:{port}")));
                }
                Appetite::More
            }
            (Side::Destination, [0 | 5, code, ..]) => {
                let Some((version, target)) = self.request.take() else {
                    return Appetite::More;
                };
                let mut other = atalaya_model::protocol::Other::new(Application::Socks);
                for (name, value) in [
                    ("version", version.to_owned()),
                    ("target", target),
                    ("reply", code.to_string()),
                ] {
                    other.attributes.push((name.into(), value.into()));
                }
                out.push((piece.time, atalaya_model::Message::Other(Box::new(other))));
                self.told = true;
                Appetite::Becomes {
                    application: None,
                    consumed: piece.data.len(),
                }
            }
            _ if self.told => Appetite::Enough,
            _ => Appetite::More,
        }
    }
}
