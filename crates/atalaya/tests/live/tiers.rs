//! Bad environments, each made for real: the next tier is taken, and wherever the user looks the reason stands.
//!
//! What is bad is done to the mounts of a namespace of the program's own, or to its privileges; the network and the
//! processes are the machine's, because some means work only there.

mod place;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;

use atalaya_model::{Tier, TierReport};
use serde_json::Value;

use self::place::Place;
use crate::actor::{self, Actor};
use crate::program::Program;
use crate::watch::{ATALAYA, Watch};
use crate::world::World;
use crate::{run, skip, until};

/// The kernel's types, hidden.
const NO_TYPES: &str = "mount -t tmpfs none /sys/kernel/btf";
/// No tracepoints to be found, whether they were mounted before or not.
const NO_TRACEPOINTS: &str = "for place in /sys/kernel/tracing /sys/kernel/debug/tracing; do \
                              if [ -d $place ]; then mount -t tmpfs none $place; fi; done";
/// No control groups of version 2.
const NO_GROUPS: &str = "for point in $(sed -n \
                         's/^[^ ]* [^ ]* [^ ]* [^ ]* \\([^ ]*\\) .* - cgroup2 .*/\\1/p' /proc/self/mountinfo); do \
                         umount -l \"$point\"; done";

impl Place {
    /// Wherever a user can look it is this tier, for these reasons: those of each better tier that is off.
    fn sees_by(&self, tier: Tier, reasons: &[(&str, &[&str])]) -> TierReport {
        let name = tier.name();
        let (code, planned, said) = self.done(&["plan"]);
        assert_eq!(code, Some(0), "{said}");
        assert!(
            planned.contains(&format!("\ntier            {name} (")),
            "{planned}"
        );
        tells(&planned, reasons, |better| format!("{better} unavailable: "));

        let (_, plan, said) = self.done(&["plan", "--output", "json"]);
        let plan: Value = serde_json::from_str(&plan).unwrap_or_else(|error| panic!("{error}: {said}"));
        assert_eq!(plan["tier"]["tier"], name, "{plan}");
        listed(&plan["tier"]["unavailable"], reasons, |item| [&item[0], &item[1]]);

        let mut watch = self.watch("tier");
        let told = changes(&mut watch, 1).remove(0);
        assert_eq!(told["name"], name, "{told}");
        listed(&told["unavailable"], reasons, |item| {
            [&item["name"], &item["reason"]]
        });

        let text = self.status("text");
        assert!(text.contains(&format!("\ntier          {name}\n")), "{text}");
        tells(&text, reasons, |better| format!("{better} unavailable: "));
        let status: Value = serde_json::from_str(&self.status("json")).unwrap();
        assert_eq!(status["tier"]["tier"], name, "{status}");
        listed(&status["tier"]["unavailable"], reasons, |item| {
            [&item[0], &item[1]]
        });

        watch.signal("TERM");
        assert_eq!(watch.wait().code(), Some(0), "{}", watch.said());
        let said = watch.said();
        assert!(said.contains(&format!("by tier `{name}`")), "{said}");
        tells(&said, reasons, |better| format!("tier `{better}` is off: "));

        // Whatever is to be granted, it is the same: the one would take away what the other gave.
        for text in [&planned, &text, &said] {
            for (at, _) in text.match_indices("setcap ") {
                let granted = &text[at + "setcap ".len()..];
                assert!(granted.starts_with(&format!("{}+ep", documented())), "{granted}");
            }
        }

        let (run, stored, _) = self.stored();
        assert_eq!((run, stored.tier), (Some(tier), tier));
        let stored_reasons = serde_json::to_value(&stored.unavailable).unwrap();
        listed(&stored_reasons, reasons, |item| [&item[0], &item[1]]);

        for (better, parts) in reasons {
            let (code, _, said) = self.done(&["watch", "--no-store", "--duration", "5s", "--tier", better]);
            assert_eq!(code, Some(3), "{said}");
            assert!(
                said.contains(&format!("tier `{better}` does not work here: failed to ")),
                "{said}"
            );
            assert!(
                parts.iter().all(|part| said.contains(part)),
                "{parts:?} in {said}"
            );
            // One line, and no watch that goes on.
            assert_eq!(said.trim_end().lines().count(), 1, "{said}");
        }
        stored
    }
}

