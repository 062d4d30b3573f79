//! Running the walker: the program that tells what lives, and ends what fell silent.

use std::time::Duration;

use aya::maps::{Array, MapData};
use aya::programs::raw_trace_point::RawTracePoint;
use aya::programs::{ProgramError, RawTracePointRunOptions, TestRun as _};

/// Silence that ends a conversation without connection.
const SILENCE: Duration = Duration::from_secs(60);
/// The same after question and answer.
const SILENCE_ANSWERED: Duration = Duration::from_secs(30);
/// Both while the table of such conversations is more than half full, and more than three quarters.
const SILENCE_CROWDED: Duration = Duration::from_secs(5);
const SILENCE_FULL: Duration = Duration::from_secs(1);

/// `struct walk` of `bpf/walk.h`, as far as it is read.
const WORDS: usize = 7;

/// Counts rounds, and remembers what the last walk found.
pub(super) struct Walker {
    results: Array<MapData, [u64; WORDS]>,
    round: u64,
    /// What the table of peers holds, and how many it held at the last walk.
    room: u32,
    peers: u32,
    /// Instead of what the table's room allows.
    #[cfg(test)]
    pub(super) silence: Option<Duration>,
}

/// How to walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Walk {
    /// Over what the programs keep, and was used.
    Quick,
    /// Over all sockets.
    Thorough,
    /// As thoroughly, telling all in the ring of lists.
    List,
}

/// What a walk found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Walked {
    /// The ring was half full before its end: read it, and walk again.
    pub(super) was_stopped: bool,
    /// Sockets of TCP.
    pub(super) streams: u32,
    /// Other sockets.
    pub(super) sockets: u32,
    /// Conversations of other sockets beyond the first of each.
    pub(super) peers: u32,
}

impl std::fmt::Debug for Walker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Walker")
            .field("round", &self.round)
            .finish_non_exhaustive()
    }
}

impl Walker {
    /// `room` is the size of the table of peers.
    pub(super) const fn new(results: Array<MapData, [u64; WORDS]>, room: u32) -> Self {
        Self {
            results,
            round: 0,
            room,
            peers: 0,
            #[cfg(test)]
            silence: None,
        }
    }

    /// After how much silence a conversation has ended: without an answer, and with one.
    const fn silence(&self) -> [Duration; 2] {
        #[cfg(test)]
        if let Some(silence) = self.silence {
            return [silence; 2];
        }
        if self.peers > self.room / 4 * 3 {
            [SILENCE_FULL; 2]
        } else if self.peers > self.room / 2 {
            [SILENCE_CROWDED; 2]
        } else {
            [SILENCE, SILENCE_ANSWERED]
        }
    }

    /// From the next walk on everything is told once more.
    pub(super) const fn begin_round(&mut self) {
        self.round += 1;
    }

    /// Walks once.
    ///
    /// # Errors
    /// When the kernel refuses to run the program.
    pub(super) fn walk(&mut self, program: &RawTracePoint, kind: Walk) -> Result<Walked, ProgramError> {
        let mut options = RawTracePointRunOptions::new();
        let nanoseconds = |span: Duration| u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        options.args[0] = self.round;
        [options.args[1], options.args[2]] = self.silence().map(nanoseconds);
        options.args[3] = u64::from(kind == Walk::List);
        options.args[4] = u64::from(kind == Walk::Quick);
        let was_stopped = program.test_run(options)?.return_value != 0;
        let words = self.results.get(&0, 0).unwrap_or_default();
        self.peers = words[6] as u32;
        Ok(Walked {
            was_stopped,
            streams: words[5] as u32,
            sockets: (words[5] >> 32) as u32,
            peers: self.peers,
        })
    }
}
