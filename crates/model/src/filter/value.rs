//! From what is written after the operator to a test, by the type of the field.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{Glob, Pattern, Test};
use crate::Time;
use crate::fields::Type;

/// Between name and value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    /// `:` or `=`.
    Is,
    /// `~`.
    Contains,
    Less,
    AtMost,
    More,
    AtLeast,
}

/// A value as it was written.
pub(super) enum Written<'a> {
    Word(&'a str),
    Quoted(String),
    Regex { source: &'a str, ignore_case: bool },
}

/// What is wrong, and what to do.
pub(super) type Trouble = (String, Option<String>);

fn trouble(message: impl Into<String>, hint: &str) -> Trouble {
    (message.into(), Some(hint.to_owned()))
}

/// The test that `operator` and `value` make on a field of this type.
pub(super) fn test(kind: Type, operator: Operator, value: &Written<'_>) -> Result<Test, Trouble> {
    match (operator, value) {
        (Operator::Contains, Written::Word(text)) => return contains(kind, text),
        (Operator::Contains, Written::Quoted(text)) => return contains(kind, text),
        (Operator::Contains, Written::Regex { .. }) => {
            return Err(trouble(
                "`~` takes a plain text",
                "write `:` before a regular expression",
            ));
        }
        _ => {}
    }
    let ordered = matches!(kind, Type::Integer | Type::Bytes | Type::Time | Type::Span);
    if operator != Operator::Is && !ordered {
        return Err(trouble(
            "only numbers, sizes, times and spans can be compared with `<` and `>`",
            "use `:` here",
        ));
    }
    match value {
        Written::Regex { source, ignore_case } => match kind {
            Type::Text | Type::Texts | Type::Address => Pattern::new(source, *ignore_case)
                .map(Test::Regex)
                .map_err(|message| (message, None)),
            _ => Err(trouble(
                "a regular expression needs a text field",
                "quote the value if it is meant literally",
            )),
        },
        Written::Word("*") if operator == Operator::Is => Ok(Test::Exists),
        Written::Word(text) => plain(kind, operator, text, true),
        Written::Quoted(text) => plain(kind, operator, text, false),
    }
}

fn contains(kind: Type, text: &str) -> Result<Test, Trouble> {
    match kind {
        Type::Text | Type::Texts | Type::Address => Ok(Test::Contains(text.into())),
        _ => Err(trouble("`~` needs a text field", "use `:` here")),
    }
}

fn plain(kind: Type, operator: Operator, text: &str, wildcards: bool) -> Result<Test, Trouble> {
    let glob = wildcards && Glob::has_wildcard(text);
    match kind {
        Type::Text | Type::Texts if glob => Ok(Test::Glob(Glob::new(text))),
        Type::Text | Type::Texts => Ok(Test::Equals(text.into())),
        Type::Address => match network(text) {
            Some(network) => Ok(Test::Within(network)),
            None if glob => Ok(Test::Glob(Glob::new(text))),
            None => Err(trouble(
                format!("`{}` is not an address", shown(text)),
                "write an address (10.0.0.5), a network (10.0.0.0/8) or a glob (10.0.*)",
            )),
        },
        Type::Bool => match text.to_ascii_lowercase().as_str() {
            "true" | "yes" => Ok(Test::Is(true)),
            "false" | "no" => Ok(Test::Is(false)),
            _ => Err(trouble(
                format!("`{}` is neither true nor false", shown(text)),
                "write `true` or `false`",
            )),
        },
        Type::Integer => range(operator, text, |text| point(integer(text)), "a whole number"),
        Type::Bytes => range(
            operator,
            text,
            |text| point(scaled(text, bytes_unit)),
            "a size such as 4096, 1.5MB or 2GiB",
        ),
        Type::Span => range(
            operator,
            text,
            |text| point(scaled(text, span_unit)),
            "a span such as 90s, 250ms, 5m, 2h or 7d",
        ),
        Type::Time => range(
            operator,
            text,
            time,
            "a time such as 2026-11-20, \"2026-11-20 21:27\" or 2026-11-20T21:27:03Z",
        ),
    }
}

/// Reads an address or a network; IPv4-mapped ones become IPv4, host bits are dropped.
pub(super) fn network(text: &str) -> Option<IpNet> {
    let network: IpNet = match text.parse::<IpAddr>() {
        Ok(ip) => ip.to_canonical().into(),
        Err(_) => text.parse().ok()?,
    };
    let mapped = match network {
        IpNet::V6(v6) if v6.prefix_len() >= 96 => v6.addr().to_ipv4_mapped(),
        _ => None,
    };
    match mapped {
        Some(v4) => IpNet::new(v4.into(), network.prefix_len() - 96).ok(),
        None => Some(network),
    }
    .map(|network| network.trunc())
}

/// First and last number that a written value stands for.
type Extent = (i64, i64);

fn point(number: Option<i64>) -> Option<Extent> {
    number.map(|number| (number, number))
}

fn range(
    operator: Operator,
    text: &str,
    read: impl Fn(&str) -> Option<Extent>,
    wanted: &str,
) -> Result<Test, Trouble> {
    let read = |text: &str| {
        read(text).ok_or_else(|| {
            trouble(
                format!(
                    "`{}` is not {}",
                    shown(text),
                    wanted.split(" such").next().unwrap_or(wanted)
                ),
                &format!("write {wanted}, or a range: 10..20, 10.., ..20"),
            )
        })
    };
    let nothing = || {
        trouble(
            "nothing can be beyond that",
            "no number is that large or that small",
        )
    };
    let (low, high) = match operator {
        Operator::Less => (i64::MIN, read(text)?.0.checked_sub(1).ok_or_else(nothing)?),
        Operator::AtMost => (i64::MIN, read(text)?.0),
        Operator::More => (read(text)?.0.checked_add(1).ok_or_else(nothing)?, i64::MAX),
        Operator::AtLeast => (read(text)?.0, i64::MAX),
        Operator::Is | Operator::Contains => match text.split_once("..") {
            Some(("", "")) => return Err(trouble("a range needs a beginning or an end", "write 10..20")),
            Some(("", end)) => (i64::MIN, read(end)?.1),
            Some((start, "")) => (read(start)?.0, i64::MAX),
            Some((start, end)) => (read(start)?.0, read(end)?.1),
            None => read(text)?,
        },
    };
    if low > high {
        return Err(trouble(
            "the range ends before it begins",
            "write the smaller value first",
        ));
    }
    Ok(Test::Range { low, high })
}

fn integer(text: &str) -> Option<i64> {
    text.parse().ok()
}

/// Reads a decimal number with a unit, exactly; what is smaller than one of the smallest unit is cut off.
fn scaled(text: &str, unit: fn(&str) -> Option<i128>) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let split = digits
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(digits.len());
    let (number, name) = digits.split_at(split);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || whole.len() > 20 || fraction.len() > 15 || fraction.contains('.') {
        return None;
    }
    let unit = unit(name)?;
    let mut value = whole.parse::<i128>().ok()?.checked_mul(unit)?;
    if !fraction.is_empty() {
        let ten = 10i128.pow(u32::try_from(fraction.len()).ok()?);
        value = value.checked_add(fraction.parse::<i128>().ok()?.checked_mul(unit)? / ten)?;
    }
    i64::try_from(if negative { -value } else { value }).ok()
}

