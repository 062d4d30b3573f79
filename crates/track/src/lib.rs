//! State with one owner: which connections, listeners and processes there are, and what changed.
//!
//! In: a collector's observations ([`Tracker::observe`]), the passing of time ([`Tracker::tick`]), or events of the
//! past ([`Tracker::apply`]). Out: events in the order in which they became known, and the tables themselves, read
//! through `model::state::State`, iterators, and bounded pages.
//!
//! Every conclusion about a socket is drawn here: who owns it, who began the conversation, how far away the peer is,
//! which service the port is known for. All tables are bounded; what does not fit is counted in a gap.
//!
//! This room must not know: where observations come from, what is odd about them, clocks, files, the store.

mod atlas;
mod decide;
mod flows;
mod hearsay;
mod join;
mod kernel;
mod listeners;
mod look;
mod meter;
mod names;
mod owner;
mod packets;
mod processes;
mod query;
mod replay;
mod services;
mod sockets;
mod tracker;

pub use atlas::{Atlas, Held};
pub use flows::{Count, FlowOptions, StreamLosses, TimeOuts};
pub use services::service;
pub use tracker::{Options, Tracker};
