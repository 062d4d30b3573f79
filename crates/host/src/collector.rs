//! The collector: the only way by which facts about sockets and processes enter the program.

use std::fmt;
use std::time::Duration;

use atalaya_model::{Ledger, Observation, Text, Tier, TierReport};

use crate::HostError;

/// Where a collector puts what it observes, in order.
pub type Sink<'a> = dyn FnMut(Observation) + 'a;

/// Observes one host. It speaks in plain, serialisable messages, so that it may one day be a process of its own.
///
/// One thread calls [`look`](Self::look) at every interval and [`wait`](Self::wait) in between.
pub trait Collector: Send {
    /// How this host is observed, and what cannot be seen. May change after any look.
    fn report(&self) -> TierReport;

    /// Looks once at everything: closed sockets, processes, the whole socket table, and `LookDone`.
    ///
    /// # Errors
    /// When the socket table of this host's own network namespace cannot be read. Lesser losses are counted in the
    /// ledger and told as gaps. The next look may succeed.
    fn look(&mut self, sink: &mut Sink<'_>) -> Result<(), HostError>;

    /// Passes on what happens by itself (sockets that close, hashes that are done) until `timeout` is over or a
    /// signal arrives, so that no kernel buffer fills between two looks.
    ///
    /// # Errors
    /// When waiting itself fails.
    fn wait(&mut self, timeout: Duration, sink: &mut Sink<'_>) -> Result<(), HostError>;

    /// The watch ends: passes on what has happened and was not told yet.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    fn finish(&mut self, sink: &mut Sink<'_>) -> Result<(), HostError> {
        self.wait(Duration::ZERO, sink)
    }

    /// How many processes have facts (hash, package) still being worked out; [`wait`](Self::wait) passes them on.
    fn pending(&self) -> usize;

    /// What came in, was passed on, and was lost, shared with whoever shows it.
    fn ledger(&self) -> Ledger;
}

/// A key that nobody should see.
#[derive(Clone, PartialEq, Eq)]
pub struct CommandLineKey(pub [u8; 32]);

impl fmt::Debug for CommandLineKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CommandLineKey(..)")
    }
}

/// How to observe.
#[derive(Clone, Debug)]
pub struct Options {
    /// Look again and again: subscribe to closed sockets, remember owners. Off for a single look.
    pub follow: bool,
    /// Describe every process; otherwise only those with sockets, and their ancestors.
    pub every_process: bool,
    /// Hash executables.
    pub hash: bool,
    /// Look up and verify the package of each executable.
    pub packages: bool,
    /// Redact secrets in command lines.
    pub redact: bool,
    /// Key of the hash over unredacted command lines; no hash without one.
    pub command_line_key: Option<CommandLineKey>,
    /// Bytes that the kernel may queue of closed sockets, for the host's own network namespace.
    pub receive_buffer: usize,
    /// Bytes of the ring through which kernel programs speak; a power of two, a page at least.
    pub ring: usize,
    /// Load programs into the kernel where that is cheaper than asking it, in tiers that do without, too.
    pub programs: bool,
    /// Note the names that programs ask the system's resolver for.
    pub names: bool,
    /// Better tiers that are off, each with the reason; told in the report.
    pub unavailable: Vec<(Tier, Text)>,
    /// Where losses are counted; whoever takes over from another collector goes on with its ledger.
    pub ledger: Ledger,
}

impl Default for Options {
    /// As `watch` does it.
    fn default() -> Self {
        Self {
            follow: true,
            every_process: true,
            hash: true,
            packages: true,
            redact: true,
            command_line_key: None,
            receive_buffer: 64 << 20,
            ring: 8 << 20,
            programs: true,
            names: true,
            unavailable: Vec::new(),
            ledger: Ledger::default(),
        }
    }
}

impl Options {
    /// As `snapshot` does it: one look.
    pub fn single_look() -> Self {
        Self {
            follow: false,
            every_process: false,
            ..Self::default()
        }
    }
}
