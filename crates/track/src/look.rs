//! Sockets: seen, closed, and missing from a complete look.

use std::sync::Arc;

use atalaya_model::connection::Traffic;
use atalaya_model::observation::Look;
use atalaya_model::{
    Connection, Direction, Event, Evidence, Fact, Listener, Outcome, Owners, Places, Side, Socket,
    SocketState, Time, Transport,
};

use crate::decide::{Ends, is_lasting};
use crate::owner::{self, Prefer};
use crate::sockets::{Phase, SocketKey, key_of};
use crate::tracker::{Parting, Tracker};

/// Most closed sockets that wait for the next look to say who began them; more are judged by their ports.
const MOST_LATE: usize = 32_768;

impl Tracker {
    pub(crate) fn socket_seen(&mut self, time: Time, socket: Socket, out: &mut Vec<Event>) {
        let listener_key = (socket.namespace, socket.cookie);
        let key = SocketKey::of(&socket);
        let peerless = socket.remote.port == 0 && socket.remote.ip.is_unspecified();
        let is_tcp = socket.transport == Transport::Tcp;
        if socket.state == SocketState::Listen || (peerless && !is_tcp) {
            if let Some(slot) = self.sockets.find(key) {
                self.close(slot, time, out);
                self.drop_slot(slot);
            }
            let before = self.look == 1;
            self.listener_seen(time, (time, before), socket, out);
            return;
        }
        if let Some(listener) = self.listeners.remove(listener_key) {
            // A UDP socket that was given a peer.
            self.listener_gone(time, listener, out);
        }
        if peerless && socket.state == SocketState::Close {
            return;
        }
        match self.sockets.find(key) {
            Some(slot) => self.known_seen(slot, time, &socket, out),
            None if is_rest(&socket) && self.is_rest_of_closed(&socket) => {}
            None if self.is_full() => self.refused.sockets += 1,
            None => {
                let connection = self.connection(time, &socket);
                let is_new_rest = self.look > 1 && is_rest(&socket);
                let phase = if is_new_rest { Phase::Rest } else { Phase::New };
                let slot = self.sockets.insert(Arc::new(connection), self.look, phase);
                self.address_bound(socket.namespace, socket.local.ip);
                self.attach(slot);
                if is_new_rest {
                    self.partings.insert(parting(&socket), slot);
                } else {
                    self.unannounced.push(slot);
                }
            }
        }
    }

    /// Is this what the kernel keeps of a connection that a notice ended already? Then it lingers, and is no other.
    fn is_rest_of_closed(&mut self, socket: &Socket) -> bool {
        let Some(&slot) = self.partings.get(&parting(socket)) else {
            return false;
        };
        let is_closed = |row: &crate::sockets::Slot| row.phase == Phase::Tombstone;
        if !self.sockets.get(slot).is_some_and(is_closed) {
            return false;
        }
        self.sockets.rekey(slot, socket.cookie);
        self.sockets.set_phase(slot, Phase::Lingering);
        if let Some(row) = self.sockets.get_mut(slot) {
            row.look = self.look;
        }
        if let Some(connection) = self.sockets.connection_mut(slot) {
            connection.state = socket.state;
        }
        true
    }

    /// What the kernel keeps of a socket whose notice comes now, if a look met that first.
    fn rest_of(&self, socket: &Socket) -> Option<u32> {
        let slot = *self.partings.get(&parting(socket))?;
        let row = self.sockets.get(slot)?;
        (socket.transport == Transport::Tcp && row.phase == Phase::Rest).then_some(slot)
    }

