//! What was there within a time: executables, destinations, listeners, gaps, changes of tier, and records of any kind.

use std::ops::Range;
use std::sync::Arc;

use atalaya_model::fields::Kind;
use atalaya_model::{Gap, Listener, Text, TierReport, Time};
use rusqlite::types::Value as Sql;
use rusqlite::{params, params_from_iter};

use crate::codes::uncounter;
use crate::connections::Moment;
use crate::filter::Condition;
use crate::load::Loader;
use crate::losses::{read_gap, read_tier};
use crate::panels::{AddressTotal, Ask, PART, Searched};
use crate::{Executable, Reader, StoreError, Stored, identity, listeners};

impl Reader {
    /// Records of a kind that are of the range and that the filter accepts, newest first, at most `limit`: conversations
    /// and listeners that began in it, processes that lived in it, alerts and gaps told in it. Conversations are searched
    /// from the newest on until the time is over; how far is said.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn within(&self, kind: Kind, ask: &Ask<'_>) -> Result<(Vec<Stored>, Searched), StoreError> {
        let mut condition = Condition::new(kind, &ask.filter);
        condition.register(self.connection())?;
        let (start, end) = (ask.range.start.0, ask.range.end.0);
        let ids = format!(
            "id >= {} AND id < {}",
            identity::first(ask.range.start),
            identity::first(ask.range.end)
        );
        let place = match kind {
            Kind::Connection => return self.conversations_within(ask, &condition),
            // What was said has no view of one shape: `said_within` tells of it.
            Kind::Protocol => {
                let searched = Searched {
                    rows: 0,
                    complete: true,
                };
                return Ok((Vec::new(), searched));
            }
            Kind::Process => {
                format!("process_start < {end} AND (process_end IS NULL OR process_end >= {start})")
            }
            Kind::Alert => format!("time >= {start} AND time < {end}"),
            Kind::Listener | Kind::Gap => ids,
        };
        let sql = format!("{place} AND ({})", condition.sql);
        // One more than wanted tells whether there are more.
        let mut ids = self.ids(kind, &sql, condition.parameters, 0, ask.limit.saturating_add(1))?;
        let complete = ids.len() <= ask.limit;
        ids.truncate(ask.limit);
        let mut loader = Loader::default();
        let mut found = Vec::with_capacity(ids.len());
        for id in ids {
            found.extend(self.record(&mut loader, kind, id)?);
        }
        let rows = found.len() as u64;
        Ok((found, Searched { rows, complete }))
    }

    fn conversations_within(
        &self,
        ask: &Ask<'_>,
        condition: &Condition,
    ) -> Result<(Vec<Stored>, Searched), StoreError> {
        let mut ids: Vec<i64> = Vec::new();
        let sql = format!(
            "SELECT id FROM connections WHERE id >= ? AND id < ? AND ({}) ORDER BY id DESC LIMIT ?",
            condition.sql
        );
        let mut statement = self.connection().prepare(&sql)?;
        let mut cut = false;
        let mut searched = self.parts(ask, PART, |(from, to)| {
            let left = ask.limit.saturating_sub(ids.len()).saturating_add(1);
            let first = [from, to].map(Sql::Integer);
            let last = [Sql::Integer(i64::try_from(left).unwrap_or(i64::MAX))];
            let parameters = first
                .into_iter()
                .chain(condition.parameters.iter().cloned())
                .chain(last);
            let found = statement.query_map(params_from_iter(parameters), |row| row.get(0))?;
            for id in found {
                ids.push(id?);
            }
            cut = ids.len() > ask.limit;
            Ok(!cut)
        })?;
        searched.complete &= !cut;
        ids.truncate(ask.limit);
        let mut loader = Loader::default();
        let mut found = Vec::with_capacity(ids.len());
        for id in ids {
            found.extend(self.record(&mut loader, Kind::Connection, id)?);
        }
        Ok((found, searched))
    }

    /// Executables whose first and last sight enclose some of the range, and those that a process runs which is not known
    /// to have ended before it; last seen first, at most `limit`; how many there are in all.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn executables_within(
        &self,
        range: &Range<Time>,
        limit: usize,
    ) -> Result<(Vec<Executable>, u64), StoreError> {
        const PLACE: &str = "FROM executable WHERE first_seen < ?2 AND (last_seen >= ?1 OR id IN \
            (SELECT executable FROM process WHERE latest = 1 AND started < ?2 AND (ended >= ?1 OR (ended IS NULL \
            AND boot IN (SELECT boot FROM run WHERE started < ?2 AND coalesce(ended, seen) >= ?1)))))";
        let times = (range.start.0, range.end.0);
        let total: i64 = self
            .connection()
            .query_row(&format!("SELECT count(*) {PLACE}"), times, |row| row.get(0))?;
        let mut statement = self.connection().prepare(&format!(
            "SELECT path, sha256, first_seen, last_seen {PLACE} ORDER BY last_seen DESC, id DESC LIMIT ?3"
        ))?;
        let text = |text: Option<String>| text.map(Text::from);
        let rows = statement.query_map(params![times.0, times.1, capped(limit)], |row| {
            Ok(Executable {
                path: text(row.get(0)?),
                sha256: text(row.get(1)?),
                first_seen: Time(row.get(2)?),
                last_seen: Time(row.get(3)?),
            })
        })?;
        Ok((rows.collect::<Result<_, _>>()?, uncounter(total)))
    }

    /// Addresses that this host began conversations with, whose first and last sight enclose some of the range, or of them
    /// (`fresh`) those first seen in it; with what they ever had, the most bytes first, at most `limit`; how many there are
    /// in all.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn destinations_within(
        &self,
        range: &Range<Time>,
        fresh: bool,
        limit: usize,
    ) -> Result<(Vec<AddressTotal>, u64), StoreError> {
        let seen = if fresh { "first_seen" } else { "last_seen" };
        let place = format!("FROM ip WHERE begun > 0 AND first_seen < ?2 AND {seen} >= ?1");
        // Kept in whole seconds: the one that the end cuts belongs to the range.
        let times = (
            range.start.seconds(),
            Time(range.end.0.saturating_sub(1)).seconds().saturating_add(1),
        );
        let total: i64 = self
            .connection()
            .query_row(&format!("SELECT count(*) {place}"), times, |row| row.get(0))?;
        let mut statement = self.connection().prepare(&format!(
            "SELECT id, connections, 0, sent_bytes, received_bytes {place} \
             ORDER BY sent_bytes + received_bytes DESC, id LIMIT ?3"
        ))?;
        let mut rows = statement.query(params![times.0, times.1, capped(limit)])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            if let Some(address) = self.address_of(row.get(0)?)? {
                let total = crate::panels::sums(row)?.into();
                found.push(AddressTotal { address, total });
            }
        }
        Ok((found, uncounter(total)))
    }

    /// Listeners that lived within the range, newest first, at most `limit`, and whether these are all. What a watcher left
    /// open when it was killed counts until it last showed life.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn listeners_within(
        &self,
        range: &Range<Time>,
        limit: usize,
    ) -> Result<(Vec<Arc<Listener>>, bool), StoreError> {
        let mut statement = self.connection().prepare(
            "SELECT c.* FROM listener c JOIN run r ON r.id = c.run WHERE c.id < ?2 \
             AND (c.id >= ?1 OR iif(c.phase = 2, c.changed, coalesce(r.ended, r.seen)) >= ?3) \
             ORDER BY c.id DESC LIMIT ?4",
        )?;
        let ids = [range.start, range.end].map(identity::first);
        let limited = capped(limit.saturating_add(1));
        let mut rows = statement.query(params![ids[0], ids[1], range.start.0, limited])?;
        let mut loader = Loader::default();
        let mut found = Vec::new();
        let mut count = 0;
        while let Some(row) = rows.next()? {
            count += 1;
            if count <= limit {
                let listener = listeners::read(self.connection(), &mut loader, row, Moment::Now)?.1;
                found.push(Arc::new(listener));
            }
        }
        Ok((found, count <= limit))
    }

    /// Gaps told within the range, newest first, at most `limit`; how many there are in all.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn gaps_within(&self, range: &Range<Time>, limit: usize) -> Result<(Vec<Gap>, u64), StoreError> {
        let ids = [range.start, range.end].map(identity::first);
        let total: i64 = self.connection().query_row(
            "SELECT count(*) FROM gap WHERE id >= ?1 AND id < ?2",
            ids,
            |row| row.get(0),
        )?;
        let mut statement = self
            .connection()
            .prepare("SELECT * FROM gap WHERE id >= ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3")?;
        let mut rows = statement.query([ids[0], ids[1], capped(limit)])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(read_gap(row)?.1);
        }
        Ok((found, uncounter(total)))
    }

    /// The tier in use when the range began, where one was, and every change within it, oldest first, at most `limit`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn tiers_within(
        &self,
        range: &Range<Time>,
        limit: usize,
    ) -> Result<Vec<(Time, TierReport)>, StoreError> {
        let mut found = Vec::new();
        for (sql, ids) in [
            (
                "SELECT * FROM tier_change WHERE id < ?1 AND id < ?2 ORDER BY id DESC LIMIT min(?3, 1)",
                [range.start, range.start],
            ),
            (
                "SELECT * FROM tier_change WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT ?3",
                [range.start, range.end],
            ),
        ] {
            let ids = ids.map(identity::first);
            let mut statement = self.connection().prepare(sql)?;
            let mut rows = statement.query([ids[0], ids[1], capped(limit)])?;
            while let Some(row) = rows.next()? {
                found.push(read_tier(row)?);
            }
        }
        Ok(found)
    }
}

fn capped(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
