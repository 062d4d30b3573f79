//! `atalaya capture --read`: filtered, converted, cut, in turns; and what is said of wrong files and flags.

use std::fs;

use atalaya_model::Time;
use atalaya_wire::capture::{Format, Interface, Reader, Whose, Writer};
use atalaya_wire::{Frame, LinkType};

use crate::home::Home;

/// A datagram of raw IPv4 with `payload` bytes, from 10.0.0.`host`.
fn datagram(host: u8, source: u16, destination: u16, payload: u8) -> Vec<u8> {
    let length = 28 + payload;
    let mut bytes = vec![
        0x45, 0, 0, length, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, host, 192, 0, 2, 1,
    ];
    bytes.extend(source.to_be_bytes());
    bytes.extend(destination.to_be_bytes());
    bytes.extend([0, 8 + payload, 0, 0]);
    bytes.resize(usize::from(length), 0x5a);
    bytes
}

/// Ten datagrams, a second apart: five to port 53, five to port 123.
fn capture(home: &Home, name: &str) -> Vec<u8> {
    let interface = Interface {
        name: "tun0".to_owned(),
        link: LinkType::RAW,
        snap_length: 0,
    };
    let mut writer = Writer::new(Vec::new(), Format::Pcapng);
    for second in 0..10 {
        let port = if second % 2 == 0 { 53 } else { 123 };
        let data = datagram(second, 40_000, port, 100);
        let frame = Frame {
            time: Time::from_seconds(1_700_000_000 + i64::from(second)),
            link: LinkType::RAW,
            interface: 0,
            length: 128,
            data: &data,
            vlan: None,
        };
        writer.write(&frame, &interface, Whose::default()).unwrap();
    }
    let bytes = writer.finish().unwrap();
    fs::write(home.path(name), &bytes).unwrap();
    bytes
}

/// Seconds and captured lengths of what is in a file.
fn read(home: &Home, name: &str) -> Vec<(i64, usize)> {
    let file = fs::File::open(home.path(name)).unwrap();
    let mut reader = Reader::open(Box::new(file)).unwrap();
    let mut rows = Vec::new();
    while let Some(frame) = reader.next().unwrap() {
        assert_eq!((frame.link, frame.length), (LinkType::RAW, 128));
        rows.push((frame.time.seconds() - 1_700_000_000, frame.data.len()));
    }
    rows
}

#[test]
fn a_capture_is_filtered_cut_and_converted() {
    let home = Home::new();
    capture(&home, "in.pcapng");
    let ran = home.run(&[
        "capture",
        "--read",
        "in.pcapng",
        "--write",
        "out.pcap",
        "--format",
        "pcap",
        "--filter",
        "destination.port:53",
        "--snap-length",
        "64",
        "--count",
        "4",
    ]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(
        ran.err.contains("4 packets of 7 written to out.pcap"),
        "{}",
        ran.err
    );
    assert_eq!(read(&home, "out.pcap"), [(0, 64), (2, 64), (4, 64), (6, 64)]);

    let ran = home.run(&[
        "capture",
        "--read",
        "in.pcapng",
        "--write",
        "other.pcapng",
        "-f",
        "!port:53",
    ]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let odd: Vec<_> = [1, 3, 5, 7, 9].map(|second| (second, 128)).into();
    assert_eq!(read(&home, "other.pcapng"), odd);

    let ran = home.run(&[
        "capture",
        "--read",
        "in.pcapng",
        "--write",
        "none.pcapng",
        "-f",
        "port:1",
    ]);
    assert_eq!((ran.code, read(&home, "none.pcapng")), (0, vec![]));
}

#[test]
fn files_take_turns() {
    let home = Home::new();
    capture(&home, "in.pcapng");
    let ran = home.run(&[
        "capture",
        "--read",
        "in.pcapng",
        "--write",
        "day.pcapng",
        "--rotate-time",
        "3s",
        "--keep",
        "2",
    ]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(!home.path("day-00001.pcapng").exists());
    assert_eq!(read(&home, "day-00002.pcapng"), [(6, 128), (7, 128), (8, 128)]);
    assert_eq!(read(&home, "day-00003.pcapng"), [(9, 128)]);
}

#[test]
fn a_damaged_capture_is_written_up_to_the_damage() {
    let home = Home::new();
    let bytes = capture(&home, "in.pcapng");
    fs::write(home.path("cut.pcapng"), &bytes[..bytes.len() - 9]).unwrap();
    let ran = home.run(&["capture", "--read", "cut.pcapng", "--write", "out.pcapng"]);
    assert_eq!(ran.code, 3);
    assert!(ran.err.contains("cut short in record 10 at byte"), "{}", ran.err);
    assert_eq!(read(&home, "out.pcapng").len(), 9);

    home.write("text.pcap", "hello, world");
    let ran = home.run(&["capture", "--read", "text.pcap", "--write", "out.pcapng"]);
    assert_eq!(ran.code, 3);
    assert!(
        ran.err.contains("not a capture: it begins with `hello, w`"),
        "{}",
        ran.err
    );
}

#[test]
fn wrong_flags_are_refused_before_anything_is_written() {
    let home = Home::new();
    let bytes = capture(&home, "in.pcapng");
    for (words, said) in [
        (&["--write", "in.pcapng"][..], "name the same file"),
        (
            &["--write", "out.pcapng", "--keep", "3"],
            "--keep is of use only with",
        ),
        (
            &["--write", "-", "--rotate-size", "1MB"],
            "standard output cannot be rotated",
        ),
        (&["--write", "out.pcapng", "--filter", "nonsense:1"], "nonsense"),
    ] {
        let ran = home.run(&[&["capture", "--read", "in.pcapng"], words].concat());
        assert_eq!(ran.code, 2, "{words:?}: {}", ran.err);
        assert!(ran.err.contains(said), "{words:?}: {}", ran.err);
    }
    assert!(!home.path("out.pcapng").exists());
    assert_eq!(fs::read(home.path("in.pcapng")).unwrap(), bytes);
}
