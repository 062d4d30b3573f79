//! Reads a configuration and reports every problem in it, not only the first.
//!
//! serde stops at the first value it dislikes. So that value is noted with its place, taken out of the document, and
//! the rest is read again, until nothing is left to complain about.

use std::ops::Range;

use atalaya_model::Problem;
use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, Deserializer};

/// More problems than this are not worth listing.
const MAX_PROBLEMS: usize = 100;

/// Reads `text` as a `T`, with every problem found on the way. `path` names the document in the problems.
///
/// The value is what remains when the bad parts are left out; use it only where there is no problem.
pub fn read<T: DeserializeOwned + Default>(path: &str, text: &str) -> (T, Vec<Problem>) {
    let (mut document, errors) = DeTable::parse_recoverable(text);
    let place = Place { path, text };
    let mut problems: Vec<_> = errors
        .iter()
        .map(|error| place.problem(error.span(), error.message().to_owned()))
        .collect();
    if !problems.is_empty() {
        problems.sort_by_key(|problem| (problem.line, problem.column));
        problems.truncate(MAX_PROBLEMS);
        return (T::default(), problems);
    }
    while problems.len() < MAX_PROBLEMS {
        match T::deserialize(Deserializer::from(document.clone())) {
            Ok(value) => {
                problems.sort_by_key(|problem| (problem.line, problem.column));
                return (value, problems);
            }
            Err(error) => {
                let span = error.span();
                problems.push(place.problem(span.clone(), error.message().to_owned()));
                let removed = span.is_some_and(|span| remove(document.get_mut(), &span));
                if !removed {
                    break;
                }
            }
        }
    }
    (T::default(), problems)
}

/// Takes the innermost entry that holds `span` out of the table. Is anything gone?
fn remove(table: &mut DeTable<'_>, span: &Range<usize>) -> bool {
    let covers = |outer: Range<usize>| outer.start <= span.start && span.end <= outer.end;
    let mut found = None;
    for (key, value) in table.iter_mut() {
        if covers(key.span()) {
            found = Some(key.get_ref().to_string());
            break;
        }
        let exact = value.span() == *span;
        // A table made by dotted keys or headers may span less than its content, so look inside regardless.
        if !exact && remove_within(value, span) {
            return true;
        }
        if exact || covers(value.span()) {
            found = Some(key.get_ref().to_string());
            break;
        }
    }
    found.is_some_and(|key| table.remove(key.as_str()).is_some())
}

/// As [`remove`], inside a value.
fn remove_within(value: &mut Spanned<DeValue<'_>>, span: &Range<usize>) -> bool {
    match value.get_mut() {
        DeValue::Table(inner) => remove(inner, span),
        DeValue::Array(items) => {
            for index in 0..items.len() {
                let Some(item) = items.get_mut(index) else {
                    continue;
                };
                let outer = item.span();
                if outer != *span && remove_within(item, span) {
                    return true;
                }
                if outer.start <= span.start && span.end <= outer.end {
                    let kept = items.clone().into_iter().enumerate();
                    *items = kept
                        .filter(|(place, _)| *place != index)
                        .map(|(_, item)| item)
                        .collect();
                    return true;
                }
            }
            false
        }
        _ => false,
    }
}

/// A document, to turn byte offsets into lines.
struct Place<'a> {
    path: &'a str,
    text: &'a str,
}

impl Place<'_> {
    fn problem(&self, span: Option<Range<usize>>, message: String) -> Problem {
        let before = span.as_ref().and_then(|span| self.text.get(..span.start));
        let line = before.map(|before| before.matches('\n').count() + 1);
        let column = before.map(|before| before.rsplit('\n').next().unwrap_or("").chars().count() + 1);
        let (mut message, mut hint) = explain(&message);
        if message == "invalid IP address syntax" {
            let value = span.and_then(|span| self.text.get(span)).unwrap_or("this");
            message = format!("{value} is not a network");
            hint = Some("write it as in `10.0.0.0/8`, `192.0.2.7/32` or `2001:db8::/32`".to_owned());
        }
        Problem {
            path: self.path.to_owned(),
            line,
            column,
            message,
            hint,
        }
    }
}

