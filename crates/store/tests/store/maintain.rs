//! Looking after a database: damage is found, copies are whole, space comes back.

use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use atalaya_model::fields::Kind;
use atalaya_model::filter::{Expression, parse};
use atalaya_model::*;
use atalaya_store::{Ask, Entry, Reader, Retention, StoreError, Writer, set_aside};

use crate::sample::{NOW, open};
use crate::sums::{Talk, connection};

const DAY: i64 = 86_400_000_000;

/// `count` conversations from a time on, one a second, each with its own address and over at once.
fn talk(writer: &mut Writer, from: Time, count: u64) {
    for part in 0..count.div_ceil(500) {
        let mut entries = Vec::new();
        for number in part * 500..count.min(part * 500 + 500) {
            let time = from.after(Span::from_seconds(number as i64));
            let talk = Talk {
                program: 1 + (number % 4) as u32,
                remote: 1,
                port: 443,
                inbound: false,
                started_before: false,
                bytes: (10, number),
            };
            let mut it = connection((from.0 / 1_000_000) as u64 * 100_000 + number, time, talk);
            it.destination.ip = ((11 << 24) + number as u32 % 5_000).to_be_bytes().into();
            entries.push(Entry::Event(Event::new(
                time,
                Fact::ConnectionOpened(Arc::new(it.clone())),
            )));
            it.ended = Some(time);
            entries.push(Entry::Event(Event::new(
                time,
                Fact::ConnectionClosed(Arc::new(it)),
            )));
        }
        writer.write(&entries).unwrap();
    }
}

fn count(path: &Path) -> u64 {
    Reader::open(path)
        .unwrap()
        .count(Kind::Connection, &Expression::All)
        .unwrap()
}

/// Overwrites a page of a table or index that holds rows, in the middle of it.
fn damage(path: &Path, name: &str) {
    let database = rusqlite::Connection::open(path).unwrap();
    let page: i64 = database
        .query_row(
            "SELECT pageno FROM dbstat WHERE name = ?1 AND pagetype = 'leaf' ORDER BY pageno DESC LIMIT 1 OFFSET 1",
            [name],
            |row| row.get(0),
        )
        .unwrap();
    drop(database);
    let mut file = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    file.seek(SeekFrom::Start((page as u64 - 1) * 8_192)).unwrap();
    let mut bytes = vec![0; 8_192];
    file.read_exact(&mut bytes).unwrap();
    file.seek(SeekFrom::Start((page as u64 - 1) * 8_192)).unwrap();
    file.write_all(&vec![0xA5; 4_096]).unwrap();
}

#[test]
fn a_sound_database_is_sound() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let mut writer = open(&path);
    talk(&mut writer, NOW, 600);
    let check = Reader::open(&path).unwrap().check().unwrap();
    assert!(check.is_sound(), "{check:#?}");
    assert!(check.sound.contains(&("connection".into(), 600)), "{check:#?}");
    let names: Vec<_> = check.sound.iter().map(|(name, _)| &**name).collect();
    for table in [
        "alert",
        "dns_exchange",
        "incident",
        "rollup_minute",
        "scan",
        "shape",
        "tally",
    ] {
        assert!(names.contains(&table), "{table} in {names:?}");
    }
}

#[test]
fn what_survives_of_a_file_that_was_cut_off_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let mut writer = open(&path);
    talk(&mut writer, NOW, 3_000);
    writer.close(NOW.after(Span::from_seconds(4_000))).unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(file.metadata().unwrap().len() / 16_384 * 8_192)
        .unwrap();
    let error = Reader::open(&path).unwrap_err();
    assert!(matches!(error, StoreError::Corrupt(_)), "{error}");
    let check = Reader::open_damaged(&path).unwrap().check().unwrap();
    assert!(!check.is_sound());
    let whole = |table: &str| check.sound.iter().find(|(name, _)| name == table);
    assert!(whole("run").is_some_and(|(_, rows)| *rows == 1), "{check:#?}");
    assert!(!check.damaged.is_empty(), "{check:#?}");
    assert!(!format!("{check:?}").contains("db check"), "{check:#?}");
    // So is a file of which nothing survives but its header.
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[100..8_192].fill(0xa5);
    std::fs::write(&path, bytes).unwrap();
    let check = Reader::open_damaged(&path).unwrap().check().unwrap();
    assert!(
        check.sound.is_empty() && check.damaged.is_empty() && !check.file.is_empty(),
        "{check:#?}"
    );
}

