//! DNS, mDNS, LLMNR and NetBIOS names: over datagrams, and over a stream with lengths between the messages.

use atalaya_model::{Application, Side, Time};

use super::Kin;
use super::message::{self, HEADER};
use super::pairs::Pairs;
use crate::analyser::{Analyser, Appetite, Guess, Opening, Over, Piece, Said};

/// Bytes of a message in a stream that are read; what is longer is read so far.
const LONGEST: usize = 16 << 10;
/// Bytes of the length before each message of a stream.
const PREFIX: usize = 2;

/// The kin of a message by the ports of its conversation: DNS on any port, the others on their own alone.
fn kin(opening: &Opening<'_>) -> (Kin, bool) {
    let ports = [opening.destination_port, opening.source_port];
    let known = [Kin::Dns, Kin::Mdns, Kin::Llmnr, Kin::Netbios];
    let on_port = known.into_iter().find(|kin| ports.contains(&kin.port()));
    on_port.map_or((Kin::Dns, false), |kin| (kin, true))
}

/// Whether what opens a conversation is a message of this kin.
pub(super) fn recognise(wanted: Kin, opening: &Opening<'_>) -> Guess {
    let (kin, is_usual) = kin(opening);
    if kin != wanted {
        return Guess::No;
    }
    let sure = |is_message| if is_message { Guess::Yes } else { Guess::No };
    match opening.over {
        Over::Datagrams => sure(message::is_message(kin, opening.data, is_usual)),
        Over::Stream => {
            let Some((prefix, rest)) = opening.data.split_first_chunk::<PREFIX>() else {
                return Guess::Maybe;
            };
            let length = usize::from(u16::from_be_bytes(*prefix));
            if length <= HEADER {
                Guess::No
            } else if let Some(whole) = rest.get(..length) {
                sure(message::is_message(kin, whole, is_usual))
            } else {
                match message::may_become(kin, rest, length, is_usual) {
                    Some(is_message) => sure(is_message),
                    None => Guess::Maybe,
                }
            }
        }
    }
}

/// Reads datagrams.
pub(super) struct Datagrams(Pairs);

impl Datagrams {
    pub(super) const fn new(kin: Kin) -> Self {
        Self(Pairs::new(kin, Over::Datagrams))
    }
}

impl Analyser for Datagrams {
    fn application(&self) -> Application {
        self.0.kin().application()
    }

    fn read(&mut self, piece: &Piece<'_>, out: &mut Vec<Said>) -> Appetite {
        let cut = usize::try_from(piece.cut).unwrap_or(usize::MAX);
        // What is no message is passed over: the next one may be.
        self.0.read(piece.data, cut, piece.time, out);
        Appetite::More
    }

    fn gap(&mut self, _: Side, _: u64, _: Time, _: &mut Vec<Said>) -> Appetite {
        Appetite::More
    }

    fn wait(&mut self, now: Time, over: bool, out: &mut Vec<Said>) {
        self.0.wait(now, over, out);
    }

    fn is_waiting(&self) -> bool {
        self.0.is_waiting()
    }
    fn is_at_rest(&self) -> bool {
        !self.0.is_waiting()
    }
}

/// Reads both sides of a stream.
pub(super) struct Streams {
    pairs: Pairs,
    source: Lane,
    destination: Lane,
}

/// One side of a stream: where it stands between two messages.
#[derive(Default)]
struct Lane {
    /// The beginning of a message, with its length.
    held: Vec<u8>,
    /// Bytes of a message that are still to come and not wanted.
    unwanted: usize,
    /// Pieces are missing: a message must be looked for.
    is_lost: bool,
}

impl Streams {
    pub(super) fn new(kin: Kin) -> Self {
        Self {
            pairs: Pairs::new(kin, Over::Stream),
            source: Lane::default(),
            destination: Lane::default(),
        }
    }
}

impl Analyser for Streams {
    fn application(&self) -> Application {
        self.pairs.kin().application()
    }

    fn read(&mut self, piece: &Piece<'_>, out: &mut Vec<Said>) -> Appetite {
        let lane = match piece.side {
            Side::Source => &mut self.source,
            Side::Destination => &mut self.destination,
        };
        lane.read(piece.data, piece.time, &mut self.pairs, out);
        Appetite::More
    }

