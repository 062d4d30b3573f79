//! The two ends of a conversation, as both the kernel's word and packets have them.

use std::net::IpAddr;

use atalaya_model::{Connection, Endpoint, Transport};

/// The two ends, the lower first, so that both directions are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Tuple(Transport, Endpoint, Endpoint);

impl Tuple {
    pub(super) fn of(connection: &Connection) -> Self {
        Self::new(connection.transport, connection.source, connection.destination)
    }

    pub(super) fn new(transport: Transport, one: Endpoint, other: Endpoint) -> Self {
        Self(transport, one.min(other), one.max(other))
    }

    /// The lower end and the higher one.
    pub(super) const fn ends(&self) -> [Endpoint; 2] {
        [self.1, self.2]
    }

    /// As a socket has it that is bound to no address: its own end is told by its port alone.
    fn without(self, end: Endpoint) -> Self {
        let unbound = |ip: IpAddr| match ip {
            IpAddr::V4(_) => IpAddr::from([0; 4]),
            IpAddr::V6(_) => IpAddr::from([0; 16]),
        };
        let bare = Endpoint {
            ip: unbound(end.ip),
            port: end.port,
        };
        let other = if self.1 == end { self.2 } else { self.1 };
        Self::new(self.0, bare, other)
    }

    /// The forms under which a socket may have it: with both addresses; where addresses need not be bound, with the
    /// address of one end left out.
    pub(super) fn forms(self) -> impl Iterator<Item = Self> {
        let unbound = [self.1, self.2].into_iter().map(move |end| self.without(end));
        let unbound = unbound.filter(move |form| self.0 != Transport::Tcp && *form != self);
        std::iter::once(self).chain(unbound)
    }

    /// Nothing in its packets tells where a conversation begins.
    pub(super) const fn is_of_datagrams(&self) -> bool {
        !matches!(self.0, Transport::Tcp | Transport::Sctp)
    }

    /// One of the ends is this host alone.
    pub(super) const fn is_loopback(&self) -> bool {
        self.1.ip.is_loopback()
    }
}
