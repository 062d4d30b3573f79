//! Kerberos 5: one fact for each request with its answer. Tickets and what is encrypted are never looked at.
//!
//! Names: `request` (`as`, `tgs`), `response` (`as`, `tgs`, `error`), `error` (its number), `realm`, `client`,
//! `service`.

use atalaya_model::protocol::Other;
use atalaya_model::{Application, Message, Side, Time};

use crate::analyser::{Analyser, Appetite, Opening, Over, Piece, Said};
use crate::names::attributes::Attributes;
use crate::names::ber::{Ber, INTEGER, SEQUENCE};

/// Bytes of one message over a stream: tickets may be long.
const MESSAGE: usize = 16 << 10;
/// Exchanges of one conversation that are told.
const MOST: u8 = 32;

const AS_REQUEST: u8 = 0x6a;
const AS_REPLY: u8 = 0x6b;
const TGS_REQUEST: u8 = 0x6c;
const TGS_REPLY: u8 = 0x6d;
const ERROR: u8 = 0x7e;
const KINDS: [u8; 5] = [AS_REQUEST, AS_REPLY, TGS_REQUEST, TGS_REPLY, ERROR];

/// The kind, then a sequence that begins with version 5, with or without a length before it all.
pub(super) fn is_kerberos(opening: &Opening<'_>) -> bool {
    let data = match (opening.over, opening.data) {
        (Over::Datagrams, data) => data,
        (Over::Stream, [0, 0, high, low, rest @ ..]) => {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            if length < 20 {
                return false;
            }
            rest
        }
        (Over::Stream, _) => return false,
    };
    let Some((kind, rest)) = data.split_first() else {
        return false;
    };
    let inside = after_length(rest).and_then(|rest| rest.strip_prefix(&[SEQUENCE]));
    let begins = inside.and_then(after_length).unwrap_or_default();
    KINDS.contains(kind) && matches!(begins, [0xa0 | 0xa1, 3, INTEGER, 1, 5, ..])
}

fn after_length(data: &[u8]) -> Option<&[u8]> {
    let (first, rest) = data.split_first()?;
    match first {
        0..=0x7f => Some(rest),
        0x81..=0x84 => rest.get(usize::from(first & 0x7f)..),
        _ => None,
    }
}

/// Reads one conversation.
#[derive(Default)]
pub(super) struct Kerberos {
    asked: Option<(Time, Words)>,
    /// What has come of a message over a stream.
    parts: [Vec<u8>; 2],
    told: u8,
    over: Option<Over>,
}

/// What a message says.
#[derive(Default)]
struct Words {
    kind: u8,
    realm: Option<Box<str>>,
    client: Option<Box<str>>,
    service: Option<Box<str>>,
    error: Option<i64>,
}

impl Kerberos {
    fn message(&mut self, side: Side, data: &[u8], time: Time, out: &mut Vec<Said>) {
        let Some(words) = words(data) else {
            return;
        };
        match side {
            Side::Source => {
                self.unanswered(out);
                self.asked = Some((time, words));
            }
            Side::Destination => {
                let (began, asked) = self.asked.take().unwrap_or_default();
                let began = if asked.kind == 0 { time } else { began };
                self.tell(began, asked, Some(words), out);
            }
        }
    }

    fn unanswered(&mut self, out: &mut Vec<Said>) {
        if let Some((time, asked)) = self.asked.take() {
            self.tell(time, asked, None, out);
        }
    }

    fn tell(&mut self, time: Time, asked: Words, answer: Option<Words>, out: &mut Vec<Said>) {
        let mut facts = Attributes::new(Application::Kerberos);
        if let Some(name) = name(asked.kind) {
            facts.text("request", name);
        }
        let answer = answer.unwrap_or_default();
        if let Some(name) = name(answer.kind) {
            facts.text("response", name);
        }
        facts.maybe("realm", asked.realm.or(answer.realm));
        facts.maybe("client", asked.client.or(answer.client));
        facts.maybe("service", asked.service.or(answer.service));
        if let Some(error) = answer.error {
            facts.show("error", error);
        }
        let other: Other = facts.done();
        out.push((time, Message::Other(Box::new(other))));
        self.told = self.told.saturating_add(1);
    }
}

impl Analyser for Kerberos {
    fn application(&self) -> Application {
        Application::Kerberos
    }

