//! From events to rows: which row an event belongs to, and which updates are worth writing.

mod rolling;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use atalaya_model::{
    Connection as Conversation, Event, Fact, Listener, Process, ProcessKey, Span, Text, Time,
    protocol::Protocol,
};
use rusqlite::Connection;

use crate::connections::{Kept, Life, Phase};
use crate::dictionary::Dictionaries;
use crate::identity::{Identities, Table};
use crate::retain::Swept;
use crate::rollups::{self, Round};
use crate::tally::{Counted, Tally, Under};
use crate::writer::{Entry, Written};
use crate::{StoreError, alerts, connections, listeners, losses, memory, processes, protocols};
use rolling::Rolling;

/// A run is marked as alive once in so long.
const SEEN: Span = Span::from_seconds(60);

/// Conversations, listeners and processes remembered as alive. Beyond it, a row is written only at its end.
const LIVE: usize = 1 << 18;

/// What the writer knows between batches.
#[derive(Debug)]
pub(crate) struct Rows {
    /// The row of this run; 0 until the first event, so that a command that only triages makes none.
    pub(crate) run: i64,
    /// Version of the program, and when the run began.
    pub(crate) begun: (Text, Time),
    pub(crate) dictionaries: Dictionaries,
    identities: Identities,
    pub(crate) live: Live,
    /// Event time when the run was last marked as alive.
    seen: Time,
    /// The days before which, by kind of dictionary, everything unused is known to be gone.
    pub(crate) swept: Swept,
    held: Vec<Held>,
    /// Facts of this batch: they name the rows of their conversations, which are inserted first.
    said: Vec<(Time, Arc<Protocol>)>,
    /// The rows of what ended last: facts may be told after the end.
    ended: Ended,
    /// What is in the journal, but neither in the sums nor on its way there.
    tally: Tally,
    /// What this batch adds.
    fresh: Tally,
    /// The sums are being written.
    rolling: Option<Rolling>,
    /// Time of the newest event that was written.
    newest: Time,
    undo: Vec<Undo>,
}

/// The rows of what lives, by the ids that the tracker gave.
#[derive(Debug, Default)]
pub(crate) struct Live {
    pub(crate) connections: HashMap<u64, Open>,
    pub(crate) listeners: HashMap<u64, i64>,
    pub(crate) processes: HashMap<ProcessKey, i64>,
}

/// An open conversation.
#[derive(Clone, Debug)]
pub(crate) struct Open {
    place: Place,
    /// The newest state that is not written yet.
    pending: Option<(Time, Arc<Conversation>)>,
}

impl Open {
    /// Its row; 0 before the batch that opens it is over.
    pub(crate) const fn row(&self) -> i64 {
        match &self.place {
            Place::Held(_) => 0,
            Place::Kept(alive) => alive.kept.row,
        }
    }
}

/// Where an open conversation is.
#[derive(Clone, Debug)]
enum Place {
    /// Among what this batch opened.
    Held(usize),
    /// In the table, and in the sums.
    Kept(Box<Alive>),
}

/// A conversation that lives, as it is in the table and in the sums.
#[derive(Clone, Debug)]
struct Alive {
    kept: Kept,
    counted: Counted,
}

/// A conversation that this batch opened. It is inserted at the end of the batch, with what came of it until then: what
/// closes at once takes one row, once; and rows that are told late are put in order.
#[derive(Debug)]
struct Held {
    id: u64,
    opened: (Time, Arc<Conversation>),
    last: Option<(Phase, Time, Arc<Conversation>)>,
}

/// What a failed batch goes back to.
#[derive(Debug)]
pub(crate) struct Before {
    run: i64,
    identities: Identities,
    seen: Time,
    newest: Time,
}

/// What a failed batch must take back.
#[derive(Debug)]
enum Undo {
    Connection(u64, Option<Open>),
    Pending(u64, Option<(Time, Arc<Conversation>)>),
    Listener(u64, Option<i64>),
    Process(ProcessKey, Option<i64>),
}

impl Rows {
    /// Nothing written yet; what an earlier run left in the journal.
    pub(crate) fn new(boot: i64, version: Text, now: Time, (round, tally): (Option<Round>, Tally)) -> Self {
        Self {
            run: 0,
            begun: (version, now),
            dictionaries: Dictionaries::new(boot),
            identities: Identities::default(),
            live: Live::default(),
            seen: now,
            swept: Swept::default(),
            held: Vec::new(),
            said: Vec::new(),
            ended: Ended::default(),
            tally,
            fresh: Tally::default(),
            rolling: round.map(Rolling::left_off),
            newest: Time(i64::MIN),
            undo: Vec::new(),
        }
    }

