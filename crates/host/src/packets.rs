//! Frames from the network, live, for the engine: the same on every system, and a refusal where there is no ring.
//!
//! [`Capture::start`] runs one thread (or several, with [`Options::threads`]) that copies what the kernel's rings hold
//! into [`Batch`]es and hands them over a bounded channel. Nothing is opened, and nothing costs anything, before that.

mod batch;

use std::path::PathBuf;

use atalaya_model::filter::Expression;
use atalaya_model::tier::Limit;
use atalaya_model::{Gap, Ledger, Text};
use atalaya_wire::LinkType;
use crossbeam_channel::Sender;

pub use batch::{Batch, Captured, Pool};

use crate::HostError;

/// Most interfaces captured at a time.
pub const MOST_INTERFACES: usize = 256;
/// Smallest ring, in bytes; interfaces beyond [`Options::total_bytes`] get one of this size.
pub const SMALLEST_RING: usize = 1 << 20;
/// Longest frame kept whole: more than the largest that a loopback interface carries.
pub const LONGEST_FRAME: u32 = 262_144;

/// What to capture, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// Names of interfaces, each of which must be there at the start and may go and come again later; none for all,
    /// also those that appear later, but without those whose frames another captured interface carries, too (VLAN
    /// devices, bridges with ports, members of a bond).
    pub interfaces: Vec<String>,
    /// Bytes kept of each frame, at least 64 and at most [`LONGEST_FRAME`].
    pub snap_length: u32,
    /// Take frames for other hosts, too.
    pub promiscuous: bool,
    /// What the kernel need not hand over. It passes at least every packet of a connection that matches; fields that it
    /// does not know are left to the engine, see [`Interface::is_filter_exact`].
    pub filter: Expression,
    /// Threads, between which the kernel divides conversations by a hash of their ends. More than one only where one
    /// cannot keep up: frames of different conversations are then handed over out of order.
    pub threads: usize,
    /// Bytes of the ring of each interface and thread.
    pub ring_bytes: usize,
    /// Bytes of all rings together.
    pub total_bytes: usize,
    /// A file that is another network namespace to capture in (`/run/netns/blue`, `/proc/1234/ns/net`).
    pub namespace: Option<PathBuf>,
    /// Where frames and losses are counted.
    pub ledger: Ledger,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            interfaces: Vec::new(),
            snap_length: LONGEST_FRAME,
            promiscuous: false,
            filter: Expression::All,
            threads: 1,
            ring_bytes: 16 << 20,
            total_bytes: 128 << 20,
            namespace: None,
            ledger: Ledger::default(),
        }
    }
}

/// An interface that is captured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// The number that its frames carry: the kernel's, never used twice while the host runs.
    pub number: u32,
    /// Its name.
    pub name: Text,
    /// What its frames begin with.
    pub link: LinkType,
    /// Bits per second in each direction, where the driver knows.
    pub speed: Option<u64>,
    /// It is a loopback interface: each frame passes it twice, and is handed over once.
    pub is_loopback: bool,
    /// Bytes of its ring, for one thread.
    pub ring_bytes: usize,
    /// The kernel drops every packet that no connection that matches the filter could have sent, but for fragments,
    /// extension headers, tunnels, more than two VLAN tags, and packets without ports; if not, more is passed.
    pub is_filter_exact: bool,
}

/// What a capture hands over.
#[derive(Debug)]
pub enum Delivery {
    /// Frames; those of one interface in order, those of several up to a twentieth of a second apart.
    Frames(Batch),
    /// An interface is captured from now on; frames of it may have come before this.
    Appeared(Interface),
    /// An interface is gone; what its ring still held came before this.
    Gone(Interface),
    /// Frames were lost.
    Gap(Gap),
}

/// What is captured now, and what is not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CaptureReport {
    /// The interfaces.
    pub interfaces: Vec<Interface>,
    /// What is not captured, and what would change that.
    pub limits: Vec<Limit>,
}

/// A running capture. It ends when this is dropped.
#[derive(Debug)]
pub struct Capture {
    #[cfg(target_os = "linux")]
    threads: crate::linux::ring::capture::Threads,
}

impl Capture {
    /// Opens the rings and starts the threads (`packets`, `packets-1` …).
    ///
    /// A thread waits where the channel is full, while the kernel's rings fill; after a second it drops its batch,
    /// counts it as [`Stage::EngineQueue`](atalaya_model::gap::Stage::EngineQueue), and tells a [`Delivery::Gap`]. It
    /// ends when the receiver is gone.
    ///
    /// # Errors
    /// [`HostError::Refused`] without the privilege, or where a named interface is not there; else what the system
    /// answered. On other systems than Linux always.
    pub fn start(options: Options, sender: Sender<Delivery>) -> Result<Self, HostError> {
        #[cfg(target_os = "linux")]
        return Ok(Self {
            threads: crate::linux::ring::capture::Threads::start(options, sender)?,
        });
        #[cfg(not(target_os = "linux"))]
        {
            drop((options, sender));
            Err(HostError::Refused {
                action: "capture packets".to_owned(),
                reason: "there is no packet ring on this system".to_owned(),
                remedy: "write a capture file with another program and read it by `atalaya replay`"
                    .to_owned(),
            })
        }
    }

    /// What is captured now.
    pub fn report(&self) -> CaptureReport {
        #[cfg(target_os = "linux")]
        return self.threads.report();
        #[cfg(not(target_os = "linux"))]
        CaptureReport::default()
    }
}
