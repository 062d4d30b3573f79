//! What earlier looks knew of a socket: its last notice, and TIME_WAIT, name no process any more.

use atalaya_model::{Evidence, Owners, Socket, SocketState};

use crate::linux::owners::numbers::NumberMap;

/// Most sockets remembered; of further ones the process is not known when they close.
const MOST: usize = 1 << 18;
/// Looks for which a socket that no dump names any more is remembered: its notice may still come.
const PATIENCE: u32 = 3;
/// Looks between two sweeps.
const SWEEP: u32 = 8;

/// Sockets by cookie.
#[derive(Debug, Default)]
pub(in crate::linux) struct Remembered(NumberMap<u64, Entry>);

#[derive(Debug)]
struct Entry {
    owners: Owners,
    cgroup_id: u64,
    /// The look that saw it last.
    look: u32,
    /// The peer's FIN is among the bytes received.
    has_fin: bool,
}

impl Remembered {
    /// Remembers a socket of this look. A process once known is kept when the socket names none any more.
    pub(super) fn note(&mut self, socket: &Socket, look: u32) {
        let has_fin = matches!(
            socket.state,
            SocketState::CloseWait | SocketState::LastAck | SocketState::Closing
        );
        if let Some(entry) = self.0.get_mut(&socket.cookie) {
            entry.look = look;
            entry.has_fin |= has_fin;
            if entry.owners != socket.owners && !matches!(socket.owners, Owners::Unknown(_)) {
                entry.owners = socket.owners.clone();
            }
        } else if self.0.len() < MOST {
            let entry = Entry {
                owners: socket.owners.clone(),
                cgroup_id: socket.cgroup_id,
                look,
                has_fin,
            };
            self.0.insert(socket.cookie, entry);
        }
    }

    /// The processes that held this socket, if any were known.
    pub(in crate::linux) fn owners(&self, socket: &Socket) -> Option<&Owners> {
        let entry = self.0.get(&socket.cookie)?;
        (!matches!(entry.owners, Owners::Unknown(_))).then_some(&entry.owners)
    }

    /// Completes the last notice of a socket by what earlier looks knew of it.
    pub(in crate::linux) fn complete(&self, socket: &mut Socket) {
        let Some(entry) = self.0.get(&socket.cookie) else {
            socket.owners = Owners::Unknown(Evidence::BetweenLooks);
            return;
        };
        socket.owners = entry.owners.clone();
        socket.cgroup_id = entry.cgroup_id;
        if entry.has_fin
            && let Some(traffic) = &mut socket.traffic
        {
            traffic.received_bytes = traffic.received_bytes.saturating_sub(1);
        }
    }

    /// Forgets, now and then, what no dump named for some looks; more where namespaces are dumped once
    /// in `turns` looks.
    pub(super) fn sweep(&mut self, look: u32, turns: u32) {
        if !look.is_multiple_of(SWEEP) {
            return;
        }
        let patience = PATIENCE.saturating_add(turns);
        self.0
            .retain(|_, entry| look.wrapping_sub(entry.look) <= patience);
        if self.0.capacity() > 4 * self.0.len() + 1_024 {
            self.0.shrink_to(2 * self.0.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use atalaya_model::connection::Traffic;
    use atalaya_model::{Endpoint, ProcessKey, Transport};

    fn socket(cookie: u64, state: SocketState, owners: Owners) -> Socket {
        let endpoint = Endpoint::new([127, 0, 0, 1].into(), 80);
        Socket {
            transport: Transport::Tcp,
            state,
            local: endpoint,
            remote: endpoint,
            namespace: 1,
            cookie,
            inode: 1,
            user_id: 0,
            cgroup_id: 44,
            traffic: Some(Traffic {
                received_bytes: 101,
                ..Traffic::default()
            }),
            owners,
        }
    }

    #[test]
    fn the_last_notice_gets_its_process_back() {
        let key = ProcessKey { pid: 7, start: 70 };
        let unknown = Owners::Unknown(Evidence::KernelOwned);
        let mut remembered = Remembered::default();
        remembered.note(&socket(5, SocketState::CloseWait, Owners::One(key)), 1);
        remembered.note(&socket(5, SocketState::LastAck, unknown.clone()), 2);
        let mut closed = socket(5, SocketState::Close, unknown.clone());
        remembered.complete(&mut closed);
        assert_eq!(closed.owners, Owners::One(key));
        assert_eq!(closed.traffic.map(|traffic| traffic.received_bytes), Some(100));
        let mut other = socket(6, SocketState::Close, unknown);
        remembered.complete(&mut other);
        assert_eq!(other.owners, Owners::Unknown(Evidence::BetweenLooks));
        assert_eq!(other.traffic.map(|traffic| traffic.received_bytes), Some(101));
    }

    #[test]
    fn old_sockets_are_forgotten_and_the_number_is_bounded() {
        let unknown = Owners::Unknown(Evidence::NotFound);
        let mut remembered = Remembered::default();
        for cookie in 0..MOST as u64 + 10 {
            remembered.note(&socket(cookie, SocketState::Established, unknown.clone()), 1);
        }
        assert_eq!(remembered.0.len(), MOST);
        remembered.sweep(7, 1);
        assert_eq!(remembered.0.len(), MOST);
        remembered.sweep(8, 1);
        assert_eq!(remembered.0.len(), 0);
        assert!(remembered.0.capacity() < 10_000);
    }
}
