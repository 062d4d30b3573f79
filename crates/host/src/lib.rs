//! The operating system: socket tables, processes, packets, users, signals, service manager, clock.
//!
//! In: the kernel and `/proc`, files of the package manager, a socket for control. Out: plain, serialisable
//! observations through [`collector::Collector`], frames through [`packets::Capture`], and facts about this host, each
//! with the reason where one is missing or degraded. All `unsafe` of the workspace lives here, and every reading of a clock ([`clock`]).
//!
//! Nothing here trusts what it reads: names, paths, command lines and files come from processes that may be hostile,
//! so every read has a limit and every parser is total. Secrets in command lines are redacted before they leave.
//!
//! This room must not know: what is odd (that is `detect`), how events are kept (`store`), sent (`alert`) or shown,
//! or which messages travel over the control socket ([`control`] carries bytes).

pub mod clock;
pub mod collector;
pub mod control;
pub mod error;
pub mod fake;
pub mod identity;
pub mod ladder;
pub mod lock;
pub mod packets;
pub mod privileges;
pub mod service;
pub mod signals;
pub mod usage;

#[cfg(target_os = "linux")]
pub mod linux;

pub use error::HostError;
