//! Network namespaces: each has socket tables and notices of its own.
//!
//! A netlink socket stays in the namespace in which it was opened, so a short-lived thread enters each new namespace
//! once, opens the sockets there, and ends. An open socket keeps its namespace alive: one without processes that is
//! not pinned by a file is let go at the next look, so that a stopped container can go.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::thread::Builder;

use atalaya_model::Text;
use atalaya_model::tier::Limit;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, fstat, open, statat};
use rustix::io::Errno;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::destroy::Notices;
use super::owners::numbers::{NumberMap, NumberSet};
use super::owners::{Owners, proc_folder};
use super::sockets::Dumper;

/// Most namespaces observed at a time.
pub const MOST_NAMESPACES: usize = 1_024;
/// Namespaces besides our own that one look reads; with more, they take turns.
pub const MOST_IN_A_LOOK: usize = 16;
/// Bytes that the kernel may queue of closed sockets for a namespace that is not our own.
const RECEIVE_BUFFER: usize = 8 << 20;
/// Where `ip netns` and container engines pin namespaces by files.
const PINS: [&str; 2] = ["/run/netns", "/run/docker/netns"];
/// Most files looked at in such a folder.
const MOST_PINS: usize = 4_096;

/// The namespaces that are observed.
#[derive(Debug)]
pub struct Namespaces {
    own: u32,
    /// The device of the file system that namespaces are inodes of.
    device: u64,
    observed: Vec<Namespace>,
    refused: NumberMap<u32, Errno>,
    /// Namespaces beyond [`MOST_NAMESPACES`].
    left_out: usize,
    /// There are processes whose namespace may not be asked.
    has_hidden_processes: bool,
    turn: usize,
    receive_buffer: Option<usize>,
}

/// One namespace, entered.
#[derive(Debug)]
pub struct Namespace {
    /// Reads its socket tables.
    pub dumper: Dumper,
    /// Tells its closed sockets; `None` when they are not followed, or the kernel does not tell them.
    pub notices: Option<Notices>,
    /// A process that is in it, if one is known.
    pub process: Option<u32>,
}

impl Namespaces {
    /// Our own namespace. `receive_buffer` asks for notices of closed sockets.
    ///
    /// # Errors
    /// When the kernel offers no `sock_diag` or `/proc` no namespaces.
    pub fn open(receive_buffer: Option<usize>) -> io::Result<Self> {
        let stat = statat(CWD, c"/proc/self/ns/net", AtFlags::empty())?;
        let own = stat.st_ino as u32;
        let namespace = Namespace::here(own, receive_buffer)?;
        Ok(Self {
            own,
            device: proc_folder::namespace_device().unwrap_or(stat.st_dev),
            observed: vec![namespace],
            refused: NumberMap::default(),
            left_out: 0,
            has_hidden_processes: false,
            turn: 0,
            receive_buffer,
        })
    }

    /// The inode number of our own namespace.
    pub const fn own(&self) -> u32 {
        self.own
    }

