//! The logs of other sensors through the same engine: what comes out, what is said of bad lines, and in which order.

use std::fs;
use std::io::Write as _;

use serde_json::Value;

use crate::home::Home;
use crate::replay::{lines, shop};

/// A conversation as Zeek tells it.
fn conn(uid: &str, start: i64, duration: f64, port: u16) -> String {
    format!(
        r#"{{"ts":{start}.5,"uid":"{uid}","id.orig_h":"10.0.0.1","id.orig_p":40000,"id.resp_h":"198.51.100.7","id.resp_p":{port},"proto":"tcp","duration":{duration},"orig_bytes":10,"resp_bytes":20,"conn_state":"SF","missed_bytes":0,"history":"ShADadFf","orig_pkts":5,"orig_ip_bytes":300,"resp_pkts":4,"resp_ip_bytes":250}}"#
    )
}

const HELLO: &str = r#"{"ts":1700000001.0,"uid":"Ca","id.orig_h":"10.0.0.1","id.orig_p":40000,"id.resp_h":"198.51.100.7","id.resp_p":443,"version":"TLSv12","server_name":"www.example.org","resumed":false,"established":true,"ja4":"t12d1516h2_8daaf6152771_b186095e22b6"}"#;

fn write(home: &Home, name: &str, rows: &[String]) {
    fs::write(home.path(name), rows.join("\n") + "\n").unwrap();
}

#[test]
fn logs_become_one_story() {
    let home = Home::new();
    // Rotated, packed, and the long one is written last, though it began first.
    write(&home, "conn.1.log", &[conn("Cb", 1_700_000_002, 1.0, 4_444)]);
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    writeln!(packed, "{}", conn("Ca", 1_700_000_000, 60.0, 443)).unwrap();
    fs::write(home.path("conn.2.log.gz"), packed.finish().unwrap()).unwrap();
    write(&home, "ssl.log", &[HELLO.to_owned()]);
    let files = ["conn.2.log.gz", "ssl.log", "conn.1.log"];
    let ran = home.run(&[&["import", "--output", "json", "--store", "case.db"][..], &files].concat());
    assert_eq!(ran.code, 1, "{}", ran.err);
    let rows = lines(&ran.out);
    let actions: Vec<_> = rows
        .iter()
        .filter_map(|row| row["event"]["action"].as_str())
        .collect();
    // Port 4444 is suspicious and uncommon.
    let expected = [
        "protocol_spoken",
        "alert_raised",
        "alert_raised",
        "connection_closed",
        "connection_closed",
    ];
    assert_eq!(actions, expected, "{rows:#?}");
    let last = &rows[4];
    assert_eq!(last["tls"]["client"]["server_name"], "www.example.org", "{last}");
    assert_eq!(last["destination"]["domain"], "www.example.org");
    assert_eq!(last["network"]["direction"], "outbound");
    assert_eq!(last["source"]["bytes"], 10);
    assert_eq!(last["event"]["start"], "2023-11-14T22:13:20.500000Z");
    assert_eq!(rows[0]["destination"]["port"], 443);
    // The run is of the time of the logs.
    let runs = "SELECT started < ended, started < '2023-11-15', ended < '2023-11-15', boot_id FROM runs";
    let ran = home.run(&["query", runs, "--store", "case.db", "-o", "csv"]);
    assert!(ran.out.ends_with("\n1,1,1,import\n"), "{}{}", ran.out, ran.err);
    // The same in the database, to be hunted later.
    let ran = home.run(&["export", "connections", "--store", "case.db", "--format", "jsonl"]);
    let kept = lines(&ran.out);
    assert_eq!(kept.len(), 2, "{kept:#?}");
    assert_eq!(
        (&kept[0]["destination_port"], &kept[1]["destination_port"]),
        (&443.into(), &4_444.into())
    );
    let ran = home.run(&["export", "tls", "--store", "case.db", "--format", "jsonl"]);
    assert_eq!(lines(&ran.out)[0]["server_name"], "www.example.org");
}

#[test]
fn what_was_said_alone_has_a_conversation_too() {
    let home = Home::new();
    write(&home, "ssl.log", &[HELLO.to_owned()]);
    let ran = home.run(&["import", "ssl.log", "--output", "json"]);
    let rows = lines(&ran.out);
    assert_eq!((ran.code, rows.len()), (0, 2), "{rows:#?} {}", ran.err);
    assert_eq!(rows[1]["event"]["action"], "connection_closed");
    assert_eq!(rows[1]["destination"]["domain"], "www.example.org");
}

