//! From finding to alert, and from alert to whoever should know.
//!
//! In: findings, in order of their time; allow-list entries and silences; records and events to hand on. Out: alert
//! records (raised once, then counted, told again after a cooldown) and lines written by outlets: console, log file,
//! JSON Lines.
//!
//! [`Desk`] decides and belongs to the engine thread; it does no I/O. [`Outlets`] owns one named thread an outlet,
//! each behind a bounded queue, so that a full disk or a stuck terminal never holds up the watch.
//!
//! This room must not know: detectors (techniques come through a look-up it is given), the store (open alerts are
//! recalled from records it is given), the clock (time comes with findings), or how a sentence is worded (`format`).

pub mod allow;
pub mod desk;
pub mod options;
pub mod outlet;
mod pattern;
pub mod silence;

pub use allow::{Allow, AllowList};
pub use desk::{Counts, Desk};
pub use options::{AlertOptions, Period, Size};
pub use outlet::{Console, Item, OutletError, OutletStatus, Outlets, Surroundings, Trouble};
pub use silence::{Silence, Silences};
