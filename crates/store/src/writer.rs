//! The one writer of a database: batches in, each a transaction.

use std::path::{Path, PathBuf};
use std::time::Duration;

use atalaya_model::memory::Memory;
use atalaya_model::{AlertRecord, Event, Text, Time};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};

use crate::lock::Lock;
use crate::renewal::{Left, log_at};
use crate::retain::{self, Retained, Retention};
use crate::rows::Rows;
use crate::{StoreError, open, rollups};

/// Entries of the sums that are written for each one of a batch when they are too many: a batch adds fewer.
const RELIEF: usize = 8;

/// Entries of the sums in one transaction where nobody waits.
const ALL_AT_ONCE: usize = 1 << 16;

/// How often the log is looked at again for what came while it was brought in: each time less did.
const TURNS: u32 = 4;

/// Something to keep.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "one variant a kind of message")]
pub enum Entry {
    Event(Event),
    Alert(AlertRecord),
    Memory(Memory),
}

/// How a database is opened for writing.
#[derive(Clone, Debug)]
pub struct Options {
    /// The kernel's boot id: with pid and start time it makes the identity of a process.
    pub boot_id: Text,
    /// Version of the program.
    pub version: Text,
    /// When the run begins.
    pub now: Time,
    /// Memory for SQLite's page cache, in bytes.
    pub cache_bytes: u64,
}

impl Options {
    /// Options with a cache of 4 MiB.
    pub fn new(boot_id: impl Into<Text>, version: impl Into<Text>, now: Time) -> Self {
        Self {
            boot_id: boot_id.into(),
            version: version.into(),
            now,
            cache_bytes: 4 << 20,
        }
    }
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Rows inserted or changed.
    pub rows: u64,
    /// Updates that a later state of the same conversation replaced before they were written.
    pub folded: u64,
    /// Memory records beyond the model's limits, not kept.
    pub refused: u64,
}

/// How big the database is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Bytes on disk, the write-ahead log included.
    pub bytes: u64,
    /// Bytes of the write-ahead log.
    pub log_bytes: u64,
    /// Bytes within the file that are free for new rows.
    pub free_bytes: u64,
    /// Rows written since it was opened.
    pub rows: u64,
}

/// The one writer. Holds `<path>.lock` while it lives.
#[derive(Debug)]
pub struct Writer {
    pub(crate) connection: Connection,
    pub(crate) rows: Rows,
    pub(crate) options: Options,
    pub(crate) path: PathBuf,
    written: u64,
    /// The write-ahead log that was opened, by device and inode.
    pub(crate) log: Option<(u64, u64)>,
    /// What a file that was left leaves to the next one.
    pub(crate) left: Left,
    pub(crate) lock: Lock,
}

/// Brings the write-ahead log into the file, beside the writer.
#[derive(Debug)]
pub struct Checkpointer {
    connection: Connection,
}

