//! What this tier needs, and what it says where it does not get that.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use atalaya_host::linux::events::EventsCollector;

use crate::actors::Actor;
use crate::options;

/// Opens the collector, and says what came of it.
pub(crate) fn open() {
    match EventsCollector::open(options()) {
        Ok(_) => println!("said open"),
        Err(error) => println!("said failed to {error}"),
    }
}

/// `None`, said, where this user cannot start programs of another.
fn as_nobody(capabilities: &str) -> Option<Vec<String>> {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: not root");
        return None;
    }
    let prefix: Vec<String> = [
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        &format!("--inh-caps=-all{capabilities}"),
        &format!("--ambient-caps=-all{capabilities}"),
        &format!("--bounding-set=-all{capabilities}"),
    ]
    .map(str::to_owned)
    .into();
    let own = std::env::current_exe().unwrap();
    let can_start = |command: &mut Command| command.output().is_ok_and(|output| output.status.success());
    if !can_start(Command::new(&prefix[0]).args(&prefix[1..]).arg("true")) {
        println!("skipped: setpriv does not work");
        return None;
    }
    if !can_start(Command::new(own).arg("--list").uid(65_534)) {
        println!("skipped: another user cannot start this test");
        return None;
    }
    Some(prefix)
}

fn opened(capabilities: &str) -> Option<String> {
    let prefix = as_nobody(capabilities)?;
    let prefix: Vec<&str> = prefix.iter().map(String::as_str).collect();
    Some(Actor::start("open", &prefix).hear())
}

#[test]
fn without_privileges_the_reason_is_told() {
    if let Some(said) = opened("") {
        assert!(
            said.contains("tracefs") || said.contains("/sys/kernel/tracing"),
            "{said}"
        );
    }
}

#[test]
fn who_may_read_tracepoints_but_not_record_them_is_told_so() {
    if let Some(said) = opened(",+dac_read_search,+sys_admin") {
        // CAP_SYS_ADMIN stands for CAP_PERFMON as well; the connector is what is missing.
        assert!(said == "open" || said.contains("process events"), "{said}");
    }
    if let Some(said) = opened(",+dac_read_search")
        && !said.contains("not mounted")
    {
        assert!(said.contains("CAP_PERFMON"), "{said}");
    }
}

#[test]
fn a_few_capabilities_are_enough() {
    // The last is only for a mount of tracefs, where there is none.
    let needed = ",+perfmon,+dac_read_search,+ipc_lock,+net_admin,+sys_ptrace,+sys_admin";
    if let Some(said) = opened(needed) {
        assert_eq!(said, "open");
    }
}
