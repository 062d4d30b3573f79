//! Rows of any view, in time order, as many as there are: read in parts, so that memory stays small and the writer's
//! checkpoints are not held up.

use std::ops::Range;

use atalaya_model::Time;
use atalaya_model::fields::Kind;
use atalaya_model::filter::Expression;
use rusqlite::types::{Value as Sql, ValueRef};
use rusqlite::{Row, params_from_iter};

use crate::filter::Condition;
use crate::reader::Reader;
use crate::schema::View;
use crate::{StoreError, identity};

/// Rows that are read at once.
const PART: i64 = 4_096;

/// What stands in a column.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Cell<'a> {
    Unset,
    Integer(i64),
    Real(f64),
    Text(&'a str),
}

/// How a view is in order of time.
enum Order {
    /// By its ids, which tell time.
    Ids,
    /// By its ids; this column tells time.
    IdsAnd(&'static str),
    /// By this column; it has no more than some hundred thousand rows.
    Column(&'static str),
}

fn order(view: &str) -> Order {
    match view {
        "connections" | "listeners" | "gaps" | "dns" | "tls" | "http" | "protocols" => Order::Ids,
        "alerts" => Order::IdsAnd("time"),
        "processes" => Order::Column("process_start"),
        "runs" => Order::Column("started"),
        "incidents" => Order::Column("opened"),
        "executables" | "programs" | "addresses" | "traffic_by_program_and_address" => {
            Order::Column("last_seen")
        }
        _ => Order::Column("time"),
    }
}

/// The kind of records whose filter chooses rows of a view; `None` where a filter has nothing to look at. Of what was
/// said, it looks at the conversation.
pub fn filtered_as(view: &str) -> Option<Kind> {
    match view {
        "dns" | "tls" | "http" | "protocols" => Some(Kind::Connection),
        view => Kind::KEPT.into_iter().find(|kind| kind.view() == view),
    }
}

impl Reader {
    /// Gives the rows of a view within a range of time to `each`, the oldest first: the columns that are no blobs, in
    /// the order of [`View::columns`]. What has a beginning counts by that, what is a sum over all time by when it was
    /// last seen. Ends where `each` says false. The filter must be one of [`filtered_as`]. Gives the number of rows.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn export(
        &self,
        view: &View,
        range: Range<Time>,
        filter: &Expression,
        each: &mut dyn FnMut(&[Cell<'_>]) -> bool,
    ) -> Result<u64, StoreError> {
        let connection = self.connection();
        let mut condition = Condition::new(filtered_as(view.name).unwrap_or(Kind::Connection), filter);
        condition.register(connection)?;
        let chosen = match filtered_as(view.name) {
            _ if *filter == Expression::All => "1".to_owned(),
            Some(kind) if kind.view() == view.name => condition.sql,
            Some(kind) => format!(
                "EXISTS (SELECT 1 FROM {} k WHERE k.id = v.connection AND ({}))",
                kind.view(),
                condition.sql
            ),
            None => "1".to_owned(),
        };
        let columns = columns(view).collect::<Vec<_>>().join(", v.");
        let (range_sql, order_sql, by_ids) = match order(view.name) {
            Order::Ids => ("1 OR ? OR ?".to_owned(), "v.id", true),
            Order::IdsAnd(column) => (format!("v.{column} >= ? AND v.{column} < ?"), "v.id", true),
            Order::Column(column) => (format!("v.{column} >= ? AND v.{column} < ?"), column, false),
        };
        let id = if by_ids { "v.id" } else { "NULL" };
        let bounds = if by_ids {
            "v.id > ? AND v.id < ?"
        } else {
            "1 OR ? OR ?"
        };
        let sql = format!(
            "SELECT {id}, v.{columns} FROM {} v WHERE ({bounds}) AND ({range_sql}) AND ({chosen}) \
             ORDER BY {order_sql} LIMIT ?",
            view.name
        );
        let mut statement = connection.prepare(&sql)?;
        let (mut after, below) = match order(view.name) {
            Order::Ids => (identity::first(range.start) - 1, end(range.end)),
            _ => (i64::MIN, i64::MAX),
        };
        let part = if by_ids { PART } else { i64::MAX };
        let mut count = 0;
        loop {
            let head = [after, below, range.start.0, range.end.0].map(Sql::Integer);
            let chosen: &[Sql] = if *filter == Expression::All {
                &[]
            } else {
                &condition.parameters
            };
            let parameters = head.iter().chain(chosen).cloned().chain([Sql::Integer(part)]);
            let mut rows = statement.query(params_from_iter(parameters))?;
            let mut here = 0;
            while let Some(row) = rows.next()? {
                here += 1;
                count += 1;
                if by_ids {
                    after = row.get(0)?;
                }
                if !give(row, each)? {
                    return Ok(count);
                }
            }
            if here < part {
                return Ok(count);
            }
        }
    }
}

/// The first id after a range.
fn end(time: Time) -> i64 {
    match time {
        Time(i64::MAX) => i64::MAX,
        time => identity::first(time),
    }
}

/// The columns of a view that are given.
fn columns(view: &View) -> impl Iterator<Item = &str> {
    let given = view.columns.iter().filter(|column| column.kind != "blob");
    given.map(|column| &*column.name)
}

fn give(row: &Row<'_>, each: &mut dyn FnMut(&[Cell<'_>]) -> bool) -> Result<bool, StoreError> {
    let count = row.as_ref().column_count();
    let mut cells = Vec::with_capacity(count);
    for place in 1..count {
        cells.push(match row.get_ref(place)? {
            ValueRef::Integer(number) => Cell::Integer(number),
            ValueRef::Real(number) => Cell::Real(number),
            ValueRef::Text(text) => Cell::Text(std::str::from_utf8(text).unwrap_or_default()),
            ValueRef::Null | ValueRef::Blob(_) => Cell::Unset,
        });
    }
    Ok(each(&cells))
}
