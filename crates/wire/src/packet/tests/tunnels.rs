//! Packets inside of packets.

use super::build::*;
use super::*;

/// The outer packet, then hello inside these tunnels.
#[track_caller]
fn opens(outer: &[u8], kinds: &[&'static str]) {
    let all = packets(LinkType::RAW, outer);
    assert_eq!(all.len(), kinds.len() + 1, "{all:#?}");
    for (depth, packet) in all.iter().enumerate() {
        assert_eq!(packet.tunnels, kinds[..depth]);
    }
    assert_eq!(all[kinds.len()].payload, b"hello");
    let mut inner = Decoder::new(Options {
        outer: false,
        ..Options::default()
    });
    let (_, all) = decode(&mut inner, &frame(LinkType::RAW, outer));
    assert_eq!((all.len(), all[0].payload.as_slice()), (1, &b"hello"[..]));
    let mut shut = Decoder::new(Options {
        tunnels: 0,
        ..Options::default()
    });
    assert_eq!(decode(&mut shut, &frame(LinkType::RAW, outer)).1.len(), 1);
}

fn gre(head: &[u8], payload: &[u8]) -> Vec<u8> {
    ipv4(47, &join(&[head, payload]))
}

#[test]
fn ip_in_ip() {
    opens(&ipv4(4, &hello()), &["ipip"]);
    opens(&ipv4(41, &hello_v6()), &["ipip"]);
    opens(&ipv6(4, &hello()), &["ipip"]);
    opens(&ipv6(41, &ipv6(41, &hello_v6())), &["ipip", "ipip"]);
    opens(
        &ipv4(97, &join(&[&[0x30, 0], &ethernet(0x0800, &hello())])),
        &["etherip"],
    );
    opens(&ipv4(137, &join(&[&[0, 1, 1, 64], &hello()])), &["mpls"]);
}

#[test]
fn generic_routing_and_its_kin() {
    let bridged = ethernet(0x0800, &hello());
    opens(&gre(&[0, 0, 8, 0], &hello()), &["gre"]);
    opens(
        &gre(
            &[0xb0, 0, 0x86, 0xdd, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2],
            &hello_v6(),
        ),
        &["gre"],
    );
    opens(&gre(&[0x20, 0, 0x65, 0x58, 0, 0, 0, 7], &bridged), &["gre"]);
    opens(&gre(&[0, 0, 0x88, 0xbe], &bridged), &["erspan"]);
    let second = join(&[&[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1], &[0x10, 0, 0, 1, 0, 0, 0, 0]]);
    opens(&gre(&second, &bridged), &["erspan"]);
    let third = join(&[&[0x10, 0, 0x22, 0xeb, 0, 0, 0, 1], &[0x20; 11], &[1], &[0; 8]]);
    opens(&gre(&third, &bridged), &["erspan"]);
    let dialled = join(&[&[0xff, 3, 0, 0x21], &hello()]);
    let length = dialled.len() as u8;
    let enhanced = [0x30, 0x81, 0x88, 0x0b, 0, length, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1];
    opens(&gre(&enhanced, &dialled), &["pptp"]);
    opens(
        &gre(&[0x20, 1, 0x64, 0, 0, bridged.len() as u8, 0, 1], &bridged),
        &["eoip"],
    );
    opens(
        &gre(&[0, 0, 8, 0], &gre(&[0, 0, 8, 0], &hello())),
        &["gre", "gre"],
    );
}

#[test]
fn tunnels_over_udp() {
    let bridged = ethernet(0x0800, &hello());
    let over = |port: u16, head: &[u8], payload: &[u8]| ipv4(17, &udp(40000, port, &join(&[head, payload])));
    opens(&over(4789, &[8, 0, 0, 0, 0, 0, 1, 0], &bridged), &["vxlan"]);
    opens(&over(8472, &[8, 0, 0, 0, 0, 0, 1, 0], &bridged), &["vxlan"]);
    opens(
        &over(6081, &[1, 0, 0x65, 0x58, 0, 0, 1, 0, 0, 0, 0, 0], &bridged),
        &["geneve"],
    );
    opens(&over(6081, &[0, 0, 8, 0, 0, 0, 1, 0], &hello()), &["geneve"]);
    opens(&over(6635, &[0, 1, 1, 64], &hello()), &["mpls"]);
    opens(&over(2152, &[0x30, 0xff, 0, 33, 0, 0, 0, 1], &hello()), &["gtp"]);
    let extended = [0x34, 0xff, 0, 41, 0, 0, 0, 1, 0, 0, 0, 0x85, 1, 0, 0, 0];
    opens(&over(2152, &extended, &hello()), &["gtp"]);
    let identified = join(&[&[0x42, 0x52, 1, 41, 0, 0, 0, 0], &[0; 36]]);
    opens(&over(5072, &identified, &hello_v6()), &["ayiya"]);
    opens(
        &over(1701, &[0, 2, 0, 1, 0, 1, 0xff, 3, 0, 0x21], &hello()),
        &["l2tp"],
    );

    let mut teredo = hello_v6();
    teredo[8..12].copy_from_slice(&[0x20, 1, 0, 0]);
    opens(&over(3544, &[], &teredo), &["teredo"]);
    let proof = [0, 1, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 1, 2, 3, 4, 5, 6];
    opens(&over(50000, &proof, &teredo), &["teredo"]);
    // an IPv6 packet of anybody else is no Teredo
    assert_eq!(packets(LinkType::RAW, &over(3544, &[], &hello_v6())).len(), 1);
    // what only looks like a tunnel is given as it is
    assert_eq!(
        packets(LinkType::RAW, &over(4789, &[8, 0, 0, 0, 0, 0, 1, 0], b"nothing")).len(),
        1
    );
    assert_eq!(
        packets(LinkType::RAW, &over(2152, &[0x32, 1, 0, 4, 0, 0, 0, 0], b"echo")).len(),
        1
    );
}

#[test]
fn depth_is_bounded() {
    let mut nested = hello();
    for _ in 0..40 {
        nested = ipv4(4, &nested);
    }
    let all = packets(LinkType::IPV4, &nested);
    assert_eq!((all.len(), all[4].tunnels.len()), (5, 4));
    let mut deep = Decoder::new(Options {
        tunnels: 255,
        ..Options::default()
    });
    let (_, all) = decode(&mut deep, &frame(LinkType::IPV4, &nested));
    assert_eq!((all.len(), all[8].tunnels.len()), (9, 8));
    let tags = ethernet(0x8100, &[0, 1, 0x81, 0].repeat(400));
    assert_eq!(refused(LinkType::ETHERNET, &tags), Undecoded::Damaged);
}

#[test]
fn fragments_inside_and_outside() {
    let datagram = udp(4000, 4001, &[b'x'; 100]);
    let outer = udp(
        40000,
        4789,
        &join(&[&[8, 0, 0, 0, 0, 0, 1, 0], &ethernet(0x0800, &ipv4(17, &datagram))]),
    );
    let mut decoder = Decoder::default();
    let first = fragment(0x2000, 17, &outer[..64]);
    let second = fragment(8, 17, &outer[64..]);
    let (result, _) = decode(&mut decoder, &frame(LinkType::IPV4, &first));
    assert_eq!(result, Err(Undecoded::Fragment));
    let (_, all) = decode(&mut decoder, &frame(LinkType::IPV4, &second));
    assert_eq!((all.len(), all[1].frames, all[1].payload_length), (2, 2, 100));

    let mut inner = Decoder::new(Options {
        outer: false,
        ..Options::default()
    });
    let (result, _) = decode(
        &mut inner,
        &frame(LinkType::IPV4, &ipv4(4, &fragment(0x2000, 17, &datagram[..64]))),
    );
    assert_eq!(result, Err(Undecoded::Fragment));
    let (_, all) = decode(
        &mut inner,
        &frame(LinkType::IPV4, &ipv4(4, &fragment(8, 17, &datagram[64..]))),
    );
    assert_eq!((all.len(), all[0].frames, all[0].payload_length), (1, 2, 100));
}
