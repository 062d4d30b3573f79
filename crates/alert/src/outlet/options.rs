//! What the configuration file says about outlets.

use atalaya_model::{Event, Severity, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::options::{Period, SeverityName, Size};

/// The tables `[outlets.*]`. A file outlet is on when its table is there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OutletOptions {
    /// Lines on the terminal.
    pub console: ConsoleOptions,
    /// A log file for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<LogOptions>,
    /// Further log files, each with the keys of `[outlets.log]`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub logs: Vec<LogOptions>,
    /// A JSON Lines file for programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub json: Option<JsonOptions>,
    /// A CSV table of processes: every one that lives, at each interval, whether it uses the network or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processes_csv: Option<ProcessesCsvOptions>,
    /// A CSV table of connections: a row when one opens, and a row when it closes; listeners, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections_csv: Option<ConnectionsCsvOptions>,
}

impl OutletOptions {
    /// Every file that is written, with the table that names it.
    pub fn files(&self) -> impl Iterator<Item = (&'static str, &String)> {
        let logs = self.log.iter().map(|log| ("outlets.log", &log.file));
        let more = self.logs.iter().map(|log| ("outlets.logs", &log.file));
        let json = self.json.iter().map(|json| ("outlets.json", &json.file));
        let processes = self.processes_csv.iter();
        let processes = processes.map(|csv| ("outlets.processes_csv", &csv.file));
        let connections = self.connections_csv.iter();
        let connections = connections.map(|csv| ("outlets.connections_csv", &csv.file));
        logs.chain(more).chain(json).chain(processes).chain(connections)
    }
}

/// The table `[outlets.console]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ConsoleOptions {
    /// Alerts milder than this are not shown.
    #[schemars(with = "SeverityName")]
    pub minimum_severity: Severity,
    /// Show the details of each alert: numbers, examples, recommendation.
    pub verbose: bool,
    /// Say `No anomalies detected.` after each look that found nothing.
    pub heartbeat: bool,
}

impl Default for ConsoleOptions {
    fn default() -> Self {
        Self {
            minimum_severity: Severity::Low,
            verbose: false,
            heartbeat: false,
        }
    }
}

/// The table `[outlets.log]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LogOptions {
    /// The file. A relative path is in the program's log folder; `{host}` and, in the file's name, `{date}` are
    /// filled in.
    pub file: String,
    /// Alerts milder than this are not written.
    #[schemars(with = "SeverityName")]
    pub minimum_severity: Severity,
    /// Events that are written beside alerts.
    pub events: Vec<EventKind>,
    /// Write the details of each alert: numbers, examples, recommendation.
    pub verbose: bool,
    /// How often a line says how the watch is, and one more when it ends; never where it is 0s.
    pub status: Period,
    /// When the file is put aside, and how many are kept.
    pub rotate: Rotation,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            file: "alerts.log".into(),
            minimum_severity: Severity::Low,
            events: Vec::new(),
            verbose: true,
            status: Period::seconds(0),
            rotate: Rotation::default(),
        }
    }
}

/// The table `[outlets.json]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct JsonOptions {
    /// The file. A relative path is in the program's log folder; `{host}` and, in the file's name, `{date}` are
    /// filled in.
    pub file: String,
    /// The names of keys.
    pub shape: Shape,
    /// Alerts milder than this are not written.
    #[schemars(with = "SeverityName")]
    pub minimum_severity: Severity,
    /// Events that are written beside alerts.
    pub events: Vec<EventKind>,
    /// When the file is put aside, and how many are kept.
    pub rotate: Rotation,
}

impl Default for JsonOptions {
    fn default() -> Self {
        Self {
            file: "alerts.jsonl".into(),
            shape: Shape::Ecs,
            minimum_severity: Severity::Info,
            events: Vec::new(),
            rotate: Rotation::default(),
        }
    }
}

/// The table `[outlets.processes_csv]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProcessesCsvOptions {
    /// The file. A relative path is in the program's log folder; `{host}` and, in the file's name, `{date}` are
    /// filled in.
    pub file: String,
    /// Time between two scans.
    pub interval: Period,
    /// When the file is put aside, and how many are kept.
    pub rotate: Rotation,
}

