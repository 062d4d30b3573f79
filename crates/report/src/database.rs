//! How the database is: what a check found, and what is how big.

use std::io::{self, Write};

use atalaya_format::catalogue::Language;
use atalaya_format::{escape, json, numbers};
use atalaya_store::{Check, Extent, TableSize};

use crate::snapshot::labels::label;

#[cfg(test)]
mod tests;

/// Longest line that SQLite's words may take, in characters.
const PROBLEM: usize = 300;

/// Writes what a check found: a line a table, what is wrong below it, and the sum of it.
///
/// # Errors
/// When the writer fails.
pub fn write_check(check: &Check, language: Language, out: &mut dyn Write) -> io::Result<()> {
    let sound = check
        .sound
        .iter()
        .map(|(table, rows)| (table, *rows, "whole", &[][..]));
    let damaged = check.damaged.iter().map(|damaged| {
        let state = match damaged.is_readable {
            true => "rows whole, an index or a rule broken",
            false => "damaged: only these rows can be read",
        };
        (&damaged.table, damaged.rows, state, &damaged.problems[..])
    });
    let tables: Vec<_> = sound.chain(damaged).collect();
    let width = tables
        .iter()
        .map(|(table, ..)| table.chars().count())
        .max()
        .unwrap_or(0);
    for (table, rows, state, problems) in tables {
        let [words, state] = ["rows", state].map(|words| label(words, language));
        writeln!(
            out,
            "{:<width$}  {rows:>12} {words}  {state}",
            escape::text(table)
        )?;
        lines("  ", problems, out)?;
    }
    lines("", &check.file, out)?;
    if !check.sums.is_empty() {
        writeln!(out, "{}:", label("Sums that are not what the rows say", language))?;
        lines("  ", &check.sums, out)?;
    }
    let verdict = match check.is_sound() {
        true => "The database is whole.",
        false => "The database is damaged.",
    };
    writeln!(out, "{}", label(verdict, language))?;
    if !check.is_sound() && check.sound.is_empty() && check.damaged.is_empty() {
        let advice = label(
            "No table of it can be read. Put a backup in its place, or set the file aside: `atalaya watch` makes a new one.",
            language,
        );
        writeln!(out, "{advice}")?;
    }
    Ok(())
}

fn lines(before: &str, lines: &[String], out: &mut dyn Write) -> io::Result<()> {
    lines
        .iter()
        .try_for_each(|line| writeln!(out, "{before}{}", escape::start(line, PROBLEM)))
}

/// Writes what a check found as one JSON object.
///
/// # Errors
/// When the writer fails.
pub fn write_check_json(check: &Check, out: &mut dyn Write) -> io::Result<()> {
    let mut text = format!("{{\"whole\":{},\"tables\":[", check.is_sound());
    let mut table = |name: &str, rows: u64, state: &str, problems: &[String]| {
        text.push_str(if text.ends_with('[') {
            "{\"name\":"
        } else {
            ",{\"name\":"
        });
        json::whole(&mut text, name);
        text.push_str(&format!(",\"rows\":{rows},\"state\":\"{state}\",\"problems\":"));
        texts(&mut text, problems);
        text.push('}');
    };
    for (name, rows) in &check.sound {
        table(name, *rows, "whole", &[]);
    }
    for damaged in &check.damaged {
        let state = if damaged.is_readable {
            "rows_whole"
        } else {
            "damaged"
        };
        table(&damaged.table, damaged.rows, state, &damaged.problems);
    }
    text.push_str("],\"file\":");
    texts(&mut text, &check.file);
    text.push_str(",\"sums\":");
    texts(&mut text, &check.sums);
    writeln!(out, "{text}}}")
}

fn texts(out: &mut String, texts: &[String]) {
    out.push('[');
    for (place, text) in texts.iter().enumerate() {
        if place > 0 {
            out.push(',');
        }
        json::whole(out, text);
    }
    out.push(']');
}

/// Writes the sizes: a line a table, and the sum.
///
/// # Errors
/// When the writer fails.
pub fn write_sizes(
    tables: &[TableSize],
    extent: &Extent,
    language: Language,
    out: &mut dyn Write,
) -> io::Result<()> {
    let heads = ["Table", "Rows", "Bytes", "Indexes", "Bytes/row"].map(|head| label(head, language));
    let mut rows: Vec<[String; 5]> = vec![heads.map(str::to_owned)];
    for table in tables {
        let each = (table.bytes + table.index_bytes).checked_div(table.rows);
        rows.push([
            escape::start(&table.table, PROBLEM),
            table.rows.to_string(),
            numbers::bytes(table.bytes),
            numbers::bytes(table.index_bytes),
            each.map_or_else(|| "-".to_owned(), |each| each.to_string()),
        ]);
    }
    let width = |place: usize| {
        rows.iter()
            .map(|row| row[place].chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..heads.len()).map(width).collect();
    for row in &rows {
        write!(out, "{:<1$}", row[0], widths[0])?;
        for (cell, width) in row.iter().zip(&widths).skip(1) {
            write!(out, "  {cell:>width$}")?;
        }
        writeln!(out)?;
    }
    writeln!(
        out,
        "{} {}, {} {}",
        numbers::bytes(extent.bytes),
        label("in the file", language),
        numbers::bytes(extent.free_bytes),
        label("of it free", language)
    )?;
    match (extent.first, extent.last) {
        (Some(first), Some(last)) => writeln!(out, "{} – {}", first.local(), last.local()),
        _ => Ok(()),
    }
}

/// Writes the sizes as one JSON object; bytes as numbers.
///
/// # Errors
/// When the writer fails.
pub fn write_sizes_json(tables: &[TableSize], extent: &Extent, out: &mut dyn Write) -> io::Result<()> {
    let time = |time: Option<atalaya_model::Time>| match time {
        Some(time) => format!("\"{}\"", time.rfc3339()),
        None => "null".to_owned(),
    };
    let mut text = format!(
        "{{\"bytes\":{},\"free_bytes\":{},\"first\":{},\"last\":{},\"tables\":[",
        extent.bytes,
        extent.free_bytes,
        time(extent.first),
        time(extent.last)
    );
    for (place, table) in tables.iter().enumerate() {
        text.push_str(if place > 0 { ",{\"name\":" } else { "{\"name\":" });
        json::whole(&mut text, &table.table);
        text.push_str(&format!(
            ",\"rows\":{},\"bytes\":{},\"index_bytes\":{}}}",
            table.rows, table.bytes, table.index_bytes
        ));
    }
    writeln!(out, "{text}]}}")
}
