//! Reading descriptors: of one process, of those that are new, and of those that may hold a socket that is sought.

use rustix::io::Errno;

use crate::linux::iterate::{Descriptors, files_open};

use super::{BUDGET, Entry, MOST_MISSED, Owners, REVISIT_BUDGET};

/// Stands for a descriptor that is no socket. No socket has inode 0.
pub(super) const NO_SOCKET: u32 = 0;
/// Most descriptors read of one process.
const MOST_DESCRIPTORS: usize = 1 << 20;
/// Most descriptors remembered over all processes: 8 MB. What is not remembered is read anew each time.
const MOST_REMEMBERED: usize = 1 << 20;
/// A new process with more descriptors than this (it inherited them) is read when there is budget for it.
const EASY: u32 = 1_024;
/// One round in so many reads every descriptor again, instead of those that changed.
const THOROUGH: u32 = 8;
/// Looks between two searches for a socket that nobody readable holds.
const MOST_PATIENCE: u32 = 64;

/// How much of a process is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Depth {
    /// Descriptors that are new, or whose socket has vanished from the dump.
    Changed,
    /// Every descriptor.
    All,
}

impl Owners {
    /// Reads the descriptors of processes that were not there before.
    pub(super) fn scan_new(&mut self, started: &[u32]) {
        let first = self.look == 1;
        if first && self.privileged && self.take_all_at_once().is_some() {
            self.budget = 5 * BUDGET;
            return;
        }
        for pid in started {
            // A child that inherited thousands of descriptors for a moment is not worth its cost at once.
            if !first
                && let Ok(Some(count)) = self.folder.descriptor_count(*pid)
                && count > EASY
                && i64::from(count) > self.budget
            {
                self.revisit.insert(*pid);
                continue;
            }
            self.scan(*pid, Depth::All);
        }
        if first {
            self.budget = 5 * BUDGET;
        }
    }

    /// Lets the kernel tell all descriptors of all processes in one pass, where there are many. `None` where it cannot.
    fn take_all_at_once(&mut self) -> Option<()> {
        let mut descriptors = (files_open() >= self.one_pass_from)
            .then(Descriptors::open)?
            .ok()?;
        let mut last = 0;
        let read = descriptors.read(&mut |descriptor| {
            if descriptor.pid != last {
                self.end_listing(last);
                last = descriptor.pid;
            }
            if self.listing.len() < MOST_DESCRIPTORS {
                self.listing.push((descriptor.number, descriptor.inode));
            }
        });
        self.end_listing(last);
        read.ok()?;
        // What was open of ourselves for the pass is not any more.
        drop(descriptors);
        self.scan(std::process::id(), Depth::All);
        Some(())
    }

    /// Takes over what was listed of a process that is known. A process may be told in parts, one for each of its
    /// threads that has descriptors of its own; the first is that of the process.
    fn end_listing(&mut self, pid: u32) {
        if let Some(entry) = self.processes.get_mut(&pid)
            && !entry.scanned
        {
            entry.scanned = true;
            self.take_over(pid, &[]);
        }
        self.listing.clear();
    }

    /// Ends a look, once every socket of the dump was [`named`](Self::named): reads processes again that turned out to
    /// share a socket, then some more in turn. What that finds shows in the next look.
    pub fn end_look(&mut self) {
        if !self.follow {
            return;
        }
        for pid in std::mem::take(&mut self.revisit) {
            let cost = self.processes.get(&pid).map_or(0, |entry| i64::from(entry.count));
            if cost > self.budget {
                self.revisit.insert(pid);
            } else {
                self.scan(pid, Depth::Changed);
            }
        }
        let mut allowance = REVISIT_BUDGET.min(self.budget);
        let begin = self.pids.partition_point(|pid| *pid <= self.turn);
        let in_turn: Vec<u32> = self.pids[begin..].iter().take(BUDGET as usize).copied().collect();
        if in_turn.is_empty() {
            self.turn = 0;
            self.rounds = self.rounds.wrapping_add(1);
        }
        // A socket that is passed on gets a new descriptor. Only one that replaces another, living one escapes the
        // cheaper reading.
        let depth = if self.rounds.is_multiple_of(THOROUGH) {
            Depth::All
        } else {
            Depth::Changed
        };
        for pid in in_turn {
            let cost = self
                .processes
                .get(&pid)
                .filter(|entry| entry.has_sockets)
                .map_or(0, |entry| i64::from(entry.count));
            if cost > 0 {
                // A process larger than the allowance waits until unused budget has grown to its size.
                if cost > allowance
                    && (allowance < REVISIT_BUDGET.min(self.budget) || cost > self.budget - BUDGET)
                {
                    break;
                }
                allowance -= cost;
                self.scan(pid, depth);
            }
            self.turn = pid;
            if allowance <= 0 {
                break;
            }
        }
    }

