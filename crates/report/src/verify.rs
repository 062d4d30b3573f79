//! What a monitor wrote down, verified: are programs what their names say, and who talks to whom?
//!
//! In: rows, from CSV tables (ours, or another monitor's in English or Spanish, see [`tables`]) or from the store
//! ([`stored`]). Out: a [`Document`] of typed lists, written as text, JSON, CSV or HTML. Rows are read once, in any
//! number; what is kept of them has limits, and what there was no room for is counted and told.

mod cells;
mod columns;
mod commands;
mod counts;
mod document;
mod network;
mod paths;
mod processes;
mod programs;
mod records;
mod stored;
mod tables;
#[cfg(test)]
mod tests;
mod write;

use atalaya_model::{Severity, Text, Value};
use ipnet::IpNet;

pub use document::{Column, Document, List, Note, Shape};
pub use network::Network;
pub use paths::SuspiciousPaths;
pub use processes::Processes;
pub use records::{MAX_COLUMNS, MAX_ROW, TableError};
pub use stored::{stored_network, stored_processes};
pub use tables::{InputError, read_network, read_processes};
pub use write::{Labels, write_csv, write_html, write_json, write_text};

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

/// What was read.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// Files, or the database.
    pub names: Vec<Text>,
    /// What was left out of them.
    pub left_out: Vec<Note>,
}

/// The worst severity that stands in the lists.
fn worst(lists: &[List]) -> Option<Severity> {
    let severities = lists.iter().flat_map(|list| {
        let place = list
            .columns
            .iter()
            .position(|column| column.shape == Shape::Severity);
        list.rows.iter().filter_map(move |row| match row.get(place?)? {
            Some(Value::Text(name)) => Severity::from_name(name),
            _ => None,
        })
    });
    severities.max()
}
