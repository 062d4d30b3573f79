//! The sums behind the panels: what the rows say, whatever happens to the writer.

use std::collections::HashMap;
use std::sync::Arc;

use atalaya_model::connection::Traffic;
use atalaya_model::filter::{Expression, parse};
use atalaya_model::*;
use atalaya_store::{Ask, Entry, Reader, Total, Writer};
use proptest::prelude::*;

use crate::panels::{ip, story};
use crate::sample::{NOW, open};

pub(crate) const EVER: std::ops::Range<Time> = Time(0)..Time(i64::MAX / 2);

/// A conversation by a few numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Talk {
    pub(crate) program: u32,
    pub(crate) remote: u8,
    pub(crate) port: u16,
    pub(crate) inbound: bool,
    pub(crate) started_before: bool,
    pub(crate) bytes: (u64, u64),
}

pub(crate) fn process(number: u32) -> Option<Arc<Process>> {
    (number > 0).then(|| {
        let key = ProcessKey {
            pid: number,
            start: 7,
        };
        let mut process = Process::bare(key, format!("program-{}", number % 3).into(), NOW);
        // Processes 1 and 4 run one program; those of 2 have no path.
        process.executable = (number % 3 != 2).then(|| format!("/usr/bin/{}", number % 3).into());
        Arc::new(process)
    })
}

pub(crate) fn connection(id: u64, time: Time, talk: Talk) -> Connection {
    let (here, there) = (
        Endpoint::new("192.0.2.1".parse().unwrap(), 40_000),
        Endpoint::new([203, 0, 113, talk.remote].into(), talk.port),
    );
    let (source, destination) = match talk.inbound {
        true => (Endpoint::new(there.ip, 50_000), Endpoint::new(here.ip, talk.port)),
        false => (here, there),
    };
    Connection {
        id,
        started_before: talk.started_before,
        side: if talk.inbound {
            Side::Destination
        } else {
            Side::Source
        },
        direction: if talk.inbound {
            Direction::Inbound
        } else {
            Direction::Outbound
        },
        scope: Scope::External,
        network_namespace: 1,
        cookie: id,
        user_id: Some(0),
        traffic: Some(Traffic {
            sent_bytes: talk.bytes.0,
            received_bytes: talk.bytes.1,
            ..Traffic::default()
        }),
        process: process(talk.program),
        attribution: Evidence::Descriptor.into(),
        ..Connection::bare(time, Transport::Tcp, source, destination)
    }
}

/// What happens next: to which conversation, how much later, and what then.
#[derive(Clone, Copy, Debug)]
enum Step {
    Open(Talk),
    Update(prop::sample::Index, u32, (u64, u64)),
    Close(prop::sample::Index, u32, (u64, u64), bool),
    /// It turns out to go to another address.
    Move(prop::sample::Index, u8),
}

fn talk() -> impl Strategy<Value = Talk> {
    let bytes = (0_u64..3, 0_u64..5_000);
    (
        0_u32..5,
        1_u8..6,
        prop::sample::select(vec![22, 443]),
        any::<[bool; 2]>(),
        bytes,
    )
        .prop_map(|(program, remote, port, [inbound, started_before], bytes)| Talk {
            program,
            remote,
            port,
            inbound,
            started_before,
            bytes,
        })
}

fn step() -> impl Strategy<Value = (Step, i64)> {
    let index = any::<prop::sample::Index>;
    let more = || (0_u64..9, 0_u64..70_000);
    let step = prop_oneof![
        4 => talk().prop_map(Step::Open),
        2 => (index(), 0_u32..5, more()).prop_map(|(which, program, more)| Step::Update(which, program, more)),
        3 => (index(), 0_u32..5, more(), any::<bool>())
            .prop_map(|(which, program, more, failed)| Step::Close(which, program, more, failed)),
        1 => (index(), 1_u8..6).prop_map(|(which, remote)| Step::Move(which, remote)),
    ];
    (
        step,
        prop::sample::select(vec![0, 1, 999_999, 30_000_000, 61_000_000, 3_700_000_000]),
    )
}

