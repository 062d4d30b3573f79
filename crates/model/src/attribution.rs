//! How the process of a connection was learnt, and how sure that is. An unknown process is unknown with a reason.

use serde::{Deserialize, Serialize};

/// How sure an attribution is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Certainty {
    /// No process is named; the evidence says why.
    Unknown,
    /// One of several holders of the socket, or learnt indirectly.
    Likely,
    /// The only holder of the socket, or named by the kernel.
    Exact,
}

impl Certainty {
    /// The lower-case name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Likely => "likely",
            Self::Exact => "exact",
        }
    }
}

/// Where an attribution, or its absence, comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    /// The kernel named the process when the socket was used.
    KernelEvent,
    /// It was accepted by a listener of this process, and nobody has used it yet.
    Listener,
    /// The only process with an open descriptor of this socket.
    Descriptor,
    /// Several processes hold the socket; the one named is the likeliest user of it.
    SharedDescriptor,
    /// The socket was seen earlier with this process, and is now closed.
    SeenBefore,
    /// Nobody: the kernel keeps the socket after its process let it go (TIME_WAIT, FIN_WAIT2, orphans).
    KernelOwned,
    /// The socket lived between two looks; only its owner's user id is known.
    BetweenLooks,
    /// The process that holds it may not be read with the privileges at hand.
    NoPermission,
    /// No readable process holds it (another process namespace, or it was passed on meanwhile).
    NotFound,
    /// The record comes from packets or from another program, without a process.
    NotRecorded,
    /// A capture file says so. Whoever wrote that may have seen it, or made it up.
    CaptureFile,
}

impl Evidence {
    /// The name in records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::KernelEvent => "kernel_event",
            Self::Listener => "listener",
            Self::Descriptor => "descriptor",
            Self::SharedDescriptor => "shared_descriptor",
            Self::SeenBefore => "seen_before",
            Self::KernelOwned => "kernel_owned",
            Self::BetweenLooks => "between_looks",
            Self::NoPermission => "no_permission",
            Self::NotFound => "not_found",
            Self::NotRecorded => "not_recorded",
            Self::CaptureFile => "capture_file",
        }
    }

    /// How sure this evidence makes us.
    pub const fn certainty(self) -> Certainty {
        match self {
            Self::KernelEvent | Self::Descriptor | Self::SeenBefore => Certainty::Exact,
            Self::SharedDescriptor | Self::Listener | Self::CaptureFile => Certainty::Likely,
            Self::KernelOwned
            | Self::BetweenLooks
            | Self::NoPermission
            | Self::NotFound
            | Self::NotRecorded => Certainty::Unknown,
        }
    }
}

/// How a connection's process was learnt. `certainty` never exceeds what `evidence` allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the types say it")]
pub struct Attribution {
    pub certainty: Certainty,
    pub evidence: Evidence,
}

impl From<Evidence> for Attribution {
    fn from(evidence: Evidence) -> Self {
        Self {
            certainty: evidence.certainty(),
            evidence,
        }
    }
}
