//! How much went over the network in the last seconds, by process, other end and protocol.
//!
//! In: amounts and whose they are, and the passing of time, about once a second. Kept apart by these seconds, and put
//! together only when somebody asks. Bounded: beyond [`MOST_APART`] in a second, what is new is told apart by process and
//! protocol only, beyond twice that not at all.

use std::collections::VecDeque;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Arc;

use atalaya_model::bandwidth::{Bandwidth, Counted, DestinationRate, ProcessRate, ProtocolRate, Rate};
use atalaya_model::connection::Traffic;
use atalaya_model::{Basis, Connection, Direction, Process, ProcessKey, Side, Span, Text, Time, Transport};
use foldhash::{HashMap, HashMapExt};

use crate::services::service;

/// The time that is averaged.
const WINDOW: Span = Span::from_seconds(10);
/// How long a part of it is at least, and by how much the window may be longer than it should.
const PART: Span = Span::from_seconds(1);
/// A clock that is set back by more begins anew.
const BACK: Span = Span::from_seconds(5);
/// Combinations of process, other end and protocol that are told apart in a second.
const MOST_APART: usize = 4_096;

/// What is spoken, and how that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Spoken {
    name: &'static str,
    basis: Option<Basis>,
}

impl Spoken {
    /// What is not told apart.
    pub(crate) const OTHER: Self = Self {
        name: "other",
        basis: None,
    };

    /// By content, else by the port that answers, else only the transport.
    pub(crate) fn of(
        known: Option<(atalaya_model::Application, Basis)>,
        transport: Transport,
        port: u16,
    ) -> Self {
        let known = known.map(|(application, basis)| (application.name(), basis));
        match known.or_else(|| Some((service(transport, port)?, Basis::Port))) {
            Some((name, basis)) => Self {
                name,
                basis: Some(basis),
            },
            None => Self {
                name: transport.name(),
                basis: None,
            },
        }
    }
}

/// What of an amount was not counted elsewhere already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Part {
    /// All of it.
    Whole,
    /// The frames of a tunnel that were counted for the packets around.
    Inside,
    /// The other end of the same conversation has it, too: only the process is new.
    Again,
}

/// Whose an amount is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Whose<'a> {
    pub(crate) process: Option<&'a Arc<Process>>,
    /// `None` where it cannot be told apart any more.
    pub(crate) remote: Option<IpAddr>,
    pub(crate) name: Option<&'a Text>,
    pub(crate) spoken: Spoken,
    pub(crate) part: Part,
}

impl Whose<'_> {
    /// What is not told apart.
    pub(crate) const NOBODY: Self = Self {
        process: None,
        remote: None,
        name: None,
        spoken: Spoken::OTHER,
        part: Part::Whole,
    };
}

/// Bytes and packets: not per second, but so many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Amount(pub(crate) Rate);

impl Amount {
    /// What the kernel counted since an earlier count.
    fn between(before: Traffic, after: Traffic) -> Self {
        Self(Rate {
            sent_bytes: after.sent_bytes.saturating_sub(before.sent_bytes),
            received_bytes: after.received_bytes.saturating_sub(before.received_bytes),
            sent_packets: after.sent_packets.saturating_sub(before.sent_packets),
            received_packets: after.received_packets.saturating_sub(before.received_packets),
        })
    }

    /// As the other end has it.
    pub(crate) const fn turned(self) -> Self {
        Self(Rate {
            sent_bytes: self.0.received_bytes,
            received_bytes: self.0.sent_bytes,
            sent_packets: self.0.received_packets,
            received_packets: self.0.sent_packets,
        })
    }

    const fn is_nothing(self) -> bool {
        self.0.bytes() == 0 && self.0.packets() == 0
    }

    /// So many packets with so many bytes.
    pub(crate) const fn sent(packets: u64, bytes: u64) -> Self {
        Self(Rate {
            sent_bytes: bytes,
            received_bytes: 0,
            sent_packets: packets,
            received_packets: 0,
        })
    }

    pub(crate) fn add(&mut self, more: Self) {
        for (sum, more) in self.numbers().into_iter().zip({ more }.numbers()) {
            *sum = sum.saturating_add(*more);
        }
    }

    /// The amount of a longer time as that of one second.
    fn per_second(self, over: Span) -> Rate {
        self.scaled(Span::from_seconds(1), over).0
    }

    /// The part of it that belongs to the last seconds, where it is of a longer time.
    fn recent(self, over: Span) -> Self {
        if over > WINDOW {
            self.scaled(WINDOW, over)
        } else {
            self
        }
    }

    fn scaled(mut self, to: Span, from: Span) -> Self {
        let (to, from) = (to.0.unsigned_abs(), from.0.unsigned_abs().max(1));
        for number in self.numbers() {
            let scaled = u128::from(*number) * u128::from(to) / u128::from(from);
            *number = u64::try_from(scaled).unwrap_or(u64::MAX);
        }
        self
    }

    fn numbers(&mut self) -> [&mut u64; 4] {
        let Rate {
            sent_bytes,
            received_bytes,
            sent_packets,
            received_packets,
        } = &mut self.0;
        [sent_bytes, received_bytes, sent_packets, received_packets]
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    process: Option<ProcessKey>,
    remote: Option<IpAddr>,
    spoken: Spoken,
    part: Part,
}

#[derive(Clone, Debug, Default)]
struct Entry {
    process: Option<Arc<Process>>,
    name: Option<Text>,
    amount: Amount,
}

type Entries = HashMap<Key, Entry>;

/// The last seconds.
#[derive(Debug)]
pub(crate) struct Meter {
    /// Parts of the window with their beginnings; each ends where the next one begins.
    parts: VecDeque<(Time, Entries)>,
    /// The part that is not over yet.
    open: Entries,
    /// When that began.
    since: Time,
    /// Packets are read: the kernel's counts are not taken.
    pub(crate) reads_packets: bool,
}

impl Meter {
    /// Counts from a time on.
    pub(crate) fn new(begin: Time) -> Self {
        Self {
            parts: VecDeque::new(),
            open: HashMap::new(),
            since: begin,
            reads_packets: false,
        }
    }

