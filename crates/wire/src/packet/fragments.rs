//! Fragments of IP packets wait here until the rest has come.
//!
//! At most [`DATAGRAMS`] wait, with [`MEMORY`] bytes together, each for [`PATIENCE`] of the frames' own time; the oldest
//! is given up first. Where a fragment overlaps what is there already, what came first stays and the fragment is
//! dropped, as hosts do since RFC 5722 and 8200 (they drop the rest, too).

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

use atalaya_model::{Span, Time};
use foldhash::fast::RandomState;

use super::bytes::{Bytes, saturated};
use super::walk::Around;
use super::{Counts, Tunnel};

/// Packets that may wait for fragments.
const DATAGRAMS: usize = 4096;
/// Bytes that may wait, counting what is reserved for gaps.
const MEMORY: usize = 16 << 20;
/// How long a packet may wait after its first fragment.
const PATIENCE: Span = Span(30_000_000);
/// Separate stretches that one packet may have: with more holes than this between them, fragments are dropped.
const STRETCHES: usize = 128;
/// No packet is longer.
const LONGEST: u32 = 65_535;

/// What fragments of one packet have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    /// IPv4 counts its numbers by protocol; 0 for IPv6.
    pub(super) protocol: u8,
    pub(super) number: u32,
    pub(super) vlans: [u16; 3],
    pub(super) tunnel: Option<Tunnel>,
}

/// One fragment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fragment<'a> {
    /// Where its bytes belong.
    pub(super) offset: u32,
    /// It is not the last.
    pub(super) more: bool,
    /// What its first byte is, of protocols; only that of the first fragment counts.
    pub(super) protocol: u8,
    /// Bytes before its own in its IP packet.
    pub(super) header: u32,
    pub(super) bytes: Bytes<'a>,
}

/// What has come of one packet.
#[derive(Debug)]
pub(super) struct Pending {
    started: Time,
    serial: u64,
    data: Vec<u8>,
    /// What is there, in order: from, to.
    stretches: Vec<(u32, u32)>,
    /// Known since the last fragment came.
    end: Option<u32>,
    /// The first byte that the capture left out.
    readable: u32,
    pub(super) protocol: u8,
    /// The first fragment's header.
    header: u32,
    pub(super) frames: u32,
    pub(super) frame_bytes: u32,
}

impl Pending {
    /// The whole packet's length, with one header.
    pub(super) fn length(&self) -> u32 {
        self.header.saturating_add(self.end.unwrap_or(0))
    }

    /// The payload of the whole packet.
    pub(super) fn bytes(&self) -> Bytes<'_> {
        let readable = self.data.get(..self.readable as usize);
        let data = readable.unwrap_or(&self.data);
        Bytes {
            data,
            cut: saturated(self.data.len() - data.len()),
        }
    }
}

/// What became of a fragment.
pub(super) enum Outcome {
    /// The rest is to come.
    Waits,
    /// It was the last one missing.
    Whole(Pending),
    /// It contradicts itself or what came before.
    Dropped,
}

/// All packets that wait for fragments.
#[derive(Debug, Default)]
pub(super) struct Fragments {
    pending: HashMap<Key, Pending, RandomState>,
    /// In the order of their first fragments; what is no longer pending is skipped by its serial number.
    order: VecDeque<(u64, Key)>,
    serial: u64,
    memory: usize,
}

impl Fragments {
    /// Adds one fragment.
    pub(super) fn add(
        &mut self,
        key: Key,
        fragment: &Fragment<'_>,
        around: &Around<'_>,
        counts: &mut Counts,
    ) -> Outcome {
        counts.fragments += 1;
        self.expire(around.time, counts);
        let length = fragment.bytes.length();
        let end = fragment.offset.saturating_add(length);
        if length == 0 || end > LONGEST || (fragment.more && !length.is_multiple_of(8)) {
            counts.fragments_dropped += 1;
            return Outcome::Dropped;
        }
        if !self.pending.contains_key(&key) {
            self.open(key, around.time, counts);
        }
        let Some(pending) = self.pending.get_mut(&key) else {
            return Outcome::Dropped;
        };
        let before = pending.data.capacity();
        let placed = pending.place(fragment, end);
        self.memory += pending.data.capacity() - before;
        match placed {
            Placed::Overlaps => counts.overlaps += 1,
            Placed::Refused => {}
            Placed::Added => {
                pending.frames += around.frames;
                pending.frame_bytes = pending.frame_bytes.saturating_add(around.frame_bytes);
                if pending.end.is_some_and(|end| pending.stretches == [(0, end)])
                    && let Some(whole) = self.remove(&key)
                {
                    counts.reassembled += 1;
                    return Outcome::Whole(whole);
                }
                while self.memory > MEMORY && self.drop_oldest(counts) {}
                return Outcome::Waits;
            }
        }
        counts.fragments_dropped += 1;
        Outcome::Dropped
    }

