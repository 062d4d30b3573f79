//! JSON Lines for programs.

use atalaya_format::{Context, basic, ecs};
use atalaya_model::AlertRecord;

use super::Item;
use super::worker::Render;

/// Every record with the names of the Elastic Common Schema.
#[derive(Debug)]
pub(super) struct Ecs(pub(super) Context);

impl Render for Ecs {
    fn render(&mut self, item: &Item, out: &mut String) {
        match item {
            Item::Alert(record) => ecs::alert_record(out, record, &self.0),
            Item::Event(event) => ecs::event(out, event, &self.0),
            Item::Quiet(_) | Item::Scan(..) | Item::Status(..) => return,
            Item::Snapshot(_, document) => out.push_str(document),
        }
        out.push('\n');
    }
}

/// The two flat shapes; other records have no line.
#[derive(Debug)]
pub(super) struct Basic;

impl Render for Basic {
    fn render(&mut self, item: &Item, out: &mut String) {
        if let Item::Alert(record) = item
            && let AlertRecord::Raised(alert) = &**record
        {
            basic::alert(out, alert);
        }
    }
}
