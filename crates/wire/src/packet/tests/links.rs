//! Every kind of link, and what lies between it and IP.

use super::build::*;
use super::*;

#[test]
fn ethernet_with_padding_tags_and_the_rings_tag() {
    let mut padded = ethernet(0x0800, &hello());
    padded.resize(60, 0xee);
    let packet = says_hello(LinkType::ETHERNET, &padded);
    assert_eq!((packet.length, packet.source.as_str()), (33, "10.0.0.1"));
    let six = says_hello(LinkType::ETHERNET, &ethernet(0x86dd, &hello_v6()));
    assert_eq!((six.length, six.source.as_str()), (53, "2001:db8::1"));

    let tagged = ethernet(0x88a8, &join(&[&[0x20, 7, 0x81, 0, 0, 9, 8, 0], &hello()]));
    assert_eq!(says_hello(LinkType::ETHERNET, &tagged).vlans, [7, 9, 0]);
    let tagged = Frame {
        vlan: Some(0xe005),
        ..frame(LinkType::ETHERNET, &tagged)
    };
    let (_, all) = decode(&mut Decoder::default(), &tagged);
    assert_eq!(all[0].vlans, [5, 7, 9]);
}

#[test]
fn lengths_with_llc_and_snap() {
    let snapped = snap(0x0800, &hello());
    let length = snapped.len() as u16;
    says_hello(LinkType::ETHERNET, &ethernet(length, &snapped));
    let plain = join(&[&[6, 6, 3], &hello()]);
    says_hello(LinkType::ETHERNET, &ethernet(plain.len() as u16, &plain));
    let spanning_tree = ethernet(38, &join(&[&[0x42, 0x42, 3], &[0; 35]]));
    assert_eq!(refused(LinkType::ETHERNET, &spanning_tree), Undecoded::NotIp);
}

#[test]
fn labels_sessions_and_fabrics() {
    let labels = [0, 1, 0x00, 64, 0, 2, 0x01, 64];
    says_hello(LinkType::ETHERNET, &ethernet(0x8847, &join(&[&labels, &hello()])));
    let wire = join(&[&labels, &[0; 4], &ethernet(0x0800, &hello())]);
    says_hello(LinkType::ETHERNET, &ethernet(0x8847, &wire));
    let bare = join(&[&labels, &ethernet(0x0800, &hello())]);
    says_hello(LinkType::ETHERNET, &ethernet(0x8847, &bare));

    let session = join(&[&[0x11, 0, 0, 1, 0, 35, 0, 0x21], &hello()]);
    says_hello(LinkType::ETHERNET, &ethernet(0x8864, &session));
    says_hello(LinkType::PPPOE, &session);
    let fabric = ethernet(0x8903, &join(&[&[0, 0], &ethernet(0x0800, &hello())]));
    says_hello(LinkType::ETHERNET, &fabric);
    let tag = ethernet(0x8926, &join(&[&[0, 0, 0, 0, 8, 0], &hello()]));
    says_hello(LinkType::ETHERNET, &tag);
    let provider = ethernet(0x88e7, &join(&[&[0; 4], &ethernet(0x0800, &hello())]));
    says_hello(LinkType::ETHERNET, &provider);
}

#[test]
fn links_without_ethernet() {
    let hello = hello();
    for (link, head) in [
        (LinkType::RAW, &[][..]),
        (LinkType::RAW_BSD, &[]),
        (LinkType::RAW_OPENBSD, &[]),
        (LinkType::IPV4, &[]),
        (LinkType::NULL, &[2, 0, 0, 0]),
        (LinkType::NULL, &[0, 0, 0, 2]),
        (LinkType::LOOP, &[0, 0, 0, 2]),
        (LinkType::PPP, &[0, 0x21]),
        (LinkType::PPP, &[0xff, 3, 0x21]),
        (LinkType::PPP_HDLC, &[0xff, 3, 0, 0x21]),
        (LinkType::PPP_HDLC, &[0x0f, 0, 8, 0]),
        (LinkType::PPP_WITH_DIRECTION, &[1, 0xff, 3, 0, 0x21]),
        (LinkType::CISCO_HDLC, &[0x0f, 0, 8, 0]),
        (LinkType::FRAME_RELAY, &[0x18, 0x41, 3, 0xcc]),
        (LinkType::FRAME_RELAY, &[0x18, 0x41, 3, 0, 0x80, 0, 0, 0, 8, 0]),
        (LinkType::FRAME_RELAY, &[0x18, 0x41, 8, 0]),
        (LinkType::ATM_RFC1483, &[0xaa, 0xaa, 3, 0, 0, 0, 8, 0]),
        (
            LinkType::LINUX_SLL,
            &[0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 8, 0],
        ),
        (
            LinkType::LINUX_SLL2,
            &[8, 0, 0, 0, 0, 0, 0, 2, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0],
        ),
        (
            LinkType::NFLOG,
            &[2, 0, 0, 0, 8, 0, 1, 0, 8, 0, 0, 0, 37, 0, 9, 0],
        ),
        (
            LinkType::NFLOG,
            &[2, 0, 0, 0, 0, 8, 0, 1, 8, 0, 0, 0, 0, 37, 0, 9],
        ),
        (LinkType::PPI, &[0, 0, 8, 0, 101, 0, 0, 0]),
    ] {
        let packet = says_hello(link, &join(&[head, &hello]));
        assert_eq!(packet.source, "10.0.0.1", "{link:?} {head:?}");
    }
    for (link, head) in [
        (LinkType::RAW, &[][..]),
        (LinkType::IPV6, &[]),
        (LinkType::NULL, &[30, 0, 0, 0]),
        (LinkType::LOOP, &[0, 0, 0, 24]),
        (LinkType::PPP, &[0x57]),
        (LinkType::FRAME_RELAY, &[0x18, 0x41, 3, 0x8e]),
    ] {
        says_hello(link, &join(&[head, &hello_v6()]));
    }
    assert_eq!(refused(LinkType(999), &hello), Undecoded::UnknownLink);
    assert_eq!(refused(LinkType::NULL, &[99, 0, 0, 0]), Undecoded::NotIp);
    assert_eq!(refused(LinkType::IPV4, &hello_v6()), Undecoded::Damaged);
}

