//! Old rows go, oldest first, in small slices; what lives and what is referred to stays.

use std::sync::Arc;

use atalaya_model::fields::Kind;
use atalaya_model::filter::Expression;
use atalaya_model::*;
use atalaya_store::{AlertQuery, Entry, Reader, Retention, Writer};

use crate::sample::{NOW, open};

const DAY: i64 = 86_400_000_000;

fn process(number: u32) -> Arc<Process> {
    let mut process = Process::bare(
        ProcessKey {
            pid: number,
            start: 1,
        },
        "p".into(),
        NOW,
    );
    process.executable = Some(format!("/usr/bin/p{number}").into());
    process.user_name = Some(format!("user {number}").into());
    process.command_line = Some("x".repeat(200).into());
    process.ancestors = Arc::from([process::Ancestor {
        key: ProcessKey {
            pid: number + 1_000_000,
            start: 1,
        },
        name: "parent".into(),
        executable: None,
    }]);
    Arc::new(process)
}

fn connection(number: u32, time: Time) -> Connection {
    Connection {
        id: number.into(),
        direction: Direction::Outbound,
        scope: Scope::External,
        network_namespace: 1,
        cookie: number.into(),
        user_id: Some(0),
        outcome: Default::default(),
        service: Some(format!("service {number}").into()),
        process: Some(process(number)),
        attribution: Evidence::Descriptor.into(),
        ..Connection::bare(
            time,
            Transport::Tcp,
            Endpoint::new("192.0.2.1".parse().unwrap(), 40_000),
            Endpoint::new((number + (11 << 24)).to_be_bytes().into(), 443),
        )
    }
}

fn alert(number: u32, time: Time) -> Entry {
    let finding = Finding {
        rule: "r".into(),
        time,
        severity: Severity::High,
        key: number.to_string().into(),
        values: vec![],
        process: None,
        connections: vec![],
        listener: None,
    };
    let id = (time.milliseconds() as u64) << 20 | u64::from(number);
    let alert = Alert {
        id,
        finding,
        techniques: vec![],
        recurrence: 0,
    };
    Entry::Alert(AlertRecord::Raised(alert.into()))
}

/// Ten days, from nine days ago to now, each with 50 closed conversations, one that stays open, and an alert.
fn ten_days(writer: &mut Writer) {
    for day in 0..10_u32 {
        let time = Time(NOW.0 - i64::from(9 - day) * DAY);
        let mut entries = vec![alert(day, time)];
        for place in 0..51 {
            let number = day * 100 + place;
            let mut it = connection(number, time);
            let tell = |fact| Entry::Event(Event::new(time, fact));
            entries.push(tell(Fact::ProcessStarted(process(number))));
            entries.push(tell(Fact::ConnectionOpened(Arc::new(it.clone()))));
            if place > 0 {
                it.ended = Some(time);
                entries.push(tell(Fact::ConnectionClosed(Arc::new(it))));
                let mut process = Process::clone(&process(number));
                process.ended = Some(time);
                entries.push(tell(Fact::ProcessEnded(Arc::new(process))));
            }
        }
        writer.write(&entries).unwrap();
    }
}

/// Every row that is left is whole.
fn check_whole(path: &std::path::Path) {
    let reader = Reader::open(path).unwrap();
    for stored in reader.select(Kind::Connection, &Expression::All, 10_000).unwrap() {
        let record = stored.record();
        let it = record.connection().unwrap();
        let expected = connection(it.cookie as u32, it.started);
        assert_eq!(it.destination, expected.destination);
        assert_eq!(it.service, expected.service);
        let (process, expected) = (it.process.as_ref().unwrap(), expected.process.unwrap());
        assert_eq!(
            **process,
            Process {
                ended: process.ended,
                ..Process::clone(&expected)
            }
        );
    }
    let connection = rusqlite::Connection::open(path).unwrap();
    let check: String = connection
        .pragma_query_value(None, "integrity_check", |row| row.get(0))
        .unwrap();
    assert_eq!(check, "ok");
}

fn count(path: &std::path::Path, kind: Kind) -> u64 {
    Reader::open(path).unwrap().count(kind, &Expression::All).unwrap()
}

#[test]
fn by_age() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let mut writer = open(&path);
    ten_days(&mut writer);
    assert_eq!(count(&path, Kind::Connection), 510);
    let policy = Retention::new(3, 0, Time(NOW.0 + 1));
    let mut slices = 0;
    loop {
        let retained = writer.retain(policy, 100).unwrap();
        assert!(retained.rows <= 100);
        slices += 1;
        if !retained.more {
            break;
        }
    }
    assert!(slices > 5, "{slices}");
    // Three days are left, and the open ones of every day.
    assert_eq!(count(&path, Kind::Connection), 3 * 51 + 7);
    assert_eq!(count(&path, Kind::Alert), 3);
    // Processes of the days left and of the day before, and the open ones'.
    assert!((3 * 51 + 7..=5 * 51 + 6).contains(&count(&path, Kind::Process)));
    check_whole(&path);
    let ever = Time(0)..Time(i64::MAX);
    let (_, known) = Reader::open(&path).unwrap().executables_within(&ever, 1).unwrap();
    assert_eq!(known, 510, "what was ever seen is remembered");
    assert_eq!(writer.retain(policy, 100).unwrap().rows, 0);
    // The open ones of the first days still close, in the row in which they opened.
    let mut it = connection(0, Time(NOW.0 - 9 * DAY));
    it.ended = Some(NOW);
    writer
        .write(&[Entry::Event(Event::new(
            NOW,
            Fact::ConnectionClosed(Arc::new(it)),
        ))])
        .unwrap();
    assert_eq!(count(&path, Kind::Connection), 3 * 51 + 7);
    check_whole(&path);
}

