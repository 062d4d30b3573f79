//! The members that are no fields: time, kind, category, host, an alert's sentences, values and examples.

use std::sync::LazyLock;

use atalaya_model::AlertRecord;
use atalaya_model::fields::{self, Kind, Record};

use super::Context;
use super::subject::Subject;
use super::tree::{Node, Tree, Write};
use crate::json;
use crate::sentence::{self, Part};

/// The version of ECS whose names are used.
pub(super) const ECS_VERSION: &str = "9.0.0";

/// What every object has, before its fields.
const FIRST: &[(&str, Write)] = &[
    ("@timestamp", |out, subject, _| {
        text(out, Some(&subject.time().rfc3339()))
    }),
    ("message", |out, subject, context| {
        say(out, subject, context, Part::Sentence)
    }),
    ("event.kind", |out, subject, _| {
        text(
            out,
            Some(if subject.kind() == Some(Kind::Alert) {
                "alert"
            } else {
                "event"
            }),
        )
    }),
    ("event.category", |out, subject, _| {
        let category = subject.kind().map_or("host", Kind::category);
        json::number(out, format_args!("[\"{category}\"]"));
        true
    }),
    ("event.type", |out, subject, _| {
        out.push_str(subject.types());
        true
    }),
    ("event.action", |out, subject, _| {
        text(out, Some(subject.action()))
    }),
    ("event.dataset", |out, subject, _| {
        text(out, Some(subject.dataset()))
    }),
    ("event.outcome", |out, subject, _| text(out, subject.outcome())),
    // Before the field of this name, and so instead of it: a text, also for later rows about an alert.
    ("event.id", |out, subject, _| {
        let id = subject.alert_id();
        id.inspect(|id| json::number(out, format_args!("\"{id}\"")))
            .is_some()
    }),
];

/// What comes after the fields.
const LAST: &[(&str, Write)] = &[
    ("rule.description", |out, subject, context| {
        say(out, subject, context, Part::Title)
    }),
    ("threat.framework", |out, subject, _| {
        let framed = subject.alert().is_some_and(|alert| !alert.techniques.is_empty());
        text(out, framed.then_some("MITRE ATT&CK"))
    }),
    ("atalaya.values", values),
    ("atalaya.connections", connections),
    ("atalaya.recurrence", |out, subject, _| {
        number(out, subject.alert().map(|alert| u64::from(alert.recurrence)))
    }),
    ("atalaya.recommendation", |out, subject, context| {
        say(out, subject, context, Part::Recommendation)
    }),
    ("atalaya.silence", |out, subject, context| {
        say(out, subject, context, Part::Silence)
    }),
    ("atalaya.count", |out, subject, _| match subject.row() {
        Some(AlertRecord::Repeated { count, .. }) => number(out, Some(*count)),
        _ => false,
    }),
    ("atalaya.verdict", |out, subject, _| match subject.row() {
        Some(AlertRecord::Closed { verdict, .. }) => text(out, Some(verdict.name())),
        _ => false,
    }),
    ("atalaya.by", |out, subject, _| match subject.row() {
        Some(AlertRecord::Acknowledged { by, .. } | AlertRecord::Closed { by, .. }) => text(out, Some(by)),
        _ => false,
    }),
    ("atalaya.note", |out, subject, _| match subject.row() {
        Some(AlertRecord::Acknowledged { note, .. } | AlertRecord::Closed { note, .. }) => {
            text(out, note.as_deref())
        }
        _ => false,
    }),
    ("atalaya.tier.name", |out, subject, _| {
        text(out, subject.tier().map(|report| report.tier.name()))
    }),
    ("atalaya.tier.unavailable", |out, subject, _| {
        let Some(report) = subject.tier() else {
            return false;
        };
        let pairs = report.unavailable.iter();
        objects(
            out,
            pairs.map(|(tier, reason)| [("name", tier.name()), ("reason", reason)]),
        )
    }),
    ("atalaya.tier.limits", |out, subject, _| {
        let Some(report) = subject.tier() else {
            return false;
        };
        let limits = report.limits.iter();
        objects(
            out,
            limits.map(|limit| [("what", &*limit.what), ("remedy", &*limit.remedy)]),
        )
    }),
    ("host.name", |out, _, context| text(out, Some(&context.host_name))),
    ("host.id", |out, _, context| text(out, context.host_id.as_deref())),
    ("observer.product", |out, _, _| text(out, Some("Atalaya"))),
    ("observer.type", |out, _, _| text(out, Some("sensor"))),
    ("observer.version", |out, _, context| {
        text(out, Some(&context.version))
    }),
    ("ecs.version", |out, _, _| text(out, Some(ECS_VERSION))),
];

