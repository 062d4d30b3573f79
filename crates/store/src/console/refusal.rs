//! Why a question is not answered, where in the statement, and what to do.

use std::fmt;

use super::{Cut, words};
use crate::StoreError;

/// Characters of a statement's line that are shown around a place.
const SHOWN: usize = 76;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The statement is wrong or not allowed.
    #[error("{message}{}{}", .place.as_ref().map(ToString::to_string).unwrap_or_default(), match hint { Some(hint) => format!("\nhint: {hint}"), None => String::new() })]
    Statement {
        /// What is wrong.
        message: String,
        /// Where.
        place: Option<Place>,
        /// What to do.
        hint: Option<String>,
    },
    /// A value that the statement does not take, or one that it lacks.
    #[error("{0}")]
    Value(String),
    /// The caller's clock stopped it before there was anything.
    #[error("it took too long")]
    Stopped,
    /// SQLite reached the limit of memory.
    #[error("it needs more memory than it may have")]
    Memory,
    /// The database cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A place in a statement, with its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What of the line is shown.
    shown: String,
    /// Where in it the place is, in characters.
    caret: usize,
}

impl Place {
    /// The place at a byte of a statement.
    fn at(sql: &str, mut byte: usize) -> Self {
        byte = byte.min(sql.len());
        while !sql.is_char_boundary(byte) {
            byte -= 1;
        }
        let before = &sql[..byte];
        let begin = before.rfind('\n').map_or(0, |at| at + 1);
        let line = sql[begin..].lines().next().unwrap_or_default();
        let column = sql[begin..byte].chars().count();
        let skipped = column.saturating_sub(SHOWN / 2);
        // What would move the cursor takes one column here, so that the caret stands where it should.
        let shown = line.chars().skip(skipped).take(SHOWN);
        Self {
            line: before.matches('\n').count() + 1,
            column: column + 1,
            shown: shown.map(|c| if c.is_control() { ' ' } else { c }).collect(),
            caret: column - skipped,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            line,
            column,
            shown,
            caret,
        } = self;
        write!(
            f,
            "\n  at line {line}, column {column}:\n  {shown}\n  {:caret$}^",
            ""
        )
    }
}

impl Refusal {
    /// A statement that is not answered.
    pub(super) fn statement(sql: &str, at: Option<usize>, message: String, hint: Option<String>) -> Self {
        Self::Statement {
            message,
            place: at.map(|at| Place::at(sql, at)),
            hint,
        }
    }

    /// The same, at the place of a word.
    pub(super) fn at_word(sql: &str, word: Option<&str>, message: &str, hint: &str) -> Self {
        let at = word.and_then(|word| words::place(sql, word));
        Self::statement(sql, at, message.to_owned(), Some(hint.to_owned()))
    }

    /// Anything but a `SELECT`, at the verb that it has.
    pub(super) fn only_select(sql: &str) -> Self {
        const HINT: &str = "write one `SELECT`, `VALUES` or `WITH … SELECT`; nothing can be changed";
        match words::verb(sql) {
            Some(verb) => {
                let message = format!("`{}` is not allowed here", verb.to_uppercase());
                Self::at_word(sql, Some(verb), &message, HINT)
            }
            None => Self::at_word(sql, None, "only `SELECT` is answered here", HINT),
        }
    }

    /// What SQLite said of a statement.
    pub(super) fn of(error: rusqlite::Error, sql: &str) -> Self {
        use rusqlite::Error::{SqlInputError, SqliteFailure};
        use rusqlite::ErrorCode::{
            ApiMisuse, AuthorizationForStatementDenied, OperationInterrupted, OutOfMemory, ReadOnly, TooBig,
            Unknown,
        };
        let hint = |text: &str| Some(text.to_owned());
        match error {
            SqlInputError { msg, offset, .. } => {
                let at = usize::try_from(offset).ok();
                let hint = advice(&msg);
                Self::statement(sql, at, msg, hint)
            }
            SqliteFailure(failure, message) => {
                let message = message.unwrap_or_else(|| failure.to_string());
                match failure.code {
                    OperationInterrupted => Self::Stopped,
                    OutOfMemory => Self::Memory,
                    TooBig => {
                        let limit = "texts have at most 1 MiB here, statements 64 KiB, LIKE and GLOB patterns 128 bytes";
                        Self::statement(sql, None, message, hint(limit))
                    }
                    ReadOnly => Self::only_select(sql),
                    Unknown | AuthorizationForStatementDenied | ApiMisuse => {
                        let hint = advice(&message);
                        Self::statement(sql, None, message, hint)
                    }
                    _ => Self::Store(SqliteFailure(failure, Some(message)).into()),
                }
            }
            rusqlite::Error::MultipleStatement => {
                Self::statement(sql, None, "one statement is answered at a time".to_owned(), None)
            }
            rusqlite::Error::UserFunctionError(error) => Self::statement(sql, None, error.to_string(), None),
            other => Self::Store(other.into()),
        }
    }

    /// The cut that this is, where it only ends an answer.
    pub(super) fn into_cut(self) -> Result<Cut, Self> {
        match self {
            Self::Stopped => Ok(Cut::Time),
            Self::Memory => Ok(Cut::Memory),
            other => Err(other),
        }
    }

    /// Is it the question that is wrong, and not the database?
    pub const fn is_mistake(&self) -> bool {
        matches!(self, Self::Statement { .. } | Self::Value(_))
    }
}

/// What to do about a message of SQLite.
fn advice(message: &str) -> Option<String> {
    if message.starts_with("no such table") {
        let names: Vec<_> = crate::schema::views().into_iter().map(|view| view.name).collect();
        return Some(format!("there are: {}", names.join(", ")));
    }
    if message.starts_with("no such column") {
        return Some("`atalaya query --schema` lists the columns; texts stand in single quotes".to_owned());
    }
    if message.starts_with("no such function") || message.starts_with("wrong number of arguments") {
        return Some("`atalaya query --schema` lists the functions".to_owned());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_in_lines_and_characters() {
        let sql = "select 1,\n  é, pidd\nfrom x";
        let place = Place::at(sql, sql.find("pidd").unwrap());
        assert_eq!((place.line, place.column), (2, 6));
        assert_eq!(
            place.to_string(),
            "\n  at line 2, column 6:\n    é, pidd\n       ^"
        );
        let long = format!("{}x", "a".repeat(1_000));
        let place = Place::at(&long, 1_000);
        assert_eq!(place.shown.chars().nth(place.caret), Some('x'));
        assert!(place.shown.len() <= SHOWN);
        assert_eq!(Place::at("é", 1).column, 1);
        assert_eq!(Place::at("", 9).column, 1);
    }
}
