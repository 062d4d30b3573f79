//! What a view may ask of a running watcher, in its own process or over the control socket.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::gap::StageCount;
use crate::{
    AlertRecord, Bandwidth, Connection, Event, Listener, Process, ProcessUse, Span, Text, TierReport, Time,
    Verdict,
};

/// Version of the messages below. A peer with another version is refused with both numbers named.
pub const VERSION: u16 = 2;

/// Longest message in bytes, its length prefix not counted.
pub const MAX_MESSAGE: usize = 16 << 20;

/// Most rows that one page may hold.
pub const MAX_ROWS: usize = 10_000;

/// How long each list of a status's bandwidth is at most.
pub const MOST_RATES: usize = 10;

/// A question, or something to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// How the watcher is.
    Status,
    /// A page of what lives now.
    Query(Query),
    /// From now on, send events and alerts as they come. The connection serves nothing else afterwards.
    Subscribe {
        /// Kinds as `--events` names them; `alert` for alerts.
        kinds: Vec<Text>,
        /// Only records that this filter matches; empty for all.
        filter: Text,
    },
    /// Add a row about an alert.
    Triage(Triage),
    /// Do not tell findings of this rule and key (an empty key: all of the rule) for a while.
    Silence {
        /// The rule.
        rule: Text,
        /// The finding's key, or a glob of keys.
        key: Text,
        /// For how long.
        span: Span,
    },
    /// Read the configuration and its lists again.
    Reload,
}

/// A bounded question about live state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Query {
    /// What to list.
    pub what: Rows,
    /// In the filter grammar; empty for all.
    pub filter: Text,
    /// Skip so many.
    pub offset: usize,
    /// At most so many, never more than [`MAX_ROWS`].
    pub limit: usize,
}

/// What a query lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Rows {
    Connections,
    Listeners,
    Processes,
    /// Processes with open connections or listeners, of which the filter chooses those that count.
    Uses,
}

/// What a person says about an alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Triage {
    /// The alert.
    pub alert: u64,
    /// What it was; `None` only acknowledges it.
    pub verdict: Option<Verdict>,
    /// What they wrote, at most 4 KiB.
    pub note: Option<Text>,
}

/// An answer, or with a subscription one of many.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each answers the request of its name")]
pub enum Response {
    Status(Box<Status>),
    Connections(Page<Arc<Connection>>),
    Listeners(Page<Arc<Listener>>),
    Processes(Page<Arc<Process>>),
    Uses(Page<ProcessUse>),
    Event(Box<Event>),
    Alert(Box<AlertRecord>),
    /// Done; one sentence about it.
    Done(Text),
    /// Not done, and why.
    Refused(Text),
}

/// Some rows of a longer list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Page<T> {
    /// How many rows match in all.
    pub total: usize,
    /// The rows of this page.
    pub rows: Vec<T>,
}

/// How a watcher is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Program version.
    pub version: Text,
    /// Its process id.
    pub pid: u32,
    /// Host name.
    pub host: Text,
    /// When it began to watch.
    pub since: Time,
    /// When this was asked.
    pub now: Time,
    /// Until when it learns what is ordinary, if it still does.
    pub learning_until: Option<Time>,
    /// How it sees.
    pub tier: TierReport,
    /// Open connections.
    pub connections: usize,
    /// Listeners.
    pub listeners: usize,
    /// Processes that exist.
    pub processes: usize,
    /// Alerts raised since it began, by severity, mildest first.
    pub alerts: [u64; 5],
    /// Gap events since it began.
    pub gaps: u64,
    /// Every stage that counted anything.
    pub stages: Vec<StageCount>,
    /// What goes by on each interface whose packets are read.
    #[serde(default)]
    pub traffic: Vec<InterfaceTraffic>,
    /// Who uses the network how much, the first [`MOST_RATES`] of each list; `None` before anything was counted.
    #[serde(default)]
    pub bandwidth: Option<Bandwidth>,
    /// What packets and sockets had in common; `None` where no packets are read.
    #[serde(default)]
    pub joined: Option<Joined>,
    /// The store, if there is one.
    pub store: Option<StoreStatus>,
    /// Outlets by name, with their last error.
    pub outlets: Vec<(Text, Option<Text>)>,
    /// CPU time the watcher has used.
    pub cpu: Span,
    /// Resident memory in bytes.
    pub memory: u64,
}

/// What went by on an interface in the last seconds (up to ten), in both directions together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InterfaceTraffic {
    /// Its name.
    pub name: Text,
    /// Bits of whole frames per second.
    pub bits_per_second: u64,
    /// Frames per second.
    pub packets_per_second: u64,
    /// Bits as a share of what the link carries in one direction; `None` where its speed is not known.
    pub share_of_link: Option<f64>,
}

/// Records of connections that ended since the watch began, by who told of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joined {
    /// Both the kernel and packets.
    pub together: u64,
    /// Only packets: no socket was found, at least not in time (`unjoined`).
    pub packets_only: u64,
    /// Only the kernel, though in the network namespace whose packets are read.
    pub kernel_only: u64,
    /// Conversations seen in packets that wait for their socket now.
    pub waiting: u64,
}

/// How the store is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoreStatus {
    /// The file.
    pub path: Text,
    /// Its size with the write-ahead log, in bytes.
    pub bytes: u64,
    /// Rows written since start.
    pub rows: u64,
    /// The last error, if it is in trouble.
    pub error: Option<Text>,
}

/// The only way from a view to a watcher.
pub trait Live {
    /// Asks one question and waits for its answer.
    ///
    /// # Errors
    /// When no watcher answers, or it speaks another version.
    fn ask(&mut self, request: Request) -> Result<Response, std::io::Error>;
}
