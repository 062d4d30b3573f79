//! Small files of every kind, made here: what is read from them, whole, cut, damaged and mutated.

use std::io::{Cursor, Read, Write};

use proptest::prelude::*;

use super::{CaptureError, Reader};
use crate::frame::LinkType;

type Row = (i64, u32, LinkType, u32, Vec<u8>);

fn read(bytes: &[u8]) -> (Vec<Row>, Result<(), CaptureError>) {
    let mut reader = match Reader::open(Box::new(Cursor::new(bytes.to_vec()))) {
        Ok(reader) => reader,
        Err(error) => return (Vec::new(), Err(error)),
    };
    let mut rows = Vec::new();
    loop {
        match reader.next() {
            Ok(Some(frame)) => {
                assert!(frame.data.len() <= 256 << 10 && frame.length as usize >= frame.data.len());
                let data = frame.data.to_vec();
                rows.push((frame.time.0, frame.interface, frame.link, frame.length, data));
            }
            Ok(None) => return (rows, Ok(())),
            Err(error) => {
                assert!(reader.next().unwrap().is_none(), "nothing follows an error");
                assert_eq!(reader.records(), rows.len() as u64);
                return (rows, Err(error));
            }
        }
    }
}

fn whole(bytes: &[u8]) -> Vec<Row> {
    let (rows, end) = read(bytes);
    end.unwrap();
    rows
}

fn error(bytes: &[u8]) -> String {
    read(bytes).1.unwrap_err().to_string()
}

/// Writes numbers in one byte order.
struct Numbers {
    big: bool,
    bytes: Vec<u8>,
}

impl Numbers {
    fn new(big: bool) -> Self {
        Self {
            big,
            bytes: Vec::new(),
        }
    }

    fn u16(mut self, numbers: &[u16]) -> Self {
        for number in numbers {
            let bytes = if self.big {
                number.to_be_bytes()
            } else {
                number.to_le_bytes()
            };
            self.bytes.extend(bytes);
        }
        self
    }

    fn u32(mut self, numbers: &[u32]) -> Self {
        for number in numbers {
            let bytes = if self.big {
                number.to_be_bytes()
            } else {
                number.to_le_bytes()
            };
            self.bytes.extend(bytes);
        }
        self
    }

    fn data(mut self, data: &[u8]) -> Self {
        self.bytes.extend(data);
        self
    }

    fn padded(mut self, data: &[u8]) -> Self {
        self.bytes.extend(data);
        let length = self.bytes.len().next_multiple_of(4);
        self.bytes.resize(length, 0);
        self
    }

    /// A block of pcapng around it.
    fn block(self, kind: u32) -> Vec<u8> {
        let length = u32::try_from(self.bytes.len() + 12).unwrap();
        Self::new(self.big)
            .u32(&[kind, length])
            .data(&self.bytes)
            .u32(&[length])
            .bytes
    }
}

/// Two packets, the second one snapped.
fn pcap(magic: u32, big: bool) -> Vec<u8> {
    let extra: &[u32] = if magic == 0xa1b2_cd34 { &[7, 8] } else { &[] };
    Numbers::new(big)
        .u32(&[magic])
        .u16(&[2, 4])
        .u32(&[0, 0, 96, 1])
        .u32(&[1_700_000_000, 5_000, 4, 4])
        .u32(extra)
        .data(b"abcd")
        .u32(&[1_700_000_001, 6_000, 3, 1_500])
        .u32(extra)
        .data(b"efg")
        .bytes
}

fn section(big: bool) -> Vec<u8> {
    Numbers::new(big)
        .u32(&[0x1a2b_3c4d])
        .u16(&[1, 0])
        .u32(&[u32::MAX, u32::MAX])
        .block(0x0a0d_0d0a)
}

/// An interface `name` with the link type, the resolution of its times, and an offset in seconds.
fn interface(big: bool, link: u16, name: &str, resolution: u8, offset: u32) -> Vec<u8> {
    let length = u16::try_from(name.len()).unwrap();
    let offset = if big { [0, offset] } else { [offset, 0] };
    Numbers::new(big)
        .u16(&[link, 0])
        .u32(&[65_535])
        .u16(&[2, length])
        .padded(name.as_bytes())
        .u16(&[9, 1])
        .padded(&[resolution])
        .u16(&[14, 8])
        .u32(&offset)
        .u16(&[0, 0])
        .block(1)
}

fn packet(big: bool, interface: u32, stamp: u64, data: &[u8], length: u32) -> Vec<u8> {
    let captured = u32::try_from(data.len()).unwrap();
    Numbers::new(big)
        .u32(&[interface, (stamp >> 32) as u32, stamp as u32, captured, length])
        .padded(data)
        .u16(&[1, 5])
        .padded(b"hello")
        .u16(&[0, 0])
        .block(6)
}

