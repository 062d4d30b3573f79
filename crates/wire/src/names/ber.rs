//! The Basic Encoding Rules of ASN.1 (X.690), as far as protocols here need them: definite lengths, short tags.

use super::cursor::Cursor;

pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const OCTETS: u8 = 0x04;
pub(crate) const OBJECT: u8 = 0x06;
pub(crate) const SEQUENCE: u8 = 0x30;

/// A place in encoded bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ber<'a>(Cursor<'a>);

impl<'a> Ber<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(Cursor::new(bytes))
    }

    /// The next element: its tag, and its content.
    pub(crate) fn any(&mut self) -> Option<(u8, &'a [u8])> {
        let tag = self.0.u8()?;
        let first = self.0.u8()?;
        let length = match first {
            0..=0x7f => usize::from(first),
            0x81..=0x84 => {
                let bytes = self.0.take(usize::from(first & 0x7f))?;
                bytes
                    .iter()
                    .fold(0, |length, byte| length << 8 | usize::from(*byte))
            }
            _ => return None,
        };
        Some((tag, self.0.take(length)?))
    }

    /// The content of the next element, where it has this tag.
    pub(crate) fn tagged(&mut self, wanted: u8) -> Option<&'a [u8]> {
        let (tag, content) = self.any()?;
        (tag == wanted).then_some(content)
    }

    /// What is inside the next element, where it has this tag.
    pub(crate) fn inside(&mut self, wanted: u8) -> Option<Self> {
        self.tagged(wanted).map(Self::new)
    }

    pub(crate) fn integer(&mut self) -> Option<i64> {
        let content = self.tagged(INTEGER)?;
        let &first = content.first()?;
        if content.len() > 8 {
            return None;
        }
        let sign = if first & 0x80 == 0 { 0 } else { -1 };
        Some(
            content
                .iter()
                .fold(sign, |number, byte| number << 8 | i64::from(*byte)),
        )
    }
}

/// An object identifier: `1.3.6.1.2.1`; at most 32 numbers.
pub(crate) fn object(content: &[u8]) -> Option<String> {
    let mut text = String::new();
    let mut number: u64 = 0;
    let mut count = 0;
    for &byte in content {
        number = number.checked_mul(128)? | u64::from(byte & 0x7f);
        if byte & 0x80 != 0 {
            continue;
        }
        if count == 0 {
            let first = (number / 40).min(2);
            text = format!("{first}.{}", number - 40 * first);
        } else {
            text.push('.');
            text.push_str(&number.to_string());
        }
        number = 0;
        count += 1;
        if count == 32 {
            break;
        }
    }
    (count > 0).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements() {
        let mut ber = Ber::new(b"\x30\x81\x05\x02\x01\xff\x04\x00\x02\x02\x01\x00");
        let mut inside = ber.inside(SEQUENCE).unwrap();
        assert_eq!(inside.integer(), Some(-1));
        assert_eq!(inside.tagged(OCTETS), Some(b"".as_slice()));
        assert_eq!(ber.integer(), Some(256));
        assert_eq!(Ber::new(b"\x30\x85\x01").any(), None);
        assert_eq!(Ber::new(b"\x30\x05\x01").any(), None);
    }

    #[test]
    fn objects() {
        assert_eq!(
            object(&[0x2b, 6, 1, 2, 1, 0x82, 0x0a]).as_deref(),
            Some("1.3.6.1.2.1.266")
        );
        assert_eq!(object(&[0x88, 0x37]).as_deref(), Some("2.999"));
        assert_eq!(object(&[0xff; 30]), None);
        assert_eq!(object(&[]), None);
    }
}
