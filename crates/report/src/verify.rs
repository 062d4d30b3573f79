//! What a monitor wrote down, verified: are programs what their names say, and who talks to whom?
//!
//! In: rows, from CSV tables (ours, or another monitor's in English or Spanish, see [`tables`]) or from the store
//! ([`stored`]). Out: a [`Document`]. Rows are read once, in any number; what is kept of them has limits, and what there
//! was no room for is counted and told.

mod cells;
mod columns;
mod commands;
mod counts;
mod network;
mod paths;
mod processes;
mod programs;
mod records;
mod stored;
mod tables;
#[cfg(test)]
mod tests;

use atalaya_model::{Severity, Text, Time, Value};
use ipnet::IpNet;

pub use network::Network;
pub use paths::SuspiciousPaths;
pub use processes::Processes;
pub use records::{MAX_COLUMNS, MAX_ROW, TableError};
pub use stored::{stored_network, stored_processes};
pub use tables::{InputError, read_network, read_processes};

use crate::document::{Document, Number, Said, Section, Table};

/// What to look for.
#[derive(Clone, Debug)]
pub struct Options {
    /// What was seen so often or less is rare.
    pub rare: u64,
    /// Networks that are internal, beside the private ranges.
    pub internal: Vec<IpNet>,
    /// Folders where programs are not installed.
    pub suspicious: SuspiciousPaths,
    /// Rows of each list, at most.
    pub limit: usize,
}

impl Options {
    /// The path that makes a program suspicious, its own or its script's, and why.
    fn suspicion<'a>(
        &'a self,
        name: &str,
        path: Option<&'a str>,
        command_line: Option<&'a str>,
    ) -> Option<(&'a str, &'a str)> {
        let own = path.and_then(|path| Some((path, self.suspicious.why(path)?)));
        own.or_else(|| self.suspicious.script(name, command_line?))
    }
}

/// What was read, when, by what.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// Files, or the database.
    pub names: Vec<Text>,
    /// What was left out of them.
    pub left_out: Vec<Said>,
    /// When it is.
    pub made: Time,
    /// The version of this program.
    pub version: Text,
}

/// What was found, before it is a document.
struct Found {
    kind: &'static str,
    title: &'static str,
    /// First and last of what was read.
    times: Option<(Time, Time)>,
    numbers: Vec<Number>,
    tables: Vec<Table>,
}

impl Found {
    /// As a document; of `notes` those whose number is not 0.
    fn document(
        self,
        options: &Options,
        sources: Sources,
        notes: &[(u64, &'static str)],
        more: impl IntoIterator<Item = (&'static str, Value)>,
    ) -> Document {
        let (worst, verdict) = verdict(&self.tables);
        let told = notes.iter().filter(|(count, _)| *count > 0);
        let told = told.map(|(count, sentence)| Said::new(sentence, vec![(*count).into()]));
        let names: Vec<&str> = sources.names.iter().map(|name| &**name).collect();
        let mut method = vec![
            ("Read", Value::from(names.join(", "))),
            ("Made at", Value::Time(sources.made)),
            ("Program", Value::from(format!("atalaya {}", sources.version))),
            ("Rare up to", options.rare.into()),
        ];
        method.extend(more);
        Document {
            kind: self.kind,
            title: Said::plain(self.title),
            source: names.join(", ").into(),
            range: self.times.map(|(first, last)| first..last),
            made: sources.made,
            version: sources.version,
            worst,
            verdict,
            numbers: self.numbers,
            news: Vec::new(),
            unseen: sources.left_out.into_iter().chain(told).collect(),
            sections: self.tables.into_iter().map(Section::from).collect(),
            method,
        }
    }
}

/// The worst severity that stands in the tables, of which processes, and why.
fn verdict(tables: &[Table]) -> (Option<Severity>, Said) {
    let severity = |table: &Table, row| match table.value(row, "severity") {
        Some(Value::Text(name)) => Severity::from_name(name),
        _ => None,
    };
    let rows = || {
        let rows = tables
            .iter()
            .map(|table| (0..table.rows.len()).map(move |row| (table, row)));
        rows.flatten()
    };
    let Some(worst) = rows().filter_map(|(table, row)| severity(table, row)).max() else {
        return (None, Said::plain("Nothing stands out."));
    };
    let mut names: Vec<Value> = Vec::new();
    let mut reasons: Vec<Value> = Vec::new();
    for (table, row) in rows().filter(|(table, row)| severity(table, *row) == Some(worst)) {
        let why = ["why", "meaning"]
            .into_iter()
            .find_map(|name| table.value(row, name));
        let why = why.cloned().unwrap_or_else(|| table.title.into());
        let name = table.value(row, "process").cloned();
        for (value, into) in [(name, &mut names), (Some(why), &mut reasons)] {
            into.extend(value.filter(|value| !into.contains(value)));
        }
    }
    let values = vec![Value::List(names), Value::List(reasons)];
    let said = match worst {
        Severity::Critical | Severity::High => Said::new("Needs a look: {0} ({1}).", values),
        Severity::Medium | Severity::Low => Said::new("Nothing urgent; the most unusual: {0} ({1}).", values),
        Severity::Info => Said::plain("Nothing but remarks."),
    };
    (Some(worst), said)
}
