//! A program that runs beside the test: its output is gathered, and it is ended when the test is done with it.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use crate::{children, run, until};

/// Lines that a program has written so far.
pub(crate) type Lines = Arc<Mutex<Vec<Vec<u8>>>>;

/// A running program, killed on drop.
pub(crate) struct Program {
    child: Child,
    /// Its pid outside its world.
    pub(crate) pid: u32,
    /// Its pid as it sees it itself.
    pub(crate) inner_pid: u32,
    input: Option<ChildStdin>,
    pub(crate) output: Lines,
    pub(crate) errors: Lines,
    readers: Vec<JoinHandle<()>>,
}

fn gather(name: &str, stream: impl Read + Send + 'static, lines: &Lines) -> JoinHandle<()> {
    let lines = Arc::clone(lines);
    let gather = move || {
        let mut stream = BufReader::new(stream);
        let mut line = Vec::new();
        while stream.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
            lines.lock().unwrap().push(std::mem::take(&mut line));
        }
    };
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(gather)
        .unwrap()
}

impl Program {
    /// Starts a command that was made by `World::command`, or any other.
    pub(crate) fn start(mut command: Command) -> Self {
        let entering = command.get_program() == "nsenter";
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (output, errors) = (Lines::default(), Lines::default());
        let readers = vec![
            gather("stdout", child.stdout.take().unwrap(), &output),
            gather("stderr", child.stderr.take().unwrap(), &errors),
        ];
        let pid = if entering {
            // `nsenter` forks to enter a process namespace, then its child becomes the program.
            let mut inside = None;
            until("nsenter has entered", || {
                inside = children(child.id()).first().copied();
                inside.is_some() || matches!(child.try_wait(), Ok(Some(_)))
            });
            inside.unwrap_or_else(|| child.id())
        } else {
            child.id()
        };
        let input = child.stdin.take();
        Self {
            child,
            pid,
            inner_pid: inner_pid(pid),
            input,
            output,
            errors,
            readers,
        }
    }

    /// Writes one line to its input.
    pub(crate) fn tell(&mut self, line: &str) {
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Its output so far, as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.output.lock().unwrap().concat()).into_owned()
    }

    /// What it has said so far on standard error.
    pub(crate) fn said(&self) -> String {
        String::from_utf8_lossy(&self.errors.lock().unwrap().concat()).into_owned()
    }

    /// Sends a signal by name (`TERM`). A program that has ended already does not mind.
    pub(crate) fn signal(&self, name: &str) {
        _ = Command::new("kill")
            .args([&format!("-{name}"), &self.pid.to_string()])
            .stderr(Stdio::null())
            .status();
    }

    /// Has it ended?
    pub(crate) fn ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }

    /// Waits for its end, and for the last line of its output.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        drop(self.input.take());
        let mut status = None;
        until("the program ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        status.unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if !self.ended() {
            self.signal("KILL");
            _ = self.child.wait();
        }
    }
}

/// The pid of a process in its own, innermost process namespace.
pub(crate) fn inner_pid(pid: u32) -> u32 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    line.and_then(|line| line.split_whitespace().last()?.parse().ok())
        .unwrap_or(pid)
}

/// SHA-256 of a file, by another program than the one under test.
pub(crate) fn sha256(path: &str) -> String {
    run("sha256sum", &[path])
        .split(' ')
        .next()
        .unwrap()
        .trim_start_matches('\\')
        .to_owned()
}
