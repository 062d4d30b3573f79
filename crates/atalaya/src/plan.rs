//! `atalaya plan`: what would be done here, and why. Looks, and touches nothing.

use std::io::{self, Write};
use std::path::Path;

use atalaya_detect::registry::ENTRIES;
use atalaya_format::{escape, numbers};
use atalaya_host::clock;
use atalaya_host::collector::Options as CollectorOptions;
use atalaya_host::privileges::Privileges;
use atalaya_model::tier::Limit;
use atalaya_model::{Tier, TierReport};
use atalaya_store::Retention;
use serde::Serialize;

use crate::cli::{Output, WatchArgs};
use crate::config::load::Loaded;
use crate::exit::{Exit, Failure};
use crate::paths::Places;
use crate::terminal::ignore_closed_pipe;

/// What would be done.
#[derive(Debug, Serialize)]
pub struct Plan {
    /// How the host would be observed.
    pub tier: TierReport,
    /// What this tier itself does not see; what missing privileges add to that has its own lines.
    #[serde(skip)]
    pub not_seen: Vec<Limit>,
    /// Effective user id.
    pub user_id: u32,
    /// Capabilities that are there.
    pub present: Vec<String>,
    /// Capabilities that are missing, and what is not seen without each.
    pub missing: Vec<(String, String)>,
    /// The command that would grant them.
    pub remedy: Option<String>,
    /// The configuration file, if one was read.
    pub configuration: Option<String>,
    /// Time between two looks, in seconds.
    pub interval: f64,
    /// How long a new watch learns, in seconds.
    pub learning: f64,
    /// The database, and whether it exists.
    pub store: Option<(String, bool)>,
    /// How long the database keeps what, and how large it may become.
    pub kept: Option<Kept>,
    /// The control socket.
    pub socket: Option<String>,
    /// Detectors: name, enabled.
    pub detectors: Vec<(String, bool)>,
    /// Addresses and ranges on blocklists.
    pub blocklist_entries: usize,
    /// Allow-list entries in force.
    pub allow_entries: usize,
    /// Outlets: name and file.
    pub outlets: Vec<(String, String)>,
    /// What is not wrong enough to refuse.
    pub warnings: Vec<String>,
}

/// What a database keeps: days by kind, 0 for every age.
#[derive(Debug, Serialize)]
pub struct Kept {
    /// Connections, processes, listeners, gaps.
    pub days: u32,
    /// What was said in connections.
    pub protocol_days: u32,
    /// Alerts.
    pub alert_days: u32,
    /// Rollups, addresses, programs.
    pub rollup_days: u32,
    /// Bytes, at most; 0 for any size.
    pub max_size: u64,
}

impl From<Retention> for Kept {
    fn from(policy: Retention) -> Self {
        Self {
            days: policy.days,
            protocol_days: policy.protocol_days,
            alert_days: policy.alert_days,
            rollup_days: policy.rollup_days,
            max_size: policy.bytes,
        }
    }
}

impl std::fmt::Display for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let days = |days: u32| match days {
            0 => "for ever".to_owned(),
            days => format!("{days} d"),
        };
        write!(
            f,
            "connections {}, protocols {}, alerts {}, rollups {}; ",
            days(self.days),
            days(self.protocol_days),
            days(self.alert_days),
            days(self.rollup_days),
        )?;
        match self.max_size {
            0 => f.write_str("of any size"),
            bytes => write!(f, "at most {}", numbers::bytes(bytes)),
        }
    }
}

impl Plan {
    /// Makes the plan of a watch.
    ///
    /// # Errors
    /// A wrong flag, or a tier that does not work here.
    pub fn new(args: &WatchArgs, loaded: Loaded) -> Result<Self, Failure> {
        let watch = crate::watch::Plan::new(args, &loaded)?;
        let collector = crate::setup::collector(args.tier, CollectorOptions::default(), &loaded)?;
        let tier = collector.report();
        drop(collector);
        let privileges = Privileges::own();
        let program = std::env::current_exe().unwrap_or_else(|_| "atalaya".into());
        let config = &loaded.config;
        let detect = serde_json::to_value(&config.detect).unwrap_or_default();
        let enabled = |id: &str| {
            detect
                .pointer(&format!("/{id}/enabled"))
                .and_then(|on| on.as_bool())
                .unwrap_or(true)
        };
        let folder = config
            .watch
            .log_folder
            .clone()
            .unwrap_or_else(|| Places::of_this_user().logs);
        let file = |name: &str| folder.join(name).display().to_string();
        let files = config.outlets.files().map(|(table, name)| {
            let outlet = table.trim_start_matches("outlets.").replace("logs", "log");
            (outlet, file(name))
        });
        let console = ("console".to_owned(), "standard output".to_owned());
        let not_seen = tier.limits;
        let limits = not_seen.iter().cloned().chain(privileges.limits(&program));
        Ok(Self {
            tier: TierReport {
                limits: limits.collect(),
                ..tier
            },
            not_seen,
            user_id: privileges.user_id,
            present: privileges.present.iter().map(ToString::to_string).collect(),
            missing: privileges
                .missing
                .iter()
                .map(|(name, why)| (name.to_string(), why.to_string()))
                .collect(),
            remedy: (!privileges.is_complete()).then(|| privileges.remedy(&program).to_string()),
            configuration: loaded.path.as_deref().map(shown),
            interval: watch.interval.as_seconds(),
            learning: if watch.learn {
                config.watch.learning.0.as_seconds()
            } else {
                0.0
            },
            store: watch.store.as_deref().map(|path| (shown(path), path.exists())),
            kept: watch
                .store
                .is_some()
                .then(|| config.store.retention(clock::now()).into()),
            socket: watch.socket.as_deref().map(shown),
            detectors: ENTRIES
                .iter()
                .map(|entry| (entry.id.to_owned(), enabled(entry.id)))
                .collect(),
            blocklist_entries: loaded.lists.blocklist.len(),
            allow_entries: loaded.allow.len(),
            outlets: std::iter::once(console).chain(files).collect(),
            warnings: loaded.warnings.iter().map(ToString::to_string).collect(),
        })
    }

