//! SIP (RFC 3261), RTSP (RFC 2326) and SSDP (UPnP Device Architecture 1.1): heads like HTTP's, for other ends.
//!
//! A request and its final response are one fact; SSDP's messages are one each. Attributes: `method`, `uri`, `from`,
//! `to`, `call_id`, `user_agent`, `server`, `status`, `reason`, `content_type`; of SSDP `method`, `status`,
//! `search_target`, `notification_type`, `notification`, `name`, `location`, `server`, `user_agent`.

use std::borrow::Cow;

use atalaya_model::protocol::Other;
use atalaya_model::{Application, Message, Side, Time};
use memchr::{memchr, memchr2, memmem};

use super::head::field;
use super::kept;
use crate::analyser::{Analyser, Appetite, Guess, Limits, Opening, Piece, Said};
use crate::lines::Lines;
use crate::text::{number, text, text_as};

/// Most requests that wait for a response.
const PENDING: usize = 16;
/// Longest value of an attribute, in bytes.
const LONGEST: usize = 512;

/// Reads one of the three in one conversation.
pub(super) struct Reader {
    application: Application,
    /// Each piece is a message of its own.
    is_datagrams: bool,
    sides: [Half; 2],
    pending: Vec<Head>,
    is_lost: bool,
}

#[derive(Default)]
struct Half {
    lines: Lines,
    /// The head that is being read.
    head: Option<Head>,
    /// Bytes of a body that are skipped.
    body: u64,
    /// The begin of a frame that RTSP puts between its messages: `$`, channel, length.
    interleaved: Vec<u8>,
}

struct Head {
    time: Time,
    side: Side,
    other: Other,
    /// Of a response.
    status: Option<u16>,
    /// `Call-ID` and `CSeq`: what a response repeats.
    key: [Box<[u8]>; 2],
    length: u64,
    is_silent: bool,
}

impl Reader {
    fn boxed(application: Application, is_datagrams: bool) -> Box<dyn Analyser> {
        Box::new(Self {
            application,
            is_datagrams,
            sides: Default::default(),
            pending: Vec::new(),
            is_lost: false,
        })
    }

    /// A reader of SIP in datagrams.
    pub(super) fn sip(_: &Limits) -> Box<dyn Analyser> {
        Self::boxed(Application::Sip, true)
    }

    /// A reader of SIP in a stream.
    pub(super) fn sip_stream(_: &Limits) -> Box<dyn Analyser> {
        Self::boxed(Application::Sip, false)
    }

    /// A reader of RTSP.
    pub(super) fn rtsp(_: &Limits) -> Box<dyn Analyser> {
        Self::boxed(Application::Rtsp, false)
    }

    /// A reader of SSDP.
    pub(super) fn ssdp(_: &Limits) -> Box<dyn Analyser> {
        Self::boxed(Application::Ssdp, true)
    }

    /// A line of a head; `false` where it is no such protocol.
    fn line(&mut self, line: &[u8], side: Side, time: Time, out: &mut Vec<Said>) -> bool {
        let half = &mut self.sides[usize::from(side == Side::Destination)];
        match &mut half.head {
            None if line.is_empty() => {}
            None => match Head::begin(line, self.application, side, time) {
                Some(head) => half.head = Some(head),
                None => return false,
            },
            Some(_) if line.is_empty() => self.end(side, out),
            Some(head) => {
                if let Some((name, value)) = field(line) {
                    head.field(name, value);
                }
            }
        }
        true
    }

    /// A head has ended.
    fn end(&mut self, side: Side, out: &mut Vec<Said>) {
        let half = &mut self.sides[usize::from(side == Side::Destination)];
        let Some(mut head) = half.head.take() else { return };
        half.body = if self.is_datagrams { 0 } else { head.length };
        if self.application == Application::Ssdp {
            out.push(head.said());
            return;
        }
        let same = self
            .pending
            .iter()
            .position(|request| request.key == head.key && (head.status.is_none()) == (request.side == side));
        match (head.status, same) {
            // Sent again.
            (None, Some(_)) => {}
            (None, None) if head.is_silent => {}
            (None, None) => {
                if self.pending.len() >= PENDING {
                    out.push(self.pending.remove(0).said());
                }
                self.pending.push(head);
            }
            (Some(..200), _) => {}
            (Some(_), Some(place)) => {
                let mut request = self.pending.remove(place);
                for (name, value) in std::mem::take(&mut head.other.attributes) {
                    if request.other.get(&name).is_none() {
                        request.other.attributes.push((name, value));
                    }
                }
                out.push(request.said());
            }
            (Some(_), None) => out.push(head.said()),
        }
    }

