//! Describing processes: each once, again when it became another program or when more is known of it.
//!
//! Facts come from two sides. Every tier reads `/proc`: what was there before the watch, what a socket names, what has
//! changed. A tier to which the kernel tells forks, execs and exits hands these in as well (`told`): then a process of
//! a millisecond is complete without one read, and `/proc` only completes those that live on.

mod answers;
mod handed;
mod table;
mod told;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use atalaya_model::process::Unread;
use atalaya_model::{Gap, Ledger, Observation, Process, ProcessKey, Span, Stage, Text, Time};

use self::answers::{Answer, Answers, Question};
use self::table::{Known, Table};
pub(crate) use self::told::{Executed, Exited, Forked, exit_code};
use crate::collector::{Options, Sink};
use crate::linux::hash::inspector::{self, Inspected, Inspector, Subject};
use crate::linux::owners::numbers::NumberSet;
use crate::linux::owners::proc_folder::ProcFolder;
use crate::linux::process::{CommandLines, ProcessReader};
use crate::{HostError, clock};

/// A process younger than this may still be on its way from fork to exec, and is read again.
const YOUNG: Span = Span::from_seconds(2);
/// Processes are checked for another executable in so many turns.
const TURNS: u32 = 16;
/// Most new processes described in one look beyond those with sockets; the rest waits for the next.
const MOST_NEW: usize = 1_024;

/// Describes processes and remembers which it has described.
#[derive(Debug)]
pub(crate) struct Describer {
    reader: ProcessReader,
    folder: ProcFolder,
    inspector: Option<Inspector>,
    answers: Answers,
    table: Table,
    every_process: bool,
    /// Named by a socket with this inode (0: not known), and not described yet.
    needed: Vec<(ProcessKey, u32)>,
    /// Started lately, and not described yet.
    new: Vec<u32>,
    /// There before the watch began, and not described yet.
    old: Vec<u32>,
    young: NumberSet<u32>,
    /// They became another program since they were described, and a socket names them.
    outdated: NumberSet<u32>,
    /// The kernel told of them; they are passed on when somebody needs them, or at the next look.
    untold: Vec<ProcessKey>,
    /// The kernel told of them, and when; those that live on are read once.
    unread_yet: VecDeque<(Time, ProcessKey)>,
    /// Not in the last listing.
    missing: Vec<ProcessKey>,
    /// Looks until the next listing.
    until_listing: u32,
    /// Inode number of our own mount namespace.
    own_mounts: Option<u32>,
    /// Processes whose files were gone before they were inspected, since this was told last.
    late: u64,
    /// Since the last look, by reason.
    unread: BTreeMap<&'static str, u32>,
    ledger: Ledger,
}

impl Describer {
    pub(crate) fn start(options: &Options, ledger: Ledger) -> Result<Self, HostError> {
        let command_lines = CommandLines {
            keep_secrets: !options.redact,
            key: options.command_line_key.as_ref().map(|key| key.0),
        };
        let inspector = if options.hash || options.packages {
            let options = inspector::Options {
                hashes: options.hash,
                packages: options.packages,
                ..inspector::Options::default()
            };
            Some(Inspector::start(options, ledger.clone())?)
        } else {
            None
        };
        let reader = ProcessReader::new(command_lines)?;
        Ok(Self {
            own_mounts: reader.mount_namespace(std::process::id()),
            reader,
            folder: ProcFolder::open().map_err(|error| HostError::file("read", "/proc")(error.into()))?,
            inspector,
            answers: Answers::default(),
            table: Table::default(),
            every_process: options.every_process,
            needed: Vec::new(),
            new: Vec::new(),
            old: Vec::new(),
            young: NumberSet::default(),
            outdated: NumberSet::default(),
            untold: Vec::new(),
            unread_yet: VecDeque::new(),
            missing: Vec::new(),
            until_listing: told::LISTING,
            late: 0,
            unread: BTreeMap::new(),
            ledger,
        })
    }

    /// Processes that came up in a listing, and are to be described even without sockets.
    pub(crate) fn start_describing(&mut self, started: &[u32], is_first_look: bool) {
        if is_first_look {
            self.old = started.to_vec();
            self.old.reverse();
        } else {
            self.new.extend_from_slice(started);
        }
    }

    /// A socket names this process: it is passed on by the next [`Self::describe_needed`], unless it has been.
    pub(crate) fn need(&mut self, key: ProcessKey) {
        self.need_for(key, 0);
    }

