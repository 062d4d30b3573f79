//! What the program says of itself, on standard error. Standard output is for data.

use std::io::Write as _;

use tracing_subscriber::EnvFilter;

use crate::exit::Failure;
use crate::terminal::Terminal;

/// Lets the program talk: `info` and worse, or as `ATALAYA_LOG` says.
pub fn start(terminal: &Terminal) {
    let filter = EnvFilter::try_from_env("ATALAYA_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let started = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(terminal.stderr && terminal.colour)
        .with_target(false)
        .without_time()
        // Where standard error is closed, it would be told there, and panic.
        .log_internal_errors(false)
        .try_init();
    // Somebody who uses us as a library has a subscriber already.
    drop(started);
}

/// Says why a run failed. The text may name hostile files, so it is escaped; its own line breaks stay.
pub fn failure(failure: &Failure) {
    let text = failure.to_string();
    let lines: Vec<_> = text.lines().map(atalaya_format::escape::text).collect();
    let mut stderr = std::io::stderr().lock();
    // Without standard error there is nobody to tell.
    writeln!(stderr, "atalaya: {}", lines.join("\n")).unwrap_or_default();
}
