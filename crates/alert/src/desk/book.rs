//! The bounded table of what was told.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};

use atalaya_model::{Alert, AlertRecord, Finding, Severity, Span, Time};

/// Rule and key of a finding, hashed: keys hold paths that others choose, so the texts are not kept. The hashes are
/// seeded anew in each run; nobody outside can make two keys meet.
pub(super) type Key = (u64, u64);

/// What was told about one key.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) alert: u64,
    pub(super) severity: Severity,
    pub(super) recurrence: u32,
    /// How often it came, the first time included.
    pub(super) count: u64,
    /// The count that was last told.
    pub(super) told: u64,
    pub(super) told_at: Time,
    /// When it last came.
    pub(super) last: Time,
    /// Position in the order of use.
    stamp: u64,
}

impl Entry {
    pub(super) fn new(alert: &Alert, now: Time) -> Self {
        Self {
            alert: alert.id,
            severity: alert.finding.severity,
            recurrence: alert.recurrence,
            count: 1,
            told: 1,
            told_at: now,
            last: now,
            stamp: 0,
        }
    }

    /// Takes over the count of an earlier run, which was told.
    pub(super) fn recall(&mut self, time: Time, count: u64) {
        self.count = count;
        self.told = count;
        self.told_at = time;
        self.last = self.last.max(time);
    }

    /// Did it last come less than `cooldown` before `now`?
    pub(super) fn is_within(&self, cooldown: Span, now: Time) -> bool {
        now.since(self.last) < cooldown
    }

    /// The record of the count, if it was not told yet.
    pub(super) fn tell(&mut self, now: Time) -> Option<AlertRecord> {
        if self.count == self.told {
            return None;
        }
        self.told = self.count;
        self.told_at = now;
        Some(AlertRecord::Repeated {
            alert: self.alert,
            time: self.last,
            count: self.count,
        })
    }
}

/// Entries by key; at the limit the one used longest ago leaves.
#[derive(Debug)]
pub(super) struct Book {
    entries: HashMap<Key, Entry>,
    order: BTreeMap<u64, Key>,
    next_stamp: u64,
    capacity: usize,
    seeds: [RandomState; 2],
}

impl Book {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            entries: HashMap::new(),
            order: BTreeMap::new(),
            next_stamp: 0,
            capacity,
            seeds: [RandomState::new(), RandomState::new()],
        }
    }

    pub(super) fn key(&self, finding: &Finding) -> Key {
        let parts = (&finding.rule, &finding.key);
        (self.seeds[0].hash_one(parts), self.seeds[1].hash_one(parts))
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn get(&mut self, key: Key) -> Option<&mut Entry> {
        self.entries.get_mut(&key)
    }

    /// As `get`, and makes it the one used last.
    pub(super) fn touch(&mut self, key: Key) -> Option<&mut Entry> {
        let entry = self.entries.get_mut(&key)?;
        let key = self.order.remove(&entry.stamp)?;
        entry.stamp = self.next_stamp;
        self.order.insert(self.next_stamp, key);
        self.next_stamp += 1;
        Some(entry)
    }

    /// Puts an entry in the place of an earlier one of the key, if any; gives the entry that had to leave.
    pub(super) fn insert(&mut self, key: Key, mut entry: Entry) -> Option<Entry> {
        entry.stamp = self.next_stamp;
        self.next_stamp += 1;
        self.order.insert(entry.stamp, key);
        if let Some(earlier) = self.entries.insert(key, entry) {
            self.order.remove(&earlier.stamp);
        }
        if self.entries.len() <= self.capacity {
            return None;
        }
        let (_, oldest) = self.order.pop_first()?;
        self.entries.remove(&oldest)
    }
}
