//! Outlets: each a thread with a bounded queue, so that none can hold up the watch or another outlet.

mod console;
mod csv;
mod file;
mod json;
mod log;
pub mod options;
mod pace;
#[cfg(test)]
mod tests;
mod worker;

use std::collections::VecDeque;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use atalaya_format::Context;
use atalaya_format::csv::watched::{self, Running};
use atalaya_format::text::Style;
use atalaya_model::{AlertRecord, Event, Fact, Ledger, Severity, Stage, Text, Time};
use crossbeam_channel::{Receiver, SendTimeoutError, Sender, TrySendError, bounded, never, tick};

pub use options::{
    ConnectionsCsvOptions, ConsoleOptions, EventKind, JsonOptions, LogOptions, OutletOptions,
    ProcessesCsvOptions, Rotation, Shape, Suffix,
};
use pace::Pace;
use worker::{Render, Shared, Sink, Worker};

/// Something that outlets may write.
#[derive(Clone, Debug)]
pub enum Item {
    /// A row about an alert.
    Alert(Arc<AlertRecord>),
    /// An event.
    Event(Arc<Event>),
    /// A look ended at this time and nothing was found.
    Quiet(Time),
    /// A finished document (one line of JSON, without its newline), for outlets that chose `snapshot`.
    Snapshot(Time, Arc<str>),
    /// Some of the processes that lived at the time of a scan.
    Scan(Time, Arc<[Running]>),
    /// How the watch is, for outlets that asked to be told.
    Status(Time, Arc<str>),
}

/// Processes in one [`Item::Scan`], at most: their rows wait in memory together.
pub const SCAN_ROWS: usize = 256;

impl Item {
    /// The time it is about.
    pub fn time(&self) -> Time {
        match self {
            Self::Alert(record) => match &**record {
                AlertRecord::Raised(alert) => alert.finding.time,
                AlertRecord::Repeated { time, .. }
                | AlertRecord::Acknowledged { time, .. }
                | AlertRecord::Closed { time, .. } => *time,
            },
            Self::Event(event) => event.time,
            Self::Quiet(time) | Self::Snapshot(time, _) | Self::Scan(time, _) | Self::Status(time, _) => {
                *time
            }
        }
    }

    /// Records in it: what is counted as written or lost.
    fn records(&self) -> u64 {
        match self {
            Self::Scan(_, rows) => rows.len() as u64,
            _ => 1,
        }
    }
}

/// A choice on top of severity and kinds: the filter of the command line.
pub type Choose = Box<dyn Fn(&Item) -> bool + Send>;

/// Called on an outlet's own thread when its state changes.
pub type OnTrouble = Arc<dyn Fn(&Trouble) + Send + Sync>;

/// An outlet got into trouble, or out of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Its name.
    pub outlet: Text,
    /// What is wrong, `None` when it writes again.
    pub error: Option<Text>,
    /// Lines lost so far.
    pub lost: u64,
}

/// How an outlet is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutletStatus {
    /// Its name: `console`, `log`, `json`.
    pub name: Text,
    /// What is wrong, `None` while it writes.
    pub last_error: Option<Text>,
    /// Lines written.
    pub written: u64,
    /// Lines lost: the queue was full, or the file could not be written for too long.
    pub lost: u64,
}

/// Why an outlet cannot start.
#[derive(Debug, thiserror::Error)]
pub enum OutletError {
    /// Its file cannot be opened.
    #[error("cannot open {} for outlet `{outlet}`: {source}\n  hint: {hint}", path.display())]
    File {
        /// The outlet.
        outlet: Text,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
        /// What to do.
        hint: String,
    },
    /// The system gives no thread.
    #[error("cannot start a thread for outlet `{outlet}`: {source}")]
    Thread {
        /// The outlet.
        outlet: Text,
        /// What the system said.
        source: io::Error,
    },
}

