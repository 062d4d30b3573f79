//! What conversations add to the sums, gathered in memory between two writes of them.
//!
//! A conversation counts when it opened; its bytes count when they were told, so a long one counts in many minutes. What
//! had gone before the watch began is not counted. When it becomes known whose a conversation is, all that was counted
//! of it moves to its process.

use std::collections::HashMap;

use atalaya_model::connection::Traffic;
use atalaya_model::{Connection as Conversation, Time};

use crate::codes::counter;
use crate::extra::{pull, push};

/// Different ports between two writes; those beyond count under [`OTHER_PORTS`].
const PORTS: usize = 1_024;
const OTHER_PORTS: i64 = -1;

/// Entries, and rows for the index, after which the sums are written even before their minute is over.
const FULL: usize = 1 << 15;
const FULL_ROWS: usize = 1 << 18;

/// What is added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    pub(crate) connections: i64,
    pub(crate) failed: i64,
    pub(crate) sent: i64,
    pub(crate) received: i64,
}

impl Sums {
    pub(crate) const fn add(&mut self, other: Self) {
        self.connections = self.connections.saturating_add(other.connections);
        self.failed = self.failed.saturating_add(other.failed);
        self.sent = self.sent.saturating_add(other.sent);
        self.received = self.received.saturating_add(other.received);
    }

    /// What takes it back.
    pub(crate) const fn negative(self) -> Self {
        Self {
            connections: -self.connections,
            failed: -self.failed,
            sent: -self.sent,
            received: -self.received,
        }
    }
}

/// Under whom a conversation counts: numbers of the process and the program (0 where unknown), and of the remote
/// address; its transport and destination port; whether this side began it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Under {
    pub(crate) process: i64,
    pub(crate) program: i64,
    pub(crate) ip: i64,
    pub(crate) transport: u8,
    pub(crate) port: u16,
    pub(crate) begun: bool,
}

/// What was counted of an open conversation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counted {
    under: Under,
    opened: Time,
    sums: Sums,
    /// The counters as they were told last.
    told: (i64, i64),
}

/// Sums of one hour, program and address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) sums: Sums,
    pub(crate) begun: i64,
    /// Seconds of the first and last event; the first is after the last where there was only a correction.
    pub(crate) seen: (i64, i64),
}

impl Pair {
    const NOTHING: Self = Self {
        sums: Sums {
            connections: 0,
            failed: 0,
            sent: 0,
            received: 0,
        },
        begun: 0,
        seen: (i64::MAX, i64::MIN),
    };

    pub(crate) fn add(&mut self, other: Self) {
        self.sums.add(other.sums);
        self.begun += other.begun;
        self.seen = (self.seen.0.min(other.seen.0), self.seen.1.max(other.seen.1));
    }
}

/// Hour, program, address.
pub(crate) type PairKey = (i64, i64, i64);

/// Hour, transport, port.
pub(crate) type PortKey = (i64, i64, i64);

/// What is to be added to the sums.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) minutes: HashMap<i64, Sums>,
    pub(crate) pairs: HashMap<PairKey, Pair>,
    pub(crate) ports: HashMap<PortKey, Sums>,
    /// By process: sums, and the second of the last event.
    pub(crate) processes: HashMap<i64, (Sums, i64)>,
    /// Remote address and row of conversations that are not in the index yet; the row's complement where it is gone, or
    /// has another address from then on.
    pub(crate) rows: Vec<(i64, i64)>,
}

/// Bytes that went over a conversation, as SQLite counts.
fn bytes(traffic: Option<&Traffic>) -> (i64, i64) {
    traffic.map_or((0, 0), |it| (counter(it.sent_bytes), counter(it.received_bytes)))
}

impl Tally {
    /// Counts that a conversation opened.
    pub(crate) fn open(&mut self, time: Time, under: Under, opened: &Conversation) -> Counted {
        self.begin(time, under, opened.traffic.as_ref(), opened.started_before)
    }

