//! Text for a terminal or a ticket: aligned columns, long texts under their rows.

use std::io::{self, Write};

use crate::snapshot::labels::label as word;
use atalaya_format::catalogue::Language;
use atalaya_format::escape;

use super::{columns, empty, group, origin, said, shown, title};
use crate::document::{Document, Said, Shape, Table, column};

/// Widest column, in characters.
const WIDEST: usize = 48;
/// Widest column of paths, addresses and the like: a digest fits.
const WIDEST_CODE: usize = 64;

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
    let plain = column("", "", Shape::Number);
    let numbers = document.numbers.iter().map(|number| {
        let value = shown(&plain, Some(&number.value), language);
        (word(number.label, language), value)
    });
    pairs(numbers.collect(), width, out)?;
    list("What is new", &document.news, (language, width), out)?;
    list("What was not seen", &document.unseen, (language, width), out)?;
    for section in &document.sections {
        // In a terminal, what is empty only takes room.
        if !section.table.rows.is_empty() {
            write_table(&section.table, language, width, out)?;
        }
    }
    if let Some(sentence) = empty(document, language) {
        writeln!(out)?;
        wrap("", &sentence, width, out)?;
    }
    writeln!(out, "\n{}", word("Method", language))?;
    let plain = column("", "", Shape::Sentence);
    let method = document.method.iter().map(|(label, value)| {
        let value = shown(&plain, Some(value), language);
        (word(label, language), value)
    });
    pairs(method.collect(), width, out)?;
    out.flush()
}

/// What is called how, a line each, the values below each other.
fn pairs(pairs: Vec<(&str, String)>, width: usize, out: &mut dyn Write) -> io::Result<()> {
    let lengths = pairs.iter().map(|(label, _)| label.chars().count());
    let widest = lengths.max().unwrap_or_default();
    for (label, value) in pairs {
        writeln!(out, "{}", cut(&format!("  {label:<widest$}  {value}"), width))?;
    }
    Ok(())
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

/// A row as it is written.
struct Line {
    /// What stands above it, where a group begins.
    group: Option<String>,
    cells: Vec<String>,
    /// What is too long for a column, under the row.
    under: Vec<String>,
}

fn write_table(table: &Table, language: Language, width: usize, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "\n{}", title(table, language))?;
    let about = said(&table.about, language);
    if !about.is_empty() {
        wrap("  ", &about, width, out)?;
    }
    let (mut places, mut under) = columns(table, table.group);
    // Where one sentence is too long for a column, all stand under their rows.
    let is_long = |place: &usize| {
        let column = &table.columns[*place];
        column.shape == Shape::Sentence
            && table.rows.iter().any(|row| {
                let value = row.get(*place).and_then(Option::as_ref);
                shown(column, value, language).chars().count() > WIDEST
            })
    };
    let sentences: Vec<usize> = places.extract_if(.., |place| is_long(place)).collect();
    under.splice(0..0, sentences);
    let labels: Vec<&str> = places
        .iter()
        .map(|place| word(table.columns[*place].label, language))
        .collect();
    let lines: Vec<Line> = (0..table.rows.len())
        .map(|row| line(table, row, (&places, &under), language))
        .collect();
    let widths: Vec<usize> = labels
        .iter()
        .enumerate()
        .map(|(place, label)| {
            let longest = lines.iter().map(|line| line.cells[place].chars().count()).max();
            longest.unwrap_or_default().max(label.chars().count())
        })
        .collect();
    let indent = if table.group > 0 { "   " } else { " " };
    let write = |cells: &[&str], out: &mut dyn Write| -> io::Result<()> {
        let mut text = String::from(indent);
        for ((cell, width), place) in cells.iter().zip(&widths).zip(&places) {
            text.push(' ');
            match table.columns[*place].shape {
                Shape::Number | Shape::Bytes => text.push_str(&format!("{cell:>width$} ")),
                _ => text.push_str(&format!("{cell:<width$} ")),
            }
        }
        writeln!(out, "{}", cut(text.trim_end(), width))
    };
    if table.group == 0 {
        write(&labels, out)?;
    }
    for line in &lines {
        if let Some(group) = &line.group {
            writeln!(out)?;
            wrap("  ", group, width, out)?;
            write(&labels, out)?;
        }
        let cells: Vec<&str> = line.cells.iter().map(String::as_str).collect();
        write(&cells, out)?;
        for text in &line.under {
            wrap("      ", text, width, out)?;
        }
    }
    Ok(())
}

fn line(table: &Table, row: usize, (places, under): (&[usize], &[usize]), language: Language) -> Line {
    let text = |place: usize| {
        let value = table.rows[row].get(place).and_then(Option::as_ref);
        shown(&table.columns[place], value, language)
    };
    let labelled =
        |place: usize, text: String| format!("{}: {text}", word(table.columns[place].label, language));
    let mut below = Vec::new();
    let mut cells = Vec::with_capacity(places.len());
    for place in places {
        let text = text(*place);
        cells.push(match table.columns[*place].shape {
            Shape::Code if text.chars().count() > WIDEST_CODE => {
                let end = escape::end(&text, WIDEST_CODE);
                below.push(labelled(*place, text));
                end
            }
            Shape::Code => text,
            _ => escape::start(&text, WIDEST),
        });
    }
    for place in under {
        let text = text(*place);
        match table.columns[*place].shape {
            _ if text.is_empty() => {}
            // A sentence says itself what it is.
            Shape::Sentence => below.push(text),
            _ => below.push(labelled(*place, text)),
        }
    }
    Line {
        group: group(table, row, language).map(|parts| {
            let parts: Vec<String> = parts.into_iter().map(|(_, part)| part).collect();
            parts.join("  ")
        }),
        cells,
        under: below,
    }
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
