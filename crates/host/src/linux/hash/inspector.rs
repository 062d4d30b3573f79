//! The pool: processes go in, the same processes with hashes and package come out.

use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use atalaya_model::process::Unread;
use atalaya_model::{Ledger, Process, Span, Stage, Text};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, after, bounded, never, select};
use rustix::fs::{Mode, OFlags};

use super::cache::DigestCache;
use super::find::{self, Place};
use super::{BUFFER, FileIdentity, HashError, MAX_FILE, sha256};
use crate::HostError;
use crate::clock::Deadline;
use crate::linux::package::{Lookup, Packages};
use crate::linux::process::arguments::text;
use crate::linux::process::files::{MAX_LINK, ProcessFolder, read_stat};
use crate::linux::process::stat::{MAX_STAT, Stat};
use crate::linux::redact::hexadecimal;

/// Most processes that wait, and most results that wait to be fetched.
const QUEUE: usize = 4096;
/// How long a package manager at work may hold up an answer about a package.
const PATIENCE: Span = Span::from_seconds(120);
/// How often a held-up answer is tried again.
const RETRY: Duration = Duration::from_millis(500);

/// What the pool does.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Threads, 1 or 2.
    pub threads: usize,
    /// Compute hashes.
    pub hashes: bool,
    /// Look up packages.
    pub packages: bool,
    /// Larger executables are not hashed, in bytes.
    pub max_file: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            threads: 1,
            hashes: true,
            packages: true,
            max_file: MAX_FILE,
        }
    }
}

/// A process to be inspected, and how to find what it ran once it is gone.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The process.
    pub process: Arc<Process>,
    /// What the kernel told of its file; `None` where only the process itself leads to it.
    pub file: Option<ToldFile>,
}

/// The file that a process runs, as the kernel told it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ToldFile {
    /// Which file.
    pub identity: FileIdentity,
    /// Paths mean the same to the process as to us.
    pub has_our_mounts: bool,
}

/// What became of a process that was handed in.
#[derive(Debug)]
pub enum Inspected {
    /// The process with all that was found out.
    Done(Subject),
    /// Its executable could not be hashed, and why; the package may be known all the same.
    Unhashed(Subject, HashError),
    /// It ended, or became another program, before it was inspected, and its file is not to be found.
    Gone(Subject),
}

/// A pool of named threads. Dropping it ends them after the file they read.
#[derive(Debug)]
pub struct Inspector {
    jobs: Option<Jobs<Sender<Subject>>>,
    results: Receiver<Inspected>,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// Two queues: what the kernel told of may be gone in a moment, and goes first.
#[derive(Debug, Clone)]
struct Jobs<T> {
    urgent: T,
    other: T,
}

#[derive(Debug)]
struct Shared {
    root: OwnedFd,
    options: Options,
    digests: DigestCache,
    pending: AtomicUsize,
    ledger: Ledger,
}

impl Inspector {
    /// Starts the threads (`inspect-0`, `inspect-1`).
    ///
    /// # Errors
    /// When `/proc` or a thread is not to be had.
    pub fn start(options: Options, ledger: Ledger) -> Result<Self, HostError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open("/proc", flags, Mode::empty());
        let shared = Arc::new(Shared {
            root: root.map_err(|error| HostError::file("open", "/proc")(error.into()))?,
            options,
            digests: DigestCache::default(),
            pending: AtomicUsize::new(0),
            ledger,
        });
        let (urgent, urgent_waiting) = bounded(QUEUE);
        let (other, other_waiting) = bounded(QUEUE);
        let waiting = Jobs {
            urgent: urgent_waiting,
            other: other_waiting,
        };
        let (done, results) = bounded(QUEUE);
        let mut inspector = Self {
            jobs: Some(Jobs { urgent, other }),
            results,
            shared,
            threads: Vec::new(),
        };
        for number in 0..options.threads.clamp(1, 2) {
            let worker = Worker {
                shared: inspector.shared.clone(),
                packages: options.packages.then(Packages::of_host),
                buffer: vec![0; BUFFER].into(),
                postponed: VecDeque::new(),
            };
            let (waiting, done) = (waiting.clone(), done.clone());
            let thread = std::thread::Builder::new()
                .name(format!("inspect-{number}"))
                .spawn(move || worker.run(&waiting, &done))
                .map_err(HostError::system("start a thread"))?;
            inspector.threads.push(thread);
        }
        Ok(inspector)
    }