    /// Writes a batch within the caller's transaction. When it fails, or the transaction does, call [`Rows::undo`].
    pub(crate) fn write(&mut self, connection: &Connection, batch: &[Entry]) -> Result<Written, StoreError> {
        let mut written = Written::default();
        for entry in batch {
            match entry {
                Entry::Event(event) => self.event(connection, event, &mut written)?,
                Entry::Alert(record) => {
                    alerts::write(connection, record)?;
                    written.rows += 1;
                }
                Entry::Memory(memory) => {
                    if memory::write(connection, memory)? {
                        written.rows += 1;
                    } else {
                        written.refused += 1;
                    }
                }
            }
        }
        self.settle(connection, &mut written)?;
        self.say(connection)?;
        let newest = batch.iter().rev().find_map(|entry| match entry {
            Entry::Event(event) => Some(event.time),
            _ => None,
        });
        if let Some(now) = newest {
            rollups::note(connection, &self.fresh)?;
            if now.since(self.seen).0.abs() >= SEEN.0 {
                self.show_life(connection, now)?;
            }
            self.newest = now;
        }
        Ok(written)
    }

    /// Marks the run as alive.
    fn show_life(&mut self, connection: &Connection, now: Time) -> Result<(), StoreError> {
        connection
            .prepare_cached("UPDATE run SET seen = max(seen, ?2) WHERE id = ?1")?
            .execute([self.run, now.0])?;
        self.seen = now;
        Ok(())
    }

    /// Rows that are gone, or have another address, and may still be in the index by the old one.
    pub(crate) fn moved(&self) -> usize {
        let round = self.rolling.as_ref().map_or(0, Rolling::moved);
        let rows = self.tally.rows.iter().chain(&self.fresh.rows);
        round + rows.filter(|(_, row)| *row < 0).count()
    }

    /// Notes that a conversation's row is gone from the table.
    pub(crate) fn gone(&mut self, ip: i64, row: i64) {
        self.fresh.rows.push((ip, !row));
    }

    /// Notes what of the index this transaction made wrong, so that it becomes right with the sums.
    pub(crate) fn note(&self, connection: &Connection) -> Result<(), StoreError> {
        rollups::note(connection, &self.fresh)
    }

    /// The state that [`Rows::undo`] goes back to.
    pub(crate) fn begin(&mut self) -> Before {
        self.undo.clear();
        self.held.clear();
        self.said.clear();
        self.tally.merge(std::mem::take(&mut self.fresh));
        Before {
            run: self.run,
            identities: self.identities.clone(),
            seen: self.seen,
            newest: self.newest,
        }
    }

    /// Forgets what a failed batch did.
    pub(crate) fn undo(&mut self, before: Before) {
        self.run = before.run;
        self.identities = before.identities;
        self.seen = before.seen;
        self.newest = before.newest;
        self.dictionaries.forget();
        self.held.clear();
        self.said.clear();
        self.fresh = Tally::default();
        while let Some(step) = self.undo.pop() {
            match step {
                Undo::Connection(id, before) => restore(&mut self.live.connections, id, before),
                Undo::Pending(id, before) => {
                    if let Some(open) = self.live.connections.get_mut(&id) {
                        open.pending = before;
                    }
                }
                Undo::Listener(id, before) => restore(&mut self.live.listeners, id, before),
                Undo::Process(key, before) => restore(&mut self.live.processes, key, before),
            }
        }
    }

