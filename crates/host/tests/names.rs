//! Names that programs of this machine ask for, told by the kernel.
#![cfg(target_os = "linux")]
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "these are tests, which start the programs that they look at"
)]

use std::net::{IpAddr, Ipv4Addr, ToSocketAddrs as _};
use std::process::{Command, Stdio};
use std::time::Duration;

use atalaya_host::collector::{Collector as _, Options};
use atalaya_host::linux::ebpf::EbpfCollector;
use atalaya_host::linux::names::{Drained, Names};
use atalaya_host::linux::owners::proc_folder::ProcFolder;
use atalaya_model::observation::{Resolution, SocketEvent};
use atalaya_model::{Observation, Owners, ProcessKey, Time};

fn is_root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        println!("skipped: not root");
    }
    is_root
}

/// Everything that was told by now, with time in microseconds since boot.
fn drain(names: &mut Names) -> (Vec<Resolution>, Drained) {
    let mut told = Vec::new();
    let drained = names.drain(&|nanos| Time((nanos / 1_000) as i64), &mut |resolution| {
        told.push(resolution);
    });
    assert_eq!(told.len() as u64, drained.passed);
    (told, drained)
}

/// Runs a program to its end, and gives its id.
fn run(program: &str, arguments: &[&str]) -> Option<u32> {
    let child = Command::new(program)
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = child else {
        println!("skipped: {program} is not there");
        return None;
    };
    let pid = child.id();
    child.wait().unwrap();
    Some(pid)
}

fn of(told: &[Resolution], pid: u32) -> Vec<(&str, Vec<IpAddr>)> {
    told.iter()
        .filter(|resolution| resolution.process.pid == pid)
        .map(|resolution| (&*resolution.name, resolution.addresses.clone()))
        .collect()
}

#[test]
fn our_own_question_comes_with_our_own_identity() {
    if !is_root() {
        return;
    }
    let mut names = Names::open().unwrap();
    assert!(!names.libraries().is_empty());
    let before = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let answer: Vec<IpAddr> = ("LOCALHOST", 80)
        .to_socket_addrs()
        .unwrap()
        .map(|address| address.ip())
        .collect();
    assert!(("127.0.0.1", 80).to_socket_addrs().is_ok());
    let (told, _) = drain(&mut names);
    let own = std::process::id();
    let start = ProcFolder::open().unwrap().start_of(own).unwrap();
    let ours: Vec<&Resolution> = told
        .iter()
        .filter(|resolution| resolution.process == ProcessKey { pid: own, start })
        .collect();
    let [only] = ours[..] else {
        unreachable!("{told:?}");
    };
    assert_eq!((&*only.name, &only.addresses), ("localhost", &answer));
    assert!(only.time.0 / 1_000_000 >= before.tv_sec && only.time.0 / 1_000_000 <= before.tv_sec + 60);
}

#[test]
fn short_lived_programs_and_older_functions() {
    if !is_root() {
        return;
    }
    let mut names = Names::open().unwrap();
    let localhost = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let getent = run("getent", &["ahostsv4", "localhost"]);
    let old = run("getent", &["hosts", "localhost"]);
    let script = "import socket; socket.getaddrinfo('localhost', 80, socket.AF_INET)
socket.gethostbyname_ex('localhost')
socket.getaddrinfo('127.0.0.1', 80)
try: socket.getaddrinfo('no-such-name.invalid', 80)
except OSError: pass";
    let python = run("python3", &["-c", script]);
    let (told, drained) = drain(&mut names);
    assert_eq!(drained.lost, 0);
    if let Some(pid) = getent {
        assert_eq!(of(&told, pid), [("localhost", vec![localhost])]);
    }
    if let Some(pid) = old {
        // `getent hosts` asks for IPv6 by gethostbyname2 first.
        let told = of(&told, pid);
        assert!(!told.is_empty() && told.iter().all(|(name, _)| *name == "localhost"));
    }
    if let Some(pid) = python {
        // One function may ask by the other, and then both tell it.
        let told = of(&told, pid);
        assert!(told.len() >= 2, "{told:?}");
        assert!(told.iter().all(|told| *told == ("localhost", vec![localhost])));
    }
}

/// Answers every question for IPv4 with 20 addresses, for IPv6 with one, and asks itself.
const SERVER: &str = r"
import socket, struct, threading
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(('127.0.0.1', 53))
def serve():
    while True:
        question, client = server.recvfrom(512)
        end = question.index(0, 12) + 5
        kind, = struct.unpack('!H', question[end - 4:end - 2])
        if kind == 1:
            answers = [bytes([192, 0, 2, n]) for n in range(20)]
        else:
            answers = [socket.inet_pton(socket.AF_INET6, '2001:db8::1')]
        reply = question[:2] + struct.pack('!5H', 0x8580, 1, len(answers), 0, 0) + question[12:end]
        for answer in answers:
            reply += struct.pack('!HHHIH', 0xc00c, kind, 1, 60, len(answer)) + answer
        server.sendto(reply, client)
threading.Thread(target=serve, daemon=True).start()
for family in (socket.AF_INET6, socket.AF_INET):
    socket.getaddrinfo('Many.Example.', 443, family)
";

