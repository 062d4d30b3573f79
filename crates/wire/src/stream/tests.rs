use atalaya_model::Time;
use proptest::prelude::*;

use super::*;

const ROOM: Room = Room { bytes: 64 << 10 };

#[derive(Default)]
struct Heard {
    bytes: Vec<u8>,
    gaps: Vec<u32>,
    cut: u32,
}

impl Heard {
    fn hear(&mut self, delivery: Delivery<'_>) {
        match delivery {
            Delivery::Data { data, cut, .. } => {
                self.bytes.extend_from_slice(data);
                self.cut += cut;
            }
            Delivery::Gap { bytes, .. } => self.gaps.push(bytes),
        }
    }
}

fn segment(time: i64, sequence: u32, data: &[u8]) -> Segment<'_> {
    Segment {
        time: Time(time),
        sequence,
        data,
        length: u32::try_from(data.len()).unwrap(),
    }
}

fn feed(stream: &mut Stream, heard: &mut Heard, time: i64, sequence: u32, data: &[u8]) -> Outcome {
    stream.take(&segment(time, sequence, data), ROOM, &mut |delivery| {
        heard.hear(delivery)
    })
}

#[test]
fn what_is_in_order_goes_on_at_once_across_the_wrap() {
    let (mut stream, mut heard) = (Stream::default(), Heard::default());
    stream.begin(u32::MAX - 1);
    assert_eq!(
        feed(&mut stream, &mut heard, 0, u32::MAX - 1, b"abcd"),
        Outcome::default()
    );
    assert_eq!(feed(&mut stream, &mut heard, 0, 2, b"ef"), Outcome::default());
    assert_eq!(heard.bytes, b"abcdef");
    assert_eq!(stream.next(), 4);
}

#[test]
fn what_comes_early_waits_and_the_late_one_is_told_from_one_sent_again() {
    let (mut stream, mut heard) = (Stream::default(), Heard::default());
    stream.begin(100);
    feed(&mut stream, &mut heard, 0, 104, b"ef");
    assert!(stream.waits() && heard.bytes.is_empty());
    let late = feed(&mut stream, &mut heard, 1_000, 100, b"abcd");
    assert!(late.is_late && !late.is_repeated);
    assert_eq!(heard.bytes, b"abcdef");
    feed(&mut stream, &mut heard, 2_000, 108, b"ij");
    let again = feed(&mut stream, &mut heard, 300_000, 106, b"gh");
    assert!(again.is_repeated && !again.is_late);
    assert_eq!(heard.bytes, b"abcdefghij");
    assert!(!stream.waits());
    assert!(feed(&mut stream, &mut heard, 300_000, 106, b"gh").is_repeated);
}

#[test]
fn the_first_bytes_win_and_contradictions_are_noticed() {
    let (mut stream, mut heard) = (Stream::default(), Heard::default());
    stream.begin(0);
    feed(&mut stream, &mut heard, 0, 4, b"EF");
    let other = feed(&mut stream, &mut heard, 0, 2, b"cdxyg");
    assert!(other.conflicts);
    let same = feed(&mut stream, &mut heard, 0, 0, b"abc");
    assert!(!same.conflicts);
    assert_eq!(heard.bytes, b"abcdEFg");
}

#[test]
fn what_the_receiver_has_and_nobody_saw_is_a_gap() {
    let (mut stream, mut heard) = (Stream::default(), Heard::default());
    stream.begin(0);
    feed(&mut stream, &mut heard, 0, 0, b"ab");
    feed(&mut stream, &mut heard, 0, 6, b"gh");
    stream.acknowledge(4, Time(0), &mut |delivery| heard.hear(delivery));
    assert_eq!(
        (heard.gaps.as_slice(), heard.bytes.as_slice()),
        (&[2][..], &b"ab"[..])
    );
    stream.acknowledge(9, Time(0), &mut |delivery| heard.hear(delivery));
    assert_eq!(heard.gaps, [2, 2, 1]);
    assert_eq!(heard.bytes, b"abgh");
    feed(&mut stream, &mut heard, 0, 20, b"z");
    stream.end(Time(0), &mut |delivery| heard.hear(delivery));
    assert_eq!((heard.gaps.last(), stream.waits()), (Some(&11), false));
}

