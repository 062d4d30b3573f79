//! The command line: verbs, flags, their help. Help, man page and completions all come from here.

mod capture;
mod database;
mod documents;
mod export;
mod import;
mod query;
mod replay;
mod verify;

use std::path::PathBuf;

use atalaya_model::{Severity, Span, Tier, Time, Verdict};
use clap::{Args, Parser, Subcommand, ValueEnum};

pub use capture::{CaptureArgs, CaptureFormat};
pub use database::{DatabaseArgs, DatabaseVerb, WhichDatabase};
pub use documents::{DiffArgs, DocumentFormat, Place, ReportArgs, TimelineArgs, TimesArgs};
pub use export::{ExportArgs, ExportFormat};
pub use import::ImportArgs;
pub use query::{QueryArgs, QueryOutput};
pub use replay::{ReplayArgs, ReplayOutput, ResultArgs};
pub use verify::{VerifyArgs, VerifyVerb, VerifyWhat};

/// Watch a host's network activity: who talks to whom, which process it is, what is odd about it and why.
#[derive(Debug, Parser)]
#[command(
    name = "atalaya",
    version,
    propagate_version = true,
    args_conflicts_with_subcommands = true,
    after_help = SNAPSHOT_EXAMPLES,
)]
pub struct Cli {
    /// What to do; without a verb, take a snapshot.
    #[command(subcommand)]
    pub verb: Option<Verb>,
    /// The flags of a snapshot, for the run without a verb.
    #[command(flatten)]
    pub snapshot: SnapshotArgs,
}

const SNAPSHOT_EXAMPLES: &str = "\
Examples:
  atalaya                              one look: alerts, totals, listeners
  atalaya snapshot --all               every connection with its process
  atalaya watch                        watch until Ctrl-C
  atalaya snapshot --filter 'process.name:ssh destination.port:22'
  atalaya snapshot --output json | jq .alert_count

Exit status: 0 nothing of high severity, 1 high or critical alerts found, 2 usage or configuration error,
3 the run failed.";

const WATCH_EXAMPLES: &str = "\
Examples:
  atalaya watch                                    alerts as they come, a status line on a terminal
  atalaya watch --duration 60s --no-store          watch for a minute, keep nothing
  atalaya watch --output json --events all         every event and alert, one JSON object a line
  atalaya watch --output json --events snapshot --interval 30s >> network.json
  atalaya watch --packets                          packets, too: DNS, TLS, HTTP facts joined to processes
  atalaya watch --packets eth0 --output json --events protocol
  atalaya watch --filter 'not scope:loopback' --events connection --output json

Exit status: 0 when ended by --duration or a signal (with --fail-on: 1 when an alert of that severity was raised),
2 usage or configuration error, 3 the run failed.";

const PROCESSES_EXAMPLES: &str = "\
Examples:
  atalaya processes                          what uses the network now
  atalaya processes --tree --verbose         who started whom, with everything known of each
  atalaya processes --filter 'scope:external not dport:443'
  atalaya processes --past --since 1h        what is over, of the last hour
  atalaya processes --since 2026-11-20 --sort connections --output csv

What lives now comes from the running watcher, or else from a look of its own; connections and bytes of ended
connections are those of the last 24 hours, where there is a store. With --past, --since or --until everything comes from
the store. A filter chooses the connections and listeners that count.

Exit status: 0 done, 2 usage or configuration error, 3 the run failed.";

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Watch continuously: alerts as they come, history in the store.
    #[command(after_help = WATCH_EXAMPLES)]
    Watch(Box<WatchArgs>),
    /// Take one look and report.
    #[command(after_help = SNAPSHOT_EXAMPLES)]
    Snapshot(SnapshotArgs),
    /// Say what would be done here, and touch nothing.
    #[command(after_help = "Examples:\n  atalaya plan\n  atalaya plan --output json")]
    Plan(PlanArgs),
    /// Ask a running watcher how it is.
    #[command(after_help = "Examples:\n  atalaya status\n  atalaya status --output json")]
    Status(StatusArgs),
    /// List processes that use, or used, the network: who started them, what they do, what is unusual.
    #[command(after_help = PROCESSES_EXAMPLES)]
    Processes(Box<ProcessesArgs>),
    /// Read captures with the same engine as a watch: connections, names, alerts.
    #[command(after_help = replay::EXAMPLES)]
    Replay(Box<ReplayArgs>),
    /// Read the logs of Zeek and Suricata with the same engine as a watch: connections, names, alerts.
    #[command(after_help = import::EXAMPLES)]
    Import(Box<ImportArgs>),
    /// Write rows of the database to a file: any table and range, as CSV, JSON Lines or Zeek's logs.
    #[command(after_help = export::EXAMPLES)]
    Export(ExportArgs),
    /// Write packets to a file, with the process of each; filter and convert captures.
    #[command(after_help = capture::EXAMPLES)]
    Capture(Box<CaptureArgs>),
    /// Verify what was written down: are programs what their names say, who talks to whom.
    #[command(after_help = verify::EXAMPLES)]
    Verify(Box<VerifyArgs>),
    /// List, explain, acknowledge and close alerts.
    #[command(after_help = "\