fn events(steps: &[(Step, i64)]) -> Vec<Event> {
    let (mut now, mut open, mut events) = (NOW, Vec::<Connection>::new(), Vec::new());
    for (id, (step, pause)) in (1..).zip(steps) {
        now = Time(now.0 + pause);
        let change = |it: &mut Connection, program: u32, more: (u64, u64)| {
            it.seen = now;
            it.process = process(program).or(it.process.take());
            if let Some(traffic) = &mut it.traffic {
                traffic.sent_bytes += more.0;
                traffic.received_bytes += more.1;
            }
        };
        let fact = match step {
            Step::Open(talk) => {
                let it = connection(id, now, *talk);
                open.push(it.clone());
                Fact::ConnectionOpened(Arc::new(it))
            }
            Step::Update(which, program, more) if !open.is_empty() => {
                let place = which.index(open.len());
                change(&mut open[place], *program, *more);
                Fact::ConnectionUpdated(Arc::new(open[place].clone()))
            }
            Step::Move(which, remote) if !open.is_empty() => {
                let place = which.index(open.len());
                let it = &mut open[place];
                let ip = [203, 0, 113, *remote].into();
                match it.side {
                    Side::Source => it.destination.ip = ip,
                    Side::Destination => it.source.ip = ip,
                }
                it.seen = now;
                Fact::ConnectionUpdated(Arc::new(it.clone()))
            }
            Step::Close(which, program, more, failed) if !open.is_empty() => {
                let mut it = open.remove(which.index(open.len()));
                change(&mut it, *program, *more);
                it.ended = Some(now);
                if *failed {
                    it.outcome = Outcome::Refused;
                }
                Fact::ConnectionClosed(Arc::new(it))
            }
            _ => continue,
        };
        events.push(Event::new(now, fact));
    }
    events
}

pub(crate) fn write(writer: &mut Writer, events: &[Event]) {
    let entries: Vec<_> = events.iter().cloned().map(Entry::Event).collect();
    writer.write(&entries).unwrap();
}

/// Everything that the panels say of all time, in one order.
fn shown(reader: &Reader, filter: &Expression) -> Vec<String> {
    let ask = Ask {
        filter: filter.clone(),
        ..Ask::all(EVER, 1_000)
    };
    let mut lines = Vec::new();
    // By address nobody counts what failed.
    let plain = |total: Total| Total { failed: 0, ..total };
    for row in reader.top_addresses(&ask).unwrap().rows {
        lines.push(format!("address {} {:?}", row.address.ip, plain(row.total)));
    }
    for row in reader.top_programs(&ask).unwrap().rows {
        lines.push(format!("program {:?} {:?}", row.program, row.total));
    }
    for row in reader.top_ports(&ask).unwrap().rows {
        lines.push(format!("port {:?} {:?}", row.port, row.total));
    }
    for row in reader.reach(&ask).unwrap().rows {
        lines.push(format!(
            "reach {:?} {} {:?}",
            row.program, row.addresses, row.total
        ));
    }
    for row in reader.process_totals(&ask).unwrap().rows {
        lines.push(format!("process {} {:?}", row.process.key.pid, row.total));
    }
    // Nothing but what was moved to somebody else.
    lines.retain(|line| !line.contains("connections: 0, failed: 0, sent_bytes: 0, received_bytes: 0"));
    lines.sort();
    lines
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn sums_are_what_the_rows_say(
        steps in prop::collection::vec(step(), 1..60),
        batch in 1_usize..12,
        kills in prop::collection::vec((0_usize..9, any::<bool>()), 60),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let events = events(&steps);
        let mut writer = open(&path);
        for (chunk, (slice, kill)) in events.chunks(batch).zip(kills) {
            write(&mut writer, chunk);
            if slice > 0 {
                // One transaction of a part of the sums.
                writer.roll_up_until(chunk[chunk.len() - 1].time, slice, &|| true).unwrap();
            }
            let wrong = Reader::open(&path).unwrap().wrong_sums().unwrap();
            prop_assert!(wrong.is_empty(), "{:?}", wrong);
            if kill {
                drop(writer); // as a crash leaves it: what waits is not written
                writer = open(&path);
            }
        }
        writer.close(Time(NOW.0 + 1_000_000_000_000)).unwrap();
        let reader = Reader::open(&path).unwrap();
        let wrong = reader.wrong_sums().unwrap();
        prop_assert!(wrong.is_empty(), "{:?}", wrong);
        // A filter that accepts everything makes the rows be searched: they say the same.
        let everything = parse("src:0.0.0.0/0").unwrap();
        prop_assert_eq!(shown(&reader, &everything), shown(&reader, &Expression::All));
    }

    #[test]
    fn minutes_are_those_in_which_bytes_were_told(steps in prop::collection::vec(step(), 1..40)) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let events = events(&steps);
        let mut expected: HashMap<i64, (u64, u64, u64)> = HashMap::new();
        let mut told: HashMap<u64, (u64, u64)> = HashMap::new();
        let mut writer = open(&path);
        for event in &events {
            let minute = expected.entry(event.time.0.div_euclid(60_000_000)).or_default();
            let (Fact::ConnectionOpened(it) | Fact::ConnectionUpdated(it) | Fact::ConnectionClosed(it)) = &event.fact
            else { unreachable!() };
            let traffic = it.traffic.unwrap();
            let now = (traffic.sent_bytes, traffic.received_bytes);
            let is_new = matches!(event.fact, Fact::ConnectionOpened(_));
            let before = told.insert(it.id, now).unwrap_or_default();
            minute.0 += u64::from(is_new);
            if !(is_new && it.started_before) {
                minute.1 += now.0 - before.0;
                minute.2 += now.1 - before.1;
            }
            // Batches of a minute at most: what is folded within one is told at its end.
            write(&mut writer, std::slice::from_ref(event));
        }
        writer.close(Time(NOW.0 + 1_000_000_000_000)).unwrap();
        let rows = Reader::open(&path).unwrap().traffic(&Ask::all(EVER, 100_000)).unwrap().rows;
        let total: (u64, u64, u64) = rows.iter().fold((0, 0, 0), |sum, row| {
            (sum.0 + row.total.connections, sum.1 + row.total.sent_bytes, sum.2 + row.total.received_bytes)
        });
        let wanted = expected.values().fold((0, 0, 0), |sum, it| (sum.0 + it.0, sum.1 + it.1, sum.2 + it.2));
        prop_assert_eq!(total, wanted);
        for row in rows {
            let wanted = expected.get(&row.start.0.div_euclid(60_000_000)).copied().unwrap_or_default();
            prop_assert_eq!(row.total.connections, wanted.0);
        }
    }
}

