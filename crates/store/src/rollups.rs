//! The sums in the tables: written about once a minute, part by part, never twice and never lost.
//!
//! Every batch leaves what it adds in a journal, `tally`. A [`Round`] takes up all that is there and brings it into the
//! tables in small transactions, each of which also notes how far it came (`rolling_…` in `meta`); batches go on with
//! the journal meanwhile. After a crash the next writer makes the same round again from the same batches and goes on where
//! it was left off, so the sums are exactly those of the committed rows.

mod round;

use atalaya_model::Time;
use rusqlite::{Connection, OptionalExtension, params};

use crate::StoreError;
use crate::tally::{Tally, decode_rows, encode_rows};
pub(crate) use round::{Part, Round};

/// Addresses of an hour that are remembered beyond a few days.
pub(crate) const TOP: i64 = 500;

/// The hour from which on every address of each hour is there; older hours have only those with the most bytes.
pub(crate) const WHOLE_FROM: &str = "rollup_hour_ip_from";

/// The time before which conversations, or their sums, were deleted; not there before any was.
pub(crate) const ROWS_FROM: &str = "connections_from";

/// The time of the newest event that the sums know.
const UP_TO: &str = "rolled_up_to";

/// Of the round that goes on: the last batch that is in it, up to when the sums know once it is over, and how many of its
/// entries are in the tables.
const ROLLING: [&str; 3] = ["rolling_to", "rolling_up_to", "rolling_done"];

/// What the journal holds: the round that was left off, and what batches added since it began.
pub(crate) fn journal(connection: &Connection) -> Result<(Option<Round>, Tally), StoreError> {
    let [to, up_to, done] = ROLLING.map(|name| remembered(connection, name));
    let (Some(to), Some(up_to), Some(done)) = (to?, up_to?, done?) else {
        return Ok((None, batches(connection, i64::MIN, i64::MAX)?));
    };
    let mut round = Round::of(batches(connection, i64::MIN, to)?, to, Time(up_to));
    round.done = usize::try_from(done).unwrap_or(0);
    Ok((Some(round), batches(connection, to.saturating_add(1), i64::MAX)?))
}

/// What some batches added: from one, to another.
fn batches(connection: &Connection, from: i64, to: i64) -> Result<Tally, StoreError> {
    let mut tally = Tally::default();
    let mut statement =
        connection.prepare("SELECT entries, rows FROM tally WHERE id >= ?1 AND id <= ?2 ORDER BY id")?;
    let mut rows = statement.query([from, to])?;
    while let Some(row) = rows.next()? {
        let entries = Tally::decode(row.get_ref(0)?.as_blob().unwrap_or_default());
        let mut entries =
            entries.ok_or_else(|| StoreError::Corrupt("the journal of sums cannot be read".into()))?;
        entries.rows = decode_rows(row.get_ref(1)?.as_blob().unwrap_or_default()).collect();
        tally.merge(entries);
    }
    Ok(tally)
}

/// The newest batch in the journal; 0 where it is empty.
pub(crate) fn newest_batch(connection: &Connection) -> Result<i64, StoreError> {
    Ok(connection
        .prepare_cached("SELECT coalesce(max(id), 0) FROM tally")?
        .query_row([], |row| row.get(0))?)
}

/// Notes that the sums know of everything up to a time.
pub(crate) fn know(connection: &Connection, up_to: Time) -> Result<(), StoreError> {
    let newest = remembered(connection, UP_TO)?.unwrap_or(i64::MIN);
    remember(connection, UP_TO, newest.max(up_to.0))
}

/// Brings the next entries of a round into the tables, at most `limit`, and tells how many are there then. When all are,
/// takes them out of the journal, at most `limit` batches. `None` when it is over.
pub(crate) fn advance(
    connection: &Connection,
    round: &Round,
    limit: usize,
) -> Result<Option<usize>, StoreError> {
    let limit = limit.max(1);
    let count = round.write(connection, limit)?;
    if count > 0 {
        let done = round.done + count;
        for (name, number) in ROLLING.into_iter().zip([round.to, round.up_to.0, done as i64]) {
            remember(connection, name, number)?;
        }
        return Ok(Some(done));
    }
    connection
        .prepare_cached(
            "DELETE FROM tally WHERE id IN (SELECT id FROM tally WHERE id <= ?1 ORDER BY id LIMIT ?2)",
        )?
        .execute([round.to, limit as i64])?;
    // It ends with the last of them: in a journal that is empty numbers begin again, and would seem to be of the round.
    let mut left = connection.prepare_cached("SELECT 1 FROM tally WHERE id <= ?1")?;
    if left.exists([round.to])? {
        return Ok(Some(round.done));
    }
    know(connection, round.up_to)?;
    connection
        .prepare_cached("DELETE FROM meta WHERE name IN (?1, ?2, ?3)")?
        .execute(ROLLING)?;
    Ok(None)
}

/// Tells the rows of conversations, with their remote addresses, that are not in the index yet.
pub(crate) fn unindexed(connection: &Connection, mut tell: impl FnMut(i64, i64)) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached("SELECT rows FROM tally ORDER BY id")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let places = decode_rows(row.get_ref(0)?.as_blob().unwrap_or_default());
        places
            .filter(|(_, id)| *id >= 0)
            .for_each(|(ip, id)| tell(ip, id));
    }
    Ok(())
}

/// Notes what a batch adds.
pub(crate) fn note(connection: &Connection, tally: &Tally) -> Result<(), StoreError> {
    if !tally.is_empty() {
        connection
            .prepare_cached("INSERT INTO tally (entries, rows) VALUES (?1, ?2)")?
            .execute([tally.encode(), encode_rows(&tally.rows)])?;
    }
    Ok(())
}

/// A number that the database remembers under a name.
pub(crate) fn remembered(connection: &Connection, name: &str) -> Result<Option<i64>, StoreError> {
    let found: Option<String> = connection
        .prepare_cached("SELECT value FROM meta WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()?;
    Ok(found.and_then(|text| text.parse().ok()))
}

pub(crate) fn remember(connection: &Connection, name: &str, number: i64) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO meta (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = ?2",
        )?
        .execute(params![name, number.to_string()])?;
    Ok(())
}

/// Notes that of what was before a time rows or sums were deleted.
pub(crate) fn forget_before(connection: &Connection, time: Time) -> Result<(), StoreError> {
    let from = remembered(connection, ROWS_FROM)?.unwrap_or(i64::MIN);
    remember(connection, ROWS_FROM, from.max(time.0))
}

/// Up to when events are in the sums.
pub(crate) fn rolled_up_to(connection: &Connection) -> Result<Option<Time>, StoreError> {
    Ok(remembered(connection, UP_TO)?.map(Time))
}
