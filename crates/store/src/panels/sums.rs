//! Panels of addresses, programs, ports, minutes, alerts and processes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use atalaya_model::fields::Kind;
use atalaya_model::filter::Expression;
use atalaya_model::{Connection as Conversation, Severity, Text, Time, Transport};
use rusqlite::types::Value as Sql;
use rusqlite::{OptionalExtension, Row, params_from_iter};

use super::{
    Address, AddressTotal, Answer, Ask, MinuteTotal, PortTotal, ProcessTotal, Program, ProgramTotal, Rare,
    Reach, RuleTotal, Searched,
};
use crate::codes::uncounter;
use crate::connections::{self, Moment, ROW};
use crate::dictionary::from_raw;
use crate::filter::Condition;
use crate::load::Loader;
use crate::tally::{Sums, Tally, hour, minute};
use crate::{Reader, StoreError, rollups};

/// Alerts that are searched for a filter: the newest.
const ALERTS: i64 = 20_000;

/// Connections up to which a destination is rare, as the index on them says.
const RARE: i64 = 3;

impl Reader {
    /// The addresses with the most bytes in the hours of the range. Of hours that are over only the 500 with the most
    /// bytes of each count.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn top_addresses(&self, ask: &Ask<'_>) -> Result<Answer<AddressTotal>, StoreError> {
        let (found, searched) = match self.searched(ask)? {
            Some((tally, searched)) => {
                let pairs = tally.pairs.iter();
                (
                    add_up(pairs.map(|((_, _, ip), pair)| (*ip, pair.sums))),
                    Some(searched),
                )
            }
            None => {
                let sql = "SELECT ip, connections, 0, sent_bytes, received_bytes FROM rollup_hour_top \
                           WHERE hour >= ?1 AND hour <= ?2";
                (self.sums(sql, hours(ask), |row| row.get(0))?, None)
            }
        };
        let mut rows = Vec::new();
        for (ip, sums) in most(found, ask.limit) {
            if let Some(address) = self.address_of(ip)? {
                let total = sums.into();
                rows.push(AddressTotal { address, total });
            }
        }
        self.answer(rows, searched)
    }

    /// The programs with the most bytes in the hours of the range.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn top_programs(&self, ask: &Ask<'_>) -> Result<Answer<ProgramTotal>, StoreError> {
        let (found, searched) = match self.searched(ask)? {
            Some((tally, searched)) => {
                let pairs = tally.pairs.iter();
                (
                    add_up(pairs.map(|((_, program, _), pair)| (*program, pair.sums))),
                    Some(searched),
                )
            }
            None => {
                let sql = "SELECT program, connections, failed, sent_bytes, received_bytes FROM rollup_hour_program \
                           WHERE hour >= ?1 AND hour <= ?2";
                (self.sums(sql, hours(ask), |row| row.get(0))?, None)
            }
        };
        let mut rows = Vec::new();
        for (program, sums) in most(found, ask.limit) {
            rows.push(ProgramTotal {
                program: self.program(program)?,
                total: sums.into(),
            });
        }
        self.answer(rows, searched)
    }

    /// The destination ports with the most bytes in the hours of the range.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn top_ports(&self, ask: &Ask<'_>) -> Result<Answer<PortTotal>, StoreError> {
        let (found, searched) = match self.searched(ask)? {
            Some((tally, searched)) => {
                let ports = tally.ports.iter();
                let ports = ports.map(|((_, transport, port), sums)| ((*transport, *port), *sums));
                (add_up(ports), Some(searched))
            }
            None => {
                let sql = "SELECT transport, connections, failed, sent_bytes, received_bytes, port \
                           FROM rollup_hour_port WHERE hour >= ?1 AND hour <= ?2";
                (
                    self.sums(sql, hours(ask), |row| Ok((row.get(0)?, row.get(5)?)))?,
                    None,
                )
            }
        };
        let rows = most(found, ask.limit)
            .into_iter()
            .map(|((transport, port), sums)| PortTotal {
                transport: Transport::from_number(u8::try_from(transport).unwrap_or(u8::MAX)),
                port: u16::try_from(port).ok(),
                total: sums.into(),
            });
        self.answer(rows.collect(), searched)
    }

    /// What each minute of the range had, oldest first; the limit is for minutes, the newest.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn traffic(&self, ask: &Ask<'_>) -> Result<Answer<MinuteTotal>, StoreError> {
        let range = [
            minute(ask.range.start),
            minute(Time(ask.range.end.0.saturating_sub(1))),
        ];
        let (found, searched) = match self.searched(ask)? {
            Some((mut tally, searched)) => {
                tally
                    .minutes
                    .retain(|minute, _| *minute >= range[0] && *minute <= range[1]);
                (tally.minutes, Some(searched))
            }
            None => {
                let sql = "SELECT minute, connections, failed, sent_bytes, received_bytes FROM rollup_minute \
                           WHERE minute >= ?1 AND minute <= ?2";
                (self.sums(sql, range, |row| row.get(0))?, None)
            }
        };
        let mut rows: Vec<_> = found
            .into_iter()
            .map(|(minute, sums)| MinuteTotal {
                start: Time::from_seconds(minute * 60),
                total: sums.into(),
            })
            .collect();
        rows.sort_unstable_by_key(|row| row.start);
        rows.drain(..rows.len().saturating_sub(ask.limit));
        self.answer(rows, searched)
    }

    /// The programs that talked to the most addresses: ever; under a filter, in the range.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn reach(&self, ask: &Ask<'_>) -> Result<Answer<Reach>, StoreError> {
        if let Some((tally, searched)) = self.searched(ask)? {
            let mut addresses: HashMap<i64, HashSet<i64>> = HashMap::new();
            for (_, program, ip) in tally.pairs.keys() {
                addresses.entry(*program).or_default().insert(*ip);
            }
            let mut totals = add_up(
                tally
                    .pairs
                    .iter()
                    .map(|((_, program, _), pair)| (*program, pair.sums)),
            );
            let mut found: Vec<_> = addresses
                .iter()
                .map(|(program, ips)| (ips.len(), *program))
                .collect();
            found.sort_unstable_by(|a, b| b.cmp(a));
            let mut rows = Vec::new();
            for (count, program) in found.into_iter().take(ask.limit) {
                rows.push(Reach {
                    program: self.program(program)?,
                    addresses: count as u64,
                    total: totals.remove(&program).unwrap_or_default().into(),
                });
            }
            return self.answer(rows, Some(searched));
        }
        let mut statement = self.connection().prepare_cached(
            "SELECT id, connections, failed, sent_bytes, received_bytes, addresses FROM program \
             WHERE addresses > 0 ORDER BY addresses DESC, id LIMIT ?1",
        )?;
        let mut found = statement.query([limit(ask)])?;
        let mut rows = Vec::new();
        while let Some(row) = found.next()? {
            rows.push(Reach {
                program: self.program(row.get(0)?)?,
                addresses: uncounter(row.get(5)?),
                total: sums(row)?.into(),
            });
        }
        self.answer(rows, None)
    }

    /// Destinations seen in the range with which this host ever began at most `most` conversations (up to 3), last seen
    /// first. Under a filter: those whose newest conversation it accepts.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn rare_destinations(&self, most: u32, ask: &Ask<'_>) -> Result<Answer<Rare>, StoreError> {
        let mut condition = Condition::new(Kind::Connection, &ask.filter);
        condition.register(self.connection())?;
        let mut young: HashMap<i64, i64> = HashMap::new();
        rollups::unindexed(self.connection(), |ip, id| {
            let newest = young.entry(ip).or_insert(id);
            *newest = id.max(*newest);
        })?;
        let mut newest = self.connection().prepare(&format!(
            "SELECT {ROW} FROM connection WHERE id = max(?2, coalesce((SELECT max(id) FROM connection_by_ip \
             WHERE ip = ?1), -1))"
        ))?;
        let mut accepted = self.connection().prepare(&format!(
            "SELECT 1 FROM connections WHERE ({}) AND id = ?",
            condition.sql
        ))?;
        let mut statement = self.connection().prepare_cached(&format!(
            "SELECT id, begun FROM ip WHERE begun BETWEEN 1 AND {RARE} AND begun <= ?1 AND last_seen >= ?2 \
             AND last_seen <= ?3 ORDER BY last_seen DESC"
        ))?;
        let seconds = [ask.range.start, ask.range.end].map(Time::seconds);
        let mut found = statement.query([i64::from(most), seconds[0], seconds[1]])?;
        let mut loader = Loader::default();
        let mut rows = Vec::new();
        let mut searched = Searched {
            rows: 0,
            complete: true,
        };
        let filtered = ask.filter != Expression::All;
        while rows.len() < ask.limit
            && let Some(row) = found.next()?
        {
            if filtered && searched.rows % 64 == 63 && (ask.is_over)() {
                searched.complete = false;
                break;
            }
            searched.rows += 1;
            let ip = row.get(0)?;
            let mut of_ip = newest.query([ip, young.get(&ip).copied().unwrap_or(-1)])?;
            let newest = match of_ip.next()? {
                Some(row) => Some(connections::read(self.connection(), &mut loader, row, Moment::Now)?.2),
                None => None,
            };
            if filtered {
                let id = newest
                    .as_ref()
                    .map_or(-1, |it: &Conversation| it.id.cast_signed());
                let parameters = condition.parameters.iter().cloned().chain([Sql::Integer(id)]);
                if !accepted.exists(params_from_iter(parameters))? {
                    continue;
                }
            }
            if let Some(address) = self.address_of(ip)? {
                rows.push(Rare {
                    address,
                    begun: uncounter(row.get(1)?),
                    newest: newest.map(Arc::new),
                });
            }
        }
        self.answer(rows, filtered.then_some(searched))
    }

    /// How many alerts each rule raised in the range, the most first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn alerts_by_rule(&self, ask: &Ask<'_>) -> Result<Answer<RuleTotal>, StoreError> {
        let filtered = ask.filter != Expression::All;
        let mut condition = Condition::new(Kind::Alert, &ask.filter);
        condition.register(self.connection())?;
        let from = if filtered {
            format!(
                "(SELECT rule, severity_number, time FROM alerts WHERE ({}) AND id >= coalesce((SELECT id FROM alert \
                 ORDER BY id DESC LIMIT 1 OFFSET {ALERTS}), -1))",
                condition.sql
            )
        } else {
            "alert".to_owned()
        };
        let sql = format!(
            "SELECT rule, max(severity_number), count(*), max(time) FROM {from} WHERE time >= ? AND time < ? \
             GROUP BY rule ORDER BY 3 DESC, 1 LIMIT ?"
        );
        let range = [ask.range.start.0, ask.range.end.0, limit(ask)].map(Sql::Integer);
        let mut statement = self.connection().prepare(&sql)?;
        let mut found = statement.query(params_from_iter(condition.parameters.into_iter().chain(range)))?;
        let mut rows = Vec::new();
        while let Some(row) = found.next()? {
            let worst: i64 = row.get(1)?;
            rows.push(RuleTotal {
                rule: row.get::<_, String>(0)?.into(),
                severity: Severity::ALL
                    .into_iter()
                    .find(|severity| severity.number() >= worst)
                    .unwrap_or(Severity::Critical),
                alerts: uncounter(row.get(2)?),
                last: Time(row.get(3)?),
            });
        }
        let searched = if filtered {
            let all: i64 = self.connection().query_row(
                "SELECT count(*) FROM (SELECT 1 FROM alert LIMIT ?1)",
                [ALERTS + 1],
                |row| row.get(0),
            )?;
            Some(Searched {
                rows: all.min(ALERTS).cast_unsigned(),
                complete: all <= ALERTS,
            })
        } else {
            None
        };
        self.answer(rows, searched)
    }

    /// The processes that used the network in the range, those with the most bytes first; each names its ancestors.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn process_totals(&self, ask: &Ask<'_>) -> Result<Answer<ProcessTotal>, StoreError> {
        let (found, searched) = match self.searched(ask)? {
            Some((tally, searched)) => (tally.processes, Some(searched)),
            None => {
                let mut statement = self.connection().prepare_cached(
                    "SELECT process, connections, failed, sent_bytes, received_bytes, last_seen FROM process_use \
                     WHERE last_seen >= ?1 AND last_seen <= ?2",
                )?;
                let mut rows = statement.query([ask.range.start, ask.range.end].map(Time::seconds))?;
                let mut found = HashMap::new();
                while let Some(row) = rows.next()? {
                    found.insert(row.get(0)?, (sums(row)?, row.get(5)?));
                }
                (found, None)
            }
        };
        let mut found: Vec<_> = found.into_iter().collect();
        found.sort_unstable_by_key(|(id, (sums, _))| (-sums.sent.saturating_add(sums.received), *id));
        let mut loader = Loader::default();
        let mut rows = Vec::new();
        for (id, (sums, last)) in found.into_iter().take(ask.limit) {
            if let Some(process) = loader.process(self.connection(), id)? {
                rows.push(ProcessTotal {
                    process,
                    total: sums.into(),
                    last: Time::from_seconds(last),
                });
            }
        }
        self.answer(rows, searched)
    }

    /// What a search found, where the sums cannot answer.
    fn searched(&self, ask: &Ask<'_>) -> Result<Option<(Tally, Searched)>, StoreError> {
        match &ask.filter {
            Expression::All => Ok(None),
            _ => self.search(ask).map(Some),
        }
    }

    fn answer<T>(&self, rows: Vec<T>, searched: Option<Searched>) -> Result<Answer<T>, StoreError> {
        Ok(Answer {
            rows,
            up_to: rollups::rolled_up_to(self.connection())?,
            searched,
        })
    }

    /// Sums by what `key` makes of a row, its columns 1 to 4 being the sums.
    fn sums<K: std::hash::Hash + Eq>(
        &self,
        sql: &str,
        range: [i64; 2],
        key: impl Fn(&Row<'_>) -> rusqlite::Result<K>,
    ) -> Result<HashMap<K, Sums>, StoreError> {
        let mut statement = self.connection().prepare_cached(sql)?;
        let mut rows = statement.query(range)?;
        let mut found: HashMap<K, Sums> = HashMap::new();
        while let Some(row) = rows.next()? {
            found.entry(key(row)?).or_default().add(sums(row)?);
        }
        Ok(found)
    }

    /// The address of a number; `None` where it is gone.
    pub(crate) fn address_of(&self, id: i64) -> Result<Option<Address>, StoreError> {
        let mut statement = self.connection().prepare_cached(
            "SELECT raw, first_seen, last_seen, country, asn, (SELECT value FROM text WHERE id = organization) \
             FROM ip WHERE id = ?1",
        )?;
        let mut rows = statement.query([id])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let seen: (Option<i64>, Option<i64>) = (row.get(1)?, row.get(2)?);
        Ok(Some(Address {
            ip: from_raw(row.get_ref(0)?.as_blob().unwrap_or_default())?,
            seen: seen
                .0
                .zip(seen.1)
                .map(|(first, last)| (Time::from_seconds(first), Time::from_seconds(last))),
            country: row.get::<_, Option<String>>(3)?.map(Text::from),
            asn: row.get(4)?,
            organization: row.get::<_, Option<String>>(5)?.map(Text::from),
        }))
    }

    /// The program of a number; `None` for 0 and where it is gone.
    pub(super) fn program(&self, id: i64) -> Result<Option<Program>, StoreError> {
        if id == 0 {
            return Ok(None);
        }
        let text = |text: Option<String>| text.map(Text::from);
        let found = self
            .connection()
            .prepare_cached("SELECT name, path, script FROM program WHERE id = ?1")?
            .query_row([id], |row| {
                Ok(Program {
                    name: row.get::<_, String>(0)?.into(),
                    executable: text(row.get(1)?),
                    script: text(row.get(2)?),
                })
            })
            .optional()?;
        Ok(found)
    }
}

