//! IP's oddities and the transports.

use super::build::*;
use super::*;

#[test]
fn tcp_is_read_whole() {
    let data = ethernet(0x0800, &ipv4(6, &tcp(&[1, 1, 1, 0], b"abc")));
    let mut found = false;
    let result = Decoder::default().decode(&frame(LinkType::ETHERNET, &data), &mut |packet| {
        found = matches!(
            packet.segment,
            Segment::Tcp {
                source_port: 40000,
                destination_port: 443,
                sequence: 0x0102_0304,
                acknowledgment: 0x0506_0708,
                flags: 0x18,
                window: 0x7210,
                payload: b"abc",
                length: 3,
            }
        );
        assert_eq!((packet.ip.ttl, packet.interface), (64, 3));
    });
    assert_eq!((result, found), (Ok(()), true));
}

#[test]
fn what_a_snap_length_left_is_told() {
    let data = ethernet(0x0800, &ipv4(6, &tcp(&[1, 1, 1, 0], &[7; 100])));
    for (kept, payload, ports) in [
        (14 + 20 + 24 + 30, 30, true),
        (14 + 20 + 24, 0, true),
        (14 + 20 + 20, 0, true),
        (14 + 20 + 14, 0, true),
        (14 + 20 + 13, 13, false),
    ] {
        let cut = Frame {
            length: data.len() as u32,
            ..frame(LinkType::ETHERNET, &data[..kept])
        };
        let (_, all) = decode(&mut Decoder::default(), &cut);
        assert_eq!(
            (all[0].payload.len(), all[0].ports.is_some()),
            (payload, ports),
            "{kept}"
        );
        assert_eq!(all[0].payload_length, if ports { 100 } else { 124 });
        assert_eq!((all[0].length, all[0].frame_bytes), (144, data.len() as u32));
    }
}

#[test]
fn lengths_that_lie() {
    let mut decoder = Decoder::default();
    let mut short = tcp(&[], b"abc");
    short[12] = 0x40;
    let (_, all) = decode(&mut decoder, &frame(LinkType::IPV4, &ipv4(6, &short)));
    assert_eq!((all[0].payload_length, decoder.counts().lying), (0, 1));
    short[12] = 0xf0;
    let _seen = decode(&mut decoder, &frame(LinkType::IPV4, &ipv4(6, &short)));
    let mut long = udp(4000, 4001, b"hello");
    long[5] = 99;
    let (_, all) = decode(&mut decoder, &frame(LinkType::IPV4, &ipv4(17, &long)));
    assert_eq!((all[0].payload_length, decoder.counts().lying), (5, 3));
    // a shorter datagram than its packet: the rest is no payload
    long[5] = 10;
    let (_, all) = decode(&mut decoder, &frame(LinkType::IPV4, &ipv4(17, &long)));
    assert_eq!(
        (all[0].payload.as_slice(), decoder.counts().lying),
        (&b"he"[..], 3)
    );
    let (_, all) = decode(&mut decoder, &frame(LinkType::IPV4, &ipv4(6, &[1; 10])));
    assert_eq!((all[0].ports, decoder.counts().short), (None, 1));
    // more than the frame has
    let whole = hello();
    assert_eq!(
        refused(LinkType::IPV4, &whole[..whole.len() - 1]),
        Undecoded::Damaged
    );
}

#[test]
fn a_length_left_to_the_network_card_is_the_frames() {
    let mut offloaded = hello();
    offloaded[2..4].fill(0);
    assert_eq!(says_hello(LinkType::IPV4, &offloaded).length, 33);
    let mut offloaded = hello_v6();
    offloaded[4..6].fill(0);
    assert_eq!(says_hello(LinkType::IPV6, &offloaded).length, 53);
    // A short frame's padding is none.
    let mut padded = ethernet(0x86dd, &ipv6(253, b""));
    padded.resize(60, 0xee);
    let (_, all) = decode(&mut Decoder::default(), &frame(LinkType::ETHERNET, &padded));
    assert_eq!((all[0].length, all[0].payload_length), (40, 0));
}

