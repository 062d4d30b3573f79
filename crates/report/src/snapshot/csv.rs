//! One row a socket, with the columns of the field list.

use std::io::{self, Write};

use atalaya_format::csv::{harmless, io_error};
use atalaya_format::escape;
use atalaya_model::fields::{self, Field, Kind, Record};
use atalaya_model::{Connection, Listener, Value};

use super::Snapshot;

/// Writes a header and one row a socket, connections first. Columns are those that connections or listeners have, in
/// the order of the field list; times are RFC 3339, spans microseconds, several texts are joined by `; `, as in `atalaya_format::csv`. Cells that a
/// spreadsheet would take for a formula begin with an apostrophe.
///
/// # Errors
/// When the writer fails.
pub fn write_csv<'a, C, L>(snapshot: &Snapshot<'a, C, L>, out: &mut dyn Write) -> io::Result<()>
where
    C: Iterator<Item = &'a Connection> + Clone,
    L: Iterator<Item = &'a Listener> + Clone,
{
    let columns: Vec<&Field> = fields::all()
        .filter(|field| field.of.contains(&Kind::Connection) || field.of.contains(&Kind::Listener))
        .collect();
    let mut writer = csv::Writer::from_writer(out);
    writer
        .write_record(columns.iter().map(|field| field.column))
        .map_err(io_error)?;
    let connections = snapshot.connections.clone().map(Record::Connection);
    let listeners = snapshot.listeners.clone().map(Record::Listener);
    for record in connections.chain(listeners) {
        for field in &columns {
            let value = field
                .of
                .contains(&record.kind())
                .then(|| (field.get)(&record))
                .flatten();
            writer
                .write_field(value.as_ref().map(cell).unwrap_or_default())
                .map_err(io_error)?;
        }
        writer.write_record(None::<&[u8]>).map_err(io_error)?;
    }
    writer.flush()
}

/// One cell. A socket or process is one line; and nothing in it is what a terminal or a spreadsheet would act on.
pub(crate) fn cell(value: &Value) -> String {
    let text = match value {
        Value::Bool(truth) => truth.to_string(),
        Value::Integer(number) => return number.to_string(),
        Value::Float(number) => return number.to_string(),
        Value::Bytes(number) => return number.to_string(),
        Value::Text(text) => text.to_string(),
        Value::Address(ip) => ip.to_string(),
        Value::Network(network) => network.to_string(),
        Value::Time(time) => time.rfc3339(),
        Value::Span(span) => return span.0.to_string(),
        // Each is harmless already.
        Value::List(values) => {
            let cells: Vec<_> = values.iter().map(cell).collect();
            return escape::text(&cells.join("; ")).into_owned();
        }
    };
    harmless(escape::text(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::samples;

    #[test]
    fn one_row_a_socket_whatever_the_names() {
        let host = samples::host();
        let mut out = Vec::new();
        write_csv(&host.snapshot(), &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.lines().count(), 1 + 9);
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let header = reader.headers().unwrap().clone();
        let column = |name: &str| header.iter().position(|column| column == name).unwrap();
        let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
        assert_eq!(&rows[3][column("destination_ip")], "203.0.113.9");
        assert_eq!(&rows[3][column("pid")], "4242");
        assert_eq!(&rows[5][column("process_name")], r"bad\x1b[31m\nname");
        assert_eq!(&rows[6][column("listen_port")], "22");
        assert_eq!(&rows[6][column("destination_ip")], "");
    }

    #[test]
    fn formulas_are_defused() {
        assert_eq!(cell(&"＝1+1".into()), "'＝1+1");
        assert_eq!(cell(&"=cmd|' /C calc'!A0".into()), "'=cmd|' /C calc'!A0");
        assert_eq!(cell(&Value::Integer(-5)), "-5");
        let list = Value::List(vec!["=1".into(), "=2".into()]);
        assert_eq!(cell(&list), "'=1; '=2");
    }
}
