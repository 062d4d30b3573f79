//! The stored rows as events again, in time order.
//!
//! Given back exactly: opened and closed conversations, listeners that appeared and went, every event of a process, gaps,
//! changes of tier. Folded:
//! - Of the updates of a conversation or listener only the last written one remains, and none once it closed.
//! - What does not change in the life of a conversation (endpoints, side, direction, scope, service, owner, control
//!   group) is the last known, also in its opening. An opening has no end.
//! - Ids are the store's: a row's. A process is told with its end only where the event is not earlier than that end.
//! - What was said is told with its conversation as it was last; without a row of that it is not told.
//! - Counters above 2^63 - 1 become that. Ticks are not kept.
//!
//! Events of one time come so that what is referred to comes first: tiers, gaps, processes, listeners and conversations
//! that begin, then changes and ends, ends of processes last.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, LazyLock};

use atalaya_model::{Connection as Conversation, Event, Fact, Span, Time};
use rusqlite::{Connection, Row};

use crate::connections::{self, LONG, LONG_SQL, Moment, ROW};
use crate::identity::Table;
use crate::load::Loader;
use crate::losses::{read_gap, read_tier, told};
use crate::protocols::{self, FACT};
use crate::{StoreError, identity, listeners};

/// Rows fetched at once. Between fetches no transaction is open, so that the writer's log can shrink.
const PAGE: usize = 256;

/// Ids may be so much later than their events: as when a million events share one microsecond.
const SLACK: i64 = 1_000 << 20;

/// The events of a range of time. Ends after the first error.
pub struct History<'a> {
    connection: &'a Connection,
    range: Range<Time>,
    loader: Loader,
    cursors: Vec<Cursor>,
    /// Conversations whose opening was passed, by the time of their last event.
    changes: BinaryHeap<Reverse<(i64, i64)>>,
    failed: bool,
}

/// One ordered stream of events.
struct Cursor {
    source: Source,
    page: VecDeque<Event>,
    /// Where the next page begins: after this (time,) id.
    after: (i64, i64),
    exhausted: bool,
}

/// The streams, in the order in which events of one time come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    Tier,
    Gap,
    ProcessBegun,
    ListenerAppeared,
    /// Conversations that open. What came of them goes into the heap, unless they are long.
    ConnectionOpened,
    /// What was said inside them.
    Dns,
    Tls,
    Http,
    Protocol,
    /// What came of them, out of the heap.
    ConnectionChanged,
    /// What came of the long ones.
    ConnectionLong,
    ListenerChanged,
    ProcessEnded,
}

impl Source {
    const ALL: [Self; 13] = [
        Self::Tier,
        Self::Gap,
        Self::ProcessBegun,
        Self::ListenerAppeared,
        Self::ConnectionOpened,
        Self::Dns,
        Self::Tls,
        Self::Http,
        Self::Protocol,
        Self::ConnectionChanged,
        Self::ConnectionLong,
        Self::ListenerChanged,
        Self::ProcessEnded,
    ];

