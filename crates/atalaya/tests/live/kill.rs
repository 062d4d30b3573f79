//! `kill -9` at random moments of a busy watch: the database opens each time, and nothing committed is lost.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use serde_json::Value;

use crate::actor::{self, Actor};
use crate::configuration::configuration;
use crate::program::Program;
use crate::watch::{ATALAYA, Watch};
use crate::world::World;
use crate::{rounds, until};

/// Reads the database, as anybody may, each time it is told to.
const READER: &str = "
import json, sqlite3, sys
for line in sys.stdin:
    answer = {}
    try:
        base = sqlite3.connect('file:atalaya.db?mode=ro', uri=True, timeout=20)
        if 'check' in line:
            answer['integrity'] = base.execute('PRAGMA integrity_check').fetchone()[0]
        answer['alerts'] = base.execute('SELECT alert_id, rule, finding_key FROM alerts').fetchall()
        answer['connections'] = base.execute('SELECT count(*) FROM connections').fetchone()[0]
        answer['processes'] = base.execute('SELECT count(*) FROM processes').fetchone()[0]
        base.close()
    except sqlite3.Error as error:
        answer['error'] = str(error)
    print(json.dumps(answer), flush=True)
";

struct Reader {
    program: Program,
    answers: usize,
}

impl Reader {
    fn ask(&mut self, question: &str) -> Value {
        self.program.tell(question);
        let output = std::sync::Arc::clone(&self.program.output);
        let wanted = self.answers + 1;
        until("the reader answers", || {
            output.lock().unwrap().len() >= wanted || self.program.ended()
        });
        let answer = output.lock().unwrap().get(self.answers).cloned();
        self.answers += 1;
        serde_json::from_slice(&answer.unwrap_or_else(|| panic!("{}", self.program.said()))).unwrap()
    }
}

/// What is in a database, as the reader tells it.
#[derive(Debug, Default)]
struct Content {
    alerts: BTreeSet<u64>,
    connections: u64,
    processes: u64,
}

impl Content {
    /// Reads the answer; two rows of one alert fail the test.
    #[track_caller]
    fn of(answer: &Value) -> Self {
        assert!(answer.get("error").is_none(), "{answer}");
        let rows = answer["alerts"].as_array().unwrap();
        let alerts: BTreeSet<_> = rows.iter().map(|row| row[0].as_u64().unwrap()).collect();
        assert_eq!(alerts.len(), rows.len(), "an alert has two rows: {rows:?}");
        Self {
            alerts,
            connections: answer["connections"].as_u64().unwrap(),
            processes: answer["processes"].as_u64().unwrap(),
        }
    }
}

#[test]
fn nothing_committed_is_lost_by_kill_9() {
    let Some(here) = World::new() else { return };
    let Some(there) = World::new() else { return };
    here.join(&there);
    actor::install(&here, "/usr/local/bin/agent", 1);
    actor::install(&there, "/usr/local/bin/agent", 1);
    let mut server = Actor::start(&there, "/usr/local/bin/agent");
    for port in [443, 4444, 5555, 6667] {
        server.act(&format!("listen 0.0.0.0 {port}"));
    }
    let mut agent = Actor::start(&here, "/usr/local/bin/agent");
    let mut command = here.command("python3");
    command.args(["-c", READER]);
    let mut reader = Reader {
        program: here.start(command),
        answers: 0,
    };
    let configuration = configuration();
    std::fs::write(here.path("atalaya.toml"), &configuration).unwrap();

    let kills = rounds(10, 50);
    let random = RandomState::new();
    let mut before = Content::default();
    for round in 0..kills {
        let mut command = here.command(ATALAYA);
        command.args([
            "watch",
            "--quiet",
            "--no-learning",
            // A tier that begins at once: it is the store that is killed here.
            "--tier",
            "poll",
            "--interval",
            "50ms",
            "--store",
            "atalaya.db",
        ]);
        command.args(["--config", "atalaya.toml"]);
        let mut watch = here.start(command);
        if round == 0 {
            until("the database is there", || {
                here.path("atalaya.db").exists() || watch.ended()
            });
            assert!(!watch.ended(), "{}", watch.said());
        }
        let pause = random.hash_one(round) % 600;
        agent.act("close");
        for port in [443, 4444, 5555, 6667] {
            agent.act(&format!("churn 198.51.100.2 {port} 5"));
            agent.act(&format!("tcp 198.51.100.2 {port} 5"));
        }
        std::thread::sleep(Duration::from_millis(pause));
        // Whatever can be read now is committed; it must be there after the kill as well.
        let answer = reader.ask("look");
        if answer.get("error").is_none() {
            let now = Content::of(&answer);
            assert!(
                now.alerts.is_superset(&before.alerts),
                "round {round}: alerts vanished"
            );
            before = now;
        }
        assert!(!watch.ended(), "round {round}: ended by itself: {}", watch.said());
        watch.signal("KILL");
        watch.wait();
        let answer = reader.ask("check");
        assert_eq!(
            answer["integrity"], "ok",
            "round {round}, killed after {pause} ms: {answer}"
        );
        let after = Content::of(&answer);
        let lost: Vec<_> = before.alerts.difference(&after.alerts).collect();
        assert!(lost.is_empty(), "round {round}: alerts lost: {lost:?}");
        assert!(
            after.connections >= before.connections && after.processes >= before.processes,
            "round {round}: {before:?} became {after:?}"
        );
        before = after;
    }
    assert!(
        before.connections > 0 && !before.alerts.is_empty(),
        "nothing was ever stored: {before:?}"
    );
    // The last word: it still works as a store.
    let mut watch = Watch::start(&here, &configuration, &["--store", "atalaya.db"]);
    assert_eq!(watch.end(), Some(0), "{}", watch.program.said());
    println!(
        "soak: {kills} kills, every database opened; {} alerts, {} connections, {} processes kept",
        before.alerts.len(),
        before.connections,
        before.processes
    );
}
