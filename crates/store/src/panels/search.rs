//! Panels under a filter: the newest rows, part by part, until there are no more or the time is over.

use atalaya_model::fields::Kind;
use atalaya_model::filter::Expression;
use rusqlite::types::Value as Sql;

use super::{Ask, Searched};
use crate::filter::Condition;
use crate::tally::Tally;
use crate::{Reader, StoreError, identity, rebuild};

/// Rows of one part.
pub(crate) const PART: i64 = 5_000;

/// Entries beyond which a search is cut, as if the time were over.
const MOST: usize = 1 << 20;

/// A part of the rows: ids from, to (without), and how many.
pub(super) struct Part {
    pub(super) ids: (i64, i64),
    pub(super) rows: u64,
}

impl Reader {
    /// The newest part of the conversations before an id, from another one on; `None` where there are none.
    pub(super) fn part(&self, from: i64, before: i64, most: i64) -> Result<Option<Part>, StoreError> {
        let (first, count): (Option<i64>, i64) = self
            .connection()
            .prepare_cached(
                "SELECT min(id), count(*) FROM (SELECT id FROM connection WHERE id >= ?1 AND id < ?2 \
                 ORDER BY id DESC LIMIT ?3)",
            )?
            .query_row([from, before, most], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(first.map(|first| Part {
            ids: (first, before),
            rows: count.cast_unsigned(),
        }))
    }

    /// Adds up the conversations that opened in the range and that the filter accepts.
    pub(super) fn search(&self, ask: &Ask<'_>) -> Result<(Tally, Searched), StoreError> {
        let mut tally = Tally::default();
        let mut condition = Condition::new(Kind::Connection, &ask.filter);
        condition.register(self.connection())?;
        let searched = self.parts(ask, PART, |(from, to)| {
            let chosen = if ask.filter == Expression::All {
                String::new()
            } else {
                format!(
                    "AND c.id IN (SELECT id FROM connections WHERE id >= {from} AND id < {to} AND {})",
                    condition.sql
                )
            };
            let chosen = format!("c.id >= {from} AND c.id < {to} {chosen}");
            let parameters: &[Sql] = &condition.parameters;
            rebuild::each(self.connection(), &chosen, parameters, |_, row| {
                row.count(&mut tally);
                Ok(())
            })?;
            Ok(tally.len() < MOST)
        })?;
        Ok((tally, searched))
    }

    /// Tells the parts of the range, newest first, until there are no more, `tell` has enough, or the time is over. The
    /// first of them has so many rows.
    pub(crate) fn parts(
        &self,
        ask: &Ask<'_>,
        first: i64,
        mut tell: impl FnMut((i64, i64)) -> Result<bool, StoreError>,
    ) -> Result<Searched, StoreError> {
        let from = identity::first(ask.range.start);
        let mut before = identity::first(ask.range.end);
        let mut searched = Searched {
            rows: 0,
            complete: true,
        };
        let mut size = first;
        while let Some(part) = self.part(from, before, std::mem::replace(&mut size, PART))? {
            let goes_on = tell(part.ids)?;
            searched.rows += part.rows;
            before = part.ids.0;
            if !goes_on || (ask.is_over)() {
                searched.complete = self.part(from, before, 1)?.is_none();
                break;
            }
        }
        Ok(searched)
    }
}