#[test]
fn a_damaged_page_is_found_and_the_other_tables_survive() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let mut writer = open(&path);
    talk(&mut writer, NOW, 3_000);
    writer.close(NOW.after(Span::from_seconds(4_000))).unwrap();
    damage(&path, "connection");
    let check = Reader::open(&path).unwrap().check().unwrap();
    assert!(!check.is_sound());
    let damaged: Vec<_> = check.damaged.iter().map(|damaged| &*damaged.table).collect();
    assert_eq!(damaged, ["connection"], "{check:#?}");
    let found = &check.damaged[0];
    assert!(!found.problems.is_empty() && found.problems.len() <= 11);
    assert!(
        !found.is_readable && (1..3_000).contains(&found.rows),
        "{found:?}"
    );
    assert!(
        check
            .sound
            .iter()
            .any(|(name, rows)| name == "ip" && *rows > 2_000)
    );
    // Writing over the damage is an error that says so, not a panic; the sums still answer.
    let error = Reader::open(&path)
        .unwrap()
        .history(Time(0)..Time(i64::MAX))
        .find_map(Result::err)
        .unwrap();
    assert!(matches!(error, StoreError::Corrupt(_)), "{error}");
    let top = Reader::open(&path)
        .unwrap()
        .top_addresses(&Ask::all(Time(0)..Time(i64::MAX / 2), 3));
    assert_eq!(top.unwrap().rows.len(), 3);
    // It is put aside, and a new one begins at its place.
    let kept = set_aside(&path, NOW).unwrap();
    assert!(
        kept.to_string_lossy()
            .ends_with(&format!("a.db.damaged-{}", NOW.seconds()))
    );
    assert!(!path.exists());
    let mut writer = open(&path);
    talk(&mut writer, NOW, 10);
    assert_eq!(count(&path), 10);
    assert!(matches!(set_aside(&path, NOW), Err(StoreError::Locked { .. })));
    drop(writer);
    let second = set_aside(&path, NOW).unwrap();
    assert!(second.to_string_lossy().ends_with("-1"), "{}", second.display());
    assert!(kept.exists() && second.exists());
}

#[test]
fn a_writer_goes_on_in_a_new_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let mut writer = open(&path);
    let memory = memory::Memory {
        detector: "new_process".into(),
        version: 1,
        key: "k".into(),
        bytes: Some(vec![7]),
    };
    writer.write(&[Entry::Memory(memory.clone())]).unwrap();
    talk(&mut writer, NOW, 3_000);
    writer.close(NOW.after(Span::from_seconds(4_000))).unwrap();
    damage(&path, "connection_by_ip");
    let mut writer = open(&path);
    let before = std::fs::read(&path).unwrap();
    let error = loop {
        // Sooner or later an address goes where the damage is.
        let time = NOW.after(Span(DAY));
        let entries: Vec<_> = (0..5_000)
            .map(|number| {
                let talk = Talk {
                    program: 1,
                    remote: 1,
                    port: 443,
                    inbound: false,
                    started_before: false,
                    bytes: (1, 1),
                };
                let mut it = connection(number, time, talk);
                it.destination.ip = ((11 << 24) + number as u32).to_be_bytes().into();
                Entry::Event(Event::new(time, Fact::ConnectionOpened(Arc::new(it))))
            })
            .collect();
        match writer.write(&entries).and_then(|_| writer.roll_up(time)) {
            Ok(()) => {}
            Err(error) => break error,
        }
    };
    assert!(matches!(error, StoreError::Corrupt(_)), "{error}");
    let kept = writer.begin_anew(NOW).unwrap();
    assert_eq!(std::fs::read(&kept).unwrap()[100..4_000], before[100..4_000]);
    talk(&mut writer, NOW, 10);
    assert_eq!(count(&path), 10);
    let reader = Reader::open(&path).unwrap();
    assert_eq!(reader.memory().unwrap(), [memory]);
    assert!(reader.check().unwrap().is_sound());
    assert!(matches!(
        Writer::open(&path, &atalaya_store::Options::new("b", "1", NOW)),
        Err(StoreError::Locked { .. })
    ));
}

