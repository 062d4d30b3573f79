//! What packets told of a conversation, beside its row: whole as JSON, and its fields as columns.

use std::sync::LazyLock;

use atalaya_model::fields::{self, Record};
use atalaya_model::{Connection as Conversation, Wire};
use rusqlite::types::Value as Sql;
use rusqlite::{Connection, OptionalExtension};

use crate::StoreError;
use crate::alerts::to_sql;

fn insert_sql() -> &'static str {
    static SQL: LazyLock<String> = LazyLock::new(|| {
        let columns: Vec<_> = fields::of_wire().map(|field| field.column).collect();
        let places: Vec<_> = (1..=columns.len() + 2).map(|place| format!("?{place}")).collect();
        let (columns, places) = (columns.join(", "), places.join(", "));
        format!("INSERT OR REPLACE INTO wire (connection, document, {columns}) VALUES ({places})")
    });
    &SQL
}

/// Keeps what packets told of the conversation in this row; where they told nothing, what was kept before stays.
pub(crate) fn write(connection: &Connection, id: i64, conversation: &Conversation) -> Result<(), StoreError> {
    let Some(wire) = &conversation.wire else {
        return Ok(());
    };
    let record = Record::Connection(conversation);
    let mut statement = connection.prepare_cached(insert_sql())?;
    statement.raw_bind_parameter(1, id)?;
    statement.raw_bind_parameter(2, serde_json::to_string(wire)?)?;
    for (place, field) in (3..).zip(fields::of_wire()) {
        let value = (field.get)(&record);
        statement.raw_bind_parameter(place, value.as_ref().map_or(Sql::Null, to_sql))?;
    }
    statement.raw_execute()?;
    Ok(())
}

/// What packets told of the conversation in this row.
pub(crate) fn read(connection: &Connection, id: i64) -> Result<Option<Box<Wire>>, StoreError> {
    let document: Option<String> = connection
        .prepare_cached("SELECT document FROM wire WHERE connection = ?1")?
        .query_row([id], |row| row.get(0))
        .optional()?;
    Ok(document
        .map(|document| serde_json::from_str(&document))
        .transpose()?)
}
