//! A packet is put into its conversation's row: counted, put in order, read.

use atalaya_model::{Event, Networks, Side, Text, Transport};
use atalaya_wire::stream::{Delivery, Room, Segment as Part, Stream, distance};
use atalaya_wire::{Conversation, Limits, Over, Packet, Piece, Said, Segment};

use super::history::{History, Often, Once};
use super::key::{End, Key};
use super::row::{Row, RowLane};
use super::server_ports::is_server;
use super::talk::Talk;
use super::tcp::{self, ACK, FIN, Head, RST, SYN, Stage};
use super::tell::turn;
use super::wheel::Link;
use super::{Flows, Ground};

impl Row {
    /// A row in which nothing was counted yet. The sender began it, unless what it says or its port tells otherwise.
    pub(super) fn new(key: Key, end: End, packet: &Packet<'_>, networks: &Networks, id: u64) -> Self {
        let mut history = History::default();
        let turned = is_answer(packet, key.port(end), key.port(!end));
        if turned {
            history.turn();
        }
        let tunnel = packet.tunnels.last().map(|tunnel| -> Text {
            format!("{} {} {}", tunnel.kind, tunnel.source, tunnel.destination).into()
        });
        let (source, destination) = (packet.ip.source, packet.ip.destination);
        Self {
            key,
            source: end ^ turned,
            turn: if turned {
                turn(destination, source, networks)
            } else {
                turn(source, destination, networks)
            },
            lanes: [RowLane::default(), RowLane::default()],
            started: packet.time,
            seen: packet.time,
            id,
            link: Link::default(),
            history,
            interface: interface(packet),
            progress: 0,
            application: None,
            is_told: false,
            is_sated: false,
            talk: tunnel.map(|tunnel| {
                let mut talk = Box::<Talk>::default();
                talk.tunnel = Some(tunnel);
                talk
            }),
        }
    }
}

impl Row {
    /// The packet was counted already where it crossed another interface: of a bridge and its ports, of a bond, of a
    /// host that forwards. Each side is followed on the interface where it was seen first, until it is silent there.
    fn is_seen_again(&self, side: Side, packet: &Packet<'_>) -> bool {
        let lane = &self.lanes[side as usize];
        lane.packets > 0
            && lane.interface != interface(packet)
            && seconds(packet).wrapping_sub(lane.heard).cast_signed() <= SILENCE
    }
}

/// Seconds after which a side that is silent on its interface may be heard on another.
const SILENCE: i32 = 1;

fn interface(packet: &Packet<'_>) -> u16 {
    u16::try_from(packet.interface).unwrap_or(u16::MAX)
}

/// The second of the packet, of which only differences are asked.
const fn seconds(packet: &Packet<'_>) -> u32 {
    packet.time.seconds() as u32
}

const NTP: u16 = 123;

/// The first packet seen is an answer: a SYN-ACK, or it comes from a server's port and goes to none.
fn is_answer(packet: &Packet<'_>, source_port: u16, destination_port: u16) -> bool {
    let transport = Transport::from_number(packet.ip.protocol);
    let by_port = || is_server(transport, source_port) && !is_server(transport, destination_port);
    match packet.segment {
        Segment::Tcp { flags, .. } if flags & SYN != 0 => flags & (ACK | RST) == ACK,
        Segment::Tcp { .. } => by_port(),
        // A server's answer says something.
        Segment::Udp { length: 0, .. } => false,
        // Both ends of NTP may have its port: what is said tells (RFC 5905, 7.3: mode 4 is a server's).
        Segment::Udp {
            payload: [first, ..], ..
        } if (source_port, destination_port) == (NTP, NTP) => first & 7 == 4,
        Segment::Udp { .. } => {
            let to = packet.ip.destination;
            let to_all = matches!(to, std::net::IpAddr::V4(ip) if ip.is_broadcast());
            by_port() && !to_all && !to.is_multicast()
        }
        _ => false,
    }
}

/// A SYN after the conversation of this row came to its end.
pub(super) fn begins_anew(row: &Row, packet: &Packet<'_>) -> bool {
    let Segment::Tcp { flags, .. } = packet.segment else {
        return false;
    };
    let is_over = |lane: &RowLane| matches!(lane.sender.stage, Stage::Closed | Stage::Reset);
    flags & (SYN | ACK | RST | FIN) == SYN && row.lanes.iter().any(is_over)
}

