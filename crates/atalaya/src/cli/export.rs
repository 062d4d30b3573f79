//! Flags of `export`.

use std::path::PathBuf;

use atalaya_model::Span;
use clap::{Args, ValueEnum};

use super::{Moment, WhichDatabase, moment, span};

/// What `--help` shows last.
pub(super) const EXAMPLES: &str = "\
Examples:
  atalaya export connections --last 24h > day.csv
  atalaya export dns --format jsonl --since 2026-11-20 --until 2026-11-21 --to dns.jsonl
  atalaya export connections --filter 'scope:external not country:ES' --format zeek > conn.log
  atalaya export traffic_by_minute --last 7d --to minutes.csv

Tables are the views of the database: connections, processes, listeners, alerts, gaps, dns, tls, http, protocols,
executables, programs, addresses, traffic_by_minute and others. Rows come in the order of time; a range counts by when a
row's subject began, of sums over all time by when it was last seen.

Exit status: 0 done, 2 usage or configuration error, 3 the run failed.";

/// Flags of `export`.
#[derive(Clone, Debug, Args)]
pub struct ExportArgs {
    /// Which database.
    #[command(flatten)]
    pub database: WhichDatabase,
    /// The table.
    #[arg(value_name = "TABLE")]
    pub table: String,
    /// How to write.
    #[arg(long, value_enum, default_value_t)]
    pub format: ExportFormat,
    /// Only of this last time, such as `24h`.
    #[arg(long, value_name = "TIME", value_parser = span, conflicts_with_all = ["since", "until"])]
    pub last: Option<Span>,
    /// From this time on: a span back (`1h`) or a time (`2026-11-20T21:00`).
    #[arg(long, visible_alias = "from", value_name = "TIME", value_parser = moment)]
    pub since: Option<Moment>,
    /// Until this time.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub until: Option<Moment>,
    /// Only what this filter matches; of what was said, the conversations that it matches.
    #[arg(long, short, value_name = "FILTER")]
    pub filter: Option<String>,
    /// Write to this file instead of standard output.
    #[arg(long, value_name = "FILE")]
    pub to: Option<PathBuf>,
}

/// How `export` writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// For spreadsheets and pandas.
    #[default]
    Csv,
    /// One flat JSON object a line.
    Jsonl,
    /// As Zeek's logs in JSON; connections, dns, tls, http, protocols, gaps.
    Zeek,
    /// Parquet, for DuckDB, Spark and pandas.
    #[cfg(feature = "parquet")]
    Parquet,
}