#[test]
fn many_addresses_from_a_name_server() {
    if !is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let configuration = folder.path().join("resolv.conf");
    std::fs::write(&configuration, "nameserver 127.0.0.1\n").unwrap();
    let script = "ip link set lo up && mount --bind \"$1\" /etc/resolv.conf && exec python3 -c \"$2\"";
    let mut names = Names::open().unwrap();
    let pid = run(
        "unshare",
        &[
            "--net",
            "--mount",
            "sh",
            "-c",
            script,
            "sh",
            configuration.to_str().unwrap(),
            SERVER,
        ],
    );
    let (told, _) = drain(&mut names);
    let Some(pid) = pid else { return };
    let told = of(&told, pid);
    if told.is_empty() {
        // No `ip`, no Python, no resolv.conf to mount upon, or a host that asks no name server.
        println!("skipped: nothing could be asked in a namespace of its own");
        return;
    }
    assert!(told.iter().all(|(name, _)| *name == "many.example"));
    assert_eq!(told[0].1, [IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1])]);
    let addresses = &told.last().unwrap().1;
    assert_eq!(addresses.len(), 16);
    assert!(
        addresses
            .iter()
            .all(|address| address.to_string().starts_with("192.0.2."))
    );
}

#[test]
fn two_watchers_are_told_the_same_and_a_full_ring_is_counted() {
    if !is_root() {
        return;
    }
    let (mut first, mut second) = (Names::open().unwrap(), Names::open().unwrap());
    let own = std::process::id();
    // The ring has room for some hundred answers.
    let asked = 2_000;
    for _ in 0..asked {
        assert!(("localhost", 0).to_socket_addrs().is_ok());
    }
    for names in [&mut first, &mut second] {
        let (told, drained) = drain(names);
        let ours = of(&told, own).len() as u64;
        assert!(ours > 100 && drained.lost > 0, "{drained:?}");
        // Other programs may have asked meanwhile.
        assert!(ours + drained.lost + (drained.passed - ours) + drained.idle >= asked);
        assert!(ours <= asked && drained.passed + drained.idle + drained.lost < asked + 500);
        assert_eq!(drain(names).1.lost, 0);
    }
    drop(first);
    assert!(("localhost", 0).to_socket_addrs().is_ok());
    let (told, drained) = drain(&mut second);
    assert_eq!((of(&told, own).len(), drained.lost), (1, 0));
}

/// Set for the copy of this test that has only two capabilities.
const INSIDE: &str = "ATALAYA_TEST_INSIDE";

#[test]
fn two_capabilities_are_enough() {
    if std::env::var_os(INSIDE).is_some() {
        let mut names = Names::open().unwrap();
        assert!(("localhost", 80).to_socket_addrs().is_ok());
        assert!(!of(&drain(&mut names).0, std::process::id()).is_empty());
        println!("told");
        return;
    }
    if !is_root() {
        return;
    }
    // A place where another user may start it.
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("test");
    std::fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
    for path in [folder.path(), &copy] {
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    let capabilities = "-all,+bpf,+perfmon";
    let inside = Command::new("setpriv")
        .args(["--reuid", "65534", "--clear-groups"])
        .args(["--inh-caps", capabilities, "--ambient-caps", capabilities])
        .arg(format!("--bounding-set={capabilities}"))
        .arg(&copy)
        .args(["--exact", "--nocapture", "two_capabilities_are_enough"])
        .env(INSIDE, "1")
        .output();
    let Ok(inside) = inside else {
        println!("skipped: no setpriv");
        return;
    };
    let output = String::from_utf8_lossy(&inside.stdout);
    let complaint = String::from_utf8_lossy(&inside.stderr);
    if complaint.contains("perf_event_open") {
        println!("skipped: before Linux 6.6 more is needed");
        return;
    }
    assert!(output.contains("told"), "{output}{complaint}");
}

#[test]
fn the_ring_is_readable_when_it_fills() {
    if !is_root() {
        return;
    }
    let mut names = Names::open().unwrap();
    let is_readable = |names: &Names| {
        let mut waiting = [rustix::event::PollFd::new(names, rustix::event::PollFlags::IN)];
        let timeout = rustix::event::Timespec::try_from(Duration::from_millis(1)).unwrap();
        rustix::event::poll(&mut waiting, Some(&timeout)).unwrap() > 0
    };
    drain(&mut names);
    for _ in 0..300 {
        assert!(("localhost", 0).to_socket_addrs().is_ok());
    }
    assert!(is_readable(&names));
}

#[test]
fn the_name_comes_before_the_connection() {
    if !is_root() {
        return;
    }
    let options = Options {
        hash: false,
        packages: false,
        every_process: false,
        ..Options::default()
    };
    let mut collector = match EbpfCollector::open(options) {
        Ok(collector) => collector,
        Err(error) => {
            println!("skipped: failed to {error}");
            return;
        }
    };
    collector.look(&mut |_| {}).unwrap();
    let script = "import socket
server = socket.create_server(('127.0.0.1', 0))
client = socket.create_connection(('localhost', server.getsockname()[1]))
server.accept()[0].close()";
    let Some(pid) = run("python3", &["-c", script]) else {
        return;
    };
    let mut told = Vec::new();
    for _ in 0..100 {
        collector
            .wait(Duration::from_millis(20), &mut |observation| match observation {
                Observation::Resolved(resolution) if resolution.process.pid == pid => told.push("name"),
                Observation::SocketEvents(events) => {
                    let of_it = |owners: &Owners| matches!(owners, Owners::Used(key) if key.pid == pid);
                    let is_ours = |event: &&SocketEvent| of_it(&event.socket.owners);
                    told.extend(events.iter().filter(is_ours).map(|_| "connection"));
                }
                _ => {}
            })
            .unwrap();
        if told.contains(&"connection") {
            break;
        }
    }
    assert_eq!(told.first(), Some(&"name"), "{told:?}");
    assert!(told.contains(&"connection"), "{told:?}");
}
