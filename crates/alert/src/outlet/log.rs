//! Lines for a log file that people read later.

use atalaya_format::catalogue::Language;
use atalaya_format::escape;
use atalaya_format::text::{Style, details, event, log_line};
use atalaya_model::AlertRecord;

use super::Item;
use super::worker::Render;

/// Date, severity, rule and sentence of every row about an alert; its details below it when asked for.
#[derive(Debug)]
pub(super) struct Lines {
    style: Style,
    verbose: bool,
}

impl Lines {
    pub(super) fn new(language: Language, verbose: bool) -> Self {
        let style = Style {
            colour: false,
            language,
        };
        Self { style, verbose }
    }
}

impl Render for Lines {
    fn render(&mut self, item: &Item, out: &mut String) {
        match item {
            Item::Alert(record) => {
                out.push_str(&log_line(record, self.style.language));
                out.push('\n');
                if let AlertRecord::Raised(alert) = &**record
                    && self.verbose
                {
                    out.push_str(&details(alert, self.style));
                }
            }
            Item::Event(it) => {
                let Some(line) = event(it, self.style) else { return };
                // An event's line has only the hour.
                let local = it.time.local();
                let date = local.split(' ').next().unwrap_or_default();
                out.push_str(&format!("{date} {line}\n"));
            }
            Item::Status(time, said) => {
                let head = match self.style.language {
                    Language::English => "STATUS",
                    Language::Spanish => "ESTADO",
                };
                out.push_str(&format!("{} [{head}] {}\n", time.local(), escape::text(said)));
            }
            Item::Quiet(_) | Item::Scan(..) => {}
            Item::Snapshot(_, document) => {
                out.push_str(document);
                out.push('\n');
            }
        }
    }
}
