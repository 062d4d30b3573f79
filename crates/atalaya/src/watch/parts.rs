//! Starts everything that a watch needs, in the order in which failures are cheapest.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use atalaya_alert::outlet::options::EventKind;
use atalaya_alert::{Console, Item, Outlets, Surroundings};
use atalaya_detect::Learning;
use atalaya_format::catalogue::Language;
use atalaya_format::ecs::Context;
use atalaya_host::clock;
use atalaya_host::collector::{CommandLineKey, Options as CollectorOptions};
use atalaya_host::identity::Identity;
use atalaya_host::service::Notifier;
use atalaya_host::signals::Signals;
use atalaya_model::fields::Record;
use atalaya_model::{AlertRecord, Observation, Span, Time};
use atalaya_store::{AlertQuery, Options as StoreOptions, Reader, StoreError, Writer};
use crossbeam_channel::{Receiver, Sender, bounded};

use super::Plan;
use super::output::Output;
use super::packets::Packets;
use super::recording::Recording;
use super::reload::Sources;
use crate::cli::TierChoice;
use crate::config::load::Loaded;
use crate::control::{self, Command};
use crate::documents::Schedule;
use crate::engine::Engine;
use crate::exit::Failure;
use crate::keeper::{self, Keeper};
use crate::paths::Places;
use crate::setup::{self, VERSION};
use crate::terminal::Terminal;

/// Messages between collector and engine, at most; a full channel makes the collector wait, and the kernel's buffer
/// holds what happens meanwhile.
const OBSERVATIONS: usize = 64;
/// How soon the collector notices that the watch ends.
const SLICE: std::time::Duration = std::time::Duration::from_millis(200);
/// Commands that wait for the engine, at most.
const COMMANDS: usize = 64;

/// What the collector's thread says.
pub(super) enum Collected {
    /// It observed something.
    Observation(Box<Observation>),
    /// A look failed; it goes on trying.
    Failed(String),
}

/// What somebody asks by a signal.
#[derive(Clone, Copy, Debug)]
pub(super) enum Signal {
    /// End.
    Stop,
    /// Read the configuration again.
    Reload,
}

/// Everything that runs.
pub(super) struct Parts {
    pub(super) engine: Engine,
    pub(super) observations: Receiver<Collected>,
    /// Asks the collector to tell what it still knows, and to end.
    pub(super) finish: Arc<AtomicBool>,
    pub(super) packets: Option<Packets>,
    pub(super) recording: Option<Recording>,
    pub(super) commands: Receiver<Command>,
    pub(super) signals: Receiver<Signal>,
    /// Where whoever wants the watch to end says so.
    pub(super) ask: Sender<Signal>,
    pub(super) outlets: Outlets,
    pub(super) keeper: Option<Keeper>,
    pub(super) reports: Option<Schedule>,
    pub(super) identity: Identity,
    pub(super) language: Language,
    pub(super) terminal: Terminal,
    pub(super) tier: atalaya_model::TierReport,
    pub(super) ledger: atalaya_model::Ledger,
    pub(super) began: Time,
    pub(super) learning_until: Option<Time>,
    pub(super) reload: Arc<control::Surroundings>,
    pub(super) served: Option<control::Served>,
    /// Held while changes of the configuration are to be noticed.
    pub(super) _file_watch: Option<super::reload::FileWatch>,
    pub(super) folder: PathBuf,
    pub(super) notifier: Notifier,
}

