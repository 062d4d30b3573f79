//! How processes used the network, counted from their rows.

use std::collections::HashMap;
use std::ops::Range;

use atalaya_model::fields::Kind;
use atalaya_model::filter::Expression;
use atalaya_model::{Endpoint, Outcome, ProcessKey, ProcessUse, Span, Text, Time, Transport, Usage};
use rusqlite::types::Value as Sql;
use rusqlite::{Connection, OptionalExtension, Row, params_from_iter};

use crate::codes::{self, counter, uncounter};
use crate::dictionary::from_raw;
use crate::filter::Condition;
use crate::load::Loader;
use crate::{Reader, StoreError, connections, identity};

/// Which uses of the network are counted.
#[derive(Clone, Debug)]
pub struct UseQuery {
    /// Connections and listeners that lived within.
    pub range: Range<Time>,
    /// Only those that this accepts.
    pub filter: Expression,
    /// Leave out what is still open in the newest run: somebody else counts it.
    pub ended_only: bool,
    /// Processes that did nothing which counts, too, where the filter accepts them themselves.
    pub idle: bool,
}

/// Processes counted at once; of more, those that used the network last.
const LIMIT: i64 = 100_000;

/// A process among those of every boot.
type Identity = (i64, ProcessKey);

impl Reader {
    /// The processes that did what the query asks for, in no order, at most 100,000. Each as it is known last.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn uses(&self, query: &UseQuery) -> Result<Vec<ProcessUse>, StoreError> {
        let connection = self.connection();
        let mut found = HashMap::new();
        conversations(connection, query, &mut found)?;
        listeners(connection, query, &mut found)?;
        if query.idle {
            idle(connection, query, &mut found)?;
        }
        let mut loader = Loader::default();
        let mut boots: HashMap<i64, Option<Text>> = HashMap::new();
        let mut uses = Vec::with_capacity(found.len());
        let mut newest =
            connection.prepare("SELECT max(id) FROM process WHERE pid = ?1 AND start = ?2 AND boot = ?3")?;
        for ((boot, key), usage) in found {
            let id: Option<i64> = newest.query_row((key.pid, counter(key.start), boot), |row| row.get(0))?;
            let process = id.map(|id| loader.process(connection, id)).transpose()?.flatten();
            let Some(process) = process else { continue };
            let boot = match boots.get(&boot) {
                Some(name) => name.clone(),
                None => {
                    let name = connection
                        .query_row("SELECT boot_id FROM boot WHERE id = ?1", [boot], |row| {
                            row.get::<_, String>(0)
                        })
                        .optional()?
                        .map(Text::from);
                    boots.insert(boot, name.clone());
                    name
                }
            };
            uses.push(ProcessUse { process, boot, usage });
        }
        Ok(uses)
    }
}

/// Is a row still open: not closed, and its run goes on? `phased` is the table that says so.
fn open(phased: &str) -> String {
    format!(
        "({phased}.phase < 2 AND {phased}.run = (SELECT max(id) FROM run) \
         AND (SELECT ended FROM run WHERE id = {phased}.run) IS NULL)"
    )
}

/// Which rows lived within the range: `FROM` and `WHERE`.
fn lived(kind: Kind, range: &Range<Time>) -> String {
    let (start, end) = (identity::first(range.start), identity::first(range.end));
    if kind == Kind::Connection {
        let changed = identity::changed_sql("c");
        let hour = identity::first(range.start.after(Span(-connections::LONG)));
        format!(
            "FROM connection c JOIN shape h ON h.id = c.shape JOIN process p ON p.id = c.process \
             WHERE c.id < {end} AND (c.id >= {start} OR (c.id >= {hour} AND {changed} >= {time}) \
             OR c.id IN (SELECT c.id FROM connection c WHERE {LONG} AND {changed} >= {time}))",
            time = range.start.0,
            LONG = connections::LONG_SQL,
        )
    } else {
        // A listener may live for weeks without a change.
        format!(
            "FROM listener c JOIN ip s ON s.id = c.ip JOIN process p ON p.id = iif(c.phase, c.last_process, c.process) \
             WHERE c.id < {end} AND (c.id >= {start} OR c.changed IS NULL OR c.changed >= {})",
            range.start.0
        )
    }
}