/// What records of captures leave out: what nobody knows there, what tells only of this host, and what other members of
/// the same record say.
const NOT_OF_CAPTURES: &[&str] = &[
    "event.dataset",
    "event.end",
    "network.state",
    "network.namespace",
    "connection.retransmits",
    "connection.side",
    "connection.started_before",
    "attribution.certainty",
    "attribution.evidence",
    "host.name",
    "host.id",
    "observer.product",
    "observer.type",
    "observer.version",
];

/// What an alert tells of each example connection.
const EXAMPLE: &[&str] = &[
    "event.start",
    "network.",
    "source.",
    "destination.",
    "process.pid",
    "process.name",
];

/// Appends the object about `subject`.
pub(super) fn write(out: &mut String, subject: &Subject<'_>, context: &Context) {
    static SHAPES: LazyLock<[[Tree; 6]; 2]> = LazyLock::new(|| {
        [false, true].map(|of_captures| {
            let [a, b, c, d, e] = Kind::KEPT.map(|kind| shape(Some(kind), of_captures));
            [a, b, c, d, e, shape(None, of_captures)]
        })
    });
    let record = subject.record();
    let shapes = &SHAPES[usize::from(context.of_captures)];
    // In the order of `Kind::KEPT`; the test of the snapshots fails where that changes.
    let shape = match subject.kind() {
        Some(kind) => &shapes[kind as usize],
        None => &shapes[Kind::KEPT.len()],
    };
    shape.write(out, record.as_ref(), subject, context);
}

fn shape(kind: Option<Kind>, of_captures: bool) -> Tree {
    let mut tree = Tree::default();
    let mut add = |name: &'static str, node| {
        if !of_captures || !NOT_OF_CAPTURES.contains(&name) {
            tree.add(name, node);
        }
    };
    for (name, write) in FIRST {
        add(name, Node::Made(*write));
    }
    for field in kind.into_iter().flat_map(fields::of) {
        add(field.name, Node::Field(field));
    }
    for (name, write) in LAST {
        add(name, Node::Made(*write));
    }
    tree
}

fn text(out: &mut String, value: Option<&str>) -> bool {
    value.inspect(|value| json::text(out, value)).is_some()
}

fn number(out: &mut String, value: Option<u64>) -> bool {
    value.inspect(|value| json::number(out, value)).is_some()
}

fn say(out: &mut String, subject: &Subject<'_>, context: &Context, part: Part) -> bool {
    let said = subject
        .alert()
        .map(|alert| sentence::render(&alert.finding, context.language, part));
    text(out, said.as_deref().filter(|said| !said.is_empty()))
}

/// The finding's values by name; of two with one name the first.
fn values(out: &mut String, subject: &Subject<'_>, _: &Context) -> bool {
    let values = subject.alert().map(|alert| alert.finding.values.as_slice());
    let Some(values @ [_, ..]) = values else {
        return false;
    };
    out.push('{');
    for (index, (name, value)) in values.iter().enumerate() {
        if !values[..index].iter().any(|(earlier, _)| earlier == name) {
            json::key(out, name);
            json::value(out, value);
        }
    }
    out.push('}');
    true
}

fn connections(out: &mut String, subject: &Subject<'_>, context: &Context) -> bool {
    static SHAPE: LazyLock<Tree> = LazyLock::new(|| {
        let mut tree = Tree::default();
        let wanted = |name: &str| EXAMPLE.iter().any(|start| name.starts_with(start));
        for field in fields::of(Kind::Connection).filter(|field| wanted(field.name)) {
            tree.add(field.name, Node::Field(field));
        }
        tree
    });
    let examples = subject.alert().map(|alert| alert.finding.connections.as_slice());
    let Some(examples @ [_, ..]) = examples else {
        return false;
    };
    out.push('[');
    for (index, example) in examples.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        SHAPE.write(out, Some(&Record::Connection(example)), subject, context);
    }
    out.push(']');
    true
}

/// A list of objects of two texts each.
fn objects<'a>(out: &mut String, pairs: impl Iterator<Item = [(&'static str, &'a str); 2]>) -> bool {
    let begin = out.len();
    out.push('[');
    for pair in pairs {
        if !out.ends_with('[') {
            out.push(',');
        }
        out.push('{');
        for (name, value) in pair {
            json::key(out, name);
            json::text(out, value);
        }
        out.push('}');
    }
    out.push(']');
    out.len() > begin + "[]".len()
}
