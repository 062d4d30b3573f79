//! What is written comes back.

use std::collections::HashMap;
use std::sync::Arc;

use atalaya_model::fields;
use atalaya_model::filter::Expression;
use atalaya_model::memory::Memory;
use atalaya_model::tier::Limit;
use atalaya_model::*;
use atalaya_store::{AlertQuery, Entry, Reader, Stored};
use proptest::prelude::*;
use rusqlite::types::Value as Sql;

use crate::sample::{self, NOW, open};

/// A step of a history to come.
#[derive(Clone, Debug)]
enum Step {
    Open(Box<Connection>),
    Update(prop::sample::Index, Box<Connection>),
    Close(prop::sample::Index, Box<Connection>),
    Start(Arc<Process>),
    Learn(Arc<Process>),
    End(prop::sample::Index),
    Appear(Box<Listener>),
    Go(prop::sample::Index),
    Gap(Gap),
    Tier(u8, Text),
}

fn step() -> BoxedStrategy<Step> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        4 => sample::connection(0).prop_map(|it| Step::Open(it.into())),
        2 => (index(), sample::connection(0)).prop_map(|(which, last)| Step::Update(which, last.into())),
        4 => (index(), sample::connection(0)).prop_map(|(which, last)| Step::Close(which, last.into())),
        2 => sample::process().prop_map(Step::Start),
        1 => sample::process().prop_map(Step::Learn),
        2 => index().prop_map(Step::End),
        2 => sample::listener(0).prop_map(|it| Step::Appear(it.into())),
        1 => index().prop_map(Step::Go),
        1 => sample::gap().prop_map(Step::Gap),
        1 => (0_u8..4, sample::text()).prop_map(|(tier, why)| Step::Tier(tier, why)),
    ]
    .boxed()
}

/// The events of these steps: a consistent life of every connection, process and listener.
fn events(steps: Vec<(Step, i64)>) -> Vec<Event> {
    let (mut events, mut now) = (Vec::new(), NOW);
    let (mut open, mut listening, mut alive) = (Vec::new(), Vec::new(), Vec::<Arc<Process>>::new());
    let mut ended = std::collections::HashSet::new();
    for (id, (step, pause)) in (1..).zip(steps) {
        now = Time(now.0 + pause);
        let take = |which: prop::sample::Index, length: usize| (length > 0).then(|| which.index(length));
        let fact = match step {
            Step::Open(mut it) => {
                it.id = id;
                it.seen = now;
                open.push(it.clone());
                Fact::ConnectionOpened(Arc::new(*it))
            }
            Step::Update(which, last) => {
                let Some(place) = take(which, open.len()) else {
                    continue;
                };
                change(&mut open[place], *last, now);
                Fact::ConnectionUpdated(Arc::new(Connection::clone(&open[place])))
            }
            Step::Close(which, last) => {
                let Some(place) = take(which, open.len()) else {
                    continue;
                };
                let mut it = open.remove(place);
                change(&mut it, *last, now);
                it.ended = Some(Time(now.0 - 1));
                Fact::ConnectionClosed(Arc::new(*it))
            }
            Step::Start(process) => {
                if ended.contains(&process.key) {
                    continue;
                }
                alive.push(process.clone());
                Fact::ProcessStarted(process)
            }
            Step::Learn(process) => Fact::ProcessUpdated(process),
            Step::End(which) => {
                let Some(place) = take(which, alive.len()) else {
                    continue;
                };
                let mut process = Process::clone(&alive[place]);
                alive.retain(|other| other.key != process.key);
                ended.insert(process.key);
                process.ended = Some(now);
                process.exit_code = Some(137);
                Fact::ProcessEnded(Arc::new(process))
            }
            Step::Appear(mut it) => {
                it.id = id;
                listening.push(it.clone());
                Fact::ListenerAppeared(Arc::new(*it))
            }
            Step::Go(which) => {
                let Some(place) = take(which, listening.len()) else {
                    continue;
                };
                let mut it = listening.remove(place);
                it.ended = Some(now);
                Fact::ListenerGone(Arc::new(*it))
            }
            Step::Gap(gap) => Fact::Gap(gap),
            Step::Tier(tier, why) => {
                let tier = [Tier::Portable, Tier::Poll, Tier::Events, Tier::Ebpf][usize::from(tier)];
                let limit = Limit {
                    what: why.clone(),
                    remedy: "run as root".into(),
                };
                Fact::TierChanged(Arc::new(TierReport {
                    tier,
                    unavailable: vec![(Tier::Ebpf, why)],
                    limits: vec![limit],
                }))
            }
        };
        events.push(Event::new(now, fact));
    }
    events
}