    fn tell_all(&mut self, out: &mut Vec<Said>) {
        out.extend(self.pending.drain(..).map(Head::said));
    }
}

impl Head {
    fn begin(line: &[u8], application: Application, side: Side, time: Time) -> Option<Self> {
        let mut head = Self {
            time,
            side,
            other: Other::new(application),
            status: None,
            key: Default::default(),
            length: 0,
            is_silent: false,
        };
        let mut words = line.splitn(3, |byte| *byte == b' ');
        let (first, second, third) = (words.next()?, words.next()?, words.next().unwrap_or_default());
        if is_version(first, application) {
            head.status = Some(u16::try_from(number(second)?).ok()?);
            head.put("status", second);
            head.put("reason", third);
        } else {
            if !is_version(third.trim_ascii(), application) {
                return None;
            }
            head.is_silent = first == b"ACK";
            head.put("method", first);
            if application != Application::Ssdp {
                head.put("uri", &uri(second));
            }
        }
        Some(head)
    }

    /// The first of several is kept.
    fn put(&mut self, name: &'static str, value: &[u8]) {
        if !value.is_empty() && self.other.get(name).is_none() {
            self.other.attributes.push((name.into(), text(value, LONGEST)));
        }
    }

    fn field(&mut self, name: &[u8], value: &[u8]) {
        let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
        if is(b"user-agent") {
            let name = if self.status.is_some() {
                "server"
            } else {
                "user_agent"
            };
            self.put(name, value);
        } else if is(b"server") {
            self.put("server", value);
        } else if is(b"content-type") || is(b"c") {
            self.put("content_type", value);
        } else if is(b"content-length") || is(b"l") {
            self.length = number(value).unwrap_or_default();
        } else if self.other.application == Application::Ssdp {
            let known = [
                (&b"st"[..], "search_target"),
                (b"nt", "notification_type"),
                (b"nts", "notification"),
                (b"usn", "name"),
                (b"location", "location"),
            ];
            if let Some((_, attribute)) = known.iter().find(|(field, _)| is(field)) {
                let value = if *attribute == "location" {
                    kept::address(value, false).0
                } else {
                    text_as(value, LONGEST)
                };
                self.put(attribute, value.as_bytes());
            }
        } else if is(b"cseq") {
            self.key[1] = value[..value.len().min(LONGEST)].into();
        } else if is(b"call-id") || is(b"i") {
            self.key[0] = value[..value.len().min(LONGEST)].into();
            self.put("call_id", value);
        } else if is(b"from") || is(b"f") {
            self.put("from", &uri(party(value)));
        } else if is(b"to") || is(b"t") {
            self.put("to", &uri(party(value)));
        }
    }

    fn said(self) -> Said {
        (self.time, Message::Other(Box::new(self.other)))
    }
}

fn is_version(word: &[u8], application: Application) -> bool {
    match application {
        Application::Sip => word == b"SIP/2.0",
        Application::Rtsp => word == b"RTSP/1.0" || word == b"RTSP/2.0",
        _ => word.starts_with(b"HTTP/1."),
    }
}

/// Name and address without the parameters after them.
fn party(value: &[u8]) -> &[u8] {
    let end = match memchr(b'>', value) {
        Some(at) => at + 1,
        None => memchr(b';', value).unwrap_or(value.len()),
    };
    &value[..end]
}

/// Parameters of a SIP address that are kept (RFC 3261, section 19.1.1): none of them is secret.
const PARAMETERS: [&[u8]; 6] = [b"transport", b"user", b"method", b"ttl", b"maddr", b"lr"];

/// An address without password, query and unknown parameters: `;password=` stands in some.
fn uri(bytes: &[u8]) -> Cow<'_, [u8]> {
    let Some(scheme) =
        memmem::find(bytes, b"sip:").or_else(|| memmem::find(bytes, b"sips:").map(|at| at + 1))
    else {
        return Cow::Owned(kept::address(bytes, false).0.as_bytes().to_vec());
    };
    let (begin, address) = bytes.split_at((scheme + 4).min(bytes.len()));
    let end = memchr2(b'?', b'>', address).unwrap_or(address.len());
    let (address, rest) = address.split_at(end);
    let mut kept = begin.to_vec();
    let host = match memchr(b'@', address) {
        // Where a second one stands, nothing tells the secret from the host.
        Some(at) if memchr(b'@', &address[at + 1..]).is_some() => return Cow::Owned(kept),
        Some(at) => {
            let user = memchr2(b':', b';', &address[..at]).unwrap_or(at);
            kept.extend_from_slice(&address[..user]);
            kept.push(b'@');
            &address[at + 1..]
        }
        None => address,
    };
    let mut parts = host.split(|byte| *byte == b';');
    kept.extend_from_slice(parts.next().unwrap_or_default());
    for part in parts {
        let name = part.split(|byte| *byte == b'=').next().unwrap_or_default();
        if PARAMETERS.iter().any(|known| name.eq_ignore_ascii_case(known)) {
            kept.push(b';');
            kept.extend_from_slice(part);
        }
    }
    if rest.contains(&b'>') {
        kept.push(b'>');
    }
    Cow::Owned(kept)
}

