//! The tracepoints that are recorded, on every CPU, and their rings.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};

use super::functions;
use super::perf::{Event, Ring, Wanted};
use super::samples::{self, Kind, Layout, Losses, ReceivingFunctions, Samples};
use super::tracefs::Tracefs;
use crate::HostError;
use crate::linux::owners::numbers::NumberMap;

/// Which states matter. Others follow from what comes later: `CLOSE_WAIT` (8) is where the next comes from, a
/// connection in `SYN_RECV` (3) is not one yet. The end of one in `FIN_WAIT2` (5) is recorded with its call chain.
const STATES: &std::ffi::CStr = c"protocol == 6 && newstate != 3 && newstate != 5 && newstate != 8 && \
                                  (oldstate != 5 || newstate != 7)";
const ENDS_OF_FIN_WAIT_2: &std::ffi::CStr = c"protocol == 6 && oldstate == 5 && newstate == 7";
const TCP_ERRORS: &std::ffi::CStr = c"protocol == 6";
/// Most CPUs.
const MOST_CPUS: u32 = 4_096;
/// Smallest ring of a CPU, unless less is asked for in all.
const SMALLEST: usize = 64 << 10;

/// The rings of all CPUs.
#[derive(Debug)]
pub(super) struct Probes {
    plans: Vec<Plan>,
    /// Bytes that all rings have together.
    size: usize,
    rings: Vec<Recorder>,
    kinds: NumberMap<u64, Kind>,
    functions: ReceivingFunctions,
    bytes: Vec<u8>,
    /// Of what was read since this was taken last.
    losses: Losses,
}

/// One CPU. The events write into the ring as long as they are open; the first one owns it.
#[derive(Debug)]
struct Recorder {
    cpu: u32,
    ring: Ring,
    events: Vec<Event>,
}

/// A tracepoint to record.
#[derive(Debug)]
struct Plan {
    tracepoint: u64,
    filter: Option<&'static std::ffi::CStr>,
    kind: Kind,
}

impl Probes {
    /// Begins to record, into rings that have `size` bytes together.
    ///
    /// # Errors
    /// When this kernel has not got these tracepoints, or the privileges at hand do not allow to record them.
    pub(super) fn open(size: usize) -> Result<Self, HostError> {
        let mut probes = Self {
            plans: plans()?,
            size,
            rings: Vec::new(),
            kinds: NumberMap::default(),
            functions: functions::receiving(),
            bytes: Vec::new(),
            losses: Losses::default(),
        };
        probes.follow_cpus()?;
        Ok(probes)
    }

    /// Records on the CPUs that are online now, and says whether they are others than before. Those that come later are
    /// not heard before this.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub(super) fn follow_cpus(&mut self) -> Result<bool, HostError> {
        let online = online().map_err(HostError::file("read", CPUS))?;
        self.record_on(&online).map_err(|error| {
            let error = match error.raw_os_error() {
                Some(libc::EPERM | libc::EACCES) => io::Error::new(
                    error.kind(),
                    format!("{error} (needs root, or CAP_PERFMON and CAP_IPC_LOCK)"),
                ),
                _ => error,
            };
            HostError::system("record the kernel's tracepoints")(error)
        })
    }

    fn record_on(&mut self, online: &[u32]) -> io::Result<bool> {
        // The events of a CPU that went are dead, also when it comes back.
        let before = self.rings.len();
        self.rings.retain(|recorder| online.contains(&recorder.cpu));
        let mut is_other = self.rings.len() != before;
        let share = self.size / online.len().max(1);
        let share = if self.size >= SMALLEST {
            share.max(SMALLEST)
        } else {
            share
        };
        for cpu in online {
            if self.rings.iter().any(|recorder| recorder.cpu == *cpu) {
                continue;
            }
            match self.record(*cpu, share) {
                Ok(recorder) => {
                    self.rings.push(recorder);
                    is_other = true;
                }
                // It went offline meanwhile.
                Err(error) if error.raw_os_error() == Some(libc::ENODEV) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(is_other)
    }

    fn record(&mut self, cpu: u32, size: usize) -> io::Result<Recorder> {
        let mut events: Vec<Event> = Vec::with_capacity(self.plans.len());
        let mut ring = None;
        for plan in &self.plans {
            let wanted = Wanted {
                tracepoint: plan.tracepoint,
                call_chain: plan.kind.has_call_chain,
                watermark: u32::try_from(size / 4).unwrap_or(u32::MAX),
            };
            let event = Event::open(wanted, cpu)?;
            if let Some(filter) = plan.filter {
                event.filter(filter)?;
            }
            match events.first() {
                None => ring = Some(Ring::map(&event, size)?),
                Some(first) => event.write_into(first.as_fd())?,
            }
            self.kinds.insert(event.id()?, plan.kind);
            events.push(event);
        }
        let ring = ring.ok_or(io::ErrorKind::NotFound)?;
        for event in &events {
            event.enable()?;
        }
        Ok(Recorder { cpu, ring, events })
    }

    /// Appends everything that waits, CPU by CPU. Returns what was lost since this was asked last.
    pub(super) fn take(&mut self, samples: &mut Samples) -> Losses {
        self.empty(samples);
        // A storm is no reason to keep so much for ever.
        self.bytes.shrink_to(256 << 10);
        std::mem::take(&mut self.losses)
    }

    /// Appends everything that waits, CPU by CPU.
    pub(super) fn empty(&mut self, samples: &mut Samples) {
        for recorder in &mut self.rings {
            self.bytes.clear();
            recorder.ring.take(&mut self.bytes);
            let lost = samples::read(&self.bytes, &self.kinds, &self.functions, samples);
            self.losses.read += lost.read;
            self.losses.dropped += lost.dropped;
            self.losses.unreadable += lost.unreadable;
        }
    }

    /// One descriptor for each CPU; readable when its ring fills up.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.rings
            .iter()
            .filter_map(|recorder| recorder.events.first().map(|event| event.as_fd()))
    }

    /// Is it known whether a connection that we ended first received the peer's end, too?
    pub(super) fn knows_functions(&self) -> bool {
        !self.functions.0.is_empty()
    }
}