    /// Everything that was added went by until `now`.
    pub(crate) fn pass(&mut self, now: Time) {
        if self.since.since(now) > BACK {
            self.parts.clear();
            self.open.clear();
            self.since = now;
        } else if now.since(self.since) >= PART {
            let entries = std::mem::take(&mut self.open);
            self.parts.push_back((self.since, entries));
            self.since = now;
            let is_old = |begin: Time| now.since(begin) > Span(WINDOW.0 + PART.0 / 2);
            while self.parts.len() > 1 && self.parts.pop_front_if(|(begin, _)| is_old(*begin)).is_some() {}
        }
    }

    /// Adds what went by.
    pub(crate) fn add(&mut self, whose: Whose<'_>, amount: Amount) {
        if amount.is_nothing() {
            return;
        }
        let entries = &mut self.open;
        let mut key = Key {
            process: whose.process.map(|process| process.key),
            remote: whose.remote,
            spoken: whose.spoken,
            part: whose.part,
        };
        if entries.len() >= MOST_APART && !entries.contains_key(&key) {
            key.remote = None;
            if entries.len() >= 2 * MOST_APART && !entries.contains_key(&key) {
                key.process = None;
                key.spoken = Spoken::OTHER;
            }
        }
        let entry = entries.entry(key).or_insert_with(|| Entry {
            process: key.process.and(whose.process.cloned()),
            ..Entry::default()
        });
        if entry.name.is_none() && key.remote.is_some() {
            entry.name = whose.name.cloned();
        }
        entry.amount.add(amount);
    }

    /// Adds what the kernel counted for a connection since `before`, which was at `since`; that of looks is of all the time
    /// between.
    pub(crate) fn add_kernel(
        &mut self,
        time: Time,
        connection: &Connection,
        before: Traffic,
        since: Option<Time>,
    ) {
        if self.reads_packets {
            return;
        }
        let Some(after) = connection.traffic else {
            return;
        };
        let over = since.map_or(Span(0), |since| time.since(since));
        let is_other_end = connection.direction == Direction::Local && connection.side == Side::Destination;
        let whose = Whose {
            process: connection.process.as_ref(),
            remote: Some(connection.remote().ip),
            name: connection.name.as_ref(),
            spoken: Spoken::of(None, connection.transport, connection.destination.port),
            part: if is_other_end { Part::Again } else { Part::Whole },
        };
        self.add(whose, Amount::between(before, after).recent(over));
    }

    /// What is used per second, the first `most` of each kind; `None` before the first second is over.
    pub(crate) fn bandwidth(&self, most: usize) -> Option<Bandwidth> {
        let over = self.since.since(self.parts.front()?.0);
        let (mut all, mut processes) = (Amount::default(), HashMap::new());
        let (mut destinations, mut protocols) = (HashMap::new(), HashMap::new());
        for (key, entry) in self.parts.iter().flat_map(|(_, entries)| entries) {
            sum(&mut processes, key.process, entry);
            if key.part == Part::Whole {
                all.add(entry.amount);
            }
            if key.part != Part::Again {
                sum(&mut destinations, key.remote, entry);
                sum(&mut protocols, key.spoken, entry);
            }
        }
        let processes = first(processes, most).map(|(key, entry)| ProcessRate {
            process: key,
            name: entry.process.as_ref().map(|process| process.name.clone()),
            executable: entry
                .process
                .as_ref()
                .and_then(|process| process.executable.clone()),
            rate: entry.amount.per_second(over),
        });
        let destinations = first(destinations, most).map(|(ip, entry)| DestinationRate {
            ip,
            name: entry.name,
            rate: entry.amount.per_second(over),
        });
        let protocols = first(protocols, most).map(|(spoken, entry)| ProtocolRate {
            name: spoken.name.into(),
            basis: spoken.basis,
            rate: entry.amount.per_second(over),
        });
        Some(Bandwidth {
            counted: if self.reads_packets {
                Counted::Packets
            } else {
                Counted::Kernel
            },
            over,
            all: all.per_second(over),
            processes: processes.collect(),
            destinations: destinations.collect(),
            protocols: protocols.collect(),
        })
    }
}

fn sum<K: Eq + Hash>(sums: &mut HashMap<K, Entry>, key: K, more: &Entry) {
    let entry = sums.entry(key).or_default();
    entry.amount.add(more.amount);
    // A process may have called exec: the last word counts.
    entry.process = more.process.clone().or(entry.process.take());
    entry.name = more.name.clone().or(entry.name.take());
}

/// Those with most bytes, then packets.
fn first<K: Ord + Copy>(sums: HashMap<K, Entry>, most: usize) -> impl Iterator<Item = (K, Entry)> {
    let mut sums: Vec<_> = sums.into_iter().collect();
    let order = |(key, entry): &(K, Entry)| {
        let rate = entry.amount.0;
        (std::cmp::Reverse((rate.bytes(), rate.packets())), *key)
    };
    sums.sort_unstable_by_key(order);
    sums.into_iter().take(most)
}

#[cfg(test)]
mod tests;
