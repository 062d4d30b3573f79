//! Who holds which socket: an index over `/proc/*/fd` that is kept up to date with as little reading as possible.
//!
//! The first look reads every descriptor of every process. Later looks read those of new processes, and, only when the
//! dump names sockets without a known holder, the descriptors that are new or whose socket has vanished; everything
//! else is read again in turn, within a budget, because a descriptor may be passed on or inherited unseen.

pub mod index;
pub mod numbers;
pub mod proc_folder;
mod scan;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use atalaya_model::{Evidence, Owners as Named, ProcessKey};
use rustix::io::Errno;

use super::iterate;
use index::{Holders, Index};
use numbers::{NumberMap, NumberSet};
use proc_folder::ProcFolder;

/// Most processes that are known at a time; the rest is counted as unread.
pub const MOST_PROCESSES: usize = 100_000;
/// Descriptors that a look may read for nothing but completeness, about 6 ms.
const BUDGET: i64 = 4_000;
/// Of these, how many go to reading old descriptors again while nothing is missing.
const REVISIT_BUDGET: i64 = 500;
/// What unused budget may grow to.
const MOST_BUDGET: i64 = 200_000;
/// Sockets without a holder that are remembered, so that they are not searched at every look.
const MOST_MISSED: usize = 65_536;
/// Known processes are checked for a reused id in so many turns, beyond those that are suspicious.
const TURNS: u32 = 16;

/// The processes that exist, and the sockets that they hold.
#[derive(Debug)]
pub struct Owners {
    folder: ProcFolder,
    processes: NumberMap<u32, Entry>,
    index: Index,
    /// The number of the look under way, from 1.
    look: u32,
    /// Sockets that were alive in no dump since this look have vanished.
    since: u32,
    /// Users of processes that could not be read.
    hidden_users: NumberSet<u32>,
    last_pid: Option<u32>,
    follow: bool,
    privileged: bool,
    /// Holders are told by [`Owners::note`].
    is_noted: bool,
    /// With so many files open on this host, the first look reads all descriptors in one pass.
    one_pass_from: u64,
    own_user: u32,
    /// Descriptors remembered over all processes.
    remembered: usize,
    budget: i64,
    /// Where reading in turn goes on.
    turn: u32,
    /// How often reading in turn has come round.
    rounds: u32,
    /// Processes whose sockets another process turned out to share.
    revisit: NumberSet<u32>,
    /// Sockets that are searched now.
    wanted: NumberSet<u32>,
    /// Sockets that nobody readable holds, with the look that searches next and the looks to wait after that.
    missed: NumberMap<u32, (u32, u32)>,
    pids: Vec<u32>,
    listing: Vec<(u32, u32)>,
}

/// A process, as far as its descriptors go.
#[derive(Debug, Default)]
struct Entry {
    /// Start in clock ticks; 0 while it was not needed.
    start: u64,
    /// Descriptors and the socket behind each, rising; empty when they are not remembered.
    descriptors: Box<[(u32, u32)]>,
    is_remembered: bool,
    count: u32,
    has_sockets: bool,
    /// Its descriptors were read, or tried.
    scanned: bool,
    unread: Option<Errno>,
    /// Its user ids where it could not be read.
    users: Option<(u32, u32)>,
    network_namespace: Option<u32>,
}

/// What a listing of processes has shown.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// New processes, or new holders of an old id.
    pub started: Vec<u32>,
    /// Processes that are gone, with their start where it is known.
    pub gone: Vec<(u32, Option<u64>)>,
    /// There are at least [`MOST_PROCESSES`]: the rest is not looked at.
    pub is_full: bool,
}

