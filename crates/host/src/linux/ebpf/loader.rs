//! Loads and attaches the kernel programs. All of it lives in descriptors of this process: nothing is left behind it.

use std::io;

use aya::maps::{PerCpuArray, RingBuf};
use aya::programs::{BtfTracePoint, ProgramError};
use aya::{Btf, Ebpf, EbpfLoader};

use super::processes;
use super::ring::Ring;
use crate::HostError;

/// The compiled programs of `bpf/atalaya.bpf.c`.
static OBJECT: &[u8] = aya::include_bytes_aligned!("bpf/atalaya.bpf.o");

/// The programs, loaded and attached.
#[derive(Debug)]
pub(super) struct Kernel {
    /// Keeps the programs and their attachments.
    ebpf: Ebpf,
    /// What they tell.
    pub(super) ring: Ring,
}

/// A program on a tracepoint with types.
pub(super) struct Tracepoint {
    /// Its function in C.
    pub(super) program: &'static str,
    /// The kernel's tracepoint.
    pub(super) tracepoint: &'static str,
}

impl Kernel {
    /// Loads everything with a ring of `ring` bytes, and attaches it.
    ///
    /// # Errors
    /// Why it does not work here, and what would help.
    pub(super) fn load(ring: usize) -> Result<Self, HostError> {
        let btf = Btf::from_sys_fs().map_err(|error| refused("read the kernel's types (BTF)", &error))?;
        let size = u32::try_from(ring).unwrap_or(1 << 30);
        let mut ebpf = EbpfLoader::new()
            .btf(Some(&btf))
            .map_max_entries("ring", size)
            .override_global("high_water", &(size / 8), true)
            .override_global("half_full", &(size / 2), true)
            .override_global("nearly_full", &(size / 8 * 7), true)
            .load(OBJECT)
            .map_err(|error| refused("load the kernel programs", &error))?;
        for tracepoint in processes::TRACEPOINTS {
            attach(&mut ebpf, tracepoint, &btf)
                .map_err(|error| refused("attach a kernel program", &error))?;
        }
        let ring = Ring::new(
            take(&mut ebpf, "ring").and_then(|map| RingBuf::try_from(map).ok()),
            take(&mut ebpf, "losses").and_then(|map| PerCpuArray::try_from(map).ok()),
        )
        .ok_or_else(|| refused("open the ring of the kernel programs", &"it is not in the object"))?;
        Ok(Self { ebpf, ring })
    }
}

fn take(ebpf: &mut Ebpf, name: &str) -> Option<aya::maps::Map> {
    ebpf.take_map(name)
}

fn attach(ebpf: &mut Ebpf, wanted: &Tracepoint, btf: &Btf) -> Result<(), ProgramError> {
    let Some(program) = ebpf.program_mut(wanted.program) else {
        return Err(ProgramError::NotLoaded);
    };
    let program: &mut BtfTracePoint = program.try_into()?;
    program.load(wanted.tracepoint, btf)?;
    program.attach()?;
    Ok(())
}

fn refused(action: &'static str, reason: &dyn std::fmt::Display) -> HostError {
    HostError::system(action)(io::Error::other(reason.to_string()))
}