/// The rows that lived within the range and match: `FROM` and `WHERE`, with their parameters.
fn chosen(connection: &Connection, query: &UseQuery, kind: Kind) -> Result<(String, Vec<Sql>), StoreError> {
    let mut sql = lived(kind, &query.range);
    if query.ended_only {
        let phased = if kind == Kind::Connection { "h" } else { "c" };
        sql.push_str(&format!(" AND NOT {}", open(phased)));
    }
    if query.filter == Expression::All {
        return Ok((sql, Vec::new()));
    }
    let mut condition = Condition::new(kind, &query.filter);
    condition.register(connection)?;
    sql.push_str(&format!(
        " AND c.id IN (SELECT id FROM {} WHERE {})",
        kind.view(),
        condition.sql
    ));
    Ok((sql, condition.parameters))
}

fn identity_of(row: &Row<'_>) -> rusqlite::Result<Identity> {
    let key = ProcessKey {
        pid: row.get(1)?,
        start: uncounter(row.get(2)?),
    };
    Ok((row.get(0)?, key))
}

fn conversations(
    connection: &Connection,
    query: &UseQuery,
    found: &mut HashMap<Identity, Usage>,
) -> Result<(), StoreError> {
    let (chosen, parameters) = chosen(connection, query, Kind::Connection)?;
    let base = identity::base_sql("c");
    let failures: Vec<_> = Outcome::ALL
        .iter()
        .filter(|outcome| outcome.is_failure())
        .map(|outcome| codes::encode(codes::OUTCOME, outcome).to_string())
        .collect();
    let sql = format!(
        "SELECT p.boot, p.pid, p.start, sum({}), count(*), sum(h.outcome IN ({})), total(c.sent_bytes), \
         total(c.received_bytes), count(c.sent_bytes), min({base} + c.started), \
         max({base} + coalesce(c.span, 0)) AS last \
         {chosen} GROUP BY 1, 2, 3 ORDER BY last DESC LIMIT {LIMIT}",
        open("h"),
        failures.join(", "),
    );
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query(params_from_iter(parameters))?;
    while let Some(row) = rows.next()? {
        let usage = found.entry(identity_of(row)?).or_default();
        let number = |place: usize| row.get::<_, i64>(place).map(uncounter);
        // Sums are floats, which know no overflow; a counter beyond 2^53 is none.
        let bytes = |place: usize| row.get::<_, f64>(place).map(|sum| sum as u64);
        let open = number(3)?;
        usage.open += open;
        usage.closed += number(4)?.saturating_sub(open);
        usage.failed += number(5)?;
        usage.add_bytes((number(8)? > 0).then_some((bytes(6)?, bytes(7)?)));
        usage.see(Time(row.get(9)?), Time(row.get(10)?));
    }
    Ok(())
}

fn listeners(
    connection: &Connection,
    query: &UseQuery,
    found: &mut HashMap<Identity, Usage>,
) -> Result<(), StoreError> {
    let (chosen, parameters) = chosen(connection, query, Kind::Listener)?;
    let appeared = identity::time_sql("c");
    let sql = format!(
        "SELECT p.boot, p.pid, p.start, c.transport, s.raw, c.port, {appeared} + c.started, \
         coalesce(c.changed, {appeared}) {chosen} ORDER BY c.id DESC LIMIT {LIMIT}"
    );
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query(params_from_iter(parameters))?;
    while let Some(row) = rows.next()? {
        let local = Endpoint {
            ip: from_raw(&row.get::<_, Vec<u8>>(4)?)?,
            port: row.get(5)?,
        };
        let usage = found.entry(identity_of(row)?).or_default();
        usage.listening += 1;
        usage.name_listener(Transport::from_number(row.get(3)?), local);
        usage.see(Time(row.get(6)?), Time(row.get(7)?));
    }
    Ok(())
}

/// The processes that lived within the range and match by themselves.
fn idle(
    connection: &Connection,
    query: &UseQuery,
    found: &mut HashMap<Identity, Usage>,
) -> Result<(), StoreError> {
    let mut condition = Condition::new(Kind::Process, &query.filter);
    condition.register(connection)?;
    let sql = format!(
        "SELECT boot, pid, start FROM process WHERE latest = 1 AND started < ? AND (ended IS NULL OR ended >= ?) \
         AND id IN (SELECT id FROM processes WHERE {}) ORDER BY id DESC LIMIT {LIMIT}",
        condition.sql
    );
    let range = [query.range.end.0, query.range.start.0].map(Sql::Integer);
    let parameters = range.into_iter().chain(condition.parameters);
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query(params_from_iter(parameters))?;
    while let Some(row) = rows.next()? {
        found.entry(identity_of(row)?).or_default();
    }
    Ok(())
}
