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

/// Deletes the addresses of hours before one, but for those with the most bytes.
pub(super) fn hours(connection: &Connection, before: i64, slice: &mut Slice<'_>) -> Result<(), StoreError> {
    let from = rollups::remembered(connection, rollups::WHOLE_FROM)?.unwrap_or(i64::MIN);
    if before > from {
        rollups::remember(connection, rollups::WHOLE_FROM, before)?;
    }
    below(
        connection,
        ("rollup_hour_ip", "hour", ", ip"),
        before.max(from),
        slice,
    )
}

/// Deletes what is older than a time.
pub(super) fn old(connection: &Connection, cutoff: Time, slice: &mut Slice<'_>) -> Result<(), StoreError> {
    for table in BY_TIME {
        let before = match table.1 {
            "minute" => minute(cutoff),
            "hour" => hour(cutoff),
            _ => day(cutoff),
        };
        below(connection, table, before, slice)?;
    }
    Ok(())
}

/// Deletes the oldest, as much as the slice allows: a part of each table.
pub(super) fn oldest(connection: &Connection, slice: &mut Slice<'_>) -> Result<(), StoreError> {
    for table in BY_TIME {
        below(connection, table, i64::MAX, slice)?;
    }
    Ok(())
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
