//! What packets tell of a conversation, beside what the kernel tells.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::protocol::{Http, Ssh, Tls};
use crate::{Application, Basis, Text};

/// What was counted and read from packets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Wire {
    /// What the source sent.
    pub source: Lane,
    /// What the destination sent.
    pub destination: Lane,
    /// How far it came, with Zeek's meanings.
    pub state: ConnectionState,
    /// What happened in order, with Zeek's letters: upper case by the source, lower case by the destination; `^` first
    /// where the direction was turned.
    pub history: Box<str>,
    /// What is spoken, and how that is known.
    pub application: Option<(Application, Basis)>,
    /// The name of the interface, where known.
    pub interface: Option<Text>,
    /// VLAN numbers, outermost first; 0 where there is none.
    pub vlans: [u16; 3],
    /// It was inside a tunnel: which, and between whom.
    pub tunnel: Option<Text>,
    /// Not a source or destination of this host, or seen only by packets: no socket of the kernel's is known for it.
    pub unjoined: bool,
    /// The TLS handshake (also that inside QUIC), as far as records of connections show it.
    pub tls: Option<Arc<Tls>>,
    /// The first HTTP request, as far as records of connections show it.
    pub http: Option<Arc<Http>>,
    /// SSH.
    pub ssh: Option<Arc<Ssh>>,
}

/// One way of a conversation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lane {
    /// Packets.
    pub packets: u64,
    /// Whole frames, as long as they were on the wire.
    pub frame_bytes: u64,
    /// IP packets with their headers.
    pub ip_bytes: u64,
    /// Payload by sequence numbers (TCP) or by datagrams, each byte once; `None` where no payload was seen or its
    /// amount cannot be told.
    pub payload_bytes: Option<u64>,
    /// Payload that is missing in what was captured.
    pub missed_bytes: u64,
    /// Segments sent again.
    pub retransmits: u32,
    /// Segments that overtook others.
    pub out_of_order: u32,
    /// All TCP flags that were set in any segment.
    pub tcp_flags: u8,
}

impl Lane {
    /// Adds what came in another part of the same conversation.
    pub fn add(&mut self, other: &Self) {
        self.packets += other.packets;
        self.frame_bytes += other.frame_bytes;
        self.ip_bytes += other.ip_bytes;
        self.payload_bytes = match (self.payload_bytes, other.payload_bytes) {
            (Some(one), Some(more)) => Some(one.saturating_add(more)),
            (one, more) => one.or(more),
        };
        self.missed_bytes += other.missed_bytes;
        self.retransmits = self.retransmits.saturating_add(other.retransmits);
        self.out_of_order = self.out_of_order.saturating_add(other.out_of_order);
        self.tcp_flags |= other.tcp_flags;
    }
}

impl Wire {
    /// Segments that either side sent again.
    pub fn sent_again(&self) -> u64 {
        u64::from(self.source.retransmits) + u64::from(self.destination.retransmits)
    }

    /// Segments of either side that overtook others.
    pub fn out_of_order(&self) -> u64 {
        u64::from(self.source.out_of_order) + u64::from(self.destination.out_of_order)
    }
}

/// How far a conversation came: Zeek's `conn_state`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are Zeek's; `meaning` says what they are")]
pub enum ConnectionState {
    S0,
    S1,
    SF,
    REJ,
    S2,
    S3,
    RSTO,
    RSTR,
    RSTOS0,
    RSTRH,
    SH,
    SHR,
    #[default]
    OTH,
}

impl ConnectionState {
    /// Every state.
    pub const ALL: [Self; 13] = [
        Self::S0,
        Self::S1,
        Self::SF,
        Self::REJ,
        Self::S2,
        Self::S3,
        Self::RSTO,
        Self::RSTR,
        Self::RSTOS0,
        Self::RSTRH,
        Self::SH,
        Self::SHR,
        Self::OTH,
    ];

    /// The name in records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::S0 => "S0",
            Self::S1 => "S1",
            Self::SF => "SF",
            Self::REJ => "REJ",
            Self::S2 => "S2",
            Self::S3 => "S3",
            Self::RSTO => "RSTO",
            Self::RSTR => "RSTR",
            Self::RSTOS0 => "RSTOS0",
            Self::RSTRH => "RSTRH",
            Self::SH => "SH",
            Self::SHR => "SHR",
            Self::OTH => "OTH",
        }
    }

    /// The state with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// What it means, in a few words.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::S0 => "attempt without an answer",
            Self::S1 => "established, not ended",
            Self::SF => "established and ended in order",
            Self::REJ => "attempt refused",
            Self::S2 => "established, the source closed, no answer to that",
            Self::S3 => "established, the destination closed, no answer to that",
            Self::RSTO => "established, reset by the source",
            Self::RSTR => "reset by the destination",
            Self::RSTOS0 => "the source sent a SYN, then a RST; no SYN-ACK was seen",
            Self::RSTRH => "the destination sent a SYN-ACK, then a RST; no SYN was seen",
            Self::SH => "the source sent a SYN, then a FIN; no SYN-ACK was seen",
            Self::SHR => "the destination sent a SYN-ACK, then a FIN; no SYN was seen",
            Self::OTH => "no beginning was seen",
        }
    }
}
