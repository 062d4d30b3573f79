//! Real processes, made by the test and read back.

use std::ffi::OsStr;
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::*;

/// A child that is killed at the end of the test.
struct Running(Child);

impl Running {
    #[expect(
        clippy::disallowed_methods,
        reason = "the tests read programs that they start"
    )]
    fn start(program: &OsStr, change: impl FnOnce(&mut Command)) -> Self {
        let mut command = Command::new(program);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        change(&mut command);
        Self(command.spawn().unwrap())
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn reader() -> ProcessReader {
    let command_lines = CommandLines {
        keep_secrets: false,
        key: Some([7; 32]),
    };
    ProcessReader::new(command_lines).unwrap()
}

#[test]
fn reads_itself() {
    let mut reader = reader();
    let pid = std::process::id();
    let process = reader.describe(pid).unwrap();
    assert_eq!(process.key, reader.key(pid).unwrap());
    let executable = std::env::current_exe().unwrap();
    assert_eq!(process.executable.as_deref(), executable.to_str());
    let folder = std::env::current_dir().unwrap();
    assert_eq!(process.working_directory.as_deref(), folder.to_str());
    assert_eq!(process.user_id, Some(rustix::process::getuid().as_raw()));
    assert_eq!(process.unread, None);
    assert_eq!(process.flags, atalaya_model::process::Flags::default());
    assert_eq!(process.parent.unwrap().pid, std::os::unix::process::parent_id());
    assert!(process.ancestors.len() <= ancestors::MAX_ANCESTORS);
    let link = std::fs::read_link("/proc/self/ns/net").unwrap();
    let inode = process.network_namespace.unwrap();
    assert_eq!(link.to_str().unwrap(), format!("net:[{inode}]"));
    let age = crate::clock::now().since(process.started).as_seconds();
    assert!((-1.0..3600.0).contains(&age), "started {age} s ago");
    assert_eq!(process.command_line_hash.as_deref().map(str::len), Some(64));
}

#[test]
fn chains_lead_to_the_top_and_are_shared() {
    let sleeper = || {
        Running::start(OsStr::new("/bin/sleep"), |command| {
            command.arg("60");
        })
    };
    let (one, two) = (sleeper(), sleeper());
    let mut reader = reader();
    let (one, two) = (
        reader.describe(one.pid()).unwrap(),
        reader.describe(two.pid()).unwrap(),
    );
    assert_eq!(one.parent.unwrap().pid, std::process::id());
    assert!(std::sync::Arc::ptr_eq(&one.ancestors, &two.ancestors));
    assert!(std::sync::Arc::ptr_eq(&one.name, &two.name));
    let own = reader.describe(std::process::id()).unwrap();
    assert_eq!(one.ancestors[1..], own.ancestors[..]);
    let times: Vec<u64> = one.ancestors.iter().map(|ancestor| ancestor.key.start).collect();
    assert!(times.is_sorted_by(|child, parent| child >= parent), "{times:?}");
}

#[test]
fn a_deleted_executable_is_told_from_one_that_is_only_called_so() {
    let folder = tempfile::tempdir().unwrap();
    let odd = folder.path().join("tool (deleted)");
    std::fs::copy("/bin/sleep", &odd).unwrap();
    let child = Running::start(odd.as_os_str(), |command| {
        command.arg("60");
    });
    let mut reader = reader();
    let process = reader.describe(child.pid()).unwrap();
    assert_eq!(process.executable.as_deref(), odd.to_str());
    assert!(!process.flags.deleted);
    std::fs::remove_file(&odd).unwrap();
    let process = reader.describe(child.pid()).unwrap();
    assert_eq!(process.executable.as_deref(), odd.to_str());
    assert!(process.flags.deleted && !process.flags.memfd);
}

#[test]
fn a_replaced_executable_is_deleted_too() {
    let folder = tempfile::tempdir().unwrap();
    let (path, new) = (folder.path().join("tool"), folder.path().join("new"));
    std::fs::copy("/bin/sleep", &path).unwrap();
    std::fs::copy("/bin/cat", &new).unwrap();
    let child = Running::start(path.as_os_str(), |command| {
        command.arg("60");
    });
    std::fs::rename(&new, &path).unwrap();
    let process = reader().describe(child.pid()).unwrap();
    assert!(process.flags.deleted);
    assert_eq!(process.executable.as_deref(), path.to_str());
}

#[test]
fn a_memory_file_is_seen() {
    let memory = rustix::fs::memfd_create("kworker", rustix::fs::MemfdFlags::empty()).unwrap();
    let content = std::fs::read("/bin/sleep").unwrap();
    let mut written = 0;
    while written < content.len() {
        written += rustix::io::write(&memory, &content[written..]).unwrap();
    }
    let path = format!("/proc/self/fd/{}", memory.as_raw_fd());
    let child = Running::start(OsStr::new(&path), |command| {
        command.arg0("[kworker/0:1]").arg("60");
    });
    let process = reader().describe(child.pid()).unwrap();
    assert!(process.flags.memfd && !process.flags.deleted && !process.flags.kernel_thread);
    assert_eq!(process.executable.as_deref(), Some("/memfd:kworker"));
    assert_eq!(process.command_line.as_deref(), Some("[kworker/0:1] 60"));
}

#[test]
fn a_script_is_named_with_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("run.sh"), "read line\n").unwrap();
    let child = Running::start(OsStr::new("/bin/sh"), |command| {
        command
            .args(["-u", "./run.sh", "--password=hunter2"])
            .current_dir(folder.path());
    });
    let process = reader().describe(child.pid()).unwrap();
    let folder = folder.path().canonicalize().unwrap();
    assert_eq!(process.script.as_deref(), folder.join("run.sh").to_str());
    assert!(process.flags.script);
    assert_eq!(process.program(), folder.join("run.sh").to_str().unwrap());
    let line = process.command_line.unwrap();
    assert!(!line.contains("hunter2"), "{line}");
}

