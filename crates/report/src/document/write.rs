//! A document as HTML, Markdown, text, JSON and CSV.

mod charts;
mod csv;
mod html;
mod json;
mod markdown;
mod style;
mod text;

use crate::snapshot::labels::label as word;
use atalaya_format::catalogue::{Language, term};
use atalaya_format::{escape, numbers, sentence};
use atalaya_model::Value;

pub use self::csv::write_csv;
pub use self::html::write_html;
pub use self::json::write_json;
pub use self::markdown::write_markdown;
pub use self::text::write_text;

use super::{Column, Said, Shape, Table};

/// Longest text of a cell, in characters.
const MAX_CELL: usize = 400;
/// Longest text under a row, in characters.
const MAX_UNDER: usize = 1_500;

/// A value for people, escaped for a terminal; empty where there is none.
fn shown(column: &Column, value: Option<&Value>, language: Language) -> String {
    let Some(value) = value else { return String::new() };
    match (column.shape, value) {
        (Shape::Severity, Value::Text(name)) => term(name, language).to_uppercase(),
        (Shape::Term, Value::List(words)) => {
            let words: Vec<_> = words.iter().map(|it| term_of(it, language)).collect();
            words.join(", ")
        }
        (Shape::Term, word) => term_of(word, language),
        (Shape::Number, Value::Integer(number)) if column.name == "port" || column.name == "pid" => {
            number.to_string()
        }
        (Shape::Number, Value::Integer(number)) => grouped(*number),
        (_, Value::Bytes(bytes)) => numbers::bytes(*bytes),
        (_, Value::Time(time)) => time.local(),
        (_, Value::List(values)) => {
            let all: Vec<_> = values.iter().map(plain).collect();
            escape::start(&all.join(", "), MAX_UNDER)
        }
        (Shape::Under, value) => escape::start(&plain(value), MAX_UNDER),
        // Of a path the end says more.
        (Shape::Code, value) => escape::end(&plain(value), MAX_CELL),
        (_, value) => escape::start(&plain(value), MAX_CELL),
    }
}

/// A word of ours; what is the name of a column somewhere is called by its label.
fn term_of(value: &Value, language: Language) -> String {
    let name = plain(value);
    let label = match name.as_str() {
        "sha256" => "SHA-256",
        "path" => "Path",
        "command_line" => "Command line",
        "process" => "Process",
        other => other,
    };
    escape::start(term(label, language), MAX_CELL)
}

/// A value as it is.
pub(crate) fn plain(value: &Value) -> String {
    match value {
        Value::Bool(truth) => truth.to_string(),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Bytes(bytes) => bytes.to_string(),
        Value::Text(text) => text.to_string(),
        Value::Address(ip) => ip.to_string(),
        Value::Network(network) => network.to_string(),
        Value::Time(time) => time.rfc3339(),
        Value::Span(span) => span.to_string(),
        Value::List(values) => values.iter().map(plain).collect::<Vec<_>>().join(", "),
    }
}

/// `1 234 567`, with spaces that do not break.
fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut shown = String::with_capacity(digits.len() + 8);
    if number < 0 {
        shown.push('-');
    }
    for (place, digit) in digits.chars().enumerate() {
        // Four digits are read at once.
        if place > 0 && digits.len() > 4 && (digits.len() - place).is_multiple_of(3) {
            shown.push('\u{a0}');
        }
        shown.push(digit);
    }
    shown
}

fn counted(number: u64) -> String {
    grouped(i64::try_from(number).unwrap_or(i64::MAX))
}

/// A sentence with its values, escaped for a terminal. Whatever a value says, it fills one place and no other.
fn said(said: &Said, language: Language) -> String {
    let mut filled = String::new();
    let mut rest = word(said.sentence, language);
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let Some((place, next)) = after.split_once('}') else {
            break;
        };
        let value = place.parse().ok().and_then(|place: usize| said.values.get(place));
        filled.push_str(&value.map_or_else(String::new, |value| match value {
            Value::Integer(number) => grouped(*number),
            value => escape::start(&sentence::value(value, language), MAX_UNDER),
        }));
        rest = next;
    }
    filled.push_str(rest);
    filled
}

/// What stands above a table: its title and how much there is of it.
fn title(table: &Table, language: Language) -> String {
    let title = word(table.title, language);
    let shown = table.rows.len() as u64;
    match table.total {
        Some(total) if shown < total => {
            let of = word("{0} of {1}", language);
            let of = of.replace("{0}", &counted(shown)).replace("{1}", &counted(total));
            format!("{title} ({of})")
        }
        total => format!("{title} ({})", counted(total.unwrap_or(shown))),
    }
}

/// The columns from a place on that say anything, with their places: those in the row, and those under it.
fn columns(table: &Table, from: usize) -> (Vec<usize>, Vec<usize>) {
    let said = (from..table.columns.len()).filter(|place| {
        let mut values = table
            .rows
            .iter()
            .map(|row| row.get(*place).and_then(Option::as_ref));
        values.any(|value| value.is_some())
    });
    said.partition(|place| table.columns[*place].shape != Shape::Under)
}

/// What stands above rows that belong together, a part a column with its place: `HIGH`, `cron`, `Differs in: SHA-256` …; the
/// first row of each group has it.
fn group(table: &Table, row: usize, language: Language) -> Option<Vec<(usize, String)>> {
    let values = |row: usize| table.rows.get(row).and_then(|values| values.get(..table.group));
    let own = values(row).filter(|own| !own.is_empty())?;
    if row > 0 && values(row - 1) == Some(own) {
        return None;
    }
    let part = |(place, value): (usize, &Option<Value>)| {
        let (column, value) = (table.columns.get(place)?, value.as_ref()?);
        let text = shown(column, Some(value), language);
        let text = match (column.shape, value) {
            // Some things say themselves what they are.
            (Shape::Severity | Shape::Word, _) | (Shape::Term, Value::Text(_)) => text,
            _ => format!("{}: {text}", word(column.label, language)),
        };
        Some((place, text))
    };
    Some(own.iter().enumerate().filter_map(part).collect())
}

/// The tables in which nothing stands, in one sentence.
fn empty(document: &super::Document, language: Language) -> Option<String> {
    let tables = document.sections.iter().map(|section| &section.table);
    let empty = tables.filter(|table| table.rows.is_empty());
    let titles: Vec<&str> = empty.map(|table| word(table.title, language)).collect();
    (!titles.is_empty()).then(|| word("Nothing in: {0}.", language).replace("{0}", &titles.join("; ")))
}

/// What the document is about in time.
fn origin(document: &super::Document) -> String {
    let Some(range) = &document.range else {
        return document.made.local();
    };
    let start = range.start.0.max(0);
    let end = range.end;
    if start == 0 {
        return format!("… – {}", end.local());
    }
    format!("{} – {}", atalaya_model::Time(start).local(), end.local())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        let cases = [
            (0, "0"),
            (9_999, "9999"),
            (10_000, "10 000"),
            (-1_234_567, "-1 234 567"),
        ];
        for (number, expected) in cases {
            assert_eq!(grouped(number).replace('\u{a0}', " "), expected);
        }
    }

    #[test]
    fn a_value_fills_its_own_place_only() {
        let values = vec![Value::from("{1}{0}\u{1b}[31m"), Value::Integer(7)];
        let sentence = Said::new("Lost in {0}: {2} (told {3}×: {1}).", values);
        assert_eq!(
            said(&sentence, Language::English),
            "Lost in {1}{0}\\x1b[31m:  (told ×: 7)."
        );
    }
}
