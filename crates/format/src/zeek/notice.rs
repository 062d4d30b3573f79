//! `notice` for alerts, `weird` for losses.

use atalaya_model::{Alert, Gap};

use super::{identify, process};
use crate::Language;
use crate::json::Object;
use crate::sentence::{self, Part};

pub(super) fn columns(it: &mut Object<'_>, alert: &Alert, language: Language) {
    let finding = &alert.finding;
    it.seconds("ts", finding.time.0);
    let connection = finding.connections.first();
    if let Some(connection) = connection {
        identify(it, connection);
        it.word("proto", super::transport(connection.transport));
    }
    it.text("note", &format!("Atalaya::{}", finding.rule));
    it.text("msg", &sentence::render(finding, language, Part::Sentence));
    it.text("sub", &sentence::render(finding, language, Part::Title));
    if let Some(connection) = connection {
        it.address("src", connection.source.ip);
        it.address("dst", connection.destination.ip);
        it.number("p", connection.destination.port);
        if let Some(country) = connection
            .remote_place()
            .and_then(|place| place.country.as_deref())
        {
            it.text("remote_location.country_code", country);
        }
    }
    it.texts("actions", ["Notice::ACTION_LOG"]);
    it.word("severity", finding.severity.name());
    it.texts("techniques", alert.techniques.iter().map(|it| &*it.id));
    process(it, finding.process.as_deref());
}

pub(super) fn weird(it: &mut Object<'_>, gap: &Gap) {
    it.seconds("ts", gap.time.0);
    it.word("name", gap.stage.name());
    it.text("addl", &format!("{}: {}", gap.reason, gap.count));
    it.truth("notice", false);
    it.word("peer", "atalaya");
}
