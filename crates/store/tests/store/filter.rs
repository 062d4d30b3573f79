//! The filter means the same on records and in SQL.

use std::sync::Arc;

use atalaya_model::fields::{self, Kind, Type};
use atalaya_model::filter::{Expression, Glob, Pattern, Test, parse};
use atalaya_model::*;
use atalaya_store::{Entry, Reader, Stored};
use proptest::prelude::*;

use crate::sample::{self, NOW, open};

fn leaf_test() -> BoxedStrategy<Test> {
    let glob = prop_oneof!["[aAb*?]{0,4}", Just("*%_*".to_owned()), Just("*bin*".to_owned())];
    let regex = prop::sample::select(vec!["a", "^a", "b$", "a.b", "^$", "á", "[0-9]+", "\""]);
    let networks = [
        "10.0.0.0/8",
        "10.1.2.3/32",
        "::/0",
        "0.0.0.0/0",
        "2001:db8::/32",
        "::1/128",
    ];
    prop_oneof![
        Just(Test::Exists),
        sample::text().prop_map(Test::Equals),
        sample::text().prop_map(Test::Contains),
        glob.prop_map(|glob| Test::Glob(Glob::new(&glob))),
        (regex, any::<bool>()).prop_map(|(regex, case)| Test::Regex(Pattern::new(regex, case).unwrap())),
        prop::sample::select(networks.to_vec()).prop_map(|network| Test::Within(network.parse().unwrap())),
        (-2_i64..70_000, -2_i64..70_000).prop_map(|(low, high)| Test::Range { low, high }),
        (0_i64..9).prop_map(|number| Test::Range {
            low: number,
            high: number
        }),
        (-60_i64..10).prop_map(|offset| Test::Range {
            low: NOW.0 + offset,
            high: i64::MAX
        }),
        any::<bool>().prop_map(Test::Is),
    ]
    .boxed()
}

/// Any expression, also those that the parser would refuse: a test on a field of another type.
fn expression() -> BoxedStrategy<Expression> {
    let all: Vec<_> = fields::all().collect();
    let fields = prop::collection::vec(prop::sample::select(all), 1..3);
    let test = prop_oneof![
        4 => leaf_test(),
        1 => prop::collection::vec(leaf_test(), 0..4).prop_map(Test::Any),
    ];
    let leaf = prop_oneof![
        9 => (fields, test).prop_map(|(fields, test)| Expression::Compare { fields, test }),
        1 => Just(Expression::All),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Expression::And),
            prop::collection::vec(inner.clone(), 0..3).prop_map(Expression::Or),
            inner.prop_map(|it| Expression::Not(it.into())),
        ]
    })
    .boxed()
}

