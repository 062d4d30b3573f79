use std::net::IpAddr;
use std::sync::Arc;

use atalaya_model::{
    Application, Connection, ConnectionState, Direction, Fact, NameSource, Outcome, Side, SocketState, Stage,
};
use atalaya_wire::{Ip, Segment};
use proptest::prelude::*;

use super::talk::Talk;
use super::tcp::{ACK, FIN, RST, SYN};
use atalaya_model::Span;

use super::*;

mod interfaces;
mod losses;

const CLIENT: (u8, u16) = (1, 40_000);
const SERVER: (u8, u16) = (2, 9_999);
const START: i64 = 1_700_000_000_000_000;

fn at(milliseconds: i64) -> Time {
    Time(START + milliseconds * 1_000)
}

fn address(end: (u8, u16)) -> IpAddr {
    IpAddr::from([10, 0, 0, end.0])
}

fn packet<'a>(time: i64, from: (u8, u16), to: (u8, u16), protocol: u8, segment: Segment<'a>) -> Packet<'a> {
    Packet {
        time: at(time),
        interface: 0,
        frames: 1,
        frame_bytes: 100,
        vlans: [0; 3],
        tunnels: &[],
        ip: Ip {
            source: address(from),
            destination: address(to),
            protocol,
            length: 86,
            ttl: 64,
        },
        segment,
    }
}

fn tcp(from: (u8, u16), to: (u8, u16), flags: u8, numbers: (u32, u32), payload: &[u8]) -> Segment<'_> {
    Segment::Tcp {
        source_port: from.1,
        destination_port: to.1,
        sequence: numbers.0,
        acknowledgment: numbers.1,
        flags,
        window: 1_000,
        payload,
        length: u32::try_from(payload.len()).unwrap(),
    }
}

fn udp(from: (u8, u16), to: (u8, u16), payload: &[u8]) -> Segment<'_> {
    Segment::Udp {
        source_port: from.1,
        destination_port: to.1,
        payload,
        length: u32::try_from(payload.len()).unwrap(),
    }
}

struct Bench {
    flows: Flows,
    networks: Networks,
    services: ServiceNames,
    names: crate::names::Names,
    atlas: crate::atlas::Cache,
    last_id: u64,
    out: Vec<Event>,
    time: i64,
}

impl Bench {
    fn new(options: FlowOptions) -> Self {
        Self {
            flows: Flows::new(options),
            networks: Networks::default(),
            services: ServiceNames::default(),
            names: crate::names::Names::default(),
            atlas: crate::atlas::Cache::default(),
            last_id: 0,
            out: Vec::new(),
            time: 0,
        }
    }

    fn with(&mut self, run: impl FnOnce(&mut Flows, &mut Ground<'_>, &mut Vec<Event>)) {
        let mut ground = Ground {
            networks: &self.networks,
            services: &mut self.services,
            names: &mut self.names,
            atlas: &mut self.atlas,
            last_id: &mut self.last_id,
        };
        run(&mut self.flows, &mut ground, &mut self.out);
    }

    fn take(&mut self, packet: &Packet<'_>) {
        self.with(|flows, ground, out| flows.packet(packet, Whose::default(), ground, out));
    }

    /// A segment of the client's.
    fn client(&mut self, flags: u8, sequence: u32, acknowledgment: u32, payload: &[u8]) -> &mut Self {
        self.segment(CLIENT, SERVER, flags, (sequence, acknowledgment), payload)
    }

    fn server(&mut self, flags: u8, sequence: u32, acknowledgment: u32, payload: &[u8]) -> &mut Self {
        self.segment(SERVER, CLIENT, flags, (sequence, acknowledgment), payload)
    }

    fn segment(
        &mut self,
        from: (u8, u16),
        to: (u8, u16),
        flags: u8,
        numbers: (u32, u32),
        payload: &[u8],
    ) -> &mut Self {
        self.time += 1;
        let segment = tcp(from, to, flags, numbers, payload);
        self.take(&packet(self.time, from, to, 6, segment));
        self
    }

    fn pass(&mut self, milliseconds: i64) {
        self.time = milliseconds;
        self.with(|flows, ground, out| flows.pass(at(milliseconds), usize::MAX, ground, out));
    }

    /// Everything ended: the connections in the order in which they were told to be over.
    fn closed(&mut self) -> Vec<Arc<Connection>> {
        self.with(|flows, ground, out| while flows.finish(1, ground, out) {});
        let closed = self.out.iter().filter_map(|event| match &event.fact {
            Fact::ConnectionClosed(connection) => Some(connection.clone()),
            _ => None,
        });
        closed.collect()
    }

    fn actions(&self) -> Vec<&'static str> {
        self.out.iter().map(|event| event.fact.action()).collect()
    }
}

