//! The program against the grammar: any filter, any packet.

use std::net::IpAddr;

use atalaya_model::fields::{self, Record};
use atalaya_model::filter::{Glob, Pattern, Test, parse};
use atalaya_model::*;
use atalaya_wire::{Decoder, Frame, Packet, Segment};
use proptest::prelude::*;

use super::*;

/// What the kernel's machine does with a program: the number of bytes to keep.
fn run(program: &Program, frame: &[u8]) -> u32 {
    let load = |at: u32, width: usize| {
        let bytes = frame.get(at as usize..)?.get(..width)?;
        Some(
            bytes
                .iter()
                .fold(0u32, |value, byte| value << 8 | u32::from(*byte)),
        )
    };
    let (mut a, mut x, mut at) = (0u32, 0u32, 0usize);
    loop {
        let Instruction {
            code,
            skip_true,
            skip_false,
            value,
        } = program.instructions[at];
        let loaded = match code {
            0x20 => load(value, 4),
            0x28 => load(value, 2),
            0x30 => load(value, 1),
            0x40 => load(x + value, 4),
            0x48 => load(x + value, 2),
            0x80 => u32::try_from(frame.len()).ok(),
            _ => Some(0),
        };
        // A load beyond the frame ends the program.
        let Some(loaded) = loaded else { return 0 };
        at += 1;
        let holds = match code {
            0x20 | 0x28 | 0x30 | 0x40 | 0x48 | 0x80 => {
                a = loaded;
                continue;
            }
            0xb1 => {
                let Some(byte) = load(value, 1) else { return 0 };
                x = 4 * (byte & 0xf);
                continue;
            }
            0x1c => {
                a = a.wrapping_sub(x);
                continue;
            }
            0x54 => {
                a &= value;
                continue;
            }
            0x05 => {
                at += value as usize;
                continue;
            }
            0x06 => return value,
            0x15 => a == value,
            0x25 => a > value,
            0x35 => a >= value,
            0x45 => a & value != 0,
            other => panic!("instruction {other:#x}"),
        };
        at += usize::from(if holds { skip_true } else { skip_false });
    }
}

/// A packet, and what is around it.
#[derive(Clone, Debug)]
struct Sample {
    ends: [IpAddr; 2],
    ports: [u16; 2],
    protocol: u8,
    /// Words of IPv4 options.
    options: u8,
    wrapping: Wrapping,
    /// Types of VLAN tags, where there is Ethernet.
    tags: Vec<u16>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrapping {
    Plain,
    Fragment,
    /// With an extension header.
    Extended,
    Arp,
}

impl Sample {
    /// The program cannot decide, and must pass it.
    fn is_undecided(&self, link: LinkType, program: &Program) -> bool {
        if link == LinkType::ETHERNET && self.tags.len() > usize::from(program.tags) {
            return true;
        }
        let carriers: &[u8] = if self.ends[0].is_ipv4() {
            &CARRIERS_V4
        } else {
            &CARRIERS_V6
        };
        let is_tunnel = self.protocol == UDP && self.ports.iter().any(|port| TUNNEL_PORTS.contains(port));
        if link == LinkType::ETHERNET && self.wrapping == Wrapping::Arp {
            return false;
        }
        self.wrapping != Wrapping::Plain || carriers.contains(&self.protocol) || is_tunnel
    }

