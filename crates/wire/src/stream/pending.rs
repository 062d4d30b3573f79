//! What came too early: segments without overlap, in order.

use std::collections::VecDeque;

use atalaya_model::{Span, Time};

use super::{Delivery, Outcome, Room, Segment, cut, distance};

/// A segment that comes so soon after a later one was overtaken on its way; afterwards it was sent again.
const OVERTAKEN: Span = Span(3_000);

#[derive(Debug, Default)]
pub(super) struct Pending {
    held: VecDeque<Held>,
    /// Bytes of payload kept.
    bytes: usize,
}

#[derive(Debug)]
struct Held {
    time: Time,
    sequence: u32,
    length: u32,
    /// What was captured of it; empty where nobody reads.
    data: Box<[u8]>,
}

impl Held {
    const fn end(&self) -> u32 {
        self.sequence.wrapping_add(self.length)
    }
}

impl Pending {
    pub(super) fn first(&self) -> Option<u32> {
        self.held.front().map(|held| held.sequence)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    pub(super) fn is_over(&self, room: Room) -> bool {
        self.held.len() > Room::SEGMENTS || self.bytes > room.bytes
    }

    /// What a segment is that fills the hole before everything held.
    pub(super) fn judge(&self, segment: &Segment<'_>) -> Outcome {
        let since = |held: &Held| segment.time.since(held.time);
        let is_late = self
            .held
            .front()
            .map(since)
            .is_some_and(|since| since < OVERTAKEN);
        Outcome {
            is_late,
            is_repeated: !is_late,
            conflicts: false,
        }
    }

    /// Keeps what of the segment is new; what came first wins. All places are after `base`.
    pub(super) fn insert(&mut self, segment: &Segment<'_>, base: u32, room: Room) -> Outcome {
        let end = segment.sequence.wrapping_add(segment.length);
        let place = |sequence: u32| sequence.wrapping_sub(base);
        let mut outcome = Outcome {
            is_repeated: true,
            ..Outcome::default()
        };
        let mut at = segment.sequence;
        let mut index = self.held.partition_point(|held| place(held.end()) <= place(at));
        while distance(at, end) > 0 {
            let known = self.held.get(index);
            let free_until = match known {
                Some(held) if place(held.sequence) < place(end) => held.sequence,
                _ => end,
            };
            if distance(at, free_until) > 0 {
                let part = part(segment, at, free_until);
                self.keep(index, &part, room);
                outcome.is_repeated = false;
                at = free_until;
                index += 1;
            } else if let Some(held) = known {
                outcome.conflicts |= differs(segment, held);
                at = held.end();
                index += 1;
            }
        }
        outcome
    }

    fn keep(&mut self, index: usize, part: &Segment<'_>, room: Room) {
        let data = if room.bytes == 0 { &[] } else { part.data };
        self.bytes += data.len();
        let held = Held {
            time: part.time,
            sequence: part.sequence,
            length: part.length,
            data: data.into(),
        };
        self.held.insert(index, held);
    }

    /// Hands on what follows `next` without a hole; says where the next hole is.
    pub(super) fn drain(&mut self, mut next: u32, deliver: &mut dyn FnMut(Delivery<'_>)) -> u32 {
        while let Some(held) = self.held.pop_front_if(|held| distance(held.sequence, next) >= 0) {
            self.bytes -= held.data.len();
            let segment = Segment {
                time: held.time,
                sequence: held.sequence,
                data: &held.data,
                length: held.length,
            };
            if distance(next, held.end()) <= 0 {
                continue;
            }
            let segment = part(&segment, next, held.end());
            deliver(Delivery::Data {
                time: segment.time,
                data: segment.data,
                cut: cut(&segment),
            });
            next = held.end();
        }
        next
    }
}

/// The bytes of a segment from `from` up to `to`, both inside it.
fn part<'a>(segment: &Segment<'a>, from: u32, to: u32) -> Segment<'a> {
    let skip = from.wrapping_sub(segment.sequence) as usize;
    let length = to.wrapping_sub(from);
    let data = segment.data.get(skip..).unwrap_or_default();
    Segment {
        time: segment.time,
        sequence: from,
        data: data.get(..length as usize).unwrap_or(data),
        length,
    }
}

/// They say different things where both were captured.
fn differs(segment: &Segment<'_>, held: &Held) -> bool {
    let ahead = distance(segment.sequence, held.sequence);
    let (skip_new, skip_old) = (ahead.max(0).unsigned_abs(), ahead.min(0).unsigned_abs());
    let new = segment.data.get(skip_new as usize..).unwrap_or_default();
    let old = held.data.get(skip_old as usize..).unwrap_or_default();
    new.iter().zip(old).any(|(new, old)| new != old)
}

#[cfg(test)]
impl Pending {
    pub(super) const fn kept(&self) -> usize {
        self.bytes
    }
}
