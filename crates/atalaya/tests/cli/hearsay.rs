//! Processes that a capture names come out again, in every shape, and each says that the capture said so.

use std::fs;
use std::sync::Arc;

use atalaya_model::{Process, ProcessKey, Time};
use atalaya_wire::capture::{Format, Interface, Reader, Whose, Writer};
use atalaya_wire::{Frame, LinkType};
use serde_json::Value;

use crate::home::Home;
use crate::replay::{browsing, lines, lookup};

fn process(pid: u32, name: &str, user: &str) -> Arc<Process> {
    let started = Time::from_seconds(1_699_999_999);
    let mut process = Process::bare(ProcessKey { pid, start: 77 }, name.into(), started);
    process.executable = Some(format!("/usr/bin/{name}").into());
    process.sha256 = Some("0f".repeat(32).into());
    process.user_id = Some(1_000);
    process.user_name = Some(user.into());
    Arc::new(process)
}

/// A question of systemd-resolved's, and a conversation of curl's.
fn capture(home: &Home) {
    let interface = Interface {
        name: "tun0".to_owned(),
        link: LinkType::RAW,
        snap_length: 0,
    };
    let (resolver, curl) = (process(11, "resolved", "systemd"), process(4_711, "curl", "mia"));
    let asked = lookup().into_iter().map(|data| (data, &resolver));
    let browsed = browsing(80).into_iter().map(|data| (data, &curl));
    let mut writer = Writer::new(Vec::new(), Format::Pcapng);
    for (step, (data, process)) in asked.chain(browsed).enumerate() {
        let frame = Frame {
            time: Time(1_700_000_000_000_000 + step as i64 * 10_000),
            link: LinkType::RAW,
            interface: 0,
            length: data.len() as u32,
            data: &data,
            vlan: None,
        };
        let whose = Whose {
            sent: Some(data[12..16] == [10, 0, 0, 1]),
            process: Some(process),
        };
        writer.write(&frame, &interface, whose).unwrap();
    }
    fs::write(home.path("named.pcapng"), writer.finish().unwrap()).unwrap();
}

fn text<'a>(row: &'a Value, pointer: &str) -> &'a str {
    row.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

#[test]
fn a_capture_s_processes_are_told_as_its_word() {
    let home = Home::new();
    capture(&home);
    let ran = home.run(&["replay", "named.pcapng", "--output", "json", "--store", "case.db"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let rows = lines(&ran.out);
    let of = |name: &str| -> Vec<&Value> {
        let own = rows.iter().filter(|row| text(row, "/process/name") == name);
        own.collect()
    };
    // The conversation and what was said in it.
    assert_eq!((of("curl").len(), of("resolved").len()), (2, 2), "{rows:#?}");
    for row in &rows {
        assert_eq!(text(row, "/attribution/evidence"), "capture_file", "{row}");
        assert_eq!(text(row, "/attribution/certainty"), "likely");
        assert_eq!(text(row, "/network/direction"), "outbound");
        assert_eq!(text(row, "/process/hash/sha256"), "0f".repeat(32));
    }
    let row = of("curl")[0];
    assert_eq!(row["process"]["pid"], 4_711);
    assert_eq!(text(row, "/process/executable"), "/usr/bin/curl");
    assert_eq!(text(row, "/process/start"), "2023-11-14T22:13:19.000000Z");
    assert_eq!(text(row, "/user/name"), "mia");
    assert_eq!(row["user"]["id"], 1_000);

    let eve = lines(&home.run(&["replay", "named.pcapng", "--output", "eve"]).out);
    let flow = |name: &str| {
        let is_it = |row: &&Value| text(row, "/process/name") == name && text(row, "/event_type") == "flow";
        eve.iter().find(is_it).unwrap()
    };
    assert_eq!(text(flow("curl"), "/process/evidence"), "capture_file");
    assert_eq!(text(flow("resolved"), "/process/user"), "systemd");
    let csv = home.run(&["replay", "named.pcapng", "--output", "csv"]).out;
    assert!(csv.contains("likely,capture_file"), "{csv}");
    let summary = home.run(&["replay", "named.pcapng"]).out;
    assert!(summary.contains("Processes, as the capture says"), "{summary}");
    assert!(summary.contains("/usr/bin/curl (mia)"), "{summary}");
    let kept = atalaya_store::Reader::open(&home.path("case.db")).unwrap();
    let curl = atalaya_model::filter::parse("name:curl user:mia evidence:capture_file").unwrap();
    let count = kept
        .count(atalaya_model::fields::Kind::Connection, &curl)
        .unwrap();
    assert_eq!(count, 1);
}

#[test]
fn an_alert_of_a_capture_says_who_named_its_process() {
    let home = Home::new();
    capture(&home);
    let config = home.write("ports.toml", "[detect.suspicious_port]\nports = [80]\n");
    let ran = home.run(&["replay", "named.pcapng", "--config", &config]);
    let said = "/usr/bin/curl (pid 4711, user mia, as the capture says)";
    assert!(ran.out.contains(said), "{}", ran.out);
}

#[test]
fn from_file_to_file_processes_are_asked_for_and_kept() {
    let home = Home::new();
    capture(&home);
    let read = |name: &str| {
        let mut reader = Reader::open(Box::new(fs::File::open(home.path(name)).unwrap())).unwrap();
        let mut owners = Vec::new();
        while let Some(record) = reader.next_record().unwrap() {
            owners.push(record.whose.process.map_or(0, |process| process.key.pid));
        }
        owners
    };
    let convert = |more: &[&str]| {
        let ran = home.run(
            &[
                &["capture", "--read", "named.pcapng", "--write", "out.pcapng"],
                more,
            ]
            .concat(),
        );
        assert_eq!(ran.code, 0, "{}", ran.err);
        read("out.pcapng")
    };
    assert_eq!(convert(&[]), [[11; 2].as_slice(), &[4_711; 8]].concat());
    assert_eq!(convert(&["--filter", "process.name:curl"]), [4_711; 8]);
    assert_eq!(convert(&["--filter", "!user:mia"]), [11; 2]);
    assert_eq!(convert(&["--no-processes"]), [0; 10]);
    assert!(convert(&["--no-processes", "--filter", "process.name:curl"]).is_empty());
}
