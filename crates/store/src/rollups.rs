//! The sums in the tables: written once a minute of event time, never twice and never lost.
//!
//! Every batch leaves what it adds in `tally`; writing the sums empties that within the same transaction. After a crash
//! the next writer takes up what is in `tally`, so the sums are exactly those of the committed rows.

use std::collections::{BTreeMap, HashMap};

use atalaya_model::Time;
use rusqlite::{Connection, OptionalExtension, params};

use crate::StoreError;
use crate::tally::{Sums, Tally, decode_rows, encode_rows};

/// Addresses of an hour that are remembered beyond a few days.
pub(crate) const TOP: i64 = 500;

/// The hour from which on every address of each hour is there; older hours have only those with the most bytes.
pub(crate) const WHOLE_FROM: &str = "rollup_hour_ip_from";

/// The time before which conversations were deleted; not there before any was.
pub(crate) const ROWS_FROM: &str = "connections_from";

/// The time of the newest event that the sums know.
const UP_TO: &str = "rolled_up_to";

/// What the journal holds: what batches added since the sums were last written.
pub(crate) fn journal(connection: &Connection) -> Result<Tally, StoreError> {
    let mut tally = Tally::default();
    let mut statement = connection.prepare("SELECT entries, rows FROM tally ORDER BY id")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let entries = Tally::decode(row.get_ref(0)?.as_blob().unwrap_or_default());
        let mut entries =
            entries.ok_or_else(|| StoreError::Corrupt("the journal of sums cannot be read".into()))?;
        entries.rows = decode_rows(row.get_ref(1)?.as_blob().unwrap_or_default()).collect();
        tally.merge(entries);
    }
    Ok(tally)
}

/// Tells the rows of conversations, with their remote addresses, that are not in the index yet.
pub(crate) fn unindexed(connection: &Connection, mut tell: impl FnMut(i64, i64)) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached("SELECT rows FROM tally ORDER BY id")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        for (ip, id) in decode_rows(row.get_ref(0)?.as_blob().unwrap_or_default()) {
            tell(ip, id);
        }
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

/// Up to when events are in the sums.
pub(crate) fn rolled_up_to(connection: &Connection) -> Result<Option<Time>, StoreError> {
    Ok(remembered(connection, UP_TO)?.map(Time))
}

/// Adds a tally to the sums, and empties the journal that noted it.
pub(crate) fn write(connection: &Connection, tally: &Tally, now: Time) -> Result<(), StoreError> {
    connection.prepare_cached("DELETE FROM tally")?.execute([])?;
    let newest = remembered(connection, UP_TO)?.unwrap_or(i64::MIN);
    remember(connection, UP_TO, newest.max(now.0))?;
    let mut rows = tally.rows.clone();
    rows.sort_unstable();
    let mut insert =
        connection.prepare_cached("INSERT OR IGNORE INTO connection_by_ip (ip, id) VALUES (?1, ?2)")?;
    for (ip, id) in rows {
        insert.execute([ip, id])?;
    }
    add(connection, tally)
}

/// Adds a tally to the sums.
pub(crate) fn add(connection: &Connection, tally: &Tally) -> Result<(), StoreError> {
    minutes(connection, tally)?;
    addresses(connection, tally)?;
    programs(connection, tally)?;
    ports(connection, tally)?;
    processes(connection, tally)
}

fn minutes(connection: &Connection, tally: &Tally) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO rollup_minute (minute, connections, failed, sent_bytes, received_bytes) \
         VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (minute) DO UPDATE SET connections = connections + ?2, \
         failed = failed + ?3, sent_bytes = sent_bytes + ?4, received_bytes = received_bytes + ?5",
    )?;
    for (minute, sums) in sorted(&tally.minutes) {
        statement.execute([*minute, sums.connections, sums.failed, sums.sent, sums.received])?;
    }
    Ok(())
}

/// What an address adds, whoever talked to it.
#[derive(Clone, Copy)]
struct Address {
    sums: Sums,
    begun: i64,
    seen: (i64, i64),
}

