//! One JSON object, on one line.

use std::io::{self, Write};

use atalaya_model::Value;
use serde_json::{Map, json};

use crate::verify::document::{Document, List, filled};

/// Writes the document: names as they are in the list of columns, times in RFC 3339, bytes as numbers, sentences in
/// English.
///
/// # Errors
/// When the writer fails.
pub fn write_json(document: &Document, out: &mut dyn Write) -> io::Result<()> {
    let summary: Map<_, _> = document
        .summary
        .iter()
        .map(|(name, _, value)| ((*name).to_owned(), value_of(value)))
        .collect();
    let lists: Map<_, _> = document
        .lists
        .iter()
        .map(|list| (list.name.to_owned(), list_of(list)))
        .collect();
    let left_out: Vec<String> = document
        .left_out
        .iter()
        .map(|note| filled(note.sentence, &note.values))
        .collect();
    let value = json!({
        "kind": document.kind,
        "sources": document.sources.iter().map(|name| &**name).collect::<Vec<_>>(),
        "first": document.times.map(|(first, _)| first.rfc3339()),
        "last": document.times.map(|(_, last)| last.rfc3339()),
        "worst": document.worst.map(atalaya_model::Severity::name),
        "summary": summary,
        "lists": lists,
        "left_out": left_out,
    });
    serde_json::to_writer(&mut *out, &value)?;
    writeln!(out)
}

fn list_of(list: &List) -> serde_json::Value {
    let rows: Vec<_> = list
        .rows
        .iter()
        .map(|row| {
            let cells = list.columns.iter().zip(row);
            let cells =
                cells.filter_map(|(column, value)| Some((column.name.to_owned(), value_of(value.as_ref()?))));
            serde_json::Value::Object(cells.collect())
        })
        .collect();
    json!({ "total": list.total, "rows": rows })
}

fn value_of(value: &Value) -> serde_json::Value {
    match value {
        Value::Bool(truth) => (*truth).into(),
        Value::Integer(number) => (*number).into(),
        Value::Float(number) => (*number).into(),
        Value::Bytes(bytes) => (*bytes).into(),
        Value::Span(span) => span.0.into(),
        Value::List(values) => values.iter().map(value_of).collect::<Vec<_>>().into(),
        other => super::plain(other).into(),
    }
}
