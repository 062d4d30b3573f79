//! Programs in Python, for what needs forks, raw sockets or system calls that Rust's library does not offer.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A script that runs, until it is dropped. `say(name=value)` tells the test something, `wait()` waits for
/// [`Script::go_on`].
pub(crate) struct Script {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    pub(crate) said: HashMap<String, String>,
}

const PRELUDE: &str = r"
import os, socket, struct, sys, time, threading
def say(**what):
    print(*(f'{name}={value}' for name, value in what.items()), flush=True)
def wait():
    say(step='waits')
    sys.stdin.readline()
def address(s):
    a = s.getsockname()
    return f'[{a[0]}]:{a[1]}' if ':' in a[0] else f'{a[0]}:{a[1]}'
say(namespace=os.stat('/proc/self/ns/net').st_ino, pid=os.getpid())
";

impl Script {
    /// Starts `program` in Python.
    pub(crate) fn start(program: &str) -> Self {
        Self::run(&["python3"], program)
    }

    /// The same in a network namespace of its own, after these shell commands there.
    pub(crate) fn start_alone(commands: &str, program: &str) -> Self {
        let shell = format!("set -e; ip link set lo up; {commands}; exec python3 -c \"$0\"");
        Self::run(&["unshare", "--net", "sh", "-c", &shell], program)
    }

    fn run(command: &[&str], program: &str) -> Self {
        let program = format!("{PRELUDE}{program}\nsay(step='ends')\n");
        let mut start = Command::new(command[0]);
        start.args(&command[1..]);
        if command.len() == 1 {
            start.arg("-c");
        }
        let mut child = start
            .arg(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            input: child.stdin.take().unwrap(),
            output: BufReader::new(child.stdout.take().unwrap()),
            said: HashMap::new(),
            child,
        }
    }

    /// Reads what it says until it waits or ends.
    #[track_caller]
    pub(crate) fn listen(&mut self) {
        let mut line = String::new();
        while self.output.read_line(&mut line).unwrap() > 0 {
            for word in line.split_whitespace() {
                let (name, value) = word.split_once('=').unwrap();
                self.said.insert(name.into(), value.into());
            }
            if line.starts_with("step=") {
                return;
            }
            line.clear();
        }
        panic!("the script failed: {:?}", self.said);
    }

    /// Lets it go on, until it waits again or ends.
    #[track_caller]
    pub(crate) fn go_on(&mut self) {
        self.input.write_all(b"\n").unwrap();
        self.listen();
    }

    #[track_caller]
    pub(crate) fn number(&self, name: &str) -> u32 {
        self.said[name].parse().unwrap()
    }

    #[track_caller]
    pub(crate) fn address(&self, name: &str) -> SocketAddr {
        self.said[name].parse().unwrap()
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
