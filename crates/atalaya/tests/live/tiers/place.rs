//! A place to run the program in: a mount namespace of its own, and privileges.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use atalaya_model::{Fact, Tier, TierReport, Time};
use atalaya_store::Reader;
use tempfile::TempDir;

use crate::program::Program;
use crate::watch::ATALAYA;
use crate::{run, skip, until};

/// Where the program runs, and as whom.
pub(super) struct Place {
    pub(super) folder: TempDir,
    /// Done to the mounts first.
    pub(super) mounts: String,
    /// What starts the program.
    pub(super) words: Vec<String>,
    pub(super) program: PathBuf,
}

impl Place {
    /// `None`, said, where the machine does not allow it.
    pub(super) fn new(mounts: &[&str]) -> Option<Self> {
        if run("id", &["-u"]) != "0\n" {
            skip("bad environments need root (sudo -E ./test)");
            return None;
        }
        let folder = tempfile::Builder::new().prefix("atalaya-").tempdir().unwrap();
        // For any user, as the program may run as any.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let place = Self {
            folder,
            mounts: mounts.join("\n"),
            words: Vec::new(),
            program: ATALAYA.into(),
        };
        let tried = place.command("true").output().unwrap();
        if tried.status.success() {
            return Some(place);
        }
        let why = String::from_utf8_lossy(&tried.stderr).into_owned();
        skip(&format!("the environment cannot be made here: {why}"));
        None
    }

    /// As root, but never with these capabilities (`bpf,sys_admin`).
    pub(super) fn without(mut self, capabilities: &str) -> Self {
        let each: Vec<String> = capabilities.split(',').map(|name| format!("-{name}")).collect();
        self.words = vec!["setpriv".to_owned(), format!("--bounding-set={}", each.join(","))];
        self
    }

    /// As the user nobody, with exactly these capabilities.
    pub(super) fn for_nobody(mut self, capabilities: &[&str]) -> Self {
        let set: String = capabilities.iter().map(|name| format!(",+{name}")).collect();
        let words = [
            "setpriv".to_owned(),
            "--reuid=65534".to_owned(),
            "--regid=65534".to_owned(),
            "--clear-groups".to_owned(),
            format!("--inh-caps=-all{set}"),
            format!("--ambient-caps=-all{set}"),
            format!("--bounding-set=-all{set}"),
        ];
        self.words = words.into();
        self
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A command that will run in this place.
    pub(super) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("unshare");
        let script = format!("set -e\n{}\nexec \"$@\"", self.mounts);
        command
            .args(["--mount", "sh", "-c", &script, "sh"])
            .args(&self.words)
            .arg(program)
            .env("HOME", self.folder.path())
            .env("LANG", "C.UTF-8")
            .env_remove("NO_COLOR")
            .env_remove("XDG_RUNTIME_DIR")
            .env_remove("XDG_DATA_HOME")
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("NOTIFY_SOCKET")
            .current_dir(self.folder.path());
        command
    }

    /// Runs the program to its end: exit code, standard output, standard error.
    pub(super) fn done(&self, flags: &[&str]) -> (Option<i32>, String, String) {
        let output = self.command(&self.program).args(flags).output().unwrap();
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stdout).into_owned(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    }

    /// Starts a watch with a store and a control socket in the folder.
    pub(super) fn watch(&self, events: &str) -> Program {
        let mut command = self.command(&self.program);
        command
            .args([
                "watch",
                "--no-learning",
                "--interval",
                "200ms",
                "--output",
                "json",
            ])
            .args([
                "--events",
                events,
                "--store",
                "store.db",
                "--socket",
                "control.sock",
            ]);
        Program::start(command)
    }

    /// What `status` says of that watch, once it answers.
    pub(super) fn status(&self, output: &str) -> String {
        let mut text = String::new();
        until("the watcher answers", || {
            let command = ["status", "--output", output, "--socket", "control.sock"];
            let (code, answer, _) = self.done(&command);
            text = answer;
            code == Some(0)
        });
        text
    }

    /// What the store has when the watch is over: the tier of the run, the last change of tier, and reasons of gaps.
    pub(super) fn stored(&self) -> (Option<Tier>, TierReport, Vec<String>) {
        let reader = Reader::open(&self.path("store.db")).unwrap();
        let runs = reader.runs(10).unwrap();
        assert_eq!(runs.len(), 1, "{runs:?}");
        let (mut last, mut gaps) = (None, Vec::new());
        for event in reader.history(Time(0)..Time(i64::MAX)) {
            match event.unwrap().fact {
                Fact::TierChanged(report) => last = Some(TierReport::clone(&report)),
                Fact::Gap(gap) => gaps.push(gap.reason.to_string()),
                _ => {}
            }
        }
        (runs[0].tier, last.expect("a change of tier in the store"), gaps)
    }
}
