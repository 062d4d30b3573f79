//! The store's thread: batches what the engine gives it, keeps the database within its limits, and outlives a full
//! disk, a damaged file and one that was removed. What it cannot keep is counted, and told as a gap when it can write
//! again.

mod renewal;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use atalaya_host::clock;
use atalaya_model::live::StoreStatus;
use atalaya_model::memory::Memory;
use atalaya_model::{Event, Fact, Gap, Ledger, Span, Stage, Time};
use atalaya_store::{Entry, Reader, StoreError, Writer, Written};
use crossbeam_channel::{Receiver, RecvTimeoutError, SendTimeoutError, Sender, TrySendError, bounded};

use crate::config::load::Loaded;
use crate::config::store::Store;
use crate::exit::Failure;
use crate::paths::Places;

pub use renewal::set_aside;
use renewal::{Leaving, file_at};

/// Entries that wait for the writer, at most.
const QUEUE: usize = 65_536;
/// Entries in one transaction, at most.
const BATCH: usize = 8_192;
/// How long entries are gathered.
const GATHER: Duration = Duration::from_millis(250);
/// How often old rows are dropped and the log is brought into the file.
const HOUSEKEEPING: Span = Span::from_seconds(60);
/// Rows that one slice of retention may delete, or entries that one transaction of the sums may write, and how long a slice
/// of either may take: batches wait for it.
const SLICE: usize = 2_000;
const SLICE_TIME: Span = Span(25_000);
/// Bytes of the log from which on it is emptied, for which batches wait.
const LONGEST_LOG: u64 = 256 << 20;
/// How often the log is brought into the file beside the writer.
const CHECKPOINT: Duration = Duration::from_secs(1);
/// Longest pause between two tries at a full disk.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How often a pause is interrupted to see whether the watch ends.
const BLINK: Duration = Duration::from_millis(100);
/// Tries at a full disk once the watch ends.
const LAST_TRIES: u32 = 3;

/// The handle of the store's thread.
pub struct Keeper {
    sender: Sender<Entry>,
    thread: Option<JoinHandle<()>>,
    status: Arc<Mutex<StoreStatus>>,
    mood: Arc<Mood>,
    ledger: Ledger,
}

/// What the engine's and the store's thread must know of each other at once.
#[derive(Debug, Default)]
struct Mood {
    /// Nothing can be written now: nobody waits for room.
    in_trouble: AtomicBool,
    /// There will be no more entries: no more waiting for a disk that is full.
    is_closing: AtomicBool,
}

/// Where the store is: the flag, else the configuration, else the usual place.
pub fn path(flag: Option<&Path>, loaded: &Loaded, places: &Places) -> PathBuf {
    let configured = flag
        .map(Path::to_path_buf)
        .or_else(|| loaded.config.store.path.clone());
    configured.unwrap_or_else(|| places.store.clone())
}

/// Who remembers that learning began, until it is over.
const LEARNING: &str = "learning";

/// Says in the store that what is remembered is only a part of what is ordinary here, or no longer so.
pub fn learning_mark(goes_on: bool) -> Entry {
    Entry::Memory(Memory {
        detector: LEARNING.into(),
        version: 1,
        key: "unfinished".into(),
        bytes: goes_on.then(Vec::new),
    })
}

