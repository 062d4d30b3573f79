//! From records, events and alerts to bytes: ECS JSON, the two `basic` shapes, CSV, text for people, and the lines that
//! Suricata (EVE) and Zeek write.
//!
//! In: what `model` declares, above all its list of fields, from which every format takes its names. Out: text, one
//! record a line. Sentences come from one message catalogue in two languages (`catalogue`), filled in by `sentence`.
//! What the watched programs chose (names, paths, command lines) is escaped here, at the edge, and every text has a
//! limit.
//!
//! This room must not know: where the bytes go (files, terminals, sockets), clocks, the environment, or any room but
//! `model`.

pub mod basic;
pub mod catalogue;
pub mod csv;
pub mod ecs;
pub mod escape;
pub mod eve;
mod identity;
pub mod json;
pub mod numbers;
pub mod sentence;
pub mod table;
pub mod text;
pub mod told;
pub mod zeek;

pub use catalogue::Language;
pub use ecs::Context;