    /// A row for a socket never seen before; who began it is decided when it is announced.
    pub(crate) fn connection(&mut self, time: Time, socket: &Socket) -> Connection {
        let owner = owner::resolve(&socket.owners, Prefer::Youngest, &self.processes);
        Connection {
            id: self.next_id(),
            started: time,
            started_before: self.look == 1,
            seen: time,
            ended: None,
            transport: socket.transport,
            source: socket.local,
            destination: socket.remote,
            side: Side::Source,
            direction: Direction::Unknown,
            scope: self.options.networks.scope(socket.remote.ip),
            state: socket.state,
            network_namespace: socket.namespace,
            cookie: socket.cookie,
            user_id: user_of(socket),
            cgroup_id: (socket.cgroup_id != 0).then_some(socket.cgroup_id),
            traffic: socket.traffic,
            outcome: Outcome::default(),
            name: None,
            name_source: None,
            service: None,
            process: owner.process,
            attribution: owner.attribution,
            shared_with: owner.shared_with,
            wire: None,
            places: Places::default(),
        }
    }

    fn known_seen(&mut self, slot: u32, time: Time, socket: &Socket, out: &mut Vec<Event>) {
        let look = self.look;
        let Some(row) = self.sockets.get_mut(slot) else {
            return;
        };
        let is_repeated = row.look == look;
        row.look = look;
        let phase = row.phase;
        match phase {
            Phase::Rest if is_repeated => {}
            // No notice came for it: this is all that will be known.
            Phase::Rest => self.unannounced.push(slot),
            Phase::Lingering | Phase::Tombstone => {
                if phase == Phase::Tombstone {
                    self.sockets.set_phase(slot, Phase::Lingering);
                }
                if let Some(connection) = self.sockets.connection_mut(slot) {
                    connection.state = socket.state;
                    connection.seen = time;
                }
            }
            Phase::New | Phase::Open => {
                let changed = self.update(slot, time, socket);
                if phase == Phase::New {
                    return;
                }
                if socket.state == SocketState::TimeWait {
                    self.close(slot, time, out);
                    self.sockets.set_phase(slot, Phase::Lingering);
                } else if changed && let Some(row) = self.sockets.get(slot) {
                    out.push(Event::new(time, Fact::ConnectionUpdated(row.connection.clone())));
                }
            }
        }
    }

    /// Brings a row up to date; says whether anything but the time changed.
    pub(crate) fn update(&mut self, slot: u32, time: Time, socket: &Socket) -> bool {
        let Some(row) = self.sockets.get(slot) else {
            return false;
        };
        let traffic = socket.traffic.or(row.connection.traffic);
        let mut changed = row.connection.state != socket.state || row.connection.traffic != traffic;
        let before = (row.phase == Phase::Open).then_some((row.connection.traffic, row.connection.seen));
        if !owner::agrees(&socket.owners, &row.connection) {
            changed |= self.change_owner(slot, &socket.owners);
        }
        if let Some(connection) = self.sockets.connection_mut(slot) {
            let own = match connection.side {
                Side::Source => &mut connection.source,
                Side::Destination => &mut connection.destination,
            };
            // It was met between the call of connect and the choice of a port.
            if own.port == 0 && socket.local.port != 0 {
                *own = socket.local;
                changed = true;
            }
            connection.seen = time;
            connection.state = socket.state;
            connection.traffic = traffic;
            connection.user_id = connection.user_id.or(user_of(socket));
        }
        if let Some((before, since)) = before {
            self.meter_kernel(slot, time, before.unwrap_or_default(), since);
        }
        changed
    }

    /// Counts for the bandwidth what the kernel counted since an earlier count.
    fn meter_kernel(&mut self, slot: u32, time: Time, before: Traffic, since: Time) {
        // What lives is told by the kernel in time; what a look finds may be of all the time since the last one.
        let since = (!self.kernel_tells_all).then_some(since);
        if let Some(row) = self.sockets.get(slot)
            && row.connection.traffic.is_some_and(|traffic| traffic != before)
        {
            self.meter.add_kernel(time, &row.connection, before, since);
        }
    }

