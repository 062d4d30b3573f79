//! The head of a log that is text between tabs.

use std::collections::HashMap;

use crate::told::BadLine;

/// Most columns of a log.
const MOST: usize = 512;

/// What the lines that begin with `#` say.
#[derive(Clone, Debug)]
pub(super) struct Header {
    /// Between columns.
    pub(super) separator: Box<str>,
    /// Between the elements of a list.
    pub(super) within: Box<str>,
    /// What stands for an empty text.
    pub(super) empty: Box<str>,
    /// What stands for nothing.
    pub(super) unset: Box<str>,
    /// The log, such as `conn`.
    pub(super) path: Option<Box<str>>,
    places: HashMap<Box<str>, usize>,
}

impl Default for Header {
    fn default() -> Self {
        Self {
            separator: "\t".into(),
            within: ",".into(),
            empty: "(empty)".into(),
            unset: "-".into(),
            path: None,
            places: HashMap::new(),
        }
    }
}

impl Header {
    /// Takes a line that begins with `#`.
    pub(super) fn take(&mut self, line: &str) -> Result<(), BadLine> {
        if let Some(separator) = line.strip_prefix("#separator ") {
            let separator = decode(separator);
            if separator.is_empty() || separator.len() > 8 {
                return Err(BadLine("the separator is not a letter".to_owned()));
            }
            *self = Self {
                separator,
                ..Self::default()
            };
            return Ok(());
        }
        let Some((name, value)) = line.split_once(&*self.separator) else {
            return Ok(());
        };
        let word = || Box::from(value);
        match name {
            "#set_separator" if !value.is_empty() => self.within = decode(value),
            "#empty_field" => self.empty = word(),
            "#unset_field" => self.unset = word(),
            "#path" => self.path = Some(word()),
            "#fields" => {
                let fields = value.split(&*self.separator).take(MOST).map(Box::from);
                self.places = fields.zip(0..).collect();
            }
            _ => {}
        }
        Ok(())
    }

    /// The columns are known.
    pub(super) fn is_complete(&self) -> bool {
        !self.places.is_empty()
    }

    /// Columns.
    pub(super) fn columns(&self) -> usize {
        self.places.len()
    }

    /// Where a column stands.
    pub(super) fn place(&self, column: &str) -> Option<usize> {
        self.places.get(column).copied()
    }
}

/// `\x09` is a tab.
fn decode(text: &str) -> Box<str> {
    let code = text
        .strip_prefix("\\x")
        .and_then(|digits| u8::from_str_radix(digits, 16).ok());
    match code.filter(u8::is_ascii) {
        Some(code) => char::from(code).to_string().into(),
        None => text.into(),
    }
}