    /// Its rows after (?1, ?2) up to ?3, in order; the heap has none.
    fn sql(self) -> &'static str {
        static OPENED: LazyLock<String> = LazyLock::new(|| {
            format!("SELECT {ROW} FROM connection WHERE id > ?2 AND id < ?3 ORDER BY id LIMIT ?4")
        });
        static LONG: LazyLock<String> = LazyLock::new(|| {
            let changed = identity::changed_sql("c");
            format!(
                "SELECT {ROW} FROM connection c WHERE {LONG_SQL} AND {changed} >= ?1 AND {changed} < ?3 \
                 AND ({changed} > ?1 OR id > ?2) ORDER BY {changed}, id LIMIT ?4"
            )
        });
        static SAID: LazyLock<[String; 4]> = LazyLock::new(|| {
            [Table::Dns, Table::Tls, Table::Http, Table::Protocol].map(|table| {
                let name = table.name();
                format!("SELECT {FACT} FROM {name} WHERE id > ?2 AND id < ?3 ORDER BY id LIMIT ?4")
            })
        });
        match self {
            Self::Tier => "SELECT * FROM tier_change WHERE id > ?2 AND id < ?3 ORDER BY id LIMIT ?4",
            Self::Gap => "SELECT * FROM gap WHERE id > ?2 AND id < ?3 ORDER BY id LIMIT ?4",
            Self::ProcessBegun => {
                "SELECT * FROM process_event WHERE id > ?2 AND id < ?3 AND kind < 2 ORDER BY id LIMIT ?4"
            }
            Self::ProcessEnded => {
                "SELECT * FROM process_event WHERE id > ?2 AND id < ?3 AND kind = 2 ORDER BY id LIMIT ?4"
            }
            Self::ListenerAppeared => "SELECT * FROM listener WHERE id > ?2 AND id < ?3 ORDER BY id LIMIT ?4",
            Self::ConnectionOpened | Self::ConnectionChanged => &OPENED,
            Self::ConnectionLong => &LONG,
            Self::Dns => &SAID[0],
            Self::Tls => &SAID[1],
            Self::Http => &SAID[2],
            Self::Protocol => &SAID[3],
            Self::ListenerChanged => {
                "SELECT * FROM listener WHERE (changed, id) > (?1, ?2) AND changed < ?3 \
                 AND changed IS NOT NULL ORDER BY changed, id LIMIT ?4"
            }
        }
    }

    const fn by_change(self) -> bool {
        matches!(self, Self::ConnectionLong | Self::ListenerChanged)
    }

    /// The event of a row; `None` where retention took what it refers to.
    fn read(
        self,
        connection: &Connection,
        loader: &mut Loader,
        row: &Row<'_>,
    ) -> Result<Option<Event>, StoreError> {
        let event = match self {
            Self::Tier => {
                let (time, report) = read_tier(row)?;
                Event::new(time, Fact::TierChanged(Arc::new(report)))
            }
            Self::Gap => {
                let (time, gap) = read_gap(row)?;
                Event::new(time, Fact::Gap(gap))
            }
            Self::ProcessBegun | Self::ProcessEnded => {
                let time = told(row)?;
                let id = row.get("process")?;
                let (process, fact): (_, fn(_) -> Fact) = match row.get::<_, i64>("kind")? {
                    0 => (loader.process_at(connection, id, time)?, Fact::ProcessStarted),
                    1 => (loader.process_at(connection, id, time)?, Fact::ProcessUpdated),
                    _ => (
                        loader.process_at(connection, id, Time(i64::MAX))?,
                        Fact::ProcessEnded,
                    ),
                };
                let Some(process) = process else { return Ok(None) };
                Event::new(time, fact(process))
            }
            Self::ListenerAppeared => {
                let (time, listener) = listeners::read(connection, loader, row, Moment::Opened)?;
                Event::new(time, Fact::ListenerAppeared(Arc::new(listener)))
            }
            Self::ListenerChanged => {
                let (time, listener) = listeners::read(connection, loader, row, Moment::Last)?;
                let listener = Arc::new(listener);
                Event::new(
                    time,
                    if row.get::<_, i64>("phase")? == 2 {
                        Fact::ListenerGone(listener)
                    } else {
                        Fact::ListenerUpdated(listener)
                    },
                )
            }
            Self::ConnectionOpened => {
                let (time, _, conversation) = connections::read(connection, loader, row, Moment::Opened)?;
                Event::new(time, Fact::ConnectionOpened(Arc::new(conversation)))
            }
            Self::Dns | Self::Tls | Self::Http | Self::Protocol => {
                let Some((time, protocol)) = protocols::read(connection, loader, row)? else {
                    return Ok(None);
                };
                Event::new(time, Fact::Protocol(Arc::new(protocol)))
            }
            Self::ConnectionChanged | Self::ConnectionLong => {
                changed(connections::read(connection, loader, row, Moment::Last)?)
            }
        };
        Ok(Some(event))
    }
}

/// What came of a conversation.
fn changed((time, phase, conversation): (Time, i64, Conversation)) -> Event {
    let conversation = Arc::new(conversation);
    Event::new(
        time,
        if phase == 2 {
            Fact::ConnectionClosed(conversation)
        } else {
            Fact::ConnectionUpdated(conversation)
        },
    )
}

impl Cursor {
    fn new(source: Source, range: &Range<Time>) -> Self {
        let start = if source == Source::ConnectionOpened {
            // Conversations that opened before may have changed within.
            range.start.after(Span(-LONG))
        } else {
            range.start
        };
        Self {
            source,
            page: VecDeque::new(),
            after: if source.by_change() {
                (range.start.0, -1)
            } else {
                (0, identity::first(start) - 1)
            },
            exhausted: source == Source::ConnectionChanged,
        }
    }