    /// Says whether the row changed.
    pub(crate) fn change_owner(&mut self, slot: u32, owners: &Owners) -> bool {
        let mut owner = owner::resolve(owners, Prefer::Youngest, &self.processes);
        let Some(row) = self.sockets.get(slot) else {
            return false;
        };
        let old = &row.connection;
        if owner.process.is_none() && old.process.is_some() {
            owner.process.clone_from(&old.process);
            owner.attribution = owner::seen_before(old.attribution);
        }
        if let (Owners::Used(_), Some(former)) = (owners, &old.process)
            && old.attribution.evidence != Evidence::Listener
        {
            owner.shared_with = owner::with_former(&owner, former.key, &old.shared_with);
        }
        let key = |process: &Option<Arc<atalaya_model::Process>>| process.as_ref().map(|process| process.key);
        let moved = key(&old.process) != key(&owner.process);
        if !moved && old.attribution == owner.attribution && old.shared_with == owner.shared_with {
            return false;
        }
        if moved {
            self.detach(slot);
        }
        if let Some(connection) = self.sockets.connection_mut(slot) {
            connection.process = owner.process;
            connection.attribution = owner.attribution;
            connection.shared_with = owner.shared_with;
        }
        if moved {
            self.attach(slot);
        }
        true
    }

    pub(crate) fn socket_closed(&mut self, time: Time, socket: Socket, out: &mut Vec<Event>) {
        if let Some(listener) = self.listeners.remove((socket.namespace, socket.cookie)) {
            self.listener_gone(time, listener, out);
            return;
        }
        if let Some(slot) = self
            .sockets
            .find(SocketKey::of(&socket))
            .or_else(|| self.rest_of(&socket))
        {
            let phase = self.sockets.get(slot).map(|row| row.phase);
            if !matches!(phase, Some(Phase::New | Phase::Open | Phase::Rest)) {
                return;
            }
            let mut before = None;
            if let Some(connection) = self.sockets.connection_mut(slot) {
                before = Some((connection.traffic.unwrap_or_default(), connection.seen));
                connection.traffic = socket.traffic.or(connection.traffic);
                connection.user_id = connection.user_id.or(user_of(&socket));
            }
            // The holders are as of an earlier look: they may name somebody where nobody was known, no more.
            if self
                .sockets
                .get(slot)
                .is_some_and(|row| row.connection.process.is_none())
            {
                self.change_owner(slot, &socket.owners);
            }
            if let (Some((before, since)), Some(Phase::Open)) = (before, phase) {
                self.meter_kernel(slot, time, before, since);
            }
            self.announce(slot, time, None, out);
            self.close(slot, time, out);
            let is_rest = phase == Some(Phase::Rest);
            let phase = if is_rest {
                Phase::Lingering
            } else {
                Phase::Tombstone
            };
            self.sockets.set_phase(slot, phase);
            return;
        }
        let is_listener = socket.state == SocketState::Listen
            || (socket.remote.port == 0 && socket.remote.ip.is_unspecified());
        if is_listener || self.concluded.remove(&SocketKey::of(&socket)) {
            return;
        }
        if self.is_undecided(&socket) && self.late.len() < MOST_LATE {
            self.late.push((time, socket));
            return;
        }
        self.lived_between_looks(time, socket, out);
    }

    /// Neither its ports nor a listener known now says who began it. The next look may know its listener.
    fn is_undecided(&self, socket: &Socket) -> bool {
        let covers = |end| self.listeners.covers(socket.namespace, socket.transport, end);
        !is_lasting(socket.local.port)
            && !is_lasting(socket.remote.port)
            && !covers(socket.local)
            && !covers(socket.remote)
    }

    /// Tells of the sockets that waited for listeners to be known. They keep their own times.
    pub(crate) fn tell_late(&mut self, out: &mut Vec<Event>) {
        for (time, socket) in std::mem::take(&mut self.late) {
            match self.rest_of(&socket) {
                // The look met what is left of it: it is told with its notice's facts.
                Some(_) => self.socket_closed(time, socket, out),
                None => self.lived_between_looks(time, socket, out),
            }
        }
    }

