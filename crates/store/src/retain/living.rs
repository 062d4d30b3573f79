//! What lives stays, and what it points at counts as used, however long ago it was told of.

use std::collections::HashSet;

use rusqlite::{Connection, OptionalExtension};

use super::{FEW, Slice};
use crate::identity::Table;
use crate::rows::{Open, Rows};
use crate::{StoreError, connections};

/// A living row.
#[derive(Clone, Copy, Debug)]
pub(super) enum Living {
    Connection(i64),
    Listener(i64),
    Process(i64),
}

/// The rows of a table below an id that live.
pub(super) fn rows(rows: &Rows, table: Table, below: i64) -> HashSet<i64> {
    let connections = rows.live.connections.values().map(Open::row);
    match table {
        Table::Connection => connections.filter(|row| *row < below).collect(),
        Table::Listener => rows.live.listeners.values().copied().collect(),
        _ => HashSet::new(),
    }
}

/// Marks everything that living rows point at as used today, once a day. What comes to life later is of that day anyway.
/// False when the slice is over before that is done.
pub(super) fn renew(
    connection: &Connection,
    rows: &mut Rows,
    today: i64,
    slice: &mut Slice<'_>,
) -> Result<bool, StoreError> {
    let (live, swept) = (&rows.live, &mut rows.swept);
    if swept.renewed < today {
        let connections = live
            .connections
            .values()
            .map(|open| Living::Connection(open.row()));
        let listeners = live.listeners.values().map(|row| Living::Listener(*row));
        let processes = live.processes.values().map(|row| Living::Process(*row));
        swept.living = connections.chain(listeners).chain(processes).collect();
        swept.renewed = today;
    }
    while let Some(living) = swept.living.pop() {
        renew_one(connection, living, today)?;
        if swept.living.len().is_multiple_of(FEW) && (slice.is_over)() {
            slice.left = 0;
            break;
        }
    }
    Ok(swept.living.is_empty())
}

fn renew_one(connection: &Connection, living: Living, today: i64) -> Result<(), StoreError> {
    match living {
        Living::Connection(row) => {
            let points = connections::references(connection, row)?;
            mark(connection, "shape", points.shape, today)?;
            for text in points.texts {
                mark(connection, "text", Some(text), today)?;
            }
            for ip in points.addresses {
                mark(connection, "ip", Some(ip), today)?;
            }
            for id in points.processes {
                process(connection, id, today)?;
            }
        }
        Living::Listener(row) => {
            let found = connection
                .prepare_cached("SELECT ip, service, process, last_process FROM listener WHERE id = ?1")?
                .query_row([row], |row| {
                    let holders: [Option<i64>; 2] = [row.get(2)?, row.get(3)?];
                    Ok((row.get(0)?, row.get(1)?, holders))
                })
                .optional()?;
            if let Some((ip, service, holders)) = found {
                mark(connection, "ip", ip, today)?;
                mark(connection, "text", service, today)?;
                for id in holders.into_iter().flatten() {
                    process(connection, id, today)?;
                }
            }
        }
        Living::Process(row) => process(connection, row, today)?,
    }
    Ok(())
}

/// Marks a process and what it points at. Where it was used today, so was that.
fn process(connection: &Connection, id: i64, today: i64) -> Result<(), StoreError> {
    if !mark(connection, "process", Some(id), today)? {
        return Ok(());
    }
    for sql in [
        "UPDATE text SET day = ?2 WHERE day < ?2 AND id IN (SELECT value FROM (SELECT user_name AS value \
         FROM process WHERE id = ?1 UNION ALL SELECT cgroup FROM process WHERE id = ?1 UNION ALL \
         SELECT container_runtime FROM process WHERE id = ?1 UNION ALL SELECT container_id FROM process \
         WHERE id = ?1 UNION ALL SELECT unit FROM process WHERE id = ?1 UNION ALL SELECT package_manager \
         FROM process WHERE id = ?1 UNION ALL SELECT package_name FROM process WHERE id = ?1 UNION ALL \
         SELECT package_version FROM process WHERE id = ?1))",
        "UPDATE executable SET day = ?2 WHERE day < ?2 AND id = (SELECT executable FROM process WHERE id = ?1)",
        "WITH RECURSIVE chain (id, place) AS (SELECT lineage, 0 FROM process WHERE id = ?1 UNION ALL \
         SELECT n.next, place + 1 FROM chain JOIN lineage n ON n.id = chain.id WHERE place < 64) \
         UPDATE lineage SET day = ?2 WHERE day < ?2 AND id IN (SELECT id FROM chain)",
    ] {
        connection.prepare_cached(sql)?.execute([id, today])?;
    }
    Ok(())
}

/// Marks a row as used; false where it was today.
fn mark(connection: &Connection, table: &str, id: Option<i64>, today: i64) -> Result<bool, StoreError> {
    let sql = format!("UPDATE {table} SET day = ?2 WHERE id = ?1 AND day < ?2");
    Ok(connection.prepare_cached(&sql)?.execute((id, today))? > 0)
}
