//! Looking after a database: is it sound, where do its bytes go, and its unused space back.

use std::path::{Path, PathBuf};

use atalaya_model::Time;
use rusqlite::Connection;

use crate::{Reader, StoreError, Writer, rebuild, views};

/// What is wrong with a database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Check {
    /// The tables that are whole, with the number of their rows.
    pub sound: Vec<(String, u64)>,
    /// The tables that are not.
    pub damaged: Vec<Damaged>,
    /// What is wrong with the file as a whole, at most a hundred lines.
    pub file: Vec<String>,
    /// Where the sums behind the panels are not what the rows say; empty where the rows could not be read.
    pub sums: Vec<String>,
}

/// A table that is not whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damaged {
    /// Its name.
    pub table: String,
    /// Rows that can still be read: those before the first and after the last damage.
    pub rows: u64,
    /// These are all: only an index is damaged, or a rule broken.
    pub is_readable: bool,
    /// What is wrong, at most ten lines.
    pub problems: Vec<String>,
}

impl Check {
    /// Is nothing wrong?
    pub fn is_sound(&self) -> bool {
        self.damaged.is_empty() && self.file.is_empty() && self.sums.is_empty()
    }
}

/// What a table takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableSize {
    /// Its name.
    pub table: String,
    /// Rows in it.
    pub rows: u64,
    /// Bytes of its pages.
    pub bytes: u64,
    /// Bytes of its indexes' pages.
    pub index_bytes: u64,
}

impl Reader {
    /// Reads everything and says what is wrong, table by table: so one knows what survives a damaged page.
    ///
    /// # Errors
    /// When SQLite fails otherwise than by damage. Of a file whose list of tables is lost no table is told.
    pub fn check(&self) -> Result<Check, StoreError> {
        let connection = self.connection();
        let mut check = Check {
            file: integrity(connection, "100", 100),
            ..Check::default()
        };
        let tables = match tables(connection) {
            Ok(tables) => tables,
            Err(StoreError::Corrupt(why)) => {
                check.file.push(why);
                Vec::new()
            }
            Err(error) => return Err(error),
        };
        if tables.is_empty() && check.file.is_empty() {
            check.file.push("it has no tables".to_owned());
        }
        for table in tables {
            if check.file.is_empty() {
                let rows = count(connection, &table)?;
                check.sound.push((table, rows));
                continue;
            }
            let mut problems = integrity(connection, &format!("'{}'", table.replace('\'', "''")), 10);
            // Reading what a damaged page holds may fail where its form is sound.
            let rows = match rows(connection, &table) {
                Ok(rows) if problems.is_empty() => {
                    check.sound.push((table, rows));
                    continue;
                }
                Ok(rows) => Some(rows),
                Err(error) => {
                    let why = match error {
                        // Without the advice to check it.
                        StoreError::Corrupt(why) => why,
                        error => error.to_string(),
                    };
                    if !problems.contains(&why) {
                        problems.push(why);
                    }
                    None
                }
            };
            check.damaged.push(Damaged {
                rows: rows.unwrap_or_else(|| around(connection, &table)),
                is_readable: rows.is_some(),
                table,
                problems,
            });
        }
        if check.damaged.is_empty() && !check.sound.is_empty() {
            check.sums = rebuild::differences(connection)?;
        }
        Ok(check)
    }

    /// What each table takes, the largest first. Reads the whole file.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn sizes(&self) -> Result<Vec<TableSize>, StoreError> {
        let connection = self.connection();
        let mut statement = connection.prepare(
            "SELECT s.tbl_name, sum(iif(s.type = 'table', d.pgsize, 0)), sum(iif(s.type = 'table', 0, d.pgsize)) \
             FROM dbstat d JOIN sqlite_schema s ON s.name = d.name WHERE d.aggregate = TRUE GROUP BY s.tbl_name",
        )?;
        let found = statement.query_map([], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?, row.get(2)?))
        })?;
        let mut sizes = Vec::new();
        for found in found {
            let (table, bytes, index_bytes): (String, i64, i64) = found?;
            sizes.push(TableSize {
                rows: count(connection, &table)?,
                table,
                bytes: bytes.cast_unsigned(),
                index_bytes: index_bytes.cast_unsigned(),
            });
        }
        sizes.sort_by_key(|size| std::cmp::Reverse(size.bytes + size.index_bytes));
        Ok(sizes)
    }
}

