//! Sums over everything, compared with the rows themselves.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use atalaya_model::fields::Kind;
use atalaya_model::filter::Expression;
use atalaya_model::*;
use atalaya_store::{Entry, Reader, Stored, Sum, SumOf};
use proptest::prelude::*;

use crate::sample::{self, NOW, open};

const EVER: Range<Time> = Time(i64::MIN)..Time(i64::MAX);

/// What a sum is of, in words; what it comes to: connections, bytes sent and received.
type Sums = BTreeMap<String, (u64, u64, u64)>;

fn asked(reader: &Reader, range: Range<Time>) -> (Sums, Option<Sum>) {
    let (mut sums, mut all) = (Sums::new(), None);
    let ask = reader.network_sums(range, &mut |of, sum| {
        let name = match of {
            SumOf::All => {
                all = Some(*sum);
                "all".to_owned()
            }
            SumOf::Process(process) => {
                let process = process.map(|it| format!("{} {:?} {:?}", it.name, it.path, it.command_line));
                format!("process {process:?}")
            }
            SumOf::Address(ip) => format!("address {ip}"),
            SumOf::Pair(name, ip) => format!("pair {name} {ip}"),
            SumOf::Port(transport, port) => format!("port {} {port}", transport.number()),
            SumOf::Endpoint(ip, transport, port) => format!("endpoint {ip} {} {port}", transport.number()),
        };
        add(&mut sums, name, (sum.connections, sum.sent, sum.received));
    });
    ask.unwrap();
    (sums, all)
}

fn add(sums: &mut Sums, name: String, (connections, sent, received): (u64, u64, u64)) {
    let sum = sums.entry(name).or_default();
    sum.0 += connections;
    sum.1 = sum.1.saturating_add(sent);
    sum.2 = sum.2.saturating_add(received);
}

/// The same from the rows, one by one.
fn recomputed(reader: &Reader) -> Sums {
    let mut sums = Sums::new();
    for stored in reader
        .select(Kind::Connection, &Expression::All, usize::MAX)
        .unwrap()
    {
        let Stored::Connection(it) = stored else { panic!() };
        let traffic = it.traffic.unwrap_or_default();
        let volume = (1, traffic.sent_bytes, traffic.received_bytes);
        let process = it.process.as_ref();
        let name = process.map_or("", |process| &process.name);
        let process = process.map(|it| format!("{} {:?} {:?}", it.name, it.executable, it.command_line));
        let (ip, transport) = (it.remote().ip, it.transport.number());
        let port = it.destination.port;
        for name in [
            "all".to_owned(),
            format!("process {process:?}"),
            format!("address {ip}"),
            format!("pair {name} {ip}"),
            format!("port {transport} {port}"),
            format!("endpoint {ip} {transport} {port}"),
        ] {
            add(&mut sums, name, volume);
        }
    }
    sums
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn sums_are_those_of_the_rows(
        all in prop::collection::vec(any::<u8>().prop_flat_map(|_| sample::connection(0)), 0..12),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let mut writer = open(&path);
        for (number, mut connection) in (1..).zip(all) {
            connection.id = number;
            let time = NOW.after(Span(number as i64 * 1_000));
            connection.started = time;
            let event = Event::new(time, Fact::ConnectionOpened(Arc::new(connection)));
            writer.write(&[Entry::Event(event)]).unwrap();
        }
        let reader = Reader::open(&path).unwrap();
        prop_assert_eq!(asked(&reader, EVER).0, recomputed(&reader));
    }
}

#[test]
fn a_range_counts_what_opened_in_it_and_processes_come_with_their_times() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let mut writer = open(&path);
    let at = |second: i64| NOW.after(Span::from_seconds(second));
    let process = |pid: u32, started: i64, ended: Option<i64>| {
        let key = ProcessKey { pid, start: 7 };
        let mut process = Process::bare(key, format!("program-{pid}").into(), at(started));
        process.executable = Some("/usr/bin/x".into());
        process.user_id = Some(1_000);
        process.ended = ended.map(at);
        Arc::new(process)
    };
    let living = process(1, 0, None);
    let mut connection = Connection::clone(&sampled());
    let mut events = vec![
        Event::new(at(0), Fact::ProcessStarted(living.clone())),
        Event::new(at(1), Fact::ProcessStarted(process(2, 1, None))),
        Event::new(at(5), Fact::ProcessEnded(process(2, 1, Some(5)))),
    ];
    for second in [10, 20, 30] {
        connection.id = second as u64;
        connection.started = at(second);
        connection.process = Some(living.clone());
        events.push(Event::new(
            at(second),
            Fact::ConnectionOpened(Arc::new(connection.clone())),
        ));
    }
    for event in events {
        writer.write(&[Entry::Event(event)]).unwrap();
    }
    let reader = Reader::open(&path).unwrap();
    let (_, all) = asked(&reader, at(10)..at(30));
    let all = all.unwrap();
    assert_eq!((all.connections, all.first, all.last), (2, at(10), at(20)));

    let seen = |range: Range<Time>| {
        let mut seen = Vec::new();
        reader
            .seen_processes(range, &mut |it| {
                seen.push((it.identity.1.pid, it.user.as_deref().map(str::to_owned), it.last));
            })
            .unwrap();
        seen
    };
    let user = Some("1000".to_owned());
    let both = seen(EVER);
    assert_eq!(both[1], (2, user.clone(), at(5)));
    assert_eq!((both[0].0, &both[0].1), (1, &user));
    assert_eq!(seen(at(6)..at(60)).len(), usize::from(both[0].2 >= at(6)));
    assert_eq!(seen(EVER.start..at(1)).len(), 1);

    let mut talks = Vec::new();
    reader
        .newest_talks(10, &mut |(_, key), transport, remote| {
            talks.push((key.pid, transport, remote))
        })
        .unwrap();
    assert_eq!(talks, vec![(1, connection.transport, connection.remote()); 3]);
}

fn sampled() -> Arc<Connection> {
    use proptest::strategy::ValueTree as _;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    Arc::new(sample::connection(1).new_tree(&mut runner).unwrap().current())
}