/// Both selections of records of a kind by an expression: by the model, by the store. Records are told apart by their
/// field values.
fn check(reader: &Reader, all: &[Stored], kind: Kind, expression: &Expression) -> Result<(), TestCaseError> {
    let expected: Vec<_> = all.iter().filter(|it| expression.matches(&it.record())).collect();
    let found = reader.select(kind, expression, 1_000).unwrap();
    prop_assert_eq!(
        found.iter().collect::<Vec<_>>(),
        expected,
        "{:?} {:?}",
        kind,
        expression
    );
    prop_assert_eq!(reader.count(kind, expression).unwrap(), found.len() as u64);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4))]

    #[test]
    fn record_and_sql_agree(
        connections in prop::collection::vec(sample::connection(1), 1..8),
        wires in prop::collection::vec(prop::option::of(sample::wire()), 8),
        closed in any::<u8>(),
        listeners in prop::collection::vec(sample::listener(1), 1..4),
        processes in prop::collection::vec(sample::process(), 1..6),
        alerts in prop::collection::vec(sample::alert(0), 1..5),
        gaps in prop::collection::vec(sample::gap(), 1..4),
        expressions in prop::collection::vec(expression(), 16),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let mut entries = Vec::new();
        let mut tell = |fact| entries.push(Entry::Event(Event::new(NOW, fact)));
        for process in processes {
            tell(Fact::ProcessStarted(process));
        }
        for (place, mut connection) in connections.into_iter().enumerate() {
            connection.id = place as u64;
            connection.wire = wires[place].clone().map(Box::new);
            tell(Fact::ConnectionOpened(Arc::new(connection.clone())));
            if closed >> place & 1 == 1 {
                connection.ended = Some(NOW);
                connection.process = None;
                connection.traffic = None;
                tell(Fact::ConnectionClosed(Arc::new(connection)));
            }
        }
        for (place, mut listener) in listeners.into_iter().enumerate() {
            listener.id = place as u64;
            tell(Fact::ListenerAppeared(Arc::new(listener)));
        }
        for gap in gaps {
            tell(Fact::Gap(gap));
        }
        for (place, mut alert) in (1..).zip(alerts) {
            alert.id = place;
            entries.push(Entry::Alert(AlertRecord::Raised(alert.into())));
        }
        open(&path).write(&entries).unwrap();
        let reader = Reader::open(&path).unwrap();
        let all = Kind::KEPT.map(|kind| (kind, reader.select(kind, &Expression::All, 1_000).unwrap()));
        for expression in &expressions {
            for (kind, all) in &all {
                check(&reader, all, *kind, expression)?;
            }
        }
        // Every field and every test that suits it, without luck.
        for field in fields::all() {
            let tests = match field.kind {
                Type::Bool => vec![Test::Is(true), Test::Is(false)],
                Type::Text | Type::Texts => vec![Test::Contains("a".into()), Test::Equals("AB".into())],
                Type::Address => vec![Test::Within("10.0.0.0/8".parse().unwrap())],
                _ => vec![Test::Range { low: 1, high: i64::MAX }],
            };
            for test in tests.into_iter().chain([Test::Exists]) {
                let compare = Expression::Compare { fields: vec![field], test };
                for (kind, all) in &all {
                    if field.of.contains(kind) {
                        check(&reader, all, *kind, &Expression::Not(compare.clone().into()))?;
                    }
                    check(&reader, all, *kind, &compare)?;
                }
            }
        }
    }
}

#[test]
fn a_written_filter_asks_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let process = Process {
        executable: Some("/usr/bin/ssh".into()),
        ..Process::bare(ProcessKey { pid: 42, start: 7 }, "ssh".into(), NOW)
    };
    let mut connection = Connection {
        id: 1,
        direction: Direction::Outbound,
        scope: Scope::External,
        network_namespace: 1,
        cookie: 5,
        user_id: Some(0),
        outcome: Default::default(),
        service: Some("https".into()),
        process: Some(Arc::new(process)),
        attribution: Evidence::Descriptor.into(),
        ..Connection::bare(
            NOW,
            Transport::Tcp,
            Endpoint::new("192.168.1.50".parse().unwrap(), 45_123),
            Endpoint::new("203.0.113.7".parse().unwrap(), 443),
        )
    };
    let mut writer = open(&path);
    let opened =
        |it: &Connection| Entry::Event(Event::new(NOW, Fact::ConnectionOpened(Arc::new(it.clone()))));
    let first = opened(&connection);
    connection.id = 2;
    connection.destination.ip = "10.9.9.9".parse().unwrap();
    writer.write(&[first, opened(&connection)]).unwrap();
    let reader = Reader::open(&path).unwrap();
    let count = |text: &str| reader.count(Kind::Connection, &parse(text).unwrap()).unwrap();
    for (text, expected) in [
        ("", 2),
        ("process.name:ssh destination.port:443", 2),
        ("process.name:ssh !destination.ip:10.0.0.0/8", 1),
        ("dst:203.0.113.7", 1),
        ("exe:*/SSH or dport:22", 2),
        ("process.name:/^ss.$/ state:established", 2),
        ("rule:x", 0),
        ("!rule:x", 2),
    ] {
        assert_eq!(count(text), expected, "{text}");
    }
    // As wide as a filter may be: SQLite limits the depth of an expression, so it is made a balanced tree.
    let wide = vec!["cookie:5"; 650].join(" or ");
    assert_eq!(count(&wide), 2);
}