    fn event(
        &mut self,
        connection: &Connection,
        event: &Event,
        written: &mut Written,
    ) -> Result<(), StoreError> {
        let time = event.time;
        if self.run == 0 {
            connection
                .prepare_cached("INSERT INTO run (boot, version, started, seen) VALUES (?1, ?2, ?3, ?3)")?
                // What is read from files happened before anybody read it.
                .execute((self.dictionaries.boot, &*self.begun.0, self.begun.1.min(time).0))?;
            self.run = connection.last_insert_rowid();
        }
        match &event.fact {
            Fact::ConnectionOpened(it) => {
                if self.live.connections.len() < LIVE {
                    self.open(time, it, None);
                }
            }
            Fact::ConnectionUpdated(it) => {
                if let Some(open) = self.live.connections.get_mut(&it.id) {
                    let before = open.pending.replace((time, it.clone()));
                    written.folded += u64::from(before.is_some());
                    self.undo.push(Undo::Pending(it.id, before));
                } else if self.live.connections.len() < LIVE {
                    let last = (Phase::Updated, time, it.clone());
                    self.open(it.started.min(time), it, Some(last));
                }
            }
            Fact::ConnectionClosed(it) => {
                let open = self.live.connections.remove(&it.id);
                written.folded += u64::from(open.as_ref().is_some_and(|open| open.pending.is_some()));
                let last = (Phase::Closed, time, it.clone());
                match open.as_ref().map(|open| &open.place) {
                    Some(Place::Held(index)) => {
                        let index = *index;
                        if let Some(held) = self.held.get_mut(index) {
                            held.last = Some(last);
                        }
                    }
                    Some(Place::Kept(alive)) => {
                        let alive = Alive::clone(alive);
                        self.close(connection, alive, time, it)?;
                        written.rows += 1;
                    }
                    None => self.held.push(Held {
                        id: it.id,
                        opened: (it.started.min(time), it.clone()),
                        last: Some(last),
                    }),
                }
                self.undo.push(Undo::Connection(it.id, open));
            }
            Fact::ProcessStarted(it) => self.process(connection, time, 0, it)?,
            Fact::ProcessUpdated(it) => self.process(connection, time, 1, it)?,
            Fact::ProcessEnded(it) => self.process(connection, time, 2, it)?,
            Fact::ListenerAppeared(it) => self.appear(connection, time, it).map(drop)?,
            Fact::ListenerUpdated(it) => self.listener(connection, time, Phase::Updated, it)?,
            Fact::ListenerGone(it) => self.listener(connection, time, Phase::Closed, it)?,
            Fact::Gap(gap) => {
                let id = self.identities.next(connection, Table::Gap, time)?;
                losses::insert_gap(connection, id, time, gap)?;
            }
            Fact::TierChanged(report) => {
                let id = self.identities.next(connection, Table::TierChange, time)?;
                losses::insert_tier(connection, self.run, id, report)?;
            }
            Fact::Protocol(it) => self.said.push((time, it.clone())),
            Fact::Tick { .. } => return Ok(()),
        }
        if !matches!(event.fact.kind(), "connection") {
            written.rows += 1;
        }
        Ok(())
    }

    /// Holds a conversation until the end of the batch, and remembers it as open.
    fn open(&mut self, time: Time, it: &Arc<Conversation>, last: Option<(Phase, Time, Arc<Conversation>)>) {
        let open = Open {
            place: Place::Held(self.held.len()),
            pending: None,
        };
        self.held.push(Held {
            id: it.id,
            opened: (time, it.clone()),
            last,
        });
        let before = self.live.connections.insert(it.id, open);
        self.undo.push(Undo::Connection(it.id, before));
    }

    /// Inserts what this batch opened, in the order of time.
    fn settle(&mut self, connection: &Connection, written: &mut Written) -> Result<(), StoreError> {
        let held = std::mem::take(&mut self.held);
        let mut order: Vec<_> = (0..held.len()).collect();
        order.sort_by_key(|index| held[*index].opened.0);
        for index in order {
            let Held { id, opened, last } = &held[index];
            let (row, _) = self.identities.next(connection, Table::Connection, opened.0)?;
            let life = Life {
                opened: (opened.0, &opened.1),
                last: last.as_ref().map(|(phase, time, it)| (*phase, *time, &**it)),
            };
            let kept = connections::insert(connection, &mut self.dictionaries, self.run, row, life)?;
            written.rows += 1;
            let it = last.as_ref().map_or(&opened.1, |(_, _, it)| it);
            let under = under(connection, &mut self.dictionaries, &kept, it)?;
            let mut counted = self.fresh.open(opened.0, under, &opened.1);
            self.fresh.rows.push((under.ip, row));
            if let Some((_, time, it)) = last {
                let is_failure = it.outcome.is_failure();
                self.fresh
                    .change(&mut counted, *time, under, it.traffic.as_ref(), is_failure);
            }
            if let Some(open) = self.live.connections.get_mut(id)
                && matches!(open.place, Place::Held(place) if place == index)
            {
                // What a failed batch opened is taken back anyway.
                open.place = Place::Kept(Box::new(Alive { kept, counted }));
            } else {
                self.ended.insert(*id, row);
            }
        }
        Ok(())
    }

    /// Inserts what was said in this batch.
    fn say(&mut self, connection: &Connection) -> Result<(), StoreError> {
        for (time, it) in std::mem::take(&mut self.said) {
            let id = it.connection.id;
            let row = match self.live.connections.get(&id) {
                Some(open) => Some(open.row()),
                None => self.ended.get(id),
            };
            let place = self
                .identities
                .next(connection, protocols::table(&it.message), time)?;
            protocols::write(connection, &mut self.dictionaries, place, time, &it, row)?;
        }
        Ok(())
    }

