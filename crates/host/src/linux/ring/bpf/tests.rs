//! The program against the grammar: any filter, any packet.

use std::net::IpAddr;

use atalaya_model::fields::{self, Record};
use atalaya_model::filter::{Test, parse};
use atalaya_model::*;
use atalaya_wire::{Decoder, Frame, Packet, Segment};
use proptest::prelude::*;

use super::samples::{KNOWN, Sample, Wrapping, a_sample, an_expression};
use super::*;

/// What the kernel's machine does with a program: the number of bytes to keep.
fn run(program: &Program, frame: &[u8]) -> u32 {
    samples::run(program.instructions(), frame)
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