/// Decimal (kB, MB …) and binary (KiB, MiB …) units, in any case; a letter alone is decimal.
fn bytes_unit(name: &str) -> Option<i128> {
    Some(match name.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1_000,
        "m" | "mb" => 1_000_000,
        "g" | "gb" => 1_000_000_000,
        "t" | "tb" => 1_000_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "tib" => 1 << 40,
        _ => return None,
    })
}

/// Microseconds; a bare number means seconds.
fn span_unit(name: &str) -> Option<i128> {
    Some(match name {
        "us" | "µs" => 1,
        "ms" => 1_000,
        "" | "s" => 1_000_000,
        "m" | "min" => 60_000_000,
        "h" => 3_600_000_000,
        "d" => 86_400_000_000,
        "w" => 604_800_000_000,
        _ => return None,
    })
}

/// A time as precise as it was written: a date is its whole day, a minute its whole minute, a second its whole second.
fn time(text: &str) -> Option<Extent> {
    const SECOND: i64 = 1_000_000;
    let start = Time::parse(text)?.0;
    if let Ok(day) = text.parse::<jiff::civil::Date>()
        && text.len() <= 10
    {
        let next = Time::parse(&day.tomorrow().ok()?.to_string())?.0;
        return Some((start, next - 1));
    }
    let clock = text.split_once(['T', 't', ' ']).map_or("", |(_, clock)| clock);
    let clock = clock.split(['Z', 'z', '+', '-', '[']).next().unwrap_or_default();
    let length = match clock.matches(':').count() {
        _ if clock.contains(['.', ',']) => 1,
        1 => 60 * SECOND,
        _ => SECOND,
    };
    Some((start, start.saturating_add(length - 1)))
}

/// A value in a message: cut, and harmless.
fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(40).map(super::error::visible).collect();
    if text.chars().nth(40).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_spans_are_exact() {
        assert_eq!(scaled("1.5MB", bytes_unit), Some(1_500_000));
        assert_eq!(scaled("2KiB", bytes_unit), Some(2_048));
        assert_eq!(scaled("9223372036854775807", bytes_unit), Some(i64::MAX));
        assert_eq!(scaled("9223372036854775808", bytes_unit), None);
        assert_eq!(scaled("-0.5ms", span_unit), Some(-500));
        for wrong in ["", "-", ".5MB", "1.2.3", "1 MB", "5 parsecs", "999999999999TB"] {
            assert_eq!(scaled(wrong, bytes_unit), None, "{wrong}");
        }
    }

    #[test]
    fn networks_are_canonical() {
        let cases = [
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("::ffff:10.1.2.3", "10.1.2.3/32"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("2001:db8::1", "2001:db8::1/128"),
        ];
        for (text, expected) in cases {
            assert_eq!(network(text).unwrap().to_string(), expected);
        }
        assert_eq!(network("10.0.0.0/33"), None);
    }

    #[test]
    fn times_are_as_wide_as_written() {
        let width = |text| time(text).map(|(start, end)| end - start + 1);
        assert_eq!(width("2026-11-20T21:27:03.5Z"), Some(1));
        assert_eq!(width("2026-11-20T21:27:03Z"), Some(1_000_000));
        assert_eq!(width("2026-11-20 21:27"), Some(60_000_000));
        assert!(width("2026-11-20").is_some_and(|width| width >= 82_800_000_000));
        assert_eq!(width("soon"), None);
    }
}
