//! Header compression of HTTP/2 (RFC 7541): what a decoder must remember, bounded.

use std::collections::VecDeque;

use super::huffman;

/// Largest dynamic table that is followed, in bytes as the standard counts them: browsers ask for as much.
const LARGEST: usize = 64 << 10;
/// Longest name of a field: real ones have no more than a few dozen bytes, and an index of one byte repeats them.
const NAME: usize = 1_024;
/// Most fields of a block that are given: an index of one byte may stand for a value of 64 KiB.
const FIELDS: usize = 256;
/// Each entry counts for so many bytes more than name and value.
const ENTRY: usize = 32;

/// RFC 7541, appendix A.
const STATIC: [(&str, &str); 61] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];

/// Decodes the header blocks of one side.
#[derive(Debug)]
pub(super) struct Hpack {
    /// The newest first.
    dynamic: VecDeque<Entry>,
    size: usize,
    limit: usize,
}

#[derive(Debug)]
struct Entry {
    name: Box<[u8]>,
    /// Empty for secrets: nobody reads them, only their size counts.
    value: Box<[u8]>,
    size: usize,
}

/// The block cannot be read, and nothing after it can.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Broken;

impl Default for Hpack {
    fn default() -> Self {
        Self {
            dynamic: VecDeque::new(),
            size: 0,
            limit: 4_096,
        }
    }
}

