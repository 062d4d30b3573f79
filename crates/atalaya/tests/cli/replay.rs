//! `atalaya replay`: what is in a capture comes out in every shape, nothing secret does, and damage is told.

use std::fs;

use atalaya_model::Time;
use atalaya_wire::capture::{Format, Interface, Whose, Writer};
use atalaya_wire::{Frame, LinkType};
use serde_json::Value;

use crate::home::Home;

const CLIENT: [u8; 4] = [10, 0, 0, 1];
const SERVER: [u8; 4] = [198, 51, 100, 7];
const RESOLVER: [u8; 4] = [10, 0, 0, 53];

/// A packet of raw IPv4.
fn packet(protocol: u8, from: [u8; 4], to: [u8; 4], transport: &[u8]) -> Vec<u8> {
    let length = (20 + transport.len()) as u16;
    let mut bytes = vec![0x45, 0];
    bytes.extend(length.to_be_bytes());
    bytes.extend([0, 0, 0, 0, 64, protocol, 0, 0]);
    bytes.extend(from);
    bytes.extend(to);
    bytes.extend(transport);
    bytes
}

fn udp(from: [u8; 4], to: [u8; 4], ports: (u16, u16), payload: &[u8]) -> Vec<u8> {
    let mut bytes = [ports.0.to_be_bytes(), ports.1.to_be_bytes()].concat();
    bytes.extend((8 + payload.len() as u16).to_be_bytes());
    bytes.extend([0, 0]);
    bytes.extend(payload);
    packet(17, from, to, &bytes)
}

fn tcp(outward: bool, port: u16, numbers: (u32, u32), flags: u8, payload: &[u8]) -> Vec<u8> {
    let ports = if outward { (40_000, port) } else { (port, 40_000) };
    let mut bytes = [ports.0.to_be_bytes(), ports.1.to_be_bytes()].concat();
    bytes.extend(numbers.0.to_be_bytes());
    bytes.extend(numbers.1.to_be_bytes());
    bytes.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    bytes.extend(payload);
    let (from, to) = if outward {
        (CLIENT, SERVER)
    } else {
        (SERVER, CLIENT)
    };
    packet(6, from, to, &bytes)
}

/// A question for `shop.example`, and the answer 198.51.100.7.
pub(crate) fn lookup() -> [Vec<u8>; 2] {
    let mut question = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    question.extend(b"\x04shop\x07example\0\0\x01\0\x01");
    let mut answer = question.clone();
    answer[2..4].copy_from_slice(&[0x81, 0x80]);
    answer[7] = 1;
    answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
    answer.extend(SERVER);
    [
        udp(CLIENT, RESOLVER, (50_000, 53), &question),
        udp(RESOLVER, CLIENT, (53, 50_000), &answer),
    ]
}

/// A conversation over HTTP that holds every kind of secret.
pub(crate) fn browsing(port: u16) -> Vec<Vec<u8>> {
    let asked = b"GET /basket?token=SECRET1 HTTP/1.1\r\nHost: shop.example\r\nCookie: id=SECRET2\r\n\
                  Authorization: Basic YW5hOlNFQ1JFVDM=\r\nUser-Agent: tester/1.0\r\n\r\n";
    let answered = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nSet-Cookie: id=SECRET4\r\nContent-Length: 7\r\n\r\nSECRET5";
    let (there, back) = (101 + asked.len() as u32, 301 + answered.len() as u32);
    vec![
        tcp(true, port, (100, 0), 2, &[]),
        tcp(false, port, (300, 101), 18, &[]),
        tcp(true, port, (101, 301), 16, &[]),
        tcp(true, port, (101, 301), 24, asked),
        tcp(false, port, (301, there), 24, answered),
        tcp(true, port, (there, back), 17, &[]),
        tcp(false, port, (back, there + 1), 17, &[]),
        tcp(true, port, (there + 1, back + 1), 16, &[]),
    ]
}

/// Writes packets, 10 ms apart from `second` on.
fn write(home: &Home, name: &str, second: i64, packets: &[Vec<u8>]) -> Vec<u8> {
    let interface = Interface {
        name: "tun0".to_owned(),
        link: LinkType::RAW,
        snap_length: 0,
    };
    let mut writer = Writer::new(Vec::new(), Format::Pcapng);
    let begin = Time::from_seconds(1_700_000_000 + second);
    for (data, step) in packets.iter().zip(0..) {
        let frame = Frame {
            time: Time(begin.0 + step * 10_000),
            link: LinkType::RAW,
            interface: 0,
            length: data.len() as u32,
            data,
            vlan: None,
        };
        writer.write(&frame, &interface, Whose::default()).unwrap();
    }
    let bytes = writer.finish().unwrap();
    fs::write(home.path(name), &bytes).unwrap();
    bytes
}

pub(crate) fn shop(home: &Home) -> Vec<u8> {
    let packets: Vec<_> = lookup().into_iter().chain(browsing(80)).collect();
    write(home, "shop.pcapng", 0, &packets)
}

