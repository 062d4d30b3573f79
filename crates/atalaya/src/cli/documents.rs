//! Flags of `report`, `timeline` and `diff`, and those that `verify` shares with them.

use std::path::PathBuf;

use atalaya_model::Span;
use clap::{Args, ValueEnum};

use super::{CommonArgs, Moment, WhichDatabase, moment, span};

/// What `report --help` shows last.
pub(super) const REPORT_EXAMPLES: &str = "\
Examples:
  atalaya report --last 24h > report.html
  atalaya report --last 7d --to week.html --lang es
  atalaya report --from 2026-11-19 --to 2026-11-20 --to thursday.md
  atalaya report --last 24h --output json | jq .verdict
  atalaya report --store other-host.db --last 30d --output csv > month.csv

`--to` takes the end of the time, or the file to write; both where it is given twice. A file's ending says the format:
.html, .md, .txt, .json, .csv. Scheduled reports are in the table [report] of the configuration.

Exit status: 0 done, 2 usage or configuration error, 3 the run failed.";

/// What `timeline --help` shows last.
pub(super) const TIMELINE_EXAMPLES: &str = "\
Examples:
  atalaya timeline 4242 --last 1h                a process id
  atalaya timeline /usr/bin/curl                 a file: as executable or script
  atalaya timeline 203.0.113.7 --last 30d        an address; 203.0.113.0/24 a network
  atalaya timeline example.org --output csv      a name: a domain with all below it, or processes of this name
  atalaya timeline nc --from 2026-11-20T21:00 --to 2026-11-20T22:00

Exit status: 0 done, 2 usage or configuration error, 3 the run failed.";

/// What `diff --help` shows last.
pub(super) const DIFF_EXAMPLES: &str = "\
Examples:
  atalaya diff 14d..7d 7d..                      last week against the week before
  atalaya diff 2026-11-01..2026-11-08 2026-11-19.. --output markdown
  atalaya diff web1.db web2.db                   two hosts, or a copy of the database against the present one
  atalaya diff web1.db web2.db --last 24h --output json

Each side is a time FROM..TO of the database (a span back, such as 7d, or a time; without TO until now), or a database.

Exit status: 0 no difference, 1 differences, 2 usage or configuration error, 3 the run failed.";

/// How to write a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DocumentFormat {
    /// One file for a browser, a printer, a mail.
    Html,
    /// For tickets and wikis.
    #[value(alias = "md")]
    Markdown,
    /// For terminals.
    Text,
    /// For programs.
    Json,
    /// For spreadsheets.
    Csv,
}

impl DocumentFormat {
    /// What the ending of a file's name says.
    pub fn of(file: &std::path::Path) -> Option<Self> {
        let ending = file.extension()?.to_str()?.to_ascii_lowercase();
        Some(match ending.as_str() {
            "html" | "htm" => Self::Html,
            "md" | "markdown" => Self::Markdown,
            "txt" | "text" => Self::Text,
            "json" => Self::Json,
            "csv" => Self::Csv,
            _ => return None,
        })
    }

    /// The ending of the files of this format.
    pub const fn ending(self) -> &'static str {
        match self {
            Self::Html => "html",
            Self::Markdown => "md",
            Self::Text => "txt",
            Self::Json => "json",
            Self::Csv => "csv",
        }
    }
}

/// What `--to` names: the end of the time, or a file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Place {
    Time(Moment),
    File(PathBuf),
}

/// The time that a document is about, and where it goes.
#[derive(Clone, Debug, Default, Args)]
pub struct TimesArgs {
    /// The last time, such as `24h` or `7d`.
    #[arg(long, value_name = "TIME", value_parser = span, conflicts_with_all = ["from", "until"])]
    pub last: Option<Span>,
    /// From this time on: a span back (`7d`) or a time (`2026-11-20T21:00`).
    #[arg(long, visible_alias = "since", value_name = "TIME", value_parser = moment)]
    pub from: Option<Moment>,
    /// Until this time.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub until: Option<Moment>,
    /// Until this time; or write to this file instead of standard output.
    #[arg(long, value_name = "TIME|FILE", value_parser = place)]
    pub to: Vec<Place>,
}

