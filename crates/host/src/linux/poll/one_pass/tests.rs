//! One pass beside dumps and a walk through `/proc`, over the same sockets.
#![expect(
    clippy::disallowed_methods,
    reason = "these tests start themselves in network namespaces of their own"
)]

use std::any::Any;
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use atalaya_model::{Endpoint, Observation};
use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto};

use super::*;
use crate::collector::{Collector as _, Options};
use crate::linux::poll::PollCollector;

/// Set for the copy of this test that runs in a network namespace of its own.
const INSIDE: &str = "ATALAYA_TEST_INSIDE";
/// That test.
const NAME: &str = "linux::poll::one_pass::tests::it_tells_what_dumps_and_a_walk_tell";

#[test]
fn the_kernels_own_count() {
    let four = "sockets: used 290\nTCP: inuse 7 orphan 0 tw 3 alloc 9 mem 1\nUDP: inuse 4 mem 0\n";
    let six = "TCP6: inuse 2\nUDP6: inuse 1\n";
    let count = |in_use| Some(Count { in_use, waiting: 3 });
    assert_eq!(
        (Count::read(four, six), Count::read(four, "")),
        (count(9), count(7))
    );
    assert_eq!(Count::read("TCP: inuse", six), None);
    assert!(Count::of(std::process::id()).is_some() && files_open() > 0);
}

type Key = (u32, u64, Endpoint);

/// The sockets of these namespaces, and how many were told twice.
fn look(one_pass: bool, namespaces: &[u32]) -> (BTreeMap<Key, Socket>, usize) {
    let options = Options {
        hash: false,
        packages: false,
        ..Options::single_look()
    };
    let mut collector = PollCollector::open(options).unwrap();
    collector.one_pass = one_pass.then(|| Sockets::open().unwrap());
    let (mut sockets, mut twice) = (BTreeMap::new(), 0);
    let mut see = |observation| match observation {
        Observation::Sockets(_, list) => {
            for socket in list {
                if namespaces.contains(&socket.namespace) {
                    let key = (socket.namespace, socket.cookie, socket.remote);
                    twice += usize::from(sockets.insert(key, socket).is_some());
                }
            }
        }
        Observation::Gap(gap) => unreachable!("{gap:?}"),
        _ => {}
    };
    collector.look(&mut see).unwrap();
    (sockets, twice)
}

/// Looks in both ways, which must be told the same.
fn compare(name: &str, namespaces: &[u32]) -> BTreeMap<Key, Socket> {
    let (slow, _) = look(false, namespaces);
    let (fast, twice) = look(true, namespaces);
    assert_eq!(twice, 0, "{name}");
    for (key, socket) in &slow {
        assert_eq!(fast.get(key), Some(socket), "{name}: {key:?}");
    }
    for (key, socket) in &fast {
        assert!(slow.contains_key(key), "{name}: only in one pass: {socket:?}");
    }
    println!("compared {} sockets: {name}", slow.len());
    slow
}

fn namespace_of(pid: &str) -> u32 {
    let path = format!("/proc/{pid}/ns/net");
    rustix::fs::stat(&path).unwrap().st_ino as u32
}

/// Sockets of every kind that a dump names.
fn sockets() -> Vec<Box<dyn Any>> {
    let mut kept: Vec<Box<dyn Any>> = Vec::new();
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let listener = TcpListener::bind(address).unwrap();
        let place = listener.local_addr().unwrap();
        let connect = || (TcpStream::connect(place).unwrap(), listener.accept().unwrap().0);
        for _ in 0..50 {
            let (mut client, mut server) = connect();
            client.write_all(b"some bytes").unwrap();
            let mut buffer = [0; 10];
            server.read_exact(&mut buffer).unwrap();
            kept.push(Box::new((client, server)));
        }
        // One end closed: FIN_WAIT2, CLOSE_WAIT. Both in turn: TIME_WAIT. A FIN that nobody reads.
        let (half, other) = connect();
        half.shutdown(Shutdown::Write).unwrap();
        let (first, last) = connect();
        drop(first);
        drop(last);
        let (lonely, gone) = connect();
        drop(gone);
        kept.push(Box::new((half, other, lonely)));
        // A socket with two descriptors.
        let (doubled, peer) = connect();
        kept.push(Box::new((doubled.try_clone().unwrap(), doubled, peer)));
        let server = UdpSocket::bind(address).unwrap();
        let client = UdpSocket::bind(address).unwrap();
        client.connect(server.local_addr().unwrap()).unwrap();
        kept.push(Box::new((server, client, listener)));
    }
    // An IPv4 peer that the kernel writes as IPv6.
    let both = TcpListener::bind("[::]:0").unwrap();
    let mapped = TcpStream::connect((Ipv4Addr::LOCALHOST, both.local_addr().unwrap().port())).unwrap();
    kept.push(Box::new((both.accept().unwrap(), both, mapped)));
    for protocol in [ipproto::ICMP, ipproto::RAW] {
        let raw = rustix::net::socket(AddressFamily::INET, SocketType::RAW, Some(protocol)).unwrap();
        kept.push(Box::new(raw));
    }
    // Without a port, and with one, but not used.
    let flags = SocketFlags::CLOEXEC;
    let bare = || rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None).unwrap();
    let bound = bare();
    rustix::net::bind(&bound, &std::net::SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)).unwrap();
    kept.push(Box::new((bare(), bound)));
    kept
}

