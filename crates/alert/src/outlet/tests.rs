//! Queues, trouble and recovery, with outlets of our own.

use std::fmt::Write as _;
use std::fs;
use std::sync::Mutex;

use atalaya_format::Language;
use atalaya_model::Alert;
use atalaya_model::{Fact, Gap};
use crossbeam_channel::Receiver;

use super::file::tests::TinyDisk;
use super::*;
use crate::desk::samples::{NOW, connected};

/// One line an item: the severity of an alert, the count of a repeat, the kind of an event.
struct Plain;

impl Render for Plain {
    fn render(&mut self, item: &Item, out: &mut String) {
        match item {
            Item::Alert(record) => match &**record {
                AlertRecord::Raised(alert) => writeln!(out, "{}", alert.finding.severity.name()),
                AlertRecord::Repeated { count, .. } => writeln!(out, "again {count}"),
                _ => panic!("a renderer with a fault"),
            },
            Item::Event(event) => writeln!(out, "{}", event.fact.kind()),
            _ => Ok(()),
        }
        .unwrap();
    }
}

/// Keeps what is written, once the gate is open.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>, Option<Receiver<()>>);

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(gate) = &self.1 {
            // Opens when the sender is dropped.
            let _opened = gate.recv();
        }
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Memory {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

pub(super) fn surroundings(ledger: &Ledger, on_trouble: OnTrouble) -> Surroundings {
    Surroundings {
        folder: PathBuf::new(),
        context: Context {
            host_name: "watchtower".into(),
            host_id: None,
            version: "0.1.0".into(),
            language: Language::English,
            of_captures: false,
        },
        now: NOW,
        ledger: ledger.clone(),
        on_trouble,
    }
}

pub(super) fn calm(ledger: &Ledger) -> Surroundings {
    surroundings(ledger, Arc::new(|trouble| panic!("{trouble:?}")))
}

fn start(sink: Box<dyn Sink>, events: &[EventKind], surroundings: &Surroundings) -> Outlets {
    let mut outlets = Outlets::default();
    let start = Start {
        name: "test".into(),
        wants: Wants {
            alerts: true,
            events: events.to_vec(),
            ..Wants::default()
        },
        waits: false,
        pace: None,
        minimum_severity: Severity::Medium,
        choose: None,
        render: Box::new(Plain),
        sink,
        surroundings,
    };
    outlets.start(start).unwrap();
    outlets
}

fn alert(id: u64, severity: Severity) -> Item {
    let mut finding = connected("suspicious_port", "203.0.113.9:4444");
    finding.severity = severity;
    let alert = Alert {
        id,
        finding,
        techniques: Vec::new(),
        recurrence: 0,
    };
    Item::Alert(Arc::new(AlertRecord::Raised(Box::new(alert))))
}

fn again(alert: u64, count: u64) -> Item {
    Item::Alert(Arc::new(AlertRecord::Repeated {
        alert,
        time: NOW,
        count,
    }))
}

fn gap() -> Item {
    let gap = Gap {
        time: NOW,
        stage: Stage::Hashes,
        count: 1,
        reason: "x".into(),
    };
    Item::Event(Arc::new(Event::new(NOW, Fact::Gap(gap))))
}

pub(super) const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn an_outlet_gets_what_it_chose_and_repeats_follow_their_alert() {
    let ledger = Ledger::default();
    let memory = Memory::default();
    let sink = worker::Stream(Box::new(memory.clone()));
    let outlets = start(Box::new(sink), &[EventKind::Gap], &calm(&ledger));
    let tick = Item::Event(Arc::new(Event::new(NOW, Fact::Tick { look: true })));
    assert!(outlets.want(&gap()) && !outlets.want(&tick) && !outlets.want_snapshots());
    for item in [
        alert(1, Severity::Low),
        alert(2, Severity::High),
        tick,
        gap(),
        again(1, 5),
        again(2, 9),
    ] {
        outlets.send(&item);
    }
    let status = outlets.close(PATIENCE);
    assert_eq!(memory.text(), "high\ngap\nagain 9\n");
    assert_eq!(
        (status[0].written, status[0].lost, &status[0].last_error),
        (3, 0, &None)
    );
    // The tick was not for it; of the rest every one is accounted for.
    let count = ledger.counts()[0];
    assert_eq!((count.received, count.passed, count.dropped), (5, 5, 0));
}

#[test]
fn a_record_that_cannot_be_rendered_costs_only_itself() {
    let ledger = Ledger::default();
    let memory = Memory::default();
    let outlets = start(
        Box::new(worker::Stream(Box::new(memory.clone()))),
        &[],
        &calm(&ledger),
    );
    let bad = AlertRecord::Acknowledged {
        alert: 1,
        time: NOW,
        by: "x".into(),
        note: None,
    };
    outlets.send(&Item::Alert(Arc::new(bad)));
    outlets.send(&alert(2, Severity::High));
    let status = outlets.close(PATIENCE);
    assert_eq!(memory.text(), "high\n");
    assert_eq!((status[0].written, status[0].lost), (1, 1));
}

#[test]
fn a_stuck_outlet_loses_events_at_once_and_alerts_after_a_while_and_counts_both() {
    let ledger = Ledger::default();
    let (gate, waiting) = bounded::<()>(0);
    let memory = Memory(Arc::default(), Some(waiting));
    let outlets = start(
        Box::new(worker::Stream(Box::new(memory.clone()))),
        &[EventKind::All],
        &calm(&ledger),
    );
    // The queue, one batch, and some more.
    let sent = 4 * QUEUE as u64 + 100_000;
    for _ in 0..sent {
        outlets.send(&gap());
    }
    let lost = ledger.lost();
    assert!(lost > 0);
    for id in 0..50 {
        outlets.send(&alert(id, Severity::High));
    }
    assert_eq!(ledger.lost(), lost + 50);
    drop(gate);
    let status = outlets.close(PATIENCE);
    assert_eq!(status[0].lost, lost + 50);
    assert_eq!(status[0].written, sent - lost);
    assert_eq!(memory.text().lines().count() as u64, sent - lost);
}

#[test]
fn connections_leave_room_for_what_matters_more() {
    let ledger = Ledger::default();
    let (gate, waiting) = bounded::<()>(0);
    let memory = Memory(Arc::default(), Some(waiting));
    let sink = worker::Stream(Box::new(memory.clone()));
    let outlets = start(Box::new(sink), &[EventKind::All], &calm(&ledger));
    let connection = connected("any", "203.0.113.9:4444").connections.remove(0);
    let closed = Item::Event(Arc::new(Event::new(NOW, Fact::ConnectionClosed(connection))));
    for _ in 0..4 * QUEUE + 100_000 {
        outlets.send(&closed);
    }
    let lost = ledger.lost();
    assert!(lost > 0);
    for _ in 0..50 {
        outlets.send(&gap());
        outlets.send(&alert(1, Severity::High));
    }
    assert_eq!(ledger.lost(), lost, "an eighth of the queue is theirs");
    drop(gate);
    outlets.close(PATIENCE);
    let text = memory.text();
    let count = |word: &str| text.lines().filter(|line| *line == word).count();
    assert_eq!((count("gap"), count("high")), (50, 50));
}

#[test]
fn closing_does_not_wait_for_ever() {
    let ledger = Ledger::default();
    let (_gate, waiting) = bounded::<()>(0);
    let memory = Memory(Arc::default(), Some(waiting));
    let outlets = start(Box::new(worker::Stream(Box::new(memory))), &[], &calm(&ledger));
    outlets.send(&alert(1, Severity::High));
    assert_eq!(outlets.close(Duration::from_millis(10))[0].written, 0);
}

#[test]
fn a_full_disk_is_told_once_and_got_over() {
    let Some(disk) = TinyDisk::mount() else { return };
    let ledger = Ledger::default();
    let (report, troubles) = bounded(16);
    let surroundings = surroundings(
        &ledger,
        Arc::new(move |trouble| report.send(trouble.clone()).unwrap()),
    );
    let path = disk.path().join("a.log");
    let sink = file::LogFile::new(path.clone(), Rotation::default());
    let outlets = start(Box::new(sink), &[EventKind::All], &surroundings);
    disk.fill();
    // More than one write, less than the disk.
    for _ in 0..10 {
        for _ in 0..1_000 {
            outlets.send(&gap());
        }
        outlets.send(&alert(1, Severity::High));
    }
    let trouble = troubles.recv_timeout(PATIENCE).unwrap();
    let message = trouble.error.unwrap();
    assert!(
        message.starts_with(&format!("cannot write {}: No space left", path.display())),
        "{message}"
    );
    assert_eq!(outlets.status()[0].last_error, Some(message));
    disk.make_room();
    fs::remove_file(&path).unwrap();
    let trouble = troubles.recv_timeout(PATIENCE).unwrap();
    assert_eq!((trouble.error, troubles.len()), (None, 0));
    outlets.send(&alert(2, Severity::High));
    let status = outlets.close(PATIENCE);
    assert_eq!(status[0].last_error, None);
    let text = fs::read_to_string(&path).unwrap_or_default();
    assert!(text.ends_with("high\n") && text.lines().all(|line| line == "gap" || line == "high"));
}

#[test]
fn a_file_that_cannot_be_opened_is_a_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    let mut surroundings = calm(&Ledger::default());
    surroundings.folder = folder.path().join("file");
    let options = OutletOptions {
        log: Some(LogOptions::default()),
        ..OutletOptions::default()
    };
    let error = Outlets::open(&options, None, &surroundings).err().unwrap();
    let message = error.to_string();
    let path = folder.path().join("file/alerts.log");
    assert!(
        message.starts_with(&format!("cannot open {} for outlet `log`: ", path.display())),
        "{message}"
    );
    assert!(
        message.contains("hint: a part of the path is a file"),
        "{message}"
    );
    assert!(message.contains("[outlets.log]"), "{message}");
}

