//! What a detector may ask of the tracker while it looks at an event.

use std::sync::Arc;

use crate::{Connection, Listener, Process, ProcessKey, Time};

/// The tracked state, read-only. Implemented by `track`, asked by `detect`.
pub trait State {
    /// When the watch began.
    fn watching_since(&self) -> Time;

    /// A process that lives, or ended a moment ago.
    fn process(&self, key: ProcessKey) -> Option<&Arc<Process>>;

    /// The open connections of one process, in no order.
    fn connections_of(&self, key: ProcessKey) -> Box<dyn Iterator<Item = &Arc<Connection>> + '_>;

    /// How many connections one process has open, without walking them.
    fn connection_count(&self, key: ProcessKey) -> usize;

    /// Every process with at least one open connection.
    fn connected_processes(&self) -> Box<dyn Iterator<Item = ProcessKey> + '_>;

    /// Every listener there is.
    fn listeners(&self) -> Box<dyn Iterator<Item = &Arc<Listener>> + '_>;
}
