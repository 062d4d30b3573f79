//! What was told, in the order in which it happened.
//!
//! A log is in the order in which its lines were written, and a conversation is written when it is over: it began
//! earlier. So much is held back, and given out by its own time; what comes later than that is late.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;

use atalaya_model::{Connection, Finding, Message, Time};

/// Moments that are held back, at most: about 50 MB.
const WINDOW: usize = 100_000;

/// Something that happened.
pub(super) enum Moment {
    Opening(Arc<str>, Arc<Connection>),
    Saying(Box<str>, Time, Box<Connection>, Box<Message>),
    End(Arc<str>, Arc<Connection>),
    Oddity(Box<Finding>),
}

impl Moment {
    /// Of what happened at the same time: what began is told before what was said in it, the end last.
    const fn rank(&self) -> u8 {
        match self {
            Self::Opening(..) => 0,
            Self::Saying(..) => 1,
            Self::Oddity(_) => 2,
            Self::End(..) => 3,
        }
    }
}

/// When, and the how manieth of all.
type Place = (Time, u8, u64);

/// The window.
#[derive(Default)]
pub(super) struct Order {
    places: BinaryHeap<Reverse<Place>>,
    moments: BTreeMap<u64, Moment>,
    count: u64,
    now: Time,
    /// Moments that were given out after later ones.
    pub(super) late: u64,
}

impl Order {
    /// Takes a moment.
    pub(super) fn put(&mut self, time: Time, moment: Moment) {
        self.count += 1;
        self.places.push(Reverse((time, moment.rank(), self.count)));
        self.moments.insert(self.count, moment);
    }

    /// More is held back than there is room for.
    pub(super) fn is_full(&self) -> bool {
        self.places.len() > WINDOW
    }

    /// The earliest moment with the time at which it is told: its own, or where it is late, that of the last.
    pub(super) fn take(&mut self) -> Option<(Time, Moment)> {
        let Reverse((time, _, number)) = self.places.pop()?;
        let moment = self.moments.remove(&number)?;
        if time < self.now {
            self.late += 1;
        }
        self.now = self.now.max(time);
        Some((self.now, moment))
    }
}
