//! What is on its way into the sums, and the tables in which they lie.

use std::collections::HashMap;

use atalaya_model::Time;
use rusqlite::{Connection, OptionalExtension};

use super::{TOP, WHOLE_FROM, remembered};
use crate::StoreError;
use crate::tally::{Pair, PortKey, Sums, Tally};

/// What some batches added, as lists in the order in which they go into the tables, each by its keys: so rows are touched
/// in the order in which they lie. Made again from the same batches it is the same, and a number says how far it is
/// done. (Lists in another order would need another name for that number.)
#[derive(Debug)]
pub(crate) struct Round {
    /// The last batch that is in it.
    pub(crate) to: i64,
    /// Up to when the sums know once it is over.
    pub(crate) up_to: Time,
    /// Entries that are in the tables.
    pub(crate) done: usize,
    rows: Vec<(i64, i64)>,
    moved: Vec<(i64, i64)>,
    minutes: Vec<(i64, Sums)>,
    addresses: Vec<(i64, Pair)>,
    pairs: Vec<((i64, i64), Pair)>,
    hours: Vec<((i64, i64), Sums)>,
    days: Vec<((i64, i64), Sums)>,
    program_hours: Vec<((i64, i64), Sums)>,
    programs: Vec<(i64, Pair)>,
    ports: Vec<(PortKey, Sums)>,
    processes: Vec<(i64, (Sums, i64))>,
}

/// A part of each list.
pub(crate) struct Part<'a> {
    /// Address and row: to be found by it.
    pub(crate) rows: &'a [(i64, i64)],
    /// Address and row: no more to be found by it.
    pub(crate) moved: &'a [(i64, i64)],
    pub(crate) minutes: &'a [(i64, Sums)],
    pub(crate) addresses: &'a [(i64, Pair)],
    pairs: &'a [((i64, i64), Pair)],
    hours: &'a [((i64, i64), Sums)],
    days: &'a [((i64, i64), Sums)],
    program_hours: &'a [((i64, i64), Sums)],
    pub(crate) programs: &'a [(i64, Pair)],
    ports: &'a [(PortKey, Sums)],
    processes: &'a [(i64, (Sums, i64))],
}

/// So many entries after so many others, whatever list they are in.
struct Window {
    skip: usize,
    left: usize,
}

impl Window {
    fn of<'a, T>(&mut self, list: &'a [T]) -> &'a [T] {
        let (passed, rest) = list.split_at(self.skip.min(list.len()));
        self.skip -= passed.len();
        let (taken, _) = rest.split_at(self.left.min(rest.len()));
        self.left -= taken.len();
        taken
    }
}

impl Round {
    /// A round over what batches added, up to one of them.
    pub(crate) fn of(tally: Tally, to: i64, up_to: Time) -> Self {
        let by_pair = |key: fn(i64, i64, i64) -> (i64, i64)| {
            let pairs = tally.pairs.iter();
            pairs.map(move |((hour, program, ip), pair)| (key(*hour, *program, *ip), *pair))
        };
        let hours = by_pair(|hour, _, ip| (hour, ip)).map(|(key, pair)| (key, pair.sums));
        let hours = sorted(hours, Sums::add);
        let days = hours
            .iter()
            .map(|((hour, ip), sums)| ((hour.div_euclid(24), *ip), *sums));
        let program_hours = by_pair(|hour, program, _| (hour, program)).map(|(key, pair)| (key, pair.sums));
        let pairs = sorted(by_pair(|_, program, ip| (ip, program)), Pair::add);
        let (rows, moved) = settle(tally.rows);
        Self {
            to,
            up_to,
            done: 0,
            rows,
            moved,
            minutes: sorted(tally.minutes.into_iter(), Sums::add),
            addresses: sorted(pairs.iter().map(|((ip, _), pair)| (*ip, *pair)), Pair::add),
            days: sorted(days, Sums::add),
            program_hours: sorted(program_hours, Sums::add),
            programs: sorted(
                pairs.iter().map(|((_, program), pair)| (*program, *pair)),
                Pair::add,
            ),
            pairs,
            hours,
            ports: sorted(tally.ports.into_iter(), Sums::add),
            processes: sorted(tally.processes.into_iter(), |(sums, last), more| {
                sums.add(more.0);
                *last = more.1.max(*last);
            }),
        }
    }

