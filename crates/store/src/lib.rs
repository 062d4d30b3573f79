//! The store: keeps events, alerts and memory in SQLite, and gives them back.
//!
//! In: batches of [`Entry`] through the one [`Writer`], each batch one transaction. Out, through any number of
//! [`Reader`]s: the stored rows as events in time order ([`Reader::history`]), records that a filter matches
//! ([`Reader::select`]), alerts with what was said of them, detectors' memory, the executables ever seen.
//!
//! Panels of a dashboard are answered from sums that are kept along (`panels`), whatever their number of rows.
//!
//! Ids are in time order, so ranges of time are ranges of the primary key. What repeats (addresses, processes, texts,
//! shapes of conversations) is kept once in dictionaries. The views bear the names and columns of `model::fields`
//! ([`views`]). `kill -9` at any moment leaves a database that opens, with every batch whose `write` returned, and with
//! sums that are what its rows say.
//!
//! This room must not know: clocks (times come with events and calls), detectors, outlets, how things are shown.

pub mod console;

mod alerts;
mod backup;
mod codes;
mod connections;
mod dictionary;
mod error;
mod export;
mod extent;
mod extra;
mod filter;
mod grouped;
mod history;
mod identity;
mod incidents;
mod listeners;
mod load;
mod lock;
mod losses;
mod maintain;
mod memory;
mod open;
mod panels;
mod processes;
mod protocols;
mod reader;
mod rebuild;
mod renewal;
mod retain;
mod rollups;
mod rows;
mod said;
mod schema;
mod seen;
mod shape;
mod tally;
mod uses;
mod views;
mod wire;
mod writer;

pub use alerts::{Said, StoredAlert};
pub use error::StoreError;
pub use export::{Cell, filtered_as};
pub use extent::Extent;
pub use grouped::{SeenProcess, Sum, SumOf};
pub use history::History;
pub use incidents::Incident;
pub use maintain::{Check, Damaged, TableSize, set_aside};
pub use panels::{
    Address, AddressHistory, AddressTotal, Answer, Ask, MinuteTotal, PortTotal, ProcessTotal, Program,
    ProgramTotal, Rare, Reach, RuleTotal, Searched, Total,
};
pub use reader::{AlertQuery, Executable, Reader, Run, Stored};
pub use retain::{Retained, Retention};
pub use said::{Spoken, Subject};
pub use schema::{Column, View, views};
pub use uses::UseQuery;
pub use writer::{Checkpointer, Entry, Options, Stats, Writer, Written};

/// The schema version that this program writes.
pub const SCHEMA_VERSION: i64 = open::VERSION;
