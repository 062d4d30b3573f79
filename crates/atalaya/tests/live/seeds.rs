//! What each of the five seed tools wrote, Atalaya writes with `config init --like`: names, shapes, thresholds.

use std::fs;

use serde_json::Value;

use crate::actor::{self, Actor};
use crate::program::Program;
use crate::until;
use crate::watch::ATALAYA;
use crate::world::World;

/// Two hosts, an agent on ours, and a watcher with the configuration of one seed in the folder where its files go.
struct Seed {
    here: World,
    _there: World,
    _server: Actor,
    agent: Actor,
    watch: Program,
}

impl Seed {
    /// `change` edits the configuration as its owner would, `flags` go to `watch`.
    fn start(seed: &str, change: impl FnOnce(String) -> String, flags: &[&str]) -> Option<Self> {
        let here = World::new()?;
        let there = World::new()?;
        here.join(&there);
        for world in [&here, &there] {
            actor::install(world, "/usr/local/bin/agent", 1);
        }
        let mut server = Actor::start(&there, "/usr/local/bin/agent");
        for port in [80, 443, 8123] {
            server.act(&format!("listen 0.0.0.0 {port}"));
        }
        let output = here
            .command(ATALAYA)
            .args(["config", "init", "--like", seed])
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(
            output.status.code(),
            Some(0),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        fs::write(here.path("seed.toml"), change(text)).unwrap();
        here.shell(&format!("{ATALAYA} config check --config seed.toml"));
        let agent = Actor::start(&here, "/usr/local/bin/agent");
        let mut command = here.command(ATALAYA);
        command.args([
            "watch",
            "--config",
            "seed.toml",
            "--interval",
            "200ms",
            "--no-learning",
            "--no-store",
        ]);
        let watch = here.start({
            command.args(flags);
            command
        });
        Some(Self {
            here,
            _there: there,
            _server: server,
            agent,
            watch,
        })
    }

    /// Waits until a file of the seed contains something, ends the watch, and gives the file.
    #[track_caller]
    fn written(&mut self, name: &str, word: &str) -> String {
        let find = |world: &World| {
            let folder = world.path(name);
            let log = world.outside(&format!("/var/log/atalaya/{name}"));
            fs::read_to_string(folder)
                .or_else(|_| fs::read_to_string(log))
                .unwrap_or_default()
        };
        for _ in 0..200 {
            if find(&self.here).contains(word) || self.watch.ended() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        let text = find(&self.here);
        assert!(
            text.contains(word),
            "no {word:?} in {name}: {text:?}; watch said: {}",
            self.watch.said()
        );
        text
    }
}

#[test]
fn s1_writes_alertas_red_log_and_knows_safe_ports() {
    let Some(mut seed) = Seed::start("s1", |text| text, &[]) else {
        return;
    };
    seed.agent.act("tcp 198.51.100.2 443 1");
    seed.agent.act("tcp 198.51.100.2 8123 1");
    let log = seed.written("alertas_red.log", "8123");
    assert!(log.contains("agent") && log.contains("198.51.100.2"), "{log}");
    assert!(!log.contains("198.51.100.2:443"), "443 is a safe port: {log}");
}

#[test]
fn s2_writes_its_logs_and_tables() {
    let Some(mut seed) = Seed::start("s2", |text| text, &[]) else {
        return;
    };
    actor::install(&seed.here, "/dev/shm/odd", 2);
    let mut odd = Actor::start(&seed.here, "/dev/shm/odd");
    odd.act("tcp 198.51.100.2 443 1");
    let log = seed.written("monitor_seguridad_local_general.log", "/dev/shm/odd");
    assert!(
        log.lines().all(|line| line.starts_with("20")),
        "a line without its time: {log}"
    );
    // The event is written when its interval is over, the process with the first scan.
    let events = seed.written("network_connection_events.csv", ",/dev/shm/odd,");
    let row = events.lines().find(|row| row.contains(",/dev/shm/odd,")).unwrap();
    assert!(
        row.contains(",opened,") && row.contains(",198.51.100.2,443,"),
        "{row}"
    );
    let processes = seed.written("monitor_seguridad_local_procesos.csv", ",/dev/shm/odd,");
    let row = processes
        .lines()
        .find(|row| row.contains(",/dev/shm/odd,"))
        .unwrap();
    let has_digest = row
        .split(',')
        .any(|cell| cell.len() == 64 && cell.bytes().all(|b| b.is_ascii_hexdigit()));
    assert!(has_digest, "{row}");
    assert!(row.contains("198.51.100.2:443"), "{row}");
}

#[test]
fn s3_writes_a_whole_document_for_each_look() {
    let flags = ["--quiet", "--output", "json", "--events", "snapshot"];
    let Some(mut seed) = Seed::start("s3", |text| text, &flags) else {
        return;
    };
    seed.agent.act("tcp 198.51.100.2 443 51");
    until("high connection count is told", || {
        seed.watch.text().contains("HIGH_CONNECTION_COUNT") || seed.watch.ended()
    });
    seed.watch.signal("TERM");
    assert_eq!(seed.watch.wait().code(), Some(0), "{}", seed.watch.said());
    let documents: Vec<Value> = seed
        .watch
        .text()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let whole: Vec<_> = documents
        .iter()
        .filter(|document| document.get("total_connections").is_some())
        .collect();
    assert!(whole.len() >= 2, "{} documents", whole.len());
    for document in whole {
        for key in ["timestamp", "duration", "alert_count", "alerts", "statistics"] {
            assert!(document.get(key).is_some(), "no {key}: {document}");
        }
    }
}

#[test]
fn s4_is_a_valid_configuration() {
    let Some(mut seed) = Seed::start("s4", |text| text, &["--quiet", "--duration", "2s"]) else {
        return;
    };
    assert_eq!(seed.watch.wait().code(), Some(0), "{}", seed.watch.said());
}

#[test]
fn s5_writes_exactly_its_two_records() {
    let block = |text: String| {
        let listed = text.lines().map(|line| {
            if line.trim_start_matches("# ").starts_with("addresses = ") {
                "addresses = [\"203.0.113.2\"]".to_owned()
            } else {
                line.to_owned()
            }
        });
        listed.collect::<Vec<_>>().join("\n")
    };
    let Some(mut seed) = Seed::start("s5", block, &[]) else {
        return;
    };
    // Twenty are allowed, more are not.
    seed.agent.act("tcp 198.51.100.2 443 21");
    seed.agent.act("tcp 203.0.113.2 80 1");
    let log = seed.written("network_alerts.log", "203.0.113.2");
    assert!(log.lines().all(|line| line.starts_with("20")), "{log}");
    seed.written("network_alerts.json", "Excessive connections");
    let json = seed.written("network_alerts.json", "Blacklisted IP");
    let pid = u64::from(seed.agent.inner_pid());
    let mut reasons = Vec::new();
    for line in json.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let keys: Vec<_> = record.as_object().unwrap().keys().map(String::as_str).collect();
        let reason = record["reason"].as_str().unwrap().to_owned();
        let time = record["timestamp"].as_str().unwrap();
        let shape: String = time
            .chars()
            .map(|c| if c.is_ascii_digit() { '0' } else { c })
            .collect();
        assert_eq!(shape, "0000-00-00 00:00:00");
        assert_eq!(record["pid"], pid);
        match reason.as_str() {
            "Blacklisted IP" => {
                let mut wanted = [
                    "timestamp",
                    "pid",
                    "local_ip",
                    "local_port",
                    "remote_ip",
                    "remote_port",
                    "reason",
                ];
                let mut keys = keys.clone();
                keys.sort_unstable();
                wanted.sort_unstable();
                assert_eq!(keys, wanted);
                assert_eq!(record["local_ip"], "203.0.113.1");
                assert_eq!(record["remote_ip"], "203.0.113.2");
                assert_eq!(record["remote_port"], 80);
            }
            "Excessive connections" => {
                let mut keys = keys.clone();
                keys.sort_unstable();
                assert_eq!(keys, ["connections", "pid", "reason", "timestamp"]);
                assert!(record["connections"].as_u64().unwrap() > 20, "{record}");
            }
            other => panic!("no reason of the seed's: {other}"),
        }
        reasons.push(reason);
    }
    reasons.sort();
    assert_eq!(reasons, ["Blacklisted IP", "Excessive connections"]);
}

#[test]
fn twenty_connections_are_not_excessive_to_s5() {
    let Some(mut seed) = Seed::start("s5", |text| text, &["--output", "json", "--events", "snapshot"]) else {
        return;
    };
    seed.agent.act("tcp 198.51.100.2 443 20");
    until("a few looks are done", || {
        seed.watch.text().matches("total_connections").count() > 4 || seed.watch.ended()
    });
    assert!(!seed.watch.ended(), "{}", seed.watch.said());
    assert!(!seed.watch.text().contains("HIGH_CONNECTION_COUNT"));
}
