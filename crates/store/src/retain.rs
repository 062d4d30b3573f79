//! Retention: what is too old, or too much, goes in small slices; raw rows first, oldest first, alerts last.

mod living;
mod sums;

use std::collections::{HashMap, HashSet};

use atalaya_model::{Span, Time};
use rusqlite::Connection;

use crate::dictionary::day;
use crate::identity::{self, Table};
use crate::rows::Rows;
use crate::{StoreError, rollups, tally};

/// What to keep. What lives (open conversations, listeners, running processes) is always kept. 0 days keep every age.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Conversations, processes, listeners, gaps and changes of tier older than so many days go.
    pub days: u32,
    /// What was said inside conversations (DNS, TLS, HTTP and others) goes after so many days.
    pub protocol_days: u32,
    /// Alerts go after so many days.
    pub alert_days: u32,
    /// Sums over conversations go after so many days, and with them the addresses and programs.
    pub rollup_days: u32,
    /// When more bytes than this are in use, the oldest rows go, then the oldest sums, alerts last; 0 allows any size.
    pub bytes: u64,
    /// When it is.
    pub now: Time,
}

impl Retention {
    /// Rows of every kind for so many days, sums four times as long, within so many bytes.
    pub const fn new(days: u32, bytes: u64, now: Time) -> Self {
        Self {
            days,
            protocol_days: days,
            alert_days: days,
            rollup_days: days.saturating_mul(4),
            bytes,
            now,
        }
    }

    /// The time so many days ago; `None` where every age is kept.
    fn ago(&self, days: u32) -> Option<Time> {
        (days > 0).then(|| self.now.after(Span::from_seconds(-86_400 * i64::from(days))))
    }
}

/// How far the search for unused rows of dictionaries came.
#[derive(Debug, Default)]
pub(crate) struct Swept {
    /// Everything last used before these days is gone: of what rows, and of what sums point at.
    done: [i64; 2],
    /// Where it goes on: of each table, what it looks for (rows last used before a day), and the id.
    at: HashMap<&'static str, (i64, i64)>,
    /// The day on which what living rows point at was marked as used, but for what is still to be.
    renewed: i64,
    living: Vec<living::Living>,
}

/// What a slice of retention did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retained {
    /// Rows deleted.
    pub rows: u64,
    /// Is there more to delete, or to look through?
    pub more: bool,
    /// First what went must leave the index by address: the sums must be written.
    pub(crate) waits: bool,
    /// Rows of dictionaries were among them.
    pub(crate) forgets: bool,
}

/// Executables remembered beyond the processes that ran them; the longest unused go first.
const EXECUTABLES: i64 = 100_000;

/// Hours of which every address is kept; of older ones only those with the most bytes.
const WHOLE_HOURS: i64 = 49;

/// Rows that may be gone and still be in the index, before nothing more goes for want of room.
const IN_INDEX: usize = 20_000;

/// Rows between two looks at whether the slice has taken long enough: of tables, and of dictionaries, from which much may
/// go with one row.
const STEP: usize = 100;
const FEW: usize = 16;

/// One slice of retention: how many rows it may still delete, and whether its time is over.
struct Slice<'a> {
    left: usize,
    deleted: usize,
    /// How much more must go is only known once what went has left the index by address.
    waits: bool,
    /// Rows of dictionaries went.
    forgets: bool,
    is_over: &'a dyn Fn() -> bool,
}

impl Slice<'_> {
    /// Deletes with `delete`, which is told how many rows it may and tells how many it did, for as long as it may go on.
    fn spend(
        &mut self,
        mut delete: impl FnMut(usize) -> Result<usize, StoreError>,
    ) -> Result<bool, StoreError> {
        while self.left > 0 {
            let wanted = self.left.min(STEP);
            let count = delete(wanted)?;
            self.deleted += count;
            self.left = self.left.saturating_sub(count);
            if count < wanted {
                return Ok(true);
            }
            if (self.is_over)() {
                self.left = 0;
            }
        }
        Ok(false)
    }
}

