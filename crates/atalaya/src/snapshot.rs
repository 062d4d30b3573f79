//! `atalaya snapshot`: one look, reported.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use atalaya_detect::Learning;
use atalaya_format::text::{Style, alert_line};
use atalaya_host::clock;
use atalaya_host::collector::Options as CollectorOptions;
use atalaya_host::identity::Identity;
use atalaya_model::fields::Record;
use atalaya_model::filter::Expression;
use atalaya_model::gap::StageCount;
use atalaya_model::memory::Memory;
use atalaya_model::{
    Alert, AlertRecord, Connection, Listener, Observation, Severity, Span, Text, TierReport, Time,
};
use atalaya_report::snapshot::{JsonOptions, Snapshot, TextOptions, write_csv, write_json, write_text};

use crate::cli::{SnapshotArgs, TableOutput, TierChoice};
use crate::config::load::Loaded;
use crate::engine::{Engine, Output};
use crate::exit::{Exit, Failure};
use crate::setup::{self, context};
use crate::terminal::Terminal;

/// How long a snapshot waits for the hashes of what it found odd.
const HASH_PATIENCE: Duration = Duration::from_millis(50);
/// So often at most.
const HASH_ROUNDS: usize = 100;
/// Looks until every process is described, at most.
const LOOKS: usize = 1_000;

/// Everything that one look found.
pub struct Look {
    /// The state after the look.
    pub engine: Engine,
    /// What was odd, worst first.
    pub alerts: Vec<Alert>,
    /// When it began.
    pub timestamp: Time,
    /// How long it took.
    pub duration: Span,
    /// How the host was seen.
    pub tier: TierReport,
    /// Processes that could not be read, by reason.
    pub unread: Vec<(Text, u32)>,
    /// Stages that counted anything.
    pub stages: Vec<StageCount>,
}

/// Takes one look. `memory` is what detectors remember of this host.
///
/// # Errors
/// When the host cannot be observed at all.
pub fn take(loaded: Loaded, choice: TierChoice, hash: bool, memory: &[Memory]) -> Result<Look, Failure> {
    let options = CollectorOptions {
        hash,
        packages: hash,
        ..CollectorOptions::single_look()
    };
    take_as(loaded, choice, options, memory)
}

/// Takes one look with these options.
///
/// # Errors
/// As [`take`].
pub fn take_as(
    loaded: Loaded,
    choice: TierChoice,
    options: CollectorOptions,
    memory: &[Memory],
) -> Result<Look, Failure> {
    let (hash, every_process) = (options.hash, options.every_process);
    let timestamp = clock::now();
    let begun = clock::monotonic();
    let mut collector = setup::collector(choice, options, &loaded)?;
    // Who wants nothing learnt wants to be told of all that is unusual at the first look.
    let learns = !crate::keeper::has_learnt(memory) && loaded.config.watch.learning.0.0 > 0;
    let learning = Learning {
        until: learns.then_some(Time(i64::MAX)),
        first_look: learns,
    };
    let mut engine = setup::engine(loaded, learning, 0, timestamp, collector.ledger());
    engine.without_events();
    engine.recall(memory);
    let mut unread = Vec::new();
    let mut out = Vec::new();
    let mut alerts = Vec::new();
    let keep = |out: &mut Vec<Output>, alerts: &mut Vec<Alert>| {
        alerts.extend(out.drain(..).filter_map(|output| match output {
            Output::Alert(record) => match Arc::unwrap_or_clone(record) {
                AlertRecord::Raised(alert) => Some(*alert),
                _ => None,
            },
            _ => None,
        }));
    };
    let mut look = |engine: &mut Engine, observation: Observation| {
        if let Observation::LookDone(_, look) = &observation {
            unread.clone_from(&look.unread_processes);
        }
        engine.observe(observation, &mut out);
        keep(&mut out, &mut alerts);
    };
    let mut described = 0;
    for _ in 0..LOOKS {
        collector
            .look(&mut |observation| look(&mut engine, observation))
            .map_err(|error| Failure::Failed(format!("cannot look at this host: failed to {error}")))?;
        // Processes without sockets are described some at a time.
        let before = std::mem::replace(&mut described, engine.tracker().process_count());
        if !every_process || described <= before {
            break;
        }
    }
    let mut observe = |observation: Observation| look(&mut engine, observation);
    if hash {
        for _ in 0..HASH_ROUNDS {
            if collector.pending() == 0 {
                break;
            }
            collector
                .wait(HASH_PATIENCE, &mut observe)
                .map_err(|error| Failure::Failed(format!("cannot wait for hashes: failed to {error}")))?;
        }
    }
    engine.finish(clock::now(), &mut out);
    keep(&mut out, &mut alerts);
    alerts.sort_by_key(|alert| (std::cmp::Reverse(alert.finding.severity), alert.id));
    let duration = Span(clock::monotonic().0 - begun.0);
    let stages = collector.ledger().counts();
    Ok(Look {
        engine,
        alerts,
        timestamp,
        duration,
        tier: collector.report(),
        unread,
        stages,
    })
}

