//! Which processes use the network, told once their facts have settled: hashes and packages come late.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use atalaya_model::process::Digest;
use atalaya_model::state::State;
use atalaya_model::{Event, Fact, Process, ProcessKey, Span, Time};

use crate::detector::Sighting;
use crate::executables::{Executables, Novelty};

/// Most processes followed; more are told at once, as they are.
const LIMIT: usize = 65_536;

#[derive(Debug, Default)]
pub(crate) struct Sightings {
    table: HashMap<ProcessKey, Seen>,
    waiting: BTreeSet<(Time, ProcessKey)>,
}

#[derive(Debug)]
struct Seen {
    process: Arc<Process>,
    uses_network: bool,
    /// When it was first seen to run this program.
    first: Time,
    /// Since when its facts are awaited.
    since: Time,
    /// Until when; its place among those that wait.
    deadline: Time,
    told: Option<Told>,
}

#[derive(Debug)]
struct Told {
    process: Arc<Process>,
    uses_network: bool,
}

/// How long the word of a package manager is awaited about a packaged file that was deleted or changed: while an
/// upgrade runs, files and records do not fit together.
const PACKAGE_PATIENCE: Span = Span::from_seconds(130);

/// Will no more be learnt about what this process runs?
pub(crate) fn is_settled(process: &Process) -> bool {
    process.sha256.is_some()
        || process.executable.is_none()
        || process.unread.is_some()
        || process.ended.is_some()
        || process.flags.kernel_thread
}

/// Does its package vouch for the file at its path?
pub(crate) fn is_vouched_for(process: &Process) -> bool {
    process
        .package
        .as_ref()
        .is_some_and(|package| package.digest == Digest::Agrees)
}

impl Sightings {
    /// Appends the processes that this event makes worth a look.
    pub(crate) fn look_at(
        &mut self,
        state: &dyn State,
        event: &Event,
        executables: &Executables,
        patience: Span,
        out: &mut Vec<Sighting>,
    ) {
        let time = event.time;
        match &event.fact {
            Fact::ConnectionOpened(connection) | Fact::ConnectionUpdated(connection) => {
                if let Some(process) = &connection.process {
                    self.note(time, process, true, executables, patience, out);
                }
            }
            Fact::ListenerAppeared(listener) | Fact::ListenerUpdated(listener) => {
                if let Some(process) = &listener.process {
                    self.note(time, process, true, executables, patience, out);
                }
            }
            Fact::ProcessStarted(process) | Fact::ProcessUpdated(process) => {
                let changed = || matches!(executables.novelty(process), Novelty::Changed(_));
                if self.table.contains_key(&process.key) || changed() {
                    self.note(time, process, false, executables, patience, out);
                }
            }
            Fact::ProcessEnded(process) => {
                if let Some(seen) = self.table.remove(&process.key) {
                    self.waiting.remove(&(seen.deadline, process.key));
                    if seen.told.is_none() {
                        let when = (time, seen.first);
                        out.push(sighting(when, process, seen.uses_network, false, executables));
                    }
                }
            }
            Fact::Tick { look } => {
                self.give_up(state, time, executables, out);
                if *look {
                    self.forget(state);
                }
            }
            _ => {}
        }
    }

