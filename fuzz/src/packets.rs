//! Frames, segments, and the whole path from a frame to a line.

use std::sync::Arc;

use atalaya_format::{Context, Language, ecs, eve, zeek};
use atalaya_model::{Event, Span, Time};
use atalaya_track::{FlowOptions, Options, Tracker};
use atalaya_wire::packet::Options as Decoding;
use atalaya_wire::stream::{Delivery, Room, Segment, Stream};
use atalaya_wire::{Decoder, Frame, Limits, LinkType};

use crate::pieces;

/// The kinds of link, by the low five bits of a piece's kind; Ethernet first, for most frames are such.
pub const LINKS: [LinkType; 32] = [
    LinkType::ETHERNET,
    LinkType::NULL,
    LinkType::PPP,
    LinkType::RAW_BSD,
    LinkType::RAW_OPENBSD,
    LinkType::PPP_HDLC,
    LinkType::PPPOE,
    LinkType::ATM_RFC1483,
    LinkType::RAW,
    LinkType::CISCO_HDLC,
    LinkType::IEEE802_11,
    LinkType::FRAME_RELAY,
    LinkType::LOOP,
    LinkType::LINUX_SLL,
    LinkType::PRISM,
    LinkType::RADIOTAP,
    LinkType::AVS,
    LinkType::PPP_WITH_DIRECTION,
    LinkType::PPI,
    LinkType::IPV4,
    LinkType::IPV6,
    LinkType::NFLOG,
    LinkType::LINUX_SLL2,
    LinkType(65_535),
    LinkType::ETHERNET,
    LinkType::ETHERNET,
    LinkType::ETHERNET,
    LinkType::ETHERNET,
    LinkType::ETHERNET,
    LinkType::ETHERNET,
    LinkType::ETHERNET,
    LinkType::ETHERNET,
];

/// Gives the frames in `data`: bits 5–6 of a piece's kind say how much later it came, bit 7 that it was cut.
fn frames(data: &[u8], mut take: impl FnMut(&Frame<'_>)) {
    let mut time = Time::from_seconds(1_700_000_000);
    for (kind, data) in pieces(data) {
        let step = match kind >> 5 & 3 {
            0 => 1,
            1 => 1_000,
            2 => 40_000_000,
            _ => -1_000_000,
        };
        time = time.after(Span(step));
        let captured = u32::try_from(data.len()).unwrap_or(u32::MAX);
        take(&Frame {
            time,
            link: LINKS[usize::from(kind & 31)],
            interface: 0,
            length: captured + if kind & 0x80 == 0 { 0 } else { 100 },
            data,
            vlan: None,
        });
    }
}

/// Frames through one decoder. The first byte gives its options.
pub fn decode(data: &[u8]) {
    let Some((&how, data)) = data.split_first() else {
        return;
    };
    let options = Decoding {
        tunnels: how & 15,
        outer: how & 16 != 0,
        checksums: how & 32 != 0,
    };
    let mut decoder = Decoder::new(options);
    let (mut came, mut given) = (0, 0);
    frames(data, |frame| {
        came += 1;
        let mut here = 0;
        let _ = decoder.decode(frame, &mut |packet| {
            here += 1;
            assert!(packet.frames >= 1 && packet.tunnels.len() <= 8);
            let _ = format!("{packet:?}");
        });
        assert!(here <= 9, "a frame has at most eight packets around the last one");
        given += here;
    });
    assert_eq!((decoder.counts().frames, decoder.counts().packets), (came, given));
}

/// Segments of one direction. A piece is a segment: its first two bytes are where it begins, signed, relative to the
/// begin. Of its kind, bit 0 says that more of it was not captured, bit 1 that it is an acknowledgment instead.
pub fn stream(data: &[u8]) {
    let Some((&how, data)) = data.split_first() else {
        return;
    };
    let first = if how & 1 == 0 { 1_000 } else { u32::MAX - 500 };
    let room = Room {
        bytes: if how & 2 == 0 {
            64 << 10
        } else {
            usize::from(how) << 2
        },
    };
    let mut stream = Stream::default();
    if how & 4 == 0 {
        stream.begin(first);
    }
    let mut from: Option<u32> = None;
    let mut sum: u32 = 0;
    let mut longest: u64 = 0;
    let mut time = Time(0);
    let mut deliver = |delivery: Delivery<'_>| {
        sum = match delivery {
            Delivery::Data { data, cut, .. } => sum.wrapping_add(data.len() as u32).wrapping_add(cut),
            Delivery::Gap { bytes, .. } => sum.wrapping_add(bytes),
        };
        if let Delivery::Data { data, .. } = delivery {
            longest += data.len() as u64;
        }
    };
    let mut came: u64 = 0;
    for (kind, piece) in pieces(data) {
        time = time.after(Span(1));
        let [high, low, payload @ ..] = piece else {
            continue;
        };
        let sequence = first.wrapping_add_signed(i32::from(i16::from_be_bytes([*high, *low])));
        if kind & 2 != 0 {
            if stream.has_begun() {
                from.get_or_insert(stream.next());
            }
            stream.acknowledge(sequence, time, &mut deliver);
            continue;
        }
        if !stream.has_begun() {
            from = Some(sequence);
        }
        from.get_or_insert(stream.next());
        came += payload.len() as u64;
        let length = payload.len() as u32 + if kind & 1 == 0 { 0 } else { u32::from(kind) };
        let segment = Segment {
            time,
            sequence,
            data: payload,
            length,
        };
        let _ = stream.take(&segment, room, &mut deliver);
    }
    stream.end(time, &mut deliver);
    assert!(!stream.waits());
    assert!(longest <= came, "{longest} bytes handed on of {came}");
    if let Some(from) = from {
        assert_eq!(
            from.wrapping_add(sum),
            stream.next(),
            "all is handed on or told as a gap"
        );
    }
}

