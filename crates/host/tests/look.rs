//! Live looks at this machine, beside `ss`, with processes, namespaces and sockets that the tests make.
#![cfg(target_os = "linux")]
#![expect(
    clippy::disallowed_methods,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "these are tests, which start the programs that they look at"
)]

use std::collections::{BTreeSet, HashMap};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use atalaya_host::collector::{Collector as _, Options};
use atalaya_host::linux::poll::PollCollector;
use atalaya_model::observation::Look;
use atalaya_model::{
    Endpoint, Evidence, Observation, Owners, Process, ProcessKey, Socket, SocketState, Transport,
};

/// Set for the copy of this test that only holds sockets.
const HOLD: &str = "ATALAYA_TEST_HOLD";

fn options() -> Options {
    Options {
        hash: false,
        packages: false,
        ..Options::default()
    }
}

fn is_root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        println!("skipped: not root");
    }
    is_root
}

/// What one look, or one wait, gave.
#[derive(Default)]
struct Seen {
    processes: HashMap<ProcessKey, Arc<Process>>,
    sockets: Vec<Socket>,
    closed: Vec<Socket>,
    gone: Vec<ProcessKey>,
    look: Look,
}

impl Seen {
    fn take(&mut self, observation: Observation) {
        match observation {
            Observation::Process(_, process) => {
                self.processes.insert(process.key, process);
            }
            Observation::ProcessGone(_, key) => self.gone.push(key),
            Observation::Sockets(_, sockets) => {
                assert!(sockets.len() <= 4096);
                self.sockets.extend(sockets);
            }
            Observation::SocketClosed(_, socket) => self.closed.push(socket),
            Observation::LookDone(_, look) => self.look = look,
            Observation::Gap(gap) => panic!("{gap:?}"),
            Observation::Tier(..) => {}
            other => panic!("not of this tier: {other:?}"),
        }
    }

    /// The owners of the sockets with this address in our own namespace, which is read first.
    fn owners_of(&self, local: SocketAddr) -> Vec<&Owners> {
        let local = Endpoint::new(local.ip(), local.port());
        let own = self.look.namespaces[0];
        // TIME_WAIT of an earlier connection may have the same local port.
        let is = |socket: &&Socket| socket.local == local && socket.namespace == own && socket.inode != 0;
        self.sockets
            .iter()
            .filter(is)
            .map(|socket| &socket.owners)
            .collect()
    }
}

fn look(collector: &mut PollCollector) -> Seen {
    let mut seen = Seen::default();
    collector.look(&mut |observation| seen.take(observation)).unwrap();
    seen
}

/// Waits until `done`, for as long as a slow machine may need.
fn wait(collector: &mut PollCollector, mut done: impl FnMut(&Seen) -> bool) -> Seen {
    let mut seen = Seen::default();
    for _ in 0..500 {
        collector
            .wait(Duration::from_millis(20), &mut |observation| {
                seen.take(observation)
            })
            .unwrap();
        if done(&seen) {
            break;
        }
    }
    seen
}

fn keys(owners: &Owners) -> &[ProcessKey] {
    match owners {
        Owners::Unknown(_) => &[],
        Owners::One(key) | Owners::Used(key) | Owners::Accepting(key) => std::slice::from_ref(key),
        Owners::Many(keys) => keys,
    }
}

/// A process that holds sockets until it is dropped.
struct Holder(Child);