    /// The same, of a row.
    pub(crate) fn begin(
        &mut self,
        time: Time,
        under: Under,
        traffic: Option<&Traffic>,
        started_before: bool,
    ) -> Counted {
        let told = bytes(traffic);
        let (sent, received) = if started_before { (0, 0) } else { told };
        let sums = Sums {
            connections: 1,
            failed: 0,
            sent,
            received,
        };
        self.minutes.entry(minute(time)).or_default().add(sums);
        self.add(time, time, &under, sums);
        Counted {
            under,
            opened: time,
            sums,
            told,
        }
    }

    /// Counts what has been added to a conversation since it was counted last.
    pub(crate) fn change(
        &mut self,
        counted: &mut Counted,
        time: Time,
        under: Under,
        traffic: Option<&Traffic>,
        is_failure: bool,
    ) {
        if under != counted.under {
            // Counted under somebody else so far.
            self.add(
                counted.opened,
                Time(i64::MAX),
                &counted.under,
                counted.sums.negative(),
            );
            self.add(counted.opened, time, &under, counted.sums);
            counted.under = under;
        }
        let told = bytes(traffic);
        let more = Sums {
            connections: 0,
            failed: i64::from(is_failure && counted.sums.failed == 0),
            sent: told.0.saturating_sub(counted.told.0).max(0),
            received: told.1.saturating_sub(counted.told.1).max(0),
        };
        counted.told = (told.0.max(counted.told.0), told.1.max(counted.told.1));
        counted.sums.add(more);
        self.minutes.entry(minute(time)).or_default().add(more);
        self.add(time, time, &under, more);
    }

    /// Adds to everything but the minutes: in the hour of `time`, seen at `seen` (never, where that is the end of time).
    fn add(&mut self, time: Time, seen: Time, under: &Under, sums: Sums) {
        let hour = hour(time);
        let seen = (seen.0 < i64::MAX).then(|| seen.seconds());
        let pair = self
            .pairs
            .entry((hour, under.program, under.ip))
            .or_insert(Pair::NOTHING);
        pair.sums.add(sums);
        if under.begun {
            pair.begun += sums.connections;
        }
        if let Some(seen) = seen {
            pair.seen = (pair.seen.0.min(seen), pair.seen.1.max(seen));
        }
        let mut port = (hour, under.transport.into(), under.port.into());
        if self.ports.len() >= PORTS && !self.ports.contains_key(&port) {
            port.2 = OTHER_PORTS;
        }
        self.ports.entry(port).or_default().add(sums);
        if under.process > 0 {
            let (total, last) = self
                .processes
                .entry(under.process)
                .or_insert((Sums::default(), i64::MIN));
            total.add(sums);
            *last = seen.map_or(*last, |seen| seen.max(*last));
        }
    }

    /// Notes that a row has another remote address from now on, if it has.
    pub(crate) fn place(&mut self, row: i64, before: i64, ip: i64) {
        if ip != before {
            self.rows.extend([(before, !row), (ip, row)]);
        }
    }

    /// Is there so much that it should be written now?
    pub(crate) fn is_full(&self) -> bool {
        self.pairs.len().max(self.processes.len()).max(self.ports.len()) >= FULL
            || self.rows.len() >= FULL_ROWS
    }

    /// How many entries it has.
    pub(crate) fn len(&self) -> usize {
        self.pairs.len() + self.ports.len() + self.processes.len()
    }

    /// Is there nothing to add?
    pub(crate) fn is_empty(&self) -> bool {
        self.minutes.is_empty() && self.pairs.is_empty() && self.rows.is_empty()
    }

    /// Takes in what another one counted.
    pub(crate) fn merge(&mut self, mut other: Self) {
        if self.is_empty() {
            *self = other;
            return;
        }
        for (key, sums) in other.minutes {
            self.minutes.entry(key).or_default().add(sums);
        }
        for (key, pair) in other.pairs {
            self.pairs.entry(key).or_insert(Pair::NOTHING).add(pair);
        }
        for (key, sums) in other.ports {
            self.ports.entry(key).or_default().add(sums);
        }
        for (key, (sums, last)) in other.processes {
            let mine = self.processes.entry(key).or_insert((Sums::default(), i64::MIN));
            mine.0.add(sums);
            mine.1 = mine.1.max(last);
        }
        self.rows.append(&mut other.rows);
    }

