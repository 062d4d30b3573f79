//! The program that misbehaves on command (`actor.c`), compiled once, copied to where a test wants it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::program::Program;
use crate::world::World;
use crate::{run, until};

/// The compiled actor of one version: same behaviour, another hash.
pub(crate) fn binary(version: u32) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/live/actor.c");
    let age = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    let binary = folder.join(format!("actor-{version}"));
    if age(&binary) < age(&source) {
        // Tests run at the same time: each compiles for itself, the last one stays.
        static COMPILED: AtomicU32 = AtomicU32::new(0);
        let count = COMPILED.fetch_add(1, Ordering::Relaxed);
        let mine = folder.join(format!("actor-{version}-{}-{count}", std::process::id()));
        run(
            "cc",
            &[
                "-O1",
                "-o",
                mine.to_str().unwrap(),
                &format!("-DVERSION=\"{version}\""),
                source.to_str().unwrap(),
            ],
        );
        fs::rename(&mine, &binary).unwrap();
    }
    binary
}

/// Copies the actor into a world, and gives its hash.
pub(crate) fn install(world: &World, path: &str, version: u32) -> String {
    let inside = world.outside(path);
    fs::create_dir_all(inside.parent().unwrap()).unwrap();
    // A running file cannot be written to: always a new inode.
    _ = fs::remove_file(&inside);
    fs::copy(binary(version), &inside).unwrap();
    fs::set_permissions(&inside, fs::Permissions::from_mode(0o755)).unwrap();
    crate::program::sha256(inside.to_str().unwrap())
}

/// A running actor.
pub(crate) struct Actor {
    pub(crate) program: Program,
    answers: usize,
}

impl Actor {
    /// Starts the actor that was installed at this path.
    pub(crate) fn start(world: &World, path: &str) -> Self {
        Self::begin(world, &[path])
    }

    /// Starts the actor of this path as another user.
    pub(crate) fn start_as(world: &World, path: &str, user: u32) -> Self {
        let user = user.to_string();
        Self::begin(
            world,
            &[
                "setpriv",
                "--reuid",
                &user,
                "--regid",
                &user,
                "--clear-groups",
                path,
            ],
        )
    }

    fn begin(world: &World, words: &[&str]) -> Self {
        let mut command = world.command(words[0]);
        command.args(&words[1..]);
        let mut actor = Self {
            program: world.start(command),
            answers: 0,
        };
        assert_eq!(actor.answer(), "ready");
        actor.program.inner_pid = crate::program::inner_pid(actor.program.pid);
        actor
    }

    fn answer(&mut self) -> String {
        let output = std::sync::Arc::clone(&self.program.output);
        let wanted = self.answers + 1;
        until("the actor answers", || {
            output.lock().unwrap().len() >= wanted || self.program.ended()
        });
        let answer = output.lock().unwrap().get(self.answers).cloned();
        self.answers += 1;
        let answer = answer.unwrap_or_else(|| panic!("the actor ended: {}", self.program.said()));
        String::from_utf8_lossy(&answer).trim_end().to_owned()
    }

    /// Has it do something, and waits until it is done.
    #[track_caller]
    pub(crate) fn act(&mut self, command: &str) {
        self.program.tell(command);
        assert_eq!(self.answer(), format!("done {command}"));
    }

    /// Its pid as the world sees it.
    pub(crate) fn inner_pid(&self) -> u32 {
        self.program.inner_pid
    }
}