/// What outlets need to know of their surroundings.
pub struct Surroundings {
    /// Folder of relative file names.
    pub folder: PathBuf,
    /// Host name, program version, language of sentences.
    pub context: Context,
    /// Time of the start: the first file's name may depend on it.
    pub now: Time,
    /// Where losses are counted.
    pub ledger: Ledger,
    /// Who is told of trouble.
    pub on_trouble: OnTrouble,
}

/// The console as the app set it up.
pub struct Console {
    /// Where lines go.
    pub writer: Box<dyn Write + Send>,
    /// Use colour.
    pub colour: bool,
    /// Records as ECS JSON Lines instead of sentences (`--output json`).
    pub json: bool,
    /// Events shown beside alerts (`--events`).
    pub events: Vec<EventKind>,
    /// The filter of the command line.
    pub choose: Option<Choose>,
}

/// Every running outlet. Dropping it closes the queues without waiting; [`Outlets::close`] waits.
#[derive(Default)]
pub struct Outlets(Vec<Handle>);

struct Handle {
    name: Text,
    wants: Wants,
    /// Its reader asked for everything: events wait for room, too, and so slow the watch down to its pace.
    waits: bool,
    queue: Sender<Item>,
    finished: Receiver<()>,
    shared: Arc<Shared>,
    ledger: Ledger,
}

/// What an outlet takes.
#[derive(Debug, Default)]
struct Wants {
    alerts: bool,
    events: Vec<EventKind>,
    /// Of those events only beginnings and ends.
    ends_only: bool,
    heartbeat: bool,
    /// How often it wants every process.
    scans: Pace,
    /// How often it wants to be told how the watch is.
    status: Pace,
}

/// Items that wait for one outlet, at most.
pub const QUEUE: usize = 8_192;
/// How long an alert waits for room in a full queue before it is lost.
pub const ALERT_WAIT: Duration = Duration::from_millis(250);

impl Outlets {
    /// Starts the outlets that are configured; `console` is `None` for a quiet run.
    ///
    /// # Errors
    /// When a file cannot be opened, unless only for want of space: that may pass.
    pub fn open(
        options: &OutletOptions,
        console: Option<Console>,
        surroundings: &Surroundings,
    ) -> Result<Self, OutletError> {
        let mut outlets = Self::default();
        if let Some(console) = console {
            outlets.add_console(&options.console, console, surroundings)?;
        }
        if let Some(log) = &options.log {
            outlets.add_log("log".into(), log, surroundings)?;
        }
        for (number, log) in (1..).zip(&options.logs) {
            outlets.add_log(format!("logs.{number}").into(), log, surroundings)?;
        }
        if let Some(json) = &options.json {
            outlets.add_json(json, surroundings)?;
        }
        if let Some(csv) = &options.processes_csv {
            outlets.add_processes_csv(csv, surroundings)?;
        }
        if let Some(csv) = &options.connections_csv {
            outlets.add_connections_csv(csv, surroundings)?;
        }
        Ok(outlets)
    }

    fn add_console(
        &mut self,
        options: &ConsoleOptions,
        console: Console,
        surroundings: &Surroundings,
    ) -> Result<(), OutletError> {
        let render: Box<dyn Render> = if console.json {
            Box::new(json::Ecs(surroundings.context.clone()))
        } else {
            let style = Style {
                colour: console.colour,
                language: surroundings.context.language,
            };
            Box::new(console::Lines::new(style, options.verbose))
        };
        self.start(Start {
            name: "console".into(),
            wants: Wants {
                alerts: true,
                events: console.events,
                heartbeat: options.heartbeat && !console.json,
                ..Wants::default()
            },
            waits: console.json,
            pace: None,
            minimum_severity: options.minimum_severity,
            choose: console.choose,
            render,
            sink: Box::new(worker::Stream(console.writer)),
            surroundings,
        })
    }

    fn add_log(
        &mut self,
        name: Text,
        options: &LogOptions,
        surroundings: &Surroundings,
    ) -> Result<(), OutletError> {
        let sink = open_file(&name, &options.file, &options.rotate, None, surroundings)?;
        self.start(Start {
            name,
            wants: Wants {
                alerts: true,
                events: options.events.clone(),
                status: Pace::every(options.status.0),
                ..Wants::default()
            },
            waits: false,
            pace: None,
            minimum_severity: options.minimum_severity,
            choose: None,
            render: Box::new(log::Lines::new(surroundings.context.language, options.verbose)),
            sink,
            surroundings,
        })
    }

