//! The list of fields: each declared once, with everything the other rooms make from it.
//!
//! A field's `name` is the JSON key (dots nest) and the filter's key, its `column` the CSV header and the column of
//! the SQL views. Names are Elastic Common Schema names where ECS has one.

mod alerts;
mod connections;
mod losses;
mod processes;
mod said;
mod wire;

use std::sync::Arc;

use crate::{AlertRecord, Connection, Gap, Listener, Process, Protocol, Value};

/// One record that has fields. The filter is evaluated on it, and every outlet writes it.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "one variant a kind of record")]
pub enum Record<'a> {
    Connection(&'a Connection),
    Process(&'a Process),
    Listener(&'a Listener),
    Alert(&'a crate::Alert),
    Gap(&'a Gap),
    /// Something that was said, with the conversation in which it was.
    Protocol(&'a Protocol),
}

/// The kinds of record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "one variant a kind of record")]
pub enum Kind {
    Connection,
    Process,
    Listener,
    Alert,
    Gap,
    Protocol,
}

impl Kind {
    /// Every kind that is kept, each in an SQL view of its own: all but what was said.
    pub const KEPT: [Self; 5] = [
        Self::Connection,
        Self::Process,
        Self::Listener,
        Self::Alert,
        Self::Gap,
    ];

    /// The SQL view that holds records of this kind; there is none of what was said.
    pub const fn view(self) -> &'static str {
        match self {
            Self::Connection => "connections",
            Self::Process => "processes",
            Self::Listener => "listeners",
            Self::Alert => "alerts",
            Self::Gap => "gaps",
            Self::Protocol => "protocols",
        }
    }

    /// The `event.category` of ECS.
    pub const fn category(self) -> &'static str {
        match self {
            Self::Connection | Self::Listener | Self::Protocol => "network",
            Self::Process => "process",
            Self::Alert => "intrusion_detection",
            Self::Gap => "host",
        }
    }
}

impl Record<'_> {
    /// What kind of record it is.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Connection(_) => Kind::Connection,
            Self::Process(_) => Kind::Process,
            Self::Listener(_) => Kind::Listener,
            Self::Alert(_) => Kind::Alert,
            Self::Gap(_) => Kind::Gap,
            Self::Protocol(_) => Kind::Protocol,
        }
    }

    /// The process that the record is about.
    pub fn process(&self) -> Option<&Process> {
        match self {
            Self::Connection(connection) => connection.process.as_deref(),
            Self::Process(process) => Some(process),
            Self::Listener(listener) => listener.process.as_deref(),
            Self::Alert(alert) => alert.finding.process.as_deref(),
            Self::Protocol(protocol) => protocol.connection.process.as_deref(),
            Self::Gap(_) => None,
        }
    }

    /// The connection that the record is about; an alert's is its first example.
    pub fn connection(&self) -> Option<&Connection> {
        match self {
            Self::Connection(connection) => Some(connection),
            Self::Protocol(protocol) => Some(&protocol.connection),
            Self::Alert(alert) => alert.finding.connections.first().map(Arc::as_ref),
            _ => None,
        }
    }

    /// The listener that the record is about.
    pub fn listener(&self) -> Option<&Listener> {
        match self {
            Self::Listener(listener) => Some(listener),
            Self::Alert(alert) => alert.finding.listener.as_deref(),
            _ => None,
        }
    }
}

impl AlertRecord {
    /// The alert that this row raises, as a record with fields.
    pub fn raised(&self) -> Option<Record<'_>> {
        match self {
            Self::Raised(alert) => Some(Record::Alert(alert)),
            _ => None,
        }
    }
}

/// How a field's values look, and so which comparisons make sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Type {
    Bool,
    Integer,
    Bytes,
    Text,
    Address,
    Time,
    /// Microseconds.
    Span,
    /// Several texts.
    Texts,
}

