//! Who listens where: the likeliest process of an accepted connection that nobody has used yet.

use std::collections::HashMap;
use std::net::IpAddr;

use atalaya_model::{Owners, ProcessKey, Socket, SocketState, Transport};

/// Most listeners remembered.
const MOST: usize = 1 << 16;

/// Listening TCP sockets by namespace and port.
#[derive(Debug, Default)]
pub(super) struct Listeners {
    by_port: HashMap<(u32, u16), Vec<Listener>>,
    count: usize,
}

#[derive(Debug)]
struct Listener {
    cookie: u64,
    ip: IpAddr,
    process: ProcessKey,
}

impl Listeners {
    /// Notes a socket, if it listens.
    pub(super) fn note(&mut self, socket: &Socket) {
        if socket.transport != Transport::Tcp || socket.state != SocketState::Listen {
            return;
        }
        let process = match &socket.owners {
            Owners::One(key) | Owners::Used(key) | Owners::Accepting(key) => *key,
            Owners::Many(keys) => match keys.first() {
                Some(key) => *key,
                None => return,
            },
            Owners::Unknown(_) => return,
        };
        self.forget(socket);
        if self.count < MOST {
            self.count += 1;
            let there = self
                .by_port
                .entry((socket.namespace, socket.local.port))
                .or_default();
            there.push(Listener {
                cookie: socket.cookie,
                ip: socket.local.ip,
                process,
            });
        }
    }

    /// Forgets a socket that listens no longer.
    pub(super) fn forget(&mut self, socket: &Socket) {
        let place = (socket.namespace, socket.local.port);
        if let Some(there) = self.by_port.get_mut(&place) {
            let before = there.len();
            there.retain(|listener| listener.cookie != socket.cookie);
            self.count -= before - there.len();
            if there.is_empty() {
                self.by_port.remove(&place);
            }
        }
    }

    /// Who listens for this accepted connection: on its very address, or else on all.
    pub(super) fn process_for(&self, socket: &Socket) -> Option<ProcessKey> {
        let there = self.by_port.get(&(socket.namespace, socket.local.port))?;
        let exact = there.iter().find(|listener| listener.ip == socket.local.ip);
        let any = || there.iter().find(|listener| listener.ip.is_unspecified());
        exact.or_else(any).map(|listener| listener.process)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use atalaya_model::Endpoint;

    fn socket(cookie: u64, ip: &str, pid: u32) -> Socket {
        Socket {
            transport: Transport::Tcp,
            state: SocketState::Listen,
            local: Endpoint::new(ip.parse().unwrap(), 80),
            remote: Endpoint::new("0.0.0.0".parse().unwrap(), 0),
            namespace: 1,
            cookie,
            inode: 0,
            user_id: 0,
            cgroup_id: 0,
            traffic: None,
            owners: Owners::Used(ProcessKey { pid, start: 1 }),
        }
    }

    #[test]
    fn the_nearest_listener_is_named() {
        let mut listeners = Listeners::default();
        listeners.note(&socket(1, "::", 10));
        listeners.note(&socket(2, "10.0.0.1", 20));
        listeners.note(&socket(2, "10.0.0.1", 21));
        let pid = |listeners: &Listeners, ip| listeners.process_for(&socket(9, ip, 0)).map(|key| key.pid);
        assert_eq!(pid(&listeners, "10.0.0.1"), Some(21));
        assert_eq!(pid(&listeners, "10.0.0.2"), Some(10));
        listeners.forget(&socket(1, "::", 10));
        assert_eq!(pid(&listeners, "10.0.0.2"), None);
        listeners.forget(&socket(2, "10.0.0.1", 20));
        assert_eq!((listeners.count, listeners.by_port.len()), (0, 0));
    }
}
