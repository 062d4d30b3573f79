//! What a line of another sensor's log tells: the readers of Zeek's logs and of EVE JSON give these.
//!
//! A line is foreign: every text has a limit, every number is checked, and what would be secret (query strings) is left
//! out unless it is asked for.

use std::fmt;
use std::sync::Arc;

use atalaya_model::{Connection, Finding, Message, Process, ProcessKey, Text, Time};

use crate::identity::scatter;

/// Longest text that is kept of a line, in bytes; single kinds have shorter limits.
pub(crate) const MAX_TEXT: usize = 2_048;
/// Most elements of a list.
pub(crate) const MAX_LIST: usize = 64;
/// Times after this (the year 2200) are a mistake.
const LATEST: i64 = 7_258_118_400;
/// Conversations do not last longer, in microseconds: ten years.
pub(crate) const LONGEST: i64 = 315_360_000_000_000;

/// How lines are read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Keep query strings of HTTP.
    pub query_strings: bool,
}

/// What a line tells.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// When it was written, as far as that shows: the end of a conversation, the beginning of anything else. A log is
    /// in this order.
    pub written: Time,
    /// What names the conversation in all its sensor's lines; empty where nothing does.
    pub uid: Box<str>,
    /// It.
    pub what: What,
}

/// What there is to tell.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// A conversation that has ended, whole. Its id is 0, its source is taken for this side, and what follows from
    /// addresses (direction, scope, service) is not told.
    Ended(Box<Connection>),
    /// Something that was said from this time on, in a conversation of which only the ends are known here.
    Said(Time, Box<Connection>, Box<Message>),
    /// The sensor holds something for odd.
    Odd(Box<Finding>),
}

/// Why a line cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLine(pub String);

impl fmt::Display for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadLine {}

/// A column that is not there, or not what it should be.
pub(crate) fn bad(column: &str, wanted: &str) -> BadLine {
    BadLine(format!("`{column}` is not {wanted}"))
}

/// The process that a log names. Its start is not known: the same number with another program is another process.
pub(crate) fn process(
    pid: u32,
    name: Option<Text>,
    executable: Option<Text>,
    sha256: Option<Text>,
    seen: Time,
) -> Arc<Process> {
    let name = name.unwrap_or_default();
    let identity = [&*name, "\0", executable.as_deref().unwrap_or_default()];
    let start = identity
        .iter()
        .flat_map(|part| part.bytes())
        .fold(0, |hash, byte| scatter(hash ^ u64::from(byte)));
    let mut process = Process::bare(ProcessKey { pid, start }, name, seen);
    process.executable = executable;
    process.sha256 = sha256;
    Arc::new(process)
}

/// A time within reason, from microseconds.
pub(crate) fn time(micros: i64) -> Option<Time> {
    (0..=LATEST * 1_000_000).contains(&micros).then_some(Time(micros))
}

/// A date in a certificate: whoever made that may have written any, from the year 0 to 9999.
pub(crate) fn date(micros: i64) -> Option<Time> {
    const RANGE: std::ops::RangeInclusive<i64> = -62_167_219_200..=253_402_300_799;
    RANGE.contains(&(micros / 1_000_000)).then_some(Time(micros))
}

/// Microseconds from a decimal number of seconds, exactly.
pub(crate) fn seconds(text: &str) -> Option<i64> {
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    if text.contains(['e', 'E']) {
        let number: f64 = text.parse().ok()?;
        let micros = (number * 1e6).round();
        return (micros.abs() < 9e15).then_some(sign * micros as i64);
    }
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || whole.len() > 12 || !digits(whole) || !digits(part) {
        return None;
    }
    let whole: i64 = whole.parse().ok()?;
    let micros = part.bytes().chain(std::iter::repeat(b'0')).take(6);
    let micros = micros.fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
    Some(sign * (whole * 1_000_000 + micros))
}

/// The beginning of a text, at a letter's border.
pub(crate) fn clip(text: &str, most: usize) -> &str {
    if text.len() <= most {
        return text;
    }
    let mut end = most;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// An address that is asked of a server, without its query where that is not wanted; true where one was left out.
pub(crate) fn without_query(address: &str, options: Options) -> (&str, bool) {
    match address.split_once('?') {
        Some((path, _)) if !options.query_strings => (path, true),
        _ => (address, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_exact() {
        for (text, micros) in [
            ("1300475167.096535", Some(1_300_475_167_096_535)),
            ("0.1", Some(100_000)),
            ("7", Some(7_000_000)),
            ("0.0000019", Some(1)),
            ("-0.5", Some(-500_000)),
            ("1e-06", Some(1)),
            ("1.300475167e9", Some(1_300_475_167_000_000)),
            ("", None),
            ("-", None),
            ("1.2.3", None),
            ("1x", None),
            ("1e300", None),
            ("NaN", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(seconds(text), micros, "{text}");
        }
    }

    #[test]
    fn what_would_be_secret_is_left_out() {
        let keep = Options { query_strings: true };
        assert_eq!(without_query("/a?token=1", Options::default()), ("/a", true));
        assert_eq!(without_query("/a?token=1", keep), ("/a?token=1", false));
        assert_eq!(without_query("/a", Options::default()), ("/a", false));
        assert_eq!(clip("aé", 2), "a");
    }
}
