//! For a terminal or a ticket.

use std::io::{self, Write};

use crate::snapshot::labels::label;
use atalaya_format::catalogue::term;
use atalaya_format::escape;

use super::{Labels, about, origin, said, shown, title};
use crate::verify::document::{Column, Document, List, Shape};

/// Longest word in a column, in characters.
const MAX_WORD: usize = 40;
/// Longest text on a line of its own, in characters; JSON, CSV and HTML have all of it.
const MAX_LONG: usize = 300;

/// Writes the document.
///
/// # Errors
/// When the writer fails.
pub fn write_text(document: &Document, labels: Labels, out: &mut dyn Write) -> io::Result<()> {
    let language = labels.language;
    writeln!(out, "{}\n", term(document.title, language))?;
    let origin = origin(document, language);
    let widest = origin
        .iter()
        .map(|(label, _)| label.chars().count())
        .max()
        .unwrap_or(0);
    for (label, value) in origin {
        let room = " ".repeat(widest - label.chars().count());
        writeln!(out, "  {label}{room}  {value}")?;
    }
    for list in &document.lists {
        writeln!(out, "\n{}", title(list, language))?;
        let about = about(list, language);
        if !about.is_empty() {
            writeln!(out, "  {about}")?;
        }
        if list.rows.is_empty() {
            writeln!(out, "  {}", term("None.", language))?;
            continue;
        }
        write_list(list, labels, out)?;
    }
    if !document.left_out.is_empty() {
        writeln!(out, "\n{}", term("Left out", language))?;
        for note in &document.left_out {
            writeln!(out, "  {}", said(note, language))?;
        }
    }
    out.flush()
}

/// Columns before this one stand in headings.
fn first_of_row(list: &List) -> usize {
    list.heading.map_or(0, |last| last + 1)
}

fn write_list(list: &List, labels: Labels, out: &mut dyn Write) -> io::Result<()> {
    let language = labels.language;
    let begin = first_of_row(list);
    let short: Vec<usize> = (begin..list.columns.len())
        .filter(|place| list.columns[*place].shape != Shape::Long)
        .filter(|place| {
            list.rows
                .iter()
                .any(|row| row.get(*place).is_some_and(Option::is_some))
        })
        .collect();
    let cell = |place: usize, row: &[Option<atalaya_model::Value>]| {
        let column = &list.columns[place];
        let text = shown(column, row.get(place).and_then(Option::as_ref), language);
        match text.is_empty() {
            true => "-".to_owned(),
            false if column.shape == Shape::Term => text,
            false => escape::end(&text, MAX_WORD),
        }
    };
    let cells: Vec<Vec<String>> = list
        .rows
        .iter()
        .map(|row| short.iter().map(|place| cell(*place, row)).collect())
        .collect();
    let heads: Vec<String> = short
        .iter()
        .map(|place| label(list.columns[*place].label, language).to_owned())
        .collect();
    let widths: Vec<usize> = heads
        .iter()
        .enumerate()
        .map(|(place, head)| {
            let cells = cells.iter().map(|row| row[place].chars().count());
            cells.max().unwrap_or(0).max(head.chars().count())
        })
        .collect();
    let line = |cells: &[String]| {
        let mut text = String::from(" ");
        for ((cell, width), place) in cells.iter().zip(&widths).zip(&short) {
            let room = " ".repeat(width.saturating_sub(cell.chars().count()));
            let shape = list.columns[*place].shape;
            text.push(' ');
            match shape {
                Shape::Number | Shape::Bytes => text.push_str(&format!("{room}{cell} ")),
                _ => text.push_str(&format!("{cell}{room} ")),
            }
        }
        cut(text.trim_end(), labels.width)
    };
    if list.heading.is_none() {
        writeln!(out, "{}", line(&heads))?;
    }
    let mut group = None;
    for (row, cells) in list.rows.iter().zip(&cells) {
        if list.heading.is_some() && group != Some(&row[..begin]) {
            group = Some(&row[..begin]);
            writeln!(out, "\n  {}", heading(list, &row[..begin], labels))?;
            writeln!(out, "  {}", line(&heads).trim_end())?;
        }
        let indent = if list.heading.is_some() { "  " } else { "" };
        writeln!(out, "{indent}{}", line(cells))?;
        for (column, value) in list.columns.iter().zip(row).skip(begin) {
            if column.shape == Shape::Long && value.is_some() {
                let text = shown(column, value.as_ref(), language);
                let label = label(column.label, language);
                let text = format!("{indent}      {label}: {}", escape::start(&text, MAX_LONG));
                writeln!(out, "{}", cut(&text, labels.width))?;
            }
        }
    }
    Ok(())
}

/// `HIGH  curl  Differs in: SHA-256, Path; the same path, another content; Ways: 3`.
fn heading(list: &List, values: &[Option<atalaya_model::Value>], labels: Labels) -> String {
    let text = |(column, value): (&Column, &Option<atalaya_model::Value>)| {
        let text = shown(column, value.as_ref(), labels.language);
        match column.name {
            "severity" | "process" | "why" => text,
            _ => format!("{}: {text}", label(column.label, labels.language)),
        }
    };
    let parts: Vec<String> = list.columns.iter().zip(values).map(text).collect();
    cut(&parts.join("  "), labels.width.saturating_sub(2))
}

/// The beginning of a line that is too long for the terminal.
fn cut(line: &str, width: usize) -> String {
    match width {
        0..20 => line.to_owned(),
        width => escape::start(line, width),
    }
}
