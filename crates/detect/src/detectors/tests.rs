use atalaya_model::{Severity, Transport};

use crate::stage::{Stage, listener, outbound, packaged, program, unhashed};

/// Rules and severities of everything from medium on, in order.
fn serious(outcomes: &[crate::stage::Outcome]) -> Vec<(String, Severity)> {
    let findings = outcomes.iter().flat_map(|outcome| &outcome.findings);
    findings
        .filter(|finding| finding.severity >= Severity::Medium)
        .map(|finding| (finding.rule.to_string(), finding.severity))
        .collect()
}

#[test]
fn a_finding_waits_for_the_hash_of_its_process() {
    let mut stage = Stage::new();
    let connection = outbound(1, &unhashed(7, "/usr/bin/nc"), "198.51.100.7:4444");
    assert!(stage.opens(connection).findings.is_empty());
    let findings = stage.learns(program(7, "/usr/bin/nc", "aa"));
    let found = findings.of("suspicious_port");
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].process.as_ref().unwrap().sha256.as_deref(), Some("aa"));
}

#[test]
fn but_not_for_ever() {
    let mut stage = Stage::new();
    stage.opens(outbound(1, &unhashed(7, "/dev/shm/nc"), "198.51.100.7:4444"));
    assert!(stage.pass(1).findings.is_empty());
    let late = stage.pass(1);
    assert_eq!(
        (late.of("suspicious_port").len(), late.of("suspicious_path").len()),
        (1, 1)
    );
    // The hash that comes after all is no new finding of the same kind.
    let hashed = stage.learns(program(7, "/dev/shm/nc", "aa"));
    assert_eq!(serious(&[hashed]), []);
    let ended = stage.ends(7);
    assert_eq!(serious(&[ended]), []);
}

#[test]
fn nor_beyond_the_end_of_the_process_or_of_a_snapshot() {
    let mut stage = Stage::new();
    stage.opens(outbound(1, &unhashed(7, "/dev/shm/nc"), "198.51.100.7:4444"));
    let ended = stage.ends(7);
    assert_eq!(
        (
            ended.of("suspicious_port").len(),
            ended.of("suspicious_path").len()
        ),
        (1, 1)
    );
    stage.opens(outbound(2, &unhashed(8, "/dev/shm/nc"), "198.51.100.7:4444"));
    let last = stage.flush();
    assert_eq!(
        (last.of("suspicious_port").len(), last.of("suspicious_path").len()),
        (1, 1)
    );
}

/// The scenes of the live tests: each gives its own finding once, and nothing else from medium on.
#[test]
fn companions_are_mild() {
    type Scene = fn(&mut Stage) -> Vec<crate::stage::Outcome>;
    let scenes: [(&str, Severity, Scene); 6] = [
        ("suspicious_port", Severity::High, |stage| {
            let nc = program(50, "/usr/bin/nc", "n1");
            vec![
                stage.starts(nc.clone()),
                stage.opens(outbound(50, &nc, "198.51.100.9:4444")),
            ]
        }),
        ("excessive_connections", Severity::Medium, |stage| {
            let tool = program(50, "/usr/bin/flood", "n1");
            let opened = (100..160).map(|id| stage.opens(outbound(id, &tool, "198.51.100.9:443")));
            opened.collect()
        }),
        ("unusual_listener", Severity::Medium, |stage| {
            let nc = program(50, "/usr/bin/nc", "n1");
            vec![stage.listens(listener(50, &nc, Transport::Tcp, "0.0.0.0:31337"))]
        }),
        ("suspicious_path", Severity::Medium, |stage| {
            let dropped = program(50, "/dev/shm/x", "n1");
            vec![stage.opens(outbound(50, &dropped, "198.51.100.9:443"))]
        }),
        ("deleted_executable", Severity::High, |stage| {
            let mut gone = std::sync::Arc::unwrap_or_clone(program(50, "/opt/gone", "n1"));
            gone.flags.deleted = true;
            vec![stage.opens(outbound(50, &std::sync::Arc::new(gone), "198.51.100.9:443"))]
        }),
        ("changed_executable", Severity::High, |stage| {
            let other = program(50, "/usr/bin/known", "other");
            vec![
                stage.starts(other.clone()),
                stage.opens(outbound(50, &other, "198.51.100.9:443")),
            ]
        }),
    ];
    for (rule, severity, play) in scenes {
        let mut stage = Stage::learning();
        stage.opens(outbound(
            1,
            &program(7, "/usr/bin/known", "aa"),
            "198.51.100.7:443",
        ));
        stage.pass(3_600);
        let mut outcomes = play(&mut stage);
        outcomes.extend((0..5).map(|_| stage.pass(1)));
        assert_eq!(serious(&outcomes), [(rule.to_owned(), severity)]);
    }
}

