//! Functions that an analyst's questions need, and SQLite's own where theirs may take too long within one call.
//!
//! Each bounds its own time: SQLite cannot be stopped in the middle of a call.

mod address;
mod text;
mod time;

use std::borrow::Cow;

use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::{ToSqlOutput, Value, ValueRef};

use super::ConsoleOptions;
use crate::StoreError;

/// A function, as the page of the schema tells it.
#[derive(Clone, Copy, Debug)]
pub struct Function {
    /// Its name.
    pub name: &'static str,
    /// Its arguments, as one writes them.
    pub arguments: &'static str,
    /// One sentence.
    pub about: &'static str,
}

const fn function(name: &'static str, arguments: &'static str, about: &'static str) -> Function {
    Function {
        name,
        arguments,
        about,
    }
}

/// The functions that are added to SQLite's. All give NULL for NULL.
pub const FUNCTIONS: &[Function] = &[
    function(
        "ago",
        "'24h'",
        "The time so long before now: `30s`, `5m`, `2h`, `7d`, `2w`.",
    ),
    function(
        "at",
        "'2026-11-20T21:00'",
        "The time that is written so, local where it names no zone.",
    ),
    function(
        "bucket",
        "time, '1h'",
        "The time rounded down to a multiple of a span, in UTC: for groups by minute, hour, day.",
    ),
    function(
        "community_id",
        "transport, source_ip, source_port, destination_ip, destination_port",
        "The Community ID of a conversation, as other tools print it.",
    ),
    function(
        "hour_of_week",
        "time",
        "The hour within the week, local: 0 is Monday 00:00 to 00:59, 167 Sunday 23:00.",
    ),
    function("human_bytes", "bytes", "A number of bytes for people: `1.2 MB`."),
    function(
        "human_span",
        "span",
        "A span of microseconds for people: `3m 20s`.",
    ),
    function(
        "id_at",
        "time",
        "The smallest id that a row of this time may have, in views whose ids tell time.",
    ),
    function(
        "ip_in",
        "address, '10.0.0.0/8, fd00::/8'",
        "Is the address (as text, or raw) within one of these networks? NULL where it is no address.",
    ),
    function("iso", "time", "The time in UTC: `2026-11-20T21:27:03.123456Z`."),
    function(
        "local",
        "time",
        "The time in the zone of this machine: `2026-11-20 21:27:03`.",
    ),
    function("now", "", "The time at which the question was asked."),
    function(
        "regexp",
        "pattern, text",
        "Does the text match? The same as `text REGEXP pattern`. Patterns are those of the filter grammar, without `/`.",
    ),
    function(
        "registrable_domain",
        "name",
        "The part of a name that somebody registered, by the Public Suffix List: `example.co.uk` of `a.example.co.uk`.",
    ),
];

/// The answer of a function: `None` is NULL.
type Given<T> = rusqlite::Result<Option<T>>;

/// Adds every function to a connection.
pub(super) fn register(connection: &Connection, options: ConsoleOptions) -> Result<(), StoreError> {
    let now = options.now;
    add(connection, "now", 0, move |_| Ok(Some(now.0)))?;
    add(connection, "ago", 1, move |context| time::ago(context, now))?;
    add(connection, "at", 1, time::at)?;
    add(connection, "bucket", 2, time::bucket)?;
    add(connection, "hour_of_week", 1, time::hour_of_week)?;
    add(connection, "human_span", 1, time::human_span)?;
    add(connection, "id_at", 1, time::id_at)?;
    add(connection, "iso", 1, time::iso)?;
    add(connection, "local", 1, time::local)?;
    add(connection, "ip_in", 2, address::ip_in)?;
    add(connection, "registrable_domain", 1, address::registrable_domain)?;
    add(connection, "community_id", 5, address::community_id)?;
    add(connection, "human_bytes", 1, move |context| {
        let Some(number) = integer(context, 0)? else {
            return Ok(None);
        };
        let sign = if number < 0 { "-" } else { "" };
        Ok(Some(format!(
            "{sign}{}",
            (options.human_bytes)(number.unsigned_abs())
        )))
    })?;
    add(connection, "regexp", 2, text::regexp)?;
    // Theirs take time by one text times the other.
    add(connection, "instr", 2, text::instr)?;
    add(connection, "replace", 3, text::replace)?;
    for (name, side) in [
        ("trim", text::Side::Both),
        ("ltrim", text::Side::Left),
        ("rtrim", text::Side::Right),
    ] {
        for arguments in [1, 2] {
            add(connection, name, arguments, move |context| {
                text::trim(context, side)
            })?;
        }
    }
    Ok(())
}

fn add<F, T>(connection: &Connection, name: &str, arguments: i32, function: F) -> Result<(), StoreError>
where
    F: Fn(&Context<'_>) -> Given<T> + Send + 'static,
    T: Into<Value>,
{
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        // They read nothing but their arguments, so the views may call them, too.
        | FunctionFlags::SQLITE_INNOCUOUS;
    connection.create_scalar_function(name, arguments, flags, move |context| {
        let given: Option<Value> = function(context)?.map(Into::into);
        Ok(ToSqlOutput::Owned(given.unwrap_or(Value::Null)))
    })?;
    Ok(())
}

/// An error of a function, in words.
fn wrong(message: impl Into<String>) -> rusqlite::Error {
    rusqlite::Error::UserFunctionError(message.into().into())
}

/// An argument as an integer; `None` where it is NULL.
fn integer(context: &Context<'_>, index: usize) -> Given<i64> {
    match context.get_raw(index) {
        ValueRef::Null => Ok(None),
        ValueRef::Integer(number) => Ok(Some(number)),
        // Within the range, or at its end.
        ValueRef::Real(number) => Ok(Some(number as i64)),
        other => match text(other).and_then(|text| text.trim().parse().ok()) {
            Some(number) => Ok(Some(number)),
            None => Err(wrong("a number is wanted, and this is none")),
        },
    }
}

/// A value as a text; `None` where it is NULL.
fn text(value: ValueRef<'_>) -> Option<Cow<'_, str>> {
    match value {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some(number.to_string().into()),
        ValueRef::Real(number) => Some(format!("{number:?}").into()),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(String::from_utf8_lossy(bytes)),
    }
}