/// One line for each reason.
#[track_caller]
fn tells(text: &str, reasons: &[(&str, &[&str])], begins: impl Fn(&str) -> String) {
    for (better, parts) in reasons {
        let begin = begins(better);
        let line = text.lines().find(|line| line.contains(&begin));
        let line = line.unwrap_or_else(|| panic!("no {begin:?} in\n{text}"));
        assert!(
            parts.iter().all(|part| line.contains(part)),
            "{parts:?} in {line}"
        );
    }
    let all = text
        .lines()
        .filter(|line| line.contains(&begins("ebpf")) || line.contains(&begins("events")));
    assert_eq!(all.count(), reasons.len(), "{text}");
}

/// The same in a list of JSON.
#[track_caller]
fn listed(list: &Value, reasons: &[(&str, &[&str])], read: impl Fn(&Value) -> [&Value; 2]) {
    // An empty list may be left out.
    let items = list.as_array().map_or(&[][..], Vec::as_slice);
    assert_eq!(items.len(), reasons.len(), "{list}");
    for (item, (better, parts)) in items.iter().zip(reasons) {
        let [name, reason] = read(item).map(|value| value.as_str().unwrap_or_default());
        assert_eq!(name, *better, "{list}");
        assert!(
            parts.iter().all(|part| reason.contains(part)),
            "{parts:?} in {reason}"
        );
    }
}

/// The records with this text that a watch has told so far. Others are not read: there may be very many of them.
fn records(watch: &Program, text: &str) -> Vec<Value> {
    let lines = watch.output.lock().unwrap();
    let lines = lines.iter().filter(|line| line.ends_with(b"\n"));
    let lines = lines.map(|line| str::from_utf8(line).unwrap());
    let wanted = lines.filter(|line| line.contains(text));
    wanted.map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Waits for so many changes of tier, and gives them.
#[track_caller]
fn changes(watch: &mut Program, count: usize) -> Vec<Value> {
    let mut told = Vec::new();
    until("the tier is told", || {
        let records = records(watch, "\"tier_changed\"").into_iter();
        told = records.map(|record| record["atalaya"]["tier"].clone()).collect();
        told.len() >= count || watch.ended()
    });
    assert!(told.len() >= count, "{told:?}\n{}", watch.said());
    told
}

/// A conversation of this test over the loopback interface, and the ports of its two ends.
fn converse() -> [u16; 2] {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut server, address) = listener.accept().unwrap();
    client.write_all(b"question").unwrap();
    server.read_exact(&mut [0; 8]).unwrap();
    [address.port(), listener.local_addr().unwrap().port()]
}

/// What a watch has told of the client's end of a conversation.
fn told_of(watch: &Program, [client, server]: [u16; 2]) -> Option<Value> {
    let is_it = |record: &&Value| {
        let ports = [&record["source"]["port"], &record["destination"]["port"]];
        ports == [&Value::from(client), &Value::from(server)] && record["process"]["pid"].is_u64()
    };
    let records = records(watch, &format!("\"port\":{client}"));
    records.iter().rev().find(is_it).cloned()
}

/// The watch names this process, which is another user's, as the one that connects.
#[track_caller]
fn sees_this_process(watch: &mut Program) {
    let ports = converse();
    let mut told = None;
    until("the connection is told with its process", || {
        told = told_of(watch, ports);
        told.is_some() || watch.ended()
    });
    let told = told.unwrap_or_else(|| panic!("it ended: {}", watch.said()));
    assert_eq!(told["process"]["pid"], std::process::id(), "{told}");
    let own = std::env::current_exe().unwrap();
    // It may have been built anew in the meantime.
    let own = own.to_str().unwrap().trim_end_matches(" (deleted)");
    assert_eq!(told["process"]["executable"], own, "{told}");
}

