//! Samples for tests of the three that evaluate a filter: packets with the connections that they may belong to, any filter,
//! and the kernel's machine. Also read by the program's own test, which holds the store to the same.

use std::net::IpAddr;

use atalaya_model::fields;
use atalaya_model::filter::{Expression, Glob, Pattern, Test};
use atalaya_model::*;
use atalaya_wire::LinkType;
use proptest::prelude::*;

use super::Instruction;

const UDP: u8 = 17;
const PORTED: [u8; 3] = [6, UDP, 132];
/// Types of VLAN tags.
const TAGS: [u16; 5] = [0x8100, 0x88a8, 0x9100, 0x9200, 0x9300];

/// What the kernel's machine does with a program: the number of bytes to keep.
pub(super) fn run(program: &[Instruction], frame: &[u8]) -> u32 {
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
        } = program[at];
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
pub(super) struct Sample {
    pub(super) ends: [IpAddr; 2],
    pub(super) ports: [u16; 2],
    pub(super) protocol: u8,
    /// Words of IPv4 options.
    pub(super) options: u8,
    pub(super) wrapping: Wrapping,
    /// Types of VLAN tags, where there is Ethernet.
    pub(super) tags: Vec<u16>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrapping {
    Plain,
    Fragment,
    /// With an extension header.
    Extended,
    Arp,
}

impl Sample {
    pub(super) fn packet(&self) -> Vec<u8> {
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

    pub(super) fn frame(&self, link: LinkType) -> Vec<u8> {
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
    pub(super) fn connection(&self, is_forward: bool) -> Connection {
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
            places: Places::default(),
        }
    }
}

fn a_port() -> impl Strategy<Value = u16> {
    prop_oneof![9 => 1..6u16, 1 => any::<u16>(), 1 => Just(4789)]
}

pub(super) fn a_sample() -> impl Strategy<Value = Sample> {
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
    let tag = prop::sample::select(TAGS.to_vec());
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

/// What a program knows.
pub(super) const KNOWN: [&str; 6] = [
    "source.ip",
    "destination.ip",
    "source.port",
    "destination.port",
    "network.transport",
    "network.type",
];

/// Any expression, mostly of what a program knows, also those that the parser would refuse.
pub(super) fn an_expression() -> BoxedStrategy<Expression> {
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
