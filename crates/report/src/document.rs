//! Answers as documents: a verdict, numbers, what is new, what was not seen, and tables with charts, all as plain values.
//!
//! [`report`] says how a host did in a time, [`timeline`] what is known of one thing, [`diff`] what changed between two
//! times or hosts, [`verify`](crate::verify) whether programs are what their names say. Each gives a [`Document`]; [`write`]
//! makes HTML, Markdown, text, JSON or CSV of it. Texts in a document are as the watched programs chose them: every writer escapes them for its own format.

pub mod diff;
mod news;
pub mod report;
mod series;
#[cfg(test)]
pub(crate) mod tests;
pub mod timeline;
mod unseen;
pub mod write;

use std::ops::Range;

use atalaya_model::{Severity, Span, Text, Time, Value};

/// How a column is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A few words, as somebody else chose them.
    Word,
    /// A word or sentence of ours, or a list of them, which the catalogue has in other languages.
    Term,
    /// An address, path, digest or command line: in a typeface of fixed width.
    Code,
    /// A number, to the right.
    Number,
    /// Bytes, to the right.
    Bytes,
    /// A time.
    Time,
    /// A severity.
    Severity,
    /// A sentence.
    Sentence,
    /// A longer text, on a line of its own under the row.
    Under,
}

/// A column of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name in JSON and CSV.
    pub name: &'static str,
    /// What people read above it, in English; the catalogue has it in other languages.
    pub label: &'static str,
    /// How it is shown.
    pub shape: Shape,
}

pub(crate) const fn column(name: &'static str, label: &'static str, shape: Shape) -> Column {
    Column { name, label, shape }
}

/// A sentence of the catalogue with its values in place of `{0}`, `{1}` ….
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    /// In English, with its places.
    pub sentence: &'static str,
    /// What fills them.
    pub values: Vec<Value>,
}

impl Said {
    /// A sentence without values.
    pub const fn plain(sentence: &'static str) -> Self {
        Self {
            sentence,
            values: Vec::new(),
        }
    }

    /// A sentence with its values.
    pub const fn new(sentence: &'static str, values: Vec<Value>) -> Self {
        Self { sentence, values }
    }
}

/// A table: one question and its answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// Its name in JSON and CSV, and its anchor in HTML.
    pub name: &'static str,
    /// What people read above it.
    pub title: &'static str,
    /// What must be known to read it right; empty where nothing must.
    pub about: Said,
    /// Its columns.
    pub columns: &'static [Column],
    /// Its rows, a value for each column.
    pub rows: Vec<Vec<Option<Value>>>,
    /// How many rows there are in all, where that is known; only the first ones may be here.
    pub total: Option<u64>,
    /// Rows that are alike in so many columns, the first ones, belong together: they stand under one heading.
    pub group: usize,
}

impl Table {
    /// A table that needs no explanation.
    pub const fn new(
        name: &'static str,
        title: &'static str,
        columns: &'static [Column],
        rows: Vec<Vec<Option<Value>>>,
        total: Option<u64>,
    ) -> Self {
        Self {
            name,
            title,
            about: Said::plain(""),
            columns,
            rows,
            total,
            group: 0,
        }
    }

    /// With what must be known to read it right.
    pub fn about(mut self, about: Said) -> Self {
        self.about = about;
        self
    }

    /// With rows under a heading where they are alike in so many columns, the first ones.
    pub const fn grouped(mut self, columns: usize) -> Self {
        self.group = columns;
        self
    }

    /// The place of a column.
    pub fn place(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// The value in a column of a row.
    pub fn value(&self, row: usize, name: &str) -> Option<&Value> {
        self.rows.get(row)?.get(self.place(name)?)?.as_ref()
    }
}

/// What is drawn above a table.
#[derive(Clone, Debug, PartialEq)]
pub enum Chart {
    /// Bytes by time, received above, sent below.
    Series(Series),
    /// A bar a row: the table's first column, its `received_bytes` and `sent_bytes`.
    Bars,
    /// Alerts by time, a lane a rule.
    Lanes(Vec<Lane>),
}

/// Traffic in equal steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Length of a step.
    pub step: Span,
    /// What each step had.
    pub points: Vec<Point>,
    /// When nobody watched.
    pub unwatched: Vec<Range<Time>>,
    /// Steps in which losses were told.
    pub lossy: Vec<Range<Time>>,
}

/// What a step of time had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Point {
    pub start: Time,
    pub connections: u64,
    pub failed: u64,
    pub sent_bytes: u64,
    pub received_bytes: u64,
}

/// The alerts of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lane {
    /// The rule.
    pub rule: Text,
    /// How many there are.
    pub count: u64,
    /// When each was raised, and how bad it is; the newest, at most [`Lane::MARKS`].
    pub marks: Vec<(Time, Severity)>,
}

impl Lane {
    /// Marks that one lane shows.
    pub const MARKS: usize = 300;
}

/// A table and what is drawn above it.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Section {
    pub chart: Option<Chart>,
    pub table: Table,
}

impl From<Table> for Section {
    fn from(table: Table) -> Self {
        Self { chart: None, table }
    }
}

/// A number of the summary.
#[derive(Clone, Debug, PartialEq)]
pub struct Number {
    /// Its name in JSON.
    pub name: &'static str,
    /// What people read under it.
    pub label: &'static str,
    /// How much.
    pub value: Value,
}

impl Number {
    /// A count.
    pub(crate) fn count(name: &'static str, label: &'static str, count: u64) -> Self {
        Self {
            name,
            label,
            value: count.into(),
        }
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Its name in JSON: `report`, `timeline`, `diff`, `verify.processes`, `verify.network`.
    pub kind: &'static str,
    /// What people read above it.
    pub title: Said,
    /// Where it comes from: the host, the database, the tables.
    pub source: Text,
    /// The time that it is about, where that is known.
    pub range: Option<Range<Time>>,
    /// When it was made.
    pub made: Time,
    /// The version of the program that made it.
    pub version: Text,
    /// The worst that nobody has judged to be nothing.
    pub worst: Option<Severity>,
    /// The answer in words.
    pub verdict: Said,
    /// The answer in numbers.
    pub numbers: Vec<Number>,
    /// What is new.
    pub news: Vec<Said>,
    /// What was not seen, or not shown.
    pub unseen: Vec<Said>,
    /// The details.
    pub sections: Vec<Section>,
    /// How it was made: what people read, and what they may change.
    pub method: Vec<(&'static str, Value)>,
}

impl Document {
    /// A table by its name.
    pub fn table(&self, name: &str) -> Option<&Table> {
        let mut tables = self.sections.iter().map(|section| &section.table);
        tables.find(|table| table.name == name)
    }
}

pub(crate) fn text(text: Option<&Text>) -> Option<Value> {
    text.map(Value::from)
}

pub(crate) fn number(number: u64) -> Option<Value> {
    Some(Value::Integer(i64::try_from(number).unwrap_or(i64::MAX)))
}

/// A range of time as a document tells of it: what is still to come is not in it.
fn until_now(range: &Range<Time>, now: Time) -> Range<Time> {
    range.start..range.end.min(now)
}
