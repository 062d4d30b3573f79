//! Where a tracepoint's fields are. They differ between kernels; the kernel describes them in a text of its own, such as
//! `field:__u16 sport; offset:24; size:2; signed:0;`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Most fields of one tracepoint that are read.
const MOST_FIELDS: usize = 128;
/// The furthest that a field may lie; the kernel's own limit for a record.
const FURTHEST: usize = 8 << 10;

/// One field, by its place in the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field {
    offset: usize,
    size: usize,
}

/// The fields of one tracepoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Format(Vec<(String, Field)>);

impl Format {
    /// Reads the kernel's description; lines that make no sense are left out.
    pub(super) fn parse(text: &str) -> Self {
        Self(text.lines().filter_map(line).take(MOST_FIELDS).collect())
    }

    /// The number called `name`, of 1, 2, 4 or 8 bytes.
    ///
    /// # Errors
    /// Its name, where this kernel has no such field.
    pub(super) fn number(&self, name: &'static str) -> Result<Field, &'static str> {
        self.find(name, &[1, 2, 4, 8])
    }

    /// The bytes called `name`.
    ///
    /// # Errors
    /// As [`number`](Self::number).
    pub(super) fn bytes(&self, name: &'static str, size: usize) -> Result<Field, &'static str> {
        self.find(name, &[size])
    }

    /// The text called `name`, which has no fixed length.
    ///
    /// # Errors
    /// As [`number`](Self::number).
    pub(super) fn text(&self, name: &'static str) -> Result<Text, &'static str> {
        self.bytes(name, 4).map(Text)
    }

    fn find(&self, name: &'static str, sizes: &[usize]) -> Result<Field, &'static str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        let fits = |field: &Field| sizes.contains(&field.size) && field.offset + field.size <= FURTHEST;
        found.map(|(_, field)| *field).filter(fits).ok_or(name)
    }
}

fn line(line: &str) -> Option<(String, Field)> {
    let mut parts = line.trim().split(';').map(str::trim);
    let declaration = parts.next()?.strip_prefix("field:")?;
    let (mut offset, mut size) = (None, None);
    for part in parts {
        match part.split_once(':') {
            Some(("offset", number)) => offset = number.parse().ok(),
            Some(("size", number)) => size = number.parse().ok(),
            _ => {}
        }
    }
    // `__u8 saddr[4]`, `const void * skaddr`, `__data_loc char[] filename`
    let name = declaration.rsplit([' ', '*']).next()?.split('[').next()?;
    let field = Field {
        offset: offset?,
        size: size?,
    };
    (!name.is_empty() && field.offset <= FURTHEST && field.size <= FURTHEST).then(|| (name.to_owned(), field))
}

impl Field {
    /// The number in this record; signed ones keep their bits.
    pub(super) fn number(self, record: &[u8]) -> Option<u64> {
        let bytes = self.bytes(record)?;
        Some(match *bytes {
            [byte] => byte.into(),
            [a, b] => u16::from_ne_bytes([a, b]).into(),
            [a, b, c, d] => u32::from_ne_bytes([a, b, c, d]).into(),
            _ => u64::from_ne_bytes(*bytes.first_chunk()?),
        })
    }

    /// The bytes in this record.
    pub(super) fn bytes(self, record: &[u8]) -> Option<&[u8]> {
        record.get(self.offset..self.offset + self.size)
    }
}

/// Text of any length, by the place of its place: the offset in the lower half of a number, the length in the upper.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text(Field);

impl Text {
    /// The bytes in this record, without the zero that ends them.
    pub(super) fn bytes(self, record: &[u8]) -> Option<&[u8]> {
        let place = self.0.number(record)?;
        let (offset, length) = (place as usize & 0xffff, (place >> 16) as usize & 0xffff);
        let bytes = record.get(offset..)?.get(..length)?;
        bytes.split(|byte| *byte == 0).next()
    }
}

/// Addresses and ports, which every tracepoint about sockets writes in the same way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends {
    family: Field,
    ports: [Field; 2],
    short: [Field; 2],
    long: [Field; 2],
}

impl Ends {
    pub(super) fn of(format: &Format) -> Result<Self, &'static str> {
        Ok(Self {
            family: format.bytes("family", 2)?,
            ports: [format.bytes("sport", 2)?, format.bytes("dport", 2)?],
            short: [format.bytes("saddr", 4)?, format.bytes("daddr", 4)?],
            long: [format.bytes("saddr_v6", 16)?, format.bytes("daddr_v6", 16)?],
        })
    }

    /// Own end and peer of this record.
    pub(super) fn read(&self, record: &[u8]) -> Option<[(IpAddr, u16); 2]> {
        let is_short = match i32::try_from(self.family.number(record)?).ok()? {
            libc::AF_INET => true,
            libc::AF_INET6 => false,
            _ => return None,
        };
        let end = |side: usize| {
            let ip = if is_short {
                IpAddr::V4(Ipv4Addr::from(
                    *self.short[side].bytes(record)?.first_chunk::<4>()?,
                ))
            } else {
                IpAddr::V6(Ipv6Addr::from(
                    *self.long[side].bytes(record)?.first_chunk::<16>()?,
                ))
            };
            Some((ip, u16::try_from(self.ports[side].number(record)?).ok()?))
        };
        Some([end(0)?, end(1)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXT: &str = "name: tcp_destroy_sock\nID: 2278\nformat:\n\
        \tfield:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;\n\n\
        \tfield:const void * skaddr;\toffset:8;\tsize:8;\tsigned:0;\n\
        \tfield:__u16 sport;\toffset:16;\tsize:2;\tsigned:0;\n\
        \tfield:__u16 dport;\toffset:18;\tsize:2;\tsigned:0;\n\
        \tfield:__u16 family;\toffset:20;\tsize:2;\tsigned:0;\n\
        \tfield:__u8 saddr[4];\toffset:22;\tsize:4;\tsigned:0;\n\
        \tfield:__u8 daddr[4];\toffset:26;\tsize:4;\tsigned:0;\n\
        \tfield:__u8 saddr_v6[16];\toffset:30;\tsize:16;\tsigned:0;\n\
        \tfield:__u8 daddr_v6[16];\toffset:46;\tsize:16;\tsigned:0;\n\
        \nprint fmt: \"family=%s\", REC->family\n";

    #[test]
    fn fields_are_found_where_the_kernel_says() {
        let format = Format::parse(TEXT);
        let mut record = vec![0; 64];
        record[8..16].copy_from_slice(&0xffff_8880_0000_1234_u64.to_ne_bytes());
        record[16..18].copy_from_slice(&443u16.to_ne_bytes());
        record[18..20].copy_from_slice(&50_000u16.to_ne_bytes());
        record[20..22].copy_from_slice(&2u16.to_ne_bytes());
        record[22..30].copy_from_slice(&[127, 0, 0, 1, 192, 0, 2, 7]);
        assert_eq!(
            format.number("skaddr").unwrap().number(&record),
            Some(0xffff_8880_0000_1234)
        );
        let ends = Ends::of(&format).unwrap();
        assert_eq!(
            ends.read(&record)
                .unwrap()
                .map(|(ip, port)| format!("{ip} {port}")),
            ["127.0.0.1 443", "192.0.2.7 50000"]
        );
        record[20] = 10;
        assert_eq!(ends.read(&record).unwrap()[0].0.to_string(), "::");
        record[20] = 1;
        assert_eq!(ends.read(&record), None);
        assert_eq!(ends.read(&record[..40]), None);
    }

    #[test]
    fn text_lies_where_its_field_says() {
        let format = Format::parse("field:__data_loc char[] filename;\toffset:0;\tsize:4;\tsigned:0;");
        let text = format.text("filename").unwrap();
        let mut record = (6u32 | 10 << 16).to_ne_bytes().to_vec();
        record.extend(b"..\x2fbin\x2fls\0\0\0");
        assert_eq!(text.bytes(&record), Some(&b"/bin/ls"[..]));
        assert_eq!(text.bytes(&record[..12]), None);
    }

    #[test]
    fn a_field_that_is_missing_or_of_another_size_is_named() {
        let format = Format::parse(TEXT);
        assert_eq!(format.number("sock_cookie"), Err("sock_cookie"));
        assert_eq!(format.bytes("saddr", 16), Err("saddr"));
        let far = Format::parse("field:int far;\toffset:8190;\tsize:4;\tsigned:1;");
        assert_eq!(far.number("far"), Err("far"));
        assert_eq!(
            Ends::of(&Format::parse(&TEXT.replace("daddr_v6", "other"))).unwrap_err(),
            "daddr_v6"
        );
    }

    proptest! {
        #[test]
        fn any_text_and_any_record_end(
            text in "(\tfield:[a-z_ *]{0,12}[\\[;]{0,2}offset:[0-9]{0,22};size:[0-9]{0,22};\n){0,5}",
            record in proptest::collection::vec(any::<u8>(), 0..100),
        ) {
            for (_, field) in Format::parse(&text).0 {
                let _ = (field.number(&record), field.bytes(&record));
            }
        }
    }
}