    fn gap(&mut self, side: Side, bytes: u64, time: Time, out: &mut Vec<Said>) -> Appetite {
        let lane = match side {
            Side::Source => &mut self.source,
            Side::Destination => &mut self.destination,
        };
        lane.gap(
            usize::try_from(bytes).unwrap_or(usize::MAX),
            time,
            &mut self.pairs,
            out,
        );
        Appetite::More
    }

    fn wait(&mut self, now: Time, over: bool, out: &mut Vec<Said>) {
        self.pairs.wait(now, over, out);
    }

    fn is_waiting(&self) -> bool {
        self.pairs.is_waiting()
    }
}

/// The length of the message that begins here, without its prefix.
fn announced(data: &[u8]) -> Option<usize> {
    let prefix = data.first_chunk::<PREFIX>()?;
    Some(usize::from(u16::from_be_bytes(*prefix)))
}

impl Lane {
    fn read(&mut self, mut data: &[u8], time: Time, pairs: &mut Pairs, out: &mut Vec<Said>) {
        if self.is_lost {
            // Messages mostly begin with a segment.
            let is_found = announced(data).is_some_and(|length| {
                let message = data.get(PREFIX..).unwrap_or_default();
                let whole = message.get(..length).unwrap_or(message);
                length > HEADER && message::is_message(pairs.kin(), whole, true)
            });
            if !is_found {
                return;
            }
            self.is_lost = false;
        }
        while !data.is_empty() {
            let skipped = self.unwanted.min(data.len());
            self.unwanted -= skipped;
            data = data.get(skipped..).unwrap_or_default();
            data = if self.held.is_empty() {
                self.direct(data, time, pairs, out)
            } else {
                self.complete(data, time, pairs, out)
            };
        }
    }

    /// Reads the message that begins with `data`, if it is whole; says what follows.
    fn direct<'a>(&mut self, data: &'a [u8], time: Time, pairs: &mut Pairs, out: &mut Vec<Said>) -> &'a [u8] {
        if let Some(length) = announced(data)
            && let Some((message, rest)) = data.get(PREFIX..).and_then(|data| data.split_at_checked(length))
        {
            let kept = message.get(..LONGEST).unwrap_or(message);
            if !pairs.read(kept, message.len() - kept.len(), time, out) {
                self.is_lost = true;
                return &[];
            }
            return rest;
        }
        self.complete(data, time, pairs, out)
    }

    /// Adds to a message that has begun as much of `data` as belongs to it.
    fn complete<'a>(
        &mut self,
        data: &'a [u8],
        time: Time,
        pairs: &mut Pairs,
        out: &mut Vec<Said>,
    ) -> &'a [u8] {
        let wanted = match announced(&self.held) {
            None => PREFIX,
            Some(length) => PREFIX + length.min(LONGEST),
        };
        let missing = wanted.saturating_sub(self.held.len());
        let (taken, rest) = data.split_at_checked(missing).unwrap_or((data, &[]));
        self.held.extend_from_slice(taken);
        if self.held.len() == wanted
            && let Some(length) = announced(&self.held)
            && (wanted > PREFIX || length == 0)
        {
            self.finish(length, time, pairs, out);
            if self.is_lost {
                return &[];
            }
        }
        rest
    }

    /// Reads what is held as a message that should have `length` bytes, and leaves out the rest of it.
    fn finish(&mut self, length: usize, time: Time, pairs: &mut Pairs, out: &mut Vec<Said>) {
        let message = self.held.get(PREFIX..).unwrap_or_default();
        self.unwanted = length.saturating_sub(message.len());
        self.is_lost = !pairs.read(message, self.unwanted, time, out);
        self.held.clear();
    }

    fn gap(&mut self, bytes: usize, time: Time, pairs: &mut Pairs, out: &mut Vec<Said>) {
        if let Some(length) = announced(&self.held) {
            self.finish(length, time, pairs, out);
        }
        self.held.clear();
        if bytes <= self.unwanted && self.unwanted > 0 {
            self.unwanted -= bytes;
        } else {
            self.unwanted = 0;
            self.is_lost = true;
        }
    }
}
