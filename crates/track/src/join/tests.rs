use atalaya_model::connection::Direction;
use atalaya_model::protocol::{Tls, tls::ClientHello};
use std::net::IpAddr;

use atalaya_model::{Attribution, Endpoint, Evidence, Message, Scope};

use super::*;

fn at(milliseconds: i64) -> Time {
    Time(1_700_000_000_000_000 + milliseconds * 1_000)
}

fn end(text: &str) -> Endpoint {
    let address: std::net::SocketAddr = text.parse().unwrap();
    Endpoint::new(address.ip(), address.port())
}

fn connection(id: u64, namespace: u32, source: &str, destination: &str) -> Connection {
    Connection {
        id,
        direction: Direction::Outbound,
        scope: Scope::External,
        network_namespace: namespace,
        cookie: id,
        user_id: Some(1000),
        attribution: Attribution::from(Evidence::KernelEvent),
        ..Connection::bare(at(0), Transport::Tcp, end(source), end(destination))
    }
}

const CLIENT: &str = "10.0.0.1:40000";
const SERVER: &str = "203.0.113.5:443";
const HERE: u32 = 7;

fn kernel(id: u64) -> Connection {
    connection(id, HERE, CLIENT, SERVER)
}

/// As packets tell it: no namespace, and a history.
fn seen(id: u64, history: &str, packets: u64) -> Connection {
    let mut connection = connection(id, 0, CLIENT, SERVER);
    let mut wire = Wire {
        history: history.into(),
        ..Wire::default()
    };
    wire.source.packets = packets;
    connection.wire = Some(Box::new(wire));
    connection
}

struct Bench {
    join: Join,
    out: Vec<Event>,
    /// What is still in the table of packets.
    flows: Vec<Connection>,
}

impl Bench {
    fn new() -> Self {
        Self {
            join: Join::new(Some(HERE)),
            out: Vec::new(),
            flows: Vec::new(),
        }
    }

    fn kernel(&mut self, time: i64, fact: Fact) {
        self.join.kernel(Event::new(at(time), fact), &mut self.out);
    }

    fn flow(&mut self, time: i64, mut fact: Fact) {
        if let Fact::ConnectionOpened(connection) = &mut fact {
            Arc::make_mut(connection).started = at(time);
        }
        self.join.flow(Event::new(at(time), fact), &mut self.out);
    }

    fn tick(&mut self, time: i64) {
        let flows = &mut self.flows;
        let mut end = |id: u64, ended: &mut Vec<Event>| {
            let found = flows.iter().position(|flow| flow.id == id);
            let flow = found.map(|place| flows.swap_remove(place));
            ended.extend(flow.map(|flow| Event::new(at(time), closed(flow))));
        };
        self.join.tick(at(time), &mut end, &mut self.out);
    }

    fn told(&mut self) -> Vec<(&'static str, u64)> {
        let name = |event: &Event| {
            let id = match &event.fact {
                Fact::ConnectionOpened(c) | Fact::ConnectionUpdated(c) | Fact::ConnectionClosed(c) => c.id,
                Fact::Protocol(protocol) => protocol.connection.id,
                _ => 0,
            };
            (event.fact.action(), id)
        };
        self.out.iter().map(name).collect()
    }
}

fn hello(connection: Connection) -> Fact {
    let client = ClientHello {
        server_name: Some("www.example".into()),
        ..ClientHello::default()
    };
    Fact::Protocol(Arc::new(Protocol {
        time: at(0),
        connection: Arc::new(connection),
        message: Message::Tls(Box::new(Tls {
            client: Some(client),
            ..Tls::default()
        })),
    }))
}

fn opened(connection: Connection) -> Fact {
    Fact::ConnectionOpened(Arc::new(connection))
}

fn closed(connection: Connection) -> Fact {
    Fact::ConnectionClosed(Arc::new(connection))
}

fn last(bench: &Bench) -> Connection {
    match &bench.out.last().unwrap().fact {
        Fact::ConnectionClosed(connection) => Connection::clone(connection),
        other => panic!("{other:?}"),
    }
}

