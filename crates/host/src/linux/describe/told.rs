//! Processes of which the kernel tells by itself.
//!
//! A process that becomes a program is passed on at once. One that was only forked is what its parent is, and most
//! become a program in a moment: it is passed on when a socket names it, at the next look, or as it ends, whichever is
//! first. So none is missing, and none is told as two.

use std::sync::Arc;

use atalaya_model::process::{Ancestor, Unread};
use atalaya_model::{Observation, Process, ProcessKey, Span, Stage, Time};
use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

use super::table::Known;
use super::{Describer, YOUNG, question};
use crate::collector::Sink;
use crate::linux::hash::inspector::{Subject, ToldFile};
use crate::linux::owners::MOST_PROCESSES;
use crate::linux::process::told::Program;

/// A child that is older than this at a look will not become another program in a moment.
const UNDECIDED: Span = Span(100_000);
/// Processes that live on, read from `/proc` in one look.
const MOST_COMPLETED: usize = 32;
/// Most processes that wait for it; at the limit the oldest are not completed.
const MOST_WAITING: usize = 65_536;

/// Looks from one comparison with `/proc` to the next, while nothing is known to be lost.
pub(super) const LISTING: u32 = 64;

/// A process began as a copy of its parent.
#[derive(Clone, Debug)]
pub(crate) struct Forked<'a> {
    pub(crate) key: ProcessKey,
    pub(crate) parent: ProcessKey,
    pub(crate) started: Time,
    pub(crate) name: &'a [u8],
    pub(crate) user_id: u32,
    pub(crate) network_namespace: u32,
    /// The same number for all processes in the same control groups.
    pub(crate) groups: u64,
    pub(crate) is_kernel_thread: bool,
}

/// A process became a program.
#[derive(Clone, Debug)]
pub(crate) struct Executed<'a> {
    pub(crate) key: ProcessKey,
    pub(crate) parent: ProcessKey,
    pub(crate) started: Time,
    pub(crate) program: Program<'a>,
    /// As in [`Forked`].
    pub(crate) groups: u64,
    /// Path of its control group in the unified hierarchy; `None` where it was too long to be told.
    pub(crate) group: Option<Vec<u8>>,
    /// Some of the program could not be told: if it lives, it is to be read at once.
    pub(crate) is_partial: bool,
}

/// A process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exited {
    pub(crate) key: ProcessKey,
    /// As in [`Process::exit_code`].
    pub(crate) exit_code: i32,
}

impl Known {
    /// Is it known by what the kernel told rather than from `/proc`?
    pub(super) fn is_from_kernel(&self) -> bool {
        self.file.is_some()
    }
}

impl Describer {
    /// The kernel told of a fork.
    pub(crate) fn forked(&mut self, fork: &Forked<'_>, time: Time, sink: &mut Sink<'_>) {
        self.end_who_had_the_id(fork.key, time, sink);
        if self.table.get(fork.key).is_some() || self.table.has_ended(fork.key) {
            return; // it was read from `/proc` before this was
        }
        let ancestors = self.chain_of_children(fork.parent, time, sink);
        let parent = self.table.get(fork.parent);
        let mut process = match parent {
            Some(parent) => Process {
                key: fork.key,
                started: fork.started,
                ..Process::clone(&parent.process)
            },
            None => {
                let name = self.reader.share_bytes(fork.name);
                Process::bare(fork.key, name, fork.started)
            }
        };
        process.parent = visible(fork.parent);
        process.ancestors = ancestors;
        process.network_namespace = Some(fork.network_namespace);
        process.flags.kernel_thread = fork.is_kernel_thread;
        let file = parent.and_then(|parent| parent.file);
        self.reader.set_user(&mut process, fork.user_id);
        self.reader.set_told_group(&mut process, fork.groups, None);
        let mut known = Known::new(Arc::new(process));
        known.file = file;
        self.table.insert(known);
        self.untold.push(fork.key);
        self.read_later(fork.key, time);
    }

    /// The kernel told that a process became a program.
    pub(crate) fn executed(&mut self, exec: &Executed<'_>, time: Time, sink: &mut Sink<'_>) {
        self.end_who_had_the_id(exec.key, time, sink);
        if self.table.has_ended(exec.key) {
            return;
        }
        let program = &exec.program;
        let mut process = self.reader.told(exec.key, exec.started, program);
        self.reader
            .set_told_group(&mut process, exec.groups, exec.group.as_deref());
        let before = self.table.get(exec.key).map(|known| known.process.clone());
        match before {
            // It began somewhere, and that stays true also when its parent is gone since.
            Some(before) if !before.ancestors.is_empty() => {
                process.parent = before.parent;
                process.ancestors = before.ancestors.clone();
                process.started = before.started;
            }
            _ => {
                process.parent = visible(exec.parent);
                process.ancestors = self.chain_of_children(exec.parent, time, sink);
            }
        }
        let file = ToldFile {
            identity: program.file,
            has_our_mounts: self.own_mounts == Some(program.mount_namespace),
        };
        let process = Arc::new(process);
        if self.table.get(exec.key).is_none() {
            self.table.insert(Known::new(process.clone()));
        }
        let mut is_told = false;
        if let Some(known) = self.table.get_mut(exec.key) {
            known.replace(process.clone());
            known.executable = None;
            known.file = Some(file);
            known.has_first_arguments = program.arguments.is_some() && !program.has_more_arguments;
            known.standard_sockets = None;
            is_told = known.is_told;
            known.is_told = false;
        }
        self.young.remove(&exec.key.pid);
        self.read_later(exec.key, time);
        if exec.is_partial
            && let Ok(read) = self.reader.describe(exec.key.pid)
        {
            self.complete(read, time, sink);
        }
        if self.every_process || is_told {
            self.tell_known(exec.key, time, sink);
        }
    }

