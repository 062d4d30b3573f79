//! JSON, written straight into a text: always valid, always on one line, safe to print.

mod object;
mod plain;

use std::fmt::Write;

use atalaya_model::Value;

use crate::escape::is_hidden;

pub(crate) use object::{Object, object};
pub(crate) use plain::{address, hex, integer, rfc3339, rfc3339_offset, seconds, signed};

/// Longest text in a record, in bytes; a longer one is cut and ends in `…`.
const MAX_TEXT: usize = 32 << 10;

/// Opens the next member of the object that `out` is in: the comma where one is needed, and the name.
pub(crate) fn key(out: &mut String, name: &str) {
    if !out.ends_with('{') {
        out.push(',');
    }
    text(out, name);
    out.push(':');
}

/// A string of a record. What a terminal would act on is escaped, too.
pub(crate) fn text(out: &mut String, text: &str) {
    start(out, text, MAX_TEXT);
}

/// A string of any length. What a terminal would act on is escaped, too.
pub fn whole(out: &mut String, text: &str) {
    start(out, text, text.len());
}

fn start(out: &mut String, text: &str, most: usize) {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    out.push('"');
    // Nearly every text is plain ASCII, which needs no look at each character.
    let is_plain = |byte: u8| matches!(byte, b' '..=b'~') & (byte != b'"') & (byte != b'\\');
    // Every byte is looked at, without a branch for each: many at once.
    if end == text.len() && text.bytes().fold(true, |plain, byte| plain & is_plain(byte)) {
        out.push_str(text);
        out.push('"');
        return;
    }
    let mut plain = 0;
    for (at, c) in text[..end].char_indices() {
        if c != '"' && c != '\\' && (c.is_ascii_graphic() || c == ' ' || !is_hidden(c)) {
            continue;
        }
        out.push_str(&text[plain..at]);
        plain = at + c.len_utf8();
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    number(out, format_args!("\\u{unit:04x}"));
                }
            }
        }
    }
    out.push_str(&text[plain..end]);
    if end < text.len() {
        out.push('…');
    }
    out.push('"');
}

/// Anything that shows itself as JSON already.
pub(crate) fn number(out: &mut String, number: impl std::fmt::Display) {
    // Writing to a String cannot fail.
    write!(out, "{number}").unwrap_or_default();
}

/// A value: times as RFC 3339, spans as nanoseconds (as ECS has them), bytes as a number.
pub(crate) fn value(out: &mut String, value: &Value) {
    match value {
        Value::Bool(truth) => number(out, truth),
        Value::Integer(whole) => signed(out, *whole),
        Value::Float(float) if float.is_finite() => number(out, float),
        Value::Float(_) => out.push_str("null"),
        Value::Bytes(bytes) => integer(out, *bytes),
        Value::Text(words) => text(out, words),
        Value::Address(ip) => address(out, *ip),
        Value::Network(network) => number(out, format_args!("\"{network}\"")),
        Value::Time(time) => rfc3339(out, *time),
        Value::Span(span) => number(out, i128::from(span.0) * 1_000),
        Value::List(values) => {
            out.push('[');
            for (index, item) in values.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                self::value(out, item);
            }
            out.push(']');
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hostile_text_is_escaped() {
        let mut out = String::new();
        text(&mut out, "a\"\\\n\u{1b}[2J\u{202e}é😀\u{e0041}");
        assert_eq!(out, r#""a\"\\\n\u001b[2J\u202eé😀\udb40\udc41""#);
    }

    #[test]
    fn long_text_is_cut() {
        let mut out = String::new();
        text(&mut out, &"é".repeat(MAX_TEXT));
        assert!(out.len() < MAX_TEXT + 8 && out.ends_with("…\""));
        out.clear();
        whole(&mut out, &"é".repeat(MAX_TEXT));
        assert_eq!(out.len(), 2 * MAX_TEXT + 2);
    }

    proptest! {
        #[test]
        fn text_survives(input in any::<String>()) {
            let mut out = String::new();
            text(&mut out, &input);
            prop_assert!(!out.chars().any(is_hidden));
            prop_assert_eq!(serde_json::from_str::<String>(&out).unwrap(), input);
        }

        #[test]
        fn numbers_are_json(float in any::<f64>(), span in any::<i64>()) {
            let mut out = String::new();
            value(&mut out, &Value::List(vec![Value::Float(float), Value::Span(atalaya_model::Span(span))]));
            let read = serde_json::from_str::<serde_json::Value>(&out);
            prop_assert!(read.is_ok(), "{}", out);
        }
    }
}