/// A program that inherits `input`, in a network namespace of its own with a socket of its own.
struct Neighbour(Child);

impl Neighbour {
    fn start(input: impl Into<OwnedFd>) -> Self {
        let script = "import socket, time; s = socket.socket(); s.bind(('', 0)); s.listen(); \
                      print('ready', flush=True); time.sleep(60)";
        let child = Command::new("unshare")
            .args(["--net", "python3", "-c", script])
            .stdin(Stdio::from(input.into()))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut child = Self(child.unwrap());
        let mut ready = [0; 5];
        child.0.stdout.as_mut().unwrap().read_exact(&mut ready).unwrap();
        child
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn it_tells_what_dumps_and_a_walk_tell() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: not root");
        return;
    }
    if let Err(error) = Sockets::open() {
        println!("skipped: {error}");
        return;
    }
    if std::env::var_os(INSIDE).is_none() {
        // Once as it is, and once where processes have other ids than the kernel's own.
        for more in [&[][..], &["--pid", "--fork", "--mount-proc", "--kill-child"]] {
            let inside = Command::new("unshare")
                .arg("--net")
                .args(more)
                .args(["sh", "-c", "ip link set lo up && exec \"$@\"", "sh"])
                .arg(std::env::current_exe().unwrap())
                .args(["--exact", "--nocapture", NAME])
                .env(INSIDE, "1")
                .output()
                .unwrap();
            let output = String::from_utf8_lossy(&inside.stdout);
            assert!(
                inside.status.success(),
                "{output}{}",
                String::from_utf8_lossy(&inside.stderr)
            );
            assert!(output.contains("compared"), "{output}");
        }
        return;
    }
    let own = [namespace_of("self")];
    let stream = TcpListener::bind("127.0.0.1:0").unwrap();
    let shared_too = TcpStream::connect(stream.local_addr().unwrap()).unwrap();
    let accepted = stream.accept().unwrap().0;
    compare("three", &own);

    let kept = sockets();
    let shared = UdpSocket::bind("127.0.0.1:0").unwrap();
    let others = [
        Neighbour::start(shared.try_clone().unwrap()),
        Neighbour::start(shared_too.try_clone().unwrap()),
    ];
    let mut namespaces = own.to_vec();
    namespaces.extend(others.iter().map(|other| namespace_of(&other.0.id().to_string())));
    let all = compare("everything that is held", &namespaces);
    let states = |state| all.values().filter(|socket| socket.state == state).count();
    assert!(states(SocketState::Established) > 200 && states(SocketState::TimeWait) >= 2);
    assert!(states(SocketState::FinWait2) >= 4 && states(SocketState::CloseWait) >= 4);
    let several = all
        .values()
        .filter(|socket| matches!(socket.owners, Named::Many(_)));
    assert_eq!(several.count(), 2);
    // Not every kernel dumps raw sockets.
    assert!(all.values().any(|socket| socket.transport == Transport::Udp));

    // Connections that wait to be accepted are nobody's; so is a half-open one.
    let _waiting = TcpStream::connect(stream.local_addr().unwrap()).unwrap();
    let all = compare("a connection that nobody accepted", &namespaces);
    let nobody = |socket: &&Socket| socket.inode == 0 && socket.state == SocketState::Established;
    assert_eq!(all.values().filter(nobody).count(), 1);

    // A read that waits refers to the file as well.
    let mut blocked = accepted.try_clone().unwrap();
    blocked.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let reader = std::thread::Builder::new()
        .spawn(move || drop(blocked.read(&mut [0])))
        .unwrap();
    compare("a socket that is being read", &namespaces);
    drop(kept);
    compare("what is left", &namespaces);
    shared_too.shutdown(Shutdown::Both).unwrap();
    reader.join().unwrap();
}
