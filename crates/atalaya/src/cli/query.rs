//! Flags of `query`.

use atalaya_model::Span;
use clap::{Args, ValueEnum};

use super::WhichDatabase;

/// What `--help` shows last.
pub(super) const EXAMPLES: &str = "\
Examples:
  atalaya query 'SELECT process_name, count(*) FROM connections GROUP BY 1 ORDER BY 2 DESC'
  atalaya query 'SELECT * FROM connections WHERE ip_in(destination_ip, :net)' net=203.0.113.0/24 --output jsonl
  atalaya query --schema alerts                      the columns of a view and what they mean
  atalaya query --list                               the questions that are saved
  atalaya query --saved uploads since=7d
  atalaya query --save ours 'SELECT * FROM alerts WHERE time >= ago(:since)'
  atalaya query - --output csv < question.sql

Nothing can be changed: one SELECT is answered, within a time, on a connection that can only read. Times are microseconds
since the epoch; iso() and local() make dates of them, and ids tell time: id >= id_at(ago('24h')) is fast.

Exit status: 0 answered, 2 a statement that is wrong or not allowed, 3 no database, or stopped (what was found until
then is written).";

/// Flags of `query`.
#[derive(Clone, Debug, Args)]
pub struct QueryArgs {
    /// Which database.
    #[command(flatten)]
    pub database: WhichDatabase,
    /// One `SELECT`, or `-` for standard input; then values of its parameters, as `name=value`.
    #[arg(value_name = "SQL|NAME=VALUE")]
    pub words: Vec<String>,
    /// Ask the saved question of this name.
    #[arg(long, value_name = "NAME", group = "what")]
    pub saved: Option<String>,
    /// Save the statement under this name instead of asking it.
    #[arg(long, value_name = "NAME", group = "what")]
    pub save: Option<String>,
    /// List the saved questions, those that come with the program first.
    #[arg(long, group = "what")]
    pub list: bool,
    /// Print the views, or these views, with their columns, and the functions.
    #[arg(long, group = "what")]
    pub schema: bool,
    /// How to write.
    #[arg(long, short, value_enum, default_value_t)]
    pub output: QueryOutput,
    /// Rows at most; 0 for all.
    #[arg(long, default_value_t = 1_000, value_name = "N")]
    pub limit: usize,
    /// Stop after this time, such as `30s`.
    #[arg(long, value_name = "TIME", value_parser = super::span, default_value = "10s")]
    pub timeout: Span,
}

/// How to write an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum QueryOutput {
    /// A table for people; a block a row where it is too wide.
    #[default]
    #[value(alias = "table")]
    Text,
    /// One array of objects.
    Json,
    /// An object a line.
    Jsonl,
    /// For spreadsheets.
    Csv,
}
