//! One table with the columns of all of them: `section` says which table a row is from.

use std::io::{self, Write};

use atalaya_format::csv::io_error;

use crate::document::Document;
use crate::snapshot::cell;

/// Writes a header, and every row of every table. Times are RFC 3339, bytes plain numbers, what a spreadsheet would take
/// for a formula begins with an apostrophe.
///
/// # Errors
/// When the writer fails.
pub fn write_csv(document: &Document, out: &mut dyn Write) -> io::Result<()> {
    let mut names: Vec<&'static str> = Vec::new();
    for section in &document.sections {
        for column in section.table.columns {
            if !names.contains(&column.name) {
                names.push(column.name);
            }
        }
    }
    let mut writer = csv::Writer::from_writer(out);
    let header = std::iter::once("section").chain(names.iter().copied());
    writer.write_record(header).map_err(io_error)?;
    for section in &document.sections {
        let table = &section.table;
        let places: Vec<_> = names.iter().map(|name| table.place(name)).collect();
        for row in &table.rows {
            writer.write_field(table.name).map_err(io_error)?;
            for place in &places {
                let value = place.and_then(|place| row.get(place)?.as_ref());
                let cell = value.map(cell).unwrap_or_default();
                writer.write_field(cell).map_err(io_error)?;
            }
            writer.write_record(None::<&[u8]>).map_err(io_error)?;
        }
    }
    writer.flush()
}
