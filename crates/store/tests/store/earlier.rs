//! Databases of every earlier version, with any rows: each record is the same when they are of today.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use atalaya_model::connection::Traffic;
use atalaya_model::*;
use atalaya_store::{Reader, SCHEMA_VERSION};
use proptest::prelude::*;
use rusqlite::types::Value as Sql;
use rusqlite::{Connection as Database, params, params_from_iter};

use crate::sample::{self, NOW, open};

const MIGRATIONS: [&str; 3] = [
    include_str!("../../src/schema/0001.sql"),
    include_str!("../../src/schema/0002.sql"),
    include_str!("../../src/schema/0003.sql"),
];

/// Makes an empty database as the program of this version did.
pub(crate) fn make(path: &Path, version: usize) -> Database {
    let database = Database::open(path).unwrap();
    database.pragma_update(None, "page_size", 8192).unwrap();
    database
        .pragma_update(None, "auto_vacuum", "INCREMENTAL")
        .unwrap();
    for migration in &MIGRATIONS[..version] {
        database.execute_batch(migration).unwrap();
    }
    database
        .pragma_update(None, "application_id", 0x4174_6131)
        .unwrap();
    database
        .pragma_update(None, "user_version", version as i64)
        .unwrap();
    database
        .execute_batch(&format!(
            "PRAGMA journal_mode = WAL; INSERT INTO boot VALUES (1, 'boot-1'); \
             INSERT INTO run VALUES (1, 1, '0.1.0', 1, {now}, {now}, {now} + 9);",
            now = NOW.0
        ))
        .unwrap();
    database
}

/// What is known of a conversation: when it opened, and what came of it.
#[derive(Clone, Debug)]
pub(crate) struct Story {
    pub(crate) opened: (Time, Connection),
    pub(crate) last: Option<(Time, Connection, bool)>,
}

impl Story {
    /// The events that history gives back of it.
    pub(crate) fn events(&self) -> Vec<Event> {
        let (time, opened) = &self.opened;
        let mut opened = opened.clone();
        if let Some((_, last, _)) = &self.last {
            // What does not change in the life of a conversation is the last known.
            opened = Connection {
                seen: opened.seen,
                ended: None,
                state: opened.state,
                traffic: opened.traffic,
                outcome: opened.outcome,
                process: opened.process,
                attribution: opened.attribution,
                shared_with: opened.shared_with,
                wire: None,
                started: opened.started,
                ..last.clone()
            };
        }
        let mut events = vec![Event::new(*time, Fact::ConnectionOpened(Arc::new(opened)))];
        if let Some((time, last, closed)) = &self.last {
            let last = Arc::new(last.clone());
            let fact = match closed {
                true => Fact::ConnectionClosed(last),
                false => Fact::ConnectionUpdated(last),
            };
            events.push(Event::new(*time, fact));
        }
        events
    }
}

fn text(database: &Database, value: Option<&Text>) -> Option<i64> {
    let value = value?;
    let insert = "INSERT INTO text (day, value) VALUES (20776, ?1) ON CONFLICT (value) DO NOTHING";
    database.execute(insert, [&**value]).unwrap();
    let found = database.query_row("SELECT id FROM text WHERE value = ?1", [&**value], |row| {
        row.get(0)
    });
    Some(found.unwrap())
}

fn address(database: &Database, ip: IpAddr) -> i64 {
    let raw = match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let insert = "INSERT INTO ip (day, raw, address) VALUES (20776, ?1, ?2) ON CONFLICT (raw) DO NOTHING";
    database.execute(insert, params![raw, ip.to_string()]).unwrap();
    let find = "SELECT id FROM ip WHERE raw = ?1";
    database.query_row(find, [raw], |row| row.get(0)).unwrap()
}

fn process(database: &Database, process: Option<&Arc<Process>>) -> Option<i64> {
    let process = process?;
    let insert = "INSERT INTO process (day, boot, pid, start, latest, started, name, flags) \
                  SELECT 20776, 1, ?1, 1, 1, ?2, ?3, 0 WHERE NOT EXISTS (SELECT 1 FROM process WHERE pid = ?1)";
    let values = params![process.key.pid, process.started.0, &*process.name];
    database.execute(insert, values).unwrap();
    let find = "SELECT id FROM process WHERE pid = ?1";
    Some(
        database
            .query_row(find, [process.key.pid], |row| row.get(0))
            .unwrap(),
    )
}

