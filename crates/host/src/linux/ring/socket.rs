//! One packet socket with its ring of blocks, shared with the kernel (TPACKET_V3).
//!
//! Constants and layouts from `linux/if_packet.h` and `linux/ethtool.h`; the protocol of the ring from the kernel's
//! `Documentation/networking/packet_mmap.rst`: the kernel fills a block, sets its status to "user" when it is full or
//! its time is over, and does not touch it again before the status is "kernel".

use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use super::block::STATUS;
use super::bpf::{Instruction, Program};

/// Bytes of a block. Small enough for the kernel to find them in one piece, and for many to be in a ring: each that
/// holds anything is handed over after [`RETIRE`].
pub(super) const BLOCK: usize = 256 << 10;
/// Milliseconds after which a block is handed over that is not full.
pub(super) const RETIRE: u32 = 50;
/// No frame is larger than a block, so this only has to be valid.
const FRAME: u32 = 2_048;

const PACKET_ADD_MEMBERSHIP: libc::c_int = 1;
const PACKET_RX_RING: libc::c_int = 5;
const PACKET_STATISTICS: libc::c_int = 6;
const PACKET_VERSION: libc::c_int = 10;
const PACKET_FANOUT: libc::c_int = 18;
const PACKET_IGNORE_OUTGOING: libc::c_int = 23;
const TPACKET_V3: libc::c_int = 2;
const PACKET_MR_PROMISC: u16 = 1;
const STATUS_KERNEL: u32 = 0;
const STATUS_USER: u32 = 1;
/// Divides by a hash of the conversation; the kernel chooses a number that no other group has.
const FANOUT_HASH_UNIQUE: u32 = 0x2000;

/// `tpacket_req3`
#[repr(C)]
struct RingRequest {
    block_size: u32,
    blocks: u32,
    frame_size: u32,
    frames: u32,
    retire_milliseconds: u32,
    private_bytes: u32,
    features: u32,
}

/// `packet_mreq`
#[repr(C)]
struct Membership {
    interface: libc::c_int,
    kind: u16,
    address_length: u16,
    address: [u8; 8],
}

/// What the kernel counted since it was asked last: `tpacket_stats_v3`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Statistics {
    /// Frames that passed the filter, with those that were dropped.
    pub(super) frames: u32,
    /// Frames for which there was no room.
    pub(super) dropped: u32,
    pub(super) times_full: u32,
}

/// A packet socket of one interface.
#[derive(Debug)]
pub(super) struct Socket {
    descriptor: OwnedFd,
    ring: Mapping,
    next: usize,
}

/// How to open it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    pub(super) interface: u32,
    pub(super) is_loopback: bool,
    pub(super) is_promiscuous: bool,
    pub(super) ring_bytes: usize,
    pub(super) program: &'a Program,
}

impl Socket {
    /// A socket that receives nothing yet. Apart, so that a missing privilege is told from all else.
    pub(super) fn create() -> io::Result<OwnedFd> {
        #[expect(unsafe_code, reason = "the safe wrapper does not know packet sockets")]
        // SAFETY: there are no pointers. With protocol 0 nothing is received before `bind`.
        let descriptor = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
        check(descriptor)?;
        #[expect(unsafe_code, reason = "the kernel gives descriptors as numbers")]
        // SAFETY: the kernel has just given this descriptor to us alone.
        Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
    }

    /// Gives the socket its filter and its ring, and lets it receive.
    pub(super) fn open(descriptor: OwnedFd, wanted: Wanted<'_>) -> io::Result<Self> {
        set(&descriptor, libc::SOL_PACKET, PACKET_VERSION, &TPACKET_V3)?;
        let ring = Mapping::of(&descriptor, wanted.ring_bytes)?;
        attach(&descriptor, wanted.program)?;
        let interface = libc::c_int::try_from(wanted.interface).map_err(|_| io::ErrorKind::InvalidInput)?;
        if wanted.is_loopback {
            // Before Linux 4.20 they come, and are left out when they are read.
            drop(set(&descriptor, libc::SOL_PACKET, PACKET_IGNORE_OUTGOING, &1i32));
        }
        if wanted.is_promiscuous && !wanted.is_loopback {
            let membership = Membership {
                interface,
                kind: PACKET_MR_PROMISC,
                address_length: 0,
                address: [0; 8],
            };
            set(&descriptor, libc::SOL_PACKET, PACKET_ADD_MEMBERSHIP, &membership)?;
        }
        bind(&descriptor, interface)?;
        Ok(Self {
            descriptor,
            ring,
            next: 0,
        })
    }