    fn close(
        &mut self,
        connection: &Connection,
        mut alive: Alive,
        time: Time,
        it: &Arc<Conversation>,
    ) -> Result<(), StoreError> {
        let last = (Phase::Closed, time);
        let Alive { kept, counted } = &mut alive;
        let before = kept.ends.remote_ip;
        if !connections::update(connection, &mut self.dictionaries, self.run, kept, last, it)? {
            // The row is gone (only a hand on the database does that): keep what is known in a new one.
            self.held.push(Held {
                id: it.id,
                opened: (it.started.min(time), it.clone()),
                last: Some((Phase::Closed, time, it.clone())),
            });
            return Ok(());
        }
        self.ended.insert(it.id, kept.row);
        let under = under(connection, &mut self.dictionaries, kept, it)?;
        self.fresh.place(kept.row, before, under.ip);
        let is_failure = it.outcome.is_failure();
        self.fresh
            .change(counted, time, under, it.traffic.as_ref(), is_failure);
        Ok(())
    }

    fn process(
        &mut self,
        connection: &Connection,
        time: Time,
        kind: i64,
        it: &Arc<Process>,
    ) -> Result<(), StoreError> {
        let process = self.dictionaries.process(connection, it, time)?;
        let before = if kind == 2 {
            processes::end(connection, self.dictionaries.boot, it)?;
            self.live.processes.remove(&it.key)
        } else if self.live.processes.len() < LIVE {
            self.live.processes.insert(it.key, process)
        } else {
            None
        };
        self.undo.push(Undo::Process(it.key, before));
        let (id, late) = self.identities.next(connection, Table::ProcessEvent, time)?;
        connection
            .prepare_cached("INSERT INTO process_event (id, late, kind, process) VALUES (?1, ?2, ?3, ?4)")?
            .execute([id, late, kind, process])?;
        Ok(())
    }

    fn appear(&mut self, connection: &Connection, time: Time, it: &Listener) -> Result<i64, StoreError> {
        let id = self.identities.next(connection, Table::Listener, time)?;
        listeners::insert(connection, &mut self.dictionaries, self.run, id, time, it)?;
        if self.live.listeners.len() < LIVE {
            let before = self.live.listeners.insert(it.id, id.0);
            self.undo.push(Undo::Listener(it.id, before));
        }
        Ok(id.0)
    }

    fn listener(
        &mut self,
        connection: &Connection,
        time: Time,
        phase: Phase,
        it: &Listener,
    ) -> Result<(), StoreError> {
        let row = match self.live.listeners.get(&it.id) {
            Some(row) => *row,
            None => self.appear(connection, it.started.min(time), it)?,
        };
        listeners::update(connection, &mut self.dictionaries, row, phase, time, it)?;
        if phase == Phase::Closed {
            let before = self.live.listeners.remove(&it.id);
            self.undo.push(Undo::Listener(it.id, before));
        }
        Ok(())
    }
}

/// The rows of what ended last, by the tracker's ids.
#[derive(Debug, Default)]
struct Ended {
    rows: HashMap<u64, i64>,
    order: VecDeque<u64>,
}

impl Ended {
    /// Conversations remembered after their end.
    const MOST: usize = 8_192;

    fn insert(&mut self, id: u64, row: i64) {
        if self.rows.insert(id, row).is_none() {
            self.order.push_back(id);
        }
        while self.order.len() > Self::MOST {
            if let Some(oldest) = self.order.pop_front() {
                self.rows.remove(&oldest);
            }
        }
    }

    fn get(&self, id: u64) -> Option<i64> {
        self.rows.get(&id).copied()
    }
}

/// Under whom a conversation counts.
fn under(
    connection: &Connection,
    dictionaries: &mut Dictionaries,
    kept: &Kept,
    it: &Conversation,
) -> Result<Under, StoreError> {
    Ok(Under {
        process: kept.process.unwrap_or(0),
        program: match kept.process {
            Some(process) => dictionaries.program_of(connection, process)?,
            None => 0,
        },
        ip: kept.ends.remote_ip,
        transport: it.transport.number(),
        port: it.destination.port,
        begun: it.is_initiator(),
    })
}

fn restore<K: std::hash::Hash + Eq, V>(map: &mut HashMap<K, V>, key: K, before: Option<V>) {
    match before {
        Some(value) => map.insert(key, value),
        None => map.remove(&key),
    };
}
