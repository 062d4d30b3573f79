//! One row a process: the columns of the field list, and then those of its use.

use std::io::{self, Write};

use atalaya_format::csv::io_error;
use atalaya_model::fields::{self, Field, Kind, Record};
use atalaya_model::{ProcessUse, Value};

use super::Processes;
use crate::snapshot::cell;

/// A column of the use, and its value.
type Column = (&'static str, fn(&ProcessUse) -> Option<Value>);

const USAGE: &[Column] = &[
    ("boot_id", |row| row.boot.as_ref().map(Value::from)),
    ("connections_open", |row| Some(row.usage.open.into())),
    ("connections_closed", |row| Some(row.usage.closed.into())),
    ("connections_failed", |row| Some(row.usage.failed.into())),
    ("sent_bytes", |row| {
        row.usage.bytes.map(|(sent, _)| Value::Bytes(sent))
    }),
    ("received_bytes", |row| {
        row.usage.bytes.map(|(_, received)| Value::Bytes(received))
    }),
    ("listening", |row| Some(row.usage.listening.into())),
    ("listeners", |row| {
        let listeners = row.usage.listeners.iter();
        let named = listeners.map(|(transport, local)| format!("{} {local}", transport.name()).into());
        let named: Vec<Value> = named.collect();
        (!named.is_empty()).then_some(Value::List(named))
    }),
    ("first_seen", |row| row.usage.first.map(Value::from)),
    ("last_seen", |row| row.usage.last.map(Value::from)),
];

/// Writes a header and the processes.
///
/// # Errors
/// When the writer fails.
pub fn write_csv(processes: &Processes<'_>, out: &mut dyn Write) -> io::Result<()> {
    let columns: Vec<&Field> = fields::of(Kind::Process).collect();
    let mut writer = csv::Writer::from_writer(out);
    let header = columns.iter().map(|field| field.column);
    writer
        .write_record(header.chain(USAGE.iter().map(|(name, _)| *name)))
        .map_err(io_error)?;
    for row in processes.rows {
        let record = Record::Process(&row.process);
        let facts = columns.iter().map(|field| (field.get)(&record));
        let cells = facts.chain(USAGE.iter().map(|(_, get)| get(row)));
        let cells = cells.map(|value| value.as_ref().map(cell).unwrap_or_default());
        writer.write_record(cells).map_err(io_error)?;
    }
    writer.flush()
}
