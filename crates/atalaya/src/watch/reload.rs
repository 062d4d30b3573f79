//! Watches the configuration file and the list files it names, and has them read again when they change.
//!
//! Editors and package managers replace a file by renaming another over it, and links may be turned: so the folders
//! are watched, and what counts is whether the file that a name leads to has changed.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use atalaya_host::clock;
use atalaya_model::Span;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};

use crate::config::load::Loaded;
use crate::control::{self, Surroundings};

/// Files must have been left alone for so long.
const QUIET: Span = Span::from_seconds(1);
/// In a folder where something always happens, they are read after so long at the latest.
const LATEST: Span = Span::from_seconds(5);

/// Ends the thread when it is dropped.
pub(super) struct FileWatch {
    _stop: Sender<()>,
}

/// What tells a file from its earlier self; `None` where there is none.
type Stamp = Option<(u64, u64, u64, i64, i64)>;

/// Files with what they were like when they were read.
pub(crate) type Stamps = BTreeMap<PathBuf, Stamp>;

/// The configuration file, whether it is there or not, and the list files that it names, as they were when read last.
pub struct Sources {
    config: PathBuf,
    stamps: Mutex<Stamps>,
}

impl Sources {
    /// The sources of `loaded`, which was read from `config`, or is the default because there is no such file.
    pub fn new(config: &Path, loaded: &Loaded) -> Self {
        let sources = Self {
            config: config.to_path_buf(),
            stamps: Mutex::default(),
        };
        sources.set(loaded, Stamps::new());
        sources
    }