    /// Sets the hash of `process` where it is known already, at the cost of one look at its file.
    /// `true` where it is set now.
    pub fn hash_if_known(&self, process: &mut Process) -> bool {
        let folder = ProcessFolder::open(self.shared.root.as_fd(), process.key.pid);
        let known = folder
            .and_then(|folder| folder.stat(b"exe"))
            .ok()
            .and_then(|stat| self.shared.digests.get(&FileIdentity::of(&stat)));
        if known.is_some() {
            process.sha256 = known;
        }
        process.sha256.is_some()
    }

    /// Hands in a process that lives; it comes back through [`Self::results`]. `false`, and counted as dropped, where
    /// the queue is full. A thread of the kernel has no file and comes back as it is.
    pub fn submit(&self, process: Arc<Process>) -> bool {
        self.submit_told(Subject { process, file: None })
    }

    /// As [`Self::submit`], for a process that the kernel told of, and that may have ended since.
    pub fn submit_told(&self, subject: Subject) -> bool {
        let ledger = &self.shared.ledger;
        ledger.received(Stage::Hashes, 1);
        let Some(jobs) = &self.jobs else {
            return false;
        };
        self.shared.pending.fetch_add(1, Ordering::AcqRel);
        let jobs = if subject.file.is_some() {
            &jobs.urgent
        } else {
            &jobs.other
        };
        match jobs.try_send(subject) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.shared.pending.fetch_sub(1, Ordering::AcqRel);
                ledger.dropped(Stage::Hashes, 1);
                false
            }
        }
    }

    /// Where the results come out. Whoever does not fetch them stops the pool, and then `submit` fails.
    pub fn results(&self) -> &Receiver<Inspected> {
        &self.results
    }

    /// How many were handed in and have not come out yet.
    pub fn pending(&self) -> usize {
        self.shared.pending.load(Ordering::Acquire)
    }
}

impl Drop for Inspector {
    fn drop(&mut self) {
        // Without a sender the threads end; without a receiver they do not wait for room.
        self.jobs = None;
        self.results = never();
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
    }
}

impl Jobs<Receiver<Subject>> {
    /// The next job, or what a time-out says.
    fn next(&self, timeout: Receiver<Instant>) -> Result<Subject, RecvTimeoutError> {
        if let Ok(subject) = self.urgent.try_recv() {
            return Ok(subject);
        }
        select! {
            recv(self.urgent) -> subject => subject.map_err(|_| RecvTimeoutError::Disconnected),
            recv(self.other) -> subject => subject.map_err(|_| RecvTimeoutError::Disconnected),
            recv(timeout) -> _ => Err(RecvTimeoutError::Timeout),
        }
    }
}

struct Worker {
    shared: Arc<Shared>,
    packages: Option<Packages>,
    buffer: Box<[u8]>,
    postponed: VecDeque<(Deadline, Subject)>,
}

impl Worker {
    fn run(mut self, jobs: &Jobs<Receiver<Subject>>, results: &Sender<Inspected>) {
        loop {
            let job = jobs.next(if self.postponed.is_empty() {
                never()
            } else {
                after(RETRY)
            });
            let fine = match job {
                Ok(subject) => self.take(subject, Deadline::after(PATIENCE), results),
                Err(RecvTimeoutError::Timeout) => self.retry(results),
                Err(RecvTimeoutError::Disconnected) => false,
            };
            if !fine {
                return;
            }
        }
    }

    /// Tries each postponed process once more.
    fn retry(&mut self, results: &Sender<Inspected>) -> bool {
        (0..self.postponed.len()).all(|_| match self.postponed.pop_front() {
            Some((deadline, subject)) => self.take(subject, deadline, results),
            None => true,
        })
    }

