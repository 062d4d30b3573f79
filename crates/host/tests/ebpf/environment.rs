//! Where the programs work, where not and why, and what they leave behind.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use atalaya_host::collector::Collector as _;
use atalaya_host::linux::ebpf::EbpfCollector;
use atalaya_model::Transport;

use crate::watch::{Told, Watch, is_root, options, outcome, user};

/// Set for the copy of this test that only watches.
const ROLE: &str = "ATALAYA_TEST_WATCHES";

/// A copy of this program that watches, and says what it sees.
struct Other {
    child: Child,
    said: Vec<String>,
}

impl Other {
    /// Starts it by these words, which end in the program to start.
    fn start(words: &[&str]) -> Self {
        let own = std::env::current_exe().unwrap();
        let mut words = words.iter();
        let mut command = match words.next() {
            Some(first) => Command::new(first),
            None => Command::new(&own),
        };
        command.args(words.clone());
        if words.len() > 0 {
            command.arg(&own);
        }
        let mut child = command
            .args(["--exact", "environment::watches_for_another_test", "--nocapture"])
            .env(ROLE, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut said = Vec::new();
        for line in output.lines().map_while(Result::ok) {
            if let Some((_, what)) = line.split_once("says: ") {
                said.push(what.to_owned());
                if what == "done" {
                    break;
                }
            }
        }
        Self { child, said }
    }

    fn says(&self, text: &str) -> bool {
        self.said.iter().any(|line| line.contains(text))
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn watches_for_another_test() {
    if std::env::var_os(ROLE).is_none() {
        return;
    }
    let mut kept = None;
    match EbpfCollector::open(options()) {
        Ok(collector) => {
            for limit in collector.report().limits {
                println!("says: limit {} ({})", limit.what, limit.remedy);
            }
            let mut watch = Watch {
                collector,
                told: Told::default(),
            };
            watch.look();
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
            udp.send_to(b"1", "127.0.0.1:9").unwrap();
            let (port, udp_port) = (
                client.local_addr().unwrap().port(),
                udp.local_addr().unwrap().port(),
            );
            drop((listener.accept().unwrap(), client, udp));
            watch.until("the client", |told| {
                told.at_port(port)
                    .any(|event| outcome(event).is_some() && user(event) == Some(std::process::id()))
            });
            let is_udp =
                |event: &atalaya_model::observation::SocketEvent| event.socket.transport == Transport::Udp;
            println!("says: tcp seen");
            if watch.told.at_port(udp_port).any(is_udp) {
                println!("says: udp seen");
            }
            kept = Some(watch);
        }
        Err(error) => println!("says: failed to {error}"),
    }
    println!("says: done");
    drop(std::io::stdin().read(&mut [0]));
    drop(kept);
}

/// As the user nobody, with these capabilities.
fn as_nobody(capabilities: &str) -> Other {
    let (ambient, inherited) = match capabilities {
        "" => ("-all".to_owned(), "-all".to_owned()),
        some => (some.to_owned(), some.to_owned()),
    };
    let words = [
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        "--inh-caps",
        &inherited,
        "--ambient-caps",
        &ambient,
    ];
    Other::start(&words)
}

#[test]
fn three_capabilities_are_enough() {
    if !is_root() {
        return;
    }
    let other = as_nobody("+bpf,+perfmon,+net_admin");
    assert!(
        other.says("tcp seen") && other.says("udp seen"),
        "{:?}",
        other.said
    );
    // The process of others could not be read, but this was its own.
    assert!(!other.says("limit UDP"), "{:?}", other.said);
}

#[test]
fn without_a_capability_it_says_which() {
    if !is_root() {
        return;
    }
    let other = as_nobody("");
    assert!(
        other.says("failed to load the kernel programs: no CAP_BPF and CAP_PERFMON: run as root"),
        "{:?}",
        other.said
    );
    let other = as_nobody("+bpf");
    assert!(other.says("no CAP_PERFMON"), "{:?}", other.said);
    // TCP needs no more; datagrams do, and it says so.
    let other = as_nobody("+bpf,+perfmon");
    assert!(
        other.says("tcp seen") && !other.says("udp seen"),
        "{:?}",
        other.said
    );
    assert!(
        other.says("limit UDP, ICMP and raw sockets") && other.says("CAP_NET_ADMIN"),
        "{:?}",
        other.said
    );
}

#[test]
fn without_types_of_the_kernel_it_says_so() {
    if !is_root() {
        return;
    }
    let hide = "mount -t tmpfs none /sys/kernel/btf && exec \"$@\"";
    let other = Other::start(&["unshare", "--mount", "sh", "-c", hide, "sh"]);
    assert!(
        other.says("failed to read the kernel's types") && other.says("CONFIG_DEBUG_INFO_BTF"),
        "{:?}",
        other.said
    );
}

#[test]
fn without_control_groups_mounted_datagrams_are_still_seen() {
    if !is_root() {
        return;
    }
    let hide = "for point in $(sed -n 's/^[^ ]* [^ ]* [^ ]* [^ ]* \\([^ ]*\\) .* - cgroup2 .*/\\1/p' /proc/self/mountinfo); \
                do umount -l \"$point\"; done; exec \"$@\"";
    let other = Other::start(&["unshare", "--mount", "sh", "-c", hide, "sh"]);
    assert!(other.says("udp seen"), "{:?}", other.said);
}

/// Numbers after `name` in what the kernel says of the descriptors of a process.
fn numbers(pid: u32, name: &str) -> BTreeSet<u32> {
    let mut numbers = BTreeSet::new();
    for entry in std::fs::read_dir(format!("/proc/{pid}/fdinfo"))
        .unwrap()
        .flatten()
    {
        let mut text = String::new();
        if std::fs::File::open(entry.path())
            .and_then(|mut file| file.read_to_string(&mut text))
            .is_ok()
        {
            let lines = text.lines().filter_map(|line| line.strip_prefix(name));
            numbers.extend(lines.filter_map(|rest| rest.trim().parse::<u32>().ok()));
        }
    }
    numbers
}

#[test]
fn nothing_is_left_of_one_that_is_killed() {
    if !is_root() {
        return;
    }
    let mut other = Other::start(&[]);
    assert!(other.says("tcp seen"), "{:?}", other.said);
    let programs = numbers(other.child.id(), "prog_id:");
    let links = numbers(other.child.id(), "link_id:");
    assert!(
        programs.len() >= 10 && links.len() >= 10,
        "{programs:?} {links:?}"
    );
    other.child.kill().unwrap();
    other.child.wait().unwrap();
    let left = || -> Vec<u32> {
        let there = aya::programs::loaded_programs()
            .flatten()
            .map(|program| program.id());
        there.filter(|id| programs.contains(id)).collect()
    };
    // The kernel lets go of them a moment later.
    for _ in 0..500 {
        if left().is_empty() {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("left behind: {:?}", left());
}

#[test]
fn two_watchers_see_the_same() {
    let Some(mut one) = Watch::start() else { return };
    let mut two = Watch::with(options());
    let converse = || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        udp.send_to(b"12345", "127.0.0.1:9").unwrap();
        let addresses = (client.local_addr().unwrap(), client.peer_addr().unwrap());
        drop(listener.accept().unwrap());
        (addresses, udp.local_addr().unwrap())
    };
    let ((local, remote), udp) = converse();
    let discard = "127.0.0.1:9".parse().unwrap();
    let mut counters = [&mut one, &mut two].map(|watch| {
        let tcp = watch.closed(Transport::Tcp, local, remote);
        let udp = watch.closed(Transport::Udp, udp, discard);
        (tcp.socket, udp.socket)
    });
    counters.iter_mut().for_each(|(tcp, _)| tcp.inode = 0);
    assert_eq!(counters[0], counters[1]);
    // One goes, the other stays.
    drop(one);
    let ((local, remote), _) = converse();
    two.closed(Transport::Tcp, local, remote);
}
