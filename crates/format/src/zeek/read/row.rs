//! One line of a log as columns, whether it is JSON or text between tabs.

use std::borrow::Cow;
use std::net::IpAddr;

use atalaya_model::{Endpoint, Time};
use serde_json::{Map, Value};

use super::header::Header;
use crate::told::{self, BadLine, LONGEST, MAX_LIST, MAX_TEXT, bad, clip};

/// The columns of a line.
pub(super) enum Row<'a> {
    Json(Map<String, Value>),
    Text(&'a Header, Vec<&'a str>),
}

/// What stands in a column that is set.
enum Cell<'a> {
    Json(&'a Value),
    Text(&'a str),
}

impl Row<'_> {
    fn cell(&self, column: &str) -> Option<Cell<'_>> {
        match self {
            Self::Json(object) => object
                .get(column)
                .filter(|value| !value.is_null())
                .map(Cell::Json),
            Self::Text(header, fields) => {
                let field = fields.get(header.place(column)?)?;
                (**field != *header.unset).then_some(Cell::Text(field))
            }
        }
    }

    fn is_empty_word(&self, text: &str) -> bool {
        matches!(self, Self::Text(header, _) if *header.empty == *text)
    }

    /// A text, at most so long.
    pub(super) fn text(&self, column: &str) -> Option<Box<str>> {
        self.text_within(column, MAX_TEXT)
    }

    pub(super) fn text_within(&self, column: &str, most: usize) -> Option<Box<str>> {
        let text = match self.cell(column)? {
            Cell::Json(Value::String(text)) => Cow::Borrowed(&**text),
            Cell::Json(Value::Number(number)) => Cow::Owned(number.to_string()),
            Cell::Json(_) => return None,
            Cell::Text(text) if self.is_empty_word(text) => Cow::Borrowed(""),
            Cell::Text(text) => unescape(text),
        };
        Some(clip(&text, most).into())
    }

    /// A list of texts.
    pub(super) fn texts(&self, column: &str) -> Box<[Box<str>]> {
        match self.cell(column) {
            None => Box::default(),
            Some(Cell::Json(Value::Array(items))) => {
                let texts = items.iter().filter_map(Value::as_str).take(MAX_LIST);
                texts.map(|text| clip(text, MAX_TEXT).into()).collect()
            }
            Some(Cell::Json(value)) => value
                .as_str()
                .map(|text| clip(text, MAX_TEXT).into())
                .into_iter()
                .collect(),
            Some(Cell::Text(text)) if self.is_empty_word(text) => Box::default(),
            Some(Cell::Text(text)) => {
                let separator = match self {
                    Self::Text(header, _) => &*header.within,
                    Self::Json(_) => ",",
                };
                let texts = text.split(separator).take(MAX_LIST);
                texts.map(|text| clip(&unescape(text), MAX_TEXT).into()).collect()
            }
        }
    }

    /// A list of spans in seconds.
    pub(super) fn spans(&self, column: &str) -> Vec<i64> {
        match self.cell(column) {
            Some(Cell::Json(Value::Array(items))) => {
                let numbers = items.iter().take(MAX_LIST);
                numbers
                    .map(|item| told::seconds(&item.to_string()).unwrap_or(0))
                    .collect()
            }
            _ => {
                let texts = self.texts(column);
                texts
                    .iter()
                    .map(|text| told::seconds(text).unwrap_or(0))
                    .collect()
            }
        }
    }

    /// A whole number; anything else is a mistake in the line.
    pub(super) fn number<N: TryFrom<u64>>(&self, column: &str) -> Result<Option<N>, BadLine> {
        let number = match self.cell(column) {
            None => return Ok(None),
            Some(Cell::Json(value)) => value.as_u64(),
            Some(Cell::Text(text)) => text.parse().ok(),
        };
        let number = number.and_then(|number| N::try_from(number).ok());
        number
            .map(Some)
            .ok_or_else(|| bad(column, "a number within its range"))
    }

    pub(super) fn truth(&self, column: &str) -> Option<bool> {
        match self.cell(column)? {
            Cell::Json(value) => value.as_bool(),
            Cell::Text("T") => Some(true),
            Cell::Text("F") => Some(false),
            Cell::Text(_) => None,
        }
    }

    fn micros(&self, column: &str) -> Option<Option<i64>> {
        Some(match self.cell(column)? {
            Cell::Json(Value::Number(number)) => told::seconds(&number.to_string()),
            Cell::Json(Value::String(text)) => Time::parse(text).map(|time| time.0),
            Cell::Json(_) => None,
            Cell::Text(text) => told::seconds(text).or_else(|| Time::parse(text).map(|time| time.0)),
        })
    }

    /// A time: seconds since 1970, or as in ISO 8601.
    pub(super) fn time(&self, column: &str) -> Result<Option<Time>, BadLine> {
        let wanted = "a time: seconds since 1970, or ISO 8601";
        let Some(micros) = self.micros(column) else {
            return Ok(None);
        };
        let time = micros.and_then(told::time);
        time.map(Some).ok_or_else(|| bad(column, wanted))
    }

    /// A date in a certificate.
    pub(super) fn date(&self, column: &str) -> Option<Time> {
        self.micros(column)?.and_then(told::date)
    }

    /// A span of time in microseconds.
    pub(super) fn span(&self, column: &str) -> Result<Option<i64>, BadLine> {
        let Some(micros) = self.micros(column) else {
            return Ok(None);
        };
        let micros = micros.filter(|micros| (0..=LONGEST).contains(micros));
        micros.map(Some).ok_or_else(|| bad(column, "a number of seconds"))
    }

    /// One end: `id.orig_h` and `id.orig_p`.
    pub(super) fn end(&self, ip: &str, port: &str) -> Result<Endpoint, BadLine> {
        let text = self.text(ip).ok_or_else(|| bad(ip, "there"))?;
        let ip: IpAddr = text.parse().map_err(|_| bad(ip, "an address"))?;
        Ok(Endpoint::new(ip, self.number(port)?.unwrap_or(0)))
    }
}

/// Takes back `\xNN`, where all of them together are text.
fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let escaped = after
            .strip_prefix(b"x")
            .filter(|_| *first == b'\\')
            .and_then(|digits| digits.get(..2))
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        match escaped {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(3..).unwrap_or_default();
            }
            None if *first == b'\\' && after.first() == Some(&b'\\') => {
                bytes.push(b'\\');
                rest = after.get(1..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).map_or(Cow::Borrowed(text), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_taken_back_where_that_gives_text() {
        for (text, plain) in [
            ("a", "a"),
            (r"a\x09b", "a\tb"),
            (r"\xc3\xbc", "ü"),
            (r"\xfc", r"\xfc"),
            (r"C:\\x41", r"C:\x41"),
            (r"\x4", r"\x4"),
            (r"\xzz", r"\xzz"),
            ("\\", "\\"),
        ] {
            assert_eq!(unescape(text), plain);
        }
    }
}
