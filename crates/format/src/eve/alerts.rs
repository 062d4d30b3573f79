//! Alerts.

use atalaya_model::{AlertRecord, Severity};

use super::{Way, head, process};
use crate::Language;
use crate::identity::scatter;
use crate::json::{self, Object};
use crate::sentence::{self, Part};

/// Appends the line about an alert that is raised, with its newline; later rows about it have no place in EVE.
pub fn alert(out: &mut String, row: &AlertRecord, language: Language) {
    let AlertRecord::Raised(alert) = row else {
        return;
    };
    let finding = &alert.finding;
    let connection = finding.connections.first();
    json::object(out, |line| {
        match connection {
            Some(connection) => head(line, finding.time, "alert", connection, Way::ToServer),
            None => {
                json::rfc3339_offset(line.member("timestamp"), finding.time);
                line.word("event_type", "alert");
            }
        }
        line.object("alert", |it| {
            it.word("action", "allowed");
            it.number("gid", 1u8);
            it.number("signature_id", signature(&finding.rule));
            it.number("rev", 1u8);
            it.text("signature", &sentence::render(finding, language, Part::Sentence));
            it.text("category", &sentence::render(finding, language, Part::Title));
            it.number(
                "severity",
                match finding.severity {
                    Severity::Critical | Severity::High => 1u8,
                    Severity::Medium => 2,
                    Severity::Low => 3,
                    Severity::Info => 4,
                },
            );
            it.object("metadata", |it| metadata(it, alert));
        });
        let connection = finding.connections.first().map(AsRef::as_ref);
        process(line, finding.process.as_deref(), connection);
    });
    out.push('\n');
}

fn metadata(it: &mut Object<'_>, alert: &atalaya_model::Alert) {
    it.texts("rule", [&*alert.finding.rule]);
    it.list("alert_id", [alert.id], |out, id| {
        out.push('"');
        json::integer(out, id);
        out.push('"');
    });
    let techniques = &alert.techniques;
    it.texts("mitre_technique_id", techniques.iter().map(|it| &*it.id));
    it.texts("mitre_technique_name", techniques.iter().map(|it| &*it.name));
    it.texts("mitre_tactic_name", techniques.iter().map(|it| &*it.tactic));
}

/// A number for a rule that has a name: the same in every run, outside the ranges that others have taken.
fn signature(rule: &str) -> u64 {
    let hash = rule.bytes().fold(0, |hash, byte| scatter(hash ^ u64::from(byte)));
    4_000_000_000 + hash % 200_000_000
}
