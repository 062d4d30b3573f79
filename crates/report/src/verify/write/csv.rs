//! One table of all lists: the first column says which.

use std::io::{self, Write};

use atalaya_format::csv::io_error;

use crate::snapshot::cell;
use crate::verify::document::Document;

/// Writes a header and every row of every list; columns that a list does not have are empty. Cells that a spreadsheet
/// would take for a formula begin with an apostrophe.
///
/// # Errors
/// When the writer fails.
pub fn write_csv(document: &Document, out: &mut dyn Write) -> io::Result<()> {
    let mut names: Vec<&str> = Vec::new();
    for column in document.lists.iter().flat_map(|list| list.columns) {
        if !names.contains(&column.name) {
            names.push(column.name);
        }
    }
    let mut writer = ::csv::Writer::from_writer(out);
    writer
        .write_record(std::iter::once("list").chain(names.iter().copied()))
        .map_err(io_error)?;
    for list in &document.lists {
        let places: Vec<Option<usize>> = names
            .iter()
            .map(|name| list.columns.iter().position(|column| column.name == *name))
            .collect();
        for row in &list.rows {
            writer.write_field(list.name).map_err(io_error)?;
            for place in &places {
                let value = place.and_then(|place| row.get(place)?.as_ref());
                writer
                    .write_field(value.map(cell).unwrap_or_default())
                    .map_err(io_error)?;
            }
            writer.write_record(None::<&[u8]>).map_err(io_error)?;
        }
    }
    writer.flush()
}
