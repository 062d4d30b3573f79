//! A document as text, JSON, CSV and HTML.

mod csv;
mod html;
mod json;
mod text;

use atalaya_format::catalogue::{Language, term};
use atalaya_format::{escape, numbers};
use atalaya_model::Value;

pub use csv::write_csv;
pub use html::write_html;
pub use json::write_json;
pub use text::write_text;

use super::document::{Column, Document, List, Note, Shape, filled};

/// For whom it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Labels {
    /// The language of titles, labels and sentences.
    pub language: Language,
    /// Columns of the terminal; longer lines are cut. 0 for as long as they are.
    pub width: usize,
}

/// A value for people, in the words of nobody: what a test or a program compares.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::Text(text) => text.to_string(),
        Value::Address(ip) => ip.to_string(),
        Value::Network(network) => network.to_string(),
        Value::Time(time) => time.rfc3339(),
        Value::List(values) => values.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Integer(number) => number.to_string(),
        Value::Bytes(bytes) => bytes.to_string(),
        Value::Bool(truth) => truth.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Span(span) => span.to_string(),
    }
}

/// A value for people, escaped for a terminal; empty where there is none.
fn shown(column: &Column, value: Option<&Value>, language: Language) -> String {
    let Some(value) = value else { return String::new() };
    match (column.shape, value) {
        (Shape::Severity, Value::Text(name)) => term(name, language).to_uppercase(),
        (Shape::Term, Value::List(values)) => {
            let words: Vec<String> = values.iter().map(|word| word_of(word, language)).collect();
            words.join(", ")
        }
        (Shape::Term, word) => word_of(word, language),
        (_, Value::Bytes(bytes)) => numbers::bytes(*bytes),
        (_, Value::Time(time)) => time.local(),
        (_, other) => escape::text(&plain(other)).into_owned(),
    }
}

fn word_of(value: &Value, language: Language) -> String {
    let word = plain(value);
    // The names of columns stand in lists of what differs; people read their labels.
    let label = match word.as_str() {
        "sha256" => "SHA-256",
        "path" => "Path",
        "command_line" => "Command line",
        "process" => "Process",
        other => other,
    };
    term(label, language).to_owned()
}

/// A sentence of ours with its values.
fn said(note: &Note, language: Language) -> String {
    let values: Vec<String> = note
        .values
        .iter()
        .map(|value| escape::text(value).into_owned())
        .collect();
    filled(term(note.sentence, language), &values)
}

/// What stands above a list: its title and how much there is of it.
fn title(list: &List, language: Language) -> String {
    let title = term(list.title, language);
    let (shown, total) = (list.rows.len() as u64, list.total);
    if shown < total {
        let of = term("{0} of {1}", language);
        format!(
            "{title} ({})",
            filled(of, &[shown.to_string(), total.to_string()])
        )
    } else {
        format!("{title} ({total})")
    }
}

/// What a list is good for; empty where its title says it all.
fn about(list: &List, language: Language) -> String {
    filled(term(list.about, language), &[list.number.to_string()])
}

/// When it was seen, where it came from.
fn origin(document: &Document, language: Language) -> Vec<(String, String)> {
    let sources: Vec<String> = document
        .sources
        .iter()
        .map(|name| escape::text(name).into_owned())
        .collect();
    let mut lines = vec![(term("Read", language).to_owned(), sources.join(", "))];
    if let Some((first, last)) = document.times {
        let between = format!("{} – {}", first.local(), last.local());
        lines.push((term("Period", language).to_owned(), between));
    }
    let worst = match document.worst {
        Some(severity) => term(severity.name(), language).to_uppercase(),
        None => term("nothing that stands out", language).to_owned(),
    };
    lines.push((term("Worst", language).to_owned(), worst));
    for (_, name, value) in &document.summary {
        let value = match value {
            Value::Bytes(bytes) => numbers::bytes(*bytes),
            other => plain(other),
        };
        lines.push((crate::snapshot::labels::label(name, language).to_owned(), value));
    }
    lines
}