impl Flows {
    /// Counts a packet, tells of the conversation if it is new, and reads what is said.
    pub(super) fn account(
        &mut self,
        slot: u32,
        end: End,
        packet: &Packet<'_>,
        ground: &mut Ground<'_>,
        out: &mut Vec<Event>,
    ) {
        let Some(row) = self.table.get_mut(slot) else {
            return;
        };
        let limits = &self.options.limits;
        let side = row.side(end);
        if row.is_seen_again(side, packet) {
            self.seen_again += 1;
            self.totals.count(packet);
            return;
        }
        let is_new = row.lanes.iter().all(|lane| lane.packets == 0);
        if let Some(touched) = &mut self.touched {
            touched.touch(slot, row, side, packet.frame_bytes);
        }
        row.seen = row.seen.max(packet.time);
        let missed = row.missed();
        let lane = &mut row.lanes[side as usize];
        lane.packets += 1;
        lane.interface = interface(packet);
        lane.heard = seconds(packet);
        lane.frame_bytes += u64::from(packet.frame_bytes);
        lane.ip_bytes += u64::from(packet.ip.length);
        self.totals.count(packet);
        let mut is_shorter = false;
        let mut conflicts = false;
        match packet.segment {
            Segment::Tcp {
                sequence,
                acknowledgment,
                flags,
                window,
                payload,
                length,
                ..
            } => {
                let head = Head {
                    flags,
                    sequence,
                    acknowledgment,
                    window,
                    length,
                };
                let stages = row.lanes.each_ref().map(|lane| lane.sender.stage);
                conflicts = segment(row, side, &head, packet, payload, limits, &mut self.said);
                is_shorter = stages != row.lanes.each_ref().map(|lane| lane.sender.stage);
            }
            Segment::Udp { payload, length, .. } => {
                lane.payload += u64::from(length);
                row.history.once(side == Side::Destination, Once::Data);
                datagram(row, side, packet, payload, length, limits, &mut self.said);
            }
            Segment::Sctp { length, .. } | Segment::Icmp { length, .. } => lane.payload += u64::from(length),
            Segment::Other { .. } => {}
        }
        self.lost.count(packet.time, row.missed() - missed, conflicts);
        if is_new || is_shorter {
            self.schedule(slot);
        }
        let is_due = |row: &Row| !row.is_told && row.is_begun();
        if self.table.get(slot).is_some_and(is_due) {
            self.tell_opened(slot, ground, out);
        }
        if !self.said.is_empty() {
            self.tell_said(slot, ground, out);
        }
    }
}

/// A segment of TCP; says whether it contradicts an earlier one.
fn segment(
    row: &mut Row,
    side: Side,
    head: &Head,
    packet: &Packet<'_>,
    payload: &[u8],
    limits: &Limits,
    said: &mut Vec<Said>,
) -> bool {
    let answers = side == Side::Destination;
    let [source, destination] = &mut row.lanes;
    let (own, other) = if answers {
        (destination, source)
    } else {
        (source, destination)
    };
    own.flags |= head.flags;
    let before = own.sender.stage;
    own.payload += tcp::take(
        &mut own.sender,
        &mut other.sender,
        head,
        answers,
        &mut row.history,
    );
    let is_first = !own.stream.has_begun();
    if is_first || (head.has(SYN) && before == Stage::SynSent && own.payload == u64::from(head.length)) {
        own.stream.begin(head.data_begins());
    }
    if !payload.is_empty() {
        listen(row, Over::Stream);
    }
    let [source, destination] = &mut row.lanes;
    let (own, other) = if answers {
        (destination, source)
    } else {
        (source, destination)
    };
    let mut listener = Listener {
        history: &mut row.history,
        talk: row.talk.as_deref_mut().filter(|_| !row.is_sated),
        limits,
        said,
    };
    if head.has(ACK) && other.stream.has_begun() {
        other.payload += other.sender.acknowledged(head.acknowledgment);
        let closed = u32::from(other.sender.stage == Stage::Closed);
        let most = other.sender.high().wrapping_sub(closed);
        let up_to = if distance(most, head.acknowledgment) > 0 {
            most
        } else {
            head.acknowledgment
        };
        if distance(other.stream.next(), up_to) > 0 {
            let missed = &mut other.missed;
            other.stream.acknowledge(up_to, packet.time, &mut |delivery| {
                *missed += listener.hear(side.other(), delivery);
            });
        }
    }
    let mut conflicts = false;
    if head.length > 0 && before != Stage::Reset {
        let part = Part {
            time: packet.time,
            sequence: head.data_begins(),
            data: payload,
            length: head.length,
        };
        let room = listener.room();
        let missed = &mut own.missed;
        let outcome = own.stream.take(&part, room, &mut |delivery| {
            *missed += listener.hear(side, delivery);
        });
        own.retransmits += u32::from(outcome.is_repeated);
        own.out_of_order += u32::from(outcome.is_late);
        conflicts = outcome.conflicts;
    }
    settle(row, limits);
    conflicts
}