impl Holder {
    /// `count` of each kind; `prefix` is a command that starts it (`ip netns exec …`).
    fn start(count: usize, user: Option<u32>, prefix: &[&str]) -> std::io::Result<Self> {
        let own = std::env::current_exe()?;
        let mut command = match prefix {
            [] => Command::new(own),
            [program, arguments @ ..] => {
                let mut command = Command::new(program);
                command.args(arguments).arg(own);
                command
            }
        };
        command.args(["--exact", "holds_sockets_for_another_test", "--nocapture"]);
        command
            .env(HOLD, count.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        if let Some(user) = user {
            command.uid(user).gid(user);
        }
        let mut child = command.spawn()?;
        let output = BufReader::new(child.stdout.take().unwrap());
        let ready = output
            .lines()
            .map_while(Result::ok)
            .any(|line| line.contains("ready"));
        let holder = Self(child);
        assert!(ready, "the holder did not get ready");
        Ok(holder)
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn holds_sockets_for_another_test() {
    let Some(count) = std::env::var_os(HOLD) else {
        return;
    };
    let count: usize = count.to_str().unwrap().parse().unwrap();
    let mut kept: Vec<Box<dyn std::any::Any>> = Vec::new();
    for ip in ["127.0.0.1", "::1"] {
        let ip: IpAddr = ip.parse().unwrap();
        let listener = TcpListener::bind((ip, 0)).unwrap();
        let server = UdpSocket::bind((ip, 0)).unwrap();
        for _ in 0..count {
            let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            kept.push(Box::new((client, listener.accept().unwrap())));
            let udp = UdpSocket::bind((ip, 0)).unwrap();
            udp.connect(server.local_addr().unwrap()).unwrap();
            kept.push(Box::new((udp, UdpSocket::bind((ip, 0)).unwrap())));
        }
        kept.push(Box::new((listener, server)));
    }
    // Both families at once, and an IPv4 peer that the kernel writes as IPv6.
    let wildcard = TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0)).unwrap();
    let mapped = TcpStream::connect(("127.0.0.1", wildcard.local_addr().unwrap().port())).unwrap();
    let accepted = wildcard.accept().unwrap();
    kept.push(Box::new(UdpSocket::bind(("0.0.0.0", 0)).unwrap()));
    println!("ready");
    drop(std::io::stdin().read_to_end(&mut Vec::new()));
    drop((kept, wildcard, mapped, accepted));
}

type Row = (Transport, SocketState, Endpoint, Endpoint, BTreeSet<u32>);

/// What `ss` says of the sockets of these processes.
fn rows_of_ss(pids: &[u32]) -> BTreeSet<Row> {
    let output = Command::new("ss").args(["-tunap", "-H", "-O"]).output().unwrap();
    let mut rows = BTreeSet::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let holders: BTreeSet<u32> = line
            .split("pid=")
            .skip(1)
            .filter_map(|rest| rest.split(',').next()?.parse().ok())
            .filter(|pid| pids.contains(pid))
            .collect();
        if holders.is_empty() {
            continue;
        }
        let columns: Vec<&str> = line.split_whitespace().collect();
        let transport = if columns[0] == "tcp" {
            Transport::Tcp
        } else {
            Transport::Udp
        };
        let state = match columns[1] {
            "ESTAB" => SocketState::Established,
            "LISTEN" => SocketState::Listen,
            "UNCONN" => SocketState::Close,
            other => panic!("state {other}"),
        };
        rows.insert((
            transport,
            state,
            endpoint(columns[4]),
            endpoint(columns[5]),
            holders,
        ));
    }
    rows
}

/// An address as `ss` writes it: `[::1]:80`, `127.0.0.1%lo:80`, `*:80`, `0.0.0.0:*`.
fn endpoint(text: &str) -> Endpoint {
    let (ip, port) = text.rsplit_once(':').unwrap();
    let ip = ip.trim_matches(['[', ']']).split('%').next().unwrap();
    let ip: IpAddr = if ip == "*" {
        Ipv6Addr::UNSPECIFIED.into()
    } else {
        ip.parse().unwrap()
    };
    Endpoint::new(ip, port.parse().unwrap_or(0))
}

fn rows_of(seen: &Seen, pids: &[u32]) -> BTreeSet<Row> {
    let rows = seen.sockets.iter().filter_map(|socket| {
        // Of the holders only those: another test's socket may be inherited here, and be closed there meanwhile.
        let holders: BTreeSet<u32> = keys(&socket.owners)
            .iter()
            .map(|key| key.pid)
            .filter(|pid| pids.contains(pid))
            .collect();
        (!holders.is_empty()).then_some((
            socket.transport,
            socket.state,
            socket.local,
            socket.remote,
            holders,
        ))
    });
    rows.collect()
}

#[test]
fn a_look_agrees_with_ss_both_ways() {
    if !is_root() {
        return;
    }
    let mut holders = vec![Holder::start(60, None, &[]).unwrap()];
    match Holder::start(40, Some(65_534), &[]) {
        Ok(holder) => holders.push(holder),
        Err(error) => println!("skipped: a holder of another user: {error}"),
    }
    let pids: Vec<u32> = holders.iter().map(|holder| holder.0.id()).collect();
    for options in [
        Options {
            follow: false,
            every_process: false,
            ..options()
        },
        options(),
    ] {
        let mut collector = PollCollector::open(options).unwrap();
        for _ in 0..2 {
            let seen = look(&mut collector);
            let (ours, theirs) = (rows_of(&seen, &pids), rows_of_ss(&pids));
            assert!(theirs.len() > 300, "only {}", theirs.len());
            let only_ours: Vec<_> = ours.difference(&theirs).collect();
            let only_theirs: Vec<_> = theirs.difference(&ours).collect();
            assert!(
                only_ours.is_empty() && only_theirs.is_empty(),
                "{only_ours:?}\n{only_theirs:?}"
            );
            let own = [pids[0]];
            let user = |socket: &&Socket| keys(&socket.owners).iter().any(|key| own.contains(&key.pid));
            assert!(seen.sockets.iter().filter(user).all(|socket| socket.user_id == 0));
        }
    }
}

