//! Members of an object, checked.

use std::net::IpAddr;

use atalaya_model::Time;
use serde_json::Value;

use crate::told::{self, BadLine, MAX_LIST, MAX_TEXT, bad, clip};

/// A text, at most so long.
pub(super) fn text(object: &Value, key: &str, most: usize) -> Option<Box<str>> {
    let text = object.get(key)?.as_str()?;
    Some(clip(text, most).into())
}

/// A list of texts, or one text.
pub(super) fn texts(object: &Value, key: &str) -> Box<[Box<str>]> {
    let clipped = |text: &str| clip(text, MAX_TEXT).into();
    match object.get(key) {
        Some(Value::Array(items)) => {
            let texts = items.iter().filter_map(Value::as_str);
            texts.take(MAX_LIST).map(clipped).collect()
        }
        Some(Value::String(text)) => Box::from([clipped(text)]),
        _ => Box::default(),
    }
}

/// A whole number; anything else is a mistake in the line.
pub(super) fn number<N: TryFrom<u64>>(object: &Value, key: &str) -> Result<Option<N>, BadLine> {
    let value = match object.get(key) {
        None | Some(Value::Null) => return Ok(None),
        Some(value) => value,
    };
    let number = value.as_u64().and_then(|number| N::try_from(number).ok());
    number
        .map(Some)
        .ok_or_else(|| bad(key, "a number within its range"))
}

pub(super) fn address(object: &Value, key: &str) -> Option<IpAddr> {
    object.get(key)?.as_str()?.parse().ok()
}

/// A time: `2026-11-20T21:27:03.123456+0000`.
pub(super) fn time(object: &Value, key: &str) -> Option<Time> {
    let text = object.get(key)?.as_str()?;
    // With a colon in the offset, as in RFC 3339.
    let (head, minutes) = text
        .len()
        .checked_sub(2)
        .and_then(|at| text.split_at_checked(at))?;
    let is_bare = head
        .len()
        .checked_sub(3)
        .and_then(|at| head.get(at..))
        .is_some_and(|offset| offset.starts_with(['+', '-']));
    let parsed = match is_bare {
        true => Time::parse(&format!("{head}:{minutes}")),
        false => Time::parse(text),
    };
    parsed.and_then(|time| told::time(time.0))
}
