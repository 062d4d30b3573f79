//! A long watch of a host that never rests: memory and descriptors reach a plateau.

use std::fs;
use std::time::{Duration, Instant};

use crate::actor::{self, Actor};
use crate::configuration::configuration;
use crate::watch::ATALAYA;
use crate::world::World;
use crate::{is_quick, rounds, skip};

/// Resident memory of a process in KiB.
fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

#[test]
fn memory_reaches_a_plateau() {
    if is_quick() {
        return skip("a long one (--quick)");
    }
    let Some(here) = World::new() else { return };
    actor::install(&here, "/usr/local/bin/agent", 1);
    let mut agent = Actor::start(&here, "/usr/local/bin/agent");
    agent.act("listen 127.0.0.1 443");
    agent.act("bind 127.0.0.1 53");
    fs::write(here.path("atalaya.toml"), configuration()).unwrap();
    let mut command = here.command(ATALAYA);
    command.args([
        "watch",
        "--output",
        "json",
        "--events",
        "all",
        "--no-learning",
        "--interval",
        "200ms",
    ]);
    command.args(["--store", "atalaya.db", "--config", "atalaya.toml"]);
    command.stdout(std::process::Stdio::null());
    let mut watch = here.start(command);

    let seconds = rounds(5, 40) as u64;
    let begin = Instant::now();
    let mut samples = Vec::new();
    while begin.elapsed() < Duration::from_secs(seconds) {
        agent.act("churn 127.0.0.1 443 300");
        agent.act("query 127.0.0.1 53 300");
        here.shell("for i in 1 2 3 4 5 6 7 8 9 10; do /bin/true; done");
        watch.output.lock().unwrap().clear();
        assert!(!watch.ended(), "{}", watch.said());
        samples.push(resident(watch.pid));
    }
    let half = samples.len() / 2;
    let (early, late) = (
        samples[..half].iter().max().unwrap(),
        samples[half..].iter().max().unwrap(),
    );
    println!(
        "soak: {seconds} s, {} rounds, memory {early} KiB then {late} KiB",
        samples.len()
    );
    assert!(*late < 150 * 1024, "{late} KiB");
    assert!(
        *late <= early + early / 4 + 4096,
        "memory grows: {early} KiB, then {late} KiB"
    );
    watch.signal("TERM");
    assert_eq!(watch.wait().code(), Some(0), "{}", watch.said());
}