/// The state and history of a conversation made by `run`, and how it went.
fn after(run: impl FnOnce(&mut Bench)) -> (ConnectionState, String, Outcome) {
    let mut bench = Bench::new(FlowOptions::default());
    run(&mut bench);
    let closed = bench.closed();
    assert_eq!(closed.len(), 1);
    let wire = closed[0].wire.as_ref().unwrap();
    (wire.state, wire.history.to_string(), closed[0].outcome)
}

fn shake(bench: &mut Bench) -> &mut Bench {
    bench.client(SYN, 99, 0, b"");
    bench.server(SYN | ACK, 499, 100, b"");
    bench.client(ACK, 100, 500, b"")
}

#[test]
fn every_state_of_a_tcp_conversation() {
    use ConnectionState as State;
    type Run = fn(&mut Bench);
    let cases: [(State, &str, Outcome, Run); 15] = [
        (State::S0, "S", Outcome::Unanswered, |bench| {
            bench.client(SYN, 99, 0, b"").client(SYN, 99, 0, b"");
        }),
        (State::S1, "ShADd", Outcome::TimedOut, |bench| {
            shake(bench)
                .client(ACK, 100, 500, b"hi")
                .server(ACK, 500, 102, b"ho");
        }),
        (State::SF, "ShAFf", Outcome::Finished, |bench| {
            shake(bench).client(ACK | FIN, 100, 500, b"");
            bench.server(ACK | FIN, 500, 101, b"").client(ACK, 101, 501, b"");
        }),
        (State::REJ, "Sr", Outcome::Refused, |bench| {
            bench.client(SYN, 99, 0, b"").server(RST | ACK, 0, 100, b"");
        }),
        (State::S2, "ShAFa", Outcome::TimedOut, |bench| {
            shake(bench)
                .client(ACK | FIN, 100, 500, b"")
                .server(ACK, 500, 101, b"");
        }),
        (State::S3, "ShAf", Outcome::TimedOut, |bench| {
            shake(bench).server(ACK | FIN, 500, 100, b"");
        }),
        (State::RSTO, "ShAR", Outcome::Reset, |bench| {
            shake(bench).client(RST, 100, 0, b"");
        }),
        (State::RSTR, "ShAr", Outcome::Reset, |bench| {
            shake(bench).server(RST, 500, 0, b"");
        }),
        (State::RSTOS0, "SR", Outcome::Abandoned, |bench| {
            bench.client(SYN, 99, 0, b"").client(RST, 100, 0, b"");
        }),
        (State::RSTRH, "^hr", Outcome::Unknown, |bench| {
            bench.server(SYN | ACK, 499, 100, b"").server(RST, 500, 0, b"");
        }),
        (State::SH, "SF", Outcome::Abandoned, |bench| {
            bench.client(SYN, 99, 0, b"").client(FIN | ACK, 100, 500, b"");
        }),
        (State::SHR, "^hf", Outcome::Unknown, |bench| {
            bench
                .server(SYN | ACK, 499, 100, b"")
                .server(FIN | ACK, 500, 100, b"");
        }),
        (State::OTH, "Da", Outcome::Unknown, |bench| {
            bench.client(ACK, 100, 500, b"hi").server(ACK, 500, 102, b"");
        }),
        (State::OTH, "R", Outcome::Unknown, |bench| {
            bench.client(RST, 100, 0, b"");
        }),
        // A reset after both closed is the rest of an orderly end.
        (State::SF, "ShAfFr", Outcome::Finished, |bench| {
            shake(bench).server(ACK | FIN, 500, 100, b"");
            bench.client(ACK | FIN, 100, 501, b"").server(RST, 501, 0, b"");
        }),
    ];
    for (state, history, outcome, run) in cases {
        assert_eq!(after(run), (state, history.to_owned(), outcome), "{history}");
    }
}

