//! The rows, in pieces that never move, and an index from keys to rows.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::key::Key;
use super::row::Row;
use super::wheel::{Link, Links};

/// Rows in one piece.
const PIECE: usize = 1_024;

#[derive(Debug, Default)]
pub(super) struct Table {
    rows: Rows,
    free: Vec<u32>,
    index: HashTable<u32>,
    hasher: RandomState,
}

#[derive(Debug, Default)]
pub(super) struct Rows(Vec<Vec<Option<Row>>>);

impl Rows {
    pub(super) fn get(&self, slot: u32) -> Option<&Row> {
        let slot = slot as usize;
        self.0.get(slot / PIECE)?.get(slot % PIECE)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, slot: u32) -> Option<&mut Row> {
        self.place(slot)?.as_mut()
    }

    fn place(&mut self, slot: u32) -> Option<&mut Option<Row>> {
        let slot = slot as usize;
        self.0.get_mut(slot / PIECE)?.get_mut(slot % PIECE)
    }
}

impl Table {
    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    pub(super) fn find(&self, key: &Key) -> Option<u32> {
        let is_it = |slot: &u32| self.rows.get(*slot).is_some_and(|row| row.key == *key);
        self.index.find(self.hasher.hash_one(key), is_it).copied()
    }

    pub(super) fn get(&self, slot: u32) -> Option<&Row> {
        self.rows.get(slot)
    }

    pub(super) fn get_mut(&mut self, slot: u32) -> Option<&mut Row> {
        self.rows.get_mut(slot)
    }

    /// Puts a row in; its key must be free.
    pub(super) fn insert(&mut self, row: Row) -> u32 {
        let hash = self.hasher.hash_one(row.key);
        let slot = self.free.pop().unwrap_or_else(|| self.rows.grow());
        if let Some(place) = self.rows.place(slot) {
            *place = Some(row);
        }
        let (rows, hasher) = (&self.rows, &self.hasher);
        let again = |slot: &u32| rows.get(*slot).map_or(0, |row| hasher.hash_one(row.key));
        self.index.insert_unique(hash, slot, again);
        slot
    }

    pub(super) fn remove(&mut self, slot: u32) -> Option<Row> {
        let row = self.rows.place(slot)?.take()?;
        let hash = self.hasher.hash_one(row.key);
        if let Ok(entry) = self.index.find_entry(hash, |found| *found == slot) {
            entry.remove();
        }
        self.free.push(slot);
        Some(row)
    }

    /// Every slot that is taken, in no order.
    pub(super) fn slots(&self) -> impl Iterator<Item = u32> {
        self.index.iter().copied()
    }

    /// Bytes of the rows and of the index, taken or not.
    pub(super) fn bytes(&self) -> usize {
        self.rows.0.len() * PIECE * size_of::<Option<Row>>()
            + self.index.allocation_size()
            + self.free.capacity() * size_of::<u32>()
    }
}

impl Rows {
    /// A slot that nobody had before.
    fn grow(&mut self) -> u32 {
        if self.0.last().is_none_or(|piece| piece.len() == PIECE) {
            self.0.push(Vec::with_capacity(PIECE));
        }
        let pieces = self.0.len();
        let piece = self.0.last_mut();
        let taken = piece.map_or(0, |piece| {
            piece.push(None);
            piece.len() - 1
        });
        ((pieces - 1) * PIECE + taken) as u32
    }
}

impl Links for Table {
    fn link(&mut self, slot: u32) -> Option<&mut Link> {
        Some(&mut self.rows.get_mut(slot)?.link)
    }
}
