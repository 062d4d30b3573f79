//! Reports that a watch writes by itself, daily and weekly, in a thread of its own.

use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Duration;

use atalaya_format::Language;
use atalaya_host::clock;
use atalaya_model::{Span, Time};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use super::{open_at, report, save};
use crate::cli::DocumentFormat;
use crate::config::Config;
use crate::config::reports::Reports;

/// How often the clock is looked at: it may be set, and the computer may sleep.
const LOOK: Duration = Duration::from_secs(20);

/// The thread that writes reports; it ends soon after this is dropped.
#[derive(Debug)]
pub(crate) struct Schedule {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

/// A kind of report.
#[derive(Clone, Copy, Debug)]
struct Kind {
    name: &'static str,
    minute: u16,
    weekday: Option<u8>,
    /// What it is about.
    last: Span,
}

impl Kind {
    fn next(&self, after: Time) -> Time {
        after.next_at(self.minute, self.weekday)
    }

    /// The last time it was due.
    fn previous(&self, now: Time) -> Time {
        let days = self.last.0 / 86_400_000_000;
        // A day may have an hour more or less.
        let mut due = self.next(now.after(Span::from_seconds(-86_400 * (days + 1))));
        while self.next(due) <= now {
            due = self.next(due);
        }
        due
    }
}

fn kinds(reports: &Reports) -> Vec<Kind> {
    let daily = reports.daily.map(|at| Kind {
        name: "daily",
        minute: at.minute,
        weekday: None,
        last: Span::from_seconds(86_400),
    });
    let weekly = reports.weekly.map(|weekly| Kind {
        name: "weekly",
        minute: weekly.at.minute,
        weekday: Some(weekly.weekday),
        last: Span::from_seconds(7 * 86_400),
    });
    daily.into_iter().chain(weekly).collect()
}

impl Schedule {
    /// Starts the thread, where the configuration wants reports and there is a store to make them of.
    pub(crate) fn start(config: &Config, store: Option<&Path>, language: Language) -> Option<Self> {
        let kinds = kinds(&config.report);
        if kinds.is_empty() {
            return None;
        }
        let Some(store) = store else {
            tracing::warn!("no history is kept: there will be no reports");
            return None;
        };
        let folder = config.report.folder.clone();
        let folder = folder.unwrap_or_else(|| store.with_file_name("reports"));
        let (stop, stopped) = bounded(0);
        let work = Work {
            config: config.clone(),
            store: store.to_owned(),
            folder,
            language,
        };
        let thread = std::thread::Builder::new()
            .name("reports".into())
            .spawn(move || work.run(&kinds, &stopped))
            .inspect_err(|error| tracing::error!(%error, "no thread for reports: none will be written"))
            .ok()?;
        Some(Self { stop, thread })
    }
}

impl Schedule {
    /// Ends the thread; a report that is being written is written to its end. Without this, the thread ends by itself.
    pub(crate) fn close(self) {
        drop(self.stop);
        // A panic there has been told.
        drop(self.thread.join());
    }
}

struct Work {
    config: Config,
    store: PathBuf,
    folder: PathBuf,
    language: Language,
}

impl Work {
    fn run(&self, kinds: &[Kind], stopped: &Receiver<()>) {
        let now = clock::now();
        let mut due: Vec<Time> = kinds.iter().map(|kind| self.first(*kind, now)).collect();
        loop {
            let now = clock::now();
            for (kind, due) in kinds.iter().zip(&mut due) {
                if now >= *due {
                    self.make(*kind, *due);
                    *due = kind.next(now);
                } else if due.since(kind.next(now)).0 > 0 {
                    // The clock was set back.
                    *due = kind.next(now);
                }
            }
            match stopped.recv_timeout(LOOK) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// When a kind is due first: at once, where the last one was missed although there was something to report.
    fn first(&self, kind: Kind, now: Time) -> Time {
        let previous = kind.previous(now);
        let is_missing = !self.file(kind, previous).exists();
        let began = atalaya_store::Reader::open(&self.store).and_then(|reader| reader.runs(100_000));
        let began = began
            .ok()
            .and_then(|runs| runs.iter().map(|run| run.started).min());
        match is_missing && began.is_some_and(|began| began < previous) {
            true => previous,
            false => kind.next(now),
        }
    }

    fn format(&self) -> DocumentFormat {
        self.config.report.format.into()
    }

    /// `report-daily-2026-11-21.html`.
    fn file(&self, kind: Kind, due: Time) -> PathBuf {
        let local = due.local();
        let date = local.split(' ').next().unwrap_or_default();
        self.folder
            .join(format!("report-{}-{date}.{}", kind.name, self.format().ending()))
    }

    /// Writes one report, and drops the oldest; a failure is told, and watching goes on.
    fn make(&self, kind: Kind, due: Time) {
        let file = self.file(kind, due);
        match self.write(kind, due, &file) {
            Ok(()) => tracing::info!("the {} report is in {}", kind.name, file.display()),
            Err(error) => {
                tracing::error!(
                    "the {} report was not written: {error}; watching goes on",
                    kind.name
                );
            }
        }
        if let Err(error) = self.prune(kind) {
            tracing::warn!(
                "old reports in {} were not dropped: {error}",
                self.folder.display()
            );
        }
    }

    fn write(&self, kind: Kind, due: Time, file: &Path) -> Result<(), String> {
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let mut folder = std::fs::DirBuilder::new();
        folder.recursive(true).mode(0o700);
        folder
            .create(&self.folder)
            .map_err(|error| format!("failed to make {}: {error}", self.folder.display()))?;
        let opened = open_at(self.store.clone(), true).map_err(|error| text(&error))?;
        let range = due.after(Span(-kind.last.0))..due;
        let limit = self.config.report.limit.clamp(1, 1_000) as usize;
        let document = report::make(&opened, range, clock::now(), (limit, self.language), &self.config)
            .map_err(|error| text(&error))?;
        save(&document, self.format(), self.language, file)
            .map_err(|error| format!("failed to write {}: {error}", file.display()))
    }

    /// Drops all but the newest of a kind: dates sort as their names do.
    fn prune(&self, kind: Kind) -> io::Result<()> {
        let mut files = Vec::new();
        let begin = format!("report-{}-", kind.name);
        for entry in std::fs::read_dir(&self.folder)? {
            let path = entry?.path();
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            if name.starts_with(&begin) && !name.ends_with(".part") {
                files.push(path);
            }
        }
        files.sort_unstable();
        let more = files
            .len()
            .saturating_sub(self.config.report.keep.max(1) as usize);
        for file in files.into_iter().take(more) {
            std::fs::remove_file(file)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::reports::{At, Weekly};

    #[test]
    fn what_was_due_last_and_what_is_next() {
        let reports = Reports {
            daily: Some(At { minute: 420 }),
            weekly: Some(Weekly {
                weekday: 0,
                at: At { minute: 420 },
            }),
            ..Reports::default()
        };
        let now = Time::parse("2026-11-21T06:30").unwrap();
        let shown: Vec<_> = kinds(&reports)
            .iter()
            .map(|kind| (kind.previous(now).local(), kind.next(now).local()))
            .collect();
        let texts = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(
            shown,
            [
                texts("2026-11-20 07:00:00", "2026-11-21 07:00:00"),
                texts("2026-11-16 07:00:00", "2026-11-23 07:00:00"),
            ]
        );
    }

    #[test]
    fn the_newest_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        for name in [
            "report-daily-2026-11-19.html",
            "report-daily-2026-11-21.html",
            "report-daily-2026-11-20.html",
            "report-weekly-2026-01-01.html",
            "notes.txt",
        ] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let mut config = Config::default();
        config.report.keep = 2;
        config.report.daily = Some(At { minute: 0 });
        let work = Work {
            config,
            store: folder.path().join("a.db"),
            folder: folder.path().to_owned(),
            language: Language::English,
        };
        let kind = kinds(&work.config.report)[0];
        // There is no store: that is told, and the old ones are looked through all the same.
        work.make(kind, Time::parse("2026-11-22T00:00").unwrap());
        let mut left: Vec<_> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort_unstable();
        assert_eq!(
            left,
            [
                "notes.txt",
                "report-daily-2026-11-20.html",
                "report-daily-2026-11-21.html",
                "report-weekly-2026-01-01.html",
            ]
        );
    }
}