#[test]
fn packets_first() {
    let mut bench = Bench::new();
    bench.flow(0, opened(seen(900, "S", 1)));
    bench.flow(10, hello(seen(900, "ShAD", 3)));
    assert_eq!(bench.told(), [], "a process may still be told");
    bench.kernel(100, opened(kernel(1)));
    assert_eq!(bench.told(), [("connection_opened", 1), ("protocol_spoken", 1)]);
    bench.kernel(200, closed(kernel(1)));
    bench.flow(300, closed(seen(900, "ShADfFa", 9)));
    bench.tick(1_100);
    assert_eq!(bench.told().len(), 2, "the last packets may still come");
    bench.tick(1_200);
    let end = last(&bench);
    assert_eq!(end.wire.as_ref().unwrap().source.packets, 9);
    assert!(!end.wire.as_ref().unwrap().unjoined);
    assert_eq!(end.id, 1);
}

#[test]
fn kernel_first_and_the_table_of_packets_is_asked_for_what_it_knows() {
    let mut bench = Bench::new();
    bench.kernel(0, opened(kernel(1)));
    bench.flow(100, opened(seen(900, "S", 1)));
    bench.flow(110, hello(seen(900, "ShAD", 3)));
    bench.kernel(300, closed(kernel(1)));
    bench.flows.push(seen(900, "ShADfF", 8));
    bench.tick(2_000);
    let end = last(&bench);
    assert_eq!(&*end.wire.unwrap().history, "ShADfF");
    assert!(bench.flows.is_empty());
    // The last acknowledgment comes late, and is no conversation.
    bench.flow(2_100, opened(seen(901, "A", 1)));
    bench.flow(9_000, closed(seen(901, "A", 1)));
    bench.tick(20_000);
    assert_eq!(bench.told().len(), 3);
    // But a new one of the same ends is.
    bench.flow(21_000, opened(seen(902, "S", 1)));
    bench.tick(30_000);
    assert_eq!(bench.told().last(), Some(&("connection_opened", 902)));
}

#[test]
fn a_row_is_named_by_its_hello() {
    let mut bench = Bench::new();
    bench.kernel(0, opened(kernel(1)));
    bench.flow(100, opened(seen(900, "S", 1)));
    bench.flow(110, hello(seen(900, "ShAD", 3)));
    let Fact::Protocol(protocol) = &bench.out[1].fact else {
        panic!();
    };
    assert_eq!(protocol.connection.name.as_deref(), Some("www.example"));
    assert_eq!(protocol.connection.attribution.evidence, Evidence::KernelEvent);
}

#[test]
fn nobodys_packets_are_told_alone_and_say_so() {
    let mut bench = Bench::new();
    bench.flow(0, opened(seen(900, "S", 1)));
    bench.flow(10, hello(seen(900, "ShAD", 3)));
    bench.tick(1_999);
    assert_eq!(bench.told(), []);
    bench.tick(2_000);
    bench.flow(5_000, closed(seen(900, "ShADfF", 7)));
    assert_eq!(
        bench.told(),
        [
            ("connection_opened", 900),
            ("protocol_spoken", 900),
            ("connection_closed", 900)
        ]
    );
    assert!(last(&bench).wire.unwrap().unjoined);
    assert!(bench.join.follows.is_empty() && bench.join.waiting.is_empty());
}

#[test]
fn pauses_are_put_together() {
    let mut bench = Bench::new();
    bench.kernel(0, opened(kernel(1)));
    bench.flow(0, opened(seen(900, "S", 1)));
    bench.flow(400_000, closed(seen(900, "ShADa", 5)));
    bench.flow(500_000, opened(seen(901, "D", 1)));
    bench.flow(900_000, closed(seen(901, "Da", 2)));
    bench.kernel(910_000, closed(kernel(1)));
    bench.tick(920_000);
    assert_eq!(last(&bench).wire.unwrap().source.packets, 7);
}

#[test]
fn both_ends_on_loopback_have_their_packets() {
    let (client, server) = ("127.0.0.1:40000", "127.0.0.1:80");
    let mut bench = Bench::new();
    let mut answering = connection(2, HERE, client, server);
    answering.side = Side::Destination;
    bench.kernel(0, opened(answering.clone()));
    bench.kernel(0, opened(connection(1, HERE, client, server)));
    let mut flow = connection(900, 0, client, server);
    flow.wire = seen(900, "S", 4).wire;
    bench.flow(10, opened(flow.clone()));
    bench.flow(20, hello(flow.clone()));
    assert_eq!(
        bench.told().last(),
        Some(&("protocol_spoken", 1)),
        "the process that asked"
    );
    bench.kernel(100, closed(connection(1, HERE, client, server)));
    bench.kernel(110, closed(answering));
    bench.flows.push(flow);
    bench.tick(5_000);
    let packets: Vec<u64> = bench
        .out
        .iter()
        .filter_map(|event| match &event.fact {
            Fact::ConnectionClosed(connection) => Some(connection.wire.as_ref()?.source.packets),
            _ => None,
        })
        .collect();
    assert_eq!(packets, [4, 4]);
}