impl Hpack {
    /// Gives each field of a block, name and value, to `take`; the first 256 of them.
    pub(super) fn decode(
        &mut self,
        mut block: &[u8],
        take: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<(), Broken> {
        let mut left = FIELDS;
        let mut give = |name: &[u8], value: &[u8]| {
            if left > 0 {
                left -= 1;
                take(name, value);
            }
        };
        while let Some(first) = block.first().copied() {
            if first & 0x80 != 0 {
                let index = integer(&mut block, 7).ok_or(Broken)?;
                let (name, value) = self.entry(index).ok_or(Broken)?;
                give(name, value);
            } else if first & 0xe0 == 0x20 {
                let limit = integer(&mut block, 5).ok_or(Broken)?;
                if limit > LARGEST {
                    return Err(Broken);
                }
                self.limit = limit;
                self.shrink(limit);
            } else {
                let is_kept = first & 0x40 != 0;
                let index = integer(&mut block, if is_kept { 6 } else { 4 }).ok_or(Broken)?;
                let name = if index == 0 {
                    string(&mut block).ok_or(Broken)?
                } else {
                    self.entry(index).ok_or(Broken)?.0.to_vec()
                };
                if name.len() > NAME {
                    return Err(Broken);
                }
                let value = string(&mut block).ok_or(Broken)?;
                give(&name, &value);
                if is_kept {
                    self.insert(name, value);
                }
            }
        }
        Ok(())
    }

    fn entry(&self, index: usize) -> Option<(&[u8], &[u8])> {
        let place = index.checked_sub(1)?;
        if let Some((name, value)) = STATIC.get(place) {
            return Some((name.as_bytes(), value.as_bytes()));
        }
        let entry = self.dynamic.get(place - STATIC.len())?;
        Some((&entry.name, &entry.value))
    }

    fn insert(&mut self, name: Vec<u8>, value: Vec<u8>) {
        let size = name.len() + value.len() + ENTRY;
        self.shrink(self.limit.saturating_sub(size));
        if size > self.limit {
            return;
        }
        let is_secret = matches!(&*name, b"cookie" | b"set-cookie");
        self.dynamic.push_front(Entry {
            name: name.into(),
            value: if is_secret { Box::default() } else { value.into() },
            size,
        });
        self.size += size;
    }

    /// Drops the oldest until no more than `size` is left.
    fn shrink(&mut self, size: usize) {
        while self.size > size {
            let Some(oldest) = self.dynamic.pop_back() else {
                return;
            };
            self.size -= oldest.size;
        }
    }
}

/// A number whose first `bits` are in the low bits of the first byte: section 5.1; at most 2^28.
fn integer(block: &mut &[u8], bits: u32) -> Option<usize> {
    let (first, mut rest) = block.split_first()?;
    let most = (1_usize << bits) - 1;
    let mut value = usize::from(*first) & most;
    if value == most {
        let mut shift = 0;
        loop {
            let (byte, later) = rest.split_first()?;
            rest = later;
            value += usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
            shift += 7;
            if shift > 21 {
                return None;
            }
        }
    }
    *block = rest;
    Some(value)
}

/// A string: section 5.2.
fn string(block: &mut &[u8]) -> Option<Vec<u8>> {
    let is_coded = block.first()? & 0x80 != 0;
    let length = integer(block, 7)?;
    let (string, rest) = block.split_at_checked(length)?;
    *block = rest;
    if is_coded {
        huffman::decode(string)
    } else {
        Some(string.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fields(hpack: &mut Hpack, block: &[u8]) -> Result<Vec<String>, Broken> {
        let mut fields = Vec::new();
        hpack.decode(block, &mut |name, value| {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            fields.push(format!("{}: {}", text(name), text(value)));
        })?;
        Ok(fields)
    }

    /// RFC 7541, C.4: three requests on one connection.
    #[test]
    fn requests_of_the_standard() {
        let mut hpack = Hpack::default();
        let first = b"\x82\x86\x84\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff";
        let common = [
            ":method: GET",
            ":scheme: http",
            ":path: /",
            ":authority: www.example.com",
        ];
        assert_eq!(fields(&mut hpack, first).unwrap(), common);
        let second = b"\x82\x86\x84\xbe\x58\x86\xa8\xeb\x10\x64\x9c\xbf";
        let read = fields(&mut hpack, second).unwrap();
        assert_eq!(read[..4], common);
        assert_eq!(read[4], "cache-control: no-cache");
        let third = b"\x82\x87\x85\xbf\x40\x88\x25\xa8\x49\xe9\x5b\xa9\x7d\x7f\x89\x25\xa8\x49\xe9\x5b\xb8\xe8\xb4\xbf";
        let read = fields(&mut hpack, third).unwrap();
        assert_eq!(
            read[3..],
            [":authority: www.example.com", "custom-key: custom-value"]
        );
        assert_eq!(hpack.size, 164);
    }

    #[test]
    fn tables_are_bounded_and_hold_no_cookies() {
        let mut hpack = Hpack::default();
        // A cookie, indexed, then told again.
        let block = b"\x60\x06secret";
        assert_eq!(fields(&mut hpack, block).unwrap(), ["cookie: secret"]);
        assert_eq!(fields(&mut hpack, b"\xbe").unwrap(), ["cookie: "]);
        let mut long = b"\x40\x01a\x7f\xa1\x1e".to_vec();
        long.resize(long.len() + 4_000, b'x');
        fields(&mut hpack, &long).unwrap();
        fields(&mut hpack, &long).unwrap();
        assert_eq!(hpack.dynamic.len(), 1);
        assert_eq!(fields(&mut hpack, b"\x20").unwrap(), Vec::<String>::new());
        assert_eq!(hpack.dynamic.len(), 0);
        assert_eq!(fields(&mut hpack, b"\xbe"), Err(Broken));
        assert_eq!(fields(&mut hpack, b"\x3f\xff\xff\xff\x7f"), Err(Broken));
    }

    #[test]
    fn little_does_not_become_much() {
        let mut hpack = Hpack::default();
        let many = vec![0x82; 60_000];
        assert_eq!(fields(&mut hpack, &many).unwrap().len(), FIELDS);
        let mut long = b"\x00\x7f\x8a\x08".to_vec();
        long.resize(long.len() + 1_200, b'x');
        assert_eq!(fields(&mut hpack, &long), Err(Broken));
    }

    proptest! {
        #[test]
        fn anything_is_read(blocks in proptest::collection::vec(any::<Vec<u8>>(), 0..20)) {
            let mut hpack = Hpack::default();
            for block in blocks {
                fields(&mut hpack, &block).unwrap_or_default();
                prop_assert!(hpack.size <= hpack.limit);
            }
        }
    }
}