    /// As bytes, for the journal.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        let mut put = |numbers: &[i64]| {
            for number in numbers {
                push(&mut bytes, zigzag(*number));
            }
        };
        let sums = |it: &Sums| [it.connections, it.failed, it.sent, it.received];
        put(&[self.minutes.len() as i64]);
        for (minute, it) in &self.minutes {
            put(&[*minute]);
            put(&sums(it));
        }
        put(&[self.pairs.len() as i64]);
        for ((hour, program, ip), it) in &self.pairs {
            put(&[*hour, *program, *ip, it.begun, it.seen.0, it.seen.1]);
            put(&sums(&it.sums));
        }
        put(&[self.ports.len() as i64]);
        for ((hour, transport, port), it) in &self.ports {
            put(&[*hour, *transport, *port]);
            put(&sums(it));
        }
        put(&[self.processes.len() as i64]);
        for (process, (it, last)) in &self.processes {
            put(&[*process, *last]);
            put(&sums(it));
        }
        bytes
    }

    /// What such bytes say; `None` where they say nothing.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes.strip_prefix(&[VERSION])?;
        let mut tally = Self::default();
        let rest = &mut rest;
        for _ in 0..next(rest)? {
            tally.minutes.insert(next(rest)?, sums(rest)?);
        }
        for _ in 0..next(rest)? {
            let key = (next(rest)?, next(rest)?, next(rest)?);
            let (begun, seen) = (next(rest)?, (next(rest)?, next(rest)?));
            let sums = sums(rest)?;
            tally.pairs.insert(key, Pair { sums, begun, seen });
        }
        for _ in 0..next(rest)? {
            tally
                .ports
                .insert((next(rest)?, next(rest)?, next(rest)?), sums(rest)?);
        }
        for _ in 0..next(rest)? {
            let (process, last) = (next(rest)?, next(rest)?);
            tally.processes.insert(process, (sums(rest)?, last));
        }
        rest.is_empty().then_some(tally)
    }
}

/// Addresses and rows as bytes, for the journal: each row as the difference to the one before.
pub(crate) fn encode_rows(rows: &[(i64, i64)]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(rows.len() * 8);
    let mut before = 0_i64;
    for (ip, row) in rows {
        push(&mut bytes, zigzag(*ip));
        push(&mut bytes, zigzag(row.wrapping_sub(before)));
        before = *row;
    }
    bytes
}

/// The addresses and rows of such bytes, as far as they can be read.
pub(crate) fn decode_rows(mut bytes: &[u8]) -> impl Iterator<Item = (i64, i64)> {
    let mut before = 0_i64;
    std::iter::from_fn(move || {
        let ip = next(&mut bytes)?;
        before = before.wrapping_add(next(&mut bytes)?);
        Some((ip, before))
    })
}

/// First byte of the journal's entries.
const VERSION: u8 = 1;

fn next(bytes: &mut &[u8]) -> Option<i64> {
    let number = pull(bytes)?;
    Some((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
}

const fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)).cast_unsigned()
}

fn sums(bytes: &mut &[u8]) -> Option<Sums> {
    Some(Sums {
        connections: next(bytes)?,
        failed: next(bytes)?,
        sent: next(bytes)?,
        received: next(bytes)?,
    })
}

/// Minutes since the epoch.
pub(crate) const fn minute(time: Time) -> i64 {
    time.0.div_euclid(60_000_000)
}

