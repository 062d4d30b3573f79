//! Is everything seen, with the right process, and counted? The completeness matrix of `benches/completeness`, small, by
//! the best tier: real generators in network namespaces of their own, the peer's own counters as reference.
#![expect(
    clippy::disallowed_methods,
    reason = "this test starts programs and waits for them"
)]

use std::path::Path;
use std::process::Command;

#[test]
fn the_best_tier_sees_names_and_counts_everything() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../benches/completeness/run.py");
    let output = Command::new("python3")
        .arg(script)
        .args(["--quick", "--assert", "--verbose", "--tier", "ebpf", "--binary"])
        .arg(env!("CARGO_BIN_EXE_atalaya"))
        .output();
    let Ok(output) = output else {
        println!("skipped: the completeness matrix: python3 is not installed");
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