    fn packet(&self) -> Vec<u8> {
        let with_extension = self.wrapping == Wrapping::Extended;
        let mut bytes;
        match (self.ends[0], self.ends[1]) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                bytes = vec![0; 20 + 4 * usize::from(self.options)];
                bytes[0] = 0x45 + self.options;
                bytes[6] = if self.wrapping == Wrapping::Fragment || with_extension {
                    0x20
                } else {
                    0x40
                };
                bytes[9] = self.protocol;
                bytes[12..16].copy_from_slice(&source.octets());
                bytes[16..20].copy_from_slice(&destination.octets());
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                bytes = vec![0; 40];
                bytes[0] = 0x60;
                bytes[6] = match self.wrapping {
                    Wrapping::Fragment => 44,
                    _ if with_extension => 60,
                    _ => self.protocol,
                };
                bytes[8..24].copy_from_slice(&source.octets());
                bytes[24..40].copy_from_slice(&destination.octets());
            }
            _ => unreachable!("both ends are of one family"),
        }
        for port in self.ports {
            bytes.extend(port.to_be_bytes());
        }
        // UDP's head is complete and its payload empty; TCP's is as long as it says.
        match self.protocol {
            UDP => bytes.extend([0, 8, 0, 0]),
            _ => bytes.extend([0, 0, 0, 0, 0, 0, 0, 0, 0x50, 2, 0, 0, 0, 0, 0, 0]),
        }
        let size = u16::try_from(bytes.len()).unwrap();
        match self.ends[0] {
            IpAddr::V4(_) => bytes[2..4].copy_from_slice(&size.to_be_bytes()),
            IpAddr::V6(_) => bytes[4..6].copy_from_slice(&(size - 40).to_be_bytes()),
        }
        bytes
    }

    fn frame(&self, link: LinkType) -> Vec<u8> {
        if link == LinkType::RAW {
            return self.packet();
        }
        let mut bytes = vec![2; 12];
        for (number, kind) in (5..).zip(&self.tags) {
            bytes.extend(kind.to_be_bytes());
            bytes.extend([0x20, number]);
        }
        bytes.extend(match self.wrapping {
            Wrapping::Arp => [8, 6],
            _ if self.ends[0].is_ipv4() => [8, 0],
            _ => [0x86, 0xdd],
        });
        bytes.extend(self.packet());
        bytes
    }

    /// The connection that it would make, where its sender began it (`is_forward`), or its receiver.
    fn connection(&self, is_forward: bool) -> Connection {
        let has_ports = PORTED.contains(&self.protocol);
        let end =
            |place: usize| Endpoint::new(self.ends[place], if has_ports { self.ports[place] } else { 0 });
        let (source, destination) = if is_forward {
            (end(0), end(1))
        } else {
            (end(1), end(0))
        };
        Connection {
            id: 1,
            started: Time(5),
            started_before: false,
            seen: Time(6),
            ended: None,
            transport: Transport::from_number(self.protocol),
            source,
            destination,
            side: Side::Source,
            direction: Direction::Outbound,
            scope: Scope::External,
            state: SocketState::Established,
            network_namespace: 1,
            cookie: 5,
            user_id: Some(0),
            cgroup_id: None,
            traffic: None,
            outcome: Default::default(),
            name: None,
            name_source: None,
            service: Some("https".into()),
            process: None,
            attribution: Evidence::NotFound.into(),
            shared_with: Box::default(),
            wire: None,
        }
    }
}

fn a_port() -> impl Strategy<Value = u16> {
    prop_oneof![9 => 1..6u16, 1 => any::<u16>(), 1 => Just(4789)]
}

fn a_sample() -> impl Strategy<Value = Sample> {
    let v4 = prop::sample::select(vec!["10.0.0.1", "10.0.0.2", "10.9.0.1", "192.0.2.7", "0.0.0.0"]);
    let v6 = prop::sample::select(vec![
        "2001:db8::1",
        "2001:db8:0:1::1",
        "fe80::1",
        "::1",
        "2001:db9::",
    ]);
    let pair = |text: [&str; 2]| text.map(|text| text.parse::<IpAddr>().unwrap());
    let ends = prop_oneof![[v4.clone(), v4].prop_map(pair), [v6.clone(), v6].prop_map(pair)];
    let protocol = prop_oneof![
        6 => prop::sample::select(vec![6, 17, 132]),
        2 => prop::sample::select(vec![1, 58, 33, 136, 89]),
        1 => any::<u8>(),
    ];
    let wrapping = prop_oneof![
        8 => Just(Wrapping::Plain),
        1 => Just(Wrapping::Fragment),
        1 => Just(Wrapping::Extended),
        1 => Just(Wrapping::Arp),
    ];
    let tag = prop::sample::select(TAGS.map(|tag| u16::try_from(tag).unwrap()).to_vec());
    let tags = prop_oneof![2 => Just(Vec::new()), 1 => prop::collection::vec(tag, 1..5)];
    (ends, [a_port(), a_port()], protocol, 0..11u8, wrapping, tags).prop_map(
        |(ends, ports, protocol, options, wrapping, tags)| Sample {
            ends,
            ports,
            protocol,
            options,
            wrapping,
            tags,
        },
    )
}

