//! `atalaya watch`: what it writes on its outputs.

use std::fs;
use std::net::{TcpListener, TcpStream};

use crate::home::{Home, calm};

#[test]
fn a_watch_ends_by_itself_and_says_what_it_did() {
    let home = Home::new();
    let config = home.write("calm.toml", &calm(""));
    let ran = home.run(&[
        "watch",
        "--config",
        &config,
        "--interval",
        "200ms",
        "--duration",
        "1s",
    ]);
    assert_eq!((ran.code, ran.out.as_str()), (0, ""), "{ran:?}");
    for words in ["watching ", "no history is kept", "watched for "] {
        assert!(ran.err.contains(words), "no {words:?} in {}", ran.err);
    }
    let ran = home.run(&["watch", "--config", &config, "--quiet", "--duration", "300ms"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, ""), "{ran:?}");
}

#[test]
fn the_heartbeat_is_one_line_a_calm_look() {
    let home = Home::new();
    let config = home.write("calm.toml", &calm(""));
    let ran = home.run(&[
        "watch",
        "--config",
        &config,
        "--heartbeat",
        "--interval",
        "200ms",
        "--duration",
        "2s",
    ]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.out.lines().count() >= 2, "{}", ran.out);
    for line in ran.out.lines() {
        assert!(line.ends_with(" No anomalies detected."), "{line}");
    }
    let spanish = home.run(&[
        "watch",
        "--config",
        &config,
        "--heartbeat",
        "--lang",
        "es",
        "--duration",
        "1s",
    ]);
    assert!(
        !spanish.out.is_empty() && !spanish.out.contains("anomalies"),
        "{}",
        spanish.out
    );
}

#[test]
fn snapshots_come_whole_one_a_line() {
    let home = Home::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let _stream = TcpStream::connect(address).unwrap();
    let port = address.port();
    // Without a hash to wait for, the alert belongs to the first look.
    let config = calm(&format!(
        "[collect]\nhashes = false\n[detect.suspicious_port]\nports = [{port}]\n"
    ));
    let config = home.write("high.toml", &config);
    let ran = home.run(&[
        "watch",
        "--config",
        &config,
        "--output",
        "json",
        "--events",
        "snapshot",
        "--interval",
        "1s",
        "--duration",
        "3s",
        "--quiet",
        "--filter",
        &format!("destination.port:{port}"),
    ]);
    assert_eq!(ran.code, 0, "alerts are no failure of a watch: {ran:?}");
    let lines = ran.json();
    let documents: Vec<_> = lines
        .iter()
        .filter(|line| line.get("statistics").is_some())
        .collect();
    assert!(documents.len() >= 2, "{} documents", documents.len());
    for document in &documents {
        for key in [
            "timestamp",
            "duration",
            "total_connections",
            "alert_count",
            "alerts",
            "connections",
        ] {
            assert!(document.get(key).is_some(), "no {key} in {document}");
        }
        assert_eq!(document["total_connections"], 2, "{document}");
    }
    let told: u64 = documents
        .iter()
        .map(|document| document["alert_count"].as_u64().unwrap())
        .sum();
    assert_eq!(told, 1, "an alert is in the document of its look");
    let alerts = lines.iter().filter(|line| line.get("rule").is_some()).count();
    assert_eq!(alerts, 1, "and is a record of its own");
}

#[test]
fn fail_on_makes_a_gate_of_it() {
    let home = Home::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let _stream = TcpStream::connect(address).unwrap();
    let config = calm(&format!(
        "[detect.suspicious_port]\nports = [{}]\n",
        address.port()
    ));
    let config = home.write("high.toml", &config);
    for (severity, code) in [("high", 1), ("medium", 1), ("critical", 0)] {
        let ran = home.run(&[
            "watch",
            "--config",
            &config,
            "--duration",
            "1s",
            "--fail-on",
            severity,
        ]);
        assert_eq!(ran.code, code, "{severity}: {ran:?}");
        assert!(ran.out.contains(" HIGH "), "{}", ran.out);
    }
}

#[test]
fn two_logs_have_each_their_own_events() {
    let home = Home::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let _stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let text = home.run(&["config", "init", "--like", "s2"]).out;
    let config = home.write("s2.toml", &text);
    let ran = home.run(&[
        "watch",
        "--config",
        &config,
        "--no-store",
        "--socket",
        "s2.sock",
        "--quiet",
        "--duration",
        "1s",
    ]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let network = fs::read_to_string(home.path("network_monitor_general.log")).unwrap();
    let port = format!(":{}", listener.local_addr().unwrap().port());
    assert!(network.contains(&port), "{network}");
    assert!(!network.contains(" [MEDIUM] "), "{network}");
    let processes = fs::read_to_string(home.path("monitor_seguridad_local_general.log")).unwrap();
    assert!(!processes.contains("connection opened"), "{processes}");
}

/// The rows of a table by their header's names.
fn rows(text: &str) -> Vec<std::collections::HashMap<String, String>> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    reader.deserialize().map(Result::unwrap).collect()
}

#[test]
fn the_second_seed_writes_its_four_files() {
    let home = Home::new();
    let seed = home.run(&["config", "init", "--like", "s2"]);
    let config = home.write("s2.toml", &seed.out);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let watch = |home: &Home| {
        home.run(&[
            "watch",
            "--config",
            &config,
            "--tier",
            "poll",
            "--no-store",
            "--interval",
            "200ms",
            "--duration",
            "1s",
            "--quiet",
        ])
    };
    let stream = TcpStream::connect(address).unwrap();
    let ran = watch(&home);
    assert_eq!(ran.code, 0, "{ran:?}");
    let read = |name: &str| fs::read_to_string(home.path(name)).unwrap();
    let own = std::process::id().to_string();
    let processes = rows(&read("monitor_seguridad_local_procesos.csv"));
    let mine = processes.iter().find(|row| row["pid"] == own).unwrap();
    assert!(mine["path"].contains("/cli-"), "{mine:?}");
    assert!(
        mine["connections"].contains(&format!("tcp {} (LISTEN)", address)),
        "{mine:?}"
    );
    // Processes without any socket are in it, too.
    assert!(processes.iter().any(|row| row["connection_count"] == "0"));
    let events = rows(&read("network_connection_events.csv"));
    let port = address.port().to_string();
    let opened =
        |row: &&std::collections::HashMap<String, String>| row["event"] == "opened" && row["pid"] == own;
    let about = events.iter().filter(opened);
    let about: Vec<_> = about
        .filter(|row| [&row["local_port"], &row["remote_port"]].contains(&&port))
        .collect();
    let states: Vec<_> = about.iter().map(|row| row["state"].as_str()).collect();
    assert!(
        states.contains(&"LISTEN") && states.contains(&"ESTABLISHED"),
        "{events:?}"
    );
    for log in [
        "monitor_seguridad_local_general.log",
        "network_monitor_general.log",
    ] {
        let text = read(log);
        assert!(text.contains("[STATUS] tier poll  connections "), "{text}");
        assert!(
            text.lines().last().unwrap().contains("[STATUS] watched for "),
            "{text}"
        );
    }
    // A second start appends to the same tables.
    drop(stream);
    watch(&home);
    let table = read("monitor_seguridad_local_procesos.csv");
    assert_eq!(table.matches("timestamp,pid,").count(), 1);
    assert!(rows(&table).len() > processes.len());
}
