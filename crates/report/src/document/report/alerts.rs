//! The alerts of a report, by rule and one by one.

use std::collections::BTreeMap;

use atalaya_format::sentence::{self, Part};
use atalaya_model::{Severity, Text, Time, Value};
use atalaya_store::{RuleTotal, StoredAlert};

use super::{Question, is_false};
use crate::document::{Column, Lane, Said, Shape, Table, column, number, text};

const RULES: &[Column] = &[
    column("rule", "Rule", Shape::Word),
    column("severity", "Severity", Shape::Severity),
    column("what", "What", Shape::Sentence),
    column("alerts", "Alerts", Shape::Number),
    column("last", "Last", Shape::Time),
];

/// How many alerts each rule raised.
pub(super) fn rules_table(rules: &[RuleTotal], question: &Question) -> Table {
    let rows = rules.iter().take(question.limit).map(|rule| {
        let title = atalaya_format::catalogue::message(&rule.rule, question.language);
        vec![
            Some(Value::from(&rule.rule)),
            Some(Value::from(rule.severity.name())),
            title.map(|message| Value::from(message.title)),
            number(rule.alerts),
            Some(Value::Time(rule.last)),
        ]
    });
    Table::new(
        "alerts_by_rule",
        "Alerts by rule",
        RULES,
        rows.collect(),
        Some(rules.len() as u64),
    )
}

const ALERT_COLUMNS: &[Column] = &[
    column("time", "Time", Shape::Time),
    column("severity", "Severity", Shape::Severity),
    column("rule", "Rule", Shape::Word),
    column("sentence", "What happened", Shape::Sentence),
    column("count", "Times", Shape::Number),
    column("state", "State", Shape::Term),
    column("recommendation", "What to do", Shape::Under),
    column("silence", "What would silence it", Shape::Under),
    column("note", "Note", Shape::Under),
    column("alert_id", "Alert", Shape::Under),
];

/// The alerts, those that matter most first.
pub(super) fn alerts_table(alerts: &[StoredAlert], total: u64, question: &Question) -> Table {
    let mut sorted: Vec<_> = alerts.iter().collect();
    sorted.sort_by_key(|stored| {
        let finding = &stored.alert.finding;
        (
            is_false(stored),
            std::cmp::Reverse((finding.severity, finding.time)),
        )
    });
    let rows = sorted.into_iter().take(question.limit).map(|stored| {
        let finding = &stored.alert.finding;
        let part = |part| {
            let words = sentence::render(finding, question.language, part);
            (!words.is_empty()).then(|| Value::from(words))
        };
        let state = match stored.verdict() {
            Some(verdict) => verdict.name(),
            None if stored.acknowledgements.is_empty() => "open",
            None => "seen",
        };
        let notes = stored
            .verdicts
            .iter()
            .map(|(_, said)| said)
            .chain(&stored.acknowledgements);
        let note = notes.filter_map(|said| said.note.as_ref()).next();
        vec![
            Some(Value::Time(finding.time)),
            Some(Value::from(finding.severity.name())),
            Some(Value::from(&finding.rule)),
            part(Part::Sentence),
            number(stored.count),
            Some(Value::from(state)),
            part(Part::Recommendation),
            part(Part::Silence),
            text(note),
            Some(Value::from(stored.alert.id.to_string())),
        ]
    });
    Table::new("alerts", "Alerts", ALERT_COLUMNS, rows.collect(), Some(total)).about(Said::plain(
        "The worst first; those that somebody judged to be nothing last.",
    ))
}

/// A lane a rule, the rule with the worst alert first.
pub(super) fn lanes(alerts: &[StoredAlert]) -> Vec<Lane> {
    let mut found: BTreeMap<&Text, Vec<(Time, Severity)>> = BTreeMap::new();
    for stored in alerts {
        let finding = &stored.alert.finding;
        let marks = found.entry(&finding.rule).or_default();
        if marks.len() < Lane::MARKS {
            marks.push((finding.time, finding.severity));
        }
    }
    let mut lanes: Vec<_> = found
        .into_iter()
        .map(|(rule, marks)| Lane {
            rule: rule.clone(),
            marks,
        })
        .collect();
    lanes.sort_by_key(|lane| std::cmp::Reverse(lane.marks.iter().map(|(_, severity)| *severity).max()));
    lanes
}
