//! A process and everything a defender asks about it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Text, Time};

/// The identity of a process within one boot: its id and when it started. A pid alone is reused; the pair is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ProcessKey {
    /// Process id in the host's own (root) pid namespace.
    pub pid: u32,
    /// Start in clock ticks (1/100 s) since boot, as in field 22 of `/proc/PID/stat`.
    pub start: u64,
}

/// One process. Everything that could not be read is `None`; `unread` says why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Process {
    /// Identity within this boot.
    pub key: ProcessKey,
    /// When it started.
    pub started: Time,
    /// When it was seen to be gone; `None` while it lives.
    pub ended: Option<Time>,
    /// The kernel's name of it (`comm`, at most 15 bytes, chosen by the process itself).
    pub name: Text,
    /// Path of the executable as the kernel gives it, without the ` (deleted)` suffix.
    pub executable: Option<Text>,
    /// Arguments joined by spaces, secrets redacted, at most 4 KiB.
    pub command_line: Option<Text>,
    /// Keyed hash (hexadecimal) of the unredacted command line, for comparing without keeping secrets.
    pub command_line_hash: Option<Text>,
    /// Working directory.
    pub working_directory: Option<Text>,
    /// Real user id.
    pub user_id: Option<u32>,
    /// The user's name on this host.
    pub user_name: Option<Text>,
    /// The parent's identity, where it lives.
    pub parent: Option<ProcessKey>,
    /// Parent first, pid 1 last; at most 32.
    pub ancestors: Arc<[Ancestor]>,
    /// Control group path (the unified hierarchy's, or the systemd one).
    pub cgroup: Option<Text>,
    /// The container it runs in.
    pub container: Option<Container>,
    /// systemd unit (`ssh.service`, `session-3.scope`).
    pub unit: Option<Text>,
    /// Inode number of its network namespace.
    pub network_namespace: Option<u32>,
    /// What is unusual about it.
    pub flags: Flags,
    /// The script that an interpreter runs.
    pub script: Option<Text>,
    /// SHA-256 of the script as it was when the process was first inspected.
    pub script_sha256: Option<Text>,
    /// What `LD_PRELOAD` said when it started, at most 512 bytes.
    pub preload: Option<Text>,
    /// SHA-256 of the very inode that runs, in lower-case hexadecimal.
    pub sha256: Option<Text>,
    /// The package that owns the executable.
    pub package: Option<Package>,
    /// How it ended: the exit status, or 128 and the signal's number, as shells say it.
    pub exit_code: Option<i32>,
    /// Why some of the above is missing.
    pub unread: Option<Unread>,
}

/// A process in somebody's parent chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as in Process")]
pub struct Ancestor {
    pub key: ProcessKey,
    pub name: Text,
    pub executable: Option<Text>,
}

/// A container, by its runtime and full id.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Container {
    /// `docker`, `podman`, `containerd`, `cri-o`, `kubernetes`, `lxc`, `systemd-nspawn`.
    pub runtime: Text,
    /// The id or name the runtime gave it.
    pub id: Text,
}

/// What is unusual about a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Flags {
    /// The executable's file was removed or replaced after it started.
    pub deleted: bool,
    /// The executable is an anonymous memory file.
    pub memfd: bool,
    /// An interpreter that runs a script file.
    pub script: bool,
    /// A thread of the kernel.
    pub kernel_thread: bool,
    /// `LD_PRELOAD` was set when it started.
    pub preload: bool,
    /// Its standard input or output was a network socket when it started, as of a reverse shell.
    pub standard_socket: bool,
}

/// The package that installed an executable.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Package {
    /// `dpkg` or `rpm`.
    pub manager: Text,
    /// Package name.
    pub name: Text,
    /// Installed version.
    pub version: Option<Text>,
    /// Does the file now at the path agree with the digest that the package recorded?
    pub digest: Digest,
}

/// Result of comparing a file with its package's digest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Digest {
    /// Not compared, or the package records none.
    #[default]
    Unknown,
    /// The file is the package's.
    Agrees,
    /// The file is not what the package installed.
    Differs,
}

impl Digest {
    /// The lower-case name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Agrees => "agrees",
            Self::Differs => "differs",
        }
    }
}

/// Why facts about a process are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unread {
    /// It ended before it was read.
    Gone,
    /// The privileges at hand do not allow it.
    NoPermission,
    /// Anything else the system answered.
    Failed,
}

impl Unread {
    /// The name in records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::NoPermission => "no_permission",
            Self::Failed => "failed",
        }
    }
}

impl Process {
    /// A process of which only the identity, name and start are known.
    pub fn bare(key: ProcessKey, name: Text, started: Time) -> Self {
        Self {
            key,
            started,
            ended: None,
            name,
            executable: None,
            command_line: None,
            command_line_hash: None,
            working_directory: None,
            user_id: None,
            user_name: None,
            parent: None,
            ancestors: Arc::from([]),
            cgroup: None,
            container: None,
            unit: None,
            network_namespace: None,
            flags: Flags::default(),
            script: None,
            script_sha256: None,
            preload: None,
            sha256: None,
            package: None,
            exit_code: None,
            unread: None,
        }
    }

    /// The executable's path, or the name where the path is unknown: what a person recognises it by.
    pub fn label(&self) -> &str {
        self.executable.as_deref().unwrap_or(&self.name)
    }

    /// What stays the same when the program is started again: script or executable path, else the name.
    pub fn program(&self) -> &str {
        self.script.as_deref().unwrap_or_else(|| self.label())
    }
}
