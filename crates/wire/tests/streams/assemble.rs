//! What is said in a capture: frames → packets → streams in order → facts, as simply as can be. Without time-outs: one
//! conversation per 5-tuple.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;

use atalaya_model::{Message, Side, Time};
use atalaya_wire::capture::Reader;
use atalaya_wire::packet::Options;
use atalaya_wire::{Conversation, Decoder, Limits, Over, Packet, Piece, Segment};

/// One conversation and what was said in it.
pub(crate) struct Talk {
    pub(crate) source: SocketAddr,
    pub(crate) destination: SocketAddr,
    pub(crate) said: Vec<(Time, Message)>,
    conversation: Conversation,
    lanes: [Lane; 2],
}

#[derive(Default)]
struct Lane {
    /// The number of the next byte.
    next: Option<u32>,
    /// What came too early, by its distance from the first number.
    early: BTreeMap<u32, Vec<u8>>,
    /// The number after the last byte, once it is known.
    end: Option<u32>,
}

/// Everything that is said in this capture, in the order in which conversations began.
pub(crate) fn talks(capture: &Path, checksums: bool) -> Vec<Talk> {
    let limits = Limits {
        query_strings: true,
        ..Limits::default()
    };
    let mut reader = Reader::open(Box::new(File::open(capture).unwrap())).unwrap();
    let mut decoder = Decoder::new(Options {
        checksums,
        ..Options::default()
    });
    let mut talks = Vec::new();
    let mut places = HashMap::new();
    let mut last = Time(0);
    while let Ok(Some(frame)) = reader.next() {
        last = frame.time;
        let _undecoded = decoder.decode(&frame, &mut |packet| {
            take(packet, &mut talks, &mut places, &limits)
        });
    }
    for talk in &mut talks {
        for side in [Side::Source, Side::Destination] {
            talk.deliver(side, last, &limits);
            while talk.skip(side, None, last, &limits) {}
        }
        talk.conversation.wait(last, true, &mut talk.said);
    }
    talks
}

type Places = HashMap<(SocketAddr, SocketAddr, bool), usize>;

fn take(packet: &Packet<'_>, talks: &mut Vec<Talk>, places: &mut Places, limits: &Limits) {
    let (over, source_port, destination_port) = match packet.segment {
        Segment::Tcp {
            source_port,
            destination_port,
            ..
        } => (Over::Stream, source_port, destination_port),
        Segment::Udp {
            source_port,
            destination_port,
            ..
        } => (Over::Datagrams, source_port, destination_port),
        _ => return,
    };
    let from = SocketAddr::new(packet.ip.source, source_port);
    let to = SocketAddr::new(packet.ip.destination, destination_port);
    let is_stream = over == Over::Stream;
    let key = (from.min(to), from.max(to), is_stream);
    let place = *places.entry(key).or_insert_with(|| {
        let is_answer = matches!(packet.segment, Segment::Tcp { flags, .. } if flags & 0x12 == 0x12);
        let (source, destination) = if is_answer { (to, from) } else { (from, to) };
        talks.push(Talk {
            source,
            destination,
            said: Vec::new(),
            conversation: Conversation::new(over, source.port(), destination.port()),
            lanes: Default::default(),
        });
        talks.len() - 1
    });
    let talk = &mut talks[place];
    let side = if from == talk.source {
        Side::Source
    } else {
        Side::Destination
    };
    match packet.segment {
        Segment::Udp { payload, length, .. } => {
            let piece = Piece {
                time: packet.time,
                side,
                data: payload,
                cut: length - payload.len() as u32,
            };
            talk.conversation.read(&piece, limits, &mut talk.said);
        }
        Segment::Tcp {
            sequence,
            acknowledgment,
            flags,
            payload,
            length,
            ..
        } => {
            let begin = sequence.wrapping_add(u32::from(flags & 2 != 0));
            let lane = &mut talk.lanes[usize::from(side == Side::Destination)];
            let next = *lane.next.get_or_insert(begin);
            if flags & 1 != 0 {
                lane.end = Some(begin.wrapping_add(length));
            }
            let ahead = begin.wrapping_sub(next) as i32;
            let old = usize::try_from(-i64::from(ahead)).unwrap_or(0);
            if let Some(new) = payload.get(old..).filter(|new| !new.is_empty())
                && ahead < 1 << 24
            {
                let early = lane.early.entry(begin.wrapping_add(old as u32)).or_default();
                if early.len() < new.len() {
                    *early = new.to_vec();
                }
            }
            talk.deliver(side, packet.time, limits);
            if flags & 0x10 != 0 {
                talk.deliver(side.other(), packet.time, limits);
                while talk.skip(side.other(), Some(acknowledgment), packet.time, limits) {}
            }
        }
        _ => {}
    }
}

impl Talk {
    /// Reads what is in order.
    fn deliver(&mut self, side: Side, time: Time, limits: &Limits) {
        let lane = &mut self.lanes[usize::from(side == Side::Destination)];
        loop {
            let Some(next) = lane.next else { return };
            let found = lane
                .early
                .keys()
                .copied()
                .find(|at| at.wrapping_sub(next) as i32 <= 0);
            let Some(data) = found.and_then(|at| lane.early.remove(&at).map(|data| (at, data))) else {
                return;
            };
            let (at, data) = data;
            let Some(new) = data.get(next.wrapping_sub(at) as usize..) else {
                continue;
            };
            lane.next = Some(next.wrapping_add(new.len() as u32));
            let piece = Piece {
                time,
                side,
                data: new,
                cut: 0,
            };
            self.conversation.read(&piece, limits, &mut self.said);
        }
    }

    /// Goes on behind what is missing, where the other side has it, or where nothing more will come (`None`).
    fn skip(&mut self, side: Side, acknowledged: Option<u32>, time: Time, limits: &Limits) -> bool {
        let lane = &mut self.lanes[usize::from(side == Side::Destination)];
        let Some(next) = lane.next else { return false };
        let waits = lane.early.keys().map(|at| at.wrapping_sub(next) as i32).min();
        let behind = acknowledged.map(|number| {
            let number = if lane.end.map(|end| end.wrapping_add(1)) == Some(number) {
                number.wrapping_sub(1)
            } else {
                number
            };
            number.wrapping_sub(next) as i32
        });
        let missing = match (waits, behind) {
            (Some(waits), Some(behind)) => waits.min(behind),
            (Some(missing), None) | (None, Some(missing)) => missing,
            (None, None) => return false,
        };
        // A FIN that was not seen is no data.
        if missing <= 0 || (missing == 1 && waits.is_none()) || missing > 1 << 24 {
            return false;
        }
        lane.next = Some(next.wrapping_add(missing as u32));
        self.conversation
            .gap(side, missing as u64, time, limits, &mut self.said);
        self.deliver(side, time, limits);
        true
    }
}