#[test]
fn without_the_kernels_types_tracepoints_are_used() {
    // They are found wherever they are mounted, and if that is nowhere.
    let Some(place) = Place::new(&[NO_TYPES, NO_TRACEPOINTS]) else {
        return;
    };
    let why = [
        "/sys/kernel/btf/vmlinux",
        "CONFIG_DEBUG_INFO_BTF",
        "Linux 5.17 or newer",
    ];
    place.sees_by(Tier::Events, &[("ebpf", &why)]);
}

#[test]
fn a_kernel_that_lacks_what_the_programs_need_is_named() {
    let Some(mut place) = Place::new(&[]) else { return };
    if !Path::new("/sys/kernel/btf/vmlinux").exists() {
        skip("this kernel has no types anyway");
        return;
    }
    // A header, no types, and one empty string.
    let words = [24, 0, 0, 0, 1].map(u32::to_ne_bytes).concat();
    let head = [&0xeb9f_u16.to_ne_bytes()[..], &[1, 0], &words, &[0]].concat();
    fs::write(place.path("types"), head).unwrap();
    place.mounts = format!(
        "mount --bind {} /sys/kernel/btf/vmlinux",
        place.path("types").display()
    );
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let why = [
        "this kernel",
        release.trim(),
        "tracepoint sched_process_exec",
        "Linux 5.17 or newer",
    ];
    place.sees_by(Tier::Events, &[("ebpf", &why)]);
}

#[test]
fn without_the_right_to_load_programs_tracepoints_are_used() {
    let Some(place) = Place::new(&["mount -t tracefs nodev /sys/kernel/tracing"]) else {
        return;
    };
    let place = place.without("bpf,sys_admin");
    place.sees_by(
        Tier::Events,
        &[("ebpf", &["no CAP_BPF:", "run as root", "setcap"])],
    );
}

#[test]
fn a_user_without_any_privilege_is_told_what_both_better_tiers_lack() {
    let Some(place) = Place::new(&[NO_TRACEPOINTS]) else {
        return;
    };
    let place = place.for_nobody(&[]);
    let why: [(&str, &[&str]); 2] = [
        ("ebpf", &["no CAP_BPF and CAP_PERFMON", "setcap"]),
        ("events", &["tracefs is not mounted", "sudo mount -t tracefs"]),
    ];
    let report = place.sees_by(Tier::Poll, &why);
    let limit = report
        .limits
        .iter()
        .find(|limit| limit.what.contains("belong to other users"));
    assert!(
        limit.is_some_and(|limit| limit.remedy.contains("setcap")),
        "{report:?}"
    );
}

#[test]
fn without_tracepoints_and_types_it_looks_again_and_again() {
    let Some(place) = Place::new(&[NO_TYPES, NO_TRACEPOINTS]) else {
        return;
    };
    let place = place.without("sys_admin");
    let why: [(&str, &[&str]); 2] = [
        ("ebpf", &["CONFIG_DEBUG_INFO_BTF"]),
        (
            "events",
            &[
                "tracefs is not mounted",
                "may not be mounted",
                "sudo mount -t tracefs nodev /sys/kernel/tracing",
            ],
        ),
    ];
    place.sees_by(Tier::Poll, &why);
}

/// The capabilities that the documentation names.
fn documented() -> String {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let readme = fs::read_to_string(readme).unwrap();
    let line = readme.lines().find_map(|line| line.strip_prefix("sudo setcap "));
    line.unwrap().split('+').next().unwrap().to_owned()
}

#[test]
fn the_documented_capabilities_are_enough_for_a_user() {
    let Some(place) = Place::new(&[]) else { return };
    let documented = documented();
    let names: Vec<&str> = documented
        .split(',')
        .map(|name| name.strip_prefix("cap_").unwrap())
        .collect();
    assert_eq!(names.len(), 6, "{documented}");
    let place = place.for_nobody(&names);
    place.sees_by(Tier::Ebpf, &[]);
    fs::remove_file(place.path("store.db")).unwrap();
    let mut watch = place.watch("tier,connection");
    changes(&mut watch, 1);
    sees_this_process(&mut watch);
    watch.signal("TERM");
    assert_eq!(watch.wait().code(), Some(0), "{}", watch.said());
}