    /// Writes it for people.
    ///
    /// # Errors
    /// When the writer fails.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let user = if self.user_id == 0 {
            "root".to_owned()
        } else {
            format!("user {}", self.user_id)
        };
        writeln!(out, "What `atalaya watch` would do here")?;
        writeln!(
            out,
            "\ntier            {} ({})",
            self.tier.tier.name(),
            means(self.tier.tier)
        )?;
        for (tier, why) in &self.tier.unavailable {
            writeln!(out, "                {} unavailable: {why}", tier.name())?;
        }
        for limit in &self.not_seen {
            writeln!(out, "                not seen: {}", limit.what)?;
            writeln!(out, "                  to change that: {}", limit.remedy)?;
        }
        writeln!(out, "runs as         {user}")?;
        writeln!(out, "privileges      present: {}", none_or(&self.present))?;
        for (name, without) in &self.missing {
            writeln!(out, "                missing: {name}: {without}")?;
        }
        if let Some(remedy) = &self.remedy {
            writeln!(
                out,
                "                to grant them: {}",
                remedy.replace('\n', "\n                               ")
            )?;
        }
        let configuration = self.configuration.as_deref().unwrap_or("defaults (no file)");
        writeln!(out, "configuration   {}", escape::text(configuration))?;
        writeln!(out, "interval        {} s", self.interval)?;
        match self.learning {
            0.0 => writeln!(out, "learning        none")?,
            seconds => writeln!(
                out,
                "learning        {seconds} s, silently, unless the store knows this host already"
            )?,
        }
        match &self.store {
            Some((path, true)) => writeln!(out, "store           {} (exists)", escape::text(path))?,
            Some((path, false)) => writeln!(out, "store           {} (would be made)", escape::text(path))?,
            None => writeln!(out, "store           none")?,
        }
        if let Some(kept) = &self.kept {
            writeln!(out, "history         {kept}")?;
        }
        let socket = self.socket.as_deref().unwrap_or("none");
        writeln!(out, "control socket  {}", escape::text(socket))?;
        for (name, file) in &self.outlets {
            writeln!(out, "outlet          {name}: {}", escape::text(file))?;
        }
        let off: Vec<_> = self
            .detectors
            .iter()
            .filter(|(_, on)| !on)
            .map(|(name, _)| name.clone())
            .collect();
        let on: Vec<_> = self
            .detectors
            .iter()
            .filter(|(_, on)| *on)
            .map(|(name, _)| name.clone())
            .collect();
        writeln!(out, "detectors       on: {}", none_or(&on))?;
        writeln!(out, "                off: {}", none_or(&off))?;
        writeln!(out, "blocklist       {} entries", self.blocklist_entries)?;
        writeln!(out, "allow-list      {} entries", self.allow_entries)?;
        for warning in &self.warnings {
            writeln!(out, "warning         {}", escape::text(warning))?;
        }
        writeln!(out, "\nNothing was changed. Nothing leaves this machine.")
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// By what means a tier sees.
const fn means(tier: Tier) -> &'static str {
    match tier {
        Tier::Ebpf => {
            "programs in the kernel: every conversation and process, with exact attribution and bytes"
        }
        Tier::Events => "kernel tracepoints, socket-destroy notices, process events, /proc",
        Tier::Poll => "socket tables, socket-destroy notices, /proc",
        Tier::Portable => "the socket table of the operating system",
    }
}

fn none_or(names: &[String]) -> String {
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}

/// Runs the verb, or the flag `--plan` of another.
///
/// # Errors
/// A wrong flag.
pub fn run(args: &WatchArgs, output: Output, loaded: Loaded, out: &mut dyn Write) -> Result<Exit, Failure> {
    let plan = Plan::new(args, loaded)?;
    let written = match output {
        Output::Text => plan.write(out),
        Output::Json => serde_json::to_string(&plan)
            .map_err(io::Error::from)
            .and_then(|text| writeln!(out, "{text}")),
    };
    ignore_closed_pipe(written)?;
    Ok(Exit::Clean)
}
