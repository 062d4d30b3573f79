//! What a collector reports: plain messages about sockets and processes, before anyone drew a conclusion.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::connection::Traffic;
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
    /// A look is complete: what it did not name does not exist any more in these namespaces.
    LookDone(Time, Look),
    /// Something was lost.
    Gap(Gap),
    /// How we see has changed.
    Tier(Time, TierReport),
}

/// What one look covered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    /// Inode numbers of the network namespaces that were read completely.
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
    /// Several, oldest first, at most 65.
    Many(Box<[ProcessKey]>),
}
