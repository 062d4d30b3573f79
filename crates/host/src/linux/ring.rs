//! Packet rings: frames of every interface, shared with the kernel and read without a copy (AF_PACKET, TPACKET_V3).
//!
//! One socket for each interface, each with a ring of its own, so that a flood on one takes nothing from another. The
//! kernel tells when interfaces come, go, rise and fall; the list is read again then, and once a second in any case.
//! Needs CAP_NET_RAW when an interface appears; without promiscuous mode it changes nothing on the host.

mod block;
pub mod bpf;
pub(crate) mod capture;
mod links;
mod socket;
mod tap;

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use atalaya_model::tier::Limit;
use atalaya_model::{Span, Stage, Text};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

pub use block::Frames;

use crate::HostError;
use crate::clock::Deadline;
use crate::packets::{CaptureReport, Delivery, LONGEST_FRAME, MOST_INTERFACES, Options, SMALLEST_RING};
use links::{Link, Links};
use tap::Tap;

/// How often losses are asked for, and the list of interfaces is read if nobody tells of changes.
const ROUND: Span = Span::from_seconds(1);

/// The groups by which several rings share the frames of an interface, by the interface's number.
type Groups = Arc<Mutex<BTreeMap<u32, u16>>>;

/// The rings of one thread.
///
/// ```no_run
/// # use atalaya_host::{linux::ring::Ring, packets::Options};
/// let mut ring = Ring::open(Options::default())?;
/// ring.wait(std::time::Duration::from_secs(1), None)?;
/// while let Some(block) = ring.block() {
///     let bytes: u64 = block.frames().map(|captured| u64::from(captured.frame.length)).sum();
/// }
/// # Ok::<(), atalaya_host::HostError>(())
/// ```
#[derive(Debug)]
pub struct Ring {
    options: Options,
    links: Links,
    taps: Vec<Tap>,
    /// The tap that is asked first, so that each has its turn.
    turn: usize,
    /// Interfaces that are not captured, by number, with the reason.
    refused: BTreeMap<u32, Limit>,
    /// Named interfaces that are gone or down, with what would change that.
    waiting: Vec<Limit>,
    told: VecDeque<Delivery>,
    due: Deadline,
    groups: Option<Groups>,
    /// The report may be another one than when this was asked last.
    has_changed: bool,
}

/// The frames of one block. Dropped, it is the kernel's again.
#[derive(Debug)]
pub struct Block<'a>(&'a mut Tap);

impl Block<'_> {
    /// The frames in the order in which the kernel saw them.
    pub fn frames(&self) -> Frames<'_> {
        self.0.frames()
    }
}

impl Drop for Block<'_> {
    fn drop(&mut self) {
        self.0.release();
    }
}

impl Ring {
    /// Opens a ring for each interface that is there and up. [`Options::threads`] and [`Options::namespace`] count only for
    /// [`Capture::start`](crate::packets::Capture::start): this is one ring, in the namespace of the calling thread.
    ///
    /// # Errors
    /// [`HostError::Refused`] without the privilege, where a named interface is not there, or where none of the named
    /// can be captured; else what the system answered.
    pub fn open(options: Options) -> Result<Self, HostError> {
        Self::open_shared(options, None)
    }

    fn open_shared(options: Options, groups: Option<Groups>) -> Result<Self, HostError> {
        // Asked first, so that this is told rather than something that follows from it.
        drop(socket::Socket::create().map_err(|error| tap::refused("capture packets".to_owned(), &error))?);
        let links = Links::open().map_err(HostError::system("ask for the network interfaces"))?;
        let mut ring = Self {
            options: Options {
                snap_length: options.snap_length.clamp(64, LONGEST_FRAME),
                ..options
            },
            links,
            taps: Vec::new(),
            turn: 0,
            refused: BTreeMap::new(),
            waiting: Vec::new(),
            told: VecDeque::new(),
            due: Deadline::after(ROUND),
            groups,
            has_changed: true,
        };
        let list = ring.refresh()?;
        for name in &ring.options.interfaces {
            let action = || format!("capture packets on `{name}`");
            let Some(link) = list.iter().find(|link| link.name == *name) else {
                let names: Vec<&str> = list.iter().map(|link| link.name.as_str()).take(32).collect();
                return Err(HostError::Refused {
                    action: action(),
                    reason: "there is no such interface".to_owned(),
                    remedy: format!("name one of those that are there: {}", names.join(", ")),
                });
            };
            if let Some(limit) = ring.refused.get(&link.number) {
                return Err(HostError::Refused {
                    action: action(),
                    reason: limit.what.to_string(),
                    remedy: limit.remedy.to_string(),
                });
            }
        }
        Ok(ring)
    }

