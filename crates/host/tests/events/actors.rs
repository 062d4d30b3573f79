//! Copies of this test that act for others.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// What such a copy does.
const ACT: &str = "ATALAYA_TEST_ACT";

/// A process that acts, until it is dropped.
pub(crate) struct Actor {
    pub(crate) child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Actor {
    pub(crate) fn start(act: &str, prefix: &[&str]) -> Self {
        let own = std::env::current_exe().unwrap();
        let mut command = match prefix {
            [] => Command::new(own),
            [program, arguments @ ..] => {
                let mut command = Command::new(program);
                command.args(arguments).arg(own);
                command
            }
        };
        command
            .args(["--exact", "actors::acts_for_another_test", "--nocapture"])
            .env(ACT, act)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, input, output }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next line that begins with `said `, without that.
    pub(crate) fn hear(&mut self) -> String {
        let mut line = String::new();
        while self.output.read_line(&mut line).unwrap() > 0 {
            // The test harness has its own words before it.
            if let Some((_, said)) = line.split_once("said ") {
                return said.trim().to_owned();
            }
            line.clear();
        }
        panic!("it says nothing more");
    }

    /// Lets it end, and waits for that.
    pub(crate) fn finish(mut self) {
        self.input = None;
        self.child.wait().unwrap();
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn acts_for_another_test() {
    let Some(act) = std::env::var_os(ACT) else {
        return;
    };
    let act = act.into_string().unwrap();
    let words: Vec<&str> = act.split(' ').collect();
    match words[..] {
        ["serve"] => serve(),
        ["connect", address, count] => connect(address.parse().unwrap(), count.parse().unwrap()),
        ["knock", address] => {
            assert!(TcpStream::connect(address).is_err());
        }
        ["linger"] => linger(),
        ["open"] => crate::privileges::open(),
        _ => panic!("{act}"),
    }
}

/// Serves every connection in turn: reads a line, answers with as many bytes as it says.
fn serve() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("said {}", listener.local_addr().unwrap());
    // Ends with whoever started it.
    std::thread::Builder::new()
        .spawn(|| {
            drop(std::io::stdin().read_to_end(&mut Vec::new()));
            std::process::exit(0);
        })
        .unwrap();
    for stream in listener.incoming() {
        let mut stream = BufReader::new(stream.unwrap());
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        let count: usize = line.trim().parse().unwrap();
        stream.get_mut().write_all(&vec![1; count]).unwrap();
    }
}

/// Connects again and again: the first asks for 100 bytes, the next for 101, and so on.
fn connect(address: SocketAddr, count: usize) {
    for number in 0..count {
        let mut stream = TcpStream::connect(address).unwrap();
        let wanted = 100 + number;
        writeln!(stream, "{wanted:>9}").unwrap();
        stream.read_exact(&mut vec![0; wanted]).unwrap();
    }
    println!("said done");
    drop(std::io::stdin().read_to_end(&mut Vec::new()));
}

/// Ends the first thread, and waits in another. Tests run in threads of their own, so this is not it.
#[expect(unsafe_code, reason = "only a signal's handler runs in the first thread")]
fn linger() {
    extern "C" fn end_thread(_: libc::c_int) {
        // SAFETY: the system call ends the thread that makes it, and touches no memory.
        unsafe { libc::syscall(libc::SYS_exit, 0) };
    }
    // SAFETY: the handler makes one system call, which is all that a handler may do.
    unsafe {
        libc::signal(
            libc::SIGUSR1,
            end_thread as extern "C" fn(libc::c_int) as libc::sighandler_t,
        );
        libc::syscall(libc::SYS_tgkill, libc::getpid(), libc::getpid(), libc::SIGUSR1);
    }
    drop(std::io::stdin().read_to_end(&mut Vec::new()));
    std::process::exit(0);
}