Examples:
  atalaya alerts list --last 24h
  atalaya alerts show 1862345678901248
  atalaya alerts ack 1862345678901248 --note 'looking at it'
  atalaya alerts close 1862345678901248 --as false-positive --note 'backup job'
  atalaya alerts silence uncommon_port --for 2h")]
    Alerts(AlertsArgs),
    /// Ask the history in SQL; nothing can be changed.
    #[command(after_help = query::EXAMPLES)]
    Query(Box<QueryArgs>),
    /// Back up, check, measure and rebuild the database.
    #[command(name = "db", after_help = database::EXAMPLES)]
    Database(DatabaseArgs),
    /// Say how this host did in a time: what happened, what is new, what was not seen. One HTML file, or others.
    #[command(after_help = documents::REPORT_EXAMPLES)]
    Report(Box<ReportArgs>),
    /// Tell everything known of a process, file, address or name, in order.
    #[command(after_help = documents::TIMELINE_EXAMPLES)]
    Timeline(Box<TimelineArgs>),
    /// Compare two times, or two hosts: executables, listeners and destinations that are new, gone or changed.
    #[command(after_help = documents::DIFF_EXAMPLES)]
    Diff(Box<DiffArgs>),
    /// Write, check and show the configuration.
    #[command(after_help = "\
Examples:
  atalaya config init > atalaya.toml
  atalaya config init --like s5 --to network.toml
  atalaya config check --config atalaya.toml")]
    Config(ConfigArgs),
    /// Install or remove the systemd unit.
    #[command(after_help = "Examples:\n  atalaya service status\n  atalaya service install --print")]
    Service(ServiceArgs),
    /// Print the detectors: what each looks for, its options and ATT&CK techniques.
    #[command(after_help = "Examples:\n  atalaya rules\n  atalaya rules suspicious_port")]
    Rules(RulesArgs),
    /// Print shell completions.
    #[command(after_help = "Examples:\n  atalaya completions bash > /etc/bash_completion.d/atalaya")]
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page.
    #[command(after_help = "Examples:\n  atalaya man > atalaya.1")]
    Man,
}

/// Flags that most verbs share.
#[derive(Clone, Debug, Default, Args)]
pub struct CommonArgs {
    /// Read this configuration instead of the default one.
    #[arg(long, value_name = "FILE", global = false)]
    pub config: Option<PathBuf>,
    /// Language of sentences; default from LANG.
    #[arg(long, value_enum, value_name = "LANG")]
    pub lang: Option<Lang>,
    /// Say only what was asked for: no greeting and no status line; of a snapshot only its alerts, a line each.
    #[arg(long, short)]
    pub quiet: bool,
}

/// The languages of sentences.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Lang {
    /// English.
    En,
    /// Spanish.
    Es,
}

/// How to write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// How to write a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum TableOutput {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
    /// For spreadsheets.
    Csv,
}

/// Flags of `snapshot`.
#[derive(Clone, Debug, Default, Args)]
pub struct SnapshotArgs {
    /// Flags that most verbs share.
    #[command(flatten)]
    pub common: CommonArgs,
    /// List every connection.
    #[arg(long)]
    pub all: bool,
    /// How to write.
    #[arg(long, short, value_enum, default_value_t)]
    pub output: TableOutput,
    /// Only what this filter matches.
    #[arg(long, short, value_name = "FILTER")]
    pub filter: Option<String>,
    /// Also compute the SHA-256 of each executable and check its package: reads every one of them.
    #[arg(long)]
    pub hashes: bool,
    /// The way of observing; `auto` takes the best that works.
    #[arg(long, value_enum, default_value_t)]
    pub tier: TierChoice,
    /// Say what would be done, and touch nothing.
    #[arg(long)]
    pub plan: bool,
}

