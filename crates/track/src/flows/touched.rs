//! Conversations in which something was seen since they were asked for last, and how much: for the bandwidth.
//!
//! A packet of a row that was touched already costs one comparison; the first one notes what was counted before.

use atalaya_model::{Endpoint, Side, Transport};

use super::row::Row;
use super::{Flows, Table};
use crate::meter::{Amount, Spoken};

/// What went by in a conversation since the last time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flowed {
    pub(crate) transport: Transport,
    pub(crate) source: Endpoint,
    pub(crate) destination: Endpoint,
    /// Which end is this host's, as far as addresses tell.
    pub(crate) side: Side,
    /// In a tunnel.
    pub(crate) is_inside: bool,
    pub(crate) spoken: Spoken,
    /// As the source has it.
    pub(crate) amount: Amount,
}

/// Packets and bytes of both sides.
type Counts = [(u64, u64); 2];

/// Conversations that are told apart at a time, of those that live and those that ended each.
const MOST: usize = 16_384;

#[derive(Debug, Default)]
pub(super) struct Touched {
    /// By slot: the place in the list, from 1.
    places: Vec<u32>,
    /// Slots with what was counted before. A slot whose row has ended does not point here any more.
    list: Vec<(u32, Counts)>,
    /// What is to be told of those that ended.
    told: Vec<Flowed>,
    /// Of those that there was no room for, as this host has it.
    rest: Amount,
}

fn counts(row: &Row) -> Counts {
    row.lanes.each_ref().map(|lane| (lane.packets, lane.frame_bytes))
}

impl Touched {
    /// A packet of this row is about to be counted.
    #[inline]
    pub(super) fn touch(&mut self, slot: u32, row: &Row, side: Side, bytes: u32) {
        let place = slot as usize;
        if self.places.get(place).is_none_or(|place| *place == 0) {
            self.note(place, slot, row, side, bytes);
        }
    }

    fn note(&mut self, place: usize, slot: u32, row: &Row, side: Side, bytes: u32) {
        if self.list.len() >= MOST {
            let sent = Amount::sent(1, bytes.into());
            self.rest
                .add(if side == row.turn.0 { sent } else { sent.turned() });
            return;
        }
        if self.places.len() <= place {
            self.places.resize((place + 1).next_multiple_of(1_024), 0);
        }
        self.list.push((slot, counts(row)));
        self.places[place] = u32::try_from(self.list.len()).unwrap_or(0);
    }

    /// The row has ended.
    pub(super) fn end(&mut self, slot: u32, row: &Row) {
        let Some(place) = self.places.get_mut(slot as usize) else {
            return;
        };
        let noted = std::mem::take(place) as usize;
        if let Some((_, before)) = noted.checked_sub(1).and_then(|place| self.list.get(place)) {
            let flowed = flowed(row, *before);
            if self.told.len() < MOST {
                self.told.push(flowed);
            } else {
                self.rest.add(flowed.own());
            }
        }
    }

    /// What went by since this was asked last; gives what could not be told apart.
    fn take(&mut self, table: &Table, out: &mut Vec<Flowed>) -> Amount {
        out.append(&mut self.told);
        for (index, (slot, before)) in self.list.drain(..).enumerate() {
            let place = self.places.get_mut(slot as usize);
            let is_its_own = |place: &&mut u32| **place as usize == index + 1;
            if let (Some(place), Some(row)) = (place.filter(is_its_own), table.get(slot)) {
                *place = 0;
                out.push(flowed(row, before));
            }
        }
        std::mem::take(&mut self.rest)
    }
}

impl Flowed {
    /// The amount as this host has it.
    pub(crate) fn own(&self) -> Amount {
        match self.side {
            Side::Source => self.amount,
            Side::Destination => self.amount.turned(),
        }
    }
}

fn flowed(row: &Row, before: Counts) -> Flowed {
    let [sent, received] = counts(row);
    let [sent_before, received_before] = before;
    let destination = row.key.endpoint(!row.source);
    Flowed {
        transport: row.transport(),
        source: row.key.endpoint(row.source),
        destination,
        side: row.turn.0,
        is_inside: row.talk.as_ref().is_some_and(|talk| talk.tunnel.is_some()),
        spoken: Spoken::of(row.application(), row.transport(), destination.port),
        amount: Amount(atalaya_model::Rate {
            sent_packets: sent.0.saturating_sub(sent_before.0),
            sent_bytes: sent.1.saturating_sub(sent_before.1),
            received_packets: received.0.saturating_sub(received_before.0),
            received_bytes: received.1.saturating_sub(received_before.1),
        }),
    }
}

impl Flows {
    /// Appends what went by since this was asked last, conversation by conversation, where that is counted; gives what
    /// could not be told apart, as this host has it.
    pub(crate) fn take_flowed(&mut self, out: &mut Vec<Flowed>) -> Amount {
        let touched = self.touched.as_mut();
        touched.map_or_else(Amount::default, |touched| touched.take(&self.table, out))
    }
}
