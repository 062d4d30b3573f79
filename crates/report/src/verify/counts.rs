//! Counting by key, within bounds.

use std::hash::Hash;

use atalaya_model::Time;
use foldhash::{HashMap, HashMapExt as _};

/// What was counted of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Volume {
    /// Connections that opened.
    pub(super) connections: u64,
    /// Payload bytes sent by the processes of this host.
    pub(super) sent: u64,
    /// Payload bytes that they received.
    pub(super) received: u64,
    /// First and last time; the last one is before the first where neither is known.
    first: Time,
    last: Time,
}

impl Default for Volume {
    fn default() -> Self {
        Self {
            connections: 0,
            sent: 0,
            received: 0,
            first: Time(i64::MAX),
            last: Time(i64::MIN),
        }
    }
}

impl Volume {
    /// Connections, and bytes sent and received; nobody said when.
    pub(super) fn of(connections: u64, sent: u64, received: u64) -> Self {
        Self {
            connections,
            sent,
            received,
            ..Self::default()
        }
    }

    /// Seen between these times.
    pub(super) fn between(mut self, times: Option<(Time, Time)>) -> Self {
        if let Some((first, last)) = times {
            (self.first, self.last) = (first, last);
        }
        self
    }

    /// When it was first and last seen, where that is known.
    pub(super) fn times(&self) -> Option<(Time, Time)> {
        (self.first <= self.last).then_some((self.first, self.last))
    }

    /// When it was first seen.
    pub(super) fn first(&self) -> Option<Time> {
        self.times().map(|(first, _)| first)
    }

    /// When it was last seen.
    pub(super) fn last(&self) -> Option<Time> {
        self.times().map(|(_, last)| last)
    }

    /// Bytes both ways.
    pub(super) const fn bytes(&self) -> u64 {
        self.sent.saturating_add(self.received)
    }

    /// Adds what was counted elsewhere.
    pub(super) fn add(&mut self, other: &Self) {
        self.connections = self.connections.saturating_add(other.connections);
        self.sent = self.sent.saturating_add(other.sent);
        self.received = self.received.saturating_add(other.received);
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
    }
}

/// Volumes by key, at most so many keys.
#[derive(Debug)]
pub(super) struct Counts<K> {
    rows: HashMap<K, Volume>,
    most: usize,
    /// What came when there was no room for another key.
    pub(super) beyond: u64,
}

impl<K: Hash + Eq + Ord> Counts<K> {
    pub(super) fn new(most: usize) -> Self {
        Self {
            rows: HashMap::new(),
            most,
            beyond: 0,
        }
    }

    pub(super) fn add(&mut self, key: K, volume: &Volume) {
        if let Some(row) = self.rows.get_mut(&key) {
            row.add(volume);
        } else if self.rows.len() < self.most {
            self.rows.insert(key, *volume);
        } else {
            self.beyond += 1;
        }
    }

    /// Keys, as far as they were kept.
    pub(super) fn len(&self) -> u64 {
        self.rows.len() as u64
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &Volume)> {
        self.rows.iter()
    }

    /// The keys with the most of something, at most `limit`; those with none of it are left out. Ties by key.
    pub(super) fn most(&self, limit: usize, weight: impl Fn(&Volume) -> u64) -> Vec<(&K, &Volume)> {
        let mut rows: Vec<_> = self
            .rows
            .iter()
            .filter(|(_, volume)| weight(volume) > 0)
            .collect();
        let order = |(a, v): &(&K, &Volume), (b, w): &(&K, &Volume)| weight(w).cmp(&weight(v)).then(a.cmp(b));
        if rows.len() > limit {
            rows.select_nth_unstable_by(limit, order);
            rows.truncate(limit);
        }
        rows.sort_unstable_by(order);
        rows
    }

    /// The keys seen at most `rare` times, the rarest and then the latest first, at most `limit`; and how many they are.
    pub(super) fn rare(&self, rare: u64, limit: usize) -> (Vec<(&K, &Volume)>, u64) {
        let is_rare = |volume: &Volume| (1..=rare).contains(&volume.connections);
        let mut rows: Vec<_> = self.rows.iter().filter(|(_, volume)| is_rare(volume)).collect();
        let total = rows.len() as u64;
        let order = |(a, v): &(&K, &Volume), (b, w): &(&K, &Volume)| {
            v.connections
                .cmp(&w.connections)
                .then(w.last.cmp(&v.last))
                .then(a.cmp(b))
        };
        if rows.len() > limit {
            rows.select_nth_unstable_by(limit, order);
            rows.truncate(limit);
        }
        rows.sort_unstable_by(order);
        (rows, total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume(connections: u64, sent: u64, last: i64) -> Volume {
        Volume {
            connections,
            sent,
            ..Volume::default()
        }
        .between(Some((Time(last), Time(last))))
    }

    #[test]
    fn the_most_and_the_rarest_within_bounds() {
        let mut counts = Counts::new(4);
        for (key, connections, sent, last) in [
            (1, 5, 0, 1),
            (2, 1, 9, 2),
            (3, 1, 1, 9),
            (4, 2, 0, 3),
            (5, 1, 1, 1),
        ] {
            counts.add(key, &volume(connections, sent, last));
        }
        counts.add(2, &volume(1, 1, 1));
        assert_eq!((counts.len(), counts.beyond), (4, 1));
        let keys = |rows: &[(&i32, &Volume)]| rows.iter().map(|(key, _)| **key).collect::<Vec<_>>();
        assert_eq!(keys(&counts.most(2, |v| v.connections)), [1, 2]);
        assert_eq!(keys(&counts.most(9, Volume::bytes)), [2, 3]);
        let (rows, total) = counts.rare(2, 2);
        assert_eq!((keys(&rows), total), (vec![3, 4], 3));
        let two = counts.iter().find(|(key, _)| **key == 2).unwrap().1;
        assert_eq!(two.times(), Some((Time(1), Time(2))));
        assert_eq!(Volume::default().times(), None);
    }
}
