//! Retention: what is too old, or too much, goes in small slices; raw rows first, oldest first, alerts last.

use std::collections::HashSet;

use atalaya_model::{Span, Time};
use rusqlite::{Connection, OptionalExtension};

use crate::dictionary::day;
use crate::identity::{self, Table};
use crate::rows::{Open, Rows};
use crate::{StoreError, connections};

/// What to keep. What lives (open conversations, listeners, running processes) is always kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Rows older than so many days go; 0 keeps every age.
    pub days: u32,
    /// When more bytes than this are in use, the oldest rows go; 0 allows any size.
    pub bytes: u64,
    /// When it is.
    pub now: Time,
}

/// What a slice of retention did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retained {
    /// Rows deleted.
    pub rows: u64,
    /// Is there more to delete?
    pub more: bool,
}

/// Executables remembered beyond the processes that ran them; the longest unused go first.
const EXECUTABLES: i64 = 100_000;

/// Deletes one slice within the caller's transaction.
pub(crate) fn slice(
    connection: &Connection,
    rows: &mut Rows,
    policy: Retention,
    limit: usize,
) -> Result<Retained, StoreError> {
    let mut left = limit.max(1);
    let mut deleted = 0;
    if policy.days > 0 {
        let cutoff = policy
            .now
            .after(Span::from_seconds(-86_400 * i64::from(policy.days)));
        for table in Table::ALL {
            let count = older(connection, rows, table, identity::first(cutoff), left)?;
            deleted += count;
            left -= count;
        }
        if left > 0 {
            // A day more than the rows, as dictionary rows know only the day of their last use.
            let count = unused(connection, rows, day(cutoff) - 1, day(policy.now), left)?;
            deleted += count;
            left -= count;
        }
        if left > 0 {
            let count = old_alerts(connection, cutoff, left)?;
            deleted += count;
            left -= count;
        }
    }
    if policy.bytes > 0 && left > 0 && used(connection)? > policy.bytes {
        for table in Table::ALL {
            let count = older(connection, rows, table, i64::MAX, left)?;
            deleted += count;
            left -= count;
        }
        if left > 0 {
            let count = unused(connection, rows, day(policy.now), day(policy.now), left)?;
            deleted += count;
            left -= count;
        }
        if left > 0 {
            deleted += old_alerts(connection, Time(i64::MAX), left)?;
        }
    }
    let over = policy.bytes > 0 && used(connection)? > policy.bytes;
    Ok(Retained {
        rows: deleted as u64,
        more: deleted > 0 && (left == 0 || over),
    })
}

/// Gives free pages back to the file system, at most `pages` of them. The pragma frees one page a step, so every row
/// of it must be asked for.
pub(crate) fn vacuum(connection: &Connection, pages: usize) -> Result<(), StoreError> {
    let mut statement = connection.prepare(&format!("PRAGMA incremental_vacuum({pages})"))?;
    let mut steps = statement.query([])?;
    while steps.next()?.is_some() {}
    Ok(())
}

/// Bytes in use within the file.
fn used(connection: &Connection) -> Result<u64, StoreError> {
    let ask = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let pages = ask("page_count")? - ask("freelist_count")?;
    Ok(pages.saturating_mul(ask("page_size")?).cast_unsigned())
}

/// Deletes the oldest rows of a table below an id, but for those that live.
fn older(
    connection: &Connection,
    rows: &Rows,
    table: Table,
    below: i64,
    limit: usize,
) -> Result<usize, StoreError> {
    let live: HashSet<i64> = match table {
        Table::Connection => rows.live.connections.values().map(Open::row).collect(),
        Table::Listener => rows.live.listeners.values().copied().collect(),
        Table::ProcessEvent | Table::Gap | Table::TierChange => HashSet::new(),
    };
    let name = table.name();
    let mut select = connection.prepare_cached(&format!(
        "SELECT id FROM {name} WHERE id >= 0 AND id < ?1 ORDER BY id LIMIT ?2"
    ))?;
    let wanted = limit.saturating_add(live.len());
    let ids = select
        .query_map((below, wanted as i64), |row| row.get(0))?
        .filter(|id| id.as_ref().map_or(true, |id| !live.contains(id)))
        .take(limit)
        .collect::<Result<Vec<i64>, _>>()?;
    let mut delete = connection.prepare_cached(&format!("DELETE FROM {name} WHERE id = ?1"))?;
    for id in &ids {
        delete.execute([id])?;
    }
    Ok(ids.len())
}

