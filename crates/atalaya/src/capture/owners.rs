//! Which process each conversation belongs to, as the collector tells it.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use atalaya_model::{Endpoint, Observation, Owners as Holders, Process, ProcessKey, Socket, Transport};

/// Entries of each generation of a table.
const GENERATION: usize = 65_536;

/// The processes of sockets, those that were closed a while ago included: their last packets come later than the word
/// of their end. Bounded: what was not asked for the longest is forgotten.
#[derive(Debug, Default)]
pub(super) struct Owners {
    sockets: Recent<(Transport, Endpoint, Endpoint), ProcessKey>,
    processes: Recent<ProcessKey, Arc<Process>>,
}

impl Owners {
    pub(super) fn observe(&mut self, observation: Observation) {
        match observation {
            Observation::Process(_, process) => self.processes.put(process.key, process),
            Observation::Sockets(_, sockets) => sockets.iter().for_each(|socket| self.socket(socket)),
            Observation::SocketClosed(_, socket) => self.socket(&socket),
            Observation::SocketEvents(events) => events.iter().for_each(|event| self.socket(&event.socket)),
            _ => {}
        }
    }

    fn socket(&mut self, socket: &Socket) {
        let process = match &socket.owners {
            Holders::One(process) | Holders::Used(process) | Holders::Accepting(process) => *process,
            Holders::Many(processes) => match processes.first() {
                Some(process) => *process,
                None => return,
            },
            Holders::Unknown(_) => return,
        };
        self.sockets
            .put((socket.transport, socket.local, socket.remote), process);
    }

    /// Whose packet it is. On this host's own wire to itself, it is the sender's.
    pub(super) fn of(
        &mut self,
        transport: Transport,
        sender: Endpoint,
        receiver: Endpoint,
        is_outgoing: bool,
    ) -> Option<Arc<Process>> {
        let (local, remote) = if is_outgoing || sender.ip.is_loopback() {
            (sender, receiver)
        } else {
            (receiver, sender)
        };
        let anywhere = match local.ip {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        let nobody = |ip| Endpoint::new(ip, 0);
        let dual = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
        // The conversation's own socket, its other end on this host, one without a peer, one on all addresses.
        let candidates = [
            (local, remote),
            (remote, local),
            (local, nobody(anywhere)),
            (Endpoint::new(anywhere, local.port), nobody(anywhere)),
            (Endpoint::new(dual, local.port), nobody(dual)),
        ];
        let key = candidates
            .into_iter()
            .find_map(|(local, remote)| self.sockets.get(&(transport, local, remote)).copied())?;
        self.processes.get(&key).cloned()
    }
}

/// A table in two generations: when the younger one is full, the older one is forgotten.
#[derive(Debug)]
struct Recent<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
}

impl<K, V> Default for Recent<K, V> {
    fn default() -> Self {
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
        }
    }
}

impl<K: Eq + Hash, V> Recent<K, V> {
    fn put(&mut self, key: K, value: V) {
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }

    fn get(&mut self, key: &K) -> Option<&V> {
        if !self.young.contains_key(key) {
            let (key, value) = self.old.remove_entry(key)?;
            self.put(key, value);
        }
        self.young.get(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_stays() {
        let mut table = Recent::default();
        for key in 0..3 * GENERATION {
            table.put(key, key);
            assert_eq!(table.get(&0), Some(&0));
        }
        assert!(table.young.len() + table.old.len() <= 2 * GENERATION);
        assert_eq!(table.get(&1), None);
    }
}
