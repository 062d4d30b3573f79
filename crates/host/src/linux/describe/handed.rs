//! Processes that somebody else has read, or made out: the tier that hears of execs and exits without their facts.

use std::sync::Arc;

use atalaya_model::{Observation, Process, ProcessKey, Time};

use super::Describer;
use crate::collector::Sink;

impl Describer {
    /// What was told of a process, as long as that is remembered: a while longer than it lives.
    pub(crate) fn told(&self, key: ProcessKey) -> Option<&Process> {
        match self.table.get(key) {
            Some(known) => known.is_told.then_some(&*known.process),
            None => self.table.ended(key),
        }
    }

    /// The process that has this id, as far as is known.
    pub(crate) fn with_id(&self, pid: u32) -> Option<ProcessKey> {
        self.table.with_id(pid).map(|known| known.process.key)
    }

    /// When a process with this key started.
    pub(crate) fn started(&self, key: ProcessKey) -> Time {
        self.reader.started(key)
    }

    /// Passes on a process, after those of its ancestors that are not known yet.
    pub(crate) fn tell(&mut self, process: Process, time: Time, sink: &mut Sink<'_>) {
        if !self.table.has_ended(process.key) {
            self.tell_ancestors(&process, time, sink);
            self.pass_on(process, time, sink);
        }
    }

    /// A process ended with this exit code; told if the process was.
    pub(crate) fn ended(&mut self, key: ProcessKey, code: i32, time: Time, sink: &mut Sink<'_>) {
        self.end(key, Some(code), time, sink);
    }

    pub(super) fn end(&mut self, key: ProcessKey, code: Option<i32>, time: Time, sink: &mut Sink<'_>) {
        if let Some(known) = self.table.get_mut(key)
            && code.is_some()
        {
            Arc::make_mut(&mut known.process).exit_code = code;
            if known.is_told {
                sink(Observation::Process(time, known.process.clone()));
            }
        }
        if self.table.end(key, time) == Some(true) {
            sink(Observation::ProcessGone(time, key));
        }
    }
}
