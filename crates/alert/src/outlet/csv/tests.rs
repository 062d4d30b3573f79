//! The two tables and the status lines, as a configuration starts them.

use std::fs;
use std::sync::Arc;

use atalaya_format::csv::watched::Running;
use atalaya_model::connection::Traffic;
use atalaya_model::{Connection, Event, Fact, Ledger, Listener, Outcome, Process, Span, Time};
use crossbeam_channel::bounded;

use crate::desk::samples::{NOW, connected, listening, process};
use crate::options::Period;
use crate::outlet::file::tests::TinyDisk;
use crate::outlet::tests::{PATIENCE, calm, surroundings};
use crate::outlet::{
    ConnectionsCsvOptions, Item, LogOptions, OutletOptions, Outlets, ProcessesCsvOptions, Rotation,
};

fn connection() -> Connection {
    Connection::clone(&connected("any", "203.0.113.9:4444").connections[0])
}

fn listener() -> Arc<Listener> {
    listening("any", "0.0.0.0:8080").listener.unwrap()
}

fn event(time: Time, fact: Fact) -> Item {
    Item::Event(Arc::new(Event::new(time, fact)))
}

fn options() -> OutletOptions {
    OutletOptions {
        processes_csv: Some(ProcessesCsvOptions::default()),
        connections_csv: Some(ConnectionsCsvOptions {
            // Longer than any test: only the end writes.
            interval: Period::seconds(3_600),
            ..ConnectionsCsvOptions::default()
        }),
        log: Some(LogOptions {
            file: "general.log".into(),
            status: Period::seconds(60),
            ..LogOptions::default()
        }),
        ..OutletOptions::default()
    }
}

/// What the three files hold after these items: processes, connections, log.
fn written(items: &[Item]) -> [String; 3] {
    let folder = tempfile::tempdir().unwrap();
    let mut surroundings = calm(&Ledger::default());
    surroundings.folder = folder.path().to_owned();
    let outlets = Outlets::open(&options(), None, &surroundings).unwrap();
    items.iter().for_each(|item| outlets.send(item));
    for status in outlets.close(PATIENCE) {
        assert_eq!((status.lost, status.last_error), (0, None), "{}", status.name);
    }
    ["processes.csv", "connection_events.csv", "general.log"]
        .map(|name| fs::read_to_string(folder.path().join(name)).unwrap())
}

/// What a line of a table says after a column's name.
fn cells(table: &str) -> Vec<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .from_reader(table.as_bytes());
    let rows = reader.records().map(Result::unwrap);
    rows.map(|row| row.iter().map(str::to_owned).collect()).collect()
}

#[test]
fn a_connection_is_a_row_when_it_opens_and_one_when_it_closes() {
    let opened = Arc::new(connection());
    let ended = NOW.after(Span(1_500_000));
    let closed = Arc::new(Connection {
        ended: Some(ended),
        outcome: Outcome::Finished,
        name: Some("=evil.test".into()),
        traffic: Some(Traffic {
            sent_bytes: 10,
            received_bytes: 2_000,
            ..Traffic::default()
        }),
        ..connection()
    });
    let items = [
        event(NOW.after(Span(900_000)), Fact::ConnectionOpened(opened.clone())),
        event(NOW, Fact::ConnectionUpdated(opened)),
        event(NOW, Fact::ListenerAppeared(listener())),
        event(ended.after(Span(5)), Fact::ConnectionClosed(closed)),
        event(NOW, Fact::Tick { look: true }),
    ];
    let [processes, connections, _] = written(&items);
    let rows = cells(&connections);
    assert_eq!(rows.len(), 4, "{connections}");
    let time = NOW.rfc3339();
    let process = ["4242", "nc", "/usr/bin/nc", "nc 203.0.113.9 4444", "tcp"];
    assert_eq!(rows[1][..2], [time.as_str(), "opened"]);
    assert_eq!(rows[1][2..7], process);
    assert_eq!(
        rows[1][7..],
        [
            "192.0.2.10",
            "50544",
            "203.0.113.9",
            "4444",
            "ESTABLISHED",
            "0",
            "0",
            "1000",
            "outbound",
            "unknown",
            ""
        ]
    );
    assert_eq!(rows[2][1], "opened");
    assert_eq!(rows[2][7..12], ["0.0.0.0", "8080", "", "", "LISTEN"]);
    assert_eq!(rows[3][..2], [ended.rfc3339().as_str(), "closed"]);
    assert_eq!(rows[3][12..14], ["10", "2000"]);
    assert_eq!(rows[3][16..], ["finished", "'=evil.test"]);
    assert_eq!(cells(&processes).len(), 1, "only the header: {processes}");
}

