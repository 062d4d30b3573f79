//! Which names programs ask the system's resolver for, and what they are told, without looking at packets.
//!
//! Two probes on each function of the host's libc, one at its entry and one at its return (`bpf/names.bpf.c`), write
//! what was asked and answered into a ring. They live as long as [`Names`]; the kernel takes them away with the last
//! descriptor, however the program ends. What is not seen: programs in a container with a libc of its own, static
//! programs, and those that speak DNS themselves. [`open_or_say`] says so.
//!
//! How a collector uses it: open it once by [`open_or_say`]; call [`Names::tell`] right before it passes on connections
//! that it has read already, so that names come first; [`Names::as_fd`] is readable early when the ring is half full.

mod libraries;
mod record;
mod symbols;

use std::collections::HashMap;
use std::error::Error;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::{fmt, io};

use atalaya_model::observation::Resolution;
use atalaya_model::tier::Limit;
use atalaya_model::{Gap, Ledger, Observation, Span, Stage, Text, Time};
use aya::Ebpf;
use aya::maps::{Array, Map, MapData, RingBuf};
use aya::programs::UProbe;
use aya::programs::uprobe::UProbeScope;

use super::programs::Programs;
use super::programs::calls::{self, Kind};
use crate::HostError;
use crate::collector::Sink;

/// The programs, built from `bpf/names.bpf.c` by `bpf/build`.
static OBJECT: &[u8] = aya::include_bytes_aligned!("names/bpf/names.bpf.o");

const LOAD: &str = "load the programs that watch the resolver";
const ATTACH: &str = "attach to the resolver of the system's libc";

/// Function of libc, program at its entry, program at its return. `gethostbyname` and `gethostbyname2` call these.
const PROBES: [(&str, &str, &str); 3] = [
    ("getaddrinfo", "getaddrinfo_enter", "getaddrinfo_leave"),
    ("gethostbyname_r", "gethostbyname_enter", "gethostbyname_leave"),
    ("gethostbyname2_r", "gethostbyname2_enter", "gethostbyname_leave"),
];

/// Watches the resolver of this host's libc.
pub struct Names {
    ring: RingBuf<MapData>,
    lost: Array<MapData, u64>,
    /// Of `lost`, how many were told.
    told: u64,
    libraries: Vec<PathBuf>,
    /// Keeps the programs attached.
    _attached: Attached,
}

/// What keeps the programs attached: probes in many places at once, or one by one.
enum Attached {
    AtOnce { _links: Vec<OwnedFd> },
    EachByItself { _programs: Box<Ebpf> },
}

/// What one [`Names::drain`] took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// Answers passed on.
    pub passed: u64,
    /// Answers that tell nothing: the name was an address, or empty.
    pub idle: u64,
    /// Answers lost in the kernel since the last time: the ring was full, or too many calls were under way.
    pub lost: u64,
}

impl Names {
    /// Loads the programs and attaches them to every libc of this host. Needs CAP_BPF and CAP_PERFMON, before Linux 6.6
    /// CAP_SYS_ADMIN as well, and the kernel's description of its types (BTF).
    ///
    /// # Errors
    /// When the kernel refuses, or no libc is found that has the resolver's functions.
    pub fn open() -> Result<Self, HostError> {
        let found = libraries::found();
        if found.is_empty() {
            let missing = io::Error::new(io::ErrorKind::NotFound, "no libc.so.6 in the usual places");
            return Err(HostError::system("find the system's libc")(missing));
        }
        Self::at_once(&found).or_else(|_| Self::each_by_itself(found))
    }

    fn at_once(found: &[PathBuf]) -> Result<Self, HostError> {
        let mut programs = Programs::read(OBJECT, None).map_err(HostError::system(LOAD))?;
        let mut loaded: HashMap<&str, OwnedFd> = HashMap::new();
        for program in PROBES.iter().flat_map(|(_, enter, leave)| [enter, leave]) {
            if !loaded.contains_key(program) {
                let fresh = programs.load(program, Kind::Probes);
                loaded.insert(program, fresh.map_err(HostError::system(LOAD))?);
            }
        }
        let (mut libraries, mut links) = (Vec::new(), Vec::new());
        for library in found {
            let bytes = std::fs::read(library).map_err(HostError::file("read", library))?;
            let places = symbols::places(&bytes, PROBES.map(|(function, ..)| function));
            for ((_, enter, leave), place) in PROBES.iter().zip(places) {
                // The entry comes first: a return whose entry was not seen counts as lost.
                for (program, at_return) in [(enter, false), (leave, true)] {
                    if let (Some(program), Some(place)) = (loaded.get(program), place) {
                        let link = calls::link_probes(program.as_fd(), library, &[place], at_return);
                        links.push(link.map_err(HostError::system(ATTACH))?);
                    }
                }
            }
            // The first function is the one that matters.
            if places[0].is_some() {
                libraries.push(library.clone());
            }
        }
        if libraries.is_empty() {
            return Err(HostError::system(ATTACH)(io::ErrorKind::NotFound.into()));
        }
        let mut table = |name| programs.take(name).map_err(HostError::system(LOAD));
        let (ring, lost) = (Map::RingBuf(table("ring")?), Map::Array(table("lost")?));
        Self::new(ring, lost, libraries, Attached::AtOnce { _links: links })
    }