    /// The kernel told that a process ended.
    pub(crate) fn exited(&mut self, exit: Exited, time: Time, sink: &mut Sink<'_>) {
        let untold = self.table.get(exit.key).filter(|known| !known.is_told);
        if untold.is_some_and(|known| !known.process.flags.kernel_thread) && self.every_process {
            self.tell_known(exit.key, time, sink);
        }
        self.ended(exit.key, exit.exit_code, time, sink);
    }

    /// What is to be done once in a look where the kernel tells of processes: passes on forked ones, completes those
    /// that live on, tells losses.
    pub(crate) fn look_after_told(&mut self, time: Time, sink: &mut Sink<'_>) {
        for key in std::mem::take(&mut self.missing) {
            if is_gone(key.pid) {
                self.end(key, None, time, sink);
            }
        }
        self.until_listing = self.until_listing.saturating_sub(1);
        if self.until_listing == 0 {
            self.until_listing = LISTING;
            self.list(time, sink);
        }
        for key in std::mem::take(&mut self.untold) {
            let Some(known) = self.table.get(key).filter(|known| !known.is_told) else {
                continue;
            };
            if time.since(known.process.started) < UNDECIDED {
                self.untold.push(key);
            } else if !self.every_process {
                // Somebody may need it yet.
            } else if known.process.flags.kernel_thread {
                // Its name is not its parent's.
                self.describe(key.pid, time, sink);
            } else {
                self.tell_known(key, time, sink);
            }
        }
        self.complete_some(time, sink);
        self.answers.refresh();
        self.table.forget_ended(time);
        self.tell_losses(time, sink);
    }

    /// Records of the kernel were lost: the next [`Self::look_after_told`] compares with a listing of `/proc`.
    pub(crate) fn compare_with_listing(&mut self) {
        self.until_listing = 1;
    }

    /// Compares with a listing of `/proc`: has those described who are not known, and notes who is gone, which is told
    /// at the next look, when their ends had time to come.
    fn list(&mut self, time: Time, sink: &mut Sink<'_>) {
        let mut pids = Vec::new();
        if self.folder.list(&mut pids, MOST_PROCESSES).is_err() || pids.len() >= MOST_PROCESSES {
            return;
        }
        for pid in &pids {
            let known = self.table.with_id(*pid).map(|known| known.process.key);
            match (known, self.folder.start_of(*pid)) {
                (None, Ok(_)) => self.new.push(*pid),
                (Some(known), Ok(start)) if known.start != start => {
                    self.end(known, None, time, sink);
                    self.new.push(*pid);
                }
                _ => {}
            }
        }
        let living = self.table.living().map(|known| known.process.key);
        self.missing = living
            .filter(|key| pids.binary_search(&key.pid).is_err())
            .collect();
    }

    /// Passes on a process that is known and was not told, after its ancestors.
    pub(super) fn tell_known(&mut self, key: ProcessKey, time: Time, sink: &mut Sink<'_>) {
        if self.table.is_told(key) {
            return;
        }
        let process = match self.table.get(key) {
            Some(known) => Some(known.process.clone()),
            None => self.table.late(key, time).map(|late| late.process.clone()),
        };
        if let Some(process) = process {
            self.tell_ancestors(&process, time, sink);
        }
        self.tell_alone(key, time, sink);
    }

    pub(super) fn tell_alone(&mut self, key: ProcessKey, time: Time, sink: &mut Sink<'_>) {
        let (mut process, file) = match self.table.get(key) {
            Some(known) => (known.process.clone(), known.file),
            None => match self.table.late(key, time) {
                Some(late) => (late.process.clone(), late.file),
                None => return,
            },
        };
        self.ledger.received(Stage::Processes, 1);
        self.ledger.passed(Stage::Processes, 1);
        let is_complete = match file.and_then(|file| self.answers.get(file, process.executable.as_ref())) {
            Some(answer) => {
                let known = Arc::make_mut(&mut process);
                known.sha256.clone_from(&answer.sha256);
                known.package.clone_from(&answer.package);
                known.script.is_none() || known.script_sha256.is_some()
            }
            None => process.flags.kernel_thread,
        };
        if let Some(known) = self.table.get_mut(key) {
            known.is_told = true;
            known.process = process.clone();
        } else {
            self.table.tell_late(key, &process);
        }
        sink(Observation::Process(time, process.clone()));
        if !is_complete {
            self.inspect(Subject { process, file });
        }
    }

