//! How much a question may take.

use rusqlite::Connection;
use rusqlite::limits::Limit;

use crate::StoreError;

/// Instructions of SQLite between two looks at the clock.
pub(super) const STEPS: i32 = 100;

/// Bytes of a statement.
pub(super) const STATEMENT: usize = 64 << 10;

/// Bytes of a text within a question. What is kept of a process or a conversation is shorter.
pub(super) const TEXT: usize = 1 << 20;

/// Sets the limits of a connection.
pub(super) fn set(connection: &Connection, memory: Option<u64>) -> Result<(), StoreError> {
    for (limit, most) in [
        (Limit::SQLITE_LIMIT_LENGTH, TEXT as i32),
        (Limit::SQLITE_LIMIT_SQL_LENGTH, STATEMENT as i32),
        (Limit::SQLITE_LIMIT_COLUMN, 500),
        (Limit::SQLITE_LIMIT_EXPR_DEPTH, 200),
        (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 50),
        (Limit::SQLITE_LIMIT_VDBE_OP, 250_000),
        (Limit::SQLITE_LIMIT_FUNCTION_ARG, 100),
        (Limit::SQLITE_LIMIT_ATTACHED, 0),
        // LIKE and GLOB take time by text times pattern, within one instruction.
        (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 128),
        (Limit::SQLITE_LIMIT_VARIABLE_NUMBER, 64),
        (Limit::SQLITE_LIMIT_TRIGGER_DEPTH, 1),
        (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
    ] {
        connection.set_limit(limit, most)?;
    }
    if let Some(bytes) = memory {
        // A fixed word and a number: nothing of the question is in it.
        let sql = format!("PRAGMA hard_heap_limit = {bytes}");
        connection.query_row(&sql, [], |_| Ok(()))?;
    }
    Ok(())
}
