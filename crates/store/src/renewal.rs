//! When the file is damaged, or gone, while it is written: another one takes its place, under the same lock.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use atalaya_model::Time;
use atalaya_model::memory::Memory;
use rusqlite::Connection;
use rusqlite::config::DbConfig;

use crate::backup::with_suffix;
use crate::lock::Lock;
use crate::writer::begin;
use crate::{Entry, StoreError, Writer, maintain, memory, open};

/// What a file that was left leaves to the next one.
#[derive(Debug, Default)]
pub(crate) struct Left {
    /// What detectors remember.
    memory: Vec<Memory>,
    /// Where it is kept.
    kept: Option<PathBuf>,
}

impl Writer {
    /// Sets a database aside that turned out to be damaged, and goes on in a new one at its path. What detectors remember
    /// is taken along as far as it can be read. Gives the place of the old one.
    ///
    /// # Errors
    /// No permission, a full disk. Then nothing can be written until a later call succeeds.
    pub fn begin_anew(&mut self, now: Time) -> Result<PathBuf, StoreError> {
        self.let_go()?;
        let kept = match self.left.kept.clone() {
            // A call before came so far.
            Some(kept) => kept,
            None => maintain::move_aside(&self.path, now)?,
        };
        self.left.kept = Some(kept.clone());
        self.begin_here(now)?;
        Ok(kept)
    }

    /// Leaves a file that is no longer at its path: goes on in a new one there, or in another of ours that somebody put
    /// there. What detectors remember is taken along.
    ///
    /// # Errors
    /// As [`Writer::open`]. Then nothing can be written until a later call succeeds.
    pub fn begin_again(&mut self, now: Time) -> Result<(), StoreError> {
        // Our log would be taken for that of whatever is at the path next.
        let is_ours = !self.path.exists() || self.log == log_at(&self.path);
        self.let_go()?;
        if is_ours {
            ["-wal", "-shm"]
                .into_iter()
                .try_for_each(|suffix| remove(&with_suffix(&self.path, suffix)))?;
        }
        open::check_file(&self.path)?;
        open::make_folder(&self.path)?;
        if !Lock::path(&self.path).exists() {
            self.lock = Lock::take(&self.path)?;
        }
        self.begin_here(now)
    }

    /// Closes the file that is open. Its log stays as it is, to be looked at.
    fn let_go(&mut self) -> Result<(), StoreError> {
        if self.connection.path().is_none_or(str::is_empty) {
            return Ok(()); // a call before came so far
        }
        self.left = Left {
            memory: memory::read(&self.connection).unwrap_or_default(),
            kept: None,
        };
        let old = std::mem::replace(&mut self.connection, Connection::open_in_memory()?);
        old.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        Ok(())
    }

    fn begin_here(&mut self, now: Time) -> Result<(), StoreError> {
        self.options.now = now;
        let (connection, rows) = begin(&self.path, &self.options)?;
        (self.connection, self.rows) = (connection, rows);
        self.log = log_at(&self.path);
        let memory: Vec<_> = self.left.memory.iter().cloned().map(Entry::Memory).collect();
        self.write(&memory)?;
        self.left = Left::default();
        Ok(())
    }
}

/// The write-ahead log of a database, by device and inode.
pub(crate) fn log_at(path: &Path) -> Option<(u64, u64)> {
    let found = fs::metadata(with_suffix(path, "-wal")).ok()?;
    Some((found.dev(), found.ino()))
}

fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(StoreError::io(path, error)),
        _ => Ok(()),
    }
}
