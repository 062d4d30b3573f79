//! A user's own folders, and the program run in them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use atalaya_detect::registry::ENTRIES;
use serde_json::Value;
use tempfile::TempDir;

/// The program.
pub(crate) const ATALAYA: &str = env!("CARGO_BIN_EXE_atalaya");

/// A user who has nothing yet.
pub(crate) struct Home(TempDir);

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file and gives its path as text.
    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        fs::write(self.path(name), text).unwrap();
        self.path(name).display().to_string()
    }

    /// A command that knows only this home.
    pub(crate) fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command.env_clear().current_dir(self.0.path());
        for name in ["PATH", "LD_LIBRARY_PATH"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.env("HOME", self.0.path()).env("LANG", "C.UTF-8");
        command
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        let mut command = self.command(ATALAYA);
        command.args(arguments);
        finish(command)
    }

    /// Runs the program with this on its standard input.
    pub(crate) fn run_with(&self, arguments: &[&str], input: &[u8]) -> Ran {
        let mut command = self.command(ATALAYA);
        command.args(arguments);
        finish_with(command, input)
    }
}

/// Runs a command to its end with this on its standard input.
pub(crate) fn finish_with(mut command: Command, input: &[u8]) -> Ran {
    use std::io::{Seek as _, Write as _};
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(input).unwrap();
    file.rewind().unwrap();
    command.stdin(file);
    finish(command)
}

/// Runs a command to its end.
pub(crate) fn finish(mut command: Command) -> Ran {
    let output = command.output().unwrap();
    Ran {
        code: output.status.code().expect("it ends by itself"),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

impl Ran {
    /// Its output, line by line as JSON.
    pub(crate) fn json(&self) -> Vec<Value> {
        let lines = self.out.lines();
        lines.map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// A configuration that keeps nothing and looks for nothing but what `more` says, so that a busy machine says nothing.
pub(crate) fn calm(more: &str) -> String {
    let mut text = String::from(
        "[watch]\nlearning = \"0s\"\nlog_folder = \".\"\n[store]\nenabled = false\n[control]\nenabled = false\n",
    );
    for entry in ENTRIES {
        if !more.contains(&format!("[detect.{}]", entry.id)) {
            text.push_str(&format!("[detect.{}]\nenabled = false\n", entry.id));
        }
    }
    text + more
}

/// Says that a test was left out, in the words that `./test` collects.
pub(crate) fn skip(reason: &str) {
    println!(
        "skipped: {}: {reason}",
        std::thread::current().name().unwrap_or("a test")
    );
}

/// Is this program installed?
pub(crate) fn installed(program: &str) -> bool {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders).any(|folder| folder.join(program).is_file())
}