#[test]
fn the_end_that_asked_may_be_told_of_later() {
    let (client, server) = ("127.0.0.1:40000", "127.0.0.1:80");
    let local = |id, side| {
        let mut connection = connection(id, HERE, client, server);
        connection.side = side;
        connection.direction = Direction::Local;
        connection
    };
    let mut flow = connection(900, 0, client, server);
    flow.wire = seen(900, "S", 4).wire;
    for packets_first in [true, false] {
        let mut bench = Bench::new();
        if packets_first {
            bench.flow(0, opened(flow.clone()));
            bench.flow(10, hello(flow.clone()));
            bench.kernel(20, opened(local(2, Side::Destination)));
        } else {
            bench.kernel(0, opened(local(2, Side::Destination)));
            bench.flow(10, opened(flow.clone()));
            bench.flow(20, hello(flow.clone()));
        }
        bench.kernel(30, closed(local(2, Side::Destination)));
        assert!(
            !bench.told().contains(&("protocol_spoken", 2)),
            "not the server's doing"
        );
        bench.kernel(40, opened(local(1, Side::Source)));
        assert_eq!(bench.told().last(), Some(&("protocol_spoken", 1)));
        bench.kernel(50, closed(local(1, Side::Source)));
        bench.flows.push(flow.clone());
        bench.tick(9_000);
        let wires = bench.out.iter().filter(|event| match &event.fact {
            Fact::ConnectionClosed(connection) => connection.wire.is_some(),
            _ => false,
        });
        assert_eq!(wires.count(), 2);
        assert_eq!(bench.told().len(), 5);
    }
    // Where it is never told of, the server's row has the facts.
    let mut bench = Bench::new();
    bench.flow(0, opened(flow.clone()));
    bench.flow(10, hello(flow.clone()));
    bench.kernel(20, opened(local(2, Side::Destination)));
    bench.tick(5_000);
    assert_eq!(bench.told().last(), Some(&("protocol_spoken", 2)));
}

#[test]
fn loopback_of_another_namespace_is_another_host() {
    let (client, server) = ("127.0.0.1:40000", "127.0.0.1:80");
    let mut bench = Bench::new();
    bench.kernel(0, opened(connection(1, 99, client, server)));
    let mut flow = connection(900, 0, client, server);
    flow.wire = seen(900, "S", 4).wire;
    bench.flow(10, opened(flow));
    bench.tick(5_000);
    assert_eq!(
        bench.told(),
        [("connection_opened", 1), ("connection_opened", 900)]
    );
    // A container's address is its own, whichever interface shows it.
    let mut bench = Bench::new();
    bench.kernel(0, opened(connection(1, 99, CLIENT, SERVER)));
    bench.flow(10, opened(seen(900, "S", 1)));
    bench.tick(5_000);
    assert_eq!(bench.told(), [("connection_opened", 1)]);
}

#[test]
fn an_unbound_socket_is_found_by_its_port() {
    let mut unbound = connection(1, HERE, "0.0.0.0:40000", "203.0.113.5:53");
    unbound.transport = Transport::Udp;
    let mut flow = connection(900, 0, "10.0.0.1:40000", "203.0.113.5:53");
    flow.transport = Transport::Udp;
    flow.wire = seen(900, "D", 1).wire;
    for packets_first in [false, true] {
        let mut bench = Bench::new();
        if packets_first {
            bench.flow(10, opened(flow.clone()));
            bench.kernel(20, opened(unbound.clone()));
        } else {
            bench.kernel(10, opened(unbound.clone()));
            bench.flow(20, opened(flow.clone()));
        }
        bench.kernel(300, closed(unbound.clone()));
        bench.flow(310, closed(flow.clone()));
        bench.tick(10_000);
        assert_eq!(last(&bench).wire.unwrap().source.packets, 1);
        assert_eq!(bench.told().len(), 2);
    }
}

#[test]
fn who_waits_is_bounded() {
    let mut bench = Bench::new();
    for id in 0..MOST_WAITING as u64 + 10 {
        let mut flow = seen(id, "S", 1);
        flow.source.port = (id % 60_000) as u16;
        flow.source.ip = IpAddr::from([10, 1, (id >> 16) as u8, 1]);
        bench.flow(0, opened(flow));
    }
    assert_eq!(bench.told().len(), 10);
    assert_eq!(bench.join.patience.len(), MOST_WAITING);
}