    /// As [`Self::need`], for the socket with this inode: it may be the process's standard input or output.
    pub(crate) fn need_for(&mut self, key: ProcessKey, inode: u32) {
        let is_settled = match self.table.get_mut(key) {
            Some(known) => {
                known.uses_network = true;
                let is_plain = known.process.flags.standard_socket
                    || inode == 0
                    || known
                        .standard_sockets
                        .is_some_and(|sockets| !sockets.contains(&inode));
                known.is_told && is_plain
            }
            None => self.table.is_told(key),
        };
        if !is_settled && self.needed.last() != Some(&(key, inode)) {
            self.needed.push((key, inode));
        }
    }

    /// A new socket names this process: it is described anew if it has become another program since.
    pub(crate) fn need_as_it_is_now(&mut self, key: ProcessKey) {
        self.need(key);
        if let Some(known) = self.table.get(key)
            && self.needed.last().is_none_or(|(last, _)| *last != key)
            && known.executable.is_some()
            && self
                .folder
                .executable_of(key.pid)
                .is_ok_and(|now| known.executable != Some(now))
        {
            self.outdated.insert(key.pid);
            self.needed.push((key, 0));
        }
    }

    /// Describes the processes that sockets name.
    pub(crate) fn describe_needed(&mut self, time: Time, sink: &mut Sink<'_>) {
        if self.needed.is_empty() {
            return;
        }
        let mut needed = std::mem::take(&mut self.needed);
        needed.sort_unstable();
        needed.dedup();
        for named in needed.chunk_by(|(one, _), (other, _)| one == other) {
            let Some((key, _)) = named.first() else {
                continue;
            };
            self.describe_one_needed(*key, time, sink);
            for (_, inode) in named.iter().filter(|(_, inode)| *inode != 0) {
                self.notice_standard_socket(*key, *inode, time, sink);
            }
        }
        needed.clear();
        self.needed = needed;
    }

    fn describe_one_needed(&mut self, key: ProcessKey, time: Time, sink: &mut Sink<'_>) {
        let is_unknown = self.table.get(key).is_none() && !self.table.has_ended(key);
        if self.outdated.remove(&key.pid) || is_unknown {
            self.describe(key.pid, time, sink);
        }
        self.tell_known(key, time, sink);
        if !self.table.is_told(key) {
            // It ended since its socket was found. The socket is still told with who held it.
            let mut process = Process::bare(key, Text::from("?"), self.reader.started(key));
            process.unread = Some(Unread::Gone);
            self.pass_on(process, time, sink);
            if self.reader.key(key.pid) != Ok(key) {
                self.end(key, None, time, sink);
            }
        }
    }

    /// A network socket with this inode is the process's: is it what it reads from or writes to?
    fn notice_standard_socket(&mut self, key: ProcessKey, inode: u32, time: Time, sink: &mut Sink<'_>) {
        let Some(known) = self.table.get_mut(key) else {
            return;
        };
        let reader = &self.reader;
        let sockets = known
            .standard_sockets
            .get_or_insert_with(|| reader.standard_sockets(key.pid));
        if sockets.contains(&inode) && !known.process.flags.standard_socket {
            Arc::make_mut(&mut known.process).flags.standard_socket = true;
            sink(Observation::Process(time, known.process.clone()));
        }
    }

    /// Describes new processes, and at most `most` of the old ones that still wait.
    pub(crate) fn describe_some(&mut self, most: usize, time: Time, sink: &mut Sink<'_>) {
        let now = self.new.len().min(MOST_NEW);
        let mut waiting: Vec<u32> = self.new.drain(..now).collect();
        let rest = self.old.len().saturating_sub(most);
        waiting.extend(self.old.drain(rest..).rev());
        for pid in waiting {
            if self.table.with_id(pid).is_none() {
                self.describe(pid, time, sink);
            }
        }
    }

    /// Reads one process, and passes it on after those of its ancestors that are not known yet.
    fn describe(&mut self, pid: u32, time: Time, sink: &mut Sink<'_>) {
        let process = match self.reader.describe(pid) {
            Ok(process) => process,
            Err(reason) => {
                self.note_unread(reason);
                return;
            }
        };
        if self.table.has_ended(process.key) {
            return; // what is left of it waits for its parent
        }
        self.tell_ancestors(&process, time, sink);
        self.pass_on(process, time, sink);
    }

    fn note_unread(&mut self, reason: Unread) {
        self.ledger.received(Stage::Processes, 1);
        let why = match reason {
            Unread::Gone => "ended before it was read",
            Unread::NoPermission => "no permission",
            Unread::Failed => "failed",
        };
        *self.unread.entry(why).or_insert(0) += 1;
        match reason {
            Unread::Gone => self.ledger.dropped(Stage::Processes, 1),
            Unread::NoPermission | Unread::Failed => self.ledger.failed(Stage::Processes, 1),
        }
    }

