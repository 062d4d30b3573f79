//! Domain names in messages: labels, and pointers to labels that stand earlier (RFC 1035, 3.1 and 4.1.4).

/// A name never takes more on the wire, lengths of labels and the root included (RFC 1035, 2.3.4).
const LONGEST: usize = 255;
/// Pointers that are followed for one name. Each must point further back than the one before, so that they end anyway.
const MOST_POINTERS: usize = 64;

/// A name that is known to be whole.
#[derive(Clone, Copy, Debug)]
pub(super) struct Name<'a> {
    message: &'a [u8],
    start: usize,
    /// Bytes of its text where nothing needs to be escaped, with a final dot.
    length: usize,
    /// Where in the message the next field stands.
    pub(super) end: usize,
}

/// What stands at one place in a name.
enum Step<'a> {
    Label(&'a [u8]),
    Pointer(usize),
    Root,
}

fn step(message: &[u8], at: usize) -> Option<Step<'_>> {
    let first = *message.get(at)?;
    match first {
        0 => Some(Step::Root),
        1..=63 => {
            let start = at + 1;
            let label = message.get(start..start + usize::from(first))?;
            Some(Step::Label(label))
        }
        0xc0..=0xff => {
            let low = *message.get(at + 1)?;
            Some(Step::Pointer(usize::from(u16::from_be_bytes([
                first & 0x3f,
                low,
            ]))))
        }
        64..=0xbf => None,
    }
}

impl<'a> Name<'a> {
    /// The name at `start`; `None` where it does not end, is too long, or points forward.
    pub(super) fn at(message: &'a [u8], start: usize) -> Option<Self> {
        let mut at = start;
        let mut length = 0;
        let mut end = None;
        let mut lowest = start;
        let mut pointers = 0;
        loop {
            match step(message, at)? {
                Step::Root => break,
                Step::Label(label) => {
                    let whole = label.len() + 1;
                    length += whole;
                    at += whole;
                    if length >= LONGEST {
                        return None;
                    }
                }
                Step::Pointer(to) => {
                    end = end.or(Some(at + 2));
                    pointers += 1;
                    if to >= lowest || pointers > MOST_POINTERS {
                        return None;
                    }
                    lowest = to;
                    at = to;
                }
            }
        }
        let end = end.unwrap_or(at + 1);
        Some(Self {
            message,
            start,
            length,
            end,
        })
    }

    /// Where the next field stands after the name at `start`, of which nothing else is wanted.
    pub(super) fn skip(message: &[u8], start: usize) -> Option<usize> {
        let mut at = start;
        loop {
            match step(message, at)? {
                Step::Root => return Some(at + 1),
                Step::Pointer(_) => return Some(at + 2),
                Step::Label(label) => at += label.len() + 1,
            }
        }
    }

    pub(super) fn labels(self) -> impl Iterator<Item = &'a [u8]> {
        let mut at = self.start;
        std::iter::from_fn(move || {
            loop {
                match step(self.message, at)? {
                    Step::Root => return None,
                    Step::Pointer(to) => at = to,
                    Step::Label(label) => {
                        at += label.len() + 1;
                        return Some(label);
                    }
                }
            }
        })
    }

    /// Its text as it was sent, escaped as [`atalaya_model::protocol::dns::Question::name`] says.
    pub(super) fn as_sent(self) -> String {
        // The last label has no dot after it.
        let mut text = Vec::with_capacity(self.length.saturating_sub(1));
        let mut is_first = true;
        for label in self.labels() {
            if !is_first {
                text.push(b'.');
            }
            is_first = false;
            if label.iter().all(|&byte| is_plain(byte)) {
                text.extend_from_slice(label);
            } else {
                escape_into(label, is_plain, &mut text);
            }
        }
        ascii(text)
    }

    /// Its text in lower case.
    pub(super) fn lower(self) -> Box<str> {
        let mut text = self.as_sent();
        text.make_ascii_lowercase();
        text.into_boxed_str()
    }
}

/// Stands for itself in a label.
const fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'.' && byte != b'\\'
}

/// Stands for itself in a character string.
const fn is_text(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'\\'
}

/// A character string as text: what is not printable ASCII is escaped.
pub(super) fn text(bytes: &[u8]) -> Box<str> {
    let mut text = Vec::with_capacity(bytes.len());
    if bytes.iter().all(|&byte| is_text(byte)) {
        text.extend_from_slice(bytes);
    } else {
        escape_into(bytes, is_text, &mut text);
    }
    ascii(text).into_boxed_str()
}

fn escape_into(bytes: &[u8], stands: fn(u8) -> bool, text: &mut Vec<u8>) {
    for &byte in bytes {
        match byte {
            _ if stands(byte) => text.push(byte),
            b'.' | b'\\' => text.extend([b'\\', byte]),
            _ => text.extend([b'\\', b'0' + byte / 100, b'0' + byte / 10 % 10, b'0' + byte % 10]),
        }
    }
}

/// What was built above is ASCII.
fn ascii(text: Vec<u8>) -> String {
    String::from_utf8(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(message: &[u8], start: usize) -> Option<(String, usize)> {
        Name::at(message, start).map(|name| (name.as_sent(), name.end))
    }

    #[test]
    fn labels_and_pointers() {
        let message = b"\x03www\x07Example\x03com\x00\x04mail\xc0\x04\xc0\x11";
        assert_eq!(read(message, 0), Some(("www.Example.com".into(), 17)));
        assert_eq!(read(message, 17), Some(("mail.Example.com".into(), 24)));
        assert_eq!(read(message, 24), Some(("mail.Example.com".into(), 26)));
        assert_eq!(read(message, 16), Some((String::new(), 17)));
        assert_eq!(
            Name::at(message, 0).map(Name::lower).as_deref(),
            Some("www.example.com")
        );
        assert_eq!(Name::skip(message, 17), Some(24));
    }

    #[test]
    fn odd_bytes_are_escaped() {
        let message = b"\x09a.b\\c d\xc3\x00\x02_X\x00";
        assert_eq!(read(message, 0), Some((r"a\.b\\c d\195\000._X".into(), 14)));
        assert_eq!(&*text(b"v=\"1\"; \\ \x07."), r#"v="1"; \\ \007."#);
    }

    #[test]
    fn what_never_ends_is_refused() {
        assert_eq!(read(b"\xc0\x00", 0), None, "a pointer to itself");
        assert_eq!(read(b"\x01a\xc0\x00", 0), None, "a loop");
        assert_eq!(read(b"\xc0\x02\x01a\x00", 0), None, "forward");
        assert_eq!(read(b"\x05abc", 0), None, "cut");
        assert_eq!(read(b"\x41aaaa\x00", 0), None, "an extended label");
        let long = [b"\x3f".as_slice(), &[b'a'; 63]].concat().repeat(4);
        assert_eq!(
            read(&[&long, b"\x00".as_slice()].concat(), 0),
            None,
            "longer than 255"
        );
        let mut chain = vec![0];
        for at in 0..200_u16 {
            let to = if at == 0 { 0 } else { 1 + 2 * (at - 1) };
            chain.extend((0xc000 | to).to_be_bytes());
        }
        assert_eq!(read(&chain, 1), Some((String::new(), 3)));
        assert_eq!(read(&chain, 399), None, "too many pointers");
    }
}