impl Owners {
    /// An empty index. With `follow` it remembers descriptors for the next look; `privileged` says whether processes of
    /// other users can be read.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn new(follow: bool, privileged: bool) -> Result<Self, Errno> {
        Ok(Self {
            folder: ProcFolder::open()?,
            processes: NumberMap::default(),
            index: Index::default(),
            look: 0,
            since: 0,
            hidden_users: NumberSet::default(),
            last_pid: None,
            follow,
            privileged,
            is_noted: false,
            one_pass_from: iterate::WORTH,
            own_user: rustix::process::geteuid().as_raw(),
            remembered: 0,
            budget: MOST_BUDGET,
            turn: 0,
            rounds: 1,
            revisit: NumberSet::default(),
            wanted: NumberSet::default(),
            missed: NumberMap::default(),
            pids: Vec::new(),
            listing: Vec::new(),
        })
    }

    /// Reads descriptors from `/proc` only, however many there are.
    pub(super) const fn without_programs(&mut self) {
        self.one_pass_from = u64::MAX;
    }

    /// `/proc`.
    pub const fn folder(&self) -> &ProcFolder {
        &self.folder
    }

    /// Begins a look: lists the processes, forgets those that are gone, and reads the descriptors of new ones. Where
    /// namespaces take turns, each is dumped once in `turns` looks.
    ///
    /// # Errors
    /// When `/proc` cannot be listed.
    pub fn begin_look(&mut self, turns: u32) -> Result<Changes, Errno> {
        let changes = self.list(turns)?;
        self.scan_new(&changes.started);
        Ok(changes)
    }

    /// Begins a look in which somebody else finds all holders, and tells them by [`note`](Self::note) before any socket
    /// is [`named`](Self::named): no descriptor is read.
    ///
    /// # Errors
    /// When `/proc` cannot be listed.
    pub fn begin_noted_look(&mut self) -> Result<Changes, Errno> {
        self.is_noted = true;
        self.list(1)
    }

    /// This process holds this socket.
    pub fn note(&mut self, process: ProcessKey, inode: u32) {
        let entry = self.processes.entry(process.pid).or_default();
        entry.has_sockets = true;
        entry.start = process.start;
        self.index.add(inode, process.pid);
    }

    /// Not all holders could be told: sockets without one are searched for after all.
    pub const fn search(&mut self) {
        self.is_noted = false;
    }

    fn list(&mut self, turns: u32) -> Result<Changes, Errno> {
        self.look = self.look.saturating_add(1);
        self.since = self.look.saturating_sub(turns.saturating_sub(1));
        self.hidden_users.clear();
        let users = self.processes.values().filter_map(|entry| entry.users);
        self.hidden_users
            .extend(users.flat_map(|(real, effective)| [real, effective]));
        self.budget = (self.budget + BUDGET).min(MOST_BUDGET);
        // Read before the listing: what starts in between is new in the next look as well, and is then compared.
        let last_pid = self.folder.last_pid();
        let mut pids = std::mem::take(&mut self.pids);
        self.folder.list(&mut pids, MOST_PROCESSES)?;
        let mut changes = Changes {
            is_full: pids.len() >= MOST_PROCESSES,
            ..Changes::default()
        };
        for (pid, entry) in &self.processes {
            if pids.binary_search(pid).is_err() {
                changes
                    .gone
                    .push((*pid, (entry.start != 0).then_some(entry.start)));
            }
        }
        for pid in &pids {
            let Some(entry) = self.processes.get(pid) else {
                changes.started.push(*pid);
                continue;
            };
            let suspicious = self
                .last_pid
                .zip(last_pid)
                .is_none_or(|range| given_since(range, *pid))
                || pid % TURNS == self.look % TURNS;
            if !suspicious {
                continue;
            }
            let start = self.folder.start_of(*pid);
            if start.is_ok_and(|start| entry.start != 0 && start != entry.start) {
                changes.gone.push((*pid, Some(entry.start)));
                changes.started.push(*pid);
            } else if let (Ok(start), Some(entry)) = (start, self.processes.get_mut(pid)) {
                entry.start = start;
            }
        }
        self.pids = pids;
        self.last_pid = last_pid;
        for (pid, _) in &changes.gone {
            self.forget(*pid);
        }
        for pid in &changes.started {
            self.processes.insert(*pid, Entry::default());
        }
        Ok(changes)
    }

    fn forget(&mut self, pid: u32) {
        let Some(entry) = self.processes.remove(&pid) else {
            return;
        };
        self.revisit.remove(&pid);
        if entry.is_remembered {
            self.remembered -= entry.descriptors.len();
            for (_, inode) in entry.descriptors {
                if inode != scan::NO_SOCKET {
                    self.index.remove(inode, pid);
                }
            }
        } else if entry.has_sockets {
            self.index.remove_process(pid);
        }
    }

    /// The holders of a socket that is in the dump of this look, oldest first; `None` when nobody is known.
    pub fn named(&mut self, inode: u32) -> Option<Named> {
        match self.index.seen(inode, self.look)? {
            Holders::One(pid) => {
                let start = self.processes.get(&pid)?.start;
                (start != 0).then_some(Named::One(ProcessKey { pid, start }))
            }
            Holders::Many(pids) => {
                let processes = &self.processes;
                let mut keys: Vec<ProcessKey> = pids
                    .iter()
                    .filter_map(|pid| {
                        let start = processes.get(pid)?.start;
                        (start != 0).then_some(ProcessKey { pid: *pid, start })
                    })
                    .collect();
                keys.sort_unstable_by_key(|key| (key.start, key.pid));
                match keys[..] {
                    [] => None,
                    [only] => Some(Named::One(only)),
                    _ => Some(Named::Many(keys.into())),
                }
            }
        }
    }

    /// Why nobody is known to hold a socket of this user that has an inode.
    pub fn evidence(&self, user: u32) -> Evidence {
        if (!self.privileged && user != self.own_user) || self.hidden_users.contains(&user) {
            Evidence::NoPermission
        } else {
            Evidence::NotFound
        }
    }

    /// Is it worth asking [`resolve`](Self::resolve) for this socket now?
    pub fn is_due(&self, inode: u32) -> bool {
        !self.is_noted && self.missed.get(&inode).is_none_or(|(next, _)| self.look >= *next)
    }

    /// The start of a process, read if it was not needed before.
    pub fn key_of(&mut self, pid: u32) -> Option<ProcessKey> {
        let entry = self.processes.get_mut(&pid)?;
        if entry.start == 0 {
            entry.start = self.folder.start_of(pid).ok()?;
        }
        Some(ProcessKey {
            pid,
            start: entry.start,
        })
    }

    /// Every process that exists, in no order.
    pub fn pids(&self) -> impl ExactSizeIterator<Item = u32> {
        self.processes.keys().copied()
    }

    /// The processes whose descriptors could not be read, counted by reason.
    pub fn unread(&self) -> BTreeMap<&'static str, u32> {
        let mut counts = BTreeMap::new();
        for entry in self.processes.values() {
            if let Some(error) = entry.unread {
                *counts.entry(reason(error)).or_insert(0) += 1;
            }
        }
        counts
    }

    /// The network namespace of a process, read once and again in turn.
    ///
    /// # Errors
    /// `ACCESS` without the privilege to look at that process.
    pub fn network_namespace_of(&mut self, pid: u32) -> Result<u32, Errno> {
        let Some(entry) = self.processes.get_mut(&pid) else {
            return Err(Errno::SRCH);
        };
        match entry.network_namespace {
            Some(namespace) if pid % TURNS != self.look % TURNS => Ok(namespace),
            _ => {
                let namespace = self.folder.network_namespace_of(pid)?;
                entry.network_namespace = Some(namespace);
                Ok(namespace)
            }
        }
    }
}

/// Could `pid` have been given out after `before` up to `last`? Ids are given out rising, and begin anew at the end.
fn given_since((before, last): (u32, u32), pid: u32) -> bool {
    if before <= last {
        before < pid && pid <= last
    } else {
        before < pid || pid <= last
    }
}

const fn reason(error: Errno) -> &'static str {
    match error {
        Errno::ACCESS | Errno::PERM => "no permission",
        Errno::NOENT | Errno::SRCH => "gone",
        _ => "failed",
    }
}