/// How many rows of each kind there are: raw ones that do not live, sums, addresses and texts of another day, alerts.
fn left(path: &std::path::Path) -> [i64; 4] {
    let database = rusqlite::Connection::open(path).unwrap();
    let sum = |tables: &[&str]| -> i64 {
        let count = |sql: &str| database.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        tables
            .iter()
            .map(|table| count(&format!("SELECT count(*) FROM {table}")))
            .sum()
    };
    let today = NOW.seconds().div_euclid(86_400);
    [
        sum(&["connection", "process_event", "dns_exchange"]) - 10,
        sum(&[
            "rollup_minute",
            "rollup_hour_ip",
            "rollup_hour_top",
            "rollup_day_ip",
            "rollup_hour_program",
            "rollup_hour_port",
        ]),
        sum(&[
            &format!("ip WHERE day < {today}"),
            &format!("text WHERE day < {today}"),
        ]),
        sum(&["alert"]),
    ]
}

fn dns(number: u32, time: Time) -> Entry {
    let it = Protocol {
        time,
        connection: Arc::new(connection(number, time)),
        message: Message::Dns(Box::default()),
    };
    Entry::Event(Event::new(time, Fact::Protocol(Arc::new(it))))
}

/// Slice after slice without any room: what goes before what, whether or not the rows are in the index by address yet.
#[test]
fn nothing_goes_before_its_turn() {
    for is_rolled_up in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let mut writer = open(&path);
        ten_days(&mut writer);
        let facts: Vec<_> = (0..10)
            .map(|day| dns(day * 100 + 1, Time(NOW.0 - i64::from(9 - day) * DAY)))
            .collect();
        writer.write(&facts).unwrap();
        if is_rolled_up {
            writer.roll_up(NOW).unwrap();
        } else {
            // Nothing but rows that wait, so that there is nothing else to take.
            let database = rusqlite::Connection::open(&path).unwrap();
            let sql = "DELETE FROM process_event; DELETE FROM dns_exchange";
            database.execute_batch(sql).unwrap();
        }
        // Of older hours only some addresses are kept, whatever room there is.
        while writer.retain(Retention::new(0, 0, NOW), 1_000).unwrap().more {}
        let all = left(&path);
        assert!(all.iter().all(|count| *count > 0 || !is_rolled_up), "{all:?}");
        let (mut before, mut orders) = (all, Vec::new());
        loop {
            let retained = writer.retain(Retention::new(0, 1, NOW), 30).unwrap();
            let now = left(&path);
            for kind in 0..4 {
                if now[kind] < before[kind] {
                    // The sums may only be written once rows wait for that.
                    assert!(
                        (0..kind).all(|earlier| now[earlier] == 0),
                        "{kind} went, {before:?} {now:?}, rolled up: {is_rolled_up}"
                    );
                    orders.push(kind);
                }
            }
            before = now;
            if !retained.more {
                break;
            }
        }
        orders.dedup();
        assert_eq!(orders, [0, 1, 2, 3], "rolled up: {is_rolled_up}");
        assert_eq!(count(&path, Kind::Connection), 10, "what lives stays");
    }
}

/// The oldest day of every sum goes first, and the newest last.
#[test]
fn sums_go_day_by_day() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let mut writer = open(&path);
    ten_days(&mut writer);
    writer.roll_up(NOW).unwrap();
    let first_day = || -> Vec<Option<i64>> {
        let database = rusqlite::Connection::open(&path).unwrap();
        [
            "SELECT min(minute) / 1440 FROM rollup_minute",
            "SELECT min(hour) / 24 FROM rollup_hour_program",
            "SELECT min(hour) / 24 FROM rollup_hour_top",
            "SELECT min(day) FROM rollup_day_ip",
        ]
        .map(|sql| database.query_row(sql, [], |row| row.get(0)).unwrap())
        .into()
    };
    let mut days = 0;
    loop {
        let before = first_day();
        let retained = writer.retain(Retention::new(0, 1, NOW), 10).unwrap();
        let now = first_day();
        // No table is emptied of a newer day while another has an older one.
        if let (Some(Some(oldest)), Some(newest)) = (before.iter().min(), now.iter().flatten().max()) {
            assert!(newest - oldest <= 1, "{before:?} {now:?}");
            days += i64::from(before != now);
        }
        if !retained.more {
            break;
        }
    }
    assert!(days >= 9, "{days}");
    assert_eq!(first_day(), [None; 4]);
}

#[test]
fn by_size_raw_rows_first_alerts_last() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let mut writer = open(&path);
    ten_days(&mut writer);
    writer.checkpoint().unwrap();
    let before = writer.stats().unwrap();
    // Two fifths of what there is but for empty tables.
    let empty = folder.path().join("empty.db");
    let empty = open(&empty).stats().unwrap().bytes;
    let budget = empty + (before.bytes - before.log_bytes - empty) * 2 / 5;
    let policy = Retention::new(0, budget, NOW);
    while writer.retain(policy, 50).unwrap().more {}
    writer.checkpoint().unwrap();
    let after = writer.stats().unwrap();
    assert!(after.bytes <= budget, "{before:?} {after:?}");
    assert_eq!(after.log_bytes, 0);
    assert_eq!(count(&path, Kind::Alert), 10);
    let left = count(&path, Kind::Connection);
    assert!((10..510).contains(&left), "{left}");
    check_whole(&path);
    // With no room at all even alerts go, and it ends.
    let nothing = Retention::new(0, 1, NOW);
    while writer.retain(nothing, 50).unwrap().more {}
    let reader = Reader::open(&path).unwrap();
    assert!(reader.alerts(&AlertQuery::default()).unwrap().is_empty());
    assert_eq!(count(&path, Kind::Connection), 10, "what lives stays");
    check_whole(&path);
}