    fn add_json(&mut self, options: &JsonOptions, surroundings: &Surroundings) -> Result<(), OutletError> {
        self.start(Start {
            name: "json".into(),
            wants: Wants {
                alerts: true,
                events: options.events.clone(),
                ..Wants::default()
            },
            waits: false,
            pace: None,
            minimum_severity: options.minimum_severity,
            choose: None,
            render: match options.shape {
                Shape::Ecs => Box::new(json::Ecs(surroundings.context.clone())),
                Shape::Basic => Box::new(json::Basic),
            },
            sink: open_file("json", &options.file, &options.rotate, None, surroundings)?,
            surroundings,
        })
    }

    fn add_processes_csv(
        &mut self,
        options: &ProcessesCsvOptions,
        surroundings: &Surroundings,
    ) -> Result<(), OutletError> {
        let header = watched::header(&watched::PROCESSES);
        let name = "processes_csv";
        self.start(Start {
            name: name.into(),
            wants: Wants {
                scans: Pace::every(options.interval.0),
                ..Wants::default()
            },
            waits: false,
            pace: None,
            minimum_severity: Severity::Info,
            choose: None,
            render: Box::new(csv::Processes),
            sink: open_file(name, &options.file, &options.rotate, Some(header), surroundings)?,
            surroundings,
        })
    }

    fn add_connections_csv(
        &mut self,
        options: &ConnectionsCsvOptions,
        surroundings: &Surroundings,
    ) -> Result<(), OutletError> {
        let header = watched::header(&watched::CONNECTIONS);
        let name = "connections_csv";
        self.start(Start {
            name: name.into(),
            wants: Wants {
                events: vec![EventKind::Connection, EventKind::Listener],
                ends_only: true,
                ..Wants::default()
            },
            waits: false,
            pace: u64::try_from(options.interval.0.0)
                .ok()
                .filter(|micros| *micros > 0)
                .map(Duration::from_micros),
            minimum_severity: Severity::Info,
            choose: None,
            render: Box::new(csv::Connections),
            sink: open_file(name, &options.file, &options.rotate, Some(header), surroundings)?,
            surroundings,
        })
    }

    fn start(&mut self, start: Start<'_>) -> Result<(), OutletError> {
        let name = start.name;
        let (queue, items) = bounded(QUEUE);
        let (done, finished) = bounded(1);
        let shared = Arc::new(Shared::default());
        let worker = Worker {
            name: name.clone(),
            queue: items,
            render: start.render,
            sink: start.sink,
            is_paced: start.pace.is_some(),
            pace: start.pace.map_or_else(never, tick),
            minimum_severity: start.minimum_severity,
            choose: start.choose,
            shared: shared.clone(),
            ledger: start.surroundings.ledger.clone(),
            on_trouble: start.surroundings.on_trouble.clone(),
            backlog: worker::Backlog::default(),
            told: VecDeque::new(),
        };
        let thread = std::thread::Builder::new()
            .name(format!("outlet-{name}"))
            .spawn(move || {
                worker.run();
                drop(done);
            });
        if let Err(source) = thread {
            return Err(OutletError::Thread { outlet: name, source });
        }
        self.0.push(Handle {
            name,
            wants: start.wants,
            waits: start.waits,
            queue,
            finished,
            shared,
            ledger: start.surroundings.ledger.clone(),
        });
        Ok(())
    }

    /// Hands an item to every outlet that chose its kind. Never waits, except briefly for what is shed last (alerts,
    /// gaps, changes of tier, starts of processes), or for a reader of JSON on standard output.
    pub fn send(&self, item: &Item) {
        for handle in &self.0 {
            if handle.wants(item) {
                handle.send(item.clone());
            }
        }
    }

