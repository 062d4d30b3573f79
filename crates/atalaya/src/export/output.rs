//! Rows of a view as values, and where they are written.

use std::io::{self, Write};

use atalaya_format::table::{Rows, line};
use atalaya_model::{Span, Time, Value};
use atalaya_store::{Cell, Column, View};

use super::GATHER;
use crate::cli::ExportFormat;

/// Longest text that is put into a column as a list; a longer one is a text.
const LONGEST_LIST: usize = 1 << 20;

/// A file under way.
pub(super) enum Output<'a> {
    Csv(Vec<Column>, Box<Rows<&'a mut dyn Write>>),
    Lines(Vec<Column>, String, &'a mut dyn Write),
    #[cfg(feature = "parquet")]
    Parquet(Box<super::parquet::File<'a>>),
}

impl<'a> Output<'a> {
    /// Starts a file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn new(format: ExportFormat, view: &View, out: &'a mut dyn Write) -> io::Result<Self> {
        let columns = view.columns.iter().filter(|column| column.kind != "blob");
        let columns: Vec<Column> = columns.cloned().collect();
        Ok(match format {
            ExportFormat::Csv => {
                let rows = Rows::new(out, columns.iter().map(|column| &*column.name))?;
                Self::Csv(columns, Box::new(rows))
            }
            #[cfg(feature = "parquet")]
            ExportFormat::Parquet => {
                let file = super::parquet::File::new(view.name, &columns, out)?;
                Self::Parquet(Box::new(file))
            }
            _ => Self::Lines(columns, String::with_capacity(GATHER + 4_096), out),
        })
    }

    /// Appends a row.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn row(&mut self, cells: &[Cell<'_>]) -> io::Result<()> {
        match self {
            Self::Csv(columns, rows) => rows.write(&values(columns, cells)),
            Self::Lines(columns, text, out) => {
                let values = values(columns, cells);
                line(text, columns.iter().map(|column| &*column.name), &values);
                if text.len() >= GATHER {
                    out.write_all(text.as_bytes())?;
                    text.clear();
                }
                Ok(())
            }
            #[cfg(feature = "parquet")]
            Self::Parquet(file) => file.row(cells),
        }
    }

    /// Writes the rest.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn finish(self) -> io::Result<()> {
        match self {
            Self::Csv(_, mut rows) => rows.flush(),
            Self::Lines(_, text, out) => {
                out.write_all(text.as_bytes())?;
                out.flush()
            }
            #[cfg(feature = "parquet")]
            Self::Parquet(file) => file.finish(),
        }
    }
}

fn values(columns: &[Column], cells: &[Cell<'_>]) -> Vec<Option<Value>> {
    let pairs = columns.iter().zip(cells);
    pairs.map(|(column, cell)| value(column.kind, *cell)).collect()
}

/// A cell by the kind of its column.
fn value(kind: &str, cell: Cell<'_>) -> Option<Value> {
    Some(match (cell, kind) {
        (Cell::Unset, _) => return None,
        (Cell::Integer(number), "time") => Value::Time(Time(number)),
        (Cell::Integer(number), "microseconds") => Value::Span(Span(number)),
        (Cell::Integer(number), "boolean") => Value::Bool(number != 0),
        (Cell::Integer(number), _) => Value::Integer(number),
        (Cell::Real(number), _) => Value::Float(number),
        (Cell::Text(text), "texts") if text.len() <= LONGEST_LIST => match serde_json::from_str(text) {
            Ok(texts) => Value::List(
                Vec::<String>::into_iter(texts)
                    .map(|text| Value::from(&*text))
                    .collect(),
            ),
            Err(_) => text.into(),
        },
        (Cell::Text(text), _) => text.into(),
    })
}
