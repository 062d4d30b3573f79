//! What a dashboard shows, from the sums: each answer takes milliseconds, however many conversations there were.
//!
//! Under a filter the sums are of no use: the rows are searched instead, newest first, for as long as the asker waits
//! ([`Ask::is_over`]), and the answer says how many were ([`Searched`]). Sums lag by up to a minute ([`Answer::up_to`]).
//! Hours count wholly, even where the range begins within one.

mod address;
mod search;
mod sums;

use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;

use atalaya_model::filter::Expression;
use atalaya_model::{Connection as Conversation, Process, Severity, Text, Time, Transport};

use crate::codes::uncounter;
use crate::tally::Sums;
pub(crate) use search::PART;
pub(crate) use sums::sums;

/// What is asked of a panel.
pub struct Ask<'a> {
    /// The time that counts.
    pub range: Range<Time>,
    /// At most so many rows.
    pub limit: usize,
    /// Only what this accepts; `All` is answered from the sums.
    pub filter: Expression,
    /// Is it time to answer with what was found? Asked between parts of a search, a few hundredths of a second apart.
    pub is_over: &'a dyn Fn() -> bool,
}

impl Ask<'_> {
    /// Everything of a range, from the sums.
    pub const fn all(range: Range<Time>, limit: usize) -> Self {
        Self {
            range,
            limit,
            filter: Expression::All,
            is_over: &|| false,
        }
    }
}

/// What a panel shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer<T> {
    /// Its rows, the most important first.
    pub rows: Vec<T>,
    /// What the sums know of; `None` before anything was added up.
    pub up_to: Option<Time>,
    /// Where rows were searched: how far.
    pub searched: Option<Searched>,
}

/// How far a search came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Searched {
    /// Rows looked at: the newest of the range.
    pub rows: u64,
    /// Were these all?
    pub complete: bool,
}

/// What some conversations had together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Total {
    /// How many began.
    pub connections: u64,
    /// How many of them were never established.
    pub failed: u64,
    /// Payload bytes from this host.
    pub sent_bytes: u64,
    /// Payload bytes to this host.
    pub received_bytes: u64,
}

impl Total {
    /// Bytes both ways.
    pub const fn bytes(&self) -> u64 {
        self.sent_bytes.saturating_add(self.received_bytes)
    }
}

impl From<Sums> for Total {
    fn from(sums: Sums) -> Self {
        Self {
            connections: uncounter(sums.connections),
            failed: uncounter(sums.failed),
            sent_bytes: uncounter(sums.sent),
            received_bytes: uncounter(sums.received),
        }
    }
}

/// A remote address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The address.
    pub ip: IpAddr,
    /// When the first and the last conversation with it was told of.
    pub seen: Option<(Time, Time)>,
    /// Where it is: ISO country code, number and name of its network, where a database told.
    pub country: Option<Text>,
    /// Number of its autonomous system.
    pub asn: Option<u32>,
    /// Who runs that.
    pub organization: Option<Text>,
}

/// What an address had. `failed` is not counted by address.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct AddressTotal {
    pub address: Address,
    pub total: Total,
}

/// What runs, whatever process it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Name of the process that was seen first.
    pub name: Text,
    /// Its executable, where known.
    pub executable: Option<Text>,
    /// The script that an interpreter runs.
    pub script: Option<Text>,
}

/// What a program had; `None` for conversations whose process is unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct ProgramTotal {
    pub program: Option<Program>,
    pub total: Total,
}

/// What a destination port had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortTotal {
    /// Transport protocol.
    pub transport: Transport,
    /// The port; `None` for those that were too many to be counted one by one.
    pub port: Option<u16>,
    /// What it had.
    pub total: Total,
}

/// What a minute had. Minutes without anything are left out.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct MinuteTotal {
    pub start: Time,
    pub total: Total,
}

/// To how many addresses a program ever talked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    /// The program; `None` for conversations whose process is unknown.
    pub program: Option<Program>,
    /// Different remote addresses.
    pub addresses: u64,
    /// What it had in all.
    pub total: Total,
}

/// A destination to which this host hardly ever connected.
#[derive(Clone, Debug, PartialEq)]
pub struct Rare {
    /// The address.
    pub address: Address,
    /// How often this host began a conversation with it, ever.
    pub begun: u64,
    /// The newest conversation, where it is still kept.
    pub newest: Option<Arc<Conversation>>,
}

/// How many alerts a rule raised.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct RuleTotal {
    pub rule: Text,
    /// The worst of them.
    pub severity: Severity,
    pub alerts: u64,
    pub last: Time,
}

/// A process that used the network, with its ancestors.
#[derive(Clone, Debug, PartialEq)]
pub struct ProcessTotal {
    /// The process, as it is known last.
    pub process: Arc<Process>,
    /// What it had in all; what it had of the range where rows were searched.
    pub total: Total,
    /// When it last used the network.
    pub last: Time,
}

/// Everything about one address.
#[derive(Clone, Debug, PartialEq)]
pub struct AddressHistory {
    /// The address and all that it had as a remote one; `None` where it never was.
    pub ever: Option<AddressTotal>,
    /// What it had on each day of the range, oldest first.
    pub days: Vec<(Time, Total)>,
    /// Which programs ever talked to it, those with the most bytes first: first and last time, and how much.
    pub programs: Vec<(ProgramTotal, (Time, Time))>,
    /// The newest conversations with it, newest first. Of an address of this host those that name no process are always
    /// among them, the others as far as the search came.
    pub newest: Vec<Arc<Conversation>>,
    /// How far the conversations were searched: all of this host's own address, or those that a filter had to look at;
    /// `None` where an index told of all.
    pub searched: Option<Searched>,
}
