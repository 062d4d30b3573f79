//! What panels answer of a small history in which every number is known.

use std::net::IpAddr;
use std::sync::Arc;

use atalaya_model::filter::parse;
use atalaya_model::*;
use atalaya_store::{Ask, Reader};

use crate::sample::{NOW, open};
use crate::sums::{EVER, Talk, connection, write};

/// Three programs, four addresses, two days.
pub(crate) fn story() -> (tempfile::TempDir, Reader) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let mut writer = open(&path);
    let base = Talk {
        program: 1,
        remote: 1,
        port: 443,
        inbound: false,
        started_before: false,
        bytes: (0, 0),
    };
    let talks = [
        (
            0,
            Talk {
                bytes: (10, 100),
                ..base
            },
        ),
        (
            1,
            Talk {
                program: 4,
                bytes: (1, 2),
                ..base
            },
        ),
        (
            2,
            Talk {
                program: 3,
                remote: 2,
                port: 22,
                bytes: (5, 5),
                ..base
            },
        ),
        (
            3,
            Talk {
                program: 3,
                remote: 3,
                inbound: true,
                bytes: (7, 0),
                ..base
            },
        ),
        (
            86_400,
            Talk {
                program: 0,
                remote: 4,
                bytes: (3, 3),
                ..base
            },
        ),
        (
            86_401,
            Talk {
                bytes: (20, 1),
                ..base
            },
        ),
        (
            86_402,
            Talk {
                bytes: (20, 1),
                ..base
            },
        ),
        (
            86_403,
            Talk {
                bytes: (20, 1),
                ..base
            },
        ),
    ];
    for (id, (second, talk)) in (1..).zip(talks) {
        let time = NOW.after(Span::from_seconds(second));
        let mut it = connection(id, time, talk);
        let opened = Event::new(time, Fact::ConnectionOpened(Arc::new(it.clone())));
        it.ended = Some(time);
        write(
            &mut writer,
            &[opened, Event::new(time, Fact::ConnectionClosed(Arc::new(it)))],
        );
    }
    writer.close(NOW.after(Span::from_seconds(90_000))).unwrap();
    (folder, Reader::open(&path).unwrap())
}

pub(crate) fn ip(last: u8) -> IpAddr {
    [203, 0, 113, last].into()
}

