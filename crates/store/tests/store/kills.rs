//! `kill -9` while rows and sums are written, old rows dropped, space given back, the file written anew, or an old version
//! brought up to date: what was acknowledged is there, and the sums are what the rows say.
//!
//! The test starts itself again as a writer that says what it is about to do, and kills it a random while later.
//! `ATALAYA_SOAK_COUNT` is the number of kills.

use std::hash::{BuildHasher, Hasher};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use atalaya_model::memory::Memory;
use atalaya_model::*;
use atalaya_store::{Ask, Entry, Options, Reader, Retention, SCHEMA_VERSION, Writer};
use rusqlite::Connection as Database;

use crate::earlier;
use crate::sample::{NOW, rounds};
use crate::sums::{Talk, connection};

const DATABASE: &str = "ATALAYA_TEST_KILLS_DATABASE";
const KEEPS_ALL: &str = "ATALAYA_TEST_KILLS_KEEPS_ALL";

/// Conversations that a batch opens.
const EACH: u64 = 20;
const DAY: i64 = 86_400_000_000;

/// When a batch is: mostly a few seconds after the one before, sometimes hours.
fn time(number: u64) -> Time {
    Time(NOW.0 + number as i64 * 7_000_000 + (number / 10) as i64 * DAY / 4)
}

fn talk(number: u64, place: u64) -> Talk {
    Talk {
        program: (place % 4) as u32,
        remote: (number % 200) as u8,
        port: 443,
        inbound: place.is_multiple_of(3),
        started_before: place == 5,
        bytes: (1, place),
    }
}

/// A batch: conversations that open, half of them over at once, and what comes of those that this run opened before.
fn batch(number: u64, first: u64) -> Vec<Entry> {
    let mut events = Vec::new();
    for place in 0..EACH {
        let it = connection(number * EACH + place, time(number), talk(number, place));
        events.push(Fact::ConnectionOpened(Arc::new(it.clone())));
        if place.is_multiple_of(2) {
            let ended = Some(time(number));
            events.push(Fact::ConnectionClosed(Arc::new(Connection { ended, ..it })));
        }
    }
    for (age, more) in [(1, 50), (2, 5_000)] {
        let Some(before) = number.checked_sub(age).filter(|before| *before >= first) else {
            continue;
        };
        for place in (1..EACH).step_by(2) {
            let mut it = connection(before * EACH + place, time(before), talk(before, place));
            it.seen = time(number);
            if let Some(traffic) = &mut it.traffic {
                traffic.received_bytes += more;
            }
            events.push(if age == 1 {
                Fact::ConnectionUpdated(Arc::new(it))
            } else {
                it.ended = Some(time(number));
                Fact::ConnectionClosed(Arc::new(it))
            });
        }
    }
    let mut entries: Vec<_> = events
        .into_iter()
        .map(|fact| Entry::Event(Event::new(time(number), fact)))
        .collect();
    entries.push(Entry::Memory(Memory {
        detector: "kills".into(),
        version: 1,
        key: "done".into(),
        bytes: Some(number.to_le_bytes().to_vec()),
    }));
    entries
}

/// Batches that are committed.
fn done(path: &Path) -> u64 {
    let memory = Reader::open(path).unwrap().memory().unwrap();
    memory
        .first()
        .and_then(|memory| memory.bytes.clone())
        .map_or(0, |bytes| u64::from_le_bytes(bytes.try_into().unwrap()) + 1)
}

/// Not a test of its own: the writer that is killed.
#[test]
fn writer() {
    let Some(path) = std::env::var_os(DATABASE) else {
        return;
    };
    let keeps_all = std::env::var_os(KEEPS_ALL).is_some();
    let path = Path::new(&path);
    let say = |what: &str| {
        let mut out = std::io::stdout();
        writeln!(out, "\n{what}").unwrap();
        out.flush().unwrap();
    };
    say("begins open");
    let mut writer = Writer::open(path, &Options::new("boot-1", "0.1.0", NOW)).unwrap();
    let first = done(path);
    // A few entries in one transaction, and a few of these between two batches.
    let roll = |writer: &mut Writer, time: Time, slices: u32| {
        let left = std::cell::Cell::new(slices);
        let is_over = || left.replace(left.get() - 1) == 1;
        writer.roll_up_until(time, 5, &is_over).unwrap()
    };
    for number in first.. {
        let entries = batch(number, first);
        say("begins write");
        writer.write(&entries).unwrap();
        say(&format!("committed {number}"));
        if number % 4 == 1 {
            say("begins roll");
            roll(&mut writer, time(number), 15);
        } else if writer.is_rolling_up() {
            roll(&mut writer, time(number), 2);
        }
        if number % 3 == 2 && !keeps_all {
            let policy = Retention {
                rollup_days: 0,
                ..Retention::new(1, 0, time(number))
            };
            say("begins retain");
            while writer.retain(policy, 60).unwrap().more {}
        }
        if number % 5 == 4 {
            say("begins checkpoint");
            writer.checkpoint().unwrap();
        }
        if number % 9 == 8 {
            say("begins vacuum");
            writer.vacuum().unwrap();
        }
    }
}

