//! What happened in a conversation, in order, one letter each (Zeek's `history`).

/// Letters kept in the row itself.
const INLINE: usize = 14;

/// Most letters at all; what happens later is not written.
const MOST: usize = 64;

/// What is written at most once for each side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Once {
    Acknowledgment = 1,
    Data = 2,
    Inconsistent = 4,
    MultipleFlags = 8,
}

impl Once {
    const fn letter(self) -> u8 {
        match self {
            Self::Acknowledgment => b'A',
            Self::Data => b'D',
            Self::Inconsistent => b'I',
            Self::MultipleFlags => b'Q',
        }
    }
}

/// What is written again whenever it happened ten times as often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Often {
    Gap,
    Retransmission,
    ZeroWindow,
}

impl Often {
    const fn letter(self) -> u8 {
        match self {
            Self::Gap => b'G',
            Self::Retransmission => b'T',
            Self::ZeroWindow => b'W',
        }
    }
}

/// The letters. Upper case is the source's, lower case the destination's.
#[derive(Debug, Default)]
pub(super) struct History {
    length: u8,
    written: [u8; 2],
    letters: [u8; INLINE],
    rest: Option<Box<Rest>>,
}

/// What few conversations need.
#[derive(Debug, Default)]
struct Rest {
    letters: Vec<u8>,
    counts: [[u32; 3]; 2],
}

impl History {
    /// The direction was turned.
    pub(super) fn turn(&mut self) {
        self.push(b'^');
    }

    /// Writes a letter, whatever was before.
    pub(super) fn write(&mut self, answers: bool, letter: u8) {
        self.push(if answers {
            letter.to_ascii_lowercase()
        } else {
            letter
        });
    }

    pub(super) fn once(&mut self, answers: bool, what: Once) {
        let written = &mut self.written[usize::from(answers)];
        if *written & what as u8 == 0 {
            *written |= what as u8;
            self.write(answers, what.letter());
        }
    }

    pub(super) fn often(&mut self, answers: bool, what: Often) {
        let rest = self.rest.get_or_insert_default();
        let count = &mut rest.counts[usize::from(answers)][what as usize];
        *count = count.saturating_add(1);
        if matches!(*count, 1 | 10 | 100 | 1_000 | 10_000 | 100_000 | 1_000_000) {
            self.write(answers, what.letter());
        }
    }

    fn push(&mut self, letter: u8) {
        let length = usize::from(self.length);
        if let Some(place) = self.letters.get_mut(length) {
            *place = letter;
        } else if length < MOST {
            self.rest.get_or_insert_default().letters.push(letter);
        } else {
            return;
        }
        self.length += 1;
    }

    pub(super) fn to_text(&self) -> Box<str> {
        let ascii = |letters| std::str::from_utf8(letters).unwrap_or_default();
        let inline = self.letters.get(..self.length.into()).unwrap_or(&self.letters);
        match &self.rest {
            Some(rest) => [ascii(inline), ascii(&rest.letters)].concat().into(),
            None => ascii(inline).into(),
        }
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.rest
            .as_ref()
            .map_or(0, |rest| size_of::<Rest>() + rest.letters.capacity())
    }
}