/// Deletes dictionary rows last used before a day. What living rows point at counts as used today.
fn unused(
    connection: &Connection,
    rows: &mut Rows,
    before: i64,
    today: i64,
    limit: usize,
) -> Result<usize, StoreError> {
    let oldest: Option<i64> = connection
        .prepare_cached("SELECT min(day) FROM process")?
        .query_row([], |row| row.get(0))
        .optional()?
        .flatten();
    if oldest.is_some_and(|oldest| oldest < before) {
        renew_living(connection, rows, today)?;
    }
    let mut deleted = 0;
    for sql in [
        "DELETE FROM process WHERE id IN (SELECT id FROM process WHERE day < ?1 ORDER BY day LIMIT ?2)",
        "DELETE FROM lineage WHERE id IN (SELECT id FROM lineage WHERE day < ?1 LIMIT ?2)",
        "DELETE FROM text WHERE id IN (SELECT id FROM text WHERE day < ?1 LIMIT ?2)",
        "DELETE FROM ip WHERE id IN (SELECT id FROM ip WHERE day < ?1 LIMIT ?2)",
        "DELETE FROM shape WHERE id IN (SELECT id FROM shape WHERE day < ?1 LIMIT ?2)",
    ] {
        let left = (limit - deleted) as i64;
        deleted += connection.prepare_cached(sql)?.execute([before, left])?;
    }
    let left = (limit - deleted) as i64;
    deleted += connection
        .prepare_cached(
            "DELETE FROM executable WHERE id IN (SELECT id FROM executable WHERE day < ?1 ORDER BY last_seen \
             LIMIT max(0, min(?2, (SELECT count(*) FROM executable) - ?3)))",
        )?
        .execute([before, left, EXECUTABLES])?;
    Ok(deleted)
}

/// Marks everything that living rows point at as used today.
fn renew_living(connection: &Connection, rows: &mut Rows, today: i64) -> Result<(), StoreError> {
    let mut processes: HashSet<i64> = rows.live.processes.values().copied().collect();
    let mut addresses = HashSet::new();
    for open in rows.live.connections.values() {
        let points = connections::references(connection, open.row())?;
        processes.extend(points.processes);
        addresses.extend(points.addresses);
        renew(connection, "shape", points.shape, today)?;
        for text in points.texts {
            renew(connection, "text", Some(text), today)?;
        }
    }
    for row in rows.live.listeners.values() {
        let found = connection
            .prepare_cached("SELECT ip, service, process, last_process FROM listener WHERE id = ?1")?
            .query_row([row], |row| {
                let holders: [Option<i64>; 2] = [row.get(2)?, row.get(3)?];
                Ok((row.get::<_, i64>(0)?, row.get(1)?, holders))
            })
            .optional()?;
        if let Some((ip, service, holders)) = found {
            addresses.insert(ip);
            processes.extend(holders.into_iter().flatten());
            renew(connection, "text", service, today)?;
        }
    }
    for id in addresses {
        renew(connection, "ip", Some(id), today)?;
    }
    for id in processes {
        renew(connection, "process", Some(id), today)?;
        connection
            .prepare_cached(
                "UPDATE text SET day = ?2 WHERE day < ?2 AND id IN (SELECT value FROM (SELECT user_name AS value \
                 FROM process WHERE id = ?1 UNION ALL SELECT cgroup FROM process WHERE id = ?1 UNION ALL \
                 SELECT container_runtime FROM process WHERE id = ?1 UNION ALL SELECT container_id FROM process \
                 WHERE id = ?1 UNION ALL SELECT unit FROM process WHERE id = ?1 UNION ALL SELECT package_manager \
                 FROM process WHERE id = ?1 UNION ALL SELECT package_name FROM process WHERE id = ?1 UNION ALL \
                 SELECT package_version FROM process WHERE id = ?1))",
            )?
            .execute([id, today])?;
        connection
            .prepare_cached(
                "UPDATE executable SET day = ?2 WHERE day < ?2 AND id = (SELECT executable FROM process WHERE id = ?1)",
            )?
            .execute([id, today])?;
        connection
            .prepare_cached(
                "WITH RECURSIVE chain (id, place) AS (SELECT lineage, 0 FROM process WHERE id = ?1 UNION ALL \
                 SELECT n.next, place + 1 FROM chain JOIN lineage n ON n.id = chain.id WHERE place < 64) \
                 UPDATE lineage SET day = ?2 WHERE day < ?2 AND id IN (SELECT id FROM chain)",
            )?
            .execute([id, today])?;
    }
    Ok(())
}

fn renew(connection: &Connection, table: &str, id: Option<i64>, today: i64) -> Result<(), StoreError> {
    let sql = format!("UPDATE {table} SET day = ?2 WHERE id = ?1 AND day < ?2");
    connection.prepare_cached(&sql)?.execute((id, today))?;
    Ok(())
}

/// Deletes alerts raised before a time, with everything said of them.
fn old_alerts(connection: &Connection, before: Time, limit: usize) -> Result<usize, StoreError> {
    let ids = connection
        .prepare_cached("SELECT id FROM alert WHERE time < ?1 ORDER BY id LIMIT ?2")?
        .query_map((before.0, limit as i64), |row| row.get(0))?
        .collect::<Result<Vec<i64>, _>>()?;
    if ids.is_empty() {
        return Ok(0);
    }
    connection.execute("INSERT INTO retention DEFAULT VALUES", [])?;
    for id in &ids {
        for sql in [
            "DELETE FROM alert_count WHERE alert = ?1",
            "DELETE FROM acknowledgement WHERE alert = ?1",
            "DELETE FROM verdict WHERE alert = ?1",
            "DELETE FROM alert WHERE id = ?1",
        ] {
            connection.prepare_cached(sql)?.execute([id])?;
        }
    }
    connection.execute("DELETE FROM retention", [])?;
    Ok(ids.len())
}
