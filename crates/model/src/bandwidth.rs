//! How much goes over the network: by process, by whom it is talked to, by protocol. What any view shows of it.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{Basis, ProcessKey, Span, Text};

/// What went over the network in the last seconds. Lists begin with what is most, and are no longer than was asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bandwidth {
    /// Who counted, and so what.
    pub counted: Counted,
    /// The time over which it is averaged: ten seconds, less at the beginning.
    pub over: Span,
    /// All together, each conversation once.
    pub all: Rate,
    /// By process. Of a conversation between two processes here, both have their own part.
    pub processes: Vec<ProcessRate>,
    /// By the other end.
    pub destinations: Vec<DestinationRate>,
    /// By what is spoken.
    pub protocols: Vec<ProtocolRate>,
}

/// Who counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Counted {
    /// Packets were read: whole frames, of everything that passes the interfaces.
    Packets,
    /// The kernel's sockets: payload, of conversations that it counts for.
    Kernel,
}

impl Counted {
    /// The name in records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Packets => "packets",
            Self::Kernel => "kernel",
        }
    }
}

/// Bytes and packets per second, as this host sees them; of traffic between others, as the side that began does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Rate {
    pub sent_bytes: u64,
    pub received_bytes: u64,
    pub sent_packets: u64,
    pub received_packets: u64,
}

impl Rate {
    /// Bytes of both directions.
    pub const fn bytes(&self) -> u64 {
        self.sent_bytes.saturating_add(self.received_bytes)
    }

    /// Packets of both directions.
    pub const fn packets(&self) -> u64 {
        self.sent_packets.saturating_add(self.received_packets)
    }
}

/// What one process sends and receives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProcessRate {
    /// Which one; `None` for all that nobody knows the process of.
    pub process: Option<ProcessKey>,
    /// Its name.
    pub name: Option<Text>,
    /// What it runs, where known.
    pub executable: Option<Text>,
    /// How much.
    pub rate: Rate,
}

/// What goes to and comes from one address.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DestinationRate {
    /// The other end; of traffic between others, the one that answered. `None` for those beyond the limit of what is
    /// told apart.
    pub ip: Option<IpAddr>,
    /// A name by which it was called.
    pub name: Option<Text>,
    /// How much.
    pub rate: Rate,
}

/// What goes by one protocol.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProtocolRate {
    /// What is spoken, the service that usually has the port, or the transport.
    pub name: Text,
    /// How that is known: by content, guessed by port; `None` where it is only the transport.
    pub basis: Option<Basis>,
    /// How much.
    pub rate: Rate,
}