fn a_test() -> impl Strategy<Value = Test> {
    let networks = [
        "10.0.0.0/8",
        "10.0.0.0/30",
        "10.0.0.1/32",
        "0.0.0.0/0",
        "::/0",
        "2001:db8::/32",
        "2001:db8::/64",
        "2001:db8::/47",
        "2001:db8::1/128",
        "fe80::/10",
    ];
    let texts = [
        "tcp",
        "UDP",
        "raw",
        "ipv6-icmp",
        "ipv4",
        "ipv6",
        "sctp",
        "10.0.0.1",
        "",
        "udplite",
    ];
    prop_oneof![
        1 => Just(Test::Exists),
        6 => prop::sample::select(networks.to_vec()).prop_map(|network| Test::Within(network.parse().unwrap())),
        4 => prop::sample::select(texts.to_vec()).prop_map(|text| Test::Equals(text.into())),
        1 => Just(Test::Glob(Glob::new("*p*"))),
        1 => Just(Test::Contains("1".into())),
        1 => Just(Test::Regex(Pattern::new("^(tcp|10)", false).unwrap())),
        4 => (0..7i64, 0..7i64).prop_map(|(low, high)| Test::Range { low, high }),
        2 => (1..6i64).prop_map(|port| Test::Range { low: port, high: port }),
        1 => prop::sample::select(vec![
            (i64::MIN, 3), (3, i64::MAX), (-5, 70_000), (65_535, 65_536), (65_536, i64::MAX)
        ]).prop_map(|(low, high)| Test::Range { low, high }),
        1 => any::<bool>().prop_map(Test::Is),
    ]
}

const KNOWN: [&str; 6] = [
    "source.ip",
    "destination.ip",
    "source.port",
    "destination.port",
    "network.transport",
    "network.type",
];

/// Any expression, mostly of what a program knows, also those that the parser would refuse.
fn an_expression() -> BoxedStrategy<Expression> {
    let all: Vec<_> = fields::all().collect();
    let known: Vec<_> = KNOWN.map(|name| fields::find(name).unwrap()).to_vec();
    let field = prop_oneof![12 => prop::sample::select(known), 1 => prop::sample::select(all)];
    let test = prop_oneof![4 => a_test(), 1 => prop::collection::vec(a_test(), 0..4).prop_map(Test::Any)];
    let leaf = prop_oneof![
        12 => (prop::collection::vec(field, 1..3), test)
            .prop_map(|(fields, test)| Expression::Compare { fields, test }),
        1 => Just(Expression::All),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Expression::And),
            prop::collection::vec(inner.clone(), 0..4).prop_map(Expression::Or),
            inner.prop_map(|it| Expression::Not(it.into())),
        ]
    })
    .boxed()
}

/// It names only fields that a program knows, none of which is one of a gap.
fn is_of_known(filter: &Expression) -> bool {
    match filter {
        Expression::All => true,
        Expression::And(items) | Expression::Or(items) => items.iter().all(is_of_known),
        Expression::Not(item) => is_of_known(item),
        Expression::Compare { fields, .. } => fields.iter().all(|field| KNOWN.contains(&field.name)),
    }
}

