//! How long it takes to describe every process of this host: `cargo run --release --example process_speed`.

use atalaya_host::clock::monotonic;
use atalaya_host::linux::process::{CommandLines, ProcessReader};

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
    Ok(())
}
