//! A reader for protocols of which the first words of each side say enough.

use atalaya_model::protocol::Other;
use atalaya_model::{Application, Message, Side, Time};

use crate::analyser::{Analyser, Appetite, Piece, Said};

/// Longest value that is kept, in bytes.
const MOST_VALUE: usize = 512;
/// Attributes that are kept.
const MOST_ATTRIBUTES: usize = 32;

/// Reads the first piece of a side, and notes what it says. The answer goes on to the caller.
pub(crate) type Look = fn(Side, &[u8], &mut Notes) -> Appetite;

/// What is noted of a conversation.
#[derive(Debug)]
pub(crate) struct Notes(Other);

impl Notes {
    /// Notes a value; of a name that is there already, one more.
    pub(crate) fn add(&mut self, name: &str, value: &str) {
        let mut end = value.len().min(MOST_VALUE);
        while !value.is_char_boundary(end) {
            end -= 1;
        }
        if end > 0 && self.0.attributes.len() < MOST_ATTRIBUTES {
            self.0.attributes.push((name.into(), value[..end].into()));
        }
    }

    /// Notes bytes that should be text; others become `\xNN`.
    pub(crate) fn text(&mut self, name: &str, value: &[u8]) {
        let value = value.get(..MOST_VALUE).unwrap_or(value);
        let mut text = String::with_capacity(value.len());
        for chunk in value.utf8_chunks() {
            text.push_str(chunk.valid());
            for byte in chunk.invalid() {
                text.push_str(&format!("\\x{byte:02x}"));
            }
        }
        self.add(name, &text);
    }

    /// Notes a number.
    pub(crate) fn number(&mut self, name: &str, value: impl std::fmt::Display) {
        self.add(name, &value.to_string());
    }

    /// The value noted last under this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.get(name).is_some()
    }
}

/// The reader: tells one [`Other`] when both sides have spoken, or when it is over.
#[derive(Debug)]
pub(crate) struct Brief {
    notes: Notes,
    look: Look,
    heard: [bool; 2],
    began: Option<Time>,
    told: bool,
    /// Pieces that are still looked at once both sides have spoken.
    patience: u8,
}

impl Brief {
    pub(crate) const fn new(application: Application, look: Look) -> Self {
        Self::patient(application, look, 0)
    }

    /// One that looks at so many more pieces: the wish for TLS is not the first that is said.
    pub(crate) const fn patient(application: Application, look: Look, patience: u8) -> Self {
        Self {
            notes: Notes(Other::new(application)),
            look,
            heard: [false; 2],
            began: None,
            told: false,
            patience,
        }
    }

    fn tell(&mut self, now: Time, out: &mut Vec<Said>) {
        if !self.told && !self.notes.0.attributes.is_empty() {
            let empty = Other::new(self.notes.0.application);
            let other = std::mem::replace(&mut self.notes.0, empty);
            out.push((self.began.unwrap_or(now), Message::Other(Box::new(other))));
        }
        self.told = true;
    }
}

impl Analyser for Brief {
    fn application(&self) -> Application {
        self.notes.0.application
    }

    fn read(&mut self, piece: &Piece<'_>, out: &mut Vec<Said>) -> Appetite {
        self.began.get_or_insert(piece.time);
        self.heard[piece.side as usize] = true;
        let appetite = (self.look)(piece.side, piece.data, &mut self.notes);
        let mut both = self.heard == [true; 2];
        if both && self.patience > 0 {
            self.patience -= 1;
            both = false;
        }
        if both || appetite != Appetite::More {
            self.tell(piece.time, out);
        }
        match appetite {
            // STUN only opens the way for others: DTLS may follow.
            Appetite::More if both && self.application() != Application::Stun => Appetite::Enough,
            appetite => appetite,
        }
    }

    fn gap(&mut self, _: Side, _: u64, time: Time, out: &mut Vec<Said>) -> Appetite {
        self.tell(time, out);
        Appetite::Enough
    }

    fn wait(&mut self, now: Time, over: bool, out: &mut Vec<Said>) {
        if over {
            self.tell(now, out);
        }
    }
}

/// Bytes from the wire, read one after the other; `None` where they end.
#[derive(Clone, Copy)]
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    pub(crate) fn big16(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    pub(crate) fn big32(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    pub(crate) fn little32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    /// Up to a byte of 0, which is passed over.
    pub(crate) fn text(&mut self) -> Option<&'a [u8]> {
        let end = self.0.iter().position(|byte| *byte == 0)?;
        let text = self.take(end)?;
        self.take(1)?;
        Some(text)
    }
}

/// Lower-case hexadecimal.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
