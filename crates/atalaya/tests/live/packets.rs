//! `watch --packets` on a wire between two worlds: what packets tell and what the kernel tells is one record.

mod burst;
mod captured;
mod edges;
mod programs;

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::program::Program;
use crate::until;
use crate::watch::ATALAYA;
use crate::world::World;

/// Where these watchers can be asked, in their world.
const SOCKET: &str = "/run/packets.sock";

/// A running `watch --packets`.
struct Watched {
    program: Program,
}

impl Watched {
    /// Watches, and reads the packets of these interfaces, once they are captured.
    fn start(world: &World, tier: &str, interfaces: &[&str], events: &str) -> Self {
        Self::start_with(world, tier, interfaces, events, "")
    }

    /// As `start`, with more settings.
    fn start_with(world: &World, tier: &str, interfaces: &[&str], events: &str, settings: &str) -> Self {
        let settings = format!("[watch]\nlearning = \"1s\"\n{settings}");
        std::fs::write(world.path("packets.toml"), settings).unwrap();
        let mut command = world.command(ATALAYA);
        command
            .args(["watch", "--output", "json", "--interval", "500ms", "--no-store"])
            .args(["--tier", tier, "--events", events, "--socket", SOCKET])
            .args(["--config", "packets.toml", "--packets"])
            .args(interfaces);
        let mut watched = Self {
            program: world.start(command),
        };
        until("packets are read and the first look is done", || {
            let said = watched.program.said();
            let all = interfaces
                .iter()
                .all(|name| said.contains(&format!("reads packets of {name}")));
            (all && world.path("packets.toml").exists() && watched.is_ready(world)) || watched.program.ended()
        });
        assert!(!watched.program.ended(), "{}", watched.program.said());
        watched
    }

    fn is_ready(&self, world: &World) -> bool {
        let status = self.status(world);
        status["processes"].as_u64().is_some_and(|count| count > 0)
    }

    /// What `atalaya status` says.
    fn status(&self, world: &World) -> Value {
        let mut command = world.command(ATALAYA);
        command.args(["status", "--output", "json", "--socket", SOCKET]);
        let output = command.output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
    }

    /// Every record so far, whole lines only.
    fn records(&self) -> Vec<Value> {
        let lines = self.program.output.lock().unwrap();
        let whole = lines.iter().filter(|line| line.ends_with(b"\n"));
        whole.map(|line| serde_json::from_slice(line).unwrap()).collect()
    }

    /// Waits until as many conversations with this port of the destination have ended.
    #[track_caller]
    fn wait_for(&self, port: u16, count: usize) {
        let mark = format!("\"port\":{port}");
        let (mut read, mut ended) = (0, 0);
        let end = Instant::now() + Duration::from_secs(60);
        while ended < count {
            assert!(
                Instant::now() < end,
                "{ended} of {count} conversations to port {port} ended"
            );
            std::thread::sleep(Duration::from_millis(100));
            // Not parsed, and each line only once: there are many, and the watcher waits for whoever reads them.
            let lines = self.program.output.lock().unwrap()[read..].to_vec();
            let has = |line: &Vec<u8>| {
                let line = String::from_utf8_lossy(line);
                line.contains("\"connection_closed\"") && line.contains(&mark)
            };
            read += lines.len();
            ended += lines.into_iter().filter(has).count();
        }
    }

    /// Ends it, and gives every record.
    #[track_caller]
    fn end(mut self) -> (Vec<Value>, String) {
        self.program.signal("TERM");
        let code = self.program.wait().code();
        let said = self.program.said();
        assert_eq!(code, Some(0), "{said}");
        (self.records(), said)
    }
}

/// The records of one action.
fn of_action(records: &[Value], action: &str) -> Vec<Value> {
    let is_one = |record: &&Value| record.pointer("/event/action").and_then(Value::as_str) == Some(action);
    records.iter().filter(is_one).cloned().collect()
}

/// A text in a record, empty where there is none.
fn text<'a>(record: &'a Value, path: &str) -> &'a str {
    record.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

fn number(record: &Value, path: &str) -> Option<u64> {
    record.pointer(path).and_then(Value::as_u64)
}