    /// The way of kernels before Linux 6.6.
    fn each_by_itself(found: Vec<PathBuf>) -> Result<Self, HostError> {
        let mut programs = Ebpf::load(OBJECT).map_err(refused(LOAD))?;
        for (_, program) in programs.programs_mut() {
            let program: &mut UProbe = program.try_into().map_err(refused(LOAD))?;
            program.load().map_err(refused(LOAD))?;
        }
        let mut libraries = Vec::new();
        for library in found {
            match watch(&mut programs, &library) {
                Ok(()) => libraries.push(library),
                Err(error) if libraries.is_empty() => return Err(error),
                Err(_) => {}
            }
        }
        let mut table = |name| programs.take_map(name).ok_or_else(|| incomplete(name));
        let (ring, lost) = (table("ring")?, table("lost")?);
        let programs = Box::new(programs);
        Self::new(
            ring,
            lost,
            libraries,
            Attached::EachByItself { _programs: programs },
        )
    }

    fn new(ring: Map, lost: Map, libraries: Vec<PathBuf>, attached: Attached) -> Result<Self, HostError> {
        let action = "open a table of the kernel programs";
        Ok(Self {
            ring: RingBuf::try_from(ring).map_err(refused(action))?,
            lost: Array::try_from(lost).map_err(refused(action))?,
            told: 0,
            libraries,
            _attached: attached,
        })
    }

    /// Passes on every answer that waits, in order. `clock` turns nanoseconds since boot into time of day.
    pub fn drain(&mut self, clock: &dyn Fn(u64) -> Time, sink: &mut dyn FnMut(Resolution)) -> Drained {
        let mut drained = Drained::default();
        while let Some(bytes) = self.ring.next() {
            match record::resolution(&bytes, clock) {
                Some(resolution) => {
                    drained.passed += 1;
                    sink(resolution);
                }
                None => drained.idle += 1,
            }
        }
        let lost = self.lost.get(&0, 0).unwrap_or(self.told);
        drained.lost = lost.saturating_sub(self.told);
        self.told = lost;
        drained
    }

    /// Passes on every answer that waits, counts what was lost, and tells it as a gap. `boot` is when the host booted.
    pub fn tell(&mut self, boot: Time, ledger: &Ledger, sink: &mut Sink<'_>) {
        let clock = |nanos: u64| boot.after(Span(i64::try_from(nanos / 1_000).unwrap_or(i64::MAX)));
        let drained = self.drain(&clock, &mut |resolution| sink(Observation::Resolved(resolution)));
        let ring = Stage::KernelRing;
        ledger.received(ring, drained.passed + drained.idle + drained.lost);
        ledger.passed(ring, drained.passed + drained.idle);
        if drained.lost > 0 {
            ledger.dropped(ring, drained.lost);
            sink(Observation::Gap(Gap {
                time: crate::clock::now(),
                stage: ring,
                count: drained.lost,
                reason: Text::from("answers of the resolver found their ring full"),
            }));
        }
    }

    /// The libraries that are watched.
    pub fn libraries(&self) -> &[PathBuf] {
        &self.libraries
    }
}

/// Watches the resolver if that works here, and says what is not seen this way.
pub fn open_or_say() -> (Option<Names>, Limit) {
    match Names::open() {
        Ok(names) => {
            let limit = Limit {
                what: Text::from(
                    "names asked for by programs with a resolver of their own (static ones, and those in containers \
                     with a libc of their own)",
                ),
                remedy: Text::from("none in this version"),
            };
            (Some(names), limit)
        }
        Err(error) => {
            let limit = Limit {
                what: Text::from(format!("the names that programs ask for: failed to {error}")),
                remedy: Text::from(
                    "Linux 6.6 with CAP_BPF and CAP_PERFMON; before that, CAP_SYS_ADMIN as well",
                ),
            };
            (None, limit)
        }
    }
}

impl AsFd for Names {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ring.as_fd()
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Names")
            .field("libraries", &self.libraries)
            .finish_non_exhaustive()
    }
}

/// Attaches to every function that the library has; without the first of them it is of no use.
fn watch(programs: &mut Ebpf, library: &Path) -> Result<(), HostError> {
    for (place, (function, enter, leave)) in PROBES.into_iter().enumerate() {
        // The entry first: a return whose entry was not seen counts as lost.
        let watched = attach(programs, enter, function, library)
            .and_then(|()| attach(programs, leave, function, library));
        if place == 0 {
            watched?;
        }
    }
    Ok(())
}

fn attach(programs: &mut Ebpf, program: &str, function: &str, library: &Path) -> Result<(), HostError> {
    let program = programs.program_mut(program).ok_or_else(|| incomplete(program))?;
    let program: &mut UProbe = program.try_into().map_err(refused(ATTACH))?;
    program
        .attach(function, library, UProbeScope::AllProcesses)
        .map_err(refused(ATTACH))?;
    Ok(())
}

/// The object in this program is not the one that belongs to it.
fn incomplete(part: &str) -> HostError {
    let missing = io::Error::new(io::ErrorKind::NotFound, format!("they have no `{part}`"));
    HostError::system("use the programs that watch the resolver")(missing)
}

/// What the kernel or the loader answered, with every reason that it gives.
fn refused<E: Error>(action: &'static str) -> impl FnOnce(E) -> HostError {
    move |error| {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(reason) = source {
            text.push_str(&format!(": {reason}"));
            source = reason.source();
        }
        HostError::system(action)(io::Error::other(text))
    }
}
