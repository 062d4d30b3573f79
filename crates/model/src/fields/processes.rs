//! Fields of processes; every record that names a process has them.

use super::Kind::{Alert, Connection, Listener, Process};
use super::{Field, Privacy, Type};
use crate::{Text, Value};

const WITH_PROCESS: &[super::Kind] = &[Connection, Listener, Process, Alert];

macro_rules! text {
    ($name:literal, $aliases:expr, $column:literal, $doc:literal, $sigma:expr, $privacy:ident, $get:expr) => {
        Field {
            name: $name,
            aliases: $aliases,
            column: $column,
            kind: Type::Text,
            doc: $doc,
            sigma: $sigma,
            privacy: Privacy::$privacy,
            of: WITH_PROCESS,
            get: |record| {
                let get: fn(&crate::Process) -> Option<Text> = $get;
                get(record.process()?).map(Value::Text)
            },
        }
    };
}

macro_rules! flag {
    ($name:literal, $aliases:expr, $column:literal, $doc:literal, $flag:ident) => {
        Field {
            name: $name,
            aliases: $aliases,
            column: $column,
            kind: Type::Bool,
            doc: $doc,
            sigma: &[],
            privacy: Privacy::Plain,
            of: WITH_PROCESS,
            get: |record| Some(record.process()?.flags.$flag.into()),
        }
    };
}

