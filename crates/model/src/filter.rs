//! The one filter grammar: for the command line, the control socket, the views and the store.
//!
//! `process.name:ssh destination.port:443 !destination.ip:10.0.0.0/8 or name:/^python3?$/i`. The page `docs/filter.md`
//! has the grammar and examples; a test parses every one of them. [`parse`] makes an [`Expression`];
//! [`Expression::matches`] evaluates it on a record, the store translates it to SQL, and both agree because each
//! [`Test`] says exactly what it means for a value.

mod display;
mod error;
mod evaluate;
mod glob;
mod names;
mod parse;
mod pattern;
#[cfg(test)]
mod tests;
mod value;

use ipnet::IpNet;

pub use error::FilterError;
pub use glob::Glob;
pub use parse::parse;
pub use pattern::Pattern;

use crate::Text;
use crate::fields::Field;

/// Longest filter, in bytes.
pub const MAX_TEXT: usize = 8 << 10;
/// Deepest nesting of `( )` and `!`.
pub const MAX_DEPTH: usize = 64;
/// Longest list of values after one field.
pub const MAX_LIST: usize = 1_000;
/// Most regular expressions in one filter; each may take 256 KiB compiled.
pub const MAX_REGEXES: usize = 32;

/// Fields that one comparison looks at.
pub type Fields = Vec<&'static Field>;

/// A filter.
#[derive(Clone, Debug)]
pub enum Expression {
    /// Everything.
    All,
    /// Every one of them.
    And(Vec<Expression>),
    /// At least one of them.
    Or(Vec<Expression>),
    /// Not this.
    Not(Box<Expression>),
    /// At least one of the fields is set, and its value passes. Never true for a record without these fields.
    Compare {
        /// The fields: one, or all that a word such as `ip` stands for. They have different types only for `any`,
        /// whose tests are text tests or [`Test::Exists`].
        fields: Fields,
        /// What must be true of the value.
        test: Test,
    },
}

/// What must be true of a value that is set. A list value passes where one of its elements does.
///
/// Text tests work on texts as they are and on addresses as they are written (canonical: IPv4-mapped as IPv4).
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// Nothing more than being set.
    Exists,
    /// The same text but for the case of ASCII letters.
    Equals(Text),
    /// Holds this text, but for the case of ASCII letters.
    Contains(Text),
    /// The whole text matches the glob.
    Glob(Glob),
    /// The regular expression matches somewhere in the text.
    Regex(Pattern),
    /// The address is in the network; a single address is a network of one.
    Within(IpNet),
    /// A whole number, or a number of bytes or microseconds (since the epoch, for times), with both ends included.
    Range {
        /// Smallest; `i64::MIN` where there is none.
        low: i64,
        /// Largest; `i64::MAX` where there is none.
        high: i64,
    },
    /// This truth value.
    Is(bool),
    /// At least one of them (a list of values). Never nested.
    Any(Vec<Test>),
}