/// Datagrams of many senders with one port might all be those of a socket that is bound to no address.
#[test]
fn those_alike_that_wait_are_few_and_the_rest_is_counted() {
    const MANY: u64 = 2_000;
    let sender = |id: u64| {
        let mut flow = connection(1_000 + id, 0, "10.0.0.1:5353", "224.0.0.251:5353");
        flow.transport = Transport::Udp;
        flow.source.ip = IpAddr::from([10, 0, (id >> 8) as u8, id as u8]);
        flow.wire = seen(id, "D", 1).wire;
        flow
    };
    let mut bench = Bench::new();
    for id in 0..MANY {
        bench.flow(0, opened(sender(id)));
    }
    assert_eq!(bench.join.waits, MOST_ALIKE);
    assert!(bench.join.waiting.values().all(|flows| flows.len() <= MOST_ALIKE));
    bench.tick(1);
    let lost = bench.out.iter().find_map(|event| match &event.fact {
        Fact::Gap(gap) => Some(gap.count),
        _ => None,
    });
    assert_eq!(lost, Some(MANY - MOST_ALIKE as u64));
    // The last ones still find their socket.
    let mut unbound = connection(1, HERE, "0.0.0.0:5353", "224.0.0.251:5353");
    unbound.transport = Transport::Udp;
    bench.out.clear();
    bench.kernel(2, opened(unbound));
    assert_eq!(bench.told(), [("connection_opened", 1)]);
    assert_eq!((bench.join.waits, bench.join.waiting.len()), (0, 0));
}

#[test]
fn the_other_side_has_its_packets_however_late_it_is_told() {
    for flow_is_over in [false, true] {
        let mut bench = Bench::new();
        bench.flow(10, opened(seen(900, "S", 1)));
        bench.kernel(100, opened(kernel(1)));
        bench.kernel(100, closed(kernel(1)));
        if flow_is_over {
            bench.flow(120, closed(seen(900, "ShADfFa", 5)));
        } else {
            bench.flows.push(seen(900, "ShADfFa", 5));
        }
        // A container's end of it, on the same host.
        let mut server = connection(2, 99, CLIENT, SERVER);
        server.side = Side::Destination;
        bench.kernel(130, opened(server.clone()));
        bench.kernel(130, closed(server));
        bench.tick(2_000);
        let packets = bench.out.iter().filter_map(|event| match &event.fact {
            Fact::ConnectionClosed(connection) => Some(connection.wire.as_ref()?.source.packets),
            _ => None,
        });
        assert_eq!(packets.collect::<Vec<_>>(), [5, 5]);
        assert_eq!(bench.told().len(), 4);
    }
}

#[test]
fn ports_used_again_are_told_apart_by_time() {
    for packets_first in [true, false] {
        let mut bench = Bench::new();
        let row = |id: u64, from: i64, to: i64| {
            let mut row = kernel(id);
            (row.started, row.seen) = (at(from), at(to));
            row
        };
        let part = |id: u64, packets: u64, from: i64, to: i64| {
            let mut part = seen(id, "ShADfF", packets);
            (part.started, part.seen) = (at(from), at(to));
            part
        };
        let packets = |bench: &mut Bench| {
            bench.flow(50, opened(part(900, 1, 50, 50)));
            bench.flow(90, closed(part(900, 7, 50, 60)));
            bench.flow(90, opened(part(901, 1, 90, 90)));
            bench.flow(150, closed(part(901, 9, 90, 120)));
        };
        let rows = |bench: &mut Bench| {
            for (id, from, to) in [(1, 49, 61), (2, 89, 121)] {
                bench.kernel(from, opened(row(id, from, to)));
                bench.kernel(to, closed(row(id, from, to)));
            }
        };
        if packets_first {
            packets(&mut bench);
            rows(&mut bench);
        } else {
            rows(&mut bench);
            packets(&mut bench);
        }
        bench.tick(5_000);
        let told: Vec<_> = bench
            .out
            .iter()
            .filter_map(|event| match &event.fact {
                Fact::ConnectionClosed(connection) => {
                    Some((connection.id, connection.wire.as_ref()?.source.packets))
                }
                _ => None,
            })
            .collect();
        assert_eq!(told, [(1, 7), (2, 9)], "packets first: {packets_first}");
    }
}

