//! What the kernel tells of processes that the tests start, most of them gone within a millisecond.
#![cfg(target_os = "linux")]
#![expect(
    clippy::disallowed_methods,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "these are tests, which start the programs that they look at"
)]

use std::collections::HashMap;
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use atalaya_host::collector::{Collector as _, Options};
use atalaya_host::linux::ebpf::EbpfCollector;
use atalaya_model::{Gap, Observation, Process, ProcessKey, Stage};
use sha2::{Digest as _, Sha256};

/// A collector that has looked once, and everything that it has said of processes.
struct Watch {
    collector: EbpfCollector,
    seen: Seen,
}

#[derive(Default)]
struct Seen {
    /// Every report of a process, in order.
    told: HashMap<ProcessKey, Vec<Arc<Process>>>,
    gone: HashMap<ProcessKey, usize>,
    gaps: Vec<Gap>,
}

impl Seen {
    fn take(&mut self, observation: Observation) {
        match observation {
            Observation::Process(_, process) => {
                // After the end come only late facts.
                assert!(!self.gone.contains_key(&process.key) || self.told.contains_key(&process.key));
                self.told.entry(process.key).or_default().push(process);
            }
            Observation::ProcessGone(_, key) => *self.gone.entry(key).or_insert(0) += 1,
            Observation::Gap(gap) => self.gaps.push(gap),
            _ => {}
        }
    }

    /// The last word on a process that had this id.
    fn last(&self, pid: u32) -> Option<&Arc<Process>> {
        let with_id = self.told.iter().filter(|(key, _)| key.pid == pid);
        with_id.max_by_key(|(key, _)| key.start)?.1.last()
    }

    fn is_over(&self, pid: u32) -> bool {
        self.last(pid)
            .is_some_and(|process| self.gone.contains_key(&process.key))
    }
}

impl Watch {
    /// `None`, and a line that says so, without the privilege.
    fn begin() -> Option<Self> {
        Self::with_ring(Options::default().ring)
    }

    fn with_ring(ring: usize) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: not root");
            return None;
        }
        let options = Options {
            packages: false,
            names: false,
            ring,
            ..Options::default()
        };
        let mut watch = Self {
            collector: EbpfCollector::open(options).unwrap(),
            seen: Seen::default(),
        };
        watch.look();
        Some(watch)
    }

    fn look(&mut self) {
        let seen = &mut self.seen;
        self.collector
            .look(&mut |observation| seen.take(observation))
            .unwrap();
    }

    /// Waits until `done`, for as long as a slow machine may need.
    fn until(&mut self, what: &str, mut done: impl FnMut(&Seen) -> bool) {
        for round in 0..600 {
            let seen = &mut self.seen;
            self.collector
                .wait(Duration::from_millis(50), &mut |observation| {
                    seen.take(observation)
                })
                .unwrap();
            if round % 20 == 19 {
                self.look();
            }
            if done(&self.seen) {
                return;
            }
        }
        panic!("never: {what}");
    }

    /// Runs a program to its end, and returns the last word on it.
    fn run(&mut self, command: &mut Command) -> Arc<Process> {
        let mut child = quiet(command).spawn().unwrap();
        let pid = child.id();
        child.wait().unwrap();
        self.until("the end of a process", |seen| seen.is_over(pid));
        self.seen.last(pid).unwrap().clone()
    }
}

fn quiet(command: &mut Command) -> &mut Command {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
}

