//! Texts: regular expressions, and searches whose time does not grow by both texts at once.

use regex::{Regex, RegexBuilder};
use rusqlite::functions::Context;
use rusqlite::types::ValueRef;

use super::{Given, text, wrong};
use crate::console::limits::TEXT;

/// Longest pattern, in bytes.
const PATTERN: usize = 1_000;

/// Bytes that a compiled pattern may take.
const COMPILED: usize = 128 << 10;

/// Longest text that is searched with a pattern: the time is at most one times the other.
const SEARCHED: usize = 64 << 10;

/// Characters that may be trimmed off, at most.
const TRIMMED: usize = 64;

fn compile(value: ValueRef<'_>) -> Result<Regex, String> {
    let pattern = text(value).unwrap_or_default();
    if pattern.len() > PATTERN {
        return Err(format!("a pattern has at most {PATTERN} bytes"));
    }
    RegexBuilder::new(&pattern)
        .size_limit(COMPILED)
        .dfa_size_limit(COMPILED)
        .nest_limit(50)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => "the pattern is too large".to_owned(),
            error => error.to_string().replace('\n', " "),
        })
}

pub(super) fn regexp(context: &Context<'_>) -> Given<bool> {
    if context.get_raw(0) == ValueRef::Null {
        return Ok(None);
    }
    let pattern = context.get_or_create_aux(0, compile)?;
    let Some(text) = text(context.get_raw(1)) else {
        return Ok(None);
    };
    if text.len() > SEARCHED {
        return Err(wrong(format!(
            "`regexp` searches texts of at most {} KiB",
            SEARCHED >> 10
        )));
    }
    Ok(Some(pattern.is_match(&text)))
}

/// The place in characters, from 1; 0 where it is not.
pub(super) fn instr(context: &Context<'_>) -> Given<i64> {
    let (Some(text), Some(wanted)) = (text(context.get_raw(0)), text(context.get_raw(1))) else {
        return Ok(None);
    };
    let place = text.find(&*wanted).map_or(0, |at| text[..at].chars().count() + 1);
    Ok(Some(place as i64))
}

pub(super) fn replace(context: &Context<'_>) -> Given<String> {
    let [Some(text), Some(old), Some(new)] = [0, 1, 2].map(|index| text(context.get_raw(index))) else {
        return Ok(None);
    };
    if old.is_empty() {
        return Ok(Some(text.into_owned()));
    }
    let mut made = String::new();
    let mut from = 0;
    for (at, _) in text.match_indices(&*old) {
        made.push_str(&text[from..at]);
        made.push_str(&new);
        from = at + old.len();
        if made.len() > TEXT {
            return Err(wrong("`replace` makes a text that is too long"));
        }
    }
    made.push_str(&text[from..]);
    Ok(Some(made))
}

/// Which end is trimmed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Side {
    Both,
    Left,
    Right,
}

pub(super) fn trim(context: &Context<'_>, side: Side) -> Given<String> {
    let Some(trimmed) = text(context.get_raw(0)) else {
        return Ok(None);
    };
    let characters: Vec<char> = if context.len() < 2 {
        vec![' ']
    } else {
        let Some(characters) = text(context.get_raw(1)) else {
            return Ok(None);
        };
        characters.chars().take(TRIMMED + 1).collect()
    };
    if characters.len() > TRIMMED {
        return Err(wrong(format!("at most {TRIMMED} characters can be trimmed off")));
    }
    let off = |c: char| characters.contains(&c);
    let left = match side {
        Side::Left => trimmed.trim_start_matches(off),
        Side::Right => trimmed.trim_end_matches(off),
        Side::Both => trimmed.trim_matches(off),
    };
    Ok(Some(left.to_owned()))
}
