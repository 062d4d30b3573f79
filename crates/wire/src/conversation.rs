//! One conversation's payload: finds out what is spoken, and lets its reader read.

use atalaya_model::{Application, Basis, Message, Side, Time};

use crate::analyser::{Analyser, Appetite, Limits, Opening, Over, Piece, Said};
use crate::protocols;
use crate::services::tor;

/// Pieces in which nobody knows a protocol, after which nobody is asked again.
const MOST_DATAGRAMS: u8 = 6;
const MOST_SEGMENTS: u8 = 128;
/// Changes of the protocol in one conversation: an upgrade, a tunnel, a mistake.
const MOST_CHANGES: u8 = 8;
/// First bytes of an unknown datagram that are kept to compare the next one with.
const HEAD: usize = 15;

/// Reads one conversation, given its payload in order.
pub struct Conversation {
    over: Over,
    source_port: u16,
    destination_port: u16,
    /// Pieces that nobody knew.
    unknown: u8,
    changes: u8,
    /// Who said that it is not theirs.
    refused: Option<Application>,
    /// A name more exact than the reader's, by what it told.
    exact: Option<Application>,
    state: State,
    /// What it began with, where it became another: `STARTTLS`, `CONNECT`.
    first: Option<Application>,
}

enum State {
    /// Nobody knows yet what it is, and nothing was said, or datagrams of which the last heads are kept.
    Datagrams([Head; 2]),
    /// Nobody knows yet what it is: the first bytes of each side.
    Opening(Box<[Words; 2]>),
    Read(Box<dyn Analyser>),
    /// Known or unknown: nothing more is read.
    Done(Option<Application>),
}

impl State {
    const NEW: Self = Self::Datagrams([Head::NONE; 2]);
}

/// The first bytes of a datagram.
#[derive(Clone, Copy)]
struct Head {
    length: u8,
    bytes: [u8; HEAD],
}

impl Head {
    const NONE: Self = Self {
        length: 0,
        bytes: [0; HEAD],
    };

    fn new(data: &[u8]) -> Self {
        let mut head = Self::NONE;
        for (place, byte) in head.bytes.iter_mut().zip(data) {
            *place = *byte;
            head.length += 1;
        }
        head
    }

    fn get(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }
}

/// What a side of a stream said first.
#[derive(Default)]
struct Words {
    /// When it began.
    time: Time,
    data: Vec<u8>,
}

impl Conversation {
    /// A conversation of which nothing was said yet.
    pub const fn new(over: Over, source_port: u16, destination_port: u16) -> Self {
        Self {
            over,
            source_port,
            destination_port,
            unknown: 0,
            changes: 0,
            refused: None,
            exact: None,
            state: State::NEW,
            first: None,
        }
    }

    /// A conversation in which this protocol was spoken until it was at rest, see [`Conversation::is_at_rest`].
    pub fn resume(
        over: Over,
        source_port: u16,
        destination_port: u16,
        application: Application,
        limits: &Limits,
    ) -> Self {
        let speaker = protocols::speaker(application, over);
        let mut conversation = Self::new(over, source_port, destination_port);
        conversation.state = match speaker.and_then(|speaker| speaker.analyser) {
            Some(make) => State::Read(make(limits)),
            None => State::Done(Some(application)),
        };
        conversation
    }

    /// What is spoken (where it changes: first): by its content where that is known, else a guess by the port.
    pub fn application(&self) -> Option<(Application, Basis)> {
        let known = match &self.state {
            State::Read(analyser) => Some(analyser.application()),
            State::Done(application) => *application,
            State::Datagrams(_) | State::Opening(_) => None,
        };
        self.first
            .or(self.exact)
            .or(known)
            .map(|known| (known, Basis::Content))
            .or_else(|| {
                let guess = protocols::by_port(self.over, self.source_port, self.destination_port)?;
                Some((guess, Basis::Port))
            })
    }