    /// Passes on the ancestors of a process, the oldest first, unless that was done.
    fn tell_ancestors(&mut self, process: &Process, time: Time, sink: &mut Sink<'_>) {
        let parent = process.ancestors.first();
        if parent.is_none_or(|parent| self.table.is_told(parent.key)) {
            return;
        }
        let ancestors = process.ancestors.clone();
        for key in ancestors.iter().rev().map(|ancestor| ancestor.key) {
            if self.table.is_told(key) {
                continue;
            }
            if self.table.get(key).is_some() || self.table.has_ended(key) {
                self.tell_alone(key, time, sink);
            } else if let Ok(ancestor) = self.reader.describe(key.pid)
                && ancestor.key == key
            {
                // One that ended meanwhile is only in the chain.
                self.pass_on(ancestor, time, sink);
            }
        }
    }

    /// Passes on what was read from `/proc`.
    fn pass_on(&mut self, mut process: Process, time: Time, sink: &mut Sink<'_>) {
        self.ledger.received(Stage::Processes, 1);
        self.ledger.passed(Stage::Processes, 1);
        if let Some(inspector) = &self.inspector {
            inspector.hash_if_known(&mut process);
        }
        self.keep_what_is_not_read(&mut process);
        let process = Arc::new(process);
        let key = process.key;
        if time.since(process.started) < YOUNG {
            self.young.insert(key.pid);
        }
        self.end_who_had_the_id(key, time, sink);
        let executable = self.folder.executable_of(key.pid).ok();
        let uses_network = self.table.get(key).is_some_and(|before| before.uses_network);
        let standard_sockets = self.table.get(key).and_then(|before| before.standard_sockets);
        let mut known = Known::new(process.clone());
        known.executable = executable;
        known.uses_network = uses_network;
        known.standard_sockets = standard_sockets.filter(|_| process.flags.standard_socket);
        known.is_told = true;
        self.table.insert(known);
        sink(Observation::Process(time, process.clone()));
        if let Some(inspector) = &self.inspector
            && !process.flags.kernel_thread
            && process.unread != Some(Unread::Gone)
        {
            // A full queue counts the loss itself.
            let _is_queued = inspector.submit(process);
        }
    }

    /// The same program, read again: what was found out about it elsewhere stays true.
    fn keep_what_is_not_read(&self, process: &mut Process) {
        if let Some(before) = self.table.get(process.key)
            && before.process.executable == process.executable
            && before.process.script == process.script
        {
            process.flags.standard_socket |= before.process.flags.standard_socket;
            process.script_sha256.clone_from(&before.process.script_sha256);
        }
    }

    /// Another process has the id of this one: it has ended, though nobody said so.
    fn end_who_had_the_id(&mut self, key: ProcessKey, time: Time, sink: &mut Sink<'_>) {
        let before = self.table.with_id(key.pid).map(|known| known.process.key);
        if let Some(before) = before.filter(|before| *before != key) {
            self.end(before, None, time, sink);
        }
    }

    /// Reads again what may have become another program, or whose file was deleted or replaced: young processes, and by
    /// the file they run those that use the network, and the others in turn.
    pub(crate) fn check(&mut self, look: u32, time: Time, sink: &mut Sink<'_>) {
        let mut again: Vec<ProcessKey> = Vec::new();
        self.young.retain(|pid| {
            let Some(known) = self.table.with_id(*pid) else {
                return false;
            };
            again.push(known.process.key);
            time.since(known.process.started) < YOUNG
        });
        for known in self.table.living() {
            let key = known.process.key;
            if (known.uses_network || key.pid % TURNS == look % TURNS)
                && !known.process.flags.kernel_thread
                && let Some(before) = known.executable
                && let Ok(executable) = self.folder.executable_of(key.pid)
                && before != executable
            {
                again.push(key);
            }
        }
        for key in again {
            let Ok(mut process) = self.reader.describe(key.pid) else {
                continue;
            };
            self.keep_what_is_not_read(&mut process);
            let Some(before) = self.table.get_mut(key) else {
                continue;
            };
            if before.is_from_kernel() && before.process.executable == process.executable {
                self.complete(process, time, sink);
            } else if is_another_program(&before.process, &process) {
                self.pass_on(process, time, sink);
            }
        }
    }

    /// A process is gone; tells it if it had been described.
    pub(crate) fn gone(&mut self, pid: u32, start: Option<u64>, time: Time, sink: &mut Sink<'_>) {
        let Some(key) = self.table.with_id(pid).map(|known| known.process.key) else {
            return;
        };
        if start.is_none_or(|start| key.start == start) {
            self.end(key, None, time, sink);
        }
    }

