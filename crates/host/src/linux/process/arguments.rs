//! `/proc/PID/cmdline`: arguments that end in NUL bytes, in no particular encoding, of any length.

use std::borrow::Cow;

use crate::linux::redact::hexadecimal;

/// Most bytes of a command line that are read (and hashed).
pub const MAX_READ: usize = 64 << 10;

/// Longest command line that is kept, in bytes.
pub const MAX_KEPT: usize = 4 << 10;

/// Text of arbitrary bytes. What is not UTF-8 is written `\xNN`, so that two different names stay different. Control
/// characters stay: they are escaped where they are shown.
pub fn text(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => {
            let mut text = String::with_capacity(bytes.len() + 16);
            for chunk in bytes.utf8_chunks() {
                text.push_str(chunk.valid());
                for byte in chunk.invalid() {
                    text.push_str("\\x");
                    text.push_str(&hexadecimal(&[*byte]));
                }
            }
            Cow::Owned(text)
        }
    }
}

/// The arguments. A process that overwrote its arguments by one text without NUL bytes has one argument.
pub fn split(bytes: &[u8]) -> Vec<Cow<'_, str>> {
    let end = bytes
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |last| last + 1);
    if end == 0 {
        return Vec::new();
    }
    bytes[..end].split(|byte| *byte == 0).map(text).collect()
}

/// The arguments joined by spaces, cut at [`MAX_KEPT`] bytes at the border of a character.
pub fn join<T: AsRef<str>>(arguments: &[T]) -> String {
    let mut line = String::new();
    for (index, argument) in arguments.iter().enumerate() {
        if index > 0 {
            line.push(' ');
        }
        let room = MAX_KEPT.saturating_sub(line.len());
        line.push_str(cut(argument.as_ref(), room));
        if line.len() >= MAX_KEPT {
            break;
        }
    }
    line.truncate(cut(&line, MAX_KEPT).len());
    line
}

/// The longest beginning of `text` that has at most `limit` bytes.
pub fn cut(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn arguments_end_in_nul() {
        assert_eq!(split(b"curl\0-s\0http://x\0"), ["curl", "-s", "http://x"]);
        assert_eq!(split(b"nginx: master process"), ["nginx: master process"]);
        assert_eq!(split(b"sh\0\0-c\0"), ["sh", "", "-c"]);
        assert!(split(b"").is_empty());
        assert!(split(b"\0\0\0").is_empty());
    }

    #[test]
    fn bytes_that_are_no_text_stay_different() {
        assert_eq!(text(b"a\xff\xfeb"), "a\\xff\\xfeb");
        assert_ne!(text(b"\xff"), text(b"\xfe"));
        assert_eq!(text("ñandú".as_bytes()), "ñandú");
    }

    #[test]
    fn long_lines_are_cut_at_a_character() {
        let line = join(&["é".repeat(10_000)]);
        assert_eq!(line.len(), MAX_KEPT);
        let line = join(&["x".to_owned(), "é".repeat(10_000)]);
        assert_eq!(line.len(), MAX_KEPT);
        let line = join(&["xy".to_owned(), "é".repeat(10_000)]);
        assert_eq!(line.len(), MAX_KEPT - 1);
    }

    proptest! {
        #[test]
        fn hostile_bytes_stay_within_the_limit(bytes in prop::collection::vec(any::<u8>(), 0..9000)) {
            let arguments = split(&bytes);
            prop_assert!(join(&arguments).len() <= MAX_KEPT);
            prop_assert!(arguments.iter().all(|argument| !argument.contains('\0')));
        }
    }
}
