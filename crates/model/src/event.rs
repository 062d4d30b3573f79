//! Events: what the tracker concludes from observations, and what detectors, store and views are told.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Connection, Gap, Listener, Process, Protocol, TierReport, Time};

/// One fact with the time at which it became true, or was noticed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "a time and a fact")]
pub struct Event {
    pub time: Time,
    pub fact: Fact,
}

/// Everything that can be told. Closed: a new kind of fact is a decision for every room.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// A conversation began, or was there when the watch began (`started_before`).
    ConnectionOpened(Arc<Connection>),
    /// Its state, process or counters changed; counters are totals, not differences.
    ConnectionUpdated(Arc<Connection>),
    /// It ended; the totals are final.
    ConnectionClosed(Arc<Connection>),
    /// A process started, or was there when the watch began.
    ProcessStarted(Arc<Process>),
    /// More is known of a process: its hash, its package, a new program after exec.
    ProcessUpdated(Arc<Process>),
    /// A process ended.
    ProcessEnded(Arc<Process>),
    /// A listener appeared, or was there when the watch began.
    ListenerAppeared(Arc<Listener>),
    /// More is known of a listener: its process, or the process's hash.
    ListenerUpdated(Arc<Listener>),
    /// A listener is gone.
    ListenerGone(Arc<Listener>),
    /// Something was said inside a conversation: a name asked for, a TLS hello, an HTTP request.
    Protocol(Arc<Protocol>),
    /// Something was lost, and is counted.
    Gap(Gap),
    /// How we see has changed.
    TierChanged(Arc<TierReport>),
    /// Time passes. Comes at least once a second of event time and drives every time-out; `look` is set when a
    /// look at the whole socket table is complete.
    Tick {
        /// A complete look ended just before.
        look: bool,
    },
}

impl Event {
    /// An event of this time.
    pub const fn new(time: Time, fact: Fact) -> Self {
        Self { time, fact }
    }
}

impl Fact {
    /// The kind by which `--events` chooses: `connection`, `process`, `listener`, `protocol`, `gap`, `tier`, `tick`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::ConnectionOpened(_) | Self::ConnectionUpdated(_) | Self::ConnectionClosed(_) => {
                "connection"
            }
            Self::ProcessStarted(_) | Self::ProcessUpdated(_) | Self::ProcessEnded(_) => "process",
            Self::ListenerAppeared(_) | Self::ListenerUpdated(_) | Self::ListenerGone(_) => "listener",
            Self::Protocol(_) => "protocol",
            Self::Gap(_) => "gap",
            Self::TierChanged(_) => "tier",
            Self::Tick { .. } => "tick",
        }
    }

    /// The `event.action` of it in records.
    pub const fn action(&self) -> &'static str {
        match self {
            Self::ConnectionOpened(_) => "connection_opened",
            Self::ConnectionUpdated(_) => "connection_updated",
            Self::ConnectionClosed(_) => "connection_closed",
            Self::ProcessStarted(_) => "process_started",
            Self::ProcessUpdated(_) => "process_updated",
            Self::ProcessEnded(_) => "process_ended",
            Self::ListenerAppeared(_) => "listener_appeared",
            Self::ListenerUpdated(_) => "listener_updated",
            Self::ListenerGone(_) => "listener_gone",
            Self::Protocol(_) => "protocol_spoken",
            Self::Gap(_) => "gap",
            Self::TierChanged(_) => "tier_changed",
            Self::Tick { .. } => "tick",
        }
    }
}
