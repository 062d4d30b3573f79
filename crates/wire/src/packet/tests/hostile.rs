//! Any bytes on any link, and frames that were once sound: nothing panics, and nothing is made up.

use proptest::prelude::*;

use super::build::*;
use super::*;

const LINKS: [u16; 24] = [
    0, 1, 9, 12, 14, 50, 51, 100, 101, 104, 105, 107, 108, 113, 119, 127, 163, 192, 204, 228, 229, 239, 276,
    999,
];

/// One frame of many layers each.
fn sound() -> Vec<(LinkType, Vec<u8>)> {
    let bridged = ethernet(0x0800, &hello());
    let vxlan = udp(1, 4789, &join(&[&[8, 0, 0, 0, 0, 0, 1, 0], &bridged]));
    let gtp = udp(
        2152,
        2152,
        &join(&[
            &[0x34, 0xff, 0, 41, 0, 0, 0, 1, 0, 0, 0, 0x85, 1, 0, 0, 0],
            &hello(),
        ]),
    );
    let tagged = join(&[&[0, 7, 0x88, 0x47, 0, 1, 1, 64], &ipv4(6, &tcp(&[1; 8], b"abc"))]);
    let chain = join(&[
        &[60, 0, 1, 4, 0, 0, 0, 0],
        &[17, 0, 1, 4, 0, 0, 0, 0],
        &udp(1, 2, b"x"),
    ]);
    vec![
        (LinkType::ETHERNET, ethernet(0x0800, &ipv4(17, &vxlan))),
        (LinkType::ETHERNET, ethernet(0x86dd, &ipv6(17, &gtp))),
        (LinkType::ETHERNET, ethernet(0x8100, &tagged)),
        (LinkType::RAW, ipv6(0, &chain)),
        (
            LinkType::RAW,
            ipv4(
                47,
                &join(&[&[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1], &[0x10; 8], &bridged]),
            ),
        ),
        (LinkType::RAW, fragment_v6(1, 17, &vxlan[..16])),
        (
            LinkType::IEEE802_11,
            wireless([0x88, 2], &[0, 0], &snap(0x0800, &hello())),
        ),
        (LinkType::NFLOG, join(&[&[2, 0, 0, 0, 37, 0, 9, 0], &hello()])),
    ]
}

fn options() -> impl Strategy<Value = Options> {
    (0_u8..10, any::<bool>(), any::<bool>()).prop_map(|(tunnels, outer, checksums)| Options {
        tunnels,
        outer,
        checksums,
    })
}

/// Decodes, and looks whether what comes out can be true.
fn check(decoder: &mut Decoder, frame: &Frame<'_>) {
    let (_, all) = decode(decoder, frame);
    assert!(all.len() <= 64);
    for packet in all {
        assert!(packet.payload.len() as u64 <= u64::from(packet.payload_length));
        assert!(packet.payload_length <= packet.length.max(frame.length) || packet.frames > 1);
        assert!(packet.tunnels.len() <= DEEPEST);
    }
}

proptest! {
    #[test]
    fn any_bytes(
        options in options(),
        link in prop::sample::select(&LINKS[..]),
        data in prop::collection::vec(any::<u8>(), 0..200),
        more in 0_u32..2000,
    ) {
        let mut decoder = Decoder::new(options);
        let whole = Frame { length: data.len() as u32 + more, ..frame(LinkType(link), &data) };
        check(&mut decoder, &whole);
    }

    #[test]
    fn sound_frames_changed(
        options in options(),
        which in 0..8_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        kept in any::<prop::sample::Index>(),
        cut: bool,
    ) {
        let (link, mut data) = sound().swap_remove(which);
        for (at, byte) in changes {
            let at = at.index(data.len());
            data[at] = byte;
        }
        let mut decoder = Decoder::new(options);
        let whole = frame(link, &data);
        check(&mut decoder, &whole);
        let part = &data[..kept.index(data.len() + 1)];
        let length = if cut { data.len() } else { part.len() } as u32;
        check(&mut decoder, &Frame { length, ..frame(link, part) });
    }
}
