//! A copy of a database in one file, while a watch writes it.
//!
//! SQLite writes the copy from one state of the database (`VACUUM INTO`), so it needs no write-ahead log and has no holes.
//! It grows under another name, is brought to the disk, opened, and then renamed: there is the old backup or the new one.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::lock::Lock;
use crate::{Reader, StoreError, open};

impl Reader {
    /// Copies the database as it is now to `to` (0600), also while it is written, and gives the copy's bytes. A backup that
    /// is there already is replaced once the new one is whole.
    ///
    /// # Errors
    /// A database that cannot be read; something at `to` that is no backup of ours, or in use; no room. Then `to` is as it
    /// was.
    pub fn backup(&self, to: &Path) -> Result<u64, StoreError> {
        let connection = self.connection();
        check_target(Path::new(connection.path().unwrap_or_default()), to)?;
        // Absolute, because SQLite takes a name that begins with `file:` for a URI.
        let partial =
            std::path::absolute(with_suffix(to, ".partial")).map_err(|error| StoreError::io(to, error))?;
        let file = claim(&partial)?;
        // The other file is no part of this database, but SQLite does not tell them apart. This one is open for reading.
        connection.pragma_update(None, "query_only", false)?;
        let copied = connection.execute("VACUUM INTO ?1", [partial.to_string_lossy()]);
        connection.pragma_update(None, "query_only", true)?;
        let copied = copied
            .map_err(|error| match StoreError::from(error) {
                // Of two disks.
                StoreError::Full(why) => StoreError::Full(format!("{}: {why}", to.display())),
                error => error,
            })
            .and_then(|_| finish(&file, &partial, to));
        if copied.is_err() {
            // It is worth nothing, and who reads of the error need not hear of it.
            drop(fs::remove_file(&partial));
        }
        copied
    }
}

/// May this path be written?
fn check_target(from: &Path, to: &Path) -> Result<(), StoreError> {
    if to.to_str().is_none() {
        return Err(in_the_way(to, "SQLite takes no path that is not UTF-8"));
    }
    let name = to.file_name().unwrap_or_default().to_string_lossy();
    if ["-wal", "-shm", "-journal", ".lock"]
        .iter()
        .any(|suffix| name.ends_with(suffix))
    {
        return Err(in_the_way(to, "files beside a database have such names"));
    }
    if let Ok(there) = fs::metadata(to) {
        let source = fs::metadata(from).map_err(|error| StoreError::io(from, error))?;
        if (there.dev(), there.ino()) == (source.dev(), source.ino()) {
            return Err(in_the_way(to, "it is the database itself"));
        }
        open::check_file(to)?;
        let (is_ours, has_log) = match there.len() {
            0 => (true, false),
            _ => open::marks(to)?,
        };
        if !is_ours {
            return Err(StoreError::Foreign { path: to.to_owned() });
        }
        if Lock::path(to).exists() {
            // Held: it says by whom.
            Lock::take(to)?;
        }
        if has_log {
            return Err(in_the_way(to, "a watch has written it since, it is no backup"));
        }
    }
    // A log would be taken for the copy's.
    for suffix in ["-wal", "-journal"] {
        if fs::metadata(with_suffix(to, suffix)).is_ok_and(|log| log.len() > 0) {
            return Err(in_the_way(to, "a database's log lies beside it"));
        }
    }
    Ok(())
}

fn in_the_way(path: &Path, why: &'static str) -> StoreError {
    StoreError::InTheWay {
        path: path.to_owned(),
        why,
    }
}

/// The empty file that the copy grows in, locked against another backup. What an interrupted one left is taken over.
fn claim(partial: &Path) -> Result<File, StoreError> {
    let failed = |error| StoreError::io(partial, error);
    if let Ok(there) = fs::symlink_metadata(partial)
        && !there.is_file()
    {
        return Err(in_the_way(partial, "it is not a regular file"));
    }
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(partial)
        .map_err(failed)?;
    if file.try_lock().is_err() {
        return Err(in_the_way(partial, "another backup writes it"));
    }
    file.set_len(0).map_err(failed)?;
    Ok(file)
}

/// Brings the copy to the disk, sees that it opens, and gives it its name.
fn finish(file: &File, partial: &Path, to: &Path) -> Result<u64, StoreError> {
    file.sync_all().map_err(|error| StoreError::io(partial, error))?;
    Reader::open(partial)?;
    fs::rename(partial, to).map_err(|error| StoreError::io(to, error))?;
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| StoreError::io(folder, error))?;
    let copy = fs::metadata(to).map_err(|error| StoreError::io(to, error))?;
    Ok(copy.len())
}

/// The path with something after its name.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
