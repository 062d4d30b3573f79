//! What short-lived processes cost whoever is told of them by the kernel: as root,
//! `cargo run --release -p atalaya-host --example process_cost -- 2000 [plain]`.

use std::time::Duration;

use atalaya_host::clock::monotonic;
use atalaya_host::collector::{Collector as _, Options};
use atalaya_host::linux::ebpf::EbpfCollector;
use atalaya_host::usage;
use atalaya_model::Observation;

#[expect(clippy::print_stdout, reason = "a measurement is printed")]
#[expect(clippy::disallowed_methods, reason = "the load is a program")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let count: u32 = match std::env::args().nth(1) {
        Some(count) => count.parse()?,
        None => 2_000,
    };
    // With `plain` nothing is hashed: other processes that start meanwhile would be, too.
    let is_plain = std::env::args().nth(2).as_deref() == Some("plain");
    let options = Options {
        names: false,
        hash: !is_plain,
        packages: !is_plain,
        command_line_key: Some(atalaya_host::collector::CommandLineKey([7; 32])),
        ..Options::default()
    };
    let mut collector = EbpfCollector::open(options)?;
    collector.look(&mut |_| {})?;
    while collector.pending() > 0 {
        collector.wait(Duration::from_millis(100), &mut |_| {})?;
    }
    for round in 0..3 {
        let script = "i=0; while [ $i -lt $0 ]; do /bin/true --number $i; i=$((i+1)); done";
        let (cpu, start) = (usage::own().cpu, monotonic());
        let mut load = std::process::Command::new("sh")
            .args(["-c", script, &count.to_string()])
            .spawn()?;
        let (mut told, mut hashed, mut gone, mut is_over) = (0, 0, 0, false);
        let mut sink = |observation: Observation| match observation {
            Observation::Process(_, process) if process.executable.as_deref() == Some("/usr/bin/true") => {
                told += 1;
                hashed += u32::from(process.sha256.is_some());
            }
            Observation::ProcessGone(..) => gone += 1,
            _ => {}
        };
        while !is_over {
            is_over = load.try_wait()?.is_some();
            collector.wait(Duration::from_millis(100), &mut sink)?;
        }
        collector.look(&mut sink)?;
        let used = usage::own().cpu.0.saturating_sub(cpu.0);
        let passed = monotonic().0.saturating_sub(start.0);
        println!(
            "round {round}: {count} processes in {} ms; told {told} times, {hashed} with hash, {gone} gone; \
             {} ms of CPU, {:.1} µs each",
            passed / 1_000,
            used / 1_000,
            used as f64 / f64::from(count),
        );
    }
    Ok(())
}