#[test]
fn panels_answer() {
    let (_folder, reader) = story();
    let ask = Ask::all(EVER, 10);
    let top = reader.top_addresses(&ask).unwrap();
    assert_eq!(top.up_to, Some(NOW.after(Span::from_seconds(90_000))));
    assert_eq!(top.searched, None);
    let found: Vec<_> = top
        .rows
        .iter()
        .map(|row| (row.address.ip, row.total.bytes()))
        .collect();
    assert_eq!(found, [(ip(1), 176), (ip(2), 10), (ip(3), 7), (ip(4), 6)]);
    let programs = reader.top_programs(&ask).unwrap().rows;
    let found: Vec<_> = programs
        .iter()
        .map(|row| {
            (
                row.program.as_ref().map(|it| &*it.name),
                row.total.connections,
                row.total.bytes(),
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            (Some("program-1"), 5, 176),
            (Some("program-0"), 2, 17),
            (None, 1, 6)
        ]
    );
    let ports: Vec<_> = reader
        .top_ports(&ask)
        .unwrap()
        .rows
        .iter()
        .map(|row| (row.port, row.total.connections))
        .collect();
    assert_eq!(ports, [(Some(443), 7), (Some(22), 1)]);
    let reach: Vec<_> = reader
        .reach(&ask)
        .unwrap()
        .rows
        .iter()
        .map(|row| row.addresses)
        .collect();
    assert_eq!(reach, [2, 1, 1]);
    // The last day alone.
    let day = NOW.after(Span::from_seconds(86_000))..Time(i64::MAX / 2);
    let last: Vec<_> = reader.top_addresses(&Ask::all(day.clone(), 1)).unwrap().rows;
    assert_eq!(
        (last.len(), last[0].address.ip, last[0].total.connections),
        (1, ip(1), 3)
    );
    let minutes = reader.traffic(&Ask::all(day.clone(), 10)).unwrap().rows;
    assert_eq!(minutes.iter().map(|row| row.total.connections).sum::<u64>(), 4);
    assert!(minutes.is_sorted_by_key(|row| row.start));
    // To the first address five conversations were begun, to the third none.
    let rare = reader.rare_destinations(2, &ask).unwrap().rows;
    let found: Vec<_> = rare.iter().map(|row| (row.address.ip, row.begun)).collect();
    assert_eq!(found, [(ip(4), 1), (ip(2), 1)]);
    assert_eq!(rare[1].newest.as_ref().unwrap().destination.port, 22);
    let rare = reader
        .rare_destinations(
            2,
            &Ask {
                filter: parse("dport:22").unwrap(),
                ..Ask::all(EVER, 10)
            },
        )
        .unwrap();
    assert_eq!(
        (rare.rows.len(), rare.searched.map(|it| (it.rows, it.complete))),
        (1, Some((2, true)))
    );
    let processes = reader.process_totals(&ask).unwrap().rows;
    let found: Vec<_> = processes
        .iter()
        .map(|row| (row.process.key.pid, row.total.bytes()))
        .collect();
    assert_eq!(found, [(1, 173), (3, 17), (4, 3)]);
}

#[test]
fn an_address_has_a_history() {
    let (_folder, reader) = story();
    let history = reader.address_history(ip(1), &Ask::all(EVER, 3)).unwrap();
    let ever = history.ever.unwrap();
    assert_eq!((ever.total.connections, ever.total.bytes()), (5, 176));
    assert_eq!(ever.address.seen.unwrap().1.seconds(), NOW.seconds() + 86_403);
    let days: Vec<_> = history.days.iter().map(|(_, total)| total.connections).collect();
    assert_eq!(days, [2, 3]);
    assert_eq!(history.programs.len(), 1, "processes 1 and 4 run the same");
    let ids: Vec<_> = history.newest.iter().map(|it| it.cookie).collect();
    assert_eq!(ids, [8, 7, 6]);
    assert_eq!(history.searched, None);
    // The host's own address is the near end of everything.
    let own = "192.0.2.1".parse().unwrap();
    let history = reader.address_history(own, &Ask::all(EVER, 4)).unwrap();
    assert_eq!(history.ever, None);
    assert_eq!(history.newest.len(), 4);
    assert!(history.searched.unwrap().rows > 0);
    let filtered = Ask {
        filter: parse("dport:22").unwrap(),
        ..Ask::all(EVER, 4)
    };
    let cookies: Vec<_> = reader
        .address_history(own, &filtered)
        .unwrap()
        .newest
        .iter()
        .map(|it| it.cookie)
        .collect();
    assert_eq!(cookies, [3]);
    let nobody = reader
        .address_history("198.51.100.9".parse().unwrap(), &Ask::all(EVER, 4))
        .unwrap();
    assert_eq!((nobody.ever, nobody.newest.len()), (None, 0));
}

#[test]
fn a_search_is_cut_when_its_time_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let mut writer = open(&path);
    let talk = Talk {
        program: 1,
        remote: 1,
        port: 443,
        inbound: false,
        started_before: false,
        bytes: (1, 0),
    };
    let events: Vec<_> = (0..12_000)
        .map(|id| {
            let time = Time(NOW.0 + id as i64);
            Event::new(time, Fact::ConnectionOpened(Arc::new(connection(id, time, talk))))
        })
        .collect();
    write(&mut writer, &events);
    writer.close(Time(NOW.0 + 1_000_000)).unwrap();
    let reader = Reader::open(&path).unwrap();
    let parts = std::cell::Cell::new(0);
    let is_over = || {
        parts.set(parts.get() + 1);
        parts.get() == 2
    };
    let ask = Ask {
        filter: parse("dport:443").unwrap(),
        is_over: &is_over,
        ..Ask::all(EVER, 10)
    };
    let answer = reader.top_addresses(&ask).unwrap();
    let searched = answer.searched.unwrap();
    assert_eq!((searched.rows, searched.complete), (10_000, false));
    assert_eq!(answer.rows[0].total.connections, 10_000);
    let whole = reader.top_addresses(&ask).unwrap();
    assert_eq!(
        whole.searched.map(|it| (it.rows, it.complete)),
        Some((12_000, true))
    );
    assert_eq!(whole.rows[0].total.connections, 12_000);
}
