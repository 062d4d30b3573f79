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
    /// Decides with the listeners known now: a socket on a listener's port was accepted; another one was opened, unless its
    /// ports say otherwise.
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
            // A listener that is gone already, as of a shell that serves one guest, leaves its port to go by.
            _ if !is_local => side_of(here || (is_lasting(local.port) && !is_lasting(remote.port))),
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

/// Is it a port that somebody chose, not one that the system gives to clients?
pub(crate) const fn is_lasting(port: u16) -> bool {
    port < 32_768
}

const fn side_of(answers: bool) -> Side {
    if answers { Side::Destination } else { Side::Source }
}