#[test]
fn the_host_in_a_file_name_cannot_leave_the_folder() {
    let path = file_path("{host}.log", Path::new("/var/log/atalaya"), "../../etc/cron.d/x");
    assert_eq!(path, Path::new("/var/log/atalaya/.._.._etc_cron.d_x.log"));
    assert_eq!(
        file_path("/elsewhere/a.log", Path::new("/var/log"), "h"),
        Path::new("/elsewhere/a.log")
    );
}

/// The three outlets as a configuration starts them, with everything that may come.
fn written(
    options: &OutletOptions,
    console: impl FnOnce(Memory) -> Console,
    items: &[Item],
) -> (String, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let mut surroundings = calm(&Ledger::default());
    surroundings.folder = folder.path().to_owned();
    let memory = Memory::default();
    let outlets = Outlets::open(options, Some(console(memory.clone())), &surroundings).unwrap();
    for item in items {
        outlets.send(item);
    }
    for status in outlets.close(PATIENCE) {
        assert_eq!((status.lost, status.last_error), (0, None), "{}", status.name);
    }
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    (memory.text(), read("alerts.log"), read("alerts.jsonl"))
}

fn plain_console(memory: Memory) -> Console {
    Console {
        writer: Box::new(memory),
        colour: false,
        json: false,
        events: Vec::new(),
        choose: None,
    }
}

