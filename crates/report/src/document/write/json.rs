//! One JSON object: the summary, and every table under its name.

use std::io::{self, Write};

use atalaya_format::Language;
use atalaya_model::Value;
use serde_json::{Map, Value as Json, json};

use super::said;
use crate::document::{Chart, Document, Said, Series, Table};

/// Writes the document. Times are RFC 3339, spans seconds, bytes plain numbers; what is unset is left out.
///
/// # Errors
/// When the writer fails.
pub fn write_json(document: &Document, language: Language, out: &mut dyn Write) -> io::Result<()> {
    let sentences = |list: &[Said]| -> Json { list.iter().map(|it| said(it, language)).collect() };
    let mut tables = Map::new();
    let mut series = Json::Null;
    for section in &document.sections {
        tables.insert(section.table.name.to_owned(), table(&section.table));
        if let Some(Chart::Series(chart)) = &section.chart {
            series = points(chart);
        }
    }
    let numbers: Map<String, Json> = document
        .numbers
        .iter()
        .map(|number| (number.name.to_owned(), value(&number.value)))
        .collect();
    let method: Map<String, Json> = document
        .method
        .iter()
        .map(|(name, it)| (name.to_lowercase().replace(' ', "_"), value(it)))
        .collect();
    let mut whole = json!({
        "kind": document.kind,
        "title": said(&document.title, language),
        "source": &*document.source,
        "made": document.made.rfc3339(),
        "version": &*document.version,
        "verdict": {
            "severity": document.worst.map(atalaya_model::Severity::name),
            "sentence": said(&document.verdict, language),
        },
        "numbers": numbers,
        "new": sentences(&document.news),
        "not_seen": sentences(&document.unseen),
        "tables": tables,
        "method": method,
    });
    if let Some(object) = whole.as_object_mut() {
        if let Some(range) = &document.range {
            if range.start.0 > 0 {
                object.insert("from".to_owned(), range.start.rfc3339().into());
            }
            object.insert("until".to_owned(), range.end.rfc3339().into());
        }
        if !series.is_null() {
            object.insert("traffic".to_owned(), series);
        }
    }
    writeln!(out, "{whole:#}")?;
    out.flush()
}

fn table(table: &Table) -> Json {
    let rows = table.rows.iter().map(|row| {
        let members = table.columns.iter().zip(row);
        let members = members.filter_map(|(column, it)| Some((column.name.to_owned(), value(it.as_ref()?))));
        Json::Object(members.collect())
    });
    json!({"total": table.total, "rows": rows.collect::<Vec<_>>()})
}

fn points(series: &Series) -> Json {
    let ranges = |ranges: &[std::ops::Range<atalaya_model::Time>]| -> Json {
        let range = |range: &std::ops::Range<atalaya_model::Time>| json!({"from": range.start.rfc3339(), "until": range.end.rfc3339()});
        ranges.iter().map(range).collect()
    };
    let points: Vec<Json> = series
        .points
        .iter()
        .map(|point| {
            json!({
                "time": point.start.rfc3339(), "connections": point.connections, "failed": point.failed,
                "received_bytes": point.received_bytes, "sent_bytes": point.sent_bytes,
            })
        })
        .collect();
    json!({
        "step_seconds": series.step.as_seconds(), "points": points,
        "unwatched": ranges(&series.unwatched), "with_losses": ranges(&series.lossy),
    })
}

fn value(it: &Value) -> Json {
    match it {
        Value::Bool(truth) => (*truth).into(),
        Value::Integer(number) => (*number).into(),
        Value::Float(number) => (*number).into(),
        Value::Bytes(bytes) => (*bytes).into(),
        Value::Text(text) => (**text).into(),
        Value::Address(ip) => ip.to_string().into(),
        Value::Network(network) => network.to_string().into(),
        Value::Time(time) => time.rfc3339().into(),
        Value::Span(span) => span.as_seconds().into(),
        Value::List(values) => values.iter().map(value).collect(),
    }
}
