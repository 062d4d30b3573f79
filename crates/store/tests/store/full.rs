//! A full disk: an error, the batch stays with the caller, and with room again nothing is missing or doubled.

use std::path::Path;

use atalaya_model::*;
use atalaya_store::{Entry, Reader, StoreError};

use crate::sample::{NOW, open};

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
