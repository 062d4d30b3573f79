//! The stored rows as events again, in time order.
//!
//! Given back exactly: opened and closed conversations, listeners that appeared and went, every event of a process, gaps,
//! changes of tier. Folded:
//! - Of the updates of a conversation or listener only the last written one remains, and none once it closed.
//! - What does not change in the life of a conversation (endpoints, side, direction, scope, service, owner, control
//!   group) is the last known, also in its opening. An opening has no end.
//! - Ids are the store's: a row's. A process is told with its end only where the event is not earlier than that end.
//! - Counters above 2^63 - 1 become that. Ticks are not kept.
//!
//! Events of one time come so that what is referred to comes first: tiers, gaps, processes, listeners and conversations
//! that begin, then changes and ends, ends of processes last.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use atalaya_model::{Event, Fact, Time};
use rusqlite::{Connection, Row};

use crate::connections::{self, Moment};
use crate::load::Loader;
use crate::losses::{read_gap, read_tier, told};
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
    ConnectionOpened,
    ConnectionChanged,
    ListenerChanged,
    ProcessEnded,
}

impl Source {
    const ALL: [Self; 8] = [
        Self::Tier,
        Self::Gap,
        Self::ProcessBegun,
        Self::ListenerAppeared,
        Self::ConnectionOpened,
        Self::ConnectionChanged,
        Self::ListenerChanged,
        Self::ProcessEnded,
    ];

    /// Its rows after (?1, ?2) up to ?3, in order.
    const fn sql(self) -> &'static str {
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
            Self::ConnectionOpened => {
                "SELECT * FROM connection WHERE id > ?2 AND id < ?3 ORDER BY id LIMIT ?4"
            }
            Self::ConnectionChanged => {
                "SELECT * FROM connection WHERE (changed, id) > (?1, ?2) AND changed < ?3 \
                 AND changed IS NOT NULL ORDER BY changed, id LIMIT ?4"
            }
            Self::ListenerChanged => {
                "SELECT * FROM listener WHERE (changed, id) > (?1, ?2) AND changed < ?3 \
                 AND changed IS NOT NULL ORDER BY changed, id LIMIT ?4"
            }
        }
    }

    const fn by_change(self) -> bool {
        matches!(self, Self::ConnectionChanged | Self::ListenerChanged)
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
                let (time, conversation) = connections::read(connection, loader, row, Moment::Opened)?;
                Event::new(time, Fact::ConnectionOpened(Arc::new(conversation)))
            }
            Self::ConnectionChanged => {
                let (time, conversation) = connections::read(connection, loader, row, Moment::Last)?;
                let conversation = Arc::new(conversation);
                Event::new(
                    time,
                    if row.get::<_, i64>("phase")? == 2 {
                        Fact::ConnectionClosed(conversation)
                    } else {
                        Fact::ConnectionUpdated(conversation)
                    },
                )
            }
        };
        Ok(Some(event))
    }
}

impl Cursor {
    /// Fetches until there is an event within the range, or no row is left.
    fn fill(
        &mut self,
        connection: &Connection,
        loader: &mut Loader,
        range: &Range<Time>,
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
                let changed = if self.source.by_change() {
                    row.get("changed")?
                } else {
                    0
                };
                self.after = (changed, row.get("id")?);
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
        let cursors = Source::ALL
            .into_iter()
            .map(|source| Cursor {
                source,
                page: VecDeque::new(),
                after: if source.by_change() {
                    (range.start.0, -1)
                } else {
                    (0, identity::first(range.start) - 1)
                },
                exhausted: false,
            })
            .collect();
        Self {
            connection,
            range,
            loader: Loader::default(),
            cursors,
            failed: false,
        }
    }

    fn step(&mut self) -> Result<Option<Event>, StoreError> {
        for cursor in &mut self.cursors {
            cursor.fill(self.connection, &mut self.loader, &self.range)?;
        }
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
