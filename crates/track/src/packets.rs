//! Frames in, events out: the decoder, the table of conversations, and what the tracker adds to both.

use atalaya_model::{Event, Fact, Gap, Stage, Text, Time, Wire};
use atalaya_wire::packet::{Counts, Options as Decoding, Undecoded};
use atalaya_wire::{Decoder, Frame};

use crate::flows::{FlowOptions, Flows, Ground, Summary};
use crate::tracker::Tracker;

/// What reads packets.
#[derive(Debug)]
pub(crate) struct Packets {
    decoder: Decoder,
    flows: Flows,
    /// Frames that could not be read since the last gap.
    unread: u64,
}

impl Tracker {
    /// Reads packets from now on.
    pub fn read_packets(&mut self, decoding: Decoding, flows: FlowOptions) {
        self.packets = Some(Box::new(Packets {
            decoder: Decoder::new(decoding),
            flows: Flows::new(flows),
            unread: 0,
        }));
    }

    /// Calls an interface by name; its number is that of [`Frame::interface`].
    pub fn name_interface(&mut self, number: u32, name: Text) {
        if let Some(packets) = &mut self.packets {
            packets.flows.name_interface(number, name);
        }
    }

    /// Takes a frame, and appends what follows from it. Does nothing before [`Tracker::read_packets`].
    pub fn frame(&mut self, frame: &Frame<'_>, out: &mut Vec<Event>) {
        self.tick(frame.time, out);
        let Some(packets) = &mut self.packets else {
            return;
        };
        let Packets {
            decoder,
            flows,
            unread,
        } = &mut **packets;
        let mut ground = Ground {
            networks: &self.options.networks,
            services: &mut self.services,
            names: &mut self.names,
            last_id: &mut self.last_id,
        };
        let decoded = decoder.decode(frame, &mut |packet| flows.packet(packet, &mut ground, out));
        if let Err(Undecoded::Damaged | Undecoded::UnknownLink) = decoded {
            *unread += 1;
        }
    }

    /// Time passes for conversations seen in packets; `over` ends them all.
    pub(crate) fn pass_packets(&mut self, time: Time, over: bool, out: &mut Vec<Event>) {
        let Some(packets) = &mut self.packets else {
            return;
        };
        let mut ground = Ground {
            networks: &self.options.networks,
            services: &mut self.services,
            names: &mut self.names,
            last_id: &mut self.last_id,
        };
        if over {
            packets.flows.finish(&mut ground, out);
        } else {
            packets.flows.pass(time, &mut ground, out);
        }
        let count = std::mem::take(&mut packets.unread);
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

    /// Takes a conversation out of the table of packets without a word, and gives what was known of it. Only where
    /// [`FlowOptions::by_id`] is set.
    pub fn take_flow(&mut self, id: u64) -> Option<Box<Wire>> {
        self.packets.as_mut()?.flows.take(id)
    }

    /// Conversations that are followed in packets now.
    pub fn flow_count(&self) -> usize {
        self.packets.as_ref().map_or(0, |packets| packets.flows.len())
    }

    /// Bytes that the table of conversations takes, without what readers of protocols keep.
    pub fn flow_bytes(&self) -> usize {
        self.packets.as_ref().map_or(0, |packets| packets.flows.bytes())
    }

    /// What went by in packets so far.
    pub fn traffic_summary(&self) -> Summary {
        self.packets
            .as_ref()
            .map_or_else(Summary::default, |packets| packets.flows.summary())
    }

    /// What was decoded so far, and what was not.
    pub fn decoded(&self) -> Counts {
        self.packets
            .as_ref()
            .map_or_else(Counts::default, |packets| *packets.decoder.counts())
    }
}