    /// Bytes of its ring.
    pub(super) const fn ring_bytes(&self) -> usize {
        self.ring.blocks * BLOCK
    }

    /// Shares the frames of its interface with the other sockets of a group, a new one where `group` is `None`.
    /// Gives the group's number.
    pub(super) fn share(&self, group: Option<u16>) -> io::Result<u16> {
        let argument = group.map_or(FANOUT_HASH_UNIQUE << 16, u32::from);
        set(&self.descriptor, libc::SOL_PACKET, PACKET_FANOUT, &argument)?;
        let mut told = 0u32;
        get(&self.descriptor, libc::SOL_PACKET, PACKET_FANOUT, &mut told)?;
        Ok((told & 0xffff) as u16)
    }

    /// Does a block wait?
    pub(super) fn is_ready(&self) -> bool {
        self.ring.status(self.next).load(Ordering::Acquire) & STATUS_USER != 0
    }

    /// The block that waits; nothing where none does.
    pub(super) fn block(&self) -> &[u8] {
        if self.is_ready() {
            self.ring.block(self.next)
        } else {
            &[]
        }
    }

    /// Gives the block that waits back to the kernel.
    pub(super) fn release(&mut self) {
        if self.is_ready() {
            self.ring
                .status(self.next)
                .store(STATUS_KERNEL, Ordering::Release);
            self.next = (self.next + 1) % self.ring.blocks;
        }
    }

    /// What was counted since this was asked last.
    pub(super) fn statistics(&self) -> io::Result<Statistics> {
        let mut statistics = Statistics::default();
        get(
            &self.descriptor,
            libc::SOL_PACKET,
            PACKET_STATISTICS,
            &mut statistics,
        )?;
        Ok(statistics)
    }

    /// Takes the error that waits, such as that the interface went down.
    pub(super) fn take_error(&self) {
        let mut error: libc::c_int = 0;
        drop(get(
            &self.descriptor,
            libc::SOL_SOCKET,
            libc::SO_ERROR,
            &mut error,
        ));
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

/// Blocks in one row.
#[derive(Debug)]
struct Mapping {
    pages: NonNull<u8>,
    blocks: usize,
}

// SAFETY: the mapping belongs to this value alone, and stays where it is on whichever thread uses it.
#[expect(unsafe_code, reason = "a mapping has no owner that the compiler knows")]
unsafe impl Send for Mapping {}

impl Mapping {
    /// A ring of `bytes`, or where there is not as much memory, half of it, and so on down to four blocks.
    fn of(socket: &OwnedFd, bytes: usize) -> io::Result<Self> {
        let mut blocks = (bytes / BLOCK).max(4);
        loop {
            let (Ok(block_size), Ok(count)) = (u32::try_from(BLOCK), u32::try_from(blocks)) else {
                return Err(io::ErrorKind::InvalidInput.into());
            };
            let request = RingRequest {
                block_size,
                blocks: count,
                frame_size: FRAME,
                frames: (block_size / FRAME).saturating_mul(count),
                retire_milliseconds: RETIRE,
                private_bytes: 0,
                features: 0,
            };
            match set(socket, libc::SOL_PACKET, PACKET_RX_RING, &request) {
                Ok(()) => break,
                Err(error) if error.raw_os_error() == Some(libc::ENOMEM) && blocks > 4 => {
                    blocks = (blocks / 2).max(4);
                }
                Err(error) => return Err(error),
            }
        }
        #[expect(unsafe_code, reason = "memory is shared with the kernel")]
        // SAFETY: a new mapping where the kernel wants it cannot hurt what is mapped already; the ring that was just
        // made has exactly this size.
        let mapped = unsafe {
            mmap(
                std::ptr::null_mut(),
                blocks * BLOCK,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                socket,
                0,
            )
        };
        let pages = NonNull::new(mapped?.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { pages, blocks })
    }

    #[expect(unsafe_code, reason = "memory is shared with the kernel")]
    fn status(&self, block: usize) -> &AtomicU32 {
        debug_assert!(block < self.blocks);
        // SAFETY: the status lies in a block of the mapping, at a multiple of 4; both sides read and write it as a
        // whole number, and it lives as long as the mapping.
        unsafe { AtomicU32::from_ptr(self.pages.as_ptr().add(block * BLOCK + STATUS).cast()) }
    }

    /// Only for a block whose status is "user".
    #[expect(unsafe_code, reason = "memory is shared with the kernel")]
    fn block(&self, block: usize) -> &[u8] {
        debug_assert!(block < self.blocks);
        // SAFETY: it lies in the mapping. The kernel does not write to it before its status is set to "kernel", for which
        // the socket must be borrowed mutably, so that this borrow has ended.
        unsafe { std::slice::from_raw_parts(self.pages.as_ptr().add(block * BLOCK), BLOCK) }
    }
}

impl Drop for Mapping {
    #[expect(unsafe_code, reason = "memory is shared with the kernel")]
    fn drop(&mut self) {
        // SAFETY: it was mapped with this size, and nobody can use it any more.
        let unmapped = unsafe { munmap(self.pages.as_ptr().cast(), self.blocks * BLOCK) };
        debug_assert!(unmapped.is_ok());
    }
}

/// Lets the kernel drop what the program does not pass.
pub(super) fn attach(socket: &OwnedFd, program: &Program) -> io::Result<()> {
    /// `sock_fprog`
    #[repr(C)]
    struct Attached {
        length: u16,
        instructions: *const Instruction,
    }
    let instructions = program.instructions();
    let attached = Attached {
        length: u16::try_from(instructions.len()).map_err(|_| io::ErrorKind::InvalidInput)?,
        instructions: instructions.as_ptr(),
    };
    set(socket, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &attached)
}

fn bind(socket: &OwnedFd, interface: libc::c_int) -> io::Result<()> {
    let address = libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as u16,
        sll_protocol: (libc::ETH_P_ALL as u16).to_be(),
        sll_ifindex: interface,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    #[expect(unsafe_code, reason = "the safe wrapper does not know packet sockets")]
    // SAFETY: the address lives through the call, and its size is told.
    check(unsafe {
        libc::bind(
            socket.as_raw_fd(),
            (&raw const address).cast(),
            size_of_val(&address) as libc::socklen_t,
        )
    })
}

/// Sets an option whose value is a `T`, as the kernel's headers say.
fn set<T>(socket: &OwnedFd, level: libc::c_int, option: libc::c_int, value: &T) -> io::Result<()> {
    #[expect(unsafe_code, reason = "options of packet sockets have no safe wrapper")]
    // SAFETY: the value lives through the call, and its size is told; a program that it points to lives as long.
    check(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            std::ptr::from_ref(value).cast(),
            size_of::<T>() as libc::socklen_t,
        )
    })
}

