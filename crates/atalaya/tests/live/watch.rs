//! A running `atalaya watch --output json`, and what it has told so far.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::configuration::LEARNING;
use crate::program::Program;
use crate::world::World;
use crate::{until, within};

/// The program under test.
pub(crate) const ATALAYA: &str = env!("CARGO_BIN_EXE_atalaya");

/// Where the watchers of these tests can be asked, in their world.
pub(crate) const SOCKET: &str = "/run/atalaya.sock";

/// What only the document of a whole look contains.
const MARK: &[u8] = b"\"total_connections\"";

/// What a test looks at in an alert.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Told {
    pub(crate) rule: String,
    pub(crate) severity: String,
    pub(crate) pid: Option<u64>,
    pub(crate) executable: Option<String>,
    pub(crate) sha256: Option<String>,
}

impl Told {
    fn read(record: &Value) -> Self {
        let text = |path: &str| record.pointer(path).and_then(Value::as_str).map(str::to_owned);
        Self {
            rule: text("/rule/name").unwrap_or_default(),
            severity: text("/log/level").unwrap_or_default(),
            pid: record.pointer("/process/pid").and_then(Value::as_u64),
            executable: text("/process/executable"),
            sha256: text("/process/hash/sha256"),
        }
    }

    /// Medium or worse?
    pub(crate) fn is_serious(&self) -> bool {
        matches!(self.severity.as_str(), "medium" | "high" | "critical")
    }
}

/// A watcher in a world.
pub(crate) struct Watch {
    pub(crate) program: Program,
}

impl Watch {
    /// Starts `watch` with a configuration and more flags, telling everything as JSON.
    pub(crate) fn start(world: &World, configuration: &str, flags: &[&str]) -> Self {
        let path: PathBuf = world.path("atalaya.toml");
        std::fs::write(&path, configuration).unwrap();
        let mut command = world.command(ATALAYA);
        command.args(["watch", "--output", "json", "--events", "all,snapshot"]);
        if !flags.contains(&"--interval") {
            command.args(["--interval", "200ms"]);
        }
        command
            .args(["--socket", SOCKET])
            .arg("--config")
            .arg(path)
            .args(flags);
        let mut watch = Self {
            program: world.start(command),
        };
        until("the first look is done", || {
            watch.looks() > 0 || watch.program.ended()
        });
        if watch.program.ended() {
            panic!("watch ended: {}", watch.program.said());
        }
        watch
    }

    /// Every record so far. A line that is not one JSON object fails the test.
    #[track_caller]
    pub(crate) fn records(&self) -> Vec<Value> {
        let lines = Arc::clone(&self.program.output);
        let lines = lines.lock().unwrap();
        let whole = lines.iter().filter(|line| line.ends_with(b"\n"));
        let parse = |line: &Vec<u8>| {
            let value: Value = serde_json::from_slice(line)
                .unwrap_or_else(|error| panic!("{error} in: {}", String::from_utf8_lossy(line)));
            assert!(value.is_object(), "not an object: {value}");
            value
        };
        whole.map(parse).collect()
    }

    /// How many looks are complete.
    pub(crate) fn looks(&self) -> usize {
        // Not parsed: this is asked often.
        let lines = self.program.output.lock().unwrap();
        let marks = |line: &&Vec<u8>| line.windows(MARK.len()).any(|window| window == MARK);
        lines.iter().filter(marks).count()
    }

    /// The alerts so far.
    pub(crate) fn alerts(&self) -> Vec<Told> {
        let is_alert = |record: &&Value| {
            // Later rows about an alert (it came again) are not told anew.
            record.pointer("/event/action").and_then(Value::as_str) == Some("alert_raised")
        };
        self.records().iter().filter(is_alert).map(Told::read).collect()
    }

    /// Waits until it stops learning. It is not asked, because that would start processes in its world.
    pub(crate) fn learnt(&mut self) {
        let end = Instant::now() + LEARNING + Duration::from_millis(200);
        until("learning is over", || Instant::now() > end);
        self.settle();
    }

    /// Waits until four more looks are complete: whatever was to be told of what happened before is told.
    pub(crate) fn settle(&mut self) {
        let before = self.looks();
        within(60, "four more looks", || {
            self.looks() >= before + 4 || self.program.ended()
        });
    }

    /// Waits for an alert of this rule, then lets everything settle.
    #[track_caller]
    pub(crate) fn expect(&mut self, rule: &str) -> Told {
        let mut found = None;
        for _ in 0..300 {
            found = self.alerts().into_iter().find(|told| told.rule == rule);
            if found.is_some() || self.program.ended() {
                break;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let alerts = self.alerts();
        let Some(told) = found else {
            panic!("no {rule}; told: {alerts:#?}\n{}", self.program.said())
        };
        self.settle();
        told
    }

    /// Ends it by SIGTERM and gives its exit code.
    pub(crate) fn end(&mut self) -> Option<i32> {
        self.program.signal("TERM");
        self.program.wait().code()
    }
}
