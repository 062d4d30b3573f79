//! Counted losses. A gap is an event like any other: stored, sent, shown.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use crate::{Text, Time};

/// Something that was not seen, or not kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// When it was noticed.
    pub time: Time,
    /// Where it was lost.
    pub stage: Stage,
    /// How many were lost since the last gap of this stage and reason; 0 where only the fact is known.
    pub count: u64,
    /// Why, in the system's or our own words.
    pub reason: Text,
}

/// The places where something can be lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Kernel event ring.
    KernelRing,
    /// Tables inside the kernel programs, at their limit.
    KernelTables,
    /// Socket-destroy notifications.
    SocketEvents,
    /// Socket table dumps, network namespaces that could not be entered.
    SocketTable,
    /// Processes that could not be read.
    Processes,
    /// Processes that ended before more was read of them than the kernel told.
    LateLookups,
    /// Executables that could not be hashed.
    Hashes,
    /// Frames that the kernel could not put into the packet ring.
    PacketRing,
    /// Frames that could not be read: damaged, of an unknown kind, or fragments that never came together.
    Packets,
    /// Payload that was not followed: streams beyond a limit, or with pieces missing.
    Streams,
    /// The channel from collector to engine.
    EngineQueue,
    /// Tables at their limit.
    Tables,
    /// The channel to the store, or rows the store could not keep.
    Store,
    /// An outlet's queue, or lines that it could not write.
    Outlet,
    /// A subscriber that reads too slowly.
    Subscriber,
    /// Time in which nobody watched.
    Watch,
}

impl Stage {
    /// Every stage, in the order of the data's way.
    pub const ALL: [Self; 16] = [
        Self::KernelRing,
        Self::KernelTables,
        Self::SocketEvents,
        Self::SocketTable,
        Self::Processes,
        Self::LateLookups,
        Self::Hashes,
        Self::PacketRing,
        Self::Packets,
        Self::Streams,
        Self::EngineQueue,
        Self::Tables,
        Self::Store,
        Self::Outlet,
        Self::Subscriber,
        Self::Watch,
    ];

    /// The name in records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::KernelRing => "kernel_ring",
            Self::KernelTables => "kernel_tables",
            Self::SocketEvents => "socket_events",
            Self::SocketTable => "socket_table",
            Self::Processes => "processes",
            Self::LateLookups => "late_lookups",
            Self::Hashes => "hashes",
            Self::PacketRing => "packet_ring",
            Self::Packets => "packets",
            Self::Streams => "streams",
            Self::EngineQueue => "engine_queue",
            Self::Tables => "tables",
            Self::Store => "store",
            Self::Outlet => "outlet",
            Self::Subscriber => "subscriber",
            Self::Watch => "watch",
        }
    }

    /// The stage with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.name() == name)
    }
}

/// Counters of every stage, shared by all threads: what came in, what went on, what was dropped, what failed.
#[derive(Clone, Debug, Default)]
pub struct Ledger(Arc<[Counters; Stage::ALL.len()]>);

/// One stage's counters.
#[derive(Debug, Default)]
struct Counters {
    received: AtomicU64,
    passed: AtomicU64,
    dropped: AtomicU64,
    errors: AtomicU64,
}

/// One stage's counters at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as in Ledger")]
pub struct StageCount {
    pub stage: Stage,
    pub received: u64,
    pub passed: u64,
    pub dropped: u64,
    pub errors: u64,
}

impl Ledger {
    /// Counts what arrived at a stage.
    pub fn received(&self, stage: Stage, count: u64) {
        self.0[stage as usize]
            .received
            .fetch_add(count, Ordering::Relaxed);
    }

    /// Counts what a stage handed on.
    pub fn passed(&self, stage: Stage, count: u64) {
        self.0[stage as usize].passed.fetch_add(count, Ordering::Relaxed);
    }

    /// Counts what a stage lost.
    pub fn dropped(&self, stage: Stage, count: u64) {
        self.0[stage as usize].dropped.fetch_add(count, Ordering::Relaxed);
    }

    /// Counts what failed at a stage without loss of a record.
    pub fn failed(&self, stage: Stage, count: u64) {
        self.0[stage as usize].errors.fetch_add(count, Ordering::Relaxed);
    }

    /// The counters of every stage that counted anything.
    pub fn counts(&self) -> Vec<StageCount> {
        let all = Stage::ALL
            .into_iter()
            .zip(self.0.iter())
            .map(|(stage, counters)| StageCount {
                stage,
                received: counters.received.load(Ordering::Relaxed),
                passed: counters.passed.load(Ordering::Relaxed),
                dropped: counters.dropped.load(Ordering::Relaxed),
                errors: counters.errors.load(Ordering::Relaxed),
            });
        all.filter(|count| count.received + count.passed + count.dropped + count.errors > 0)
            .collect()
    }

    /// Everything lost, over all stages.
    pub fn lost(&self) -> u64 {
        self.0
            .iter()
            .map(|counters| counters.dropped.load(Ordering::Relaxed))
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stage_has_its_own_counters() {
        let ledger = Ledger::default();
        for (index, stage) in Stage::ALL.into_iter().enumerate() {
            assert_eq!(stage as usize, index);
            ledger.dropped(stage, index as u64 + 1);
            assert_eq!(Stage::from_name(stage.name()), Some(stage));
        }
        let counts = ledger.counts();
        assert_eq!(counts.len(), Stage::ALL.len());
        assert!(counts.iter().zip(1..).all(|(count, n)| count.dropped == n));
        assert_eq!(ledger.lost(), (1..=Stage::ALL.len() as u64).sum::<u64>());
    }
}
