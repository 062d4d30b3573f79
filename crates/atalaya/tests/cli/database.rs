//! `db`: backups, checks, sizes, rebuilding, and their exit statuses.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use atalaya_host::clock;
use atalaya_store::{Options, Reader, Writer};

use crate::history::{self, CONNECTIONS};
use crate::home::{Home, Ran};

fn run(home: &Home, words: &[&str]) -> Ran {
    home.run(&[&["db"], words, &["--store", "history.db", "--lang", "en"]].concat())
}

#[test]
fn a_backup_is_a_database() {
    let home = Home::new();
    let path = history::make(&home);
    // Also while somebody writes.
    let writer = Writer::open(&path, &Options::new("boot", "0.1.0", clock::now())).unwrap();
    let ran = run(&home, &["backup", "copy.db"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
    assert!(
        ran.out.starts_with("copy.db: ") && ran.out.ends_with("kB\n"),
        "{}",
        ran.out
    );
    drop(writer);
    let mode = fs::metadata(home.path("copy.db")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let check = Reader::open(&home.path("copy.db")).unwrap().check().unwrap();
    assert!(check.is_sound());
    assert!(
        check
            .sound
            .contains(&("connection".to_owned(), CONNECTIONS as u64))
    );
    // A second one takes its place; what is no backup stays.
    assert_eq!(run(&home, &["backup", "copy.db"]).code, 0);
    home.write("notes.txt", "precious");
    for file in ["notes.txt", "history.db", "none/copy.db", "."] {
        let ran = run(&home, &["backup", file]);
        assert_eq!((ran.code, ran.out.as_str()), (3, ""), "{file}: {ran:?}");
    }
    assert_eq!(fs::read_to_string(home.path("notes.txt")).unwrap(), "precious");
}

#[test]
fn a_check_finds_the_damage_and_is_3() {
    let home = Home::new();
    let path = history::make(&home);
    let ran = run(&home, &["check"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.out.contains("connection") && ran.out.ends_with("The database is whole.\n"),
        "{}",
        ran.out
    );
    // The number of a table's first page stands before its text.
    let mut bytes = fs::read(&path).unwrap();
    let name = b"CREATE TABLE gap (";
    let at = bytes
        .windows(name.len())
        .position(|window| window == name)
        .unwrap();
    let page = usize::from(bytes[at - 1]);
    bytes[(page - 1) * 8_192..page * 8_192].fill(0xa5);
    fs::write(&path, &bytes).unwrap();
    let ran = run(&home, &["check"]);
    assert_eq!((ran.code, ran.err.as_str()), (3, ""), "{ran:?}");
    assert!(ran.out.ends_with("The database is damaged.\n"), "{}", ran.out);
    let value = &run(&home, &["check", "--output", "json"]).json()[0];
    assert_eq!(value["whole"], false);
    for table in value["tables"].as_array().unwrap() {
        let expected = if table["name"] == "gap" {
            "damaged"
        } else {
            "whole"
        };
        assert_eq!(table["state"], expected, "{table}");
    }
    let ran = run(&home, &["backup", "copy.db"]);
    assert_eq!(ran.code, 3);
    assert!(
        ran.err.contains("`atalaya db check` says what survives"),
        "{}",
        ran.err
    );
    assert!(!home.path("copy.db").exists());
    let spanish = home.run(&["db", "check", "--store", "history.db", "--lang", "es"]);
    assert!(
        spanish.out.ends_with("La base de datos está dañada.\n"),
        "{}",
        spanish.out
    );
}

#[test]
fn a_check_of_a_file_with_no_readable_table_says_what_to_do() {
    let home = Home::new();
    let path = history::make(&home);
    let mut bytes = fs::read(&path).unwrap();
    bytes[100..8_192].fill(0xa5);
    fs::write(&path, bytes).unwrap();
    let ran = run(&home, &["check"]);
    assert_eq!((ran.code, ran.err.as_str()), (3, ""), "{ran:?}");
    assert!(
        ran.out
            .contains("No table of it can be read. Put a backup in its place")
            && !ran.out.contains("db check"),
        "{}",
        ran.out
    );
}

#[test]
fn sizes_are_told() {
    let home = Home::new();
    history::make(&home);
    let ran = run(&home, &["stats"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
    assert!(
        ran.out.starts_with("Table ") && ran.out.contains("in the file"),
        "{}",
        ran.out
    );
    let value = &run(&home, &["stats", "-o", "json"]).json()[0];
    let tables = value["tables"].as_array().unwrap();
    let connection = tables.iter().find(|table| table["name"] == "connection").unwrap();
    assert_eq!(connection["rows"], CONNECTIONS);
}

#[test]
fn rebuilding_needs_the_only_writer() {
    let home = Home::new();
    let path = history::make(&home);
    let writer = Writer::open(&path, &Options::new("boot", "0.1.0", clock::now())).unwrap();
    let ran = run(&home, &["vacuum"]);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(
        ran.err.contains(&format!("(pid {})", std::process::id())),
        "{}",
        ran.err
    );
    drop(writer);
    let ran = run(&home, &["vacuum"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
    assert!(ran.out.contains(" → "), "{}", ran.out);
    assert!(Reader::open(&path).unwrap().check().unwrap().is_sound());
}

#[test]
fn without_a_database_nothing_is_made() {
    let home = Home::new();
    for words in [&["check"][..], &["stats"], &["vacuum"], &["backup", "copy.db"]] {
        let ran = run(&home, words);
        assert_eq!((ran.code, ran.out.as_str()), (3, ""), "{words:?}: {ran:?}");
        assert!(ran.err.contains("does not exist"), "{words:?}: {}", ran.err);
    }
    assert_eq!(fs::read_dir(home.path("")).unwrap().count(), 0);
}