fn hash_of(path: impl AsRef<Path>) -> String {
    let digest = Sha256::digest(std::fs::read(path).unwrap());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn copy_of(program: &str, folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::copy(program, &path).unwrap();
    path
}

/// Python, as the test's processes do what no shell can.
fn python(code: &str) -> Command {
    let mut command = Command::new("/usr/bin/python3");
    command.args(["-I", "-S", "-c", code]);
    command
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn processes_of_a_millisecond_are_complete() {
    const COUNT: usize = 200;
    let Some(mut watch) = Watch::begin() else { return };
    let folder = tempfile::tempdir().unwrap();
    let program = copy_of("/bin/true", folder.path(), "brief");
    let mut pids = Vec::new();
    for number in 0..COUNT {
        let mut child = quiet(Command::new(&program).arg(number.to_string()))
            .current_dir(folder.path())
            .spawn()
            .unwrap();
        pids.push(child.id());
        child.wait().unwrap();
    }
    let label = program.canonicalize().unwrap();
    let label = label.to_str().unwrap();
    let is_ours = |process: &Process| process.executable.as_deref() == Some(label);
    watch.until("the end of all, with their hashes", |seen| {
        let ours = seen.told.values().filter_map(|told| told.last());
        let ours = ours.filter(|process| is_ours(process) && process.sha256.is_some());
        ours.filter(|process| seen.gone.contains_key(&process.key))
            .count()
            >= COUNT
    });
    let seen = &watch.seen;
    let mut lines: Vec<String> = Vec::new();
    for told in seen.told.values() {
        let Some(process) = told.last().filter(|process| is_ours(process)) else {
            continue;
        };
        assert!(pids.contains(&process.key.pid));
        assert_eq!(process.name.as_ref(), "brief");
        assert_eq!(process.sha256.as_deref(), Some(&*hash_of(&program)));
        assert_eq!(process.parent.map(|parent| parent.pid), Some(std::process::id()));
        let chain: Vec<u32> = process.ancestors.iter().map(|one| one.key.pid).collect();
        assert_eq!(chain.first(), Some(&std::process::id()));
        assert!(seen.told.contains_key(&process.ancestors[0].key));
        assert_eq!(
            (process.user_id, process.user_name.as_deref()),
            (Some(0), Some("root"))
        );
        assert_eq!(
            process.working_directory.as_deref(),
            folder.path().canonicalize().unwrap().to_str()
        );
        assert!(process.network_namespace.is_some() && process.cgroup.is_some());
        assert_eq!((process.exit_code, process.unread), (Some(0), None));
        assert_eq!(process.flags, atalaya_model::process::Flags::default());
        assert_eq!(seen.gone.get(&process.key), Some(&1));
        // It was told as a program from the first, and never as the copy of its parent that it was before.
        assert!(told.iter().all(|process| is_ours(process)));
        lines.push(process.command_line.as_deref().unwrap().to_owned());
    }
    let number = |line: &String| line.rsplit_once(' ').unwrap().1.parse::<usize>().unwrap();
    let mut numbers: Vec<usize> = lines.iter().map(number).collect();
    numbers.sort_unstable();
    assert!(numbers.iter().copied().eq(0..COUNT), "{numbers:?}");
}

#[test]
fn a_process_has_the_identity_that_proc_gives_it() {
    let Some(mut watch) = Watch::begin() else { return };
    let child = Killed(quiet(Command::new("/bin/sleep").arg("60")).spawn().unwrap());
    let pid = child.0.id();
    watch.until("a program", |seen| {
        seen.last(pid).is_some_and(|process| &*process.name == "sleep")
    });
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let start: u64 = stat
        .rsplit_once(')')
        .unwrap()
        .1
        .split(' ')
        .nth(20)
        .unwrap()
        .parse()
        .unwrap();
    let process = watch.seen.last(pid).unwrap();
    assert_eq!(process.key, ProcessKey { pid, start });
    let age = atalaya_host::clock::boot().0 + i64::try_from(start).unwrap() * 10_000 - process.started.0;
    assert!((-1_000_000..1_000_000).contains(&age), "{age} µs");
    let reader = atalaya_host::linux::process::ProcessReader::new(Default::default());
    let read = reader.unwrap().describe(pid).unwrap();
    assert_eq!(process.executable, read.executable);
    assert_eq!(process.command_line, read.command_line);
    assert_eq!(process.ancestors, read.ancestors);
    assert_eq!(process.network_namespace, read.network_namespace);
    assert_eq!(
        (&process.cgroup, &process.container, &process.unit),
        (&read.cgroup, &read.container, &read.unit)
    );
    assert_eq!(process.working_directory, read.working_directory);
    drop(child);
    watch.until("its end by signal", |seen| seen.is_over(pid));
    assert_eq!(watch.seen.last(pid).unwrap().exit_code, Some(137));
}

#[test]
fn a_script_is_named_and_hashed() {
    let Some(mut watch) = Watch::begin() else { return };
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("run");
    std::fs::write(&script, "#!/bin/sh -e\nexit 7\n").unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new("./run");
    let mut child = quiet(&mut command).current_dir(folder.path()).spawn().unwrap();
    let pid = child.id();
    child.wait().unwrap();
    watch.until("a script with its hash", |seen| {
        seen.is_over(pid)
            && seen
                .last(pid)
                .is_some_and(|process| process.script_sha256.is_some())
    });
    let process = watch.seen.last(pid).unwrap();
    assert!(process.flags.script);
    assert_eq!(process.script.as_deref(), script.canonicalize().unwrap().to_str());
    assert_eq!(process.script_sha256.as_deref(), Some(&*hash_of(&script)));
    assert_eq!(process.sha256.as_deref(), Some(&*hash_of("/bin/sh")));
    assert_eq!((&*process.name, process.exit_code), ("run", Some(7)));
}

#[test]
fn a_memory_file_is_seen() {
    let Some(mut watch) = Watch::begin() else { return };
    let code = "import os; f = os.memfd_create('kworker'); os.write(f, open('/bin/sleep', 'rb').read())
os.execve(f, ['[kworker/0:1]', '60'], {})";
    let child = Killed(quiet(&mut python(code)).spawn().unwrap());
    let pid = child.0.id();
    watch.until("a memory file with its hash", |seen| {
        seen.last(pid)
            .is_some_and(|process| process.flags.memfd && process.sha256.is_some())
    });
    let process = watch.seen.last(pid).unwrap();
    assert_eq!(process.executable.as_deref(), Some("/memfd:kworker"));
    assert_eq!(process.command_line.as_deref(), Some("[kworker/0:1] 60"));
    assert_eq!(process.sha256.as_deref(), Some(&*hash_of("/bin/sleep")));
    assert!(!process.flags.deleted && !process.flags.kernel_thread);
}

#[test]
fn a_file_that_was_deleted_before_it_ran_is_told_and_counted_as_too_late() {
    let Some(mut watch) = Watch::begin() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = copy_of("/bin/true", folder.path(), "vanishing");
    let label = path.canonicalize().unwrap();
    let code = format!(
        "import os; f = os.open({path:?}, os.O_PATH | os.O_CLOEXEC); os.unlink({path:?}); os.execve(f, ['x'], {{}})"
    );
    let mut child = quiet(&mut python(&code)).spawn().unwrap();
    let pid = child.id();
    child.wait().unwrap();
    watch.until("a deleted file, and that it was too late", |seen| {
        let is_counted = seen.gaps.iter().any(|gap| gap.stage == Stage::LateLookups);
        is_counted && seen.last(pid).is_some_and(|process| process.flags.deleted)
    });
    let process = watch.seen.last(pid).unwrap();
    assert_eq!(process.executable.as_deref(), label.to_str());
    assert_eq!((&process.sha256, process.exit_code), (&None, Some(0)));
    let lost = watch.collector.ledger().counts();
    assert!(
        lost.iter()
            .any(|count| count.stage == Stage::LateLookups && count.dropped > 0)
    );
}

#[test]
fn a_file_that_is_deleted_while_it_runs_is_told() {
    let Some(mut watch) = Watch::begin() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = copy_of("/bin/sleep", folder.path(), "fading");
    let child = Killed(quiet(Command::new(&path).arg("60")).spawn().unwrap());
    let pid = child.0.id();
    watch.until("a program", |seen| {
        seen.last(pid).is_some_and(|process| &*process.name == "fading")
    });
    assert!(!watch.seen.last(pid).unwrap().flags.deleted);
    std::fs::remove_file(&path).unwrap();
    watch.until("its deletion", |seen| {
        seen.last(pid).is_some_and(|process| process.flags.deleted)
    });
}

#[test]
fn what_was_preloaded_is_told_however_large_the_environment() {
    let Some(mut watch) = Watch::begin() else { return };
    let mut command = Command::new("/bin/true");
    let padding = "x".repeat(30_000);
    for number in 0..40 {
        command.env(format!("A{number}"), &padding[..number * 700]);
    }
    command.env("ZLD_PRELOAD", "/not/me.so");
    let process = watch.run(command.env("LD_PRELOAD", "/nonexistent/evil.so"));
    assert!(process.flags.preload);
    assert_eq!(process.preload.as_deref(), Some("/nonexistent/evil.so"));
    let process = watch.run(Command::new("/bin/true").env_remove("LD_PRELOAD"));
    assert!(!process.flags.preload && process.preload.is_none());
}

#[test]
fn a_shell_on_a_socket_is_told() {
    let Some(mut watch) = Watch::begin() else { return };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let _far = listener.accept().unwrap();
    let mut command = Command::new("/bin/sh");
    quiet(&mut command).args(["-c", "exit 0"]);
    command.stdin(OwnedFd::from(near.try_clone().unwrap()));
    let mut child = command.spawn().unwrap();
    let pid = child.id();
    child.wait().unwrap();
    watch.until("a shell on a socket", |seen| seen.is_over(pid));
    assert!(watch.seen.last(pid).unwrap().flags.standard_socket);
    // A local socket is nothing strange.
    let (near, _far) = std::os::unix::net::UnixStream::pair().unwrap();
    let mut command = Command::new("/bin/true");
    let mut child = quiet(&mut command).stdin(OwnedFd::from(near)).spawn().unwrap();
    let pid = child.id();
    child.wait().unwrap();
    watch.until("a program", |seen| seen.is_over(pid));
    assert!(!watch.seen.last(pid).unwrap().flags.standard_socket);
}

#[test]
fn a_program_that_a_thread_starts_keeps_the_identity_of_its_process() {
    let Some(mut watch) = Watch::begin() else { return };
    let code = "import os, threading, time
threading.Thread(target=lambda: os.execv('/bin/sleep', ['sleep', '0.3'])).start()
time.sleep(60)";
    let mut child = quiet(&mut python(code)).spawn().unwrap();
    let pid = child.id();
    child.wait().unwrap();
    watch.until("its end", |seen| seen.is_over(pid));
    let keys: Vec<_> = watch.seen.told.keys().filter(|key| key.pid == pid).collect();
    let [key] = keys[..] else { panic!("{keys:?}") };
    let told = &watch.seen.told[key];
    let names: Vec<&str> = told.iter().map(|process| &*process.name).collect();
    assert!(
        names.starts_with(&["python3"]) && names.ends_with(&["sleep"]),
        "{names:?}"
    );
    let ends = told.last().unwrap();
    assert_eq!((ends.exit_code, watch.seen.gone[key]), (Some(0), 1));
}

#[test]
fn a_child_that_only_lives_a_moment_and_becomes_no_program_is_told_once() {
    let Some(mut watch) = Watch::begin() else { return };
    let code = "import os
children = [os.fork() or os._exit(7) for _ in range(20)]
for child in children: os.waitpid(child, 0)";
    let mut child = quiet(&mut python(code)).spawn().unwrap();
    let pid = child.id();
    child.wait().unwrap();
    let is_child = |process: &Process| process.parent.is_some_and(|parent| parent.pid == pid);
    watch.until("their ends", |seen| {
        let children = seen.told.values().filter_map(|told| told.last());
        let children = children.filter(|process| is_child(process));
        children
            .filter(|child| seen.gone.contains_key(&child.key))
            .count()
            >= 20
    });
    let children: Vec<_> = watch
        .seen
        .told
        .values()
        .filter_map(|told| told.last())
        .filter(|process| is_child(process))
        .collect();
    assert_eq!(children.len(), 20);
    for process in children {
        assert_eq!((&*process.name, process.exit_code), ("python3", Some(7)));
        assert!(
            process
                .command_line
                .as_deref()
                .unwrap()
                .starts_with("/usr/bin/python3 -I -S -c")
        );
        assert_eq!(process.ancestors[0].key.pid, pid);
        assert_eq!(watch.seen.gone[&process.key], 1);
    }
}

#[test]
fn a_child_that_lives_on_is_told_and_read() {
    let Some(mut watch) = Watch::begin() else { return };
    let code = "import os, time
child = os.fork()
if not child: open('/proc/self/comm', 'w').write('renamed'); os.chdir('/usr'); os.setuid(65534)
time.sleep(60)";
    let parent = Killed(quiet(&mut python(code)).spawn().unwrap());
    let pid = parent.0.id();
    let find = |seen: &Seen| {
        let children = seen.told.values().filter_map(|told| told.last().cloned());
        let mut children = children.filter(|process| process.parent.is_some_and(|parent| parent.pid == pid));
        children.next()
    };
    watch.until("what it became", |seen| {
        find(seen).is_some_and(|process| &*process.name == "renamed" && process.user_id == Some(65_534))
    });
    let child = find(&watch.seen).unwrap();
    assert_eq!(child.working_directory.as_deref(), Some("/usr"));
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(i32::try_from(child.key.pid).unwrap()).unwrap(),
        rustix::process::Signal::KILL,
    )
    .unwrap();
    watch.until("its end", |seen| seen.is_over(child.key.pid));
    assert_eq!(watch.seen.last(child.key.pid).unwrap().exit_code, Some(137));
}

#[test]
fn files_in_another_mount_namespace_are_found_by_way_of_an_ancestor() {
    let Some(mut watch) = Watch::begin() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    // As in a container: the files are on file systems that only this shell sees, and the shell lives on.
    let script = "set -e; mount -t tmpfs none \"$PWD\"; cd \"$PWD\"; cp /bin/true hidden; ./hidden
mkdir lower upper work merged; cp /bin/sleep lower/layered
mount -t overlay none -o lowerdir=lower,upperdir=upper,workdir=work merged
merged/layered 0; read line";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script]);
    command.current_dir(folder.path());
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let _shell = Killed(command.spawn().unwrap());
    let folder = folder.path().canonicalize().unwrap();
    for (name, original) in [("hidden", "/bin/true"), ("merged/layered", "/bin/sleep")] {
        let (path, digest) = (folder.join(name), hash_of(original));
        watch.until("the hash of a hidden file", |seen| {
            let told = seen.told.values().filter_map(|told| told.last());
            let mut hidden = told.filter(|process| process.executable.as_deref() == path.to_str());
            hidden.any(|process| process.sha256.as_deref() == Some(&*digest))
        });
    }
}

/// A control group of the test's own, removed in the end.
struct ControlGroup(PathBuf);

impl ControlGroup {
    /// `None`, and a line that says so, where the unified hierarchy is not mounted.
    fn make(name: &str) -> Option<Self> {
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
        let mut mounts = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        let Some(unified) = mounts.find(|fields| fields[2] == "cgroup2") else {
            println!("skipped: no unified control groups");
            return None;
        };
        let path = Path::new(unified[1]).join(name);
        std::fs::create_dir(&path).unwrap();
        Some(Self(path))
    }
}

impl Drop for ControlGroup {
    fn drop(&mut self) {
        drop(std::fs::remove_dir(&self.0));
    }
}

#[test]
fn a_container_is_named_though_its_process_is_gone_at_once() {
    let Some(mut watch) = Watch::begin() else {
        return;
    };
    let id = format!("{:0>64x}", std::process::id());
    let Some(group) = ControlGroup::make(&format!("docker-{id}.scope")) else {
        return;
    };
    let script = "echo $$ > \"$0\"/cgroup.procs && exec /bin/true";
    let process = watch.run(Command::new("sh").args(["-c", script]).arg(&group.0));
    assert_eq!(&*process.name, "true");
    let container = process.container.as_ref().unwrap();
    assert_eq!((&*container.runtime, &*container.id), ("docker", &*id));
    assert_eq!(process.cgroup.as_deref(), Some(&*format!("/docker-{id}.scope")));
}

#[test]
fn hostile_names_and_arguments_do_no_harm() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

    let Some(mut watch) = Watch::begin() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut deep = folder.path().to_path_buf();
    for _ in 0..40 {
        deep.push(OsStr::from_bytes(b"\xff\n\x1b[31m"));
    }
    std::fs::create_dir_all(&deep).unwrap();
    let path = copy_of("/bin/true", &deep, ") Z 1 (");
    let mut command = Command::new(&path);
    command
        .arg(OsStr::from_bytes(b"\xfe\x1b]0;owned\x07"))
        .current_dir(&deep);
    let process = watch.run(&mut command);
    let label = process.executable.as_deref().unwrap();
    assert!(label.ends_with("/\\xff\n\x1b[31m/) Z 1 ("), "{label}");
    assert_eq!(&*process.name, ") Z 1 (");
    watch.until("its hash", |seen| {
        seen.last(process.key.pid)
            .is_some_and(|process| process.sha256.as_deref() == Some(&*hash_of("/bin/true")))
    });
    assert!(
        process
            .command_line
            .as_deref()
            .unwrap()
            .ends_with(" \\xfe\x1b]0;owned\x07")
    );
    let long = "A".repeat(120_000);
    let process = watch.run(
        Command::new("/bin/true")
            .args(["first", "second"])
            .args(vec![long; 8]),
    );
    let line = process.command_line.as_deref().unwrap();
    assert_eq!(
        (line, &process.command_line_hash),
        ("/bin/true first second …", &None)
    );
}