/// The program passes what the grammar finds in one of the two connections that a packet may belong to; an exact one
/// passes nothing else.
fn check(filter: &Expression, sample: &Sample, link: LinkType) -> Result<(), TestCaseError> {
    let program = Program::new(filter, link, 99);
    let kept = run(&program, &sample.frame(link));
    prop_assert!(kept == 0 || kept == 99);
    let passes = kept > 0;
    if sample.is_undecided(link, &program) {
        prop_assert!(passes, "undecided, and dropped");
        return Ok(());
    }
    if link == LinkType::ETHERNET && sample.wrapping == Wrapping::Arp {
        let gap = Gap {
            time: Time(0),
            stage: Stage::Watch,
            count: 0,
            reason: "".into(),
        };
        if is_of_known(filter) && program.is_exact() {
            prop_assert_eq!(passes, filter.matches(&Record::Gap(&gap)));
        }
        return Ok(());
    }
    let matches = [true, false]
        .map(|is_forward| sample.connection(is_forward))
        .iter()
        .any(|connection| filter.matches(&Record::Connection(connection)));
    if program.is_exact() && PORTED.contains(&sample.protocol) {
        prop_assert_eq!(passes, matches);
    } else {
        prop_assert!(passes || !matches, "dropped what matches");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn the_kernel_passes_what_matches(filter in an_expression(), samples in prop::collection::vec(a_sample(), 8)) {
        for sample in &samples {
            for link in [LinkType::ETHERNET, LinkType::RAW] {
                let sample = match (link, sample.wrapping) {
                    (LinkType::RAW, Wrapping::Arp) => Sample { wrapping: Wrapping::Plain, ..sample.clone() },
                    _ => sample.clone(),
                };
                check(&filter, &sample, link)?;
            }
        }
    }

    #[test]
    fn no_frame_breaks_the_machine(filter in an_expression(), frame in prop::collection::vec(any::<u8>(), 0..80)) {
        for link in [LinkType::ETHERNET, LinkType::RAW, LinkType::RADIOTAP] {
            let kept = run(&Program::new(&filter, link, 64), &frame);
            prop_assert!(kept == 0 || kept == 64);
        }
    }
}

/// What a packet is put into.
#[derive(Clone, Copy, Debug)]
enum Tunnel {
    None,
    Gre,
    InIp,
    Vxlan,
    Teredo,
    Mpls,
    Pppoe,
}

fn tunnelled(tunnel: Tunnel, inner: &Sample) -> Vec<u8> {
    let packet = inner.packet();
    let is_v4 = inner.ends[0].is_ipv4();
    let kind = if is_v4 { [8, 0] } else { [0x86, 0xdd] };
    let number = if is_v4 { 4 } else { 41 };
    let outer = |protocol: u8, ports: [u16; 2], rest: &[&[u8]]| {
        let mut frame = sample(["198.51.100.1", "198.51.100.2"], ports, protocol).frame(LinkType::ETHERNET);
        if protocol != UDP {
            frame.truncate(34);
        }
        for part in rest {
            frame.extend_from_slice(part);
        }
        let length = u16::try_from(frame.len() - 14).unwrap();
        frame[16..18].copy_from_slice(&length.to_be_bytes());
        if protocol == UDP {
            frame[38..40].copy_from_slice(&(length - 20).to_be_bytes());
        }
        frame
    };
    let ethernet = |kind: [u8; 2], rest: &[&[u8]]| [&[2; 12], &kind[..], &rest.concat()].concat();
    match tunnel {
        Tunnel::None => inner.frame(LinkType::ETHERNET),
        Tunnel::Gre => outer(47, [0; 2], &[&[0, 0], &kind, &packet]),
        Tunnel::InIp => outer(number, [0; 2], &[&packet]),
        Tunnel::Vxlan => outer(
            17,
            [9, 4789],
            &[&[8, 0, 0, 0, 0, 0, 1, 0], &ethernet(kind, &[&packet])],
        ),
        Tunnel::Teredo => outer(17, [7, 9], &[&packet]),
        Tunnel::Mpls => ethernet([0x88, 0x47], &[&[0, 1, 1, 64], &packet]),
        Tunnel::Pppoe => {
            let size = u16::try_from(packet.len() + 2).unwrap().to_be_bytes();
            let kind: [u8; 2] = if is_v4 { [0, 0x21] } else { [0, 0x57] };
            ethernet([0x88, 0x64], &[&[0x11, 0, 0, 1], &size, &kind, &packet])
        }
    }
}

/// The connections that the packets of a frame may belong to, by the decoder that the engine uses.
fn decoded(frame: &[u8], link: LinkType) -> Vec<Connection> {
    let frame = Frame {
        time: Time(1),
        link,
        interface: 1,
        length: u32::try_from(frame.len()).unwrap(),
        data: frame,
        vlan: None,
    };
    let mut found = Vec::new();
    let mut take = |packet: &Packet<'_>| {
        let ports = match packet.segment {
            Segment::Tcp {
                source_port,
                destination_port,
                ..
            }
            | Segment::Udp {
                source_port,
                destination_port,
                ..
            }
            | Segment::Sctp {
                source_port,
                destination_port,
                ..
            } => [source_port, destination_port],
            Segment::Icmp { kind, code, .. } => [u16::from(kind), u16::from(code)],
            // A head that is damaged says nothing of ports, while the program reads what is there.
            Segment::Other { .. } if PORTED.contains(&packet.ip.protocol) => return,
            Segment::Other { .. } => [0; 2],
        };
        let seen = Sample {
            ends: [packet.ip.source, packet.ip.destination],
            ports,
            protocol: packet.ip.protocol,
            options: 0,
            wrapping: Wrapping::Plain,
            tags: Vec::new(),
        };
        for is_forward in [true, false] {
            let mut connection = seen.connection(is_forward);
            (connection.source.port, connection.destination.port) = if is_forward {
                (ports[0], ports[1])
            } else {
                (ports[1], ports[0])
            };
            found.push(connection);
        }
    };
    _ = Decoder::default().decode(&frame, &mut take);
    found
}

