//! Regular expressions with limits.

use std::fmt::{self, Write};

use regex::{Regex, RegexBuilder};

use crate::Text;

/// Compiled size in bytes that one regular expression may have.
const MAX_SIZE: usize = 256 << 10;

/// A `/regular expression/`: searched anywhere in a text, case-sensitive unless it ends in `i`.
#[derive(Clone, Debug)]
pub struct Pattern {
    source: Text,
    ignore_case: bool,
    regex: Regex,
}

impl Pattern {
    /// Compiles `source`. Slashes and white space that are not escaped are stored escaped, so that it can always be
    /// written in the grammar.
    ///
    /// # Errors
    /// Why it is not a regular expression, or that it is too large, in one line.
    pub fn new(source: &str, ignore_case: bool) -> Result<Self, String> {
        let source = writable(source);
        let regex = RegexBuilder::new(&source)
            .case_insensitive(ignore_case)
            .size_limit(MAX_SIZE)
            .dfa_size_limit(2 * MAX_SIZE)
            .nest_limit(50)
            .build()
            .map_err(|error| explain(&error))?;
        Ok(Self {
            source: source.into(),
            ignore_case,
            regex,
        })
    }

    /// What stands between the slashes.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Does it match anywhere in `text`? Linear in the length of `text`.
    pub fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }
}

/// The last line of the crate's drawing says what is wrong; the rest repeats the expression.
fn explain(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(_) => "the regular expression is too large".to_owned(),
        error => {
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default();
            format!(
                "not a regular expression: {}",
                last.trim_start_matches("error: ").trim()
            )
        }
    }
}

fn writable(source: &str) -> String {
    let mut written = String::with_capacity(source.len());
    let mut characters = source.chars();
    while let Some(c) = characters.next() {
        match c {
            '/' => written.push_str("\\/"),
            '\\' => match characters.next() {
                Some(next) if next.is_whitespace() => hexadecimal(&mut written, next),
                Some(next) => written.extend(['\\', next]),
                None => written.push('\\'),
            },
            c if c.is_whitespace() => hexadecimal(&mut written, c),
            c => written.push(c),
        }
    }
    written
}

fn hexadecimal(written: &mut String, c: char) {
    // Writing to a String cannot fail.
    write!(written, "\\x{{{:x}}}", u32::from(c)).unwrap_or_default();
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source && self.ignore_case == other.ignore_case
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/{}", self.source, if self.ignore_case { "i" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_counts_unless_told() {
        assert!(!Pattern::new("^SSH", false).unwrap().is_match("sshd"));
        assert!(Pattern::new("^SSH", true).unwrap().is_match("sshd"));
    }

    #[test]
    fn is_always_writable() {
        let pattern = Pattern::new(r"a b/c\/d\ e", false).unwrap();
        assert_eq!(pattern.to_string(), r"/a\x{20}b\/c\/d\x{20}e/");
        assert!(pattern.is_match("a b/c/d e"));
    }

    #[test]
    fn limits() {
        assert_eq!(
            Pattern::new(r"(\w{200}){200}", false).unwrap_err(),
            "the regular expression is too large"
        );
        let error = Pattern::new("a(b", false).unwrap_err();
        assert_eq!(error, "not a regular expression: unclosed group");
        assert!(Pattern::new(&"(".repeat(60), false).is_err());
    }
}
