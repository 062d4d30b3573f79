//! What Windows networks speak: SMB, NetBIOS sessions, DCERPC, RDP.

use atalaya_model::{Application, Side};

use super::brief::{Brief, Bytes, Notes, hexadecimal};
use crate::analyser::{Appetite, Guess, Opening, Over, Speaker};

const STREAM: &[Over] = &[Over::Stream];

pub(crate) static SPEAKERS: [Speaker; 6] = [
    Speaker {
        application: Application::Smb,
        over: STREAM,
        ports: &[445],
        recognise: |opening| guess(smb(opening.data).is_some()),
        analyser: Some(|_| Box::new(Brief::patient(Application::Smb, look_smb, 12))),
    },
    Speaker {
        application: Application::NetbiosSsn,
        over: STREAM,
        ports: &[139],
        recognise: |opening| {
            // A session request with two names in their half-byte letters.
            guess(matches!(opening.data, [0x81, 0, 0, 68, 32, ..]) && opening.side == Side::Source)
        },
        analyser: Some(|_| Box::new(Brief::new(Application::NetbiosSsn, look_netbios))),
    },
    Speaker {
        application: Application::NetbiosDgm,
        over: &[Over::Datagrams],
        ports: &[138],
        recognise: |opening| guess(is_netbios_datagram(opening.data)),
        analyser: Some(|_| Box::new(Brief::new(Application::NetbiosDgm, look_netbios_datagram))),
    },
    Speaker {
        application: Application::Dcerpc,
        over: &[Over::Stream, Over::Datagrams],
        ports: &[135],
        recognise: |opening| guess(is_dcerpc(opening)),
        analyser: Some(|_| Box::new(Brief::new(Application::Dcerpc, look_dcerpc))),
    },
    Speaker {
        application: Application::Rdp,
        over: STREAM,
        ports: &[3389],
        recognise: |opening| guess(is_rdp(opening)),
        analyser: Some(|_| Box::new(Brief::new(Application::Rdp, look_rdp))),
    },
    Speaker {
        application: Application::Rdp,
        over: &[Over::Datagrams],
        ports: &[3389],
        recognise: |opening| guess(is_rdp_over_datagrams(opening.data)),
        analyser: None,
    },
];

const fn guess(is: bool) -> Guess {
    if is { Guess::Yes } else { Guess::No }
}

/// The message after the four bytes of NetBIOS framing, and whether it is of version 1.
fn smb(data: &[u8]) -> Option<(bool, &[u8])> {
    let mut bytes = Bytes(data);
    (bytes.byte()? == 0).then_some(())?;
    bytes.take(3)?;
    match bytes.0 {
        [0xff, b'S', b'M', b'B', ..] => Some((true, bytes.0)),
        [0xfd | 0xfe, b'S', b'M', b'B', ..] => Some((false, bytes.0)),
        _ => None,
    }
}

/// Who logs on, by the last message of NTLM (MS-NLMP 2.2.1.3): domain, user and the name of the host. The answer to the
/// challenge beside them is not looked at.
fn logs_on(data: &[u8], notes: &mut Notes) -> Option<()> {
    const SIGNATURE: &[u8] = b"NTLMSSP\0\x03\0\0\0";
    /// Where places of texts are told: length, space, offset.
    const FIELDS: [(&str, usize); 3] = [("domain", 28), ("user", 36), ("host", 44)];
    let begin = memchr::memmem::find(data, SIGNATURE)?;
    let message = data.get(begin..)?;
    let is_wide = message.get(60)? & 1 != 0;
    for (name, place) in FIELDS {
        let mut field = Bytes(message.get(place..place + 8)?);
        let (low, high) = (field.byte()?, field.byte()?);
        let length = usize::from(u16::from_le_bytes([low, high]));
        field.take(2)?;
        let offset = field.little32()? as usize;
        let value = message.get(offset..offset.checked_add(length)?)?;
        let value = value.get(..512).unwrap_or(value);
        if is_wide {
            let units = value
                .chunks_exact(2)
                .map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
            let wide: String = char::decode_utf16(units)
                .map(|letter| letter.unwrap_or('\u{fffd}'))
                .collect();
            notes.add(name, &wide);
        } else {
            notes.text(name, value);
        }
    }
    Some(())
}

