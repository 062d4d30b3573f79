//! How processes used the network, counted from their rows.

use std::ops::Range;
use std::sync::Arc;

use atalaya_model::connection::Traffic;
use atalaya_model::filter::{Expression, parse};
use atalaya_model::*;
use atalaya_store::{Entry, Reader, UseQuery, Writer};

use crate::sample::{NOW, open};

const EVER: Range<Time> = Time(i64::MIN)..Time(i64::MAX);

fn process(pid: u32) -> Arc<Process> {
    let key = ProcessKey { pid, start: 7 };
    Arc::new(Process::bare(key, format!("program-{pid}").into(), NOW))
}

fn connection(id: u64, process: &Arc<Process>, port: u16, started: Time) -> Connection {
    Connection {
        id,
        direction: Direction::Outbound,
        scope: Scope::External,
        network_namespace: 1,
        cookie: id,
        user_id: Some(0),
        traffic: Some(Traffic {
            sent_bytes: 10,
            received_bytes: 100,
            ..Traffic::default()
        }),
        process: Some(process.clone()),
        attribution: Evidence::Descriptor.into(),
        ..Connection::bare(
            started,
            Transport::Tcp,
            Endpoint::new("192.0.2.1".parse().unwrap(), 40_000),
            Endpoint::new("203.0.113.7".parse().unwrap(), port),
        )
    }
}

struct Story {
    writer: Writer,
    path: std::path::PathBuf,
    _folder: tempfile::TempDir,
}

impl Story {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        Self {
            writer: open(&path),
            path,
            _folder: folder,
        }
    }

    fn tell(&mut self, time: Time, fact: Fact) {
        self.writer
            .write(&[Entry::Event(Event::new(time, fact))])
            .unwrap();
    }

    fn closes(&mut self, mut it: Connection, outcome: Outcome, time: Time) {
        (it.ended, it.seen, it.outcome) = (Some(time), time, outcome);
        self.tell(time, Fact::ConnectionClosed(Arc::new(it)));
    }

    fn uses(&self, change: impl Fn(&mut UseQuery)) -> Vec<ProcessUse> {
        let mut query = UseQuery {
            range: EVER,
            filter: Expression::All,
            ended_only: false,
            idle: false,
        };
        change(&mut query);
        let mut uses = Reader::open(&self.path).unwrap().uses(&query).unwrap();
        uses.sort_by_key(|row| row.process.key);
        uses
    }
}

fn after(seconds: i64) -> Time {
    NOW.after(Span::from_seconds(seconds))
}

/// A client with one open and two ended connections, a server that listens, and a process that does neither.
fn story() -> Story {
    let mut story = Story::new();
    let (client, server, idle) = (process(1), process(2), process(3));
    for it in [&client, &server, &idle] {
        story.tell(NOW, Fact::ProcessStarted(it.clone()));
    }
    let open = connection(1, &client, 443, NOW);
    story.tell(NOW, Fact::ConnectionOpened(Arc::new(open)));
    story.closes(
        connection(2, &client, 80, after(10)),
        Outcome::Finished,
        after(11),
    );
    story.closes(connection(3, &client, 81, after(20)), Outcome::Refused, after(20));
    let listener = Listener {
        id: 9,
        started: NOW,
        started_before: false,
        ended: None,
        transport: Transport::Tcp,
        local: Endpoint::new("0.0.0.0".parse().unwrap(), 22),
        network_namespace: 1,
        cookie: 9,
        user_id: Some(0),
        service: None,
        process: Some(server),
        attribution: Evidence::Descriptor.into(),
        shared_with: Box::default(),
    };
    story.tell(NOW, Fact::ListenerAppeared(Arc::new(listener)));
    let gone = Process {
        ended: Some(after(30)),
        exit_code: Some(3),
        ..Process::clone(&client)
    };
    story.tell(after(30), Fact::ProcessEnded(Arc::new(gone)));
    story
}

#[test]
fn connections_bytes_and_listeners_are_counted() {
    let story = story();
    let uses = story.uses(|_| ());
    assert_eq!(uses.len(), 2, "{uses:#?}");
    let (client, server) = (&uses[0], &uses[1]);
    assert_eq!(client.process.exit_code, Some(3));
    assert_eq!(client.boot.as_deref(), Some("boot-1"));
    let usage = &client.usage;
    assert_eq!((usage.open, usage.closed, usage.failed), (1, 2, 1));
    assert_eq!(usage.bytes, Some((30, 300)));
    assert_eq!((usage.first, usage.last), (Some(NOW), Some(after(20))));
    assert_eq!((server.usage.listening, server.usage.connections()), (1, 0));
    assert_eq!(server.usage.bytes, None);
    let ports: Vec<_> = server
        .usage
        .listeners
        .iter()
        .map(|(_, local)| local.port)
        .collect();
    assert_eq!(ports, [22]);
}

#[test]
fn the_query_chooses() {
    let story = story();
    let pids = |uses: Vec<ProcessUse>| uses.iter().map(|row| row.process.key.pid).collect::<Vec<_>>();
    assert_eq!(pids(story.uses(|query| query.idle = true)), [1, 2, 3]);
    let some = story.uses(|query| query.filter = parse("dport:80..81").unwrap());
    assert_eq!((some.len(), some[0].usage.closed, some[0].usage.open), (1, 2, 0));
    let named = story.uses(|query| {
        query.filter = parse("name:program-3").unwrap();
        query.idle = true;
    });
    assert_eq!(pids(named), [3]);
    let ended = story.uses(|query| query.ended_only = true);
    assert_eq!((ended[0].usage.open, ended[0].usage.closed), (0, 2));
    // Only what lived within: the second connection had ended, and the first said nothing since it opened.
    let late = story.uses(|query| query.range = after(15)..Time(i64::MAX));
    assert_eq!((late[0].process.key.pid, late[0].usage.connections()), (1, 1));
    let early = story.uses(|query| query.range = Time(i64::MIN)..after(15));
    assert_eq!(early[0].usage.connections(), 2);
}

#[test]
fn nothing_of_a_run_that_is_over_is_open() {
    let mut story = story();
    story.tell(
        after(40),
        Fact::ConnectionOpened(Arc::new(connection(5, &process(4), 443, after(40)))),
    );
    let Story {
        writer,
        path,
        _folder,
    } = story;
    writer.close(after(50)).unwrap();
    let reader = Reader::open(&path).unwrap();
    let query = UseQuery {
        range: EVER,
        filter: Expression::All,
        ended_only: false,
        idle: false,
    };
    let uses = reader.uses(&query).unwrap();
    assert!(uses.iter().all(|row| row.usage.open == 0), "{uses:#?}");
    assert_eq!(uses.iter().map(|row| row.usage.closed).sum::<u64>(), 4);
}
