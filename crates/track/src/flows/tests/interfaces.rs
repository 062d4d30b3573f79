//! Packets that cross several captured interfaces.

use super::*;

/// Both sides speak, and each packet is seen on these interfaces, a little later on each.
fn seen_on(bench: &mut Bench, time: i64, from: (u8, u16), payload: &[u8], interfaces: &[u32]) {
    let to = if from == CLIENT { SERVER } else { CLIENT };
    for (&interface, later) in interfaces.iter().zip(0..) {
        let mut packet = packet(time + later, from, to, 17, udp(from, to, payload));
        packet.interface = interface;
        bench.take(&packet);
    }
}

fn packets(bench: &mut Bench) -> Vec<[u64; 2]> {
    let closed = bench.closed();
    let lanes = closed.iter().map(|connection| {
        let wire = connection.wire.as_ref().unwrap();
        [wire.source.packets, wire.destination.packets]
    });
    lanes.collect()
}

#[test]
fn a_bridge_and_its_ports_show_each_packet_once() {
    let mut bench = Bench::new(FlowOptions::default());
    for round in 0..20 {
        seen_on(&mut bench, round * 100, CLIENT, b"hello", &[3, 1, 2]);
        seen_on(&mut bench, round * 100 + 50, SERVER, b"there", &[2, 1, 3]);
    }
    assert_eq!(bench.flows.seen_again(), 80);
    assert_eq!(packets(&mut bench), [[20, 20]]);
    let shown: Vec<u64> = bench
        .flows
        .interface_counts()
        .iter()
        .map(|(_, _, count)| count.packets)
        .collect();
    assert_eq!(shown, [40, 40, 40], "each interface has had them");
}

#[test]
fn segments_seen_twice_are_not_sent_twice() {
    let mut bench = Bench::new(FlowOptions::default());
    shake(&mut bench);
    for (interface, time) in [(0, 10), (5, 11)] {
        let mut packet = packet(
            time,
            CLIENT,
            SERVER,
            6,
            tcp(CLIENT, SERVER, ACK, (100, 500), b"hello"),
        );
        packet.interface = interface;
        bench.take(&packet);
    }
    let closed = bench.closed();
    let wire = closed[0].wire.as_ref().unwrap();
    assert_eq!((wire.source.packets, wire.source.retransmits), (3, 0));
}

#[test]
fn who_moves_to_another_interface_is_heard_there() {
    let mut bench = Bench::new(FlowOptions::default());
    // There and back by different ways, then another way there.
    seen_on(&mut bench, 0, CLIENT, b"hello", &[1]);
    seen_on(&mut bench, 10, SERVER, b"there", &[2]);
    seen_on(&mut bench, 5_000, CLIENT, b"hello", &[3]);
    seen_on(&mut bench, 5_100, CLIENT, b"hello", &[3]);
    assert_eq!(bench.flows.seen_again(), 0);
    assert_eq!(packets(&mut bench), [[3, 1]]);
}

#[test]
fn a_frame_is_counted_once_though_a_tunnel_is_in_it() {
    let tunnels = [atalaya_wire::packet::Tunnel {
        kind: "gre",
        source: address(CLIENT),
        destination: address(SERVER),
    }];
    let mut bench = Bench::new(FlowOptions::default());
    let outer = packet(0, CLIENT, SERVER, 17, udp(CLIENT, SERVER, b"outer"));
    let mut inner = packet(0, (3, 9), (4, 9), 17, udp((3, 9), (4, 9), b"inner"));
    inner.tunnels = &tunnels;
    bench.take(&outer);
    bench.take(&inner);
    let counts = bench.flows.interface_counts();
    let shown: Vec<_> = counts
        .iter()
        .map(|(_, _, count)| (count.packets, count.bytes))
        .collect();
    assert_eq!(shown, [(1, outer.frame_bytes.into())]);
    assert_eq!(packets(&mut bench), [[1, 0]; 2], "both are conversations");
}