    /// Waits until a block may be there, something is told, `wake` is readable or closed, or `timeout` is over.
    ///
    /// # Errors
    /// When waiting itself fails.
    pub fn wait(&mut self, timeout: Duration, wake: Option<BorrowedFd<'_>>) -> Result<(), HostError> {
        if self.taps.iter().any(Tap::is_ready) {
            self.attend(false);
            return Ok(());
        }
        let timeout = self.due.left().map_or(Duration::ZERO, |left| left.min(timeout));
        let closing = self.taps.iter().filter_map(Tap::closes_in).min();
        let timeout = closing.map_or(timeout, |left| left.min(timeout));
        let (changed, failed) = {
            let mut ready = Vec::with_capacity(self.taps.len() + 2);
            ready.push(PollFd::new(&self.links, PollFlags::IN));
            ready.extend(self.taps.iter().map(|tap| PollFd::new(tap, PollFlags::IN)));
            ready.extend(wake.map(|wake| PollFd::from_borrowed_fd(wake, PollFlags::IN)));
            match poll(&mut ready, Timespec::try_from(timeout).ok().as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(HostError::system("wait for packets")(error.into())),
            }
            let failed = |ready: &PollFd<'_>| ready.revents().contains(PollFlags::ERR);
            let failed: Vec<bool> = ready.iter().skip(1).map(failed).collect();
            (
                ready.first().is_some_and(|links| !links.revents().is_empty()),
                failed,
            )
        };
        for (tap, failed) in self.taps.iter().zip(failed) {
            if failed {
                tap.take_error();
            }
        }
        self.attend(changed);
        Ok(())
    }