fn chance(limit: u64) -> u64 {
    std::collections::hash_map::RandomState::new()
        .build_hasher()
        .finish()
        % limit.max(1)
}

#[expect(clippy::disallowed_methods, reason = "the test starts itself again")]
fn start(test: &str, path: &Path, keeps_all: bool) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture"]).env(DATABASE, path);
    if keeps_all {
        command.env(KEEPS_ALL, "1");
    }
    command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn integrity(path: &Path) -> String {
    let database = Database::open(path).unwrap();
    database
        .pragma_query_value(None, "integrity_check", |row| row.get(0))
        .unwrap()
}

/// Were the sums being written?
fn is_between_slices(path: &Path) -> bool {
    let sql = "SELECT count(*) FROM meta WHERE name = 'rolling_done' AND value > 0";
    let database = Database::open(path).unwrap();
    database.query_row(sql, [], |row| row.get(0)).unwrap()
}

/// What must be so after a kill. Gives how many batches are committed.
fn check(path: &Path, acknowledged: Option<u64>, keeps_all: bool) -> u64 {
    assert_eq!(integrity(path), "ok");
    let reader = Reader::open(path).unwrap();
    assert_eq!(reader.wrong_sums().unwrap(), Vec::<String>::new());
    let done = done(path);
    assert!(
        acknowledged.is_none_or(|number| number < done),
        "{acknowledged:?} of {done}"
    );
    let database = Database::open(path).unwrap();
    let rows = |from: u64| -> u64 {
        let count = "SELECT count(DISTINCT cookie) FROM connection WHERE cookie >= ?1";
        database
            .query_row(count, [(from * EACH) as i64], |row| row.get::<_, i64>(0))
            .unwrap() as u64
    };
    // What is younger than a day when the newest batch was begun must be there, once.
    let oldest = if keeps_all {
        0
    } else {
        (0..done)
            .find(|number| time(*number).0 > time(done).0 - DAY)
            .unwrap_or(done)
    };
    assert_eq!(rows(oldest), (done - oldest) * EACH);
    let twice: i64 = database
        .query_row(
            "SELECT count(*) FROM (SELECT 1 FROM connection GROUP BY cookie HAVING count(*) > 1)",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(twice, 0);
    done
}

fn kill_writers(keeps_all: bool) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let (mut acknowledged, mut done) = (None, 0);
    let mut between = 0;
    for round in 0..rounds() {
        let mut child = start("kills::writer", &path, keeps_all);
        let what = ["write", "retain", "vacuum", "checkpoint", "roll", "open"][round as usize % 6];
        let what = if keeps_all && what == "retain" {
            "write"
        } else {
            what
        };
        let wanted = format!("begins {what}");
        let mut skip = if what == "write" { chance(12) } else { 0 };
        let mut lines = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map(Result::unwrap);
        let mut see = |line: &str| {
            if let Some(number) = line.strip_prefix("committed ") {
                acknowledged = number.parse().ok().max(acknowledged);
            }
        };
        for line in lines.by_ref() {
            see(&line);
            if line == wanted {
                if skip == 0 {
                    break;
                }
                skip -= 1;
            }
        }
        let longest = if what == "vacuum" || what == "open" {
            30_000
        } else {
            6_000
        };
        std::thread::sleep(Duration::from_micros(chance(longest)));
        child.kill().unwrap();
        lines.for_each(|line| see(&line));
        child.wait().unwrap();
        if path.exists() && Reader::open(&path).is_ok() {
            between += u64::from(is_between_slices(&path));
            done = check(&path, acknowledged, keeps_all);
        } else {
            assert_eq!(acknowledged, None, "what was acknowledged is gone");
        }
    }
    // At last everything that ever opened is in the sums, once.
    let writer = Writer::open(&path, &Options::new("boot-1", "0.1.0", NOW)).unwrap();
    writer.close(time(done)).unwrap();
    let reader = Reader::open(&path).unwrap();
    let minutes = reader
        .traffic(&Ask::all(Time(0)..Time(i64::MAX / 2), usize::MAX))
        .unwrap()
        .rows;
    let total: u64 = minutes.iter().map(|row| row.total.connections).sum();
    assert_eq!(total, done * EACH);
    assert_eq!(reader.wrong_sums().unwrap(), Vec::<String>::new());
    assert!(done > 10, "{done}");
    println!("soak: {done} batches; killed {between} times between two slices of the sums");
    assert!(between > 0 || !keeps_all);
}