fn addresses(connection: &Connection, tally: &Tally) -> Result<(), StoreError> {
    let mut hours: BTreeMap<(i64, i64), Sums> = BTreeMap::new();
    let mut days: BTreeMap<(i64, i64), Sums> = BTreeMap::new();
    let mut ever: BTreeMap<i64, Address> = BTreeMap::new();
    let mut pairs: BTreeMap<(i64, i64), Address> = BTreeMap::new();
    for ((hour, program, ip), pair) in &tally.pairs {
        hours.entry((*hour, *ip)).or_default().add(pair.sums);
        days.entry((hour.div_euclid(24), *ip)).or_default().add(pair.sums);
        let nothing = Address {
            sums: Sums::default(),
            begun: 0,
            seen: (i64::MAX, i64::MIN),
        };
        for one in [
            ever.entry(*ip).or_insert(nothing),
            pairs.entry((*ip, *program)).or_insert(nothing),
        ] {
            one.sums.add(pair.sums);
            one.begun += pair.begun;
            one.seen = (one.seen.0.min(pair.seen.0), one.seen.1.max(pair.seen.1));
        }
    }
    let mut statement = connection.prepare_cached(
        "UPDATE ip SET connections = connections + ?2, begun = begun + ?3, sent_bytes = sent_bytes + ?4, \
         received_bytes = received_bytes + ?5, first_seen = min(coalesce(first_seen, ?6), ?6), \
         last_seen = max(coalesce(last_seen, ?7), ?7) WHERE id = ?1",
    )?;
    for (ip, it) in &ever {
        let Address { sums, begun, seen } = it;
        statement.execute([
            *ip,
            sums.connections,
            *begun,
            sums.sent,
            sums.received,
            seen.0,
            seen.1,
        ])?;
    }
    pair_rows(connection, &pairs)?;
    hour_rows(connection, &hours)?;
    let mut statement = connection.prepare_cached(
        "INSERT INTO rollup_day_ip (day, ip, connections, sent_bytes, received_bytes) VALUES (?1, ?2, ?3, ?4, ?5) \
         ON CONFLICT (day, ip) DO UPDATE SET connections = connections + ?3, sent_bytes = sent_bytes + ?4, \
         received_bytes = received_bytes + ?5",
    )?;
    for ((day, ip), sums) in &days {
        statement.execute([*day, *ip, sums.connections, sums.sent, sums.received])?;
    }
    Ok(())
}

/// Who talked to whom; a program's number of addresses goes with it.
fn pair_rows(connection: &Connection, pairs: &BTreeMap<(i64, i64), Address>) -> Result<(), StoreError> {
    let mut update = connection.prepare_cached(
        "UPDATE rollup_program_ip SET first_seen = min(first_seen, ?3), last_seen = max(last_seen, ?4), \
         connections = connections + ?5, sent_bytes = sent_bytes + ?6, received_bytes = received_bytes + ?7 \
         WHERE ip = ?1 AND program = ?2",
    )?;
    let mut insert = connection.prepare_cached(
        "INSERT INTO rollup_program_ip (ip, program, first_seen, last_seen, connections, sent_bytes, received_bytes) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    let mut delete = connection.prepare_cached(
        "DELETE FROM rollup_program_ip WHERE ip = ?1 AND program = ?2 AND connections <= 0",
    )?;
    let mut new: HashMap<i64, i64> = HashMap::new();
    for ((ip, program), it) in pairs {
        let Address { sums, seen, .. } = it;
        let values = [
            *ip,
            *program,
            seen.0,
            seen.1,
            sums.connections,
            sums.sent,
            sums.received,
        ];
        if update.execute(values)? == 0 {
            if sums.connections > 0 {
                insert.execute(values)?;
                *new.entry(*program).or_default() += 1;
            }
        } else if sums.connections < 0 && delete.execute([ip, program])? > 0 {
            *new.entry(*program).or_default() -= 1;
        }
    }
    let mut statement =
        connection.prepare_cached("UPDATE program SET addresses = max(0, addresses + ?2) WHERE id = ?1")?;
    for (program, count) in sorted(&new) {
        statement.execute([*program, *count])?;
    }
    Ok(())
}

fn hour_rows(connection: &Connection, hours: &BTreeMap<(i64, i64), Sums>) -> Result<(), StoreError> {
    let whole_from = remembered(connection, WHOLE_FROM)?.unwrap_or(i64::MIN);
    let upsert = |table: &str| {
        format!(
            "INSERT INTO {table} (hour, ip, connections, sent_bytes, received_bytes) VALUES (?1, ?2, ?3, ?4, ?5) \
             ON CONFLICT (hour, ip) DO UPDATE SET connections = connections + ?3, sent_bytes = sent_bytes + ?4, \
             received_bytes = received_bytes + ?5"
        )
    };
    let mut every = connection.prepare_cached(&upsert("rollup_hour_ip"))?;
    let mut top = connection.prepare_cached(&upsert("rollup_hour_top"))?;
    let (mut touched, mut older) = (Vec::new(), Vec::new());
    for ((hour, ip), sums) in hours {
        let statement = if *hour >= whole_from { &mut every } else { &mut top };
        statement.execute([*hour, *ip, sums.connections, sums.sent, sums.received])?;
        let touched = if *hour >= whole_from {
            &mut touched
        } else {
            &mut older
        };
        if touched.last() != Some(hour) {
            touched.push(*hour);
        }
    }
    // What comes so late is added to what is left of its hour.
    for hour in older {
        connection
            .prepare_cached(
                "DELETE FROM rollup_hour_top WHERE hour = ?1 AND ip NOT IN (SELECT ip FROM rollup_hour_top \
                 WHERE hour = ?1 ORDER BY sent_bytes + received_bytes DESC LIMIT ?2)",
            )?
            .execute([hour, 4 * TOP])?;
    }
    for hour in touched {
        connection
            .prepare_cached("DELETE FROM rollup_hour_top WHERE hour = ?1")?
            .execute([hour])?;
        connection
            .prepare_cached(
                "INSERT INTO rollup_hour_top SELECT * FROM rollup_hour_ip WHERE hour = ?1 \
                 ORDER BY sent_bytes + received_bytes DESC LIMIT ?2",
            )?
            .execute([hour, TOP])?;
    }
    Ok(())
}

