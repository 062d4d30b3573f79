//! Which process had an id at which moment, and what is told of processes that were over before anybody could look.

use std::sync::Arc;

use atalaya_model::process::{Ancestor, Unread};
use atalaya_model::{Ledger, Process, ProcessKey, Stage, Text, Time};

use super::called;
use super::samples::Executed;
use super::watcher::{Exit, Word};
use crate::clock::KernelClock;
use crate::collector::Sink;
use crate::linux::describe::Describer;
use crate::linux::owners::numbers::NumberMap;
use crate::linux::owners::proc_folder::ProcFolder;

/// Most ids remembered; at the limit all are forgotten, and asked again.
const MOST: usize = 1 << 17;
/// Most processes whose paths wait for the watcher.
const MOST_PATHS: usize = 1 << 14;
/// How long an ended process keeps its id, in nanoseconds: sockets may still be told that it used.
const KEPT_AFTER_END: u64 = 60_000_000_000;
/// What two queues may disagree about, in nanoseconds.
const SLACK: u64 = 1_000_000;
/// Most ancestors of a process.
const MOST_ANCESTORS: usize = 32;

/// The processes, by id.
#[derive(Debug)]
pub(super) struct Lives {
    known: NumberMap<u32, Life>,
    folder: ProcFolder,
    ledger: Ledger,
    /// What was executed lately, by process.
    paths: NumberMap<u32, Vec<Executed>>,
    /// Since the last look.
    late: u64,
}

/// Times are nanoseconds of the monotonic clock.
#[derive(Clone, Copy, Debug)]
struct Life {
    /// Start in clock ticks.
    start: u64,
    /// When it began; 0 where that was before the watch.
    began: u64,
    ended: Option<u64>,
    parent: Option<ProcessKey>,
}

impl Lives {
    pub(super) fn new(folder: ProcFolder, ledger: Ledger) -> Self {
        Self {
            known: NumberMap::default(),
            folder,
            ledger,
            paths: NumberMap::default(),
            late: 0,
        }
    }

    /// A tracepoint told of an exec, before the watcher does.
    pub(super) fn executed(&mut self, executed: Executed) {
        if self.paths.len() >= MOST_PATHS {
            self.paths.clear();
        }
        let paths = self.paths.entry(executed.process).or_default();
        paths.push(executed);
    }

    /// The path by which a process became another program at this time.
    fn path_at(&self, process: u32, time: u64) -> Option<&[u8]> {
        let paths = self.paths.get(&process)?;
        let last = paths.iter().rev().find(|executed| executed.time <= time)?;
        (time - last.time < SLACK).then_some(&last.path)
    }

    /// What was executed before this time has been told.
    pub(super) fn forget_paths(&mut self, before: u64) {
        self.paths.retain(|_, paths| {
            paths.retain(|executed| executed.time >= before);
            !paths.is_empty()
        });
    }

    /// Takes what the watcher says, and has it told.
    pub(super) fn take(
        &mut self,
        word: Word,
        clock: &KernelClock,
        describer: &mut Describer,
        sink: &mut Sink<'_>,
    ) {
        match word {
            Word::Forked {
                time,
                parent,
                process,
                start,
            } => {
                let parent = self.key_at(parent, time);
                let life = Life {
                    start: start.unwrap_or_else(|| clock.ticks_of(time)),
                    began: time,
                    ended: None,
                    parent,
                };
                self.remember(process, life);
            }
            Word::Executed { time, process, read } => {
                let at = clock.time_of(time);
                self.ledger.received(Stage::LateLookups, 1);
                let Some(key) = self.key_at(process, time) else {
                    self.count_late(1);
                    return;
                };
                let read = read.ok().filter(|read| read.key == key);
                let is_late = read.as_ref().is_none_or(|read| read.unread == Some(Unread::Gone));
                if is_late {
                    self.count_late(1);
                } else {
                    self.ledger.passed(Stage::LateLookups, 1);
                }
                let mut read = match read {
                    Some(read) => *read,
                    None => {
                        let mut unknown = self.child(key, describer);
                        forget_program(&mut unknown);
                        unknown
                    }
                };
                if read.executable.is_none()
                    && let Some(path) = self.path_at(process, time)
                {
                    called::name(&mut read, path);
                }
                describer.tell(read, at, sink);
            }
            Word::Exited(Exit { time, process, code }) => {
                let at = clock.time_of(time);
                // One that was there before the watch may have been described, and is gone now.
                let key = self.key_at(process, time).or_else(|| describer.with_id(process));
                let Some(key) = key else {
                    return;
                };
                if describer.told(key).is_none() {
                    // It never became another program: it was what its parent is.
                    let child = self.child(key, describer);
                    describer.tell(child, at, sink);
                }
                describer.ended(key, code, at, sink);
                if let Some(life) = self.known.get_mut(&process) {
                    life.ended = Some(time);
                }
            }
            // Told by the collector.
            Word::Lost(_) | Word::Broken(_) => {}
        }
    }

    fn remember(&mut self, process: u32, life: Life) {
        if self.known.len() >= MOST {
            self.known.clear();
        }
        self.known.insert(process, life);
    }

    /// The process that had this id at this time.
    pub(super) fn key_at(&mut self, pid: u32, time: u64) -> Option<ProcessKey> {
        if let Some(life) = self.known.get(&pid) {
            let key = ProcessKey {
                pid,
                start: life.start,
            };
            return (life.began <= time.saturating_add(SLACK)).then_some(key);
        }
        let start = self.folder.start_of(pid).ok()?;
        let life = Life {
            start,
            began: 0,
            ended: None,
            parent: None,
        };
        self.remember(pid, life);
        Some(ProcessKey { pid, start })
    }