#[test]
fn a_user_may_watch_by_a_program_with_file_capabilities() {
    let Some(mut place) = Place::new(&[]) else { return };
    place.program = place.path("atalaya");
    fs::copy(ATALAYA, &place.program).unwrap();
    let grant = Command::new("setcap")
        .arg(format!("{}+ep", documented()))
        .arg(&place.program)
        .output();
    let is_granted = grant.is_ok_and(|output| output.status.success());
    let options = run(
        "findmnt",
        &["-no", "OPTIONS", "-T", place.folder.path().to_str().unwrap()],
    );
    if !is_granted || options.contains("nosuid") {
        skip("files here have no capabilities, or setcap is not installed");
        return;
    }
    // A user as any: nothing but what the file grants.
    place.words = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        .map(str::to_owned)
        .into();
    let mut watch = place.watch("tier,connection");
    let told = changes(&mut watch, 1);
    assert_eq!(told[0]["name"], "ebpf", "{told:?}");
    sees_this_process(&mut watch);
    watch.signal("TERM");
    assert_eq!(watch.wait().code(), Some(0), "{}", watch.said());
}

#[test]
fn without_control_groups_of_version_2_only_a_user_misses_datagrams() {
    let Some(place) = Place::new(&[NO_GROUPS]) else {
        return;
    };
    let report = place.sees_by(Tier::Ebpf, &[]);
    let misses = |report: &TierReport| report.limits.iter().any(|limit| limit.what.contains("UDP"));
    assert!(!misses(&report), "root mounts them for itself: {report:?}");

    let place = Place::new(&[NO_GROUPS]).unwrap();
    let place = place.for_nobody(&["bpf", "perfmon", "net_admin", "sys_ptrace", "dac_read_search"]);
    let report = place.sees_by(Tier::Ebpf, &[]);
    assert!(misses(&report), "{report:?}");
    let (_, plan, _) = place.done(&["plan", "--output", "json"]);
    let plan: Value = serde_json::from_str(&plan).unwrap();
    let limits = plan["tier"]["limits"].as_array().unwrap();
    let limit = limits
        .iter()
        .find(|limit| limit["what"].as_str().unwrap().contains("UDP"));
    let remedy = limit.expect("what is not seen stands in the plan")["remedy"].as_str();
    assert!(remedy.unwrap().contains("mount -t cgroup2"), "{plan}");
    let (_, text, _) = place.done(&["plan"]);
    assert!(text.contains("not seen") && text.contains("UDP"), "{text}");
}

/// Numbers that the kernel gives the descriptors of a process, of those whose information has all these words.
fn numbers(pid: u32, name: &str, words: &[&str]) -> Vec<String> {
    let entries = fs::read_dir(format!("/proc/{pid}/fdinfo")).unwrap().flatten();
    let texts = entries.filter_map(|entry| fs::read_to_string(entry.path()).ok());
    let number = |text: String| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        let all = words.iter().all(|word| text.contains(word));
        all.then(|| line.trim().to_owned())
    };
    texts.filter_map(number).collect()
}

fn has_bpftool() -> bool {
    let found = Command::new("bpftool").arg("version").output();
    let found = found.is_ok_and(|output| output.status.success());
    if !found {
        skip("bpftool is not installed");
    }
    found
}

