//! Answers to questions in SQL: a table for people, JSON for programs, CSV for spreadsheets; and what may be asked.

mod list;
mod schema;
mod table;
#[cfg(test)]
mod tests;

use std::io::{self, Write};

use atalaya_format::{csv, json};
use atalaya_store::console::{Answer, Cell};

pub use list::{write_list, write_list_json};
pub use schema::{write_schema, write_schema_json};
pub use table::{TextOptions, write_text};

/// Writes the answer as one JSON array of objects, a line each.
///
/// # Errors
/// When the writer fails.
pub fn write_json(answer: &Answer, out: &mut dyn Write) -> io::Result<()> {
    let mut line = String::new();
    for (number, row) in answer.rows.iter().enumerate() {
        line.clear();
        line.push_str(if number == 0 { "[\n" } else { ",\n" });
        object(&mut line, answer, row);
        out.write_all(line.as_bytes())?;
    }
    let end: &[u8] = if answer.rows.is_empty() { b"[]\n" } else { b"\n]\n" };
    out.write_all(end)
}

/// Writes the answer as JSON Lines: an object a row.
///
/// # Errors
/// When the writer fails.
pub fn write_jsonl(answer: &Answer, out: &mut dyn Write) -> io::Result<()> {
    let mut line = String::new();
    for row in &answer.rows {
        line.clear();
        object(&mut line, answer, row);
        line.push('\n');
        out.write_all(line.as_bytes())?;
    }
    Ok(())
}

fn object(out: &mut String, answer: &Answer, row: &[Cell]) {
    out.push('{');
    for (place, (column, cell)) in answer.columns.iter().zip(row).enumerate() {
        if place > 0 {
            out.push(',');
        }
        json::whole(out, &column.name);
        out.push(':');
        match cell {
            Cell::Integer(number) => out.push_str(&number.to_string()),
            Cell::Real(number) if number.is_finite() => out.push_str(&number.to_string()),
            Cell::Text(text) => json::whole(out, text),
            Cell::Blob(bytes) => json::whole(out, &hex(bytes)),
            Cell::Null | Cell::Real(_) => out.push_str("null"),
        }
    }
    out.push('}');
}

/// Writes the answer as CSV with a header. Texts are escaped and no formulas, as in every CSV of ours.
///
/// # Errors
/// When the writer fails.
pub fn write_csv(answer: &Answer, out: &mut dyn Write) -> io::Result<()> {
    if answer.columns.is_empty() {
        return Ok(());
    }
    let mut writer = ::csv::Writer::from_writer(out);
    let names = answer.columns.iter().map(|column| csv::text(&column.name));
    writer.write_record(names).map_err(csv::io_error)?;
    for row in &answer.rows {
        writer
            .write_record(row.iter().map(plain))
            .map_err(csv::io_error)?;
    }
    writer.flush()
}

/// A cell of CSV.
fn plain(cell: &Cell) -> String {
    match cell {
        Cell::Null => String::new(),
        Cell::Integer(number) => number.to_string(),
        Cell::Real(number) => number.to_string(),
        Cell::Text(text) => csv::text(text),
        Cell::Blob(bytes) => hex(bytes),
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}
