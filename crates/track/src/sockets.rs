//! The table of connections: one slot a conversation, found by its socket and, where that may have many, its peer.

use std::sync::Arc;

use atalaya_model::{Connection, Endpoint, Socket, Transport};
use foldhash::HashMap;

/// What tells one conversation from all others. One without a cookie has namespace `u32::MAX` and its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SocketKey {
    namespace: u32,
    cookie: u64,
    /// A TCP socket has one peer in its life; others may have many at a time.
    peer: Option<Endpoint>,
}

impl SocketKey {
    pub(crate) fn of(socket: &Socket) -> Self {
        Self::new(socket.namespace, socket.cookie, socket.transport, socket.remote)
    }

    fn new(namespace: u32, cookie: u64, transport: Transport, remote: Endpoint) -> Self {
        Self {
            namespace,
            cookie,
            peer: (transport != Transport::Tcp).then_some(remote),
        }
    }
}

/// Where a row is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Seen in the look under way, not announced yet.
    New,
    /// Announced, not closed.
    Open,
    /// Closed, and still in the kernel's table (TIME_WAIT).
    Lingering,
    /// Closed; kept until a look is complete, so that an older row of it cannot bring it back.
    Tombstone,
    /// First seen as what the kernel keeps of a closed socket, in a look after the first: its notice may still come.
    Rest,
}

#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) connection: Arc<Connection>,
    /// The last look that named it.
    pub(crate) look: u32,
    /// Its place in its process's list.
    pub(crate) place: u32,
    pub(crate) phase: Phase,
}

#[derive(Debug, Default)]
pub(crate) struct Sockets {
    slots: Vec<Option<Slot>>,
    free: Vec<u32>,
    index: HashMap<SocketKey, u32>,
    open: usize,
}

/// The key under which a connection is kept.
pub(crate) fn key_of(connection: &Connection) -> SocketKey {
    let (namespace, cookie) = match connection.cookie {
        0 => (u32::MAX, connection.id),
        cookie => (connection.network_namespace, cookie),
    };
    SocketKey::new(namespace, cookie, connection.transport, connection.remote())
}

impl Sockets {
    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    /// Connections that are announced and not closed.
    pub(crate) fn open(&self) -> usize {
        self.open
    }

    pub(crate) fn find(&self, key: SocketKey) -> Option<u32> {
        self.index.get(&key).copied()
    }

    pub(crate) fn get(&self, slot: u32) -> Option<&Slot> {
        self.slots.get(slot as usize)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, slot: u32) -> Option<&mut Slot> {
        self.slots.get_mut(slot as usize)?.as_mut()
    }

    /// The connection, to be changed; copied only where somebody else still reads it.
    pub(crate) fn connection_mut(&mut self, slot: u32) -> Option<&mut Connection> {
        Some(Arc::make_mut(&mut self.get_mut(slot)?.connection))
    }

    /// Puts a connection in; the key must be free.
    pub(crate) fn insert(&mut self, connection: Arc<Connection>, look: u32, phase: Phase) -> u32 {
        let key = key_of(&connection);
        self.open += usize::from(phase == Phase::Open);
        let row = Some(Slot {
            connection,
            look,
            place: 0,
            phase,
        });
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = row;
                slot
            }
            None => {
                self.slots.push(row);
                (self.slots.len() - 1) as u32
            }
        };
        self.index.insert(key, slot);
        slot
    }

    pub(crate) fn set_phase(&mut self, slot: u32, phase: Phase) {
        if let Some(row) = self.slots.get_mut(slot as usize).and_then(Option::as_mut) {
            self.open -= usize::from(row.phase == Phase::Open);
            self.open += usize::from(phase == Phase::Open);
            row.phase = phase;
        }
    }

    pub(crate) fn remove(&mut self, slot: u32) -> Option<Slot> {
        let row = self.slots.get_mut(slot as usize)?.take()?;
        self.open -= usize::from(row.phase == Phase::Open);
        self.index.remove(&key_of(&row.connection));
        self.free.push(slot);
        Some(row)
    }

    /// Finds a row under another cookie from now on; that cookie must be free.
    pub(crate) fn rekey(&mut self, slot: u32, cookie: u64) {
        let Some(row) = self.slots.get_mut(slot as usize).and_then(Option::as_mut) else {
            return;
        };
        self.index.remove(&key_of(&row.connection));
        Arc::make_mut(&mut row.connection).cookie = cookie;
        self.index.insert(key_of(&row.connection), slot);
    }

    /// Every slot number there is, taken or not.
    pub(crate) fn slots(&self) -> std::ops::Range<u32> {
        0..self.slots.len() as u32
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter().flatten()
    }
}
