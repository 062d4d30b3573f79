//! Text that is safe to show: nothing in it moves the cursor, ends the line, or turns the reading direction round.
//!
//! Names and command lines are chosen by the programs that we watch. Every writer of text for people sends them
//! through here; JSON has escapes of its own (`json`).

use std::borrow::Cow;
use std::fmt::Write;

/// `text` with everything that is not plainly visible written as an escape: `\n`, `\t`, `\x1b`, `\u{202e}`.
/// A backslash stays as it is.
pub fn text(text: &str) -> Cow<'_, str> {
    if text.chars().any(is_hidden) {
        let mut shown = String::with_capacity(text.len() + 8);
        text.chars().for_each(|c| push(&mut shown, c));
        Cow::Owned(shown)
    } else {
        Cow::Borrowed(text)
    }
}

/// [`text`], at most `most` characters long: cut at the end, with `…` for what is gone.
pub fn start(text: &str, most: usize) -> String {
    let mut shown = String::new();
    let mut length = 0;
    for c in text.chars() {
        let before = shown.len();
        push(&mut shown, c);
        length += shown[before..].chars().count();
        if length > most {
            cut_back(&mut shown, most.saturating_sub(1));
            shown.push('…');
            break;
        }
    }
    shown
}

/// [`text`], at most `most` characters long: the end is kept, `…` stands for the beginning. For paths.
pub fn end(text: &str, most: usize) -> String {
    // What is cut away need not be escaped: an escape is never shorter than its character.
    let begin = text
        .char_indices()
        .rev()
        .nth(most)
        .map_or(0, |(offset, _)| offset);
    let shown = self::text(&text[begin..]);
    let length = shown.chars().count();
    if begin == 0 && length <= most {
        return shown.into_owned();
    }
    let kept = most.saturating_sub(1);
    std::iter::once('…')
        .chain(shown.chars().skip(length.saturating_sub(kept)))
        .collect()
}

/// `text` as it is, at most `most` characters long: beginning and end are kept, `…` stands for the middle.
/// Not escaped.
pub fn middle(text: &str, most: usize) -> Cow<'_, str> {
    if text.len() <= most || text.chars().nth(most).is_none() {
        return Cow::Borrowed(text);
    }
    let half = most.saturating_sub(1) / 2;
    let head = text.char_indices().nth(half).map_or(text.len(), |(at, _)| at);
    let tail = match half {
        0 => text.len(),
        half => text
            .char_indices()
            .rev()
            .nth(half - 1)
            .map_or(text.len(), |(at, _)| at),
    };
    Cow::Owned(format!("{}…{}", &text[..head], &text[tail..]))
}

fn cut_back(shown: &mut String, characters: usize) {
    if let Some((offset, _)) = shown.char_indices().nth(characters) {
        shown.truncate(offset);
    }
}

/// Would it act on a terminal or an editor instead of being seen?
pub(crate) fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

fn push(shown: &mut String, c: char) {
    match c {
        '\n' => shown.push_str("\\n"),
        '\r' => shown.push_str("\\r"),
        '\t' => shown.push_str("\\t"),
        c if !is_hidden(c) => shown.push(c),
        // Writing to a String cannot fail.
        c if u32::from(c) < 0x100 => write!(shown, "\\x{:02x}", u32::from(c)).unwrap_or_default(),
        c => write!(shown, "\\u{{{:x}}}", u32::from(c)).unwrap_or_default(),
    }
}

/// Text as HTML: what has a meaning there is written as an entity.
pub fn html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_hides_becomes_visible() {
        let hostile = "a\u{1b}[2J\nb\tc\u{202e}gpj.exe\u{7f}\u{9b}é";
        assert_eq!(text(hostile), r"a\x1b[2J\nb\tc\u{202e}gpj.exe\x7f\x9bé");
        assert!(matches!(text("/usr/bin/ssh"), Cow::Borrowed(_)));
    }

    #[test]
    fn long_text_is_cut() {
        assert_eq!(start("abcdef", 6), "abcdef");
        assert_eq!(start("abcdefg", 6), "abcde…");
        assert_eq!(end("/very/long/path/bin/ssh", 8), "…bin/ssh");
        assert_eq!(end("/bin/ssh", 8), "/bin/ssh");
        assert_eq!(end("\n\n\n", 4), r"…n\n");
        assert_eq!(middle("0123456789", 7), "012…789");
        assert_eq!(middle("0123456789", 10), "0123456789");
        assert_eq!(middle("01", 1), "…");
    }

    proptest! {
        #[test]
        fn nothing_hidden_is_left(input in any::<String>(), most in 0usize..40) {
            for shown in [text(&input).into_owned(), start(&input, most), end(&input, most)] {
                prop_assert!(!shown.chars().any(|c| c.is_control() || is_hidden(c)));
            }
            prop_assert!(start(&input, most).chars().count() <= most.max(1));
            prop_assert!(end(&input, most).chars().count() <= most.max(1));
            prop_assert!(middle(&input, most).chars().count() <= most.max(1));
        }
    }
}
