//! Backups: whole, atomic, and over nothing but a backup.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use atalaya_model::*;
use atalaya_store::{Entry, Reader, SCHEMA_VERSION, StoreError};

use crate::console::{CONNECTIONS, story};
use crate::sample::{NOW, open};

/// Bytes of a page.
const PAGE: usize = 8192;

fn backup(from: &Path, to: &Path) -> Result<u64, StoreError> {
    Reader::open(from)?.backup(to)
}

pub(crate) fn events(path: &Path) -> usize {
    let reader = Reader::open(path).unwrap();
    reader
        .history(Time(0)..Time(i64::MAX))
        .map(Result::unwrap)
        .count()
}

pub(crate) fn gap(count: u64) -> Entry {
    Entry::Event(Event::new(
        NOW,
        Fact::Gap(Gap {
            time: NOW,
            stage: Stage::Store,
            count,
            reason: "x".repeat(400).into(),
        }),
    ))
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Writes nonsense over the pages of a table or index; with `first` over its first page only.
fn damage(path: &Path, table: &str, first: bool) {
    let connection = rusqlite::Connection::open(path).unwrap();
    let pages: Vec<i64> = connection
        .prepare("SELECT pageno FROM dbstat WHERE name = ?1 ORDER BY pageno")
        .unwrap()
        .query_map([table], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    drop(connection);
    assert!(!pages.is_empty(), "{table} has no pages");
    let mut bytes = fs::read(path).unwrap();
    for page in pages.into_iter().take(if first { 1 } else { usize::MAX }) {
        let begin = (usize::try_from(page).unwrap() - 1) * PAGE;
        bytes[begin..begin + PAGE].fill(0xa5);
    }
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_backup_is_whole_while_the_database_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (folder.path().join("a.db"), folder.path().join("file:copy.db"));
    let mut writer = open(&path);
    for count in 0..100 {
        writer.write(&[gap(count)]).unwrap();
    }
    let bytes = backup(&path, &copy).unwrap();
    writer.write(&[gap(100)]).unwrap();
    assert_eq!((events(&copy), events(&path)), (100, 101));
    assert_eq!(bytes, fs::metadata(&copy).unwrap().len());
    assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!names(folder.path()).iter().any(|name| name.contains("partial")));
    // The next one takes its place, and it can be written like any database.
    backup(&path, &copy).unwrap();
    assert_eq!(events(&copy), 101);
    let mut second = open(&copy);
    second.write(&[gap(0)]).unwrap();
    second.close(NOW).unwrap();
    assert_eq!(events(&copy), 102);
    let connection = rusqlite::Connection::open(&copy).unwrap();
    let ask = |pragma: &str| -> i64 {
        connection
            .pragma_query_value(None, pragma, |row| row.get(0))
            .unwrap()
    };
    assert_eq!(
        (ask("auto_vacuum"), ask("page_size"), ask("user_version")),
        (2, PAGE as i64, SCHEMA_VERSION)
    );
}

#[test]
fn a_backup_replaces_nothing_but_a_backup() {
    let folder = tempfile::tempdir().unwrap();
    let path = story(folder.path());
    let at = |name: &str| folder.path().join(name);
    fs::write(at("text"), "precious ".repeat(50)).unwrap();
    fs::hard_link(&path, at("same.db")).unwrap();
    let live = open(&at("live.db"));
    backup(&path, &at("logged.db")).unwrap();
    fs::write(at("logged.db-wal"), "a log").unwrap();
    fs::write(at("gone.db-wal"), "a log").unwrap();
    fs::create_dir(at("other.db.partial")).unwrap();
    let foreign = rusqlite::Connection::open(at("foreign.db")).unwrap();
    foreign.execute_batch("CREATE TABLE t (x)").unwrap();
    drop(foreign);
    open(&at("closed.db")).close(NOW).unwrap();
    let before: Vec<_> = [
        "text",
        "same.db",
        "live.db",
        "logged.db",
        "foreign.db",
        "closed.db",
    ]
    .map(|name| fs::read(at(name)).unwrap())
    .into();
    for (name, why) in [
        ("text", "is not a database"),
        ("same.db", "it is the database itself"),
        ("story.db", "it is the database itself"),
        ("live.db", "is in use by another watcher"),
        ("logged.db", "log lies beside it"),
        ("closed.db", "a watch has written it since"),
        ("gone.db", "log lies beside it"),
        ("", "not a regular file"),
        ("none/copy.db", "none/copy.db"),
        ("other.db", "it is not a regular file"),
        ("foreign.db", "a database of another program"),
        ("story.db-wal", "files beside a database"),
        ("story.db.lock", "files beside a database"),
    ] {
        let error = backup(&path, &at(name)).unwrap_err().to_string();
        assert!(error.contains(why), "{name}: {error}");
    }
    let after: Vec<_> = [
        "text",
        "same.db",
        "live.db",
        "logged.db",
        "foreign.db",
        "closed.db",
    ]
    .map(|name| fs::read(at(name)).unwrap())
    .into();
    assert!(before == after);
    assert!(
        !names(folder.path())
            .iter()
            .any(|name| name.ends_with("partial") && name != "other.db.partial")
    );
    drop(live);
    // What an interrupted backup left is taken over.
    fs::write(at("left.db.partial"), "half a copy").unwrap();
    backup(&path, &at("left.db")).unwrap();
    assert_eq!(events(&at("left.db")), events(&path));
}

#[test]
fn a_damaged_database_gives_no_backup_and_the_old_one_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = story(folder.path());
    let copy = folder.path().join("copy.db");
    backup(&path, &copy).unwrap();
    let before = fs::read(&copy).unwrap();
    damage(&path, "connection", true);
    let error = backup(&path, &copy).unwrap_err();
    assert!(matches!(error, StoreError::Corrupt(_)), "{error}");
    assert!(error.to_string().contains("db check"), "{error}");
    assert!(fs::read(&copy).unwrap() == before);
    assert!(!names(folder.path()).iter().any(|name| name.contains("partial")));
}

#[test]
fn it_is_known_how_far_a_database_reaches() {
    let folder = tempfile::tempdir().unwrap();
    let path = story(folder.path());
    let extent = Reader::open(&path).unwrap().extent().unwrap();
    assert_eq!(extent.bytes, fs::metadata(&path).unwrap().len());
    assert!(extent.free_bytes < extent.bytes);
    assert_eq!(extent.first, Some(Time(NOW.0 - CONNECTIONS * 60_000_000)));
    assert_eq!(extent.last, Some(NOW));
    let empty = folder.path().join("empty.db");
    drop(open(&empty));
    let extent = Reader::open(&empty).unwrap().extent().unwrap();
    assert_eq!((extent.first, extent.last), (None, None));
}
