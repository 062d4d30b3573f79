//! Shells and interpreters that take their commands from a network socket.

use std::sync::Arc;

use atalaya_model::filter::Glob;
use atalaya_model::{Connection, Event, Fact, Process, ProcessKey, Severity, Span, Time};
use serde::{Deserialize, Serialize};

use crate::detector::{Detector, Findings, Scene};
use crate::draft::Draft;
use crate::recent::Recent;
use crate::registry::Entry;

/// Most processes that are remembered as told.
const MAX_TOLD: usize = 4_096;
/// Most processes whose connection is awaited; of more, the peer is not named.
const MAX_WAITING: usize = 64;
/// How long its connection is awaited: kernel programs tell of a process at once, of its sockets a moment later, on a
/// busy host seconds later.
const PATIENCE: Span = Span::from_seconds(5);
/// Generations above it in which its connection is looked for: who made it often only hands it on.
const GENERATIONS: usize = 3;
/// What is said of a peer that nobody saw.
const UNKNOWN: &str = "an unknown address";

const PROGRAMS: &[&str] = &[
    "sh", "ash", "bash", "dash", "zsh", "ksh*", "mksh", "fish", "csh", "tcsh", "busybox", "python*", "perl*",
    "ruby*", "php*", "lua*", "node", "nodejs", "tclsh*", "pwsh",
];

/// Programs that hand accepted sockets to the services they start.
const SERVERS: &[&str] = &["inetd", "xinetd", "openbsd-inetd", "inetutils-inetd", "tcpserver"];

/// `[detect.reverse_shell]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Look for it at all.
    pub enabled: bool,
    /// Names of executables that take commands, as globs.
    pub programs: Vec<String>,
    /// Names of parents that connect services to sockets by design: what they start is only medium.
    pub servers: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        let texts = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Self {
            enabled: true,
            programs: texts(PROGRAMS),
            servers: texts(SERVERS),
        }
    }
}

pub(crate) const ENTRY: Entry = Entry {
    id: "reverse_shell",
    sentence: "A shell or interpreter runs with a network socket as its standard input or output.",
    severity: Severity::Critical,
    other_severities: &[(
        Severity::Medium,
        "a server that starts services with their sockets (inetd, a systemd socket unit) started it",
    )],
    techniques: &[
        ("T1059.004", "Unix Shell", "execution"),
        ("T1095", "Non-Application Layer Protocol", "command-and-control"),
    ],
    values: &["program", "pid", "peer", "name", "parent", "variant"],
    variants: &["service"],
    limits: "What counts is how the process was started. A shell behind a pipe or a terminal of its own (`socat … pty`, \
             `script`), or one that opens its socket later, does not look so. The tier `poll` sees only what lives at a \
             look.",
    build: |options, _| {
        let options = &options.reverse_shell;
        options.enabled.then(|| Box::new(ReverseShell::new(options)) as _)
    },
};

struct ReverseShell {
    programs: Vec<Glob>,
    servers: Vec<Glob>,
    told: Recent<ProcessKey>,
    /// Processes that will be told once their connection is known, or at last without; since when.
    waiting: Vec<(Time, Arc<Process>)>,
}

impl ReverseShell {
    fn new(options: &Options) -> Self {
        let globs = |patterns: &[String]| patterns.iter().map(|pattern| Glob::new(pattern)).collect();
        Self {
            programs: globs(&options.programs),
            servers: globs(&options.servers),
            told: Recent::new(MAX_TOLD),
            waiting: Vec::new(),
        }
    }

    /// Notes a process, if it is one and neither it nor who started it was noted before.
    fn meet(&mut self, time: Time, process: &Arc<Process>) {
        let program = process.label().rsplit('/').next().unwrap_or_default();
        if !process.flags.standard_socket || !self.programs.iter().any(|glob| glob.is_match(program)) {
            return;
        }
        // What runs in such a shell inherits its socket: that is the same story.
        let inherited = process.parent.is_some_and(|parent| self.told.contains(&parent));
        if self.told.insert(process.key) && !inherited && self.waiting.len() < MAX_WAITING {
            self.waiting.push((time, process.clone()));
        }
    }