/// Reads an option whose value is a `T` of numbers, for which any bits are valid.
fn get<T: Copy>(socket: &OwnedFd, level: libc::c_int, option: libc::c_int, value: &mut T) -> io::Result<()> {
    let mut size = size_of::<T>() as libc::socklen_t;
    #[expect(unsafe_code, reason = "options of packet sockets have no safe wrapper")]
    // SAFETY: there is room for as many bytes as are told, and every caller's type is made of numbers.
    check(unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            level,
            option,
            std::ptr::from_mut(value).cast(),
            &raw mut size,
        )
    })
}

/// Megabits per second that the driver of an interface tells (`ETHTOOL_GSET`), asked by any socket in its namespace.
pub(super) fn speed(socket: BorrowedFd<'_>, name: &str) -> Option<u32> {
    const GET_SETTINGS: u32 = 1;
    const SIOCETHTOOL: libc::Ioctl = 0x8946;
    /// `ethtool_cmd`
    #[repr(C)]
    #[derive(Default)]
    struct Settings {
        command: u32,
        modes: [u32; 2],
        speed: u16,
        kinds: [u8; 6],
        packets: [u32; 2],
        speed_high: u16,
        more: [u8; 2],
        rest: [u32; 3],
    }
    /// `ifreq`
    #[repr(C)]
    struct Request {
        name: [u8; libc::IFNAMSIZ],
        settings: *mut Settings,
        room: [u8; 16],
    }
    let mut settings = Settings {
        command: GET_SETTINGS,
        ..Settings::default()
    };
    let mut request = Request {
        name: [0; libc::IFNAMSIZ],
        settings: &raw mut settings,
        room: [0; 16],
    };
    request
        .name
        .get_mut(..name.len())?
        .copy_from_slice(name.as_bytes());
    *request.name.last_mut()? = 0;
    #[expect(unsafe_code, reason = "the driver is asked by ioctl")]
    // SAFETY: the request is as large as an `ifreq`, and points to settings with room for all that is written.
    let status = unsafe { libc::ioctl(socket.as_raw_fd(), SIOCETHTOOL, &raw mut request) };
    let megabits = u32::from(settings.speed_high) << 16 | u32::from(settings.speed);
    // All ones where the driver does not know.
    (status == 0 && megabits != 0 && megabits != u32::MAX && megabits != u32::from(u16::MAX))
        .then_some(megabits)
}

fn check(status: libc::c_int) -> io::Result<()> {
    if status < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
