//! Peers among themselves: BitTorrent, STUN, RTP; and things: CoAP, Modbus, DNP3.

use atalaya_model::{Application, Side};

use super::brief::{Brief, Bytes, Notes, hexadecimal};
use crate::analyser::{Appetite, Guess, Opening, Over, Speaker};

const STREAM: &[Over] = &[Over::Stream];
const DATAGRAMS: &[Over] = &[Over::Datagrams];

pub(crate) static SPEAKERS: [Speaker; 6] = [
    Speaker {
        application: Application::Stun,
        over: &[Over::Stream, Over::Datagrams],
        ports: &[3478, 5349, 19_302],
        recognise: |opening| guess(is_stun(opening)),
        analyser: Some(|_| Box::new(Brief::new(Application::Stun, stun))),
    },
    Speaker {
        application: Application::BitTorrent,
        over: &[Over::Stream, Over::Datagrams],
        ports: &[6881, 51_413],
        recognise: |opening| guess(is_bittorrent(opening)),
        analyser: Some(|_| Box::new(Brief::new(Application::BitTorrent, bittorrent))),
    },
    Speaker {
        application: Application::Modbus,
        over: STREAM,
        ports: &[502],
        recognise: |opening| guess(is_modbus(opening)),
        analyser: Some(|_| Box::new(Brief::new(Application::Modbus, modbus))),
    },
    Speaker {
        application: Application::Dnp3,
        over: &[Over::Stream, Over::Datagrams],
        ports: &[20_000],
        recognise: |opening| guess(matches!(opening.data, [0x05, 0x64, length, ..] if *length >= 5)),
        analyser: None,
    },
    Speaker {
        application: Application::Coap,
        over: DATAGRAMS,
        ports: &[5683, 5684],
        recognise: |opening| guess(is_coap(opening)),
        analyser: None,
    },
    Speaker {
        application: Application::Rtp,
        over: DATAGRAMS,
        ports: &[],
        recognise: |opening| guess(is_rtp(opening)),
        analyser: None,
    },
];

const fn guess(is: bool) -> Guess {
    if is { Guess::Yes } else { Guess::No }
}

const fn on(opening: &Opening<'_>, port: u16) -> bool {
    opening.destination_port == port || opening.source_port == port
}

/// The magic number of RFC 5389, or on its own port a head of RFC 3489 whose length fits.
fn is_stun(opening: &Opening<'_>) -> bool {
    let mut bytes = Bytes(opening.data);
    let (Some(kind), Some(length), Some(magic)) = (bytes.big16(), bytes.big16(), bytes.big32()) else {
        return false;
    };
    let fits = usize::from(length) + 20 == opening.data.len() && length.is_multiple_of(4);
    let old = on(opening, 3478) && matches!(kind, 0x0001 | 0x0101 | 0x0111);
    kind < 0x4000 && (fits || opening.over == Over::Stream) && (magic == 0x2112_a442 || (old && fits))
}

fn stun(_: Side, data: &[u8], notes: &mut Notes) -> Appetite {
    if matches!(data, [20..=63, 0xfe, ..]) {
        // WebRTC: the handshake of DTLS follows (RFC 7983).
        return Appetite::Becomes {
            application: Some(Application::Dtls),
            consumed: 0,
        };
    }
    if matches!(data, [128..=191, ..]) {
        return Appetite::Enough; // RTP: what was to be agreed upon is
    }
    const SOFTWARE: u16 = 0x8022;
    let mut bytes = Bytes(data);
    if let Some(kind) = bytes.big16()
        && !notes.has("type")
    {
        let name = match kind {
            0x0001 => "binding".to_owned(),
            0x0003 => "allocate".to_owned(),
            0x0101 => "binding_response".to_owned(),
            other => format!("{other:#06x}"),
        };
        notes.add("type", &name);
    }
    bytes.take(18);
    // Attributes: kind, length, value, and padding to four bytes.
    while let (Some(kind), Some(length)) = (bytes.big16(), bytes.big16()) {
        let Some(value) = bytes.take(usize::from(length)) else {
            break;
        };
        bytes.take(usize::from(length.wrapping_neg() & 3));
        if kind == SOFTWARE && !notes.has("software") {
            notes.text("software", value);
        }
    }
    Appetite::More
}

