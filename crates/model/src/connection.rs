//! One conversation between two endpoints.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    Attribution, Endpoint, Evidence, Place, Places, Process, ProcessKey, Scope, SocketState, Span, Text,
    Time, Transport, Wire,
};

/// One conversation, seen from one socket: a loopback conversation has two rows, one for each end.
///
/// `source` is the side that began it, `destination` the side that answered; `side` says which of them is the socket
/// observed. The same struct comes from the kernel, from packets, and from files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Connection {
    /// Unique in the run that made it; the store gives its own.
    pub id: u64,
    /// When it began, or was first seen where it is older than the watch (`started_before`).
    pub started: Time,
    /// It existed before the watch began: `started` is only when it was first seen.
    pub started_before: bool,
    /// When it was last looked at.
    pub seen: Time,
    /// When it ended, `None` while it lives.
    pub ended: Option<Time>,
    /// Transport protocol.
    pub transport: Transport,
    /// The side that began the conversation.
    pub source: Endpoint,
    /// The side that answered.
    pub destination: Endpoint,
    /// Which side the observed socket is.
    pub side: Side,
    /// From this host's point of view.
    pub direction: Direction,
    /// How far away the remote side is.
    pub scope: Scope,
    /// State of the socket; the last one before it closed.
    pub state: SocketState,
    /// Inode number of the network namespace, 0 where it is unknown.
    pub network_namespace: u32,
    /// The socket's cookie in the kernel, 0 where there is none.
    pub cookie: u64,
    /// User id that owns the socket.
    pub user_id: Option<u32>,
    /// Kernel id of the socket's control group.
    pub cgroup_id: Option<u64>,
    /// Payload and packets; `None` where the source cannot count them.
    pub traffic: Option<Traffic>,
    /// How it went, where the source can tell.
    #[serde(default)]
    pub outcome: Outcome,
    /// The name by which the process asked for the destination.
    pub name: Option<Text>,
    /// Where the name was learnt; `None` without a name.
    pub name_source: Option<NameSource>,
    /// The service that usually has the destination port (`https`).
    pub service: Option<Text>,
    /// The process, where known.
    pub process: Option<Arc<Process>>,
    /// How the process was learnt, or why it is not known.
    pub attribution: Attribution,
    /// Other processes that hold the same socket, at most 64.
    pub shared_with: Box<[ProcessKey]>,
    /// What packets told of it; `None` where no packets were read.
    #[serde(default)]
    pub wire: Option<Box<Wire>>,
    /// Where its ends are, as a database of addresses said when it was first seen.
    #[serde(default, skip_serializing_if = "Places::is_empty")]
    pub places: Places,
}

impl Connection {
    /// A conversation that began at this time and lives, of which nothing is known but its ends. Its scope is that of
    /// the destination.
    pub fn bare(started: Time, transport: Transport, source: Endpoint, destination: Endpoint) -> Self {
        Self {
            id: 0,
            started,
            started_before: false,
            seen: started,
            ended: None,
            transport,
            source,
            destination,
            side: Side::Source,
            direction: Direction::Unknown,
            scope: Scope::of(destination.ip),
            state: SocketState::Established,
            network_namespace: 0,
            cookie: 0,
            user_id: None,
            cgroup_id: None,
            traffic: None,
            outcome: Outcome::Unknown,
            name: None,
            name_source: None,
            service: None,
            process: None,
            attribution: Attribution::from(Evidence::NotRecorded),
            shared_with: Box::default(),
            wire: None,
            places: Places::default(),
        }
    }
}

/// What went over a connection so far, from the observed socket's point of view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// Payload bytes sent and not sent again.
    pub sent_bytes: u64,
    /// Payload bytes received in order.
    pub received_bytes: u64,
    /// Segments or datagrams sent.
    pub sent_packets: u64,
    /// Segments or datagrams received.
    pub received_packets: u64,
    /// Smoothed round-trip time in microseconds, 0 where it was not measured.
    pub round_trip: u32,
    /// Segments sent again.
    pub retransmits: u32,
}

