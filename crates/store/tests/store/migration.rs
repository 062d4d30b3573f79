//! A database of schema version 1 becomes one of today: nothing of it is lost, and it is never half of each.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use atalaya_model::fields::Kind;
use atalaya_model::filter::{Expression, parse};
use atalaya_model::process::Flags;
use atalaya_model::*;
use atalaya_store::{AlertQuery, Entry, Options, Reader, SCHEMA_VERSION, StoreError, Writer};
use rusqlite::Connection as Database;

use crate::sample::{NOW, open, rounds};

const DATABASE: &str = "ATALAYA_TEST_MIGRATE_DATABASE";

/// An alert as the program of version 1 wrote it: without outcomes, names and exit codes.
const ALERT: &str = r#"{"id":1882323000000000000,"finding":{"rule":"suspicious_port","time":1795123456789012,
"severity":"high","key":"nc → 4444","values":[["port",{"integer":4444}]],"process":{"key":{"pid":42,"start":7},
"started":1795123456789012,"ended":null,"name":"nc","executable":"/usr/bin/nc","command_line":null,
"command_line_hash":null,"working_directory":null,"user_id":1000,"user_name":null,"parent":null,"ancestors":[],
"cgroup":null,"container":null,"unit":null,"network_namespace":null,"flags":{"deleted":true,"memfd":false,
"script":false,"kernel_thread":false},"script":null,"sha256":null,"package":null,"unread":null},"connections":[{"id":1,
"started":1795123456789012,"started_before":false,"seen":1795123456789012,"ended":null,"transport":"tcp","source":
{"ip":"192.0.2.1","port":45123},"destination":{"ip":"203.0.113.7","port":4444},"side":"source","direction":"outbound",
"scope":"external","state":"ESTABLISHED","network_namespace":1,"cookie":5,"user_id":1000,"cgroup_id":null,
"traffic":null,"service":null,"process":null,"attribution":{"certainty":"unknown","evidence":"not_found"},
"shared_with":[]}],"listener":null},"techniques":[],"recurrence":0}"#;

/// Rows as version 1 wrote them; `{id}` is the first id of [`NOW`].
const ROWS: &str = "
    INSERT INTO boot VALUES (1, 'boot-1');
    INSERT INTO run VALUES (1, 1, '0.1.0', 1, {now}, {now}, {now} + 9);
    INSERT INTO text VALUES (1, 20776, 'ana'), (2, 20776, 'https');
    INSERT INTO ip VALUES (1, 20776, x'c0000201', '192.0.2.1'), (2, 20776, x'cb007107', '203.0.113.7');
    INSERT INTO executable VALUES (1, 20776, {now}, {now}, '/usr/bin/curl', 'ab12');
    INSERT INTO lineage VALUES (1, 20776, NULL, 1, 1, 'init', NULL);
    INSERT INTO process (id, day, boot, pid, start, latest, started, ended, name, executable, command_line, user_id,
        user_name, lineage, flags) VALUES (1, 20776, 1, 42, 7, 1, {now}, {now} + 5, 'curl', 1, 'curl -s', 1000, 1, 1, 1);
    INSERT INTO process_event VALUES ({id}, 0, 0, 1), ({id} + 5 * 1024, 0, 2, 1);
    INSERT INTO connection (id, late, run, phase, started, started_before, transport, source_ip, source_port,
        destination_ip, destination_port, side, direction, scope, network_namespace, cookie, user_id, service, community,
        seen, state, process, attribution, changed, ended, last_seen, last_state, last_sent_bytes, last_received_bytes,
        last_sent_packets, last_received_packets, last_round_trip, last_retransmits, last_process, last_attribution)
        VALUES ({id}, 0, 1, 2, 0, 0, 6, 1, 45123, 2, 443, 0, 0, 4, 1, 5, 1000, 2, zeroblob(20), 0, 0, 1, 65, {now} + 4,
        0, 0, 6, 70, 900, 3, 4, 0, 0, 1, 65);
    INSERT INTO listener (id, late, run, phase, started, started_before, transport, ip, port, network_namespace, cookie,
        attribution) VALUES ({id}, 0, 1, 0, 0, 1, 6, 1, 22, 1, 6, 7);
    INSERT INTO gap VALUES ({id}, 0, 0, 10, 3, 'nobody watched');
    INSERT INTO tier_change VALUES ({id}, 0, 1, 1, '[]', '[]');
    INSERT INTO alert (id, time, rule, severity_number, severity, finding_key, state, process_name, deleted, document)
        VALUES (1882323000000000000, {now}, 'suspicious_port', 70, 'high', 'nc → 4444', 'ESTABLISHED', 'nc', 1,
        '{alert}');
    INSERT INTO alert_count (alert, time, count) VALUES (1882323000000000000, {now} + 1, 2);
    INSERT INTO verdict (alert, time, by, verdict) VALUES (1882323000000000000, {now} + 2, 'ana', 'false-positive');
    INSERT INTO memory VALUES ('new_executable', 'k', 1, x'01');
    CREATE VIEW connections AS SELECT id FROM connection;
    CREATE VIEW gaps AS SELECT id FROM gap;
    INSERT INTO meta VALUES ('views', 'CREATE VIEW connections AS SELECT id FROM connection');
