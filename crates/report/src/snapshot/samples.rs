//! A small host for tests, with every awkward thing on it.

use std::net::SocketAddr;
use std::sync::Arc;

use atalaya_model::alert::Technique;
use atalaya_model::connection::Traffic;
use atalaya_model::gap::StageCount;
use atalaya_model::tier::Limit;
use atalaya_model::{
    Alert, Connection, Direction, Endpoint, Evidence, Finding, Listener, NameSource, Process, ProcessKey,
    Scope, Severity, Side, SocketState, Span, Stage, Text, Tier, TierReport, Time, Transport,
};

use super::Snapshot;

pub(super) const NOW: Time = Time::from_seconds(1_763_674_023);

pub(super) struct Host {
    pub(super) connections: Vec<Connection>,
    pub(super) listeners: Vec<Listener>,
    pub(super) alerts: Vec<Alert>,
    tier: TierReport,
    unread: Vec<(Text, u32)>,
    stages: Vec<StageCount>,
}

impl Host {
    pub(super) fn snapshot(
        &self,
    ) -> Snapshot<'_, std::slice::Iter<'_, Connection>, std::slice::Iter<'_, Listener>> {
        Snapshot {
            timestamp: NOW,
            duration: Span(45_200),
            host: "watchtower",
            connections: self.connections.iter(),
            listeners: self.listeners.iter(),
            alerts: &self.alerts,
            tier: &self.tier,
            unread: &self.unread,
            stages: &self.stages,
        }
    }
}

pub(super) fn process(pid: u32, name: &str, executable: Option<&str>) -> Arc<Process> {
    let key = ProcessKey {
        pid,
        start: u64::from(pid),
    };
    Arc::new(Process {
        executable: executable.map(Text::from),
        command_line: executable.map(|path| format!("{path} --flag").into()),
        user_id: Some(1000),
        user_name: Some("bob".into()),
        ..Process::bare(key, name.into(), NOW)
    })
}

fn endpoint(text: &str) -> Endpoint {
    let address: SocketAddr = text.parse().unwrap();
    Endpoint::new(address.ip(), address.port())
}

pub(super) fn connection(source: &str, destination: &str) -> Connection {
    let destination = endpoint(destination);
    Connection {
        id: 1,
        started_before: true,
        direction: Direction::Outbound,
        scope: Scope::of(destination.ip),
        network_namespace: 4_026_531_840,
        cookie: 77,
        user_id: Some(1000),
        traffic: Some(Traffic {
            sent_bytes: 1_200,
            received_bytes: 34_000,
            ..Traffic::default()
        }),
        outcome: Default::default(),
        attribution: Evidence::KernelOwned.into(),
        ..Connection::bare(NOW, Transport::Tcp, endpoint(source), destination)
    }
}

fn of(process: &Arc<Process>, connection: Connection) -> Connection {
    Connection {
        process: Some(process.clone()),
        attribution: Evidence::Descriptor.into(),
        ..connection
    }
}

fn listener(transport: Transport, local: &str, process: Option<&Arc<Process>>) -> Listener {
    Listener {
        id: 2,
        started: NOW,
        started_before: true,
        ended: None,
        transport,
        local: endpoint(local),
        network_namespace: 4_026_531_840,
        cookie: 78,
        user_id: Some(0),
        service: None,
        process: process.cloned(),
        attribution: process
            .map_or(Evidence::NoPermission, |_| Evidence::Descriptor)
            .into(),
        shared_with: Box::default(),
    }
}

