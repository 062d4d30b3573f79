//! The sums again, from the rows of the conversations.
//!
//! Of a conversation only how it opened and what came of it last is known: bytes that were told between count with the
//! last. What was counted by minute, hour and day may so differ for long ones; how many conversations opened in a minute,
//! and what each address, program and process had in all, does not.

use std::collections::{HashMap, HashSet};

use atalaya_model::connection::Traffic;
use atalaya_model::{Side, Time};
use rusqlite::types::Value as Sql;
use rusqlite::{Connection, Row, params_from_iter};

use crate::codes::uncounter;
use crate::extra::Extra;
use crate::load::Loader;
use crate::rollups::{Part, Round};
use crate::shape::OpeningTraffic;
use crate::tally::{Sums, Tally, Under, minute};
use crate::{StoreError, identity, rollups};

/// Adds every row to sums that are empty.
pub(crate) fn from_rows(connection: &Connection) -> Result<(), StoreError> {
    let mut tally = Tally::default();
    let mut newest = None;
    each(connection, "1", &[], |time, row| {
        row.count(&mut tally);
        newest = newest.max(Some(time.0));
        if tally.is_full() {
            Round::of(std::mem::take(&mut tally), 0, Time(0)).write_all(connection)?;
        }
        Ok(())
    })?;
    if let Some(newest) = newest {
        Round::of(tally, 0, Time(0)).write_all(connection)?;
        rollups::know(connection, Time(newest))?;
    }
    Ok(())
}

/// What of a row counts.
pub(crate) struct Counts {
    opened: Time,
    changed: Option<Time>,
    under: Under,
    started_before: bool,
    opening: Option<Traffic>,
    last: Option<Traffic>,
    is_failure: bool,
}

impl Counts {
    /// Adds it to a tally.
    pub(crate) fn count(&self, tally: &mut Tally) {
        let mut counted = tally.begin(
            self.opened,
            self.under,
            self.opening.as_ref(),
            self.started_before,
        );
        if let Some(changed) = self.changed {
            tally.change(
                &mut counted,
                changed,
                self.under,
                self.last.as_ref(),
                self.is_failure,
            );
        }
    }

    fn of(connection: &Connection, loader: &mut Loader, row: &Row<'_>) -> Result<Self, StoreError> {
        let base = identity::time(row.get(0)?);
        let shape = loader.shape(connection, row.get(1)?)?;
        let extra = Extra::decode(row.get_ref(8)?)?;
        let after = |offset: i64| Time(base.0.saturating_add(offset));
        let port = |column: usize| row.get::<_, i16>(column).map(i16::cast_unsigned);
        let last = match (row.get::<_, Option<i64>>(6)?, row.get::<_, Option<i64>>(7)?) {
            (Some(sent), received) => Some(Traffic {
                sent_bytes: uncounter(sent),
                received_bytes: uncounter(received.unwrap_or(0)),
                ..Traffic::default()
            }),
            _ => None,
        };
        let process: Option<i64> = row.get(2)?;
        Ok(Self {
            opened: after(extra.late),
            changed: row.get::<_, Option<i64>>(5)?.map(after),
            under: Under {
                process: process.unwrap_or(0),
                program: row.get::<_, Option<i64>>(9)?.unwrap_or(0),
                ip: row.get(3)?,
                transport: shape.transport.number(),
                port: match shape.side {
                    Side::Source => port(4)?,
                    Side::Destination => port(10)?,
                },
                begun: shape.side == Side::Source,
            },
            started_before: shape.started_before,
            opening: match shape.opening_traffic {
                OpeningTraffic::AsLast => last,
                OpeningTraffic::InExtra => extra.opening_traffic,
                OpeningTraffic::Nothing | OpeningTraffic::NotCounted => None,
            },
            last,
            is_failure: shape.last.outcome.is_failure(),
        })
    }
}

/// Tells every conversation `c` that a condition chooses, in the order of ids, with the time of the last event of it.
pub(crate) fn each(
    connection: &Connection,
    chosen: &str,
    parameters: &[Sql],
    mut tell: impl FnMut(Time, &Counts) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut loader = Loader::default();
    let mut statement = connection.prepare(&format!(
        "SELECT c.id, c.shape, c.process, c.remote_ip, c.remote_port, c.span, c.sent_bytes, c.received_bytes, c.extra, \
         p.program, c.local_port FROM connection c LEFT JOIN process p ON p.id = c.process WHERE {chosen} ORDER BY c.id"
    ))?;
    let mut rows = statement.query(params_from_iter(parameters))?;
    while let Some(row) = rows.next()? {
        let counts = Counts::of(connection, &mut loader, row)?;
        tell(counts.changed.unwrap_or(counts.opened), &counts)?;
    }
    Ok(())
}