    /// Both ends of a short life in one breath.
    fn lived_between_looks(&mut self, time: Time, socket: Socket, out: &mut Vec<Event>) {
        let mut connection = self.connection(time, &socket);
        if connection.process.is_some() {
            connection.attribution = owner::seen_before(connection.attribution);
        }
        if self.is_full() {
            self.refused.sockets += 1;
            return;
        }
        let slot = self.sockets.insert(Arc::new(connection), self.look, Phase::New);
        self.address_bound(socket.namespace, socket.local.ip);
        self.attach(slot);
        if socket.transport == Transport::Tcp {
            self.partings.insert(parting(&socket), slot);
        }
        self.announce(slot, time, None, out);
        self.close(slot, time, out);
        self.sockets.set_phase(slot, Phase::Tombstone);
    }

    /// Decides the direction of a new row, unless its side is known, and tells of it.
    pub(crate) fn announce(&mut self, slot: u32, time: Time, known: Option<Side>, out: &mut Vec<Event>) {
        let Some(row) = self.sockets.get(slot) else {
            return;
        };
        if !matches!(row.phase, Phase::New | Phase::Rest) {
            return;
        }
        let connection = &row.connection;
        let ends = Ends::of_new(connection);
        let turn = self.turn(ends, known);
        let service = self.service(ends.transport, turn.destination.port);
        if let Some(connection) = self.sockets.connection_mut(slot) {
            turn.apply(connection);
            connection.service = service;
            self.names.name(connection, ends.remote.ip);
            self.atlas.note(connection);
        }
        self.sockets.set_phase(slot, Phase::Open);
        if let Some(row) = self.sockets.get(slot) {
            let (is_older, started) = (row.connection.started_before, row.connection.started);
            if !is_older {
                self.meter_kernel(slot, time, Traffic::default(), started);
            }
        }
        if let Some(row) = self.sockets.get(slot) {
            out.push(Event::new(time, Fact::ConnectionOpened(row.connection.clone())));
        }
    }

    /// Tells that an open connection ended. Its row stays; the caller says as what.
    pub(crate) fn close(&mut self, slot: u32, time: Time, out: &mut Vec<Event>) {
        if !self.sockets.get(slot).is_some_and(|row| row.phase == Phase::Open) {
            return;
        }
        self.detach(slot);
        if let Some(connection) = self.sockets.connection_mut(slot) {
            connection.ended = Some(time);
            connection.seen = time;
            if connection.process.is_some() {
                connection.attribution = owner::seen_before(connection.attribution);
            }
        }
        self.sockets.set_phase(slot, Phase::Tombstone);
        if let Some(row) = self.sockets.get(slot) {
            out.push(Event::new(time, Fact::ConnectionClosed(row.connection.clone())));
        }
    }

    pub(crate) fn look_done(&mut self, time: Time, look: &Look, out: &mut Vec<Event>) {
        self.tell_late(out);
        self.rely_on_kernel(look.namespaces.is_empty());
        // Listeners that are missing now may have accepted what is new now: they go last.
        out.reserve(self.unannounced.len() + 1);
        for slot in std::mem::take(&mut self.unannounced) {
            let is_rest = self.sockets.get(slot).is_some_and(|row| row.phase == Phase::Rest);
            self.announce(slot, time, None, out);
            let waits = self
                .sockets
                .get(slot)
                .is_some_and(|row| row.phase == Phase::Open && row.connection.state == SocketState::TimeWait);
            if waits || is_rest {
                self.close(slot, time, out);
                self.sockets.set_phase(slot, Phase::Lingering);
            }
        }
        self.concluded.clear();
        for slot in self.sockets.slots() {
            let Some(row) = self.sockets.get(slot) else {
                continue;
            };
            if row.look == self.look || !look.namespaces.contains(&row.connection.network_namespace) {
                continue;
            }
            if row.phase == Phase::Open {
                self.concluded.insert(key_of(&row.connection));
            }
            if row.phase == Phase::Rest {
                self.announce(slot, time, None, out);
            }
            self.close(slot, time, out);
            self.drop_slot(slot);
        }
        for key in self.listeners.unseen(self.look, &look.namespaces) {
            if let Some(listener) = self.listeners.remove(key) {
                self.listener_gone(time, listener, out);
            }
        }
        self.pass(time, true, out);
        self.look = self.look.saturating_add(1);
    }