/// Deletes one slice within the caller's transaction.
pub(crate) fn slice(
    connection: &Connection,
    rows: &mut Rows,
    policy: Retention,
    limit: usize,
    is_over: &dyn Fn() -> bool,
) -> Result<Retained, StoreError> {
    let mut slice = Slice {
        left: limit.max(1),
        deleted: 0,
        waits: false,
        forgets: false,
        is_over,
    };
    let of_table = |table: Table| match table {
        Table::Dns | Table::Tls | Table::Http | Table::Protocol => policy.ago(policy.protocol_days),
        _ => policy.ago(policy.days),
    };
    for table in Table::ALL {
        if let Some(cutoff) = of_table(table) {
            older(connection, rows, table, identity::first(cutoff), &mut slice)?;
        }
    }
    sums::hours(connection, tally::hour(policy.now) - WHOLE_HOURS, &mut slice)?;
    if let Some(cutoff) = policy.ago(policy.rollup_days) {
        sums::old(connection, cutoff, &mut slice)?;
    }
    // A day more than the rows, as dictionary rows know only the day of their last use.
    let today = day(policy.now);
    let before = |days: u32| policy.ago(days).map_or(i64::MIN, |cutoff| day(cutoff) - 1);
    let rows_before = before(policy.days).min(before(policy.protocol_days));
    let rows_before = if policy.days == 0 || policy.protocol_days == 0 {
        i64::MIN
    } else {
        rows_before
    };
    let befores = [rows_before, before(policy.rollup_days).min(rows_before)];
    unused(connection, rows, befores, today, &mut slice)?;
    if let Some(cutoff) = policy.ago(policy.alert_days) {
        old_alerts(connection, cutoff, &mut slice)?;
    }
    if policy.bytes > 0 && slice.left > 0 && used(connection)? > policy.bytes {
        oldest(connection, rows, today, &mut slice)?;
    }
    rows.note(connection)?;
    let over = policy.bytes > 0 && used(connection)? > policy.bytes;
    Ok(Retained {
        rows: slice.deleted as u64,
        more: slice.waits || slice.left == 0 || slice.deleted > 0 && over,
        waits: slice.waits,
        forgets: slice.forgets,
    })
}

/// Deletes the oldest of everything: rows of all kinds up to one time; where none can go, the oldest day of sums; where
/// there is none, what nothing uses; and only where nothing else is left, alerts.
fn oldest(
    connection: &Connection,
    rows: &mut Rows,
    today: i64,
    slice: &mut Slice<'_>,
) -> Result<(), StoreError> {
    let before = slice.deleted;
    let is_enough = |slice: &Slice<'_>| slice.deleted > before || slice.left == 0;
    slice.waits = rows.moved() > IN_INDEX;
    if slice.waits {
        return Ok(());
    }
    let mut below = i64::MAX;
    for table in Table::ALL {
        // Of the table whose rows go back furthest, a slice; of the others what is as old.
        let sql = format!(
            "SELECT max(id) FROM (SELECT id FROM {} WHERE id >= 0 ORDER BY id LIMIT ?1)",
            table.name()
        );
        let last: Option<i64> = connection
            .prepare_cached(&sql)?
            .query_row([slice.left as i64], |row| row.get(0))?;
        below = last.map_or(below, |last| below.min(last.saturating_add(1)));
    }
    for below in [below, i64::MAX] {
        // If need be all of them, as only what lives may be so old.
        for table in Table::ALL {
            older(connection, rows, table, below, slice)?;
        }
        if is_enough(slice) {
            return Ok(());
        }
    }
    slice.waits = rows.moved() > 0;
    if slice.waits {
        return Ok(());
    }
    sums::oldest(connection, slice)?;
    if is_enough(slice) {
        return Ok(());
    }
    unused(connection, rows, [today, today], today, slice)?;
    if is_enough(slice) {
        return Ok(());
    }
    old_alerts(connection, Time(i64::MAX), slice)
}

/// Gives free pages back to the file system, at most `pages` of them, for as long as it may go on. The pragma frees one
/// page a step, so every row of it must be asked for; what was freed before it is left off stays freed.
pub(crate) fn vacuum(
    connection: &Connection,
    pages: usize,
    is_over: &dyn Fn() -> bool,
) -> Result<(), StoreError> {
    let mut statement = connection.prepare(&format!("PRAGMA incremental_vacuum({pages})"))?;
    let mut steps = statement.query([])?;
    let mut count = 0_usize;
    while steps.next()?.is_some() {
        count += 1;
        if count.is_multiple_of(4) && is_over() {
            break;
        }
    }
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
    rows: &mut Rows,
    table: Table,
    below: i64,
    slice: &mut Slice<'_>,
) -> Result<(), StoreError> {
    if slice.left == 0 {
        return Ok(());
    }
    let name = table.name();
    let ip = if table == Table::Connection {
        "remote_ip"
    } else {
        "0"
    };
    // What must stay, once there is something to delete.
    let mut live: Option<HashSet<i64>> = None;
    let mut select = connection.prepare_cached(&format!(
        "SELECT id, {ip} FROM {name} WHERE id > ?1 AND id < ?2 ORDER BY id LIMIT ?3"
    ))?;
    let mut delete = connection.prepare_cached(&format!("DELETE FROM {name} WHERE id = ?1"))?;
    let (mut after, mut newest) = (-1, None);
    slice.spend(|wanted| {
        let mut count = 0;
        while count < wanted {
            let found = select
                .query_map((after, below, (wanted - count) as i64), |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })?
                .collect::<Result<Vec<(i64, i64)>, _>>()?;
            let Some((last, _)) = found.last() else { break };
            after = *last;
            let live = live.get_or_insert_with(|| living::rows(rows, table, below));
            for (id, ip) in found.iter().filter(|(id, _)| !live.contains(id)) {
                delete.execute([id])?;
                if table == Table::Connection {
                    rows.gone(*ip, *id);
                }
                count += 1;
                newest = Some(*id);
            }
        }
        Ok(count)
    })?;
    if table == Table::Connection
        && let Some(newest) = newest
    {
        rollups::forget_before(connection, identity::time(newest))?;
    }
    Ok(())
}

