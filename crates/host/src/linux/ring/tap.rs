//! One interface with its ring.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use atalaya_model::{Gap, Ledger, Span, Stage, Text};
use atalaya_wire::LinkType;

use super::block::{Frames, Origin};
use super::bpf::Program;
use super::links::Link;
use super::socket::{RETIRE, Socket, Wanted};
use crate::HostError;
use crate::clock::{self, Deadline};
use crate::packets::{Interface, Options};

/// How long the ring of an interface that is gone is still read: its last block comes when its time is over.
const LAST: Span = Span(RETIRE as i64 * 3_000);

#[derive(Debug)]
pub(super) struct Tap {
    socket: Socket,
    interface: Interface,
    /// The interface is gone; until then its ring is read.
    closing: Option<Deadline>,
    /// Frames that were handed over since they were counted.
    read: u64,
}

impl Tap {
    pub(super) fn open(
        link: &Link,
        link_type: LinkType,
        ring_bytes: usize,
        options: &Options,
    ) -> Result<Self, HostError> {
        let action = || format!("capture packets on `{}`", link.name);
        let open = |program: &Program| {
            let wanted = Wanted {
                interface: link.number,
                is_loopback: link.is_loopback(),
                is_promiscuous: options.promiscuous,
                ring_bytes,
                program,
            };
            Socket::create().and_then(|descriptor| Socket::open(descriptor, wanted))
        };
        let (filter, bytes) = (&options.filter, options.snap_length);
        let mut program = Program::new(filter, link_type, bytes);
        let mut socket = open(&program);
        // Longer than `net.core.optmem_max` allows: the engine filters, first what has VLAN tags, then everything.
        for shorter in [Program::short, |_: &_, _, bytes| Program::everything(bytes)] {
            let is_too_long = |error: &io::Error| error.raw_os_error() == Some(libc::ENOMEM);
            if socket.as_ref().is_err_and(is_too_long) && program.instructions().len() > 1 {
                program = shorter(filter, link_type, bytes);
                socket = open(&program);
            }
        }
        let socket = socket.map_err(|error| refused(action(), &error))?;
        Ok(Self {
            interface: Interface {
                number: link.number,
                name: Text::from(link.name.as_str()),
                link: link_type,
                speed: None,
                is_loopback: link.is_loopback(),
                ring_bytes: socket.ring_bytes(),
                is_filter_exact: program.is_exact(),
            },
            socket,
            closing: None,
            read: 0,
        })
    }

    pub(super) const fn interface(&self) -> &Interface {
        &self.interface
    }

    /// By megabits per second.
    pub(super) fn set_speed(&mut self, megabits: Option<u32>) {
        self.interface.speed = megabits.map(|speed| u64::from(speed) * 1_000_000);
    }

    pub(super) fn share(&self, group: Option<u16>) -> io::Result<u16> {
        self.socket.share(group)
    }

    pub(super) fn rename(&mut self, name: &str) {
        if *self.interface.name != *name {
            self.interface.name = Text::from(name);
        }
    }

    /// The interface is gone.
    pub(super) fn leave(&mut self) {
        if self.closing.is_none() {
            self.closing = Some(Deadline::after(LAST));
        }
    }

    /// What is left of the time in which a ring is read whose interface is gone.
    pub(super) fn closes_in(&self) -> Option<Duration> {
        self.closing
            .map(|deadline| deadline.left().unwrap_or(Duration::ZERO))
    }

    /// The interface is gone, and everything was read.
    pub(super) fn is_over(&self) -> bool {
        self.closes_in() == Some(Duration::ZERO) && !self.is_ready()
    }

    pub(super) fn is_ready(&self) -> bool {
        self.socket.is_ready()
    }

    pub(super) fn frames(&self) -> Frames<'_> {
        let origin = Origin {
            interface: self.interface.number,
            link: self.interface.link,
            is_loopback: self.interface.is_loopback,
        };
        Frames::new(self.socket.block(), origin)
    }

    pub(super) fn release(&mut self) {
        self.read += self.frames().left();
        self.socket.release();
    }

    pub(super) fn take_error(&self) {
        self.socket.take_error();
    }

    /// Puts what the kernel counted into the ledger; tells what was lost.
    pub(super) fn count(&mut self, ledger: &Ledger) -> Option<Gap> {
        // The kernel counts from the beginning each time it is asked.
        let statistics = self.socket.statistics().unwrap_or_default();
        ledger.received(Stage::PacketRing, u64::from(statistics.frames));
        ledger.dropped(Stage::PacketRing, u64::from(statistics.dropped));
        ledger.passed(Stage::PacketRing, std::mem::take(&mut self.read));
        (statistics.dropped > 0).then(|| Gap {
            time: clock::now(),
            stage: Stage::PacketRing,
            count: u64::from(statistics.dropped),
            reason: Text::from(format!("the packet ring of {} was full", self.interface.name)),
        })
    }
}

impl AsFd for Tap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Says what would help where the system refuses.
pub(super) fn refused(action: String, error: &io::Error) -> HostError {
    match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => HostError::Refused {
            action,
            reason: "this needs CAP_NET_RAW".to_owned(),
            remedy: "run as root (`sudo atalaya …`), or `sudo setcap cap_net_raw+ep $(command -v atalaya)`"
                .to_owned(),
        },
        Some(libc::EAFNOSUPPORT) => HostError::Refused {
            action,
            reason: "this kernel has no packet sockets".to_owned(),
            remedy: "load them (`sudo modprobe af_packet`), or use a kernel with CONFIG_PACKET".to_owned(),
        },
        Some(libc::EPROTONOSUPPORT | libc::ENOPROTOOPT | libc::EINVAL) => HostError::Refused {
            action,
            reason: format!("the kernel does not make a packet ring: {error}"),
            remedy: "Linux 3.2 or newer has them".to_owned(),
        },
        _ => HostError::System {
            action: "capture packets",
            source: io::Error::new(error.kind(), error.to_string()),
        },
    }
}
