//! The socket table against another program's reading of it: every socket, its state and its processes, both ways.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde_json::Value;

use crate::actor::{self, Actor};
use crate::watch::ATALAYA;
use crate::world::World;
use crate::{rounds, run, skip};

/// One socket as both programs tell it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    transport: String,
    local: (IpAddr, u16),
    remote: (IpAddr, u16),
    state: String,
    /// The process that holds it. Of several, a listener's is the oldest (others inherited it) and a connection's the
    /// youngest (it was passed on to a worker); in a world of our own pids rise with time.
    pid: Option<u32>,
}

/// `[::ffff:192.0.2.1]%eth0:80`, `*:22`, `0.0.0.0:*` as an address and a port.
fn endpoint(text: &str) -> (IpAddr, u16) {
    let (host, port) = text.rsplit_once(':').unwrap();
    let host = host.split('%').next().unwrap().trim_matches(['[', ']']);
    let ip = if host == "*" {
        "::".parse().unwrap()
    } else {
        host.parse::<IpAddr>().unwrap()
    };
    (
        ip.to_canonical(),
        if port == "*" { 0 } else { port.parse().unwrap() },
    )
}

/// `ss` abbreviates.
fn state(text: &str) -> &str {
    match text {
        "ESTAB" => "ESTABLISHED",
        "SYN-SENT" => "SYN_SENT",
        "SYN-RECV" => "SYN_RECV",
        "FIN-WAIT-1" => "FIN_WAIT1",
        "FIN-WAIT-2" => "FIN_WAIT2",
        "TIME-WAIT" => "TIME_WAIT",
        "CLOSE-WAIT" => "CLOSE_WAIT",
        "LAST-ACK" => "LAST_ACK",
        other => other,
    }
}

/// A peer that is no peer has one spelling.
fn without_peer(row: &mut Row) {
    if row.remote.1 == 0 && row.remote.0.is_unspecified() {
        row.remote.0 = IpAddr::from([0, 0, 0, 0]);
    }
}

/// The table as `ss -tunapH` prints it.
fn of_ss(text: &str) -> Vec<Row> {
    let mut rows: Vec<_> = text
        .lines()
        .map(|line| {
            let mut words = line.split_whitespace();
            let transport = words.next().unwrap().to_owned();
            let state = state(words.next().unwrap()).to_owned();
            let mut words = words.skip(2);
            let (local, remote) = (endpoint(words.next().unwrap()), endpoint(words.next().unwrap()));
            let pids = line
                .split("pid=")
                .skip(1)
                .map(|rest| rest.split(',').next().unwrap().parse().unwrap());
            let accepts = state == "LISTEN" || state == "UNCONN";
            let pid = if accepts { pids.min() } else { pids.max() };
            let mut row = Row {
                transport,
                local,
                remote,
                state,
                pid,
            };
            without_peer(&mut row);
            row
        })
        .collect();
    rows.sort();
    rows
}