    /// Inspects one process and sends the result; `false` where nobody wants it.
    fn take(&mut self, subject: Subject, deadline: Deadline, results: &Sender<Inspected>) -> bool {
        let may_wait = deadline.left().is_some() && self.postponed.len() < QUEUE;
        let Some(result) = self.inspect(&subject, may_wait) else {
            self.postponed.push_back((deadline, subject));
            return true;
        };
        let ledger = &self.shared.ledger;
        match &result {
            Inspected::Done(_) => ledger.passed(Stage::Hashes, 1),
            Inspected::Unhashed(..) | Inspected::Gone(_) => ledger.failed(Stage::Hashes, 1),
        }
        let sent = results.send(result).is_ok();
        self.shared.pending.fetch_sub(1, Ordering::AcqRel);
        sent
    }

    /// `None` where the package manager is at work and the answer may wait.
    fn inspect(&mut self, subject: &Subject, may_wait: bool) -> Option<Inspected> {
        let file = subject.file;
        let done = |process: Process| Subject {
            process: Arc::new(process),
            file,
        };
        let mut process = Process::clone(&subject.process);
        if process.flags.kernel_thread {
            return Some(Inspected::Done(subject.clone()));
        }
        let Some(place) = self.place(subject) else {
            return Some(Inspected::Gone(subject.clone()));
        };
        if let Some(packages) = &mut self.packages {
            let lookup = match (&place, &process.executable) {
                (Place::Alive(folder), _) => packages.of_process(folder, &process),
                (Place::Found { .. }, Some(path)) if file.is_some_and(|file| file.has_our_mounts) => {
                    packages.of_path(path)
                }
                _ => Lookup::Unowned,
            };
            match lookup {
                Lookup::Found(package) => process.package = Some(package),
                Lookup::Unowned => process.package = None,
                Lookup::Busy if may_wait => return None,
                Lookup::Busy => {}
            }
        }
        if !self.shared.options.hashes {
            return Some(Inspected::Done(done(process)));
        }
        if let Some(script) = &process.script {
            process.script_sha256 = self.script(&place, subject, script);
        }
        Some(match self.hash(&place) {
            Ok(digest) => {
                process.sha256 = Some(digest);
                Inspected::Done(done(process))
            }
            Err(HashError::Gone) => Inspected::Gone(done(process)),
            Err(error) => Inspected::Unhashed(done(process), error),
        })
    }

    /// Where the file that the process ran is to be had.
    fn place(&self, subject: &Subject) -> Option<Place> {
        let root = self.shared.root.as_fd();
        let Some(told) = &subject.file else {
            return self.folder(&subject.process).ok().map(Place::Alive);
        };
        if let Ok(folder) = self.folder(&subject.process)
            && folder
                .stat(b"exe")
                .is_ok_and(|stat| told.identity.has_inode_of(&stat))
        {
            return Some(Place::Alive(folder));
        }
        let path = subject.process.executable.as_deref()?;
        let mut found = find::by_path(root, &subject.process, told.has_our_mounts, path);
        let (file, stat) = found.find(|(_, stat)| told.identity.is_content_of(stat))?;
        Some(Place::Found { file, stat })
    }

    /// The folder of this very process, if it still runs the program that it was described with.
    fn folder(&self, process: &Process) -> Result<ProcessFolder, Unread> {
        let root = self.shared.root.as_fd();
        let folder = ProcessFolder::open(root, process.key.pid)?;
        let mut buffer = [0; MAX_STAT];
        let key = Stat::parse(read_stat(root, process.key.pid, &mut buffer)?).map(|stat| stat.key());
        if key != Some(process.key) {
            return Err(Unread::Gone);
        }
        let mut link = [0; MAX_LINK];
        let Some(described) = &process.executable else {
            return Ok(folder);
        };
        match folder.link("exe", &mut link) {
            Ok(path) if !text(path).starts_with(&**described) => Err(Unread::Gone),
            Err(Unread::Gone) => Err(Unread::Gone),
            _ => Ok(folder),
        }
    }

