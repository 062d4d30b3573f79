//! Opening the file: what may be opened, how a new one is made, and the settings of every connection to it.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::backup::with_suffix;
use crate::{StoreError, rebuild, views};

/// `Ata1` in the header of every database of ours.
const APPLICATION: i64 = 0x4174_6131;

/// Migration n brings a database from version n to n + 1. Never change one that was released: add one.
pub(crate) const MIGRATIONS: &[&str] = &[
    include_str!("schema/0001.sql"),
    include_str!("schema/0002.sql"),
    include_str!("schema/0003.sql"),
    include_str!("schema/0004.sql"),
];

/// The schema version of this program.
pub(crate) const VERSION: i64 = MIGRATIONS.len() as i64;

/// How long one waits for another's lock.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// Bytes of the page; set when a database is made.
const PAGE: i64 = 8192;

/// Opens for writing; makes folder (0700) and file (0600) where they are missing.
pub(crate) fn for_writing(path: &Path, cache_bytes: u64) -> Result<Connection, StoreError> {
    check_file(path)?;
    if !path.exists() {
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(|error| StoreError::io(path, error))?;
    }
    let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE, cache_bytes)?;
    if connection.is_readonly("main")? {
        return Err(StoreError::Permission {
            path: path.to_owned(),
        });
    }
    let version = version(&connection, path)?;
    if version == 0 {
        connection.pragma_update(None, "page_size", PAGE)?;
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    }
    // Before the file is ours and current it keeps its rollback journal, so that its header tells the truth.
    migrate(&mut connection, version)?;
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if mode != "wal" {
        tracing::warn!(
            mode,
            "no write-ahead log on this file system: readers will wait for the writer"
        );
    }
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "wal_autocheckpoint", 4_000)?;
    // The log is written over and over. To cut it off takes a tenth of a second or two, in which a batch would wait.
    connection.pragma_update(None, "journal_size_limit", -1)?;
    views::lay_over(&connection)?;
    Ok(connection)
}

/// Opens once more beside the writer, only to bring its log into the file.
pub(crate) fn beside(path: &Path) -> Result<Connection, StoreError> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE, 64 << 10)?;
    connection.busy_timeout(Duration::ZERO)?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "journal_size_limit", -1)?;
    Ok(connection)
}

/// Opens for reading only.
pub(crate) fn for_reading(path: &Path, cache_bytes: u64) -> Result<Connection, StoreError> {
    if !path.exists() {
        return Err(StoreError::Missing {
            path: path.to_owned(),
        });
    }
    check_file(path)?;
    let open = |name: &Path, flags| {
        let connection = connect(name, OpenFlags::SQLITE_OPEN_READ_ONLY | flags, cache_bytes)?;
        Ok((version(&connection, path)?, connection))
    };
    let (found, connection) = match open(path, OpenFlags::empty()) {
        // SQLite wants to make the files of a log, in a folder that we may not write. Where there is no log, none is needed.
        Err(StoreError::Permission { .. }) if File::open(path).is_ok() && !has_log(path) => {
            open(&unchanging(path)?, OpenFlags::SQLITE_OPEN_URI)?
        }
        Err(StoreError::Permission { .. }) if File::open(path).is_ok() => {
            return Err(StoreError::UnreadableLog {
                path: path.to_owned(),
            });
        }
        opened => opened?,
    };
    match found {
        VERSION => {}
        0 => {
            return Err(StoreError::NotADatabase {
                path: path.to_owned(),
            });
        }
        found => {
            return Err(StoreError::Older {
                path: path.to_owned(),
                found,
                known: VERSION,
            });
        }
    }
    views::lay_over(&connection)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

/// Opens what may be damaged so much that SQLite takes no question of it: only to see what survives.
pub(crate) fn for_checking(path: &Path, cache_bytes: u64) -> Result<Connection, StoreError> {
    match for_reading(path, cache_bytes) {
        Err(StoreError::Corrupt(_)) => {}
        opened => return opened,
    }
    // It passes over a file shorter than its header says, and over rows of the schema that make no sense.
    let mode = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let connection = connect_with(path, mode, cache_bytes, true)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

/// Lies anything in a log beside the database?
fn has_log(path: &Path) -> bool {
    // What one may not look at may be there.
    let log = std::fs::metadata(with_suffix(path, "-wal"));
    log.map_or_else(
        |error| error.kind() != std::io::ErrorKind::NotFound,
        |log| log.len() > 0,
    )
}

/// The name under which SQLite reads a file as one that nobody changes: without locks, and without a log.
fn unchanging(path: &Path) -> Result<PathBuf, StoreError> {
    let path = std::path::absolute(path).map_err(|error| StoreError::io(path, error))?;
    let mut name = String::from("file://");
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                name.push(char::from(*byte))
            }
            byte => name.push_str(&format!("%{byte:02x}")),
        }
    }
    name.push_str("?immutable=1");
    Ok(name.into())
}

