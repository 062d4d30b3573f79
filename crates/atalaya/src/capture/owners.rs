//! Which process each conversation belongs to, as the collector tells it.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use atalaya_model::{Endpoint, Observation, Owners as Holders, Process, ProcessKey, Socket, Transport};
use atalaya_wire::capture::Owner;

/// Sockets of each generation.
const SOCKETS: usize = 65_536;
/// Processes of each generation: about 8 MiB.
const PROCESSES: usize = 8_192;

/// The processes of sockets, those that were closed a while ago included: their last packets come later than the word
/// of their end. Bounded: what was not asked for the longest is forgotten.
#[derive(Clone, Debug)]
pub(crate) struct Owners {
    /// The network namespace in which packets are seen: loopback's addresses are others' elsewhere.
    namespace: Option<u32>,
    sockets: Recent<(Transport, Endpoint, Endpoint), ProcessKey>,
    processes: Recent<ProcessKey, Arc<Process>>,
}

impl Owners {
    /// Nobody is known yet.
    pub(crate) fn new() -> Self {
        Self {
            namespace: atalaya_host::identity::network_namespace(),
            sockets: Recent::of(SOCKETS),
            processes: Recent::of(PROCESSES),
        }
    }

    pub(crate) fn observe(&mut self, observation: &Observation) {
        match observation {
            Observation::Process(_, process) => self.processes.put(process.key, Arc::clone(process)),
            Observation::Sockets(_, sockets) => sockets.iter().for_each(|socket| self.socket(socket)),
            Observation::SocketClosed(_, socket) => self.socket(socket),
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
        let is_elsewhere = self.namespace.is_some_and(|own| own != socket.namespace);
        if is_elsewhere && socket.local.ip.is_loopback() {
            return;
        }
        // Who has sockets is not forgotten for those who have none.
        self.processes.get(&process);
        self.sockets
            .put((socket.transport, socket.local, socket.remote), process);
    }

    /// Whose packet it is. On this host's own wire to itself, it is the sender's.
    pub(crate) fn of(
        &mut self,
        transport: Transport,
        sender: Endpoint,
        receiver: Endpoint,
        is_outgoing: bool,
    ) -> Option<Owner> {
        let sent = is_outgoing || sender.ip.is_loopback();
        let (local, remote) = if sent {
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
        let (key, is_other) = candidates.into_iter().find_map(|(end, peer)| {
            let key = self.sockets.get(&(transport, end, peer)).copied()?;
            Some((key, (end, peer) == (remote, local)))
        })?;
        let process = Arc::clone(self.processes.get(&key)?);
        Some(Owner {
            process,
            sent: sent != is_other,
        })
    }
}

/// A table in two generations: when the younger one is full, the older one is forgotten.
#[derive(Clone, Debug)]
struct Recent<K, V> {
    /// Entries of a generation.
    size: usize,
    young: HashMap<K, V>,
    old: HashMap<K, V>,
}

impl<K, V> Recent<K, V> {
    fn of(size: usize) -> Self {
        Self {
            size,
            young: HashMap::new(),
            old: HashMap::new(),
        }
    }
}

impl<K: Eq + Hash, V> Recent<K, V> {
    fn put(&mut self, key: K, value: V) {
        if self.young.len() >= self.size {
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
        let mut table = Recent::of(1_000);
        for key in 0..3_000 {
            table.put(key, key);
            assert_eq!(table.get(&0), Some(&0));
        }
        assert!(table.young.len() + table.old.len() <= 2_000);
        assert_eq!(table.get(&1), None);
    }
}
