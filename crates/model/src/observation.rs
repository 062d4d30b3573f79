//! What a collector reports: plain messages about sockets and processes, before anyone drew a conclusion.

use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::connection::{NameSource, Outcome, Side, Traffic};
use crate::{Endpoint, Evidence, Gap, Process, ProcessKey, SocketState, Text, TierReport, Time, Transport};

/// One message from a collector to the tracker.
///
/// Order within one look: processes before the sockets that name them; all `Sockets` of a look; then `LookDone`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Observation {
    /// A process with everything known of it; sent again when more is known (its hash, its package), or when it
    /// became another program by exec.
    Process(Time, Arc<Process>),
    /// A process is gone.
    ProcessGone(Time, ProcessKey),
    /// Some of the sockets that exist now. A look sends as many of these as it needs, each at most 4,096 long.
    Sockets(Time, Vec<Socket>),
    /// A socket ceased to exist, with its last counters. Owners are as known from an earlier look.
    SocketClosed(Time, Socket),
    /// What the kernel told of sockets by itself, in order. At most 4,096 in one message.
    SocketEvents(Vec<SocketEvent>),
    /// A process was given addresses for a name.
    Resolved(Resolution),
    /// A look is complete: what it did not name does not exist any more in these namespaces.
    LookDone(Time, Look),
    /// Something was lost.
    Gap(Gap),
    /// How we see has changed.
    Tier(Time, TierReport),
}

/// The kernel's own word on one conversation or listener.
///
/// Conversations over TCP are told apart by (namespace, cookie); all others by (namespace, cookie, remote endpoint),
/// because one socket may talk with many peers. Counters are totals of that conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SocketEvent {
    /// When it happened.
    pub time: Time,
    /// What happened.
    pub change: Change,
    /// When the conversation began, in the kernel's own time.
    pub started: Time,
    /// It existed before the watch began: `started` is only when it was first seen.
    pub started_before: bool,
    /// Which side the socket is; `None` where the kernel did not see the beginning.
    pub side: Option<Side>,
    /// The socket; `owners` is usually `Used`. A listener's state is `Listen`, or it has no remote endpoint.
    pub socket: Socket,
}

/// What happened to a conversation or listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// It lives: it is new, or its counters, state or process changed. A row that is not known yet begins with it.
    Alive,
    /// It ended, with its final counters. A short one is told by this alone.
    Closed(Outcome),
}

/// A process asked for a name, and was given addresses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Resolution {
    /// When the answer came.
    pub time: Time,
    /// Who asked.
    pub process: ProcessKey,
    /// The name as it was asked for, in lower case, without a final dot, at most 255 bytes.
    pub name: Text,
    /// What it was given, at most 16.
    pub addresses: Vec<IpAddr>,
    /// Where this was learnt.
    pub source: NameSource,
}

/// What one look covered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    /// Inode numbers of the network namespaces that were read completely. Empty where the kernel tells of every end by
    /// itself, so that nothing needs to be concluded from absence.
    pub namespaces: Vec<u32>,
    /// Processes that exist.
    pub processes: u32,
    /// Processes whose descriptors could not be read, and why.
    pub unread_processes: Vec<(Text, u32)>,
}

/// A socket as the kernel describes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Socket {
    /// Transport protocol.
    pub transport: Transport,
    /// State.
    pub state: SocketState,
    /// Its own address; IPv4-mapped ones are already IPv4.
    pub local: Endpoint,
    /// Its peer; unspecified address and port 0 where it has none.
    pub remote: Endpoint,
    /// Inode number of its network namespace.
    pub namespace: u32,
    /// Unique in this boot; survives into TIME_WAIT.
    pub cookie: u64,
    /// Inode number; 0 where no process holds it.
    pub inode: u32,
    /// The user that owns it; [`Socket::NO_USER`] where the kernel does not say.
    pub user_id: u32,
    /// Kernel id of its control group, 0 where unknown.
    pub cgroup_id: u64,
    /// TCP counters.
    pub traffic: Option<Traffic>,
    /// The processes that hold it.
    pub owners: Owners,
}

impl Socket {
    /// What the kernel calls no user: -1.
    pub const NO_USER: u32 = u32::MAX;
}

/// The processes that hold a socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Owners {
    /// Nobody known, and why.
    Unknown(Evidence),
    /// One process.
    One(ProcessKey),
    /// The kernel named this process as it opened, or last used, the socket.
    Used(ProcessKey),
    /// It waits to be used; the process that listens for it.
    Accepting(ProcessKey),
    /// Several, oldest first, at most 65.
    Many(Box<[ProcessKey]>),
}