#[test]
fn a_damaged_index_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let mut writer = open(&path);
    talk(&mut writer, NOW, 3_000);
    writer.close(NOW.after(Span::from_seconds(4_000))).unwrap();
    damage(&path, "connection_by_ip");
    let check = Reader::open(&path).unwrap().check().unwrap();
    let damaged: Vec<_> = check.damaged.iter().map(|damaged| &*damaged.table).collect();
    assert_eq!(damaged, ["connection_by_ip"], "{check:#?}");
}

#[test]
fn a_copy_is_whole_while_somebody_writes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let copy = folder.path().join("copy.db");
    let mut writer = open(&path);
    talk(&mut writer, NOW, 600);
    let reader = Reader::open(&path).unwrap();
    reader.backup(&copy).unwrap();
    talk(&mut writer, NOW.after(Span(DAY)), 100); // the reader holds nothing up
    assert_eq!((count(&path), count(&copy)), (700, 600));
    assert_eq!(
        std::fs::metadata(&copy).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert!(Reader::open(&copy).unwrap().check().unwrap().is_sound());
    assert_eq!(count(&copy), 600);
    let nowhere = folder.path().join("no/such/folder/x.db");
    assert!(reader.backup(&nowhere).is_err());
    // It goes on as a database of its own, with everything this program lays over it.
    let mut writer = open(&copy);
    talk(&mut writer, NOW.after(Span(DAY)), 50);
    let filter = parse("community_id:*").unwrap();
    assert_eq!(
        Reader::open(&copy)
            .unwrap()
            .count(Kind::Connection, &filter)
            .unwrap(),
        650
    );
    // The reader still only reads.
    assert_eq!(reader.count(Kind::Connection, &Expression::All).unwrap(), 700);
}

#[test]
fn sizes_are_told_by_table() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let mut writer = open(&path);
    talk(&mut writer, NOW, 2_000);
    writer.checkpoint().unwrap();
    let sizes = Reader::open(&path).unwrap().sizes().unwrap();
    let of = |name: &str| sizes.iter().find(|size| size.table == name).unwrap();
    assert_eq!(of("connection").rows, 2_000);
    assert!(
        of("connection").bytes > 50_000 && of("ip").index_bytes > 16_000,
        "{sizes:#?}"
    );
    let all: u64 = sizes.iter().map(|size| size.bytes + size.index_bytes).sum();
    let file = std::fs::metadata(&path).unwrap().len();
    assert!(all <= file && all + file / 10 + 65_536 >= file, "{all} of {file}");
}

#[test]
fn unused_space_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let mut writer = open(&path);
    talk(&mut writer, NOW, 6_000);
    writer.checkpoint().unwrap();
    let full = writer.stats().unwrap().bytes;
    let policy = Retention::new(1, 0, NOW.after(Span(9 * DAY)));
    // Each slice may be as short as its owner wants.
    let mut slices = 0;
    while writer.retain_until(policy, 2_000, &|| true).unwrap().more {
        slices += 1;
    }
    assert!(slices >= 60, "{slices}");
    while writer.stats().unwrap().free_bytes > 0 {
        writer.retain(policy, 100).unwrap();
    }
    writer.checkpoint().unwrap();
    let left = writer.stats().unwrap();
    assert!(left.bytes < full * 3 / 4, "{full} {left:?}");
    assert_eq!(count(&path), 0);
    let database = rusqlite::Connection::open(&path).unwrap();
    database
        .execute_batch("DELETE FROM rollup_hour_top; DELETE FROM rollup_day_ip")
        .unwrap();
    drop(database);
    writer.vacuum().unwrap();
    assert_eq!(writer.stats().unwrap().free_bytes, 0);
    talk(&mut writer, NOW.after(Span(9 * DAY)), 10);
    assert_eq!(count(&path), 10);
}

