//! What only Linux answers: `/proc`, `sock_diag`, namespaces, package databases.

pub mod cgroup;
mod describe;
pub mod destroy;
pub mod ebpf;
pub mod events;
pub mod hash;
pub mod iterate;
mod memory;
pub mod names;
pub mod namespaces;
pub mod owners;
pub mod package;
pub mod poll;
pub mod process;
mod programs;
pub mod redact;
pub mod ring;
pub mod sockets;
pub mod users;

use atalaya_model::Tier;

use crate::HostError;
use crate::collector::{Collector, Options};

/// Opens the collector of one tier.
///
/// # Errors
/// Why the tier does not work here.
pub fn open(tier: Tier, options: Options) -> Result<Box<dyn Collector>, HostError> {
    match tier {
        Tier::Ebpf => Ok(Box::new(ebpf::EbpfCollector::open(options)?)),
        Tier::Events => Ok(Box::new(events::EventsCollector::open(options)?)),
        Tier::Poll => Ok(Box::new(poll::PollCollector::open(options)?)),
        Tier::Portable => Err(HostError::system("find a collector for it")(
            std::io::ErrorKind::Unsupported.into(),
        )),
    }
}
