//! History, and the bookkeeping that it shares with live observations.

use std::net::IpAddr;
use std::sync::Arc;

use atalaya_model::{Connection, Event, Fact, Listener};

use crate::sockets::{self, Phase};
use crate::tracker::Tracker;
use crate::{listeners, processes::Admission};

impl Tracker {
    /// Brings the tables into the state after this event of the past, without concluding anything.
    ///
    /// Detectors that look at the event afterwards see what they would have seen live. What does not fit into the
    /// tables is left out and counted in the next gap of [`Tracker::tick`].
    pub fn apply(&mut self, event: &Event) {
        match &event.fact {
            Fact::ConnectionOpened(connection) | Fact::ConnectionUpdated(connection) => self.put(connection),
            Fact::ConnectionClosed(connection) => {
                if let Some(slot) = self.sockets.find(sockets::key_of(connection)) {
                    self.drop_slot(slot);
                }
            }
            Fact::ProcessStarted(process) | Fact::ProcessUpdated(process) => {
                if let Admission::Refused = self.processes.admit(process.clone()) {
                    self.refused.processes += 1;
                }
            }
            Fact::ProcessEnded(process) => {
                self.processes
                    .end(process.key, process.ended.unwrap_or(event.time));
            }
            Fact::ListenerAppeared(listener) | Fact::ListenerUpdated(listener) => self.put_listener(listener),
            Fact::ListenerGone(listener) => {
                if let Some(listener) = self.listeners.remove(listeners::key_of(listener)) {
                    self.address_released(listener.network_namespace, listener.local.ip);
                }
            }
            Fact::Protocol(_) | Fact::Gap(_) | Fact::TierChanged(_) => {}
            Fact::Tick { .. } => self.processes.forget_ended(event.time),
        }
    }

    fn put(&mut self, connection: &Arc<Connection>) {
        // Old records may name a process of which no event is left.
        if let Some(process) = &connection.process
            && self.processes.get(process.key).is_none()
            && let Admission::Refused = self.processes.admit(process.clone())
        {
            self.refused.processes += 1;
        }
        let key = sockets::key_of(connection);
        if let Some(slot) = self.sockets.find(key) {
            self.detach(slot);
            if let Some(row) = self.sockets.get_mut(slot) {
                row.connection = connection.clone();
            }
            self.attach(slot);
        } else if self.is_full() {
            self.refused.sockets += 1;
        } else {
            let slot = self.sockets.insert(connection.clone(), self.look, Phase::Open);
            self.address_bound(connection.network_namespace, connection.local().ip);
            self.attach(slot);
        }
    }

    fn put_listener(&mut self, listener: &Arc<Listener>) {
        let key = listeners::key_of(listener);
        if let Some(old) = self.listeners.remove(key) {
            self.address_released(old.network_namespace, old.local.ip);
        } else if self.is_full() {
            self.refused.sockets += 1;
            return;
        }
        self.address_bound(listener.network_namespace, listener.local.ip);
        self.listeners.insert(listener.clone(), self.look);
    }

    /// Takes a row out of every table.
    pub(crate) fn drop_slot(&mut self, slot: u32) {
        self.detach(slot);
        if let Some(row) = self.sockets.remove(slot) {
            let connection = &row.connection;
            self.address_released(connection.network_namespace, connection.local().ip);
            let parting = (
                connection.network_namespace,
                connection.local(),
                connection.remote(),
            );
            if self.partings.get(&parting) == Some(&slot) {
                self.partings.remove(&parting);
            }
        }
    }

    /// Puts a row on its process's list.
    pub(crate) fn attach(&mut self, slot: u32) {
        let Some(row) = self.sockets.get_mut(slot) else {
            return;
        };
        if let Some(process) = &row.connection.process {
            row.place = self.processes.attach(process.key, slot);
        }
    }

    /// Takes a row off its process's list; does nothing when it is not on it.
    pub(crate) fn detach(&mut self, slot: u32) {
        let Some(row) = self.sockets.get(slot) else {
            return;
        };
        let Some(process) = &row.connection.process else {
            return;
        };
        let place = row.place;
        if let Some(moved) = self.processes.detach(process.key, place, slot)
            && let Some(row) = self.sockets.get_mut(moved)
        {
            row.place = place;
        }
    }

    pub(crate) fn address_bound(&mut self, namespace: u32, ip: IpAddr) {
        if !ip.is_loopback() && !ip.is_unspecified() {
            *self.addresses.entry((namespace, ip)).or_default() += 1;
        }
    }

    pub(crate) fn address_released(&mut self, namespace: u32, ip: IpAddr) {
        if let Some(count) = self.addresses.get_mut(&(namespace, ip)) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.addresses.remove(&(namespace, ip));
            }
        }
    }
}
