//! Process facts from `/proc`. Everything is read through an open `/proc/PID`, so that two processes never mix.

pub mod ancestors;
pub mod arguments;
pub mod environment;
pub mod files;
pub mod script;
pub mod stat;
pub mod told;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use atalaya_model::process::Unread;
use atalaya_model::{Process, ProcessKey, Span, Text, Time};
use rustix::fs::{Mode, OFlags};

use self::ancestors::Ancestors;
use self::files::{MAX_LINK, ProcessFolder, read_stat};
use self::stat::{MAX_STAT, Stat};
use super::cgroup::{self, Group};
use super::owners::numbers::NumberMap;
use super::{redact, users::Users};
use crate::HostError;

/// Most texts that are shared between processes; at the limit all are let go.
const MAX_SHARED: usize = 8192;
/// Most control groups remembered; at the limit all are forgotten.
const MAX_GROUPS: usize = 4096;
/// Clock ticks of `/proc` are 1/100 s on every architecture that Rust supports.
const TICK: i64 = 10_000;

/// What to do with command lines.
#[derive(Clone, Default)]
pub struct CommandLines {
    /// Keep them as they are. The default is to redact secrets.
    pub keep_secrets: bool,
    /// Key of the hash over the unredacted command line; no hash without one.
    pub key: Option<[u8; 32]>,
}

impl fmt::Debug for CommandLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommandLines")
            .field("keep_secrets", &self.keep_secrets)
            .field("key", &self.key.map(|_| ".."))
            .finish()
    }
}

/// Reads processes. Remembers user names, parent chains, control groups and texts, each up to a limit.
#[derive(Debug)]
pub struct ProcessReader {
    root: OwnedFd,
    boot: Time,
    command_lines: CommandLines,
    users: Users,
    ancestors: Ancestors,
    groups: HashMap<Box<[u8]>, Group>,
    /// By the kernel's number for all control groups of a process.
    told_groups: NumberMap<u64, Group>,
    /// There are no control groups but those of the unified hierarchy.
    has_only_unified_groups: bool,
    shared: HashSet<Text>,
    buffer: Box<[u8]>,
}

impl ProcessReader {
    /// A reader of this host's `/proc`.
    ///
    /// # Errors
    /// When `/proc` is not there.
    pub fn new(command_lines: CommandLines) -> Result<Self, HostError> {
        Self::at(Path::new("/proc"), crate::clock::boot(), command_lines)
    }

