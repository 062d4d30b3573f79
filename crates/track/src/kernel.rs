//! The kernel's own word on conversations and listeners.

use atalaya_model::{Event, Resolution, SocketEvent};

use crate::tracker::Tracker;

impl Tracker {
    pub(crate) fn socket_event(&mut self, _event: SocketEvent, _out: &mut Vec<Event>) {}

    pub(crate) fn resolved(&mut self, _resolution: Resolution) {}
}
