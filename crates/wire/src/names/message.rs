//! One message of DNS or its kin: header, questions, three lists of records (RFC 1035, 4).

use atalaya_model::protocol::dns::{Answer, Question, Sections, type_name};

use super::Kin;
use super::name::Name;
use super::netbios;
use super::record::{self, Place};

/// Questions that are kept.
const MOST_QUESTIONS: usize = 16;
/// Records of the first list that are kept.
pub(super) const MOST_ANSWERS: usize = 64;
/// Records of the second and of the third list that are kept.
const MOST_OTHERS: usize = 16;
/// Bytes of the header.
pub(super) const HEADER: usize = 12;
/// Options of EDNS come as a record.
const OPT: u16 = 41;

/// The first twelve bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) id: u16,
    pub(super) flags: u16,
    questions: u16,
    answers: u16,
    authorities: u16,
    additionals: u16,
}

impl Header {
    pub(super) fn read(message: &[u8]) -> Option<Self> {
        let (head, _) = message.split_first_chunk::<HEADER>()?;
        let [i, j, f, g, q, r, a, b, n, o, x, y] = *head;
        Some(Self {
            id: u16::from_be_bytes([i, j]),
            flags: u16::from_be_bytes([f, g]),
            questions: u16::from_be_bytes([q, r]),
            answers: u16::from_be_bytes([a, b]),
            authorities: u16::from_be_bytes([n, o]),
            additionals: u16::from_be_bytes([x, y]),
        })
    }

    pub(super) const fn is_response(self) -> bool {
        self.flags & 0x8000 != 0
    }

    /// The operation code is below 16.
    pub(super) const fn opcode(self) -> u8 {
        (self.flags >> 11 & 15) as u8
    }

    const fn code(self) -> u16 {
        self.flags & 15
    }

    fn records(self) -> usize {
        usize::from(self.answers) + usize::from(self.authorities) + usize::from(self.additionals)
    }

    /// It can be the head of a message that is so long.
    pub(super) fn is_plausible(self, kin: Kin, length: usize) -> bool {
        let operation = match kin {
            Kin::Netbios => matches!(self.opcode(), 0 | 5..=9 | 15),
            _ => matches!(self.opcode(), 0..=2 | 4..=6),
        };
        // A question takes five bytes at least, a record eleven.
        operation && HEADER + 5 * usize::from(self.questions) + 11 * self.records() <= length
    }
}

/// What a message says.
pub(super) struct Body {
    pub(super) questions: Box<[Question]>,
    pub(super) sections: Sections,
    /// With the upper bits of EDNS.
    pub(super) code: u16,
    /// Type of the last record of the first list.
    pub(super) last: u16,
    /// Records that the first list has by its header.
    pub(super) count: u16,
}

/// Reads a message of which `cut` bytes more were not captured; `None` where it is none.
pub(super) fn read(kin: Kin, message: &[u8], cut: usize) -> Option<(Header, Body)> {
    let header = Header::read(message)?;
    if !header.is_plausible(kin, message.len().saturating_add(cut)) {
        return None;
    }
    let mut reader = Reader {
        kin,
        message,
        at: Some(HEADER),
        left_out: 0,
        extended: 0,
        last: 0,
    };
    let questions = reader.questions(header.questions);
    if header.questions > 0 && questions.is_empty() && !header.is_response() {
        return None;
    }
    let first = questions.first();
    let sections = Sections {
        answers: reader.records(header.answers, MOST_ANSWERS, first, true),
        authorities: reader.records(header.authorities, MOST_OTHERS, first, false),
        additionals: reader.records(header.additionals, MOST_OTHERS, first, false),
        left_out: reader.left_out,
    };
    let body = Body {
        code: header.code() | u16::from(reader.extended) << 4,
        last: reader.last,
        count: header.answers,
        questions,
        sections,
    };
    Some((header, body))
}

struct Reader<'a> {
    kin: Kin,
    message: &'a [u8],
    /// Where it reads next; `None` where nothing more can be read.
    at: Option<usize>,
    left_out: u16,
    extended: u8,
    last: u16,
}

