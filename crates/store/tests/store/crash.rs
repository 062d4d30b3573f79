//! `kill -9` at any moment: the database opens, and everything that was acknowledged is there, once.
//!
//! The test starts itself again as a writer that says on its standard output which batch is committed, and kills it
//! at moments spread over what a batch does. `ATALAYA_SOAK_COUNT` raises the number of kills.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use atalaya_model::*;
use atalaya_store::{AlertQuery, Entry, Options, Reader, Retention, Writer};

use crate::sample::{NOW, rounds};

const DATABASE: &str = "ATALAYA_TEST_CRASH_DATABASE";

fn process(number: u64) -> Arc<Process> {
    let key = ProcessKey {
        pid: (number % 50) as u32,
        start: number / 500,
    };
    let mut process = Process::bare(key, "worker".into(), NOW);
    process.executable = Some(format!("/usr/bin/worker-{}", number % 50).into());
    process.command_line = Some("worker --long --list --of --options".into());
    Arc::new(process)
}

fn connection(number: u64) -> Connection {
    let octets = [10, 0, (number >> 8) as u8, number as u8];
    Connection {
        id: number,
        direction: Direction::Outbound,
        scope: Scope::External,
        network_namespace: 1,
        cookie: number,
        user_id: Some(0),
        outcome: Default::default(),
        process: Some(process(number)),
        attribution: Evidence::Descriptor.into(),
        ..Connection::bare(
            NOW,
            Transport::Tcp,
            Endpoint::new("192.0.2.1".parse().unwrap(), 40_000),
            Endpoint::new(octets.into(), 443),
        )
    }
}

/// Batch `number`: 20 conversations that open, 20 of an earlier batch that close, one alert.
fn batch(number: u64) -> Vec<Entry> {
    let time = Time(NOW.0 + number as i64 * 1_000_000);
    let mut entries = Vec::new();
    for place in 0..20 {
        let opened = connection(number * 20 + place);
        entries.push(Entry::Event(Event::new(
            time,
            Fact::ConnectionOpened(Arc::new(opened)),
        )));
        let Some(before) = number.checked_sub(1) else {
            continue;
        };
        let mut closed = connection(before * 20 + place);
        closed.ended = Some(time);
        entries.push(Entry::Event(Event::new(
            time,
            Fact::ConnectionClosed(Arc::new(closed)),
        )));
    }
    let finding = Finding {
        rule: "suspicious_port".into(),
        time,
        severity: Severity::High,
        key: "worker".into(),
        values: vec![],
        process: Some(process(number)),
        connections: vec![Arc::new(connection(number))],
        listener: None,
    };
    let id = (time.milliseconds() as u64) << 20;
    let alert = Alert {
        id,
        finding,
        techniques: vec![],
        recurrence: 0,
    };
    entries.push(Entry::Alert(AlertRecord::Raised(alert.into())));
    entries
}

fn next_batch(path: &Path) -> u64 {
    let newest = AlertQuery {
        limit: 1,
        ..AlertQuery::default()
    };
    let alerts = Reader::open(path).unwrap().alerts(&newest).unwrap();
    alerts
        .first()
        .map_or(0, |it| (it.alert.finding.time.0 - NOW.0) as u64 / 1_000_000 + 1)
}

/// Bytes that leave room for all but conversations and their sums: for alerts, for what everything points at and is of
/// today, and for what is always there. Half of the rest must go, so retention always has something else to take than
/// alerts.
fn room(path: &Path) -> u64 {
    let (mut room, mut rest) = (0, 0);
    for size in Reader::open(path).unwrap().sizes().unwrap() {
        let bytes = size.bytes + size.index_bytes;
        match &*size.table {
            "connection" | "connection_by_ip" | "tally" => rest += bytes,
            table if table.starts_with("rollup_") => rest += bytes,
            _ => room += bytes,
        }
    }
    room + rest / 2
}

/// Not a test of its own: the writer that is killed.
#[test]
fn crash_writer() {
    let Some(path) = std::env::var_os(DATABASE) else {
        return;
    };
    let path = Path::new(&path);
    let options = Options::new("boot-1", "0.1.0", NOW);
    let mut writer = Writer::open(path, &options).unwrap();
    let mut out = std::io::stdout();
    for number in next_batch(path).. {
        writer.write(&batch(number)).unwrap();
        writeln!(out, "\ncommitted {number}").unwrap();
        out.flush().unwrap();
        if number % 7 == 3 {
            let now = Time(NOW.0 + number as i64 * 1_000_000);
            writer.retain(Retention::new(0, room(path), now), 200).unwrap();
        }
        if number % 11 == 5 {
            writer.checkpoint().unwrap();
        }
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the test starts itself again")]
fn killed_at_any_moment_it_keeps_what_it_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let count = rounds();
    let mut acknowledged = HashSet::new();
    for round in 0..count {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["crash::crash_writer", "--exact", "--nocapture"])
            .env(DATABASE, &path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map(Result::unwrap);
        // Some rounds are killed while the database is made or recovered, others within a later batch; a busy wait
        // spreads the moment over the batch, whatever the machine's speed.
        for _ in 0..round % 5 * 3 {
            match lines
                .by_ref()
                .find_map(|line| line.strip_prefix("committed ").map(str::to_owned))
            {
                Some(number) => acknowledged.insert(number.parse::<u64>().unwrap()),
                None => panic!("the writer ended by itself"),
            };
        }
        for turn in 0..round * 7_919 % 100_000 {
            std::hint::black_box(turn);
        }
        child.kill().unwrap();
        acknowledged.extend(lines.filter_map(|line| {
            line.strip_prefix("committed ")
                .and_then(|number| number.parse::<u64>().ok())
        }));
        child.wait().unwrap();
    }
    assert!(!acknowledged.is_empty());
    let options = Options::new("boot-1", "0.1.0", NOW);
    drop(Writer::open(&path, &options).unwrap());
    let connection = rusqlite::Connection::open(&path).unwrap();
    let check: String = connection
        .pragma_query_value(None, "integrity_check", |row| row.get(0))
        .unwrap();
    assert_eq!(check, "ok");
    let all = AlertQuery {
        limit: usize::MAX,
        ..AlertQuery::default()
    };
    let alerts = Reader::open(&path).unwrap().alerts(&all).unwrap();
    let stored: Vec<_> = alerts
        .iter()
        .map(|it| (it.alert.finding.time.0 - NOW.0) as u64 / 1_000_000)
        .collect();
    let unique: HashSet<_> = stored.iter().copied().collect();
    assert_eq!(stored.len(), unique.len(), "an alert is there twice");
    let lost: Vec<_> = acknowledged.difference(&unique).collect();
    assert!(lost.is_empty(), "lost {lost:?}");
    // A batch is there wholly or not at all, and never twice.
    let twice: i64 = connection
        .query_row(
            "SELECT count(*) FROM (SELECT 1 FROM connection c JOIN shape s ON s.id = c.shape \
             GROUP BY run, cookie HAVING count(*) > 1)",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(twice, 0);
    let last = unique.iter().max().copied().unwrap();
    let opened: i64 = connection
        .query_row(
            "SELECT count(*) FROM connection WHERE cookie >= ?1",
            [last as i64 * 20],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(opened, 20);
}
