//! What is no capture, cannot be read or cannot be written: `replay` and `capture` say so, with the documented status,
//! and destroy nothing.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::home::{ATALAYA, Home, Ran, finish, installed, skip};

/// A pcap file of this kind of link, with one packet of four bytes.
fn pcap(link: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in [
        0xa1b2_c3d4_u32,
        0x0004_0002,
        0,
        0,
        65_535,
        link,
        1_700_000_000,
        0,
        4,
        4,
    ] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend(*b"abcd");
    bytes
}

/// Runs both verbs on a file.
fn both(home: &Home, file: &str) -> [Ran; 2] {
    [
        home.run(&["replay", file]),
        home.run(&["capture", "--read", file, "--write", "out.pcapng"]),
    ]
}

#[test]
fn what_is_no_capture_is_refused_by_both_verbs() {
    let home = Home::new();
    home.write("empty", "");
    home.write("text", "hello, world\n");
    fs::write(home.path("cut"), &pcap(1)[..10]).unwrap();
    fs::create_dir(home.path("folder")).unwrap();
    for (file, words) in [
        ("empty", ["the file is empty", "the file is empty"]),
        ("text", ["not a capture", "not a capture"]),
        ("cut", ["cut short in record 1", "cut short in record 1"]),
        ("folder", ["holds no capture", "is a folder"]),
        ("missing", ["No such file", "No such file"]),
    ] {
        for (ran, words) in both(&home, file).iter().zip(words) {
            assert_eq!(ran.code, 3, "{file}: {ran:?}");
            assert!(
                ran.err.contains(words) && ran.err.contains(file),
                "{file}: {ran:?}"
            );
        }
        assert!(!home.path("out.pcapng").exists(), "{file}");
    }
}

#[test]
fn captures_without_packets_are_captures() {
    let home = Home::new();
    fs::write(home.path("none.pcap"), &pcap(1)[..24]).unwrap();
    for ran in both(&home, "none.pcap") {
        assert_eq!(ran.code, 0, "{ran:?}");
    }
}

#[test]
fn an_unknown_kind_of_link_is_told_and_copied() {
    let home = Home::new();
    fs::write(home.path("odd.pcap"), pcap(9_999)).unwrap();
    let [replayed, copied] = both(&home, "odd.pcap");
    assert_eq!((replayed.code, copied.code), (0, 0), "{replayed:?} {copied:?}");
    for words in ["odd.pcap: 1 of 1 frames", "9999"] {
        assert!(replayed.err.contains(words), "{replayed:?}");
    }
    assert!(copied.err.contains("1 packets of 1"), "{copied:?}");
}

#[test]
fn no_permission_is_said() {
    let home = Home::new();
    fs::write(home.path("locked.pcap"), pcap(1)).unwrap();
    let mode = |mode| fs::Permissions::from_mode(mode);
    fs::set_permissions(home.path("locked.pcap"), mode(0)).unwrap();
    let is_root = fs::File::open(home.path("locked.pcap")).is_ok();
    if is_root && !installed("setpriv") {
        return skip("setpriv is not installed");
    }
    fs::set_permissions(home.path("."), mode(0o777)).unwrap();
    for words in [
        &["replay", "locked.pcap"][..],
        &["capture", "--read", "locked.pcap", "--write", "out.pcapng"],
    ] {
        let ran = if is_root {
            let mut command = home.command("setpriv");
            command.args(["--reuid=65534", "--regid=65534", "--clear-groups", ATALAYA]);
            command.args(words);
            finish(command)
        } else {
            home.run(words)
        };
        if ran.err.contains("setpriv:") {
            return skip("another user cannot run the program here");
        }
        assert_eq!(ran.code, 3, "{ran:?}");
        assert!(
            ran.err.contains("locked.pcap") && ran.err.contains("Permission denied"),
            "{ran:?}"
        );
    }
}