/// One of the two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the two ends of a conversation")]
pub enum Side {
    Source,
    Destination,
}

/// The direction of a conversation from this host's point of view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// This host began it.
    Outbound,
    /// Somebody else began it.
    Inbound,
    /// Both ends are on this host.
    Local,
    /// Seen, but not ours, or undecided.
    Unknown,
}

impl Direction {
    /// The lower-case name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Outbound => "outbound",
            Self::Inbound => "inbound",
            Self::Local => "local",
            Self::Unknown => "unknown",
        }
    }
}

/// How an attempt to talk went, or how a conversation ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It still lives, or the source cannot tell.
    #[default]
    Unknown,
    /// Both sides ended it in order; a conversation of datagrams that fell silent, or whose socket was closed.
    Finished,
    /// Established, then ended by a reset of either side.
    Reset,
    /// Established, then given up because the peer no longer answered.
    TimedOut,
    /// Never established: the peer refused.
    Refused,
    /// Never established: nobody answered in time.
    Unanswered,
    /// Never established: no way to the peer.
    Unreachable,
    /// Never established: its process gave up first.
    Abandoned,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 8] = [
        Self::Unknown,
        Self::Finished,
        Self::Reset,
        Self::TimedOut,
        Self::Refused,
        Self::Unanswered,
        Self::Unreachable,
        Self::Abandoned,
    ];

    /// The name in records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Finished => "finished",
            Self::Reset => "reset",
            Self::TimedOut => "timed_out",
            Self::Refused => "refused",
            Self::Unanswered => "unanswered",
            Self::Unreachable => "unreachable",
            Self::Abandoned => "abandoned",
        }
    }

    /// The outcome with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.name() == name)
    }

    /// Did the attempt to connect fail?
    pub const fn is_failure(self) -> bool {
        matches!(
            self,
            Self::Refused | Self::Unanswered | Self::Unreachable | Self::Abandoned
        )
    }
}

/// Where the name of a destination was learnt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NameSource {
    /// The process asked the system's resolver for this name shortly before, and was given this address.
    Resolver,
    /// A DNS answer on the wire gave this address for the name shortly before.
    Dns,
    /// The client named the server in its TLS or QUIC hello.
    Tls,
    /// The client named the host in its HTTP request.
    Http,
}

impl NameSource {
    /// The name in records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Resolver => "resolver",
            Self::Dns => "dns",
            Self::Tls => "tls",
            Self::Http => "http",
        }
    }
}

impl Connection {
    /// The endpoint of the observed socket.
    pub const fn local(&self) -> Endpoint {
        match self.side {
            Side::Source => self.source,
            Side::Destination => self.destination,
        }
    }

    /// The endpoint it talks to.
    pub const fn remote(&self) -> Endpoint {
        match self.side {
            Side::Source => self.destination,
            Side::Destination => self.source,
        }
    }

    /// Where the other end is.
    pub fn remote_place(&self) -> Option<&Place> {
        match self.side {
            Side::Source => self.places.destination.as_deref(),
            Side::Destination => self.places.source.as_deref(),
        }
    }

    /// Did the observed socket begin the conversation?
    pub const fn is_initiator(&self) -> bool {
        matches!(self.side, Side::Source)
    }

    /// Payload bytes sent by (source, destination).
    pub fn bytes(&self) -> Option<(u64, u64)> {
        self.traffic.map(|traffic| match self.side {
            Side::Source => (traffic.sent_bytes, traffic.received_bytes),
            Side::Destination => (traffic.received_bytes, traffic.sent_bytes),
        })
    }

    /// Packets sent by (source, destination).
    pub fn packets(&self) -> Option<(u64, u64)> {
        self.traffic.map(|traffic| match self.side {
            Side::Source => (traffic.sent_packets, traffic.received_packets),
            Side::Destination => (traffic.received_packets, traffic.sent_packets),
        })
    }

    /// How long it lasted, or has been seen to last so far.
    pub fn duration(&self) -> Span {
        self.ended.unwrap_or(self.seen).since(self.started)
    }
}
