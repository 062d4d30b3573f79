//! Loads and attaches the kernel programs. All of it lives in descriptors of this process: nothing is left behind it,
//! however it ends, and another watcher beside it has its own.

use std::error::Error;
use std::io;

use atalaya_model::Text;
use atalaya_model::tier::Limit;
use aya::maps::{Array, Map, PerCpuArray, RingBuf};
use aya::programs::{BtfTracePoint, Iter, Program, ProgramError, RawTracePoint};
use aya::{Btf, Ebpf, EbpfLoader};

use super::attached::Attached;
use super::ring::Ring;
use super::walker::{Walk, Walked, Walker};
use super::{control_group, privileges, processes};
use crate::HostError;
use crate::linux::memory;

/// The compiled programs of `bpf/atalaya.bpf.c`.
static OBJECT: &[u8] = aya::include_bytes_aligned!("bpf/atalaya.bpf.o");

/// A program on a tracepoint with types.
#[derive(Debug)]
pub(super) struct Tracepoint {
    /// Its function in C.
    pub(super) program: &'static str,
    /// The kernel's tracepoint.
    pub(super) tracepoint: &'static str,
}

/// Without this there is no tier.
const STREAMS: Tracepoint = Tracepoint {
    program: "stream_state",
    tracepoint: "inet_sock_set_state",
};

/// What a kernel may lack, and what is not seen then.
const OPTIONAL: [(Tracepoint, &str); 3] = [
    (
        Tracepoint {
            program: "socket_sent",
            tracepoint: "sock_send_length",
        },
        "which process writes to an accepted or handed-over socket",
    ),
    (
        Tracepoint {
            program: "socket_received",
            tracepoint: "sock_recv_length",
        },
        "which process reads from an accepted or handed-over socket",
    ),
    (
        Tracepoint {
            program: "frame_sent",
            tracepoint: "net_dev_queue",
        },
        "frames written to packet sockets",
    ),
];

/// How much the programs may keep.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    /// Bytes of the ring, a power of two and a page at least.
    pub(super) ring: u32,
    /// TCP sockets.
    pub(super) streams: u32,
    /// Other sockets.
    pub(super) sockets: u32,
    /// Conversations of other sockets beyond the first of each.
    pub(super) peers: u32,
}

impl Sizes {
    /// With a ring of about so many bytes.
    pub(super) fn with_ring(bytes: usize) -> Self {
        let most = 1 << 30;
        let bytes = bytes
            .clamp(rustix::param::page_size(), most)
            .checked_next_power_of_two()
            .unwrap_or(most);
        Self {
            ring: u32::try_from(bytes).unwrap_or(u32::MAX),
            streams: 1 << 17,
            sockets: 1 << 15,
            peers: 1 << 15,
        }
    }
}

/// The programs, loaded and attached.
#[derive(Debug)]
pub(super) struct Kernel {
    /// Keeps the programs, their maps and their attachments.
    ebpf: Ebpf,
    /// Keeps the attachments to the control groups; `None` where datagrams are not seen.
    groups: Option<Attached>,
    /// What they tell.
    pub(super) ring: Ring,
    /// What runs over what they keep.
    pub(super) walker: Walker,
    /// What they do not see on this kernel.
    pub(super) limits: Vec<Limit>,
}

impl Kernel {
    /// Loads everything, attaches it, and adds what exists already. From then on nothing is missed.
    ///
    /// # Errors
    /// Why it does not work here, and what would help.
    pub(super) fn load(sizes: Sizes) -> Result<Self, HostError> {
        privileges::check()?;
        super::scope::check_time()?;
        let (mut ebpf, groups, limits) = attach_all(sizes)?;
        // Reading the kernel's types took tens of megabytes for a moment.
        memory::give_back();
        let ring = Ring::new(
            take(&mut ebpf, "ring").and_then(|map| RingBuf::try_from(map).ok()),
            take(&mut ebpf, "list").and_then(|map| RingBuf::try_from(map).ok()),
            take(&mut ebpf, "losses").and_then(|map| PerCpuArray::try_from(map).ok()),
        );
        let ring = ring.ok_or_else(|| refused("open the ring", "the object has none"))?;
        let found = take(&mut ebpf, "walks").and_then(|map| Array::try_from(map).ok());
        let walker = found.ok_or_else(|| refused("open the walker", "the object has none"))?;
        Ok(Self {
            ebpf,
            groups,
            ring,
            walker: Walker::new(walker, sizes.peers),
            limits,
        })
    }

    /// Are the programs still where they were attached? Whoever may, can take them away.
    ///
    /// # Errors
    /// When one is not.
    pub(super) fn check(&self) -> Result<(), HostError> {
        self.groups.as_ref().map_or(Ok(()), Attached::check)
    }

    /// Runs the walker once: it tells what lives and has changed, and ends what fell silent.
    ///
    /// # Errors
    /// When the kernel refuses to run it.
    pub(super) fn walk(&mut self, kind: Walk) -> Result<Walked, HostError> {
        let Some(Program::RawTracePoint(program)) = self.ebpf.program("walk") else {
            return Err(refused("walk", "the object has no such program"));
        };
        let walked = self.walker.walk(program, kind);
        walked.map_err(|error| failed("run a kernel program", &error))
    }
}

