//! Who began a conversation, and which way it goes.

use atalaya_model::{Direction, Endpoint, Side, SocketState, Transport};

use crate::tracker::Tracker;

/// A socket as far as its direction depends on it.
#[derive(Clone, Copy)]
pub(crate) struct Ends {
    pub(crate) namespace: u32,
    pub(crate) transport: Transport,
    pub(crate) local: Endpoint,
    pub(crate) remote: Endpoint,
    pub(crate) state: SocketState,
}

impl Tracker {
    /// Decides with the listeners known now: a socket on a listener's port was accepted, every other one was opened.
    pub(crate) fn decide(&self, ends: Ends) -> (Side, Direction) {
        let Ends {
            namespace,
            transport,
            local,
            remote,
            state,
        } = ends;
        let here = self.listeners.covers(namespace, transport, local);
        let is_local = remote.ip.is_loopback()
            || local.ip.is_loopback()
            || remote.ip == local.ip
            || self.addresses.contains_key(&(namespace, remote.ip));
        let side = match state {
            SocketState::SynSent => Side::Source,
            SocketState::SynReceived => Side::Destination,
            _ if !is_local => side_of(here),
            _ => match (here, self.listeners.covers(namespace, transport, remote)) {
                (true, false) => Side::Destination,
                (false, true) => Side::Source,
                // Neither or both listen: services have the lower port, and both ends come to the same answer.
                _ => side_of((local.port, local.ip) < (remote.port, remote.ip)),
            },
        };
        let direction = match side {
            _ if is_local => Direction::Local,
            Side::Source => Direction::Outbound,
            Side::Destination => Direction::Inbound,
        };
        (side, direction)
    }
}

const fn side_of(answers: bool) -> Side {
    if answers { Side::Destination } else { Side::Source }
}