    /// Enters the namespaces that are new, and lets go those that nobody uses.
    pub fn refresh(&mut self, owners: &mut Owners) {
        let mut used: NumberMap<u32, u32> = NumberMap::default();
        self.has_hidden_processes = false;
        let pids: Vec<u32> = owners.pids().collect();
        for pid in pids {
            match owners.network_namespace_of(pid) {
                Ok(inode) => {
                    used.entry(inode).or_insert(pid);
                }
                // The kernel says the same of a process that has just ended.
                Err(Errno::ACCESS | Errno::PERM) => {
                    self.has_hidden_processes |= owners.folder().start_of(pid).is_ok();
                }
                Err(_) => {}
            }
        }
        let pinned = self.pinned();
        let is_used = |inode: u32| used.contains_key(&inode) || pinned.contains_key(&inode);
        let own = self.own;
        self.observed.retain(|namespace| {
            let inode = namespace.dumper.namespace();
            inode == own || is_used(inode)
        });
        self.refused.retain(|inode, _| is_used(*inode));
        let known: NumberSet<u32> = self
            .observed
            .iter()
            .map(|namespace| namespace.dumper.namespace())
            .collect();
        self.left_out = 0;
        let by_process = used
            .iter()
            .map(|(inode, pid)| (*inode, owners.folder().open_network_namespace(*pid)));
        let by_file = pinned
            .iter()
            .filter(|(inode, _)| !used.contains_key(inode))
            .map(|(inode, file)| (*inode, file.try_clone().map_err(|_| Errno::MFILE)));
        let new = |inode: &u32| !known.contains(inode) && *inode != own;
        let mut entered = Vec::new();
        for (inode, file) in by_process.chain(by_file).filter(|(inode, _)| new(inode)) {
            if self.refused.contains_key(&inode) {
                continue;
            }
            if known.len() + entered.len() >= MOST_NAMESPACES {
                self.left_out += 1;
                continue;
            }
            let receive_buffer = self.receive_buffer.map(|size| size.min(RECEIVE_BUFFER));
            match file.and_then(|file| Namespace::enter(file, inode, receive_buffer)) {
                Ok(namespace) => entered.push(namespace),
                // The process ended before its namespace was opened.
                Err(Errno::NOENT | Errno::SRCH) => {}
                Err(error) => {
                    self.refused.insert(inode, error);
                }
            }
        }
        self.observed.extend(entered);
        for namespace in &mut self.observed {
            namespace.process = used.get(&namespace.dumper.namespace()).copied();
        }
    }

    /// Namespaces that a file keeps, by inode. A file that is not (yet) a namespace is on another device.
    fn pinned(&self) -> NumberMap<u32, OwnedFd> {
        let mut pinned = NumberMap::default();
        for folder in PINS {
            let Ok(entries) = std::fs::read_dir(folder) else {
                continue;
            };
            for entry in entries.take(MOST_PINS).flatten() {
                let path = entry.path();
                if pinned.len() >= MOST_NAMESPACES {
                    break;
                }
                let Ok(stat) = statat(CWD, &path, AtFlags::empty()) else {
                    continue;
                };
                if stat.st_dev != self.device {
                    continue;
                }
                // It may have been unmounted meanwhile: what was opened counts.
                let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
                if let Ok(file) = open(&path, flags, Mode::empty())
                    && let Ok(stat) = fstat(&file)
                    && stat.st_dev == self.device
                {
                    pinned.insert(stat.st_ino as u32, file);
                }
            }
        }
        pinned
    }

    /// The namespaces that this look reads: our own, and those whose turn it is. With `all`, every one.
    pub fn due(&mut self, all: bool) -> impl Iterator<Item = &mut Namespace> {
        let others = self.observed.len() - 1;
        let (begin, count) = if all || others <= MOST_IN_A_LOOK {
            (0, others)
        } else {
            let begin = self.turn % others;
            self.turn = begin + MOST_IN_A_LOOK;
            (begin, MOST_IN_A_LOOK)
        };
        let due = move |place: usize| place == 0 || (place - 1 + others - begin) % others < count;
        self.observed
            .iter_mut()
            .enumerate()
            .filter(move |(place, _)| due(*place))
            .map(|(_, namespace)| namespace)
    }

    /// In how many looks each namespace is read once.
    pub fn turns(&self) -> u32 {
        let others = self.observed.len().saturating_sub(1);
        u32::try_from(others.div_ceil(MOST_IN_A_LOOK).max(1)).unwrap_or(u32::MAX)
    }

    /// Every subscription.
    pub fn notices(&mut self) -> impl Iterator<Item = &mut Notices> {
        self.observed
            .iter_mut()
            .filter_map(|namespace| namespace.notices.as_mut())
    }

    /// Is this one observed?
    pub fn observes(&self, inode: u32) -> bool {
        self.observed
            .iter()
            .any(|namespace| namespace.dumper.namespace() == inode)
    }

    /// How many are observed.
    pub fn count(&self) -> usize {
        self.observed.len()
    }

    /// How many exist that are not observed, as far as is known.
    pub fn missing(&self) -> usize {
        self.refused.len() + self.left_out
    }

