//! Small services over datagrams: TFTP (RFC 1350), syslog (RFC 3164, RFC 5424), RADIUS (RFC 2865).
//!
//! Of syslog only facility and severity are noted, of RADIUS never a password or what stands for one.

use atalaya_model::{Application, Side};

use super::brief::{Brief, Bytes, Notes};
use crate::analyser::{Appetite, Guess, Opening, Over, Speaker};

const DATAGRAMS: &[Over] = &[Over::Datagrams];
const RADIUS_PORTS: &[u16] = &[1812, 1813, 1645, 1646, 3799];

pub(crate) static SPEAKERS: [Speaker; 3] = [
    Speaker {
        application: Application::Tftp,
        over: DATAGRAMS,
        ports: &[69],
        recognise: |opening| guess(tftp_request(opening.data).is_some()),
        analyser: Some(|_| Box::new(Brief::new(Application::Tftp, tftp))),
    },
    Speaker {
        application: Application::Syslog,
        over: &[Over::Stream, Over::Datagrams],
        ports: &[514, 601],
        recognise: |opening| guess(is_syslog(opening)),
        analyser: Some(|_| Box::new(Brief::new(Application::Syslog, syslog))),
    },
    Speaker {
        application: Application::Radius,
        over: DATAGRAMS,
        ports: RADIUS_PORTS,
        recognise: |opening| guess(is_radius(opening)),
        analyser: Some(|_| Box::new(Brief::new(Application::Radius, radius))),
    },
];

const fn guess(is: bool) -> Guess {
    if is { Guess::Yes } else { Guess::No }
}

/// Whether it writes, the file and the mode.
fn tftp_request(data: &[u8]) -> Option<(bool, &[u8], &[u8])> {
    let mut bytes = Bytes(data);
    let writes = match bytes.big16()? {
        1 => false,
        2 => true,
        _ => return None,
    };
    let (file, mode) = (bytes.text()?, bytes.text()?);
    let known = [&b"octet"[..], b"netascii", b"mail"]
        .iter()
        .any(|known| mode.eq_ignore_ascii_case(known));
    (known && !file.is_empty()).then_some((writes, file, mode))
}

fn tftp(side: Side, data: &[u8], notes: &mut Notes) -> Appetite {
    if side == Side::Source
        && let Some((writes, file, mode)) = tftp_request(data)
    {
        notes.add("operation", if writes { "write" } else { "read" });
        notes.text("file", file);
        notes.text("mode", &mode.to_ascii_lowercase());
    }
    if let (Side::Destination, [0, 5, _, code, ..]) = (side, data) {
        notes.number("error", code);
    }
    Appetite::More
}

/// The priority in angle brackets, and what follows it.
fn priority(data: &[u8]) -> Option<(u8, &[u8])> {
    let rest = data.strip_prefix(b"<")?;
    let end = rest.iter().take(4).position(|byte| *byte == b'>')?;
    let digits = rest
        .get(..end)
        .filter(|digits| digits.iter().all(u8::is_ascii_digit))?;
    let number: u8 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (number <= 191).then_some((number, rest.get(end + 1..)?))
}

/// Over streams the length may stand before the message (RFC 6587).
fn without_length(data: &[u8]) -> &[u8] {
    let digits = data
        .iter()
        .take(6)
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    match data.get(digits..) {
        Some([b' ', rest @ ..]) if digits > 0 => rest,
        _ => data,
    }
}

fn is_syslog(opening: &Opening<'_>) -> bool {
    const MONTHS: &[u8] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
    let data = match opening.over {
        Over::Stream => without_length(opening.data),
        Over::Datagrams => opening.data,
    };
    let Some((_, rest)) = priority(data) else {
        return false;
    };
    let dated = rest
        .get(..3)
        .is_some_and(|month| MONTHS.chunks_exact(3).any(|known| known == month));
    let versioned = matches!(rest, [b'1', b' ', b'0'..=b'9' | b'-', ..]);
    let usual = [opening.source_port, opening.destination_port].contains(&514);
    dated
        || versioned
        || (usual
            && rest
                .first()
                .is_some_and(|byte| byte.is_ascii_graphic() || *byte == b' '))
}

fn syslog(_: Side, data: &[u8], notes: &mut Notes) -> Appetite {
    if let Some((priority, _)) = priority(without_length(data)) {
        notes.number("facility", priority >> 3);
        notes.number("severity", priority & 7);
    }
    Appetite::Enough
}

/// The attributes behind the head of 20 bytes: kind and value; `None` where they do not fill the message.
fn radius_attributes(data: &[u8]) -> Option<Vec<(u8, &[u8])>> {
    let length = usize::from(u16::from_be_bytes([*data.get(2)?, *data.get(3)?]));
    let mut bytes = Bytes(data.get(20..length)?);
    let mut found = Vec::new();
    while let Some(kind) = bytes.byte() {
        let length = usize::from(bytes.byte()?);
        found.push((kind, bytes.take(length.checked_sub(2)?)?));
    }
    Some(found)
}

fn is_radius(opening: &Opening<'_>) -> bool {
    let [code @ (1..=5 | 11..=13 | 40..=45), _, high, low, ..] = opening.data else {
        return false;
    };
    let usual = |port| RADIUS_PORTS.contains(&port);
    let is_usual = usual(opening.source_port) || usual(opening.destination_port);
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    if !(20..=4_096).contains(&length) || length > opening.data.len() {
        return false;
    }
    if is_usual {
        return radius_attributes(opening.data).is_some();
    }
    // Elsewhere only a request that names its user and the server that asks.
    let asks = matches!(code, 1 | 4) && opening.side == Side::Source && length == opening.data.len();
    asks && radius_attributes(opening.data).is_some_and(|attributes| {
        let has = |wanted: &[u8]| attributes.iter().any(|(kind, _)| wanted.contains(kind));
        has(&[1]) && has(&[4, 32, 95])
    })
}

fn radius(side: Side, data: &[u8], notes: &mut Notes) -> Appetite {
    let Some(code) = data.first() else {
        return Appetite::More;
    };
    let name = match code {
        1 => "access_request".to_owned(),
        2 => "access_accept".to_owned(),
        3 => "access_reject".to_owned(),
        4 => "accounting_request".to_owned(),
        5 => "accounting_response".to_owned(),
        11 => "access_challenge".to_owned(),
        other => other.to_string(),
    };
    match side {
        Side::Source => notes.add("request", &name),
        Side::Destination => notes.add("response", &name),
    }
    for (kind, value) in radius_attributes(data).unwrap_or_default() {
        let name = match kind {
            1 => "user",
            30 => "called_station",
            31 => "calling_station",
            32 => "nas",
            _ => continue,
        };
        if !notes.has(name) {
            notes.text(name, value);
        }
    }
    Appetite::More
}