/// What changes in the life of a conversation.
fn change(it: &mut Connection, last: Connection, now: Time) {
    it.state = last.state;
    it.traffic = last.traffic;
    it.outcome = last.outcome;
    it.process = last.process;
    it.attribution = last.attribution;
    it.shared_with = last.shared_with;
    it.seen = Time(now.0 - 3);
}

/// Without the updates that the store folds: all but the last, and that too where the conversation closed.
fn fold(events: &[Event]) -> Vec<Event> {
    let superseded = |place: usize, id: u64| {
        events[place + 1..].iter().any(|later| match &later.fact {
            Fact::ConnectionUpdated(it) | Fact::ConnectionClosed(it) => it.id == id,
            _ => false,
        })
    };
    let kept = events
        .iter()
        .enumerate()
        .filter(|(place, event)| match &event.fact {
            Fact::ConnectionUpdated(it) => !superseded(*place, it.id),
            _ => true,
        });
    kept.map(|(_, event)| event.clone()).collect()
}

/// Events without what the store gives of its own: ids, and ends of processes that are told in other records.
fn comparable(events: impl IntoIterator<Item = Event>) -> Vec<String> {
    let without_end = |process: &mut Option<Arc<Process>>| {
        if let Some(process) = process
            && process.ended.is_some()
        {
            let process = Arc::make_mut(process);
            (process.ended, process.exit_code) = (None, None);
        }
    };
    let mut lines: Vec<_> = events
        .into_iter()
        .map(|mut event| {
            match &mut event.fact {
                Fact::ConnectionOpened(it) | Fact::ConnectionUpdated(it) | Fact::ConnectionClosed(it) => {
                    let it = Arc::make_mut(it);
                    it.id = 0;
                    without_end(&mut it.process);
                }
                Fact::ListenerAppeared(it) | Fact::ListenerUpdated(it) | Fact::ListenerGone(it) => {
                    let it = Arc::make_mut(it);
                    it.id = 0;
                    without_end(&mut it.process);
                }
                Fact::ProcessStarted(it) | Fact::ProcessUpdated(it) => {
                    let it = Arc::make_mut(it);
                    (it.ended, it.exit_code) = (None, None);
                }
                _ => {}
            }
            format!("{:?}", event)
        })
        .collect();
    lines.sort(); // begins with the time; the order within one time is not the order of writing
    lines
}

fn history(reader: &Reader) -> Vec<Event> {
    let events: Vec<_> = reader
        .history(Time(i64::MIN)..Time(i64::MAX))
        .map(Result::unwrap)
        .collect();
    assert!(events.is_sorted_by_key(|event| event.time));
    events
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn history_is_what_was_written(
        steps in prop::collection::vec((step(), prop::sample::select(vec![0, 0, 1, 999, 70_000_000])), 1..40),
        batch in 1_usize..9,
        restart in any::<bool>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let events = events(steps);
        let mut writer = open(&path);
        for (index, chunk) in events.chunks(batch).enumerate() {
            let entries: Vec<_> = chunk.iter().cloned().map(Entry::Event).collect();
            writer.write(&entries).unwrap();
            if restart && index == 2 {
                let closes = |event: &Event| matches!(
                    event.fact,
                    Fact::ConnectionUpdated(_) | Fact::ConnectionClosed(_) | Fact::ListenerGone(_)
                );
                // Rows of an earlier run are not continued, so stop where nothing is continued.
                if !events.iter().skip(3 * batch).any(closes) {
                    writer.close(chunk[chunk.len() - 1].time).unwrap();
                    writer = open(&path);
                }
            }
        }
        writer.close(Time(NOW.0 + 9_000_000_000)).unwrap();
        let events = fold(&events);
        let reader = Reader::open(&path).unwrap();
        prop_assert_eq!(comparable(history(&reader)), comparable(events.clone()));
        // Any part of the time gives just that part.
        let middle = events.get(events.len() / 2).map_or(NOW, |event| event.time);
        let first = reader.history(Time(i64::MIN)..middle).map(Result::unwrap);
        let second = reader.history(middle..Time(i64::MAX)).map(Result::unwrap);
        prop_assert_eq!(comparable(first.chain(second)), comparable(events));
    }

    #[test]
    fn alerts_come_back_whole(alert in sample::alert(7 << 20)) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let mut writer = open(&path);
        let raised = Entry::Alert(AlertRecord::Raised(alert.clone().into()));
        writer.write(std::slice::from_ref(&raised)).unwrap();
        writer.write(&[raised]).unwrap();
        let found = Reader::open(&path).unwrap().alerts(&AlertQuery::default()).unwrap();
        prop_assert_eq!(found.len(), 1);
        prop_assert_eq!(&found[0].alert, &alert);
        prop_assert!(found[0].is_open());
    }

    #[test]
    fn every_field_is_a_column(
        mut connection in sample::connection(1),
        mut process in sample::process(),
        listener in sample::listener(1),
        alert in sample::alert(1 << 20),
        gap in sample::gap(),
    ) {
        connection.ended = Some(Time(NOW.0 + 5));
        Arc::make_mut(&mut process).sha256 = Some("ab".repeat(32).into());
        Arc::make_mut(&mut process).exit_code = Some(1);
        connection.process = Some(process.clone());
        let stored = [
            Stored::Connection(connection.clone().into()),
            Stored::Process(process.clone()),
            Stored::Listener(listener.clone().into()),
            Stored::Alert(alert.clone().into()),
            Stored::Gap(gap.clone()),
        ];
        let folder = tempfile::tempdir().unwrap();
        for record in &stored {
            // A database a record: a process may be another in each, under the same identity.
            let path = folder.path().join(record.record().kind().view());
            let fact = match record {
                Stored::Connection(it) => Fact::ConnectionClosed(it.clone()),
                Stored::Process(it) => Fact::ProcessStarted(it.clone()),
                Stored::Listener(it) => Fact::ListenerAppeared(it.clone()),
                Stored::Gap(it) => Fact::Gap(it.clone()),
                Stored::Alert(it) => {
                    open(&path).write(&[Entry::Alert(AlertRecord::Raised(it.clone()))]).unwrap();
                    check_columns(&path, record);
                    continue;
                }
            };
            open(&path).write(&[Entry::Event(Event::new(NOW, fact))]).unwrap();
            check_columns(&path, record);
        }
    }
}

