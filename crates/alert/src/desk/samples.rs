//! Findings for tests.

use std::net::SocketAddr;
use std::sync::Arc;

use atalaya_model::connection::Traffic;
use atalaya_model::{
    Connection, Direction, Endpoint, Evidence, Finding, Listener, Process, ProcessKey, Scope, Severity, Time,
    Transport,
};

pub(crate) const NOW: Time = Time::from_seconds(1_763_674_023);

/// `/usr/bin/nc`, pid 4242.
pub(crate) fn process() -> Process {
    let key = ProcessKey { pid: 4242, start: 99 };
    Process {
        executable: Some("/usr/bin/nc".into()),
        command_line: Some("nc 203.0.113.9 4444".into()),
        ..Process::bare(key, "nc".into(), NOW)
    }
}

pub(crate) fn finding(rule: &str, key: &str) -> Finding {
    Finding {
        rule: rule.into(),
        time: NOW,
        severity: Severity::High,
        key: key.into(),
        values: Vec::new(),
        process: Some(Arc::new(process())),
        connections: Vec::new(),
        listener: None,
    }
}

pub(crate) fn connected(rule: &str, to: &str) -> Finding {
    let to: SocketAddr = to.parse().unwrap();
    let destination = Endpoint::new(to.ip(), to.port());
    let connection = Connection {
        id: 7,
        direction: Direction::Outbound,
        scope: Scope::of(destination.ip),
        user_id: Some(1000),
        traffic: Some(Traffic::default()),
        outcome: Default::default(),
        process: Some(Arc::new(process())),
        attribution: Evidence::Descriptor.into(),
        ..Connection::bare(
            NOW,
            Transport::Tcp,
            Endpoint::new("192.0.2.10".parse().unwrap(), 50_544),
            destination,
        )
    };
    Finding {
        connections: vec![Arc::new(connection)],
        values: vec![("port".into(), destination.port.into())],
        ..finding(rule, &format!("/usr/bin/nc → {}", destination.port))
    }
}

pub(crate) fn listening(rule: &str, on: &str) -> Finding {
    let on: SocketAddr = on.parse().unwrap();
    let listener = Listener {
        id: 8,
        started: NOW,
        started_before: false,
        ended: None,
        transport: Transport::Tcp,
        local: Endpoint::new(on.ip(), on.port()),
        network_namespace: 0,
        cookie: 0,
        user_id: Some(1000),
        service: None,
        process: Some(Arc::new(process())),
        attribution: Evidence::Descriptor.into(),
        shared_with: Box::default(),
    };
    Finding {
        listener: Some(Arc::new(listener)),
        ..finding(rule, &format!("/usr/bin/nc on {on}"))
    }
}