    fn is_service(&self, process: &Process) -> bool {
        let parent = process.ancestors.first();
        let by_server =
            parent.is_some_and(|parent| self.servers.iter().any(|glob| glob.is_match(&parent.name)));
        // An instance of a unit with `Accept=yes`; a shell that was only left to the first process has no such unit.
        let by_unit = parent.is_some_and(|parent| parent.key.pid == 1)
            && process
                .unit
                .as_deref()
                .is_some_and(|unit| unit.contains('@') && unit.ends_with(".service"));
        by_server || by_unit
    }

    fn tell(
        &self,
        scene: &Scene<'_>,
        process: &Arc<Process>,
        connection: Option<&Arc<Connection>>,
        out: &mut Findings,
    ) {
        let service = self.is_service(process);
        let severity = if service { Severity::Medium } else { ENTRY.severity };
        let peer = connection.map(|connection| connection.remote());
        let key = match peer {
            Some(peer) => format!("{} ← {}", process.program(), peer.ip),
            None => process.program().to_owned(),
        };
        let parent = process.ancestors.first();
        let parent = parent.map(|parent| format!("{} (pid {})", parent.name, parent.key.pid));
        let mut draft = Draft::new(ENTRY.id, scene.time, severity, key)
            .process(Some(process), None)
            .value(
                "peer",
                peer.map_or_else(|| UNKNOWN.to_owned(), |peer| peer.to_string()),
            )
            .value("parent", parent.unwrap_or_else(|| "unknown".to_owned()));
        if let Some(connection) = connection {
            draft = draft.example(connection).name(connection);
        }
        if service {
            draft = draft.value("variant", "service");
        }
        out.findings.push(draft.done());
    }
}

/// The connection that it most likely is: its own newest, else the only one of who started it; in the end, the newest.
fn find<'a>(scene: &Scene<'a>, process: &Process, is_last: bool) -> Option<&'a Arc<Connection>> {
    let newest = |key: ProcessKey| {
        let connections = scene.state.connections_of(key);
        connections.max_by_key(|connection| (connection.started, connection.id))
    };
    newest(process.key).or_else(|| {
        let above = process.ancestors.iter().take(GENERATIONS);
        above
            .map(|ancestor| ancestor.key)
            .filter(|key| is_last || scene.state.connection_count(*key) == 1)
            .find_map(newest)
    })
}

impl Detector for ReverseShell {
    fn look_at(&mut self, scene: &Scene<'_>, event: &Event, out: &mut Findings) {
        if let Fact::ProcessStarted(process) | Fact::ProcessUpdated(process) = &event.fact {
            self.meet(scene.time, process);
        }
        if self.waiting.is_empty() {
            return;
        }
        let (own, ended) = match &event.fact {
            Fact::ConnectionOpened(it) | Fact::ConnectionUpdated(it) | Fact::ConnectionClosed(it) => {
                (Some(it), None)
            }
            Fact::ProcessEnded(process) => (None, Some(process.key)),
            Fact::Tick { .. } => (None, None),
            _ => return,
        };
        for (since, process) in std::mem::take(&mut self.waiting) {
            let is_its = |connection: &&Arc<Connection>| {
                let user = connection.process.as_ref();
                user.is_some_and(|user| user.key == process.key)
            };
            let is_last = ended == Some(process.key) || scene.time.since(since) >= PATIENCE;
            let found = own.filter(is_its).or_else(|| find(scene, &process, is_last));
            if found.is_some() || is_last {
                self.tell(scene, &process, found, out);
            } else {
                self.waiting.push((since, process));
            }
        }
    }

