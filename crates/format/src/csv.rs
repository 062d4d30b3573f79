//! CSV: a header and a row for each record, the columns from the list of fields.
//!
//! Texts are escaped as for a terminal, so that a row is one line, and a text that begins with `=`, `+`, `-`, `@`, or with
//! one of these in its wide form, gets a `'` before it, so that a spreadsheet does not take it for a formula; so does what
//! follows a `;`, at which spreadsheets of many countries part cells. [`unguarded`] takes it off again. Times are RFC 3339, spans microseconds,
//! bytes plain numbers, several texts are joined by `; `, and what is unset is empty.

use std::borrow::Cow;
use std::io::{self, Write};

use atalaya_model::Value;
use atalaya_model::fields::{self, Field, Kind, Record};

pub mod watched;

use crate::escape;

/// Longest text in a cell, in characters.
const MAX_TEXT: usize = 32_000;

/// Writes records of one kind as CSV.
pub struct Table<W: Write> {
    writer: ::csv::Writer<W>,
    kind: Kind,
    columns: Vec<&'static Field>,
}

impl<W: Write> Table<W> {
    /// Starts a table with its header.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn new(out: W, kind: Kind) -> io::Result<Self> {
        let columns: Vec<_> = fields::of(kind).collect();
        let mut writer = ::csv::Writer::from_writer(out);
        writer
            .write_record(columns.iter().map(|field| field.column))
            .map_err(io_error)?;
        Ok(Self {
            writer,
            kind,
            columns,
        })
    }

    /// Appends a row; a record of another kind is not written.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn write(&mut self, record: &Record<'_>) -> io::Result<()> {
        if record.kind() != self.kind {
            return Ok(());
        }
        for field in &self.columns {
            let value = (field.get)(record);
            self.writer
                .write_field(value.as_ref().map(cell).unwrap_or_default())
                .map_err(io_error)?;
        }
        self.writer.write_record(None::<&[u8]>).map_err(io_error)
    }

    /// Writes what is still held back.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// The failure of the writer below, as it is: a closed pipe stays a closed pipe.
pub fn io_error(error: ::csv::Error) -> io::Error {
    match error.into_kind() {
        ::csv::ErrorKind::Io(error) => error,
        kind => io::Error::other(format!("{kind:?}")),
    }
}

/// The whole table of `records` as text.
pub fn table<'a>(kind: Kind, records: impl IntoIterator<Item = Record<'a>>) -> String {
    let mut bytes = Vec::new();
    let written = Table::new(&mut bytes, kind).and_then(|mut table| {
        records.into_iter().try_for_each(|record| table.write(&record))?;
        table.flush()
    });
    // Memory takes everything, and every cell is text.
    written.map_or_else(
        |_| String::new(),
        |()| String::from_utf8_lossy(&bytes).into_owned(),
    )
}

pub(crate) fn cell(value: &Value) -> String {
    match value {
        Value::Bool(truth) => truth.to_string(),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Bytes(bytes) => bytes.to_string(),
        Value::Text(text) => self::text(text),
        Value::Address(ip) => ip.to_string(),
        Value::Network(network) => network.to_string(),
        Value::Time(time) => time.rfc3339(),
        Value::Span(span) => span.0.to_string(),
        Value::List(values) => {
            let cells: Vec<_> = values.iter().map(cell).collect();
            escape::start(&cells.join("; "), MAX_TEXT)
        }
    }
}

/// A text as a cell: escaped, no formula, not too long.
pub fn text(text: &str) -> String {
    harmless(escape::start(text, MAX_TEXT))
}

/// What begins a formula: where East Asian text is typed, the wide signs do, too.
const SIGNS: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];

/// Would a spreadsheet take this for a formula? Spaces and quotes before the sign do not stop it, so they do not here. What
/// looks like guarded is one, too, so that the guard can be taken off again.
fn is_formula(text: &str) -> bool {
    text.trim_start_matches('\'')
        .trim_start_matches(|c: char| c.is_whitespace() || c == '"')
        .starts_with(SIGNS)
}

/// `'` before what a spreadsheet would take for a formula: at the beginning, and after each `;`, at which it may part cells.
pub fn harmless(text: String) -> String {
    if !text.split(';').any(is_formula) {
        return text;
    }
    let mut guarded = String::with_capacity(text.len() + 4);
    for (place, part) in text.split(';').enumerate() {
        guarded.push_str(if place > 0 { ";" } else { "" });
        guarded.push_str(if is_formula(part) { "'" } else { "" });
        guarded.push_str(part);
    }
    guarded
}

/// The text that [`harmless`] was given.
pub fn unguarded(text: &str) -> Cow<'_, str> {
    let bare = |part: &str| part.strip_prefix('\'').is_some_and(is_formula);
    if !text.split(';').any(bare) {
        return text.into();
    }
    let parts = text
        .split(';')
        .map(|part| if bare(part) { &part[1..] } else { part });
    parts.collect::<Vec<_>>().join(";").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_pipe_is_told_as_one() {
        let closed = ::csv::Error::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(io_error(closed).kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn formulas_become_text() {
        for (text, expected) in [
            ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@x", "'@x"),
            (" =1", "' =1"),
            ("＝1+1", "'＝1+1"),
            ("\u{3000}＠x", "'\u{3000}＠x"),
            ("\t=1", "\\t=1"),
            ("\r=1", "\\r=1"),
            ("a=b", "a=b"),
            ("x;=cmd()", "x;'=cmd()"),
            ("x; \"=cmd();y;＋1", "x;' \"=cmd();y;'＋1"),
            ("'=1", "''=1"),
        ] {
            assert_eq!(cell(&text.into()), expected);
            assert_eq!(unguarded(expected), escape::text(text));
        }
        assert_eq!(cell(&Value::Integer(-5)), "-5");
        let list = Value::List(vec!["=1".into(), "b".into(), "=2".into()]);
        assert_eq!(cell(&list), "'=1; b; '=2");
        assert_eq!(unguarded("'quoted'; 'x'"), "'quoted'; 'x'");
    }
}