    /// A reader of another `/proc`, of a host that booted at `boot`.
    ///
    /// # Errors
    /// When the folder cannot be opened.
    pub fn at(root: &Path, boot: Time, command_lines: CommandLines) -> Result<Self, HostError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let open = rustix::fs::open(root, flags, Mode::empty());
        let groups = std::fs::read(root.join("self/cgroup")).unwrap_or_default();
        Ok(Self {
            root: open.map_err(|error| HostError::file("open", root)(error.into()))?,
            boot,
            command_lines,
            users: Users::default(),
            ancestors: Ancestors::default(),
            groups: HashMap::new(),
            told_groups: NumberMap::default(),
            has_only_unified_groups: groups.starts_with(b"0::"),
            shared: HashSet::new(),
            buffer: vec![0; arguments::MAX_READ].into(),
        })
    }

    /// The identity of process `pid`: one small file.
    ///
    /// # Errors
    /// Why it was not read.
    pub fn key(&self, pid: u32) -> Result<ProcessKey, Unread> {
        let mut buffer = [0; MAX_STAT];
        let line = read_stat(self.root.as_fd(), pid, &mut buffer)?;
        Ok(Stat::parse(line).ok_or(Unread::Failed)?.key())
    }

    /// When a process with this key started.
    pub fn started(&self, key: ProcessKey) -> Time {
        let ticks = i64::try_from(key.start).unwrap_or(i64::MAX);
        self.boot.after(Span(ticks.saturating_mul(TICK)))
    }

    /// Everything that can be read of process `pid`; what cannot is `None`, with the reason in `unread`.
    /// Hash and package are not looked up here.
    ///
    /// # Errors
    /// Why not even its identity was read.
    pub fn describe(&mut self, pid: u32) -> Result<Process, Unread> {
        let first = self.attempt(pid)?;
        // An exec in the middle of the reads leaves a mixture: what it was called does not fit what it became.
        let mut link = [0; MAX_LINK];
        let again = ProcessFolder::open(self.root.as_fd(), pid)
            .ok()
            .and_then(|folder| Some(arguments::text(folder.link("exe", &mut link).ok()?).into_owned()));
        match (&first.executable, again) {
            (Some(before), Some(after)) if !after.starts_with(&**before) => self.attempt(pid),
            _ => Ok(first),
        }
    }

    fn attempt(&mut self, pid: u32) -> Result<Process, Unread> {
        let folder = ProcessFolder::open(self.root.as_fd(), pid)?;
        let mut buffer = [0; MAX_STAT];
        let stat = Stat::parse(folder.read("stat", &mut buffer)?).ok_or(Unread::Failed)?;
        let key = stat.key();
        let name = self.share(&arguments::text(stat.name));
        let mut process = Process::bare(key, name, self.started(key));
        process.flags.kernel_thread = stat.kernel_thread;
        let mut missing = None;
        // First what a process that is about to end loses first.
        if !stat.kernel_thread {
            self.program(&folder, &mut process, &mut missing);
        }
        self.owner(&folder, &mut process, &mut missing);
        self.group(&folder, &mut process, &mut missing);
        process.ancestors = self.ancestors.of(self.root.as_fd(), stat.parent, key.start);
        process.parent = process.ancestors.first().map(|parent| parent.key);
        process.unread = missing;
        Ok(process)
    }

    /// User and network namespace.
    fn owner(&mut self, folder: &ProcessFolder, process: &mut Process, missing: &mut Option<Unread>) {
        let mut link = [0; MAX_LINK];
        let status = note(folder.read("status", &mut self.buffer), missing);
        process.user_id = status.and_then(real_user);
        process.user_name = process.user_id.and_then(|uid| self.users.name(uid));
        if !process.flags.kernel_thread {
            let namespace = note(folder.link("ns/net", &mut link), missing);
            process.network_namespace = namespace.and_then(namespace_inode);
        }
    }

    fn group(&mut self, folder: &ProcessFolder, process: &mut Process, missing: &mut Option<Unread>) {
        let limit = cgroup::MAX_CGROUP;
        let Some(content) = note(folder.read("cgroup", &mut self.buffer[..limit]), missing) else {
            return;
        };
        if !self.groups.contains_key(content) {
            if self.groups.len() >= MAX_GROUPS {
                self.groups.clear();
            }
            self.groups.insert(content.into(), cgroup::parse(content));
        }
        if let Some(group) = self.groups.get(content) {
            group.give(process);
        }
    }

    /// Executable, command line, working directory, script.
    fn program(&mut self, folder: &ProcessFolder, process: &mut Process, missing: &mut Option<Unread>) {
        let mut link = [0; MAX_LINK];
        if let Some(path) = note(folder.link("exe", &mut link), missing) {
            let executable = Executable::of(folder, path);
            process.flags.deleted = executable.deleted;
            process.flags.memfd = executable.memfd;
            process.executable = Some(self.share(&arguments::text(executable.path)));
        }
        if let Some(path) = note(folder.link("cwd", &mut link), missing) {
            process.working_directory = Some(self.share(&arguments::text(path)));
        }
        if let Some(Some(preload)) = note(environment::preload(folder, &mut self.buffer), missing) {
            self.preload(process, &preload);
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        if let Some(content) = note(read_command_line(folder, &mut buffer), missing) {
            self.arguments(process, content);
        }
        self.buffer = buffer;
    }

    fn preload(&mut self, process: &mut Process, value: &[u8]) {
        process.flags.preload = true;
        let value = arguments::text(value);
        process.preload = Some(self.share(arguments::cut(&value, environment::MAX_PRELOAD)));
    }

    /// Command line and script. Executable and working directory have to be known by now.
    fn arguments(&mut self, process: &mut Process, content: &[u8]) {
        if content.is_empty() {
            return;
        }
        let words = arguments::split(content);
        let line = if self.command_lines.keep_secrets {
            arguments::join(&words)
        } else {
            arguments::join(&redact::arguments(&words))
        };
        process.command_line = Some(line.into());
        process.command_line_hash = self
            .command_lines
            .key
            .map(|key| redact::keyed_hash(&key, content));
        let folder = process.working_directory.as_deref();
        let label = process.executable.as_deref().unwrap_or_default();
        if let Some(script) = script::script(label, &words, folder) {
            let script = arguments::cut(&script, MAX_LINK);
            process.script = Some(script.into());
            process.flags.script = true;
        }
    }

    /// Inode number of the mount namespace of process `pid`.
    pub fn mount_namespace(&self, pid: u32) -> Option<u32> {
        let mut link = [0; MAX_LINK];
        let folder = ProcessFolder::open(self.root.as_fd(), pid).ok()?;
        bracketed(folder.link("ns/mnt", &mut link).ok()?.strip_prefix(b"mnt:")?)
    }

    /// The sockets, by inode, that are standard input, output or error of process `pid`; 0 where there is none.
    pub fn standard_sockets(&self, pid: u32) -> [u32; 3] {
        let mut link = [0; MAX_LINK];
        let Ok(folder) = ProcessFolder::open(self.root.as_fd(), pid) else {
            return [0; 3];
        };
        ["fd/0", "fd/1", "fd/2"].map(|name| {
            let link = folder.link(name, &mut link);
            link.ok().and_then(socket_inode).unwrap_or_default()
        })
    }

    /// One shared copy of a text that many processes have.
    fn share(&mut self, text: &str) -> Text {
        if let Some(known) = self.shared.get(text) {
            return known.clone();
        }
        if self.shared.len() >= MAX_SHARED {
            self.shared.clear();
        }
        let new: Text = text.into();
        self.shared.insert(new.clone());
        new
    }
}

