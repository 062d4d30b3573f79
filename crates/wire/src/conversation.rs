//! One conversation's payload: finds out what is spoken, and lets its reader read.

use atalaya_model::{Application, Basis, Side, Time};

use crate::analyser::{Analyser, Appetite, Limits, Opening, Over, Piece, Said};
use crate::protocols;

/// Reads one conversation, given its payload in order.
pub struct Conversation {
    over: Over,
    source_port: u16,
    destination_port: u16,
    state: State,
    /// What it began with, where it became another: `STARTTLS`, `CONNECT`.
    first: Option<Application>,
}

enum State {
    /// Nobody knows yet what it is: the first bytes of each side.
    Opening([Vec<u8>; 2]),
    Read(Box<dyn Analyser>),
    /// Known or unknown: nothing more is read.
    Done(Option<Application>),
}

impl Conversation {
    /// A conversation of which nothing was said yet.
    pub const fn new(over: Over, source_port: u16, destination_port: u16) -> Self {
        Self {
            over,
            source_port,
            destination_port,
            state: State::Opening([Vec::new(), Vec::new()]),
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
        Self {
            over,
            source_port,
            destination_port,
            state: match speaker.and_then(|speaker| speaker.analyser) {
                Some(make) => State::Read(make(limits)),
                None => State::Done(Some(application)),
            },
            first: None,
        }
    }

    /// What is spoken (where it changes: first): by its content where that is known, else a guess by the port.
    pub fn application(&self) -> Option<(Application, Basis)> {
        let known = match &self.state {
            State::Read(analyser) => Some(analyser.application()),
            State::Done(application) => *application,
            State::Opening(_) => None,
        };
        let known = self.first.or(known);
        known.map(|known| (known, Basis::Content)).or_else(|| {
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
        if let State::Opening(_) = self.state {
            self.open(piece, limits, out);
        } else {
            self.feed(piece, limits, out);
        }
    }

    fn feed(&mut self, piece: &Piece<'_>, limits: &Limits, out: &mut Vec<Said>) {
        let State::Read(analyser) = &mut self.state else {
            return;
        };
        let appetite = analyser.read(piece, out);
        self.settle(appetite, Some(piece), limits, out);
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
            Appetite::NotMine => self.state = State::Done(None),
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
                self.state = match speaker.and_then(|speaker| speaker.analyser) {
                    Some(make) => State::Read(make(limits)),
                    None => State::Opening([Vec::new(), Vec::new()]),
                };
                if let Some(piece) = piece
                    && let Some(rest) = piece.data.get(consumed..)
                    && moves
                {
                    self.read(&Piece { data: rest, ..*piece }, limits, out);
                }
            }
        }
    }

    /// Asks who speaks so.
    fn open(&mut self, piece: &Piece<'_>, limits: &Limits, out: &mut Vec<Said>) {
        let State::Opening(said) = &mut self.state else {
            return;
        };
        let [own, other] = match piece.side {
            Side::Source => said,
            Side::Destination => {
                let [source, destination] = said;
                &mut [std::mem::take(destination), std::mem::take(source)]
            }
        };
        let (own, other) = (std::mem::take(own), std::mem::take(other));
        let joined: Vec<u8>;
        // A datagram stands for itself: what came before was no protocol's.
        let data = if own.is_empty() || self.over == Over::Datagrams {
            piece.data
        } else {
            joined = [&own, piece.data].concat();
            &joined
        };
        let opening = Opening {
            over: self.over,
            source_port: self.source_port,
            destination_port: self.destination_port,
            side: piece.side,
            data,
            before: &other,
        };
        match protocols::recognise(&opening) {
            Ok(speaker) => {
                let Some(make) = speaker.analyser else {
                    self.state = State::Done(Some(speaker.application));
                    return;
                };
                self.state = State::Read(make(limits));
                if !other.is_empty() {
                    let before = Piece {
                        side: piece.side.other(),
                        data: &other,
                        ..*piece
                    };
                    self.feed(&before, limits, out);
                }
                self.read(&Piece { data, ..*piece }, limits, out);
            }
            Err(more) => {
                let wait = match self.over {
                    // Silence of one side says nothing: the other may still introduce itself.
                    Over::Stream => more || other.is_empty(),
                    Over::Datagrams => other.is_empty(),
                };
                if !wait || data.len() >= Limits::OPENING {
                    self.state = State::Done(None);
                    return;
                }
                let own = if own.is_empty() {
                    piece.data.to_vec()
                } else {
                    data.to_vec()
                };
                self.state = State::Opening(match piece.side {
                    Side::Source => [own, other],
                    Side::Destination => [other, own],
                });
            }
        }
    }

    /// `bytes` of the stream are missing here.
    pub fn gap(&mut self, side: Side, bytes: u64, time: Time, limits: &Limits, out: &mut Vec<Said>) {
        match &mut self.state {
            State::Read(analyser) => {
                let appetite = analyser.gap(side, bytes, time, out);
                self.settle(appetite, None, limits, out);
            }
            State::Opening(_) => self.state = State::Done(None),
            State::Done(_) => {}
        }
    }

    /// Time passed, or it is over: tells what waited in vain.
    pub fn wait(&mut self, now: Time, over: bool, out: &mut Vec<Said>) {
        if let State::Read(analyser) = &mut self.state {
            analyser.wait(now, over, out);
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
