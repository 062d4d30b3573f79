//! How a run begins, what goes to which stream, and how it ends.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::actor::{self, Actor};
use crate::configuration::configuration;
use crate::until;
use crate::watch::{ATALAYA, SOCKET, Watch};
use crate::world::World;

/// A world in which an agent talks to port 4444 of another one.
fn infected() -> Option<(World, World, Actor, Actor)> {
    let here = World::new()?;
    let there = World::new()?;
    here.join(&there);
    for world in [&here, &there] {
        actor::install(world, "/usr/local/bin/agent", 1);
    }
    let mut server = Actor::start(&there, "/usr/local/bin/agent");
    server.act("listen 0.0.0.0 4444");
    let mut agent = Actor::start(&here, "/usr/local/bin/agent");
    agent.act("tcp 198.51.100.2 4444 2");
    Some((here, there, server, agent))
}

/// Runs to the end; exit code, stdout, stderr.
fn done(world: &World, flags: &[&str]) -> (i32, String, String) {
    let output = world.command(ATALAYA).args(flags).output().unwrap();
    (
        output.status.code().expect("ended by a signal"),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[test]
fn a_clean_host_gives_0_and_an_infected_one_1() {
    let Some(world) = World::new() else { return };
    let (code, _, said) = done(&world, &["snapshot"]);
    assert_eq!(code, 0, "{said}");
    let Some((here, _there, _server, _agent)) = infected() else {
        return;
    };
    let (code, text, said) = done(&here, &["snapshot"]);
    assert_eq!(code, 1, "{said}");
    for word in ["suspicious_port", "4444", "agent", "198.51.100.2:4444"] {
        assert!(text.contains(word), "no {word:?} in:\n{text}");
    }
    let (alone, other, _) = done(&here, &[]);
    assert_eq!(alone, 1);
    assert!(
        other.contains("suspicious_port"),
        "without a verb it is a snapshot:\n{other}"
    );
}

#[test]
fn the_document_of_a_snapshot_has_what_the_seed_had() {
    let Some((here, _there, _server, agent)) = infected() else {
        return;
    };
    let (code, text, said) = done(&here, &["snapshot", "--output", "json", "--quiet"]);
    assert_eq!(code, 1);
    assert_eq!(said, "", "--quiet is quiet");
    assert_eq!(text.lines().count(), 1, "one line where it is not a terminal");
    let document: Value = serde_json::from_str(&text).unwrap();
    for key in [
        "timestamp",
        "duration",
        "total_connections",
        "alert_count",
        "alerts",
        "statistics",
        "connections",
    ] {
        assert!(document.get(key).is_some(), "no {key}: {document}");
    }
    for key in [
        "established_count",
        "by_protocol",
        "by_state",
        "by_process",
        "listening_ports",
        "external_ips",
    ] {
        assert!(
            document["statistics"].get(key).is_some(),
            "no statistics.{key}: {document}"
        );
    }
    let alerts = document["alerts"].as_array().unwrap();
    assert_eq!(document["alert_count"], alerts.len());
    for alert in alerts {
        for key in ["rule_name", "severity", "description", "recommendation"] {
            assert!(alert[key].is_string(), "no {key}: {alert}");
        }
    }
    assert!(alerts.iter().any(|alert| {
        alert["rule_name"]
            .as_str()
            .is_some_and(|name| name.eq_ignore_ascii_case("suspicious_port"))
            && alert["severity"]
                .as_str()
                .is_some_and(|severity| severity.eq_ignore_ascii_case("high"))
    }));
    assert_eq!(document["statistics"]["established_count"], 2);
    let connections = document["connections"].as_array().unwrap();
    assert!(
        connections
            .iter()
            .any(|connection| connection["pid"] == agent.inner_pid()),
        "{document}"
    );
}

#[test]
fn csv_has_a_header_and_a_row_for_each_connection() {
    let Some((here, _there, _server, _agent)) = infected() else {
        return;
    };
    let (_, text, _) = done(
        &here,
        &["snapshot", "--all", "--output", "csv", "--filter", "dport:4444"],
    );
    assert_eq!(text.lines().count(), 3, "{text}");
    let header = text.lines().next().unwrap();
    for column in ["transport", "source_ip", "destination_port", "pid"] {
        assert!(
            header.split(',').any(|name| name == column),
            "no {column} in {header}"
        );
    }
}

#[test]
fn signals_end_it_cleanly_with_a_summary() {
    let Some((here, _there, _server, _agent)) = infected() else {
        return;
    };
    for signal in ["INT", "TERM"] {
        // A store of its own: what was told a moment ago is not told again.
        let store = format!("{signal}.db");
        let mut watch = Watch::start(&here, &configuration(), &["--store", &store, "--no-learning"]);
        watch.expect("suspicious_port");
        watch.program.signal(signal);
        assert_eq!(watch.program.wait().code(), Some(0), "{}", watch.program.said());
        let said = watch.program.said();
        assert!(
            said.contains("alert") && said.contains("connection"),
            "no summary: {said:?}"
        );
        assert!(!watch.records().is_empty(), "every line is a whole document");
        assert!(!here.outside(SOCKET).exists(), "the control socket is taken away");
    }
}

#[test]
fn fail_on_decides_the_exit() {
    let Some((here, _there, _server, _agent)) = infected() else {
        return;
    };
    fs::write(here.path("atalaya.toml"), configuration()).unwrap();
    let run = |more: &[&str]| {
        let flags = [
            "watch",
            "--no-store",
            "--no-learning",
            "--duration",
            "2s",
            "--config",
            "atalaya.toml",
        ];
        done(&here, &[&flags, more].concat())
    };
    assert_eq!(run(&[]).0, 0);
    assert_eq!(run(&["--fail-on", "high"]).0, 1);
    assert_eq!(run(&["--fail-on", "critical"]).0, 0);
    assert_eq!(run(&["--fail-on", "loud"]).0, 2);
    // Alerts are data, the rest is talk.
    let (_, text, _) = run(&[]);
    assert!(text.lines().any(|line| line.contains("4444")), "{text}");
    assert!(!text.contains('\u{1b}'), "colour where there is no terminal");
    let (_, text, _) = run(&["--lang", "es", "--verbose"]);
    assert!(text.to_lowercase().contains("puerto"), "{text}");
}

#[test]
fn duration_and_heartbeat() {
    let Some(world) = World::new() else { return };
    fs::write(world.path("atalaya.toml"), configuration()).unwrap();
    let flags = [
        "watch",
        "--no-store",
        "--no-learning",
        "--interval",
        "200ms",
        "--duration",
        "2s",
    ];
    let (code, text, said) = done(
        &world,
        &[&flags[..], &["--heartbeat", "--config", "atalaya.toml"]].concat(),
    );
    assert_eq!(code, 0, "{said}");
    let both = text.clone() + &said;
    assert!(both.matches("No anomalies detected.").count() >= 3, "{both}");
    let (_, text, _) = done(
        &world,
        &[&flags[..], &["--quiet", "--config", "atalaya.toml"]].concat(),
    );
    assert_eq!(text, "", "nothing to tell");
}

#[test]
fn only_the_chosen_events_are_written() {
    let Some((here, _there, _server, mut agent)) = infected() else {
        return;
    };
    fs::write(here.path("atalaya.toml"), configuration()).unwrap();
    let mut command = here.command(ATALAYA);
    command.args([
        "watch",
        "--no-store",
        "--output",
        "json",
        "--events",
        "connection",
        "--interval",
        "200ms",
    ]);
    command.args(["--filter", "dport:4444", "--config", "atalaya.toml"]);
    let mut watch = here.start(command);
    agent.act("bind 127.0.0.1 5353");
    agent.act("listen 127.0.0.1 4444");
    agent.act("tcp 198.51.100.2 4444 1");
    until("all are told", || {
        watch.text().matches("connection_opened").count() >= 3 || watch.ended()
    });
    watch.signal("TERM");
    assert_eq!(watch.wait().code(), Some(0), "{}", watch.said());
    for line in watch.text().lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let kind = record.pointer("/event/kind").and_then(Value::as_str);
        if kind != Some("alert") {
            assert_eq!(
                record.pointer("/destination/port"),
                Some(&4444.into()),
                "{record}"
            );
            assert!(record.get("@timestamp").is_some(), "{record}");
        }
    }
}

#[test]
fn status_asks_the_watcher_and_says_when_there_is_none() {
    let Some((here, _there, _server, _agent)) = infected() else {
        return;
    };
    let (code, _, said) = done(&here, &["status", "--socket", SOCKET]);
    assert_ne!(code, 0);
    assert!(said.contains(SOCKET), "{said}");
    let mut watch = Watch::start(
        &here,
        &configuration(),
        &["--store", "atalaya.db", "--no-learning"],
    );
    watch.expect("suspicious_port");
    let mode = fs::metadata(here.outside(SOCKET)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o660);
    let (code, text, said) = done(&here, &["status", "--socket", SOCKET]);
    assert_eq!(code, 0, "{said}");
    assert!(text.contains("\ntier          "), "{text}");
    let (_, text, _) = done(&here, &["status", "--output", "json", "--socket", SOCKET]);
    let status: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(status["pid"], watch.program.inner_pid);
    assert!(status["connections"].as_u64().unwrap() >= 2, "{status}");
    assert_eq!(watch.end(), Some(0));
}

#[test]
fn alerts_are_listed_acknowledged_and_closed_with_and_without_a_watcher() {
    let Some((here, _there, _server, _agent)) = infected() else {
        return;
    };
    let mut watch = Watch::start(
        &here,
        &configuration(),
        &["--store", "atalaya.db", "--no-learning"],
    );
    watch.expect("suspicious_port");
    let alerts = |verb: &[&str]| {
        let flags = [&["alerts"], verb, &["--store", "atalaya.db", "--socket", SOCKET]].concat();
        let (code, text, said) = done(&here, &flags);
        assert_eq!(code, 0, "{verb:?}: {said}");
        text
    };
    until("it is in the store", || {
        alerts(&["list"]).contains("suspicious_port")
    });
    let listed = alerts(&["list", "--output", "csv", "--filter", "rule:suspicious_port"]);
    let mut lines = listed.lines();
    let column = lines
        .next()
        .unwrap()
        .split(',')
        .position(|name| name == "alert_id")
        .expect(&listed);
    let id = lines.next().unwrap().split(',').nth(column).unwrap().to_owned();
    alerts(&["ack", &id, "--note", "looking at it"]);
    until("the note is kept", || {
        alerts(&["show", &id]).contains("looking at it")
    });
    assert_eq!(watch.end(), Some(0), "{}", watch.program.said());
    alerts(&["close", &id, "--as", "false-positive", "--note", "our own test"]);
    let shown = alerts(&["show", &id]);
    assert!(
        shown.contains("false-positive") && shown.contains("our own test"),
        "{shown}"
    );
    assert!(!alerts(&["list", "--open"]).contains("suspicious_port"));
}

#[test]
fn a_reader_that_goes_away_ends_it() {
    let Some((here, _there, _server, _agent)) = infected() else {
        return;
    };
    fs::write(here.path("atalaya.toml"), configuration()).unwrap();
    let code = here.shell(&format!(
        "{{ timeout 30 {ATALAYA} watch --no-store --no-learning --output json --events all --interval 100ms \
           --config atalaya.toml 2>errors && echo 0 >code || echo $? >code; }} | head -n 1 >/dev/null; cat code"
    ));
    let errors = fs::read_to_string(here.path("errors")).unwrap();
    assert_eq!(code, "0\n", "124 is: it went on for half a minute. {errors}");
    assert!(!errors.contains("panicked"), "{errors}");
    for format in ["text", "json", "csv"] {
        let code = here.shell(&format!(
            "{{ {ATALAYA} snapshot --all --output {format} 2>errors && echo 0 >code || echo $? >code; }} | true; cat code"
        ));
        let errors = fs::read_to_string(here.path("errors")).unwrap();
        assert_eq!(
            (code.as_str(), errors.as_str()),
            ("1\n", ""),
            "{format}: a reader may read as much as it likes"
        );
    }
}

#[test]
fn a_full_disk_under_standard_output_is_said() {
    let Some(world) = World::new() else { return };
    let said = world.shell(&format!("{ATALAYA} snapshot --all 2>&1 >/dev/full || echo $?"));
    assert!(said.ends_with("3\n") && said.contains("No space left"), "{said}");
}

#[test]
fn the_unit_is_valid_and_the_watchdog_is_fed() {
    let Some(world) = World::new() else { return };
    let (code, unit, said) = done(&world, &["service", "install", "--print"]);
    assert_eq!(code, 0, "{said}");
    for word in ["Type=notify", "WatchdogSec="] {
        assert!(unit.contains(word), "no {word} in:\n{unit}");
    }
    world.shell(&format!(
        "install -m 755 {ATALAYA} /usr/bin/atalaya; install -m 755 {ATALAYA} /usr/local/bin/atalaya"
    ));
    fs::write(world.path("atalaya.service"), &unit).unwrap();
    if std::path::Path::new("/usr/bin/systemd-analyze").exists() {
        let output = world
            .command("systemd-analyze")
            .args(["verify", "--man=no", "./atalaya.service"])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            output.status.success() && !said.contains("atalaya.service:"),
            "{said}"
        );
    } else {
        crate::skip("systemd-analyze is not installed");
    }
    // A service manager of our own.
    let mut command = world.command("python3");
    command.args([
        "-c",
        "import socket
manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); manager.bind('notify')
print('ready', flush=True)
while True: print(manager.recv(4096).decode().replace('\\n', ' '), flush=True)",
    ]);
    let manager = world.start(command);
    until("the manager listens", || manager.text().contains("ready"));
    fs::write(world.path("atalaya.toml"), configuration()).unwrap();
    let mut command = world.command("sh");
    command
        .env("NOTIFY_SOCKET", world.path("notify"))
        .env("WATCHDOG_USEC", "1000000");
    command.args([
        "-c",
        &format!("WATCHDOG_PID=$$ exec {ATALAYA} watch --no-store --quiet --config atalaya.toml"),
    ]);
    let mut watch = world.start(command);
    until("READY and three times WATCHDOG", || {
        let told = manager.text();
        (told.contains("READY=1") && told.matches("WATCHDOG=1").count() >= 3) || watch.ended()
    });
    watch.signal("TERM");
    assert_eq!(watch.wait().code(), Some(0), "{}", watch.said());
    until("STOPPING", || manager.text().contains("STOPPING=1"));
}