fn a_tunnel() -> impl Strategy<Value = Tunnel> {
    use Tunnel::{Gre, InIp, Mpls, None, Pppoe, Teredo, Vxlan};
    prop::sample::select(vec![None, None, None, Gre, InIp, Vxlan, Teredo, Mpls, Pppoe])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn nothing_is_dropped_in_which_the_decoder_finds_a_match(
        filter in an_expression(),
        samples in prop::collection::vec((a_sample(), a_tunnel()), 8),
        damage in prop::collection::vec((0..60usize, any::<u8>()), 0..4),
    ) {
        for (sample, tunnel) in &samples {
            let mut frame = tunnelled(*tunnel, sample);
            for (at, value) in &damage {
                if let Some(byte) = frame.get_mut(*at) {
                    *byte = *value;
                }
            }
            for (link, frame) in [(LinkType::ETHERNET, &frame[..]), (LinkType::RAW, &frame[14..])] {
                let matching: Vec<_> = decoded(frame, link)
                    .into_iter()
                    .filter(|connection| filter.matches(&Record::Connection(connection)))
                    .collect();
                let kept = run(&Program::new(&filter, link, 99), frame);
                prop_assert!(kept > 0 || matching.is_empty(), "{:?} {:?} {:x?} {:?}", link, tunnel, frame, matching);
            }
        }
    }
}

#[test]
fn the_decoder_looks_into_what_the_tests_wrap() {
    let inner = sample(["fe80::1", "2001:db8::1"], [1, 2], 17);
    for tunnel in [
        Tunnel::Gre,
        Tunnel::InIp,
        Tunnel::Vxlan,
        Tunnel::Teredo,
        Tunnel::Mpls,
        Tunnel::Pppoe,
    ] {
        let found = decoded(&tunnelled(tunnel, &inner), LinkType::ETHERNET);
        let is_inner = |connection: &Connection| connection.source.ip == inner.ends[0];
        assert!(found.iter().any(is_inner), "{tunnel:?} {found:?}");
    }
}

fn sample(ends: [&str; 2], ports: [u16; 2], protocol: u8) -> Sample {
    Sample {
        ends: ends.map(|end| end.parse().unwrap()),
        ports,
        protocol,
        options: 0,
        wrapping: Wrapping::Plain,
        tags: Vec::new(),
    }
}

#[track_caller]
fn passes(filter: &str, sample: &Sample) -> bool {
    let program = Program::new(&parse(filter).unwrap(), LinkType::ETHERNET, 1_000);
    run(&program, &sample.frame(LinkType::ETHERNET)) == 1_000
}