fn is_bittorrent(opening: &Opening<'_>) -> bool {
    match opening.over {
        Over::Stream => opening.data.starts_with(b"\x13BitTorrent protocol"),
        // Questions to, and answers of, the distributed table.
        Over::Datagrams => {
            [&b"d1:ad2:id20:"[..], b"d1:rd2:id20:", b"d2:ip6:"]
                .into_iter()
                .any(|begin| opening.data.starts_with(begin))
                || is_utp(opening)
        }
    }
}

fn bittorrent(_: Side, data: &[u8], notes: &mut Notes) -> Appetite {
    if let Some(rest) = data.strip_prefix(b"\x13BitTorrent protocol") {
        let mut bytes = Bytes(rest);
        bytes.take(8);
        if let Some(hash) = bytes.take(20)
            && !notes.has("info_hash")
        {
            notes.add("info_hash", &hexadecimal(hash));
        }
        if let Some(peer) = bytes.take(20) {
            notes.text("client", peer.get(..8).unwrap_or_default());
        }
    } else if data.starts_with(b"d") && !notes.has("table") {
        notes.add("table", "true");
    }
    Appetite::More
}

fn is_modbus(opening: &Opening<'_>) -> bool {
    let mut bytes = Bytes(opening.data);
    let (Some(_), Some(0), Some(length)) = (bytes.big16(), bytes.big16(), bytes.big16()) else {
        return false;
    };
    on(opening, 502) && (2..=254).contains(&length) && opening.data.len() >= usize::from(length) + 6
}

fn modbus(side: Side, data: &[u8], notes: &mut Notes) -> Appetite {
    if let (Side::Source, Some([unit, function])) = (side, data.get(6..8)) {
        notes.number("unit", unit);
        notes.number("function", function);
    }
    Appetite::More
}

/// Version 1, a token of at most eight bytes, a code that exists.
fn is_coap(opening: &Opening<'_>) -> bool {
    let [first, code, _, _, ..] = opening.data else {
        return false;
    };
    let usual = on(opening, 5683) || on(opening, 5684);
    usual && first >> 6 == 1 && first & 15 <= 8 && matches!(code >> 5, 0 | 2 | 4 | 5)
}

/// Two packets in a row of version 2, of the same kind of media, by the same sender, with numbers that follow each other;
/// or reports whose lengths fill the datagram.
fn is_rtp(opening: &Opening<'_>) -> bool {
    if opening.source_port < 1_024 || opening.destination_port < 1_024 {
        return false;
    }
    let head = |data: &[u8]| {
        let head: [u8; 12] = data.get(..12)?.try_into().ok()?;
        let [first, kind, high, low, .., a, b, c, d] = head;
        let sender = u32::from_be_bytes([a, b, c, d]);
        let media = kind & 0x7f;
        let known = matches!(media, 0..=34 | 96..=127);
        let is_head = first >> 6 == 2 && known && sender != 0;
        is_head.then_some((media, u16::from_be_bytes([high, low]), sender))
    };
    if let (Some(now), Some(then)) = (head(opening.data), head(opening.earlier)) {
        let ahead = now.1.wrapping_sub(then.1);
        return now.0 == then.0 && now.2 == then.2 && (1..=16).contains(&ahead);
    }
    is_rtcp(opening.data)
}

/// Reports of a sender or receiver, then at least what it is called: each with its length in words.
fn is_rtcp(data: &[u8]) -> bool {
    let mut bytes = Bytes(data);
    let mut kinds = 0;
    let mut described = false;
    while let (Some(first), Some(kind), Some(length)) = (bytes.byte(), bytes.byte(), bytes.big16()) {
        let fits = first >> 6 == 2
            && if kinds == 0 {
                matches!(kind, 200 | 201)
            } else {
                (200..=207).contains(&kind)
            };
        if !fits || bytes.take(usize::from(length) * 4).is_none() {
            return false;
        }
        described |= kind == 202;
        kinds += 1;
    }
    described && bytes.0.is_empty()
}

/// The state of a connection of uTP (BEP 29), in answer to the wish for one with the same number.
fn is_utp(opening: &Opening<'_>) -> bool {
    let ([0x21, 0..=2, rest @ ..], [0x41, 0..=2, wished @ ..]) = (opening.data, opening.before) else {
        return false;
    };
    opening.data.len() >= 20
        && opening.data.len() < 64
        && rest.get(..2) == wished.get(..2)
        && rest[..2] != [0, 0]
}