fn look_smb(side: Side, data: &[u8], notes: &mut Notes) -> Appetite {
    if side == Side::Source && logs_on(data, notes).is_some() {
        return Appetite::Enough;
    }
    let Some((first, message)) = smb(data) else {
        return Appetite::More;
    };
    if side == Side::Source {
        if notes.has("version") {
            return Appetite::More;
        }
        notes.add("version", if first { "1" } else { "2" });
        let command = if first {
            message.get(4).map(|command| u16::from(*command))
        } else {
            message
                .get(12..14)
                .map(|command| u16::from_le_bytes([command[0], command[1]]))
        };
        if let Some(command) = command {
            notes.number("command", command);
        }
        return Appetite::More;
    }
    // The answer to a negotiation of version 2: its body says the dialect, its 13th byte of flags the command 0.
    if !first && message.get(12..14) == Some(&[0, 0]) {
        let dialect = message
            .get(68..70)
            .map(|dialect| u16::from_le_bytes([dialect[0], dialect[1]]));
        let name = match dialect {
            Some(0x0202) => "2.0.2",
            Some(0x0210) => "2.1",
            Some(0x02ff) => "2.?",
            Some(0x0300) => "3.0",
            Some(0x0302) => "3.0.2",
            Some(0x0311) => "3.1.1",
            _ => return Appetite::More,
        };
        notes.add("dialect", name);
    }
    Appetite::More
}

fn look_netbios(side: Side, data: &[u8], notes: &mut Notes) -> Appetite {
    if side == Side::Source {
        note_netbios_name("called", data.get(5..37), notes);
        note_netbios_name("calling", data.get(39..71), notes);
    }
    Appetite::More
}

/// Notes a name of 16 bytes, each of them in two letters from A on; the last byte says what it names.
fn note_netbios_name(label: &str, letters: Option<&[u8]>, notes: &mut Notes) {
    let name: Vec<u8> = letters
        .unwrap_or_default()
        .chunks_exact(2)
        .map(|pair| pair[0].wrapping_sub(b'A') << 4 | pair[1].wrapping_sub(b'A') & 15)
        .take(15)
        .collect();
    notes.text(label, name.trim_ascii_end());
}

/// A datagram to a name, a group or everybody (RFC 1002, section 4.4): fourteen bytes of head, two names, and a length
/// that fits.
fn is_netbios_datagram(data: &[u8]) -> bool {
    const HEAD: usize = 14;
    let names = [HEAD, HEAD + 34];
    let [0x10..=0x12, _, _, _, _, _, _, _, _, _, high, low, ..] = data else {
        return false;
    };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    let named = |begin: usize| {
        let name = data.get(begin..begin + 34);
        name.is_some_and(|name| {
            name[0] == 32 && name[33] == 0 && name[1..33].iter().all(|letter| matches!(letter, b'A'..=b'P'))
        })
    };
    length + HEAD == data.len() && names.into_iter().all(named)
}

fn look_netbios_datagram(side: Side, data: &[u8], notes: &mut Notes) -> Appetite {
    if side == Side::Source {
        note_netbios_name("calling", data.get(15..47), notes);
        note_netbios_name("called", data.get(49..81), notes);
    }
    Appetite::Enough
}

fn is_dcerpc(opening: &Opening<'_>) -> bool {
    match (opening.over, opening.data) {
        // Version 5.0 or 5.1, a type of message, a representation of data that exists, and the length.
        (Over::Stream, [5, 0 | 1, kind, _, order, 0 | 1, 0, 0, length @ ..]) => {
            let Some(&[a, b]) = length.get(..2) else {
                return false;
            };
            let length = if order & 0x10 != 0 {
                u16::from_le_bytes([a, b])
            } else {
                u16::from_be_bytes([a, b])
            };
            *kind <= 20 && matches!(order, 0 | 0x10) && length >= 16
        }
        (Over::Datagrams, [4, kind, flags, _, order, 0, _, ..]) => {
            // Eighty bytes of head, and in it the length of what follows.
            let fits = opening.data.get(74..76).is_some_and(|length| {
                let length = [length[0], length[1]];
                let length = if order & 0x10 != 0 {
                    u16::from_le_bytes(length)
                } else {
                    u16::from_be_bytes(length)
                };
                opening.data.len() == 80 + usize::from(length)
            });
            let usual = *flags & 0x81 == 0;
            opening.data.len() >= 80 && *kind <= 10 && (usual || fits) && matches!(order, 0 | 0x10)
        }
        _ => false,
    }
}

