//! How a process uses the network, in numbers: what lists of processes show.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Connection, Endpoint, Listener, Process, Text, Time, Transport};

/// A process with its use of the network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProcessUse {
    /// The process.
    pub process: Arc<Process>,
    /// Id of the boot it ran in, where that is not simply the present one.
    pub boot: Option<Text>,
    /// What it did.
    pub usage: Usage,
}

/// Connections, bytes and listeners of one process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Connections that are open.
    pub open: u64,
    /// Connections that have ended.
    pub closed: u64,
    /// Those of them that were never established.
    pub failed: u64,
    /// Payload bytes sent and received by the process; `None` where nobody counted.
    pub bytes: Option<(u64, u64)>,
    /// What it listens on, at most [`Usage::MAX_LISTENERS`].
    pub listeners: BTreeSet<(Transport, Endpoint)>,
    /// All sockets that listen.
    pub listening: u64,
    /// When it was first seen to use the network.
    pub first: Option<Time>,
    /// When it was last seen to.
    pub last: Option<Time>,
}

impl Usage {
    /// Addresses of listeners that are named; more are only counted.
    pub const MAX_LISTENERS: usize = 32;

    /// Does it use the network at all?
    pub const fn is_some(&self) -> bool {
        self.open + self.closed + self.listening > 0
    }

    /// Open and ended connections.
    pub const fn connections(&self) -> u64 {
        self.open + self.closed
    }

    /// Sent and received bytes together.
    pub fn total_bytes(&self) -> u64 {
        self.bytes
            .map_or(0, |(sent, received)| sent.saturating_add(received))
    }

    /// Counts a connection.
    pub fn add_connection(&mut self, connection: &Connection) {
        match connection.ended {
            None => self.open += 1,
            Some(_) => self.closed += 1,
        }
        self.failed += u64::from(connection.outcome.is_failure());
        let traffic = connection.traffic.as_ref();
        self.add_bytes(traffic.map(|traffic| (traffic.sent_bytes, traffic.received_bytes)));
        self.see(connection.started, connection.ended.unwrap_or(connection.seen));
    }

    /// Counts a listener.
    pub fn add_listener(&mut self, listener: &Listener) {
        self.listening += 1;
        self.name_listener(listener.transport, listener.local);
        self.see(listener.started, listener.ended.unwrap_or(listener.started));
    }

    /// Names what it listens on, without counting it.
    pub fn name_listener(&mut self, transport: Transport, local: Endpoint) {
        if self.listeners.len() < Self::MAX_LISTENERS {
            self.listeners.insert((transport, local));
        }
    }

    /// Adds bytes that were counted.
    pub fn add_bytes(&mut self, more: Option<(u64, u64)>) {
        if let Some((sent, received)) = more {
            let (before_sent, before_received) = self.bytes.unwrap_or_default();
            self.bytes = Some((
                before_sent.saturating_add(sent),
                before_received.saturating_add(received),
            ));
        }
    }

    /// Widens the time in which it was seen.
    pub fn see(&mut self, first: Time, last: Time) {
        self.first = Some(self.first.map_or(first, |known| known.min(first)));
        self.last = self.last.max(Some(last));
    }

    /// Adds what was counted elsewhere, of other connections.
    pub fn merge(&mut self, other: &Self) {
        self.open += other.open;
        self.closed += other.closed;
        self.failed += other.failed;
        self.listening += other.listening;
        self.add_bytes(other.bytes);
        for (transport, local) in &other.listeners {
            self.name_listener(*transport, *local);
        }
        if let Some((first, last)) = other.first.zip(other.last) {
            self.see(first, last);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_merged_is_counted_once_and_named_within_bounds() {
        let mut usage = Usage::default();
        assert!(!usage.is_some());
        let mut other = Usage {
            closed: 3,
            bytes: Some((5, u64::MAX)),
            ..Usage::default()
        };
        other.see(Time(5), Time(9));
        for port in 0..100 {
            other.name_listener(Transport::Tcp, Endpoint::new([0, 0, 0, 0].into(), port));
        }
        usage.see(Time(7), Time(8));
        usage.merge(&other);
        usage.merge(&other);
        assert_eq!((usage.connections(), usage.bytes), (6, Some((10, u64::MAX))));
        assert_eq!((usage.first, usage.last), (Some(Time(5)), Some(Time(9))));
        assert_eq!(usage.listeners.len(), Usage::MAX_LISTENERS);
    }
}