#[test]
fn after_a_full_ring_nobody_is_missing_and_no_ghost_is_left() {
    let Some(mut watch) = Watch::with_ring(1 << 15) else {
        return;
    };
    let flood = || {
        for _ in 0..150 {
            quiet(&mut Command::new("/bin/true")).status().unwrap();
        }
    };
    let lost = |seen: &Seen| {
        let ring = seen.gaps.iter().filter(|gap| gap.stage == Stage::KernelRing);
        ring.map(|gap| gap.count).sum::<u64>()
    };
    flood();
    let sleepers: Vec<Killed> = (0..3)
        .map(|_| Killed(quiet(Command::new("/bin/sleep").arg("600")).spawn().unwrap()))
        .collect();
    let pids: Vec<u32> = sleepers.iter().map(|sleeper| sleeper.0.id()).collect();
    watch.until("those whose starts were lost", |seen| {
        lost(seen) > 0
            && pids
                .iter()
                .all(|pid| seen.last(*pid).is_some_and(|process| &*process.name == "sleep"))
    });
    let before = lost(&watch.seen);
    flood();
    drop(sleepers);
    watch.until("the ends that were lost", |seen| {
        lost(seen) > before && pids.iter().all(|pid| seen.is_over(*pid))
    });
    for (key, count) in &watch.seen.gone {
        assert_eq!((*count, watch.seen.told.contains_key(key)), (1, true), "{key:?}");
    }
}