#[test]
fn letters_are_written_once_by_number_or_by_powers_of_ten() {
    let (_, history, _) = after(|bench| {
        shake(bench);
        for _ in 0..3 {
            bench.client(ACK, 100, 500, b"twelve bytes");
        }
        for _ in 0..10 {
            bench.client(ACK, 100, 500, b"twelve bytes");
        }
        bench.server(ACK, 500, 112, b"");
        bench.server(ACK, 500, 112, b"");
    });
    assert_eq!(history, "ShADTTa");
    let (_, history, _) = after(|bench| {
        bench
            .client(SYN, 99, 0, b"")
            .client(SYN, 99, 0, b"")
            .client(SYN, 7_099, 0, b"");
    });
    assert_eq!(history, "SS");
    let (_, history, _) = after(|bench| {
        bench.client(SYN | FIN, 99, 0, b"").server(FIN | RST, 1, 0, b"");
    });
    assert_eq!(history, "QSFifr");
    let (_, history, _) = after(|bench| {
        shake(bench);
        // The client acknowledges what nobody saw.
        bench
            .client(ACK, 100, 500, b"x")
            .server(ACK, 500, 101, b"a")
            .client(ACK, 101, 601, b"");
    });
    assert_eq!(history, "ShADdg");
    let mut bench = Bench::new(FlowOptions::default());
    shake(&mut bench);
    let mut closed = tcp(CLIENT, SERVER, ACK, (100, 500), b"");
    if let Segment::Tcp { window, .. } = &mut closed {
        *window = 0;
    }
    bench.take(&packet(50, CLIENT, SERVER, 6, closed));
    assert_eq!(&*bench.closed()[0].wire.as_ref().unwrap().history, "ShAW");
}

#[test]
fn bytes_go_by_sequence_numbers() {
    let mut bench = Bench::new(FlowOptions::default());
    shake(&mut bench).client(ACK, 100, 500, b"hello");
    bench
        .client(ACK, 100, 500, b"hello")
        .client(ACK, 110, 500, b"later");
    bench.server(ACK, 500, 115, b"");
    bench
        .client(ACK | FIN, 115, 500, b"")
        .server(ACK | FIN, 500, 116, b"");
    bench.client(ACK, 116, 501, b"");
    let closed = bench.closed();
    let wire = closed[0].wire.as_ref().unwrap();
    let (source, destination) = (&wire.source, &wire.destination);
    assert_eq!((source.payload_bytes, source.missed_bytes), (Some(15), 5));
    assert_eq!((source.retransmits, source.out_of_order), (1, 0));
    assert_eq!((destination.payload_bytes, destination.packets), (Some(0), 3));
    assert_eq!((source.ip_bytes, source.frame_bytes), (7 * 86, 7 * 100));
    assert_eq!(source.tcp_flags, SYN | ACK | FIN);
    assert_eq!(closed[0].state, SocketState::TimeWait);
    assert_eq!(closed[0].duration(), Span(9_000));
}

#[test]
fn who_began_is_told_by_ports_where_the_beginning_is_missing() {
    let server = (2, 80);
    let mut bench = Bench::new(FlowOptions::default());
    bench.segment(server, CLIENT, ACK, (500, 100), b"HTTP");
    let closed = bench.closed();
    assert_eq!(closed[0].source.port, CLIENT.1);
    assert_eq!(&*closed[0].wire.as_ref().unwrap().history, "^d");
    assert_eq!(closed[0].service.as_deref(), Some("http"));
    let mut bench = Bench::new(FlowOptions::default());
    bench.take(&packet(0, (2, 53), CLIENT, 17, udp((2, 53), CLIENT, b"x")));
    let closed = bench.closed();
    let wire = closed[0].wire.as_ref().unwrap();
    assert_eq!((wire.state, &*wire.history), (ConnectionState::SHR, "^d"));
    // Servers talk to all by themselves.
    let mut bench = Bench::new(FlowOptions::default());
    let mut to_all = packet(0, (2, 67), (9, 68), 17, udp((2, 67), (9, 68), b"x"));
    to_all.ip.destination = IpAddr::from([255; 4]);
    bench.take(&to_all);
    assert_eq!(&*bench.closed()[0].wire.as_ref().unwrap().history, "D");
}