impl TimesArgs {
    /// Is any time named?
    pub fn names_a_time(&self) -> bool {
        let named = [self.from, self.until];
        self.last.is_some() || named.iter().any(Option::is_some) || {
            let mut places = self.to.iter();
            places.any(|place| matches!(place, Place::Time(_)))
        }
    }
}

/// Flags of `report`.
#[derive(Clone, Debug, Args)]
pub struct ReportArgs {
    /// Which database.
    #[command(flatten)]
    pub database: WhichDatabase,
    /// The time; the last 24 hours, where nothing is said.
    #[command(flatten)]
    pub times: TimesArgs,
    /// How to write; default by the name of the file, else HTML.
    #[arg(long, short, value_enum)]
    pub output: Option<DocumentFormat>,
    /// At most so many rows of each table.
    #[arg(long, default_value_t = 25, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub limit: u32,
}

/// Flags of `timeline`.
#[derive(Clone, Debug, Args)]
pub struct TimelineArgs {
    /// Which database.
    #[command(flatten)]
    pub database: WhichDatabase,
    /// A process id, a path, a SHA-256, an address, a network (CIDR), a domain, or the name of a process.
    #[arg(value_name = "PROCESS|IP|NAME")]
    pub subject: String,
    /// The time; everything that is kept, where nothing is said.
    #[command(flatten)]
    pub times: TimesArgs,
    /// How to write; default by the name of the file, else text.
    #[arg(long, short, value_enum)]
    pub output: Option<DocumentFormat>,
    /// At most so many events; of more, the newest.
    #[arg(long, default_value_t = 1_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub limit: u32,
    /// Answer after this time with what was found.
    #[arg(long, value_name = "TIME", value_parser = span, default_value = "20s")]
    pub patience: Span,
}

/// Flags of `diff`.
#[derive(Clone, Debug, Args)]
pub struct DiffArgs {
    /// Flags that most verbs share.
    #[command(flatten)]
    pub common: CommonArgs,
    /// What was before: a time of the database, or a database.
    #[arg(value_name = "BEFORE")]
    pub before: String,
    /// What is after.
    #[arg(value_name = "AFTER")]
    pub after: String,
    /// The database, for two times; default as in the configuration.
    #[arg(long, value_name = "FILE")]
    pub store: Option<PathBuf>,
    /// Of two databases, the time that counts; everything, where nothing is said.
    #[command(flatten)]
    pub times: TimesArgs,
    /// How to write; default by the name of the file, else text.
    #[arg(long, short, value_enum)]
    pub output: Option<DocumentFormat>,
    /// At most so many rows of each table.
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub limit: u32,
}

/// A time where it reads as one, else a file: write `./24h` for a file of that name.
fn place(text: &str) -> Result<Place, String> {
    match moment(text) {
        Ok(moment) => Ok(Place::Time(moment)),
        Err(_) if text.is_empty() => Err("a time or the name of a file".to_owned()),
        Err(_) => Ok(Place::File(text.into())),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_place_is_a_time_or_a_file() {
        assert_eq!(
            place("24h"),
            Ok(Place::Time(Moment::Ago(Span::from_seconds(86_400))))
        );
        assert!(matches!(place("2026-11-20"), Ok(Place::Time(Moment::At(_)))));
        assert_eq!(place("a.html"), Ok(Place::File("a.html".into())));
        assert_eq!(place("./24h"), Ok(Place::File("./24h".into())));
        assert!(place("").is_err());
        assert_eq!(DocumentFormat::of(Path::new("A.HTM")), Some(DocumentFormat::Html));
        assert_eq!(DocumentFormat::of(Path::new("a.db")), None);
    }
}