impl Writer {
    /// Writes the database anew without unused space. Needs as much room on the disk again; nobody can write meanwhile.
    ///
    /// # Errors
    /// As [`Writer::write`].
    pub fn vacuum(&mut self) -> Result<(), StoreError> {
        // Its copy must not be in memory.
        self.connection.pragma_update(None, "temp_store", "FILE")?;
        let vacuumed = self.connection.execute_batch("VACUUM");
        self.connection.pragma_update(None, "temp_store", "MEMORY")?;
        views::lay_over(&self.connection)?;
        vacuumed?;
        self.checkpoint()?;
        Ok(())
    }
}

/// Sets a damaged database aside, so that a new one can begin at its path: `atalaya.db` becomes
/// `atalaya.db.damaged-1795123456`, its log goes with it. Gives the new place. A writer of it does so itself:
/// [`Writer::begin_anew`].
///
/// # Errors
/// Another writer, no permission, no such file.
pub fn set_aside(path: &Path, now: Time) -> Result<PathBuf, StoreError> {
    let _lock = crate::lock::Lock::take(path)?;
    move_aside(path, now)
}

/// The same, for who holds the lock.
pub(crate) fn move_aside(path: &Path, now: Time) -> Result<PathBuf, StoreError> {
    let beside = |suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let aside = |turn: usize| match turn {
        0 => format!(".damaged-{}", now.seconds()),
        turn => format!(".damaged-{}-{turn}", now.seconds()),
    };
    let mut turn = 0;
    while beside(&aside(turn)).exists() {
        turn += 1;
    }
    let aside = aside(turn);
    // The log first: without its database it says nothing, with another one it would do harm.
    for log in ["-wal", "-shm"] {
        match std::fs::rename(beside(log), beside(&format!("{aside}{log}"))) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(StoreError::io(&beside(log), error));
            }
            _ => {}
        }
    }
    std::fs::rename(path, beside(&aside)).map_err(|error| StoreError::io(path, error))?;
    Ok(beside(&aside))
}

fn tables(connection: &Connection) -> Result<Vec<String>, StoreError> {
    let mut statement = connection.prepare(
        "SELECT name FROM main.sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name",
    )?;
    let names = statement.query_map([], |row| row.get(0))?;
    Ok(names.collect::<Result<_, _>>()?)
}

fn count(connection: &Connection, table: &str) -> Result<u64, StoreError> {
    let sql = format!("SELECT count(*) FROM main.\"{}\"", table.replace('"', "\"\""));
    Ok(connection
        .query_row(&sql, [], |row| row.get::<_, i64>(0))?
        .cast_unsigned())
}

/// Reads every column of every row.
fn rows(connection: &Connection, table: &str) -> Result<u64, StoreError> {
    let mut statement =
        connection.prepare(&format!("SELECT * FROM main.\"{}\"", table.replace('"', "\"\"")))?;
    let last = statement.column_count().saturating_sub(1);
    let mut rows = statement.query([])?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        row.get_ref(last)?;
        count += 1;
    }
    Ok(count)
}

/// How many rows can be read before the first and after the last damage.
fn around(connection: &Connection, table: &str) -> u64 {
    let table = table.replace('"', "\"\"");
    let read = |order: &str| {
        let mut statement = connection
            .prepare(&format!("SELECT * FROM main.\"{table}\" {order}"))
            .ok()?;
        let mut rows = statement.raw_query();
        let mut count = 0;
        while let Ok(Some(_)) = rows.next() {
            count += 1;
        }
        Some(count)
    };
    match read("NOT INDEXED ORDER BY rowid") {
        Some(before) => before + read("NOT INDEXED ORDER BY rowid DESC").unwrap_or(0),
        // A table without row ids is read from its beginning only.
        None => read("").unwrap_or(0),
    }
}

/// What SQLite finds wrong, in lines; its own failure is one of them.
fn integrity(connection: &Connection, of: &str, most: usize) -> Vec<String> {
    let asked = connection
        .prepare(&format!("PRAGMA integrity_check({of})"))
        .and_then(|mut statement| {
            let lines = statement.query_map([], |row| row.get::<_, String>(0))?;
            lines.collect::<Result<Vec<_>, _>>()
        });
    let mut lines = match asked {
        Ok(lines) => lines,
        Err(error) => vec![error.to_string()],
    };
    // One answer may hold several lines.
    lines = lines
        .iter()
        .flat_map(|line| line.lines())
        .map(str::to_owned)
        .collect();
    lines.retain(|line| line != "ok" && !line.starts_with("*** in database"));
    lines.truncate(most);
    lines
}
