//! What keeping connections costs: `cargo run --release -p atalaya-store --example write_rate [connections] [batch]`.
//!
//! Each connection opens and closes (two events), by 150 processes to 60,000 addresses. Prints CPU time, bytes a
//! connection and peak memory, then how long a full read of the history and some questions take.

use std::sync::Arc;

use atalaya_model::connection::Traffic;
use atalaya_model::fields::Kind;
use atalaya_model::filter::parse;
use atalaya_model::*;
use atalaya_store::{Entry, Options, Reader, Writer};

const NOW: Time = Time(1_795_000_000_000_000);

/// CPU seconds of this process so far, and its peak resident memory in KiB.
fn cost() -> (f64, u64) {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let mut fields = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .skip(11);
    let mut ticks = || {
        fields
            .next()
            .and_then(|field| field.parse::<f64>().ok())
            .unwrap_or(0.0)
    };
    let cpu = (ticks() + ticks()) / 100.0;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.and_then(|text| text.trim().trim_end_matches(" kB").parse().ok());
    (cpu, peak.unwrap_or(0))
}

fn process(number: u32) -> Arc<Process> {
    let mut process = Process::bare(
        ProcessKey {
            pid: 1_000 + number,
            start: 77,
        },
        "worker".into(),
        NOW,
    );
    process.executable = Some(format!("/usr/bin/worker-{number}").into());
    process.command_line =
        Some(format!("/usr/bin/worker-{number} --config /etc/worker/{number}.toml").into());
    process.user_name = Some("www-data".into());
    process.unit = Some("worker.service".into());
    Arc::new(process)
}

fn connection(number: u64, time: Time, process: &Arc<Process>) -> Connection {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    let remote = [
        203,
        (mixed % 7) as u8,
        (mixed >> 8) as u8,
        (mixed >> 16) as u8 % 36,
    ];
    Connection {
        id: number,
        direction: Direction::Outbound,
        scope: Scope::External,
        network_namespace: 4_026_531_840,
        cookie: number + 1,
        user_id: Some(33),
        cgroup_id: Some(4_711),
        traffic: Some(Traffic::default()),
        outcome: Default::default(),
        service: Some("https".into()),
        process: Some(process.clone()),
        attribution: Evidence::Descriptor.into(),
        ..Connection::bare(
            time,
            Transport::Tcp,
            Endpoint::new([10, 0, 0, 5].into(), 32_768 + (number % 28_000) as u16),
            Endpoint::new(remote.into(), 443),
        )
    }
}

#[expect(clippy::print_stdout, reason = "it prints what it measured")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<usize>());
    let count = arguments.next().transpose()?.unwrap_or(200_000);
    let batch = arguments.next().transpose()?.unwrap_or(1_000);
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("a.db");
    let processes: Vec<_> = (0..150).map(process).collect();
    let mut writer = Writer::open(&path, &Options::new("boot", "bench", NOW))?;
    let (before, base) = cost();
    let (mut making, mut number) = (0.0, 0_u64);
    while (number as usize) < count {
        let (start, _) = cost();
        let mut entries = Vec::with_capacity(2 * batch);
        for _ in 0..batch {
            let time = Time(NOW.0 + number as i64 * 10_000);
            let mut it = connection(number, time, &processes[number as usize % processes.len()]);
            entries.push(Entry::Event(Event::new(
                time,
                Fact::ConnectionOpened(Arc::new(it.clone())),
            )));
            let end = Time(time.0 + 9_000);
            (it.ended, it.seen, it.state) = (Some(end), end, SocketState::TimeWait);
            it.traffic = Some(Traffic {
                sent_bytes: 700 + number % 5_000,
                received_bytes: number % 90_000,
                sent_packets: 9,
                received_packets: 11,
                round_trip: 12_345,
                retransmits: 0,
            });
            entries.push(Entry::Event(Event::new(
                end,
                Fact::ConnectionClosed(Arc::new(it)),
            )));
            number += 1;
        }
        making += cost().0 - start;
        writer.write(&entries)?;
    }
    let (after, peak) = cost();
    let spent = after - before - making;
    writer.checkpoint()?;
    let bytes = writer.stats()?.bytes;
    println!(
        "{number} connections in batches of {batch}: {spent:.2} CPU s, {:.0} a CPU s; {} bytes each; memory {base} KiB \
         before, {peak} KiB peak",
        number as f64 / spent,
        bytes / number
    );
    let reader = Reader::open(&path)?;
    let (start, _) = cost();
    let events = reader
        .history(Time(0)..Time(i64::MAX))
        .try_fold(0_u64, |count, event| event.map(|_| count + 1))?;
    println!(
        "history: {events} events, {:.0} a CPU s",
        events as f64 / (cost().0 - start).max(0.01)
    );
    for text in [
        "dst:203.0.0.0/16 dport:443",
        "exe:*worker-7 bytes>1000",
        "name:/^work/ rtt>1ms",
        "community_id:1:x",
    ] {
        let (start, _) = cost();
        let found = reader.count(Kind::Connection, &parse(text)?)?;
        println!("{text}: {found} found, {:.2} CPU s", cost().0 - start);
    }
    let (start, _) = cost();
    let found = reader
        .select(Kind::Connection, &parse("exe:*worker-7")?, 100)?
        .len();
    println!(
        "the newest {found} of one executable: {:.3} CPU s",
        cost().0 - start
    );
    println!("memory {} KiB peak", cost().1);
    Ok(())
}
