//! The table of listeners, and which ports have one.

use std::net::IpAddr;
use std::sync::Arc;

use atalaya_model::{Endpoint, Listener, ProcessKey, Transport};
use foldhash::HashMap;

/// (network namespace, cookie); (`u32::MAX`, id) for a listener that has no cookie.
pub(crate) type ListenerKey = (u32, u64);

#[derive(Debug, Default)]
pub(crate) struct Listeners {
    table: HashMap<ListenerKey, Row>,
    /// Bound addresses by namespace, transport and port, each with the number of sockets (SO_REUSEPORT).
    ports: HashMap<(u32, Transport, u16), Vec<(IpAddr, u32)>>,
}

#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) listener: Arc<Listener>,
    /// The last look that named it.
    pub(crate) look: u32,
}

/// The key under which a listener is kept.
pub(crate) fn key_of(listener: &Listener) -> ListenerKey {
    if listener.cookie == 0 {
        (u32::MAX, listener.id)
    } else {
        (listener.network_namespace, listener.cookie)
    }
}

impl Listeners {
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Listener>> {
        self.table.values().map(|row| &row.listener)
    }

    pub(crate) fn get_mut(&mut self, key: ListenerKey) -> Option<&mut Row> {
        self.table.get_mut(&key)
    }

    pub(crate) fn of_process_mut(&mut self, key: ProcessKey) -> impl Iterator<Item = &mut Arc<Listener>> {
        let listeners = self.table.values_mut().map(|row| &mut row.listener);
        listeners.filter(move |listener| {
            listener
                .process
                .as_ref()
                .is_some_and(|process| process.key == key)
        })
    }

    pub(crate) fn insert(&mut self, listener: Arc<Listener>, look: u32) {
        let key = key_of(&listener);
        self.remove(key);
        let bound = self.ports.entry(port_of(&listener)).or_default();
        match bound.iter_mut().find(|(ip, _)| *ip == listener.local.ip) {
            Some((_, count)) => *count += 1,
            None => bound.push((listener.local.ip, 1)),
        }
        self.table.insert(key, Row { listener, look });
    }

    pub(crate) fn remove(&mut self, key: ListenerKey) -> Option<Arc<Listener>> {
        let listener = self.table.remove(&key)?.listener;
        if let Some(bound) = self.ports.get_mut(&port_of(&listener)) {
            for (ip, count) in bound.iter_mut() {
                *count -= u32::from(*ip == listener.local.ip);
            }
            bound.retain(|(_, count)| *count > 0);
            if bound.is_empty() {
                self.ports.remove(&port_of(&listener));
            }
        }
        Some(listener)
    }

    /// The keys of listeners in these namespaces that a look did not name.
    pub(crate) fn unseen(&self, look: u32, namespaces: &[u32]) -> Vec<ListenerKey> {
        let unseen = self
            .table
            .iter()
            .filter(|(_, row)| row.look != look && namespaces.contains(&row.listener.network_namespace));
        let mut unseen: Vec<ListenerKey> = unseen.map(|(key, _)| *key).collect();
        unseen.sort_unstable();
        unseen
    }

    /// Does a socket listen where this endpoint is? An IPv6 wildcard takes IPv4 too, as it does by default.
    pub(crate) fn covers(&self, namespace: u32, transport: Transport, local: Endpoint) -> bool {
        let Some(bound) = self.ports.get(&(namespace, transport, local.port)) else {
            return false;
        };
        bound.iter().any(|(ip, _)| match ip {
            ip if *ip == local.ip => true,
            IpAddr::V4(any) => any.is_unspecified() && local.ip.is_ipv4(),
            IpAddr::V6(any) => any.is_unspecified(),
        })
    }
}

fn port_of(listener: &Listener) -> (u32, Transport, u16) {
    (
        listener.network_namespace,
        listener.transport,
        listener.local.port,
    )
}