/// The table as `snapshot --all --output json` tells it.
fn of_snapshot(text: &str) -> Vec<Row> {
    let document: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let records = document["connections"].as_array().expect("a list of connections");
    let mut rows: Vec<_> = records
        .iter()
        .map(|record| {
            let text = |key: &str| {
                record[key]
                    .as_str()
                    .unwrap_or_else(|| panic!("no {key}: {record}"))
                    .to_owned()
            };
            let address = |ip: &str, port: &str| {
                let ip = record[ip]
                    .as_str()
                    .and_then(|ip| ip.parse().ok())
                    .unwrap_or(IpAddr::from([0, 0, 0, 0]));
                (ip, u16::try_from(record[port].as_u64().unwrap_or(0)).unwrap())
            };
            let mut row = Row {
                transport: text("protocol").to_lowercase(),
                local: address("local_address", "local_port"),
                remote: address("remote_address", "remote_port"),
                state: text("state"),
                pid: record["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()),
            };
            without_peer(&mut row);
            row
        })
        .collect();
    rows.sort();
    rows
}

/// Fails with both differences, a few of each.
#[track_caller]
fn assert_same(ours: &[Row], theirs: &[Row]) {
    let only = |these: &[Row], those: &[Row]| {
        let mut rest = those.to_vec();
        let mut missing = Vec::new();
        for row in these {
            match rest.binary_search(row) {
                Ok(at) => _ = rest.remove(at),
                Err(_) => missing.push(row.clone()),
            }
        }
        missing
    };
    let (invented, missed) = (only(ours, theirs), only(theirs, ours));
    assert!(
        invented.is_empty() && missed.is_empty(),
        "{} rows against {} of ss\nonly ours ({}): {:#?}\nonly ss ({}): {:#?}",
        ours.len(),
        theirs.len(),
        invented.len(),
        &invented[..invented.len().min(5)],
        missed.len(),
        &missed[..missed.len().min(5)],
    );
}

/// The actor under the name that the test gives it.
const PROGRAM: &str = "/usr/local/bin/actor";

#[test]
fn every_socket_state_and_process_as_ss_tells_them() {
    let Some(here) = World::new() else { return };
    let Some(there) = World::new() else { return };
    here.join(&there);
    actor::install(&here, PROGRAM, 1);
    actor::install(&there, PROGRAM, 1);
    let mut server = Actor::start(&there, PROGRAM);
    server.act("listen :: 8080");
    let mut actors: Vec<_> = (0..4).map(|_| Actor::start(&here, PROGRAM)).collect();
    actors.push(Actor::start_as(&here, PROGRAM, 65534));
    for (index, actor) in actors.iter_mut().enumerate() {
        let port = 7000 + index;
        for command in [
            format!("listen 0.0.0.0 {port}"),
            format!("listen ::1 {port}"),
            format!("tcp 127.0.0.1 {port} 40"),
            format!("tcp ::1 {port} 20"),
            "tcp 198.51.100.2 8080 20".to_owned(),
            "tcp 2001:db8::2 8080 10".to_owned(),
            format!("bind 0.0.0.0 {port}"),
            format!("bind 127.0.0.7 {port}"),
            format!("bind ::1 {port}"),
            format!("udp 127.0.0.1 {port}"),
            format!("udp ::1 {port}"),
            "udp 198.51.100.2 53".to_owned(),
        ] {
            actor.act(&command);
        }
    }
    // A dual-stack listener and an IPv4-mapped connection to it, sockets that several processes hold, sockets that
    // only the kernel holds any more, one that gets no answer.
    let mut command = here.command("python3");
    command.args([
        "-c",
        "import os, socket, sys
dual = socket.create_server(('::', 7100), family=socket.AF_INET6, dualstack_ipv6=True)
mapped = socket.create_connection(('127.0.0.1', 7100)); accepted, _ = dual.accept()
for _ in range(3):
    gone = socket.create_connection(('127.0.0.1', 7100)); other, _ = dual.accept(); gone.close(); other.close()
half = socket.create_connection(('127.0.0.1', 7100)); left, _ = dual.accept(); half.shutdown(socket.SHUT_WR)
waiting = socket.create_connection(('127.0.0.1', 7100))
silent = socket.socket(); silent.setblocking(False)
try: silent.connect(('203.0.113.200', 9))
except BlockingIOError: pass
if os.fork() == 0 or os.fork() == 0:
    sys.stdin.read(); os._exit(0)
print('ready', flush=True)
sys.stdin.read()",
    ]);
    let odd = here.start(command);
    crate::until("the odd sockets are there", || odd.text().contains("ready"));

    for round in 0..rounds(2, 5) {
        let snapshot = || {
            let output = here
                .command(ATALAYA)
                .args(["snapshot", "--all", "--quiet", "--output", "json"])
                .output()
                .unwrap();
            let errors = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(
                matches!(output.status.code(), Some(0 | 1)),
                "{:?} {errors}",
                output.status
            );
            String::from_utf8(output.stdout).unwrap()
        };
        let ours = of_snapshot(&snapshot());
        let theirs = of_ss(&here.shell("ss -tunapH"));
        assert!(theirs.len() > 600, "only {} sockets", theirs.len());
        assert_same(&ours, &theirs);
        // Something changes before the next round.
        actors[round % 5].act(&format!("tcp 127.0.0.1 {} 3", 7000 + round % 5));
    }
    println!(
        "soak: {} rounds of {} sockets agree with ss",
        rounds(2, 5),
        of_ss(&here.shell("ss -tunapH")).len()
    );
}

#[test]
fn this_very_host_as_ss_tells_it() {
    if run("id", &["-u"]) != "0\n" {
        return skip("the sockets of others need root (sudo -E ./test)");
    }
    let table = || BTreeSet::from_iter(of_ss(&run("ss", &["-tunapH"])));
    let before = table();
    let output = std::process::Command::new(ATALAYA)
        .args(["snapshot", "--all", "--quiet", "--output", "json", "--filter"])
        .arg(format!("netns:{}", namespace()))
        .output()
        .unwrap();
    let ours = BTreeSet::from_iter(of_snapshot(&String::from_utf8(output.stdout).unwrap()));
    let after = table();
    let missed: Vec<_> = before
        .intersection(&after)
        .filter(|row| !ours.contains(row))
        .collect();
    assert!(
        missed.is_empty(),
        "there before and after, not in the snapshot: {missed:#?}"
    );
    let invented: Vec<_> = ours
        .iter()
        .filter(|row| row.state != "TIME_WAIT" && !before.contains(*row) && !after.contains(*row))
        .collect();
    // A socket that lived only in between may be seen; two are chance, more are a mistake.
    assert!(
        invented.len() <= 2,
        "in the snapshot, not there before or after: {invented:#?}"
    );
}

/// The inode number of our network namespace.
fn namespace() -> String {
    let link = std::fs::read_link("/proc/self/ns/net").unwrap();
    link.to_string_lossy()
        .trim_start_matches("net:[")
        .trim_end_matches(']')
        .to_owned()
}

#[test]
fn lines_of_ss_are_read() {
    let rows = of_ss(
        "tcp   ESTAB  0  0  [::ffff:127.0.0.1]:7100  [::ffff:127.0.0.1]:4000 users:((\"a\",pid=7,fd=3),(\"b\",pid=9,fd=3))\n\
         udp   UNCONN 0  0  127.0.0.53%lo:53 0.0.0.0:*\n\
         tcp   LISTEN 0  5  *:7100 *:*\n",
    );
    assert_eq!(rows.len(), 3);
    assert_eq!(rows[0].local.0, IpAddr::from([127, 0, 0, 1]));
    assert_eq!(rows[0].pid, Some(9));
    assert_eq!(rows[1].state, "LISTEN");
    assert_eq!(rows[2].local.1, 53);
}