#[test]
fn icmp_goes_by_type_and_code() {
    let echo = |kind| Segment::Icmp {
        v6: false,
        kind,
        code: 0,
        payload: &[],
        length: 56,
    };
    let mut bench = Bench::new(FlowOptions::default());
    bench.take(&packet(0, (1, 0), (2, 0), 1, echo(8)));
    bench.take(&packet(5, (2, 0), (1, 0), 1, echo(0)));
    let unreachable = Segment::Icmp {
        v6: false,
        kind: 3,
        code: 1,
        payload: &[],
        length: 0,
    };
    for (from, to) in [((1, 0), (2, 0)), ((2, 0), (1, 0))] {
        bench.take(&packet(9, from, to, 1, unreachable));
    }
    let closed = bench.closed();
    assert_eq!(closed.len(), 3);
    assert_eq!((closed[0].source.port, closed[0].destination.port), (8, 0));
    assert_eq!(closed[0].bytes(), Some((56, 56)));
    assert_eq!((closed[1].source.port, closed[1].destination.port), (3, 1));
}

#[test]
fn silence_ends_a_conversation_each_kind_in_its_time() {
    let mut bench = Bench::new(FlowOptions::default());
    bench.client(SYN, 99, 0, b"");
    bench.pass(4_000);
    assert_eq!(bench.flows.len(), 1);
    bench.pass(7_000);
    assert_eq!(bench.flows.len(), 0);
    shake(&mut bench);
    let start = bench.time;
    bench.pass(start + 299_000);
    assert_eq!(bench.flows.len(), 1);
    bench.pass(start + 302_000);
    assert_eq!(bench.flows.len(), 0);
    // A packet that comes too late begins another, to the microsecond.
    let from = 1_000_000;
    bench.take(&packet(from, CLIENT, SERVER, 17, udp(CLIENT, SERVER, b"x")));
    bench.take(&packet(
        from + 60_000,
        CLIENT,
        SERVER,
        17,
        udp(CLIENT, SERVER, b"x"),
    ));
    bench.take(&packet(
        from + 120_001,
        CLIENT,
        SERVER,
        17,
        udp(CLIENT, SERVER, b"x"),
    ));
    let closed = bench.closed();
    let packets: Vec<_> = closed
        .iter()
        .map(|connection| connection.packets().unwrap().0)
        .collect();
    assert_eq!(packets, [1, 2, 2, 1]);
    assert_eq!(closed[2].ended, Some(at(from + 60_000)));
}

#[test]
fn a_syn_after_the_end_begins_another() {
    let mut bench = Bench::new(FlowOptions::default());
    bench
        .client(SYN, 99, 0, b"")
        .server(RST | ACK, 0, 100, b"")
        .client(SYN, 5_000, 0, b"");
    let states: Vec<_> = bench
        .closed()
        .iter()
        .map(|connection| connection.wire.as_ref().unwrap().state)
        .collect();
    assert_eq!(states, [ConnectionState::REJ, ConnectionState::S0]);
}

#[test]
fn what_lasts_is_told_of_now_and_then() {
    let mut bench = Bench::new(FlowOptions::default());
    shake(&mut bench);
    for minute in 1..=26 * 60 {
        bench.time = minute * 60_000;
        bench.client(ACK, 100, 500, b"");
    }
    let told: Vec<i64> = bench
        .out
        .iter()
        .filter(|event| matches!(event.fact, Fact::ConnectionUpdated(_)))
        .map(|event| event.time.since(at(0)).0 / 60_000_000)
        .collect();
    assert_eq!(told.len(), 5, "{told:?}");
    for (told, due) in told.into_iter().zip([10, 30, 60, 720, 1_440]) {
        assert!((due..=due + 10).contains(&told), "{told} for {due}");
    }
}

