//! Globs: `*` is any run of characters, `?` exactly one; ASCII letters match in either case; the whole text must match.

use std::fmt;

use crate::Text;

/// A pattern with `*` and `?` over a whole text, ASCII-case-insensitive. There is no escape: every other character
/// stands for itself. SQL's `LIKE` with `%` and `_` means the same.
#[derive(Clone, Debug)]
pub struct Glob {
    pattern: Text,
}

impl Glob {
    /// The glob with this pattern. Every text is a glob.
    pub fn new(pattern: &str) -> Self {
        Self {
            pattern: pattern.into(),
        }
    }

    /// Does `text` hold one of the two wildcards?
    pub fn has_wildcard(text: &str) -> bool {
        text.contains(['*', '?'])
    }

    /// As it was written.
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// Does the whole of `text` match? Takes at most pattern × text steps.
    pub fn is_match(&self, text: &str) -> bool {
        let mut pattern = self.pattern.chars();
        let mut rest = text.chars();
        // After the last `*`: what of the pattern follows it, and where the text it stands for ends at the earliest.
        let mut retry: Option<(std::str::Chars<'_>, std::str::Chars<'_>)> = None;
        loop {
            let before_rest = rest.clone();
            match (pattern.next(), rest.next()) {
                (None, None) => return true,
                (Some('*'), _) => {
                    retry = Some((pattern.clone(), before_rest.clone()));
                    rest = before_rest;
                }
                (Some('?'), Some(_)) => {}
                (Some(p), Some(t)) if p.eq_ignore_ascii_case(&t) => {}
                _ => {
                    let Some((after_star, mut from)) = retry.take() else {
                        return false;
                    };
                    if from.next().is_none() {
                        return false;
                    }
                    pattern = after_star.clone();
                    rest = from.clone();
                    retry = Some((after_star, from));
                }
            }
        }
    }
}

impl PartialEq for Glob {
    fn eq(&self, other: &Self) -> bool {
        self.pattern == other.pattern
    }
}

impl fmt::Display for Glob {
    /// The pattern; what cannot stand in an unquoted word of the filter grammar is shown as `?`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pattern.chars().try_for_each(|c| {
            let stops = super::parse::ends_word(c);
            fmt::Write::write_char(f, if stops { '?' } else { c })
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn wildcards() {
        let cases = [
            ("ssh", "ssh", true),
            ("ssh", "sshd", false),
            ("SSH*", "sshd", true),
            ("*/bin/*", "/usr/bin/nc", true),
            ("*bin/??", "/usr/bin/nc", true),
            ("*bin/?", "/usr/bin/nc", false),
            ("*", "", true),
            ("?", "", false),
            ("?", "é", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("É", "é", false),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(Glob::new(pattern).is_match(text), expected, "{pattern} on {text}");
        }
    }

    #[test]
    fn many_stars_stay_cheap() {
        let pattern = "*a".repeat(2_000);
        assert!(!Glob::new(&pattern).is_match(&"a".repeat(1_999)));
        assert!(!Glob::new(&format!("{}b", "a*".repeat(50))).is_match(&"a".repeat(4_096)));
    }

    proptest! {
        #[test]
        fn agrees_with_a_regex(pattern in "[ab*?]{0,8}", text in "[abA]{0,10}") {
            let mut regex = String::from("(?si)^");
            for c in pattern.chars() {
                match c {
                    '*' => regex.push_str(".*"),
                    '?' => regex.push('.'),
                    c => regex.push(c),
                }
            }
            regex.push('$');
            let expected = regex::Regex::new(&regex).unwrap().is_match(&text);
            prop_assert_eq!(Glob::new(&pattern).is_match(&text), expected);
        }
    }
}
