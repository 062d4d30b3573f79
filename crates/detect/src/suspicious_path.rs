//! Programs that use the network from folders where programs are not installed.

use atalaya_model::filter::Glob;
use atalaya_model::{Event, Process, Severity};
use serde::{Deserialize, Serialize};

use crate::detector::{Detector, Findings, Scene, Sighting};
use crate::draft::Draft;
use crate::registry::Entry;

/// Folders where everybody may write, or where nobody looks.
pub(crate) const PATHS: &[&str] = &[
    "/tmp/*",
    "/var/tmp/*",
    "/dev/shm/*",
    "/run/shm/*",
    "/dev/mqueue/*",
    "/run/user/*",
    "/home/*/Downloads/*",
    "/root/Downloads/*",
    "*/.*",
];

/// Hidden folders into which toolchains, editors and launchers install programs for one user.
const EXCEPT: &[&str] = &[
    ".local/bin/*",
    ".local/share/*",
    ".cargo/*",
    ".rustup/*",
    ".nvm/*",
    ".pyenv/*",
    ".rbenv/*",
    ".volta/*",
    ".sdkman/*",
    ".vscode/*",
    ".vscode-server/*",
    ".cursor-server/*",
    ".var/app/*",
];

/// `[detect.suspicious_path]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Look for it at all.
    pub enabled: bool,
    /// Paths that are suspicious, as globs: `*` is any run of characters, `?` exactly one.
    pub paths: Vec<String>,
    /// Paths that are not, although they match.
    pub except: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        let homes = ["/home/*/", "/root/"];
        let except = homes
            .iter()
            .flat_map(|home| EXCEPT.iter().map(move |folder| format!("{home}{folder}")));
        Self {
            enabled: true,
            paths: PATHS.iter().map(|path| (*path).to_owned()).collect(),
            except: except.collect(),
        }
    }
}

pub(crate) const ENTRY: Entry = Entry {
    id: "suspicious_path",
    sentence: "A program in a temporary, shared-memory, hidden or download folder uses the network.",
    severity: Severity::Medium,
    other_severities: &[],
    techniques: &[
        (
            "T1036.005",
            "Match Legitimate Resource Name or Location",
            "defense-evasion",
        ),
        ("T1564.001", "Hidden Files and Directories", "defense-evasion"),
        ("T1105", "Ingress Tool Transfer", "command-and-control"),
    ],
    values: &["program", "pid", "path", "pattern"],
    variants: &[],
    limits: "The script that an interpreter runs counts like an executable. A shell that reads commands from a pipe has \
             no path of its own.",
    build: |options, _| {
        let options = &options.suspicious_path;
        options
            .enabled
            .then(|| Box::new(SuspiciousPath::new(options)) as _)
    },
};

struct SuspiciousPath {
    paths: Vec<Glob>,
    except: Vec<Glob>,
}

impl SuspiciousPath {
    fn new(options: &Options) -> Self {
        let globs = |patterns: &[String]| patterns.iter().map(|pattern| Glob::new(pattern)).collect();
        Self {
            paths: globs(&options.paths),
            except: globs(&options.except),
        }
    }

    /// The path of this process that is suspicious, and why.
    fn find<'a>(&'a self, process: &'a Process) -> Option<(&'a str, &'a str)> {
        let paths = [process.script.as_deref(), process.executable.as_deref()];
        paths
            .into_iter()
            .flatten()
            .filter(|path| path.starts_with('/') && !self.except.iter().any(|glob| glob.is_match(path)))
            .find_map(|path| {
                let glob = self.paths.iter().find(|glob| glob.is_match(path))?;
                Some((path, glob.pattern()))
            })
    }
}

impl Detector for SuspiciousPath {
    fn look_at(&mut self, _scene: &Scene<'_>, _event: &Event, _out: &mut Findings) {}

    fn sees(&mut self, _scene: &Scene<'_>, sighting: &Sighting, out: &mut Findings) {
        if !sighting.uses_network || sighting.again || sighting.process.flags.memfd {
            return;
        }
        let process = &sighting.process;
        if let Some((path, pattern)) = self.find(process) {
            let draft = Draft::new(ENTRY.id, sighting.time, ENTRY.severity, path.to_owned())
                .process(Some(process), None)
                .value("path", path)
                .value("pattern", pattern);
            out.findings.push(draft.done());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::stage::{Stage, outbound, program};

    #[test]
    fn a_program_in_shared_memory_is_told_once() {
        let mut stage = Stage::new();
        let dropped = program(7, "/dev/shm/x", "aa");
        let findings = stage.opens(outbound(1, &dropped, "198.51.100.7:443"));
        let found = findings.of("suspicious_path");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].severity, Severity::Medium);
        assert_eq!(found[0].value("pattern"), Some(&"/dev/shm/*".into()));
        stage
            .opens(outbound(2, &dropped, "198.51.100.7:443"))
            .silent("suspicious_path");

        let mut script = Process::clone(&program(8, "/usr/bin/python3", "bb"));
        script.script = Some("/home/ann/.x/run.py".into());
        let findings = stage.opens(outbound(3, &Arc::new(script), "198.51.100.7:443"));
        assert_eq!(&*findings.of("suspicious_path")[0].key, "/home/ann/.x/run.py");
    }

    #[test]
    fn installed_programs_are_not() {
        let mut stage = Stage::new();
        let paths = [
            "/usr/bin/curl",
            "/opt/tmp/run",
            "/home/ann/.cargo/bin/cargo",
            "/root/.local/bin/uv",
            "/home/ann/bin/tool",
        ];
        for (id, path) in (1..).zip(paths) {
            let installed = program(id, path, "aa");
            stage
                .opens(outbound(id.into(), &installed, "198.51.100.7:443"))
                .silent("suspicious_path");
        }
    }

    #[test]
    fn a_temporary_folder_does_not_hide_behind_an_exception() {
        let mut stage = Stage::new();
        let dropped = program(7, "/tmp/.cargo/bin/x", "aa");
        let findings = stage.opens(outbound(1, &dropped, "198.51.100.7:443"));
        assert_eq!(findings.of("suspicious_path").len(), 1);
    }
}