#[test]
fn the_side_that_is_ours_is_the_one_observed() {
    let mut bench = Bench::new(FlowOptions::default());
    let mut inbound = packet(0, CLIENT, SERVER, 6, tcp(CLIENT, SERVER, SYN, (1, 0), b""));
    inbound.ip.source = IpAddr::from([203, 0, 113, 9]);
    bench.take(&inbound);
    let closed = bench.closed();
    assert_eq!(
        (closed[0].side, closed[0].direction),
        (Side::Destination, Direction::Inbound)
    );
    assert_eq!(closed[0].traffic.unwrap().received_packets, 1);
    let mut bench = Bench::new(FlowOptions::default());
    let mut outbound = packet(0, CLIENT, SERVER, 6, tcp(CLIENT, SERVER, SYN, (1, 0), b""));
    outbound.ip.destination = IpAddr::from([203, 0, 113, 9]);
    bench.take(&outbound);
    let closed = bench.closed();
    assert_eq!(
        (closed[0].side, closed[0].direction),
        (Side::Source, Direction::Outbound)
    );
}

#[test]
fn answers_name_what_follows() {
    // A question for www.example, and its answer: 10.0.0.2.
    let name = b"\x03www\x07example\x00\x00\x01\x00\x01";
    let question = [&b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"[..], name].concat();
    let record = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x0a\x00\x00\x02";
    let answer = [
        &b"\x12\x34\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00"[..],
        name,
        record,
    ]
    .concat();
    let resolver = (9, 53);
    let mut bench = Bench::new(FlowOptions::default());
    bench.take(&packet(0, CLIENT, resolver, 17, udp(CLIENT, resolver, &question)));
    bench.take(&packet(1, resolver, CLIENT, 17, udp(resolver, CLIENT, &answer)));
    assert_eq!(bench.actions(), ["connection_opened", "protocol_spoken"]);
    bench.time = 2;
    bench.client(SYN, 1, 0, b"");
    let closed = bench.closed();
    assert_eq!(closed[1].name.as_deref(), Some("www.example"));
    assert_eq!(closed[1].name_source, Some(NameSource::Dns));
    assert_eq!(closed.len(), 2);
}

#[test]
fn a_full_table_ends_what_is_due_next_and_counts_it() {
    let options = FlowOptions {
        most: 50,
        ..FlowOptions::default()
    };
    let mut bench = Bench::new(options);
    shake(&mut bench);
    for port in 0..1_000 {
        let scanner = (7, port);
        bench.time = 10;
        bench.segment(scanner, SERVER, SYN, (1, 0), b"");
        assert!(bench.flows.len() <= 50);
    }
    bench.pass(2_000);
    let gaps: Vec<u64> = bench
        .out
        .iter()
        .filter_map(|event| match &event.fact {
            Fact::Gap(gap) if gap.stage == Stage::Tables => Some(gap.count),
            _ => None,
        })
        .collect();
    assert_eq!(gaps, [951]);
    let closed = bench.closed();
    assert_eq!(closed.len(), 1_001);
    let kept = closed
        .iter()
        .position(|connection| connection.source.port == CLIENT.1);
    assert_eq!(kept, Some(951), "what is established stays until the end");
}

#[test]
fn what_is_said_in_tunnels_is_read_too() {
    let head = b"GET / HTTP/1.1\r\nHost: www.example\r\n\r\n";
    let answer = b"HTTP/1.1 204 No Content\r\n\r\n";
    let server = (2, 80);
    let tunnels = [atalaya_wire::packet::Tunnel {
        kind: "gre",
        source: address((3, 0)),
        destination: address((4, 0)),
    }];
    let mut bench = Bench::new(FlowOptions::default());
    let length = u32::try_from(head.len()).unwrap();
    let question = tcp(CLIENT, server, ACK, (100, 500), head);
    let answer = tcp(server, CLIENT, ACK, (500, 100 + length), answer);
    for (from, to, segment) in [(CLIENT, server, question), (server, CLIENT, answer)] {
        let mut packet = packet(0, from, to, 6, segment);
        packet.tunnels = &tunnels;
        bench.take(&packet);
    }
    let closed = bench.closed();
    let wire = closed[0].wire.as_ref().unwrap();
    assert_eq!(wire.tunnel.as_deref(), Some("gre 10.0.0.3 10.0.0.4"));
    assert_eq!(wire.http.as_ref().unwrap().status, Some(204));
    assert_eq!(closed[0].name.as_deref(), Some("www.example"));
}

#[test]
fn a_row_is_small() {
    assert!(size_of::<Talk>() <= 320, "{}", size_of::<Talk>());
    assert!(size_of::<Row>() <= 320, "{}", size_of::<Row>());
}

fn any_segment() -> impl Strategy<Value = (bool, u8, u32, u32, usize, u32, u16)> {
    (
        any::<bool>(),
        any::<u8>(),
        0u32..2_000,
        0u32..2_000,
        0usize..64,
        0u32..40,
        0u16..20,
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever comes, in whatever order: no panic, no more rows than allowed, every conversation opened and closed
    /// once, and no packet lost.
    #[test]
    fn hostile_packets_are_counted_and_bounded(
        segments in prop::collection::vec((any_segment(), -5_000i64..90_000), 1..200),
    ) {
        let options = FlowOptions { most: 8, ..FlowOptions::default() };
        let mut bench = Bench::new(options);
        let payload = [0x41; 64];
        let mut time = 0i64;
        for ((answers, flags, sequence, acknowledgment, captured, more, port), step) in &segments {
            time += step;
            let client = (1, *port);
            let (from, to) = if *answers { (SERVER, client) } else { (client, SERVER) };
            let segment = Segment::Tcp {
                source_port: from.1,
                destination_port: to.1,
                sequence: *sequence,
                acknowledgment: *acknowledgment,
                flags: *flags,
                window: *port,
                payload: &payload[..*captured],
                length: u32::try_from(*captured).unwrap() + more,
            };
            bench.take(&packet(time, from, to, 6, segment));
            prop_assert!(bench.flows.len() <= 8);
        }
        let closed = bench.closed();
        let opened = bench.actions().iter().filter(|action| **action == "connection_opened").count();
        prop_assert_eq!(opened, closed.len());
        let packets: u64 = closed.iter().filter_map(|connection| connection.packets()).map(|(a, b)| a + b).sum();
        prop_assert_eq!(packets, segments.len() as u64);
        prop_assert_eq!(bench.flows.len(), 0);
    }
}

/// A connection to a place that was announced on another one, and what the client says in it first.
#[track_caller]
fn announced(words: &[u8], application: Option<Application>) {
    let (control, waiting) = ((2, 21), (2, 50_000));
    let mut bench = Bench::new(FlowOptions::default());
    bench
        .segment(CLIENT, control, SYN, (9, 0), b"")
        .segment(control, CLIENT, SYN | ACK, (9, 10), b"")
        .segment(control, CLIENT, ACK, (10, 10), b"220 FTP\r\n")
        .segment(CLIENT, control, ACK, (10, 19), b"PASV\r\n")
        .segment(control, CLIENT, ACK, (19, 16), b"227 (192,168,0,9,195,80)\r\n")
        .segment(CLIENT, waiting, SYN, (9, 0), b"")
        .segment(waiting, CLIENT, SYN | ACK, (9, 10), b"")
        .segment(CLIENT, waiting, ACK, (10, 10), words)
        .segment(CLIENT, (2, 50_001), SYN, (9, 0), b"");
    let found = bench.closed().into_iter().map(|connection| {
        let wire = connection.wire.as_ref().unwrap();
        (connection.destination.port, wire.application)
    });
    let content = |application| Some((application, Basis::Content));
    let wanted = [
        (21, content(Application::Ftp)),
        (50_000, application.and_then(content)),
        (50_001, None),
    ];
    assert_eq!(found.collect::<Vec<_>>(), wanted);
}

#[test]
fn what_was_announced_is_named_and_what_is_said_wins() {
    announced(b"0123456789", Some(Application::FtpData));
    announced(b"", Some(Application::FtpData));
    announced(b"GET / HTTP/1.1\r\n\r\n", Some(Application::Http));
}

#[test]
fn an_answer_of_ntp_that_comes_first_turns_the_direction() {
    let (client, server) = ((1, 123), (2, 123));
    for (mode, source) in [(0x24, client), (0x23, server)] {
        let mut bench = Bench::new(FlowOptions::default());
        let mut words = [0; 48];
        words[0] = mode;
        bench.take(&packet(1, server, client, 17, udp(server, client, &words)));
        let closed = bench.closed();
        assert_eq!(closed[0].source.ip, address(source), "mode {}", mode & 7);
    }
}
