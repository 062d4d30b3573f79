//! *What is going on right now?* One look at the host: totals, alerts, statistics, sockets, and what was not seen.

mod csv;
mod json;
pub(crate) mod labels;
#[cfg(test)]
mod samples;
mod statistics;
mod text;

use atalaya_model::gap::StageCount;
use atalaya_model::{Alert, Connection, Listener, SocketState, Span, Text, TierReport, Time, Transport};

pub(crate) use csv::cell;
pub use csv::write_csv;
pub use json::{JsonOptions, s3_rule_name, write_json};
pub use statistics::{ProcessCount, Statistics};
pub use text::{TextOptions, write_text};

/// One look at the host. Connections and listeners are walked twice (once to count, once to write) and never copied,
/// so their iterators must be cheap to clone, like those of slices and maps.
#[derive(Clone, Debug)]
pub struct Snapshot<'a, C, L> {
    /// When the look began.
    pub timestamp: Time,
    /// How long it took.
    pub duration: Span,
    /// Host name.
    pub host: &'a str,
    /// Every connection, in no order.
    pub connections: C,
    /// Every listener, in no order.
    pub listeners: L,
    /// What the look found odd, worst or newest first as the caller likes.
    pub alerts: &'a [Alert],
    /// How the host was seen.
    pub tier: &'a TierReport,
    /// Processes that could not be read: why, and how many.
    pub unread: &'a [(Text, u32)],
    /// Other losses, by stage.
    pub stages: &'a [StageCount],
}

impl<'a, C, L> Snapshot<'a, C, L>
where
    C: Iterator<Item = &'a Connection> + Clone,
    L: Iterator<Item = &'a Listener> + Clone,
{
    /// Counts what there is.
    pub fn statistics(&self) -> Statistics {
        Statistics::count(self.connections.clone(), self.listeners.clone())
    }
}

/// The state as `ss` and `netstat` name it: a UDP socket without a peer is `UNCONN`, not closed.
pub fn state_name(transport: Transport, state: SocketState) -> &'static str {
    match (transport, state) {
        (Transport::Tcp | Transport::Sctp | Transport::Dccp, state) => state.name(),
        (_, SocketState::Close | SocketState::Listen) => "UNCONN",
        (_, state) => state.name(),
    }
}

/// The state of a listener: it listens, or it is a datagram socket without a peer.
pub fn listener_state(listener: &Listener) -> &'static str {
    state_name(listener.transport, SocketState::Listen)
}