    /// Does any outlet want events of this one's kind? Saves making items that nobody takes.
    pub fn want(&self, item: &Item) -> bool {
        self.0.iter().any(|handle| handle.wants(item))
    }

    /// Does any outlet want a snapshot after each look?
    pub fn want_snapshots(&self) -> bool {
        self.0
            .iter()
            .any(|handle| handle.wants.events.contains(&EventKind::Snapshot))
    }

    /// Does any outlet want every process now? Asked once, it is not due again until its interval has passed.
    pub fn want_scan(&mut self, now: Time) -> bool {
        let mut due = false;
        for handle in &mut self.0 {
            // Each is asked: one that is due now is not due again at once.
            due |= handle.wants.scans.is_due(now);
        }
        due
    }

    /// Tells the outlets whose turn it is how the watch is.
    pub fn tell_status(&mut self, now: Time, line: impl Fn() -> String) {
        let mut item = None;
        for handle in &mut self.0 {
            if handle.wants.status.is_due(now) {
                let item = item.get_or_insert_with(|| Item::Status(now, line().into()));
                handle.send(item.clone());
            }
        }
    }

    /// Tells every outlet that is told how the watch is, whether it is due or not.
    pub fn tell_at_once(&self, now: Time, line: &str) {
        for handle in self.0.iter().filter(|handle| handle.wants.status.is_some()) {
            handle.send(Item::Status(now, line.into()));
        }
    }

    /// How every outlet is.
    pub fn status(&self) -> Vec<OutletStatus> {
        let status = self.0.iter().map(|handle| OutletStatus {
            name: handle.name.clone(),
            last_error: handle.shared.last_error.get(),
            written: handle.shared.written.load(Ordering::Relaxed),
            lost: handle.shared.lost.load(Ordering::Relaxed),
        });
        status.collect()
    }

    /// Lets the outlets write what waits, at most `patience` each, and gives their last status. One that is stuck is
    /// left behind.
    pub fn close(self, patience: Duration) -> Vec<OutletStatus> {
        let status = |handles: &[(Text, Arc<Shared>)]| {
            let status = handles.iter().map(|(name, shared)| OutletStatus {
                name: name.clone(),
                last_error: shared.last_error.get(),
                written: shared.written.load(Ordering::Relaxed),
                lost: shared.lost.load(Ordering::Relaxed),
            });
            status.collect()
        };
        let mut closed = Vec::with_capacity(self.0.len());
        for handle in self.0 {
            drop(handle.queue);
            // Nothing is ever sent: it ends, or it does not end in time.
            let _ended = handle.finished.recv_timeout(patience);
            closed.push((handle.name, handle.shared));
        }
        status(&closed)
    }
}

struct Start<'a> {
    name: Text,
    wants: Wants,
    waits: bool,
    /// How often lines are written; `None` for at once.
    pace: Option<Duration>,
    minimum_severity: Severity,
    choose: Option<Choose>,
    render: Box<dyn Render>,
    sink: Box<dyn Sink>,
    surroundings: &'a Surroundings,
}

impl Handle {
    fn wants(&self, item: &Item) -> bool {
        let wants = &self.wants;
        match item {
            Item::Alert(_) => wants.alerts,
            Item::Event(event) => {
                wants.events.iter().any(|kind| kind.includes(event)) && (!wants.ends_only || is_end(event))
            }
            Item::Quiet(_) => wants.heartbeat,
            Item::Snapshot(..) => wants.events.contains(&EventKind::Snapshot),
            Item::Scan(..) => wants.scans.is_some(),
            Item::Status(..) => wants.status.is_some(),
        }
    }

