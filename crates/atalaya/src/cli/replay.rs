//! Flags of `replay`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::CommonArgs;

/// What `--help` shows last.
pub(super) const EXAMPLES: &str = "\
Examples:
  atalaya replay capture.pcapng                      what is in it: protocols, talkers, names, alerts
  atalaya replay day.pcap.gz --output json > day.json
  atalaya replay captures/ --output zeek --to logs   conn.log, dns.log, ssl.log and others, as Zeek writes them
  atalaya replay - --output eve < capture.pcap
  atalaya replay case.pcap --store case.db
  atalaya replay case.pcap --filter 'destination.port:443 not scope:private' --output csv

Files are pcap or pcapng, plain or compressed with gzip or zstd; a folder's files are read in the order of their first
packets. Nothing secret is shown or kept: no payload, password, cookie or (unless configured) query string.

Exit status: 0 nothing of high severity, 1 high or critical alerts found, 2 usage or configuration error,
3 a file could not be read, or not to its end (everything before the damage is told).";

/// Flags of `replay`.
#[derive(Clone, Debug, Args)]
pub struct ReplayArgs {
    /// What becomes of it.
    #[command(flatten)]
    pub results: ResultArgs,
    /// Capture files, folders of them, or `-` for standard input.
    #[arg(required = true, value_name = "FILE|DIR|-")]
    pub files: Vec<PathBuf>,
    /// Pass over packets whose checksums are wrong. A capture made on the sending host has many of those.
    #[arg(long)]
    pub checksums: bool,
}

/// What becomes of files that are read through the engine.
#[derive(Clone, Debug, Args)]
pub struct ResultArgs {
    /// Flags that most verbs share.
    #[command(flatten)]
    pub common: CommonArgs,
    /// How to write.
    #[arg(long, short, value_enum, default_value_t)]
    pub output: ReplayOutput,
    /// Write records to this file instead of standard output; with `--output zeek`, to one file per log in this folder.
    #[arg(long, value_name = "PATH")]
    pub to: Option<PathBuf>,
    /// Only connections, and what was said in them, that this filter matches; alerts are always told.
    #[arg(long, short, value_name = "FILTER")]
    pub filter: Option<String>,
    /// Keep what was found in this database, too; made where it is missing.
    #[arg(long, value_name = "FILE")]
    pub store: Option<PathBuf>,
    /// A database of addresses in MaxMind's format, of countries or autonomous systems, instead of the configured ones;
    /// may be given several times.
    #[arg(long, value_name = "FILE")]
    pub geo: Vec<PathBuf>,
    /// Show the details of each alert.
    #[arg(long, short)]
    pub verbose: bool,
}

/// How `replay` writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ReplayOutput {
    /// Alerts and a summary, for people.
    #[default]
    Text,
    /// Every connection, protocol fact and alert, one JSON object a line, with the names of ECS.
    Json,
    /// The same as Zeek's logs in JSON.
    Zeek,
    /// The same as Suricata's EVE JSON.
    Eve,
    /// Connections, for spreadsheets.
    Csv,
}
