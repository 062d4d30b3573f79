//! A fresh file in the place of one that is damaged, removed or replaced.

use std::fs;

use atalaya_model::memory::Memory;
use atalaya_model::*;
use atalaya_store::{Entry, Options, Reader, StoreError, Writer};

use crate::backup::{events, gap};
use crate::sample::{NOW, open};

fn options() -> Options {
    Options::new("boot-1", "0.1.0", NOW)
}

fn memory(key: &str) -> Memory {
    Memory {
        detector: "new_executable".into(),
        version: 1,
        key: key.into(),
        bytes: Some(vec![1]),
    }
}

#[test]
fn a_log_that_was_not_brought_in_goes_with_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let mut writer = open(&path);
    writer.write(&[Entry::Memory(memory("known")), gap(1)]).unwrap();
    let kept = writer.begin_anew(NOW).unwrap();
    writer.write(&[gap(2)]).unwrap();
    assert_eq!((events(&path), events(&kept)), (1, 1));
    assert_eq!(Reader::open(&path).unwrap().memory().unwrap(), [memory("known")]);
    assert_eq!(Reader::open(&kept).unwrap().memory().unwrap(), [memory("known")]);
    assert!(matches!(
        Writer::open(&path, &options()),
        Err(StoreError::Locked { .. })
    ));
}

#[test]
fn a_file_that_is_gone_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("inner");
    let path = inner.join("a.db");
    let mut writer = open(&path);
    writer.write(&[Entry::Memory(memory("known")), gap(1)]).unwrap();
    fs::remove_dir_all(&inner).unwrap();
    writer.write(&[gap(2)]).unwrap(); // where nobody will read it
    writer.begin_again(NOW).unwrap();
    writer.write(&[gap(2)]).unwrap();
    assert_eq!(events(&path), 1);
    assert_eq!(Reader::open(&path).unwrap().memory().unwrap().len(), 1);
    assert!(matches!(
        Writer::open(&path, &options()),
        Err(StoreError::Locked { .. })
    ));
}

#[test]
fn a_log_without_its_file_is_not_taken_for_the_new_ones() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let mut writer = open(&path);
    writer.write(&[gap(1)]).unwrap();
    fs::remove_file(&path).unwrap();
    writer.begin_again(NOW).unwrap();
    writer.write(&[gap(2)]).unwrap();
    drop(writer);
    let reader = Reader::open(&path).unwrap();
    assert!(reader.check().unwrap().is_sound());
    assert_eq!(events(&path), 1);
}

#[test]
fn a_file_in_its_place_is_written_if_it_is_ours() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let other = folder.path().join("b.db");
    let mut writer = open(&other);
    writer.write(&[gap(1)]).unwrap();
    writer.close(NOW).unwrap();
    let mut writer = open(&path);
    writer.write(&[gap(2)]).unwrap();
    fs::rename(&other, &path).unwrap();
    writer.begin_again(NOW).unwrap();
    writer.write(&[gap(3)]).unwrap();
    let reader = Reader::open(&path).unwrap();
    let counts = reader
        .history(Time(0)..Time(i64::MAX))
        .map(|event| match event.unwrap().fact {
            Fact::Gap(gap) => gap.count,
            other => panic!("{other:?}"),
        });
    assert_eq!(counts.collect::<Vec<_>>(), [1, 3]);
    assert!(reader.check().unwrap().is_sound());
    drop(reader);
    fs::write(&path, "mine ".repeat(100)).unwrap();
    let error = writer.begin_again(NOW).unwrap_err();
    assert!(matches!(error, StoreError::NotADatabase { .. }), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine ".repeat(100));
    // Nothing is written, until there is a place for it; what was remembered is there then.
    assert!(writer.write(&[gap(4)]).is_err());
    fs::remove_file(&path).unwrap();
    writer.begin_again(NOW).unwrap();
    writer.write(&[gap(4)]).unwrap();
    assert_eq!(events(&path), 1);
}
