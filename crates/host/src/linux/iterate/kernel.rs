//! The three calls by which one iterator program comes into the kernel: load it, link it, open what it writes.
//!
//! The loader library would do the same, but reads all types of the kernel first; see [`super::types`].

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

use aya_obj::Object;
use aya_obj::btf::Btf;
use aya_obj::generated::bpf_insn;

use super::types::Types;

const LOAD: libc::c_long = 5;
const LINK: libc::c_long = 28;
const OPEN: libc::c_long = 33;

/// Kind of program, and of what it is attached to.
const TRACING: u32 = 26;
const ITERATOR: u32 = 28;

/// The attributes of each call, as far as they are used (`union bpf_attr`).
#[repr(C)]
#[derive(Default)]
struct Load {
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
    attach_type: u32,
}

#[repr(C)]
#[derive(Default)]
struct Link {
    program: u32,
    target: u32,
    attach_to: u32,
    flags: u32,
    information: u64,
    length: u64,
}

#[repr(C)]
struct Open {
    link: u32,
    flags: u32,
}

/// An iterator program in the kernel. It goes with its descriptors.
#[derive(Debug)]
pub(super) struct Iterator {
    link: OwnedFd,
    /// The link would keep it, too.
    _program: OwnedFd,
}

impl Iterator {
    /// Loads a program of `object`, for the iterator whose function in the kernel is `target`.
    pub(super) fn load(object: &[u8], program: &str, target: &str) -> io::Result<Self> {
        let mut object = Object::parse(object).map_err(io::Error::other)?;
        let kernel = std::fs::read("/sys/kernel/btf/vmlinux")?;
        let attach_type = fit(&mut object, &kernel, target)?;
        let mut functions = object.functions.values();
        let function = functions
            .find(|function| function.name == program)
            .ok_or_else(nonsense)?;
        let instructions: &[bpf_insn] = &function.instructions;
        let load = Load {
            kind: TRACING,
            count: u32::try_from(instructions.len()).map_err(|_| nonsense())?,
            instructions: instructions.as_ptr().addr() as u64,
            license: object.license.as_ptr().addr() as u64,
            attach_to: ITERATOR,
            attach_type,
            ..Load::default()
        };
        let program = call(LOAD, &load)?;
        let link = Link {
            program: program.as_raw_fd() as u32,
            attach_to: ITERATOR,
            ..Link::default()
        };
        Ok(Self {
            link: call(LINK, &link)?,
            _program: program,
        })
    }

    /// Begins a walk; the program writes while the file is read.
    pub(super) fn walk(&self) -> io::Result<File> {
        let open = Open {
            link: self.link.as_raw_fd() as u32,
            flags: 0,
        };
        Ok(call(OPEN, &open)?.into())
    }
}

/// Puts the offsets of this kernel into the program, and finds the number of the function that it is called from.
fn fit(object: &mut Object, kernel: &[u8], target: &str) -> io::Result<u32> {
    let types = Types::index(kernel).ok_or_else(nonsense)?;
    let number = types
        .function(target.as_bytes())
        .ok_or_else(|| io::Error::new(io::ErrorKind::Unsupported, format!("this kernel has no {target}")))?;
    let own = object.btf.as_ref().ok_or_else(nonsense)?.to_bytes();
    let own = Types::index(&own).ok_or_else(nonsense)?;
    let reduced = types.reduced_to(&own);
    let reduced = Btf::parse(&reduced, aya::Endianness::default()).map_err(io::Error::other)?;
    object.relocate_btf(&reduced).map_err(io::Error::other)?;
    Ok(number)
}

fn nonsense() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "a description of types makes no sense",
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
