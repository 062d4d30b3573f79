//! Perf events: a tracepoint on one CPU, written by the kernel into a ring that is shared with it.
//!
//! Layouts from `linux/perf_event.h`.

use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

const PERF_TYPE_TRACEPOINT: u32 = 2;
/// Which event it is; process and thread; time; call chain; the tracepoint's own record.
const IDENTIFIER: u64 = 1 << 16;
const TID: u64 = 1 << 1;
const TIME: u64 = 1 << 2;
const CALLCHAIN: u64 = 1 << 5;
const RAW: u64 = 1 << 10;
/// Flags of [`Attributes`].
const DISABLED: u64 = 1 << 0;
const WATERMARK: u64 = 1 << 14;
const EXCLUDE_CALLCHAIN_USER: u64 = 1 << 22;
const USE_CLOCKID: u64 = 1 << 25;

const PERF_FLAG_FD_CLOEXEC: libc::c_ulong = 1 << 3;
/// `_IO('$', 0)`, `_IO('$', 5)`, `_IOW('$', 6, char *)`, `_IOR('$', 7, __u64 *)`.
const IOC_ENABLE: libc::c_ulong = 0x2400;
const IOC_SET_OUTPUT: libc::c_ulong = 0x2405;
const IOC_SET_FILTER: libc::c_ulong = 0x4008_2406;
const IOC_ID: libc::c_ulong = 0x8008_2407;

/// Places in the first page of a ring.
const DATA_HEAD: usize = 1024;
const DATA_TAIL: usize = 1032;
/// The size of a page; larger pages only make the ring's unit larger.
const PAGE: usize = 4096;

/// `struct perf_event_attr`, as of Linux 4.1.
#[repr(C)]
#[derive(Debug, Default)]
struct Attributes {
    kind: u32,
    size: u32,
    config: u64,
    sample_period: u64,
    sample_type: u64,
    read_format: u64,
    flags: u64,
    wakeup_watermark: u32,
    breakpoint_type: u32,
    config_1: u64,
    config_2: u64,
    branch_sample_type: u64,
    user_registers: u64,
    user_stack: u32,
    clock: i32,
    interrupt_registers: u64,
    aux_watermark: u32,
    most_stack: u16,
    reserved: u16,
}

/// What to open.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    /// The tracepoint's number.
    pub(super) tracepoint: u64,
    /// With the kernel functions that led to it.
    pub(super) call_chain: bool,
    /// Bytes in the ring at which whoever waits is woken.
    pub(super) watermark: u32,
}

/// A tracepoint on one CPU. Nothing is recorded before [`enable`](Self::enable).
#[derive(Debug)]
pub(super) struct Event(OwnedFd);

impl Event {
    #[expect(unsafe_code, reason = "perf_event_open has no wrapper")]
    pub(super) fn open(wanted: Wanted, cpu: u32) -> io::Result<Self> {
        let attributes = Attributes {
            kind: PERF_TYPE_TRACEPOINT,
            size: size_of::<Attributes>() as u32,
            config: wanted.tracepoint,
            sample_period: 1,
            sample_type: IDENTIFIER | TID | TIME | RAW | if wanted.call_chain { CALLCHAIN } else { 0 },
            flags: DISABLED | WATERMARK | EXCLUDE_CALLCHAIN_USER | USE_CLOCKID,
            wakeup_watermark: wanted.watermark,
            clock: libc::CLOCK_MONOTONIC,
            ..Attributes::default()
        };
        let every_process: libc::pid_t = -1;
        let cpu = libc::c_int::try_from(cpu).map_err(|_| io::ErrorKind::InvalidInput)?;
        let no_group: libc::c_int = -1;
        // SAFETY: the attributes live through the call, and say their own size.
        let descriptor = unsafe {
            libc::syscall(
                libc::SYS_perf_event_open,
                &raw const attributes,
                every_process,
                cpu,
                no_group,
                PERF_FLAG_FD_CLOEXEC,
            )
        };
        let descriptor = libc::c_int::try_from(descriptor).unwrap_or(-1);
        if descriptor < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just given this descriptor to us alone.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(descriptor) }))
    }

    /// The number that its records carry.
    #[expect(unsafe_code, reason = "perf events have no wrapper")]
    pub(super) fn id(&self) -> io::Result<u64> {
        let mut id = 0u64;
        // SAFETY: the kernel writes one 64-bit number, for which there is room.
        check(unsafe { libc::ioctl(self.0.as_raw_fd(), IOC_ID, &raw mut id) })?;
        Ok(id)
    }

    /// Records only what agrees with the filter, in the kernel's own language for tracepoints.
    #[expect(unsafe_code, reason = "perf events have no wrapper")]
    pub(super) fn filter(&self, filter: &std::ffi::CStr) -> io::Result<()> {
        // SAFETY: the kernel reads a string that ends with a zero byte.
        check(unsafe { libc::ioctl(self.0.as_raw_fd(), IOC_SET_FILTER, filter.as_ptr()) })
    }

    /// Writes into the ring of `other`, an event of the same CPU.
    #[expect(unsafe_code, reason = "perf events have no wrapper")]
    pub(super) fn write_into(&self, other: BorrowedFd<'_>) -> io::Result<()> {
        // SAFETY: the argument is a descriptor, by value.
        check(unsafe { libc::ioctl(self.0.as_raw_fd(), IOC_SET_OUTPUT, other.as_raw_fd()) })
    }

    #[expect(unsafe_code, reason = "perf events have no wrapper")]
    pub(super) fn enable(&self) -> io::Result<()> {
        // SAFETY: there is no argument.
        check(unsafe { libc::ioctl(self.0.as_raw_fd(), IOC_ENABLE, 0) })
    }
}

