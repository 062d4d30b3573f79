//! Is everything seen, with the right process, and counted? The completeness matrix and the short-lived load of
//! `benches`, small, by the best tier: real generators in network namespaces of their own, the peer's own counters as
//! reference.
#![expect(
    clippy::disallowed_methods,
    reason = "these tests start programs and wait for them"
)]

#[cfg(test)]
mod support {
    use std::path::Path;
    use std::process::Command;

    /// Runs a bench that says at its end what was not complete, or why it could not run.
    #[track_caller]
    pub(crate) fn assert_complete(script: &str, arguments: &[&str]) {
        let benches = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../benches");
        let output = Command::new("python3")
            .arg(benches.join(script))
            .args(arguments)
            .args(["--assert", "--verbose", "--binary", env!("CARGO_BIN_EXE_atalaya")])
            .output();
        let Ok(output) = output else {
            println!("skipped: {script}: python3 is not installed");
            return;
        };
        let said = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        println!("{said}");
        assert!(output.status.success(), "{said}\n{errors}");
        assert!(
            said.contains("skipped: ") || said.contains("\ncomplete\n"),
            "{said}\n{errors}"
        );
    }
}

#[test]
fn every_scenario_is_seen_named_and_counted() {
    support::assert_complete("completeness/run.py", &["--quick", "--tier", "ebpf"]);
}

#[test]
fn short_conversations_are_seen_named_and_counted_live_and_in_the_store() {
    support::assert_complete("short.py", &["--less", "20", "--watchers", "ebpf,ebpf-store"]);
}
