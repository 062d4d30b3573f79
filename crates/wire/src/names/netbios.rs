//! Names and data of the NetBIOS name service (RFC 1001, 14; RFC 1002, 4.2).

use std::fmt::Write;
use std::net::Ipv4Addr;

use atalaya_model::protocol::dns::Data;

use super::cursor::Cursor;
use super::name;

/// Names of a node that are kept.
const MOST_NAMES: usize = 32;
/// Addresses of a name that are kept.
const MOST_ADDRESSES: usize = 16;

/// A name by its sixteen bytes: `workgroup<1d>`, where the last byte is its kind.
fn text(bytes: [u8; 16]) -> Box<str> {
    let [name @ .., kind] = bytes;
    let end = name
        .iter()
        .rposition(|byte| !matches!(byte, b' ' | 0))
        .map_or(0, |last| last + 1);
    let mut text = String::from(name::text(name.get(..end).unwrap_or_default()));
    text.make_ascii_lowercase();
    write!(text, "<{kind:02x}>").unwrap_or_default();
    text.into_boxed_str()
}

/// Decodes the first label of a NetBIOS name: each half of a byte is a letter from A on.
pub(super) fn decode(label: &[u8]) -> Option<Box<str>> {
    let mut bytes = [0; 16];
    let (pairs, rest) = label.as_chunks::<2>();
    if pairs.len() != bytes.len() || !rest.is_empty() {
        return None;
    }
    for (byte, &[high, low]) in bytes.iter_mut().zip(pairs) {
        let nibble = |letter: u8| letter.checked_sub(b'A').filter(|nibble| *nibble < 16);
        *byte = nibble(high)? << 4 | nibble(low)?;
    }
    Some(text(bytes))
}

/// `0x6000 192.0.2.1` for each address of a name, with spaces between.
pub(super) fn addresses(data: &[u8]) -> Box<str> {
    let mut cursor = Cursor::new(data);
    let mut text = String::new();
    let mut next = || Some((cursor.u16()?, Ipv4Addr::from(cursor.array::<4>()?)));
    for _ in 0..MOST_ADDRESSES {
        let Some((flags, address)) = next() else { break };
        let between = if text.is_empty() { "" } else { " " };
        write!(text, "{between}{flags:#06x} {address}").unwrap_or_default();
    }
    text.into_boxed_str()
}

/// The names of a node.
pub(super) fn node_status(data: &[u8]) -> Option<Data> {
    let mut cursor = Cursor::new(data);
    let count = cursor.u8()?;
    let mut names = Vec::new();
    for _ in 0..usize::from(count).min(MOST_NAMES) {
        names.push(text(cursor.array()?));
        cursor.u16()?;
    }
    Some(Data::Text(names.into_boxed_slice()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_decoded() {
        assert_eq!(
            decode(b"FHEPFCELEHFCEPFFFACACACACACACABN").as_deref(),
            Some("workgroup<1d>")
        );
        assert_eq!(
            decode(b"CKAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").as_deref(),
            Some("*<00>")
        );
        assert_eq!(decode(b"FHEPFCELEHFCEPFFFACACACACACACABZ"), None);
        assert_eq!(decode(b"FHEP"), None);
    }

    #[test]
    fn data_of_names() {
        assert_eq!(
            &*addresses(&[0x60, 0, 192, 0, 2, 1, 0, 0, 192, 0, 2, 2, 9]),
            "0x6000 192.0.2.1 0x0000 192.0.2.2"
        );
        let status = [
            b"\x02HOST           \x00\x04\x00WORK           \x00\x84\x00".as_slice(),
            &[0; 46],
        ]
        .concat();
        let expected: Box<[Box<str>]> = ["host<00>".into(), "work<00>".into()].into();
        assert_eq!(node_status(&status), Some(Data::Text(expected)));
        assert_eq!(node_status(b"\x02HOST"), None);
    }
}
