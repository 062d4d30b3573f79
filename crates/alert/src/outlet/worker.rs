//! One outlet's thread: takes items off its queue, renders them, writes the lines, and gets over errors.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use atalaya_model::{AlertRecord, Ledger, Severity, Stage, Text, Time};
use crossbeam_channel::{Receiver, after, never, select};
use parking::Parking;

use super::{Choose, Item, OnTrouble, Trouble};

/// Turns an item into whole lines, or nothing.
pub(super) trait Render: Send {
    fn render(&mut self, item: &Item, out: &mut String);
}

/// Takes whole lines: all of them, or none and an error.
pub(super) trait Sink: Send {
    fn write(&mut self, lines: &[u8], time: Time) -> io::Result<()>;

    /// Where it writes, for messages.
    fn place(&self) -> String;
}

/// A terminal, a pipe: whatever the app hands over.
pub(super) struct Stream(pub(super) Box<dyn Write + Send>);

impl Sink for Stream {
    fn write(&mut self, lines: &[u8], _: Time) -> io::Result<()> {
        self.0.write_all(lines)?;
        self.0.flush()
    }

    fn place(&self) -> String {
        "console".to_owned()
    }
}

/// What others may ask of a running outlet.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) written: AtomicU64,
    pub(super) lost: AtomicU64,
    /// The last wait for room in its queue was in vain.
    pub(super) stuck: AtomicBool,
    pub(super) last_error: Parking<Option<Text>>,
}

/// A value that one thread writes now and then and others read.
mod parking {
    use std::sync::{Mutex, PoisonError};

    #[derive(Debug, Default)]
    pub(crate) struct Parking<T>(Mutex<T>);

    impl<T: Clone> Parking<T> {
        pub(crate) fn get(&self) -> T {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
        }

        pub(crate) fn set(&self, value: T) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = value;
        }
    }
}

/// Bytes gathered for one write, about: small enough that a nearly full disk still takes some.
const BATCH_BYTES: usize = 64 << 10;
/// Bytes kept while the sink is in trouble, at most. Lines beyond are lost and counted; other lines than alerts are
/// lost already at half of it.
const BACKLOG_BYTES: usize = 4 << 20;
/// Bytes that wait for their turn, about; more are written before it.
const HELD_BYTES: usize = 1 << 20;
const FIRST_RETRY: Duration = Duration::from_millis(250);
const LAST_RETRY: Duration = Duration::from_secs(30);
/// Alerts whose severity is remembered, so that counts of repeats go where the alert went.
const REMEMBERED: usize = 4_096;

/// An outlet's thread and all it owns.
pub(super) struct Worker {
    pub(super) name: Text,
    pub(super) queue: Receiver<Item>,
    pub(super) render: Box<dyn Render>,
    pub(super) sink: Box<dyn Sink>,
    /// Ticks when lines are written; never where they are written at once.
    pub(super) pace: Receiver<Instant>,
    /// Lines wait for the next tick.
    pub(super) is_paced: bool,
    pub(super) minimum_severity: Severity,
    pub(super) choose: Option<Choose>,
    pub(super) shared: Arc<Shared>,
    pub(super) ledger: Ledger,
    pub(super) on_trouble: OnTrouble,
    pub(super) backlog: Backlog,
    pub(super) told: VecDeque<u64>,
}

/// Items that wait to be written, each with its length and number of records.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    text: String,
    lengths: VecDeque<(usize, u64)>,
    time: Time,
}

impl Worker {
    /// Runs until the queue is closed and empty.
    pub(super) fn run(mut self) {
        let mut retry_in = FIRST_RETRY;
        let mut retry = never();
        let mut in_trouble = false;
        loop {
            let mut closed = false;
            let mut ticked = false;
            let mut retried = false;
            select! {
                recv(self.queue) -> item => match item {
                    Ok(item) => self.take(&item),
                    Err(_) => closed = true,
                },
                recv(self.pace) -> _ => ticked = true,
                recv(retry) -> _ => retried = true,
            }
            while self.backlog.text.len() < BATCH_BYTES
                && let Ok(item) = self.queue.try_recv()
            {
                self.take(&item);
            }
            let is_time = !self.is_paced || ticked || self.backlog.text.len() >= HELD_BYTES;
            if closed || retried || (is_time && !in_trouble) {
                match self.write() {
                    Ok(()) if in_trouble => {
                        in_trouble = false;
                        retry_in = FIRST_RETRY;
                        retry = never();
                        self.tell(None);
                    }
                    Ok(()) => {}
                    Err(error) => {
                        if !in_trouble {
                            in_trouble = true;
                            self.tell(Some(&error));
                        }
                        retry = after(retry_in);
                        retry_in = (retry_in * 2).min(LAST_RETRY);
                    }
                }
            }
            if closed {
                break;
            }
        }
        self.lose(self.backlog.lengths.iter().map(|(_, records)| records).sum());
    }

