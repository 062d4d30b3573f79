//! The library: one struct that takes looks and watches, without the command.

use std::path::Path;
use std::sync::Arc;

use atalaya_detect::{Learning, registry::ENTRIES};
use atalaya_format::catalogue::Language;
use atalaya_host::clock;
use atalaya_host::collector::Options as CollectorOptions;
use atalaya_model::{
    Alert, AlertRecord, Connection, Event, Listener, Observation, Process, Span, TierReport, Time,
};
use atalaya_report::Statistics;

use crate::cli::{TierChoice, WatchArgs};
use crate::config::load::{self, Loaded};
use crate::engine::Output;
use crate::exit::Failure;
use crate::paths::Places;
use crate::plan::Plan;
use crate::{setup, snapshot};

/// A monitor of this host.
///
/// ```no_run
/// let monitor = atalaya::Monitor::new();
/// let snapshot = monitor.snapshot()?;
/// for alert in &snapshot.alerts {
///     println!("[{}] {}", alert.finding.severity.name(), alert.finding.rule);
/// }
/// println!("{} connections", snapshot.statistics().total);
/// # Ok::<(), atalaya::exit::Failure>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Monitor {
    config: Option<std::path::PathBuf>,
}

/// One look at the host.
pub struct Snapshot {
    /// When it began.
    pub timestamp: Time,
    /// How long it took.
    pub duration: Span,
    /// How the host was seen, and what was not.
    pub tier: TierReport,
    /// What is odd, worst first.
    pub alerts: Vec<Alert>,
    /// Every connection.
    pub connections: Vec<Arc<Connection>>,
    /// Every listener.
    pub listeners: Vec<Arc<Listener>>,
    /// The processes behind them.
    pub processes: Vec<Arc<Process>>,
}

impl Snapshot {
    /// What there is, counted.
    pub fn statistics(&self) -> Statistics {
        Statistics::count(
            self.connections.iter().map(Arc::as_ref),
            self.listeners.iter().map(Arc::as_ref),
        )
    }
}

/// What a watch tells.
#[derive(Clone, Debug)]
pub enum Told {
    /// Something happened.
    Event(Arc<Event>),
    /// A row about an alert.
    Alert(Arc<AlertRecord>),
}

impl Monitor {
    /// A monitor with the default configuration.
    pub fn new() -> Self {
        Self::default()
    }

    /// A monitor with the configuration in `path`.
    pub fn with_config(path: impl AsRef<Path>) -> Self {
        Self {
            config: Some(path.as_ref().to_path_buf()),
        }
    }

    /// What a watch would do here. Touches nothing.
    ///
    /// # Errors
    /// Problems in the configuration.
    pub fn plan(&self) -> Result<Plan, Failure> {
        Plan::new(&WatchArgs::default(), self.load()?)
    }

    /// The detectors as a document: rule, severity, sentence, recommendation, techniques.
    pub fn documentation(&self) -> serde_json::Value {
        ENTRIES
            .iter()
            .map(|entry| crate::rules::json(entry, Language::English))
            .collect()
    }

    /// Takes one look. Nothing is written anywhere.
    ///
    /// # Errors
    /// Problems in the configuration, or a host that cannot be observed.
    pub fn snapshot(&self) -> Result<Snapshot, Failure> {
        let look = snapshot::take(self.load()?, TierChoice::Auto, false, &[])?;
        let tracker = look.engine.tracker();
        Ok(Snapshot {
            timestamp: look.timestamp,
            duration: look.duration,
            tier: look.tier.clone(),
            alerts: look.alerts.clone(),
            connections: tracker.sockets().cloned().collect(),
            listeners: tracker.listeners().cloned().collect(),
            processes: tracker.processes().cloned().collect(),
        })
    }

    /// Watches until `tell` answers false: every event and alert, as it comes, on the caller's own thread. Nothing is
    /// written anywhere. `tell` is also called, with nothing, at least once an interval.
    ///
    /// # Errors
    /// Problems in the configuration, or a host that cannot be observed.
    pub fn watch(&self, mut tell: impl FnMut(Option<Told>) -> bool) -> Result<(), Failure> {
        let loaded = self.load()?;
        let interval = loaded.config.watch.interval.0;
        let began = clock::now();
        let mut collector = setup::collector(TierChoice::Auto, CollectorOptions::default(), &loaded)?;
        let until = Some(began.after(loaded.config.watch.learning.0));
        let learning = Learning {
            until,
            ..Learning::default()
        };
        let mut engine = setup::engine(loaded, learning, 0, began, collector.ledger());
        let mut out = Vec::new();
        let mut go_on = true;
        while go_on {
            let mut observe = |observation: Observation| {
                engine.observe(observation, &mut out);
                for output in out.drain(..) {
                    let told = match output {
                        Output::Event(event) => Told::Event(event),
                        Output::Alert(record) => Told::Alert(record),
                        Output::Memory(_) => continue,
                    };
                    go_on = go_on && tell(Some(told));
                }
            };
            collector
                .look(&mut observe)
                .map_err(|error| Failure::Failed(format!("cannot look at this host: failed to {error}")))?;
            let pause = std::time::Duration::from_micros(u64::try_from(interval.0).unwrap_or(1_000_000));
            collector
                .wait(pause, &mut observe)
                .map_err(|error| Failure::Failed(format!("cannot wait: failed to {error}")))?;
            go_on = go_on && tell(None);
        }
        Ok(())
    }

    fn load(&self) -> Result<Loaded, Failure> {
        let usual = Places::of_this_user().config;
        load::load(self.config.as_deref(), &usual, clock::now())
            .and_then(Loaded::open_atlas)
            .map_err(Failure::Problems)
    }
}
