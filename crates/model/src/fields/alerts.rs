//! Fields of alerts.

use super::Kind::Alert;
use super::{Field, Privacy, Record, Type};
use crate::Value;

fn alert<'a>(record: &Record<'a>) -> Option<&'a crate::Alert> {
    match record {
        Record::Alert(alert) => Some(alert),
        _ => None,
    }
}

fn techniques(record: &Record<'_>, part: fn(&crate::alert::Technique) -> &crate::Text) -> Option<Value> {
    let texts: Vec<_> = alert(record)?
        .techniques
        .iter()
        .map(|t| Value::from(part(t)))
        .collect();
    (!texts.is_empty()).then_some(Value::List(texts))
}

pub(super) const FIELDS: &[Field] = &[
    Field {
        name: "event.id",
        aliases: &["id"],
        column: "alert_id",
        kind: Type::Integer,
        doc: "Identity of the alert on this host, ordered by time.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: &[Alert],
        get: |r| Some(alert(r)?.id.into()),
    },
    Field {
        name: "rule.name",
        aliases: &["rule"],
        column: "rule",
        kind: Type::Text,
        doc: "The detector that fired.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: &[Alert],
        get: |r| Some((&alert(r)?.finding.rule).into()),
    },
    Field {
        name: "event.severity",
        aliases: &["severity_number"],
        column: "severity_number",
        kind: Type::Integer,
        doc: "Severity as a number: info 10, low 30, medium 50, high 70, critical 90.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: &[Alert],
        get: |r| Some(alert(r)?.finding.severity.number().into()),
    },
    Field {
        name: "log.level",
        aliases: &["severity"],
        column: "severity",
        kind: Type::Text,
        doc: "Severity: info, low, medium, high or critical.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: &[Alert],
        get: |r| Some(alert(r)?.finding.severity.name().into()),
    },
    Field {
        name: "rule.key",
        aliases: &["key"],
        column: "finding_key",
        kind: Type::Text,
        doc: "What makes two findings of a rule the same.",
        sigma: &[],
        privacy: Privacy::Personal,
        of: &[Alert],
        get: |r| Some((&alert(r)?.finding.key).into()),
    },
    Field {
        name: "threat.technique.id",
        aliases: &["technique"],
        column: "technique_ids",
        kind: Type::Texts,
        doc: "ATT&CK technique ids.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: &[Alert],
        get: |r| techniques(r, |t| &t.id),
    },
    Field {
        name: "threat.technique.name",
        aliases: &[],
        column: "technique_names",
        kind: Type::Texts,
        doc: "ATT&CK technique names.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: &[Alert],
        get: |r| techniques(r, |t| &t.name),
    },
    Field {
        name: "threat.tactic.name",
        aliases: &["tactic"],
        column: "tactics",
        kind: Type::Texts,
        doc: "ATT&CK tactics.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: &[Alert],
        get: |r| techniques(r, |t| &t.tactic),
    },
];
