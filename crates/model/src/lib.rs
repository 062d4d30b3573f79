//! The words of Atalaya: every fact, finding and question that the other rooms exchange.
//!
//! In: nothing. Out: types. Each struct here is plain data that can be serialised, so that a collector, an engine and
//! a view may live in different processes. The list of fields (`fields`) declares each column once; JSON keys, CSV
//! headers, SQL columns, the filter grammar and the reference page come from it.
//!
//! This room must not know: clocks, files, sockets, the operating system, or any other room.

pub mod address;
pub mod alert;
pub mod application;
pub mod attribution;
pub mod bandwidth;
pub mod community_id;
pub mod connection;
pub mod event;
pub mod fields;
pub mod filter;
pub mod finding;
pub mod gap;
pub mod listener;
pub mod live;
pub mod memory;
pub mod observation;
pub mod place;
pub mod problem;
pub mod process;
pub mod protocol;
pub mod setting;
pub mod state;
pub mod tier;
pub mod time;
pub mod transport;
pub mod usage;
pub mod value;
pub mod wire;

pub use address::{Endpoint, Networks, Scope};
pub use alert::{Alert, AlertRecord, Severity, Verdict};
pub use application::{Application, Basis};
pub use attribution::{Attribution, Certainty, Evidence};
pub use bandwidth::{Bandwidth, Rate};
pub use connection::{Connection, Direction, NameSource, Outcome, Side};
pub use event::{Event, Fact};
pub use finding::Finding;
pub use gap::{Gap, Ledger, Stage};
pub use listener::Listener;
pub use observation::{Change, Observation, Owners, Resolution, Socket, SocketEvent};
pub use place::{Place, Places};
pub use problem::Problem;
pub use process::{Process, ProcessKey};
pub use protocol::{Message, Protocol};
pub use tier::{Tier, TierReport};
pub use time::{Span, Time};
pub use transport::{SocketState, Transport};
pub use usage::{ProcessUse, Usage};
pub use value::Value;
pub use wire::{ConnectionState, Lane, Wire};

/// Shared, immutable text. Cloning is a reference count, so the same path or name is kept once.
pub type Text = std::sync::Arc<str>;
