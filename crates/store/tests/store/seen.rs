//! What was there within a time, and what was said of one thing.

use std::sync::Arc;

use atalaya_model::fields::Kind;
use atalaya_model::filter::{Expression, parse};
use atalaya_model::*;
use atalaya_store::{Ask, Entry, Options, Reader, Subject, Writer};

use crate::protocols::story;
use crate::sample::{NOW, open};
use crate::sums::{Talk, connection, process};

const EVER: std::ops::Range<Time> = Time(0)..Time(i64::MAX);

fn at(seconds: i64) -> Time {
    NOW.after(Span::from_seconds(seconds))
}

fn talk(program: u32, remote: u8) -> Talk {
    Talk {
        program,
        remote,
        port: 443,
        inbound: false,
        started_before: false,
        bytes: (1, 2),
    }
}

fn write(writer: &mut Writer, events: Vec<(Time, Fact)>) {
    let entries: Vec<_> = events
        .into_iter()
        .map(|(time, fact)| Entry::Event(Event::new(time, fact)))
        .collect();
    writer.write(&entries).unwrap();
}

fn listener(port: u16, started: Time) -> Listener {
    Listener {
        id: port.into(),
        started,
        started_before: false,
        ended: None,
        transport: Transport::Tcp,
        local: Endpoint::new([0, 0, 0, 0].into(), port),
        network_namespace: 1,
        cookie: port.into(),
        user_id: None,
        service: None,
        process: process(1),
        attribution: Evidence::Descriptor.into(),
        shared_with: Box::default(),
    }
}

fn tier(tier: Tier) -> Fact {
    Fact::TierChanged(Arc::new(TierReport {
        tier,
        unavailable: Vec::new(),
        limits: Vec::new(),
    }))
}

fn gap(time: Time) -> Fact {
    Fact::Gap(Gap {
        time,
        stage: Stage::Store,
        count: 3,
        reason: "full".into(),
    })
}

#[test]
fn records_of_a_time_come_newest_first_and_a_cut_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let mut writer = open(&path);
    // More than one part of a search.
    let opened = (0..12_000_u32).map(|number| {
        let time = at(i64::from(number));
        let it = connection(
            u64::from(number),
            time,
            talk(1 + number % 2, (number % 100) as u8),
        );
        (time, Fact::ConnectionOpened(Arc::new(it)))
    });
    write(&mut writer, opened.collect());
    let reader = Reader::open(&path).unwrap();
    let asked = std::cell::Cell::new(0);
    let patience = |most: usize| {
        let asked = &asked;
        asked.set(0);
        move || {
            asked.set(asked.get() + 1);
            asked.get() > most
        }
    };
    let within = |filter: Expression, range, limit, is_over: &dyn Fn() -> bool| {
        let ask = Ask {
            range,
            limit,
            filter,
            is_over,
        };
        let (found, searched) = reader.within(Kind::Connection, &ask).unwrap();
        let seconds: Vec<_> = found
            .iter()
            .map(|record| record.record().connection().unwrap().started.since(NOW).0 / 1_000_000)
            .collect();
        (seconds, searched.rows, searched.complete)
    };
    let filter = parse("destination.ip:203.0.113.7").unwrap();
    let (found, rows, complete) = within(filter.clone(), EVER, 1_000, &|| false);
    assert_eq!((found.len(), found[0], found[119]), (120, 11_907, 7));
    assert_eq!((rows, complete), (12_000, true));
    let (found, _, complete) = within(filter.clone(), EVER, 2, &|| false);
    assert_eq!((found, complete), (vec![11_907, 11_807], false));
    let (found, _, complete) = within(filter.clone(), at(500)..at(700), 10, &|| false);
    assert_eq!((found, complete), (vec![607, 507], true));
    // Who has no more patience gets the newest part.
    let (found, rows, complete) = within(filter, EVER, 1_000, &patience(0));
    assert_eq!((found.len(), rows, complete), (50, 5_000, false));
    assert_eq!(
        within(Expression::All, at(10)..at(13), 10, &|| false).0,
        [12, 11, 10]
    );
}

