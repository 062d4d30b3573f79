//! One conversation in the table: as small as can be, for there are many.

use std::sync::Arc;

use atalaya_model::{
    Application, Basis, ConnectionState, Direction, Lane, Scope, Side, Time, Transport, Wire,
};
use atalaya_wire::stream::Stream;

use super::history::History;
use super::key::{End, Key};
use super::talk::Talk;
use super::tcp::{self, Sender, Stage};
use super::timeouts::TimeOuts;
use super::wheel::Link;

/// A conversation.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) key: Key,
    /// Which end of the key is the source.
    pub(super) source: End,
    /// The source's first, then the destination's.
    pub(super) lanes: [RowLane; 2],
    pub(super) started: Time,
    /// Time of the last packet.
    pub(super) seen: Time,
    pub(super) id: u64,
    pub(super) link: Link,
    pub(super) history: History,
    pub(super) interface: u16,
    /// Which side is ours, and which way it goes.
    pub(super) turn: (Side, Direction, Scope),
    /// How often it was told that it still lives.
    pub(super) progress: u16,
    /// What is spoken: once that is known for good, or while nobody reads because all is said for now.
    pub(super) application: Option<(Application, Basis)>,
    /// It was told that it began.
    pub(super) is_told: bool,
    /// Payload says nothing more.
    pub(super) is_sated: bool,
    /// What was and is said; only where payload was seen.
    pub(super) talk: Option<Box<Talk>>,
}

/// One way of it.
#[derive(Debug, Default)]
pub(super) struct RowLane {
    pub(super) packets: u64,
    pub(super) frame_bytes: u64,
    pub(super) ip_bytes: u64,
    pub(super) payload: u64,
    pub(super) missed: u64,
    pub(super) retransmits: u32,
    pub(super) out_of_order: u32,
    pub(super) flags: u8,
    /// Where its last packet was seen, and when, in seconds.
    pub(super) interface: u16,
    pub(super) heard: u32,
    pub(super) sender: Sender,
    pub(super) stream: Stream,
}

impl RowLane {
    fn to_lane(&self) -> Lane {
        Lane {
            packets: self.packets,
            frame_bytes: self.frame_bytes,
            ip_bytes: self.ip_bytes,
            payload_bytes: Some(self.payload),
            missed_bytes: self.missed,
            retransmits: self.retransmits,
            out_of_order: self.out_of_order,
            tcp_flags: self.flags,
        }
    }
}

impl Row {
    pub(super) const fn transport(&self) -> Transport {
        self.key.transport()
    }

    pub(super) const fn is_tcp(&self) -> bool {
        matches!(self.key.transport(), Transport::Tcp)
    }

    /// Bytes of both sides that are missing.
    pub(super) const fn missed(&self) -> u64 {
        self.lanes[0].missed + self.lanes[1].missed
    }

    /// Enough is known to tell that it began. Of a SYN alone it is not known whether anything will come of it: the
    /// answer decides, or the end.
    pub(super) fn is_begun(&self) -> bool {
        let [source, destination] = &self.lanes;
        !self.is_tcp() || destination.packets > 0 || source.sender.stage != Stage::SynSent
    }

    /// Who sent it, by the end of the key that did.
    pub(super) const fn side(&self, end: End) -> Side {
        if end == self.source {
            Side::Source
        } else {
            Side::Destination
        }
    }

    /// Zeek's `conn_state`.
    pub(super) fn state(&self) -> ConnectionState {
        let [source, destination] = &self.lanes;
        match self.transport() {
            Transport::Tcp => {
                let silent = source.payload == 0 && destination.payload == 0;
                tcp::state(&source.sender, &destination.sender, silent)
            }
            Transport::Udp | Transport::UdpLite => match (source.packets > 0, destination.packets > 0) {
                (true, true) => ConnectionState::SF,
                (true, false) => ConnectionState::S0,
                (false, true) => ConnectionState::SHR,
                (false, false) => ConnectionState::OTH,
            },
            _ => ConnectionState::OTH,
        }
    }

    /// When it is over if nothing more comes.
    pub(super) fn deadline(&self, times: &TimeOuts) -> Time {
        let [source, destination] = self.lanes.each_ref().map(|lane| lane.sender.stage);
        let wait = match (self.transport(), source, destination) {
            (Transport::Tcp, Stage::SynSent, Stage::Inactive) => {
                return self.started.after(times.tcp_attempt);
            }
            (Transport::Tcp, Stage::Reset, _) | (Transport::Tcp, _, Stage::Reset) => times.tcp_reset,
            (Transport::Tcp, Stage::Closed, Stage::Closed) => times.tcp_closed,
            (Transport::Tcp, Stage::Closed, Stage::Inactive | Stage::Partial)
            | (Transport::Tcp, Stage::Inactive | Stage::Partial, Stage::Closed) => times.tcp_half_closed,
            (Transport::Tcp, ..) => times.tcp,
            (Transport::Udp, ..) if self.key.port(!self.source) == 53 => times.dns,
            (Transport::Udp | Transport::UdpLite, ..) => times.udp,
            (Transport::Icmp | Transport::Icmpv6, ..) => times.icmp,
            _ => times.other,
        };
        self.seen.after(wait)
    }

    /// What packets tell of it.
    pub(super) fn wire(&self) -> Wire {
        let talk = self.talk.as_deref();
        let [source, destination] = self.lanes.each_ref().map(RowLane::to_lane);
        Wire {
            source,
            destination,
            state: self.state(),
            history: self.history.to_text(),
            application: self.application(),
            interface: None,
            vlans: self.key.vlans,
            tunnel: talk.and_then(|talk| talk.tunnel.clone()),
            unjoined: false,
            tls: talk.and_then(|talk| talk.tls.clone()),
            http: talk
                .and_then(|talk| talk.http.as_ref())
                .map(|http| Arc::new(http.http())),
            ssh: talk.and_then(|talk| talk.ssh.clone()),
        }
    }

    /// What is spoken, as far as that is known.
    pub(super) fn application(&self) -> Option<(Application, Basis)> {
        let talk = self.talk.as_deref();
        let read = talk.and_then(Talk::application);
        // A guess does not win over what was known before.
        let known = self.application.filter(|(_, basis)| *basis == Basis::Content);
        read.filter(|(_, basis)| *basis == Basis::Content)
            .or(known)
            .or(read)
            .or(self.application)
    }

    /// Bytes it takes beside the row itself.
    pub(super) fn heap_bytes(&self) -> usize {
        self.history.heap_bytes() + self.talk.as_ref().map_or(0, |_| size_of::<Talk>())
    }
}
