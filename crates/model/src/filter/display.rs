//! An expression as text that parses back to the same expression.

use std::fmt;

use super::{Expression, Test, names};
use crate::fields::{Field, Type};
use crate::{Text, Time};

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::And(items) => join(f, items, " "),
            Self::Or(items) => join(f, items, " or "),
            Self::Not(item) => {
                f.write_str("!")?;
                nested(f, item)
            }
            Self::Compare { fields, test } => match (names::name_of(fields), fields.first()) {
                (Some(name), Some(first)) => compare(f, name, first.kind, test),
                // Not written by the parser: several fields that no word stands for.
                _ => {
                    f.write_str("(")?;
                    for (index, field) in fields.iter().enumerate() {
                        f.write_str(if index > 0 { " or " } else { "" })?;
                        compare(f, field.name, field.kind, test)?;
                    }
                    f.write_str(if fields.is_empty() { "!*)" } else { ")" })
                }
            },
        }
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        let names = |fields: &[&'static Field]| fields.iter().map(|f| f.name).collect::<Vec<_>>();
        match (self, other) {
            (Self::All, Self::All) => true,
            (Self::And(a), Self::And(b)) | (Self::Or(a), Self::Or(b)) => a == b,
            (Self::Not(a), Self::Not(b)) => a == b,
            (Self::Compare { fields: a, test: x }, Self::Compare { fields: b, test: y }) => {
                names(a) == names(b) && x == y
            }
            _ => false,
        }
    }
}

fn join(f: &mut fmt::Formatter<'_>, items: &[Expression], between: &str) -> fmt::Result {
    for (index, item) in items.iter().enumerate() {
        f.write_str(if index > 0 { between } else { "" })?;
        nested(f, item)?;
    }
    Ok(())
}

fn nested(f: &mut fmt::Formatter<'_>, item: &Expression) -> fmt::Result {
    match item {
        Expression::And(_) | Expression::Or(_) => write!(f, "({item})"),
        _ => write!(f, "{item}"),
    }
}

fn compare(f: &mut fmt::Formatter<'_>, name: &str, kind: Type, test: &Test) -> fmt::Result {
    let contains = match test {
        Test::Any(tests) => matches!(tests.first(), Some(Test::Contains(_))),
        test => matches!(test, Test::Contains(_)),
    };
    f.write_str(name)?;
    f.write_str(if contains { "~" } else { ":" })?;
    value(f, kind, test)
}

fn value(f: &mut fmt::Formatter<'_>, kind: Type, test: &Test) -> fmt::Result {
    match test {
        Test::Exists => f.write_str("*"),
        Test::Equals(text) | Test::Contains(text) => quoted(f, text),
        Test::Glob(glob) => write!(f, "{glob}"),
        Test::Regex(pattern) => write!(f, "{pattern}"),
        Test::Within(network) if network.prefix_len() == network.max_prefix_len() => {
            write!(f, "{}", network.addr())
        }
        Test::Within(network) => write!(f, "{network}"),
        Test::Is(value) => write!(f, "{value}"),
        Test::Range { low, high } if low == high => number(f, kind, *low),
        Test::Range { low, high } => {
            if *low > i64::MIN || *high == i64::MAX {
                number(f, kind, *low)?;
            }
            f.write_str("..")?;
            if *high < i64::MAX {
                number(f, kind, *high)?;
            }
            Ok(())
        }
        Test::Any(tests) => {
            for (index, test) in tests.iter().enumerate() {
                f.write_str(if index > 0 { "," } else { "" })?;
                value(f, kind, test)?;
            }
            Ok(())
        }
    }
}

fn number(f: &mut fmt::Formatter<'_>, kind: Type, number: i64) -> fmt::Result {
    match kind {
        Type::Time => write!(f, "{}", Time(number).rfc3339()),
        Type::Span => write!(f, "{number}us"),
        _ => write!(f, "{number}"),
    }
}

fn quoted(f: &mut fmt::Formatter<'_>, text: &Text) -> fmt::Result {
    write!(f, "\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
