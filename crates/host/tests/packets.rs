//! The packet rings in network namespaces of the tests' own.
#![cfg(target_os = "linux")]
#![expect(
    clippy::disallowed_methods,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "these are tests, which start the programs that they look at"
)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use atalaya_host::HostError;
use atalaya_host::packets::{Capture, Delivery, Interface, Options};
use atalaya_model::filter::parse;
use atalaya_model::gap::StageCount;
use atalaya_model::{Ledger, Stage};
use atalaya_wire::LinkType;
use crossbeam_channel::{Receiver, bounded};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// A network namespace, which ends with the process that lives in it.
struct Place(Child);

impl Place {
    /// Two of them where the machine allows it.
    fn pair() -> Option<[Self; 2]> {
        Some([Self::new()?, Self::new()?])
    }

    fn new() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: network namespaces need root (sudo -E ./test)");
            return None;
        }
        let mut child = Command::new("unshare")
            .args(["--net", "sh", "-c", "echo 1 2>/dev/null >/proc/sys/net/ipv6/conf/default/disable_ipv6; ip link set lo up && echo ready && exec cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert_eq!(line, "ready\n");
        Some(Self(child))
    }

    fn file(&self) -> PathBuf {
        format!("/proc/{}/ns/net", self.0.id()).into()
    }

    fn shell(&self, script: &str) {
        let status = Command::new("nsenter")
            .args([
                "--net",
                "--target",
                &self.0.id().to_string(),
                "--",
                "sh",
                "-ec",
                script,
            ])
            .status()
            .unwrap();
        assert!(status.success(), "{script}");
    }

    /// Runs this in the namespace.
    fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let file = std::fs::File::open(self.file()).unwrap();
        std::thread::scope(|scope| {
            let run = || {
                move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
                work()
            };
            scope.spawn(run).join().unwrap()
        })
    }

    /// A wire to another namespace: 10.77.0.1 here, .2 there.
    fn wire(&self, other: &Self, name: &str, network: u8) {
        self.shell(&format!(
            "ip link add {name} type veth peer name {name} netns {}
             ip addr add 10.{network}.0.1/24 dev {name}; ip link set {name} up",
            other.0.id()
        ));
        other.shell(&format!(
            "ip addr add 10.{network}.0.2/24 dev {name}; ip link set {name} up"
        ));
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        drop(self.0.wait());
    }
}

/// A running capture and what it told.
struct Watched {
    capture: Option<Capture>,
    deliveries: Receiver<Delivery>,
    ledger: Ledger,
    frames: Vec<Seen>,
    appeared: Vec<Interface>,
    gone: Vec<String>,
    lost: u64,
}

/// A frame that was seen.
struct Seen {
    interface: u32,
    link: LinkType,
    vlan: Option<u16>,
    is_outgoing: bool,
    length: u32,
    data: Vec<u8>,
}

impl Watched {
    fn start(place: &Place, options: Options) -> Self {
        let (sender, deliveries) = bounded(64);
        let ledger = Ledger::default();
        let options = Options {
            namespace: Some(place.file()),
            ledger: ledger.clone(),
            ..options
        };
        Self {
            capture: Some(Capture::start(options, sender).unwrap()),
            deliveries,
            ledger,
            frames: Vec::new(),
            appeared: Vec::new(),
            gone: Vec::new(),
            lost: 0,
        }
    }

    fn take(&mut self, delivery: Delivery) {
        match delivery {
            Delivery::Frames(batch) => {
                let frames = batch.captured().map(|captured| Seen {
                    interface: captured.frame.interface,
                    link: captured.frame.link,
                    vlan: captured.frame.vlan,
                    is_outgoing: captured.is_outgoing,
                    length: captured.frame.length,
                    data: captured.frame.data.to_vec(),
                });
                self.frames.extend(frames);
            }
            Delivery::Appeared(interface) => self.appeared.push(interface),
            Delivery::Gone(interface) => self.gone.push(interface.name.to_string()),
            Delivery::Gap(gap) => self.lost += gap.count,
        }
    }

