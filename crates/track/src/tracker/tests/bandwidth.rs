//! Who uses the network how much: by packets, and by the kernel's counts.

use atalaya_model::bandwidth::{Counted, Rate};
use atalaya_model::{Basis, Change, Outcome, SocketEvent};
use atalaya_wire::{Frame, LinkType, packet};

use super::*;
use crate::flows::FlowOptions;

const CLIENT: &str = "192.0.2.1:50000";
const SERVER: &str = "198.51.100.7:443";

fn event(time: Time, change: Change, socket: Socket) -> SocketEvent {
    SocketEvent {
        time,
        change,
        started: time,
        started_before: false,
        side: Some(Side::Source),
        socket,
    }
}

fn sent(mut socket: Socket, sent_bytes: u64, received_bytes: u64) -> Socket {
    socket.traffic = Some(Traffic {
        sent_bytes,
        received_bytes,
        sent_packets: sent_bytes / 100,
        received_packets: received_bytes / 100,
        ..Traffic::default()
    });
    socket
}

/// A datagram of raw IPv4 with so much payload.
fn datagram(source: &str, destination: &str, payload: usize) -> Vec<u8> {
    let ends = [end(source), end(destination)];
    let length = u16::try_from(28 + payload).unwrap();
    let mut bytes = vec![0; usize::from(length)];
    bytes[0] = 0x45;
    bytes[2..4].copy_from_slice(&length.to_be_bytes());
    bytes[8..10].copy_from_slice(&[64, 17]);
    for (place, end) in ends.iter().enumerate() {
        let IpAddr::V4(ip) = end.ip else {
            unreachable!("written above")
        };
        bytes[12 + 4 * place..16 + 4 * place].copy_from_slice(&ip.octets());
        bytes[20 + 2 * place..22 + 2 * place].copy_from_slice(&end.port.to_be_bytes());
    }
    bytes[24..26].copy_from_slice(&(length - 20).to_be_bytes());
    bytes
}

impl Bench {
    fn read_packets(&mut self) {
        let flows = FlowOptions {
            by_id: true,
            apart_by_vlan: false,
            ..FlowOptions::default()
        };
        self.tracker
            .read_packets(packet::Options::default(), flows, Some(NAMESPACE));
        self.tracker.name_interface(3, "eth0".into());
    }

    fn frame(&mut self, time: Time, data: &[u8]) {
        let frame = Frame {
            time,
            link: LinkType::RAW,
            interface: 3,
            length: u32::try_from(data.len()).unwrap(),
            data,
            vlan: None,
        };
        self.tracker.frame(&frame, &mut Vec::new());
    }

    fn pass(&mut self, time: Time) {
        self.tracker.packets_read_until(time);
        self.tracker.tick(time, &mut Vec::new());
    }
}

fn rate(sent: (u64, u64), received: (u64, u64)) -> Rate {
    Rate {
        sent_packets: sent.0,
        sent_bytes: sent.1,
        received_packets: received.0,
        received_bytes: received.1,
    }
}

#[test]
fn without_packets_the_kernels_counts_tell() {
    let mut bench = Bench::new();
    // It existed before: what it had sent by then says nothing of now.
    let old = sent(established(8, "192.0.2.1:40000", SERVER, 2), 1_000_000, 0);
    bench.look(vec![old.clone()]);
    let old = sent(old, 1_009_000, 0);
    let short = sent(established(9, CLIENT, SERVER, 1), 900, 90_000);
    bench.observe(Observation::LookDone(at(2), Look::default()));
    bench.observe(Observation::SocketEvents(vec![
        event(at(3), Change::Alive, old),
        event(at(4), Change::Closed(Outcome::Finished), short.clone()),
        // Its other end, where that is on this host, too, is no more traffic.
        event(
            at(4),
            Change::Alive,
            sent(established(10, "127.0.0.1:80", "127.0.0.1:5", 3), 1_800, 0),
        ),
    ]));
    bench.pass(at(9));
    let told = bench.tracker.bandwidth(10).unwrap();
    assert_eq!(
        (told.counted, told.over),
        (Counted::Kernel, Span::from_seconds(9))
    );
    assert_eq!(told.all, rate((13, 1_300), (100, 10_000)));
    let processes: Vec<_> = told
        .processes
        .iter()
        .map(|it| (it.process.unwrap().pid, it.rate.bytes()))
        .collect();
    assert_eq!(processes, [(1, 10_100), (2, 1_000), (3, 200)]);
    assert_eq!(told.destinations[0].ip, Some(end(SERVER).ip));
    assert_eq!(
        (&*told.protocols[0].name, told.protocols[0].basis),
        ("https", Some(Basis::Port))
    );
    assert_eq!(bench.tracker.joined(), None);
}