    /// Packets that wait.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> (usize, usize, usize) {
        (self.pending.len(), self.order.len(), self.memory)
    }

    fn open(&mut self, key: Key, now: Time, counts: &mut Counts) {
        if self.pending.len() >= DATAGRAMS {
            self.drop_oldest(counts);
        }
        if self.order.len() > 2 * self.pending.len() + 64 {
            let pending = &self.pending;
            self.order
                .retain(|(serial, key)| pending.get(key).is_some_and(|found| found.serial == *serial));
        }
        self.serial += 1;
        self.order.push_back((self.serial, key));
        let fresh = Pending {
            started: now,
            serial: self.serial,
            data: Vec::new(),
            stretches: Vec::new(),
            end: None,
            readable: u32::MAX,
            protocol: 0,
            header: 0,
            frames: 0,
            frame_bytes: 0,
        };
        self.pending.insert(key, fresh);
    }

    fn expire(&mut self, now: Time, counts: &mut Counts) {
        while let Some((serial, key)) = self.order.front() {
            match self.pending.get(key).filter(|pending| pending.serial == *serial) {
                Some(pending) if now.since(pending.started) <= PATIENCE => return,
                Some(_) => {
                    self.drop_oldest(counts);
                }
                None => {
                    self.order.pop_front();
                }
            }
        }
    }

    /// Gives up the packet that waits longest; false where none waits.
    fn drop_oldest(&mut self, counts: &mut Counts) -> bool {
        while let Some((serial, key)) = self.order.pop_front() {
            if self
                .pending
                .get(&key)
                .is_some_and(|pending| pending.serial == serial)
                && let Some(pending) = self.remove(&key)
            {
                counts.unfinished += 1;
                counts.fragments_dropped += u64::from(pending.frames);
                return true;
            }
        }
        false
    }

    fn remove(&mut self, key: &Key) -> Option<Pending> {
        let pending = self.pending.remove(key)?;
        self.memory -= pending.data.capacity();
        Some(pending)
    }
}

/// What a packet made of a fragment.
enum Placed {
    Added,
    Overlaps,
    Refused,
}

impl Pending {
    fn place(&mut self, fragment: &Fragment<'_>, end: u32) -> Placed {
        let start = fragment.offset;
        let at = self.stretches.partition_point(|&(from, _)| from < start);
        let [before, after] = [
            at.checked_sub(1).map(|at| self.stretches[at]),
            self.stretches.get(at).copied(),
        ];
        if before.is_some_and(|(_, to)| to > start) || after.is_some_and(|(from, _)| from < end) {
            return Placed::Overlaps;
        }
        let last = self.stretches.last().map_or(0, |&(_, to)| to);
        let contradicts = match self.end {
            Some(known) => end > known || !fragment.more,
            None => !fragment.more && end < last,
        };
        let joins = [
            before.is_some_and(|(_, to)| to == start),
            after.is_some_and(|(from, _)| from == end),
        ];
        if contradicts || (joins == [false, false] && self.stretches.len() >= STRETCHES) {
            return Placed::Refused;
        }
        match joins {
            [true, true] => {
                self.stretches[at - 1].1 = self.stretches[at].1;
                self.stretches.remove(at);
            }
            [true, false] => self.stretches[at - 1].1 = end,
            [false, true] => self.stretches[at].0 = start,
            [false, false] => self.stretches.insert(at, (start, end)),
        }
        if !fragment.more {
            self.end = Some(end);
        }
        if start == 0 {
            self.protocol = fragment.protocol;
            self.header = fragment.header;
        }
        let captured = fragment.bytes.data;
        if captured.len() < (end - start) as usize {
            self.readable = self.readable.min(start + saturated(captured.len()));
        }
        if self.data.len() < end as usize {
            self.data.resize(end as usize, 0);
        }
        if let Some(place) = self.data.get_mut(start as usize..start as usize + captured.len()) {
            place.copy_from_slice(captured);
        }
        Placed::Added
    }
}