fn all_outlets(verbose: bool) -> OutletOptions {
    OutletOptions {
        console: ConsoleOptions {
            heartbeat: true,
            verbose,
            ..ConsoleOptions::default()
        },
        log: Some(LogOptions {
            verbose,
            ..LogOptions::default()
        }),
        json: Some(JsonOptions::default()),
        ..OutletOptions::default()
    }
}

#[test]
fn each_outlet_has_its_own_lines() {
    let items = [Item::Quiet(NOW), alert(5, Severity::High), again(5, 2)];
    let (console, log, json) = written(&all_outlets(false), plain_console, &items);
    let clock = NOW.local_clock();
    let lines: Vec<_> = console.lines().collect();
    assert_eq!(lines.len(), 2, "{console}");
    assert_eq!(lines[0], format!("{clock} No anomalies detected."));
    assert!(
        lines[1].starts_with(&format!("{clock} HIGH ")) && lines[1].contains("/usr/bin/nc"),
        "{console}"
    );
    let lines: Vec<_> = log.lines().collect();
    assert!(
        lines[0].starts_with(&format!("{} [HIGH] suspicious_port: ", NOW.local())),
        "{log}"
    );
    assert_eq!(lines.len(), 2, "{log}");
    let lines: Vec<serde_json::Value> = json
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines[0]["rule"]["name"], "suspicious_port");
    assert_eq!(lines[1]["event"]["action"], "alert_repeated");

    let (console, log, _) = written(&all_outlets(true), plain_console, &items);
    assert!(
        console.contains("What to do:") && log.contains("What to do:"),
        "{console}"
    );
}

