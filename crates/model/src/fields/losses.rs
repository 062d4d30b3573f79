//! Fields of gaps, and the time that alerts and gaps have.

use super::Kind::{Alert, Gap};
use super::{Field, Privacy, Record, Type};

fn gap<'a>(record: &Record<'a>) -> Option<&'a crate::Gap> {
    match record {
        Record::Gap(gap) => Some(gap),
        _ => None,
    }
}

pub(super) const FIELDS: &[Field] = &[
    Field {
        name: "event.created",
        aliases: &["time"],
        column: "time",
        kind: Type::Time,
        doc: "When the alert was raised or the gap noticed.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: &[Alert, Gap],
        get: |r| match r {
            Record::Alert(alert) => Some(alert.finding.time.into()),
            Record::Gap(gap) => Some(gap.time.into()),
            _ => None,
        },
    },
    Field {
        name: "gap.stage",
        aliases: &["stage"],
        column: "stage",
        kind: Type::Text,
        doc: "Where something was lost.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: &[Gap],
        get: |r| Some(gap(r)?.stage.name().into()),
    },
    Field {
        name: "gap.count",
        aliases: &["lost"],
        column: "lost",
        kind: Type::Integer,
        doc: "How many were lost.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: &[Gap],
        get: |r| Some(gap(r)?.count.into()),
    },
    Field {
        name: "gap.reason",
        aliases: &["reason"],
        column: "reason",
        kind: Type::Text,
        doc: "Why it was lost.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: &[Gap],
        get: |r| Some((&gap(r)?.reason).into()),
    },
];
