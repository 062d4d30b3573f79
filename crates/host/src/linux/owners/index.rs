//! Which processes hold which socket, by inode number.

use super::numbers::NumberMap;

/// Most processes kept for one socket.
pub const MOST_HOLDERS: usize = 65;

/// From socket inode to the processes that hold it.
#[derive(Debug, Default)]
pub struct Index {
    sockets: NumberMap<u32, Holder>,
    /// The holders of the few sockets that have several, at most [`MOST_HOLDERS`] each.
    shared: NumberMap<u32, Vec<u32>>,
}

#[derive(Clone, Copy, Debug)]
struct Holder {
    /// The process, or one of them.
    pid: u32,
    /// The look whose dump named the socket last; 0 if none did.
    look: u32,
    shared: bool,
}

impl Holder {
    const fn has_vanished(self, since: u32) -> bool {
        self.look != 0 && self.look < since
    }
}

/// The processes that hold one socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holders<'a> {
    /// One process.
    One(u32),
    /// Several, in no order.
    Many(&'a [u32]),
}

impl Index {
    /// Records that `pid` holds the socket. Returns whether that made the socket a shared one, or more shared.
    pub fn add(&mut self, inode: u32, pid: u32) -> bool {
        let holder = self.sockets.entry(inode).or_insert(Holder {
            pid,
            look: 0,
            shared: false,
        });
        if holder.pid == pid && !holder.shared {
            return false;
        }
        let pids = self.shared.entry(inode).or_insert_with(|| vec![holder.pid]);
        holder.shared = true;
        if pids.contains(&pid) || pids.len() >= MOST_HOLDERS {
            return false;
        }
        pids.push(pid);
        true
    }

    /// Records that `pid` does not hold the socket any more.
    pub fn remove(&mut self, inode: u32, pid: u32) {
        let Some(holder) = self.sockets.get_mut(&inode) else {
            return;
        };
        if !holder.shared {
            if holder.pid == pid {
                self.sockets.remove(&inode);
            }
            return;
        }
        let Some(pids) = self.shared.get_mut(&inode) else {
            return;
        };
        pids.retain(|other| *other != pid);
        if let [only] = pids[..] {
            (holder.pid, holder.shared) = (only, false);
            self.shared.remove(&inode);
        }
    }

    /// Forgets a process whose descriptors were not remembered.
    pub fn remove_process(&mut self, pid: u32) {
        let held: Vec<u32> = self
            .sockets
            .iter()
            .filter(|(_, holder)| holder.shared || holder.pid == pid)
            .map(|(inode, _)| *inode)
            .collect();
        for inode in held {
            self.remove(inode, pid);
        }
    }

    /// The holders of a socket that the dump of `look` names.
    pub fn seen(&mut self, inode: u32, look: u32) -> Option<Holders<'_>> {
        let holder = self.sockets.get_mut(&inode)?;
        holder.look = look;
        if holder.shared
            && let Some(pids) = self.shared.get(&inode)
        {
            return Some(Holders::Many(pids));
        }
        Some(Holders::One(holder.pid))
    }

    /// Is there no reason to believe that a descriptor of this socket is still the same? True when a dump once named
    /// the socket and none did since the look `since`, or nothing is known. Sockets of other families are in no dump:
    /// they never vanish.
    pub fn has_vanished(&self, inode: u32, since: u32) -> bool {
        self.sockets
            .get(&inode)
            .is_none_or(|holder| holder.has_vanished(since))
    }

    /// Do we know a holder?
    pub fn contains(&self, inode: u32) -> bool {
        self.sockets.contains_key(&inode)
    }

    /// The processes that hold a shared socket.
    pub fn sharers(&self, inode: u32) -> &[u32] {
        self.shared.get(&inode).map_or(&[], |pids| pids)
    }

    /// Processes that are said to hold a socket that no dump named since the look `since`, though an earlier one did:
    /// their descriptors have changed.
    pub fn holders_of_vanished(&self, since: u32) -> impl Iterator<Item = u32> {
        self.sockets
            .values()
            .filter(move |holder| holder.has_vanished(since))
            .map(|holder| holder.pid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holders_come_and_go() {
        let mut index = Index::default();
        assert!(!index.add(5, 100));
        assert!(!index.add(5, 100));
        assert_eq!(index.seen(5, 1), Some(Holders::One(100)));
        assert!(index.add(5, 200));
        assert!(!index.add(5, 200));
        assert_eq!(index.seen(5, 1), Some(Holders::Many(&[100, 200])));
        index.remove(5, 100);
        assert_eq!(index.seen(5, 2), Some(Holders::One(200)));
        index.remove(5, 300);
        assert!(index.contains(5) && !index.has_vanished(5, 2) && index.has_vanished(5, 3));
        assert!(index.has_vanished(6, 3));
        assert_eq!(index.holders_of_vanished(3).collect::<Vec<_>>(), [200]);
        index.remove_process(200);
        assert_eq!(index.seen(5, 2), None);
        assert_eq!(index.sockets.len(), 0);
    }

    #[test]
    fn holders_are_bounded() {
        let mut index = Index::default();
        for pid in 1..1000 {
            index.add(9, pid);
        }
        assert_eq!(index.sharers(9).len(), MOST_HOLDERS);
        for pid in 1..1000 {
            index.remove_process(pid);
        }
        assert_eq!((index.sockets.len(), index.shared.len()), (0, 0));
    }
}