/// The sums in the columns 1 to 4 of a row.
pub(crate) fn sums(row: &Row<'_>) -> rusqlite::Result<Sums> {
    Ok(Sums {
        connections: row.get(1)?,
        failed: row.get(2)?,
        sent: row.get(3)?,
        received: row.get(4)?,
    })
}

/// First and last hour of what is asked for.
fn hours(ask: &Ask<'_>) -> [i64; 2] {
    [
        hour(ask.range.start),
        hour(Time(ask.range.end.0.saturating_sub(1))),
    ]
}

fn limit(ask: &Ask<'_>) -> i64 {
    i64::try_from(ask.limit).unwrap_or(i64::MAX)
}

fn add_up<K: std::hash::Hash + Eq>(entries: impl Iterator<Item = (K, Sums)>) -> HashMap<K, Sums> {
    let mut found: HashMap<K, Sums> = HashMap::new();
    for (key, sums) in entries {
        found.entry(key).or_default().add(sums);
    }
    found
}

/// Those with the most bytes, then with the most conversations.
fn most<K: Copy + Ord>(found: HashMap<K, Sums>, limit: usize) -> Vec<(K, Sums)> {
    let mut found: Vec<_> = found.into_iter().collect();
    let order = |(key, sums): &(K, Sums)| (-sums.sent.saturating_add(sums.received), -sums.connections, *key);
    if limit < found.len() {
        found.select_nth_unstable_by_key(limit, order);
        found.truncate(limit);
    }
    found.sort_unstable_by_key(order);
    found
}
