//! Atalaya as a library: plan, documentation, one look with its alerts and statistics, then a watch that stops by itself.
//!
//! `cargo run --example monitor` (as root it sees every process).

use std::error::Error;
use std::io::{self, Write};

use atalaya::Monitor;
use atalaya::monitor::Told;
use atalaya_format::catalogue::Language;
use atalaya_format::sentence::{Part, render};

fn main() -> Result<(), Box<dyn Error>> {
    run(&Monitor::new(), 10, &mut io::stdout())
}

/// Shows what a monitor can do, and watches until `events` events have come.
pub(crate) fn run(monitor: &Monitor, events: usize, out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let plan = monitor.plan()?;
    writeln!(
        out,
        "would watch every {} s by tier {}",
        plan.interval,
        plan.tier.tier.name()
    )?;

    for rule in monitor.documentation().as_array().into_iter().flatten() {
        let text = |key: &str| rule[key].as_str().unwrap_or_default();
        writeln!(
            out,
            "{} ({}): {}",
            text("rule"),
            text("severity"),
            text("sentence")
        )?;
    }

    let snapshot = monitor.snapshot()?;
    for alert in &snapshot.alerts {
        let finding = &alert.finding;
        let sentence = render(finding, Language::English, Part::Sentence);
        writeln!(out, "[{}] {}: {sentence}", finding.severity.name(), finding.rule)?;
    }
    let statistics = snapshot.statistics();
    writeln!(
        out,
        "{} connections, {} established, by {} processes",
        statistics.total,
        statistics.established,
        snapshot.processes.len()
    )?;

    let mut seen = 0;
    let mut failed = None;
    monitor.watch(|told| {
        let Some(told) = told else {
            // Nothing happened for a while.
            return failed.is_none() && seen < events;
        };
        seen += 1;
        let line = match told {
            Told::Event(event) => format!("event {seen}: {}", event.fact.kind()),
            Told::Alert(record) => format!("event {seen}: {record:?}"),
        };
        failed = writeln!(out, "{line}").err();
        failed.is_none() && seen < events
    })?;
    failed.map_or(Ok(()), |error| Err(error.into()))
}
