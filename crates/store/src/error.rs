//! What can go wrong with the store, in words for the person who must act.

use std::path::PathBuf;

/// An error of the store. Messages are lower-case fragments that fit after `cannot use the store: `.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Written by a newer program; nothing was touched.
    #[error(
        "{} has schema version {found}, this program knows up to {known}; use the newer program, or another file",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest version that this program knows.
        known: i64,
    },
    /// Written by an older program, and opened only for reading: a writer brings it up to date.
    #[error(
        "{} has the older schema version {found} (now {known}); start `atalaya watch` once to bring it up to date",
        path.display()
    )]
    Older {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The version that this program reads.
        known: i64,
    },
    /// Not a SQLite file at all; nothing was touched.
    #[error("{} is not a database; nothing was changed, give another path", path.display())]
    NotADatabase {
        /// The file.
        path: PathBuf,
    },
    /// A SQLite database of another program; nothing was touched.
    #[error("{} is a database of another program; nothing was changed, give another path", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// A folder or a device where a file should be.
    #[error("{} is not a regular file; give the path of a file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// There is no file to read.
    #[error("{} does not exist; `atalaya watch` makes it", path.display())]
    Missing {
        /// The path.
        path: PathBuf,
    },
    /// Something is where a file was to be written.
    #[error("{} is in the way: {why}; give another name", path.display())]
    InTheWay {
        /// The path.
        path: PathBuf,
        /// What it is.
        why: &'static str,
    },
    /// The system does not allow it.
    #[error("no permission for {}; run as its owner or as root, or give another path", path.display())]
    Permission {
        /// The path.
        path: PathBuf,
    },
    /// A log lies beside the database, in a folder in which SQLite can make no files to read it.
    #[error(
        "{} has a log (-wal), which cannot be read in a folder that this user may not write; run as its owner or as root, \
         or read a copy by `atalaya db backup`",
        path.display()
    )]
    UnreadableLog {
        /// The database.
        path: PathBuf,
    },
    /// Another process writes this database.
    #[error("{} is in use by another watcher{}", path.display(), match pid { Some(pid) => format!(" (pid {pid})"), None => String::new() })]
    Locked {
        /// The file.
        path: PathBuf,
        /// The process that holds the lock, as it wrote it.
        pid: Option<u32>,
    },
    /// No room, or the disk failed. What was to be written is still with the caller and can be tried again.
    #[error("the disk is full or failing: {0}")]
    Full(String),
    /// A page that SQLite cannot read, or a row that cannot have been written by this program.
    #[error("the database is damaged: {0} (`atalaya db check` says what survives)")]
    Corrupt(String),
    /// A filter that cannot be asked of the store.
    #[error("{0}")]
    Filter(String),
    /// Anything else the operating system said.
    #[error("{}: {source}", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// What it said.
        source: std::io::Error,
    },
    /// Anything else SQLite said.
    #[error("sqlite: {0}")]
    Sqlite(rusqlite::Error),
}

impl StoreError {
    /// The error of the operating system about `path`.
    pub(crate) fn io(path: &std::path::Path, source: std::io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            std::io::ErrorKind::PermissionDenied => Self::Permission { path },
            std::io::ErrorKind::StorageFull => Self::Full(format!("{}: {source}", path.display())),
            _ => Self::Io { path, source },
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{DatabaseCorrupt, DiskFull, NotADatabase, SystemIoFailure};
        match error.sqlite_error_code() {
            Some(DiskFull | SystemIoFailure) => Self::Full(error.to_string()),
            Some(DatabaseCorrupt | NotADatabase) => Self::Corrupt(error.to_string()),
            _ => Self::Sqlite(error),
        }
    }
}

impl From<serde_json::Error> for StoreError {
    fn from(error: serde_json::Error) -> Self {
        Self::Corrupt(error.to_string())
    }
}