    /// Has the file of a process inspected, together with others that run the same.
    fn inspect(&mut self, subject: Subject) {
        let Some(inspector) = &self.inspector else {
            return;
        };
        let question = question(&subject);
        let key = subject.process.key;
        if let Some(question) = &question
            && self.answers.join(question, key)
        {
            return;
        }
        // A full queue counts the loss itself.
        if inspector.submit_told(subject)
            && let Some(question) = question
        {
            self.answers.ask(question, Vec::new());
        }
    }

    /// The chain of a child of `parent`; a parent that is not known is read.
    fn chain_of_children(&mut self, parent: ProcessKey, time: Time, sink: &mut Sink<'_>) -> Arc<[Ancestor]> {
        if let Some(chain) = self.table.chain_of_children(parent) {
            return chain;
        }
        if parent.pid != 0 && self.reader.key(parent.pid) == Ok(parent) {
            self.describe(parent.pid, time, sink);
        }
        self.table
            .chain_of_children(parent)
            .unwrap_or_else(|| Arc::from([]))
    }

    fn read_later(&mut self, key: ProcessKey, time: Time) {
        if self.unread_yet.len() >= MOST_WAITING {
            self.unread_yet.pop_front();
        }
        self.unread_yet.push_back((time, key));
    }

    /// Reads some of those that live on: what they call themselves, and who they are, may have changed since.
    fn complete_some(&mut self, time: Time, sink: &mut Sink<'_>) {
        let mut budget = MOST_COMPLETED;
        while budget > 0
            && let Some((since, key)) = self.unread_yet.front().copied()
            && time.since(since) >= YOUNG
        {
            self.unread_yet.pop_front();
            let Some(known) = self.table.get(key) else {
                continue;
            };
            if known.executable.is_some() || known.process.flags.kernel_thread {
                continue;
            }
            budget -= 1;
            if let Ok(read) = self.reader.describe(key.pid) {
                self.complete(read, time, sink);
            }
        }
    }

    /// Adds what was read of a process now to what the kernel told of it as it started.
    pub(super) fn complete(&mut self, mut read: Process, time: Time, sink: &mut Sink<'_>) {
        let key = read.key;
        let executable = self.folder.executable_of(key.pid).ok();
        let Some(known) = self.table.get_mut(key) else {
            return;
        };
        let told = &known.process;
        if read.unread == Some(Unread::Gone) {
            return; // it is ending
        }
        if read.unread.is_some() {
            // We may not read it, and know the rest from the kernel.
            read = Process {
                name: read.name,
                user_id: read.user_id.or(told.user_id),
                user_name: read.user_name.or_else(|| told.user_name.clone()),
                ..Process::clone(told)
            };
        }
        if told.executable.is_some() && told.executable != read.executable {
            // It has become another program, and the record of that was lost, or is on its way.
            return self.pass_on(read, time, sink);
        }
        known.executable = executable;
        read.started = told.started;
        if !told.ancestors.is_empty() {
            read.parent = told.parent;
            read.ancestors = told.ancestors.clone();
        }
        if known.has_first_arguments {
            read.command_line.clone_from(&told.command_line);
            read.command_line_hash.clone_from(&told.command_line_hash);
        }
        if told.script.is_some() {
            read.script.clone_from(&told.script);
            read.script_sha256.clone_from(&told.script_sha256);
            read.flags.script = true;
        }
        if told.flags.preload {
            read.preload.clone_from(&told.preload);
            read.flags.preload = true;
        }
        read.flags.standard_socket |= told.flags.standard_socket;
        read.sha256.clone_from(&told.sha256);
        read.package.clone_from(&told.package);
        read.exit_code = told.exit_code;
        if *known.process != read {
            known.replace(Arc::new(read));
            if known.is_told {
                sink(Observation::Process(time, known.process.clone()));
            }
        }
    }
}

/// Is there nobody with this id? A listing may hide processes of others.
fn is_gone(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_none_or(|pid| test_kill_process(pid) == Err(Errno::SRCH))
}

/// A parent outside our own pid namespace has no id here, and the first process has no parent.
fn visible(parent: ProcessKey) -> Option<ProcessKey> {
    (parent.pid != 0).then_some(parent)
}

/// A status as `wait` gives it, in the way of shells: the exit status, or 128 and the signal's number.
pub(crate) fn exit_code(status: u32) -> i32 {
    let signal = status & 0x7f;
    let code = if signal == 0 {
        status >> 8 & 0xff
    } else {
        128 + signal
    };
    i32::try_from(code).unwrap_or_default()
}