#[test]
fn a_scan_is_a_row_for_each_process_whatever_its_name() {
    let hostile = Process {
        name: "=1+1".into(),
        command_line: Some("sh -c \"echo a,b\"\n\u{1b}[2J".into()),
        sha256: Some("ab".repeat(32).as_str().into()),
        user_name: Some("ana".into()),
        ..process()
    };
    let rows: Arc<[Running]> = Arc::from([
        Running {
            process: Arc::new(hostile),
            connections: std::iter::repeat_with(|| Arc::new(connection()))
                .take(200)
                .collect(),
            listeners: vec![listener()],
            count: 201,
        },
        Running {
            process: Arc::new(process()),
            connections: Vec::new(),
            listeners: Vec::new(),
            count: 0,
        },
    ]);
    let [processes, connections, _] = written(&[Item::Scan(NOW, rows)]);
    assert_eq!(processes.lines().count(), 3, "{processes}");
    let rows = cells(&processes);
    assert_eq!(rows[0][..4], ["timestamp", "pid", "name", "user"]);
    assert_eq!(rows[1][1..5], ["4242", "'=1+1", "ana", "/usr/bin/nc"]);
    assert_eq!(rows[1][5], r#"sh -c "echo a,b"\n\x1b[2J"#);
    assert_eq!(rows[1][6].len(), 64);
    assert!(rows[1][7].starts_with("tcp 192.0.2.10:50544 -> 203.0.113.9:4444 (ESTABLISHED); tcp "));
    assert!(rows[1][7].ends_with("; and 101 more"), "{}", rows[1][7]);
    assert_eq!(rows[1][8], "201");
    assert_eq!(rows[2][6..9], ["", "", "0"]);
    assert_eq!(connections.lines().count(), 1);
}

#[test]
fn rows_wait_for_their_interval_and_the_log_says_how_the_watch_is() {
    let folder = tempfile::tempdir().unwrap();
    let mut surroundings = calm(&Ledger::default());
    surroundings.folder = folder.path().to_owned();
    let mut outlets = Outlets::open(&options(), None, &surroundings).unwrap();
    assert!(outlets.want_scan(NOW) && !outlets.want_scan(NOW.after(Span::from_seconds(119))));
    assert!(outlets.want_scan(NOW.after(Span::from_seconds(120))));
    outlets.tell_status(NOW, || "all is\nwell".to_owned());
    outlets.tell_status(NOW.after(Span::from_seconds(59)), || panic!("too early"));
    outlets.tell_status(NOW.after(Span::from_seconds(60)), || "still".to_owned());
    outlets.tell_at_once(NOW.after(Span::from_seconds(61)), "over");
    outlets.send(&event(NOW, Fact::ConnectionOpened(Arc::new(connection()))));
    let log = folder.path().join("general.log");
    let deadline = std::time::Duration::from_millis(10);
    while fs::read_to_string(&log).unwrap().lines().count() < 3 {
        std::thread::sleep(deadline);
    }
    let table = folder.path().join("connection_events.csv");
    assert_eq!(fs::read_to_string(&table).unwrap().lines().count(), 1);
    outlets.close(PATIENCE);
    assert_eq!(fs::read_to_string(&table).unwrap().lines().count(), 2);
    let log = fs::read_to_string(&log).unwrap();
    assert_eq!(
        log.lines().next().unwrap(),
        format!("{} [STATUS] all is\\nwell", NOW.local())
    );
    assert!(log.ends_with(" [STATUS] over\n"), "{log}");
}

#[test]
fn what_a_full_disk_keeps_from_a_table_is_counted() {
    let Some(disk) = TinyDisk::mount() else { return };
    let ledger = Ledger::default();
    let (report, troubles) = bounded(16);
    let mut surroundings = surroundings(
        &ledger,
        Arc::new(move |trouble| report.send(trouble.clone()).unwrap()),
    );
    surroundings.folder = disk.path().to_owned();
    let outlets = OutletOptions {
        processes_csv: Some(ProcessesCsvOptions {
            rotate: Rotation::default(),
            ..ProcessesCsvOptions::default()
        }),
        ..OutletOptions::default()
    };
    let outlets = Outlets::open(&outlets, None, &surroundings).unwrap();
    disk.fill();
    let running = Running {
        process: Arc::new(process()),
        connections: Vec::new(),
        listeners: Vec::new(),
        count: 0,
    };
    let rows: Arc<[Running]> = vec![running; 100].into();
    // More than may wait in memory.
    for _ in 0..500 {
        outlets.send(&Item::Scan(NOW, rows.clone()));
    }
    let trouble = troubles.recv_timeout(PATIENCE).unwrap().error.unwrap();
    assert!(trouble.contains("No space left"), "{trouble}");
    let status = &outlets.close(PATIENCE)[0];
    assert_eq!(status.written + status.lost, 50_000);
    assert!(status.lost > 30_000, "{status:?}");
    assert_eq!(ledger.lost(), status.lost);
    let table = fs::read_to_string(disk.path().join("processes.csv")).unwrap();
    assert_eq!(table.lines().count() as u64, 1 + status.written);
}
