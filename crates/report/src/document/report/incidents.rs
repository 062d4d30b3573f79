//! The incidents of a report: which alerts belong together, and why.

use atalaya_format::sentence::{self, Part};
use atalaya_model::Value;
use atalaya_store::{Incident, Reader, StoreError};

use super::Question;
use crate::document::{Column, Said, Shape, Table, column, number, text};

const INCIDENTS: &[Column] = &[
    column("opened", "Since", Shape::Time),
    column("changed", "Last", Shape::Time),
    column("severity", "Severity", Shape::Severity),
    column("title", "What", Shape::Sentence),
    column("kind", "Kind", Shape::Term),
    column("alerts", "Alerts", Shape::Number),
    column("state", "State", Shape::Term),
    column("explanation", "Explanation", Shape::Under),
    column("alert_sentences", "Its alerts", Shape::Under),
    column("incident_id", "Incident", Shape::Under),
];

/// Alerts of one incident that are told here; the table of alerts has all of them.
const TOLD: usize = 5;

/// The incidents, the gravest first, each with its first alerts in words.
pub(super) fn incidents_table(
    reader: &Reader,
    (found, total): (&[Incident], u64),
    question: &Question,
) -> Result<Table, StoreError> {
    let mut rows = Vec::new();
    for incident in found {
        let mut told = Vec::new();
        for id in incident.alerts.iter().take(TOLD) {
            // One may be gone by age.
            if let Some(stored) = reader.alert(*id)? {
                let finding = &stored.alert.finding;
                let words = sentence::render(finding, question.language, Part::Sentence);
                told.push(Value::from(words));
            }
        }
        rows.push(vec![
            Some(Value::Time(incident.opened)),
            Some(Value::Time(incident.changed)),
            Some(Value::from(incident.severity.name())),
            text(incident.title.as_ref().or(incident.kind.as_ref())),
            text(incident.kind.as_ref()),
            number(incident.alert_count),
            Some(Value::from(&incident.state)),
            text(incident.explanation.as_ref()),
            (!told.is_empty()).then_some(Value::List(told)),
            Some(Value::from(incident.id.to_string())),
        ]);
    }
    Ok(
        Table::new("incidents", "Incidents", INCIDENTS, rows, Some(total)).about(Said::plain(
            "Alerts that belong together, the gravest first; all of them stand under Alerts, too.",
        )),
    )
}
