//! What comes back: columns, rows, and whether there was more.

use std::sync::LazyLock;

use rusqlite::Statement;
use rusqlite::types::ValueRef;

use super::{Question, Refusal};
use crate::schema;

/// What is counted of a cell beside its text.
const CELL: usize = 16;

/// An answer, whole or cut.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Its columns.
    pub columns: Vec<ResultColumn>,
    /// Its rows, each with a cell a column.
    pub rows: Vec<Vec<Cell>>,
    /// Why there may be more; `None` where these are all.
    pub cut: Option<Cut>,
}

/// A column of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResultColumn {
    /// Its name, as the statement gives it; where two have the same, the second gets `_2`.
    pub name: String,
    /// What the documented column of this name holds, in the words of [`crate::Column`]; `None` for others.
    pub kind: Option<&'static str>,
}

/// A value of an answer.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "SQLite's own types")]
pub enum Cell {
    Null,
    Integer(i64),
    Real(f64),
    /// What is not UTF-8 is replaced.
    Text(String),
    Blob(Vec<u8>),
}

/// Why an answer is not whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// There are more rows than were wanted.
    Rows,
    /// The rows are more than so many bytes.
    Bytes,
    /// It took too long.
    Time,
    /// It needed too much memory.
    Memory,
}

impl Answer {
    pub(super) const fn none(cut: Cut) -> Self {
        Self {
            columns: Vec::new(),
            rows: Vec::new(),
            cut: Some(cut),
        }
    }
}

impl Cell {
    fn of(value: ValueRef<'_>) -> Self {
        match value {
            ValueRef::Null => Self::Null,
            ValueRef::Integer(number) => Self::Integer(number),
            ValueRef::Real(number) => Self::Real(number),
            ValueRef::Text(text) => Self::Text(String::from_utf8_lossy(text).into_owned()),
            ValueRef::Blob(bytes) => Self::Blob(bytes.to_vec()),
        }
    }

    /// Bytes that it takes.
    fn size(&self) -> usize {
        CELL + match self {
            Self::Text(text) => text.len(),
            Self::Blob(bytes) => bytes.len(),
            _ => 0,
        }
    }
}

/// Reads what a statement gives, until it ends or a limit is reached.
pub(super) fn read(statement: &mut Statement<'_>, question: &Question<'_>) -> Result<Answer, Refusal> {
    let columns = columns(statement);
    let mut answer = Answer {
        columns,
        rows: Vec::new(),
        cut: None,
    };
    let mut left = question.bytes;
    let mut rows = statement.raw_query();
    loop {
        let row = match rows.next() {
            Ok(Some(row)) => row,
            Ok(None) => break,
            Err(error) => {
                answer.cut = Some(Refusal::of(error, question.sql).into_cut()?);
                break;
            }
        };
        if answer.rows.len() >= question.rows {
            answer.cut = Some(Cut::Rows);
            break;
        }
        let mut cells = Vec::with_capacity(answer.columns.len());
        for index in 0..answer.columns.len() {
            let value = row
                .get_ref(index)
                .map_err(|error| Refusal::of(error, question.sql))?;
            cells.push(Cell::of(value));
        }
        let size = cells.iter().map(Cell::size).sum();
        match left.checked_sub(size) {
            Some(rest) => left = rest,
            None => {
                answer.cut = Some(Cut::Bytes);
                break;
            }
        }
        answer.rows.push(cells);
    }
    Ok(answer)
}

fn columns(statement: &Statement<'_>) -> Vec<ResultColumn> {
    let mut columns: Vec<ResultColumn> = Vec::with_capacity(statement.column_count());
    for index in 0..statement.column_count() {
        let name = statement.column_name(index).unwrap_or("?");
        let kind = kind_of(name);
        let is_taken = |name: &str| columns.iter().any(|column| column.name == name);
        let mut unique = name.to_owned();
        let mut number = 2;
        while is_taken(&unique) {
            unique = format!("{name}_{number}");
            number += 1;
        }
        columns.push(ResultColumn { name: unique, kind });
    }
    columns
}

/// What a column of this name holds, in whichever view.
fn kind_of(name: &str) -> Option<&'static str> {
    static COLUMNS: LazyLock<Vec<(String, &str)>> = LazyLock::new(|| {
        let columns = schema::views().into_iter().flat_map(|view| view.columns);
        columns.map(|column| (column.name, column.kind)).collect()
    });
    let known = COLUMNS.iter().find(|(known, _)| known == name);
    known.map(|(_, kind)| *kind)
}
