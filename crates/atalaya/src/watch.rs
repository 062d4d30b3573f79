//! `atalaya watch`: the main job. Threads and channels are put together here; the loop owns the engine.

mod losses;
mod output;
mod packets;
mod parts;
mod recording;
pub(crate) mod reload;
mod run;
mod scan;
mod status;

use std::path::PathBuf;

use atalaya_alert::outlet::options::EventKind as OutletKind;
use atalaya_model::filter::Expression;
use atalaya_model::{Severity, Span};

use crate::cli::{EventKind, Output, WatchArgs};
use crate::config::load::Loaded;
use crate::exit::{Exit, Failure};
use crate::terminal::Terminal;

/// What a watch does, flags and configuration put together.
#[derive(Debug)]
pub struct Plan {
    /// Time between two looks.
    pub interval: Span,
    /// End after this time.
    pub duration: Option<Span>,
    /// Alerts and events as JSON on standard output.
    pub json: bool,
    /// Which events go to standard output.
    pub events: Vec<OutletKind>,
    /// Which of them.
    pub filter: Expression,
    /// Interfaces to read packets from, empty for all; `None` to read none.
    pub packets: Option<Vec<String>>,
    /// The database; `None` to keep nothing.
    pub store: Option<PathBuf>,
    /// The control socket; `None` for none.
    pub socket: Option<PathBuf>,
    /// Learn first what is ordinary.
    pub learn: bool,
    /// Exit with 1 from this severity on.
    pub fail_on: Option<Severity>,
    /// Say nothing on standard output and no status line.
    pub quiet: bool,
    /// Say after every look that nothing was found, whatever the configuration says.
    pub heartbeat: bool,
    /// Give details under each alert, whatever the configuration says.
    pub verbose: bool,
}

impl Plan {
    /// Decides, from flags and configuration. Flags win.
    ///
    /// # Errors
    /// A wrong filter.
    pub fn new(args: &WatchArgs, loaded: &Loaded) -> Result<Self, Failure> {
        let filter = args.filter.as_deref().unwrap_or("");
        let filter =
            atalaya_model::filter::parse(filter).map_err(|error| Failure::Usage(error.to_string()))?;
        let places = crate::paths::Places::of_this_user();
        let keep = !args.no_store && (args.store.is_some() || loaded.config.store.enabled);
        let store = keep.then(|| crate::keeper::path(args.store.as_deref(), loaded, &places));
        let socket = args
            .socket
            .clone()
            .or_else(|| loaded.config.control.socket.clone());
        let socket = socket.unwrap_or_else(|| places.socket_for(store.as_deref()));
        Ok(Self {
            interval: args.interval.unwrap_or(loaded.config.watch.interval.0),
            duration: args.duration,
            json: args.output == Output::Json,
            events: args.events.iter().map(|kind| outlet_kind(*kind)).collect(),
            filter,
            packets: packets(args, loaded),
            store,
            socket: loaded.config.control.enabled.then_some(socket),
            learn: !args.no_learning && loaded.config.watch.learning.0.0 > 0,
            fail_on: args.fail_on,
            quiet: args.common.quiet,
            heartbeat: args.heartbeat,
            verbose: args.verbose,
        })
    }
}

/// The flag, else the configuration.
fn packets(args: &WatchArgs, loaded: &Loaded) -> Option<Vec<String>> {
    let settings = &loaded.config.packets;
    match &args.packets {
        Some(named) if !named.is_empty() => Some(named.clone()),
        Some(_) => Some(settings.interfaces.clone()),
        None => settings.enabled.then(|| settings.interfaces.clone()),
    }
}

const fn outlet_kind(kind: EventKind) -> OutletKind {
    match kind {
        EventKind::Connection => OutletKind::Connection,
        EventKind::Process => OutletKind::Process,
        EventKind::Listener => OutletKind::Listener,
        EventKind::Protocol => OutletKind::Protocol,
        EventKind::Gap => OutletKind::Gap,
        EventKind::Tier => OutletKind::Tier,
        EventKind::Snapshot => OutletKind::Snapshot,
        EventKind::All => OutletKind::All,
    }
}

/// Runs the verb.
///
/// # Errors
/// When the watch cannot start; once it runs it goes on through every trouble.
pub fn run(args: &WatchArgs, loaded: Loaded, terminal: Terminal) -> Result<Exit, Failure> {
    let plan = Plan::new(args, &loaded)?;
    if !plan.json && plan.events.contains(&OutletKind::Snapshot) {
        tracing::warn!("`--events snapshot` writes documents only with `--output json`");
    }
    if plan.json && plan.events.is_empty() {
        tracing::debug!("only alerts are written; --events chooses more");
    }
    let language = crate::setup::language(args.common.lang);
    let parts = parts::start(
        &plan,
        args.tier,
        loaded,
        language,
        terminal,
        args.common.config.clone(),
    )?;
    run::watch(plan, parts)
}