    fn hash(&mut self, place: &Place) -> Result<Text, HashError> {
        let stat = match place {
            Place::Alive(folder) => folder.stat(b"exe").map_err(unread)?,
            Place::Found { stat, .. } => *stat,
        };
        if let Some(known) = self.shared.digests.get(&FileIdentity::of(&stat)) {
            return Ok(known);
        }
        let file = match place {
            Place::Alive(folder) => folder.open_file("exe").map_err(unread)?,
            Place::Found { file, .. } => find::reopen(self.shared.root.as_fd(), file).map_err(unread)?,
        };
        self.digest(&file)
    }

    /// The hash of the script that a process runs, as it is now; `None` where no such file is found.
    fn script(&mut self, place: &Place, subject: &Subject, script: &str) -> Option<Text> {
        let root = self.shared.root.as_fd();
        let has_our_mounts = subject.file.is_some_and(|file| file.has_our_mounts);
        let (file, stat) = match place {
            Place::Alive(folder) => find::of_process(folder, script)?,
            Place::Found { .. } => find::by_path(root, &subject.process, has_our_mounts, script).next()?,
        };
        if let Some(known) = self.shared.digests.get(&FileIdentity::of(&stat)) {
            return Some(known);
        }
        self.digest(&find::reopen(root, &file).ok()?).ok()
    }

    fn digest(&mut self, file: &OwnedFd) -> Result<Text, HashError> {
        let (identity, digest) = sha256(file, &mut self.buffer, self.shared.options.max_file)?;
        let digest: Text = hexadecimal(&digest).into();
        self.shared.digests.insert(identity, digest.clone());
        Ok(digest)
    }
}

