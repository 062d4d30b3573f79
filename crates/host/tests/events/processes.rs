//! Processes that are over in a millisecond.

use std::process::Command;

use atalaya_model::Stage;
use atalaya_model::process::Unread;

use crate::{options, start};

#[test]
fn processes_of_a_millisecond_are_all_told_with_their_program() {
    const COUNT: usize = 300;
    let Some((mut collector, mut seen)) = start(options()) else {
        return;
    };
    // Each a fork and an exec; every hundredth is only a fork, which fails.
    let script = "i=0; while [ $i -lt 300 ]; do /bin/true $i; \
                  [ $((i % 100)) = 0 ] && (exit 7); i=$((i + 1)); done; :";
    let mut shell = Command::new("/bin/sh").args(["-c", script]).spawn().unwrap();
    let pid = shell.id();
    shell.wait().unwrap();
    let children = |seen: &crate::Seen| {
        let mut children: Vec<_> = seen
            .processes
            .values()
            .filter(|process| process.parent.is_some_and(|parent| parent.pid == pid))
            .cloned()
            .collect();
        children.retain(|child| seen.gone.contains(&child.key));
        children
    };
    // On a machine that does other things, the kernel may lose some for us, and says so.
    seen.wait(&mut collector, |seen| {
        children(seen).len() + seen.lost(Stage::Processes) as usize >= COUNT + 3
    });
    let children = children(&seen);
    if seen.lost(Stage::Processes) > 0 {
        println!(
            "skipped: {} process events were lost",
            seen.lost(Stage::Processes)
        );
        return;
    }
    assert_eq!(children.len(), COUNT + 3);
    let failed: Vec<_> = children
        .iter()
        .filter(|child| child.exit_code == Some(7))
        .collect();
    assert_eq!(failed.len(), 3);
    // They are what their parent is.
    assert!(failed.iter().all(|child| {
        child
            .command_line
            .as_deref()
            .is_some_and(|line| line.contains("while"))
    }));
    let fine: Vec<_> = children
        .iter()
        .filter(|child| child.exit_code == Some(0))
        .collect();
    assert_eq!(fine.len(), COUNT);
    let read = |child: &&&std::sync::Arc<atalaya_model::Process>| {
        child
            .executable
            .as_deref()
            .is_some_and(|path| path.ends_with("/true"))
    };
    let read = fine.iter().filter(read).count();
    let late = fine
        .iter()
        .filter(|child| child.unread == Some(Unread::Gone))
        .count();
    println!("{late} of {COUNT} processes of a millisecond were not read in time");
    // Of these, too, the kernel told what was called.
    assert_eq!(read, COUNT);
    seen.look(&mut collector);
    assert!(seen.lost(Stage::LateLookups) >= late as u64);
}

#[test]
fn a_process_whose_first_thread_ended_goes_on() {
    let Some((mut collector, mut seen)) = start(options()) else {
        return;
    };
    let actor = crate::actors::Actor::start("linger", &[]);
    let pid = actor.pid();
    let is_gone = |seen: &crate::Seen| seen.gone.iter().any(|key| key.pid == pid);
    let is_told = |seen: &crate::Seen| seen.processes.keys().any(|key| key.pid == pid);
    seen.wait(&mut collector, is_told);
    // Its first thread has ended when it is only a zombie with others.
    let status = format!("/proc/{pid}/status");
    let first_has_ended =
        || std::fs::read_to_string(&status).is_ok_and(|status| status.contains("State:\tZ"));
    seen.wait(&mut collector, |_| first_has_ended());
    seen.look(&mut collector);
    seen.wait(&mut collector, |_| true);
    assert!(!is_gone(&seen), "only its first thread ended");
    drop(actor);
    seen.look(&mut collector);
    seen.look(&mut collector);
    assert!(is_gone(&seen));
}
