//! Programs that were started with a foreign library inside (`LD_PRELOAD`), and use the network.

use atalaya_model::filter::Glob;
use atalaya_model::{Event, Severity};
use serde::{Deserialize, Serialize};

use crate::detector::{Detector, Findings, Scene, Sighting};
use crate::draft::Draft;
use crate::registry::Entry;
use crate::suspicious_path::{self, PATHS};

/// Where packages and tools install the libraries that they preload.
const USUAL: &[&str] = &[
    "/usr/*",
    "/lib/*",
    "/lib32/*",
    "/lib64/*",
    "/opt/*",
    "/snap/*",
    "/nix/store/*",
    "/gnu/store/*",
];

/// `[detect.preloaded_library]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Look for it at all.
    pub enabled: bool,
    /// Libraries that are suspicious, as globs: folders where everybody may write, or that are hidden.
    pub paths: Vec<String>,
    /// Libraries that are not, although they match.
    pub except: Vec<String>,
    /// Libraries that are ordinary. What matches none of these lists is told as low.
    pub usual: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        let texts = |globs: &[&str]| globs.iter().map(|glob| (*glob).to_owned()).collect();
        Self {
            enabled: true,
            paths: texts(PATHS),
            except: suspicious_path::Options::default().except,
            usual: texts(USUAL),
        }
    }
}

pub(crate) const ENTRY: Entry = Entry {
    id: "preloaded_library",
    sentence: "A program with a preloaded library from a suspicious or unusual folder uses the network.",
    severity: Severity::Medium,
    other_severities: &[(
        Severity::Low,
        "the folder is only not one where libraries are installed",
    )],
    techniques: &[("T1574.006", "Dynamic Linker Hijacking", "defense-evasion")],
    values: &["program", "pid", "library", "preload", "variant"],
    variants: &["unusual"],
    limits: "Known from the environment with which a process was started: `/etc/ld.so.preload` does not show there.",
    build: |options, _| {
        let options = &options.preloaded_library;
        options
            .enabled
            .then(|| Box::new(PreloadedLibrary::new(options)) as _)
    },
};

struct PreloadedLibrary {
    paths: Vec<Glob>,
    except: Vec<Glob>,
    usual: Vec<Glob>,
}

impl PreloadedLibrary {
    fn new(options: &Options) -> Self {
        let globs = |patterns: &[String]| patterns.iter().map(|pattern| Glob::new(pattern)).collect();
        Self {
            paths: globs(&options.paths),
            except: globs(&options.except),
            usual: globs(&options.usual),
        }
    }

    /// The worst of the libraries, and how bad it is.
    fn worst<'a>(&self, preload: &'a str) -> Option<(&'a str, Severity)> {
        let is_one_of = |globs: &[Glob], path: &str| globs.iter().any(|glob| glob.is_match(path));
        preload
            .split([':', ' '])
            // The linker looks for a mere name in the usual folders itself.
            .filter(|library| library.contains('/'))
            .filter_map(|library| {
                if library.contains("/../") {
                    Some((library, Severity::Medium))
                } else if is_one_of(&self.except, library) {
                    None
                } else if is_one_of(&self.paths, library) {
                    Some((library, Severity::Medium))
                } else if is_one_of(&self.usual, library) {
                    None
                } else {
                    Some((library, Severity::Low))
                }
            })
            .max_by_key(|(_, severity)| *severity)
    }
}

impl Detector for PreloadedLibrary {
    fn look_at(&mut self, _scene: &Scene<'_>, _event: &Event, _out: &mut Findings) {}

    fn sees(&mut self, _scene: &Scene<'_>, sighting: &Sighting, out: &mut Findings) {
        let process = &sighting.process;
        let Some(preload) = process.preload.as_deref() else {
            return;
        };
        if !sighting.uses_network || sighting.again {
            return;
        }
        if let Some((library, severity)) = self.worst(preload) {
            let key = format!("{} {library}", process.program());
            let mut draft = Draft::new(ENTRY.id, sighting.time, severity, key)
                .process(Some(process), None)
                .value("library", library)
                .value("preload", preload);
            if severity < ENTRY.severity {
                draft = draft.value("variant", "unusual");
            }
            out.findings.push(draft.done());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use atalaya_model::Process;

    use super::*;
    use crate::stage::{Stage, outbound, program};

    fn preloaded(pid: u32, preload: &str) -> Arc<Process> {
        let mut process = Process::clone(&program(pid, "/usr/bin/curl", "aa"));
        process.preload = Some(preload.into());
        process.flags.preload = true;
        Arc::new(process)
    }

    #[test]
    fn a_library_where_anybody_may_write_is_told() {
        let mut stage = Stage::new();
        let curl = preloaded(7, "/usr/lib/libfakeroot.so:/dev/shm/.x/evil.so");
        let findings = stage.opens(outbound(1, &curl, "198.51.100.7:443"));
        let found = findings.of("preloaded_library");
        assert_eq!((found.len(), found[0].severity), (1, Severity::Medium));
        assert_eq!(found[0].value("library"), Some(&"/dev/shm/.x/evil.so".into()));
        stage
            .opens(outbound(2, &curl, "198.51.100.7:443"))
            .silent("preloaded_library");
        let around = stage.opens(outbound(
            3,
            &preloaded(8, "/usr/lib/../../tmp/x.so"),
            "198.51.100.7:443",
        ));
        assert_eq!(around.of("preloaded_library")[0].severity, Severity::Medium);
        let unusual = stage.opens(outbound(4, &preloaded(9, "/srv/app/hook.so"), "198.51.100.7:443"));
        let found = unusual.of("preloaded_library");
        assert_eq!(found[0].severity, Severity::Low);
        assert_eq!(found[0].value("variant"), Some(&"unusual".into()));
    }

    #[test]
    fn an_installed_one_and_a_program_without_network_are_not() {
        let mut stage = Stage::new();
        for (id, preload) in (1..).zip([
            "/usr/lib/x86_64-linux-gnu/libjemalloc.so.2",
            "libgtk3-nocsd.so.0",
            "/opt/agent/lib/hook.so",
            "/home/ann/.local/share/Steam/gameoverlayrenderer.so",
            "",
        ]) {
            let usual = preloaded(id, preload);
            stage
                .opens(outbound(id.into(), &usual, "198.51.100.7:443"))
                .silent("preloaded_library");
        }
        stage.starts(preloaded(20, "/tmp/x.so"));
        stage.pass(3).silent("preloaded_library");
    }
}
