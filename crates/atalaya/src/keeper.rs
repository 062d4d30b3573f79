//! The store's thread: batches what the engine gives it, keeps the database within its limits, and outlives a full
//! disk. What it cannot keep is counted, and told as a gap when it can write again.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use atalaya_host::clock;
use atalaya_model::live::StoreStatus;
use atalaya_model::memory::Memory;
use atalaya_model::{Event, Fact, Gap, Ledger, Span, Stage, Time};
use atalaya_store::{Entry, Reader, Retention, Writer};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};

use crate::config::load::Loaded;
use crate::exit::Failure;
use crate::paths::Places;

/// Entries that wait for the writer, at most.
const QUEUE: usize = 65_536;
/// Entries in one transaction, at most.
const BATCH: usize = 8_192;
/// How long entries are gathered.
const GATHER: Duration = Duration::from_millis(250);
/// How often old rows are dropped and the log is brought into the file.
const HOUSEKEEPING: Span = Span::from_seconds(60);
/// Rows that one slice of retention may delete.
const SLICE: usize = 2_000;
/// Longest pause between two tries at a full disk.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The handle of the store's thread.
pub struct Keeper {
    sender: Sender<Entry>,
    thread: Option<JoinHandle<()>>,
    status: Arc<Mutex<StoreStatus>>,
    ledger: Ledger,
}

/// Where the store is: the flag, else the configuration, else the usual place.
pub fn path(flag: Option<&Path>, loaded: &Loaded, places: &Places) -> PathBuf {
    let configured = flag
        .map(Path::to_path_buf)
        .or_else(|| loaded.config.store.path.clone());
    configured.unwrap_or_else(|| places.store.clone())
}

/// What detectors remember of this host, if a store is there and may be read. For one look, none is no failure.
pub fn remembered(loaded: &Loaded) -> Vec<Memory> {
    let places = Places::of_this_user();
    let path = path(None, loaded, &places);
    if !loaded.config.store.enabled || !path.exists() {
        return Vec::new();
    }
    let memory = Reader::open(&path).and_then(|reader| reader.memory());
    memory.unwrap_or_else(|error| {
        tracing::debug!(%error, "the store cannot be read; detectors begin without a baseline");
        Vec::new()
    })
}

impl Keeper {
    /// Starts the thread with an open writer.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(writer: Writer, loaded: &Loaded, ledger: Ledger) -> Result<Self, Failure> {
        let status = Arc::new(Mutex::new(StoreStatus {
            path: writer.path().display().to_string().into(),
            bytes: 0,
            rows: 0,
            error: None,
        }));
        let keep = loaded.config.store.keep.0;
        let (sender, receiver) = bounded(QUEUE);
        let work = Work {
            writer,
            receiver,
            status: Arc::clone(&status),
            ledger: ledger.clone(),
            days: u32::try_from(keep.0 / 86_400_000_000).unwrap_or(u32::MAX),
            bytes: loaded.config.store.max_size.0,
            told: 0,
        };
        let thread = std::thread::Builder::new()
            .name("store".into())
            .spawn(move || work.run())
            .map_err(|error| Failure::Failed(format!("cannot start the store's thread: {error}")))?;
        Ok(Self {
            sender,
            thread: Some(thread),
            status,
            ledger,
        })
    }

    /// Hands over an entry. Under pressure updates go first, then opens, then closes; alerts, gaps, process starts and
    /// memories wait for room.
    pub fn send(&self, entry: Entry) {
        self.ledger.received(Stage::Store, 1);
        let room = match patience(&entry) {
            Some(share) => self.sender.len() * 8 < QUEUE * share,
            None => true,
        };
        if !room {
            self.ledger.dropped(Stage::Store, 1);
            return;
        }
        let lost = match self.sender.try_send(entry) {
            Ok(()) => false,
            Err(TrySendError::Full(entry)) if patience(&entry).is_none() => self.sender.send(entry).is_err(),
            Err(_) => true,
        };
        if lost {
            self.ledger.dropped(Stage::Store, 1);
        }
    }

    /// How the store is.
    pub fn status(&self) -> StoreStatus {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Writes what waits and ends the run.
    pub fn close(mut self) {
        let Self { sender, thread, .. } = &mut self;
        let (closed, _) = bounded(0);
        drop(std::mem::replace(sender, closed));
        if let Some(thread) = thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the store's thread failed; the last entries may be missing");
        }
    }
}