#[test]
fn packets_are_those_of_their_process_also_after_its_end() {
    let mut bench = Bench::new();
    bench.look(vec![]);
    bench.observe(Observation::LookDone(at(2), Look::default()));
    bench.read_packets();
    let mut socket = established(9, CLIENT, SERVER, 1);
    socket.transport = Transport::Udp;
    let (question, answer) = (datagram(CLIENT, SERVER, 72), datagram(SERVER, CLIENT, 972));
    let forwarded = datagram("203.0.113.9:7", "198.51.100.9:9999", 22);
    for tenth in 0..100 {
        let time = Time(at(3).0 + tenth * 100_000);
        bench.frame(time, &question);
        bench.frame(time, &answer);
        bench.frame(time, &forwarded);
        // The kernel tells of it a moment later, and of its end while packets wait to be counted.
        if tenth == 4 {
            let alive = event(time, Change::Alive, socket.clone());
            bench.observe(Observation::SocketEvents(vec![alive]));
        }
        if tenth == 90 {
            let over = event(time, Change::Closed(Outcome::Finished), socket.clone());
            bench.observe(Observation::SocketEvents(vec![over]));
        }
    }
    for second in 13..16 {
        bench.pass(at(second));
    }
    let told = bench.tracker.bandwidth(10).unwrap();
    assert_eq!(told.counted, Counted::Packets);
    // A second's worth is taken before the first packet of the next one.
    assert_eq!(told.over, Span(9_100_000));
    // A second's worth is taken when the next one has begun.
    let by_process: Vec<_> = told
        .processes
        .iter()
        .map(|it| (it.process.map(|key| key.pid), it.rate))
        .collect();
    // 90 of each in 9.1 seconds.
    let own = rate((9, 989), (9, 9_890));
    assert_eq!(by_process, [(Some(1), own), (None, rate((9, 494), (0, 0)))]);
    assert_eq!(told.destinations[0].ip, Some(end(SERVER).ip));
    let names: Vec<_> = told.protocols.iter().map(|it| &*it.name).collect();
    assert_eq!(names, ["quic", "udp"]);
    let traffic = bench
        .tracker
        .interface_traffic(&|number| (number == 3).then_some(1_000_000));
    assert_eq!(&*traffic[0].name, "eth0");
    assert!(traffic[0].share_of_link.is_some_and(|share| share > 0.0));
}

#[test]
fn what_is_told_together_and_alone_is_counted() {
    let mut bench = Bench::new();
    bench.look(vec![]);
    bench.observe(Observation::LookDone(at(2), Look::default()));
    bench.read_packets();
    let mut socket = established(9, CLIENT, SERVER, 1);
    socket.transport = Transport::Udp;
    bench.frame(at(3), &datagram(CLIENT, SERVER, 10));
    bench.frame(at(3), &datagram("203.0.113.9:7", "198.51.100.9:9999", 22));
    let unseen = established(11, "192.0.2.1:6", "198.51.100.7:80", 2);
    let mut elsewhere = established(12, "10.0.0.1:6", "10.0.0.2:80", 2);
    elsewhere.namespace = 5;
    bench.observe(Observation::SocketEvents(
        [socket, unseen, elsewhere]
            .map(|socket| event(at(4), Change::Closed(Outcome::Finished), socket))
            .into(),
    ));
    let joined = bench.tracker.joined().unwrap();
    assert_eq!((joined.together, joined.waiting), (0, 1), "{joined:?}");
    // Time passes with what else the kernel tells.
    let mut out = Vec::new();
    for second in [5, 6, 7, 8, 70, 71] {
        let other = established(50, "192.0.2.1:8", "198.51.100.7:80", 2);
        let alive = event(at(second), Change::Alive, other);
        bench.tracker.packets_read_until(at(second));
        out.extend(bench.observe(Observation::SocketEvents(vec![alive])));
    }
    let joined = bench.tracker.joined().unwrap();
    let counts = (
        joined.together,
        joined.packets_only,
        joined.kernel_only,
        joined.waiting,
    );
    assert_eq!(counts, (1, 1, 1, 0));
    let told: Vec<_> = actions(&out)
        .into_iter()
        .filter(|action| action.contains("closed"))
        .collect();
    assert_eq!(told.len(), 4, "each once: {out:?}");
    assert_eq!(bench.tracker.connection_count(), 1);
}