#[test]
fn what_lived_in_a_time_is_told_whenever_it_began() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let mut writer = open(&path);
    let service = process(1).unwrap();
    let gone = Listener {
        ended: Some(at(100)),
        ..listener(23, at(0))
    };
    write(
        &mut writer,
        vec![
            (at(0), tier(Tier::Ebpf)),
            (at(0), Fact::ProcessStarted(service)),
            (at(0), Fact::ListenerAppeared(Arc::new(listener(22, at(0))))),
            (at(0), Fact::ListenerAppeared(Arc::new(listener(23, at(0))))),
            (
                at(5),
                Fact::ConnectionOpened(Arc::new(connection(1, at(5), talk(1, 7)))),
            ),
            (at(50), gap(at(50))),
            (at(100), Fact::ListenerGone(Arc::new(gone))),
            (at(150), tier(Tier::Poll)),
            (at(160), gap(at(160))),
            (
                at(170),
                Fact::ConnectionOpened(Arc::new(connection(2, at(170), talk(1, 8)))),
            ),
            (at(200), Fact::Tick { look: true }),
        ],
    );
    writer.close(at(300)).unwrap();
    // The next run of the same boot, an hour later.
    let mut writer = Writer::open(&path, &Options::new("boot-2", "0.1.0", at(4_000))).unwrap();
    write(&mut writer, vec![(at(4_000), Fact::Tick { look: true })]);
    let reader = Reader::open(&path).unwrap();
    let ports = |from, until, limit| {
        let (found, all) = reader.listeners_within(&(at(from)..at(until)), limit).unwrap();
        (found.iter().map(|it| it.local.port).collect::<Vec<_>>(), all)
    };
    assert_eq!(ports(-10, 0, 9), (vec![], true));
    assert_eq!(ports(0, 50, 9), (vec![23, 22], true));
    assert_eq!(ports(0, 50, 1), (vec![23], false));
    assert_eq!(ports(101, 250, 9), (vec![22], true));
    assert_eq!(ports(301, 5_000, 9), (vec![], true), "its watcher had ended");

    let gaps = |from, until| reader.gaps_within(&(at(from)..at(until)), 1).unwrap();
    let (found, all) = gaps(0, 500);
    assert_eq!((found.len(), found[0].time, all), (1, at(160), 2));
    assert_eq!(gaps(51, 160).1, 0);

    let tiers = |from, until| -> Vec<Tier> {
        let found = reader.tiers_within(&(at(from)..at(until)), 10).unwrap();
        found.into_iter().map(|(_, report)| report.tier).collect()
    };
    assert_eq!(
        tiers(10, 200),
        [Tier::Ebpf, Tier::Poll],
        "the one before counts, too"
    );
    assert_eq!(tiers(160, 170), [Tier::Poll]);
    assert_eq!(tiers(-20, -10), []);

    let paths = |from, until| {
        let (found, all) = reader.executables_within(&(at(from)..at(until)), 10).unwrap();
        assert_eq!(found.len() as u64, all);
        found.into_iter().filter_map(|it| it.path).collect::<Vec<_>>()
    };
    assert_eq!(
        paths(250, 260),
        ["/usr/bin/1".into()],
        "it runs, though nothing was told of it"
    );
    assert_eq!(paths(3_999, 4_100), [] as [Text; 0], "another boot");

    let remotes = |from, until, fresh| {
        let (found, all) = reader
            .destinations_within(&(at(from)..at(until)), fresh, 10)
            .unwrap();
        assert_eq!(found.len() as u64, all);
        let mut found: Vec<_> = found.into_iter().map(|it| it.address.ip.to_string()).collect();
        found.sort_unstable();
        found
    };
    assert_eq!(remotes(0, 300, false), ["203.0.113.7", "203.0.113.8"]);
    assert_eq!(remotes(100, 300, true), ["203.0.113.8"]);
    assert_eq!(remotes(10, 20, false), [] as [&str; 0]);
}

