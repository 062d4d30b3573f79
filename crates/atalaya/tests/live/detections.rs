//! What an attacker does, and that each is told once, by name, at its severity, with the right process and hash,
//! and that nothing else is.

use crate::actor::{self, Actor};
use crate::configuration::configuration;
use crate::watch::{Told, Watch};
use crate::world::World;

/// Where an ordinary program lives.
const AGENT: &str = "/usr/local/sbin/agent";

/// What else may be told, as (rule, severity): the low and info remarks that honestly belong to the same act.
type Companions = &'static [(&'static str, &'static str)];

/// Two hosts on one wire. On ours an agent talks to the other one's port 443 while the watcher learns.
struct Scene {
    here: World,
    _there: World,
    _server: Actor,
    agent: Actor,
    agent_hash: String,
    watch: Watch,
}

impl Scene {
    /// Sets it up and waits until learning is over.
    fn learnt(flags: &[&str]) -> Option<Self> {
        let here = World::new()?;
        let there = World::new()?;
        here.join(&there);
        actor::install(&there, AGENT, 9);
        let mut server = Actor::start(&there, AGENT);
        for port in [22, 443, 4444] {
            server.act(&format!("listen 0.0.0.0 {port}"));
        }
        let agent_hash = actor::install(&here, AGENT, 1);
        let mut agent = Actor::start(&here, AGENT);
        agent.act("tcp 198.51.100.2 443 2");
        let mut watch = Watch::start(&here, &configuration(), flags);
        watch.learnt();
        assert_eq!(watch.alerts(), [], "told while it should learn silently");
        Some(Self {
            here,
            _there: there,
            _server: server,
            agent,
            agent_hash,
            watch,
        })
    }

    /// Waits for the alert, and checks that it is told once, as it should be, and nothing else serious with it.
    #[track_caller]
    fn told_once(
        mut self,
        rule: &str,
        severity: &str,
        pid: u32,
        path: &str,
        hash: &str,
        companions: Companions,
    ) {
        self.watch.expect(rule);
        let wanted = Told {
            rule: rule.to_owned(),
            severity: severity.to_owned(),
            pid: Some(pid.into()),
            executable: Some(path.to_owned()),
            sha256: Some(hash.to_owned()),
        };
        let (same, others): (Vec<_>, Vec<_>) = self
            .watch
            .alerts()
            .into_iter()
            .partition(|told| told.rule == rule);
        assert_eq!(same, [wanted]);
        let uninvited: Vec<_> = others
            .iter()
            .filter(|told| {
                told.is_serious() || !companions.contains(&(told.rule.as_str(), told.severity.as_str()))
            })
            .collect();
        assert!(uninvited.is_empty(), "also told: {uninvited:#?}");
        assert_eq!(self.watch.end(), Some(0), "{}", self.watch.program.said());
    }
}

#[test]
fn blocklisted_address() {
    let Some(mut scene) = Scene::learnt(&["--no-store"]) else {
        return;
    };
    scene.agent.act("tcp 203.0.113.2 443 1");
    let (pid, hash) = (scene.agent.inner_pid(), scene.agent_hash.clone());
    scene.told_once("blocklisted_address", "high", pid, AGENT, &hash, &[]);
}

#[test]
fn suspicious_port() {
    let Some(mut scene) = Scene::learnt(&["--no-store"]) else {
        return;
    };
    scene.agent.act("tcp 198.51.100.2 4444 1");
    let (pid, hash) = (scene.agent.inner_pid(), scene.agent_hash.clone());
    // 4444 is no port of everyday use either.
    scene.told_once(
        "suspicious_port",
        "high",
        pid,
        AGENT,
        &hash,
        &[("uncommon_port", "low")],
    );
}

#[test]
fn excessive_connections() {
    let Some(mut scene) = Scene::learnt(&["--no-store"]) else {
        return;
    };
    scene.agent.act("tcp 198.51.100.2 443 60");
    let (pid, hash) = (scene.agent.inner_pid(), scene.agent_hash.clone());
    scene.told_once("excessive_connections", "medium", pid, AGENT, &hash, &[]);
}

#[test]
fn unusual_listener() {
    let Some(mut scene) = Scene::learnt(&["--no-store"]) else {
        return;
    };
    scene.agent.act("listen 0.0.0.0 31337");
    let (pid, hash) = (scene.agent.inner_pid(), scene.agent_hash.clone());
    scene.told_once("unusual_listener", "medium", pid, AGENT, &hash, &[]);
}

/// A program in shared memory is new as well: its start and its first use of the network are remarked on.
const STARTED: Companions = &[("new_process", "info"), ("new_executable", "low")];

#[test]
fn suspicious_path() {
    let Some(scene) = Scene::learnt(&["--no-store"]) else {
        return;
    };
    let path = "/dev/shm/update";
    let hash = actor::install(&scene.here, path, 2);
    let mut intruder = Actor::start(&scene.here, path);
    intruder.act("tcp 198.51.100.2 443 1");
    scene.told_once(
        "suspicious_path",
        "medium",
        intruder.inner_pid(),
        path,
        &hash,
        STARTED,
    );
}

#[test]
fn deleted_executable() {
    let Some(mut scene) = Scene::learnt(&["--no-store"]) else {
        return;
    };
    std::fs::remove_file(scene.here.outside(AGENT)).unwrap();
    scene.agent.act("tcp 198.51.100.2 443 1");
    let (pid, hash) = (scene.agent.inner_pid(), scene.agent_hash.clone());
    scene.told_once("deleted_executable", "high", pid, AGENT, &hash, &[]);
}

#[test]
fn changed_executable() {
    let Some(mut scene) = Scene::learnt(&["--store", "atalaya.db"]) else {
        return;
    };
    scene.agent.program.signal("KILL");
    scene.agent.program.wait();
    let hash = actor::install(&scene.here, AGENT, 2);
    assert_ne!(hash, scene.agent_hash);
    let mut replaced = Actor::start(&scene.here, AGENT);
    replaced.act("tcp 198.51.100.2 443 1");
    scene.told_once(
        "changed_executable",
        "high",
        replaced.inner_pid(),
        AGENT,
        &hash,
        STARTED,
    );
}

#[test]
fn a_process_between_two_looks_is_not_lost() {
    // The socket is closed long before the next look; its end is told by the kernel.
    let Some(mut scene) = Scene::learnt(&["--no-store", "--interval", "1s"]) else {
        return;
    };
    scene.agent.act("churn 198.51.100.2 443 5");
    scene.watch.settle();
    let closed = scene
        .watch
        .records()
        .iter()
        .filter(|record| {
            record.pointer("/event/action").and_then(|action| action.as_str()) == Some("connection_closed")
        })
        .count();
    assert!(closed >= 5, "{closed} of 5 short connections seen");
}
