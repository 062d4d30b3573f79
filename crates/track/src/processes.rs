//! The table of processes, each with the slots of its open connections.

use std::collections::VecDeque;
use std::sync::Arc;

use atalaya_model::{Process, ProcessKey, Span, Time};
use foldhash::{HashMap, HashMapExt};

/// How long an ended process can still be looked up: late hashes and destroy notices refer to it.
const KEPT_AFTER_END: Span = Span::from_seconds(30);

#[derive(Debug)]
pub(crate) struct Processes {
    table: HashMap<ProcessKey, Entry>,
    ended: VecDeque<(Time, ProcessKey)>,
    limit: usize,
}

#[derive(Debug)]
struct Entry {
    process: Arc<Process>,
    connections: Vec<u32>,
}

/// What came of a report about a process.
pub(crate) enum Admission {
    New(Arc<Process>),
    Changed(Arc<Process>),
    Same,
    Refused,
}

impl Processes {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            table: HashMap::new(),
            ended: VecDeque::new(),
            limit,
        }
    }

    /// Processes that live.
    pub(crate) fn living(&self) -> usize {
        self.table.len() - self.ended.len()
    }

    pub(crate) fn get(&self, key: ProcessKey) -> Option<&Arc<Process>> {
        self.table.get(&key).map(|entry| &entry.process)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Process>> {
        self.table.values().map(|entry| &entry.process)
    }

    pub(crate) fn connected(&self) -> impl Iterator<Item = ProcessKey> {
        let connected = self
            .table
            .iter()
            .filter(|(_, entry)| !entry.connections.is_empty());
        connected.map(|(key, _)| *key)
    }

    /// The slots of the open connections of a process.
    pub(crate) fn connections(&self, key: ProcessKey) -> &[u32] {
        self.table
            .get(&key)
            .map_or(&[], |entry| entry.connections.as_slice())
    }

    pub(crate) fn admit(&mut self, mut process: Arc<Process>) -> Admission {
        let full = self.table.len() >= self.limit;
        if let Some(entry) = self.table.get_mut(&process.key) {
            // What is learnt after the end (a late hash) does not bring it back to life.
            if process.ended.is_none() && entry.process.ended.is_some() {
                Arc::make_mut(&mut process).ended = entry.process.ended;
            }
            if Arc::ptr_eq(&entry.process, &process) || entry.process == process {
                return Admission::Same;
            }
            if is_only_the_exit_code_new(&entry.process, &process) {
                entry.process = process;
                return Admission::Same;
            }
            entry.process = process.clone();
            return Admission::Changed(process);
        }
        if full && !self.forget_oldest_ended() {
            return Admission::Refused;
        }
        if let Some(time) = process.ended {
            self.ended.push_back((time, process.key));
        }
        self.table.insert(
            process.key,
            Entry {
                process: process.clone(),
                connections: Vec::new(),
            },
        );
        Admission::New(process)
    }

    /// Marks a process as ended; `None` where it is unknown or had ended before.
    pub(crate) fn end(&mut self, key: ProcessKey, time: Time) -> Option<Arc<Process>> {
        let entry = self.table.get_mut(&key)?;
        if entry.process.ended.is_some() {
            return None;
        }
        Arc::make_mut(&mut entry.process).ended = Some(time);
        self.ended.push_back((time, key));
        Some(entry.process.clone())
    }

    /// Notes that a process has a connection, and returns its place in the list.
    pub(crate) fn attach(&mut self, key: ProcessKey, slot: u32) -> u32 {
        let Some(entry) = self.table.get_mut(&key) else {
            return 0;
        };
        entry.connections.push(slot);
        (entry.connections.len() - 1) as u32
    }

    /// Takes a connection away; returns the slot that moved into its place.
    pub(crate) fn detach(&mut self, key: ProcessKey, place: u32, slot: u32) -> Option<u32> {
        let list = &mut self.table.get_mut(&key)?.connections;
        if list.get(place as usize) != Some(&slot) {
            return None;
        }
        list.swap_remove(place as usize);
        list.get(place as usize).copied()
    }

    pub(crate) fn forget_ended(&mut self, now: Time) {
        let mut kept = Vec::new();
        while let Some(&(ended, key)) = self.ended.front() {
            if now.since(ended) < KEPT_AFTER_END {
                break;
            }
            self.ended.pop_front();
            if self.connections(key).is_empty() {
                self.table.remove(&key);
            } else {
                kept.push((now, key));
            }
        }
        self.ended.extend(kept);
    }

    fn forget_oldest_ended(&mut self) -> bool {
        let free = self
            .ended
            .iter()
            .position(|(_, key)| self.connections(*key).is_empty());
        let Some((_, key)) = free.and_then(|place| self.ended.remove(place)) else {
            return false;
        };
        self.table.remove(&key).is_some()
    }
}

/// How a process ended is told with its end, which follows at once, and not as a change before it.
fn is_only_the_exit_code_new(before: &Process, now: &Process) -> bool {
    if before.exit_code.is_some() || now.exit_code.is_none() {
        return false;
    }
    let mut before = before.clone();
    before.exit_code = now.exit_code;
    before == *now
}