/// Flags of `watch`.
#[derive(Clone, Debug, Default, Args)]
pub struct WatchArgs {
    /// Flags that most verbs share.
    #[command(flatten)]
    pub common: CommonArgs,
    /// Time between two looks, such as `1s`.
    #[arg(long, value_name = "TIME", value_parser = span)]
    pub interval: Option<Span>,
    /// End after this time, such as `60s`.
    #[arg(long, value_name = "TIME", value_parser = span)]
    pub duration: Option<Span>,
    /// How to write.
    #[arg(long, short, value_enum, default_value_t)]
    pub output: Output,
    /// With `--output json`, write these too: connection, process, listener, protocol, gap, tier, snapshot, or all.
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_enum)]
    pub events: Vec<EventKind>,
    /// Only write events that this filter matches; alerts are always written.
    #[arg(long, short, value_name = "FILTER")]
    pub filter: Option<String>,
    /// Keep history in this database.
    #[arg(long, value_name = "FILE", conflicts_with = "no_store")]
    pub store: Option<PathBuf>,
    /// Keep no history.
    #[arg(long)]
    pub no_store: bool,
    /// The way of observing; `auto` takes the best that works.
    #[arg(long, value_enum, default_value_t)]
    pub tier: TierChoice,
    /// Read packets, too: of these interfaces, or of all. Adds names, TLS, HTTP and other facts to connections.
    #[arg(long, value_name = "IFACE", num_args = 0.., value_delimiter = ',')]
    pub packets: Option<Vec<String>>,
    /// Do not learn what is ordinary first: everything unusual is told from the start.
    #[arg(long)]
    pub no_learning: bool,
    /// Say `No anomalies detected.` after each look that found none.
    #[arg(long)]
    pub heartbeat: bool,
    /// Show the details of each alert.
    #[arg(long, short)]
    pub verbose: bool,
    /// Exit with 1 when an alert of this severity or worse was raised.
    #[arg(long, value_name = "SEVERITY", value_parser = severity)]
    pub fail_on: Option<Severity>,
    /// Listen for `atalaya status` and others on this socket.
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// Say what would be done, and touch nothing.
    #[arg(long)]
    pub plan: bool,
}

/// What `--events` chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "the names say it")]
pub enum EventKind {
    Connection,
    Process,
    Listener,
    /// What was said inside conversations; with `--packets`.
    Protocol,
    Gap,
    Tier,
    /// One whole document for each look.
    Snapshot,
    /// Everything but snapshots.
    All,
}

/// What `--tier` chooses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "the names say it")]
pub enum TierChoice {
    #[default]
    Auto,
    Ebpf,
    Events,
    Poll,
}

impl TierChoice {
    /// The forced tier, if one is.
    pub const fn forced(self) -> Option<Tier> {
        match self {
            Self::Auto => None,
            Self::Ebpf => Some(Tier::Ebpf),
            Self::Events => Some(Tier::Events),
            Self::Poll => Some(Tier::Poll),
        }
    }
}

/// Flags of `plan`.
#[derive(Clone, Debug, Args)]
pub struct PlanArgs {
    /// Flags that most verbs share.
    #[command(flatten)]
    pub common: CommonArgs,
    /// How to write.
    #[arg(long, short, value_enum, default_value_t)]
    pub output: Output,
}

/// Flags of `status`.
#[derive(Clone, Debug, Args)]
pub struct StatusArgs {
    /// Flags that most verbs share.
    #[command(flatten)]
    pub common: CommonArgs,
    /// How to write.
    #[arg(long, short, value_enum, default_value_t)]
    pub output: Output,
    /// The watcher's control socket.
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
}

