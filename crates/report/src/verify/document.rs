//! What a verification found, as lists of typed rows: every output is written from the same ones.

use atalaya_model::{Severity, Text, Time, Value};

/// How a column is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A word or a few, as somebody else chose them.
    Word,
    /// A word or sentence of ours, which the catalogue has in other languages.
    Term,
    /// A number, to the right.
    Number,
    /// Bytes.
    Bytes,
    /// A time.
    Time,
    /// A severity.
    Severity,
    /// A text that may be long: on a line of its own.
    Long,
}

/// A column of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name in JSON and CSV.
    pub name: &'static str,
    /// What people read above it; the catalogue has it in other languages.
    pub label: &'static str,
    /// How it is shown.
    pub shape: Shape,
}

impl Column {
    pub(super) const fn new(name: &'static str, label: &'static str, shape: Shape) -> Self {
        Self { name, label, shape }
    }
}

/// A list.
#[derive(Clone, Debug, PartialEq)]
pub struct List {
    /// Its name in JSON and CSV.
    pub name: &'static str,
    /// What people read above it.
    pub title: &'static str,
    /// What it is good for, in a sentence; `{0}` is [`List::number`].
    pub about: &'static str,
    /// A number in the sentence.
    pub number: u64,
    /// Its columns.
    pub columns: &'static [Column],
    /// Its rows, a value for each column.
    pub rows: Vec<Vec<Option<Value>>>,
    /// How many rows there are in all.
    pub total: u64,
    /// Rows with the same value in this column belong together: they stand under one heading.
    pub heading: Option<usize>,
}

/// Something that the reader must know of how it was found: an English sentence of the catalogue with `{0}`, `{1}` … for
/// values.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "a sentence and its values")]
pub struct Note {
    pub sentence: &'static str,
    pub values: Vec<String>,
}

impl Note {
    /// A note for each number that is not 0, with that number as its value.
    pub(super) fn of_counts(notes: &[(u64, &'static str)]) -> Vec<Self> {
        let notes = notes.iter().filter(|(count, _)| *count > 0);
        notes
            .map(|(count, sentence)| Self {
                sentence,
                values: vec![count.to_string()],
            })
            .collect()
    }
}

/// A verification, done.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Its name in JSON: `verify.processes`, `verify.network`.
    pub kind: &'static str,
    /// What people read above it.
    pub title: &'static str,
    /// What was read.
    pub sources: Vec<Text>,
    /// The time of what was read, first and last.
    pub times: Option<(Time, Time)>,
    /// Numbers of the whole: name in JSON, what people read, value.
    pub summary: Vec<(&'static str, &'static str, Value)>,
    /// What was found.
    pub lists: Vec<List>,
    /// What was left out.
    pub left_out: Vec<Note>,
    /// The worst of what was found.
    pub worst: Option<Severity>,
}

impl Document {
    /// A list by its name.
    pub fn list(&self, name: &str) -> Option<&List> {
        self.lists.iter().find(|list| list.name == name)
    }
}

impl List {
    /// The values of a column, as texts for people; empty where there are none.
    pub fn column(&self, name: &str) -> Vec<String> {
        let Some(place) = self.columns.iter().position(|column| column.name == name) else {
            return Vec::new();
        };
        let value = |row: &Vec<Option<Value>>| {
            row.get(place)
                .and_then(Option::as_ref)
                .map(super::write::plain)
                .unwrap_or_default()
        };
        self.rows.iter().map(value).collect()
    }
}

/// A sentence with its values in place of `{0}`, `{1}` ….
pub(super) fn filled(sentence: &str, values: &[String]) -> String {
    let mut text = sentence.to_owned();
    for (place, value) in values.iter().enumerate() {
        text = text.replace(&format!("{{{place}}}"), value);
    }
    text
}