fn keys(keys: &[ProcessKey]) -> Option<Vec<u8>> {
    let bytes = keys
        .iter()
        .map(|key| [&key.pid.to_le_bytes()[..], &key.start.to_le_bytes()].concat());
    (!keys.is_empty()).then(|| bytes.collect::<Vec<_>>().concat())
}

/// Inserts a conversation as the program of this version did. Its row is `place`-th of its microsecond.
pub(crate) fn insert(database: &Database, version: usize, place: i64, story: &Story) {
    let attribution = |it: &Connection| {
        let certainty = [Certainty::Unknown, Certainty::Likely, Certainty::Exact];
        let evidence = [
            Evidence::KernelEvent,
            Evidence::Descriptor,
            Evidence::SharedDescriptor,
            Evidence::SeenBefore,
            Evidence::KernelOwned,
            Evidence::BetweenLooks,
            Evidence::NoPermission,
            Evidence::NotFound,
            Evidence::NotRecorded,
            Evidence::Listener,
        ];
        let certainty = certainty
            .iter()
            .position(|known| *known == it.attribution.certainty);
        let evidence = evidence
            .iter()
            .position(|known| *known == it.attribution.evidence);
        (certainty.unwrap() << 5 | evidence.unwrap()) as i64
    };
    let outcome = |it: &Connection| {
        Outcome::ALL
            .iter()
            .position(|known| *known == it.outcome)
            .filter(|code| *code > 0)
    };
    let moment = |it: &Connection, time: Time| -> Vec<Sql> {
        let count = |get: fn(&Traffic) -> u64| Sql::from(it.traffic.map(|traffic| get(&traffic) as i64));
        vec![
            (it.seen.0 - time.0).into(),
            (SocketState::ALL
                .iter()
                .position(|known| *known == it.state)
                .unwrap() as i64)
                .into(),
            count(|t| t.sent_bytes),
            count(|t| t.received_bytes),
            count(|t| t.sent_packets),
            count(|t| t.received_packets),
            count(|t| t.round_trip.into()),
            count(|t| t.retransmits.into()),
            process(database, it.process.as_ref()).into(),
            attribution(it).into(),
            keys(&it.shared_with).into(),
        ]
    };
    let (time, opened) = &story.opened;
    let it = story.last.as_ref().map_or(opened, |(_, last, _)| last);
    let id = ((time.0 / 1_000) << 20 | (time.0 % 1_000) << 10) + place;
    let direction = [
        Direction::Outbound,
        Direction::Inbound,
        Direction::Local,
        Direction::Unknown,
    ];
    let scope = [
        Scope::Unspecified,
        Scope::Loopback,
        Scope::Private,
        Scope::Multicast,
        Scope::External,
    ];
    let mut values: Vec<Sql> = vec![
        id.into(),
        (time.0 - (id >> 20) * 1_000 - (id >> 10 & 1_023)).into(),
        1.into(),
        story
            .last
            .as_ref()
            .map_or(0, |(_, _, closed)| 1 + i64::from(*closed))
            .into(),
        (opened.started.0 - time.0).into(),
        i64::from(it.started_before).into(),
        i64::from(it.transport.number()).into(),
        address(database, it.source.ip).into(),
        i64::from(it.source.port).into(),
        address(database, it.destination.ip).into(),
        i64::from(it.destination.port).into(),
        i64::from(it.side == Side::Destination).into(),
        (direction.iter().position(|known| *known == it.direction).unwrap() as i64).into(),
        (scope.iter().position(|known| *known == it.scope).unwrap() as i64).into(),
        i64::from(it.network_namespace).into(),
        (it.cookie as i64).into(),
        it.user_id.map(i64::from).into(),
        it.cgroup_id.map(|id| id as i64).into(),
        text(database, it.service.as_ref()).into(),
        Sql::Blob(vec![0; 20]),
    ];
    values.extend(moment(opened, *time));
    match &story.last {
        Some((time, last, _)) => {
            values.push(time.0.into());
            values.push(last.ended.map(|ended| ended.0 - time.0).into());
            values.extend(moment(last, *time));
        }
        None => values.extend(vec![Sql::Null; 13]),
    }
    if version >= 2 {
        let last = story.last.as_ref().and_then(|(_, last, _)| outcome(last));
        values.push(outcome(opened).map(|code| code as i64).into());
        values.push(last.map(|code| code as i64).into());
        values.push(text(database, it.name.as_ref()).into());
        values.push(it.name_source.map(|_| 0).into());
    }
    let places: Vec<_> = (1..=values.len()).map(|place| format!("?{place}")).collect();
    let sql = format!("INSERT INTO connection VALUES ({})", places.join(", "));
    database
        .prepare_cached(&sql)
        .unwrap()
        .execute(params_from_iter(values))
        .unwrap();
    if let Some(wire) = it.wire.as_ref().filter(|_| version >= 3) {
        let document = serde_json::to_string(wire).unwrap();
        let insert = "INSERT INTO wire (connection, document) VALUES (?1, ?2)";
        database.execute(insert, params![id, document]).unwrap();
    }
}