/// Two sections of either byte order, three interfaces, every kind of packet block, and blocks that are passed over.
fn pcapng() -> Vec<u8> {
    let old = Numbers::new(false)
        .u16(&[1, u16::MAX])
        .u32(&[0, 7_000_000, 2, 2])
        .padded(b"op")
        .block(2);
    let simple = Numbers::new(false).u32(&[5]).padded(b"simpl").block(3);
    let secrets = Numbers::new(false)
        .u32(&[0x544c_534b, 9])
        .padded(b"CLIENT_RA")
        .block(10);
    let names = Numbers::new(false).u16(&[0, 0]).block(4);
    let unknown = Numbers::new(false).padded(&[0xee; 3_000]).block(0x0bad_beef);
    [
        section(false),
        interface(false, 1, "eth0", 6, 0),
        packet(false, 0, 1_700_000_000_000_005, b"abcde", 60),
        names,
        interface(false, 12, "tun0", 9, 100),
        packet(false, 1, 3_000_000_007_999, b"n", 1),
        old,
        secrets,
        simple,
        unknown,
        section(true),
        interface(true, 276, "any", 0x80 | 10, 0),
        packet(true, 0, 1_024 + 512, b"half", 4),
    ]
    .concat()
}

fn snoop() -> Vec<u8> {
    Numbers::new(true)
        .data(b"snoop\0\0\0")
        .u32(&[2, 4])
        .u32(&[60, 5, 24 + 8, 0, 1_700_000_000, 9])
        .padded(b"abcde")
        .data(&[])
        .bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
}

fn kinds() -> Vec<Vec<u8>> {
    vec![
        pcap(0xa1b2_c3d4, false),
        pcap(0xa1b2_3c4d, true),
        pcap(0xa1b2_cd34, false),
        pcapng(),
        snoop(),
        gzip(&pcapng()),
        zstd(&pcapng()),
    ]
}

#[test]
fn pcap_is_read_in_every_variant() {
    for big in [false, true] {
        for (magic, fraction) in [(0xa1b2_c3d4, 1), (0xa1b2_3c4d, 1_000), (0xa1b2_cd34, 1)] {
            let second = 1_700_000_000_000_000;
            let expected = [
                (
                    second + 5_000 / fraction,
                    0,
                    LinkType::ETHERNET,
                    4,
                    b"abcd".to_vec(),
                ),
                (
                    second + 1_000_000 + 6_000 / fraction,
                    0,
                    LinkType::ETHERNET,
                    1_500,
                    b"efg".to_vec(),
                ),
            ];
            assert_eq!(whole(&pcap(magic, big)), expected);
        }
    }
}

#[test]
fn pcapng_is_read_with_its_sections_interfaces_and_clocks() {
    let rows = whole(&pcapng());
    let expected = [
        (
            1_700_000_000_000_005,
            0,
            LinkType::ETHERNET,
            60,
            b"abcde".to_vec(),
        ),
        (3_000_000_007 + 100_000_000, 1, LinkType::RAW, 1, b"n".to_vec()),
        (7_000 + 100_000_000, 1, LinkType::RAW, 2, b"op".to_vec()),
        (7_000 + 100_000_000, 0, LinkType::ETHERNET, 5, b"simpl".to_vec()),
        (1_500_000, 2, LinkType::LINUX_SLL2, 4, b"half".to_vec()),
    ];
    assert_eq!(rows, expected);

    let mut reader = Reader::open(Box::new(Cursor::new(pcapng()))).unwrap();
    while reader.next().unwrap().is_some() {}
    let names: Vec<&str> = reader
        .interfaces()
        .iter()
        .map(|known| known.name.as_str())
        .collect();
    assert_eq!(names, ["eth0", "tun0", "any"]);
    assert_eq!(reader.interfaces()[0].snap_length, 65_535);
    assert_eq!((reader.records(), reader.bytes()), (5, pcapng().len() as u64));
}

#[test]
fn snoop_is_read() {
    let expected = (
        1_700_000_000_000_009,
        0,
        LinkType::ETHERNET,
        60,
        b"abcde".to_vec(),
    );
    assert_eq!(whole(&snoop()), [expected]);
}

#[test]
fn packed_files_are_read_in_pieces_and_with_what_is_skipped() {
    let file = pcapng();
    let (first, second) = file.split_at(700);
    let skipped = [&[0x53, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"xyz"].concat();
    assert_eq!(whole(&gzip(&file)), whole(&file));
    assert_eq!(whole(&[gzip(first), gzip(second)].concat()), whole(&file));
    assert_eq!(whole(&zstd(&file)), whole(&file));
    let pieces = [skipped.clone(), zstd(first), skipped, zstd(second)].concat();
    assert_eq!(whole(&pieces), whole(&file));
}

/// Gives a byte at a time.
struct Slowly(Cursor<Vec<u8>>);

impl Read for Slowly {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(&mut buffer[..1])
    }
}