/// In the middle of an exec the kernel has a moment without arguments: what is empty is read again, a few times.
fn read_command_line<'b>(folder: &ProcessFolder, buffer: &'b mut [u8]) -> Result<&'b [u8], Unread> {
    const ATTEMPTS: usize = 4;
    let mut length = 0;
    for _ in 0..ATTEMPTS {
        length = folder.read("cmdline", buffer)?.len();
        if length > 0 {
            break;
        }
        std::thread::yield_now();
    }
    Ok(&buffer[..length])
}

/// Keeps the reason of a failed read; missing permission is the most telling one.
fn note<T>(read: Result<T, Unread>, missing: &mut Option<Unread>) -> Option<T> {
    match read {
        Ok(value) => Some(value),
        Err(reason) => {
            if missing.is_none() || reason == Unread::NoPermission {
                *missing = Some(reason);
            }
            None
        }
    }
}

/// The executable behind `/proc/PID/exe`.
struct Executable<'a> {
    path: &'a [u8],
    deleted: bool,
    memfd: bool,
}

impl<'a> Executable<'a> {
    /// Takes the kernel's ` (deleted)` off, unless the file is really called so.
    fn of(folder: &ProcessFolder, link: &'a [u8]) -> Self {
        let Some(path) = link.strip_suffix(b" (deleted)") else {
            return Self {
                path: link,
                deleted: false,
                memfd: false,
            };
        };
        let there = folder.stat(&[b"root", link].concat());
        let runs = folder.stat(b"exe");
        if let (Ok(there), Ok(runs)) = (there, runs)
            && (there.st_dev, there.st_ino) == (runs.st_dev, runs.st_ino)
        {
            return Self {
                path: link,
                deleted: false,
                memfd: false,
            };
        }
        let memfd = path.starts_with(b"/memfd:");
        Self {
            path,
            deleted: !memfd,
            memfd,
        }
    }
}

/// The first number of `Uid:` in `/proc/PID/status`. The name in that file is escaped, so no line can be faked.
fn real_user(status: &[u8]) -> Option<u32> {
    let line = status
        .split(|byte| *byte == b'\n')
        .find_map(|line| line.strip_prefix(b"Uid:"))?;
    let first = line.trim_ascii().split(u8::is_ascii_whitespace).next()?;
    u32::try_from(stat::number(first)?).ok()
}

/// The number in `net:[4026531840]`.
fn namespace_inode(link: &[u8]) -> Option<u32> {
    bracketed(link.strip_prefix(b"net:")?)
}

/// The number in `socket:[4026]`.
fn socket_inode(link: &[u8]) -> Option<u32> {
    bracketed(link.strip_prefix(b"socket:")?)
}

fn bracketed(number: &[u8]) -> Option<u32> {
    let digits = number.strip_prefix(b"[")?.strip_suffix(b"]")?;
    u32::try_from(stat::number(digits)?).ok()
}

#[cfg(test)]
mod tests;