/// Splits serde's list of expected names off, and finds the nearest one.
fn explain(message: &str) -> (String, Option<String>) {
    let message = message
        .trim()
        .replace("unknown field", "unknown key")
        .replace("unknown variant", "unknown value");
    let Some((head, tail)) = message.split_once(", expected ") else {
        let (head, hint) = match message.split_once("; hint: ") {
            Some((head, hint)) => (head.to_owned(), Some(hint.to_owned())),
            None => (message.clone(), None),
        };
        return (head, hint);
    };
    let names: Vec<&str> = tail.split('`').skip(1).step_by(2).collect();
    let typed = head.split('`').nth(1).unwrap_or("");
    if names.is_empty() || typed.is_empty() {
        let wanted = match tail {
            "u8" => "a whole number from 0 to 255",
            "u16" => "a whole number from 0 to 65535",
            "u32" | "u64" | "usize" => "a whole number, 0 or more",
            "a string" => "a text in quotes",
            "a boolean" => "true or false, without quotes",
            other => other,
        };
        return (head.to_owned(), Some(format!("expected {wanted}")));
    }
    let nearest = names.iter().min_by_key(|name| distance(typed, name)).copied();
    let close = nearest.filter(|name| distance(typed, name) <= 1 + typed.len() / 3);
    let hint = match close {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("known here: {}", names.join(", ")),
    };
    (head.to_owned(), Some(hint))
}

/// Levenshtein's distance between two short texts.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.chars().take(64).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.iter().enumerate() {
            let substituted = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, PartialEq, serde::Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Outer {
        number: u16,
        inner: Inner,
        list: Vec<ipnet::IpNet>,
        items: Vec<Inner>,
    }

    #[derive(Debug, Default, PartialEq, serde::Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Inner {
        interval: String,
        on: bool,
    }

    fn lines(text: &str) -> Vec<(Option<usize>, String)> {
        let (_, problems) = read::<Outer>("test.toml", text);
        problems
            .into_iter()
            .map(|problem| (problem.line, problem.to_string()))
            .collect()
    }

    #[test]
    fn good_text_has_no_problems() {
        let (value, problems) = read::<Outer>("test.toml", "number = 3\n[inner]\non = true\n");
        assert!(problems.is_empty());
        assert_eq!(value.number, 3);
        assert!(value.inner.on);
    }

    #[test]
    fn every_problem_is_found_with_its_line() {
        let text = "number = \"x\"\nlist = [\"10.0.0.0/8\", \"10.0.0.0/99\", \"nonsense\"]\n\n[inner]\ninteral = \"1s\"\n\
                    on = 3\n\n[[items]]\non = true\n\n[[items]]\nof = 1\n\n[other]\nx = 1\n";
        let found = lines(text);
        let numbers: Vec<_> = found.iter().filter_map(|(line, _)| *line).collect();
        assert_eq!(numbers, [1, 2, 2, 5, 6, 12, 14], "{found:#?}");
        assert!(
            found
                .iter()
                .any(|(_, text)| text.contains("did you mean `interval`?")),
            "{found:#?}"
        );
        assert!(
            found[1].1.contains("\"10.0.0.0/99\" is not a network"),
            "{found:#?}"
        );
    }

    #[test]
    fn broken_syntax_is_one_clear_problem() {
        let found = lines("number = \n");
        assert_eq!(found.len(), 1, "{found:#?}");
        assert_eq!(found[0].0, Some(1));
        let found = lines("number = 1\n[inner\n");
        assert!(found[0].1.contains("hint: expected `]`"), "{found:#?}");
    }

    #[test]
    fn wanted_values_are_described() {
        for (text, hint) in [
            ("number = 70000", "hint: expected a whole number from 0 to 65535"),
            ("number = \"1\"", "hint: expected a whole number from 0 to 65535"),
            (
                "inner.on = \"yes\"",
                "hint: expected true or false, without quotes",
            ),
            ("inner.interval = 5", "hint: expected a text in quotes"),
        ] {
            let found = lines(text);
            assert!(found.len() == 1 && found[0].1.contains(hint), "{found:#?}");
        }
    }

    #[test]
    fn distances() {
        assert_eq!(distance("interal", "interval"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("same", "same"), 0);
    }
}