/// A datagram of UDP.
fn datagram(
    row: &mut Row,
    side: Side,
    packet: &Packet<'_>,
    payload: &[u8],
    length: u32,
    limits: &Limits,
    said: &mut Vec<Said>,
) {
    if row.is_sated || payload.is_empty() {
        return;
    }
    listen(row, Over::Datagrams);
    let Some(talk) = &mut row.talk else {
        return;
    };
    let captured = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    let piece = Piece {
        time: packet.time,
        side,
        data: payload,
        cut: length.saturating_sub(captured),
    };
    talk.read(&piece, limits, said);
    settle(row, limits);
}

/// Payload is there: somebody should read it, unless it says nothing more.
fn listen(row: &mut Row, over: Over) {
    if row.is_sated {
        return;
    }
    let talk = row.talk.get_or_insert_default();
    if talk.conversation.is_none() {
        let (source, destination) = (row.key.port(row.source), row.key.port(!row.source));
        talk.conversation = Some(Conversation::new(over, source, destination));
    }
}

/// Lets go of who reads when there is nothing more to read.
pub(super) fn settle(row: &mut Row, limits: &Limits) {
    if row.is_sated {
        return;
    }
    let Some(talk) = &row.talk else {
        return;
    };
    let is_sated = talk.is_sated(limits);
    if talk.conversation.is_some() && (is_sated || talk.is_at_rest()) {
        row.application = row.application();
        row.is_sated = is_sated;
        if let Some(talk) = &mut row.talk {
            talk.conversation = None;
            if talk.is_empty() {
                row.talk = None;
            }
        }
    }
}

/// Who is told what of a stream is in order now.
struct Listener<'a> {
    history: &'a mut History,
    talk: Option<&'a mut Talk>,
    limits: &'a Limits,
    said: &'a mut Vec<Said>,
}

impl Listener<'_> {
    /// What may wait for a missing segment.
    const fn room(&self) -> Room {
        Room {
            bytes: if self.talk.is_some() {
                self.limits.pending
            } else {
                0
            },
        }
    }

    /// Says how many bytes are missing.
    fn hear(&mut self, side: Side, delivery: Delivery<'_>) -> u64 {
        if let Some(talk) = &mut self.talk {
            talk.hear(side, delivery, self.limits, self.said);
        }
        let Delivery::Gap { bytes, .. } = delivery else {
            return 0;
        };
        self.history.often(side == Side::Destination, Often::Gap);
        bytes.into()
    }
}

/// Hands on what waits in both streams of a conversation that is over.
pub(super) fn drain(row: &mut Row, limits: &Limits, said: &mut Vec<Said>) {
    let seen = row.seen;
    for side in [Side::Source, Side::Destination] {
        let lane = &mut row.lanes[side as usize];
        if !lane.stream.waits() {
            continue;
        }
        let mut stream: Stream = std::mem::take(&mut lane.stream);
        let mut listener = Listener {
            history: &mut row.history,
            talk: row.talk.as_deref_mut().filter(|_| !row.is_sated),
            limits,
            said,
        };
        let missed = &mut lane.missed;
        stream.end(seen, &mut |delivery| *missed += listener.hear(side, delivery));
    }
    if let Some(talk) = &mut row.talk
        && let Some(conversation) = &mut talk.conversation
    {
        conversation.wait(seen, true, said);
    }
}
