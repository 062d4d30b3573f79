//! Rows for spreadsheets and pandas: the processes of each scan, and connections as they open and close.

use atalaya_format::csv::watched;

use super::Item;
use super::worker::Render;

/// Every process of each scan.
#[derive(Debug)]
pub(super) struct Processes;

impl Render for Processes {
    fn render(&mut self, item: &Item, out: &mut String) {
        if let Item::Scan(time, rows) = item {
            rows.iter().for_each(|row| watched::process(out, *time, row));
        }
    }
}

/// Each beginning and end of a connection or listener.
#[derive(Debug)]
pub(super) struct Connections;

impl Render for Connections {
    fn render(&mut self, item: &Item, out: &mut String) {
        if let Item::Event(event) = item {
            watched::event(out, event);
        }
    }
}

#[cfg(test)]
mod tests;
