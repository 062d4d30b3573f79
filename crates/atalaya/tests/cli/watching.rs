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