#[test]
fn sums_know_of_a_time_once_all_of_it_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let mut writer = open(&path);
    let minute = |number: i64| Time(NOW.0.div_euclid(60_000_000) * 60_000_000 + number * 60_000_000);
    let tell = |writer: &mut Writer, number: i64, ids: std::ops::Range<u64>| {
        let events: Vec<_> = ids
            .map(|id| {
                let talk = Talk {
                    program: (id % 5) as u32,
                    remote: id as u8,
                    port: id as u16,
                    inbound: false,
                    started_before: false,
                    bytes: (1, 1),
                };
                let it = connection(id, minute(number), talk);
                Event::new(minute(number), Fact::ConnectionOpened(Arc::new(it)))
            })
            .collect();
        write(writer, &events);
    };
    tell(&mut writer, 0, 0..40);
    writer.roll_up(minute(0)).unwrap();
    tell(&mut writer, 1, 40..100);
    let (mut slices, mut told) = (0, 100);
    loop {
        let more = writer.roll_up_until(minute(1), 9, &|| true).unwrap();
        assert_eq!(writer.is_rolling_up(), more);
        let reader = Reader::open(&path).unwrap();
        let answer = reader.traffic(&Ask::all(EVER, 100)).unwrap();
        let begun: Vec<_> = answer.rows.iter().map(|row| row.total.connections).collect();
        assert_eq!(begun[0], 40, "what they know of is there");
        assert_eq!(reader.wrong_sums().unwrap(), Vec::<String>::new());
        let history = reader.address_history(ip(57), &Ask::all(EVER, 9)).unwrap();
        assert_eq!(history.newest.len(), 1, "rows are found meanwhile");
        if !more {
            assert_eq!((answer.up_to, begun), (Some(minute(1)), vec![40, 60]));
            break;
        }
        assert_eq!(answer.up_to, Some(minute(0)));
        // What comes meanwhile waits for the next time.
        tell(&mut writer, 2, told..told + 1);
        (slices, told) = (slices + 1, told + 1);
    }
    assert!(slices > 20, "{slices}");
    writer.close(minute(2)).unwrap();
    let answer = Reader::open(&path).unwrap().traffic(&Ask::all(EVER, 9)).unwrap();
    let begun: Vec<_> = answer.rows.iter().map(|row| row.total.connections).collect();
    assert_eq!((answer.up_to, begun), (Some(minute(2)), vec![40, 60, slices]));
}

