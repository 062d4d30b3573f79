//! Frames in, events out: the decoder, the table of conversations, and what the tracker adds to both.

mod bandwidth;
pub(crate) mod rates;

use std::collections::VecDeque;

use atalaya_model::{Event, Fact, Gap, Span, Stage, Text, Time};
use atalaya_wire::capture::Whose;
use atalaya_wire::packet::{Counts, Options as Decoding, Undecoded};
use atalaya_wire::{Decoder, Frame, Packet, Segment};

use self::rates::Rates;
use crate::flows::{FlowOptions, Flowed, Flows, Ground, StreamLosses};
use crate::join::Join;
use crate::meter::Amount;
use crate::tracker::Tracker;

/// What reads packets.
#[derive(Debug)]
pub(crate) struct Packets {
    decoder: Decoder,
    flows: Flows,
    /// Where the kernel tells of the same conversations.
    pub(crate) join: Option<Join>,
    /// What went by on interfaces in the last seconds, where the kernel tells, too.
    pub(crate) rates: Rates,
    /// What went by in conversations, second by second, until it is known whose they are.
    flowed: VecDeque<(Time, Vec<Flowed>, Amount)>,
    /// Events on their way to the join, reused.
    told: Vec<Event>,
    /// Everything captured before this has been read.
    read_until: Time,
    /// Frames that could not be read since the last gap.
    unread: u64,
}

impl Tracker {
    /// Reads packets from now on.
    ///
    /// `live`: the sockets of the network namespace that the packets come from are observed at the same time; its
    /// inode number, 0 where that is unknown. Needs [`FlowOptions::by_id`].
    pub fn read_packets(&mut self, decoding: Decoding, flows: FlowOptions, live: Option<u32>) {
        self.packets = Some(Box::new(Packets {
            decoder: Decoder::new(decoding),
            flows: Flows::new(flows),
            join: live.map(|namespace| Join::new((namespace != 0).then_some(namespace))),
            rates: Rates::default(),
            flowed: VecDeque::new(),
            told: Vec::new(),
            read_until: Time(i64::MIN),
            unread: 0,
        }));
        self.meter.reads_packets = live.is_some();
    }

    /// Calls an interface by name; its number is that of [`Frame::interface`].
    pub fn name_interface(&mut self, number: u32, name: Text) {
        if let Some(packets) = &mut self.packets {
            packets.flows.name_interface(number, name);
        }
    }

    /// Takes a frame, and appends what follows from it. Does nothing before [`Tracker::read_packets`].
    pub fn frame(&mut self, frame: &Frame<'_>, out: &mut Vec<Event>) {
        self.frame_of(frame, Whose::default(), out);
    }

    /// Takes a frame of which its capture says whose it is.
    pub fn frame_of(&mut self, frame: &Frame<'_>, mut whose: Whose<'_>, out: &mut Vec<Event>) {
        if frame.time.since(self.last_tick) >= Span::from_seconds(1) {
            if self.joins() {
                self.pass_packets(frame.time, out);
            } else {
                // Conversations that are over end with the packets that follow, a few with each.
                self.tell_unread(frame.time, out);
            }
            self.strike(frame.time, false, out);
        }
        let (Some(packets), mut ground) = self.packets_and_ground() else {
            return;
        };
        let Packets {
            decoder,
            flows,
            join,
            told,
            read_until,
            unread,
            ..
        } = packets;
        *read_until = frame.time.max(*read_until);
        let to = if join.is_some() { &mut *told } else { &mut *out };
        let decoded = decoder.decode(frame, &mut |packet| {
            // A process's packet is the first that can be one: what that carries is somebody else's.
            let whose = if whose.process.is_some() && is_of_a_socket(packet) {
                std::mem::take(&mut whose)
            } else {
                Whose::default()
            };
            flows.packet(packet, whose, &mut ground, to);
        });
        if let Err(Undecoded::Damaged | Undecoded::UnknownLink) = decoded {
            *unread += 1;
        }
        if let Some(join) = join {
            told.drain(..).for_each(|event| join.flow(event, out));
        }
    }

    /// No frame waits that was captured before this time. The kernel's word may be ahead of packets that wait; ends that
    /// it tells are told when their last packets are read.
    pub fn packets_read_until(&mut self, time: Time) {
        if let Some(packets) = &mut self.packets {
            packets.read_until = time.max(packets.read_until);
        }
    }

    /// A look is complete.
    pub(crate) fn note_look(&mut self, time: Time) {
        if let Some(join) = self.packets.as_mut().and_then(|packets| packets.join.as_mut()) {
            join.looked(time);
        }
    }