#[test]
fn a_tier_that_is_taken_away_is_followed_by_the_next() {
    let Some(place) = Place::new(&[]) else { return };
    if !has_bpftool() {
        return;
    }
    let mut watch = place.watch("tier,gap,connection");
    let told = changes(&mut watch, 1);
    assert_eq!(told[0]["name"], "ebpf", "{told:?}\n{}", watch.said());
    place.status("text");
    let links = numbers(watch.pid, "link_id:", &["cgroup_id:"]);
    assert!(!links.is_empty(), "no program at the control groups");
    run("bpftool", &["link", "detach", "id", &links[0]]);
    let told = changes(&mut watch, 2);
    assert_eq!(told[1]["name"], "events", "{told:?}");
    let why: [(&str, &[&str]); 1] = [("ebpf", &["it broke while running", "detached"])];
    listed(&told[1]["unavailable"], &why, |item| {
        [&item["name"], &item["reason"]]
    });
    until("the gap is told", || {
        let gaps = records(&watch, "tier ebpf broke");
        gaps.iter()
            .any(|gap| gap.to_string().contains("tier events goes on"))
            || watch.ended()
    });
    // The others of its programs go with it.
    until("nothing is attached", || {
        numbers(watch.pid, "link_id:", &["cgroup_id:"]).is_empty() || watch.ended()
    });
    let status = place.status("text");
    assert!(status.contains("\ntier          events\n"), "{status}");
    tells(&status, &why, |better| format!("{better} unavailable: "));
    // It goes on seeing, who included.
    sees_this_process(&mut watch);
    watch.signal("TERM");
    assert_eq!(watch.wait().code(), Some(0), "{}", watch.said());
    // Who looks at a terminal, or in the journal, reads it as well.
    let said = watch.said();
    tells(&said, &why, |better| format!("tier `{better}` is off: "));
    assert!(said.contains("goes on by tier `events`"), "{said}");
    let (run, stored, gaps) = place.stored();
    assert_eq!((run, stored.tier), (Some(Tier::Events), Tier::Events));
    assert!(gaps.iter().any(|gap| gap.contains("tier ebpf broke")), "{gaps:?}");
}

#[test]
fn in_a_world_of_its_own_it_sees_that_world_and_no_other() {
    let Some(world) = World::new() else { return };
    actor::install(&world, "/usr/local/bin/agent", 1);
    let flags = ["--no-store", "--no-learning", "--tier", "ebpf"];
    let mut watch = Watch::start(&world, "", &flags);
    let mut server = Actor::start(&world, "/usr/local/bin/agent");
    let mut client = Actor::start(&world, "/usr/local/bin/agent");
    let mut outside = vec![converse()];
    server.act("listen 127.0.0.1 4444");
    client.act("tcp 127.0.0.1 4444 1");
    outside.push(converse());
    let is_inside = |record: &&Value| {
        record["destination"]["port"] == 4444 && record["process"]["pid"] == client.inner_pid()
    };
    until("its own client is told by its own pid", || {
        watch.records().iter().any(|record| is_inside(&record)) || watch.program.ended()
    });
    outside.push(converse());
    watch.settle();
    let records = watch.records();
    assert!(
        records.iter().any(|record| is_inside(&record)),
        "{}",
        watch.program.said()
    );
    for ports in outside {
        assert!(told_of(&watch.program, ports).is_none(), "{ports:?} is outside");
    }
    // Processes as well: this one is not of that world.
    let own = std::env::current_exe().unwrap();
    let own = own.to_str().unwrap().trim_end_matches(" (deleted)");
    let is_own = |record: &Value| record["process"]["executable"] == own;
    assert!(!records.iter().any(is_own));
    assert_eq!(watch.end(), Some(0));
}

#[test]
fn nothing_is_left_in_the_kernel_of_a_watcher_that_is_killed() {
    let Some(place) = Place::new(&[]) else { return };
    if !has_bpftool() {
        return;
    }
    let mut watch = place.watch("tier");
    let told = changes(&mut watch, 1);
    assert_eq!(told[0]["name"], "ebpf", "{told:?}\n{}", watch.said());
    place.status("text");
    let kinds = [("prog", "prog_id:"), ("map", "map_id:"), ("link", "link_id:")];
    let used = kinds.map(|(kind, name)| (kind, numbers(watch.pid, name, &[])));
    for (kind, ids) in &used {
        assert!(ids.len() >= 10, "{kind}: {ids:?}");
    }
    watch.signal("KILL");
    watch.wait();
    for (kind, ids) in &used {
        let is_there = |id: &String| {
            let shown = Command::new("bpftool").args([kind, "show", "id", id]).output();
            shown.unwrap().status.success()
        };
        // The kernel lets go of them a moment later.
        until(&format!("no {kind} is left of {ids:?}"), || {
            !ids.iter().any(is_there)
        });
    }
}
