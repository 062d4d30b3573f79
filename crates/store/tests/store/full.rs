//! A full disk: an error, the batch stays with the caller, and with room again nothing is missing or doubled.

use std::path::Path;
use std::sync::Arc;

use atalaya_model::*;
use atalaya_store::{Ask, Entry, Reader, StoreError};

use crate::sample::{NOW, open};
use crate::sums::{Talk, connection};

/// A small file system in memory that goes with its guard.
struct Small<'a>(&'a Path);

impl<'a> Small<'a> {
    #[expect(clippy::disallowed_methods, reason = "a test may mount")]
    fn mount(folder: &'a Path) -> Option<Self> {
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"])
            .arg(folder)
            .stderr(std::process::Stdio::null())
            .status();
        mounted.is_ok_and(|status| status.success()).then(|| Self(folder))
    }
}

impl Drop for Small<'_> {
    #[expect(clippy::disallowed_methods, reason = "a test may mount")]
    fn drop(&mut self) {
        let unmounted = std::process::Command::new("umount")
            .arg("-l")
            .arg(self.0)
            .status();
        assert!(unmounted.is_ok_and(|status| status.success()));
    }
}

fn gaps(batch: i64) -> Vec<Entry> {
    let gap = |number| Gap {
        time: NOW,
        stage: Stage::Outlet,
        count: number,
        reason: "x".repeat(500).into(),
    };
    (0..100)
        .map(|number| Entry::Event(Event::new(Time(NOW.0 + batch), Fact::Gap(gap(number)))))
        .collect()
}

#[test]
fn a_full_disk_costs_nothing_but_time() {
    let folder = tempfile::tempdir().unwrap();
    let Some(_mounted) = Small::mount(folder.path()) else {
        println!("skipped: mounting a small file system needs root");
        return;
    };
    let path = folder.path().join("a.db");
    let ballast = folder.path().join("ballast");
    std::fs::write(&ballast, vec![0; 4 << 20]).unwrap();
    let mut writer = open(&path);
    let mut batches = 0;
    let error = loop {
        match writer.write(&gaps(batches)) {
            Ok(_) => batches += 1,
            Err(error) => break error,
        }
        assert!(batches < 1_000, "the disk never filled");
    };
    assert!(matches!(error, StoreError::Full(_)), "{error}");
    // Still full: still an error, not a panic and not a lie.
    assert!(matches!(writer.write(&gaps(batches)), Err(StoreError::Full(_))));
    // Readers go on.
    let count = || {
        let reader = Reader::open(&path).unwrap();
        reader
            .history(Time(0)..Time(i64::MAX))
            .map(Result::unwrap)
            .count() as i64
    };
    assert_eq!(count(), batches * 100);
    std::fs::remove_file(&ballast).unwrap();
    writer.write(&gaps(batches)).unwrap();
    batches += 1;
    assert_eq!(count(), batches * 100);
    drop(writer);
    drop(open(&path));
    assert_eq!(count(), batches * 100);
}

#[test]
fn sums_stay_right_on_a_full_disk() {
    let folder = tempfile::tempdir().unwrap();
    let Some(_mounted) = Small::mount(folder.path()) else {
        println!("skipped: mounting a small file system needs root");
        return;
    };
    let path = folder.path().join("a.db");
    let ballast = folder.path().join("ballast");
    std::fs::write(&ballast, vec![0; 4 << 20]).unwrap();
    let mut writer = open(&path);
    let batch = |number: u64| -> Vec<Entry> {
        let time = Time(NOW.0 + number as i64 * 61_000_000);
        (0..200)
            .map(|place| {
                let talk = Talk {
                    program: (place % 4) as u32,
                    remote: (number + place) as u8,
                    port: place as u16,
                    inbound: false,
                    started_before: false,
                    bytes: (place, number),
                };
                let it = connection(number * 200 + place, time, talk);
                Entry::Event(Event::new(time, Fact::ConnectionOpened(Arc::new(it))))
            })
            .collect()
    };
    let mut batches = 0;
    while let Ok(written) = writer.write(&batch(batches)) {
        assert_eq!(written.rows, 200);
        batches += 1;
        if writer.roll_up(Time(NOW.0 + batches as i64 * 61_000_000)).is_err() {
            break;
        }
        assert!(batches < 10_000, "the disk never filled");
    }
    let check = |batches: u64, is_whole: bool| {
        let reader = Reader::open(&path).unwrap();
        assert_eq!(reader.wrong_sums().unwrap(), Vec::<String>::new());
        let minutes = reader
            .traffic(&Ask::all(Time(0)..Time(i64::MAX / 2), 100_000))
            .unwrap()
            .rows;
        let total: u64 = minutes.iter().map(|row| row.total.connections).sum();
        assert!(
            total <= batches * 200 && (!is_whole || total == batches * 200),
            "{total}"
        );
    };
    for _ in 0..3 {
        // The sums need more room than a batch: one may still fit.
        match writer.write(&batch(batches)) {
            Ok(_) => batches += 1,
            Err(error) => assert!(matches!(error, StoreError::Full(_)), "{error}"),
        }
        let error = writer.roll_up(NOW).unwrap_err();
        assert!(matches!(error, StoreError::Full(_)), "{error}");
    }
    check(batches, false);
    std::fs::remove_file(&ballast).unwrap();
    writer.write(&batch(batches)).unwrap();
    batches += 1;
    check(batches, false);
    writer.close(Time(NOW.0 + 1_000_000_000_000)).unwrap();
    check(batches, true);
}

#[test]
fn a_backup_names_the_full_disk() {
    let folder = tempfile::tempdir().unwrap();
    let other = tempfile::tempdir().unwrap();
    let Some(_mounted) = Small::mount(other.path()) else {
        println!("skipped: mounting a small file system needs root");
        return;
    };
    let path = folder.path().join("a.db");
    let mut writer = open(&path);
    writer.write(&gaps(0)).unwrap();
    let copy = other.path().join("copy.db");
    std::fs::write(other.path().join("ballast"), vec![0; 9 << 20]).unwrap_err();
    let error = Reader::open(&path).unwrap().backup(&copy).unwrap_err();
    assert!(matches!(error, StoreError::Full(_)), "{error}");
    let named = format!("{}: ", copy.display());
    assert!(error.to_string().contains(&named), "{error}");
}
