//! What the kernel programs tell: records from the ring, and counts of what did not fit.

use aya::maps::{MapData, PerCpuArray, RingBuf};

/// Kinds of records, and tables, as in `bpf/ring.h`.
const KINDS: usize = 32;
const TABLES: usize = 8;

/// `struct losses` of `bpf/ring.h`.
pub(super) type Losses = [u64; KINDS + TABLES];

/// The ring and its losses.
pub(super) struct Ring {
    records: RingBuf<MapData>,
    losses: PerCpuArray<MapData, Losses>,
}

impl std::fmt::Debug for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ring").finish_non_exhaustive()
    }
}

impl Ring {
    pub(super) fn new(
        records: Option<RingBuf<MapData>>,
        losses: Option<PerCpuArray<MapData, Losses>>,
    ) -> Option<Self> {
        Some(Self {
            records: records?,
            losses: losses?,
        })
    }
}
