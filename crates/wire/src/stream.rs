//! One direction of a TCP conversation, put in order.
//!
//! What comes in order is handed on at once, without a copy. What comes too early waits, within a limit; what comes
//! twice is left out (the first bytes win); what never came, though the receiver said it has it, is a gap.

mod pending;

use atalaya_model::Time;

use self::pending::Pending;

/// Where one direction stands, and what came too early.
#[derive(Debug, Default)]
pub struct Stream {
    /// Sequence number of the first byte that was not handed on.
    next: u32,
    begun: bool,
    /// What waits for something before it.
    pending: Option<Box<Pending>>,
}

/// What is handed on, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery<'a> {
    /// The next bytes, `cut` more of which were not captured (snap length).
    Data {
        /// When they were captured.
        time: Time,
        /// The bytes.
        data: &'a [u8],
        /// So many more followed in the same segment.
        cut: u32,
    },
    /// So many bytes are missing.
    Gap {
        /// When that became known.
        time: Time,
        /// How many.
        bytes: u32,
    },
}

/// What a segment was to its stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// It was sent again: all of it had come before, or it fills a hole long after what follows.
    pub is_repeated: bool,
    /// It was overtaken on its way by a later one.
    pub is_late: bool,
    /// It said something else about bytes that were there already.
    pub conflicts: bool,
}

/// How much may wait.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// Bytes of payload kept; 0 where nobody reads, then only the places are remembered.
    pub bytes: usize,
}

impl Room {
    /// Most segments that wait for one before them; the oldest hole is given up when there are more.
    pub const SEGMENTS: usize = 64;
}

/// A segment of payload.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    /// When it was captured.
    pub time: Time,
    /// Sequence number of its first byte.
    pub sequence: u32,
    /// As much of it as was captured.
    pub data: &'a [u8],
    /// How long it was on the wire.
    pub length: u32,
}

/// How far `to` is after `from` in sequence numbers; negative where it is before.
pub const fn distance(from: u32, to: u32) -> i32 {
    to.wrapping_sub(from).cast_signed()
}

impl Stream {
    /// The stream begins with this sequence number; what came before is not waited for.
    pub fn begin(&mut self, sequence: u32) {
        self.next = sequence;
        self.begun = true;
        self.pending = None;
    }

    /// It has begun.
    pub const fn has_begun(&self) -> bool {
        self.begun
    }

    /// Something waits for a segment before it.
    pub const fn waits(&self) -> bool {
        self.pending.is_some()
    }

    /// Sequence number of the first byte that was not handed on.
    pub const fn next(&self) -> u32 {
        self.next
    }

    /// Takes a segment and hands on what is in order now.
    pub fn take(
        &mut self,
        segment: &Segment<'_>,
        room: Room,
        deliver: &mut dyn FnMut(Delivery<'_>),
    ) -> Outcome {
        if !self.begun {
            self.begin(segment.sequence);
        }
        let ahead = distance(self.next, segment.sequence);
        if ahead == 0 && self.pending.is_none() {
            self.next = segment.sequence.wrapping_add(segment.length);
            deliver(Delivery::Data {
                time: segment.time,
                data: segment.data,
                cut: cut(segment),
            });
            return Outcome::default();
        }
        self.take_slowly(segment, ahead, room, deliver)
    }

    fn take_slowly(
        &mut self,
        segment: &Segment<'_>,
        ahead: i32,
        room: Room,
        deliver: &mut dyn FnMut(Delivery<'_>),
    ) -> Outcome {
        let end = segment.sequence.wrapping_add(segment.length);
        if distance(self.next, end) <= 0 {
            return Outcome {
                is_repeated: true,
                ..Outcome::default()
            };
        }
        if ahead > 0 {
            let pending = self.pending.get_or_insert_default();
            let outcome = pending.insert(segment, self.next, room);
            while self.pending.as_ref().is_some_and(|pending| pending.is_over(room)) {
                self.skip(segment.time, deliver);
            }
            return outcome;
        }
        // What of it was handed on already is left out.
        let known = usize::try_from(-ahead).unwrap_or(0);
        let rest = Segment {
            sequence: self.next,
            data: segment.data.get(known..).unwrap_or_default(),
            length: distance(self.next, end).cast_unsigned(),
            ..*segment
        };
        let Some(mut pending) = self.pending.take() else {
            self.next = end;
            deliver(Delivery::Data {
                time: rest.time,
                data: rest.data,
                cut: cut(&rest),
            });
            return Outcome::default();
        };
        let judged = pending.judge(segment);
        let outcome = pending.insert(&rest, self.next, Room { bytes: usize::MAX });
        self.next = pending.drain(self.next, deliver);
        self.pending = (!pending.is_empty()).then_some(pending);
        Outcome {
            conflicts: outcome.conflicts,
            ..judged
        }
    }

    /// The receiver has everything before `sequence`: what of it did not come will not come.
    pub fn acknowledge(&mut self, sequence: u32, time: Time, deliver: &mut dyn FnMut(Delivery<'_>)) {
        while self.begun && distance(self.next, sequence) > 0 {
            let up_to = match self.pending.as_ref().and_then(|pending| pending.first()) {
                Some(first) if distance(first, sequence) > 0 => first,
                _ => sequence,
            };
            self.skip_to(up_to, time, deliver);
        }
    }

    /// Nothing more will come: hands on what waits, with gaps.
    pub fn end(&mut self, time: Time, deliver: &mut dyn FnMut(Delivery<'_>)) {
        while self.pending.is_some() {
            self.skip(time, deliver);
        }
    }

    /// Gives up the first hole.
    fn skip(&mut self, time: Time, deliver: &mut dyn FnMut(Delivery<'_>)) {
        match self.pending.as_ref().and_then(|pending| pending.first()) {
            Some(first) => self.skip_to(first, time, deliver),
            None => self.pending = None,
        }
    }

    fn skip_to(&mut self, sequence: u32, time: Time, deliver: &mut dyn FnMut(Delivery<'_>)) {
        let bytes = distance(self.next, sequence).max(0).cast_unsigned();
        if bytes > 0 {
            deliver(Delivery::Gap { time, bytes });
        }
        self.next = sequence;
        if let Some(mut pending) = self.pending.take() {
            self.next = pending.drain(self.next, deliver);
            self.pending = (!pending.is_empty()).then_some(pending);
        }
    }
}

fn cut(segment: &Segment<'_>) -> u32 {
    let captured = u32::try_from(segment.data.len()).unwrap_or(u32::MAX);
    segment.length.saturating_sub(captured)
}

#[cfg(test)]
mod tests;