    /// What is not in the tables.
    pub(crate) fn left(&self) -> Part<'_> {
        self.part(&mut Window {
            skip: self.done,
            left: usize::MAX,
        })
    }

    /// Brings the next entries into the tables, at most `limit`; tells how many.
    pub(super) fn write(&self, connection: &Connection, limit: usize) -> Result<usize, StoreError> {
        let mut window = Window {
            skip: self.done,
            left: limit,
        };
        self.part(&mut window).write(connection)?;
        Ok(limit - window.left)
    }

    /// Brings all of it into the tables at once.
    pub(crate) fn write_all(&self, connection: &Connection) -> Result<(), StoreError> {
        self.left().write(connection)
    }

    fn part(&self, window: &mut Window) -> Part<'_> {
        Part {
            rows: window.of(&self.rows),
            moved: window.of(&self.moved),
            minutes: window.of(&self.minutes),
            addresses: window.of(&self.addresses),
            pairs: window.of(&self.pairs),
            hours: window.of(&self.hours),
            days: window.of(&self.days),
            program_hours: window.of(&self.program_hours),
            programs: window.of(&self.programs),
            ports: window.of(&self.ports),
            processes: window.of(&self.processes),
        }
    }
}

/// The entries by their keys, each key once.
fn sorted<K: Ord, V: Copy>(entries: impl Iterator<Item = (K, V)>, add: fn(&mut V, V)) -> Vec<(K, V)> {
    let mut entries: Vec<_> = entries.collect();
    entries.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    entries.dedup_by(|later, first| {
        let is_same = later.0 == first.0;
        if is_same {
            add(&mut first.1, later.1);
        }
        is_same
    });
    entries
}

/// Under which addresses rows are to be found, and under which no more. What came and went again needs nothing, nor
/// does what went and came back.
#[expect(clippy::type_complexity, reason = "two lists of one kind")]
fn settle(places: Vec<(i64, i64)>) -> (Vec<(i64, i64)>, Vec<(i64, i64)>) {
    let places = places
        .into_iter()
        .map(|(ip, row)| ((ip, row.max(!row)), if row < 0 { -1 } else { 1_i64 }));
    let places = sorted(places, |sum, more| *sum += more);
    let of = |wanted: fn(i64) -> bool| {
        let chosen = places.iter().filter(|(_, sum)| wanted(*sum));
        chosen.map(|(place, _)| *place).collect()
    };
    (of(|sum| sum > 0), of(|sum| sum < 0))
}