pub(super) fn start(
    plan: &Plan,
    tier: TierChoice,
    loaded: Loaded,
    language: Language,
    terminal: Terminal,
    config: Option<PathBuf>,
) -> Result<Parts, Failure> {
    let places = Places::of_this_user();
    let identity = Identity::of_host();
    let began = clock::now();
    let (ask, signals) = spawn_signals()?;
    let store = plan
        .store
        .as_deref()
        .map(|path| open_store(path, &identity, began, &loaded))
        .transpose()?;
    let options = CollectorOptions {
        command_line_key: plan.store.as_deref().and_then(key),
        ..Default::default()
    };
    let collector = setup::collector(tier, options, &loaded)?;
    let ledger = collector.ledger();
    let folder = loaded
        .config
        .watch
        .log_folder
        .clone()
        .unwrap_or_else(|| places.logs.clone());
    let outlets = open_outlets(
        plan,
        &loaded,
        setup::context(&identity, language),
        terminal,
        &ledger,
        &folder,
        &ask,
    )?;
    let (memory, alerts, last_alert) = match &store {
        Some((_, past)) => (past.memory.clone(), past.alerts.clone(), past.last_alert),
        None => Default::default(),
    };
    let learning = plan.learn && !keeper::has_learnt(&memory);
    // Opening a collector may take a while; only what is seen can be learnt.
    let learning_until = learning.then(|| clock::now().after(loaded.config.watch.learning.0));
    let keeper = store
        .map(|(writer, _)| Keeper::start(writer, &loaded, ledger.clone()))
        .transpose()?;
    if learning && let Some(keeper) = &keeper {
        keeper.send(keeper::learning_mark(true));
    }
    let packets = plan
        .packets
        .as_deref()
        .map(|interfaces| Packets::start(interfaces, &loaded.config.packets, &ledger))
        .transpose()?;
    let recorder = &loaded.config.packets.recorder;
    let mut recording = (packets.is_some() && recorder.enabled)
        .then(|| {
            let beside = plan
                .store
                .as_deref()
                .unwrap_or(&places.store)
                .with_file_name("packets");
            Recording::open(recorder, recorder.folder.clone().unwrap_or(beside))
        })
        .transpose()?;
    let packet_options = packets.is_some().then(|| {
        let namespace = atalaya_host::identity::network_namespace().unwrap_or(0);
        setup::packet_options(&loaded.config.packets, false, Some(namespace))
    });
    let (command_sender, commands) = bounded(COMMANDS);
    let reload = Arc::new(control::Surroundings {
        commands: command_sender,
        sources: Sources::new(config.as_deref().unwrap_or(&places.config), &loaded),
        config,
        usual_config: places.config,
        store: plan.store.clone(),
        ledger: ledger.clone(),
    });
    let file_watch = super::reload::start(Arc::clone(&reload));
    let served = plan.socket.as_deref().and_then(|socket| {
        let served = control::serve(socket, Arc::clone(&reload));
        served
            .inspect_err(|error| {
                tracing::warn!("failed to {error}; `atalaya status` will not reach this watcher")
            })
            .ok()
    });
    let reports = Schedule::start(&loaded.config, plan.store.as_deref(), language);
    let tier_report = collector.report();
    let mut engine = setup::engine(
        loaded,
        Learning {
            until: learning_until,
            ..Learning::default()
        },
        last_alert,
        began,
        collector.ledger(),
    );
    if let Some(options) = packet_options {
        engine.read_packets(options);
    }
    // Their first frames may come before it is told that they are there.
    for interface in packets.iter().flat_map(|packets| packets.report().interfaces) {
        if let Some(recording) = &mut recording {
            recording.interface(&interface);
        }
        engine.name_interface(interface.number, interface.name);
    }
    engine.recall(&memory);
    engine.recall_alerts(alerts);
    let finish = Arc::new(AtomicBool::new(false));
    let observations = spawn_collector(collector, plan.interval, Arc::clone(&finish))?;
    Ok(Parts {
        engine,
        observations,
        finish,
        packets,
        recording,
        commands,
        signals,
        ask,
        outlets,
        keeper,
        reports,
        identity,
        language,
        terminal,
        tier: tier_report,
        ledger,
        began,
        learning_until,
        reload,
        served,
        _file_watch: file_watch,
        folder,
        notifier: Notifier::from_environment().unwrap_or_else(|error| {
            tracing::warn!(%error, "the service manager cannot be told");
            Notifier::default()
        }),
    })
}

