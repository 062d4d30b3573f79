//! Retention of the sums.

use atalaya_model::Time;
use rusqlite::Connection;

use super::Slice;
use crate::dictionary::day;
use crate::tally::{hour, minute};
use crate::{StoreError, rollups};

/// Sums by time: table, its unit of time, the rest of its key.
const BY_TIME: [(&str, &str, &str); 5] = [
    ("rollup_minute", "minute", ""),
    ("rollup_hour_port", "hour", ", transport, port"),
    ("rollup_hour_program", "hour", ", program"),
    ("rollup_hour_top", "hour", ", ip"),
    ("rollup_day_ip", "day", ", ip"),
];

/// The addresses of each hour.
const BY_HOUR: (&str, &str, &str) = ("rollup_hour_ip", "hour", ", ip");

/// Deletes the addresses of hours before one, but for those with the most bytes.
pub(super) fn hours(connection: &Connection, before: i64, slice: &mut Slice<'_>) -> Result<(), StoreError> {
    let from = rollups::remembered(connection, rollups::WHOLE_FROM)?.unwrap_or(i64::MIN);
    if before > from {
        rollups::remember(connection, rollups::WHOLE_FROM, before)?;
    }
    below(connection, BY_HOUR, before.max(from), slice)
}

/// Deletes what is older than a time.
pub(super) fn old(connection: &Connection, cutoff: Time, slice: &mut Slice<'_>) -> Result<(), StoreError> {
    let before = slice.deleted;
    for table in BY_TIME {
        let before = match table.1 {
            "minute" => minute(cutoff),
            "hour" => hour(cutoff),
            _ => day(cutoff),
        };
        below(connection, table, before, slice)?;
    }
    if slice.deleted > before {
        // Of what is older than that rows and sums need no more be the same.
        rollups::forget_before(connection, cutoff)?;
    }
    Ok(())
}

/// Deletes the oldest day of them, or as much of it as the slice allows.
pub(super) fn oldest(connection: &Connection, slice: &mut Slice<'_>) -> Result<(), StoreError> {
    let mut oldest: Option<i64> = None;
    for (table, unit, _) in BY_TIME.into_iter().chain([BY_HOUR]) {
        let a_day = match unit {
            "minute" => 1_440,
            "hour" => 24,
            _ => 1,
        };
        let sql = format!("SELECT min({unit}) FROM {table}");
        let first: Option<i64> = connection.prepare_cached(&sql)?.query_row([], |row| row.get(0))?;
        if let Some(day) = first.map(|first| first.div_euclid(a_day)) {
            oldest = Some(oldest.map_or(day, |oldest| oldest.min(day)));
        }
    }
    let Some(day) = oldest else { return Ok(()) };
    hours(connection, (day + 1) * 24, slice)?;
    old(connection, Time::from_seconds((day + 1) * 86_400), slice)
}

fn below(
    connection: &Connection,
    (table, unit, rest): (&str, &str, &str),
    before: i64,
    slice: &mut Slice<'_>,
) -> Result<(), StoreError> {
    let sql = format!(
        "DELETE FROM {table} WHERE ({unit}{rest}) IN (SELECT {unit}{rest} FROM {table} WHERE {unit} < ?1 \
         ORDER BY {unit}{rest} LIMIT ?2)"
    );
    let mut delete = connection.prepare_cached(&sql)?;
    slice.spend(|wanted| Ok(delete.execute([before, wanted as i64])?))?;
    Ok(())
}