    /// Until it is as it should be.
    #[track_caller]
    fn until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        for _ in 0..200 {
            if done(self) {
                return;
            }
            if let Ok(delivery) = self.deliveries.recv_timeout(Duration::from_millis(50)) {
                self.take(delivery);
            }
        }
        panic!("never {what}");
    }

    /// Ends the capture, and takes what came before the end.
    fn finish(mut self) -> Self {
        let capture = self.capture.take();
        std::thread::scope(|scope| {
            scope.spawn(|| drop(capture));
            while let Ok(delivery) = self.deliveries.recv() {
                self.take(delivery);
            }
        });
        self
    }

    fn named(&self, name: &str) -> Option<&Interface> {
        self.appeared.iter().find(|interface| *interface.name == *name)
    }

    /// How many UDP datagrams over IPv4 to this port were seen on an interface.
    fn datagrams(&self, name: &str, port: u16) -> usize {
        let number = self.named(name).unwrap().number;
        let is_one = |seen: &&Seen| {
            let ip = seen.data.get(14..).unwrap_or_default();
            seen.interface == number
                && seen.link == LinkType::ETHERNET
                && seen.data.get(12..14) == Some(&[8, 0])
                && ip.get(9) == Some(&17)
                && ip.get(22..24) == Some(&port.to_be_bytes())
        };
        self.frames.iter().filter(is_one).count()
    }

    fn counted(&self) -> StageCount {
        let counts = self.ledger.counts();
        counts
            .into_iter()
            .find(|count| count.stage == Stage::PacketRing)
            .unwrap()
    }

    /// What the kernel counted was handed over, but for what it says itself in the last moment (ARP).
    #[track_caller]
    fn check_counts(&self) {
        let counted = self.counted();
        let unread = counted.received - counted.dropped - counted.passed;
        assert!(unread < 8, "{counted:?}");
    }
}

fn send(from: &str, to: &str, count: usize) {
    let socket = UdpSocket::bind(from).unwrap();
    for _ in 0..count {
        // What nobody waits for is refused, and the next call says so.
        drop(socket.send_to(b"a datagram of some length", to));
    }
}

#[test]
fn every_frame_comes_once_on_a_wire_and_on_the_loopback() {
    let Some([here, there]) = Place::pair() else {
        return;
    };
    here.wire(&there, "wire0", 77);
    let mut watched = Watched::start(&here, Options::default());
    watched.until("both interfaces", |it| it.appeared.len() == 2);
    let wire = watched.named("wire0").unwrap().clone();
    assert_eq!((wire.link, wire.is_loopback), (LinkType::ETHERNET, false));
    assert!(
        wire.speed.is_some_and(|speed| speed >= 1_000_000_000),
        "{:?}",
        wire.speed
    );
    assert!(watched.named("lo").unwrap().is_loopback);
    // Receivers, so that nothing is answered by ICMP.
    let _sinks = here.inside(|| {
        [
            UdpSocket::bind("10.77.0.1:7001"),
            UdpSocket::bind("127.0.0.1:7003"),
        ]
        .map(Result::unwrap)
    });
    let _sink = there.inside(|| UdpSocket::bind("10.77.0.2:7002").unwrap());
    here.inside(|| {
        send("10.77.0.1:0", "10.77.0.2:7002", 1_000);
        send("127.0.0.1:0", "127.0.0.1:7003", 1_000);
    });
    there.inside(|| send("10.77.0.2:0", "10.77.0.1:7001", 1_000));
    let listener = there.inside(|| TcpListener::bind("10.77.0.2:0").unwrap());
    let address: SocketAddr = listener.local_addr().unwrap();
    let talk = here.inside(|| {
        std::thread::spawn(move || {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(&[7; 100_000]).unwrap();
        })
    });
    let mut received = Vec::new();
    listener.accept().unwrap().0.read_to_end(&mut received).unwrap();
    talk.join().unwrap();
    let watched = watched.finish();
    for (name, port) in [("wire0", 7001), ("wire0", 7002), ("lo", 7003)] {
        assert_eq!(watched.datagrams(name, port), 1_000, "{name} {port}");
    }
    let outgoing = |it: &&Seen| it.is_outgoing;
    assert!(watched.frames.iter().filter(outgoing).count() >= 1_000);
    assert!(
        watched
            .frames
            .iter()
            .filter(outgoing)
            .all(|it| it.interface == wire.number)
    );
    let payload: u32 = watched
        .frames
        .iter()
        .filter(|it| it.is_outgoing && it.data.get(23) == Some(&6))
        .map(|it| it.length - 14 - 20 - 4 * u32::from(it.data[46] >> 4))
        .sum();
    assert_eq!((received.len(), payload), (100_000, 100_000));
    let counted = watched.counted();
    assert_eq!((counted.dropped, watched.lost), (0, 0));
    assert_eq!(counted.passed, watched.frames.len() as u64);
    watched.check_counts();
}

