//! Processes that start while we watch.

use atalaya_model::{Event, Fact, Severity};
use serde::{Deserialize, Serialize};

use crate::detector::{Detector, Findings, Scene};
use crate::draft::Draft;
use crate::registry::Entry;

/// `[detect.new_process]`
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
    id: "new_process",
    sentence: "A process started while the host was watched.",
    severity: Severity::Info,
    other_severities: &[],
    techniques: &[("T1059", "Command and Scripting Interpreter", "execution")],
    values: &["program", "pid", "parent"],
    variants: &[],
    limits: "A process that began and ended between two looks is not seen in the tier `poll`.",
    build: |options, _| options.new_process.enabled.then(|| Box::new(NewProcess) as _),
};

struct NewProcess;

impl Detector for NewProcess {
    fn look_at(&mut self, scene: &Scene<'_>, event: &Event, out: &mut Findings) {
        let Fact::ProcessStarted(process) = &event.fact else {
            return;
        };
        if process.started < scene.state.watching_since() || process.flags.kernel_thread {
            return;
        }
        let parent = process.ancestors.first();
        let parent = parent.map(|parent| format!("{} (pid {})", parent.name, parent.key.pid));
        let draft = Draft::new(ENTRY.id, scene.time, ENTRY.severity, process.program().to_owned())
            .process(Some(process), None)
            .value("parent", parent.unwrap_or_else(|| "unknown".to_owned()));
        out.findings.push(draft.done());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use atalaya_model::{Process, Span};

    use super::*;
    use crate::stage::{START, Stage, program};

    #[test]
    fn a_process_that_starts_now_is_told() {
        let mut stage = Stage::new();
        let mut young = Process::clone(&program(7, "/usr/bin/tool", "aa"));
        young.started = START.after(Span::from_seconds(1));
        let findings = stage.starts(Arc::new(young));
        let found = findings.of("new_process");
        assert_eq!((found.len(), found[0].severity), (1, Severity::Info));
    }

    #[test]
    fn one_that_was_there_before_is_not() {
        let mut stage = Stage::new();
        let mut old = Process::clone(&program(7, "/usr/bin/tool", "aa"));
        old.started = START.after(Span::from_seconds(-1));
        stage.starts(Arc::new(old)).silent("new_process");
    }
}