    /// What reads packets, and what of the tracker it needs.
    fn packets_and_ground(&mut self) -> (Option<&mut Packets>, Ground<'_>) {
        let ground = Ground {
            networks: &self.options.networks,
            services: &mut self.services,
            names: &mut self.names,
            atlas: &mut self.atlas,
            last_id: &mut self.last_id,
        };
        (self.packets.as_deref_mut(), ground)
    }

    /// Packets tell of the kernel's conversations, too: its word goes through the join.
    pub(crate) fn joins(&self) -> bool {
        self.packets
            .as_ref()
            .is_some_and(|packets| packets.join.is_some())
    }

    /// Puts the kernel's word together with that of packets, where both are there.
    pub(crate) fn join(&mut self, told: &mut Vec<Event>, out: &mut Vec<Event>) {
        match self.packets.as_mut().and_then(|packets| packets.join.as_mut()) {
            Some(join) => told.drain(..).for_each(|event| join.kernel(event, out)),
            None => out.append(told),
        }
    }

    /// Time passes for conversations seen in packets.
    pub(crate) fn pass_packets(&mut self, time: Time, out: &mut Vec<Event>) {
        let (Some(packets), mut ground) = self.packets_and_ground() else {
            return;
        };
        let Packets {
            flows,
            join,
            told,
            read_until,
            ..
        } = packets;
        match join {
            None => flows.pass(time, usize::MAX, &mut ground, out),
            Some(join) => {
                // The kernel's word may be ahead of the packets that wait to be read.
                let time = time.min(*read_until);
                flows.pass(time, usize::MAX, &mut ground, told);
                told.drain(..).for_each(|event| join.flow(event, out));
                join.tick(
                    time,
                    &mut |id, ended| flows.end_by_id(id, &mut ground, ended),
                    out,
                );
            }
        }
        self.meter_packets(time);
        self.tell_unread(time, out);
    }

    /// Tells how many frames could not be read since the last time.
    fn tell_unread(&mut self, time: Time, out: &mut Vec<Event>) {
        let count = self
            .packets
            .as_mut()
            .map_or(0, |packets| std::mem::take(&mut packets.unread));
        if count > 0 {
            let gap = Gap {
                time,
                stage: Stage::Packets,
                count,
                reason: "frames of an unknown kind of link, or with damaged headers".into(),
            };
            out.push(Event::new(time, Fact::Gap(gap)));
        }
    }

    /// No packet follows, or one that is older than the last: conversations seen in packets end, some with each call,
    /// since what is to be told of a million would fill memory. False when all have ended.
    pub fn end_packets(&mut self, out: &mut Vec<Event>) -> bool {
        /// Conversations that end with a call.
        const MOST: usize = 64;
        let time = self.last_tick;
        let (Some(packets), mut ground) = self.packets_and_ground() else {
            return false;
        };
        let Packets {
            flows, join, told, ..
        } = packets;
        match join {
            None => {
                if flows.finish(MOST, &mut ground, out) {
                    return true;
                }
            }
            Some(join) => {
                flows.pass(time, usize::MAX, &mut ground, told);
                told.drain(..).for_each(|event| join.flow(event, out));
                join.finish(&mut |id, ended| flows.end_by_id(id, &mut ground, ended), out);
                flows.finish(usize::MAX, &mut ground, told);
                told.drain(..).for_each(|event| join.flow(event, out));
                join.finish(&mut |_, _| {}, out);
            }
        }
        flows.rewind();
        self.tell_unread(time, out);
        self.last_tick = Time(0);
        false
    }

    /// Conversations that are followed in packets now.
    pub fn flow_count(&self) -> usize {
        self.packets.as_ref().map_or(0, |packets| packets.flows.len())
    }

    /// Bytes that the table of conversations takes, without what readers of protocols keep.
    pub fn flow_bytes(&self) -> usize {
        self.packets.as_ref().map_or(0, |packets| packets.flows.bytes())
    }

    /// Packets that crossed more than one captured interface, each time but the first: they are in no conversation.
    pub fn seen_again(&self) -> u64 {
        self.packets
            .as_ref()
            .map_or(0, |packets| packets.flows.seen_again())
    }

    /// What was lost in streams of TCP so far.
    pub fn stream_losses(&self) -> StreamLosses {
        self.packets
            .as_ref()
            .map_or_else(StreamLosses::default, |packets| packets.flows.stream_losses())
    }

    /// What was decoded so far, and what was not.
    pub fn decoded(&self) -> Counts {
        self.packets
            .as_ref()
            .map_or_else(Counts::default, |packets| *packets.decoder.counts())
    }
}

/// Can a process have sent or received it, not only something in it?
const fn is_of_a_socket(packet: &Packet<'_>) -> bool {
    matches!(
        packet.segment,
        Segment::Tcp { .. } | Segment::Udp { .. } | Segment::Sctp { .. } | Segment::Icmp { .. }
    )
}
