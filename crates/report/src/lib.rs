//! Questions answered as documents.
//!
//! In: tracked state and alerts, borrowed. Out: a document as text for a terminal or a ticket, as JSON for programs,
//! as CSV for spreadsheets. Documents are written as they are walked: a host with 100,000 connections needs no second
//! copy of them.
//!
//! This room must not know: where state comes from, the clock (a document is handed its time), the terminal (width
//! and colour are options), or how a sentence is worded (`format`).

pub mod database;
pub mod document;
pub mod processes;
pub mod query;
pub mod snapshot;
pub mod traffic;
pub mod verify;

pub use snapshot::{Snapshot, Statistics};
pub use traffic::Traffic;