#[test]
fn what_was_said_is_found_by_every_name_of_a_thing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    story(&path);
    let reader = Reader::open(&path).unwrap();
    let said = |word: &str, limit| {
        let subject = Subject::parse(word).unwrap();
        let (found, searched) = reader.said_within(&subject, &Ask::all(EVER, limit)).unwrap();
        let kinds: Vec<_> = found.iter().map(|(_, it)| it.message.kind()).collect();
        (kinds, searched.complete)
    };
    let all = vec!["bittorrent", "http", "tls", "dns"];
    for word in ["1", "/usr/bin/1", "program-1", "203.0.113.7", "203.0.0.0/16"] {
        let (mut kinds, complete) = said(word, 10);
        kinds.sort_unstable();
        let mut wanted = all.clone();
        wanted.sort_unstable();
        assert_eq!((kinds, complete), (wanted, true), "{word}");
    }
    assert_eq!(said("example.org", 10).0, ["http", "tls", "dns"]);
    assert_eq!(said("WWW.example.org.", 10).0, ["dns"]);
    for nobody in [
        "2",
        "/usr/bin/2",
        "ample.org",
        "203.0.113.70",
        "_ww.example.org",
        "%",
    ] {
        assert_eq!(said(nobody, 10).0, [] as [&str; 0], "{nobody}");
    }
    let (kinds, complete) = said("example.org", 0);
    assert_eq!((kinds.len(), complete), (0, false));
}

#[test]
fn a_name_has_no_wildcards() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let mut writer = open(&path);
    let named = |id: u64, name: &str| {
        let it = Connection {
            name: Some(name.into()),
            name_source: Some(NameSource::Resolver),
            ..connection(id, at(1), talk(1, 7))
        };
        (at(1), Fact::ConnectionOpened(Arc::new(it)))
    };
    let names = [
        "example.org",
        "www.Example.org",
        "notexample.org",
        "a*b.org",
        "x.axb.org",
    ];
    let events = names.iter().enumerate().map(|(id, name)| named(id as u64, name));
    write(&mut writer, events.collect());
    let reader = Reader::open(&path).unwrap();
    let count = |word: &str| {
        let ask = Ask {
            filter: Subject::parse(word).unwrap().expression(),
            ..Ask::all(EVER, 10)
        };
        reader.within(Kind::Connection, &ask).unwrap().0.len()
    };
    assert_eq!(count("example.org"), 2);
    assert_eq!(count("a*b.org"), 1);
    assert_eq!(count("*.org"), 0);
}

#[test]
fn incidents_are_read_with_their_alerts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    drop(open(&path));
    let connection = rusqlite::Connection::open(&path).unwrap();
    let put = |id: i64, opened: i64, changed: i64, severity: i64, document: &str| {
        connection
            .execute(
                "INSERT INTO incident VALUES (?1, ?2, ?3, ?4, 'open', ?5)",
                (id, at(opened).0, at(changed).0, severity, document),
            )
            .unwrap();
    };
    let story = r#"{"title": "A back door", "kind": "intrusion", "explanation": "One program did it all."}"#;
    put(1, 10, 50, Severity::High.number(), story);
    put(2, 60, 70, Severity::Critical.number(), "[no JSON");
    put(3, 40, 40, Severity::Low.number(), r#"{"title": 7}"#);
    for alert in 0..150 {
        connection
            .execute("INSERT INTO incident_alert VALUES (1, ?1)", [alert])
            .unwrap();
    }
    let reader = Reader::open(&path).unwrap();
    let within = |range, limit| {
        let (found, total) = reader.incidents_within(&range, limit).unwrap();
        let ids: Vec<_> = found.iter().map(|incident| incident.id).collect();
        (ids, total)
    };
    assert_eq!(within(EVER, 10), (vec![2, 1, 3], 3));
    assert_eq!(within(EVER, 1), (vec![2], 3));
    // The one that was over before, and the one that began with the range's end, are of another time.
    assert_eq!(within(at(41)..at(60), 10), (vec![1], 1));
    let (found, _) = reader.incidents_within(&EVER, 10).unwrap();
    let it = &found[1];
    assert_eq!(
        (it.opened, it.changed, it.severity),
        (at(10), at(50), Severity::High)
    );
    assert_eq!(
        (it.title.as_deref(), it.kind.as_deref(), it.explanation.as_deref()),
        (
            Some("A back door"),
            Some("intrusion"),
            Some("One program did it all.")
        )
    );
    assert_eq!((it.alert_count, it.alerts.len(), it.alerts[99]), (150, 100, 99));
    assert_eq!(&*it.state, "open");
    assert_eq!((&found[0].title, &found[2].title), (&None, &None));
}