    /// Fetches until there is an event within the range, or no row is left.
    fn fill(
        &mut self,
        connection: &Connection,
        loader: &mut Loader,
        range: &Range<Time>,
        changes: &mut BinaryHeap<Reverse<(i64, i64)>>,
    ) -> Result<(), StoreError> {
        let end = if self.source.by_change() {
            range.end.0
        } else {
            identity::first(range.end).saturating_add(SLACK)
        };
        while self.page.is_empty() && !self.exhausted {
            let mut statement = connection.prepare_cached(self.source.sql())?;
            // SQLite has no notion of an unused parameter: give each statement those that it names.
            if self.source.by_change() {
                statement.raw_bind_parameter(1, self.after.0)?;
            }
            statement.raw_bind_parameter(2, self.after.1)?;
            statement.raw_bind_parameter(3, end)?;
            statement.raw_bind_parameter(4, PAGE as i64)?;
            let mut rows = statement.raw_query();
            let mut count = 0;
            while let Some(row) = rows.next()? {
                count += 1;
                let id = row.get("id")?;
                let mut change = 0;
                match self.source {
                    Source::ListenerChanged => change = row.get("changed")?,
                    Source::ConnectionLong | Source::ConnectionOpened => {
                        let span: Option<i64> = row.get("span")?;
                        change = identity::time(id).0.saturating_add(span.unwrap_or(0));
                        if self.source == Source::ConnectionOpened
                            && span.is_some_and(|span| (0..=LONG).contains(&span))
                            && range.contains(&Time(change))
                        {
                            changes.push(Reverse((change, id)));
                        }
                    }
                    _ => {}
                }
                self.after = (change, id);
                if self.source == Source::ConnectionOpened && identity::time(id).0 + SLACK < range.start.0 {
                    continue; // only what came of it counts
                }
                if let Some(event) = self.source.read(connection, loader, row)?
                    && range.contains(&event.time)
                {
                    self.page.push_back(event);
                }
            }
            self.exhausted = count < PAGE;
        }
        Ok(())
    }
}

impl<'a> History<'a> {
    pub(crate) fn new(connection: &'a Connection, range: Range<Time>) -> Self {
        Self {
            connection,
            cursors: Source::ALL.map(|source| Cursor::new(source, &range)).into(),
            range,
            loader: Loader::default(),
            changes: BinaryHeap::new(),
            failed: false,
        }
    }

    /// Takes the conversation that changed next out of the heap, when no earlier one can come any more.
    fn refill(&mut self) -> Result<(), StoreError> {
        let cursor = |source: Source| {
            let mut cursors = self.cursors.iter();
            cursors
                .find(|cursor| cursor.source == source)
                .map(|cursor| &cursor.page)
        };
        let is_filled = cursor(Source::ConnectionChanged).is_none_or(|page| !page.is_empty());
        let opened = cursor(Source::ConnectionOpened).and_then(VecDeque::front);
        let opened = opened.map_or(i64::MAX, |event| event.time.0);
        while !is_filled
            && let Some(Reverse((time, id))) = self.changes.peek().copied()
            && time <= opened
        {
            self.changes.pop();
            let sql = format!("SELECT {ROW} FROM connection WHERE id = ?1");
            let mut statement = self.connection.prepare_cached(&sql)?;
            let mut rows = statement.query([id])?;
            let Some(row) = rows.next()? else { continue };
            let event = changed(connections::read(
                self.connection,
                &mut self.loader,
                row,
                Moment::Last,
            )?);
            if event.time.0 != time {
                continue; // it changed again meanwhile
            }
            let cursor = self
                .cursors
                .iter_mut()
                .find(|cursor| cursor.source == Source::ConnectionChanged);
            if let Some(cursor) = cursor {
                cursor.page.push_back(event);
            }
            break;
        }
        Ok(())
    }

    fn step(&mut self) -> Result<Option<Event>, StoreError> {
        for cursor in &mut self.cursors {
            cursor.fill(self.connection, &mut self.loader, &self.range, &mut self.changes)?;
        }
        self.refill()?;
        let next = self
            .cursors
            .iter_mut()
            .filter(|cursor| !cursor.page.is_empty())
            .min_by_key(|cursor| cursor.page.front().map(|event| event.time));
        Ok(next.and_then(|cursor| cursor.page.pop_front()))
    }
}

impl Iterator for History<'_> {
    type Item = Result<Event, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let step = self.step();
        self.failed = step.is_err();
        step.transpose()
    }
}