#[test]
fn the_console_may_speak_json_and_be_filtered() {
    let items = [
        Item::Quiet(NOW),
        alert(5, Severity::High),
        gap(),
        Item::Snapshot(NOW, "{}".into()),
    ];
    let console = |memory: Memory| Console {
        json: true,
        events: vec![EventKind::Gap, EventKind::Snapshot],
        choose: Some(Box::new(|item| !matches!(item, Item::Alert(_)))),
        ..plain_console(memory)
    };
    let (text, _, _) = written(&all_outlets(false), console, &items);
    let lines: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert_eq!(lines[0]["gap"]["stage"], "hashes");
}

#[test]
fn basic_json_has_only_its_two_shapes() {
    let mut options = all_outlets(false);
    options.json = Some(JsonOptions {
        shape: Shape::Basic,
        ..JsonOptions::default()
    });
    let listed = Item::Alert(Arc::new(AlertRecord::Raised(Box::new(Alert {
        id: 6,
        finding: connected("blocklisted_address", "203.0.113.9:80"),
        techniques: Vec::new(),
        recurrence: 0,
    }))));
    let (_, _, json) = written(&options, plain_console, &[alert(5, Severity::High), listed]);
    let record: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(record["reason"], "Blacklisted IP");
    assert_eq!(record["remote_port"], 80);
}

#[test]
fn hostile_names_cannot_break_a_line() {
    let hostile: Text = "evil\n2025-11-20 [INFO] all is well\r\u{1b}[2J\u{9b}31m\u{202e}\u{2028}\0".into();
    let mut finding = connected("no_such_rule\n", "203.0.113.9:4444");
    let mut process = crate::desk::samples::process();
    process.name = hostile.clone();
    process.executable = Some(hostile.clone());
    process.command_line = Some(hostile.repeat(20_000).into());
    process.user_name = Some(hostile.clone());
    let process = Arc::new(process);
    finding.process = Some(process.clone());
    finding.key = hostile.clone();
    finding.values.push((hostile.clone(), hostile.clone().into()));
    let mut connection = (*finding.connections[0]).clone();
    connection.process = Some(process.clone());
    connection.service = Some(hostile);
    let connection = Arc::new(connection);
    finding.connections = vec![connection.clone()];
    let raised = AlertRecord::Raised(Box::new(Alert {
        id: 9,
        finding,
        techniques: Vec::new(),
        recurrence: 3,
    }));
    let mut items = vec![Item::Alert(Arc::new(raised))];
    for fact in [
        Fact::ConnectionOpened(connection),
        Fact::ProcessStarted(process),
        Fact::Gap(Gap {
            time: NOW,
            stage: Stage::Hashes,
            count: 1,
            reason: "a\nb\u{1b}c".into(),
        }),
    ] {
        items.push(Item::Event(Arc::new(Event::new(NOW, fact))));
    }
    let mut options = all_outlets(false);
    let all = vec![EventKind::All];
    options.log = Some(LogOptions {
        events: all.clone(),
        verbose: false,
        ..LogOptions::default()
    });
    options.json = Some(JsonOptions {
        events: all.clone(),
        ..JsonOptions::default()
    });
    let console = |memory: Memory| Console {
        events: all,
        ..plain_console(memory)
    };
    let (console, log, json) = written(&options, console, &items);
    for text in [&console, &log, &json] {
        assert_eq!(text.lines().count(), items.len(), "{text}");
        assert!(
            !text
                .chars()
                .any(|c| c != '\n' && (c.is_control() || c == '\u{202e}' || c == '\u{2028}'))
        );
    }
    assert!(
        json.lines()
            .all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok())
    );
    // With details a record has several lines, but still none that a name made.
    let (console, ..) = written(&all_outlets(true), plain_console, &items);
    assert!(
        !console.lines().any(|line| line.starts_with("2025-11-20 [INFO]")),
        "{console}"
    );
    assert!(console.len() < 30_000);
}
