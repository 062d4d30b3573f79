//! One writer: an advisory lock on `<database>.lock`, held as long as the writer lives.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::StoreError;

/// The lock; dropping it, or the death of the process, lets it go. The file itself stays: removing it would let two
/// processes hold locks on two files of the same name.
#[derive(Debug)]
pub(crate) struct Lock(File);

impl Drop for Lock {
    /// Closing alone would leave the lock with a child that was forked and has not begun its program yet.
    fn drop(&mut self) {
        if let Err(error) = self.0.unlock() {
            tracing::warn!(%error, "cannot let go of the database's lock");
        }
    }
}

impl Lock {
    /// Where the lock of a database is: beside the file itself, by whichever link it was named.
    pub(crate) fn path(database: &Path) -> PathBuf {
        let real = std::fs::canonicalize(database);
        let mut path = real.unwrap_or_else(|_| database.to_owned()).into_os_string();
        path.push(".lock");
        path.into()
    }

    /// Takes the lock, or says who has it.
    pub(crate) fn take(database: &Path) -> Result<Self, StoreError> {
        let path = Self::path(database);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|error| StoreError::io(&path, error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => {
                let mut text = String::new();
                let pid = match file.take(32).read_to_string(&mut text) {
                    Ok(_) => text.trim().parse().ok(),
                    Err(_) => None,
                };
                return Err(StoreError::Locked {
                    path: database.to_owned(),
                    pid,
                });
            }
            Err(std::fs::TryLockError::Error(error)) => return Err(StoreError::io(&path, error)),
        }
        // Who holds it is a courtesy: on a full disk the lock counts all the same.
        let named = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()));
        if let Err(error) = named {
            tracing::warn!(%error, "cannot write the pid into the lock file");
        }
        Ok(Self(file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_one_learns_who_was_first() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("a.db");
        let first = Lock::take(&database).unwrap();
        match Lock::take(&database) {
            Err(StoreError::Locked { pid, .. }) => assert_eq!(pid, Some(std::process::id())),
            other => panic!("{other:?}"),
        }
        std::fs::write(&database, "").unwrap();
        let link = folder.path().join("link.db");
        std::os::unix::fs::symlink("a.db", &link).unwrap();
        assert!(matches!(Lock::take(&link), Err(StoreError::Locked { .. })));
        // As a child has it between its fork and its program.
        let inherited = first.0.try_clone().unwrap();
        drop(first);
        Lock::take(&database).unwrap();
        drop(inherited);
    }
}
