//! The whole program on the real kernel: in network namespaces of the test's own, with real programs around it.
//!
//! They need root, `unshare`, `ip`, `ss`, `python3` and a C compiler, and say so where they do not find them.
//! `ATALAYA_QUICK` leaves out the long ones, `ATALAYA_SOAK_COUNT` makes the repeated ones longer (`./soak`).
#![expect(
    clippy::disallowed_methods,
    reason = "these tests start programs and wait for them"
)]

#[cfg(test)]
mod actor;
#[cfg(test)]
mod configuration;
#[cfg(test)]
mod detections;
#[cfg(test)]
mod endurance;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod kill;
#[cfg(test)]
mod mistakes;
#[cfg(test)]
mod ordinary;
#[cfg(test)]
mod packets;
#[cfg(test)]
mod processes;
#[cfg(test)]
mod program;
#[cfg(test)]
mod running;
#[cfg(test)]
mod seeds;
#[cfg(test)]
mod sockets;
#[cfg(test)]
mod tiers;
#[cfg(test)]
mod watch;
#[cfg(test)]
mod world;

#[cfg(test)]
use support::*;

#[cfg(test)]
mod support {
    use std::process::Command;
    use std::thread;
    use std::time::{Duration, Instant};

    /// Says that a test was left out, in the words that `./test` collects.
    pub(crate) fn skip(reason: &str) {
        println!(
            "skipped: {}: {reason}",
            thread::current().name().unwrap_or("a test")
        );
    }

    /// Leave out what takes long?
    pub(crate) fn is_quick() -> bool {
        std::env::var_os("ATALAYA_QUICK").is_some()
    }

    /// How often a repeated test repeats: as `./soak` says, else the first number with `--quick`, else the second.
    pub(crate) fn rounds(quick: usize, usual: usize) -> usize {
        let wanted = std::env::var("ATALAYA_SOAK_COUNT")
            .ok()
            .and_then(|count| count.parse().ok());
        wanted.unwrap_or(if is_quick() { quick } else { usual })
    }

    /// Runs a program and gives its output; it has to succeed.
    #[track_caller]
    pub(crate) fn run(program: &str, arguments: &[&str]) -> String {
        let output = Command::new(program).args(arguments).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {arguments:?}: {errors}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Waits, for at most a minute, until something is so.
    #[track_caller]
    pub(crate) fn until(what: &str, is_so: impl FnMut() -> bool) {
        within(60, what, is_so);
    }

    /// Waits, for at most so many seconds, until something is so.
    #[track_caller]
    pub(crate) fn within(seconds: u64, what: &str, mut is_so: impl FnMut() -> bool) {
        let end = Instant::now() + Duration::from_secs(seconds);
        while !is_so() {
            assert!(Instant::now() < end, "waited {seconds} s in vain: {what}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// The children of a process.
    pub(crate) fn children(pid: u32) -> Vec<u32> {
        let path = format!("/proc/{pid}/task/{pid}/children");
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.split_whitespace()
            .filter_map(|pid| pid.parse().ok())
            .collect()
    }
}