    /// What cannot be seen, and why.
    pub fn limits(&self) -> Vec<Limit> {
        let mut limits = Vec::new();
        let mut limit = |what: String, remedy: &str| {
            limits.push(Limit {
                what: Text::from(what),
                remedy: Text::from(remedy),
            });
        };
        let forbidden = self
            .refused
            .values()
            .filter(|error| matches!(**error, Errno::PERM | Errno::ACCESS))
            .count();
        if forbidden > 0 {
            limit(
                format!("{forbidden} network namespaces may not be entered"),
                "run as root (`sudo atalaya watch`), or grant CAP_SYS_ADMIN",
            );
        }
        if self.refused.len() > forbidden {
            let failed = self.refused.len() - forbidden;
            let reason = self
                .refused
                .values()
                .find(|error| !matches!(**error, Errno::PERM | Errno::ACCESS));
            let reason = reason.map_or(String::new(), |error| format!(": {}", io::Error::from(*error)));
            limit(
                format!("{failed} network namespaces could not be entered{reason}"),
                "raise the limit of open files (`ulimit -n 65536`) if that is the reason",
            );
        }
        if self.has_hidden_processes {
            limit(
                "sockets in network namespaces that only other users' processes are in".into(),
                "run as root (`sudo atalaya watch`), or grant CAP_SYS_PTRACE",
            );
        }
        if self.left_out > 0 {
            limit(
                format!(
                    "{} network namespaces beyond the first {MOST_NAMESPACES}",
                    self.left_out
                ),
                "run one watcher in each of several containers",
            );
        }
        let others = self.observed.len().saturating_sub(1);
        if others > MOST_IN_A_LOOK {
            limit(
                format!("{others} other network namespaces take turns, {MOST_IN_A_LOOK} in each look"),
                "shorten the interval (`--interval 500ms`)",
            );
        }
        if let Some(own) = self.observed.first()
            && self.receive_buffer.is_some()
        {
            match &own.notices {
                None => limit(
                    "connections that begin and end between two looks: the kernel does not tell closed sockets".into(),
                    "Linux 4.5 or newer with CONFIG_INET_DIAG_DESTROY or CONFIG_INET_DIAG",
                ),
                Some(notices) if !notices.has_full_buffer => limit(
                    "closed sockets in a flood: the kernel's buffer could not be enlarged".into(),
                    "grant CAP_NET_ADMIN, or `sysctl -w net.core.rmem_max=67108864`",
                ),
                Some(_) => {}
            }
        }
        limits
    }
}

impl Namespace {
    /// The calling thread's namespace.
    fn here(inode: u32, receive_buffer: Option<usize>) -> io::Result<Self> {
        Ok(Self {
            dumper: Dumper::open(inode)?,
            notices: receive_buffer.and_then(|size| Notices::subscribe(inode, size).ok()),
            process: None,
        })
    }

    /// Another namespace, by a thread that enters it and ends.
    fn enter(file: OwnedFd, inode: u32, receive_buffer: Option<usize>) -> Result<Self, Errno> {
        let thread = Builder::new()
            .name("enter-namespace".into())
            .spawn(move || -> Result<Self, Errno> {
                move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))?;
                Self::here(inode, receive_buffer)
                    .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
            });
        let thread = thread.map_err(|_| Errno::AGAIN)?;
        thread.join().unwrap_or(Err(Errno::IO))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_namespace_is_entered_once() {
        let mut owners = Owners::new(true, true).unwrap();
        owners.begin_look(1).unwrap();
        let mut namespaces = Namespaces::open(Some(1 << 20)).unwrap();
        namespaces.refresh(&mut owners);
        namespaces.refresh(&mut owners);
        let own = namespaces.own();
        let count = namespaces.count();
        let due: Vec<u32> = namespaces
            .due(true)
            .map(|namespace| namespace.dumper.namespace())
            .collect();
        assert_eq!(due.len(), count);
        assert_eq!(due.iter().filter(|inode| **inode == own).count(), 1);
        assert_eq!(namespaces.notices().count(), count);
    }
}