    fn note(
        &mut self,
        time: Time,
        process: &Arc<Process>,
        uses_network: bool,
        executables: &Executables,
        patience: Span,
        out: &mut Vec<Sighting>,
    ) {
        let full = self.table.len() >= LIMIT;
        if full && !self.table.contains_key(&process.key) {
            out.push(sighting((time, time), process, uses_network, false, executables));
            return;
        }
        let seen = self.table.entry(process.key).or_insert_with(|| Seen {
            process: process.clone(),
            uses_network,
            first: time,
            since: time,
            deadline: time,
            told: None,
        });
        seen.uses_network |= uses_network;
        if seen.process.executable != process.executable {
            seen.first = time;
        }
        let earlier = seen.told.as_ref();
        if let Some(told) = earlier
            && told.uses_network == seen.uses_network
            && same_facts(&told.process, process)
        {
            return;
        }
        let doubtful = process.flags.deleted || matches!(executables.novelty(process), Novelty::Changed(_));
        let settled = is_settled(process) && (!doubtful || is_judged(process));
        let is_packaged = executables
            .is_packaged(process)
            .or_else(|| earlier.map(|told| told.process.package.is_some()))
            .unwrap_or_else(|| is_system_path(process));
        let wait = match doubtful && is_packaged && patience > Span(0) {
            true => PACKAGE_PATIENCE,
            false => patience,
        };
        let is_waiting = self.waiting.remove(&(seen.deadline, process.key));
        if earlier.is_some() && !is_waiting {
            seen.since = time;
        }
        seen.deadline = seen.since.after(wait);
        let is_late = earlier.is_some() && !doubtful;
        seen.process = process.clone();
        if settled || is_late || time >= seen.deadline {
            self.tell(time, process.key, executables, out);
        } else {
            self.waiting.insert((seen.deadline, process.key));
        }
    }

    fn tell(&mut self, time: Time, key: ProcessKey, executables: &Executables, out: &mut Vec<Sighting>) {
        let Some(seen) = self.table.get_mut(&key) else {
            return;
        };
        self.waiting.remove(&(seen.deadline, key));
        let again = seen.told.as_ref().is_some_and(|told| {
            told.uses_network == seen.uses_network && same_program(&told.process, &seen.process)
        });
        seen.told = Some(Told {
            process: seen.process.clone(),
            uses_network: seen.uses_network,
        });
        out.push(sighting(
            (time, seen.first),
            &seen.process,
            seen.uses_network,
            again,
            executables,
        ));
    }

    /// Tells those for whose facts we waited long enough.
    fn give_up(&mut self, state: &dyn State, time: Time, executables: &Executables, out: &mut Vec<Sighting>) {
        while let Some(&(deadline, key)) = self.waiting.first() {
            if deadline > time {
                break;
            }
            self.waiting.pop_first();
            if let (Some(seen), Some(process)) = (self.table.get_mut(&key), state.process(key)) {
                seen.process = process.clone();
            }
            self.tell(time, key, executables, out);
        }
    }

    /// Tells everything that still waits: no more will come.
    pub(crate) fn flush(&mut self, time: Time, executables: &Executables, out: &mut Vec<Sighting>) {
        while let Some((_, key)) = self.waiting.pop_first() {
            self.tell(time, key, executables, out);
        }
    }

    /// Drops processes that nobody knows any more.
    fn forget(&mut self, state: &dyn State) {
        if self.table.len() > LIMIT / 2 {
            self.table.retain(|key, seen| {
                let keep = state.process(*key).is_some();
                if !keep {
                    self.waiting.remove(&(seen.deadline, *key));
                }
                keep
            });
        }
    }
}

/// Has its package been asked?
fn is_judged(process: &Process) -> bool {
    process.ended.is_some()
        || process
            .package
            .as_ref()
            .is_some_and(|package| package.digest != Digest::Unknown)
}

/// Is the file where only packages put files?
fn is_system_path(process: &Process) -> bool {
    let path = process.executable.as_deref().unwrap_or_default();
    let folders = ["/usr/", "/bin/", "/sbin/", "/lib"];
    process.container.is_none()
        && !process.flags.memfd
        && !path.starts_with("/usr/local/")
        && folders.iter().any(|folder| path.starts_with(folder))
}

fn same_program(a: &Process, b: &Process) -> bool {
    a.executable == b.executable && a.script == b.script && a.flags == b.flags
}

fn same_facts(a: &Arc<Process>, b: &Arc<Process>) -> bool {
    Arc::ptr_eq(a, b) || same_program(a, b) && a.sha256 == b.sha256 && a.package == b.package
}

fn sighting(
    (time, first): (Time, Time),
    process: &Arc<Process>,
    uses_network: bool,
    again: bool,
    executables: &Executables,
) -> Sighting {
    Sighting {
        time,
        first,
        process: process.clone(),
        uses_network,
        again,
        novelty: executables.novelty(process),
    }
}