#[test]
fn wireless_data_with_and_without_heads() {
    let body = snap(0x0800, &hello());
    let plain = wireless([0x08, 0x01], &[], &body);
    says_hello(LinkType::IEEE802_11, &plain);
    says_hello(LinkType::IEEE802_11, &wireless([0x08, 0x03], &[0; 6], &body));
    says_hello(LinkType::IEEE802_11, &wireless([0x88, 0x02], &[0, 0], &body));
    says_hello(LinkType::IEEE802_11, &wireless([0x88, 0x82], &[0; 6], &body));
    says_hello(LinkType::RADIOTAP, &join(&[&[0, 0, 8, 0, 0, 0, 0, 0], &plain]));
    // a time, then flags that say padded: two bytes fill the header of 26 up to 28
    let head = join(&[&[0, 0, 17, 0, 3, 0, 0, 0], &[0; 8], &[0x20]]);
    let padded = wireless([0x88, 0x02], &[0, 0, 0, 0], &body);
    says_hello(LinkType::RADIOTAP, &join(&[&head, &padded]));
    let prism = join(&[&[0x44, 0, 0, 0, 144, 0, 0, 0], &[0; 136], &plain]);
    says_hello(LinkType::PRISM, &prism);
    let avs = join(&[&[0x80, 0x21, 0x10, 1, 0, 0, 0, 64], &[0; 56], &plain]);
    says_hello(LinkType::AVS, &avs);
    says_hello(LinkType::PRISM, &avs);
    says_hello(LinkType::PPI, &join(&[&[0, 0, 8, 0, 105, 0, 0, 0], &plain]));

    let length = (body.len() as u16).to_be_bytes();
    let subframe = join(&[&[0; 12], &length, &body]);
    let filled = subframe.len().next_multiple_of(4);
    let mut both = subframe.clone();
    both.resize(filled, 0);
    both.extend(&subframe);
    let aggregated = wireless([0x88, 0x02], &[0x80, 0], &both);
    assert_eq!(packets(LinkType::IEEE802_11, &aggregated).len(), 2);

    let encrypted = wireless([0x08, 0x41], &[], &body);
    assert_eq!(refused(LinkType::IEEE802_11, &encrypted), Undecoded::NotIp);
    let beacon = wireless([0x80, 0x00], &[], &body);
    assert_eq!(refused(LinkType::IEEE802_11, &beacon), Undecoded::NotIp);
}

#[test]
fn arp_says_who_claims_what() {
    let claim = [
        &[0, 1, 8, 0, 6, 4, 0, 2][..],
        &[2, 0, 0, 0, 0, 2],
        &[10, 0, 0, 2],
        &[2, 0, 0, 0, 0, 1],
        &[10, 0, 0, 1],
    ];
    let mut decoder = Decoder::default();
    let (result, _) = decode(
        &mut decoder,
        &frame(LinkType::ETHERNET, &ethernet(0x0806, &join(&claim))),
    );
    let arp = Arp {
        operation: 2,
        sender: [2, 0, 0, 0, 0, 2],
        sender_ip: [10, 0, 0, 2].into(),
        target: [2, 0, 0, 0, 0, 1],
        target_ip: [10, 0, 0, 1].into(),
    };
    assert_eq!(result, Err(Undecoded::Arp(arp)));
    assert_eq!(decoder.counts().arp, 1);
    assert_eq!(
        refused(
            LinkType::ETHERNET,
            &ethernet(0x0806, &[0, 1, 8, 0, 6, 4, 0, 2, 2])
        ),
        Undecoded::Damaged
    );
}
