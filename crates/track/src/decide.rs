//! Who began a conversation, and which way it goes.

use atalaya_model::{Connection, Direction, Endpoint, Side, Socket, SocketState, Transport};

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

impl Ends {
    pub(crate) const fn of(socket: &Socket) -> Self {
        Self {
            namespace: socket.namespace,
            transport: socket.transport,
            local: socket.local,
            remote: socket.remote,
            state: socket.state,
        }
    }

    /// Of a row whose turn was not decided yet: its source is still the own end.
    pub(crate) const fn of_new(connection: &Connection) -> Self {
        Self {
            namespace: connection.network_namespace,
            transport: connection.transport,
            local: connection.source,
            remote: connection.destination,
            state: connection.state,
        }
    }
}

/// Who began a conversation, and which way it goes.
#[derive(Clone, Copy)]
pub(crate) struct Turn {
    side: Side,
    direction: Direction,
    source: Endpoint,
    pub(crate) destination: Endpoint,
}

impl Turn {
    pub(crate) const fn apply(self, connection: &mut Connection) {
        connection.side = self.side;
        connection.direction = self.direction;
        connection.source = self.source;
        connection.destination = self.destination;
    }
}

impl Tracker {
    /// What is known of the side, and otherwise what the listeners known now and the ports say.
    pub(crate) fn turn(&self, ends: Ends, known: Option<Side>) -> Turn {
        let is_local = self.is_local(ends);
        let side = known.unwrap_or_else(|| self.side(ends, is_local));
        let (source, destination) = match side {
            Side::Source => (ends.local, ends.remote),
            Side::Destination => (ends.remote, ends.local),
        };
        let direction = match side {
            _ if is_local => Direction::Local,
            Side::Source => Direction::Outbound,
            Side::Destination => Direction::Inbound,
        };
        Turn {
            side,
            direction,
            source,
            destination,
        }
    }

    fn is_local(&self, ends: Ends) -> bool {
        ends.remote.ip.is_loopback()
            || ends.local.ip.is_loopback()
            || ends.remote.ip == ends.local.ip
            || self.addresses.contains_key(&(ends.namespace, ends.remote.ip))
    }

    /// A socket on a listener's port was accepted; another one was opened, unless its ports say otherwise.
    fn side(&self, ends: Ends, is_local: bool) -> Side {
        let Ends {
            namespace,
            transport,
            local,
            remote,
            state,
        } = ends;
        let here = self.listeners.covers(namespace, transport, local);
        match state {
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
        }
    }
}

/// Is it a port that somebody chose, not one that the system gives to clients?
pub(crate) const fn is_lasting(port: u16) -> bool {
    port < 32_768
}

const fn side_of(answers: bool) -> Side {
    if answers { Side::Destination } else { Side::Source }
}
