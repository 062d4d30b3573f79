//! The program against the grammar: any filter, any packet.

use std::net::IpAddr;

use atalaya_model::fields::{self, Record};
use atalaya_model::filter::{Glob, Pattern, Test, parse};
use atalaya_model::*;
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
            0x48 => load(x + value, 2),
            _ => Some(0),
        };
        // A load beyond the frame ends the program.
        let Some(loaded) = loaded else { return 0 };
        at += 1;
        let holds = match code {
            0x20 | 0x28 | 0x30 | 0x48 => {
                a = loaded;
                continue;
            }
            0xb1 => {
                let Some(byte) = load(value, 1) else { return 0 };
                x = 4 * (byte & 0xf);
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
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrapping {
    Plain,
    Fragment,
    /// A tag inside the frame, or an extension header where there is no Ethernet.
    Tagged,
    Arp,
}

impl Sample {
    /// The program cannot decide, and must pass it.
    fn is_undecided(&self) -> bool {
        let carriers: &[u8] = if self.ends[0].is_ipv4() {
            &CARRIERS_V4
        } else {
            &CARRIERS_V6
        };
        let is_tunnel = self.protocol == UDP && self.ports.iter().any(|port| TUNNEL_PORTS.contains(port));
        !matches!(self.wrapping, Wrapping::Plain | Wrapping::Arp)
            || carriers.contains(&self.protocol)
            || is_tunnel
    }

    fn packet(&self, with_extension: bool) -> Vec<u8> {
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
        bytes.resize(bytes.len() + 4, 0);
        bytes
    }

    fn frame(&self, link: LinkType) -> Vec<u8> {
        let is_tagged = self.wrapping == Wrapping::Tagged;
        if link == LinkType::RAW {
            return self.packet(is_tagged);
        }
        let mut bytes = vec![2; 12];
        if is_tagged {
            bytes.extend([0x81, 0, 0, 5]);
        }
        bytes.extend(match self.wrapping {
            Wrapping::Arp => [8, 6],
            _ if self.ends[0].is_ipv4() => [8, 0],
            _ => [0x86, 0xdd],
        });
        bytes.extend(self.packet(false));
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
        1 => Just(Wrapping::Tagged),
        1 => Just(Wrapping::Arp),
    ];
    (ends, [a_port(), a_port()], protocol, 0..11u8, wrapping).prop_map(
        |(ends, ports, protocol, options, wrapping)| Sample {
            ends,
            ports,
            protocol,
            options,
            wrapping,
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

/// The program passes what the grammar finds in one of the two connections that a packet may belong to; an exact one
/// passes nothing else.
fn check(filter: &Expression, sample: &Sample, link: LinkType) -> Result<(), TestCaseError> {
    let program = Program::new(filter, link, 99);
    let kept = run(&program, &sample.frame(link));
    prop_assert!(kept == 0 || kept == 99);
    let passes = kept > 0;
    if link == LinkType::ETHERNET && sample.wrapping == Wrapping::Arp {
        let gap = Gap {
            time: Time(0),
            stage: Stage::Watch,
            count: 0,
            reason: "".into(),
        };
        if program.is_exact() {
            prop_assert_eq!(passes, filter.matches(&Record::Gap(&gap)));
        }
        return Ok(());
    }
    let matches = [true, false]
        .map(|is_forward| sample.connection(is_forward))
        .iter()
        .any(|connection| filter.matches(&Record::Connection(connection)));
    if sample.is_undecided() {
        prop_assert!(passes, "undecided, and dropped");
    } else if program.is_exact() && PORTED.contains(&sample.protocol) {
        prop_assert_eq!(passes, matches);
    } else {
        prop_assert!(passes || !matches, "dropped what matches");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

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

fn sample(ends: [&str; 2], ports: [u16; 2], protocol: u8) -> Sample {
    Sample {
        ends: ends.map(|end| end.parse().unwrap()),
        ports,
        protocol,
        options: 0,
        wrapping: Wrapping::Plain,
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
    assert!(program("dport:443").instructions().len() < 120);
}