    /// Passes on processes of which the helper pool has found out more.
    pub(crate) fn fetch(&mut self, sink: &mut Sink<'_>) {
        while let Some(inspected) = self
            .inspector
            .as_ref()
            .and_then(|inspector| inspector.results().try_recv().ok())
        {
            let (subject, is_found) = match inspected {
                Inspected::Done(subject) | Inspected::Unhashed(subject, _) => (subject, true),
                Inspected::Gone(subject) => (subject, false),
            };
            let waiting = self.remember_answer(&subject, is_found);
            if is_found {
                self.apply(subject.process.key, &subject, sink);
                for key in waiting {
                    self.apply(key, &subject, sink);
                }
            } else if subject.file.is_some() {
                self.late += 1;
                self.ask_again(waiting);
            }
        }
    }

    /// Notes what was found out about a file that the kernel named; returns who else asked.
    fn remember_answer(&mut self, subject: &Subject, is_found: bool) -> Vec<ProcessKey> {
        let Some(question) = question(subject) else {
            return Vec::new();
        };
        if is_found {
            let answer = Answer {
                sha256: subject.process.sha256.clone(),
                package: subject.process.package.clone(),
            };
            let executable = question.executable.clone();
            self.answers.insert(question.file, executable, answer);
        }
        self.answers.answered(&question)
    }

    /// Nobody knows where the file of one process is; another that ran the same may live.
    fn ask_again(&mut self, mut waiting: Vec<ProcessKey>) {
        while let Some(key) = waiting.pop() {
            let subject = self.table.get(key).map(|known| Subject {
                process: known.process.clone(),
                file: known.file,
            });
            if let Some(inspector) = &self.inspector
                && let Some(subject) = subject
                && let Some(question) = question(&subject)
                && inspector.submit_told(subject)
            {
                self.answers.ask(question, waiting);
                return;
            }
            self.late += 1;
        }
    }

    /// Gives a process what was found out about its file.
    fn apply(&mut self, key: ProcessKey, found: &Subject, sink: &mut Sink<'_>) {
        let now = clock::now();
        // While it was inspected the process may have been read again, or have ended.
        let target = match self.table.get_mut(key) {
            Some(known) => Some((&mut known.process, known.file, known.is_told)),
            None => {
                let late = self.table.late(key, now);
                late.map(|late| (late.process, late.file, late.is_told))
            }
        };
        let Some((process, file, is_told)) = target else {
            return;
        };
        let found_process = &found.process;
        if process.executable != found_process.executable || found.file.is_some() && file != found.file {
            return;
        }
        let is_same_script = process.script == found_process.script;
        if process.sha256 == found_process.sha256
            && process.package == found_process.package
            && (!is_same_script || process.script_sha256 == found_process.script_sha256)
        {
            return;
        }
        let changed = Arc::make_mut(process);
        changed.sha256.clone_from(&found_process.sha256);
        changed.package.clone_from(&found_process.package);
        if is_same_script {
            changed.script_sha256.clone_from(&found_process.script_sha256);
        }
        if is_told {
            sink(Observation::Process(now, process.clone()));
        }
    }

    /// Tells what was too late to be found out since this was told last.
    fn tell_losses(&mut self, time: Time, sink: &mut Sink<'_>) {
        let late = std::mem::take(&mut self.late);
        if late > 0 {
            self.ledger.dropped(Stage::LateLookups, late);
            sink(Observation::Gap(Gap {
                time,
                stage: Stage::LateLookups,
                count: late,
                reason: Text::from(
                    "processes ended, and their files were gone, before the files were hashed",
                ),
            }));
        }
    }

    /// The processes that could not be described since this was asked last, by reason.
    pub(crate) fn take_unread(&mut self) -> BTreeMap<&'static str, u32> {
        std::mem::take(&mut self.unread)
    }

    /// How many processes are known to live.
    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.table.living().count()).unwrap_or(u32::MAX)
    }

    /// How many processes are being inspected.
    pub(crate) fn pending(&self) -> usize {
        self.inspector.as_ref().map_or(0, Inspector::pending)
    }
}

fn question(subject: &Subject) -> Option<Question> {
    Some(Question {
        file: subject.file?,
        executable: subject.process.executable.clone(),
        script: subject.process.script.clone(),
    })
}

fn is_another_program(before: &Process, now: &Process) -> bool {
    before.key != now.key
        || before.executable != now.executable
        || before.name != now.name
        || before.command_line != now.command_line
        || before.flags != now.flags
}