#[test]
fn what_was_cut_is_said() {
    let (mut stream, mut heard) = (Stream::default(), Heard::default());
    let cut = Segment {
        length: 10,
        ..segment(0, 0, b"abc")
    };
    stream.take(&cut, ROOM, &mut |delivery| heard.hear(delivery));
    assert_eq!((heard.cut, stream.next()), (7, 10));
}

#[test]
fn too_much_that_waits_gives_the_hole_up() {
    let (mut stream, mut heard) = (Stream::default(), Heard::default());
    stream.begin(0);
    for number in 0..=Room::SEGMENTS as u32 {
        feed(&mut stream, &mut heard, 0, 10 + 2 * number, b"x");
    }
    assert_eq!(heard.gaps.first(), Some(&10));
    let kilobyte = [0; 1_024];
    let mut heard = Heard::default();
    stream.begin(0);
    for number in 0..70 {
        feed(&mut stream, &mut heard, 0, 10 + 1_024 * number, &kilobyte);
    }
    assert_eq!(heard.gaps, [10]);
    assert_eq!(heard.bytes.len(), 70 * 1_024);
}

#[test]
fn where_nobody_reads_only_the_places_are_kept() {
    let (mut stream, mut heard) = (Stream::default(), Heard::default());
    stream.begin(0);
    let room = Room { bytes: 0 };
    stream.take(&segment(0, 2, b"cd"), room, &mut |delivery| heard.hear(delivery));
    stream.take(&segment(0, 0, b"ab"), room, &mut |delivery| heard.hear(delivery));
    assert_eq!((stream.next(), stream.waits(), heard.cut), (4, false, 2));
}

proptest! {
    /// However it is cut, shuffled, repeated and overlapped: the same bytes come out.
    #[test]
    fn any_order_gives_the_same_bytes(
        text in prop::collection::vec(any::<u8>(), 1..400),
        pieces in prop::collection::vec((0usize..400, 1usize..60), 0..40),
        base in any::<u32>(),
    ) {
        let mut segments: Vec<(usize, usize)> = pieces
            .into_iter()
            .map(|(from, length)| (from.min(text.len() - 1), length))
            .map(|(from, length)| (from, (from + length).min(text.len())))
            .collect();
        // Whatever is still missing comes last, in a few large pieces.
        segments.extend((0..text.len()).step_by(97).map(|from| (from, (from + 97).min(text.len()))));
        let (mut stream, mut heard) = (Stream::default(), Heard::default());
        stream.begin(base);
        for (from, to) in segments {
            let sequence = base.wrapping_add(u32::try_from(from).unwrap());
            let outcome = feed(&mut stream, &mut heard, 0, sequence, &text[from..to]);
            prop_assert!(!outcome.conflicts);
        }
        prop_assert_eq!(&heard.bytes, &text);
        prop_assert!(heard.gaps.is_empty() && !stream.waits());
    }

    /// Hostile segments: no panic, no more kept than allowed, and every byte is told of at most once.
    #[test]
    fn hostile_segments_stay_within_limits(
        segments in prop::collection::vec((any::<u32>(), 0u32..3_000, 0usize..50, any::<bool>()), 0..200),
    ) {
        let mut stream = Stream::default();
        stream.begin(0);
        for (sequence, length, captured, acknowledges) in segments {
            let data = vec![7; captured.min(length as usize)];
            let segment = Segment { time: Time(0), sequence: sequence % 100_000, data: &data, length };
            if acknowledges {
                stream.acknowledge(sequence, Time(0), &mut |_| {});
            } else {
                stream.take(&segment, Room { bytes: 500 }, &mut |_| {});
            }
            let kept = stream.pending.as_ref().map_or(0, |pending| pending.kept());
            prop_assert!(kept <= 500 + 50);
        }
        stream.end(Time(0), &mut |_| {});
        prop_assert!(!stream.waits());
    }
}