fn plans() -> Result<Vec<Plan>, HostError> {
    let tracefs = Tracefs::open()?;
    let find = |name: &str, layout: fn(&super::format::Format) -> Result<Layout, &'static str>| {
        let tracepoint = tracefs.tracepoint(name)?;
        let layout = layout(&tracepoint.format).map_err(|field| {
            let reason = format!("this kernel's tracepoint {name} has no field `{field}`");
            HostError::system("read the kernel's tracepoints")(io::Error::other(reason))
        })?;
        Ok((tracepoint.id, layout))
    };
    let (states, state) = find("sock/inet_sock_set_state", Layout::state)?;
    let (ends, destroyed) = find("tcp/tcp_destroy_sock", Layout::destroyed)?;
    let plan = |tracepoint, filter, layout, has_call_chain| Plan {
        tracepoint,
        filter,
        kind: Kind {
            layout,
            has_call_chain,
        },
    };
    let mut plans = vec![
        plan(states, Some(STATES), state, false),
        plan(states, Some(ENDS_OF_FIN_WAIT_2), state, true),
        plan(ends, None, destroyed, false),
    ];
    // Without it, a process that ends at once has no name.
    if let Ok((execs, executed)) = find("sched/sched_process_exec", Layout::executed) {
        plans.push(plan(execs, None, executed, false));
    }
    // Before Linux 5.13 the kernel does not tell why a connection failed.
    if let Ok((errors, failed)) = find("sock/inet_sk_error_report", Layout::failed) {
        plans.push(plan(errors, Some(TCP_ERRORS), failed, false));
    }
    Ok(plans)
}

const CPUS: &str = "/sys/devices/system/cpu/online";

/// The CPUs that are online, from a list such as `0-3,8`.
fn online() -> io::Result<Vec<u32>> {
    let text = std::fs::read_to_string(CPUS)?;
    let cpus = list(&text);
    if cpus.is_empty() {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(cpus)
}

fn list(text: &str) -> Vec<u32> {
    let mut cpus = Vec::new();
    for range in text.trim().split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        if let (Ok(first), Ok(last)) = (first.parse::<u32>(), last.parse::<u32>()) {
            cpus.extend(first..=last.min(MOST_CPUS));
        }
    }
    cpus
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpus_come_and_go() {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: not root");
            return;
        }
        let online = online().unwrap();
        let mut probes = Probes::open(1 << 16).unwrap();
        let cpus = |probes: &Probes| {
            probes
                .rings
                .iter()
                .map(|recorder| recorder.cpu)
                .collect::<Vec<_>>()
        };
        assert_eq!(cpus(&probes), online);
        assert!(!probes.record_on(&online).unwrap());
        assert!(probes.record_on(&[]).unwrap());
        assert!(cpus(&probes).is_empty());
        assert!(probes.record_on(&online).unwrap());
        assert_eq!(cpus(&probes), online);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        drop(std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap());
        let mut samples = Samples::default();
        let losses = probes.take(&mut samples);
        assert!(!samples.sockets.is_empty(), "{losses:?}");
    }

    #[test]
    fn lists_of_cpus() {
        assert_eq!(list("0-3,8\n"), [0, 1, 2, 3, 8]);
        assert_eq!(list("0"), [0]);
        assert!(list("x,5-3,-").is_empty());
        assert_eq!(list("4000-4294967295").len(), 97);
    }
}