#[test]
fn processes_come_before_the_sockets_that_name_them() {
    let _listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut collector = PollCollector::open(Options {
        follow: false,
        every_process: false,
        ..options()
    })
    .unwrap();
    let mut known = BTreeSet::new();
    let mut last = None;
    collector
        .look(&mut |observation| {
            match &observation {
                Observation::Process(_, process) => {
                    // Parents are told before their children.
                    assert!(
                        process
                            .ancestors
                            .iter()
                            .all(|ancestor| known.contains(&ancestor.key))
                    );
                    known.insert(process.key);
                }
                Observation::Sockets(_, sockets) => {
                    for key in sockets.iter().flat_map(|socket| keys(&socket.owners)) {
                        assert!(known.contains(key), "{key:?} is not described");
                    }
                }
                _ => {}
            }
            last = Some(observation);
        })
        .unwrap();
    assert!(matches!(last, Some(Observation::LookDone(_, look)) if !look.namespaces.is_empty()));
    assert!(known.iter().any(|key| key.pid == std::process::id()));
}

/// Sends 5,000 bytes one way and 70 the other over a connection, and gives its two ends.
fn talk() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut server, _) = listener.accept().unwrap();
    client.write_all(&[1; 5_000]).unwrap();
    server.read_exact(&mut [0; 5_000]).unwrap();
    server.write_all(&[2; 70]).unwrap();
    client.read_exact(&mut [0; 70]).unwrap();
    (client, server)
}

#[test]
fn sockets_that_close_are_told_with_bytes_and_process() {
    let mut collector = PollCollector::open(options()).unwrap();
    look(&mut collector);
    let (seen_client, seen_server) = talk();
    let seen_port = seen_client.local_addr().unwrap();
    let seen = look(&mut collector);
    let own = std::process::id();
    let owners = seen.owners_of(seen_port);
    assert!(
        matches!(owners[..], [owners] if keys(owners).iter().any(|key| key.pid == own)),
        "{owners:?}"
    );

    let (brief_client, brief_server) = talk();
    let brief_port = brief_client.local_addr().unwrap();
    let peers = [
        seen_client.peer_addr().unwrap().port(),
        brief_client.peer_addr().unwrap().port(),
    ];
    drop((seen_client, seen_server, brief_client, brief_server));
    let is = |socket: &Socket, address: SocketAddr| {
        socket.local == Endpoint::new(address.ip(), address.port()) && peers.contains(&socket.remote.port)
    };
    let seen = wait(&mut collector, |seen| {
        [seen_port, brief_port]
            .iter()
            .all(|port| seen.closed.iter().any(|socket| is(socket, *port)))
    });
    for port in [seen_port, brief_port] {
        let closed = seen
            .closed
            .iter()
            .find(|socket| is(socket, port))
            .expect("no notice");
        let traffic = closed.traffic.unwrap();
        assert_eq!(traffic.sent_bytes, 5_000);
        assert!((70..=71).contains(&traffic.received_bytes), "{traffic:?}");
        if port == seen_port {
            assert!(
                keys(&closed.owners).iter().any(|key| key.pid == own),
                "{closed:?}"
            );
        } else {
            assert_eq!(closed.owners, Owners::Unknown(Evidence::BetweenLooks));
        }
    }
}