/// Flags of `processes`.
#[derive(Clone, Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct ProcessesArgs {
    /// Where history is kept, and the watcher's socket.
    #[command(flatten)]
    pub store: StoreArgs,
    /// Show who started whom.
    #[arg(long)]
    pub tree: bool,
    /// Also processes that do not use the network.
    #[arg(long)]
    pub all: bool,
    /// Only processes that have ended.
    #[arg(long)]
    pub past: bool,
    /// From this time on: a span back (`1h`) or a time (`2026-11-20T21:00`).
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub since: Option<Moment>,
    /// Until this time.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub until: Option<Moment>,
    /// Only what this filter matches.
    #[arg(long, short, value_name = "FILTER")]
    pub filter: Option<String>,
    /// How to write.
    #[arg(long, short, value_enum, default_value_t)]
    pub output: TableOutput,
    /// What comes first.
    #[arg(long, value_enum, default_value_t, value_name = "ORDER")]
    pub sort: ProcessOrder,
    /// At most so many; 0 for all.
    #[arg(long, default_value_t = 100, value_name = "N")]
    pub limit: usize,
    /// Show everything that is known of each.
    #[arg(long, short)]
    pub verbose: bool,
    /// Where no watcher runs, compute the SHA-256 of each executable and check its package.
    #[arg(long)]
    pub hashes: bool,
}

/// What `--sort` chooses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "the names say it")]
pub enum ProcessOrder {
    Pid,
    Name,
    User,
    Connections,
    #[default]
    Bytes,
    Sent,
    Received,
    Started,
    Last,
}

/// A moment as people name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// So long ago.
    Ago(Span),
    /// Then.
    At(Time),
}

impl Moment {
    /// The time that it means now.
    pub const fn at(self, now: Time) -> Time {
        match self {
            Self::Ago(span) => now.after(Span(-span.0)),
            Self::At(time) => time,
        }
    }
}

/// Flags of `alerts`.
#[derive(Clone, Debug, Args)]
pub struct AlertsArgs {
    /// What to do with alerts.
    #[command(subcommand)]
    pub verb: AlertsVerb,
}

/// What to do with alerts.
#[derive(Clone, Debug, Subcommand)]
pub enum AlertsVerb {
    /// List alerts, newest first.
    List(AlertsListArgs),
    /// Explain one alert.
    Show(AlertArgs),
    /// Note that somebody has seen it.
    Ack(AlertArgs),
    /// Decide what it was.
    Close {
        /// Which alert.
        #[command(flatten)]
        alert: AlertArgs,
        /// What it was.
        #[arg(long = "as", value_name = "VERDICT", value_parser = verdict)]
        verdict: Verdict,
    },
    /// Ask the running watcher not to tell findings of a rule for a while.
    Silence {
        /// Where the watcher is.
        #[command(flatten)]
        store: StoreArgs,
        /// The rule, such as `uncommon_port`.
        rule: String,
        /// Only findings with this key (`rule.key` of the alert), or a glob of keys.
        #[arg(long, default_value = "")]
        key: String,
        /// For how long, such as `2h`.
        #[arg(long = "for", value_name = "TIME", value_parser = span)]
        span: Span,
    },
}

/// Where alerts are kept.
#[derive(Clone, Debug, Args)]
pub struct StoreArgs {
    /// Flags that most verbs share.
    #[command(flatten)]
    pub common: CommonArgs,
    /// The database; default as in the configuration.
    #[arg(long, value_name = "FILE")]
    pub store: Option<PathBuf>,
    /// The watcher's control socket.
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
}

/// Flags of `alerts list`.
#[derive(Clone, Debug, Args)]
pub struct AlertsListArgs {
    /// Where alerts are kept.
    #[command(flatten)]
    pub store: StoreArgs,
    /// How to write.
    #[arg(long, short, value_enum, default_value_t)]
    pub output: TableOutput,
    /// Only what this filter matches.
    #[arg(long, short, value_name = "FILTER")]
    pub filter: Option<String>,
    /// Only alerts of this severity or worse.
    #[arg(long, value_name = "SEVERITY", value_parser = severity)]
    pub severity: Option<Severity>,
    /// Only alerts of this last time, such as `24h`.
    #[arg(long, value_name = "TIME", value_parser = span)]
    pub last: Option<Span>,
    /// Only alerts that nobody closed.
    #[arg(long)]
    pub open: bool,
    /// At most so many.
    #[arg(long, default_value_t = 100, value_name = "N")]
    pub limit: usize,
}

/// Flags of `alerts show`, `ack` and `close`.
#[derive(Clone, Debug, Args)]
pub struct AlertArgs {
    /// Where alerts are kept.
    #[command(flatten)]
    pub store: StoreArgs,
    /// The alert's id.
    pub id: u64,
    /// A note to keep with it.
    #[arg(long, value_name = "TEXT")]
    pub note: Option<String>,
    /// How to write.
    #[arg(long, short, value_enum, default_value_t)]
    pub output: Output,
}