impl AsFd for Event {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn check(status: libc::c_int) -> io::Result<()> {
    if status < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// The ring of one CPU: a page of places, then data that the kernel writes and we read.
#[derive(Debug)]
pub(super) struct Ring {
    pages: NonNull<u8>,
    /// Bytes of data, a power of two.
    size: usize,
}

// SAFETY: the mapping belongs to this value alone, and stays where it is on whichever thread uses it.
#[expect(unsafe_code, reason = "a mapping has no owner that the compiler knows")]
unsafe impl Send for Ring {}

impl Ring {
    /// Maps the ring of an event: `size` bytes, or, where that much memory may not be locked, half of it, and so on.
    #[expect(unsafe_code, reason = "memory is shared with the kernel")]
    pub(super) fn map(event: &Event, size: usize) -> io::Result<Self> {
        let mut size = size.max(PAGE).next_power_of_two();
        loop {
            // SAFETY: a new mapping where the kernel wants it cannot hurt what is mapped already.
            let mapped = unsafe {
                mmap(
                    std::ptr::null_mut(),
                    PAGE + size,
                    ProtFlags::READ | ProtFlags::WRITE,
                    MapFlags::SHARED,
                    event,
                    0,
                )
            };
            match mapped.map(|pages| NonNull::new(pages.cast())) {
                Ok(Some(pages)) => return Ok(Self { pages, size }),
                Ok(None) => return Err(io::ErrorKind::OutOfMemory.into()),
                Err(_) if size > PAGE => size /= 2,
                Err(error) => return Err(error.into()),
            }
        }
    }

    #[expect(unsafe_code, reason = "memory is shared with the kernel")]
    fn place(&self, offset: usize) -> &AtomicU64 {
        // SAFETY: both places lie in the first page, at multiples of 8; the kernel reads and writes them as whole
        // numbers, and they live as long as the mapping.
        unsafe { AtomicU64::from_ptr(self.pages.as_ptr().add(offset).cast()) }
    }

    /// Appends everything that waits to `bytes`, and gives its room back to the kernel.
    #[expect(unsafe_code, reason = "memory is shared with the kernel")]
    pub(super) fn take(&mut self, bytes: &mut Vec<u8>) {
        let head = self.place(DATA_HEAD).load(Ordering::Acquire);
        let tail = self.place(DATA_TAIL).load(Ordering::Relaxed);
        // More than all can only be a kernel that errs.
        let waiting = (head.wrapping_sub(tail) as usize).min(self.size);
        let from = tail as usize & (self.size - 1);
        let first = waiting.min(self.size - from);
        bytes.reserve(waiting);
        for (from, count) in [(from, first), (0, waiting - first)] {
            // SAFETY: `from + count` is at most the ring's size, and the vector has room for `count` more; the kernel
            // does not write to what lies between tail and head.
            unsafe {
                let data = self.pages.as_ptr().add(PAGE + from);
                std::ptr::copy_nonoverlapping(data, bytes.as_mut_ptr().add(bytes.len()), count);
                bytes.set_len(bytes.len() + count);
            }
        }
        self.place(DATA_TAIL).store(head, Ordering::Release);
    }
}

impl Drop for Ring {
    #[expect(unsafe_code, reason = "memory is shared with the kernel")]
    fn drop(&mut self) {
        // SAFETY: it was mapped with this size, and nobody can use it any more.
        let unmapped = unsafe { munmap(self.pages.as_ptr().cast(), PAGE + self.size) };
        debug_assert!(unmapped.is_ok());
    }
}