/// The key by which unredacted command lines are hashed; it lives beside the store.
fn key(store: &Path) -> Option<CommandLineKey> {
    let key = atalaya_host::identity::redaction_key(&store.with_file_name("command-lines.key"));
    key.map(CommandLineKey)
        .inspect_err(|error| tracing::warn!("command lines are kept without a hash: failed to {error}"))
        .ok()
}

/// What an earlier run left behind.
#[derive(Default)]
struct Past {
    memory: Vec<atalaya_model::memory::Memory>,
    alerts: Vec<AlertRecord>,
    last_alert: u64,
}

fn open_store(
    path: &Path,
    identity: &Identity,
    now: Time,
    loaded: &Loaded,
) -> Result<(Writer, Past), Failure> {
    let failed = |error: StoreError| Failure::Failed(format!("cannot use the store: {error}"));
    let options = StoreOptions::new(
        identity.boot.clone().unwrap_or_else(|| "unknown".into()),
        VERSION,
        now,
    );
    let opened = match open_past(path, &options, now, loaded) {
        // A service that will not start again because of one page sees nothing.
        Err(StoreError::Corrupt(why)) => keeper::set_aside(path, now, &why).and_then(|begin| {
            let mut fresh = Writer::open(path, &options)?;
            fresh.write(&begin)?;
            fresh.close(now)?;
            open_past(path, &options, now, loaded)
        }),
        opened => opened,
    };
    opened.map_err(failed)
}

fn open_past(
    path: &Path,
    options: &StoreOptions,
    now: Time,
    loaded: &Loaded,
) -> Result<(Writer, Past), StoreError> {
    let writer = Writer::open(path, options)?;
    let reader = Reader::open(path)?;
    let options = &loaded.config.alerts;
    let longest = atalaya_model::Severity::ALL.map(|severity| options.cooldown_of(severity).0);
    let longest = Span(longest.into_iter().max().unwrap_or(0).max(3_600_000_000));
    let query = AlertQuery {
        range: now.after(Span(-longest.0))..Time(i64::MAX),
        limit: 10_000,
        ..AlertQuery::default()
    };
    let mut alerts = Vec::new();
    for stored in reader.alerts(&query)?.into_iter().rev() {
        let (id, count, time) = (stored.alert.id, stored.count, stored.last_time);
        alerts.push(AlertRecord::Raised(Box::new(stored.alert)));
        if count > 1 {
            alerts.push(AlertRecord::Repeated {
                alert: id,
                time,
                count,
            });
        }
    }
    let past = Past {
        memory: reader.memory()?,
        alerts,
        last_alert: writer.last_alert()?,
    };
    Ok((writer, past))
}