impl Analyser for Reader {
    fn application(&self) -> Application {
        self.application
    }

    fn read(&mut self, piece: &Piece<'_>, out: &mut Vec<Said>) -> Appetite {
        if self.is_lost {
            return Appetite::Enough;
        }
        let place = usize::from(piece.side == Side::Destination);
        if self.is_datagrams {
            self.sides[place] = Half::default();
        }
        let mut rest = piece.data;
        while !rest.is_empty() {
            let half = &mut self.sides[place];
            if half.body > 0 {
                let length = usize::try_from(half.body).unwrap_or(usize::MAX).min(rest.len());
                half.body -= length as u64;
                rest = &rest[length..];
                continue;
            }
            let is_frame =
                self.application == Application::Rtsp && half.head.is_none() && half.lines.is_empty();
            if is_frame && (!half.interleaved.is_empty() || rest[0] == b'$') {
                half.interleaved.push(rest[0]);
                rest = &rest[1..];
                if let [_, _, high, low] = half.interleaved[..] {
                    half.body = u64::from(u16::from_be_bytes([high, low]));
                    half.interleaved.clear();
                }
                continue;
            }
            let Some(line) = half.lines.next(&mut rest) else {
                break;
            };
            if !self.line(line.bytes(), piece.side, piece.time, out) {
                if self.is_datagrams {
                    return Appetite::More;
                }
                self.tell_all(out);
                self.is_lost = true;
                return Appetite::Enough;
            }
            if self.is_datagrams && self.sides[place].head.is_none() {
                return Appetite::More;
            }
        }
        if self.is_datagrams {
            self.end(piece.side, out);
        }
        Appetite::More
    }

    fn gap(&mut self, side: Side, bytes: u64, _: Time, out: &mut Vec<Said>) -> Appetite {
        let half = &mut self.sides[usize::from(side == Side::Destination)];
        if self.is_datagrams || bytes <= half.body {
            half.body = half.body.saturating_sub(bytes);
            return Appetite::More;
        }
        self.tell_all(out);
        self.is_lost = true;
        Appetite::Enough
    }

    fn wait(&mut self, _: Time, over: bool, out: &mut Vec<Said>) {
        if over {
            self.tell_all(out);
        }
    }

    fn is_waiting(&self) -> bool {
        !self.pending.is_empty()
    }
}

/// A first line with this version at one of its ends.
fn recognise(opening: &Opening<'_>, application: Application) -> Guess {
    let data = opening.data;
    let Some(end) = memchr(b'\n', data) else {
        // Names of methods are in capitals.
        let word = data.split(|byte| *byte == b' ').next().unwrap_or_default();
        let is_word = word.len() <= 32
            && word
                .iter()
                .all(|byte| matches!(byte, b'A'..=b'Z' | b'_' | b'/' | b'.' | b'0'..=b'2'));
        let is_begun = data.len() < 1_024 && !word.is_empty() && is_word;
        return if is_begun { Guess::Maybe } else { Guess::No };
    };
    match Head::begin(data[..end].trim_ascii_end(), application, opening.side, Time(0)) {
        Some(_) => Guess::Yes,
        None => Guess::No,
    }
}

/// SIP.
pub(super) fn is_sip(opening: &Opening<'_>) -> Guess {
    recognise(opening, Application::Sip)
}

/// RTSP.
pub(super) fn is_rtsp(opening: &Opening<'_>) -> Guess {
    recognise(opening, Application::Rtsp)
}

/// SSDP: searches and notices, and answers from where it lives.
pub(super) fn is_ssdp(opening: &Opening<'_>) -> Guess {
    let data = opening.data;
    let is_there = opening.source_port == 1900 || opening.destination_port == 1900;
    let is_own = data.starts_with(b"M-SEARCH * HTTP/1.") || data.starts_with(b"NOTIFY * HTTP/1.");
    if is_own || (is_there && data.starts_with(b"HTTP/1.")) {
        Guess::Yes
    } else {
        Guess::No
    }
}

#[cfg(test)]
mod tests;