impl Default for ProcessesCsvOptions {
    fn default() -> Self {
        Self {
            file: "processes.csv".into(),
            interval: Period::seconds(120),
            rotate: Rotation::default(),
        }
    }
}

/// The table `[outlets.connections_csv]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ConnectionsCsvOptions {
    /// The file. A relative path is in the program's log folder; `{host}` and, in the file's name, `{date}` are
    /// filled in.
    pub file: String,
    /// How often the rows are written. What happens is seen when it happens, and the rows have its own time.
    pub interval: Period,
    /// When the file is put aside, and how many are kept.
    pub rotate: Rotation,
}

impl Default for ConnectionsCsvOptions {
    fn default() -> Self {
        Self {
            file: "connection_events.csv".into(),
            interval: Period::seconds(10),
            rotate: Rotation::default(),
        }
    }
}

/// How a record is written as JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    /// Names of the Elastic Common Schema.
    #[default]
    Ecs,
    /// The two flat records of simple monitors: blocklisted addresses and excessive connections, nothing else.
    Basic,
}

/// A kind of event that may be written beside alerts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum EventKind {
    Connection,
    Process,
    Listener,
    /// What was said inside conversations, where packets are read.
    Protocol,
    Gap,
    Tier,
    /// One whole report a look.
    Snapshot,
    /// All of them but `snapshot`.
    All,
}

impl EventKind {
    /// Every kind, as `--events` names them.
    pub const ALL: [Self; 8] = [
        Self::Connection,
        Self::Process,
        Self::Listener,
        Self::Protocol,
        Self::Gap,
        Self::Tier,
        Self::Snapshot,
        Self::All,
    ];

    /// The name that `--events` takes.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::Process => "process",
            Self::Listener => "listener",
            Self::Protocol => "protocol",
            Self::Gap => "gap",
            Self::Tier => "tier",
            Self::Snapshot => "snapshot",
            Self::All => "all",
        }
    }

    /// The kind with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Does this choice include the event? Ticks are never included.
    pub(crate) fn includes(self, event: &Event) -> bool {
        let kind = event.fact.kind();
        kind != "tick" && (self == Self::All || self.name() == kind)
    }
}

/// When a file is put aside for a new one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Rotation {
    /// Before it would grow larger than this.
    pub size: Size,
    /// When it is older than this.
    pub age: Period,
    /// How many files are kept beside the current one.
    pub keep: u32,
    /// What is added to the name of a file put aside.
    pub suffix: Suffix,
}

impl Default for Rotation {
    fn default() -> Self {
        Self {
            size: Size(50_000_000),
            age: Period(Span::from_seconds(7 * 86_400)),
            keep: 8,
            suffix: Suffix::Number,
        }
    }
}

/// What is added to the name of a file put aside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Suffix {
    /// `.1` for the newest, `.2` for the one before it.
    #[default]
    Number,
    /// The time at which it was put aside, UTC: `.20261120T212703Z`.
    Date,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_have_defaults_and_unknown_keys_are_errors() {
        let options: OutletOptions = toml::from_str("").unwrap();
        assert_eq!(options, OutletOptions::default());
        let options: OutletOptions = toml::from_str(
            "console.heartbeat = true\n[log]\nfile = 'alertas_red.log'\n[json]\nshape = 'basic'\nevents = ['gap', 'all']\nrotate = { size = '1 MB', keep = 2, suffix = 'date' }",
        )
        .unwrap();
        assert!(options.console.heartbeat);
        assert_eq!(options.log.unwrap().file, "alertas_red.log");
        let json = options.json.unwrap();
        assert_eq!((json.shape, json.rotate.size), (Shape::Basic, Size(1_000_000)));
        assert_eq!(json.rotate.age, Rotation::default().age);
        assert!(toml::from_str::<OutletOptions>("[syslogg]").is_err());
        assert!(toml::from_str::<OutletOptions>("[log]\nfil = 'x'").is_err());
        assert!(toml::from_str::<OutletOptions>("[json]\nevents = ['packets']").is_err());
        for kind in EventKind::ALL {
            assert_eq!(EventKind::from_name(kind.name()), Some(kind));
        }
    }
}