impl Type {
    /// The word that the reference pages use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bool => "truth",
            Self::Integer => "integer",
            Self::Bytes => "bytes",
            Self::Text => "text",
            Self::Address => "address",
            Self::Time => "time",
            Self::Span => "span",
            Self::Texts => "texts",
        }
    }
}

/// How careful one must be with a field's content when records leave the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privacy {
    /// Says nothing about a person.
    Plain,
    /// May tell who did what: user names, addresses, paths.
    Personal,
    /// May hold a secret in spite of redaction: command lines.
    Sensitive,
}

impl Privacy {
    /// The word that the reference pages use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Personal => "personal",
            Self::Sensitive => "sensitive",
        }
    }
}

/// One field.
#[derive(Debug)]
pub struct Field {
    /// JSON key and filter key.
    pub name: &'static str,
    /// Short names that the filter accepts too.
    pub aliases: &'static [&'static str],
    /// Column of the SQL view and header in CSV; empty where only what was said has the field, which has neither.
    pub column: &'static str,
    /// What the values are.
    pub kind: Type,
    /// One sentence.
    pub doc: &'static str,
    /// The names that Sigma rules use for it (Sysmon's, mostly).
    pub sigma: &'static [&'static str],
    /// How private it is.
    pub privacy: Privacy,
    /// The kinds of record that have it.
    pub of: &'static [Kind],
    /// Its value in a record, `None` where it is unset.
    pub get: fn(&Record<'_>) -> Option<Value>,
}

impl Field {
    /// Its value in a record that has it, `None` where it is unset or not the record's. What was said has the fields
    /// of its conversation, too.
    pub fn value(&self, record: &Record<'_>) -> Option<Value> {
        // A getter may reach further than its field does: an alert has a connection, but not its `side`.
        match record {
            _ if self.of.contains(&record.kind()) => (self.get)(record),
            Record::Protocol(protocol) if self.of.contains(&Kind::Connection) => {
                (self.get)(&Record::Connection(&protocol.connection))
            }
            _ => None,
        }
    }
}

/// Every field, in the order in which records show them.
pub fn all() -> impl Iterator<Item = &'static Field> {
    [
        alerts::FIELDS,
        losses::FIELDS,
        connections::FIELDS,
        wire::FIELDS,
        said::FIELDS,
        processes::FIELDS,
    ]
    .into_iter()
    .flatten()
}

/// The fields of conversations that only packets tell.
pub fn of_wire() -> impl Iterator<Item = &'static Field> {
    wire::FIELDS.iter()
}

/// The fields of one kind of record.
pub fn of(kind: Kind) -> impl Iterator<Item = &'static Field> {
    all().filter(move |field| field.of.contains(&kind))
}

/// The field with this name or alias, in any case.
pub fn find(name: &str) -> Option<&'static Field> {
    all().find(|field| {
        field.name.eq_ignore_ascii_case(name)
            || field.aliases.iter().any(|alias| alias.eq_ignore_ascii_case(name))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_aliases_and_columns_are_unique() {
        let mut keys = HashSet::new();
        let mut columns = HashSet::new();
        for field in all() {
            for key in std::iter::once(&field.name).chain(field.aliases) {
                assert!(keys.insert(key.to_ascii_lowercase()), "{key} is declared twice");
            }
            assert!(
                field.column.is_empty() || columns.insert(field.column),
                "column {} is declared twice",
                field.column
            );
            assert_eq!(
                field.column.is_empty(),
                field.of == [Kind::Protocol],
                "{}",
                field.name
            );
            assert!(field.doc.ends_with('.'), "{} needs a sentence", field.name);
            assert!(!field.of.is_empty(), "{} belongs to no record", field.name);
        }
    }

    #[test]
    fn no_name_is_a_prefix_of_another() {
        // Dots nest in JSON: `a` and `a.b` cannot both be there.
        let names: Vec<_> = all().map(|field| field.name).collect();
        for name in &names {
            let prefix = format!("{name}.");
            assert!(
                !names.iter().any(|other| other.starts_with(&prefix)),
                "{name} would be object and value"
            );
        }
    }
}