/// Any conversation, at one of few times, so that some share a microsecond.
fn story(version: usize) -> BoxedStrategy<Story> {
    let times = prop::sample::select(vec![0_i64, 1, 999, 1_000, 86_400_000_000]);
    let spans = prop::sample::select(vec![-5_i64, 0, 1, 7, 3_600_000_000, 3_600_000_001, 7_200_000_000]);
    let last = (
        sample::connection(0),
        spans,
        0..3_u8,
        prop::option::of(sample::wire()),
        -5_i64..5,
    );
    (
        sample::connection(0),
        times,
        prop::option::of(last),
        any::<bool>(),
    )
        .prop_map(move |(mut opened, time, last, alike)| {
            let time = Time(NOW.0 + time);
            let plain = |it: &mut Connection| {
                it.places = Places::default();
                it.process = it.process.take().map(|process| {
                    let key = ProcessKey {
                        pid: process.key.pid,
                        start: 1,
                    };
                    Arc::new(Process::bare(key, format!("p{}", key.pid).into(), NOW))
                });
                if version < 2 {
                    (it.outcome, it.name, it.name_source) = (Outcome::Unknown, None, None);
                }
            };
            plain(&mut opened);
            let last = last.map(|(mut last, span, kind, wire, odd)| {
                plain(&mut last);
                let time = Time(time.0 + span);
                if alike {
                    (last.traffic, last.process) = (opened.traffic, opened.process.clone());
                    last.seen = opened.seen;
                } else {
                    last.seen = time;
                }
                last.ended = [Some(time), Some(Time(time.0 + odd)), None][usize::from(kind)];
                last.started = opened.started;
                last.wire = wire.filter(|_| version >= 3).map(Box::new);
                (time, last, odd != 0)
            });
            Story {
                opened: (time, opened),
                last,
            }
        })
        .boxed()
}

/// Events without the ids that the store gives, in one order.
fn comparable(events: impl IntoIterator<Item = Event>) -> Vec<String> {
    let mut lines: Vec<_> = events
        .into_iter()
        .map(|mut event| {
            if let Fact::ConnectionOpened(it) | Fact::ConnectionUpdated(it) | Fact::ConnectionClosed(it) =
                &mut event.fact
            {
                Arc::make_mut(it).id = 0;
            }
            format!("{event:?}")
        })
        .collect();
    lines.sort();
    lines
}

fn check(version: usize, stories: &[Story]) -> Result<(), TestCaseError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let database = make(&path, version);
    for (place, story) in (0..).zip(stories) {
        insert(&database, version, place, story);
    }
    drop(database);
    drop(open(&path));
    let reader = Reader::open(&path).unwrap();
    let range = Time(i64::MIN)..Time(i64::MAX);
    let found: Vec<_> = reader.history(range).map(Result::unwrap).collect();
    prop_assert!(found.is_sorted_by_key(|event| event.time));
    let expected = comparable(stories.iter().flat_map(Story::events));
    prop_assert_eq!(comparable(found), expected);
    let check: String = Database::open(&path)
        .unwrap()
        .pragma_query_value(None, "integrity_check", |row| row.get(0))
        .unwrap();
    prop_assert_eq!(check, "ok");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn every_record_of_version_1_is_the_same(stories in prop::collection::vec(story(1), 1..12)) {
        check(1, &stories)?;
    }

    #[test]
    fn every_record_of_version_2_is_the_same(stories in prop::collection::vec(story(2), 1..12)) {
        check(2, &stories)?;
    }

    #[test]
    fn every_record_of_version_3_is_the_same(stories in prop::collection::vec(story(3), 1..12)) {
        check(3, &stories)?;
    }
}

#[test]
fn no_version_is_forgotten() {
    assert_eq!(MIGRATIONS.len() as i64, SCHEMA_VERSION - 1);
}
