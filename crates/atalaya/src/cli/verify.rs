//! Flags of `verify`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use ipnet::IpNet;

use super::{CommonArgs, DocumentFormat, TimesArgs};

/// What `--help` shows last.
pub(super) const EXAMPLES: &str = "\
Examples:
  atalaya verify processes                       programs that are not what their names say, from the store
  atalaya verify processes --since 7d --rare 1
  atalaya verify processes processes.csv --to processes.html
  atalaya verify network                         who talks to whom, what is rare, what listens
  atalaya verify network connection_events.csv --internal 203.0.113.0/24
  atalaya verify network network_connection_events.csv --lang es --suspicious-path /srv/drop/

Files are CSV: ours, or another monitor's with English or Spanish headers (docs/verify.md has the names). No root needed.

Exit status: 0 nothing of high severity, 1 high or critical findings, 2 usage or configuration error,
3 a file or the store could not be read (what the other files tell is written all the same).";

/// Flags of `verify`.
#[derive(Clone, Debug, Args)]
pub struct VerifyArgs {
    /// What to verify.
    #[command(subcommand)]
    pub verb: VerifyVerb,
}

/// What to verify.
#[derive(Clone, Debug, Subcommand)]
pub enum VerifyVerb {
    /// Programs: one name with several digests, paths or command lines; rare ones; suspicious folders.
    Processes(VerifyWhat),
    /// Network use: who talks to whom, how much, what is rare, what listens, what goes outside.
    Network {
        /// What both have alike.
        #[command(flatten)]
        what: VerifyWhat,
        /// Networks that count as internal, too.
        #[arg(long, value_name = "CIDR", value_delimiter = ',')]
        internal: Vec<IpNet>,
    },
}

/// What is read, and how it is told.
#[derive(Clone, Debug, Args)]
pub struct VerifyWhat {
    /// Flags that most verbs share.
    #[command(flatten)]
    pub common: CommonArgs,
    /// CSV tables, or `-` for standard input; without any, the store.
    #[arg(value_name = "FILE|-")]
    pub files: Vec<PathBuf>,
    /// The database; default as in the configuration.
    #[arg(long, value_name = "FILE", conflicts_with = "files")]
    pub store: Option<PathBuf>,
    /// Of the store, the time; everything that is kept, where nothing is said.
    #[command(flatten)]
    pub times: TimesArgs,
    /// What was seen so often or less is rare.
    #[arg(long, default_value_t = 3, value_name = "N")]
    pub rare: u64,
    /// Suspicious, too: a piece of a path, or with `*` or `?` a glob of the whole path.
    #[arg(long, value_name = "PATH")]
    pub suspicious_path: Vec<String>,
    /// At most so many rows of each list; 0 for all.
    #[arg(long, default_value_t = 20, value_name = "N")]
    pub limit: usize,
    /// How to write; default by the name of the file, else text.
    #[arg(long, short, value_enum)]
    pub output: Option<DocumentFormat>,
}
