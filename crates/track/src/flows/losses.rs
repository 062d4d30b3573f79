//! What is lost in streams of TCP, counted, and told at most once a minute.

use atalaya_model::{Event, Fact, Gap, Span, Stage, Time};

/// Time between a loss and the word of it, in which further ones are counted with it.
const WAIT: Span = Span::from_seconds(60);

/// What was lost in streams of TCP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamLosses {
    /// Bytes that never came, though the receiver said it has them, or that were not waited for any more.
    pub missed_bytes: u64,
    /// Segments that say something else than an earlier one about the same bytes, of those that still waited for others
    /// before them: of what was read nothing is kept to compare with. The first is read.
    pub conflicts: u64,
}

/// Losses so far, and those that were told.
#[derive(Debug, Default)]
pub(super) struct Losses {
    all: StreamLosses,
    told: StreamLosses,
    /// When the first that was not told was noticed.
    since: Option<Time>,
}

impl Losses {
    pub(super) fn count(&mut self, time: Time, missed_bytes: u64, conflicts: bool) {
        if missed_bytes > 0 || conflicts {
            self.all.missed_bytes += missed_bytes;
            self.all.conflicts += u64::from(conflicts);
            self.since.get_or_insert(time);
        }
    }

    pub(super) const fn all(&self) -> StreamLosses {
        self.all
    }

    /// Tells what was lost a while ago; with `all` everything.
    pub(super) fn tell(&mut self, now: Time, all: bool, out: &mut Vec<Event>) {
        if self.since.is_none_or(|since| !all && now.since(since) < WAIT) {
            return;
        }
        let counts = [
            (
                self.all.missed_bytes - self.told.missed_bytes,
                "bytes are missing in streams of TCP",
            ),
            (
                self.all.conflicts - self.told.conflicts,
                "segments of TCP contradict earlier ones about the same bytes; the first is read",
            ),
        ];
        for (count, reason) in counts.into_iter().filter(|(count, _)| *count > 0) {
            let gap = Gap {
                time: now,
                stage: Stage::Streams,
                count,
                reason: reason.into(),
            };
            out.push(Event::new(now, Fact::Gap(gap)));
        }
        self.told = self.all;
        self.since = None;
    }
}