    fn read(&self) -> Stamps {
        self.stamps.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The same files as they are now. Ask before reading them.
    pub(crate) fn now(&self) -> Stamps {
        let files = self.read().into_keys();
        files
            .map(|file| (stamp(&file), file))
            .map(|(stamp, file)| (file, stamp))
            .collect()
    }

    /// They were read, and are not good.
    pub(crate) fn tried(&self, before: Stamps) {
        *self.stamps.lock().unwrap_or_else(PoisonError::into_inner) = before;
    }

    /// They were read, and name what is in `loaded`; `before` is what they were like just before that.
    pub(crate) fn set(&self, loaded: &Loaded, before: Stamps) {
        let folder = self.config.parent().unwrap_or(Path::new(""));
        let lists = loaded.config.detect.blocklisted_address.files.iter();
        let files = lists.chain(&loaded.config.geo.files);
        let files = files.map(|list| folder.join(list)).chain([self.config.clone()]);
        self.tried(
            files
                .map(|file| (before.get(&file).copied().unwrap_or_else(|| stamp(&file)), file))
                .map(|(stamp, file)| (file, stamp))
                .collect(),
        );
    }
}

/// Starts the thread. Without the means to watch files a signal still works, so failure is told, and no more.
pub(super) fn start(surroundings: Arc<Surroundings>) -> Option<FileWatch> {
    let (stop, stopped) = bounded(0);
    let (changed, changes) = bounded(1);
    let told = move |event: notify::Result<notify::Event>| {
        if event.is_ok_and(|event| !matches!(event.kind, EventKind::Access(_))) {
            // One is enough: it says that something happened.
            let _is_first = changed.try_send(());
        }
    };
    let watcher = notify::recommended_watcher(told)
        .inspect_err(|error| {
            tracing::warn!(
                "changes of the configuration are not noticed ({error}); SIGHUP has it read again"
            );
        })
        .ok()?;
    let mut files = Files {
        watcher,
        folders: BTreeSet::new(),
        surroundings,
    };
    files.watch();
    let started = std::thread::Builder::new()
        .name("config-watch".into())
        .spawn(move || files.run(&changes, &stopped));
    started
        .inspect_err(|error| tracing::warn!(%error, "no thread to notice changes of the configuration"))
        .ok()?;
    Some(FileWatch { _stop: stop })
}

struct Files {
    watcher: RecommendedWatcher,
    folders: BTreeSet<PathBuf>,
    surroundings: Arc<Surroundings>,
}

impl Files {
    fn run(mut self, changes: &Receiver<()>, stopped: &Receiver<()>) {
        loop {
            crossbeam_channel::select! {
                recv(changes) -> change => if change.is_err() { return },
                recv(stopped) -> _ => return,
            }
            let latest = clock::Deadline::after(LATEST);
            while let Some(left) = latest.left() {
                let quiet = std::time::Duration::from_micros(QUIET.0.unsigned_abs()).min(left);
                match changes.recv_timeout(quiet) {
                    Ok(()) => {}
                    Err(RecvTimeoutError::Timeout) => break,
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
            let sources = &self.surroundings.sources;
            if sources.now() != sources.read() {
                tracing::info!("the configuration or one of its lists has changed");
                // The outcome is told in the log; with any problem the old configuration stays.
                drop(control::reload(&self.surroundings));
            }
            self.watch();
        }
    }

    /// Watches the folders of the files that matter now.
    fn watch(&mut self) {
        let files = self.surroundings.sources.read();
        let folders: BTreeSet<PathBuf> = files.keys().map(|file| folder_of(file)).collect();
        for folder in self.folders.difference(&folders) {
            drop(self.watcher.unwatch(folder));
        }
        // A folder that was removed and made again is another folder: all are asked for again.
        for folder in &folders {
            if let Err(error) = self.watcher.watch(folder, RecursiveMode::NonRecursive) {
                tracing::debug!(%error, folder = %folder.display(), "changes there are not noticed");
            }
        }
        self.folders = folders;
    }
}

fn folder_of(file: &Path) -> PathBuf {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

fn stamp(file: &Path) -> Stamp {
    let found = std::fs::metadata(file).ok()?;
    Some((
        found.dev(),
        found.ino(),
        found.len(),
        found.mtime(),
        found.mtime_nsec(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load::load;
    use crate::control::Command;
    use atalaya_model::live::Response;
    use atalaya_model::{Ledger, Time};
    use std::time::Duration;

    struct Bench {
        folder: tempfile::TempDir,
        commands: Receiver<Command>,
        _watch: FileWatch,
    }

    impl Bench {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join("bad.txt"), "192.0.2.1\n").unwrap();
            let config = folder.path().join("atalaya.toml");
            std::fs::write(&config, "[detect.blocklisted_address]\nfiles = [\"bad.txt\"]\n").unwrap();
            let loaded = load(Some(&config), Path::new("/nonexistent"), Time(0)).unwrap();
            let (sender, commands) = bounded(4);
            let surroundings = Arc::new(Surroundings {
                commands: sender,
                sources: Sources::new(&config, &loaded),
                config: Some(config),
                usual_config: "/nonexistent".into(),
                store: None,
                ledger: Ledger::default(),
            });
            let watch = start(surroundings).unwrap();
            Self {
                folder,
                commands,
                _watch: watch,
            }
        }

        /// Replaces a file as editors do.
        fn replace(&self, name: &str, text: &str) {
            let other = self.folder.path().join("new~");
            std::fs::write(&other, text).unwrap();
            std::fs::rename(other, self.folder.path().join(name)).unwrap();
        }

        fn next(&self) -> Box<Loaded> {
            match self.commands.recv_timeout(Duration::from_secs(60)) {
                Ok(Command::Reconfigure(loaded, answer)) => {
                    answer.send(Response::Done("".into())).unwrap();
                    loaded
                }
                Ok(_) => panic!("another command"),
                Err(error) => panic!("no change was noticed: {error}"),
            }
        }
    }

    #[test]
    fn replaced_files_and_lists_are_read_again() {
        let bench = Bench::new();
        std::fs::write(bench.folder.path().join("more.txt"), "192.0.2.2\n").unwrap();
        let lists = "[detect.blocklisted_address]\nfiles = [\"bad.txt\", \"more.txt\"]\n";
        bench.replace("atalaya.toml", &format!("[watch]\ninterval = \"7s\"\n{lists}"));
        let loaded = bench.next();
        assert_eq!(loaded.config.watch.interval.0, Span::from_seconds(7));
        // A list that only the new configuration names.
        bench.replace("more.txt", "192.0.2.2\n198.51.100.0/24\n");
        let loaded = bench.next();
        assert_eq!(loaded.lists.blocklist.len(), 3);
        // With an error in it the old one stays: nothing comes until it is mended.
        bench.replace("atalaya.toml", "[watch]\nintervall = \"1s\"\n");
        std::fs::write(bench.folder.path().join("unrelated"), "x").unwrap();
        bench.replace("atalaya.toml", "[watch]\ninterval = \"9s\"\n");
        assert_eq!(bench.next().config.watch.interval.0, Span::from_seconds(9));
    }
}
