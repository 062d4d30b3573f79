//! Does a record match?

use std::borrow::Cow;
use std::net::IpAddr;

use super::{Expression, Test};
use crate::Value;
use crate::fields::Record;

impl Expression {
    /// Does `record` match? A comparison is false where none of its fields is set in the record, also because its
    /// kind has no such field; `!` makes that true.
    pub fn matches(&self, record: &Record<'_>) -> bool {
        match self {
            Self::All => true,
            Self::And(items) => items.iter().all(|item| item.matches(record)),
            Self::Or(items) => items.iter().any(|item| item.matches(record)),
            Self::Not(item) => !item.matches(record),
            Self::Compare { fields, test } => fields
                .iter()
                .any(|field| field.value(record).is_some_and(|value| test.matches(&value))),
        }
    }
}

impl Test {
    /// Does a set value pass? A list passes where one of its elements does.
    pub fn matches(&self, value: &Value) -> bool {
        if let Self::Exists = self {
            return true;
        }
        if let Value::List(values) = value {
            return values.iter().any(|value| self.matches(value));
        }
        match self {
            Self::Exists => true,
            Self::Equals(wanted) => text(value).is_some_and(|text| text.eq_ignore_ascii_case(wanted)),
            Self::Contains(wanted) => text(value).is_some_and(|text| contains(&text, wanted)),
            Self::Glob(glob) => text(value).is_some_and(|text| glob.is_match(&text)),
            Self::Regex(pattern) => text(value).is_some_and(|text| pattern.is_match(&text)),
            Self::Within(network) => match value {
                Value::Address(ip) => network.contains(ip),
                Value::Text(text) => text
                    .parse()
                    .is_ok_and(|ip: IpAddr| network.contains(&ip.to_canonical())),
                _ => false,
            },
            Self::Range { low, high } => number(value).is_some_and(|number| (*low..=*high).contains(&number)),
            Self::Is(wanted) => matches!(value, Value::Bool(value) if value == wanted),
            Self::Any(tests) => tests.iter().any(|test| test.matches(value)),
        }
    }
}

/// The text form on which text tests work. Numbers, times and sizes have none.
fn text(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::Text(text) => Some(Cow::Borrowed(text)),
        Value::Address(ip) => Some(Cow::Owned(ip.to_string())),
        Value::Network(network) => Some(Cow::Owned(network.to_string())),
        _ => None,
    }
}

/// The number on which ranges work: counts, bytes, microseconds.
fn number(value: &Value) -> Option<i64> {
    match value {
        Value::Integer(number) => Some(*number),
        Value::Bytes(bytes) => Some(i64::try_from(*bytes).unwrap_or(i64::MAX)),
        Value::Time(time) => Some(time.0),
        Value::Span(span) => Some(span.0),
        _ => None,
    }
}

fn contains(text: &str, wanted: &str) -> bool {
    let (text, wanted) = (text.as_bytes(), wanted.as_bytes());
    wanted.is_empty()
        || text
            .windows(wanted.len())
            .any(|part| part.eq_ignore_ascii_case(wanted))
}