    /// `since` says when it began to listen, and whether that was before the watch.
    pub(crate) fn listener_seen(
        &mut self,
        time: Time,
        since: (Time, bool),
        socket: Socket,
        out: &mut Vec<Event>,
    ) {
        let look = self.look;
        let key = (socket.namespace, socket.cookie);
        let owner = owner::resolve(&socket.owners, Prefer::Oldest, &self.processes);
        if let Some(row) = self.listeners.get_mut(key) {
            row.look = look;
            if row.listener.local == socket.local && row.listener.transport == socket.transport {
                let holder = |process: &Option<Arc<atalaya_model::Process>>| {
                    process.as_ref().map(|process| process.key)
                };
                let same = holder(&row.listener.process) == holder(&owner.process)
                    && row.listener.attribution == owner.attribution
                    && row.listener.shared_with == owner.shared_with;
                // A holder that can no longer be read is still the holder that was seen.
                if !same && (owner.process.is_some() || row.listener.process.is_none()) {
                    let listener = Arc::make_mut(&mut row.listener);
                    listener.process = owner.process;
                    listener.attribution = owner.attribution;
                    listener.shared_with = owner.shared_with;
                    out.push(Event::new(time, Fact::ListenerUpdated(row.listener.clone())));
                }
                return;
            }
            if let Some(listener) = self.listeners.remove(key) {
                self.listener_gone(time, listener, out);
            }
        }
        if self.is_full() {
            self.refused.sockets += 1;
            return;
        }
        let listener = Arc::new(Listener {
            id: self.next_id(),
            started: since.0,
            started_before: since.1,
            ended: None,
            transport: socket.transport,
            local: socket.local,
            network_namespace: socket.namespace,
            cookie: socket.cookie,
            user_id: Some(socket.user_id),
            service: self.service(socket.transport, socket.local.port),
            process: owner.process,
            attribution: owner.attribution,
            shared_with: owner.shared_with,
        });
        self.listeners.insert(listener.clone(), look);
        self.address_bound(socket.namespace, socket.local.ip);
        out.push(Event::new(time, Fact::ListenerAppeared(listener)));
    }

    pub(crate) fn listener_gone(&mut self, time: Time, mut listener: Arc<Listener>, out: &mut Vec<Event>) {
        Arc::make_mut(&mut listener).ended = Some(time);
        self.address_released(listener.network_namespace, listener.local.ip);
        out.push(Event::new(time, Fact::ListenerGone(listener)));
    }
}

/// Is this what the kernel keeps of a closed TCP socket (TIME_WAIT, also in its guise of FIN_WAIT2)? It has no inode,
/// no counters, and no user.
fn is_rest(socket: &Socket) -> bool {
    matches!(socket.state, SocketState::TimeWait | SocketState::FinWait2) && is_without_owner(socket)
}

/// Small sockets of the kernel's own (TIME_WAIT, half-open ones) say user 0, whoever's they are.
fn is_without_owner(socket: &Socket) -> bool {
    socket.transport == Transport::Tcp && socket.inode == 0 && socket.traffic.is_none()
}

fn user_of(socket: &Socket) -> Option<u32> {
    (!is_without_owner(socket) && socket.user_id != Socket::NO_USER).then_some(socket.user_id)
}

fn parting(socket: &Socket) -> Parting {
    (socket.namespace, socket.local, socket.remote)
}