fn programs(connection: &Connection, tally: &Tally) -> Result<(), StoreError> {
    let mut hours: BTreeMap<(i64, i64), Sums> = BTreeMap::new();
    let mut ever: BTreeMap<i64, (Sums, (i64, i64))> = BTreeMap::new();
    for ((hour, program, _), pair) in &tally.pairs {
        hours.entry((*hour, *program)).or_default().add(pair.sums);
        let (sums, seen) = ever
            .entry(*program)
            .or_insert((Sums::default(), (i64::MAX, i64::MIN)));
        sums.add(pair.sums);
        *seen = (seen.0.min(pair.seen.0), seen.1.max(pair.seen.1));
    }
    let mut statement = connection.prepare_cached(
        "INSERT INTO rollup_hour_program (hour, program, connections, failed, sent_bytes, received_bytes) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (hour, program) DO UPDATE SET connections = connections + ?3, \
         failed = failed + ?4, sent_bytes = sent_bytes + ?5, received_bytes = received_bytes + ?6",
    )?;
    for ((hour, program), sums) in &hours {
        statement.execute([
            *hour,
            *program,
            sums.connections,
            sums.failed,
            sums.sent,
            sums.received,
        ])?;
    }
    let mut statement = connection.prepare_cached(
        "UPDATE program SET connections = connections + ?2, failed = failed + ?3, sent_bytes = sent_bytes + ?4, \
         received_bytes = received_bytes + ?5, first_seen = min(coalesce(first_seen, ?6), ?6), \
         last_seen = max(coalesce(last_seen, ?7), ?7) WHERE id = ?1",
    )?;
    for (program, (sums, seen)) in &ever {
        let (first, last) = seen;
        statement.execute([
            *program,
            sums.connections,
            sums.failed,
            sums.sent,
            sums.received,
            *first,
            *last,
        ])?;
    }
    Ok(())
}

fn ports(connection: &Connection, tally: &Tally) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO rollup_hour_port (hour, transport, port, connections, failed, sent_bytes, received_bytes) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (hour, transport, port) DO UPDATE SET \
         connections = connections + ?4, failed = failed + ?5, sent_bytes = sent_bytes + ?6, \
         received_bytes = received_bytes + ?7",
    )?;
    for ((hour, transport, port), sums) in sorted(&tally.ports) {
        let Sums {
            connections,
            failed,
            sent,
            received,
        } = *sums;
        statement.execute([*hour, *transport, *port, connections, failed, sent, received])?;
    }
    Ok(())
}

fn processes(connection: &Connection, tally: &Tally) -> Result<(), StoreError> {
    // Only of processes that are there: retention may have taken one meanwhile.
    let mut statement = connection.prepare_cached(
        "INSERT INTO process_use (process, last_seen, connections, failed, sent_bytes, received_bytes) \
         SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE EXISTS (SELECT 1 FROM process WHERE id = ?1) \
         ON CONFLICT (process) DO UPDATE SET last_seen = max(last_seen, ?2), connections = connections + ?3, \
         failed = failed + ?4, sent_bytes = sent_bytes + ?5, received_bytes = received_bytes + ?6",
    )?;
    for (process, (sums, seen)) in sorted(&tally.processes) {
        statement.execute([
            *process,
            *seen,
            sums.connections,
            sums.failed,
            sums.sent,
            sums.received,
        ])?;
    }
    Ok(())
}

/// The entries by their keys: rows are then touched in the order in which they lie.
fn sorted<K: Ord, V>(map: &HashMap<K, V>) -> Vec<(&K, &V)> {
    let mut entries: Vec<_> = map.iter().collect();
    entries.sort_unstable_by_key(|(key, _)| *key);
    entries
}