impl Look {
    /// The worst severity found.
    pub fn worst(&self) -> Option<Severity> {
        self.alerts.iter().map(|alert| alert.finding.severity).max()
    }

    /// How the program ends now. It does not give back memory before: for a hundred thousand connections that would
    /// cost some milliseconds for nothing.
    fn exit(self) -> Exit {
        let exit = Exit::of_findings(self.worst(), Severity::High);
        std::mem::forget(self);
        exit
    }

    /// Writes the report.
    ///
    /// # Errors
    /// When the writer fails.
    pub fn write(
        &self,
        host: &str,
        filter: &Expression,
        how: &Writing<'_>,
        out: &mut dyn Write,
    ) -> std::io::Result<()> {
        let (connections, listeners) = rows(&self.engine, filter);
        let snapshot = Snapshot {
            timestamp: self.timestamp,
            duration: self.duration,
            host,
            connections: connections.iter().copied(),
            listeners: listeners.iter().copied(),
            alerts: &self.alerts,
            tier: &self.tier,
            unread: &self.unread,
            stages: &self.stages,
        };
        match how {
            Writing::Text(options) => write_text(&snapshot, options, out),
            Writing::Json(options) => write_json(&snapshot, options, out),
            Writing::Csv => write_csv(&snapshot, out),
        }
    }
}

impl Look {
    /// Writes the alerts alone, a line each, as a watch does.
    fn write_alerts(&self, style: Style, out: &mut dyn Write) -> std::io::Result<()> {
        for alert in &self.alerts {
            let record = AlertRecord::Raised(Box::new(alert.clone()));
            writeln!(out, "{}", alert_line(&record, style))?;
        }
        out.flush()
    }
}

/// The sockets that a filter matches, TIME_WAIT included.
pub(crate) fn rows<'a>(engine: &'a Engine, filter: &Expression) -> (Vec<&'a Connection>, Vec<&'a Listener>) {
    let tracker = engine.tracker();
    let connections = tracker.sockets().map(Arc::as_ref);
    let listeners = tracker.listeners().map(Arc::as_ref);
    (
        connections
            .filter(|row| filter.matches(&Record::Connection(row)))
            .collect(),
        listeners
            .filter(|row| filter.matches(&Record::Listener(row)))
            .collect(),
    )
}

/// How a report is written.
pub enum Writing<'a> {
    /// For people.
    Text(&'a TextOptions),
    /// For programs.
    Json(&'a JsonOptions),
    /// For spreadsheets.
    Csv,
}

/// Runs the verb.
///
/// # Errors
/// A wrong filter or configuration, or a host that cannot be observed.
pub fn run(
    args: &SnapshotArgs,
    loaded: Loaded,
    terminal: &Terminal,
    out: &mut dyn Write,
) -> Result<Exit, Failure> {
    let filter = args.filter.as_deref().unwrap_or("");
    let filter = atalaya_model::filter::parse(filter).map_err(|error| Failure::Usage(error.to_string()))?;
    let language = setup::language(args.common.lang);
    let memory = crate::keeper::remembered(&loaded);
    let look = take(loaded, args.tier, args.hashes, &memory)?;
    if args.common.quiet && args.output == TableOutput::Text {
        let style = Style {
            colour: terminal.colour,
            language,
        };
        crate::terminal::ignore_closed_pipe(look.write_alerts(style, out))?;
        return Ok(look.exit());
    }
    let identity = Identity::of_host();
    let text;
    let json;
    let how = match args.output {
        TableOutput::Text => {
            text = TextOptions {
                language,
                colour: terminal.colour,
                width: terminal.width,
                all: args.all,
            };
            Writing::Text(&text)
        }
        TableOutput::Json => {
            json = JsonOptions {
                context: context(&identity, language),
                pretty: terminal.stdout,
            };
            Writing::Json(&json)
        }
        TableOutput::Csv => Writing::Csv,
    };
    let written = look
        .write(&identity.name, &filter, &how, out)
        .and_then(|()| out.flush());
    crate::terminal::ignore_closed_pipe(written)?;
    Ok(look.exit())
}