/// Up to how many eighths of the queue an entry may still be added; `None` for those that are never shed.
const fn patience(entry: &Entry) -> Option<usize> {
    let Entry::Event(event) = entry else { return None };
    match event.fact {
        Fact::ConnectionUpdated(_) | Fact::ProcessUpdated(_) | Fact::ListenerUpdated(_) => Some(4),
        Fact::ConnectionOpened(_) | Fact::ListenerAppeared(_) => Some(6),
        Fact::ConnectionClosed(_) | Fact::ProcessEnded(_) | Fact::ListenerGone(_) => Some(7),
        _ => None,
    }
}

struct Work {
    writer: Writer,
    receiver: Receiver<Entry>,
    status: Arc<Mutex<StoreStatus>>,
    ledger: Ledger,
    days: u32,
    bytes: u64,
    /// Losses that a gap has told of.
    told: u64,
}

impl Work {
    fn run(mut self) {
        let mut batch = Vec::new();
        let mut kept_house = clock::monotonic();
        loop {
            let open = self.gather(&mut batch);
            self.write(&mut batch, open);
            let now = clock::monotonic();
            if now.0 - kept_house.0 >= HOUSEKEEPING.0 {
                kept_house = now;
                self.keep_house();
            }
            if !open && batch.is_empty() {
                break;
            }
        }
        if let Err(error) = self.writer.close(clock::now()) {
            tracing::warn!(%error, "the store was not closed cleanly; nothing committed is lost");
        }
    }

    /// Waits for entries. False when there will be no more.
    fn gather(&self, batch: &mut Vec<Entry>) -> bool {
        let deadline = clock::Deadline::after(Span(i64::try_from(GATHER.as_micros()).unwrap_or(0)));
        while batch.len() < BATCH {
            let Some(left) = deadline.left() else { return true };
            match self.receiver.recv_timeout(left) {
                Ok(entry) => batch.push(entry),
                Err(RecvTimeoutError::Timeout) => return true,
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
        true
    }

    /// Writes the batch; tries again for as long as there is more to come, and gives up only when the watch ends.
    fn write(&mut self, batch: &mut Vec<Entry>, open: bool) {
        let mut pause = Duration::from_millis(500);
        let mut tries = 0;
        while !batch.is_empty() {
            match self.writer.write(batch) {
                Ok(written) => {
                    self.ledger.passed(Stage::Store, batch.len() as u64);
                    self.ledger.dropped(Stage::Store, written.refused);
                    batch.clear();
                    self.tell(None);
                    let lost = self.lost();
                    if lost > self.told {
                        batch.push(gap(lost - self.told));
                        self.told = lost;
                    }
                }
                Err(error) => {
                    if tries == 0 {
                        tracing::error!(%error, "the store cannot be written; trying again");
                    }
                    self.tell(Some(&error.to_string()));
                    tries += 1;
                    if !open && tries > 3 {
                        self.ledger.dropped(Stage::Store, batch.len() as u64);
                        tracing::error!(lost = batch.len(), "entries could not be kept");
                        batch.clear();
                        return;
                    }
                    std::thread::sleep(pause);
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    fn lost(&self) -> u64 {
        let counts = self.ledger.counts();
        counts
            .iter()
            .find(|count| count.stage == Stage::Store)
            .map_or(0, |count| count.dropped)
    }

    fn tell(&self, error: Option<&str>) {
        let stats = self.writer.stats().unwrap_or_default();
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        status.bytes = stats.bytes;
        status.rows = stats.rows;
        status.error = error.map(Into::into);
    }

    /// Drops what is too old or too much, slice by slice, and brings the log into the file.
    fn keep_house(&mut self) {
        let policy = Retention {
            days: self.days,
            bytes: self.bytes,
            now: clock::now(),
        };
        // A bounded number of slices a minute: the queue absorbs what comes meanwhile.
        for _ in 0..50 {
            match self.writer.retain(policy, SLICE) {
                Ok(retained) if retained.more && self.receiver.len() < QUEUE / 8 => {}
                Ok(_) => break,
                Err(error) => {
                    tracing::warn!(%error, "old rows could not be dropped");
                    break;
                }
            }
        }
        if let Err(error) = self.writer.checkpoint() {
            tracing::warn!(%error, "the write-ahead log could not be brought into the database");
        }
    }
}

fn gap(count: u64) -> Entry {
    let time: Time = clock::now();
    let reason = "the store could not keep up, or could not write".into();
    Entry::Event(Event::new(
        time,
        Fact::Gap(Gap {
            time,
            stage: Stage::Store,
            count,
            reason,
        }),
    ))
}