/// The one row of the record's view has every field's value in its column, and reads back as the record.
fn check_columns(path: &std::path::Path, stored: &Stored) {
    let record = stored.record();
    let kind = record.kind();
    let connection = rusqlite::Connection::open(path).unwrap();
    let row: HashMap<String, Sql> = connection
        .query_row(&format!("SELECT * FROM {}", kind.view()), [], |row| {
            let names = row.as_ref().column_names();
            names
                .into_iter()
                .map(|name| Ok((name.to_owned(), row.get(name)?)))
                .collect()
        })
        .unwrap();
    for field in fields::of(kind) {
        // What only this program computes: `Reader` shows it below, other programs do not see it.
        let computed = kind == fields::Kind::Connection && field.column == "community_id";
        let value = (field.get)(&record).filter(|_| !computed);
        let expected = value.map_or(Sql::Null, |value| shown(&value));
        assert_eq!(row[field.column], expected, "{} of {record:?}", field.name);
    }
    let reader = Reader::open(path).unwrap();
    let found = reader.select(kind, &Expression::All, 10).unwrap();
    assert_eq!(found.len(), 1);
    for field in fields::of(kind) {
        assert_eq!(
            (field.get)(&found[0].record()),
            (field.get)(&record),
            "{}",
            field.name
        );
    }
}

fn shown(value: &Value) -> Sql {
    match value {
        Value::Bool(value) => Sql::Integer((*value).into()),
        Value::Integer(number) => Sql::Integer(*number),
        Value::Bytes(bytes) => Sql::Integer(i64::try_from(*bytes).unwrap()),
        Value::Text(text) => Sql::Text(text.to_string()),
        Value::Address(ip) => Sql::Text(ip.to_string()),
        Value::Time(time) => Sql::Integer(time.0),
        Value::Span(span) => Sql::Integer(span.0),
        Value::List(values) => {
            let texts: Vec<_> = values
                .iter()
                .map(|value| match value {
                    Value::Text(text) => text.to_string(),
                    other => panic!("{other:?}"),
                })
                .collect();
            Sql::Text(serde_json::to_string(&texts).unwrap())
        }
        other => panic!("no field has {other:?}"),
    }
}