impl Part<'_> {
    fn write(&self, connection: &Connection) -> Result<(), StoreError> {
        self.index(connection)?;
        self.minutes(connection)?;
        self.addresses(connection)?;
        self.pairs(connection)?;
        self.hours(connection)?;
        self.days(connection)?;
        self.programs(connection)?;
        self.ports(connection)?;
        self.processes(connection)
    }

    fn index(&self, connection: &Connection) -> Result<(), StoreError> {
        let mut insert =
            connection.prepare_cached("INSERT OR IGNORE INTO connection_by_ip (ip, id) VALUES (?1, ?2)")?;
        for (ip, id) in self.rows {
            insert.execute([ip, id])?;
        }
        let mut delete =
            connection.prepare_cached("DELETE FROM connection_by_ip WHERE ip = ?1 AND id = ?2")?;
        for (ip, id) in self.moved {
            delete.execute([ip, id])?;
        }
        Ok(())
    }

    fn minutes(&self, connection: &Connection) -> Result<(), StoreError> {
        let mut statement = connection.prepare_cached(
            "INSERT INTO rollup_minute (minute, connections, failed, sent_bytes, received_bytes) \
             VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (minute) DO UPDATE SET connections = connections + ?2, \
             failed = failed + ?3, sent_bytes = sent_bytes + ?4, received_bytes = received_bytes + ?5",
        )?;
        for (minute, sums) in self.minutes {
            statement.execute([*minute, sums.connections, sums.failed, sums.sent, sums.received])?;
        }
        Ok(())
    }

    fn addresses(&self, connection: &Connection) -> Result<(), StoreError> {
        let mut statement = connection.prepare_cached(
            "UPDATE ip SET connections = connections + ?2, begun = begun + ?3, sent_bytes = sent_bytes + ?4, \
             received_bytes = received_bytes + ?5, first_seen = min(coalesce(first_seen, ?6), ?6), \
             last_seen = max(coalesce(last_seen, ?7), ?7) WHERE id = ?1",
        )?;
        for (ip, Pair { sums, begun, seen }) in self.addresses {
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
        Ok(())
    }

    /// Who talked to whom; a program's number of addresses goes with it.
    fn pairs(&self, connection: &Connection) -> Result<(), StoreError> {
        let mut update = connection.prepare_cached(
            "UPDATE rollup_program_ip SET first_seen = min(first_seen, ?3), last_seen = max(last_seen, ?4), \
             connections = connections + ?5, sent_bytes = sent_bytes + ?6, received_bytes = received_bytes + ?7 \
             WHERE ip = ?1 AND program = ?2",
        )?;
        let mut insert = connection.prepare_cached(
            "INSERT INTO rollup_program_ip (ip, program, first_seen, last_seen, connections, sent_bytes, \
             received_bytes) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?;
        let mut delete = connection.prepare_cached(
            "DELETE FROM rollup_program_ip WHERE ip = ?1 AND program = ?2 AND connections <= 0",
        )?;
        let mut new: HashMap<i64, i64> = HashMap::new();
        for ((ip, program), Pair { sums, seen, .. }) in self.pairs {
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
        let mut statement = connection
            .prepare_cached("UPDATE program SET addresses = max(0, addresses + ?2) WHERE id = ?1")?;
        for (program, count) in sorted(new.into_iter(), |_, _| ()) {
            statement.execute([program, count])?;
        }
        Ok(())
    }

    fn hours(&self, connection: &Connection) -> Result<(), StoreError> {
        let whole_from = remembered(connection, WHOLE_FROM)?.unwrap_or(i64::MIN);
        for entries in self.hours.chunk_by(|(a, _), (b, _)| a.0 == b.0) {
            let Some(((hour, _), _)) = entries.first() else {
                continue;
            };
            if *hour >= whole_from {
                whole_hour(connection, *hour, entries)?;
            } else {
                // What comes so late is added to what is left of its hour.
                let mut upsert = connection.prepare_cached(&upsert("rollup_hour_top", "hour", ""))?;
                for ((hour, ip), sums) in entries {
                    upsert.execute([*hour, *ip, sums.connections, sums.sent, sums.received])?;
                }
                cut(connection, *hour, 4 * TOP)?;
            }
        }
        Ok(())
    }

    fn days(&self, connection: &Connection) -> Result<(), StoreError> {
        let mut statement = connection.prepare_cached(&upsert("rollup_day_ip", "day", ""))?;
        for ((day, ip), sums) in self.days {
            statement.execute([*day, *ip, sums.connections, sums.sent, sums.received])?;
        }
        Ok(())
    }

    fn programs(&self, connection: &Connection) -> Result<(), StoreError> {
        let mut statement = connection.prepare_cached(
            "INSERT INTO rollup_hour_program (hour, program, connections, failed, sent_bytes, received_bytes) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (hour, program) DO UPDATE SET \
             connections = connections + ?3, failed = failed + ?4, sent_bytes = sent_bytes + ?5, \
             received_bytes = received_bytes + ?6",
        )?;
        for ((hour, program), sums) in self.program_hours {
            let Sums {
                connections,
                failed,
                sent,
                received,
            } = *sums;
            statement.execute([*hour, *program, connections, failed, sent, received])?;
        }
        let mut statement = connection.prepare_cached(
            "UPDATE program SET connections = connections + ?2, failed = failed + ?3, sent_bytes = sent_bytes + ?4, \
             received_bytes = received_bytes + ?5, first_seen = min(coalesce(first_seen, ?6), ?6), \
             last_seen = max(coalesce(last_seen, ?7), ?7) WHERE id = ?1",
        )?;
        for (program, Pair { sums, seen, .. }) in self.programs {
            statement.execute([
                *program,
                sums.connections,
                sums.failed,
                sums.sent,
                sums.received,
                seen.0,
                seen.1,
            ])?;
        }
        Ok(())
    }

    fn ports(&self, connection: &Connection) -> Result<(), StoreError> {
        let mut statement = connection.prepare_cached(
            "INSERT INTO rollup_hour_port (hour, transport, port, connections, failed, sent_bytes, received_bytes) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (hour, transport, port) DO UPDATE SET \
             connections = connections + ?4, failed = failed + ?5, sent_bytes = sent_bytes + ?6, \
             received_bytes = received_bytes + ?7",
        )?;
        for ((hour, transport, port), sums) in self.ports {
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

    fn processes(&self, connection: &Connection) -> Result<(), StoreError> {
        // Only of processes that are there: retention may have taken one meanwhile.
        let mut statement = connection.prepare_cached(
            "INSERT INTO process_use (process, last_seen, connections, failed, sent_bytes, received_bytes) \
             SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE EXISTS (SELECT 1 FROM process WHERE id = ?1) \
             ON CONFLICT (process) DO UPDATE SET last_seen = max(last_seen, ?2), connections = connections + ?3, \
             failed = failed + ?4, sent_bytes = sent_bytes + ?5, received_bytes = received_bytes + ?6",
        )?;
        for (process, (sums, seen)) in self.processes {
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
}

/// Adds to what an address had in some time.
fn upsert(table: &str, unit: &str, then: &str) -> String {
    format!(
        "INSERT INTO {table} ({unit}, ip, connections, sent_bytes, received_bytes) VALUES (?1, ?2, ?3, ?4, ?5) \
         ON CONFLICT ({unit}, ip) DO UPDATE SET connections = connections + ?3, sent_bytes = sent_bytes + ?4, \
         received_bytes = received_bytes + ?5 {then}"
    )
}

/// An hour of which every address is kept. Those with the most bytes are brought up to date with it: an address comes in
/// when it passes the least of them, so that the hour need not be looked through.
fn whole_hour(connection: &Connection, hour: i64, entries: &[((i64, i64), Sums)]) -> Result<(), StoreError> {
    let least: Option<i64> = connection
        .prepare_cached(
            "SELECT sent_bytes + received_bytes FROM rollup_hour_top WHERE hour = ?1 ORDER BY 1 DESC \
             LIMIT 1 OFFSET ?2",
        )?
        .query_row([hour, TOP - 1], |row| row.get(0))
        .optional()?;
    let least = least.unwrap_or(i64::MIN);
    let returning = "RETURNING connections, sent_bytes, received_bytes";
    let mut upsert = connection.prepare_cached(&upsert("rollup_hour_ip", "hour", returning))?;
    let mut enter = connection.prepare_cached(
        "INSERT INTO rollup_hour_top (hour, ip, connections, sent_bytes, received_bytes) VALUES (?1, ?2, ?3, ?4, ?5) \
         ON CONFLICT (hour, ip) DO UPDATE SET connections = ?3, sent_bytes = ?4, received_bytes = ?5",
    )?;
    let mut correct = connection.prepare_cached(
        "UPDATE rollup_hour_top SET connections = ?3, sent_bytes = ?4, received_bytes = ?5 \
         WHERE hour = ?1 AND ip = ?2",
    )?;
    for ((_, ip), sums) in entries {
        let [connections, sent, received] = upsert
            .query_row([hour, *ip, sums.connections, sums.sent, sums.received], |row| {
                Ok([row.get(0)?, row.get(1)?, row.get(2)?])
            })?;
        let values = [hour, *ip, connections, sent, received];
        let bytes = sent.saturating_add(received);
        if bytes > least {
            enter.execute(values)?;
        } else if bytes == least || sums.sent.saturating_add(sums.received) < 0 {
            correct.execute(values)?;
        }
    }
    cut(connection, hour, TOP)
}

/// Leaves the addresses with the most bytes of an hour.
fn cut(connection: &Connection, hour: i64, count: i64) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "DELETE FROM rollup_hour_top WHERE hour = ?1 AND ip NOT IN (SELECT ip FROM rollup_hour_top \
             WHERE hour = ?1 ORDER BY sent_bytes + received_bytes DESC, ip LIMIT ?2)",
        )?
        .execute([hour, count])?;
    Ok(())
}