/// The whole path: frames to packets, conversations, facts, events, and lines of every format, each one valid JSON.
pub fn packets(data: &[u8]) {
    let Some((&how, data)) = data.split_first() else {
        return;
    };
    let mut tracker = Tracker::new(Options::new(Time(0)));
    let flows = FlowOptions {
        most: if how & 1 == 0 { 400_000 } else { 4 },
        by_id: how & 2 != 0,
        apart_by_vlan: how & 4 == 0,
        limits: Limits {
            query_strings: how & 8 != 0,
            ..Limits::default()
        },
        ..FlowOptions::default()
    };
    let live = (how & 2 != 0).then_some(u32::from(how >> 4));
    tracker.read_packets(Decoding::default(), flows, live);
    tracker.name_interface(0, "eth0".into());
    let mut lines = Lines::new();
    let mut events = Vec::new();
    frames(data, |frame| {
        tracker.frame(frame, &mut events);
        lines.judge(&mut events);
    });
    tracker.end_packets(&mut events);
    lines.judge(&mut events);
    tracker.finish(&mut events);
    lines.judge(&mut events);
    assert_eq!(tracker.flow_count(), 0);
}

/// Writes events in every format, and reads what was written.
struct Lines {
    context: Context,
    text: String,
}

impl Lines {
    fn new() -> Self {
        Self {
            context: Context {
                of_captures: true,
                host_name: Arc::from("fuzz"),
                host_id: None,
                version: Arc::from("0"),
                language: Language::English,
            },
            text: String::new(),
        }
    }

    fn judge(&mut self, events: &mut Vec<Event>) {
        for event in events.drain(..) {
            self.text.clear();
            ecs::event(&mut self.text, &event, &self.context);
            is_json(&self.text);
            self.text.clear();
            eve::event(&mut self.text, &event);
            self.text.lines().for_each(is_json);
            zeek::lines(&mut self.text, &event, |_, line| is_json(line));
        }
    }
}

fn is_json(line: &str) {
    let line = line.strip_suffix('\n').unwrap_or(line);
    assert!(!line.contains('\n'), "a record is a line: {line}");
    match serde_json::from_str::<serde_json::Value>(line) {
        Ok(value) => assert!(value.is_object(), "{line}"),
        Err(error) => panic!("{error}: {line}"),
    }
}
