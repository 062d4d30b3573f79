//! What polling tells of processes that the tests start, and that live long enough.
#![cfg(target_os = "linux")]
#![expect(
    clippy::disallowed_methods,
    clippy::panic,
    clippy::unwrap_used,
    reason = "these are tests, which start the programs that they look at"
)]

use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use atalaya_host::collector::{Collector as _, Options};
use atalaya_host::linux::poll::PollCollector;
use atalaya_model::{Observation, Process};
use sha2::{Digest as _, Sha256};

struct Killed(Child);

impl Killed {
    fn start(command: &mut Command) -> Self {
        Self(
            command
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap(),
        )
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Looks until what is told of a process is as it should be.
fn until(child: &Killed, what: &str, mut done: impl FnMut(&Process) -> bool) {
    let options = Options {
        packages: false,
        every_process: false,
        ..Options::default()
    };
    let mut collector = PollCollector::open(options).unwrap();
    let pid = child.0.id();
    let mut last: Option<Arc<Process>> = None;
    for _ in 0..100 {
        let mut sink = |observation: Observation| match observation {
            Observation::Process(_, process) if process.key.pid == pid => last = Some(process),
            _ => {}
        };
        collector.look(&mut sink).unwrap();
        collector.wait(Duration::from_millis(100), &mut sink).unwrap();
        if last.as_deref().is_some_and(&mut done) {
            return;
        }
    }
    panic!("never {what}: {last:#?}");
}

/// Two ends of a conversation.
fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (near, listener.accept().unwrap().0)
}

#[test]
fn a_shell_on_a_socket_is_told() {
    let (near, _far) = pair();
    let child = Killed::start(
        Command::new("/bin/sh")
            .args(["-c", "read line"])
            .stdin(OwnedFd::from(near)),
    );
    until(&child, "a shell on a socket", |process| {
        process.flags.standard_socket
    });
}

#[test]
fn a_script_and_what_was_preloaded_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("serve");
    let content = "#!/usr/bin/python3 -IS
import socket, time
listener = socket.create_server(('127.0.0.1', 0))
time.sleep(60)
";
    std::fs::write(&script, content).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new(&script);
    command
        .env("LD_PRELOAD", "/nonexistent/evil.so")
        .stdin(Stdio::null());
    let child = Killed::start(&mut command);
    let digest = Sha256::digest(content);
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    until(&child, "a script with its hash", |process| {
        process.script.as_deref() == script.to_str() && process.script_sha256.as_deref() == Some(&*digest)
    });
    until(&child, "what was preloaded", |process| {
        !process.flags.standard_socket
            && process.flags.preload
            && process.preload.as_deref() == Some("/nonexistent/evil.so")
    });
}
