//! Writes a snapshot of N made-up connections over 50 processes, to measure what writing costs:
//!
//! `time cargo run --release -p atalaya-report --example snapshot_cost -- json 100000 > /dev/null`
//!
//! `none` as the first argument only makes the connections, for the difference.

use std::io;
use std::sync::Arc;

use atalaya_format::{Context, Language};
use atalaya_model::connection::Traffic;
use atalaya_model::{
    Connection, Direction, Endpoint, Evidence, Process, ProcessKey, Scope, Side, Span, Tier, TierReport,
    Time, Transport,
};
use atalaya_report::Snapshot;
use atalaya_report::snapshot::{JsonOptions, TextOptions, write_csv, write_json, write_text};

const NOW: Time = Time::from_seconds(1_763_674_023);

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let format = arguments.get(1).map_or("json", String::as_str);
    let count = arguments
        .get(2)
        .and_then(|count| count.parse().ok())
        .unwrap_or(100_000);
    let processes: Vec<_> = (0..50).map(process).collect();
    let connections: Vec<_> = (0..count)
        .map(|n| connection(n, &processes[n as usize % processes.len()]))
        .collect();
    let tier = TierReport {
        tier: Tier::Poll,
        unavailable: Vec::new(),
        limits: Vec::new(),
    };
    let snapshot = Snapshot {
        timestamp: NOW,
        duration: Span(50_000),
        host: "watchtower",
        connections: connections.iter(),
        listeners: [].iter(),
        alerts: &[],
        tier: &tier,
        unread: &[],
        stages: &[],
    };
    let out = &mut io::stdout().lock();
    match format {
        "json" => {
            let context = Context {
                host_name: "watchtower".into(),
                host_id: None,
                version: "0.1.0".into(),
                language: Language::English,
                of_captures: false,
            };
            write_json(
                &snapshot,
                &JsonOptions {
                    context,
                    pretty: false,
                },
                out,
            )
        }
        "csv" => write_csv(&snapshot, out),
        "text" => write_text(
            &snapshot,
            &TextOptions {
                all: true,
                ..TextOptions::default()
            },
            out,
        ),
        _ => Ok(()),
    }
}

fn process(pid: u32) -> Arc<Process> {
    let path = format!("/usr/lib/program-{pid}/bin/server");
    Arc::new(Process {
        command_line: Some(format!("{path} --listen 0.0.0.0 --config /etc/server/{pid}.toml").into()),
        executable: Some(path.into()),
        working_directory: Some("/".into()),
        user_id: Some(33),
        user_name: Some("www-data".into()),
        cgroup: Some("/system.slice/server.service".into()),
        unit: Some("server.service".into()),
        sha256: Some("a".repeat(64).into()),
        ..Process::bare(ProcessKey { pid, start: 1_000 }, "server".into(), NOW)
    })
}

fn connection(n: u32, process: &Arc<Process>) -> Connection {
    let [_, a, b, c] = n.to_be_bytes();
    Connection {
        id: n.into(),
        started_before: true,
        side: Side::Destination,
        direction: Direction::Inbound,
        scope: Scope::External,
        network_namespace: 4_026_531_840,
        cookie: u64::from(n) + 1,
        user_id: Some(33),
        cgroup_id: Some(5),
        traffic: Some(Traffic {
            sent_bytes: 1_000,
            received_bytes: 2_000,
            ..Traffic::default()
        }),
        outcome: Default::default(),
        service: Some("https".into()),
        process: Some(process.clone()),
        attribution: Evidence::Descriptor.into(),
        ..Connection::bare(
            NOW,
            Transport::Tcp,
            Endpoint::new([198, a, b, c].into(), 40_000),
            Endpoint::new([192, 0, 2, 10].into(), 443),
        )
    }
}
