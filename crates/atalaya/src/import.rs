//! `atalaya import`: the logs of other sensors through the same engine as a watch. Time comes from their lines.

mod files;
mod lines;
mod order;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::io::Write;
use std::sync::Arc;

use atalaya_format::told::{Options, Told, What};
use atalaya_host::clock;
use atalaya_model::{Connection, Span, Time};

use crate::cli::ImportArgs;
use crate::config::load::Loaded;
use crate::engine::{Engine, Output};
use crate::exit::{Exit, Failure};
use crate::replay::results::Results;
use crate::setup;
use crate::terminal::Terminal;
use files::{Log, Source};
use order::{Moment, Order};

/// Files that are open at once, at most.
const OPEN: usize = 256;
/// Moments between two looks at the clock for the progress line.
const PROGRESS: u64 = 1 << 13;

/// Runs the verb.
///
/// # Errors
/// A wrong filter or configuration; nothing that can be read.
pub fn run(
    args: &ImportArgs,
    loaded: Loaded,
    terminal: &Terminal,
    out: &mut dyn Write,
) -> Result<Exit, Failure> {
    let sources = files::find(&args.files)?;
    let paths = sources.iter().filter_map(|source| source.path.as_deref());
    let mut results = Results::open(&args.results, paths, "import", terminal, out)?;
    results.summary.is_hearsay = true;
    let options = Options {
        query_strings: loaded.config.packets.query_strings,
    };
    let mut import = Import {
        engine: setup::engine_of_files(loaded, results.last_alert()?),
        results,
        order: Order::default(),
        out: Vec::new(),
        told: 0,
        now: Time(0),
        begun: clock::monotonic(),
        bad_lines: 0,
        damaged: false,
    };
    import.read(sources, options)?;
    import.finish()?;
    let Import {
        mut results,
        order,
        bad_lines,
        damaged,
        ..
    } = import;
    if bad_lines > 0 {
        let what = "lines that cannot be read".into();
        results.summary.left_out.push((what, bad_lines));
    }
    if order.late > 0 {
        let what = "beginnings and ends that were told after later ones".into();
        results.summary.left_out.push((what, order.late));
    }
    let exit = results.finish()?;
    Ok(if damaged { Exit::Failed } else { exit })
}

/// An import under way.
struct Import<'a> {
    engine: Engine,
    results: Results<'a>,
    order: Order,
    out: Vec<Output>,
    /// What was told so far.
    told: u64,
    now: Time,
    begun: Span,
    bad_lines: u64,
    /// Not everything could be read.
    damaged: bool,
}