pub(crate) fn lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

#[track_caller]
fn only<'a>(rows: &'a [Value], pointer: &str, value: &str) -> &'a Value {
    let found: Vec<_> = rows
        .iter()
        .filter(|row| row.pointer(pointer).and_then(Value::as_str) == Some(value))
        .collect();
    assert_eq!(found.len(), 1, "{pointer} = {value} in {rows:#?}");
    found[0]
}

#[test]
fn a_summary_says_what_is_in_it() {
    let home = Home::new();
    shop(&home);
    let ran = home.run(&["replay", "shop.pcapng"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    for words in [
        "10 packets",
        "2 connections",
        "http",
        "dns",
        "shop.example",
        "10.0.0.1",
        "Alerts: none.",
    ] {
        assert!(ran.out.contains(words), "{words} is not in {}", ran.out);
    }
    let spanish = home.run(&["replay", "shop.pcapng", "--lang", "es"]);
    assert!(spanish.out.contains("10 paquetes") && spanish.out.contains("Alertas: ninguna."));
    assert_eq!(home.run(&["replay", "--quiet", "shop.pcapng"]).out, "");
}

#[test]
fn json_has_the_connection_with_its_name_and_what_was_said() {
    let home = Home::new();
    shop(&home);
    let ran = home.run(&["replay", "--output", "json", "shop.pcapng"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let rows = lines(&ran.out);
    let dns = only(&rows, "/dns/question/name", "shop.example");
    assert_eq!(dns["dns"]["response_code"], "NOERROR");
    assert_eq!(dns["dns"]["answers"][0]["data"], "198.51.100.7");
    let closed: Vec<_> = rows
        .iter()
        .filter(|row| row["event"]["action"] == "connection_closed")
        .cloned()
        .collect();
    assert_eq!(closed.len(), 2);
    let http = only(&closed, "/network/application", "http");
    assert_eq!(http["destination"]["domain"], "shop.example");
    assert_eq!(http["connection"]["name_source"], "dns");
    assert_eq!(http["zeek"]["connection"]["state"], "SF");
    assert_eq!(http["zeek"]["connection"]["history"], "ShADdFf");
    assert_eq!(http["source"]["packets"], 5);
    assert_eq!(http["destination"]["packets"], 3);
    for unknown in ["attribution", "host", "observer"] {
        assert!(http[unknown].is_null(), "{http}");
    }
    let said = rows
        .iter()
        .find(|row| row["event"]["action"] == "protocol_spoken" && row["http"].is_object())
        .unwrap();
    assert_eq!(said["http"]["request"]["method"], "GET");
    assert_eq!(said["url"]["path"], "/basket");
    assert_eq!(said["user_agent"]["original"], "tester/1.0");
}

#[test]
fn nothing_secret_comes_out_in_any_shape() {
    let home = Home::new();
    shop(&home);
    for shape in ["text", "json", "zeek", "eve", "csv"] {
        let ran = home.run(&["replay", "--output", shape, "shop.pcapng", "--store", "kept.db"]);
        assert_eq!(ran.code, 0, "{shape}: {}", ran.err);
        assert!(
            ran.out.contains("shop.example") || shape == "csv",
            "{shape}: {}",
            ran.out
        );
        assert!(
            !ran.out.contains("SECRET") && !ran.err.contains("SECRET"),
            "{shape}: {}",
            ran.out
        );
    }
    let kept = fs::read(home.path("kept.db")).unwrap();
    assert!(!kept.windows(6).any(|window| window == b"SECRET"), "in the store");
    // Who wants query strings says so; of the others nothing is kept even then.
    fs::write(home.path("open.toml"), "[packets]\nquery_strings = true\n").unwrap();
    let ran = home.run(&[
        "replay",
        "--config",
        "open.toml",
        "--output",
        "json",
        "shop.pcapng",
    ]);
    assert!(ran.out.contains("SECRET1"), "{}", ran.out);
    for secret in ["SECRET2", "SECRET3", "SECRET4", "SECRET5"] {
        assert!(!ran.out.contains(secret), "{secret}");
    }
}

#[test]
fn zeek_and_eve_have_their_own_names() {
    let home = Home::new();
    shop(&home);
    let ran = home.run(&["replay", "--output", "zeek", "--to", "logs", "shop.pcapng"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(
        ran.out.contains("10 packets"),
        "the summary goes where people look"
    );
    let conn = lines(&fs::read_to_string(home.path("logs/conn.log")).unwrap());
    let http = only(&conn, "/service", "http");
    assert_eq!(
        (&http["conn_state"], &http["id.resp_p"]),
        (&"SF".into(), &80.into())
    );
    let logged = lines(&fs::read_to_string(home.path("logs/http.log")).unwrap());
    assert_eq!(logged[0]["uid"], http["uid"]);
    assert_eq!(logged[0]["host"], "shop.example");
    let ran = home.run(&["replay", "--output", "eve", "shop.pcapng"]);
    let rows = lines(&ran.out);
    let flows = rows.iter().filter(|row| row["event_type"] == "flow").count();
    assert_eq!(flows, 2);
    let http = only(&rows, "/event_type", "http");
    assert_eq!(http["http"]["hostname"], "shop.example");
    assert_eq!(http["dest_port"], 80);
}

#[test]
fn a_filter_chooses_and_a_store_keeps() {
    let home = Home::new();
    shop(&home);
    let ran = home.run(&[
        "replay",
        "--output",
        "json",
        "--filter",
        "destination.port:53",
        "shop.pcapng",
    ]);
    let rows = lines(&ran.out);
    assert!(
        rows.len() == 2 && rows.iter().all(|row| row["destination"]["port"] == 53),
        "{}",
        ran.out
    );
    let ran = home.run(&["replay", "--filter", "destination.port:x", "shop.pcapng"]);
    assert_eq!(ran.code, 2);
    let ran = home.run(&["replay", "shop.pcapng", "--store", "case.db", "--quiet"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let ran = home.run(&["alerts", "list", "--store", "case.db"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    // The run is of the capture's time, not of ours.
    let runs = "SELECT (SELECT min(started) FROM connections) = started, started < ended, ended < '2030-01-01', boot_id FROM runs";
    let ran = home.run(&["query", runs, "--store", "case.db", "-o", "csv"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.ends_with("\n1,1,1,replay\n"), "{}", ran.out);
    let ran = home.run(&["query", "SELECT * FROM runs", "--store", "case.db"]);
    assert_eq!(ran.out.lines().count(), 2, "{}", ran.out);
}

#[test]
fn alerts_are_raised_named_by_host_and_told_by_the_exit_status() {
    let home = Home::new();
    write(&home, "shell.pcapng", 0, &browsing(4_444));
    let ran = home.run(&["replay", "shell.pcapng"]);
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert!(
        ran.out
            .contains("Host 10.0.0.1 opened a connection to 198.51.100.7:4444"),
        "{}",
        ran.out
    );
    assert!(ran.out.contains("suspicious_port"), "{}", ran.out);
}

#[test]
fn files_of_a_folder_are_one_story_in_order_of_time() {
    let home = Home::new();
    let packets = browsing(80);
    fs::create_dir(home.path("rotated")).unwrap();
    // The name of the second part comes first.
    write(&home, "rotated/a.pcapng", 1, &packets[4..]);
    write(&home, "rotated/z.pcapng", 0, &packets[..4]);
    fs::write(home.path("rotated/notes.txt"), "no capture").unwrap();
    let ran = home.run(&["replay", "--output", "json", "rotated"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.err.contains("notes.txt is left out"), "{}", ran.err);
    let rows = lines(&ran.out);
    let closed = only(&rows, "/event/action", "connection_closed");
    assert_eq!(closed["zeek"]["connection"]["state"], "SF");
}

#[test]
fn a_pipe_is_read_and_a_reader_may_go_away() {
    let home = Home::new();
    let bytes = shop(&home);
    let ran = home.run_with(&["replay", "-", "--output", "json"], &bytes);
    assert_eq!((ran.code, lines(&ran.out).len()), (0, 4), "{}", ran.err);
}

#[test]
fn a_capture_is_not_written_over() {
    let home = Home::new();
    let bytes = shop(&home);
    let ran = home.run(&[
        "replay",
        "shop.pcapng",
        "--output",
        "json",
        "--to",
        "./shop.pcapng",
    ]);
    assert_eq!(ran.code, 2, "{}", ran.err);
    assert!(ran.err.contains("--to"), "{}", ran.err);
    assert_eq!(fs::read(home.path("shop.pcapng")).unwrap(), bytes);
}

#[test]
fn damage_is_told_with_its_place_after_everything_before_it() {
    let home = Home::new();
    let bytes = shop(&home);
    fs::write(home.path("cut.pcapng"), &bytes[..bytes.len() - 60]).unwrap();
    let ran = home.run(&["replay", "--output", "json", "cut.pcapng"]);
    assert_eq!(ran.code, 3);
    assert!(
        ran.err.contains("cut.pcapng") && ran.err.contains("record"),
        "{}",
        ran.err
    );
    only(&lines(&ran.out), "/dns/question/name", "shop.example");
    for (name, content, words) in [
        ("empty", &b""[..], "empty"),
        ("text", b"hello, world\n", "not a capture"),
    ] {
        fs::write(home.path(name), content).unwrap();
        let ran = home.run(&["replay", name, "shop.pcapng", "--output", "json"]);
        assert_eq!(ran.code, 3, "{name}");
        assert!(ran.err.contains(words), "{name}: {}", ran.err);
        assert_eq!(lines(&ran.out).len(), 4, "the other file is read");
    }
    let ran = home.run(&["replay", "missing.pcap"]);
    assert_eq!(ran.code, 3);
    assert!(ran.err.contains("missing.pcap"), "{}", ran.err);
    assert_eq!(home.run(&["replay"]).code, 2);
}