    /// Further payload can still say something.
    pub const fn is_hungry(&self) -> bool {
        !matches!(self.state, State::Done(_))
    }

    /// Reads the next piece.
    pub fn read(&mut self, piece: &Piece<'_>, limits: &Limits, out: &mut Vec<Said>) {
        if piece.data.is_empty() {
            return;
        }
        match (&self.state, self.over) {
            (State::Read(_), _) => self.feed(piece, limits, out),
            (State::Done(_), _) => {}
            (_, Over::Stream) => self.open(piece, limits, out),
            (_, Over::Datagrams) => self.open_datagram(piece, limits, out),
        }
    }

    fn feed(&mut self, piece: &Piece<'_>, limits: &Limits, out: &mut Vec<Said>) {
        let State::Read(analyser) = &mut self.state else {
            return;
        };
        let before = out.len();
        let appetite = analyser.read(piece, out);
        self.notice(before, out);
        self.settle(appetite, Some(piece), limits, out);
    }

    /// What was told may say more than who told it.
    fn notice(&mut self, before: usize, out: &mut Vec<Said>) {
        if let Some((time, Message::Tls(tls))) = out.get(before)
            && let Some(sign) = tor::notice(tls)
        {
            let time = *time;
            self.exact = Some(Application::Tor);
            out.push((time, Message::Other(Box::new(sign))));
        }
    }

    fn settle(
        &mut self,
        appetite: Appetite,
        piece: Option<&Piece<'_>>,
        limits: &Limits,
        out: &mut Vec<Said>,
    ) {
        let State::Read(analyser) = &self.state else {
            return;
        };
        match appetite {
            Appetite::More => {}
            Appetite::Enough if analyser.is_waiting() => {}
            Appetite::Enough => self.state = State::Done(Some(analyser.application())),
            Appetite::NotMine => {
                self.refused = Some(analyser.application());
                self.change(None);
            }
            Appetite::Becomes {
                application,
                consumed,
            } => {
                // Another version of the same is no other protocol.
                if application != Some(Application::Http2) {
                    self.first.get_or_insert(analyser.application());
                }
                // All of a piece may be the new protocol's, if only it is another one.
                let moves = consumed > 0 || application.is_some_and(|name| name != analyser.application());
                let speaker = application.and_then(|name| protocols::speaker(name, self.over));
                let reader = speaker.and_then(|speaker| speaker.analyser);
                self.change(reader.map(|make| make(limits)));
                if let Some(piece) = piece
                    && let Some(rest) = piece.data.get(consumed..)
                    && moves
                {
                    self.read(&Piece { data: rest, ..*piece }, limits, out);
                }
            }
        }
    }

    /// Another one reads from here on, or is to be found.
    fn change(&mut self, reader: Option<Box<dyn Analyser>>) {
        self.changes += 1;
        self.exact = None;
        self.state = match reader {
            _ if self.changes > MOST_CHANGES => State::Done(None),
            Some(reader) => State::Read(reader),
            None => State::NEW,
        };
    }

    /// Asks who speaks so in a datagram. Each stands for itself; only its head is compared with the one before.
    fn open_datagram(&mut self, piece: &Piece<'_>, limits: &Limits, out: &mut Vec<Said>) {
        let State::Datagrams(heads) = &mut self.state else {
            return;
        };
        let [source, destination] = heads;
        let (own, other) = match piece.side {
            Side::Source => (source, destination),
            Side::Destination => (destination, source),
        };
        let opening = Opening {
            over: self.over,
            source_port: self.source_port,
            destination_port: self.destination_port,
            side: piece.side,
            data: piece.data,
            before: other.get(),
            earlier: own.get(),
        };
        match protocols::recognise(&opening, self.refused) {
            Ok(speaker) => match speaker.analyser {
                Some(make) => {
                    self.state = State::Read(make(limits));
                    self.feed(piece, limits, out);
                }
                None => self.state = State::Done(Some(speaker.application)),
            },
            Err(_) => {
                *own = Head::new(piece.data);
                self.unknown += 1;
                if self.unknown >= MOST_DATAGRAMS {
                    self.state = State::Done(None);
                }
            }
        }
    }

