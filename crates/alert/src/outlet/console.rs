//! Lines for a person who watches.

use atalaya_format::catalogue::term;
use atalaya_format::text::{Style, alert_line, details, event};
use atalaya_model::AlertRecord;

use super::Item;
use super::worker::Render;

/// One line an alert, its details below it when asked for.
#[derive(Debug)]
pub(super) struct Lines {
    style: Style,
    verbose: bool,
}

impl Lines {
    pub(super) fn new(style: Style, verbose: bool) -> Self {
        Self { style, verbose }
    }
}

impl Render for Lines {
    fn render(&mut self, item: &Item, out: &mut String) {
        let line = match item {
            // Counts are for the log; a person has seen the alert.
            Item::Alert(record) if matches!(**record, AlertRecord::Repeated { .. }) && !self.verbose => {
                return;
            }
            Item::Alert(record) => alert_line(record, self.style),
            Item::Event(it) => match event(it, self.style) {
                Some(line) => line,
                None => return,
            },
            Item::Quiet(time) => {
                let calm = term("No anomalies detected.", self.style.language);
                let line = format!("{} {calm}", time.local_clock());
                if self.style.colour {
                    format!("\x1b[2m{line}\x1b[0m")
                } else {
                    line
                }
            }
            Item::Snapshot(_, document) => document.to_string(),
            Item::Scan(..) | Item::Status(..) => return,
        };
        out.push_str(&line);
        out.push('\n');
        if let Item::Alert(record) = item
            && let AlertRecord::Raised(alert) = &**record
            && self.verbose
        {
            out.push_str(&details(alert, self.style));
        }
    }
}