#[test]
fn what_is_said_of_an_alert_is_folded_in() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let mut writer = open(&path);
    let alert = |id: u64, severity| {
        let finding = Finding {
            rule: "suspicious_port".into(),
            time: Time((id >> 20) as i64 * 1_000),
            severity,
            key: "nc → 4444".into(),
            values: vec![("odd".into(), Value::Float(f64::NAN))],
            process: None,
            connections: vec![],
            listener: None,
        };
        AlertRecord::Raised(Box::new(Alert {
            id,
            finding,
            techniques: vec![],
            recurrence: 0,
        }))
    };
    let (first, second) = (1_000 << 20, 2_000 << 20);
    let rows = [
        alert(first, Severity::High),
        alert(second, Severity::Low),
        AlertRecord::Repeated {
            alert: first,
            time: Time(5_000_000),
            count: 2,
        },
        AlertRecord::Repeated {
            alert: first,
            time: Time(6_000_000),
            count: 3,
        },
        AlertRecord::Acknowledged {
            alert: first,
            time: NOW,
            by: "ana".into(),
            note: Some("mine".into()),
        },
        AlertRecord::Closed {
            alert: first,
            time: NOW,
            by: "ana".into(),
            verdict: Verdict::FalsePositive,
            note: None,
        },
        AlertRecord::Closed {
            alert: first,
            time: Time(NOW.0 + 1),
            by: "luis".into(),
            verdict: Verdict::TruePositive,
            note: None,
        },
    ];
    let entries: Vec<_> = rows.into_iter().map(Entry::Alert).collect();
    writer.write(&entries).unwrap();
    writer.write(&entries).unwrap(); // as after a doubtful failure
    assert_eq!(writer.last_alert().unwrap(), second);
    let reader = Reader::open(&path).unwrap();
    let found = reader.alerts(&AlertQuery::default()).unwrap();
    assert_eq!(
        found.iter().map(|it| it.alert.id).collect::<Vec<_>>(),
        [second, first]
    );
    let it = &found[1];
    assert_eq!((it.count, it.last_time), (3, Time(6_000_000)));
    assert_eq!(it.acknowledgements.len(), 1);
    assert_eq!(it.acknowledgements[0].note.as_deref(), Some("mine"));
    assert_eq!(it.verdict(), Some(Verdict::TruePositive));
    assert_eq!(it.verdicts.len(), 2);
    let records = it.records();
    assert_eq!(records.len(), 5, "the two repetitions are one");
    let copy = folder.path().join("copy.db");
    let copied: Vec<_> = records.into_iter().map(Entry::Alert).collect();
    open(&copy).write(&copied).unwrap();
    let reread = Reader::open(&copy).unwrap().alert(first).unwrap();
    assert_eq!(reread.as_ref(), Some(it));
    let open_ones = reader
        .alerts(&AlertQuery {
            open: true,
            ..AlertQuery::default()
        })
        .unwrap();
    assert_eq!(open_ones.len(), 1);
    assert_eq!(open_ones[0].alert.id, second);
    let bad = AlertQuery {
        at_least: Severity::Medium,
        ..AlertQuery::default()
    };
    assert_eq!(reader.alerts(&bad).unwrap().len(), 1);
    assert_eq!(reader.alert(first).unwrap().as_ref(), Some(it));
    assert_eq!(reader.alert(3).unwrap(), None);
    // Nobody changes them behind our back.
    let connection = rusqlite::Connection::open(&path).unwrap();
    for table in ["alert", "alert_count", "acknowledgement", "verdict"] {
        for sql in [
            format!("DELETE FROM {table}"),
            format!("UPDATE {table} SET id = id + 1"),
        ] {
            let error = connection.execute(&sql, []).unwrap_err().to_string();
            assert!(error.contains("append-only"), "{sql}: {error}");
        }
    }
}

#[test]
fn memory_is_replaced_and_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let mut writer = open(&path);
    let memory = |key: &str, bytes: Option<&[u8]>| {
        Entry::Memory(Memory {
            detector: "new_process".into(),
            version: 1,
            key: key.into(),
            bytes: bytes.map(Into::into),
        })
    };
    let long = "k".repeat(Memory::MAX_KEY + 1);
    let written = writer
        .write(&[
            memory("a", Some(b"1")),
            memory("b", Some(b"")),
            memory("a", Some(b"2")),
            memory("c", Some(b"3")),
            memory("c", None),
            memory(&long, Some(b"4")),
        ])
        .unwrap();
    assert_eq!(written.refused, 1);
    let kept = Reader::open(&path).unwrap().memory().unwrap();
    let kept: Vec<_> = kept.iter().map(|it| (&*it.key, it.bytes.as_deref())).collect();
    assert_eq!(kept, [("a", Some(&b"2"[..])), ("b", Some(&b""[..]))]);
}
