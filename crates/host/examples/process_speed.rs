//! How long it takes to describe every process of this host, and what it costs to hash their executables and to ask
//! for their packages: `cargo run --release -p atalaya-host --example process_speed`.

use std::sync::Arc;

use atalaya_host::clock::monotonic;
use atalaya_host::linux::hash::inspector::{Inspected, Inspector, Options};
use atalaya_host::linux::process::{CommandLines, ProcessReader};
use atalaya_host::usage;
use atalaya_model::Ledger;

#[expect(clippy::print_stdout, reason = "a measurement is printed")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut reader = ProcessReader::new(CommandLines {
        keep_secrets: false,
        key: Some([1; 32]),
    })?;
    let pids: Vec<u32> = std::fs::read_dir("/proc")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    for round in 0..5 {
        let start = monotonic();
        let read = pids.iter().filter(|pid| reader.describe(**pid).is_ok()).count();
        let described = monotonic();
        let keys = pids.iter().filter(|pid| reader.key(**pid).is_ok()).count();
        let done = monotonic();
        println!(
            "round {round}: describe {read} processes, {:.1} µs each; key {keys}, {:.1} µs each",
            described.0.saturating_sub(start.0) as f64 / read.max(1) as f64,
            done.0.saturating_sub(described.0) as f64 / keys.max(1) as f64,
        );
    }
    for (hashes, packages) in [(true, false), (false, true), (true, true)] {
        let options = Options {
            hashes,
            packages,
            ..Options::default()
        };
        let inspector = Inspector::start(options, Ledger::default())?;
        for round in 0..2 {
            let before = usage::own();
            let sent = pids
                .iter()
                .filter_map(|pid| reader.describe(*pid).ok())
                .filter(|process| inspector.submit(Arc::new(process.clone())))
                .count();
            let results = inspector.results();
            let done = results.iter().take(sent);
            let found = done.filter(|one| matches!(one, Inspected::Done(_))).count();
            let after = usage::own();
            println!(
                "hashes {hashes}, packages {packages}, round {round}: {found} of {sent}, {} of CPU, peak {} KiB",
                after.cpu.0.saturating_sub(before.cpu.0) as f64 / 1e6,
                after.peak >> 10,
            );
        }
    }
    Ok(())
}