    /// A process that nobody could read: all that it had from its parent.
    fn child(&self, key: ProcessKey, describer: &Describer) -> Process {
        let started = describer.started(key);
        let parent = self.known.get(&key.pid).and_then(|life| life.parent);
        let known = parent.and_then(|parent| describer.told(parent));
        match known {
            Some(parent) => child_of(parent, key, started),
            None => {
                let mut process = Process::bare(key, Text::from("?"), started);
                process.parent = parent;
                process.unread = Some(Unread::Gone);
                process
            }
        }
    }

    fn count_late(&mut self, count: u64) {
        self.ledger.dropped(Stage::LateLookups, count);
        self.late += count;
    }

    /// How many were over before they could be read, since this was asked last.
    pub(super) fn take_late(&mut self) -> u64 {
        std::mem::take(&mut self.late)
    }

    /// Notices were lost: an id may have passed on unheard.
    pub(super) fn forget_all(&mut self) {
        self.known.clear();
    }

    /// Forgets those that ended long ago.
    pub(super) fn sweep(&mut self, now: u64) {
        self.known.retain(|_, life| {
            life.ended
                .is_none_or(|ended| now.saturating_sub(ended) < KEPT_AFTER_END)
        });
        if self.known.capacity() > 4 * self.known.len() + 4_096 {
            self.known.shrink_to(2 * self.known.len());
        }
    }
}

/// What a process is right after the fork.
fn child_of(parent: &Process, key: ProcessKey, started: Time) -> Process {
    let nearest = Ancestor {
        key: parent.key,
        name: parent.name.clone(),
        executable: parent.executable.clone(),
    };
    let ancestors: Arc<[Ancestor]> = std::iter::once(nearest)
        .chain(parent.ancestors.iter().cloned())
        .take(MOST_ANCESTORS)
        .collect();
    let mut child = parent.clone();
    child.key = key;
    child.started = started;
    child.ended = None;
    child.exit_code = None;
    child.parent = Some(parent.key);
    child.ancestors = ancestors;
    child
}

/// It became another program, and nobody saw which.
fn forget_program(process: &mut Process) {
    let unknown = Process::bare(process.key, Text::from("?"), process.started);
    *process = Process {
        parent: process.parent,
        ancestors: process.ancestors.clone(),
        user_id: process.user_id,
        user_name: process.user_name.clone(),
        cgroup: process.cgroup.clone(),
        container: process.container.clone(),
        unit: process.unit.clone(),
        network_namespace: process.network_namespace,
        unread: Some(Unread::Gone),
        ..unknown
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_is_what_its_parent_is_until_it_becomes_another_program() {
        let key = |pid| ProcessKey { pid, start: 5 };
        let mut parent = Process::bare(key(10), "sh".into(), Time(1));
        parent.executable = Some("/bin/sh".into());
        parent.user_id = Some(1000);
        parent.exit_code = Some(3);
        parent.ancestors = Arc::from([Ancestor {
            key: key(1),
            name: "init".into(),
            executable: None,
        }]);
        let mut child = child_of(&parent, key(11), Time(2));
        assert_eq!(child.label(), "/bin/sh");
        assert_eq!((child.parent, child.exit_code), (Some(key(10)), None));
        let chain: Vec<u32> = child.ancestors.iter().map(|one| one.key.pid).collect();
        assert_eq!(chain, [10, 1]);
        forget_program(&mut child);
        assert_eq!((child.label(), child.user_id), ("?", Some(1000)));
        assert_eq!((child.unread, child.ancestors.len()), (Some(Unread::Gone), 2));
    }

    #[test]
    fn a_path_belongs_to_the_exec_that_follows_it() {
        let mut lives = Lives::new(ProcFolder::open().unwrap(), Ledger::default());
        for (time, path) in [(1_000, &b"/bin/env"[..]), (5_000, b"/bin/true")] {
            lives.executed(Executed {
                time,
                process: 7,
                path: path.into(),
            });
        }
        assert_eq!(lives.path_at(7, 900), None);
        assert_eq!(lives.path_at(7, 1_100), Some(&b"/bin/env"[..]));
        assert_eq!(lives.path_at(7, 5_000), Some(&b"/bin/true"[..]));
        assert_eq!(lives.path_at(7, 5_000 + SLACK), None);
        assert_eq!(lives.path_at(8, 5_000), None);
        lives.forget_paths(5_001);
        assert!(lives.paths.is_empty());
    }

    #[test]
    fn an_id_belongs_to_whoever_had_it_then() {
        let mut lives = Lives::new(ProcFolder::open().unwrap(), Ledger::default());
        let own = std::process::id();
        let key = lives.key_at(own, 1).unwrap();
        assert_eq!(Some(key.start), lives.folder.start_of(own).ok());
        let life = Life {
            start: 77,
            began: 10 * SLACK,
            ended: Some(20 * SLACK),
            parent: None,
        };
        lives.remember(4_000_000, life);
        let start = |key: Option<ProcessKey>| key.map(|key| key.start);
        assert_eq!(start(lives.key_at(4_000_000, 15 * SLACK)), Some(77));
        assert_eq!(start(lives.key_at(4_000_000, 5 * SLACK)), None);
        lives.sweep(20 * SLACK + KEPT_AFTER_END);
        assert_eq!(start(lives.key_at(4_000_000, 15 * SLACK)), None);
    }
}