#[test]
fn the_kernel_knows_who_began() {
    let mut bench = Bench::new();
    bench.kernel(0, opened(kernel(1)));
    // Packets were read from the middle, an answer first.
    let mut flow = connection(900, 0, SERVER, CLIENT);
    let mut wire = Wire {
        history: "Dad".into(),
        ..Wire::default()
    };
    wire.source.packets = 8;
    wire.destination.packets = 3;
    flow.wire = Some(Box::new(wire));
    bench.flow(10, opened(flow.clone()));
    bench.kernel(100, closed(kernel(1)));
    bench.flows.push(flow);
    bench.tick(2_000);
    let wire = last(&bench).wire.unwrap();
    assert_eq!((wire.source.packets, wire.destination.packets), (3, 8));
    assert_eq!(&*wire.history, "^dAD");
}

#[test]
fn a_rare_look_is_waited_for() {
    let mut bench = Bench::new();
    bench.join.looked(at(-500));
    bench.flow(0, opened(seen(900, "S", 1)));
    bench.tick(9_000);
    assert_eq!(bench.told(), [], "no look was complete since");
    bench.join.looked(at(9_500));
    bench.tick(9_600);
    assert_eq!(bench.told(), [("connection_opened", 900)]);
    // Found after all: the kernel's record has the packets, too.
    bench.kernel(9_700, opened(kernel(1)));
    bench.kernel(9_800, closed(kernel(1)));
    bench.flows.push(seen(900, "ShADfF", 6));
    bench.tick(12_000);
    assert_eq!(last(&bench).wire.unwrap().source.packets, 6);
}

#[test]
fn ends_that_are_used_again_are_remembered_from_the_last_time() {
    let mut bench = Bench::new();
    for (id, time) in [(1, 0), (2, 60_000)] {
        bench.kernel(time, opened(kernel(id)));
        bench.kernel(time, closed(kernel(id)));
        bench.tick(time + 1_000);
    }
    // The first end is forgotten, the second is not.
    bench.tick(121_000);
    assert_eq!((bench.join.ended.len(), bench.join.ended_order.len()), (1, 1));
    let told = bench.told().len();
    bench.flow(125_000, opened(seen(900, "A", 1)));
    bench.flow(126_000, closed(seen(900, "A", 1)));
    bench.tick(179_000);
    assert_eq!(bench.told().len(), told, "the rest of the second one");
    bench.tick(181_000);
    assert!(bench.join.ended.is_empty() && bench.join.ended_order.is_empty());
}

#[test]
fn ends_that_are_remembered_are_bounded() {
    let mut bench = Bench::new();
    for id in 0..MOST_ENDED as u64 + 10 {
        let mut row = kernel(id);
        row.source.port = (id % 60_000) as u16 + 1;
        row.source.ip = IpAddr::from([10, 0, 0, 1 + (id / 60_000) as u8]);
        bench.kernel(0, opened(row.clone()));
        bench.kernel(0, closed(row));
        bench.out.clear();
    }
    bench.tick(1_000);
    assert_eq!(bench.told().len(), MOST_ENDED + 10, "all are told");
    assert_eq!(bench.join.ended_order.len(), MOST_ENDED);
    assert_eq!(bench.join.ended.len(), MOST_ENDED);
}

#[test]
fn who_is_told_alone_is_found_though_another_of_the_same_ends_is_over() {
    // The same ends in two VLANs: two conversations, and a look that is late.
    let mut bench = Bench::new();
    bench.flow(0, opened(seen(900, "S", 1)));
    bench.flow(1, opened(seen(901, "S", 1)));
    bench.tick(2_001);
    assert_eq!(bench.join.alone.len(), 1);
    bench.flow(3_000, closed(seen(900, "ShADfFa", 5)));
    bench.kernel(4_000, opened(kernel(1)));
    bench.flow(5_000, closed(seen(901, "ShADadfFa", 8)));
    bench.kernel(5_000, closed(kernel(1)));
    bench.tick(9_000);
    let end = last(&bench);
    assert_eq!((end.id, end.wire.unwrap().source.packets), (1, 8));
    assert!(bench.join.follows.is_empty() && bench.join.alone.is_empty());
    // Nothing is left of those that ended while they were alone.
    bench.kernel(10_000, opened(kernel(2)));
    assert!(bench.join.follows.is_empty());
}