    /// Searches for the holders of these sockets, which the dump of this look names.
    pub fn resolve(&mut self, inodes: impl Iterator<Item = u32>) {
        self.wanted.clear();
        self.wanted.extend(inodes);
        if self.wanted.is_empty() {
            return;
        }
        // First where something is known to have changed.
        let mut candidates: Vec<u32> = self.index.holders_of_vanished(self.since).collect();
        candidates.sort_unstable();
        candidates.dedup();
        for pid in &candidates {
            if self.wanted.is_empty() {
                return;
            }
            self.scan(*pid, Depth::Changed);
        }
        let pids = std::mem::take(&mut self.pids);
        for pid in &pids {
            if self.wanted.is_empty() || self.budget <= 0 {
                break;
            }
            if candidates.binary_search(pid).is_err() && self.has_changed(*pid) {
                self.scan(*pid, Depth::Changed);
            }
        }
        // Then everywhere, within the budget: first processes that had sockets before, then the others. In the first
        // look everything was read a moment ago.
        for has_sockets in [true, false] {
            let fits = |entry: &&Entry| entry.has_sockets == has_sockets && entry.unread.is_none();
            for pid in &pids {
                if self.wanted.is_empty() || self.budget <= 0 || self.look == 1 {
                    break;
                }
                if self.processes.get(pid).filter(fits).is_some() {
                    self.scan(*pid, Depth::All);
                }
            }
        }
        self.pids = pids;
        self.remember_missed();
    }

    /// Searches less and less often for what was not found.
    fn remember_missed(&mut self) {
        if self.missed.len() > MOST_MISSED {
            self.missed.clear();
        }
        for inode in self.wanted.drain() {
            let (next, patience) = self.missed.entry(inode).or_insert((0, 1));
            *next = self.look.saturating_add(*patience);
            *patience = (*patience * 2).min(MOST_PATIENCE);
        }
    }

    fn has_changed(&self, pid: u32) -> bool {
        let Some(entry) = self.processes.get(&pid) else {
            return false;
        };
        if entry.unread.is_some() {
            return false;
        }
        match self.folder.descriptor_count(pid) {
            Ok(Some(count)) => count != entry.count,
            Ok(None) => true,
            Err(_) => false,
        }
    }

    fn scan(&mut self, pid: u32, depth: Depth) {
        let Some(entry) = self.processes.get_mut(&pid) else {
            return;
        };
        let old = std::mem::take(&mut entry.descriptors);
        let listing = &mut self.listing;
        listing.clear();
        let (index, since) = (&self.index, self.since);
        let mut reads = 0;
        let mut place = 0;
        let result = self.folder.descriptors(pid, &mut |number, descriptor| {
            while old.get(place).is_some_and(|(other, _)| *other < number) {
                place += 1;
            }
            let known = old.get(place).filter(|(other, _)| *other == number);
            let inode = match known {
                Some((_, inode))
                    if depth == Depth::Changed
                        && (*inode == NO_SOCKET || !index.has_vanished(*inode, since)) =>
                {
                    *inode
                }
                _ => {
                    reads += 1;
                    descriptor.socket().unwrap_or(NO_SOCKET)
                }
            };
            listing.push((number, inode));
            listing.len() < MOST_DESCRIPTORS
        });
        self.budget -= reads;
        entry.scanned = true;
        match result {
            Ok(()) => (entry.unread, entry.users) = (None, None),
            Err(error) => {
                entry.descriptors = old;
                entry.unread = Some(error);
                if error == Errno::ACCESS || error == Errno::PERM {
                    entry.users = self.folder.users_of(pid).ok();
                    let users = entry.users.into_iter();
                    self.hidden_users
                        .extend(users.flat_map(|(real, effective)| [real, effective]));
                }
                return;
            }
        }
        listing.sort_unstable_by_key(|(number, _)| *number);
        self.take_over(pid, &old);
    }

    /// Makes what was just read of a process what is known of it; `old` is what was known before.
    fn take_over(&mut self, pid: u32, old: &[(u32, u32)]) {
        let listing = std::mem::take(&mut self.listing);
        let mut dropped: Vec<u32> = old
            .iter()
            .filter(|entry| entry.1 != NO_SOCKET && listing.binary_search(entry).is_err())
            .map(|(_, inode)| *inode)
            .collect();
        if !dropped.is_empty() {
            // A socket may have been held by two descriptors, of which one is left.
            dropped.sort_unstable();
            let mut kept: Vec<u32> = listing
                .iter()
                .map(|(_, inode)| *inode)
                .filter(|inode| dropped.binary_search(inode).is_ok())
                .collect();
            kept.sort_unstable();
            for inode in dropped {
                if kept.binary_search(&inode).is_err() {
                    self.index.remove(inode, pid);
                }
            }
        }
        let Some(entry) = self.processes.get_mut(&pid) else {
            self.listing = listing;
            return;
        };
        if self.follow && entry.has_sockets && !entry.is_remembered {
            self.index.remove_process(pid);
        }
        entry.has_sockets = false;
        for (number, inode) in &listing {
            if *inode == NO_SOCKET {
                continue;
            }
            entry.has_sockets = true;
            if !old.is_empty() && old.binary_search(&(*number, *inode)).is_ok() {
                continue;
            }
            let is_shared_anew = self.index.add(*inode, pid);
            if is_shared_anew && self.look > 1 {
                let others = self.index.sharers(*inode);
                self.revisit.extend(others.iter().filter(|other| **other != pid));
            }
            if !self.wanted.is_empty() && self.wanted.remove(inode) {
                self.missed.remove(inode);
            }
        }
        if entry.has_sockets && entry.start == 0 {
            entry.start = self.folder.start_of(pid).unwrap_or(0);
        }
        entry.count = listing.len() as u32;
        if entry.is_remembered {
            self.remembered -= old.len();
        }
        entry.is_remembered = self.follow && self.remembered + listing.len() <= MOST_REMEMBERED;
        if entry.is_remembered {
            self.remembered += listing.len();
            entry.descriptors = listing.as_slice().into();
        }
        self.listing = listing;
    }
}