#[test]
fn a_socket_that_two_processes_hold_names_both_the_oldest_first() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut collector = PollCollector::open(options()).unwrap();
    look(&mut collector);
    rustix::io::fcntl_setfd(&listener, rustix::io::FdFlags::empty()).unwrap();
    let mut child = Command::new("sleep").arg("600").spawn().unwrap();
    rustix::io::fcntl_setfd(&listener, rustix::io::FdFlags::CLOEXEC).unwrap();
    let seen = look(&mut collector);
    let both: Vec<u32> = keys(seen.owners_of(address)[0])
        .iter()
        .map(|key| key.pid)
        .collect();
    // The first holder lets go; the socket lives on in its child.
    drop(listener);
    let mut now = Vec::new();
    for _ in 0..50 {
        let seen = look(&mut collector);
        now = keys(seen.owners_of(address)[0])
            .iter()
            .map(|key| key.pid)
            .collect();
        if !now.contains(&std::process::id()) {
            break;
        }
    }
    let id = child.id();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(both.first(), Some(&std::process::id()));
    assert!(both.contains(&id));
    assert!(now.contains(&id) && !now.contains(&std::process::id()), "{now:?}");
}

#[test]
fn processes_start_become_another_program_and_end() {
    let mut collector = PollCollector::open(options()).unwrap();
    let first = look(&mut collector);
    assert!(first.look.processes > 0);
    let mut child = Command::new("sh")
        .args(["-c", "read line; exec sleep 600"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let find = |seen: &Seen| {
        seen.processes
            .values()
            .find(|process| process.key.pid == child.id())
            .cloned()
    };
    let shell = find(&look(&mut collector)).expect("a new process is described");
    drop(child.stdin.take());
    let mut sleep = None;
    for _ in 0..200 {
        let seen = look(&mut collector);
        sleep = sleep.or_else(|| {
            seen.processes
                .values()
                .find(|process| &*process.name == "sleep" && process.key == shell.key)
                .cloned()
        });
        if sleep.is_some() {
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let seen = look(&mut collector);
    assert!(sleep.is_some(), "the exec was not noticed");
    assert!(seen.gone.contains(&shell.key));
}

/// A network namespace of the test's own.
struct TestNamespace(String);

impl TestNamespace {
    fn make() -> Option<Self> {
        let name = format!("atalaya-test-{}", std::process::id());
        let made = Command::new("ip").args(["netns", "add", &name]).status();
        if !made.is_ok_and(|status| status.success()) {
            println!("skipped: `ip netns add` does not work here");
            return None;
        }
        let namespace = Self(name);
        let up = ["netns", "exec", &namespace.0, "ip", "link", "set", "lo", "up"];
        assert!(Command::new("ip").args(up).status().unwrap().success());
        Some(namespace)
    }
}

impl Drop for TestNamespace {
    fn drop(&mut self) {
        drop(Command::new("ip").args(["netns", "delete", &self.0]).status());
    }
}

#[test]
fn sockets_in_another_network_namespace_are_seen_and_let_go() {
    use std::os::unix::fs::MetadataExt as _;
    if !is_root() {
        return;
    }
    let Some(namespace) = TestNamespace::make() else {
        return;
    };
    let inode = std::fs::metadata(format!("/run/netns/{}", namespace.0))
        .unwrap()
        .ino() as u32;
    let mut collector = PollCollector::open(options()).unwrap();
    assert!(
        look(&mut collector).look.namespaces.contains(&inode),
        "an empty namespace is pinned by its file"
    );

    let holder = Holder::start(30, None, &["ip", "netns", "exec", &namespace.0]).unwrap();
    let pid = holder.0.id();
    let seen = look(&mut collector);
    assert!(seen.look.namespaces.contains(&inode));
    let inside: Vec<&Socket> = seen
        .sockets
        .iter()
        .filter(|socket| socket.namespace == inode)
        .collect();
    assert!(inside.len() > 200, "only {}", inside.len());
    assert!(
        inside
            .iter()
            .all(|socket| keys(&socket.owners).iter().any(|key| key.pid == pid))
    );
    assert!(
        seen.sockets
            .iter()
            .filter(|socket| socket.namespace != inode)
            .all(|socket| { keys(&socket.owners).iter().all(|key| key.pid != pid) })
    );

    drop(holder);
    let seen = wait(&mut collector, |seen| {
        seen.closed
            .iter()
            .filter(|socket| socket.namespace == inode)
            .count()
            > 200
    });
    let closed: Vec<&Socket> = seen
        .closed
        .iter()
        .filter(|socket| socket.namespace == inode)
        .collect();
    assert!(closed.len() > 200, "only {} told closed", closed.len());
    assert!(
        closed
            .iter()
            .all(|socket| keys(&socket.owners).iter().any(|key| key.pid == pid))
    );

    drop(namespace);
    assert!(
        !look(&mut collector).look.namespaces.contains(&inode),
        "the namespace is held"
    );
}