impl Import<'_> {
    /// Reads all files, always on from the one that is furthest behind.
    fn read(&mut self, sources: Vec<Source>, options: Options) -> Result<(), Failure> {
        let mut waiting: VecDeque<Source> = sources.into();
        let mut logs: Vec<Option<Log>> = Vec::new();
        let mut next: BinaryHeap<Reverse<(Time, usize)>> = BinaryHeap::new();
        loop {
            let behind = next.peek().map(|Reverse((time, _))| *time);
            let is_due = |source: &Source| behind.is_none_or(|time| source.begins <= time);
            if next.len() < OPEN && waiting.front().is_some_and(is_due) {
                let Some(source) = waiting.pop_front() else {
                    continue;
                };
                match Log::open(&source, options) {
                    Ok(log) => {
                        self.results.summary.files += 1;
                        logs.push(Some(log));
                        self.go_on(&mut logs, &mut next, Place::Last);
                    }
                    Err(error) => self.failed(&format!("{}: cannot be opened: {error}", source.name)),
                }
                continue;
            }
            let Some(Reverse((_, index))) = next.pop() else {
                return Ok(());
            };
            let told = logs.get_mut(index).and_then(Option::as_mut).and_then(Log::take);
            if let Some(told) = told {
                self.take(told);
                while self.order.is_full() {
                    self.give()?;
                }
            }
            self.go_on(&mut logs, &mut next, Place::At(index));
        }
    }

    /// Finds out what a log tells next, and closes it at its end.
    fn go_on(
        &mut self,
        logs: &mut [Option<Log>],
        next: &mut BinaryHeap<Reverse<(Time, usize)>>,
        place: Place,
    ) {
        let index = match place {
            Place::Last => logs.len().saturating_sub(1),
            Place::At(index) => index,
        };
        let Some(slot) = logs.get_mut(index) else { return };
        let Some(log) = slot else { return };
        match log.peek() {
            Ok(Some(time)) => {
                next.push(Reverse((time, index)));
                return;
            }
            Ok(None) => {
                self.bad_lines += log.bad;
                if log.bad > 0 {
                    self.damaged = true;
                } else if !log.tells {
                    tracing::warn!("{}: nothing in it is of use here", log.name);
                }
            }
            Err(error) => {
                let message = format!("{}:{}: cannot be read on: {error}", log.name, log.line() + 1);
                self.failed(&message);
            }
        }
        *slot = None;
    }

    fn failed(&mut self, message: &str) {
        self.results.clear_progress();
        tracing::error!("{message}");
        self.damaged = true;
    }

    /// Puts what was told into its place in time.
    fn take(&mut self, told: Told) {
        self.told += 1;
        match told.what {
            What::Ended(mut connection) => {
                self.engine.introduce(&mut connection);
                let uid: Arc<str> = match &*told.uid {
                    "" => format!("#{}", connection.id).into(),
                    uid => uid.into(),
                };
                let connection: Arc<Connection> = Arc::from(connection);
                let ended = connection.ended.unwrap_or(connection.seen);
                self.order.put(
                    connection.started,
                    Moment::Opening(uid.clone(), connection.clone()),
                );
                self.order.put(ended, Moment::End(uid, connection));
            }
            What::Said(began, connection, message) => {
                self.order
                    .put(told.written, Moment::Saying(told.uid, began, connection, message));
            }
            What::Odd(finding) => self.order.put(finding.time, Moment::Oddity(finding)),
        }
    }

    /// Gives the earliest moment to the engine.
    fn give(&mut self) -> Result<bool, Failure> {
        let Some((time, moment)) = self.order.take() else {
            return Ok(false);
        };
        self.now = self.now.max(time);
        self.engine.tick(time, &mut self.out);
        self.engine.heard(
            |tracker, events| {
                tracker.heard_nothing(Some(time), events);
                match moment {
                    Moment::Opening(uid, connection) => {
                        tracker.heard_opening(time, &uid, &connection, events)
                    }
                    Moment::End(uid, connection) => tracker.heard_end(time, &uid, &connection, events),
                    Moment::Saying(uid, began, connection, message) => {
                        tracker.heard_saying((time, began), &uid, *connection, *message, events);
                    }
                    Moment::Oddity(finding) => return Some(*finding),
                }
                None
            },
            &mut self.out,
        );
        self.results.hand_out(&mut self.out)?;
        if self.told.is_multiple_of(PROGRESS) && self.results.shows_progress {
            let seconds = Span(clock::monotonic().0 - self.begun.0).as_seconds();
            let rate = self.told as f64 / seconds.max(0.001);
            let words = format!("{} lines told something, {rate:.0} a second", self.told);
            self.results.terminal.status(&words);
        }
        Ok(true)
    }

    /// Everything has been read: what is held back is given, and what is still open ends.
    fn finish(&mut self) -> Result<(), Failure> {
        while self.give()? {}
        self.engine.heard(
            |tracker, events| {
                tracker.heard_nothing(None, events);
                None
            },
            &mut self.out,
        );
        self.engine.finish(self.now, &mut self.out);
        self.results.hand_out(&mut self.out)?;
        self.results.clear_progress();
        self.results.close(self.now)
    }
}

/// Which log.
enum Place {
    Last,
    At(usize),
}
