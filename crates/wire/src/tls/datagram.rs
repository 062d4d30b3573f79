//! DTLS (RFC 6347, RFC 9147): records in datagrams, messages in fragments that may come in any order and twice.

use atalaya_model::{Application, Side, Time};

use super::cursor::Cursor;
use super::handshake::Handshake;
use super::hello::Carrier;
use super::messages::is_wanted;
use super::pieces::Pieces;
use crate::analyser::{Analyser, Appetite, Guess, Limits, Opening, Piece, Said};

const CHANGE_CIPHER: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const CONNECTION_ID: u8 = 25;

/// Bytes of one message.
const MESSAGE: usize = 32 << 10;
/// Messages of one side that are put together at the same time.
const MESSAGES: usize = 4;

/// Reads one DTLS conversation.
struct Reader {
    handshake: Handshake,
    lanes: [Lane; 2],
}

/// What one side sends.
#[derive(Debug, Default)]
struct Lane {
    /// Messages that have come in part.
    parts: Vec<Part>,
    /// Which of the first 64 messages have come: they are repeated when an answer is late.
    seen: u64,
    changed: bool,
}

#[derive(Debug)]
struct Part {
    number: u16,
    pieces: Pieces,
}

pub(super) fn make(_: &Limits) -> Box<dyn Analyser> {
    Box::new(Reader {
        handshake: Handshake::new(Carrier::Datagrams),
        lanes: [Lane::default(), Lane::default()],
    })
}

/// A record in the clear, or at least its head.
struct Record<'a> {
    kind: u8,
    epoch: u16,
    content: &'a [u8],
}

fn record<'a>(at: &mut Cursor<'a>) -> Option<Record<'a>> {
    let (kind, version, epoch) = (at.u8()?, at.u16()?, at.u16()?);
    at.take(6)?; // sequence number
    let fits = (CHANGE_CIPHER..=CONNECTION_ID).contains(&kind) && matches!(version, 0xfeff | 0xfefd | 0xfefc);
    let content = at.long().filter(|_| fits)?;
    Some(Record { kind, epoch, content })
}

/// A fragment of a handshake message.
struct Fragment<'a> {
    kind: u8,
    length: usize,
    number: u16,
    offset: usize,
    data: &'a [u8],
}

fn fragment<'a>(at: &mut Cursor<'a>) -> Option<Fragment<'a>> {
    let (kind, length, number, offset) = (at.u8()?, at.u24()?, at.u16()?, at.u24()?);
    let data = at.longer()?;
    (offset + data.len() <= length).then_some(Fragment {
        kind,
        length,
        number,
        offset,
        data,
    })
}

impl Lane {
    fn fragment(&mut self, side: Side, fragment: &Fragment<'_>, time: Time, handshake: &mut Handshake) {
        let Fragment {
            kind,
            length,
            number,
            offset,
            data,
        } = *fragment;
        let Some(bit) = 1_u64
            .checked_shl(number.into())
            .filter(|bit| self.seen & bit == 0)
        else {
            return;
        };
        if !is_wanted(kind) || length > MESSAGE || data.len() == length {
            self.seen |= bit;
            let body = Some(data).filter(|data| is_wanted(kind) && data.len() == length);
            handshake.message(side, kind, body, time);
            return;
        }
        let known = self.parts.iter().position(|part| part.number == number);
        let index = match known {
            Some(index) => index,
            None if self.parts.len() < MESSAGES => {
                self.parts.push(Part {
                    number,
                    pieces: Pieces::default(),
                });
                self.parts.len() - 1
            }
            None => return,
        };
        let Some(part) = self.parts.get_mut(index) else {
            return;
        };
        part.pieces.add(offset, data, length);
        if part.pieces.whole().len() >= length {
            self.seen |= bit;
            let part = self.parts.swap_remove(index);
            handshake.message(side, kind, part.pieces.whole().get(..length), time);
        }
    }

    fn read(&mut self, side: Side, data: &[u8], time: Time, handshake: &mut Handshake) -> Option<()> {
        let mut at = Cursor(data);
        while !at.is_empty() && !handshake.is_done() {
            if at.0.first().is_some_and(|first| first >> 5 == 1) {
                handshake.encrypted(side); // the short head of DTLS 1.3
                return Some(());
            }
            let record = record(&mut at)?;
            if record.epoch > 0 || record.kind == CONNECTION_ID {
                handshake.encrypted(side);
                continue;
            }
            match record.kind {
                HANDSHAKE => {
                    let mut messages = Cursor(record.content);
                    while let Some(fragment) = fragment(&mut messages) {
                        self.fragment(side, &fragment, time, handshake);
                    }
                }
                CHANGE_CIPHER if !std::mem::replace(&mut self.changed, true) => {
                    handshake.change_cipher(side, time);
                }
                ALERT => {
                    if let &[level @ (1 | 2), description] = record.content {
                        handshake.alert(side, level, description, time);
                    }
                }
                _ => {}
            }
        }
        Some(())
    }
}

impl Analyser for Reader {
    fn application(&self) -> Application {
        Application::Dtls
    }

    fn read(&mut self, piece: &Piece<'_>, out: &mut Vec<Said>) -> Appetite {
        let Self { handshake, lanes } = self;
        let [source, destination] = lanes;
        let lane = match piece.side {
            Side::Source => source,
            Side::Destination => destination,
        };
        // Other protocols (STUN, RTP) share the conversation (RFC 7983): what is no record is passed over.
        let read = lane.read(piece.side, piece.data, piece.time, handshake);
        if read.is_none() && handshake.is_empty() && piece.cut == 0 {
            return Appetite::NotMine;
        }
        if handshake.is_done() {
            handshake.tell(out);
            return Appetite::Enough;
        }
        Appetite::More
    }

    fn wait(&mut self, now: Time, over: bool, out: &mut Vec<Said>) {
        self.handshake.wait(now, over, out);
    }

    fn is_waiting(&self) -> bool {
        self.handshake.is_pending()
    }
}

/// A record with a hello; or any other records that fill the datagram.
pub(super) fn recognise(opening: &Opening<'_>) -> Guess {
    let mut at = Cursor(opening.data);
    let [CHANGE_CIPHER..=CONNECTION_ID, 0xfe, 0xfc..=0xff, ..] = opening.data else {
        return Guess::No;
    };
    let Some(record) = record(&mut at) else {
        return Guess::No;
    };
    let fits = if record.kind == HANDSHAKE && record.epoch == 0 {
        fragment(&mut Cursor(record.content)).is_some_and(|fragment| matches!(fragment.kind, 1..=3 | 11..=20))
    } else {
        !record.content.is_empty() && (at.is_empty() || self::record(&mut at).is_some())
    };
    if fits { Guess::Yes } else { Guess::No }
}