impl Reader<'_> {
    fn questions(&mut self, count: u16) -> Box<[Question]> {
        if count == 1 {
            return match self.question() {
                Some(question) => Box::new([question]),
                None => Box::default(),
            };
        }
        let mut questions = Vec::with_capacity(usize::from(count).min(MOST_QUESTIONS));
        for _ in 0..count {
            // What follows the questions must be found, so all are read.
            let Some(question) = self.question() else { break };
            if questions.len() < MOST_QUESTIONS {
                questions.push(question);
            }
        }
        questions.into_boxed_slice()
    }

    fn question(&mut self) -> Option<Question> {
        let name = Name::at(self.message, self.at.take()?)?;
        let [k, l, c, d] = *self.message.get(name.end..)?.first_chunk()?;
        self.at = Some(name.end + 4);
        let (name, as_sent) = if let Some(decoded) = netbios_name(self.kin, name) {
            (decoded, None)
        } else {
            let sent = name.as_sent();
            if sent.bytes().any(|byte| byte.is_ascii_uppercase()) {
                (
                    sent.to_ascii_lowercase().into_boxed_str(),
                    Some(sent.into_boxed_str()),
                )
            } else {
                (sent.into_boxed_str(), None)
            }
        };
        Some(Question {
            name,
            as_sent,
            kind: u16::from_be_bytes([k, l]),
            class: self.kin.class([c, d]),
        })
    }

    fn records(&mut self, count: u16, most: usize, first: Option<&Question>, answers: bool) -> Box<[Answer]> {
        if count == 0 {
            return Box::default();
        }
        let mut records = Vec::with_capacity(usize::from(count).min(most));
        for done in 0..count {
            let Some(record) = self.record(records.len() < most, first) else {
                self.left_out = self.left_out.saturating_add(count - done);
                break;
            };
            match record {
                Record::Options(extended) => self.extended = extended,
                Record::Kept(record) => {
                    if answers {
                        self.last = record.kind;
                    }
                    records.push(record);
                }
                Record::LeftOut(kind) => {
                    if answers {
                        self.last = kind;
                    }
                    self.left_out = self.left_out.saturating_add(1);
                }
            }
        }
        records.into_boxed_slice()
    }

    fn record(&mut self, keep: bool, first: Option<&Question>) -> Option<Record> {
        let start = self.at.take()?;
        let fields = Name::skip(self.message, start)?;
        let [k, l, c, d, t, u, v, w, n, o] = *self.message.get(fields..)?.first_chunk()?;
        let kind = u16::from_be_bytes([k, l]);
        let place = Place {
            message: self.message,
            start: fields + 10,
            end: fields + 10 + usize::from(u16::from_be_bytes([n, o])),
        };
        if place.end > self.message.len() {
            return None;
        }
        self.at = Some(place.end);
        if kind == OPT {
            return Some(Record::Options(t));
        }
        let Some(name) = keep.then(|| self.owner(start, first)).flatten() else {
            return Some(Record::LeftOut(kind));
        };
        let class = self.kin.class([c, d]);
        Some(Record::Kept(Answer {
            name,
            kind,
            class,
            ttl: u32::from_be_bytes([t, u, v, w]),
            data: record::data(self.kin, kind, class, place),
        }))
    }

    fn owner(&self, start: usize, first: Option<&Question>) -> Option<Box<str>> {
        // Nearly every answer points to the question.
        const FIRST_QUESTION: [u8; 2] = [0xc0, 12];
        if let Some(first) = first
            && self.message.get(start..)?.starts_with(&FIRST_QUESTION)
        {
            return Some(first.name.clone());
        }
        let name = Name::at(self.message, start)?;
        Some(netbios_name(self.kin, name).unwrap_or_else(|| name.lower()))
    }
}

enum Record {
    Kept(Answer),
    LeftOut(u16),
    /// The upper bits of the response code.
    Options(u8),
}

fn netbios_name(kin: Kin, name: Name<'_>) -> Option<Box<str>> {
    if kin == Kin::Netbios {
        netbios::decode(name.labels().next()?)
    } else {
        None
    }
}

/// It begins as a message of this kin does: used where nothing else is known.
pub(super) fn is_message(kin: Kin, message: &[u8], usual_port: bool) -> bool {
    let Some(header) = Header::read(message) else {
        return false;
    };
    if !header.is_plausible(kin, message.len()) {
        return false;
    }
    if header.questions == 0 {
        // Where the port says nothing, an answer without question is no sign.
        let is_refusal = header.records() == 0 && header.code() != 0;
        return usual_port && header.is_response() && (is_refusal || has_record(kin, message, HEADER));
    }
    let Some(name) = Name::at(message, HEADER) else {
        return false;
    };
    let Some(&[k, l, c, d]) = message.get(name.end..).and_then(<[u8]>::first_chunk) else {
        return false;
    };
    if !kin.knows_class([c, d]) || (kin == Kin::Netbios && netbios_name(kin, name).is_none()) {
        return false;
    }
    let end = name.end + 4;
    usual_port || {
        let is_plain = header.opcode() == 0 && header.flags & 0x40 == 0 && header.questions == 1;
        let is_known = type_name(u16::from_be_bytes([k, l])).is_some() && end > HEADER + 5;
        let is_direction = header.is_response() || (header.answers == 0 && header.code() == 0);
        let is_end = if header.records() == 0 {
            end == message.len()
        } else {
            has_record(kin, message, end)
        };
        is_plain && is_known && is_direction && is_end
    }
}

/// Whether the beginning of a message of `length` bytes may become one; `None` where more bytes must tell.
pub(super) fn may_become(kin: Kin, beginning: &[u8], length: usize, usual_port: bool) -> Option<bool> {
    let header = Header::read(beginning)?;
    if !header.is_plausible(kin, length) || (header.questions == 0 && !(usual_port && header.is_response())) {
        return Some(false);
    }
    // A long answer over many segments: its question is enough.
    let name = Name::at(beginning, HEADER)?;
    let &[_, _, c, d] = beginning.get(name.end..)?.first_chunk()?;
    (usual_port || !kin.knows_class([c, d])).then(|| kin.knows_class([c, d]))
}

fn has_record(kin: Kin, message: &[u8], start: usize) -> bool {
    let whole = || {
        let fields = Name::skip(message, start)?;
        let &[k, l, c, d, _, _, _, _, n, o] = message.get(fields..)?.first_chunk()?;
        let end = fields + 10 + usize::from(u16::from_be_bytes([n, o]));
        let is_options = u16::from_be_bytes([k, l]) == OPT;
        Some(end <= message.len() && (is_options || kin.knows_class([c, d])))
    };
    whole().unwrap_or(false)
}