#[test]
fn a_checkpoint_does_not_wait_for_a_reader() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let mut writer = open(&path);
    talk(&mut writer, NOW, 100);
    let reader = rusqlite::Connection::open(&path).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM ip").unwrap();
    talk(&mut writer, NOW.after(Span(DAY)), 100);
    assert!(!writer.checkpoint().unwrap());
    assert!(writer.stats().unwrap().log_bytes > 0);
    reader.execute_batch("COMMIT").unwrap();
    assert!(writer.checkpoint().unwrap());
    assert_eq!(writer.stats().unwrap().log_bytes, 0);
}

#[test]
fn the_log_is_brought_in_beside_the_writer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let mut writer = open(&path);
    let checkpointer = writer.checkpointer().unwrap();
    let (done, finished) = std::sync::mpsc::sync_channel::<()>(1);
    let beside = move || {
        let mut runs = 0;
        while finished
            .recv_timeout(std::time::Duration::from_millis(1))
            .is_err()
        {
            checkpointer.run().unwrap();
            runs += 1;
        }
        assert!(checkpointer.run().unwrap(), "nobody is in the way");
        runs
    };
    let thread = std::thread::Builder::new()
        .name("checkpoint".into())
        .spawn(beside)
        .unwrap();
    for day in 0..20 {
        talk(&mut writer, NOW.after(Span(day * DAY)), 500);
        writer.roll_up(NOW.after(Span(day * DAY))).unwrap();
        writer
            .retain(Retention::new(3, 0, NOW.after(Span(day * DAY))), 500)
            .unwrap();
    }
    done.send(()).unwrap();
    assert!(thread.join().unwrap() > 0);
    let reader = Reader::open(&path).unwrap();
    assert!(reader.check().unwrap().is_sound());
    // The file itself has everything: a copy of it without its log does.
    let copy = folder.path().join("copy.db");
    std::fs::copy(&path, &copy).unwrap();
    assert_eq!(count(&copy), count(&path));
}

#[test]
fn sums_outlive_their_rows_and_go_last_but_alerts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let mut writer = open(&path);
    talk(&mut writer, NOW, 2_000);
    writer.roll_up(NOW).unwrap();
    let later = NOW.after(Span(5 * DAY));
    talk(&mut writer, later, 500);
    writer.roll_up(later).unwrap();
    let retain = |writer: &mut Writer, policy: Retention| {
        while writer.retain(policy, 300).unwrap().more {}
    };
    retain(&mut writer, Retention::new(3, 0, later));
    assert_eq!(count(&path), 500);
    let reader = Reader::open(&path).unwrap();
    assert_eq!(reader.wrong_sums().unwrap(), Vec::<String>::new());
    let ever = Time(0)..Time(i64::MAX / 2);
    let total = |reader: &Reader| -> u64 {
        let rows = reader.traffic(&Ask::all(ever.clone(), 10_000)).unwrap().rows;
        rows.iter().map(|row| row.total.connections).sum()
    };
    assert_eq!(total(&reader), 2_500);
    // Of the first hour only the 500 with the most bytes are left, and they still have their addresses.
    let first = NOW..NOW.after(Span::from_seconds(1));
    let top = reader.top_addresses(&Ask::all(first, 1_000)).unwrap().rows;
    assert!(!top.is_empty() && top.len() <= 500, "{}", top.len());
    // After four times as long these go as well.
    retain(&mut writer, Retention::new(3, 0, later.after(Span(11 * DAY))));
    let reader = Reader::open(&path).unwrap();
    assert_eq!((count(&path), total(&reader)), (0, 500));
}

#[test]
fn a_broken_index_costs_no_row() {
    let folder = tempfile::tempdir().unwrap();
    let path = crate::console::story(folder.path());
    let database = rusqlite::Connection::open(&path).unwrap();
    let page: i64 = database
        .query_row(
            "SELECT pageno FROM dbstat WHERE name = 'process_identity'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    drop(database);
    let mut bytes = std::fs::read(&path).unwrap();
    let begin = (page as usize - 1) * 8_192;
    bytes[begin..begin + 8_192].fill(0xA5);
    std::fs::write(&path, bytes).unwrap();
    let check = Reader::open(&path).unwrap().check().unwrap();
    assert_eq!(check.damaged.len(), 1, "{check:#?}");
    let found = &check.damaged[0];
    assert_eq!(
        (&*found.table, found.rows, found.is_readable),
        ("process", 3, true)
    );
    assert!(!found.problems.is_empty());
}
