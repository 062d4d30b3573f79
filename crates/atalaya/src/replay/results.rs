//! What becomes of what the engine tells: written, summed up, kept.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use atalaya_format::ecs::Context;
use atalaya_format::text::Style;
use atalaya_host::clock;
use atalaya_host::identity::Identity;
use atalaya_model::{AlertRecord, Event, Fact, Severity, Time};
use atalaya_report::Traffic;
use atalaya_store::{Entry, Options as StoreOptions, Writer};

use super::writing::Writing;
use crate::cli::ResultArgs;
use crate::engine::Output;
use crate::exit::{Exit, Failure};
use crate::setup::{self, VERSION};
use crate::terminal::Terminal;

/// Rows that are given to the store at once.
const BATCH: usize = 8_192;

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
    /// Opens what the flags name. `read` are the files that are read; `source` stands for the boot in the database: what
    /// comes from files is of no boot of this host.
    ///
    /// # Errors
    /// A wrong filter, a place that cannot be written, or is read.
    pub(crate) fn open<'b>(
        args: &ResultArgs,
        mut read: impl Iterator<Item = &'b Path>,
        source: &str,
        terminal: &'a Terminal,
        out: &'a mut dyn Write,
    ) -> Result<Self, Failure> {
        let filter = args.filter.as_deref().unwrap_or("");
        let filter =
            atalaya_model::filter::parse(filter).map_err(|error| Failure::Usage(error.to_string()))?;
        let written: Vec<_> = [&args.to, &args.store].into_iter().flatten().collect();
        if let [to, store] = written[..]
            && is_same(to, store)
        {
            return Err(Failure::Usage("--to and --store name the same file".to_owned()));
        }
        if let Some(file) = read.find(|file| written.iter().any(|to| is_same(file, to))) {
            let file = file.display();
            return Err(Failure::Usage(format!(
                "{file} is read: neither --to nor --store may name it"
            )));
        }
        // A store that cannot be opened costs nothing that is in the file to write to.
        let options = StoreOptions::new(source, VERSION, clock::now());
        let open = |path: &Path| Writer::open(path, &options).map_err(|error| store_failed(&error));
        let store = args.store.as_deref().map(open).transpose()?;
        let language = setup::language(args.common.lang);
        let style = Style {
            colour: terminal.colour,
            language,
        };
        let context = Context {
            of_captures: true,
            ..setup::context(&Identity::of_host(), language)
        };
        let is_quiet = args.common.quiet;
        Ok(Self {
            writing: Writing::open(args, filter, context, style, out)?,
            summary: Traffic::default(),
            store,
            entries: Vec::new(),
            worst: None,
            terminal,
            is_quiet,
            shows_progress: terminal.stderr && !is_quiet,
        })
    }

    /// The highest id of an alert in the database so far.
    pub(crate) fn last_alert(&self) -> Result<u64, Failure> {
        let store = self.store.as_ref();
        store
            .map_or(Ok(0), Writer::last_alert)
            .map_err(|error| store_failed(&error))
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

/// Whether two paths lead to one file.
pub(crate) fn is_same(one: &Path, other: &Path) -> bool {
    one == other
        || std::fs::canonicalize(one)
            .is_ok_and(|one| std::fs::canonicalize(other).is_ok_and(|other| one == other))
}