fn look_dcerpc(side: Side, data: &[u8], notes: &mut Notes) -> Appetite {
    const BIND: u8 = 11;
    if side != Side::Source {
        return Appetite::More;
    }
    if let [4, kind, ..] = data {
        notes.add("version", "4");
        notes.number("type", kind);
        if let Some(interface) = data.get(24..40) {
            notes.add("interface", &uuid(interface, data[4] & 0x10 != 0));
        }
        return Appetite::More;
    }
    if let [major, minor, kind, _, order, ..] = data {
        notes.add("version", &format!("{major}.{minor}"));
        notes.number("type", kind);
        // Sixteen bytes of head, eight of sizes, four of count, four of the context's number.
        if *kind == BIND
            && let Some(interface) = data.get(32..48)
        {
            notes.add("interface", &uuid(interface, order & 0x10 != 0));
        }
    }
    Appetite::More
}

/// An interface's number as it is usually written.
fn uuid(bytes: &[u8], little: bool) -> String {
    let mut bytes = bytes.to_vec();
    if little && bytes.len() == 16 {
        bytes[..4].reverse();
        bytes[4..6].reverse();
        bytes[6..8].reverse();
    }
    let text = hexadecimal(&bytes);
    let part = |range| text.get(range).unwrap_or_default();
    [part(0..8), part(8..12), part(12..16), part(16..20), part(20..32)].join("-")
}

/// A SYN of MS-RDPEUDP (2.2.2.1): nothing received so far, the flag, and zeros up to the length that is tried.
fn is_rdp_over_datagrams(data: &[u8]) -> bool {
    const SYN: u8 = 1;
    let begins = matches!(data, [0xff, 0xff, 0xff, 0xff, _, _, _, flags, ..] if flags & SYN != 0);
    begins && (1_132..=1_232).contains(&data.len()) && data.ends_with(&[0; 64])
}

/// TPKT with an X.224 request for a connection (0xe0), or its confirmation (0xd0).
fn is_rdp(opening: &Opening<'_>) -> bool {
    let [3, 0, high, low, rest, kind, ..] = opening.data else {
        return false;
    };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    let fits = usize::from(*rest) + 5 == length && length <= opening.data.len();
    let asks = *kind == 0xe0 && opening.side == Side::Source;
    let is_cookie = opening.data.get(11..18) == Some(b"Cookie:");
    let negotiates = matches!(
        opening.data.get(length.saturating_sub(8)..),
        Some([1, _, 8, 0, ..])
    );
    fits && asks && (is_cookie || negotiates || opening.destination_port == 3389)
}

fn look_rdp(side: Side, data: &[u8], notes: &mut Notes) -> Appetite {
    match side {
        Side::Source => {
            if let Some(cookie) = data
                .get(11..)
                .and_then(|rest| rest.strip_prefix(b"Cookie: mstshash="))
            {
                let name = cookie.split(|byte| *byte == b'\r').next();
                notes.text("cookie", name.unwrap_or_default());
            }
            if let Some([1, _, 8, 0, wanted, ..]) = data.get(data.len().saturating_sub(8)..) {
                for (bit, name) in [(1, "tls"), (2, "hybrid"), (4, "rdstls"), (8, "hybrid_ex")] {
                    if wanted & bit != 0 {
                        notes.add("requested", name);
                    }
                }
            }
            if !notes.has("cookie") && !notes.has("requested") {
                notes.add("requested", "rdp");
            }
            Appetite::More
        }
        Side::Destination => {
            let Some([kind @ (2 | 3), _, 8, 0, chosen, ..]) = data.get(11..19) else {
                notes.add("chosen", "rdp");
                return Appetite::Enough;
            };
            if *kind == 3 {
                notes.number("failure", chosen);
                return Appetite::Enough;
            }
            let name = match chosen {
                0 => "rdp",
                1 => "tls",
                2 => "hybrid",
                8 => "hybrid_ex",
                _ => "other",
            };
            notes.add("chosen", name);
            if *chosen == 0 {
                return Appetite::Enough;
            }
            Appetite::Becomes {
                application: Some(Application::Tls),
                consumed: data.len(),
            }
        }
    }
}
