//! *Which processes use the network, and how?* A list or a tree of processes, each with what it does.

mod csv;
mod forest;
mod json;
#[cfg(test)]
mod tests;
mod text;

use std::cmp::Reverse;
use std::ops::Range;

use atalaya_model::{ProcessUse, Time};

pub use csv::write_csv;
pub use json::write_json;
pub use text::{TextOptions, write_text};

/// Processes with their use of the network, in the order in which they are shown.
#[derive(Clone, Debug)]
pub struct Processes<'a> {
    /// The processes that are shown.
    pub rows: &'a [ProcessUse],
    /// How many there are in all.
    pub total: usize,
    /// When it was asked.
    pub now: Time,
    /// Who says so.
    pub source: Source,
    /// Also those without network use were asked for.
    pub idle: bool,
    /// A filter chose them.
    pub filtered: bool,
    /// What was not seen, a sentence each.
    pub not_seen: &'a [String],
}

/// Where a list comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A running watcher: what lives now.
    Watcher {
        /// Its process id.
        pid: u32,
    },
    /// One look at the host: what lives now.
    Look,
    /// The store: what lived within this time.
    Store(Range<Time>),
}

impl Source {
    /// The name in records.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Watcher { .. } => "watcher",
            Self::Look => "look",
            Self::Store(_) => "store",
        }
    }

    /// Does it tell of the present?
    const fn is_live(&self) -> bool {
        !matches!(self, Self::Store(_))
    }
}

/// What comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The lowest process id.
    Pid,
    /// The name, by letters.
    Name,
    /// The user's name, by letters.
    User,
    /// The most connections.
    Connections,
    /// The most bytes, sent and received together.
    #[default]
    Bytes,
    /// The most bytes sent.
    Sent,
    /// The most bytes received.
    Received,
    /// The youngest.
    Started,
    /// Who used the network last.
    Last,
}

/// Puts processes in order; equal ones by process id.
pub fn sort(rows: &mut [ProcessUse], order: Order) {
    rows.sort_by(|a, b| {
        let (p, q) = (&a.process, &b.process);
        let (u, v) = (&a.usage, &b.usage);
        let bytes = |usage: &atalaya_model::Usage| usage.bytes.unwrap_or_default();
        let first = match order {
            Order::Pid => std::cmp::Ordering::Equal,
            Order::Name => p.name.cmp(&q.name),
            Order::User => (&p.user_name, p.user_id).cmp(&(&q.user_name, q.user_id)),
            Order::Connections => v.connections().cmp(&u.connections()),
            Order::Bytes => {
                let rank = |usage: &atalaya_model::Usage| {
                    Reverse((usage.total_bytes(), usage.connections(), usage.listening))
                };
                rank(u).cmp(&rank(v))
            }
            Order::Sent => bytes(v).0.cmp(&bytes(u).0),
            Order::Received => bytes(v).1.cmp(&bytes(u).1),
            Order::Started => q.started.cmp(&p.started),
            Order::Last => v.last.cmp(&u.last),
        };
        first.then_with(|| (&a.boot, p.key).cmp(&(&b.boot, q.key)))
    });
}