pub(super) fn open_outlets(
    plan: &Plan,
    loaded: &Loaded,
    context: Context,
    terminal: Terminal,
    ledger: &atalaya_model::Ledger,
    folder: &Path,
    ask: &Sender<Signal>,
) -> Result<Outlets, Failure> {
    let filter = plan.filter.clone();
    let console = (!plan.quiet || plan.json).then(|| Console {
        writer: Box::new(Output::new(ask.clone())),
        colour: terminal.colour,
        json: plan.json,
        events: if plan.json {
            plan.events.clone()
        } else {
            text_events(&plan.events)
        },
        choose: Some(Box::new(move |item: &Item| match item {
            Item::Event(event) => {
                atalaya_format::ecs::judged(event).is_none_or(|record: Record<'_>| filter.matches(&record))
            }
            _ => true,
        })),
    });
    let surroundings = Surroundings {
        folder: folder.to_path_buf(),
        context,
        now: clock::now(),
        ledger: ledger.clone(),
        on_trouble: Arc::new(|trouble| match &trouble.error {
            Some(error) => {
                tracing::error!(outlet = %trouble.outlet, "{error}; watching goes on, lost lines are counted");
            }
            None => tracing::info!(outlet = %trouble.outlet, lost = trouble.lost, "writes again"),
        }),
    };
    let mut options = loaded.config.outlets.clone();
    options.console.heartbeat |= plan.heartbeat;
    options.console.verbose |= plan.verbose;
    if plan.json {
        options.console.minimum_severity = atalaya_model::Severity::Info;
    }
    Outlets::open(&options, console, &surroundings).map_err(|error| Failure::Failed(error.to_string()))
}

/// On a terminal a whole JSON document is of no use.
fn text_events(events: &[EventKind]) -> Vec<EventKind> {
    events
        .iter()
        .copied()
        .filter(|kind| *kind != EventKind::Snapshot)
        .collect()
}

fn spawn_collector(
    mut collector: Box<dyn atalaya_host::collector::Collector>,
    interval: Span,
    finish: Arc<AtomicBool>,
) -> Result<Receiver<Collected>, Failure> {
    let (sender, receiver) = bounded(OBSERVATIONS);
    let work = move || {
        let mut next = clock::monotonic();
        // A closed channel means that the watch has ended.
        let mut open = true;
        while open && !finish.load(Ordering::Relaxed) {
            let looked = collector.look(&mut |observation| {
                open &= sender.send(Collected::Observation(Box::new(observation))).is_ok();
            });
            if let Err(error) = looked {
                open &= sender.send(Collected::Failed(error.to_string())).is_ok();
            }
            // The next look is due one interval after this one was; one that took longer delays the next.
            next = Span((next.0 + interval.0).max(clock::monotonic().0));
            open &= wait(&mut *collector, next, &sender, &finish);
        }
        let last = collector.finish(&mut |observation| {
            open &= open && sender.send(Collected::Observation(Box::new(observation))).is_ok();
        });
        if let Err(error) = last {
            tracing::debug!(%error, "the last word of the collector is missing");
        }
    };
    let started = std::thread::Builder::new().name("collector".into()).spawn(work);
    started.map_err(|error| Failure::Failed(format!("cannot start the collector's thread: {error}")))?;
    Ok(receiver)
}

/// Passes on what happens by itself until the monotonic time `until`. False when nobody listens any more.
fn wait(
    collector: &mut dyn atalaya_host::collector::Collector,
    until: Span,
    sender: &Sender<Collected>,
    finish: &AtomicBool,
) -> bool {
    let mut open = true;
    while open && !finish.load(Ordering::Relaxed) {
        let left = until.0 - clock::monotonic().0;
        let Ok(left @ 1..) = u64::try_from(left) else {
            break;
        };
        let slice = std::time::Duration::from_micros(left).min(SLICE);
        let waited = collector.wait(slice, &mut |observation| {
            open &= sender.send(Collected::Observation(Box::new(observation))).is_ok();
        });
        if let Err(error) = waited {
            open &= sender.send(Collected::Failed(error.to_string())).is_ok();
            std::thread::sleep(std::time::Duration::from_micros(left.min(1_000_000)));
        }
    }
    open
}

/// Turns signals into messages.
fn spawn_signals() -> Result<(Sender<Signal>, Receiver<Signal>), Failure> {
    let signals = Signals::install().map_err(|error| Failure::Failed(format!("failed to {error}")))?;
    let (sender, receiver) = bounded(4);
    let ask = sender.clone();
    let work = move || {
        loop {
            signals.wait(Span::from_seconds(3_600));
            let signal = match signals.stop() {
                Some(_) => Signal::Stop,
                None if signals.take_reload() => Signal::Reload,
                None => continue,
            };
            if sender.send(signal).is_err() || matches!(signal, Signal::Stop) {
                return;
            }
        }
    };
    let started = std::thread::Builder::new().name("signals".into()).spawn(work);
    started.map_err(|error| Failure::Failed(format!("cannot start the thread of signals: {error}")))?;
    Ok((ask, receiver))
}
