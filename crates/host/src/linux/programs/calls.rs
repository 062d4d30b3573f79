//! The calls by which programs come into the kernel and to their places.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use aya_obj::generated::bpf_insn;

const LOAD: libc::c_long = 5;
const LINK: libc::c_long = 28;
const OPEN: libc::c_long = 33;

/// What a program is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::linux) enum Kind {
    /// Writes what an iterator of the kernel walks through.
    Iterator,
    /// Runs where programs come to places in a file.
    Probes,
}

impl Kind {
    /// Kind of program, and of what it is attached to.
    const fn numbers(self) -> (u32, u32) {
        match self {
            Self::Iterator => (26, 28),
            Self::Probes => (2, 48),
        }
    }
}

/// A program to be loaded.
pub(super) struct Load<'a> {
    pub(super) kind: Kind,
    pub(super) instructions: &'a [bpf_insn],
    pub(super) license: &'a CStr,
    /// The function of the kernel that it is called from, by its number, or 0.
    pub(super) target: u32,
}

/// The attributes of each call, as far as they are used (`union bpf_attr`).
#[repr(C)]
#[derive(Default)]
struct LoadAttributes {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
    log: [u64; 2],
    version_and_flags: u64,
    name: [u8; 16],
    interface: u32,
    attach_to: u32,
    types: u32,
    function_size: u32,
    functions: u64,
    function_count: u32,
    line_size: u32,
    lines: u64,
    line_count: u32,
    target: u32,
}

#[repr(C)]
#[derive(Default)]
struct IteratorAttributes {
    program: u32,
    target: u32,
    attach_to: u32,
    flags: u32,
    information: u64,
    length: u64,
}

#[repr(C)]
#[derive(Default)]
struct ProbeAttributes {
    program: u32,
    target: u32,
    attach_to: u32,
    flags: u32,
    path: u64,
    offsets: u64,
    references: u64,
    cookies: u64,
    count: u32,
    at_return: u32,
    process: u64,
}

#[repr(C)]
struct OpenAttributes {
    link: u32,
    flags: u32,
}

pub(super) fn load(program: &Load<'_>) -> io::Result<OwnedFd> {
    let (kind, attach_to) = program.kind.numbers();
    call(
        LOAD,
        &LoadAttributes {
            kind,
            count: u32::try_from(program.instructions.len()).unwrap_or(u32::MAX),
            instructions: program.instructions.as_ptr().addr() as u64,
            license: program.license.as_ptr().addr() as u64,
            attach_to,
            target: program.target,
            ..LoadAttributes::default()
        },
    )
}

/// Makes an iterator of a program. It goes with its descriptor.
pub(in crate::linux) fn link_iterator(program: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let (_, attach_to) = Kind::Iterator.numbers();
    call(
        LINK,
        &IteratorAttributes {
            program: program.as_raw_fd() as u32,
            attach_to,
            ..IteratorAttributes::default()
        },
    )
}

/// What a program of a control group is called for (`enum bpf_attach_type`).
#[derive(Clone, Copy, Debug)]
pub(in crate::linux) enum Group {
    /// Packets that sockets receive.
    Ingress = 0,
    /// Packets that sockets send.
    Egress = 1,
    /// After a socket was bound to an IPv4 address.
    Bound4 = 12,
    /// After a socket was bound to an IPv6 address.
    Bound6 = 13,
    /// As a socket is closed.
    Release = 34,
}

/// Attaches a program to a control group and all below it. It goes with its descriptor.
pub(in crate::linux) fn link_group(
    program: BorrowedFd<'_>,
    group: BorrowedFd<'_>,
    purpose: Group,
) -> io::Result<OwnedFd> {
    call(
        LINK,
        &IteratorAttributes {
            program: program.as_raw_fd() as u32,
            target: group.as_raw_fd() as u32,
            attach_to: purpose as u32,
            ..IteratorAttributes::default()
        },
    )
}

/// Begins a walk; the program writes while the file is read.
pub(in crate::linux) fn walk(link: BorrowedFd<'_>) -> io::Result<File> {
    let attributes = OpenAttributes {
        link: link.as_raw_fd() as u32,
        flags: 0,
    };
    Ok(call(OPEN, &attributes)?.into())
}

/// Runs a program whenever anybody comes to these places in the file, or, of functions that begin there, to their end.
/// It goes with its descriptor. Since Linux 6.6.
pub(in crate::linux) fn link_probes(
    program: BorrowedFd<'_>,
    file: &Path,
    offsets: &[u64],
    at_return: bool,
) -> io::Result<OwnedFd> {
    let (_, attach_to) = Kind::Probes.numbers();
    let file = CString::new(file.as_os_str().as_bytes())?;
    call(
        LINK,
        &ProbeAttributes {
            program: program.as_raw_fd() as u32,
            attach_to,
            path: file.as_ptr().addr() as u64,
            offsets: offsets.as_ptr().addr() as u64,
            count: u32::try_from(offsets.len()).unwrap_or(u32::MAX),
            at_return: at_return.into(),
            ..ProbeAttributes::default()
        },
    )
}

/// One call of `bpf`, which answers with a new descriptor.
#[expect(unsafe_code, reason = "no library offers this system call by itself")]
fn call<T>(command: libc::c_long, attributes: &T) -> io::Result<OwnedFd> {
    // SAFETY: the kernel reads `size_of::<T>()` bytes of `attributes`, which is one of the plain structs above without
    // padding inside; the addresses in it are of buffers that the caller holds during the call. It writes nothing.
    let answer = unsafe { libc::syscall(libc::SYS_bpf, command, attributes, size_of::<T>()) };
    match i32::try_from(answer) {
        // SAFETY: these commands answer with a new descriptor that nobody else owns.
        Ok(descriptor @ 0..) => Ok(unsafe { OwnedFd::from_raw_fd(descriptor) }),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_as_the_kernel_has_them() {
        assert_eq!(size_of::<LoadAttributes>(), 112);
        assert_eq!(size_of::<IteratorAttributes>(), 32);
        assert_eq!(size_of::<ProbeAttributes>(), 64);
        assert_eq!(std::mem::offset_of!(LoadAttributes, target), 108);
        assert_eq!(std::mem::offset_of!(ProbeAttributes, count), 48);
    }

    #[test]
    fn what_is_no_program_is_refused() {
        let file = File::open("/dev/null").unwrap();
        let file = std::os::fd::AsFd::as_fd(&file);
        assert!(link_iterator(file).is_err() && walk(file).is_err());
        assert!(link_group(file, file, Group::Egress).is_err());
        assert!(link_probes(file, Path::new("/dev/null"), &[0], false).is_err());
    }
}