pub(super) fn host() -> Host {
    let nginx = process(80, "nginx", Some("/usr/sbin/nginx"));
    let worker = process(81, "nginx", Some("/usr/sbin/nginx"));
    let nc = process(4_242, "nc", Some("/usr/bin/nc"));
    let hostile = process(666, "bad\u{1b}[31m\nname", Some("/tmp/\u{202e}gpj\n.exe"));
    let inbound = |source: &str| Connection {
        side: Side::Destination,
        direction: Direction::Inbound,
        scope: Scope::External,
        service: Some("https".into()),
        ..connection(source, "192.0.2.10:443")
    };
    let mut suspicious = of(&nc, connection("192.0.2.10:45123", "203.0.113.9:4444"));
    suspicious.name = Some("updates.example.org".into());
    suspicious.name_source = Some(NameSource::Resolver);
    let connections = vec![
        of(&nginx, inbound("198.51.100.7:50000")),
        of(&nginx, inbound("198.51.100.7:50001")),
        of(&worker, inbound("[2001:db8::7]:50002")),
        suspicious.clone(),
        Connection {
            state: SocketState::TimeWait,
            scope: Scope::Private,
            ..connection("10.0.0.1:40000", "10.0.0.2:5432")
        },
        of(
            &hostile,
            Connection {
                transport: Transport::Udp,
                state: SocketState::Close,
                scope: Scope::Private,
                ..connection("10.0.0.1:5353", "10.0.0.3:53")
            },
        ),
    ];
    let connections = connections
        .into_iter()
        .map(|connection| match connection.transport {
            Transport::Udp => Connection {
                state: SocketState::Established,
                ..connection
            },
            _ if connection
                .process
                .as_ref()
                .is_some_and(|process| process.key.pid == 81) =>
            {
                Connection {
                    state: SocketState::CloseWait,
                    ..connection
                }
            }
            _ => connection,
        })
        .collect();
    let listeners = vec![
        listener(
            Transport::Tcp,
            "0.0.0.0:22",
            Some(&process(22, "sshd", Some("/usr/sbin/sshd"))),
        ),
        listener(Transport::Tcp, "[::]:31337", Some(&hostile)),
        listener(Transport::Udp, "0.0.0.0:68", None),
    ];
    let finding = Finding {
        rule: "suspicious_port".into(),
        time: NOW,
        severity: Severity::High,
        key: "/usr/bin/nc → 4444".into(),
        values: vec![
            ("port".into(), 4_444.into()),
            ("destination".into(), "203.0.113.9:4444".into()),
            ("state".into(), "ESTABLISHED".into()),
            ("meaning".into(), "Metasploit's default.".into()),
        ],
        process: Some(nc),
        connections: vec![Arc::new(suspicious)],
        listener: None,
    };
    let listening = Finding {
        rule: "unusual_listener".into(),
        severity: Severity::Medium,
        key: "hostile".into(),
        values: vec![
            ("variant".into(), "wildcard".into()),
            ("port".into(), 31_337.into()),
            ("transport".into(), "tcp".into()),
        ],
        process: Some(hostile),
        connections: Vec::new(),
        listener: Some(Arc::new(listeners[1].clone())),
        ..finding.clone()
    };
    let technique = Technique {
        id: "T1571".into(),
        name: "Non-Standard Port".into(),
        tactic: "Command and Control".into(),
    };
    let alert = |id, finding, techniques| Alert {
        id,
        finding,
        techniques,
        recurrence: 0,
    };
    Host {
        connections,
        listeners,
        alerts: vec![
            alert(1 << 40, finding, vec![technique]),
            alert((1 << 40) + 1, listening, Vec::new()),
        ],
        tier: TierReport {
            tier: Tier::Poll,
            unavailable: vec![(Tier::Ebpf, "not built in".into())],
            limits: vec![Limit {
                what: "Processes of other users cannot be read.".into(),
                remedy: "sudo atalaya snapshot".into(),
            }],
        },
        unread: vec![("no permission".into(), 12)],
        stages: vec![StageCount {
            stage: Stage::SocketEvents,
            received: 10,
            passed: 5,
            dropped: 5,
            errors: 0,
        }],
    }
}

/// A host with nothing on it.
pub(super) fn empty() -> Host {
    Host {
        connections: Vec::new(),
        listeners: Vec::new(),
        alerts: Vec::new(),
        tier: TierReport {
            tier: Tier::Poll,
            unavailable: Vec::new(),
            limits: Vec::new(),
        },
        unread: Vec::new(),
        stages: Vec::new(),
    }
}