/// Loads and attaches every program, and lets them know what exists already. Gives what is not seen on this kernel.
fn attach_all(sizes: Sizes) -> Result<(Ebpf, Option<Attached>, Vec<Limit>), HostError> {
    // The loader reads the kernel's types as it is made. They take much memory: one copy at a time.
    let mut loader = EbpfLoader::new();
    loader.btf(None);
    let btf = Btf::from_sys_fs().map_err(|error| {
        failed(
            "read the kernel's types: it needs Linux 5.17 or newer with CONFIG_DEBUG_INFO_BTF",
            &error,
        )
    })?;
    let (first_ephemeral, last_ephemeral) = ephemeral_ports();
    let mut ebpf = loader
        .btf(Some(&btf))
        .map_max_entries("ring", sizes.ring)
        .map_max_entries("streams", sizes.streams)
        .map_max_entries("sockets", sizes.sockets)
        .map_max_entries("peers", sizes.peers)
        .override_global("high_water", &(sizes.ring / 8), true)
        .override_global("half_full", &(sizes.ring / 2), true)
        .override_global("nearly_full", &(sizes.ring / 8 * 7), true)
        .override_global("first_ephemeral", &first_ephemeral, true)
        .override_global("last_ephemeral", &last_ephemeral, true)
        .override_global("process_namespace", &super::scope::process_namespace(), true)
        .load(OBJECT)
        .map_err(|error| failed("load the kernel programs", &error))?;
    let mut limits = Vec::new();
    // Processes first: whoever is named later has been told before.
    for tracepoint in processes::TRACEPOINTS.iter().chain([&STREAMS]) {
        attach(&mut ebpf, tracepoint, &btf).map_err(|error| unattached(tracepoint, &error))?;
    }
    for (tracepoint, without) in &OPTIONAL {
        if let Err(error) = attach(&mut ebpf, tracepoint, &btf) {
            limits.push(Limit {
                what: Text::from(*without),
                remedy: format!("a kernel with the tracepoint {} ({error})", tracepoint.tracepoint).into(),
            });
        }
    }
    let groups = Attached::to_root(&mut ebpf);
    if let Err(error) = &groups {
        let remedy = if !privileges::may_attach_to_groups() {
            "grant CAP_NET_ADMIN".to_owned()
        } else if control_group::is_mounted() {
            format!("find out why it failed to {error}")
        } else {
            control_group::REMEDY.to_owned()
        };
        limits.push(Limit {
            what: Text::from("UDP, ICMP and raw sockets"),
            remedy: remedy.into(),
        });
    }
    let program: &mut RawTracePoint = find(&mut ebpf, "walk")?;
    program
        .load()
        .map_err(|error| failed("load the kernel program that walks", &error))?;
    prime(&mut ebpf, &btf)?;
    Ok((ebpf, groups.ok(), limits))
}

fn take(ebpf: &mut Ebpf, name: &str) -> Option<Map> {
    ebpf.take_map(name)
}

/// Adds the sockets that exist already, with the processes that hold them. After everything is attached, so that nothing
/// is missed.
fn prime(ebpf: &mut Ebpf, btf: &Btf) -> Result<(), HostError> {
    let program: &mut Iter = find(ebpf, "prime")?;
    let run = |program: &mut Iter| -> Result<(), Box<dyn Error>> {
        program.load("task_file", btf)?;
        let link = program.attach()?;
        let mut file = program.take_link(link)?.into_file()?;
        // It writes nothing: reading runs it to its end.
        io::copy(&mut file, &mut io::sink())?;
        Ok(())
    };
    run(program).map_err(|error| failed("look through the descriptors of all processes", &*error))
}

/// The program of this name, as its type.
fn find<'a, P>(ebpf: &'a mut Ebpf, name: &'static str) -> Result<&'a mut P, HostError>
where
    &'a mut P: TryFrom<&'a mut Program, Error = ProgramError>,
{
    let program = ebpf.program_mut(name).ok_or(ProgramError::NotLoaded);
    program
        .and_then(TryInto::try_into)
        .map_err(|error| failed(name, &error))
}

fn attach(ebpf: &mut Ebpf, wanted: &Tracepoint, btf: &Btf) -> Result<(), ProgramError> {
    let program = ebpf.program_mut(wanted.program).ok_or(ProgramError::NotLoaded)?;
    let program: &mut BtfTracePoint = program.try_into()?;
    program.load(wanted.tracepoint, btf)?;
    program.attach()?;
    Ok(())
}

/// Ports that the kernel gives to those who ask for none.
fn ephemeral_ports() -> (u32, u32) {
    let text = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let mut numbers = text.split_whitespace().filter_map(|number| number.parse().ok());
    numbers.next().zip(numbers.next()).unwrap_or((32_768, 60_999))
}

/// Why a program that is needed is not at its tracepoint.
fn unattached(wanted: &Tracepoint, error: &ProgramError) -> HostError {
    let action = "attach the kernel programs";
    let Tracepoint { program, tracepoint } = wanted;
    if matches!(error, ProgramError::Btf(_)) {
        let kernel = rustix::system::uname();
        let release = kernel.release().to_string_lossy();
        return refused(
            action,
            format!(
                "this kernel ({release}) does not describe its tracepoint {tracepoint} ({error}): \
                 it needs Linux 5.17 or newer with CONFIG_DEBUG_INFO_BTF"
            ),
        );
    }
    refused(action, format!("{program} at {tracepoint}: {}", reason(error)))
}

/// What failed and why.
pub(super) fn failed(action: &'static str, error: &dyn Error) -> HostError {
    refused(action, reason(error))
}

/// Why, with the last words of the kernel's verifier where it has any.
pub(super) fn reason(error: &dyn Error) -> String {
    let mut reason = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !reason.contains(&text) {
            reason = format!("{reason}: {text}");
        }
        cause = error.source();
    }
    let (first, last) = (reason.lines().next(), reason.lines().last());
    match (first, last) {
        (Some(first), Some(last)) if first != last => format!("{first} … {last}"),
        _ => reason,
    }
}

/// What does not work, in our own words.
pub(super) fn refused(action: &'static str, reason: impl Into<String>) -> HostError {
    HostError::system(action)(io::Error::other(reason.into()))
}