#[test]
fn a_terminal_is_no_capture_and_gets_none() {
    if !installed("script") {
        return skip("script is not installed");
    }
    let home = Home::new();
    fs::write(home.path("one.pcap"), pcap(1)).unwrap();
    for (words, said) in [
        ("replay -", "standard input is a terminal"),
        (
            "capture --read - --write out.pcapng",
            "standard input is a terminal",
        ),
        (
            "capture --read one.pcap --write -",
            "standard output is a terminal",
        ),
    ] {
        let mut command = home.command("script");
        let line = format!("'{ATALAYA}' {words}");
        command.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
        let ran = finish(command);
        assert_eq!(ran.code, 2, "{words}: {ran:?}");
        assert!(ran.out.contains(said), "{words}: {ran:?}");
    }
}

#[test]
fn what_cannot_be_written_is_named() {
    let home = Home::new();
    fs::write(home.path("one.pcap"), pcap(101)).unwrap();
    home.write("text", "precious");
    fs::create_dir(home.path("folder")).unwrap();
    for output in ["text", "csv"] {
        let ran = home.run(&["replay", "one.pcap", "--output", output, "--to", "/dev/full"]);
        assert_eq!(ran.code, 3, "{ran:?}");
        assert!(
            ran.err.contains("cannot write /dev/full: No space left"),
            "{ran:?}"
        );
    }
    for to in ["/nonexistent/records", "folder"] {
        let ran = home.run(&["replay", "one.pcap", "--to", to]);
        assert_eq!(ran.code, 3, "{ran:?}");
        assert!(ran.err.contains(to), "{ran:?}");
    }
    let ran = home.run(&["replay", "one.pcap", "--output", "zeek", "--to", "text"]);
    assert!(ran.code == 3 && ran.err.contains("text"), "{ran:?}");
    for to in ["/dev/full", "/nonexistent/out.pcapng", "folder"] {
        let ran = home.run(&["capture", "--read", "one.pcap", "--write", to]);
        assert_eq!(ran.code, 3, "{ran:?}");
        assert!(
            ran.err.contains("cannot write") || ran.err.contains(to),
            "{ran:?}"
        );
    }
}

#[test]
fn a_wrong_store_costs_nothing_that_was_written() {
    let home = Home::new();
    fs::write(home.path("one.pcap"), pcap(101)).unwrap();
    home.write("records.json", "precious");
    home.write("text", "no database");
    let replay = |store: &str, to: &str| {
        home.run(&[
            "replay", "one.pcap", "--output", "json", "--to", to, "--store", store,
        ])
    };
    let ran = replay("text", "records.json");
    assert!(
        ran.code == 3 && ran.err.contains("text is not a database"),
        "{ran:?}"
    );
    let ran = replay("records.json", "./records.json");
    assert!(ran.code == 2 && ran.err.contains("--store"), "{ran:?}");
    assert_eq!(fs::read_to_string(home.path("records.json")).unwrap(), "precious");
    let ran = replay("new.db", "records.json");
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        !fs::read_to_string(home.path("records.json"))
            .unwrap()
            .contains("precious")
    );
}

#[test]
fn a_capture_says_what_it_cannot_be_filtered_by() {
    let home = Home::new();
    fs::write(home.path("in.pcap"), pcap(1)).unwrap();
    for (filter, field) in [
        ("dns.question.name:x", Some("dns.question.name")),
        ("port:53 or !tls.client.ja4:t13*", Some("tls.client.ja4")),
        ("network.bytes>1k", Some("network.bytes")),
        ("network.protocol:dns", Some("network.protocol")),
        (
            "port:53 process.name:curl network.direction:outbound network.transport:udp",
            None,
        ),
        ("ip:10.0.0.0/8 or user.name:root or container.id:*", None),
    ] {
        let ran = home.run(&[
            "capture", "--read", "in.pcap", "--write", "out.pcap", "--filter", filter,
        ]);
        assert_eq!(ran.code, if field.is_some() { 2 } else { 0 }, "{filter}: {ran:?}");
        if let Some(field) = field {
            let words = format!("a capture cannot be filtered by `{field}`");
            assert!(ran.err.contains(&words), "{filter}: {ran:?}");
        }
    }
}
