//! Programs that use the network without a file.

use atalaya_model::{Event, Severity};
use serde::{Deserialize, Serialize};

use crate::detector::{Detector, Findings, Scene, Sighting};
use crate::draft::Draft;
use crate::registry::Entry;
use crate::sightings::is_vouched_for;

/// `[detect.deleted_executable]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Look for it at all.
    pub enabled: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { enabled: true }
    }
}

pub(crate) const ENTRY: Entry = Entry {
    id: "deleted_executable",
    sentence: "A process uses the network whose executable was deleted, replaced, or never was a file.",
    severity: Severity::High,
    other_severities: &[(
        Severity::Info,
        "the file at its path belongs to a package whose digest agrees: updated, restart pending",
    )],
    techniques: &[
        ("T1070.004", "File Deletion", "defense-evasion"),
        ("T1620", "Reflective Code Loading", "defense-evasion"),
    ],
    values: &["program", "pid", "path", "sha256", "package", "variant"],
    variants: &["memfd", "updated"],
    limits: "A program that you rebuild while it runs looks the same as one that an intruder deleted.",
    build: |options, _| {
        let enabled = options.deleted_executable.enabled;
        enabled.then(|| Box::new(DeletedExecutable) as _)
    },
};

struct DeletedExecutable;

impl Detector for DeletedExecutable {
    fn look_at(&mut self, _scene: &Scene<'_>, _event: &Event, _out: &mut Findings) {}

    fn sees(&mut self, _scene: &Scene<'_>, sighting: &Sighting, out: &mut Findings) {
        let process = &sighting.process;
        let flags = process.flags;
        if !sighting.uses_network || sighting.again || !(flags.deleted || flags.memfd) {
            return;
        }
        let updated = !flags.memfd && is_vouched_for(process);
        let path = process.label();
        let (severity, variant) = match (flags.memfd, updated) {
            (true, _) => (ENTRY.severity, Some("memfd")),
            (false, true) => (Severity::Info, Some("updated")),
            (false, false) => (ENTRY.severity, None),
        };
        let key = format!("{path} {}", variant.unwrap_or("deleted"));
        let mut draft = Draft::new(ENTRY.id, sighting.time, severity, key)
            .process(Some(process), None)
            .value("path", path)
            .value("sha256", process.sha256.as_deref().unwrap_or("unknown"));
        if let Some(package) = process.package.as_ref().filter(|_| updated) {
            draft = draft.package(package);
        }
        if let Some(variant) = variant {
            draft = draft.value("variant", variant);
        }
        out.findings.push(draft.done());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use atalaya_model::Process;

    use super::*;
    use crate::stage::{Stage, listener, outbound, packaged, program};

    fn deleted(pid: u32, path: &str) -> Process {
        let mut process = Arc::unwrap_or_clone(program(pid, path, "aa"));
        process.flags.deleted = true;
        process
    }

    #[test]
    fn deleted_and_memory_programs_are_told_once() {
        let mut stage = Stage::new();
        let gone = Arc::new(deleted(7, "/opt/tool"));
        stage.opens(outbound(1, &gone, "198.51.100.7:443"));
        let findings = stage.pass(3);
        let found = findings.of("deleted_executable");
        assert_eq!((found.len(), found[0].severity), (1, Severity::High));
        assert_eq!(found[0].process.as_ref().unwrap().sha256.as_deref(), Some("aa"));
        stage.opens(outbound(2, &gone, "198.51.100.7:443"));
        stage.pass(3).silent("deleted_executable");

        let mut memory = deleted(8, "/memfd:x");
        memory.flags.memfd = true;
        let local = listener(1, &Arc::new(memory), atalaya_model::Transport::Tcp, "0.0.0.0:80");
        stage.listens(local);
        let findings = stage.pass(3);
        assert_eq!(
            findings.of("deleted_executable")[0].value("variant"),
            Some(&"memfd".into())
        );
    }

    #[test]
    fn a_program_deleted_while_it_runs_is_told_then() {
        let mut stage = Stage::new();
        stage.opens(outbound(1, &program(7, "/opt/tool", "aa"), "198.51.100.7:443"));
        stage.pass(3).silent("deleted_executable");
        stage.learns(Arc::new(deleted(7, "/opt/tool")));
        assert_eq!(stage.pass(3).of("deleted_executable").len(), 1);
    }

    #[test]
    fn an_update_is_only_noted_and_one_without_network_not_at_all() {
        let mut stage = Stage::new();
        let updated = packaged(deleted(7, "/usr/sbin/sshd"));
        let findings = stage.opens(outbound(1, &updated, "198.51.100.7:443"));
        let found = findings.of("deleted_executable");
        assert_eq!((found.len(), found[0].severity), (1, Severity::Info));
        stage.starts(Arc::new(deleted(8, "/opt/idle")));
        stage.pass(3).silent("deleted_executable");
    }
}
