//! A known program whose file is another one now.

use atalaya_model::{Event, Severity};
use serde::{Deserialize, Serialize};

use crate::detector::{Detector, Findings, Scene, Sighting};
use crate::draft::Draft;
use crate::executables::Novelty;
use crate::registry::Entry;
use crate::sightings::is_vouched_for;

/// `[detect.changed_executable]`
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
    id: "changed_executable",
    sentence: "A process runs a file that is not the one known at this path.",
    severity: Severity::High,
    other_severities: &[(
        Severity::Info,
        "the file belongs to a package whose digest agrees: it was updated",
    )],
    techniques: &[("T1554", "Compromise Host Software Binary", "persistence")],
    values: &[
        "program",
        "pid",
        "path",
        "sha256",
        "old_sha256",
        "package",
        "variant",
    ],
    variants: &["updated"],
    limits: "Known are executables that used the network before, in this run or in an earlier one. The old file, where \
             it still runs, is `deleted_executable`'s.",
    build: |options, _| {
        let enabled = options.changed_executable.enabled;
        enabled.then(|| Box::new(ChangedExecutable) as _)
    },
};

struct ChangedExecutable;

impl Detector for ChangedExecutable {
    fn look_at(&mut self, _scene: &Scene<'_>, _event: &Event, _out: &mut Findings) {}

    fn sees(&mut self, _scene: &Scene<'_>, sighting: &Sighting, out: &mut Findings) {
        let process = &sighting.process;
        let (Novelty::Changed(old), Some(path), Some(hash)) =
            (&sighting.novelty, &process.executable, &process.sha256)
        else {
            return;
        };
        let updated = is_vouched_for(process);
        let severity = if updated { Severity::Info } else { ENTRY.severity };
        let mut draft = Draft::new(ENTRY.id, sighting.time, severity, format!("{path} {hash}"))
            .process(Some(process), None)
            .value("path", path)
            .value("sha256", hash)
            .value("old_sha256", old);
        if updated && let Some(package) = &process.package {
            draft = draft.package(package).value("variant", "updated");
        }
        out.findings.push(draft.done());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::stage::{Stage, outbound, packaged, program};

    fn known() -> Stage {
        let mut stage = Stage::learning();
        stage.opens(outbound(1, &program(7, "/opt/tool", "aa"), "198.51.100.7:443"));
        stage.pass(3_600);
        stage
    }

    #[test]
    fn another_file_at_a_known_path_is_told_once() {
        let mut stage = known();
        let changed = program(8, "/opt/tool", "bb");
        stage
            .opens(outbound(2, &changed, "198.51.100.7:443"))
            .silent("changed_executable");
        let findings = stage.pass(3);
        let found = findings.of("changed_executable");
        assert_eq!((found.len(), found[0].severity), (1, Severity::High));
        assert_eq!(found[0].value("old_sha256"), Some(&"aa".into()));
        assert_eq!(found[0].process.as_ref().unwrap().sha256.as_deref(), Some("bb"));
        findings.silent("new_executable");
        let findings = stage.opens(outbound(3, &program(9, "/opt/tool", "bb"), "198.51.100.7:443"));
        findings.silent("changed_executable");
    }

    #[test]
    fn one_that_runs_without_network_is_told_too() {
        let mut stage = known();
        stage.starts(program(8, "/opt/tool", "bb"));
        assert_eq!(stage.pass(3).of("changed_executable").len(), 1);
    }

    #[test]
    fn an_update_of_its_package_is_only_noted() {
        let mut stage = known();
        let updated = packaged(Arc::unwrap_or_clone(program(8, "/opt/tool", "bb")));
        let findings = stage.opens(outbound(2, &updated, "198.51.100.7:443"));
        let found = findings.of("changed_executable");
        assert_eq!((found.len(), found[0].severity), (1, Severity::Info));
        assert_eq!(found[0].value("variant"), Some(&"updated".into()));
    }

    #[test]
    fn the_same_file_elsewhere_or_the_old_one_still_running_is_not() {
        let mut stage = known();
        stage.opens(outbound(2, &program(8, "/opt/other", "bb"), "198.51.100.7:443"));
        let mut old = Arc::unwrap_or_clone(program(9, "/opt/tool", "cc"));
        old.flags.deleted = true;
        stage.opens(outbound(3, &Arc::new(old), "198.51.100.7:443"));
        stage.pass(3).silent("changed_executable");
    }
}