    /// Renders an item onto the backlog.
    fn take(&mut self, item: &Item) {
        if !self.is_wanted(item) {
            // Left out by choice: no loss, and dealt with.
            self.ledger.passed(Stage::Outlet, item.records());
            return;
        }
        let is_alert = matches!(item, Item::Alert(_));
        let room = if is_alert {
            BACKLOG_BYTES
        } else {
            BACKLOG_BYTES / 2
        };
        if self.backlog.text.len() >= room {
            self.lose(item.records());
            return;
        }
        let before = self.backlog.text.len();
        let render = &mut self.render;
        let text = &mut self.backlog.text;
        // One record that cannot be shown must not stop the outlet, let alone the watch.
        let rendered = catch_unwind(AssertUnwindSafe(|| render.render(item, text)));
        if rendered.is_err() {
            self.backlog.text.truncate(before);
            self.shared
                .last_error
                .set(Some("a record could not be rendered".into()));
            self.lose(item.records());
        } else if self.backlog.text.len() > before {
            let length = self.backlog.text.len() - before;
            self.backlog.lengths.push_back((length, item.records()));
            self.backlog.time = item.time();
        } else {
            self.ledger.passed(Stage::Outlet, item.records());
        }
    }

    /// The outlet's own choice: severity, also for the counts of repeats, and the filter.
    fn is_wanted(&mut self, item: &Item) -> bool {
        if self.choose.as_ref().is_some_and(|choose| !choose(item)) {
            return false;
        }
        let Item::Alert(record) = item else {
            return true;
        };
        match &**record {
            AlertRecord::Raised(alert) => {
                let wanted = alert.finding.severity >= self.minimum_severity;
                if wanted {
                    if self.told.len() == REMEMBERED {
                        self.told.pop_front();
                    }
                    self.told.push_back(alert.id);
                }
                wanted
            }
            // Ids rise, so the list is sorted.
            AlertRecord::Repeated { alert, .. } => self.told.binary_search(alert).is_ok(),
            AlertRecord::Acknowledged { .. } | AlertRecord::Closed { .. } => true,
        }
    }

    fn write(&mut self) -> io::Result<()> {
        while !self.backlog.text.is_empty() {
            let (mut items, mut records, mut length) = (0, 0, 0);
            for (bytes, count) in &self.backlog.lengths {
                if items > 0 && length + bytes > BATCH_BYTES {
                    break;
                }
                items += 1;
                records += count;
                length += bytes;
            }
            self.sink
                .write(&self.backlog.text.as_bytes()[..length], self.backlog.time)?;
            self.backlog.text.drain(..length);
            self.backlog.lengths.drain(..items);
            self.shared.written.fetch_add(records, Ordering::Relaxed);
            self.ledger.passed(Stage::Outlet, records);
        }
        self.backlog.text.shrink_to(2 * BATCH_BYTES);
        Ok(())
    }

    fn lose(&self, count: u64) {
        if count > 0 {
            self.shared.lost.fetch_add(count, Ordering::Relaxed);
            self.ledger.dropped(Stage::Outlet, count);
        }
    }

    /// Tells a change for the worse, once, and for the better.
    fn tell(&self, error: Option<&io::Error>) {
        let message = error.map(|error| Text::from(format!("cannot write {}: {error}", self.sink.place())));
        self.shared.last_error.set(message.clone());
        if error.is_some() {
            self.ledger.failed(Stage::Outlet, 1);
        }
        (self.on_trouble)(&Trouble {
            outlet: self.name.clone(),
            error: message,
            lost: self.shared.lost.load(Ordering::Relaxed),
        });
    }
}