/// Makes the folder of a database, readable only by its owner.
pub(crate) fn make_folder(path: &Path) -> Result<(), StoreError> {
    let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) else {
        return Ok(());
    };
    if folder.is_dir() {
        return Ok(());
    }
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|error| StoreError::io(folder, error))
}

/// Refuses what is not ours by looking at the header alone, before SQLite touches anything.
pub(crate) fn check_file(path: &Path) -> Result<(), StoreError> {
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(StoreError::io(path, error)),
    };
    if !metadata.is_file() {
        return Err(StoreError::NotAFile {
            path: path.to_owned(),
        });
    }
    let mut header = Vec::with_capacity(100);
    File::open(path)
        .and_then(|file| file.take(100).read_to_end(&mut header))
        .map_err(|error| StoreError::io(path, error))?;
    if header.is_empty() {
        return Ok(()); // made, and nothing written yet
    }
    if header.len() < 100 || !header.starts_with(b"SQLite format 3\0") {
        return Err(StoreError::NotADatabase {
            path: path.to_owned(),
        });
    }
    let number = |at: usize| {
        header[at..at + 4]
            .iter()
            .fold(0_i64, |number, byte| number << 8 | i64::from(*byte))
    };
    judge(path, number(68), number(60))
}

/// What the header of a database that is not empty says: is it ours (those of most other programs have no mark at all),
/// and has it a write-ahead log?
pub(crate) fn marks(path: &Path) -> Result<(bool, bool), StoreError> {
    let mut header = [0; 72];
    File::open(path)
        .and_then(|mut file| file.read_exact(&mut header))
        .map_err(|error| StoreError::io(path, error))?;
    Ok((header[68..] == APPLICATION.to_be_bytes()[4..], header[18] == 2))
}

/// Is this application id and version one that we may open?
fn judge(path: &Path, application: i64, found: i64) -> Result<(), StoreError> {
    if application != APPLICATION && (application != 0 || found != 0) {
        return Err(StoreError::Foreign {
            path: path.to_owned(),
        });
    }
    if found > VERSION {
        return Err(StoreError::Newer {
            path: path.to_owned(),
            found,
            known: VERSION,
        });
    }
    Ok(())
}

fn connect(path: &Path, mode: OpenFlags, cache_bytes: u64) -> Result<Connection, StoreError> {
    connect_with(path, mode, cache_bytes, false)
}

fn connect_with(
    path: &Path,
    mode: OpenFlags,
    cache_bytes: u64,
    damaged: bool,
) -> Result<Connection, StoreError> {
    let flags = mode | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let refused = |error| refused(error, path);
    let connection = Connection::open_with_flags(path, flags).map_err(refused)?;
    if damaged {
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_WRITABLE_SCHEMA, true)?;
    }
    connection.busy_timeout(PATIENCE)?;
    connection.set_prepared_statement_cache_capacity(64);
    let cache = i64::try_from(cache_bytes >> 10).unwrap_or(4_096);
    // The first that reads the file.
    connection
        .pragma_update(None, "cache_size", -cache)
        .map_err(refused)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "trusted_schema", false)?;
    Ok(connection)
}

/// The version of an opened database, its write-ahead log counted; refuses what is not ours.
fn version(connection: &Connection, path: &Path) -> Result<i64, StoreError> {
    let ask = |pragma: &str| {
        connection
            .pragma_query_value(None, pragma, |row| row.get::<_, i64>(0))
            .map_err(|error| refused(error, path))
    };
    let (application, found) = (ask("application_id")?, ask("user_version")?);
    judge(path, application, found)?;
    if application == 0 {
        let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        if tables > 0 {
            return Err(StoreError::Foreign {
                path: path.to_owned(),
            });
        }
    }
    Ok(found)
}

fn migrate(connection: &mut Connection, version: i64) -> Result<(), StoreError> {
    let wanted = views::all();
    if version == VERSION && views::kept(connection)? == wanted {
        return Ok(());
    }
    if version > 0 && version < VERSION {
        tracing::info!(
            from = version,
            to = VERSION,
            "the database is brought up to date; this may take a minute"
        );
    }
    // Sorting millions of rows must not need their size of memory.
    connection.pragma_update(None, "temp_store", "FILE")?;
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    views::drop_all(&transaction, &wanted)?;
    for migration in MIGRATIONS.iter().skip(usize::try_from(version).unwrap_or(0)) {
        transaction.execute_batch(migration)?;
    }
    if (1..4).contains(&version) {
        rebuild::from_rows(&transaction)?;
    }
    transaction.execute_batch(&wanted)?;
    views::keep(&transaction, &wanted)?;
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    Ok(())
}

/// What SQLite says of a file that it cannot open.
fn refused(error: rusqlite::Error, path: &Path) -> StoreError {
    use rusqlite::ErrorCode::{CannotOpen, NotADatabase, PermissionDenied, ReadOnly};
    let path = path.to_owned();
    match error.sqlite_error_code() {
        Some(NotADatabase) => StoreError::NotADatabase { path },
        Some(CannotOpen | PermissionDenied | ReadOnly) => StoreError::Permission { path },
        _ => error.into(),
    }
}
