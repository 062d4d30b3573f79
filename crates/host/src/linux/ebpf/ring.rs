//! What the kernel programs tell: records from the ring, and counts of what did not fit.

use std::os::fd::{AsFd, BorrowedFd};

use aya::maps::{MapData, PerCpuArray, RingBuf};

/// Kinds of records and tables, as in `bpf/ring.h`.
const KINDS: usize = 32;
const TABLES: usize = 8;

/// Most records read in one go, so that a flood cannot keep the caller from everything else.
pub(super) const MOST_AT_ONCE: usize = 65_536;

/// The ring and its losses.
pub(super) struct Ring {
    records: RingBuf<MapData>,
    list: RingBuf<MapData>,
    losses: PerCpuArray<MapData, [u64; KINDS + TABLES]>,
    /// As counted when they were asked for last.
    lost: [u64; KINDS + TABLES],
}

/// What was lost since this was asked last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lost {
    /// Ends of conversations.
    pub(super) ends: u64,
    /// Sockets that began or ceased to wait for others.
    pub(super) listeners: u64,
    /// Processes that started, became another program, or ended.
    pub(super) processes: u64,
    /// Sockets or conversations that found a table full.
    pub(super) entries: u64,
}

impl std::fmt::Debug for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ring")
            .field("lost", &self.lost)
            .finish_non_exhaustive()
    }
}

impl Ring {
    pub(super) fn new(
        records: Option<RingBuf<MapData>>,
        list: Option<RingBuf<MapData>>,
        losses: Option<PerCpuArray<MapData, [u64; KINDS + TABLES]>>,
    ) -> Option<Self> {
        Some(Self {
            records: records?,
            list: list?,
            losses: losses?,
            lost: [0; KINDS + TABLES],
        })
    }

    /// Gives the waiting records, at most [`MOST_AT_ONCE`], to `each`, in order, and says how many.
    pub(super) fn drain(&mut self, each: &mut dyn FnMut(&[u8])) -> usize {
        drain(&mut self.records, each)
    }

    /// The same for the records of a complete list.
    pub(super) fn drain_list(&mut self, each: &mut dyn FnMut(&[u8])) -> usize {
        drain(&mut self.list, each)
    }

    /// What was lost since this was asked last.
    pub(super) fn lost(&mut self) -> Lost {
        let mut now = [0u64; KINDS + TABLES];
        if let Ok(processors) = self.losses.get(&0, 0) {
            for one in processors.iter() {
                for (sum, count) in now.iter_mut().zip(one) {
                    *sum = sum.wrapping_add(*count);
                }
            }
        } else {
            now = self.lost;
        }
        let since = |range: std::ops::Range<usize>| {
            let pairs = now[range.clone()].iter().zip(&self.lost[range]);
            pairs.map(|(now, before)| now.wrapping_sub(*before)).sum()
        };
        let lost = Lost {
            ends: since(1..3),
            listeners: since(3..5),
            processes: since(16..KINDS),
            entries: since(KINDS..KINDS + TABLES),
        };
        self.lost = now;
        lost
    }
}

fn drain(records: &mut RingBuf<MapData>, each: &mut dyn FnMut(&[u8])) -> usize {
    for count in 0..MOST_AT_ONCE {
        let Some(record) = records.next() else {
            return count;
        };
        each(&record);
    }
    MOST_AT_ONCE
}

impl AsFd for Ring {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.records.as_fd()
    }
}