pub(super) const FIELDS: &[Field] = &[
    Field {
        name: "process.pid",
        aliases: &["pid"],
        column: "pid",
        kind: Type::Integer,
        doc: "Process id.",
        sigma: &["ProcessId"],
        privacy: Privacy::Plain,
        of: WITH_PROCESS,
        get: |record| Some(record.process()?.key.pid.into()),
    },
    Field {
        name: "process.start",
        aliases: &[],
        column: "process_start",
        kind: Type::Time,
        doc: "When the process started.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: WITH_PROCESS,
        get: |record| Some(record.process()?.started.into()),
    },
    Field {
        name: "process.end",
        aliases: &[],
        column: "process_end",
        kind: Type::Time,
        doc: "When the process was seen to be gone; unset while it lives.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: WITH_PROCESS,
        get: |record| record.process()?.ended.map(Value::from),
    },
    text!(
        "process.name",
        &["process", "name"],
        "process_name",
        "The kernel's name of the process (15 bytes, chosen by the process itself).",
        &[],
        Plain,
        |p| Some(p.name.clone())
    ),
    text!(
        "process.executable",
        &["exe", "path"],
        "executable",
        "Path of the executable.",
        &["Image"],
        Personal,
        |p| p.executable.clone()
    ),
    text!(
        "process.command_line",
        &["cmdline"],
        "command_line",
        "Arguments joined by spaces, secrets redacted.",
        &["CommandLine"],
        Sensitive,
        |p| p.command_line.clone()
    ),
    text!(
        "process.command_line_hash",
        &[],
        "command_line_hash",
        "Keyed hash of the unredacted command line.",
        &[],
        Plain,
        |p| p.command_line_hash.clone()
    ),
    text!(
        "process.working_directory",
        &["cwd"],
        "working_directory",
        "Working directory.",
        &["CurrentDirectory"],
        Personal,
        |p| p.working_directory.clone()
    ),
    text!(
        "process.hash.sha256",
        &["sha256", "hash"],
        "sha256",
        "SHA-256 of the very inode that runs.",
        &["Hashes", "sha256"],
        Plain,
        |p| p.sha256.clone()
    ),
    text!(
        "process.script",
        &["script"],
        "script",
        "The script that an interpreter runs.",
        &[],
        Personal,
        |p| p.script.clone()
    ),
    text!(
        "process.script_sha256",
        &["script_sha256"],
        "script_sha256",
        "SHA-256 of the script as it was when the process was first inspected.",
        &[],
        Plain,
        |p| p.script_sha256.clone()
    ),
    text!(
        "process.preload",
        &["preload"],
        "preload",
        "What `LD_PRELOAD` said when the process started.",
        &[],
        Personal,
        |p| p.preload.clone()
    ),
    Field {
        name: "process.exit_code",
        aliases: &["exit_code"],
        column: "exit_code",
        kind: Type::Integer,
        doc: "How the process ended: its exit status, or 128 and the signal's number, as shells say it.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: WITH_PROCESS,
        get: |record| record.process()?.exit_code.map(|code| i64::from(code).into()),
    },
    Field {
        name: "process.parent.pid",
        aliases: &["ppid"],
        column: "parent_pid",
        kind: Type::Integer,
        doc: "Process id of the parent.",
        sigma: &["ParentProcessId"],
        privacy: Privacy::Plain,
        of: WITH_PROCESS,
        get: |record| Some(record.process()?.parent?.pid.into()),
    },
    text!(
        "process.parent.name",
        &["parent"],
        "parent_name",
        "Name of the parent process.",
        &[],
        Plain,
        |p| p.ancestors.first().map(|parent| parent.name.clone())
    ),
    text!(
        "process.parent.executable",
        &["parent.exe"],
        "parent_executable",
        "Path of the parent's executable.",
        &["ParentImage"],
        Personal,
        |p| p.ancestors.first().and_then(|parent| parent.executable.clone())
    ),
    Field {
        name: "process.ancestors",
        aliases: &["ancestors"],
        column: "ancestors",
        kind: Type::Texts,
        doc: "Names of parent, grandparent and so on up to pid 1, each with its pid.",
        sigma: &[],
        privacy: Privacy::Plain,
        of: WITH_PROCESS,
        get: |record| {
            let ancestors = record.process()?.ancestors.iter();
            let names: Vec<_> = ancestors
                .map(|a| format!("{}({})", a.name, a.key.pid).into())
                .collect();
            (!names.is_empty()).then_some(Value::List(names))
        },
    },
    Field {
        name: "user.id",
        aliases: &["uid"],
        column: "user_id",
        kind: Type::Integer,
        doc: "Real user id of the process.",
        sigma: &[],
        privacy: Privacy::Personal,
        of: WITH_PROCESS,
        get: |record| record.process()?.user_id.map(Value::from),
    },
    text!(
        "user.name",
        &["user"],
        "user_name",
        "Name of that user on this host.",
        &["User"],
        Personal,
        |p| p.user_name.clone()
    ),
    text!(
        "container.id",
        &["container"],
        "container_id",
        "Id of the container the process runs in.",
        &[],
        Plain,
        |p| p.container.as_ref().map(|c| c.id.clone())
    ),
    text!(
        "container.runtime",
        &["runtime"],
        "container_runtime",
        "Runtime of the container: docker, podman, containerd, kubernetes, lxc and so on.",
        &[],
        Plain,
        |p| p.container.as_ref().map(|c| c.runtime.clone())
    ),
    text!(
        "process.cgroup",
        &["cgroup"],
        "cgroup",
        "Control group path.",
        &[],
        Plain,
        |p| p.cgroup.clone()
    ),
    text!(
        "process.unit",
        &["unit"],
        "unit",
        "systemd unit.",
        &[],
        Plain,
        |p| p.unit.clone()
    ),
    text!(
        "package.name",
        &["package"],
        "package_name",
        "Package that owns the executable.",
        &[],
        Plain,
        |p| p.package.as_ref().map(|package| package.name.clone())
    ),
    text!(
        "package.version",
        &[],
        "package_version",
        "Version of that package.",
        &[],
        Plain,
        |p| p.package.as_ref().and_then(|package| package.version.clone())
    ),
    text!(
        "package.digest",
        &[],
        "package_digest",
        "Does the file at the path agree with the package's digest: `agrees`, `differs`, `unknown`.",
        &[],
        Plain,
        |p| p.package.as_ref().map(|package| package.digest.name().into())
    ),
    flag!(
        "process.flags.deleted",
        &["deleted"],
        "deleted",
        "The executable's file was removed or replaced after it started.",
        deleted
    ),
    flag!(
        "process.flags.memfd",
        &["memfd"],
        "memfd",
        "The executable is an anonymous memory file.",
        memfd
    ),
    flag!(
        "process.flags.script",
        &["is_script"],
        "is_script",
        "The process is an interpreter that runs a script.",
        script
    ),
    flag!(
        "process.flags.preload",
        &["is_preloaded"],
        "is_preloaded",
        "`LD_PRELOAD` was set when the process started.",
        preload
    ),
    flag!(
        "process.flags.standard_socket",
        &["standard_socket"],
        "standard_socket",
        "Standard input or output was a network socket when the process started, as of a reverse shell.",
        standard_socket
    ),
    text!(
        "process.unread",
        &["unread"],
        "unread",
        "Why facts about the process are missing: `gone`, `no_permission`, `failed`.",
        &[],
        Plain,
        |p| p.unread.map(|why| why.name().into())
    ),
];
