//! The kernel's own word on conversations and listeners.

use std::sync::Arc;

use atalaya_model::{Change, Event, Fact, Outcome, SocketEvent, SocketState, Transport};

use crate::decide::Ends;
use crate::sockets::{Phase, SocketKey};
use crate::tracker::Tracker;

impl Tracker {
    pub(crate) fn socket_event(&mut self, event: SocketEvent, out: &mut Vec<Event>) {
        let time = event.time;
        let socket = &event.socket;
        let peerless = socket.remote.port == 0 && socket.remote.ip.is_unspecified();
        if socket.state == SocketState::Listen || (peerless && socket.transport != Transport::Tcp) {
            self.listener_event(event, out);
        } else {
            match (self.sockets.find(SocketKey::of(socket)), event.change) {
                (Some(slot), Change::Alive) => self.known_alive(slot, &event, out),
                (Some(slot), Change::Closed(outcome)) => self.known_closed(slot, outcome, &event, out),
                (None, Change::Alive) => self.new_alive(&event, out),
                (None, Change::Closed(outcome)) => self.short_life(outcome, &event, out),
            }
        }
        self.tick(time, out);
    }

    fn listener_event(&mut self, event: SocketEvent, out: &mut Vec<Event>) {
        match event.change {
            Change::Alive => {
                let since = (event.started, event.started_before);
                self.listener_seen(event.time, since, event.socket, out);
            }
            Change::Closed(_) => {
                let key = (event.socket.namespace, event.socket.cookie);
                if let Some(listener) = self.listeners.remove(key) {
                    self.listener_gone(event.time, listener, out);
                }
            }
        }
    }

    fn new_alive(&mut self, event: &SocketEvent, out: &mut Vec<Event>) {
        if self.is_full() {
            self.refused.sockets += 1;
            return;
        }
        let mut connection = self.connection(event.started, &event.socket);
        connection.started_before = event.started_before;
        connection.seen = event.time;
        let slot = self.sockets.insert(Arc::new(connection), self.look, Phase::New);
        self.address_bound(event.socket.namespace, event.socket.local.ip);
        self.attach(slot);
        self.announce(slot, event.time, event.side, out);
    }

    fn known_alive(&mut self, slot: u32, event: &SocketEvent, out: &mut Vec<Event>) {
        let look = self.look;
        let Some(row) = self.sockets.get_mut(slot) else {
            return;
        };
        row.look = look;
        let phase = row.phase;
        if !matches!(phase, Phase::New | Phase::Open) {
            return;
        }
        let changed = self.update(slot, event.time, &event.socket);
        if phase == Phase::New {
            // A look met it a moment before. The kernel knows who began it; the look would have to conclude.
            self.announce(slot, event.time, event.side, out);
        } else if changed && let Some(row) = self.sockets.get(slot) {
            let fact = Fact::ConnectionUpdated(row.connection.clone());
            out.push(Event::new(event.time, fact));
        }
    }

    fn known_closed(&mut self, slot: u32, outcome: Outcome, event: &SocketEvent, out: &mut Vec<Event>) {
        let phase = self.sockets.get(slot).map(|row| row.phase);
        if !matches!(phase, Some(Phase::New | Phase::Open | Phase::Rest)) {
            return;
        }
        self.update(slot, event.time, &event.socket);
        self.announce(slot, event.time, event.side, out);
        if let Some(connection) = self.sockets.connection_mut(slot) {
            connection.outcome = outcome;
        }
        self.close(slot, event.time, out);
        self.bury(slot);
    }

    /// A whole life in one word.
    fn short_life(&mut self, outcome: Outcome, event: &SocketEvent, out: &mut Vec<Event>) {
        if !self.kernel_tells_all {
            // A look or a notice may still speak of it: it needs a row by which to be recognised.
            self.new_alive(event, out);
            if let Some(slot) = self.sockets.find(SocketKey::of(&event.socket)) {
                self.known_closed(slot, outcome, event, out);
            }
            return;
        }
        let socket = &event.socket;
        let ends = Ends::of(socket);
        let mut connection = self.connection(event.started, socket);
        let turn = self.turn(ends, event.side);
        turn.apply(&mut connection);
        connection.started_before = event.started_before;
        connection.service = self.service(socket.transport, turn.destination.port);
        connection.outcome = outcome;
        self.names.name(&mut connection, socket.remote.ip);
        self.atlas.note(&mut connection);
        connection.seen = event.time;
        if !event.started_before {
            let before = atalaya_model::connection::Traffic::default();
            self.meter.add_kernel(event.time, &connection, before, None);
        }
        let opened = Arc::new(connection.clone());
        connection.ended = Some(event.time);
        out.push(Event::new(event.started, Fact::ConnectionOpened(opened)));
        out.push(Event::new(
            event.time,
            Fact::ConnectionClosed(Arc::new(connection)),
        ));
    }

    /// Where the kernel tells of everything, nothing will speak of an ended conversation again.
    fn bury(&mut self, slot: u32) {
        if self.kernel_tells_all {
            self.drop_slot(slot);
            return;
        }
        self.sockets.set_phase(slot, Phase::Tombstone);
        if let Some(row) = self.sockets.get(slot)
            && row.connection.transport == Transport::Tcp
        {
            let connection = &row.connection;
            let parting = (
                connection.network_namespace,
                connection.local(),
                connection.remote(),
            );
            self.partings.insert(parting, slot);
        }
    }

    /// Looks from now on name nothing, or everything again.
    pub(crate) fn rely_on_kernel(&mut self, relies: bool) {
        if relies && !self.kernel_tells_all {
            for slot in self.sockets.slots() {
                let is_over = self
                    .sockets
                    .get(slot)
                    .is_some_and(|row| matches!(row.phase, Phase::Lingering | Phase::Tombstone));
                if is_over {
                    self.drop_slot(slot);
                }
            }
        }
        self.kernel_tells_all = relies;
    }
}