impl Checkpointer {
    /// Brings in what no reader needs any more in the log, and what came meanwhile, so that the log can begin anew; holds up
    /// nobody. False where something is left.
    ///
    /// # Errors
    /// [`StoreError::Full`] on a full or failing disk.
    pub fn run(&self) -> Result<bool, StoreError> {
        for _ in 0..TURNS {
            let (log, done): (i64, i64) =
                self.connection
                    .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
                        Ok((row.get(1)?, row.get(2)?))
                    })?;
            if log == done {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Writer {
    /// Opens or makes the database at `path` (file 0600, missing folders 0700), and brings it up to date. The first event begins a run; a
    /// writer of which only alerts are asked leaves no trace as a watcher.
    ///
    /// # Errors
    /// A newer version, a file that is not ours, a folder, no permission, another writer: each its own variant, and
    /// nothing is changed.
    pub fn open(path: &Path, options: &Options) -> Result<Self, StoreError> {
        open::check_file(path)?;
        open::make_folder(path)?;
        let lock = Lock::take(path)?;
        let (connection, rows) = begin(path, options)?;
        Ok(Self {
            connection,
            rows,
            options: options.clone(),
            path: path.to_owned(),
            written: 0,
            log: log_at(path),
            left: Left::default(),
            lock,
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The highest alert id ever kept, so that new ids can go on after it; 0 where there is none.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn last_alert(&self) -> Result<u64, StoreError> {
        let id: Option<i64> = self
            .connection
            .query_row("SELECT max(id) FROM alert", [], |row| row.get(0))
            .optional()?
            .flatten();
        Ok(id.unwrap_or(0).cast_unsigned())
    }

    /// Writes a batch: all of it, or with an error none of it. The same batch may then be tried again.
    ///
    /// # Errors
    /// [`StoreError::Full`] on a full or failing disk.
    pub fn write(&mut self, batch: &[Entry]) -> Result<Written, StoreError> {
        if batch.is_empty() {
            return Ok(Written::default());
        }
        // First, as a batch that was written must not fail.
        if self.rows.is_full() {
            if self.is_rolling_up() {
                // More comes than is brought into the sums between the batches.
                self.roll(self.rows.newest(), RELIEF * batch.len())?;
            } else {
                self.rows.begin_rolling(self.rows.newest());
            }
        }
        let written = self.transact(|rows, connection| rows.write(connection, batch))?;
        self.written += written.rows;
        Ok(written)
    }

    /// Writes the newest state of open conversations, and the sums behind the panels, all at once. A watcher does so in
    /// slices ([`Writer::roll_up_until`]); by itself a writer does so only when there is much of it, and when it is closed.
    ///
    /// # Errors
    /// As [`Writer::write`].
    pub fn roll_up(&mut self, now: Time) -> Result<(), StoreError> {
        if self.is_rolling_up() {
            // What was begun does not reach so far.
            while self.roll(now, ALL_AT_ONCE)? {}
        }
        while self.roll(now, ALL_AT_ONCE)? {}
        Ok(())
    }

    /// The same, so many entries in one transaction, for as long as `is_over` does not say that it is enough, which is asked
    /// after each. Goes on with what was begun, where something was. True when there is more of it: call again, with
    /// pauses in which batches are written. Until then the panels may tell of a part of what came after the time that
    /// they name ([`crate::Answer::up_to`]).
    ///
    /// # Errors
    /// As [`Writer::write`].
    pub fn roll_up_until(
        &mut self,
        now: Time,
        slice_entries: usize,
        is_over: &dyn Fn() -> bool,
    ) -> Result<bool, StoreError> {
        loop {
            let more = self.roll(now, slice_entries)?;
            if !more || is_over() {
                return Ok(more);
            }
        }
    }

    /// Are the sums being written, and not all of them are yet?
    pub const fn is_rolling_up(&self) -> bool {
        self.rows.is_rolling_up()
    }

    /// One transaction of it. Is there more?
    fn roll(&mut self, now: Time, limit: usize) -> Result<bool, StoreError> {
        self.rows.begin_rolling(now);
        if !self.is_rolling_up() {
            return Ok(false);
        }
        let mut written = Written::default();
        let step = self.transact(|rows, connection| rows.roll(connection, limit, &mut written))?;
        self.rows.rolled(step);
        self.written += written.rows;
        Ok(self.is_rolling_up())
    }

    /// Writes what waits to be written and ends the run cleanly.
    ///
    /// # Errors
    /// As [`Writer::write`].
    pub fn close(mut self, now: Time) -> Result<(), StoreError> {
        self.roll_up(now)?;
        self.transact(|rows, connection| {
            connection.execute("UPDATE run SET ended = ?2 WHERE id = ?1", [rows.run, now.0])?;
            Ok(())
        })?;
        self.checkpoint()?;
        Ok(())
    }

    /// Brings the write-ahead log into the file and empties it. Never waits: where a reader is in the way it brings in what
    /// it can, and gives false; call again later.
    ///
    /// # Errors
    /// As [`Writer::write`].
    pub fn checkpoint(&mut self) -> Result<bool, StoreError> {
        let ask = |mode: &str| {
            let sql = format!("PRAGMA wal_checkpoint({mode})");
            self.connection.query_row(&sql, [], |row| row.get::<_, i64>(0))
        };
        self.connection.busy_timeout(Duration::ZERO)?;
        let emptied = match ask("TRUNCATE") {
            Ok(0) => Ok(true),
            Ok(_) => ask("PASSIVE").map(|_| false),
            Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy) => Ok(false),
            Err(error) => Err(error),
        };
        self.connection.busy_timeout(open::PATIENCE)?;
        Ok(emptied?)
    }

    /// What brings the write-ahead log into the file on another thread, every second or so, while this one writes: then no
    /// batch waits for that. Drop it before [`Writer::begin_anew`] and before the database is moved: SQLite removes the log by
    /// its path when the last of those who write is gone.
    ///
    /// # Errors
    /// As [`Writer::open`].
    pub fn checkpointer(&self) -> Result<Checkpointer, StoreError> {
        let connection = open::beside(&self.path)?;
        // Should it not come to it in time, the writer does it after all.
        self.connection
            .pragma_update(None, "wal_autocheckpoint", 64_000)?;
        Ok(Checkpointer { connection })
    }

    /// Deletes what the policy does not keep, at most `slice_rows` rows of it, and gives free space back. Call again while
    /// `more` is set, with pauses in which batches are written.
    ///
    /// # Errors
    /// As [`Writer::write`].
    pub fn retain(&mut self, policy: Retention, slice_rows: usize) -> Result<Retained, StoreError> {
        self.retain_until(policy, slice_rows, &|| false)
    }

    /// The same, and leaves off as soon as `is_over` says so, which is asked every hundred rows.
    ///
    /// # Errors
    /// As [`Writer::write`].
    pub fn retain_until(
        &mut self,
        policy: Retention,
        slice_rows: usize,
        is_over: &dyn Fn() -> bool,
    ) -> Result<Retained, StoreError> {
        let retained =
            self.transact(|rows, connection| retain::slice(connection, rows, policy, slice_rows, is_over));
        if retained.is_err() {
            self.rows.swept = retain::Swept::default();
        }
        let retained = retained?;
        if retained.forgets {
            self.rows.dictionaries.forget();
        }
        if retained.waits {
            self.roll_up_until(policy.now, slice_rows, is_over)?;
        }
        if !is_over() {
            retain::vacuum(&self.connection, slice_rows, is_over)?;
        }
        Ok(retained)
    }

    /// How big the database is.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn stats(&self) -> Result<Stats, StoreError> {
        let mut log = self.path.as_os_str().to_owned();
        log.push("-wal");
        let size = |path: &Path| match std::fs::metadata(path) {
            Ok(metadata) => Ok(metadata.len()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(StoreError::io(path, error)),
        };
        let log_bytes = size(Path::new(&log))?;
        let ask = |pragma| {
            self.connection
                .pragma_query_value(None, pragma, |row| row.get::<_, i64>(0))
        };
        let free = ask("freelist_count")?.saturating_mul(ask("page_size")?);
        Ok(Stats {
            bytes: size(&self.path)? + log_bytes,
            log_bytes,
            free_bytes: free.cast_unsigned(),
            rows: self.written,
        })
    }

    /// Runs `work` in one transaction, and takes back what it did to memory when either fails.
    fn transact<T>(
        &mut self,
        work: impl FnOnce(&mut Rows, &Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let before = self.rows.begin();
        let result = Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate)
            .map_err(StoreError::from)
            .and_then(|transaction| {
                let done = work(&mut self.rows, &transaction)?;
                transaction.commit()?;
                Ok(done)
            });
        if result.is_err() {
            self.rows.undo(before);
        }
        result
    }
}

/// A connection to the database, brought up to date, and the state of a writer that has written nothing yet.
pub(crate) fn begin(path: &Path, options: &Options) -> Result<(Connection, Rows), StoreError> {
    let connection = open::for_writing(path, options.cache_bytes)?;
    connection.execute(
        "INSERT INTO boot (boot_id) VALUES (?1) ON CONFLICT (boot_id) DO NOTHING",
        [&*options.boot_id],
    )?;
    let boot = connection.query_row(
        "SELECT id FROM boot WHERE boot_id = ?1",
        [&*options.boot_id],
        |row| row.get(0),
    )?;
    let journal = rollups::journal(&connection)?;
    let rows = Rows::new(boot, options.version.clone(), options.now, journal);
    Ok((connection, rows))
}
