//! What becomes of what the engine tells: written, summed up, kept.

use std::path::Path;
use std::sync::Arc;

use atalaya_host::clock;
use atalaya_model::{AlertRecord, Event, Fact, Severity, Time};
use atalaya_report::Traffic;
use atalaya_store::{Entry, Options as StoreOptions, Writer};

use super::writing::Writing;
use crate::engine::Output;
use crate::exit::{Exit, Failure};
use crate::setup::VERSION;
use crate::terminal::Terminal;

/// Rows that are given to the store at once.
const BATCH: usize = 8_192;

/// Opens a database for what comes from files. `source` stands for the boot: it is of no boot of this host.
pub(crate) fn open_store(path: &Path, source: &str) -> Result<Writer, Failure> {
    let options = StoreOptions::new(source, VERSION, clock::now());
    Writer::open(path, &options).map_err(|error| store_failed(&error))
}

/// The highest id of an alert so far.
pub(crate) fn last_alert(store: Option<&Writer>) -> Result<u64, Failure> {
    store
        .map_or(Ok(0), Writer::last_alert)
        .map_err(|error| store_failed(&error))
}

fn store_failed(error: &atalaya_store::StoreError) -> Failure {
    Failure::Failed(format!("cannot use the store: {error}"))
}

/// Whoever wants the results of a run.
pub(crate) struct Results<'a> {
    writing: Writing<'a>,
    pub(crate) summary: Traffic,
    store: Option<Writer>,
    entries: Vec<Entry>,
    worst: Option<Severity>,
    pub(crate) terminal: &'a Terminal,
    is_quiet: bool,
    pub(crate) shows_progress: bool,
}

impl<'a> Results<'a> {
    pub(crate) fn new(
        writing: Writing<'a>,
        store: Option<Writer>,
        terminal: &'a Terminal,
        is_quiet: bool,
    ) -> Self {
        Self {
            writing,
            summary: Traffic::default(),
            store,
            entries: Vec::new(),
            worst: None,
            terminal,
            is_quiet,
            shows_progress: terminal.stderr && !is_quiet,
        }
    }

    pub(crate) fn clear_progress(&self) {
        if self.shows_progress {
            self.terminal.status("");
        }
    }

    /// Gives everything that came out of the engine to whoever wants it.
    pub(crate) fn hand_out(&mut self, out: &mut Vec<Output>) -> Result<(), Failure> {
        for output in out.drain(..) {
            match output {
                Output::Event(event) => self.event(&event)?,
                Output::Alert(record) => self.alert(record)?,
                Output::Memory(_) => {}
            }
        }
        Ok(())
    }

    fn event(&mut self, event: &Arc<Event>) -> Result<(), Failure> {
        match &event.fact {
            // Nobody reads a summary that is not shown.
            _ if self.is_quiet => {}
            Fact::ConnectionClosed(connection) => self.summary.connection(connection),
            Fact::Protocol(protocol) => self.summary.protocol(protocol),
            _ => {}
        }
        self.writing.event(event)?;
        if self.store.is_some() {
            self.keep(Entry::Event(Event::clone(event)))?;
        }
        Ok(())
    }

    fn alert(&mut self, record: Arc<AlertRecord>) -> Result<(), Failure> {
        if let AlertRecord::Raised(alert) = &*record {
            self.worst = self.worst.max(Some(alert.finding.severity));
            self.summary.alert(alert);
        }
        self.clear_progress();
        self.writing.alert(&record)?;
        if self.store.is_some() {
            self.keep(Entry::Alert(Arc::unwrap_or_clone(record)))?;
        }
        Ok(())
    }

    fn keep(&mut self, entry: Entry) -> Result<(), Failure> {
        self.entries.push(entry);
        if self.entries.len() >= BATCH {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Failure> {
        if let Some(store) = &mut self.store {
            store.write(&self.entries).map_err(|error| store_failed(&error))?;
            self.entries.clear();
        }
        Ok(())
    }

    /// Gives the store the rest, and closes it.
    pub(crate) fn close(&mut self, now: Time) -> Result<(), Failure> {
        self.flush()?;
        if let Some(store) = self.store.take() {
            store.close(now).map_err(|error| store_failed(&error))?;
        }
        Ok(())
    }

    /// Writes the summary; says how it went.
    pub(crate) fn finish(self) -> Result<Exit, Failure> {
        let exit = Exit::of_findings(self.worst, Severity::High);
        let is_wanted = !self.is_quiet && self.summary.files > 0;
        self.writing.finish(is_wanted.then_some(&self.summary))?;
        std::mem::forget(self.summary); // see `replay`
        Ok(exit)
    }
}
