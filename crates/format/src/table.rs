//! Rows of a table of named columns, for tables that are no records: CSV, and JSON with one flat object a line.
//!
//! CSV as in `csv`: safe for spreadsheets, times RFC 3339, spans microseconds. JSON leaves out what is unset.

use std::io::{self, Write};

use atalaya_model::Value;
use serde::de::IgnoredAny;

use crate::csv::{cell, io_error};
use crate::json;

/// Writes rows as CSV.
pub struct Rows<W: Write> {
    writer: ::csv::Writer<W>,
}

impl<W: Write> Rows<W> {
    /// Starts with the head.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn new<'a>(out: W, names: impl IntoIterator<Item = &'a str>) -> io::Result<Self> {
        let mut writer = ::csv::Writer::from_writer(out);
        writer.write_record(names).map_err(io_error)?;
        Ok(Self { writer })
    }

    /// Appends a row.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn write(&mut self, values: &[Option<Value>]) -> io::Result<()> {
        let cells = values
            .iter()
            .map(|value| value.as_ref().map(cell).unwrap_or_default());
        self.writer.write_record(cells).map_err(io_error)
    }

    /// Writes what is still held back.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// Appends a row as an object, with its newline. A text under the name `document` is JSON already.
pub fn line<'a>(out: &mut String, names: impl IntoIterator<Item = &'a str>, values: &[Option<Value>]) {
    json::object(out, |it| {
        for (name, value) in names.into_iter().zip(values) {
            match value {
                None => {}
                Some(Value::Text(text))
                    if name == "document" && serde_json::from_str::<IgnoredAny>(text).is_ok() =>
                {
                    it.member(name).push_str(text);
                }
                Some(value) => plain(it.member(name), value),
            }
        }
    });
    out.push('\n');
}

fn plain(out: &mut String, value: &Value) {
    match value {
        Value::Bool(truth) => out.push_str(if *truth { "true" } else { "false" }),
        Value::Integer(number) => json::number(out, number),
        Value::Float(number) if number.is_finite() => json::number(out, number),
        Value::Float(_) => out.push_str("null"),
        Value::Bytes(bytes) => json::integer(out, *bytes),
        Value::Text(text) => json::text(out, text),
        Value::Address(ip) => json::address(out, *ip),
        Value::Network(network) => json::text(out, &network.to_string()),
        Value::Time(time) => json::rfc3339(out, *time),
        Value::Span(span) => json::signed(out, span.0),
        Value::List(values) => {
            out.push('[');
            for (index, value) in values.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                plain(out, value);
            }
            out.push(']');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_safe_and_whole() {
        let names = ["id", "name", "list", "document", "unset"];
        let values = [
            Some(Value::Integer(7)),
            Some("=cmd()\n\u{1b}[31m".into()),
            Some(Value::List(vec!["a".into(), "b".into()])),
            Some("{\"a\":[1]}".into()),
            None,
        ];
        let mut bytes = Vec::new();
        let mut rows = Rows::new(&mut bytes, names).unwrap();
        rows.write(&values).unwrap();
        rows.flush().unwrap();
        drop(rows);
        let text = String::from_utf8(bytes).unwrap();
        assert_eq!(
            text,
            "id,name,list,document,unset\n7,'=cmd()\\n\\x1b[31m,a; b,\"{\"\"a\"\":[1]}\",\n"
        );
        let mut text = String::new();
        line(&mut text, names, &values);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["document"]["a"][0], 1);
        assert_eq!(value["name"], "=cmd()\n\u{1b}[31m");
        assert_eq!(value.as_object().unwrap().len(), 4);
        let mut text = String::new();
        line(&mut text, ["document"], &[Some("{\"forged\":1},\"x\":{".into())]);
        assert_eq!(text, "{\"document\":\"{\\\"forged\\\":1},\\\"x\\\":{\"}\n");
    }
}
