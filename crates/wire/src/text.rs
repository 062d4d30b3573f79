//! Bytes of the wire → texts that are kept.

use std::fmt::Write;

/// At most `limit` of these bytes as text: UTF-8 as it is, every other byte as `\xNN`.
pub(crate) fn text(bytes: &[u8], limit: usize) -> Box<str> {
    text_as(bytes, limit)
}

/// As [`text`], in any kind of string.
pub(crate) fn text_as<T: for<'a> From<&'a str>>(bytes: &[u8], limit: usize) -> T {
    let kept = &bytes[..bytes.len().min(limit)];
    match std::str::from_utf8(kept) {
        Ok(text) => text.into(),
        Err(_) => escape(kept, kept.len() < bytes.len()).as_str().into(),
    }
}

#[cold]
fn escape(bytes: &[u8], is_cut: bool) -> String {
    let mut text = String::with_capacity(bytes.len() + 16);
    let mut chunks = bytes.utf8_chunks().peekable();
    while let Some(chunk) = chunks.next() {
        text.push_str(chunk.valid());
        // A character that the limit cut apart is left out.
        if is_cut && chunks.peek().is_none() {
            break;
        }
        for byte in chunk.invalid() {
            // Writing to a string does not fail.
            write!(text, "\\x{byte:02x}").unwrap_or_default();
        }
    }
    text
}

/// Without blanks (space, tab, carriage return, line feed) at both ends.
pub(crate) fn trim(bytes: &[u8]) -> &[u8] {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    let Some(start) = bytes.iter().position(|byte| !is_blank(byte)) else {
        return &[];
    };
    let end = bytes.iter().rposition(|byte| !is_blank(byte)).unwrap_or(start);
    &bytes[start..=end]
}

/// A decimal number of 1 to 18 digits, with nothing else.
pub(crate) fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 18 {
        return None;
    }
    digits.iter().try_fold(0_u64, |sum, digit| {
        digit.is_ascii_digit().then(|| sum * 10 + u64::from(digit - b'0'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_text_is_escaped_and_what_is_cut_apart_left_out() {
        assert_eq!(&*text("año".as_bytes(), 10), "año");
        assert_eq!(&*text("año".as_bytes(), 2), "a");
        assert_eq!(&*text(b"a\xffb\xc3", 10), "a\\xffb\\xc3");
        assert_eq!(trim(b" \ta b\r\n"), b"a b");
        assert_eq!(trim(b"  "), b"");
        assert_eq!(number(b"18446744073709551616"), None);
        assert_eq!(number(b"0123"), Some(123));
        assert_eq!(number(b"12a"), None);
        assert_eq!(number(b""), None);
    }
}
