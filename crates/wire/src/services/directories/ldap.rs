//! LDAP: who introduces itself and what is sought; after StartTLS the conversation becomes TLS. Passwords, filters
//! and what is found are never kept.
//!
//! Names: `version`, `bind` (the name), `authentication` (`simple`, or SASL's mechanism), `result` (number of the
//! answer to it), `search` (the base, each, at most 8), `found` (number of the answer to a search).

use atalaya_model::{Application, Message, Side, Time};

use crate::analyser::{Analyser, Appetite, Opening, Over, Piece, Said};
use crate::names::attributes::Attributes;
use crate::names::ber::{Ber, INTEGER, OCTETS, SEQUENCE};
use crate::text::text;

/// Bytes of one message over a stream that are kept until it is whole; longer ones hold what is found.
const MESSAGE: usize = 8 << 10;
/// Messages that are read.
const MOST: u8 = 64;
const SEARCHES: u8 = 8;

const STARTTLS: &[u8] = b"1.3.6.1.4.1.1466.20037";

/// The head of a message: where it begins and how long it is, as far as it has come.
fn head(data: &[u8]) -> Option<(usize, usize)> {
    let (&first, rest) = data.strip_prefix(&[SEQUENCE])?.split_first()?;
    let count = match first {
        0..=0x7f => return Some((2, first.into())),
        0x81..=0x84 => usize::from(first & 0x7f),
        _ => return None,
    };
    let bytes = rest.get(..count)?;
    let length = bytes
        .iter()
        .fold(0, |length, byte| length << 8 | usize::from(*byte));
    Some((2 + count, length))
}

/// A message with a number and an operation that this side may send.
pub(super) fn is_ldap(opening: &Opening<'_>) -> bool {
    let Some((begin, length)) = head(opening.data) else {
        return false;
    };
    let whole = opening.data.len() >= begin + length;
    if !(5..=1 << 20).contains(&length) || (opening.over == Over::Datagrams && !whole) {
        return false;
    }
    let Some([INTEGER, size @ 1..=4, rest @ ..]) = opening.data.get(begin..) else {
        return false;
    };
    let Some(&[operation, ..]) = rest.get(usize::from(*size)..) else {
        return false;
    };
    match opening.side {
        // Bind, unbind, search, modify, abandon, extended.
        Side::Source => matches!(operation, 0x60 | 0x42 | 0x63 | 0x66 | 0x50 | 0x77),
        Side::Destination => matches!(operation, 0x61 | 0x64 | 0x65 | 0x73 | 0x78),
    }
}

/// Reads one conversation.
pub(super) struct Ldap {
    facts: Option<Attributes>,
    began: Time,
    parts: [Vec<u8>; 2],
    read: u8,
    searches: u8,
    wants_tls: bool,
}

/// What a message changes.
enum Step {
    Next,
    Tell,
    Tls,
}

impl Ldap {
    pub(super) const fn new() -> Self {
        Self {
            facts: None,
            began: Time(0),
            parts: [Vec::new(), Vec::new()],
            read: 0,
            searches: 0,
            wants_tls: false,
        }
    }

    fn tell(&mut self, out: &mut Vec<Said>) {
        if let Some(facts) = self.facts.take() {
            let other = facts.done();
            if !other.attributes.is_empty() {
                out.push((self.began, Message::Other(Box::new(other))));
            }
        }
    }

    fn message(&mut self, data: &[u8], time: Time) -> Option<Step> {
        let mut message = Ber::new(data).inside(SEQUENCE)?;
        message.integer()?;
        let (operation, content) = message.any()?;
        let mut content = Ber::new(content);
        if self.facts.is_none() {
            self.began = time;
        }
        let facts = self
            .facts
            .get_or_insert_with(|| Attributes::new(Application::Ldap));
        match operation {
            0x60 => {
                facts.show("version", content.integer()?);
                facts.text("bind", &text(content.tagged(OCTETS)?, 256));
                match content.any()? {
                    (0x80, _) => facts.text("authentication", "simple"),
                    (0xa3, mechanism) => {
                        facts.text("authentication", &text(Ber::new(mechanism).tagged(OCTETS)?, 64));
                    }
                    // Windows' own ways (0x89 to 0x8b).
                    _ => facts.text("authentication", "ntlm"),
                }
            }
            0x61 => {
                let result = content.tagged(0x0a)?.first()?;
                facts.show("result", result);
                // 14: more steps follow.
                if *result != 0 && *result != 14 {
                    return Some(Step::Tell);
                }
            }
            0x63 if self.searches < SEARCHES => {
                self.searches += 1;
                facts.text("search", &text(content.tagged(OCTETS)?, 256));
            }
            0x65 => {
                facts.show("found", content.tagged(0x0a)?.first()?);
                return Some(Step::Tell);
            }
            0x77 => self.wants_tls = content.tagged(0x80)? == STARTTLS,
            0x78 if self.wants_tls => {
                self.wants_tls = false;
                if content.tagged(0x0a)? == [0] {
                    facts.text("starttls", "true");
                    return Some(Step::Tls);
                }
            }
            _ => {}
        }
        Some(Step::Next)
    }
}

impl Analyser for Ldap {
    fn application(&self) -> Application {
        Application::Ldap
    }

    fn read(&mut self, piece: &Piece<'_>, out: &mut Vec<Said>) -> Appetite {
        let mut bytes = std::mem::take(&mut self.parts[piece.side as usize]);
        let before = bytes.len();
        bytes.extend_from_slice(piece.data);
        let mut place = 0;
        while let Some((begin, length)) = bytes.get(place..).and_then(head) {
            let end = place + begin + length;
            let Some(message) = bytes.get(place..end) else {
                break;
            };
            place = end;
            self.read += 1;
            match self.message(message, piece.time) {
                Some(Step::Tls) => {
                    self.tell(out);
                    return Appetite::Becomes {
                        application: Some(Application::Tls),
                        consumed: end.saturating_sub(before),
                    };
                }
                Some(Step::Tell) => self.tell(out),
                Some(Step::Next) | None => {}
            }
            if self.read >= MOST {
                self.tell(out);
                return Appetite::Enough;
            }
        }
        let rest = bytes.get(place..).unwrap_or_default();
        // What is sealed, or too long: nothing more is in the clear.
        let is_other = !rest.is_empty() && rest[0] != SEQUENCE;
        if is_other || rest.len() > MESSAGE {
            self.tell(out);
            return Appetite::Enough;
        }
        bytes.drain(..place);
        self.parts[piece.side as usize] = bytes;
        Appetite::More
    }

    fn gap(&mut self, _: Side, _: u64, _: Time, out: &mut Vec<Said>) -> Appetite {
        self.tell(out);
        Appetite::Enough
    }

    fn wait(&mut self, _: Time, over: bool, out: &mut Vec<Said>) {
        if over {
            self.tell(out);
        }
    }
}
