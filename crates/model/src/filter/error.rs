//! A complaint about a filter, with the place.

use std::fmt;

/// What is wrong with a filter, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct FilterError {
    /// The filter, as it was written.
    pub text: String,
    /// Where the trouble begins, in bytes.
    pub offset: usize,
    /// How many bytes it is about; 0 for a place between characters.
    pub length: usize,
    /// What is wrong, a lower-case fragment.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

/// Characters of the filter that are shown on each side of the trouble.
const WINDOW: usize = 60;
/// Longest underline.
const UNDERLINE: usize = 40;

impl fmt::Display for FilterError {
    /// The message, the filter around the trouble with carets under it, and the hint, each on its own line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        let mut offset = self.offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        let (before, after) = self.text.split_at(offset);
        let count = before.chars().count();
        let skipped = count.saturating_sub(WINDOW);
        let marked = after
            .char_indices()
            .take_while(|(at, _)| *at < self.length)
            .count()
            .clamp(1, UNDERLINE);
        let tail = WINDOW.max(marked);
        f.write_str("\n  ")?;
        let mut width = 0;
        if skipped > 0 {
            f.write_str("…")?;
            width += 1;
        }
        for c in before.chars().skip(skipped).chain(after.chars().take(tail)) {
            fmt::Write::write_char(f, visible(c))?;
        }
        if after.chars().nth(tail).is_some() {
            f.write_str("…")?;
        }
        width += count - skipped;
        write!(f, "\n  {:width$}{}", "", "^".repeat(marked))?;
        if let Some(hint) = &self.hint {
            write!(f, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}

/// One column for every character, and nothing that moves the cursor.
pub(super) fn visible(c: char) -> char {
    let turns =
        matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    if c.is_control() || turns { '·' } else { c }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_stands_under_the_trouble() {
        let error = FilterError {
            text: "é\tdestination.prt:443".into(),
            offset: 3,
            length: 15,
            message: "unknown field `destination.prt`".into(),
            hint: Some("did you mean `destination.port`?".into()),
        };
        let expected = "unknown field `destination.prt`\n  é·destination.prt:443\n    ^^^^^^^^^^^^^^^\n  hint: did you mean `destination.port`?";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn long_filters_are_cut_around_it() {
        let error = FilterError {
            text: "x".repeat(9_000),
            offset: 4_000,
            length: 4_000,
            message: "too long".into(),
            hint: None,
        };
        let text = error.to_string();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[1].chars().count(), 2 + 1 + 60 + 60 + 1);
        assert_eq!(lines[2].chars().filter(|c| *c == '^').count(), 40);
        let wild = FilterError {
            offset: 99_999,
            ..error
        };
        assert!(wild.to_string().contains('^'));
    }
}