#[test]
fn options_and_extension_headers() {
    let mut with_options = hello();
    with_options[0] = 0x46;
    with_options[3] += 4;
    with_options.splice(20..20, [1, 1, 1, 0]);
    says_hello(LinkType::IPV4, &with_options);

    let datagram = udp(4000, 4001, b"hello");
    let chain = join(&[
        &[43, 0, 1, 4, 0, 0, 0, 0],                          // hop by hop
        &[60, 0, 0, 0, 0, 0, 0, 0],                          // routing
        &[51, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], // destination
        &[44, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1],              // authentication
        &[17, 0, 0, 0, 0, 0, 0, 5],                          // its own only fragment
        &datagram,
    ]);
    assert_eq!(says_hello(LinkType::IPV6, &ipv6(0, &chain)).protocol, 17);
    let protected = join(&[&[17, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1], &datagram]);
    assert_eq!(says_hello(LinkType::IPV4, &ipv4(51, &protected)).protocol, 17);
    let nothing = packets(LinkType::IPV6, &ipv6(59, &[]));
    assert_eq!((nothing[0].protocol, nothing[0].length), (59, 40));
    let endless = [0, 0, 1, 4, 0, 0, 0, 0].repeat(40);
    assert_eq!(refused(LinkType::IPV6, &ipv6(0, &endless)), Undecoded::Damaged);
}

#[test]
fn mapped_addresses_are_written_as_ipv4() {
    let mut mapped = hello_v6();
    mapped[8..24].copy_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1]);
    assert_eq!(says_hello(LinkType::IPV6, &mapped).source, "192.0.2.1");
}

#[test]
fn the_smaller_transports() {
    let sctp = join(&[&[0x0f, 0xa0, 0x0f, 0xa1], &[0; 8], b"hello"]);
    says_hello(LinkType::IPV4, &ipv4(132, &sctp));
    let mut found = None;
    let echo = ipv4(1, &[8, 1, 0, 0, 0, 1, 0, 2, 7, 7]);
    let take = &mut |packet: &Packet<'_>| {
        if let Segment::Icmp {
            v6,
            kind,
            code,
            payload,
            length,
        } = packet.segment
        {
            found = Some((v6, kind, code, payload.to_vec(), length));
        }
    };
    Decoder::default()
        .decode(&frame(LinkType::IPV4, &echo), take)
        .unwrap();
    assert_eq!(found, Some((false, 8, 1, vec![7, 7], 2)));
    let other = packets(LinkType::IPV4, &ipv4(89, b"ospf"));
    assert_eq!(
        (other[0].ports, other[0].payload.as_slice()),
        (None, &b"ospf"[..])
    );
}

#[test]
fn checksums_are_looked_at_where_asked() {
    let mut strict = Decoder::new(Options {
        checksums: true,
        ..Options::default()
    });
    let sound = ipv4(17, &summed_udp(b"odd"));
    assert_eq!(decode(&mut strict, &frame(LinkType::IPV4, &sound)).1.len(), 1);
    for at in [8, 12, 26, 28, 30] {
        let mut broken = sound.clone();
        broken[at] ^= 0x10;
        let (result, _) = decode(&mut strict, &frame(LinkType::IPV4, &broken));
        assert_eq!(result, Err(Undecoded::Checksum), "byte {at}");
        assert_eq!(packets(LinkType::IPV4, &broken).len(), 1);
    }
    assert_eq!(strict.counts().checksum, 5);
    // none was made, or not all was captured
    says_hello(LinkType::IPV4, &hello());
    let cut = Frame {
        length: sound.len() as u32,
        ..frame(LinkType::IPV4, &sound[..sound.len() - 1])
    };
    assert_eq!(decode(&mut strict, &cut).0, Ok(()));
}
