//! DNS over HTTP (RFC 8484), where it can be read: what the body or the query string of a request asks, and what the
//! body of its response answers.

use atalaya_model::Time;
use atalaya_model::protocol::Dns;
use memchr::memchr;

use crate::names::message;

/// Longest body that is read as a DNS message, in bytes: answers are rarely longer, for most go over UDP elsewhere.
pub(super) const LONGEST: usize = 2_048;

/// The media type of DNS messages.
pub(super) fn is_message(media_type: &[u8]) -> bool {
    const NAME: &[u8] = b"application/dns-message";
    let (begin, rest) = media_type.split_at_checked(NAME.len()).unwrap_or_default();
    begin.eq_ignore_ascii_case(NAME) && matches!(rest.first(), None | Some(b';' | b' '))
}

/// The question in a target: `/dns-query?dns=AAABAAABAAAAAAAA...`. Only where it is one question and no more.
pub(super) fn asked(target: &[u8], time: Time) -> Option<Box<Dns>> {
    let query = target.get(memchr(b'?', target)? + 1..)?;
    let mut fields = query.split(|byte| *byte == b'&');
    let coded = fields.find_map(|field| field.strip_prefix(b"dns="))?;
    let dns = message(&decode(coded)?, time)?;
    (dns.asked.is_some() && dns.questions.len() == 1).then(|| Box::new(dns))
}

/// Adds a body to what was asked before it.
pub(super) fn hear(known: &mut Option<Box<Dns>>, body: &[u8], time: Time) {
    let Some(dns) = message(body, time) else { return };
    match known {
        Some(known) if dns.response.is_some() => known.response = dns.response,
        Some(_) => {}
        None => *known = Some(Box::new(dns)),
    }
}

