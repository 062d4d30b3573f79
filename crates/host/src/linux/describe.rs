//! Describing processes: each once, again when it became another program or when more is known of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use atalaya_model::process::Unread;
use atalaya_model::{Ledger, Observation, Process, ProcessKey, Span, Stage, Text, Time};

use crate::collector::{Options, Sink};
use crate::linux::hash::inspector::{self, Inspected, Inspector};
use crate::linux::owners::numbers::{NumberMap, NumberSet};
use crate::linux::owners::proc_folder::{Executable, ProcFolder};
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
    known: NumberMap<u32, Known>,
    /// Named by a socket, and not described yet.
    needed: Vec<ProcessKey>,
    /// Started lately, and not described yet.
    new: Vec<u32>,
    /// There before the watch began, and not described yet.
    old: Vec<u32>,
    young: NumberSet<u32>,
    /// Since the last look, by reason.
    unread: BTreeMap<&'static str, u32>,
    ledger: Ledger,
}

#[derive(Debug)]
struct Known {
    process: Arc<Process>,
    /// Its executable when it was described.
    executable: Option<Executable>,
    /// A socket named it: it is checked at every look.
    uses_network: bool,
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
        Ok(Self {
            reader: ProcessReader::new(command_lines)?,
            folder: ProcFolder::open().map_err(|error| HostError::file("read", "/proc")(error.into()))?,
            inspector,
            known: NumberMap::default(),
            needed: Vec::new(),
            new: Vec::new(),
            old: Vec::new(),
            young: NumberSet::default(),
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

    /// A socket names this process.
    pub(crate) fn need(&mut self, key: ProcessKey) {
        let known = self
            .known
            .get_mut(&key.pid)
            .filter(|known| known.process.key == key);
        let is_known = known.is_some();
        if let Some(known) = known {
            known.uses_network = true;
        }
        if !is_known && self.needed.last() != Some(&key) {
            self.needed.push(key);
        }
    }

    /// A new socket names this process: it is described anew if it has become another program since.
    pub(crate) fn need_as_it_is_now(&mut self, key: ProcessKey) {
        self.need(key);
        if let Some(known) = self.known.get(&key.pid)
            && known.process.key == key
            && self.needed.last() != Some(&key)
            && known.executable.is_some()
            && self
                .folder
                .executable_of(key.pid)
                .is_ok_and(|now| known.executable != Some(now))
        {
            self.needed.push(key);
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
        for key in needed.drain(..) {
            self.describe(key.pid, time, sink);
            if !self.is_known(key) {
                // It ended since its socket was found. The socket is still told with who held it.
                let mut process = Process::bare(key, Text::from("?"), self.reader.started(key));
                process.unread = Some(Unread::Gone);
                self.pass_on(process, time, sink);
            }
        }
        self.needed = needed;
    }

    /// Describes new processes, and at most `most` of the old ones that still wait.
    pub(crate) fn describe_some(&mut self, most: usize, time: Time, sink: &mut Sink<'_>) {
        let now = self.new.len().min(MOST_NEW);
        let new: Vec<u32> = self.new.drain(..now).collect();
        for pid in new {
            if !self.known.contains_key(&pid) {
                self.describe(pid, time, sink);
            }
        }
        for _ in 0..most {
            let Some(pid) = self.old.pop() else {
                break;
            };
            if !self.known.contains_key(&pid) {
                self.describe(pid, time, sink);
            }
        }
    }

    /// Reads one process, and passes it on after those of its ancestors that are not known yet.
    fn describe(&mut self, pid: u32, time: Time, sink: &mut Sink<'_>) {
        let process = match self.reader.describe(pid) {
            Ok(process) => process,
            Err(reason) => {
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
                return;
            }
        };
        let ancestors: Vec<ProcessKey> = process
            .ancestors
            .iter()
            .rev()
            .map(|ancestor| ancestor.key)
            .filter(|key| !self.is_known(*key))
            .collect();
        for key in ancestors {
            // An ancestor that ended meanwhile is only in the chain.
            if let Ok(ancestor) = self.reader.describe(key.pid)
                && ancestor.key == key
            {
                self.pass_on(ancestor, time, sink);
            }
        }
        self.pass_on(process, time, sink);
    }

    fn is_known(&self, key: ProcessKey) -> bool {
        self.known
            .get(&key.pid)
            .is_some_and(|known| known.process.key == key)
    }

    fn pass_on(&mut self, mut process: Process, time: Time, sink: &mut Sink<'_>) {
        self.ledger.received(Stage::Processes, 1);
        self.ledger.passed(Stage::Processes, 1);
        if let Some(inspector) = &self.inspector {
            inspector.hash_if_known(&mut process);
        }
        let process = Arc::new(process);
        let key = process.key;
        if time.since(process.started) < YOUNG {
            self.young.insert(key.pid);
        }
        if let Some(before) = self.known.get(&key.pid)
            && before.process.key != key
        {
            sink(Observation::ProcessGone(time, before.process.key));
        }
        let known = Known {
            process: process.clone(),
            executable: self.folder.executable_of(key.pid).ok(),
            uses_network: self.known.get(&key.pid).is_some_and(|before| before.uses_network),
        };
        self.known.insert(key.pid, known);
        sink(Observation::Process(time, process.clone()));
        if let Some(inspector) = &self.inspector
            && !process.flags.kernel_thread
            && process.unread != Some(Unread::Gone)
        {
            // A full queue counts the loss itself.
            let _is_queued = inspector.submit(process);
        }
    }

    /// Reads again what may have become another program, or whose file was deleted or replaced: young processes, and by
    /// the file they run those that use the network, and the others in turn.
    pub(crate) fn check(&mut self, look: u32, time: Time, sink: &mut Sink<'_>) {
        let mut again: Vec<u32> = self.young.iter().copied().collect();
        for (pid, known) in &self.known {
            if (known.uses_network || pid % TURNS == look % TURNS)
                && !known.process.flags.kernel_thread
                && let Ok(executable) = self.folder.executable_of(*pid)
                && known.executable.is_some_and(|before| before != executable)
            {
                again.push(*pid);
            }
        }
        for pid in again {
            let Some(before) = self.known.get(&pid).map(|known| known.process.clone()) else {
                self.young.remove(&pid);
                continue;
            };
            if time.since(before.started) >= YOUNG {
                self.young.remove(&pid);
            }
            if let Ok(process) = self.reader.describe(pid)
                && is_another_program(&before, &process)
            {
                self.pass_on(process, time, sink);
            }
        }
    }

    /// A process is gone; tells it if it had been described.
    pub(crate) fn gone(&mut self, pid: u32, start: Option<u64>, time: Time, sink: &mut Sink<'_>) {
        let is_same = |known: &Known| start.is_none_or(|start| known.process.key.start == start);
        if self.known.get(&pid).is_some_and(is_same)
            && let Some(known) = self.known.remove(&pid)
        {
            self.young.remove(&pid);
            sink(Observation::ProcessGone(time, known.process.key));
        }
    }

    /// Passes on processes of which the helper pool has found out more.
    pub(crate) fn fetch(&mut self, sink: &mut Sink<'_>) {
        let Some(inspector) = &self.inspector else {
            return;
        };
        while let Ok(inspected) = inspector.results().try_recv() {
            let found = match inspected {
                Inspected::Done(process) | Inspected::Unhashed(process, _) => process,
                Inspected::Gone(_) => continue,
            };
            // While it was inspected the process may have been read again, or have ended.
            let Some(known) = self.known.get_mut(&found.key.pid) else {
                continue;
            };
            let now = &known.process;
            if now.key != found.key || now.executable != found.executable {
                continue;
            }
            if now.sha256 == found.sha256 && now.package == found.package {
                continue;
            }
            let mut process = Process::clone(now);
            process.sha256.clone_from(&found.sha256);
            process.package.clone_from(&found.package);
            known.process = Arc::new(process);
            sink(Observation::Process(clock::now(), known.process.clone()));
        }
    }

    /// The processes that could not be described since this was asked last, by reason.
    pub(crate) fn take_unread(&mut self) -> BTreeMap<&'static str, u32> {
        std::mem::take(&mut self.unread)
    }

    /// How many processes are being inspected.
    pub(crate) fn pending(&self) -> usize {
        self.inspector.as_ref().map_or(0, Inspector::pending)
    }
}

fn is_another_program(before: &Process, now: &Process) -> bool {
    before.key != now.key
        || before.executable != now.executable
        || before.name != now.name
        || before.command_line != now.command_line
        || before.flags != now.flags
}
