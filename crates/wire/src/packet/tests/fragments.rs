//! Fragments in order, out of order, overlapping, too many, too late.

use proptest::prelude::*;

use super::build::*;
use super::*;

const PAYLOAD: [u8; 192] = {
    let mut payload = [0; 192];
    let mut at = 0;
    while at < payload.len() {
        payload[at] = at as u8;
        at += 1;
    }
    payload
};

/// A datagram of 200 bytes in pieces of 40.
fn pieces(build: fn(u16, u8, &[u8]) -> Vec<u8>, place: fn(u16, bool) -> u16) -> Vec<Vec<u8>> {
    let datagram = udp(4000, 4001, &PAYLOAD);
    let parts = datagram.chunks(40).enumerate();
    parts
        .map(|(number, part)| build(place(number as u16 * 40, number < 4), 17, part))
        .collect()
}

fn pieces_v4() -> Vec<Vec<u8>> {
    pieces(fragment, |offset, more| {
        (offset / 8) | (u16::from(more) << 13) | u16::from(more) << 13
    })
}

fn pieces_v6() -> Vec<Vec<u8>> {
    pieces(fragment_v6, |offset, more| offset | u16::from(more))
}

#[track_caller]
fn come_together(pieces: &[Vec<u8>], header: u32) {
    let mut decoder = Decoder::default();
    let (last, first) = pieces.split_last().unwrap();
    for piece in first {
        let (result, _) = decode(&mut decoder, &frame(LinkType::RAW, piece));
        assert_eq!(result, Err(Undecoded::Fragment));
    }
    let (_, all) = decode(&mut decoder, &frame(LinkType::RAW, last));
    assert_eq!((all[0].payload.as_slice(), all[0].frames), (&PAYLOAD[..], 5));
    let bytes: usize = pieces.iter().map(Vec::len).sum();
    assert_eq!((all[0].frame_bytes, all[0].length), (bytes as u32, header + 200));
    assert_eq!((decoder.counts().fragments, decoder.counts().reassembled), (5, 1));
    assert_eq!(decoder.fragments.waiting().0, 0);
    assert_eq!(decoder.fragments.waiting().2, 0);
}

proptest! {
    #[test]
    fn in_any_order(order in Just([0, 1, 2, 3, 4]).prop_shuffle()) {
        come_together(&order.map(|at| pieces_v4()[at].clone()), 20);
        come_together(&order.map(|at| pieces_v6()[at].clone()), 48);
    }

    #[test]
    fn at_any_place(parts in prop::collection::vec((0_u16..0x4000, 1_usize..300, 0_u8..4), 0..200)) {
        let mut decoder = Decoder::default();
        for (place, length, host) in parts {
            let mut piece = fragment(place, 17, &vec![host; length]);
            piece[15] = host;
            let _seen = decode(&mut decoder, &frame(LinkType::IPV4, &piece));
            let (waiting, order, memory) = decoder.fragments.waiting();
            prop_assert!(waiting <= 4 && order <= 80 && memory <= 4 * 131_072);
        }
    }
}

#[test]
fn what_overlaps_is_dropped_and_what_came_first_stays() {
    let mut decoder = Decoder::default();
    let pieces = pieces_v4();
    for piece in [&pieces[0], &pieces[1], &pieces[2]] {
        let (result, _) = decode(&mut decoder, &frame(LinkType::IPV4, piece));
        assert_eq!(result, Err(Undecoded::Fragment));
    }
    let evil = fragment(0x2000 | 9, 17, &[0xee; 16]);
    let (result, _) = decode(&mut decoder, &frame(LinkType::IPV4, &evil));
    assert_eq!(result, Err(Undecoded::Damaged));
    let (result, _) = decode(&mut decoder, &frame(LinkType::IPV4, &pieces[1]));
    assert_eq!(result, Err(Undecoded::Damaged));
    let _seen = decode(&mut decoder, &frame(LinkType::IPV4, &pieces[4]));
    // beyond the end that is known, and a second end
    for evil in [
        fragment(0x2000 | 40, 17, &[0xee; 16]),
        fragment(40, 17, &[0xee; 16]),
    ] {
        assert_eq!(
            decode(&mut decoder, &frame(LinkType::IPV4, &evil)).0,
            Err(Undecoded::Damaged)
        );
    }
    let (_, all) = decode(&mut decoder, &frame(LinkType::IPV4, &pieces[3]));
    assert_eq!((all[0].payload.as_slice(), all[0].frames), (&PAYLOAD[..], 5));
    assert_eq!(
        (decoder.counts().overlaps, decoder.counts().fragments_dropped),
        (2, 4)
    );
}

#[test]
fn damaged_fragments_are_dropped() {
    for (place, length) in [(0x2000, 15), (0x1fff, 64), (0x2000, 0)] {
        let piece = fragment(place, 17, &vec![1; length]);
        assert_eq!(refused(LinkType::IPV4, &piece), Undecoded::Damaged);
    }
}

#[test]
fn what_the_capture_cut_is_missing_in_the_whole() {
    let pieces = pieces_v4();
    let mut decoder = Decoder::default();
    for (number, piece) in pieces.iter().enumerate() {
        let kept = if number == 3 {
            piece.len() - 30
        } else {
            piece.len()
        };
        let cut = Frame {
            length: piece.len() as u32,
            ..frame(LinkType::IPV4, &piece[..kept])
        };
        let (_, all) = decode(&mut decoder, &cut);
        if number == 4 {
            assert_eq!(
                (all[0].payload.as_slice(), all[0].payload_length),
                (&PAYLOAD[..122], 192)
            );
        }
    }
}

#[test]
fn the_late_and_the_many_are_given_up() {
    let mut decoder = Decoder::default();
    let pieces = pieces_v4();
    let _seen = decode(&mut decoder, &frame(LinkType::IPV4, &pieces[0]));
    let late = Frame {
        time: Time::from_seconds(31),
        ..frame(LinkType::IPV4, &pieces[1])
    };
    let _seen = decode(&mut decoder, &late);
    assert_eq!(
        (decoder.counts().unfinished, decoder.fragments.waiting().0),
        (1, 1)
    );

    let mut many = fragment(0x2000, 17, &[1; 512]);
    let mut far = fragment(0x1f00, 17, &[1; 512]);
    for number in 0..6_000_u16 {
        for piece in [&mut many, &mut far] {
            piece[4..6].copy_from_slice(&number.to_be_bytes());
            let (result, _) = decode(&mut decoder, &frame(LinkType::IPV4, piece));
            assert!(result.is_err());
        }
        let (waiting, order, memory) = decoder.fragments.waiting();
        assert!(waiting <= 4096 && order <= 2 * 4096 + 66 && memory <= 17 << 20);
    }
    assert!(decoder.counts().unfinished > 5_000);
}