/// Base64 of addresses (RFC 4648, 5), padded or not.
fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let text = text.trim_ascii_end();
    let padding = text.iter().rev().take_while(|byte| **byte == b'=').count();
    let text = &text[..text.len() - padding];
    if text.len() > LONGEST {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4 + 1);
    let (mut held, mut bits) = (0_u32, 0);
    for byte in text {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'-' | b'+' => 62,
            b'_' | b'/' => 63,
            _ => return None,
        };
        held = held << 6 | u32::from(six);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            let [.., byte] = (held >> bits).to_be_bytes();
            bytes.push(byte);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use atalaya_model::{Message, Side};

    use super::*;
    use crate::Conversation;
    use crate::analyser::{Limits, Over, Piece};

    /// `www.example.com`, address, as in RFC 8484, 4.1.1.
    const ASKED: &[u8] = b"/dns-query?dns=AAABAAABAAAAAAAAA3d3dwdleGFtcGxlA2NvbQAAAQAB";

    #[test]
    fn questions_in_targets() {
        let name = |target: &[u8]| asked(target, Time(1)).map(|dns| dns.questions[0].name.to_string());
        assert_eq!(name(ASKED).as_deref(), Some("www.example.com"));
        assert_eq!(
            name(&[ASKED, b"&ct"].concat()).as_deref(),
            Some("www.example.com")
        );
        let second = [b"/?ct&", &ASKED[11..], b"=="].concat();
        assert_eq!(name(&second).as_deref(), Some("www.example.com"));
        assert_eq!(name(&ASKED[..40]), None);
        assert_eq!(name(b"/dns-query?dns=AAAAAAAAAAAAAAAAAAAA"), None);
        assert_eq!(name(b"/?dns=example.com"), None);
        assert_eq!(name(b"/dns-query?name=a"), None);
        assert_eq!(name(b"/dns-query"), None);
    }

    const QUESTION: &[u8] = b"\0\0\x01\0\0\x01\0\0\0\0\0\0\x07example\x03com\0\0\x01\0\x01";
    const ANSWER: &[u8] = b"\0\0\x81\x80\0\x01\0\x01\0\0\0\0\x07example\x03com\0\0\x01\0\x01\
        \xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x07";

    /// Names, addresses and the times of question and answer that a conversation tells.
    fn told(pieces: &[(Side, Vec<u8>)], size: usize) -> Vec<String> {
        let mut conversation = Conversation::new(Over::Stream, 40_000, 80);
        let mut out = Vec::new();
        for (at, (side, data)) in (1..).zip(pieces) {
            for data in data.chunks(size) {
                let piece = Piece {
                    time: Time(at),
                    side: *side,
                    data,
                    cut: 0,
                };
                conversation.read(&piece, &Limits::default(), &mut out);
            }
        }
        conversation.wait(Time(99), true, &mut out);
        let names = out.into_iter().filter_map(|(_, message)| match message {
            Message::Dns(dns) => Some(dns),
            _ => None,
        });
        names
            .map(|dns| {
                let asked = dns.asked.map(|time| time.0);
                let answer = dns.response.as_ref();
                let answer = answer.map(|answer| (answer.time.0, answer.answers.len()));
                format!("{} {asked:?} {answer:?}", dns.questions[0].name)
            })
            .collect()
    }

    fn post(body: &[u8]) -> Vec<u8> {
        let head = "POST /dns-query HTTP/1.1\r\nContent-Type: application/dns-message\r\nContent-Length: ";
        [format!("{head}{}\r\n\r\n", body.len()).as_bytes(), body].concat()
    }

    fn answer(body: &[u8]) -> Vec<u8> {
        let head =
            "HTTP/1.1 200 OK\r\nContent-Type: application/dns-message\r\nTransfer-Encoding: chunked\r\n";
        let chunk = format!("{head}\r\n{:x}\r\n", body.len());
        [chunk.as_bytes(), body, b"\r\n0\r\n\r\n"].concat()
    }

    #[test]
    fn names_over_http_1() {
        let get = [b"GET ", ASKED, b" HTTP/1.1\r\nHost: a\r\n\r\n"].concat();
        let mut long = QUESTION.to_vec();
        long.resize(LONGEST + 1, 0);
        let session = [
            (Side::Source, post(QUESTION)),
            (Side::Destination, answer(ANSWER)),
            (Side::Source, get.clone()),
            (Side::Destination, answer(ANSWER)),
            (Side::Source, post(&long)),
            (Side::Destination, answer(b"no")),
            (Side::Source, get),
        ];
        for size in [1, 10, 9_999] {
            assert_eq!(
                told(&session, size),
                [
                    "example.com Some(1) Some((2, 1))",
                    "www.example.com Some(3) Some((4, 1))",
                    "www.example.com Some(7) None"
                ]
            );
        }
    }

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u8::try_from(payload.len()).unwrap();
        [&[0, 0, length, kind, flags, 0, 0, 0, 1], payload].concat()
    }

    fn field(name: &str, value: &str) -> Vec<u8> {
        let lengths = [name, value].map(|text| u8::try_from(text.len()).unwrap());
        let [name, value] = [name, value].map(str::as_bytes);
        [&[0x40, lengths[0]], name, &[lengths[1]], value].concat()
    }

    #[test]
    fn names_over_http_2() {
        let kind = field("content-type", "application/dns-message");
        let path = field(":path", "/dns-query");
        let session = [
            (Side::Source, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()),
            (
                Side::Source,
                frame(1, 4, &[&b"\x83\x86"[..], &path, &kind].concat()),
            ),
            (Side::Source, frame(0, 1, QUESTION)),
            (Side::Destination, frame(1, 4, &[&b"\x88"[..], &kind].concat())),
            (Side::Destination, frame(0, 0, ANSWER)),
            (Side::Destination, frame(0, 1, b"")),
        ];
        for size in [24, 9_999] {
            assert_eq!(told(&session, size), ["example.com Some(3) Some((6, 1))"]);
        }
    }

    #[test]
    fn media_types() {
        assert!(is_message(b"application/dns-message"));
        assert!(is_message(b"Application/DNS-Message; charset=x"));
        assert!(!is_message(b"application/dns-messages"));
        assert!(!is_message(b"application/dns"));
    }
}
