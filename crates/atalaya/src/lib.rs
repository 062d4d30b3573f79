//! Atalaya: watches a host's network activity for its defender.
//!
//! This is the room that knows all others. In: the command line, the configuration. Out: running watches, snapshots,
//! answers. It puts collector, engine, store and outlets together, and owns the threads and channels between them.
//! Whoever wants to build on it uses [`Monitor`].
//!
//! This room must not decide what is odd (`detect`), what is told (`alert`), or how a thing is written (`format`).

pub mod alerts;
pub mod capture;
pub mod cli;
pub mod config;
pub mod control;
pub mod database;
pub mod documents;
pub mod engine;
pub mod exit;
pub mod export;
pub mod import;
pub mod keeper;
pub mod man;
pub mod monitor;
pub mod paths;
pub mod plan;
pub mod processes;
pub mod query;
pub mod replay;
pub mod rules;
pub mod service;
pub mod setup;
pub mod snapshot;
pub mod status;
pub mod talk;
pub mod terminal;
pub mod watch;

pub use monitor::Monitor;