#[test]
fn a_slow_source_gives_the_same() {
    for file in kinds() {
        let mut reader = Reader::open(Box::new(Slowly(Cursor::new(file.clone())))).unwrap();
        let mut packets = 0;
        while let Some(frame) = reader.next().unwrap() {
            assert!(!frame.data.is_empty());
            packets += 1;
        }
        assert_eq!(packets, whole(&file).len());
    }
}

#[test]
fn records_beyond_the_snap_length_and_the_buffer_are_read() {
    let large = vec![0x5a; 256 << 10];
    let length = u32::try_from(large.len()).unwrap();
    let mut file = pcap(0xa1b2_c3d4, false);
    for second in 0..3 {
        let head = Numbers::new(false).u32(&[second, 0, length, length]).bytes;
        file.extend([head, large.clone()].concat());
    }
    let rows = whole(&file);
    assert_eq!(rows.len(), 5);
    assert!(rows[2..].iter().all(|row| row.4 == large));

    file.extend(Numbers::new(false).u32(&[0, 0, length + 1, length + 1]).bytes);
    assert_eq!(read(&file).0.len(), 5);
    let said = error(&file);
    assert!(said.starts_with("damaged in record 6 at byte 786543: "), "{said}");
}

#[test]
fn what_is_wrong_is_said() {
    assert!(error(b"").starts_with("the file is empty"));
    assert!(error(&gzip(b"")).starts_with("the file is empty"));
    assert!(error(b"GET / HTTP/1.1").contains("it begins with `GET / HT`"));
    assert!(error(b"\x7fELF").contains("it begins with 7f 45 4c 46"));
    let wrong = Numbers::new(false).u32(&[0xa1b2_c3d4]).u16(&[3, 1]).u32(&[0; 4]);
    assert_eq!(
        error(&wrong.bytes),
        "pcap version 3.1 at byte 0 is not known; known is 2.0 to 2.4"
    );
    assert_eq!(
        error(&pcap(0xa1b2_c3d4, false)[..50]),
        "cut short in record 2 at byte 44: 6 bytes are left of 16; all before it was read"
    );

    let mut file = pcapng();
    let end = file.len();
    file[end - 1] ^= 4;
    let (rows, end) = read(&file);
    assert_eq!(rows.len(), 4);
    let said = end.unwrap_err().to_string();
    assert!(said.starts_with("damaged in record 5 at byte "), "{said}");
    assert!(said.contains("at its beginning"), "{said}");

    let lost = [section(false), packet(false, 3, 0, b"x", 1)].concat();
    assert!(error(&lost).contains("its packet is of interface 3, and its section has described 0"));
    let short = [section(false), Numbers::new(false).u32(&[6, 8, 8]).bytes].concat();
    assert!(error(&short).contains("says that it has 8 bytes"));
}

#[test]
fn a_file_cut_anywhere_gives_what_is_whole() {
    for file in kinds() {
        let rows = whole(&file);
        let mut best = 0;
        for cut in 0..file.len() {
            let (found, end) = read(&file[..cut]);
            assert_eq!(found, rows[..found.len()], "cut at {cut}");
            assert!(found.len() >= best, "cut at {cut}");
            best = found.len();
            // Between two records, nobody can tell that there were more.
            assert!(end.is_err() || found.len() < rows.len() || cut > file.len() - 12);
        }
    }
}

#[test]
fn a_damaged_packing_is_said_after_what_was_unpacked() {
    let noise = |index: usize| (index.wrapping_mul(0x9e37_79b9) >> 11) as u8;
    let mut file = pcap(0xa1b2_c3d4, false);
    for second in 0..4_000 {
        let data: Vec<u8> = (0..200).map(|byte| noise(byte * 7 + second * 1_003)).collect();
        file.extend(Numbers::new(false).u32(&[second as u32, 0, 200, 200]).bytes);
        file.extend(data);
    }
    for mut packed in [gzip(&file), zstd(&file)] {
        packed.truncate(packed.len() * 3 / 4);
        let (rows, end) = read(&packed);
        assert!(rows.len() > 500, "{}", rows.len());
        let said = end.unwrap_err().to_string();
        assert!(said.starts_with("cannot be unpacked in record "), "{said}");
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..400), kind in 0..6_usize) {
        read(&bytes).1.ok();
        let begin = kinds().swap_remove(kind);
        read(&[&begin[..begin.len().min(28)], &bytes].concat()).1.ok();
        read(&[begin, bytes].concat()).1.ok();
    }

    #[test]
    fn mutated_files_do_no_harm(
        kind in 0..7_usize,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut file = kinds().swap_remove(kind);
        for (place, value) in changes {
            let place = place.index(file.len());
            file[place] = value;
        }
        let (rows, _) = read(&file);
        prop_assert!(rows.len() <= 64);
    }
}