fn unread(reason: Unread) -> HashError {
    match reason {
        Unread::Gone => HashError::Gone,
        Unread::NoPermission => HashError::NoPermission,
        Unread::Failed => HashError::System(rustix::io::Errno::IO),
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use sha2::Digest as _;

    use super::*;
    use crate::linux::process::{CommandLines, ProcessReader};

    fn own_process() -> Process {
        let mut reader = ProcessReader::new(CommandLines::default()).unwrap();
        reader.describe(std::process::id()).unwrap()
    }

    fn hash_of(path: &std::path::Path) -> String {
        hexadecimal(&sha2::Sha256::digest(std::fs::read(path).unwrap()))
    }

    #[test]
    fn a_process_comes_back_with_its_hash() {
        let ledger = Ledger::default();
        let inspector = Inspector::start(Options::default(), ledger.clone()).unwrap();
        let mut process = own_process();
        assert!(!inspector.hash_if_known(&mut process));
        assert!(inspector.submit(Arc::new(process.clone())));
        let Inspected::Done(done) = inspector.results().recv().unwrap() else {
            panic!("it failed");
        };
        let expected = hash_of(&std::env::current_exe().unwrap());
        assert_eq!(done.process.sha256.as_deref(), Some(&*expected));
        assert_eq!(done.process.key, process.key);
        assert!(inspector.hash_if_known(&mut process));
        assert_eq!(process.sha256, done.process.sha256);
        assert_eq!(ledger.lost(), 0);
    }

    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "the test inspects a program that it starts"
    )]
    fn the_hash_is_of_what_runs_and_not_of_what_is_there_now() {
        let folder = tempfile::tempdir().unwrap();
        let (path, new) = (folder.path().join("tool"), folder.path().join("new"));
        std::fs::copy("/bin/sleep", &path).unwrap();
        std::fs::copy("/bin/cat", &new).unwrap();
        let mut child = Command::new(&path)
            .arg("60")
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        std::fs::rename(&new, &path).unwrap();
        let mut reader = ProcessReader::new(CommandLines::default()).unwrap();
        let process = Arc::new(reader.describe(child.id()).unwrap());
        let inspector = Inspector::start(Options::default(), Ledger::default()).unwrap();
        inspector.submit(process.clone());
        let result = inspector.results().recv().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        let Inspected::Done(done) = result else {
            panic!("it failed");
        };
        let digest = done.process.sha256.as_deref();
        assert_eq!(digest, Some(&*hash_of("/bin/sleep".as_ref())));
        assert_ne!(digest, Some(&*hash_of(&path)));
        inspector.submit(process);
        assert!(matches!(inspector.results().recv().unwrap(), Inspected::Gone(_)));
    }

    #[test]
    fn another_process_with_the_same_pid_is_not_hashed() {
        let inspector = Inspector::start(Options::default(), Ledger::default()).unwrap();
        let mut process = own_process();
        process.key.start += 1;
        inspector.submit(Arc::new(process));
        assert!(matches!(inspector.results().recv().unwrap(), Inspected::Gone(_)));
    }

    #[test]
    fn too_large_is_a_reason() {
        let options = Options {
            max_file: 100,
            packages: false,
            ..Options::default()
        };
        let ledger = Ledger::default();
        let inspector = Inspector::start(options, ledger.clone()).unwrap();
        inspector.submit(Arc::new(own_process()));
        let result = inspector.results().recv().unwrap();
        assert!(matches!(
            result,
            Inspected::Unhashed(_, HashError::TooLarge { limit: 100 })
        ));
        assert_eq!(ledger.counts()[0].errors, 1);
    }

    /// A process that ended, and ran the file at `path`.
    fn dead(path: &std::path::Path, script: Option<&std::path::Path>) -> Subject {
        let text = |path: &std::path::Path| Text::from(path.to_str().unwrap());
        let mut process = own_process();
        process.key.start += 1;
        process.executable = Some(text(path));
        process.script = script.map(text);
        Subject {
            process: Arc::new(process),
            file: Some(ToldFile {
                identity: FileIdentity::of(&rustix::fs::stat(path).unwrap()),
                has_our_mounts: true,
            }),
        }
    }

    #[test]
    fn the_file_of_a_dead_process_is_found_unless_it_was_replaced() {
        let inspector = Inspector::start(Options::default(), Ledger::default()).unwrap();
        let result = |subject: Subject| {
            inspector.submit_told(subject);
            inspector.results().recv().unwrap()
        };
        let system = std::fs::canonicalize("/bin/sleep").unwrap();
        let Inspected::Done(done) = result(dead(&system, None)) else {
            panic!("it failed");
        };
        assert_eq!(done.process.sha256.as_deref(), Some(&*hash_of(&system)));
        if std::path::Path::new("/var/lib/dpkg/status").exists() {
            let package = done.process.package.as_ref().unwrap();
            assert_eq!(&*package.name, "coreutils");
        }
        let folder = tempfile::tempdir().unwrap();
        let (path, new) = (folder.path().join("tool"), folder.path().join("new"));
        std::fs::copy("/bin/sleep", &path).unwrap();
        std::fs::copy("/bin/sleep", &new).unwrap();
        let subject = dead(&path, None);
        std::fs::rename(&new, &path).unwrap();
        assert!(matches!(result(subject), Inspected::Gone(_)));
    }

    #[test]
    fn a_script_that_is_no_regular_file_is_not_opened() {
        let folder = tempfile::tempdir().unwrap();
        let (pipe, script) = (folder.path().join("pipe"), folder.path().join("script"));
        let mode = Mode::RWXU;
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        std::fs::write(&script, "exit").unwrap();
        let inspector = Inspector::start(Options::default(), Ledger::default()).unwrap();
        for (script, expected) in [(&pipe, None), (&script, Some(hash_of(&script)))] {
            inspector.submit_told(dead("/bin/sleep".as_ref(), Some(script)));
            // To open a pipe for reading would wait for a writer.
            let Inspected::Done(done) = inspector.results().recv().unwrap() else {
                panic!("it failed");
            };
            assert_eq!(done.process.script_sha256.as_deref(), expected.as_deref());
        }
    }

    #[test]
    fn a_full_queue_is_counted_and_dropping_does_not_hang() {
        let ledger = Ledger::default();
        let inspector = Inspector::start(Options::default(), ledger.clone()).unwrap();
        let process = Arc::new(own_process());
        let accepted = (0..4 * QUEUE)
            .filter(|_| inspector.submit(process.clone()))
            .count();
        assert!(accepted < 4 * QUEUE);
        assert_eq!(ledger.lost(), (4 * QUEUE - accepted) as u64);
    }
}