#[test]
fn the_addresses_with_the_most_bytes_of_an_hour_are_kept_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let mut writer = open(&path);
    let mut id = 0;
    for round in 1..4_u64 {
        let events: Vec<_> = (0..900_u64)
            .map(|number| {
                id += 1;
                let talk = Talk {
                    program: 1,
                    remote: 1,
                    port: 443,
                    inbound: false,
                    started_before: false,
                    // Other ones have the most each time; many have nothing, and as much as others.
                    bytes: (number * round * 7_919 % 1_000 / 40 * 40, 0),
                };
                let mut it = connection(id, NOW, talk);
                it.destination.ip = ((11 << 24) + number as u32).to_be_bytes().into();
                Event::new(NOW, Fact::ConnectionOpened(Arc::new(it)))
            })
            .collect();
        write(&mut writer, &events);
        while writer.roll_up_until(NOW, 100, &|| true).unwrap() {}
        let database = rusqlite::Connection::open(&path).unwrap();
        let ask = |sql: &str| database.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!(ask("SELECT count(*) FROM rollup_hour_ip"), 900);
        assert_eq!(ask("SELECT count(*) FROM rollup_hour_top"), 500);
        assert_eq!(
            ask("SELECT count(*) FROM (SELECT * FROM rollup_hour_top EXCEPT SELECT * FROM rollup_hour_ip)"),
            0
        );
        assert_eq!(
            ask("SELECT sum(sent_bytes) FROM rollup_hour_top"),
            ask(
                "SELECT sum(sent_bytes) FROM (SELECT sent_bytes FROM rollup_hour_ip ORDER BY 1 DESC LIMIT 500)"
            ),
            "round {round}"
        );
    }
}

#[test]
fn wrong_sums_are_found() {
    let (folder, reader) = story();
    assert_eq!(reader.wrong_sums().unwrap(), Vec::<String>::new());
    let database = rusqlite::Connection::open(folder.path().join("a.db")).unwrap();
    let tamper = "UPDATE rollup_minute SET connections = connections + 1 WHERE connections = 4; \
                  UPDATE ip SET sent_bytes = sent_bytes + 7 WHERE address = '203.0.113.2'; \
                  DELETE FROM program WHERE path = '/usr/bin/1'";
    database.execute_batch(tamper).unwrap();
    let wrong = reader.wrong_sums().unwrap();
    assert_eq!(wrong.len(), 4, "{wrong:#?}"); // two minutes, an address, a program
    assert!(
        wrong.iter().any(|line| line.contains("-1 conversations more")),
        "{wrong:#?}"
    );
    assert!(
        wrong.iter().any(|line| line.contains("-7 and 0 bytes")),
        "{wrong:#?}"
    );
}

#[test]
fn an_address_keeps_the_place_it_had_when_it_was_first_seen() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let mut writer = open(&path);
    let talk = |remote| Talk {
        program: 1,
        remote,
        port: 443,
        inbound: false,
        started_before: false,
        bytes: (1, 1),
    };
    let tell = |writer: &mut Writer, id: u64, remote: u8, country: Option<&str>| {
        let place = country.map(|country| Place {
            country: Some(country.into()),
            asn: Some(64_500),
            organization: Some("Example Networks".into()),
        });
        let it = Connection {
            places: Places {
                source: None,
                destination: place.map(Arc::new),
            },
            ..connection(id, NOW, talk(remote))
        };
        write(writer, &[Event::new(NOW, Fact::ConnectionOpened(Arc::new(it)))]);
    };
    tell(&mut writer, 1, 1, None);
    tell(&mut writer, 2, 2, Some("ES"));
    tell(&mut writer, 3, 2, Some("FR"));
    tell(&mut writer, 4, 3, None);
    tell(&mut writer, 5, 3, Some("PT"));
    writer.close(Time(NOW.0 + 1)).unwrap();
    let reader = Reader::open(&path).unwrap();
    let of = |last: u8| {
        let history = reader.address_history(ip(last), &Ask::all(EVER, 1)).unwrap();
        let address = history.ever.unwrap().address;
        (address.country, address.asn, address.organization)
    };
    let there = |country: &str| {
        (
            Some(country.into()),
            Some(64_500),
            Some("Example Networks".into()),
        )
    };
    assert_eq!(of(1), (None, None, None));
    assert_eq!(of(2), there("ES"), "what was true at first sight stays");
    assert_eq!(of(3), there("PT"), "no place was known at first sight");
}