#[test]
fn tags_are_told() {
    let Some([here, there]) = Place::pair() else {
        return;
    };
    here.wire(&there, "wire0", 77);
    let watched = Watched::start(&here, Options::default());
    // The kernel takes the tag out of what arrives, and leaves it in what this host sends.
    for place in [&here, &there] {
        place.shell(
            "python3 -c '
import socket
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
wire.bind((\"wire0\", 0))
for count in range(100):
    wire.send(bytes(12) + bytes([0x81, 0, 0x60, 5, 0x88, 0xb5]) + bytes(46))
'",
        );
    }
    let watched = watched.finish();
    let tagged = |outgoing: bool, kind: [u8; 2], vlan: Option<u16>| {
        let is_one =
            |it: &&Seen| it.is_outgoing == outgoing && it.data.get(12..14) == Some(&kind) && it.vlan == vlan;
        watched.frames.iter().filter(is_one).count()
    };
    assert_eq!(tagged(false, [0x88, 0xb5], Some(0x6005)), 100);
    assert_eq!(tagged(true, [0x81, 0], None), 100);
}

#[test]
fn a_tunnel_gives_packets_without_a_link() {
    let Some(place) = Place::new() else { return };
    if !std::path::Path::new("/dev/net/tun").exists() {
        eprintln!("skipped: this kernel has no TUN devices");
        return;
    }
    let options = Options {
        filter: parse("network.transport:udp port:7001").unwrap(),
        ..Options::default()
    };
    let mut watched = Watched::start(&place, options);
    place.shell(
        "python3 -c '
import fcntl, os, socket, struct, time
tunnel = os.open(\"/dev/net/tun\", os.O_RDWR)
fcntl.ioctl(tunnel, 0x400454ca, struct.pack(\"16sH\", b\"tun0\", 0x1001))
os.system(\"ip addr add 10.66.0.1/24 dev tun0; ip link set tun0 up; sleep 0.5\")
head = struct.pack(\">BBHHHBBH4s4s\", 0x45, 0, 28, 0, 0, 64, 17, 0, bytes([10, 66, 0, 2]), bytes([10, 66, 0, 1]))
for port in [7001, 7002]:
    for count in range(50):
        os.write(tunnel, head + struct.pack(\">HHHH\", 9, port, 8, 0))
speaker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for count in range(50):
    speaker.sendto(b\"x\", (\"10.66.0.2\", 7001))
'",
    );
    watched.until("the end of the tunnel", |it| it.gone == ["tun0"]);
    assert_eq!(watched.named("tun0").unwrap().link, LinkType::RAW);
    let udp = |outgoing: bool| {
        let is_one = |it: &&Seen| {
            it.link == LinkType::RAW
                && it.is_outgoing == outgoing
                && it.data.first() == Some(&0x45)
                && it.data.get(22..24) == Some(&7001u16.to_be_bytes())
        };
        watched.frames.iter().filter(is_one).count()
    };
    assert_eq!((udp(false), udp(true), watched.frames.len()), (50, 50, 100));
}

#[test]
fn interfaces_come_and_go() {
    let Some([here, there]) = Place::pair() else {
        return;
    };
    here.wire(&there, "wire0", 77);
    here.wire(&there, "wire1", 78);
    let mut watched = Watched::start(&here, Options::default());
    watched.until("three interfaces", |it| it.appeared.len() == 3);
    there.inside(|| send("10.77.0.2:0", "10.77.0.1:7001", 50));
    here.shell("ip link del wire0");
    watched.until("the one that went", |it| it.gone == ["wire0"]);
    assert_eq!(watched.datagrams("wire0", 7001), 50);
    there.inside(|| send("10.78.0.2:0", "10.78.0.1:7001", 50));
    watched.until("the other one", |it| it.datagrams("wire1", 7001) == 50);
    here.wire(&there, "wire2", 79);
    watched.until("the new one", |it| it.named("wire2").is_some());
    there.inside(|| send("10.79.0.2:0", "10.79.0.1:7001", 50));
    watched.until("its frames", |it| it.datagrams("wire2", 7001) == 50);
    // Down and up again, as cables do.
    here.shell("ip link set wire2 down; sleep 0.1; ip link set wire2 up; sleep 0.3");
    there.inside(|| send("10.79.0.2:0", "10.79.0.1:7002", 50));
    watched.until("its frames again", |it| it.datagrams("wire2", 7002) == 50);
    let report = watched.capture.as_ref().unwrap().report();
    let names: Vec<&str> = report
        .interfaces
        .iter()
        .map(|interface| &*interface.name)
        .collect();
    assert_eq!(names, ["lo", "wire1", "wire2"]);
    assert_eq!(report.limits, []);
    assert_eq!(watched.finish().gone, ["wire0"]);
}

#[test]
fn the_kernel_filters_and_cuts() {
    let Some([here, there]) = Place::pair() else {
        return;
    };
    here.wire(&there, "wire0", 77);
    let long: Vec<String> = (0..400)
        .map(|n| format!("198.51.{}.{}", n / 200, n % 200))
        .collect();
    for filter in [
        "destination.port:7001 network.transport:udp".to_owned(),
        format!("port:7001 or ip:{}", long.join(",")),
    ] {
        let options = Options {
            interfaces: vec!["wire0".into()],
            filter: parse(&filter).unwrap(),
            snap_length: 64,
            ..Options::default()
        };
        let watched = Watched::start(&here, options);
        let _sinks = here
            .inside(|| ["10.77.0.1:7001", "10.77.0.1:7002"].map(|address| UdpSocket::bind(address).unwrap()));
        there.inside(|| {
            send("10.77.0.2:0", "10.77.0.1:7001", 100);
            send("10.77.0.2:0", "10.77.0.1:7002", 100);
        });
        let watched = watched.finish();
        assert!(watched.appeared.iter().all(|interface| interface.is_filter_exact));
        assert_eq!(
            (watched.datagrams("wire0", 7001), watched.datagrams("wire0", 7002)),
            (100, 0)
        );
        // ARP does not pass, what the kernel says itself over IPv6 may.
        let v4 = watched
            .frames
            .iter()
            .filter(|it| it.data.get(12..14) == Some(&[8, 0]));
        let lengths: Vec<_> = v4.map(|it| (it.data.len(), it.length)).collect();
        assert_eq!(lengths, [(64, 67); 100], "{filter:.50}");
        assert_eq!(watched.counted().passed, watched.frames.len() as u64);
        watched.check_counts();
    }
}

#[test]
fn threads_share_the_frames() {
    let Some([here, there]) = Place::pair() else {
        return;
    };
    here.wire(&there, "wire0", 77);
    let options = Options {
        threads: 3,
        ..Options::default()
    };
    let watched = Watched::start(&here, options);
    let _sink = here.inside(|| UdpSocket::bind("10.77.0.1:7001").unwrap());
    there.inside(|| {
        for _ in 0..40 {
            send("10.77.0.2:0", "10.77.0.1:7001", 25);
        }
    });
    let watched = watched.finish();
    assert_eq!(watched.appeared.len(), 2);
    assert_eq!(watched.datagrams("wire0", 7001), 1_000);
}

#[test]
fn a_named_interface_that_is_gone_is_waited_for() {
    let Some([here, there]) = Place::pair() else {
        return;
    };
    here.wire(&there, "wire0", 77);
    let options = Options {
        interfaces: vec!["wire0".into()],
        ..Options::default()
    };
    let mut watched = Watched::start(&here, options);
    here.shell("ip link del wire0");
    watched.until("the one that went", |it| it.gone == ["wire0"]);
    watched.until("why", |it| {
        let limits = it.capture.as_ref().unwrap().report().limits;
        limits
            .iter()
            .any(|limit| &*limit.what == "packets on wire0: the interface is gone")
    });
    here.wire(&there, "wire0", 77);
    watched.until("the new one", |it| it.appeared.len() == 2);
    there.inside(|| send("10.77.0.2:0", "10.77.0.1:7001", 50));
    let number = watched.appeared[1].number;
    watched.until("its frames", |it| {
        it.frames.iter().filter(|frame| frame.interface == number).count() >= 50
    });
    assert_eq!(watched.capture.as_ref().unwrap().report().limits, []);
}

#[test]
fn an_unknown_name_is_refused_with_those_that_are_there() {
    let Some(place) = Place::new() else { return };
    let options = Options {
        interfaces: vec!["nothere0".into()],
        namespace: Some(place.file()),
        ..Options::default()
    };
    let error = Capture::start(options, bounded(1).0).unwrap_err();
    assert_eq!(
        error.to_string(),
        "capture packets on `nothere0`: there is no such interface; name one of those that are there: lo"
    );
}

#[test]
fn without_the_privilege_the_remedy_is_told() {
    use caps::{CapSet, Capability};
    let refused = std::thread::spawn(|| {
        drop(caps::drop(None, CapSet::Effective, Capability::CAP_NET_RAW));
        atalaya_host::linux::ring::Ring::open(Options::default()).unwrap_err()
    });
    let error = refused.join().unwrap();
    assert!(matches!(&error, HostError::Refused { .. }), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("CAP_NET_RAW") && text.contains("setcap cap_net_raw+ep"),
        "{text}"
    );
}

#[test]
fn who_does_not_read_loses_what_is_counted() {
    let Some([here, there]) = Place::pair() else {
        return;
    };
    here.wire(&there, "wire0", 77);
    let options = Options {
        interfaces: vec!["wire0".into()],
        ring_bytes: 1 << 20,
        ..Options::default()
    };
    let mut watched = Watched::start(&here, options);
    let _sink = here.inside(|| UdpSocket::bind("10.77.0.1:7001").unwrap());
    // Far more than the ring holds while the thread is not read, whose channel is full of small batches first.
    for _ in 0..80 {
        there.inside(|| send("10.77.0.2:0", "10.77.0.1:7001", 300));
        std::thread::sleep(Duration::from_millis(55));
    }
    watched.until("a gap", |it| it.lost > 0);
    let watched = watched.finish();
    let counted = watched.counted();
    let queue = watched
        .ledger
        .counts()
        .into_iter()
        .find(|count| count.stage == Stage::EngineQueue);
    let queue = queue.map_or(0, |count| count.dropped);
    assert_eq!(watched.lost, counted.dropped + queue);
    watched.check_counts();
    assert_eq!(watched.frames.len() as u64 + queue, counted.passed);
}
