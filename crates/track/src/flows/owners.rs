//! Whose conversations are, as a capture says of their packets.

use std::sync::Arc;

use atalaya_model::{Direction, Networks, Process, Side};
use atalaya_wire::capture::Whose;
use foldhash::HashMap;

use super::key::End;
use super::row::Row;

/// The processes at the ends of conversations, by the ids of these: the source's and the destination's. Empty, and asked
/// of nothing, where captures name no processes; else as many as there are rows.
#[derive(Debug, Default)]
pub(super) struct Owners(HashMap<u64, [Option<Arc<Process>>; 2]>);

const fn place(side: Side) -> usize {
    match side {
        Side::Source => 0,
        Side::Destination => 1,
    }
}

impl Owners {
    /// A packet of this row, sent by this end, has this owner. The last word counts.
    pub(super) fn learn(&mut self, row: &mut Row, sender: End, whose: Whose<'_>, networks: &Networks) {
        let Some(process) = whose.process else {
            return;
        };
        let sender = row.side(sender);
        let side = match whose.sent {
            Some(true) => sender,
            Some(false) => sender.other(),
            None => row.turn.0,
        };
        let owners = self.0.entry(row.id).or_default();
        let known = &mut owners[place(side)];
        if known.as_ref().is_some_and(|known| Arc::ptr_eq(known, process)) {
            return;
        }
        *known = Some(Arc::clone(process));
        let is_local = owners.iter().all(Option::is_some) || row.turn.1 == Direction::Local;
        let (side, direction) = match side {
            _ if is_local => (Side::Source, Direction::Local),
            Side::Source => (side, Direction::Outbound),
            Side::Destination => (side, Direction::Inbound),
        };
        let remote = match side {
            Side::Source => row.key.endpoint(!row.source),
            Side::Destination => row.key.endpoint(row.source),
        };
        row.turn = (side, direction, networks.scope(remote.ip));
    }

    /// The process at the end that is this host's.
    pub(super) fn of(&self, row: &Row) -> Option<Arc<Process>> {
        if self.0.is_empty() {
            return None;
        }
        let owners = self.0.get(&row.id)?;
        let [source, destination] = owners;
        let (own, other) = match row.turn.0 {
            Side::Source => (source, destination),
            Side::Destination => (destination, source),
        };
        own.as_ref().or(other.as_ref()).cloned()
    }

    pub(super) fn forget(&mut self, row: &Row) {
        if !self.0.is_empty() {
            self.0.remove(&row.id);
        }
    }
}