#[test]
fn killed_while_it_writes_rolls_up_and_compacts() {
    kill_writers(true);
}

#[test]
fn killed_while_it_drops_old_rows() {
    kill_writers(false);
}

/// Not a test of its own: the writer that is killed while it brings a database up to date.
#[test]
fn migrates() {
    let Some(path) = std::env::var_os(DATABASE) else {
        return;
    };
    println!("\nbegins");
    drop(Writer::open(Path::new(&path), &Options::new("boot-1", "0.1.0", NOW)).unwrap());
    println!("\nends");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "it measures how long to wait")]
fn killed_while_it_migrates_many_rows() {
    let folder = tempfile::tempdir().unwrap();
    let old = folder.path().join("old.db");
    let database = earlier::make(&old, 3);
    database.execute_batch("BEGIN").unwrap();
    let count = 4_000;
    for number in 0..count {
        let time = Time(NOW.0 + number as i64 * 1_000_000);
        let opened = connection(number, time, talk(number, number % EACH));
        let mut last = opened.clone();
        (last.seen, last.ended) = (time, Some(time));
        let story = earlier::Story {
            opened: (time, opened),
            last: (number % 3 > 0).then_some((time, last, true)),
        };
        earlier::insert(&database, 3, 0, &story);
    }
    database
        .execute_batch("COMMIT; PRAGMA wal_checkpoint(TRUNCATE)")
        .unwrap();
    drop(database);
    let copy = |name: &str| {
        let path = folder.path().join(name);
        std::fs::copy(&old, &path).unwrap();
        path
    };
    let run = |path: &Path, wait: Option<Duration>| {
        let mut child = start("kills::migrates", path, false);
        let mut lines = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map(Result::unwrap);
        assert!(lines.by_ref().any(|line| line == "begins"));
        let begun = std::time::Instant::now();
        if let Some(wait) = wait {
            std::thread::sleep(wait);
            child.kill().unwrap();
        }
        let ended = lines.any(|line| line == "ends");
        child.wait().unwrap();
        (ended, begun.elapsed())
    };
    let (ended, whole) = run(&copy("whole.db"), None);
    assert!(ended);
    let mut killed = 0;
    for round in 0..rounds() {
        let path = copy(&format!("{round}.db"));
        let wait = Duration::from_micros(chance(whole.as_micros() as u64));
        killed += u64::from(!run(&path, Some(wait)).0);
        assert_eq!(integrity(&path), "ok");
        let database = Database::open(&path).unwrap();
        let version: i64 = database
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .unwrap();
        assert!(version == 3 || version == SCHEMA_VERSION, "version {version}");
        let rows: u64 = database
            .query_row("SELECT count(*) FROM connection", [], |row| row.get::<_, i64>(0))
            .unwrap() as u64;
        assert_eq!(rows, count);
        let is_old = database.prepare("SELECT last_seen FROM connection").is_ok();
        assert_eq!(is_old, version == 3);
        drop(database);
        drop(Writer::open(&path, &Options::new("boot-1", "0.1.0", NOW)).unwrap());
        let reader = Reader::open(&path).unwrap();
        assert_eq!(reader.wrong_sums().unwrap(), Vec::<String>::new());
        let opened = reader.history(Time(0)..Time(i64::MAX)).map(Result::unwrap);
        assert_eq!(
            opened
                .filter(|event| matches!(event.fact, Fact::ConnectionOpened(_)))
                .count() as u64,
            count
        );
        std::fs::remove_file(&path).unwrap();
    }
    println!("soak: {killed} kills during a migration of {count} rows that takes {whole:?}");
    assert!(killed > 0);
}
