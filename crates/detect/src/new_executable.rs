//! Executables that use the network for the first time.

use atalaya_model::{Event, Severity};
use serde::{Deserialize, Serialize};

use crate::detector::{Detector, Findings, Scene, Sighting};
use crate::draft::Draft;
use crate::executables::Novelty;
use crate::recent::Recent;
use crate::registry::Entry;

/// Most executables remembered as told; only deleted ones need it, the others become known.
const MAX_TOLD: usize = 4_096;

/// `[detect.new_executable]`
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
    id: "new_executable",
    sentence: "An executable that was never seen before, by path and hash, uses the network.",
    severity: Severity::Low,
    other_severities: &[],
    techniques: &[("T1105", "Ingress Tool Transfer", "command-and-control")],
    values: &["program", "pid", "path", "sha256"],
    variants: &[],
    limits: "Needs the executable's hash. What is seen while learning, and what was remembered from earlier runs, is \
             known. In a container the same path is another executable.",
    build: |options, _| {
        let enabled = options.new_executable.enabled;
        enabled.then(|| {
            Box::new(NewExecutable {
                told: Recent::new(MAX_TOLD),
            }) as _
        })
    },
};

struct NewExecutable {
    told: Recent<String>,
}

impl Detector for NewExecutable {
    fn look_at(&mut self, _scene: &Scene<'_>, _event: &Event, _out: &mut Findings) {}

    fn sees(&mut self, scene: &Scene<'_>, sighting: &Sighting, out: &mut Findings) {
        let process = &sighting.process;
        let (Some(path), Some(hash)) = (&process.executable, &process.sha256) else {
            return;
        };
        if !sighting.uses_network || scene.learning || sighting.novelty != Novelty::New {
            return;
        }
        let key = format!("{path} {hash}");
        if !self.told.insert(key.clone()) {
            return;
        }
        let draft = Draft::new(ENTRY.id, sighting.time, ENTRY.severity, key)
            .process(Some(process), None)
            .value("path", path)
            .value("sha256", hash);
        out.findings.push(draft.done());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::{Stage, outbound, program, unhashed};

    #[test]
    fn an_unknown_executable_is_told_when_its_hash_is_there() {
        let mut stage = Stage::new();
        stage
            .opens(outbound(1, &unhashed(7, "/usr/bin/tool"), "198.51.100.7:443"))
            .silent("new_executable");
        let findings = stage.learns(program(7, "/usr/bin/tool", "aa"));
        let found = findings.of("new_executable");
        assert_eq!((found.len(), found[0].severity), (1, Severity::Low));
        assert_eq!(found[0].value("sha256"), Some(&"aa".into()));
        let again = program(8, "/usr/bin/tool", "aa");
        stage
            .opens(outbound(2, &again, "198.51.100.7:443"))
            .silent("new_executable");
    }

    #[test]
    fn a_learnt_one_whose_hash_comes_late_is_not() {
        let mut stage = Stage::learning();
        stage.opens(outbound(1, &unhashed(7, "/usr/bin/tool"), "198.51.100.7:443"));
        stage.pass(3_600).silent("new_executable");
        stage
            .learns(program(7, "/usr/bin/tool", "aa"))
            .silent("new_executable");
        // It becomes another program.
        let findings = stage.learns(program(7, "/usr/bin/other", "bb"));
        assert_eq!(findings.of("new_executable").len(), 1);
    }

    #[test]
    fn a_learnt_one_and_one_without_network_are_not() {
        let mut stage = Stage::learning();
        let tool = program(7, "/usr/bin/tool", "aa");
        stage
            .opens(outbound(1, &tool, "198.51.100.7:443"))
            .silent("new_executable");
        stage.pass(3_600);
        let again = program(8, "/usr/bin/tool", "aa");
        stage
            .opens(outbound(2, &again, "198.51.100.7:443"))
            .silent("new_executable");
        stage
            .starts(program(9, "/usr/bin/other", "bb"))
            .silent("new_executable");
    }
}