    fn send(&self, item: Item) {
        let records = item.records();
        self.ledger.received(Stage::Outlet, records);
        let share = patience(&item);
        let may_wait = (share.is_none() || self.waits) && !self.shared.stuck.load(Ordering::Relaxed);
        if !may_wait && share.is_some_and(|share| self.queue.len() * 8 >= QUEUE * share) {
            // What room there is left is for what matters more.
            self.lose(records);
            return;
        }
        let sent = match self.queue.try_send(item) {
            // An outlet that kept us waiting in vain does not get to do so again until it moves.
            Err(TrySendError::Full(item)) if may_wait => match self.queue.send_timeout(item, ALERT_WAIT) {
                Err(SendTimeoutError::Timeout(_)) => {
                    self.shared.stuck.store(true, Ordering::Relaxed);
                    false
                }
                sent => sent.is_ok(),
            },
            Ok(()) => {
                self.shared.stuck.store(false, Ordering::Relaxed);
                true
            }
            Err(TrySendError::Full(_)) => false,
            Err(TrySendError::Disconnected(_)) => {
                self.shared.last_error.set(Some("its thread has ended".into()));
                false
            }
        };
        if !sent {
            self.lose(records);
        }
    }

    fn lose(&self, records: u64) {
        self.shared.lost.fetch_add(records, Ordering::Relaxed);
        self.ledger.dropped(Stage::Outlet, records);
    }
}

/// Does something begin or end with this event?
const fn is_end(event: &Event) -> bool {
    !matches!(
        event.fact,
        Fact::ConnectionUpdated(_) | Fact::ListenerUpdated(_) | Fact::ProcessUpdated(_)
    )
}

/// Up to how many eighths of the queue an item may still be added; `None` for those that are shed last: alerts, gaps,
/// changes of tier, and starts of processes.
fn patience(item: &Item) -> Option<usize> {
    let event = match item {
        Item::Event(event) => event,
        Item::Alert(_) => return None,
        Item::Quiet(_) | Item::Snapshot(..) | Item::Status(..) => return Some(8),
        Item::Scan(..) => return Some(7),
    };
    match event.fact {
        Fact::ConnectionUpdated(_) | Fact::ProcessUpdated(_) | Fact::ListenerUpdated(_) => Some(4),
        Fact::Protocol(_) => Some(6),
        Fact::ConnectionOpened(_) | Fact::ListenerAppeared(_) => Some(6),
        Fact::ConnectionClosed(_) | Fact::ProcessEnded(_) | Fact::ListenerGone(_) | Fact::Tick { .. } => {
            Some(7)
        }
        Fact::ProcessStarted(_) | Fact::Gap(_) | Fact::TierChanged(_) => None,
    }
}

/// Where a configured file is: relative names are in `folder`, `{host}` is filled in.
pub fn file_path(file: &str, folder: &Path, host: &str) -> PathBuf {
    let host: String = host
        .chars()
        .map(|c| if c == '/' || c.is_control() { '_' } else { c })
        .collect();
    folder.join(file.replace("{host}", &host))
}

fn open_file(
    outlet: &str,
    file: &str,
    rotation: &Rotation,
    header: Option<String>,
    surroundings: &Surroundings,
) -> Result<Box<dyn Sink>, OutletError> {
    let template = file_path(file, &surroundings.folder, &surroundings.context.host_name);
    let mut file = file::LogFile::new(template, rotation.clone());
    file.begin_with(header);
    if let Err(source) = file.open(surroundings.now).map(|_| ())
        && !matches!(
            source.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        )
    {
        let hint = hint(outlet, &source);
        let path = file.path_at(surroundings.now);
        return Err(OutletError::File {
            outlet: outlet.into(),
            path,
            source,
            hint,
        });
    }
    Ok(Box::new(file))
}

fn hint(outlet: &str, error: &io::Error) -> String {
    let elsewhere = format!("set `file` in `[outlets.{outlet}]` to another place");
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            format!("run as a user who may write that folder (as root: `sudo`), or {elsewhere}")
        }
        io::ErrorKind::ReadOnlyFilesystem => format!("that file system is read-only; {elsewhere}"),
        io::ErrorKind::NotADirectory => format!("a part of the path is a file, not a folder; {elsewhere}"),
        _ if error.raw_os_error() == Some(libc::ELOOP) => {
            format!("it is a symbolic link, and those are not followed; remove it, or {elsewhere}")
        }
        _ => elsewhere,
    }
}