";

/// Makes a database as the program of version 1 did.
fn version_1(path: &Path) {
    let database = Database::open(path).unwrap();
    database.pragma_update(None, "page_size", 8192).unwrap();
    database
        .pragma_update(None, "auto_vacuum", "INCREMENTAL")
        .unwrap();
    database
        .execute_batch(include_str!("../../src/schema/0001.sql"))
        .unwrap();
    let id = (NOW.0 / 1_000) << 20 | (NOW.0 % 1_000) << 10;
    let rows = ROWS
        .replace("{alert}", ALERT)
        .replace("{now}", &NOW.0.to_string())
        .replace("{id}", &id.to_string());
    database.execute_batch(&rows).unwrap();
    database
        .pragma_update(None, "application_id", 0x4174_6131)
        .unwrap();
    database.pragma_update(None, "user_version", 1).unwrap();
    let mode: String = database
        .query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))
        .unwrap();
    assert_eq!(mode, "wal");
}

/// The version of a database, and whether it has the columns and tables of that version: all or none.
fn version(path: &Path) -> i64 {
    let database = Database::open(path).unwrap();
    let version = database
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap();
    for (table, column) in [("process", "exit_code"), ("alert", "standard_socket")] {
        let has: bool = database
            .query_row(
                "SELECT count(*) FROM pragma_table_info(?1) WHERE name = ?2",
                [table, column],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(has, version >= 2, "{table}.{column} in version {version}");
    }
    let tables: Vec<bool> = ["wire", "shape", "connection_3"]
        .map(|table| database.table_exists(None, table).unwrap())
        .into();
    assert_eq!(tables, [version >= 3, version >= 4, false], "version {version}");
    let check: String = database
        .pragma_query_value(None, "integrity_check", |row| row.get(0))
        .unwrap();
    assert_eq!(check, "ok");
    version
}

/// What of the old rows is read today.
fn check_old_rows(path: &Path) {
    let reader = Reader::open(path).unwrap();
    let facts: Vec<_> = reader
        .history(Time(i64::MIN)..Time(i64::MAX))
        .map(|event| event.unwrap().fact)
        .collect();
    let kinds: Vec<_> = facts.iter().map(Fact::action).collect();
    assert_eq!(
        kinds[..7],
        [
            "tier_changed",
            "gap",
            "process_started",
            "listener_appeared",
            "connection_opened",
            "connection_closed",
            "process_ended"
        ]
    );
    let Fact::ConnectionClosed(closed) = &facts[5] else {
        panic!("{:?}", facts[5])
    };
    assert_eq!((closed.outcome, &closed.name), (Outcome::Unknown, &None));
    assert_eq!(closed.bytes(), Some((70, 900)));
    let process = closed.process.as_ref().unwrap();
    assert_eq!(process.executable.as_deref(), Some("/usr/bin/curl"));
    assert!(process.flags.deleted && !process.flags.preload);
    assert_eq!(
        (process.exit_code, process.script_sha256.as_deref()),
        (None, None)
    );
    let found = reader.alerts(&AlertQuery::default()).unwrap();
    assert_eq!((found.len(), found[0].count), (1, 2));
    assert_eq!(found[0].verdict(), Some(Verdict::FalsePositive));
    assert_eq!(found[0].alert.finding.connections[0].outcome, Outcome::Unknown);
    assert!(found[0].alert.finding.process.as_ref().unwrap().flags.deleted);
    assert_eq!(reader.memory().unwrap().len(), 1);
    assert_eq!(reader.runs(9).unwrap().last().unwrap().tier, Some(Tier::Poll));
}

fn refused_attempt() -> Connection {
    let process = Process {
        exit_code: Some(7),
        ended: Some(Time(NOW.0 + 30)),
        preload: Some("/tmp/x.so".into()),
        flags: Flags {
            preload: true,
            ..Flags::default()
        },
        ..Process::bare(ProcessKey { pid: 43, start: 8 }, "curl".into(), NOW)
    };
    Connection {
        id: 1,
        seen: Time(NOW.0 + 20),
        ended: Some(Time(NOW.0 + 20)),
        direction: Direction::Outbound,
        scope: Scope::External,
        state: SocketState::SynSent,
        network_namespace: 1,
        cookie: 9,
        user_id: Some(1000),
        outcome: Outcome::Refused,
        name: Some("example.org".into()),
        name_source: Some(NameSource::Resolver),
        process: Some(Arc::new(process)),
        attribution: Evidence::KernelEvent.into(),
        ..Connection::bare(
            Time(NOW.0 + 10),
            Transport::Tcp,
            Endpoint::new("192.0.2.1".parse().unwrap(), 45_124),
            Endpoint::new("203.0.113.7".parse().unwrap(), 81),
        )
    }
}

#[test]
fn a_database_of_version_1_goes_on_as_one_of_today() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    version_1(&path);
    let error = Reader::open(&path).unwrap_err();
    assert!(
        matches!(error, StoreError::Older { found: 1, known, .. } if known == SCHEMA_VERSION),
        "{error}"
    );
    assert_eq!(version(&path), 1, "reading changes nothing");
    let mut writer = open(&path);
    assert_eq!(version(&path), SCHEMA_VERSION);
    check_old_rows(&path);
    let closed = Fact::ConnectionClosed(Arc::new(refused_attempt()));
    writer
        .write(&[Entry::Event(Event::new(Time(NOW.0 + 20), closed))])
        .unwrap();
    writer.close(Time(NOW.0 + 40)).unwrap();
    check_old_rows(&path);
    let reader = Reader::open(&path).unwrap();
    let count = |text: &str| reader.count(Kind::Connection, &parse(text).unwrap()).unwrap();
    for (filter, expected) in [
        ("", 2),
        ("outcome:refused", 1),
        ("domain:example.org name_source:resolver", 1),
        ("exit_code:7 is_preloaded:true preload:/tmp/x.so", 1),
        ("!outcome:*", 1),
    ] {
        assert_eq!(count(filter), expected, "{filter}");
    }
    drop(open(&path)); // a second time there is nothing to do
    assert_eq!(version(&path), SCHEMA_VERSION);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "what people ask the views with")]