/// Flags of `config`.
#[derive(Clone, Debug, Args)]
pub struct ConfigArgs {
    /// What to do with the configuration.
    #[command(subcommand)]
    pub verb: ConfigVerb,
}

/// What to do with the configuration.
#[derive(Clone, Debug, Subcommand)]
pub enum ConfigVerb {
    /// Write a commented configuration with every key at its default.
    Init {
        /// Take one seed tool's defaults, thresholds, intervals and file names.
        #[arg(long, value_enum, value_name = "SEED")]
        like: Option<Seed>,
        /// Write to this file instead of standard output; an existing file is never overwritten.
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
    /// Report every problem with its line.
    Check {
        /// Read this configuration instead of the default one.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Print the configuration in force, defaults included.
    Show {
        /// Read this configuration instead of the default one.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Print its JSON Schema.
    Schema,
}

/// The five tools that Atalaya grew out of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Seed {
    /// Real-Time Network Connection Monitor.
    S1,
    /// Local monitoring suite.
    S2,
    /// Network Monitor.
    S3,
    /// NetSecMonitor.
    S4,
    /// Network Traffic Monitoring Script.
    S5,
}

/// Flags of `service`.
#[derive(Clone, Debug, Args)]
pub struct ServiceArgs {
    /// What to do with the service.
    #[command(subcommand)]
    pub verb: ServiceVerb,
}

/// What to do with the service.
#[derive(Clone, Debug, Subcommand)]
pub enum ServiceVerb {
    /// Write the unit file and tell systemd.
    Install {
        /// Only print the unit file.
        #[arg(long)]
        print: bool,
        /// Configuration that the service shall use.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Stop the service and remove the unit file.
    Uninstall,
    /// Say whether it is installed and runs.
    Status,
}

/// Flags of `rules`.
#[derive(Clone, Debug, Args)]
pub struct RulesArgs {
    /// Only this detector.
    pub name: Option<String>,
    /// Language; default from LANG.
    #[arg(long, value_enum, value_name = "LANG")]
    pub lang: Option<Lang>,
    /// How to write.
    #[arg(long, short, value_enum, default_value_t)]
    pub output: Output,
}

pub(crate) fn span(text: &str) -> Result<Span, String> {
    match Span::parse(text) {
        Some(span) if span.0 > 0 => Ok(span),
        _ => Err("write a number above 0 and a unit, such as 250ms, 10s, 5m, 2h, 7d".to_owned()),
    }
}

pub(crate) fn moment(text: &str) -> Result<Moment, String> {
    let at = Time::parse(text).map(Moment::At);
    at.or_else(|| Span::parse(text).map(Moment::Ago)).ok_or_else(|| {
        "write how long ago (30m, 24h, 7d) or when (2026-11-20, 2026-11-20T21:00, with Z or an offset for another zone)"
            .to_owned()
    })
}

fn severity(text: &str) -> Result<Severity, String> {
    Severity::from_name(text).ok_or_else(|| "one of info, low, medium, high, critical".to_owned())
}

fn verdict(text: &str) -> Result<Verdict, String> {
    Verdict::from_name(text).ok_or_else(|| "true-positive or false-positive".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_example_in_the_help_parses() {
        let mut seen = 0;
        let mut commands = vec![Cli::command()];
        while let Some(command) = commands.pop() {
            commands.extend(command.get_subcommands().cloned());
            let help = command
                .get_after_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            for line in help.lines().filter_map(|line| line.strip_prefix("  atalaya")) {
                let line = line
                    .split(" | ")
                    .next()
                    .unwrap_or("")
                    .split(" >")
                    .next()
                    .unwrap_or("");
                let line = line.split("   ").next().unwrap_or("");
                let words = split(&format!("atalaya{line}"));
                let parsed = Cli::try_parse_from(&words);
                assert!(
                    parsed.is_ok(),
                    "{words:?}: {}",
                    parsed.err().map(|e| e.to_string()).unwrap_or_default()
                );
                seen += 1;
            }
        }
        assert!(seen > 15, "only {seen} examples");
    }

    /// Splits at spaces outside single quotes.
    fn split(line: &str) -> Vec<String> {
        let mut words = vec![String::new()];
        let mut quoted = false;
        for c in line.chars() {
            match c {
                '\'' => quoted = !quoted,
                ' ' if !quoted => words.push(String::new()),
                c => words.last_mut().unwrap().push(c),
            }
        }
        words.retain(|word| !word.is_empty());
        words
    }
}
