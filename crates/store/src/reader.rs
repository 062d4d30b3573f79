//! Questions to a database, also while the watcher writes it. Each reader has its own read-only connection.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use atalaya_model::fields::{Kind, Record};
use atalaya_model::filter::Expression;
use atalaya_model::memory::Memory;
use atalaya_model::{Alert, Gap, Listener, Process, Severity, Text, Tier, Time};
use rusqlite::types::Value as Sql;
use rusqlite::{Connection, params_from_iter};

use crate::alerts::StoredAlert;
use crate::connections::{Moment, ROW};
use crate::filter::Condition;
use crate::history::History;
use crate::load::Loader;
use crate::{StoreError, alerts, codes, connections, listeners, losses, memory, open, rebuild};

/// A read-only view of a database.
#[derive(Debug)]
pub struct Reader {
    connection: Connection,
}

/// A stored record, whole.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "one variant a kind of record")]
pub enum Stored {
    Connection(Arc<atalaya_model::Connection>),
    Process(Arc<Process>),
    Listener(Arc<Listener>),
    Alert(Box<Alert>),
    Gap(Gap),
}

impl Stored {
    /// The record, for fields, filters and outlets.
    pub fn record(&self) -> Record<'_> {
        match self {
            Self::Connection(connection) => Record::Connection(connection),
            Self::Process(process) => Record::Process(process),
            Self::Listener(listener) => Record::Listener(listener),
            Self::Alert(alert) => Record::Alert(alert),
            Self::Gap(gap) => Record::Gap(gap),
        }
    }
}

/// Which alerts to list. The default is all of them, newest first, at most 1,000.
#[derive(Clone, Debug)]
pub struct AlertQuery {
    /// Raised within.
    pub range: Range<Time>,
    /// Only these, by the filter grammar.
    pub filter: Expression,
    /// Of this severity or worse.
    pub at_least: Severity,
    /// Only what nobody acknowledged or closed.
    pub open: bool,
    /// Skip so many.
    pub offset: usize,
    /// At most so many.
    pub limit: usize,
}

impl Default for AlertQuery {
    fn default() -> Self {
        Self {
            range: Time(i64::MIN)..Time(i64::MAX),
            filter: Expression::All,
            at_least: Severity::Info,
            open: false,
            offset: 0,
            limit: 1_000,
        }
    }
}

/// An executable that was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Executable {
    pub path: Option<Text>,
    pub sha256: Option<Text>,
    pub first_seen: Time,
    pub last_seen: Time,
}

/// One run of a watcher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Version of the program.
    pub version: Text,
    /// Boot id of the system.
    pub boot_id: Text,
    /// Its last tier.
    pub tier: Option<Tier>,
    /// When it began.
    pub started: Time,
    /// When it last showed life, to a minute.
    pub seen: Time,
    /// When it ended; `None` where it lives, or was killed.
    pub ended: Option<Time>,
}

impl Run {
    /// Was it no watch, but captures or logs that were read? Then it is of their time.
    pub fn is_of_files(&self) -> bool {
        matches!(&*self.boot_id, "replay" | "import")
    }
}

