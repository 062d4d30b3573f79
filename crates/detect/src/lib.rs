//! What is odd about what happens: one file, one detector, one entry in the list.
//!
//! In: the tracked state and one event ([`Detectors::look_at`]). Out: findings (a rule with typed values, never prose)
//! and what must be remembered across restarts. The list of detectors with their sentences, severities, techniques and
//! options is [`registry::ENTRIES`]; `docs/detectors.md` is made from it by a test.
//!
//! A detector is pure: the same events lead to the same findings, live or replayed. Time comes with the event.
//!
//! This room must not know: clocks, files, the store, languages, and which findings are worth telling.

mod detector;
mod detectors;
mod draft;
mod executables;
pub mod lists;
pub mod options;
mod ports;
mod recent;
pub mod registry;
mod sightings;
#[cfg(test)]
mod stage;

pub mod blocklisted_address;
pub mod changed_executable;
pub mod deleted_executable;
pub mod dns_rate;
pub mod excessive_connections;
pub mod many_external;
pub mod new_executable;
pub mod new_process;
pub mod preloaded_library;
pub mod reverse_shell;
pub mod suspicious_path;
pub mod suspicious_port;
pub mod uncommon_port;
pub mod unusual_listener;

pub use detector::{Detector, Findings, Scene, Sighting};
pub use detectors::{Detectors, Learning};
pub use executables::Novelty;
pub use lists::{Blocklist, Lists};
pub use options::Options;
