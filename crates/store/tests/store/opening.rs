//! What may be opened, what is refused, and that refusing changes nothing.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use atalaya_model::{Event, Fact};
use atalaya_store::{Entry, Options, Reader, SCHEMA_VERSION, StoreError, Writer};

use crate::sample::{NOW, open};

fn refused(path: &Path) -> StoreError {
    let before = fs::read(path).ok();
    let error = Writer::open(path, &Options::new("boot", "1", NOW)).unwrap_err();
    assert_eq!(fs::read(path).ok(), before, "it was touched");
    error
}

#[test]
fn a_new_one_is_for_its_owner_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b/c.db");
    let writer = open(&path);
    assert_eq!(writer.path(), path);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(&folder.path().join("a/b/c.db-wal")), 0o600);
    assert_eq!(mode(&folder.path().join("a/b/c.db.lock")), 0o600);
    assert_eq!(mode(&folder.path().join("a/b")), 0o700);
    assert_eq!(mode(&folder.path().join("a")), 0o700);
    let connection = rusqlite::Connection::open(&path).unwrap();
    let ask = |pragma: &str| -> i64 {
        connection
            .pragma_query_value(None, pragma, |row| row.get(0))
            .unwrap()
    };
    assert_eq!(ask("page_size"), 8192);
    assert_eq!(ask("auto_vacuum"), 2);
    assert_eq!(ask("user_version"), SCHEMA_VERSION);
    let check: String = connection
        .pragma_query_value(None, "integrity_check", |row| row.get(0))
        .unwrap();
    assert_eq!(check, "ok");
    let loose: i64 = connection
        .query_row("SELECT count(*) FROM pragma_table_list WHERE type = 'table' AND NOT strict AND name NOT LIKE 'sqlite%'", [], |row| row.get(0))
        .unwrap();
    assert_eq!(loose, 0);
}

#[test]
fn a_second_writer_is_refused_and_names_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let first = open(&path);
    let error = Writer::open(&path, &Options::new("boot", "1", NOW)).unwrap_err();
    assert!(matches!(error, StoreError::Locked { pid: Some(pid), .. } if pid == std::process::id()));
    assert!(error.to_string().contains(&format!("pid {}", std::process::id())));
    drop(first);
    open(&path);
}

#[test]
fn a_newer_version_is_refused_with_both_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    drop(open(&path));
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    // First with the new number only in the write-ahead log, then in the file itself.
    let error = Writer::open(&path, &Options::new("boot", "1", NOW)).unwrap_err();
    assert!(matches!(error, StoreError::Newer { found: 99, .. }), "{error}");
    drop(connection);
    let error = refused(&path);
    assert!(matches!(
        error,
        StoreError::Newer {
            found: 99,
            known: SCHEMA_VERSION,
            ..
        }
    ));
    let text = error.to_string();
    assert!(
        text.contains("99") && text.contains(&SCHEMA_VERSION.to_string()),
        "{text}"
    );
    assert!(matches!(
        Reader::open(&path),
        Err(StoreError::Newer { found: 99, .. })
    ));
}

#[test]
fn what_is_not_ours_is_refused_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    for content in ["just a text", &"just a longer text. ".repeat(100)] {
        fs::write(&path, content).unwrap();
        assert!(matches!(refused(&path), StoreError::NotADatabase { .. }));
        assert!(matches!(
            Reader::open(&path),
            Err(StoreError::NotADatabase { .. })
        ));
    }
    let other = folder.path().join("other.db");
    let connection = rusqlite::Connection::open(&other).unwrap();
    connection.execute_batch("CREATE TABLE theirs (a)").unwrap();
    drop(connection);
    assert!(matches!(refused(&other), StoreError::Foreign { .. }));
    let connection = rusqlite::Connection::open(&other).unwrap();
    connection.pragma_update(None, "application_id", 7).unwrap();
    drop(connection);
    assert!(matches!(refused(&other), StoreError::Foreign { .. }));
    assert!(matches!(refused(folder.path()), StoreError::NotAFile { .. }));
    let missing = folder.path().join("missing.db");
    assert!(matches!(Reader::open(&missing), Err(StoreError::Missing { .. })));
    assert!(!missing.exists());
}

#[test]
fn an_empty_file_becomes_a_database() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    fs::write(&path, "").unwrap();
    drop(open(&path));
    Reader::open(&path).unwrap();
}

#[test]
fn no_permission_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let closed = folder.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, Permissions::from_mode(0o500)).unwrap();
    if fs::write(closed.join("probe"), "").is_ok() {
        // As root nothing is forbidden but what the kernel itself refuses.
        let error =
            Writer::open(Path::new("/proc/atalaya/a.db"), &Options::new("boot", "1", NOW)).unwrap_err();
        assert!(error.to_string().contains("/proc/atalaya"), "{error}");
        return;
    }
    let error = Writer::open(&closed.join("a.db"), &Options::new("boot", "1", NOW)).unwrap_err();
    assert!(matches!(error, StoreError::Permission { .. }), "{error}");
    let path = folder.path().join("readable.db");
    drop(open(&path));
    fs::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
    assert!(matches!(refused(&path), StoreError::Permission { .. }));
}

#[test]
fn runs_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let tick = Entry::Event(Event::new(NOW, Fact::Tick { look: true }));
    open(&path).write(std::slice::from_ref(&tick)).unwrap(); // killed, as far as the database knows
    open(&path).close(NOW).unwrap(); // watched nothing
    let later = atalaya_model::Time(NOW.0 + 5);
    let mut writer = Writer::open(&path, &Options::new("boot-2", "0.2.0", later)).unwrap();
    writer.write(&[tick]).unwrap();
    writer.close(later).unwrap();
    let runs = Reader::open(&path).unwrap().runs(10).unwrap();
    assert_eq!(runs.len(), 2);
    assert_eq!(
        (&*runs[0].boot_id, &*runs[0].version, runs[0].ended),
        ("boot-2", "0.2.0", Some(later))
    );
    assert_eq!((runs[1].started, runs[1].ended), (NOW, None));
}

#[test]
fn a_database_in_a_folder_that_may_not_be_written_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("read #only?%");
    fs::create_dir(&inner).unwrap();
    let path = inner.join("a.db");
    let mut writer = open(&path);
    writer.write(&[crate::backup::gap(1)]).unwrap();
    writer.close(NOW).unwrap();
    for log in ["-wal", "-shm"] {
        drop(fs::remove_file(inner.join(format!("a.db{log}"))));
    }
    let allow = |mode| fs::set_permissions(&inner, Permissions::from_mode(mode)).unwrap();
    allow(0o500);
    if fs::write(inner.join("probe"), "").is_ok() {
        println!("skipped: root may write everywhere");
        return;
    }
    assert_eq!(crate::backup::events(&path), 1);
    assert!(!inner.join("a.db-shm").exists());
    // What is in a log would be missing, so it is told.
    allow(0o700);
    fs::write(inner.join("a.db-wal"), "a log").unwrap();
    allow(0o500);
    let error = Reader::open(&path).unwrap_err();
    assert!(matches!(error, StoreError::UnreadableLog { .. }), "{error}");
    allow(0o700);
}