#[test]
fn hostile_names_and_arguments_are_read_whole() {
    let folder = tempfile::tempdir().unwrap();
    let name = OsStr::from_bytes(b") Z 1\n\xff\x1b[31m (");
    let path = folder.path().join(name);
    std::fs::copy("/bin/sleep", &path).unwrap();
    let child = Running::start(path.as_os_str(), |command| {
        command
            .arg0(OsStr::from_bytes(b"\x1b]0;owned\x07\n\xfe"))
            .arg("60");
    });
    let mut reader = reader();
    let process = reader.describe(child.pid()).unwrap();
    assert_eq!(&*process.name, ") Z 1\n\\xff\x1b[31m (");
    assert_eq!(process.key.pid, child.pid());
    assert_eq!(process.parent.unwrap().pid, std::process::id());
    assert_eq!(
        process.command_line.as_deref(),
        Some("\x1b]0;owned\x07\n\\xfe 60")
    );
    assert!(process.executable.unwrap().ends_with(") Z 1\n\\xff\x1b[31m ("));
}

#[test]
fn a_command_line_of_a_megabyte_is_cut() {
    let long = "A".repeat(120_000);
    let child = Running::start(OsStr::new("/bin/sh"), |command| {
        command.args(["-c", "read line"]).args(vec![long; 8]);
    });
    let process = reader().describe(child.pid()).unwrap();
    let line = process.command_line.unwrap();
    assert_eq!(line.len(), arguments::MAX_KEPT);
    assert!(line.starts_with("/bin/sh -c read line AAAA"));
}

#[test]
fn what_is_gone_or_dead_says_so() {
    let mut child = Running::start(OsStr::new("/bin/true"), |_| {});
    let pid = child.pid();
    let mut reader = reader();
    // Not waited for: a zombie is still there by name.
    while !std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .unwrap()
        .contains(") Z ")
    {
        std::thread::yield_now();
    }
    let dead = reader.describe(pid).unwrap();
    assert_eq!((&*dead.name, dead.unread), ("true", Some(Unread::Gone)));
    assert_eq!((dead.executable, dead.command_line), (None, None));
    child.0.wait().unwrap();
    assert_eq!(reader.describe(pid).err(), Some(Unread::Gone));
    assert_eq!(reader.key(pid), Err(Unread::Gone));
}

#[test]
fn kernel_threads_are_nothing_strange() {
    let mut reader = reader();
    let Ok(process) = reader.describe(2) else {
        return; // inside a pid namespace
    };
    if &*process.name == "kthreadd" {
        assert!(process.flags.kernel_thread);
        assert_eq!((process.unread, process.command_line), (None, None));
    }
}

#[test]
fn a_made_up_proc_is_read_as_far_as_it_goes() {
    let folder = tempfile::tempdir().unwrap();
    let process = folder.path().join("42");
    std::fs::create_dir(&process).unwrap();
    let stat = "42 (evil) S 0 1 1 0 -1 0 5 0 0 0 1 2 0 0 20 0 1 0 200 2 4 1 2 3\n";
    std::fs::write(process.join("stat"), stat).unwrap();
    std::fs::write(process.join("status"), "Name:\tevil\nUid:\t0\t9\t9\t9\n").unwrap();
    std::fs::write(process.join("cgroup"), "0::/system.slice/evil.service\n").unwrap();
    let options = CommandLines::default();
    let boot = Time::from_seconds(1_000);
    let mut reader = ProcessReader::at(folder.path(), boot, options).unwrap();
    let found = reader.describe(42).unwrap();
    assert_eq!(found.started, Time::from_seconds(1_002));
    assert_eq!(
        (found.user_id, found.unit.as_deref()),
        (Some(0), Some("evil.service"))
    );
    assert_eq!(found.unread, Some(Unread::Gone));
    std::fs::write(process.join("stat"), "nonsense").unwrap();
    assert_eq!(reader.describe(42).err(), Some(Unread::Failed));
    assert_eq!(reader.describe(43).err(), Some(Unread::Gone));
    assert!(ProcessReader::at(Path::new("/no/proc"), boot, CommandLines::default()).is_err());
}