/// Deletes dictionary rows last used before a day: those of rows, and those of the sums, which are kept longer. What
/// living rows point at counts as used today. What was searched through is not searched again on the same day.
fn unused(
    connection: &Connection,
    rows: &mut Rows,
    befores: [i64; 2],
    today: i64,
    slice: &mut Slice<'_>,
) -> Result<(), StoreError> {
    const GROUPS: [&[&str]; 2] = [&["process", "lineage", "text", "shape"], &["ip", "program"]];
    for (group, (tables, before)) in GROUPS.into_iter().zip(befores).enumerate() {
        if rows.swept.done[group] >= before || slice.left == 0 {
            continue;
        }
        if !living::renew(connection, rows, today, slice)? {
            return Ok(());
        }
        let mut is_swept = true;
        for table in tables {
            is_swept &= sweep(connection, &mut rows.swept, table, before, slice)?;
        }
        if group == 0 {
            let mut forgets = false;
            is_swept &= slice.spend(|wanted| {
                let deleted = connection
                    .prepare_cached(
                        "DELETE FROM executable WHERE id IN (SELECT id FROM executable WHERE day < ?1 \
                         ORDER BY last_seen LIMIT max(0, min(?2, (SELECT count(*) FROM executable) - ?3)))",
                    )?
                    .execute([before, wanted as i64, EXECUTABLES])?;
                forgets |= deleted > 0;
                Ok(deleted)
            })?;
            slice.forgets |= forgets;
        }
        if is_swept {
            rows.swept.done[group] = before;
        }
    }
    Ok(())
}

/// Deletes the rows of a dictionary that were last used before a day. True when none is left.
fn sweep(
    connection: &Connection,
    swept: &mut Swept,
    table: &'static str,
    before: i64,
    slice: &mut Slice<'_>,
) -> Result<bool, StoreError> {
    /// Ids searched at once: a dictionary may be large, and nothing in it old.
    const PART: i64 = 5_000;
    let condition = if table == "program" {
        // Seconds of the last conversation; 0 is nobody's.
        "id > 0 AND coalesce(last_seen, 0) < ?1 * 86400 AND NOT EXISTS (SELECT 1 FROM process p WHERE p.program = program.id)"
    } else if table == "text" {
        "day < ?1 AND NOT EXISTS (SELECT 1 FROM ip WHERE organization = text.id)"
    } else {
        "day < ?1"
    };
    let sql = format!("SELECT coalesce(max(id), 0) FROM {table}");
    let last: i64 = connection.prepare_cached(&sql)?.query_row([], |row| row.get(0))?;
    let sql =
        format!("SELECT id FROM {table} WHERE id > ?2 AND id <= ?3 AND {condition} ORDER BY id LIMIT ?4");
    let mut select = connection.prepare_cached(&sql)?;
    let mut delete = connection.prepare_cached(&format!("DELETE FROM {table} WHERE id = ?1"))?;
    let (of, at) = swept.at.entry(table).or_insert((before, 0));
    if *of != before {
        (*of, *at) = (before, 0);
    }
    while *at < last && slice.left > 0 {
        let to = at.saturating_add(PART);
        let ids = select
            .query_map((before, *at, to, slice.left as i64), |row| row.get(0))?
            .collect::<Result<Vec<i64>, _>>()?;
        for ids in ids.chunks(FEW) {
            for id in ids {
                delete.execute([id])?;
                *at = *id;
            }
            slice.forgets = true;
            slice.deleted += ids.len();
            slice.left -= ids.len();
            if (slice.is_over)() {
                slice.left = 0;
                break;
            }
        }
        if slice.left > 0 {
            *at = to;
        }
        if (slice.is_over)() {
            slice.left = 0;
        }
    }
    Ok(*at >= last)
}

/// Deletes alerts raised before a time, with everything said of them.
fn old_alerts(connection: &Connection, before: Time, slice: &mut Slice<'_>) -> Result<(), StoreError> {
    slice.spend(|wanted| {
        let ids = connection
            .prepare_cached("SELECT id FROM alert WHERE time < ?1 ORDER BY time, id LIMIT ?2")?
            .query_map((before.0, wanted as i64), |row| row.get(0))?
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
    })?;
    Ok(())
}