#[test]
fn ordinary_work_and_an_upgrade_give_nothing_above_low() {
    let mut stage = Stage::learning();
    let sshd = program(7, "/usr/sbin/sshd", "v1");
    let mut outcomes = vec![stage.listens(listener(1, &sshd, Transport::Tcp, "0.0.0.0:22"))];
    outcomes.push(stage.pass(3_600));
    let curl = program(8, "/usr/bin/curl", "c1");
    outcomes.push(stage.opens(outbound(1, &curl, "198.51.100.7:443")));
    outcomes.push(stage.opens(outbound(2, &curl, "198.51.100.53:53")));
    outcomes.push(stage.listens(listener(2, &curl, Transport::Udp, "0.0.0.0:40001")));
    // The package is upgraded under the running daemon, which is then restarted.
    let mut old = std::sync::Arc::unwrap_or_clone(sshd);
    old.flags.deleted = true;
    outcomes.push(stage.learns(packaged(old)));
    outcomes.push(stage.pass(5));
    outcomes.push(stage.ends(7));
    stage.gone(1);
    let new = packaged(std::sync::Arc::unwrap_or_clone(program(
        9,
        "/usr/sbin/sshd",
        "v2",
    )));
    outcomes.push(stage.starts(new.clone()));
    outcomes.push(stage.listens(listener(3, &new, Transport::Tcp, "0.0.0.0:22")));
    outcomes.push(stage.pass(10));
    assert_eq!(serious(&outcomes), []);
    let rules: Vec<_> = outcomes
        .iter()
        .flat_map(|outcome| &outcome.findings)
        .map(|f| (&*f.rule, f.severity))
        .collect();
    assert!(
        rules.contains(&("deleted_executable", Severity::Info)),
        "{rules:?}"
    );
    assert!(
        rules.contains(&("changed_executable", Severity::Info)),
        "{rules:?}"
    );
}

#[test]
fn the_word_of_a_busy_package_manager_is_awaited() {
    let unpackaged = |pid, hash| std::sync::Arc::unwrap_or_clone(program(pid, "/usr/sbin/sshd", hash));
    let mut stage = Stage::learning();
    let sshd = packaged(unpackaged(7, "v1"));
    stage.listens(listener(1, &sshd, Transport::Tcp, "0.0.0.0:22"));
    stage.pass(3_600);
    // The file is replaced, and the package manager holds its lock for a minute.
    let mut old = unpackaged(7, "v1");
    old.flags.deleted = true;
    let mut outcomes = vec![stage.learns(std::sync::Arc::new(old.clone()))];
    outcomes.push(stage.starts(std::sync::Arc::new(unpackaged(9, "v2"))));
    outcomes.extend((0..60).map(|_| stage.pass(1)));
    assert_eq!(serious(&outcomes), []);
    outcomes.push(stage.learns(packaged(old)));
    outcomes.push(stage.learns(packaged(unpackaged(9, "v2"))));
    outcomes.extend((0..200).map(|_| stage.pass(1)));
    assert_eq!(serious(&outcomes), []);
    let noted = outcomes.iter().flat_map(|outcome| &outcome.findings);
    let noted: Vec<_> = noted
        .map(|finding| (&*finding.rule, finding.severity))
        .filter(|(rule, _)| rule.ends_with("d_executable"))
        .collect();
    let info = Severity::Info;
    assert_eq!(
        noted,
        [("deleted_executable", info), ("changed_executable", info)]
    );

    // A file that only looks like an upgrade is told in the end.
    outcomes.clear();
    outcomes.push(stage.starts(std::sync::Arc::new(unpackaged(10, "evil"))));
    outcomes.extend((0..200).map(|_| stage.pass(1)));
    assert_eq!(
        serious(&outcomes),
        [("changed_executable".to_owned(), Severity::High)]
    );
}

#[test]
fn what_was_learnt_survives_a_reload() {
    let mut stage = Stage::learning();
    let sshd = program(7, "/usr/sbin/sshd", "v1");
    stage.listens(listener(1, &sshd, Transport::Tcp, "0.0.0.0:22"));
    stage.pass(3_600);
    assert!(stage.detectors.has_learnt());
    let mut options = crate::Options::default();
    options.suspicious_port.enabled = false;
    stage.detectors.reload(&options, &crate::Lists::default());
    stage
        .listens(listener(2, &sshd, Transport::Tcp, "0.0.0.0:22"))
        .silent("unusual_listener");
    stage
        .opens(outbound(1, &sshd, "198.51.100.7:4444"))
        .silent("suspicious_port");
}