impl Reader {
    /// Opens a database for reading.
    ///
    /// # Errors
    /// No file, not ours, a version other than this program's: each its own variant.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Ok(Self {
            connection: open::for_reading(path, 2 << 20)?,
        })
    }

    /// Opens a database for [`Reader::check`], also one that is damaged so much that it cannot be opened otherwise.
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub fn open_damaged(path: &Path) -> Result<Self, StoreError> {
        Ok(Self {
            connection: open::for_checking(path, 2 << 20)?,
        })
    }

    pub(crate) const fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The stored events of a range of time, in time order; what is folded says the module `history`.
    pub fn history(&self, range: Range<Time>) -> History<'_> {
        History::new(&self.connection, range)
    }

    /// Records of a kind that a filter accepts, newest first, at most `limit`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn select(&self, kind: Kind, filter: &Expression, limit: usize) -> Result<Vec<Stored>, StoreError> {
        let mut condition = Condition::new(kind, filter);
        condition.register(&self.connection)?;
        let ids = self.ids(kind, &condition.sql, condition.parameters, 0, limit)?;
        let mut loader = Loader::default();
        let mut found = Vec::with_capacity(ids.len());
        for id in ids {
            found.extend(self.record(&mut loader, kind, id)?);
        }
        Ok(found)
    }

    /// How many records of a kind a filter accepts.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn count(&self, kind: Kind, filter: &Expression) -> Result<u64, StoreError> {
        let mut condition = Condition::new(kind, filter);
        condition.register(&self.connection)?;
        let sql = format!("SELECT count(*) FROM {} WHERE {}", kind.view(), condition.sql);
        let count: i64 = self
            .connection
            .query_row(&sql, params_from_iter(condition.parameters), |row| row.get(0))?;
        Ok(codes::uncounter(count))
    }

    /// Alerts with what was said of them, newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn alerts(&self, query: &AlertQuery) -> Result<Vec<StoredAlert>, StoreError> {
        let mut condition = Condition::new(Kind::Alert, &query.filter);
        condition.register(&self.connection)?;
        let open = if query.open {
            "NOT acknowledged AND verdict IS NULL"
        } else {
            "1"
        };
        let sql = format!(
            "({}) AND time >= ? AND time < ? AND severity_number >= ? AND {open}",
            condition.sql
        );
        let mut parameters = condition.parameters;
        parameters
            .extend([query.range.start.0, query.range.end.0, query.at_least.number()].map(Sql::Integer));
        let ids = self.ids(Kind::Alert, &sql, parameters, query.offset, query.limit)?;
        let mut found = Vec::with_capacity(ids.len());
        for id in ids {
            found.extend(alerts::load(&self.connection, id)?);
        }
        Ok(found)
    }

    /// One alert; `None` where there is none of this id.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn alert(&self, id: u64) -> Result<Option<StoredAlert>, StoreError> {
        alerts::load(&self.connection, id.cast_signed())
    }

    /// Everything that detectors remember.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn memory(&self) -> Result<Vec<Memory>, StoreError> {
        memory::read(&self.connection)
    }

    /// Where the sums behind the panels are not what the rows say: a line for each difference, at most 100; none in a
    /// sound database. Reads every conversation: seconds for millions of them.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn wrong_sums(&self) -> Result<Vec<String>, StoreError> {
        rebuild::differences(&self.connection)
    }

    /// The runs of watchers, newest first, at most `limit`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn runs(&self, limit: usize) -> Result<Vec<Run>, StoreError> {
        let mut statement = self.connection.prepare(
            "SELECT r.version, b.boot_id, r.tier, r.started, r.seen, r.ended FROM run r \
             JOIN boot b ON b.id = r.boot ORDER BY r.id DESC LIMIT ?1",
        )?;
        let mut rows = statement.query([i64::try_from(limit).unwrap_or(i64::MAX)])?;
        let mut runs = Vec::new();
        while let Some(row) = rows.next()? {
            runs.push(Run {
                version: row.get::<_, String>(0)?.into(),
                boot_id: row.get::<_, String>(1)?.into(),
                tier: row
                    .get::<_, Option<i64>>(2)?
                    .map(|code| codes::decode(codes::TIER, code))
                    .transpose()?,
                started: Time(row.get(3)?),
                seen: Time(row.get(4)?),
                ended: row.get::<_, Option<i64>>(5)?.map(Time),
            });
        }
        Ok(runs)
    }

    pub(crate) fn ids(
        &self,
        kind: Kind,
        condition: &str,
        mut parameters: Vec<Sql>,
        offset: usize,
        limit: usize,
    ) -> Result<Vec<i64>, StoreError> {
        let sql = format!(
            "SELECT id FROM {} WHERE {condition} ORDER BY id DESC LIMIT ? OFFSET ?",
            kind.view()
        );
        for number in [limit, offset] {
            parameters.push(Sql::Integer(i64::try_from(number).unwrap_or(i64::MAX)));
        }
        let mut statement = self.connection.prepare(&sql)?;
        let ids = statement.query_map(params_from_iter(parameters), |row| row.get(0))?;
        Ok(ids.collect::<Result<_, _>>()?)
    }

    /// The whole record of a row; `None` where it went meanwhile.
    pub(crate) fn record(
        &self,
        loader: &mut Loader,
        kind: Kind,
        id: i64,
    ) -> Result<Option<Stored>, StoreError> {
        let connection = &self.connection;
        let table = match kind {
            Kind::Protocol => return Ok(None),
            Kind::Process => return Ok(loader.process(connection, id)?.map(Stored::Process)),
            Kind::Alert => {
                let alert = alerts::load(connection, id)?;
                return Ok(alert.map(|stored| Stored::Alert(Box::new(stored.alert))));
            }
            Kind::Connection => "connection",
            Kind::Listener => "listener",
            Kind::Gap => "gap",
        };
        let columns = if kind == Kind::Connection { ROW } else { "*" };
        let mut statement =
            connection.prepare_cached(&format!("SELECT {columns} FROM {table} WHERE id = ?1"))?;
        let mut rows = statement.query([id])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        Ok(Some(match kind {
            Kind::Listener => {
                Stored::Listener(Arc::new(listeners::read(connection, loader, row, Moment::Now)?.1))
            }
            Kind::Gap => Stored::Gap(losses::read_gap(row)?.1),
            _ => Stored::Connection(Arc::new(
                connections::read(connection, loader, row, Moment::Now)?.2,
            )),
        }))
    }
}
