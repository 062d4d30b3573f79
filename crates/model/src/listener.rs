//! A socket that accepts: a listening TCP socket, or a UDP socket without a peer.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Attribution, Endpoint, Process, ProcessKey, Text, Time, Transport};

/// A socket that accepts connections or datagrams, and its process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Listener {
    /// Unique in the run that made it.
    pub id: u64,
    /// When it appeared, or was first seen where it is older than the watch.
    pub started: Time,
    /// It existed before the watch began.
    pub started_before: bool,
    /// When it was seen to be gone.
    pub ended: Option<Time>,
    /// TCP or UDP.
    pub transport: Transport,
    /// The address and port it is bound to.
    pub local: Endpoint,
    /// Inode number of its network namespace.
    pub network_namespace: u32,
    /// The socket's cookie in the kernel.
    pub cookie: u64,
    /// User id that owns the socket.
    pub user_id: Option<u32>,
    /// The service that usually has this port.
    pub service: Option<Text>,
    /// The process, where known: of several holders the oldest.
    pub process: Option<Arc<Process>>,
    /// How the process was learnt.
    pub attribution: Attribution,
    /// Other processes that hold the same socket, at most 64.
    pub shared_with: Box<[ProcessKey]>,
}

impl Listener {
    /// Is it reachable on every address of the host?
    pub fn is_wildcard(&self) -> bool {
        self.local.ip.is_unspecified()
    }

    /// Is it reachable only from this host?
    pub fn is_loopback(&self) -> bool {
        self.local.ip.is_loopback()
    }
}