/// Hours since the epoch.
pub(crate) const fn hour(time: Time) -> i64 {
    time.0.div_euclid(3_600_000_000)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const UNDER: Under = Under {
        process: 0,
        program: 0,
        ip: 9,
        transport: 6,
        port: 443,
        begun: true,
    };

    fn traffic(sent_bytes: u64, received_bytes: u64) -> Traffic {
        Traffic {
            sent_bytes,
            received_bytes,
            ..Traffic::default()
        }
    }

    #[test]
    fn bytes_count_when_they_are_told_and_move_to_their_process() {
        let mut tally = Tally::default();
        let at = |minutes: i64| Time(minutes * 60_000_000);
        let mut counted = tally.begin(at(0), UNDER, Some(&traffic(1, 2)), false);
        tally.change(&mut counted, at(61), UNDER, Some(&traffic(10, 20)), false);
        let known = Under {
            process: 7,
            program: 3,
            ..UNDER
        };
        tally.change(&mut counted, at(62), known, Some(&traffic(10, 21)), true);
        tally.change(&mut counted, at(62), known, Some(&traffic(5, 21)), true);
        let minutes = |minute: i64| tally.minutes[&minute];
        let sums = |connections, failed, sent, received| Sums {
            connections,
            failed,
            sent,
            received,
        };
        assert_eq!(minutes(0), sums(1, 0, 1, 2));
        assert_eq!(minutes(61), sums(0, 0, 9, 18));
        assert_eq!(minutes(62), sums(0, 1, 0, 1));
        let total = |program: i64| {
            let pairs = tally.pairs.iter().filter(|(key, _)| key.1 == program);
            pairs.fold(Sums::default(), |mut total, (_, pair)| {
                total.add(pair.sums);
                total
            })
        };
        assert_eq!(total(0), Sums::default());
        assert_eq!(total(3), sums(1, 1, 10, 21));
        assert_eq!(tally.processes[&7], (sums(1, 1, 10, 21), 62 * 60));
    }

    #[test]
    fn what_went_before_the_watch_is_not_counted() {
        let mut tally = Tally::default();
        let mut counted = tally.begin(Time(0), UNDER, Some(&traffic(1_000, 2_000)), true);
        tally.change(&mut counted, Time(5), UNDER, Some(&traffic(1_001, 2_003)), false);
        let sums = tally.minutes[&0];
        assert_eq!((sums.connections, sums.sent, sums.received), (1, 1, 3));
    }

    #[test]
    fn a_scan_of_ports_is_bounded() {
        let mut tally = Tally::default();
        for port in 0..5_000 {
            tally.begin(Time(0), Under { port, ..UNDER }, None, false);
        }
        assert_eq!(tally.ports.len(), PORTS + 1);
        assert_eq!(
            tally.ports[&(0, 6, OTHER_PORTS)].connections,
            5_000 - PORTS as i64
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn the_journal_goes_both_ways(
            steps in prop::collection::vec((any::<(i64, u8, u16)>(), 0_i64..4, any::<bool>(), any::<u64>()), 0..20),
        ) {
            let mut tally = Tally::default();
            for ((time, transport, port), number, begun, bytes) in steps {
                let under = Under { process: number, program: number, ip: number, transport, port, begun };
                let mut counted = tally.begin(Time(time), under, Some(&traffic(bytes, 5)), false);
                let moved = Under { program: number + 1, ..under };
                tally.change(&mut counted, Time(time), moved, Some(&traffic(bytes, bytes)), begun);
            }
            let rows = vec![(3, 1_882_323_000_000_000_000), (3, 5), (i64::MAX, i64::MIN)];
            prop_assert_eq!(decode_rows(&encode_rows(&rows)).collect::<Vec<_>>(), rows);
            let bytes = tally.encode();
            prop_assert_eq!(Tally::decode(&bytes), Some(tally.clone()));
            let mut twice = Tally::default();
            twice.merge(tally.clone());
            twice.merge(Tally::default());
            prop_assert_eq!(twice, tally);
            for end in 0..bytes.len() {
                prop_assert_eq!(Tally::decode(&bytes[..end]), None);
            }
        }

        #[test]
        fn a_damaged_journal_says_nothing(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            drop(Tally::decode(&bytes));
        }
    }
}
