//! TLS over a stream: records (RFC 8446 section 5, RFC 5246 section 6) and what is in them.

use atalaya_model::{Application, Side, Time};

use super::handshake::Handshake;
use super::hello::Carrier;
use super::messages::{Messages, fill};
use crate::analyser::{Analyser, Appetite, Limits, Piece, Said};

const CHANGE_CIPHER: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const DATA: u8 = 23;
const HEARTBEAT: u8 = 24;

/// Bytes of a record at most: 2^14 and what encryption may add (RFC 5246 section 6.2.3).
const RECORD: u16 = (16 << 10) + 2048;

/// Reads one TLS connection.
pub(super) struct Reader {
    handshake: Handshake,
    lanes: [Lane; 2],
}

/// What one side sends.
#[derive(Debug, Default)]
struct Lane {
    head: [u8; 5],
    head_filled: u8,
    /// Bytes of the record that are still to come: at most [`RECORD`].
    left: u16,
    /// Its first bytes have come.
    begun: bool,
    messages: Messages,
}

pub(super) fn make(_: &Limits) -> Box<dyn Analyser> {
    Box::new(Reader {
        handshake: Handshake::new(Carrier::Stream),
        lanes: [Lane::default(), Lane::default()],
    })
}

/// A record's head: its kind and length, if it can be one.
pub(super) fn head(bytes: [u8; 5]) -> Option<(u8, u16)> {
    let [kind, major, minor, high, low] = bytes;
    let length = u16::from_be_bytes([high, low]);
    // Minor versions go to 4; drafts and odd clients wrote others.
    let fits = (CHANGE_CIPHER..=HEARTBEAT).contains(&kind) && major == 3 && minor <= 4 && length <= RECORD;
    fits.then_some((kind, length))
}

impl Lane {
    /// Reads on. `None` where no record can begin like this.
    fn read(&mut self, side: Side, mut data: &[u8], time: Time, handshake: &mut Handshake) -> Option<()> {
        while !data.is_empty() && !handshake.is_done() {
            if self.left == 0 {
                data = self.begin(side, data, time, handshake)?;
                continue;
            }
            let (part, rest) = data.split_at(usize::from(self.left).min(data.len()));
            self.left -= u16::try_from(part.len()).unwrap_or(self.left);
            data = rest;
            self.part(side, part, time, handshake);
        }
        Some(())
    }

    /// Reads a record's head.
    fn begin<'a>(
        &mut self,
        side: Side,
        data: &'a [u8],
        time: Time,
        handshake: &mut Handshake,
    ) -> Option<&'a [u8]> {
        let rest = fill(&mut self.head, &mut self.head_filled, data);
        if usize::from(self.head_filled) < self.head.len() {
            return Some(rest);
        }
        self.head_filled = 0;
        let (kind, length) = head(self.head)?;
        self.left = length;
        self.begun = false;
        match kind {
            CHANGE_CIPHER => handshake.change_cipher(side, time),
            DATA => handshake.encrypted(side),
            HANDSHAKE | ALERT if handshake.hides_messages(side) => handshake.encrypted(side),
            _ => {}
        }
        Some(rest)
    }

    /// Reads a part of a record.
    fn part(&mut self, side: Side, part: &[u8], time: Time, handshake: &mut Handshake) {
        let begins = !std::mem::replace(&mut self.begun, true);
        if handshake.hides_messages(side) {
            return;
        }
        match self.head[0] {
            HANDSHAKE => self.messages.push(part, &mut |kind, body| {
                handshake.message(side, kind, body, time);
            }),
            ALERT if begins => {
                if let &[level @ (1 | 2), description] = part {
                    handshake.alert(side, level, description, time);
                }
            }
            _ => {}
        }
    }

    /// So many bytes will not come. False where it is not known what follows them.
    fn lose(&mut self, side: Side, bytes: u64, time: Time, handshake: &mut Handshake) -> bool {
        let Some(left) = u16::try_from(bytes)
            .ok()
            .and_then(|bytes| self.left.checked_sub(bytes))
        else {
            return false;
        };
        if self.head_filled > 0 {
            return false;
        }
        self.left = left;
        if self.head[0] != HANDSHAKE || handshake.hides_messages(side) {
            return true;
        }
        self.messages
            .lose(u32::try_from(bytes).unwrap_or(u32::MAX), &mut |kind, body| {
                handshake.message(side, kind, body, time);
            })
    }
}

impl Reader {
    const fn lane(&mut self, side: Side) -> &mut Lane {
        let [source, destination] = &mut self.lanes;
        match side {
            Side::Source => source,
            Side::Destination => destination,
        }
    }

    fn appetite(&mut self, out: &mut Vec<Said>) -> Appetite {
        if self.handshake.is_done() {
            self.handshake.tell(out);
            return Appetite::Enough;
        }
        Appetite::More
    }
}

impl Analyser for Reader {
    fn application(&self) -> Application {
        Application::Tls
    }

    fn read(&mut self, piece: &Piece<'_>, out: &mut Vec<Said>) -> Appetite {
        let Piece { side, data, time, .. } = *piece;
        if self.handshake.is_empty()
            && let Some(hello) = old_hello(data)
        {
            self.handshake.old_hello(side, hello.1, time);
            let left = hello.0.saturating_sub(data.len());
            self.lane(side).left = u16::try_from(left).unwrap_or_default();
            return self.appetite(out);
        }
        let Self { handshake, lanes } = self;
        let [source, destination] = lanes;
        let lane = match side {
            Side::Source => source,
            Side::Destination => destination,
        };
        if lane.read(side, data, time, handshake).is_none() {
            if self.handshake.is_empty() {
                return Appetite::NotMine;
            }
            self.handshake.give_up();
        }
        self.appetite(out)
    }

    fn gap(&mut self, side: Side, bytes: u64, time: Time, out: &mut Vec<Said>) -> Appetite {
        let Self { handshake, lanes } = self;
        let [source, destination] = lanes;
        let lane = match side {
            Side::Source => source,
            Side::Destination => destination,
        };
        if !lane.lose(side, bytes, time, handshake) {
            self.handshake.give_up();
        }
        self.appetite(out)
    }

    fn wait(&mut self, now: Time, over: bool, out: &mut Vec<Said>) {
        self.handshake.wait(now, over, out);
    }

    fn is_waiting(&self) -> bool {
        self.handshake.is_pending()
    }
}

/// A hello as SSL 2 began: the length of it all, and what follows the two bytes of its head.
pub(super) fn old_hello(data: &[u8]) -> Option<(usize, &[u8])> {
    let (&[high, low], body) = data.split_first_chunk()?;
    let length = usize::from(high & 0x7f) << 8 | usize::from(low);
    let fits = high & 0x80 != 0 && (28..=2048).contains(&length);
    (fits && super::hello::old_client(body).is_some()).then_some((length + 2, body))
}