    fn read(&mut self, piece: &Piece<'_>, out: &mut Vec<Said>) -> Appetite {
        // Over a stream the length stands first, and it is short.
        let over = *self.over.get_or_insert(match piece.data {
            [0, ..] => Over::Stream,
            _ => Over::Datagrams,
        });
        if over == Over::Datagrams {
            self.message(piece.side, piece.data, piece.time, out);
        } else {
            let part = &mut self.parts[piece.side as usize];
            part.extend_from_slice(piece.data);
            let mut bytes = std::mem::take(part);
            let mut rest = &bytes[..];
            while let Some((head, after)) = rest.split_first_chunk() {
                let length = u32::from_be_bytes(*head) as usize;
                if length > MESSAGE {
                    self.unanswered(out);
                    return Appetite::Enough;
                }
                let Some(message) = after.get(..length) else {
                    break;
                };
                self.message(piece.side, message, piece.time, out);
                rest = after.get(length..).unwrap_or_default();
            }
            let read = bytes.len() - rest.len();
            bytes.drain(..read);
            self.parts[piece.side as usize] = bytes;
        }
        if self.told >= MOST {
            return Appetite::Enough;
        }
        Appetite::More
    }

    fn gap(&mut self, _: Side, _: u64, _: Time, out: &mut Vec<Said>) -> Appetite {
        self.unanswered(out);
        Appetite::Enough
    }

    fn wait(&mut self, now: Time, over: bool, out: &mut Vec<Said>) {
        const PATIENCE: i64 = 30_000_000_000;
        if over
            || self
                .asked
                .as_ref()
                .is_some_and(|(time, _)| now.since(*time).0 > PATIENCE)
        {
            self.unanswered(out);
        }
    }

    fn is_waiting(&self) -> bool {
        self.asked.is_some()
    }
}

const fn name(kind: u8) -> Option<&'static str> {
    Some(match kind {
        AS_REQUEST | AS_REPLY => "as",
        TGS_REQUEST | TGS_REPLY => "tgs",
        ERROR => "error",
        _ => return None,
    })
}

/// What stands in the clear.
fn words(data: &[u8]) -> Option<Words> {
    let (kind, content) = Ber::new(data).any()?;
    KINDS.contains(&kind).then_some(())?;
    let mut words = Words {
        kind,
        ..Words::default()
    };
    let mut fields = Ber::new(content).inside(SEQUENCE)?;
    while let Some((tag, value)) = fields.any() {
        match (kind, tag) {
            (AS_REQUEST | TGS_REQUEST, 0xa4) => {
                let mut body = Ber::new(value).inside(SEQUENCE)?;
                while let Some((tag, value)) = body.any() {
                    match tag {
                        0xa1 => words.client = principal(value),
                        0xa2 => words.realm = text(value),
                        0xa3 => words.service = principal(value),
                        _ => {}
                    }
                }
            }
            (AS_REPLY | TGS_REPLY, 0xa3) => words.realm = text(value),
            (AS_REPLY | TGS_REPLY, 0xa4) => words.client = principal(value),
            (AS_REPLY | TGS_REPLY, 0xa5) => {
                // Of the ticket only for whom it is: its third field.
                let ticket = Ber::new(value)
                    .inside(0x61)
                    .and_then(|mut it| it.inside(SEQUENCE));
                let mut ticket = ticket?;
                while let Some((tag, value)) = ticket.any() {
                    if tag == 0xa2 {
                        words.service = principal(value);
                        break;
                    }
                }
            }
            (ERROR, 0xa6) => words.error = Ber::new(value).integer(),
            (ERROR, 0xa8) => words.client = principal(value),
            (ERROR, 0xa9) => words.realm = text(value),
            (ERROR, 0xaa) => words.service = principal(value),
            _ => {}
        }
    }
    Some(words)
}

/// The content of a string of whatever kind.
fn text(value: &[u8]) -> Option<Box<str>> {
    let (_, text) = Ber::new(value).any()?;
    Some(crate::text::text(text, 256))
}

/// A name of several parts: `krbtgt/EXAMPLE.COM`.
fn principal(value: &[u8]) -> Option<Box<str>> {
    let mut name = Ber::new(value).inside(SEQUENCE)?;
    name.any()?;
    let mut parts = Ber::new(name.tagged(0xa1)?).inside(SEQUENCE)?;
    let mut whole = String::new();
    for place in 0..8 {
        let Some((_, part)) = parts.any() else {
            break;
        };
        if place > 0 {
            whole.push('/');
        }
        whole.push_str(&crate::text::text(part, 256));
    }
    (!whole.is_empty()).then(|| whole.into_boxed_str())
}