    fn finish(&mut self, scene: &Scene<'_>, out: &mut Findings) {
        for (_, process) in std::mem::take(&mut self.waiting) {
            self.tell(scene, &process, find(scene, &process, true), out);
        }
    }
}

#[cfg(test)]
mod tests {
    use atalaya_model::process::Ancestor;

    use super::*;
    use crate::stage::{Stage, key, outbound, program};

    fn shell(pid: u32, path: &str, parent: u32) -> Process {
        let mut process = Process::clone(&program(pid, path, "aa"));
        process.flags.standard_socket = true;
        process.parent = Some(key(parent));
        process.ancestors = Arc::from([Ancestor {
            key: key(parent),
            name: format!("program-{parent}").into(),
            executable: None,
        }]);
        process
    }

    #[test]
    fn a_shell_on_a_socket_is_told_with_its_peer() {
        let mut stage = Stage::new();
        let dash = Arc::new(shell(7, "/usr/bin/dash", 6));
        stage.starts(dash.clone()).silent("reverse_shell");
        let findings = stage.opens(outbound(1, &dash, "198.51.100.7:9001"));
        let found = findings.of("reverse_shell");
        assert_eq!((found.len(), found[0].severity), (1, Severity::Critical));
        assert_eq!(found[0].value("peer"), Some(&"198.51.100.7:9001".into()));
        assert_eq!(found[0].value("parent"), Some(&"program-6 (pid 6)".into()));
        assert_eq!(found[0].connections.len(), 1);
        // What it runs is part of the same story.
        stage.starts(Arc::new(shell(8, "/usr/bin/bash", 7)));
        stage.pass(6).silent("reverse_shell");
    }

    #[test]
    fn the_connection_of_its_parent_is_its_own() {
        let mut stage = Stage::new();
        stage.opens(outbound(
            1,
            &program(6, "/usr/bin/python3", "bb"),
            "198.51.100.7:443",
        ));
        stage
            .starts(Arc::new(shell(7, "/bin/sh", 6)))
            .silent("reverse_shell");
        let findings = stage.look();
        let found = findings.of("reverse_shell");
        assert_eq!(found[0].value("peer"), Some(&"198.51.100.7:443".into()));
        // Nothing is lost where the watch ends first.
        stage.starts(Arc::new(shell(10, "/bin/sh", 8)));
        assert_eq!(stage.flush().of("reverse_shell").len(), 1);
        // One that ends before anybody saw a connection is told as well.
        stage.starts(Arc::new(shell(9, "/bin/sh", 8)));
        let ended = stage.ends(9);
        assert_eq!(ended.of("reverse_shell")[0].value("peer"), Some(&UNKNOWN.into()));
    }

    #[test]
    fn what_a_server_started_is_only_medium() {
        let mut stage = Stage::new();
        let mut script = shell(7, "/bin/sh", 6);
        script.ancestors = Arc::from([Ancestor {
            key: key(6),
            name: "xinetd".into(),
            executable: None,
        }]);
        stage.starts(Arc::new(script));
        let mut instance = shell(8, "/bin/sh", 1);
        instance.unit = Some("echo@3-10.0.0.1:7.service".into());
        stage.starts(Arc::new(instance));
        let mut left_over = shell(9, "/bin/sh", 1);
        left_over.unit = Some("nginx.service".into());
        stage.starts(Arc::new(left_over));
        stage.look().silent("reverse_shell");
        let severities: Vec<_> = stage
            .pass(5)
            .of("reverse_shell")
            .iter()
            .map(|found| found.severity)
            .collect();
        assert_eq!(
            severities,
            [Severity::Medium, Severity::Medium, Severity::Critical]
        );
    }

    #[test]
    fn an_ordinary_shell_and_a_server_on_its_socket_are_not() {
        let mut stage = Stage::new();
        stage.starts(program(7, "/usr/bin/bash", "aa"));
        stage.starts(Arc::new(shell(8, "/usr/lib/git-core/git-daemon", 1)));
        stage.look().silent("reverse_shell");
    }
}