    /// A block that waits. Interfaces take turns.
    pub fn block(&mut self) -> Option<Block<'_>> {
        let count = self.taps.len();
        let turns = (0..count).map(|step| (self.turn + step) % count);
        let place = turns
            .into_iter()
            .find(|place| self.taps.get(*place).is_some_and(Tap::is_ready))?;
        self.turn = place + 1;
        self.taps.get_mut(place).map(Block)
    }

    /// What happened to interfaces, and what was lost, since this was asked last. Never [`Delivery::Frames`].
    pub fn told(&mut self) -> impl Iterator<Item = Delivery> + '_ {
        self.told.drain(..)
    }

    /// What is captured now.
    pub fn report(&self) -> CaptureReport {
        CaptureReport {
            interfaces: self.taps.iter().map(|tap| tap.interface().clone()).collect(),
            limits: self.refused.values().chain(&self.waiting).cloned().collect(),
        }
    }

    /// The list of interfaces was read since this was asked last.
    pub(crate) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.has_changed)
    }

    /// Counts what the kernel counted, also at the end.
    pub(crate) fn count(&mut self) {
        for tap in &mut self.taps {
            let gap = tap.count(&self.options.ledger);
            self.told.extend(gap.map(Delivery::Gap));
        }
    }

    fn attend(&mut self, changed: bool) {
        let is_due = self.due.left().is_none();
        if is_due {
            self.due = Deadline::after(ROUND);
            self.count();
        }
        // A list that could not be read is read again in a second.
        if (is_due || changed) && self.refresh().is_err() {
            self.options.ledger.failed(Stage::PacketRing, 1);
        }
        for place in (0..self.taps.len()).rev() {
            if self.taps.get(place).is_some_and(Tap::is_over) {
                self.close(place);
            }
        }
    }

    fn close(&mut self, place: usize) {
        let mut tap = self.taps.remove(place);
        let gap = tap.count(&self.options.ledger);
        self.told.extend(gap.map(Delivery::Gap));
        let interface = tap.interface().clone();
        self.told.push_back(Delivery::Gone(interface));
        self.has_changed = true;
        // There is room again, perhaps for one that found none.
        self.refused.clear();
    }

    /// Reads the list, opens what is new, and lets go what is gone.
    fn refresh(&mut self) -> Result<Vec<Link>, HostError> {
        self.has_changed = true;
        self.links.forget_changes();
        let list = self
            .links
            .list()
            .map_err(HostError::system("ask for the network interfaces"))?;
        for tap in &mut self.taps {
            match list.iter().find(|link| link.number == tap.interface().number) {
                Some(link) => tap.rename(&link.name),
                None => tap.leave(),
            }
        }
        self.refused
            .retain(|number, _| list.iter().any(|link| link.number == *number));
        for link in &list {
            if self.wants(link, &list) {
                self.add(link);
            }
        }
        self.waiting = self
            .options
            .interfaces
            .iter()
            .filter_map(|name| waits(name, &list))
            .collect();
        Ok(list)
    }

    fn wants(&self, link: &Link, list: &[Link]) -> bool {
        let is_named = match self.options.interfaces.as_slice() {
            [] => !link.is_seen_elsewhere(list),
            names => names.contains(&link.name),
        };
        is_named
            && link.is_up
            && !self.refused.contains_key(&link.number)
            && self.taps.iter().all(|tap| tap.interface().number != link.number)
    }

    fn add(&mut self, link: &Link) {
        if self.taps.len() >= MOST_INTERFACES {
            self.refuse(
                link,
                format!(
                    "packets on {}: there are more than {MOST_INTERFACES} interfaces",
                    link.name
                ),
                "name the interfaces that matter",
            );
            return;
        }
        let Some(link_type) = link.link_type() else {
            self.refuse(
                link,
                format!(
                    "packets on {}: frames of a link of kind {} are not known here",
                    link.name, link.hardware
                ),
                "capture on another interface",
            );
            return;
        };
        let used: usize = self.taps.iter().map(|tap| tap.interface().ring_bytes).sum();
        let shares = if self.groups.is_some() {
            self.options.threads.max(1)
        } else {
            1
        };
        let left = (self.options.total_bytes / shares).saturating_sub(used);
        let wanted = self.options.ring_bytes.max(SMALLEST_RING);
        let ring_bytes = if wanted <= left { wanted } else { SMALLEST_RING };
        match Tap::open(link, link_type, ring_bytes, &self.options) {
            Ok(mut tap) => {
                tap.set_speed(socket::speed(self.links.socket(), &link.name));
                if let Some(groups) = &self.groups {
                    let mut groups = groups.lock().unwrap_or_else(PoisonError::into_inner);
                    // A group that is left in the table may be gone with its interface's last socket.
                    let group = groups.get(&link.number).copied();
                    let joined = tap.share(group).or_else(|_| tap.share(None));
                    match joined {
                        Ok(group) => _ = groups.insert(link.number, group),
                        Err(error) => {
                            drop(groups);
                            self.refuse(
                                link,
                                format!(
                                    "packets on {}: they cannot be divided between threads: {error}",
                                    link.name
                                ),
                                "capture with one thread",
                            );
                            return;
                        }
                    }
                }
                self.told.push_back(Delivery::Appeared(tap.interface().clone()));
                self.taps.push(tap);
            }
            // It went while it was opened: the list will say so.
            Err(HostError::System { source, .. }) if source.raw_os_error() == Some(libc::ENODEV) => {}
            Err(HostError::Refused { reason, remedy, .. }) => {
                self.refuse(link, format!("packets on {}: {reason}", link.name), &remedy);
            }
            Err(error) => self.refuse(
                link,
                format!("packets on {}: failed to {error}", link.name),
                "free some memory, or name the interfaces that matter",
            ),
        }
    }

    fn refuse(&mut self, link: &Link, what: String, remedy: &str) {
        let limit = Limit {
            what: Text::from(what),
            remedy: Text::from(remedy),
        };
        self.refused.insert(link.number, limit);
    }
}

/// Why nothing is captured on a named interface now.
fn waits(name: &str, list: &[Link]) -> Option<Limit> {
    let (why, remedy) = match list.iter().find(|link| link.name == name) {
        Some(link) if link.is_up => return None,
        Some(_) => ("is down", format!("`ip link set {name} up`")),
        None => ("is gone", "it is captured again when it is back".to_owned()),
    };
    Some(Limit {
        what: Text::from(format!("packets on {name}: the interface {why}")),
        remedy: Text::from(remedy),
    })
}