#[test]
fn bad_lines_are_told_with_their_places_and_the_rest_is_read() {
    let home = Home::new();
    let mut rows = vec![conn("Ca", 1_700_000_000, 1.0, 443), "{\"ts\":1".to_owned()];
    rows.extend((0..9).map(|_| r#"{"ts":"\u001b[31mx"}"#.to_owned()));
    rows.push("x".repeat(2 << 20));
    rows.push(conn("Cb", 1_700_000_005, 1.0, 443));
    write(&home, "conn.log", &rows);
    write(&home, "files.log", &["{\"ts\":1,\"fuid\":\"F1\"}".to_owned()]);
    let ran = home.run(&["import", "conn.log", "files.log", "--output", "json"]);
    assert_eq!(ran.code, 3);
    assert_eq!(lines(&ran.out).len(), 2);
    for words in [
        "conn.log:2: it is no JSON",
        "conn.log:3: `ts` is not a time",
        "conn.log: 6 more lines cannot be read",
        "files.log: nothing in it is of use here",
    ] {
        assert!(ran.err.contains(words), "{words} in {}", ran.err);
    }
    assert!(!ran.err.contains('\u{1b}'), "{}", ran.err);

    let ran = home.run(&["import", "conn.log"]);
    assert!(ran.out.starts_with("Logs: 18 packets, "), "{}", ran.out);
    assert!(ran.out.contains("11  lines that cannot be read"), "{}", ran.out);

    assert_eq!(home.run(&["import", "none.log"]).code, 3);
    fs::create_dir(home.path("empty")).unwrap();
    let ran = home.run(&["import", "empty"]);
    assert_eq!(ran.code, 3);
    assert!(ran.err.contains("empty holds no file"), "{}", ran.err);
    assert_eq!(home.run(&["import", "conn.log", "--store", "conn.log"]).code, 2);
    assert_eq!(home.run(&["import", "conn.log", "--filter", "nonsense:"]).code, 2);
}

#[test]
fn what_a_replay_wrote_comes_back() {
    let home = Home::new();
    shop(&home);
    for format in ["zeek", "eve"] {
        let first = home.run(&["replay", "shop.pcapng", "--output", format, "--to", format]);
        assert_eq!(first.code, 0, "{}", first.err);
        let again = home.run(&["import", format, "--output", format]);
        assert_eq!(again.code, 0, "{}", again.err);
        let text = match format {
            "zeek" => {
                let files = fs::read_dir(home.path(format)).unwrap();
                files
                    .map(|file| fs::read_to_string(file.unwrap().path()).unwrap())
                    .collect()
            }
            _ => fs::read_to_string(home.path(format)).unwrap(),
        };
        let (mut wanted, mut found) = (plain(&text), plain(&again.out));
        wanted.sort();
        found.sort();
        assert_eq!(wanted, found);
        assert!(wanted.len() >= 3, "{wanted:#?}");
    }
}

/// Lines without what another run names otherwise: the conversation; when a line was written.
fn plain(text: &str) -> Vec<String> {
    let rows = lines(text).into_iter().map(|mut row| {
        let object = row.as_object_mut().unwrap();
        object.retain(|name, _| name != "uid" && name != "flow_id");
        if object.get("event_type") == Some(&Value::from("flow")) {
            object.remove("timestamp");
        }
        row.to_string()
    });
    rows.collect()
}

#[test]
fn alerts_of_others_are_kept() {
    let home = Home::new();
    let alert = r#"{"timestamp":"2026-11-20T21:27:03.123456+0000","flow_id":7,"event_type":"alert","src_ip":"10.0.0.1","src_port":1,"dest_ip":"192.0.2.1","dest_port":80,"proto":"TCP","alert":{"action":"allowed","gid":1,"signature_id":2013028,"rev":4,"signature":"ET POLICY \u001b[31mcurl","category":"Misc","severity":1}}"#;
    write(&home, "eve.json", &[alert.to_owned()]);
    let ran = home.run(&["import", "eve.json", "--store", "case.db"]);
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert!(
        ran.out.contains("ET POLICY") && !ran.out.contains('\u{1b}'),
        "{}",
        ran.out
    );
    let ran = home.run(&["alerts", "list", "--store", "case.db", "--output", "json"]);
    assert!(
        ran.out.contains("suricata_alert") && ran.out.contains("2013028"),
        "{} {}",
        ran.out,
        ran.err
    );
}

#[test]
fn a_long_conversation_is_one_with_what_was_said_at_its_beginning() {
    let home = Home::new();
    // Said at its beginning; an hour of other talk follows before its own line.
    let mut said = vec![HELLO.to_owned()];
    said.extend((0..60).map(|minute| {
        let start = 1_700_000_010 + 60 * minute;
        HELLO
            .replace("1700000001.0", &format!("{start}.0"))
            .replace("Ca", &format!("Cx{minute}"))
    }));
    write(&home, "ssl.log", &said);
    write(&home, "conn.log", &[conn("Ca", 1_700_000_000, 7_200.0, 443)]);
    let ran = home.run(&["import", "ssl.log", "conn.log", "--output", "csv"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(ran.out.lines().count(), 1 + 1 + 60, "{}", ran.out);
}