/// Differences that are told at most.
const MOST: usize = 100;

/// Where the sums are not what the rows say: a line each, at most 100. Of minutes and of totals only what no retention
/// has touched is compared.
pub(crate) fn differences(connection: &Connection) -> Result<Vec<String>, StoreError> {
    // A writer may go on meanwhile.
    let connection = &*connection.unchecked_transaction()?;
    let whole_from = rollups::remembered(connection, rollups::ROWS_FROM)?;
    let first = whole_from.map_or(i64::MIN, |time| minute(Time(time)) + 1);
    let mut minutes: HashMap<i64, i64> = HashMap::new();
    let mut addresses: HashMap<i64, Sums> = HashMap::new();
    let mut programs: HashMap<i64, Sums> = HashMap::new();
    each(connection, "1", &[], |_, row| {
        let mut tally = Tally::default();
        row.count(&mut tally);
        for (minute, sums) in tally.minutes {
            *minutes.entry(minute).or_default() += sums.connections;
        }
        for ((_, program, ip), pair) in tally.pairs {
            addresses.entry(ip).or_default().add(pair.sums);
            programs.entry(program).or_default().add(pair.sums);
        }
        Ok(())
    })?;
    // What the journal holds and the tables do not belongs to the sums.
    let (round, tally) = rollups::journal(connection)?;
    let rest = Round::of(tally, 0, Time(0));
    let left: Vec<_> = round.iter().chain([&rest]).map(Round::left).collect();
    for part in &left {
        for (minute, sums) in part.minutes {
            *minutes.entry(*minute).or_default() -= sums.connections;
        }
        for (ip, pair) in part.addresses {
            addresses.entry(*ip).or_default().add(pair.sums.negative());
        }
        for (program, pair) in part.programs {
            programs.entry(*program).or_default().add(pair.sums.negative());
        }
    }
    let mut found = Vec::new();
    let mut statement = connection.prepare("SELECT minute, connections FROM rollup_minute")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        *minutes.entry(row.get(0)?).or_default() -= row.get::<_, i64>(1)?;
    }
    for (minute, missing) in minutes {
        if missing != 0 && minute >= first && found.len() < MOST {
            found.push(format!(
                "minute {}: {missing} conversations more in the rows than in the sums",
                Time::from_seconds(minute * 60)
            ));
        }
    }
    let places = |places: fn(&Part<'_>) -> Vec<(i64, i64)>| left.iter().flat_map(places).collect();
    let unindexed: HashSet<(i64, i64)> = places(|part| part.rows.to_vec());
    let moved: HashSet<(i64, i64)> = places(|part| part.moved.to_vec());
    for (sql, known, wrong) in [
        (
            "SELECT c.remote_ip, c.id FROM connection c \
             WHERE NOT EXISTS (SELECT 1 FROM connection_by_ip b WHERE b.ip = c.remote_ip AND b.id = c.id)",
            unindexed,
            "is not found by its address",
        ),
        (
            "SELECT b.ip, b.id FROM connection_by_ip b \
             WHERE NOT EXISTS (SELECT 1 FROM connection c WHERE c.id = b.id AND c.remote_ip = b.ip)",
            moved,
            "is found by an address that is not its own",
        ),
    ] {
        let mut statement = connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let place = (row.get(0)?, row.get(1)?);
            if !known.contains(&place) && found.len() < MOST {
                found.push(format!("conversation {} {wrong}", place.1));
            }
        }
    }
    if whole_from.is_none() {
        totals(connection, "ip", addresses, &mut found)?;
        totals(connection, "program", programs, &mut found)?;
    }
    Ok(found)
}

/// Compares totals by number with those in a table.
fn totals(
    connection: &Connection,
    table: &str,
    mut totals: HashMap<i64, Sums>,
    found: &mut Vec<String>,
) -> Result<(), StoreError> {
    let sql =
        format!("SELECT id, connections, 0, sent_bytes, received_bytes FROM {table} WHERE connections <> 0");
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let kept = Sums {
            connections: row.get(1)?,
            failed: 0,
            sent: row.get(3)?,
            received: row.get(4)?,
        };
        totals.entry(row.get(0)?).or_default().add(kept.negative());
    }
    for (id, more) in totals {
        let more = Sums { failed: 0, ..more };
        if more != Sums::default() && found.len() < MOST {
            found.push(format!(
                "{table} {id}: {} conversations, {} and {} bytes more in the rows than in the sums",
                more.connections, more.sent, more.received
            ));
        }
    }
    Ok(())
}