fn the_views_of_a_migrated_database_answer_the_sqlite3_program() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    version_1(&path);
    let mut writer = open(&path);
    let closed = Fact::ConnectionClosed(Arc::new(refused_attempt()));
    writer
        .write(&[Entry::Event(Event::new(Time(NOW.0 + 20), closed))])
        .unwrap();
    writer.close(Time(NOW.0 + 40)).unwrap();
    for (question, answer) in [
        (
            "SELECT destination_port, outcome, destination_domain, name_source, exit_code FROM connections ORDER BY 1",
            "81|refused|example.org|resolver|7\n443||||\n",
        ),
        (
            "SELECT pid, preload, is_preloaded, standard_socket, script_sha256 FROM processes ORDER BY 1",
            "42||0|0|\n43|/tmp/x.so|1|0|\n",
        ),
        ("SELECT listen_port, evidence FROM listeners", "22|not_found\n"),
        ("SELECT stage, lost FROM gaps", "watch|3\n"),
        (
            "SELECT rule, deleted, outcome, exit_code, verdict FROM alerts",
            "suspicious_port|1|||false-positive\n",
        ),
    ] {
        let run = Command::new("sqlite3")
            .args(["-readonly", "-batch"])
            .arg(&path)
            .arg(question)
            .output();
        let output = match run {
            Ok(output) => output,
            Err(error) => {
                println!("skipped: no sqlite3 program ({error})");
                return;
            }
        };
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            answer,
            "{question}: {said}"
        );
    }
}

