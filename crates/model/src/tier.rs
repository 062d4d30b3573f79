//! The ways of observing, and why a better one is off.

use serde::{Deserialize, Serialize};

use crate::Text;

/// A way of observing the host, best last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// The socket table of the operating system through a library.
    Portable,
    /// Socket dumps, socket-destroy notifications and `/proc`.
    Poll,
    /// Kernel tracepoints without BPF.
    Events,
    /// BPF programs in the kernel.
    Ebpf,
}

impl Tier {
    /// The lower-case name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Poll => "poll",
            Self::Events => "events",
            Self::Ebpf => "ebpf",
        }
    }
}

/// How this host is observed, and what stands in the way of seeing more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TierReport {
    /// The way in use.
    pub tier: Tier,
    /// Each better tier that is off, with the reason.
    pub unavailable: Vec<(Tier, Text)>,
    /// What cannot be seen within this tier, each with the command or change that would grant it.
    pub limits: Vec<Limit>,
}

/// Something that cannot be seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// What is missing, in one sentence.
    pub what: Text,
    /// The exact command, or change, that would grant it.
    pub remedy: Text,
}