    /// Asks who speaks so in a stream.
    fn open(&mut self, piece: &Piece<'_>, limits: &Limits, out: &mut Vec<Said>) {
        let said = match std::mem::replace(&mut self.state, State::Done(None)) {
            State::Opening(said) => Some(said),
            _ => None,
        };
        let (source, destination) = match said {
            Some(said) => {
                let [source, destination] = *said;
                (source, destination)
            }
            None => (Words::default(), Words::default()),
        };
        let (mut own, other) = match piece.side {
            Side::Source => (source, destination),
            Side::Destination => (destination, source),
        };
        let time = if own.data.is_empty() { piece.time } else { own.time };
        // Most are known by their first segment, which is not copied then.
        if !own.data.is_empty() {
            own.data.extend_from_slice(piece.data);
        }
        let data = if own.data.is_empty() {
            piece.data
        } else {
            &own.data
        };
        let opening = Opening {
            over: self.over,
            source_port: self.source_port,
            destination_port: self.destination_port,
            side: piece.side,
            data,
            before: &other.data,
            earlier: &[],
        };
        match protocols::recognise(&opening, self.refused) {
            Ok(speaker) => {
                let Some(make) = speaker.analyser else {
                    self.state = State::Done(Some(speaker.application));
                    return;
                };
                self.state = State::Read(make(limits));
                let own = Piece { time, data, ..*piece };
                let other = Piece {
                    time: other.time,
                    side: piece.side.other(),
                    data: &other.data,
                    cut: 0,
                };
                let is_first = time < other.time;
                for piece in if is_first { [own, other] } else { [other, own] } {
                    self.read(&piece, limits, out);
                }
            }
            Err(more) => {
                self.unknown += 1;
                // Silence of one side says nothing: the other may still introduce itself.
                let wait = more || other.data.is_empty();
                if !wait || data.len() >= Limits::OPENING || self.unknown >= MOST_SEGMENTS {
                    return;
                }
                if own.data.is_empty() {
                    own.data = piece.data.to_vec();
                }
                own.time = time;
                self.state = State::Opening(Box::new(match piece.side {
                    Side::Source => [own, other],
                    Side::Destination => [other, own],
                }));
            }
        }
    }

    /// `bytes` of the stream are missing here.
    pub fn gap(&mut self, side: Side, bytes: u64, time: Time, limits: &Limits, out: &mut Vec<Said>) {
        match &mut self.state {
            State::Read(analyser) => {
                let before = out.len();
                let appetite = analyser.gap(side, bytes, time, out);
                self.notice(before, out);
                self.settle(appetite, None, limits, out);
            }
            // Nothing was said before the gap: what follows may still tell.
            State::Datagrams(_) if self.over == Over::Stream => {}
            State::Datagrams(_) | State::Opening(_) => self.state = State::Done(None),
            State::Done(_) => {}
        }
    }

    /// Time passed, or it is over: tells what waited in vain.
    pub fn wait(&mut self, now: Time, over: bool, out: &mut Vec<Said>) {
        if let State::Read(analyser) = &mut self.state {
            let before = out.len();
            analyser.wait(now, over, out);
            self.notice(before, out);
        }
    }

    /// Something waits for an answer.
    pub fn is_waiting(&self) -> bool {
        matches!(&self.state, State::Read(analyser) if analyser.is_waiting())
    }

    /// Nothing is kept between the datagrams: it can be let go of, and resumed when the next one comes.
    pub fn is_at_rest(&self) -> bool {
        matches!(&self.state, State::Read(analyser) if self.over == Over::Datagrams && analyser.is_at_rest())
    }
}
