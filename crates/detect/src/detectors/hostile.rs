//! Whatever happens in whatever order: no panic, no flood of the same finding, the same result every time.

use std::sync::Arc;

use atalaya_model::{Finding, Process, Transport};
use proptest::prelude::*;

use crate::stage::{Outcome, Stage, inbound, listener, outbound, packaged, unhashed};

#[derive(Clone, Debug)]
struct Step {
    kind: u8,
    id: u64,
    pid: u32,
    path: String,
    hash: Option<u8>,
    port: u16,
    flags: u8,
}

fn step() -> impl Strategy<Value = Step> {
    let path = prop_oneof![
        Just("/usr/bin/a".to_owned()),
        Just("/dev/shm/b".to_owned()),
        Just("/tmp/\u{1b}[31m\n*?".to_owned()),
        any::<String>(),
    ];
    let port = prop_oneof![Just(53u16), Just(4444), Just(443), any::<u16>()];
    (
        0..8u8,
        1..9u64,
        1..4u32,
        path,
        proptest::option::of(0..3u8),
        port,
        0..8u8,
    )
        .prop_map(|(kind, id, pid, path, hash, port, flags)| Step {
            kind,
            id,
            pid,
            path,
            hash,
            port,
            flags,
        })
}

fn process(step: &Step) -> Arc<Process> {
    let mut process = Arc::unwrap_or_clone(unhashed(step.pid, &step.path));
    process.sha256 = step.hash.map(|hash| hash.to_string().into());
    process.flags.deleted = step.flags & 1 > 0;
    process.flags.memfd = step.flags & 2 > 0;
    if step.flags & 4 > 0 {
        packaged(process)
    } else {
        Arc::new(process)
    }
}

fn play(steps: &[Step]) -> Vec<Finding> {
    let mut stage = Stage::new();
    let mut findings = Vec::new();
    for step in steps {
        let process = process(step);
        let outcome = match step.kind {
            0 => stage.opens(outbound(
                step.id,
                &process,
                &format!("198.51.100.7:{}", step.port),
            )),
            1 => stage.opens(inbound(
                step.id,
                &process,
                &format!("0.0.0.0:{}", step.port),
                "[2001:db8::1]:1",
            )),
            2 => stage.listens(listener(
                step.id,
                &process,
                Transport::Tcp,
                &format!("[::]:{}", step.port),
            )),
            3 => stage.listens(listener(
                step.id,
                &process,
                Transport::Udp,
                &format!("127.0.0.1:{}", step.port),
            )),
            4 => stage.learns(process),
            5 => stage.ends(step.pid),
            6 => {
                stage.closes([step.id]);
                stage.gone(step.id);
                Outcome::default()
            }
            _ => stage.pass(step.flags.into()),
        };
        for memory in &outcome.memories {
            assert!(memory.key.len() <= atalaya_model::memory::Memory::MAX_KEY);
        }
        findings.extend(outcome.findings);
    }
    findings.extend(stage.flush().findings);
    findings
}

proptest! {
    #[test]
    fn the_same_events_give_the_same_findings(steps in proptest::collection::vec(step(), 0..60)) {
        let findings = play(&steps);
        prop_assert_eq!(&findings, &play(&steps));
        for finding in &findings {
            let entry = crate::registry::find(&finding.rule);
            prop_assert!(entry.is_some_and(|entry| {
                finding.values.iter().all(|(name, _)| entry.values.contains(&&**name))
                    && (finding.severity == entry.severity
                        || entry.other_severities.iter().any(|(severity, _)| *severity == finding.severity))
            }), "{:?} is not as documented", finding);
            prop_assert!(finding.connections.len() <= Finding::MAX_EXAMPLES);
        }
    }
}
