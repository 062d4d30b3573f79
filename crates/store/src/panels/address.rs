//! Everything about one address.

use std::collections::BinaryHeap;
use std::net::IpAddr;
use std::sync::Arc;

use atalaya_model::fields::Kind;
use atalaya_model::{Span, Time};
use rusqlite::types::Value as Sql;
use rusqlite::{OptionalExtension, params_from_iter};

use super::search::{PART, Part};
use super::sums::sums;
use super::{AddressHistory, AddressTotal, Ask, ProgramTotal, Searched};
use crate::connections::{self, Moment, ROW};
use crate::dictionary::raw;
use crate::filter::Condition;
use crate::load::Loader;
use crate::{Reader, StoreError, identity, rollups};

/// The newest rows, among which an address of this host is to be found.
const GLANCE: i64 = 1_000;

/// Days of which there are sums at most.
const DAYS: i64 = 4_000;

impl Reader {
    /// What is known of an address: the newest conversations with it that opened in the range and that the filter
    /// accepts, at most `limit`, and what it had.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn address_history(&self, ip: IpAddr, ask: &Ask<'_>) -> Result<AddressHistory, StoreError> {
        // One state of the database, and one lock for a thousand small questions.
        let _one_state = self.connection().unchecked_transaction()?;
        let found: Option<i64> = self
            .connection()
            .prepare_cached("SELECT id FROM ip WHERE raw = ?1")?
            .query_row([raw(ip)], |row| row.get(0))
            .optional()?;
        let mut history = AddressHistory {
            ever: None,
            days: Vec::new(),
            programs: Vec::new(),
            newest: Vec::new(),
            searched: None,
        };
        let Some(id) = found else { return Ok(history) };
        let mut loader = Loader::default();
        let total = self
            .connection()
            .prepare_cached("SELECT id, connections, 0, sent_bytes, received_bytes FROM ip WHERE id = ?1")?
            .query_row([id], sums)?;
        if total.connections > 0
            && let Some(address) = self.address_of(id)?
        {
            let total = total.into();
            history.ever = Some(AddressTotal { address, total });
            self.days(id, ask, &mut history)?;
            self.programs_of(id, &mut history)?;
        }
        self.newest(id, ask, &mut loader, &mut history)?;
        Ok(history)
    }

    fn days(&self, ip: i64, ask: &Ask<'_>, history: &mut AddressHistory) -> Result<(), StoreError> {
        let day = |time: Time| time.seconds().div_euclid(86_400);
        let seen = history.ever.as_ref().and_then(|it| it.address.seen);
        let (first, last) = seen.unwrap_or((Time(0), Time(0)));
        let days = day(first.max(ask.range.start))..=day(last.min(ask.range.end));
        let mut statement = self.connection().prepare_cached(
            "SELECT day, connections, 0, sent_bytes, received_bytes FROM rollup_day_ip WHERE day = ?1 AND ip = ?2",
        )?;
        for day in days.rev().take(DAYS as usize) {
            let found = statement.query_row([day, ip], sums).optional()?;
            if let Some(sums) = found {
                history
                    .days
                    .push((Time(0).after(Span::from_seconds(day * 86_400)), sums.into()));
            }
        }
        history.days.reverse();
        Ok(())
    }

    fn programs_of(&self, ip: i64, history: &mut AddressHistory) -> Result<(), StoreError> {
        let mut statement = self.connection().prepare_cached(
            "SELECT program, connections, 0, sent_bytes, received_bytes, first_seen, last_seen FROM rollup_program_ip \
             WHERE ip = ?1 ORDER BY sent_bytes + received_bytes DESC, program LIMIT 100",
        )?;
        let mut rows = statement.query([ip])?;
        while let Some(row) = rows.next()? {
            let total = ProgramTotal {
                program: self.program(row.get(0)?)?,
                total: sums(row)?.into(),
            };
            let seen = (Time::from_seconds(row.get(5)?), Time::from_seconds(row.get(6)?));
            history.programs.push((total, seen));
        }
        Ok(())
    }

    /// As a remote address, and as the near end where no process is known, there is an index. As the near end of what a
    /// process of this host does the rows are searched: either it is in most of them, or it never was.
    fn newest(
        &self,
        ip: i64,
        ask: &Ask<'_>,
        loader: &mut Loader,
        history: &mut AddressHistory,
    ) -> Result<(), StoreError> {
        let mut condition = Condition::new(Kind::Connection, &ask.filter);
        condition.register(self.connection())?;
        let accepted = match condition.sql.as_str() {
            "1" => String::new(),
            sql => format!("AND EXISTS (SELECT 1 FROM connections WHERE id = c.id AND ({sql}))"),
        };
        let mut ids = BinaryHeap::new();
        let mut cut = Searched {
            rows: 0,
            complete: true,
        };
        let ask_for = |from: &str, (low, high): (i64, i64)| {
            let sql = format!(
                "SELECT c.id FROM {from} = ? AND c.id >= ? AND c.id < ? {accepted} ORDER BY c.id DESC LIMIT {}",
                ask.limit
            );
            let range = [ip, low, high].map(Sql::Integer);
            let parameters = range.into_iter().chain(condition.parameters.iter().cloned());
            let mut statement = self.connection().prepare_cached(&sql)?;
            let found = statement.query_map(params_from_iter(parameters), |row| row.get::<_, i64>(0))?;
            Ok::<_, StoreError>(found.collect::<Result<Vec<_>, _>>()?)
        };
        let range = (identity::first(ask.range.start), identity::first(ask.range.end));
        for from in [
            "connection_by_ip c WHERE c.ip",
            "connection c WHERE c.process IS NULL AND c.local_ip",
        ] {
            if accepted.is_empty() {
                ids.extend(ask_for(from, range)?);
                continue;
            }
            // What a filter leaves out may be millions.
            let (mut before, mut taken) = (range.1, 0);
            while taken < ask.limit
                && let Some(part) = self.part_of(from, ip, (range.0, before))?
            {
                let found = ask_for(from, part.ids)?;
                taken += found.len();
                ids.extend(found);
                before = part.ids.0;
                cut.rows += part.rows;
                if (ask.is_over)() {
                    cut.complete = self.part_of(from, ip, (range.0, before))?.is_none();
                    break;
                }
            }
        }
        // What came since the index was written.
        let mut young = BinaryHeap::new();
        rollups::unindexed(self.connection(), |of, id| {
            if of == ip && id >= range.0 && id < range.1 {
                young.push(id);
            }
        })?;
        let (mut taken, mut looked) = (0, 0_usize);
        while taken < ask.limit
            && let Some(id) = young.pop()
        {
            looked += 1;
            if !accepted.is_empty() && looked.is_multiple_of(256) && (ask.is_over)() {
                cut.complete = false;
                break;
            }
            let found = ask_for("connection c WHERE c.remote_ip", (id, id + 1))?;
            taken += found.len();
            ids.extend(found);
        }
        let mut near = 0;
        let is_over = cut.rows > 0 && (ask.is_over)();
        // What has been talked to is mostly no address of this host: then a glance at the newest rows is enough.
        let glance = if history.ever.is_some() { GLANCE } else { PART };
        let searched = self.parts(ask, glance, |part| {
            let found = ask_for("connection c WHERE c.process IS NOT NULL AND +c.local_ip", part)?;
            near += found.len();
            ids.extend(found);
            // One's own address is in most rows; what is not in so many is somebody else's.
            Ok(near > 0 && near < ask.limit && !is_over)
        })?;
        history.searched = if near > 0 {
            Some(searched)
        } else if cut.complete {
            None
        } else {
            Some(cut)
        };
        let ids = ids.into_sorted_vec();
        let mut statement = self
            .connection()
            .prepare_cached(&format!("SELECT {ROW} FROM connection WHERE id = ?1"))?;
        let mut last = None;
        for id in ids.into_iter().rev() {
            if history.newest.len() >= ask.limit {
                break;
            }
            if last.replace(id) == Some(id) {
                continue; // both ends of it are here, or it was found twice
            }
            let mut rows = statement.query([id])?;
            if let Some(row) = rows.next()? {
                // The index may lag behind a row that got another address.
                if [row.get(3)?, row.get(5)?].contains(&ip) {
                    let (_, _, it) = connections::read(self.connection(), loader, row, Moment::Now)?;
                    history.newest.push(Arc::new(it));
                }
            }
        }
        Ok(())
    }

    /// The newest part of an address's conversations within some ids; `None` where there are none.
    fn part_of(&self, from: &str, ip: i64, (low, high): (i64, i64)) -> Result<Option<Part>, StoreError> {
        let sql = format!(
            "SELECT min(id), count(*) FROM (SELECT c.id AS id FROM {from} = ?1 AND c.id >= ?2 AND c.id < ?3 \
             ORDER BY c.id DESC LIMIT {PART})"
        );
        let (first, rows): (Option<i64>, i64) = self
            .connection()
            .prepare_cached(&sql)?
            .query_row([ip, low, high], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(first.map(|first| Part {
            ids: (first, high),
            rows: rows.cast_unsigned(),
        }))
    }
}