#[test]
fn written_filters_do_what_they_say() {
    let asked = sample(["10.0.0.1", "203.0.113.7"], [40_000, 443], 6);
    let answered = sample(["203.0.113.7", "10.0.0.1"], [443, 40_000], 6);
    let name = sample(["2001:db8::1", "2001:db8::53"], [5_000, 53], 17);
    for (filter, expected) in [
        ("", [true, true, true]),
        ("dport:443", [true, true, false]),
        ("port:53", [false, false, true]),
        ("!port:53", [true, true, false]),
        ("dst:203.0.113.0/24 proto:tcp", [true, true, false]),
        ("family:ipv6", [false, false, true]),
        ("proto:udp,sctp or 10.0.0.1", [true, true, true]),
        ("src:10.0.0.1 dport:53", [false, false, false]),
        ("dport:50..60,400..500 !src:2001:db8::/64", [true, true, false]),
        ("process.name:ssh", [true, true, true]),
        ("!process.name:ssh dport:443", [true, true, false]),
        ("not (process.name:ssh or dport:443)", [true, true, true]), // as one from port 443 to port 40000
        (
            "proto:tcp not (process.name:ssh or port:443)",
            [false, false, false],
        ),
    ] {
        let seen = [&asked, &answered, &name].map(|sample| passes(filter, sample));
        assert_eq!(seen, expected, "{filter}");
    }
}

#[test]
fn addresses_inside_addresses_pass() {
    let mapped = sample(["::ffff:10.0.0.1", "::1"], [1, 2], 6);
    assert!(passes("src:10.0.0.1", &mapped) && passes("src:192.0.2.1", &mapped));
    assert!(!passes("src:192.0.2.1", &sample(["::1", "::1"], [1, 2], 6)));
}

#[test]
fn tags_inside_the_frame_are_stepped_over() {
    let tagged = |tags: &[u16]| Sample {
        tags: tags.into(),
        ..sample(["10.0.0.1", "203.0.113.7"], [40_000, 443], 6)
    };
    for tags in [&[0x8100][..], &[0x88a8, 0x8100], &[0x9100, 0x9100]] {
        let seen = ["dport:443", "dport:80", "vlan:7 dport:443"].map(|filter| passes(filter, &tagged(tags)));
        assert_eq!(seen, [true, false, true], "{tags:x?}");
    }
    // More are left to the engine, which reads them.
    let three = tagged(&[0x8100; 3]);
    assert!(passes("dport:80", &three));
    assert_eq!(
        decoded(&three.frame(LinkType::ETHERNET), LinkType::ETHERNET).len(),
        2
    );
    // A filter too long for three of everything is written for fewer tags.
    let networks = (0..500u32).map(|n| Test::Within(IpAddr::from((n << 8).to_be_bytes()).into()));
    let long = Expression::Compare {
        fields: vec![fields::find("source.ip").unwrap()],
        test: Test::Any(networks.collect()),
    };
    let program = Program::new(&long, LinkType::ETHERNET, 9);
    assert!(program.tags < MOST_TAGS && program.is_exact());
    let frame = tagged(&[0x8100, 0x8100]).frame(LinkType::ETHERNET);
    assert_eq!(run(&program, &frame), 9);
}

#[test]
fn long_filters_reach_and_too_long_ones_pass() {
    let list = |count: u32| {
        (0..count)
            .map(|n| format!("192.0.{}.{}", n / 256, n % 256))
            .collect::<Vec<_>>()
    };
    let last = sample(["192.0.1.43", "10.0.0.1"], [1, 2], 6);
    let other = sample(["192.0.1.44", "10.0.0.1"], [1, 2], 6);
    let filter = format!("src:{}", list(300).join(","));
    assert!(passes(&filter, &last) && !passes(&filter, &other));
    let program = |text: &str| Program::new(&parse(text).unwrap(), LinkType::ETHERNET, 77);
    assert!(program(&filter).is_exact());
    let networks = list(1_000)
        .into_iter()
        .map(|ip| Test::Within(ip.parse::<IpAddr>().unwrap().into()));
    let too_long = Expression::Compare {
        fields: vec![fields::find("source.ip").unwrap()],
        test: Test::Any(networks.collect()),
    };
    assert_eq!(
        Program::new(&too_long, LinkType::ETHERNET, 77),
        Program::everything(77)
    );
    assert!(!program("dport:443 process.name:ssh").is_exact());
    let short = program("dport:443").instructions().len();
    assert!(short < 600, "{short}");
}