/// Is it known what is ordinary here? Not if nothing is remembered, or a watch ended while it learnt.
pub fn has_learnt(memory: &[Memory]) -> bool {
    let unfinished = |memory: &Memory| &*memory.detector == LEARNING && memory.bytes.is_some();
    !memory.is_empty() && !memory.iter().any(unfinished)
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
        let file = file_at(writer.path());
        let (sender, receiver) = bounded(QUEUE);
        let mood = Arc::new(Mood::default());
        let work = Work {
            writer,
            receiver,
            mood: Arc::clone(&mood),
            status: Arc::clone(&status),
            ledger: ledger.clone(),
            policy: loaded.config.store.clone(),
            told: 0,
            file,
            beside: None,
            leaving: None,
            renewed: None,
            tier: None,
        };
        let thread = std::thread::Builder::new()
            .name("store".into())
            .spawn(move || work.run())
            .map_err(|error| Failure::Failed(format!("cannot start the store's thread: {error}")))?;
        Ok(Self {
            sender,
            thread: Some(thread),
            status,
            mood,
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
            Err(TrySendError::Full(entry)) if patience(&entry).is_none() => self.wait_for_room(entry),
            Err(_) => true,
        };
        if lost {
            self.ledger.dropped(Stage::Store, 1);
        }
    }

    /// Waits for room while the store makes some; with a full disk the watch goes on instead. True when it was lost.
    fn wait_for_room(&self, mut entry: Entry) -> bool {
        while !self.mood.in_trouble.load(Ordering::Relaxed) {
            match self.sender.send_timeout(entry, GATHER) {
                Ok(()) => return false,
                Err(SendTimeoutError::Timeout(back)) => entry = back,
                Err(SendTimeoutError::Disconnected(_)) => return true,
            }
        }
        true
    }

    /// How the store is.
    pub fn status(&self) -> StoreStatus {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Writes what waits and ends the run.
    pub fn close(mut self) {
        self.mood.is_closing.store(true, Ordering::Relaxed);
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
        Fact::ConnectionOpened(_) | Fact::ListenerAppeared(_) | Fact::Protocol(_) => Some(6),
        Fact::ConnectionClosed(_) | Fact::ProcessEnded(_) | Fact::ListenerGone(_) => Some(7),
        _ => None,
    }
}

struct Work {
    writer: Writer,
    receiver: Receiver<Entry>,
    status: Arc<Mutex<StoreStatus>>,
    mood: Arc<Mood>,
    ledger: Ledger,
    /// What is kept.
    policy: Store,
    /// Losses that a gap has told of.
    told: u64,
    /// The file that is written, as it was when it was opened.
    file: Option<(u64, u64)>,
    beside: Option<Beside>,
    /// Why this file must be left, until another is open.
    leaving: Option<Leaving>,
    /// When a damaged file was last left, by the monotonic clock.
    renewed: Option<Span>,
    /// The last change of tier: another file begins with it.
    tier: Option<Entry>,
}

impl Work {
    fn run(mut self) {
        self.beside = Some(Beside::of(&self.writer));
        let mut batch = Vec::new();
        let mut kept_house = clock::monotonic();
        let (mut is_rolling_up, mut is_dropping) = (false, false);
        let (mut is_even, mut failed) = (false, false);
        loop {
            let open = self.gather(&mut batch);
            self.write(&mut batch);
            let now = clock::monotonic();
            // A file that is left needs no care.
            let is_due = now.0 - kept_house.0 >= HOUSEKEEPING.0 && self.leaving.is_none();
            if is_due {
                kept_house = now;
                (is_rolling_up, is_dropping, failed) = (true, true, false);
                self.checkpoint();
            }
            // A batch waits for one slice, of the one or the other.
            is_even = !is_even;
            is_rolling_up |= self.writer.is_rolling_up() && !failed;
            if is_rolling_up && (is_even || !is_dropping) {
                let more = self.roll_up();
                (is_rolling_up, failed) = (more.unwrap_or(false), more.is_none());
            } else if is_dropping {
                is_dropping = self.drop_old();
            }
            if !open && batch.is_empty() {
                break;
            }
        }
        self.beside = None;
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
    fn write(&mut self, batch: &mut Vec<Entry>) {
        let mut pause = Duration::from_millis(500);
        let mut tries = 0u32;
        let mut last_tries = 0;
        while !batch.is_empty() {
            match self.try_to_write(batch) {
                Ok(_) if file_at(self.writer.path()) != self.file => {
                    // It went where nobody will read it, and is written again to where somebody does.
                    self.leaving = Some(Leaving::Gone);
                }
                Ok(written) => {
                    self.ledger.passed(Stage::Store, batch.len() as u64);
                    self.ledger.dropped(Stage::Store, written.refused);
                    self.remember_tier(batch);
                    batch.clear();
                    self.mood.in_trouble.store(false, Ordering::Relaxed);
                    self.tell(None);
                    let lost = self.lost();
                    if lost > self.told {
                        batch.push(gap(
                            lost - self.told,
                            "the store could not keep up, or could not write",
                        ));
                        self.told = lost;
                    }
                }
                Err(error) if self.must_leave(&error) => {}
                Err(error) => {
                    if tries == 0 {
                        tracing::error!(%error, "the store cannot be written; trying again");
                    }
                    self.tell(Some(&error.to_string()));
                    self.mood.in_trouble.store(true, Ordering::Relaxed);
                    tries = tries.saturating_add(1);
                    if self.is_closing() {
                        last_tries += 1;
                        pause = BLINK;
                    }
                    if last_tries >= LAST_TRIES {
                        self.give_up(batch);
                        return;
                    }
                    self.rest(pause);
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    /// Writes the batch, if need be to another file.
    fn try_to_write(&mut self, batch: &mut Vec<Entry>) -> Result<Written, StoreError> {
        self.renew(batch)?;
        self.writer.write(batch)
    }

    fn is_closing(&self) -> bool {
        self.mood.is_closing.load(Ordering::Relaxed)
    }

    /// Sleeps, but not through the end of the watch.
    fn rest(&self, pause: Duration) {
        let begun_open = !self.is_closing();
        let mut left = pause;
        while !left.is_zero() && (!begun_open || !self.is_closing()) {
            let slice = left.min(BLINK);
            std::thread::sleep(slice);
            left -= slice;
        }
    }

    /// The watch ends, and what waits cannot be written.
    fn give_up(&self, batch: &mut Vec<Entry>) {
        let waiting = self.receiver.try_iter().count();
        let lost = batch.len() + waiting;
        self.ledger.dropped(Stage::Store, lost as u64);
        tracing::error!(lost, "entries could not be kept");
        batch.clear();
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

    /// Drops a slice of what is too old or too much. Is there more?
    fn drop_old(&mut self) -> bool {
        let policy = self.policy.retention(clock::now());
        let deadline = clock::Deadline::after(SLICE_TIME);
        let is_over = || deadline.left().is_none();
        match self.writer.retain_until(policy, SLICE, &is_over) {
            Ok(retained) => retained.more,
            Err(error) => {
                tracing::warn!(%error, "old rows could not be dropped");
                self.must_leave(&error);
                false
            }
        }
    }

    /// Writes a slice of the sums behind the panels. Is there more? `None` where it failed.
    fn roll_up(&mut self) -> Option<bool> {
        let deadline = clock::Deadline::after(SLICE_TIME);
        let is_over = || deadline.left().is_none();
        match self.writer.roll_up_until(clock::now(), SLICE, &is_over) {
            Ok(more) => Some(more),
            Err(error) => {
                tracing::warn!(%error, "the sums could not be written; trying again in a minute");
                self.must_leave(&error);
                None
            }
        }
    }

    /// Empties the log where it became long; what is in it another thread brings into the file.
    fn checkpoint(&mut self) {
        let is_short = self
            .writer
            .stats()
            .is_ok_and(|stats| stats.log_bytes < LONGEST_LOG);
        if is_short && self.beside.as_ref().is_some_and(|beside| beside.thread.is_some()) {
            return;
        }
        if let Err(error) = self.writer.checkpoint() {
            tracing::warn!(%error, "the write-ahead log could not be brought into the database");
        }
    }
}

/// The thread that brings the log into the file, so that no batch waits for it. Ends when this is dropped.
struct Beside {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Beside {
    /// Starts it; without it the writer does so itself.
    fn of(writer: &Writer) -> Self {
        let (stop, stopped) = bounded::<()>(0);
        let thread = match writer.checkpointer() {
            Ok(checkpointer) => std::thread::Builder::new()
                .name("store-log".into())
                .spawn(move || {
                    while stopped.recv_timeout(CHECKPOINT) == Err(RecvTimeoutError::Timeout) {
                        if let Err(error) = checkpointer.run() {
                            tracing::debug!(%error, "the write-ahead log could not be brought into the database");
                        }
                    }
                })
                .inspect_err(|error| tracing::warn!(%error, "no thread for the store's log"))
                .ok(),
            Err(error) => {
                tracing::warn!(%error, "the store's log is brought in between batches");
                None
            }
        };
        Self {
            stop: Some(stop),
            thread,
        }
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of the store's log failed");
        }
    }
}

/// What the store itself lost, as an event.
fn gap(count: u64, reason: &str) -> Entry {
    let time: Time = clock::now();
    let reason = reason.into();
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    /// A file system of 3 MB that goes with its guard; `None` without the right to mount.
    struct Small<'a>(&'a Path);

    impl<'a> Small<'a> {
        #[expect(clippy::disallowed_methods, reason = "a test may mount")]
        fn mount(folder: &'a Path) -> Option<Self> {
            let mut mount = Command::new("mount");
            mount.args(["-t", "tmpfs", "-o", "size=3m", "tmpfs"]).arg(folder);
            let mounted = mount.stderr(Stdio::null()).status();
            mounted.is_ok_and(|status| status.success()).then(|| Self(folder))
        }
    }

    impl Drop for Small<'_> {
        #[expect(clippy::disallowed_methods, reason = "a test may unmount")]
        fn drop(&mut self) {
            drop(Command::new("umount").arg("-l").arg(self.0).status());
        }
    }

    #[test]
    fn a_damaged_database_is_set_aside_and_a_new_one_begins() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let now = Time::from_seconds(1_700_000_000);
        let options = atalaya_store::Options::new(atalaya_model::Text::from("boot"), "test", now);
        let mut writer = Writer::open(&path, &options).unwrap();
        let gaps = |reason: &str| (0..400).map(|count| gap(count, reason)).collect::<Vec<_>>();
        writer.write(&gaps(&"x".repeat(400))).unwrap();
        writer.close(now).unwrap();
        // What was written last.
        let mut bytes = std::fs::read(&path).unwrap();
        let begin = bytes.len() - 100_000;
        bytes[begin..].fill(0xA5);
        std::fs::write(&path, bytes).unwrap();
        let writer = Writer::open(&path, &options).unwrap();
        let loaded = crate::config::load::load(None, Path::new("/nonexistent"), now).unwrap();
        let keeper = Keeper::start(writer, &loaded, Ledger::default()).unwrap();
        for entry in gaps("y") {
            keeper.send(entry);
        }
        keeper.close();
        let names: Vec<_> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        assert!(
            names.iter().any(|name| name.starts_with("a.db.damaged-")),
            "{names:?}"
        );
        let reader = Reader::open(&path).unwrap();
        let reasons: Vec<_> = reader
            .history(Time(0)..Time(i64::MAX))
            .filter_map(|event| match event.unwrap().fact {
                Fact::Gap(gap) => Some(gap.reason),
                _ => None,
            })
            .collect();
        assert_eq!(reasons.iter().filter(|reason| &***reason == "y").count(), 400);
        assert!(
            reasons.iter().any(|reason| reason.contains("was damaged")),
            "{reasons:?}"
        );
    }

    #[test]
    fn learning_that_was_cut_short_is_not_over() {
        let Entry::Memory(mark) = learning_mark(true) else {
            panic!("no memory");
        };
        let learnt = Memory {
            detector: "unusual_listener".into(),
            version: 1,
            key: "/usr/sbin/sshd|tcp|22".into(),
            bytes: Some(Vec::new()),
        };
        assert!(!has_learnt(&[]));
        assert!(!has_learnt(&[learnt.clone(), mark]));
        assert!(has_learnt(&[learnt]));
    }

    #[test]
    fn a_full_disk_holds_up_neither_the_watch_nor_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let Some(_mounted) = Small::mount(folder.path()) else {
            println!("skipped: mounting a small file system needs root");
            return;
        };
        let now = Time::from_seconds(1_700_000_000);
        let options = atalaya_store::Options::new(atalaya_model::Text::from("boot"), "test", now);
        let writer = Writer::open(&folder.path().join("a.db"), &options).unwrap();
        let loaded = crate::config::load::load(None, Path::new("/nonexistent"), now).unwrap();
        let ledger = Ledger::default();
        let keeper = Keeper::start(writer, &loaded, ledger.clone()).unwrap();
        let (done, finished) = bounded(1);
        let work = move || {
            // Gaps are never shed, and more of them than queue and disk hold.
            for count in 0..2 * QUEUE as u64 {
                let gap = Gap {
                    time: now,
                    stage: Stage::Outlet,
                    count,
                    reason: format!("{count}: {}", "x".repeat(200)).into(),
                };
                keeper.send(Entry::Event(Event::new(now, Fact::Gap(gap))));
            }
            assert!(keeper.status().error.is_some());
            keeper.close();
            done.send(()).unwrap();
        };
        let thread = std::thread::Builder::new()
            .name("engine".into())
            .spawn(work)
            .unwrap();
        assert_eq!(finished.recv_timeout(Duration::from_secs(60)), Ok(()), "it hangs");
        thread.join().unwrap();
        let counts = ledger.counts();
        let store = counts.iter().find(|count| count.stage == Stage::Store).unwrap();
        assert_eq!(store.received, 2 * QUEUE as u64);
        assert!(
            store.dropped > 0 && store.passed + store.dropped >= store.received,
            "{store:?}"
        );
    }
}
