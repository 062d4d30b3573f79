//! A single look in one pass through the kernel, where that is cheaper than dumps and a walk through `/proc`.
//!
//! An iterator of the kernel tells every socket that a process holds together with the process. Of TCP that is nearly
//! everything. Whether it is all, the kernel's count of each namespace's sockets says; if not, the table is asked for
//! what nobody holds, first for connections on their way in or out, by their states, and only if the count still
//! disagrees for the others as well (not accepted yet, the kernel's own). Those already told are left out then. All
//! other tables are dumped as ever; the pass tells who holds what.

use std::cell::{Cell, OnceCell};
use std::io;

use atalaya_model::{Owners as Named, ProcessKey, Socket, SocketState, Transport};

use super::look::Pass;
use super::report;
use crate::linux::iterate::{Held, Sockets, WORTH, files_open};
use crate::linux::namespaces::Namespace;
use crate::linux::owners::index::MOST_HOLDERS;
use crate::linux::owners::numbers::{NumberMap, NumberSet};
use crate::linux::sockets::{Buffer, Losses, Part};

/// The TCP sockets that are told already.
#[derive(Debug, Default)]
pub(super) struct Told {
    namespaces: NumberMap<u32, Known>,
    /// The pass ended early.
    is_partial: bool,
}

/// Those of one namespace.
#[derive(Debug, Default)]
struct Known {
    cookies: Vec<u64>,
    /// Of these, how many are in the kernel's tables, as far as it counts them.
    counted: u64,
    /// Connections on their way in, which are no sockets yet.
    half_open: u64,
}

/// The iterator, where it works here and is worth its cost. Who follows does without it: later looks read only what has
/// changed, and must know every descriptor for that.
pub(super) fn open() -> Option<Sockets> {
    let is_worth_it = files_open() >= WORTH && report::may_read_every_process();
    is_worth_it.then(Sockets::open)?.ok()
}

/// Tells every socket of TCP that a process holds, and notes the holders of all others.
pub(super) fn tell_held(sockets: &mut Sockets, pass: &mut Pass<'_, '_, '_>) -> Told {
    let mut told = Told::default();
    let mut shared: NumberMap<u64, (Socket, Vec<ProcessKey>)> = NumberMap::default();
    let read = sockets.read(&mut |held| {
        let Held {
            mut socket,
            process,
            may_be_shared,
            half_open,
        } = held;
        if socket.transport != Transport::Tcp {
            pass.owners.note(process, socket.inode);
        } else if may_be_shared {
            let (_, holders) = shared.entry(socket.cookie).or_insert((socket, Vec::new()));
            if holders.len() < MOST_HOLDERS && !holders.contains(&process) {
                holders.push(process);
            }
        } else {
            told.note(&socket, half_open);
            socket.owners = Named::One(process);
            pass.take_held(socket);
        }
    });
    for (mut socket, mut holders) in shared.into_values() {
        holders.sort_unstable_by_key(|key| (key.start, key.pid));
        told.note(&socket, 0);
        socket.owners = match holders[..] {
            [only] => Named::One(only),
            _ => Named::Many(holders.into()),
        };
        pass.take_held(socket);
    }
    if read.is_err() {
        told.is_partial = true;
        pass.owners.search();
    }
    told
}

impl Told {
    fn note(&mut self, socket: &Socket, half_open: u32) {
        let known = self.namespaces.entry(socket.namespace).or_default();
        known.cookies.push(socket.cookie);
        known.counted += u64::from(is_counted(socket));
        known.half_open += u64::from(half_open);
    }

    /// Dumps what was not told of a namespace.
    ///
    /// # Errors
    /// As [`Dumper::dump`](crate::linux::sockets::Dumper::dump).
    pub(super) fn tell_rest(
        &self,
        namespace: &mut Namespace,
        buffer: &mut Buffer,
        pass: &mut Pass<'_, '_, '_>,
    ) -> io::Result<Losses> {
        let nothing = Known::default();
        let dumper = &mut namespace.dumper;
        let known = self.namespaces.get(&dumper.namespace()).unwrap_or(&nothing);
        // Nearly always there is little to compare with.
        let cookies: OnceCell<NumberSet<u64>> = OnceCell::new();
        let counted = Cell::new(known.counted);
        let mut each = |socket: Socket| {
            if socket.transport == Transport::Tcp {
                let cookies = cookies.get_or_init(|| known.cookies.iter().copied().collect());
                if cookies.contains(&socket.cookie) {
                    return;
                }
                counted.set(counted.get() + u64::from(is_counted(&socket)));
            }
            pass.take(socket);
        };
        let count = namespace.process.and_then(Count::of);
        let (Some(count), false) = (count, self.is_partial) else {
            return dumper.dump(buffer, &mut each);
        };
        if known.half_open == 0 && count.waiting == 0 && count.in_use <= counted.get() {
            return dumper.dump_part(Part::Others, buffer, &mut each);
        }
        let losses = dumper.dump_part(Part::Unused, buffer, &mut each)?;
        if count.in_use <= counted.get() {
            return Ok(losses);
        }
        let others = dumper.dump_part(Part::Used, buffer, &mut each)?;
        Ok(Losses {
            unreadable: losses.unreadable + others.unreadable,
            failed: losses.failed + others.failed,
        })
    }
}

/// Is it among those that the kernel counts as in use? It leaves out what has no socket of its own any more, or yet;
/// such a rest may be in the state FIN_WAIT2 as well, but has no counters.
fn is_counted(socket: &Socket) -> bool {
    match socket.state {
        SocketState::Close | SocketState::TimeWait | SocketState::SynReceived => false,
        SocketState::Listen => true,
        _ => socket.traffic.is_some(),
    }
}

/// The kernel's own count of the TCP sockets of a namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    /// Of both families, without those in TIME_WAIT.
    in_use: u64,
    /// In TIME_WAIT.
    waiting: u64,
}

impl Count {
    /// Of the namespace that a process is in.
    fn of(process: u32) -> Option<Self> {
        let four = std::fs::read_to_string(format!("/proc/{process}/net/sockstat")).ok()?;
        // Without IPv6 there is no such file.
        let six = std::fs::read_to_string(format!("/proc/{process}/net/sockstat6")).unwrap_or_default();
        Self::read(&four, &six)
    }

    fn read(four: &str, six: &str) -> Option<Self> {
        Some(Self {
            in_use: number(four, "TCP:", "inuse")? + number(six, "TCP6:", "inuse").unwrap_or(0),
            waiting: number(four, "TCP:", "tw")?,
        })
    }
}

/// The number after `name` in the line that begins with `line`.
fn number(text: &str, line: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|whole| whole.strip_prefix(line))?;
    let mut words = line.split_ascii_whitespace();
    words.find(|word| *word == name)?;
    words.next()?.parse().ok()
}

#[cfg(test)]
mod tests;