#[test]
fn a_migration_that_fails_leaves_version_1_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    version_1(&path);
    let database = Database::open(&path).unwrap();
    // The last column that the migration adds is there already: all before it has worked when it fails.
    database
        .execute_batch("ALTER TABLE alert ADD COLUMN standard_socket INTEGER")
        .unwrap();
    let schema = || -> Vec<String> {
        let mut statement = database
            .prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name")
            .unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    };
    let before = schema();
    let error = Writer::open(&path, &Options::new("boot-1", "0.2.0", NOW)).unwrap_err();
    assert!(error.to_string().contains("standard_socket"), "{error}");
    assert_eq!(schema(), before);
    let version: i64 = database
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap();
    assert_eq!(version, 1);
    let kept: i64 = database
        .query_row("SELECT count(*) FROM connections", [], |row| row.get(0))
        .unwrap();
    assert_eq!(kept, 1, "the old views are there");
}

/// Not a test of its own: the writer that is killed.
#[test]
fn migrating_writer() {
    let Some(path) = std::env::var_os(DATABASE) else {
        return;
    };
    println!("\nopening");
    drop(Writer::open(Path::new(&path), &Options::new("boot-1", "0.2.0", NOW)).unwrap());
    println!("opened");
}

/// Does this process hold the lock of who writes a database? SQLite takes it on one byte of the log's index, or of the
/// file where there is no log.
fn is_in_a_transaction(pid: u32) -> bool {
    let locks = std::fs::read_to_string("/proc/locks").unwrap();
    locks.lines().any(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        let first = words.get(6).copied().unwrap_or_default();
        words
            .get(3..5)
            .is_some_and(|it| it[0] == "WRITE" && it[1] == pid.to_string())
            && (first == "120" || first == "1073741825")
    })
}

/// Brings a database up to date in another process, which is killed so long after it began. Tells how long it took, and
/// whether it was in the middle of it.
#[expect(clippy::disallowed_methods, reason = "it starts itself again, and measures")]
fn migrate_elsewhere(path: &Path, killed_after: Option<Duration>) -> (Duration, bool) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["migration::migrating_writer", "--exact", "--nocapture"])
        .env(DATABASE, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    assert!(lines.by_ref().any(|line| line == "opening"));
    let begun = Instant::now();
    let mut is_within = false;
    match killed_after {
        Some(wait) => {
            // A sleep is too coarse for what takes milliseconds.
            while begun.elapsed() < wait {
                std::hint::spin_loop();
            }
            is_within = is_in_a_transaction(child.id());
            child.kill().unwrap();
        }
        None => assert!(lines.any(|line| line == "opened")),
    }
    let took = begun.elapsed();
    child.wait().unwrap();
    (took, is_within)
}

#[test]
fn killed_while_it_migrates_it_is_of_one_version_or_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let rounds = u32::try_from(rounds()).unwrap();
    let old = folder.path().join("old.db");
    version_1(&old);
    let copy = |name: &str| {
        let path = folder.path().join(name);
        std::fs::copy(&old, &path).unwrap();
        path
    };
    let mut whole: Vec<_> = (0..3)
        .map(|turn| migrate_elsewhere(&copy(&format!("whole-{turn}.db")), None).0)
        .collect();
    whole.sort();
    let (mut before, mut within, mut after) = (0, 0, 0);
    for round in 0..rounds {
        let path = copy("a.db");
        // The points are spread evenly over what it usually takes, and a little more.
        let (_, is_within) = migrate_elsewhere(&path, Some(whole[1] * 5 / 4 * round / rounds));
        match (version(&path), is_within) {
            (1, false) => before += 1,
            (1, true) => within += 1,
            (SCHEMA_VERSION, _) => after += 1,
            (version, _) => panic!("version {version}"),
        }
        drop(open(&path));
        assert_eq!(version(&path), SCHEMA_VERSION);
        check_old_rows(&path);
        let reader = Reader::open(&path).unwrap();
        assert_eq!(reader.count(Kind::Gap, &Expression::All).unwrap(), 1);
        drop(reader);
        for suffix in ["", "-journal", "-wal", "-shm", ".lock"] {
            drop(std::fs::remove_file(folder.path().join(format!("a.db{suffix}"))));
        }
    }
    println!(
        "soak: {rounds} kills over {:?}: {before} before its transaction, {within} within, {after} after",
        whole[1]
    );
    assert!(within * 10 > rounds, "{within} of {rounds} within");
}
