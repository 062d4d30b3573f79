//! The sums on their way into the tables, in steps that are a transaction each.

use atalaya_model::Time;
use rusqlite::Connection;

use super::{Alive, Open, Place, Rows, Undo, under};
use crate::StoreError;
use crate::connections::{self, Phase};
use crate::rollups::{self, Round};
use crate::writer::Written;

/// How far it is.
#[derive(Debug)]
pub(super) struct Rolling {
    /// Up to when the sums know once it is over.
    up_to: Time,
    /// First the newest state of open conversations is written, those from the end of the list on.
    updates: Vec<u64>,
    /// Then what the journal holds.
    round: Option<Round>,
}

/// What a step did, to be told once it is committed.
#[derive(Debug)]
pub(crate) enum Step {
    /// So many conversations are left.
    Updates(usize),
    /// So many entries are in the tables.
    Sums(usize),
    /// It is over.
    End,
}

impl Rolling {
    /// What an earlier run left off.
    pub(super) const fn left_off(round: Round) -> Self {
        Self {
            up_to: round.up_to,
            updates: Vec::new(),
            round: Some(round),
        }
    }

    /// Rows that are gone, or have another address, and are still in the index by the old one.
    pub(super) fn moved(&self) -> usize {
        self.round.as_ref().map_or(0, |round| round.left().moved.len())
    }
}

impl Rows {
    /// Is there so much that the sums should be written?
    pub(crate) fn is_full(&self) -> bool {
        self.tally.is_full()
    }

    /// Time of the newest event that was written.
    pub(crate) const fn newest(&self) -> Time {
        self.newest
    }

    pub(crate) const fn is_rolling_up(&self) -> bool {
        self.rolling.is_some()
    }

    /// Begins to write the sums, if nobody did and there is something to tell.
    pub(crate) fn begin_rolling(&mut self, up_to: Time) {
        if self.rolling.is_some() || (self.run == 0 && self.tally.is_empty() && self.fresh.is_empty()) {
            return;
        }
        let open = self.live.connections.iter();
        self.rolling = Some(Rolling {
            up_to,
            updates: open
                .filter(|(_, open)| open.pending.is_some())
                .map(|(id, _)| *id)
                .collect(),
            round: None,
        });
    }

    /// The next step, of at most `limit` rows or entries, within the caller's transaction. Tell [`Rows::rolled`] of it once
    /// that is committed.
    pub(crate) fn roll(
        &mut self,
        connection: &Connection,
        limit: usize,
        written: &mut Written,
    ) -> Result<Step, StoreError> {
        let Some(rolling) = &mut self.rolling else {
            return Ok(Step::End);
        };
        if !rolling.updates.is_empty() {
            let left = rolling.updates.len().saturating_sub(limit.max(1));
            let ids: Vec<_> = rolling.updates.iter().skip(left).copied().collect();
            for id in ids {
                written.rows += u64::from(self.bring_up_to_date(connection, id)?);
            }
            rollups::note(connection, &self.fresh)?;
            return Ok(Step::Updates(left));
        }
        let round = match &rolling.round {
            Some(round) => round,
            None => {
                // From here on the round has it, whatever becomes of this transaction.
                let to = rollups::newest_batch(connection)?;
                let tally = std::mem::take(&mut self.tally);
                rolling.round.insert(Round::of(tally, to, rolling.up_to))
            }
        };
        if let Some(done) = rollups::advance(connection, round, limit)? {
            return Ok(Step::Sums(done));
        }
        let up_to = rolling.up_to;
        self.show_life(connection, up_to)?;
        Ok(Step::End)
    }

    /// Takes note of a step that is committed.
    pub(crate) fn rolled(&mut self, step: Step) {
        let Some(rolling) = &mut self.rolling else { return };
        match step {
            Step::Updates(left) => rolling.updates.truncate(left),
            Step::Sums(done) => {
                if let Some(round) = &mut rolling.round {
                    round.done = done;
                }
            }
            Step::End => self.rolling = None,
        }
    }

    /// Writes the newest state of an open conversation, if it is not written yet.
    fn bring_up_to_date(&mut self, connection: &Connection, id: u64) -> Result<bool, StoreError> {
        let Some(open) = self.live.connections.get_mut(&id) else {
            return Ok(false);
        };
        let (Some((time, it)), Place::Kept(alive)) = (&open.pending, &open.place) else {
            return Ok(false);
        };
        let mut alive = alive.clone();
        let Alive { kept, counted } = &mut *alive;
        let last = (Phase::Updated, *time);
        let before = kept.ends.remote_ip;
        connections::update(connection, &mut self.dictionaries, self.run, kept, last, it)?;
        let under = under(connection, &mut self.dictionaries, kept, it)?;
        self.fresh.place(kept.row, before, under.ip);
        let is_failure = it.outcome.is_failure();
        self.fresh
            .change(counted, *time, under, it.traffic.as_ref(), is_failure);
        let place = Place::Kept(alive);
        let before = std::mem::replace(open, Open { place, pending: None });
        self.undo.push(Undo::Connection(id, Some(before)));
        Ok(true)
    }
}
