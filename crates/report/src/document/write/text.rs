//! Text for a terminal or a ticket: aligned columns, long texts under their rows.

use std::io::{self, Write};

use crate::snapshot::labels::label as word;
use atalaya_format::catalogue::Language;
use atalaya_format::escape;

use super::{columns, origin, said, shown, title};
use crate::document::{Document, Said, Shape, Table};

/// Widest column, in characters.
const WIDEST: usize = 48;

/// Writes the document; lines are cut at `width` columns, 0 for as long as they are.
///
/// # Errors
/// When the writer fails.
pub fn write_text(
    document: &Document,
    language: Language,
    width: usize,
    out: &mut dyn Write,
) -> io::Result<()> {
    writeln!(out, "{}", said(&document.title, language))?;
    writeln!(out, "{}", origin(document))?;
    wrap("", &said(&document.verdict, language), width, out)?;
    list("What is new", &document.news, (language, width), out)?;
    list("What was not seen", &document.unseen, (language, width), out)?;
    for section in &document.sections {
        // In a terminal, what is empty only takes room.
        if !section.table.rows.is_empty() {
            write_table(&section.table, language, width, out)?;
        }
    }
    out.flush()
}

fn list(
    heading: &'static str,
    sentences: &[Said],
    (language, width): (Language, usize),
    out: &mut dyn Write,
) -> io::Result<()> {
    if sentences.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{}:", word(heading, language))?;
    for sentence in sentences {
        wrap("  ", &said(sentence, language), width, out)?;
    }
    Ok(())
}

fn write_table(table: &Table, language: Language, width: usize, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "\n{}", title(table, language))?;
    let (places, under) = columns(table);
    let cells: Vec<Vec<String>> = table
        .rows
        .iter()
        .map(|row| {
            let cell = |place: &usize| {
                let column = &table.columns[*place];
                let text = shown(column, row.get(*place).and_then(Option::as_ref), language);
                match column.shape {
                    // A long one stands under its row.
                    Shape::Sentence if text.chars().count() > WIDEST => String::new(),
                    Shape::Code => escape::end(&text, WIDEST),
                    _ => escape::start(&text, WIDEST),
                }
            };
            places.iter().map(cell).collect()
        })
        .collect();
    let labels: Vec<&str> = places
        .iter()
        .map(|place| word(table.columns[*place].label, language))
        .collect();
    let widths: Vec<usize> = labels
        .iter()
        .enumerate()
        .map(|(place, label)| {
            let longest = cells.iter().map(|row| row[place].chars().count()).max();
            longest.unwrap_or_default().min(WIDEST).max(label.chars().count())
        })
        .collect();
    let is_right = |place: usize| matches!(table.columns[places[place]].shape, Shape::Number | Shape::Bytes);
    let line = |row: Vec<&str>, out: &mut dyn Write| -> io::Result<()> {
        let mut text = String::from(" ");
        for (place, cell) in row.into_iter().enumerate() {
            let width = widths[place];
            text.push(' ');
            match is_right(place) {
                true => text.push_str(&format!("{cell:>width$} ")),
                false => text.push_str(&format!("{cell:<width$} ")),
            }
        }
        writeln!(out, "{}", cut(text.trim_end(), width))
    };
    line(labels, out)?;
    for (row, values) in cells.iter().zip(&table.rows) {
        line(row.iter().map(String::as_str).collect(), out)?;
        for place in &places {
            let column = &table.columns[*place];
            let text = shown(column, values.get(*place).and_then(Option::as_ref), language);
            if column.shape == Shape::Sentence && text.chars().count() > WIDEST {
                wrap("      ", &text, width, out)?;
            }
        }
        for place in &under {
            let column = &table.columns[*place];
            let text = shown(column, values.get(*place).and_then(Option::as_ref), language);
            if !text.is_empty() {
                let text = format!("{}: {text}", word(column.label, language));
                wrap("      ", &text, width, out)?;
            }
        }
    }
    Ok(())
}

/// A text on as many lines as it needs, broken between words where that is possible.
fn wrap(indent: &str, text: &str, width: usize, out: &mut dyn Write) -> io::Result<()> {
    let room = match width {
        0 => usize::MAX,
        width => width.saturating_sub(indent.len()).max(20),
    };
    let mut line = String::new();
    let mut length = 0;
    for word in text.split(' ') {
        let letters = word.chars().count();
        if length > 0 && length + 1 + letters > room {
            writeln!(out, "{indent}{line}")?;
            line.clear();
            length = 0;
        }
        if length > 0 {
            line.push(' ');
            length += 1;
        }
        line.push_str(word);
        length += letters;
    }
    writeln!(out, "{indent}{line}")
}

/// What goes beyond the last column is not shown.
fn cut(line: &str, width: usize) -> String {
    match width {
        0 => line.to_owned(),
        width => escape::start(line, width),
    }
}
