//! A file that is damaged is set aside, one that was removed or replaced is left; the history goes on in a fresh one, and
//! says so by a gap.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use atalaya_host::clock;
use atalaya_model::{Fact, Span, Time};
use atalaya_store::{Entry, Reader, StoreError};

use super::{Beside, Work, gap};

/// A database that is damaged again so soon is not replaced again: it is the disk, and is waited for like a full one.
const ANEW: Span = Span::from_seconds(3_600);

/// Why a file must be left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Leaving {
    /// A page of it cannot be read: which, in SQLite's words.
    Damaged(String),
    /// It is no longer at its path.
    Gone,
}

/// Device and inode of the file at a path.
pub(super) fn file_at(path: &Path) -> Option<(u64, u64)> {
    let found = fs::metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

/// Sets a damaged database aside before a watch begins, and gives what the fresh one shall begin with: what detectors
/// remembered, where that can be read, and a gap.
///
/// # Errors
/// When it cannot be moved.
pub fn set_aside(path: &Path, now: Time, why: &str) -> Result<Vec<Entry>, StoreError> {
    let kept = atalaya_store::set_aside(path, now)?;
    let reason = told(&kept, why);
    let memory = Reader::open(&kept)
        .and_then(|reader| reader.memory())
        .unwrap_or_default();
    let memory = memory.into_iter().map(Entry::Memory);
    Ok(memory.chain([gap(0, &reason)]).collect())
}

/// Tells of a file that was set aside, and gives the reason of the gap.
fn told(kept: &Path, why: &str) -> String {
    let kept = kept.display();
    let reason =
        format!("the database was damaged ({why}) and is kept as {kept}; the history goes on in a fresh one");
    tracing::error!("{reason}; `atalaya db check --store {kept}` says what survives");
    reason
}

impl Work {
    /// Must this file be left, because of this error? Then it will be, before the next batch is written.
    pub(super) fn must_leave(&mut self, error: &StoreError) -> bool {
        let StoreError::Corrupt(why) = error else {
            return false;
        };
        let now = clock::monotonic();
        if self.renewed.is_some_and(|before| now.0 - before.0 < ANEW.0) {
            return false;
        }
        self.renewed = Some(now);
        self.leaving = Some(Leaving::Damaged(why.clone()));
        true
    }

    /// The last change of tier in a batch that was written.
    pub(super) fn remember_tier(&mut self, batch: &[Entry]) {
        if let Some(tier) = batch.iter().rev().find(|entry| is_tier(entry)) {
            self.tier = Some(tier.clone());
        }
    }

    /// Opens another file where the one at hand must be left, and puts before the batch what it begins with.
    pub(super) fn renew(&mut self, batch: &mut Vec<Entry>) -> Result<(), StoreError> {
        let Some(leaving) = &self.leaving else {
            return Ok(());
        };
        let now = clock::now();
        // Whoever closes the old database last removes the log at its path: before the new one has its own.
        self.beside = None;
        let reason = match leaving {
            Leaving::Damaged(why) => told(&self.writer.begin_anew(now)?, why),
            Leaving::Gone => {
                self.writer.begin_again(now)?;
                let reason = "the database was removed or replaced while it was in use; the history goes on in the file \
                              that is there now";
                tracing::error!(store = %self.writer.path().display(), "{reason}");
                reason.to_owned()
            }
        };
        self.leaving = None;
        self.beside = Some(Beside::of(&self.writer));
        self.file = file_at(self.writer.path());
        let tier = self.tier.clone().filter(|_| !batch.iter().any(is_tier));
        batch.splice(0..0, tier.into_iter().chain([gap(0, &reason)]));
        Ok(())
    }
}

fn is_tier(entry: &Entry) -> bool {
    matches!(entry, Entry::Event(event) if matches!(event.fact, Fact::TierChanged(_)))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;

    use atalaya_model::{Event, Gap, Ledger, Stage, Text, Tier, TierReport};
    use atalaya_store::{Options, Writer};
    use tempfile::TempDir;

    use super::*;
    use crate::keeper::{Keeper, learning_mark};

    const NOW: Time = Time::from_seconds(1_700_000_000);

    struct Story {
        folder: TempDir,
        ledger: Ledger,
    }

    impl Story {
        /// A database in which a watch has written.
        fn new() -> Self {
            let story = Self {
                folder: tempfile::tempdir().unwrap(),
                ledger: Ledger::default(),
            };
            let mut writer = story.writer();
            writer.write(&[learning_mark(true), numbered(1)]).unwrap();
            writer.close(NOW).unwrap();
            story
        }

        fn path(&self) -> PathBuf {
            self.folder.path().join("a.db")
        }

        fn writer(&self) -> Writer {
            Writer::open(&self.path(), &Options::new(Text::from("boot"), "test", NOW)).unwrap()
        }

        fn keeper(&self) -> Keeper {
            let loaded = crate::config::load::load(None, Path::new("/nonexistent"), NOW).unwrap();
            Keeper::start(self.writer(), &loaded, self.ledger.clone()).unwrap()
        }

        /// Writes nonsense over the root page of a table.
        fn damage(&self, table: &str) {
            let mut bytes = fs::read(self.path()).unwrap();
            let page = root_of(&bytes, table);
            bytes[(page - 1) * 8_192..page * 8_192].fill(0xa5);
            fs::write(self.path(), bytes).unwrap();
        }

        fn told(&self, path: &Path) -> Vec<String> {
            let reader = Reader::open(path).unwrap();
            let history = reader.history(Time(0)..Time(i64::MAX));
            let told = history.map(|event| match event.unwrap().fact {
                Fact::Gap(gap) => gap.reason.to_string(),
                other => other.kind().to_owned(),
            });
            told.collect()
        }

        fn aside(&self) -> Vec<PathBuf> {
            let entries = fs::read_dir(self.folder.path())
                .unwrap()
                .map(|entry| entry.unwrap().path());
            let is_damaged = |path: &PathBuf| {
                let path = path.display().to_string();
                path.contains(".damaged-") && !path.ends_with("-wal") && !path.ends_with("-shm")
            };
            entries.filter(is_damaged).collect()
        }
    }

    /// The root page of a table: the byte before its SQL in the list of tables, where that is short.
    fn root_of(bytes: &[u8], table: &str) -> usize {
        let sql = format!("CREATE TABLE {table} (");
        let at = bytes
            .windows(sql.len())
            .position(|window| window == sql.as_bytes())
            .unwrap();
        usize::from(bytes[at - 1])
    }

    fn numbered(count: u64) -> Entry {
        Entry::Event(Event::new(
            NOW,
            Fact::Gap(Gap {
                time: NOW,
                stage: Stage::Outlet,
                count,
                reason: format!("gap {count}").into(),
            }),
        ))
    }

    fn tier() -> Entry {
        let report = TierReport {
            tier: Tier::Poll,
            unavailable: Vec::new(),
            limits: Vec::new(),
        };
        Entry::Event(Event::new(NOW, Fact::TierChanged(Arc::new(report))))
    }

    #[test]
    fn a_damaged_database_is_set_aside_and_the_watch_goes_on() {
        let story = Story::new();
        story.damage("gap");
        let keeper = story.keeper();
        keeper.send(tier());
        keeper.send(numbered(2));
        let status = Arc::clone(&keeper.status);
        keeper.close();
        assert_eq!(status.lock().unwrap().error, None);
        assert_eq!(story.ledger.lost(), 0);
        let told = story.told(&story.path());
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(
            told.contains(&"gap 2".to_owned()) && told.contains(&"tier".to_owned()),
            "{told:?}"
        );
        let aside = story.aside();
        assert_eq!(aside.len(), 1, "{aside:?}");
        let reason = told.iter().find(|reason| reason.contains("damaged")).unwrap();
        assert!(reason.contains(&aside[0].display().to_string()), "{reason}");
        // What was learnt is in the fresh one, too, and the old one is as it was.
        assert_eq!(Reader::open(&story.path()).unwrap().memory().unwrap().len(), 1);
        let checked = Reader::open(&aside[0]).unwrap().check().unwrap();
        let damaged: Vec<_> = checked.damaged.iter().map(|damaged| &*damaged.table).collect();
        assert_eq!(damaged, ["gap"]);
        assert!(Reader::open(&story.path()).unwrap().check().unwrap().is_sound());
    }

    #[test]
    fn a_database_that_was_removed_is_made_again() {
        let story = Story::new();
        let keeper = story.keeper();
        keeper.send(tier());
        while keeper.status().rows == 0 {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        fs::remove_file(story.path()).unwrap();
        keeper.send(numbered(2));
        keeper.close();
        assert_eq!(story.ledger.lost(), 0);
        let told = story.told(&story.path());
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(
            told.iter().any(|reason| reason.contains("removed or replaced")),
            "{told:?}"
        );
        assert!(told.contains(&"tier".to_owned()) && told.contains(&"gap 2".to_owned()));
        assert!(story.aside().is_empty());
    }

    #[test]
    fn what_is_not_ours_is_not_written_and_what_waits_is_counted() {
        let story = Story::new();
        let keeper = story.keeper();
        fs::remove_file(story.path()).unwrap();
        fs::write(story.path(), "precious ".repeat(50)).unwrap();
        keeper.send(numbered(2));
        let status = Arc::clone(&keeper.status);
        keeper.close();
        let error = status.lock().unwrap().error.clone().unwrap();
        assert!(error.contains("is not a database"), "{error}");
        assert_eq!(story.ledger.lost(), 1);
        assert_eq!(fs::read_to_string(story.path()).unwrap(), "precious ".repeat(50));
    }

    #[test]
    fn a_watch_that_begins_with_a_damaged_database_sets_it_aside() {
        let story = Story::new();
        let entries = set_aside(&story.path(), NOW, "a page").unwrap();
        assert!(
            matches!(&entries[..], [Entry::Memory(_), Entry::Event(_)]),
            "{entries:?}"
        );
        assert!(!story.path().exists());
        let aside = story.aside();
        assert!(
            aside[0].to_str().unwrap().ends_with(".damaged-1700000000"),
            "{aside:?}"
        );
        assert_eq!(story.told(&aside[0]), ["gap 1"]);
    }
}
