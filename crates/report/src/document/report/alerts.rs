//! The alerts of a report, by rule and one by one.

use std::cmp::Reverse;
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
    let mut sorted: Vec<&RuleTotal> = rules.iter().collect();
    sorted.sort_by_key(|rule| Reverse((rule.severity, rule.alerts)));
    let rows = sorted.into_iter().take(question.limit).map(|rule| {
        vec![
            Some(Value::from(&rule.rule)),
            Some(Value::from(rule.severity.name())),
            title(&rule.rule, question),
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

/// What a rule's alerts are, in a few words.
fn title(rule: &str, question: &Question) -> Option<Value> {
    let message = atalaya_format::catalogue::message(rule, question.language);
    message.map(|message| Value::from(message.title))
}

const ALERT_COLUMNS: &[Column] = &[
    column("severity", "Severity", Shape::Severity),
    column("what", "What", Shape::Word),
    column("rule", "Rule", Shape::Code),
    column("recommendation", "What to do", Shape::Sentence),
    column("time", "Time", Shape::Time),
    column("sentence", "What happened", Shape::Sentence),
    column("count", "Times", Shape::Number),
    column("state", "State", Shape::Term),
    column("silence", "What would silence it", Shape::Under),
    column("note", "Note", Shape::Under),
    column("alert_id", "Alert", Shape::Under),
];

/// Alerts of a kind stand under one heading: of this severity and rule, with the same advice.
const GROUP: usize = 4;

/// The alerts, those that matter most first.
pub(super) fn alerts_table<'a>(alerts: &'a [StoredAlert], total: u64, question: &Question) -> Table {
    let mut newest: BTreeMap<(bool, Severity, &Text), Time> = BTreeMap::new();
    let kind = |stored: &'_ &'a StoredAlert| {
        let finding = &stored.alert.finding;
        (is_false(stored), finding.severity, &finding.rule)
    };
    let mut sorted: Vec<&StoredAlert> = alerts.iter().collect();
    for stored in &sorted {
        let time = newest.entry(kind(stored)).or_insert(stored.alert.finding.time);
        *time = stored.alert.finding.time.max(*time);
    }
    // Alerts of a rule stand together, the rule with the newest first.
    sorted.sort_by_key(|stored| {
        let (is_false, severity, rule) = kind(stored);
        let time = newest.get(&(is_false, severity, rule)).copied();
        (
            is_false,
            Reverse((severity, time)),
            rule,
            Reverse(stored.alert.finding.time),
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
            Some(Value::from(finding.severity.name())),
            title(&finding.rule, question),
            Some(Value::from(&finding.rule)),
            part(Part::Recommendation),
            Some(Value::Time(finding.time)),
            part(Part::Sentence),
            number(stored.count),
            Some(Value::from(state)),
            part(Part::Silence),
            text(note),
            Some(Value::from(stored.alert.id.to_string())),
        ]
    });
    Table::new("alerts", "Alerts", ALERT_COLUMNS, rows.collect(), Some(total))
        .about(Said::plain(
            "The worst first; those that somebody judged to be nothing last.",
        ))
        .grouped(GROUP)
}

/// A lane a rule, the rule with the worst alert first.
pub(super) fn lanes(alerts: &[StoredAlert]) -> Vec<Lane> {
    let mut found: BTreeMap<&Text, Lane> = BTreeMap::new();
    for stored in alerts {
        let finding = &stored.alert.finding;
        let lane = found.entry(&finding.rule).or_insert_with(|| Lane {
            rule: finding.rule.clone(),
            count: 0,
            marks: Vec::new(),
        });
        lane.count += 1;
        if lane.marks.len() < Lane::MARKS {
            lane.marks.push((finding.time, finding.severity));
        }
    }
    let mut lanes: Vec<Lane> = found.into_values().collect();
    lanes.sort_by_key(|lane| Reverse(lane.marks.iter().map(|(_, severity)| *severity).max()));
    lanes
}
