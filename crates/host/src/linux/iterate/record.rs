//! What the program in the kernel writes: one socket, and one process that holds it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use atalaya_model::connection::Traffic;
use atalaya_model::{Endpoint, Evidence, Owners, ProcessKey, Socket, SocketState, Transport};

use crate::linux::sockets::message::fin_is_counted;

/// Bytes of one record, `struct held` in `bpf/sockets.bpf.c`.
pub(super) const RECORD: usize = 120;
/// Bytes of one descriptor, `struct descriptor` there.
pub(super) const DESCRIPTOR: usize = 12;
/// A clock tick of `/proc`, in nanoseconds.
const TICK: u64 = 10_000_000;
/// Kind of socket: one that speaks a protocol of its own.
const RAW: u8 = 3;
const MAY_BE_SHARED: u8 = 1;

/// A socket that a process holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Held {
    /// As a dump of the socket tables would tell it; its owners are not filled in.
    pub socket: Socket,
    /// The process.
    pub process: ProcessKey,
    /// Other descriptors may refer to it as well, of this process or of others. Each is told by itself.
    pub may_be_shared: bool,
    /// Of a listener, how many connections are on their way in.
    pub half_open: u32,
}

/// A descriptor of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// The process.
    pub pid: u32,
    /// The descriptor's number.
    pub number: u32,
    /// The inode of a socket, of any family; 0 for what is no socket.
    pub inode: u32,
}

pub(super) fn descriptor(bytes: &[u8; DESCRIPTOR]) -> Descriptor {
    Descriptor {
        pid: word(bytes, 0),
        number: word(bytes, 4),
        inode: word(bytes, 8),
    }
}

/// Reads one record. `None` for what cannot be (an unknown family or state).
pub(super) fn held(bytes: &[u8; RECORD]) -> Option<Held> {
    let ip = |at: usize| -> Option<IpAddr> {
        match i32::from(bytes[40]) {
            libc::AF_INET => Some(Ipv4Addr::from(*bytes.get(at..)?.first_chunk::<4>()?).into()),
            libc::AF_INET6 => Some(Ipv6Addr::from(*bytes.get(at..)?.first_chunk::<16>()?).into()),
            _ => None,
        }
    };
    let state = SocketState::from_kernel(bytes[42])?;
    let (mut local_port, mut remote_port) = (half(bytes, 48), u16::from_be(half(bytes, 50)));
    let transport = if bytes[41] == RAW {
        // A raw socket has a protocol where others have a port.
        let protocol = local_port.to_le_bytes()[0];
        (local_port, remote_port) = (0, 0);
        Transport::from_number(protocol)
    } else {
        Transport::from_number(u8::try_from(half(bytes, 44)).ok()?)
    };
    // Of one that is only bound, or waits for others, the kernel counts nothing.
    let has_traffic = transport == Transport::Tcp
        && bytes[41] != RAW
        && !matches!(state, SocketState::Listen | SocketState::Close);
    Some(Held {
        socket: Socket {
            transport,
            state,
            local: Endpoint::new(ip(52)?, local_port),
            remote: Endpoint::new(ip(68)?, remote_port),
            namespace: word(bytes, 32),
            cookie: long(bytes, 0),
            inode: word(bytes, 28),
            user_id: word(bytes, 36),
            cgroup_id: long(bytes, 8),
            traffic: has_traffic.then(|| traffic(bytes, state)),
            owners: Owners::Unknown(Evidence::NotFound),
        },
        process: ProcessKey {
            pid: word(bytes, 24),
            start: long(bytes, 16) / TICK,
        },
        may_be_shared: bytes[43] & MAY_BE_SHARED != 0,
        half_open: word(bytes, 84),
    })
}

fn traffic(bytes: &[u8; RECORD], state: SocketState) -> Traffic {
    let received = long(bytes, 96);
    Traffic {
        sent_bytes: long(bytes, 88),
        received_bytes: received.saturating_sub(u64::from(fin_is_counted(state, received, None))),
        sent_packets: word(bytes, 104).into(),
        received_packets: word(bytes, 108).into(),
        round_trip: word(bytes, 112),
        retransmits: word(bytes, 116),
    }
}

fn at<const N: usize>(bytes: &[u8], place: usize) -> [u8; N] {
    bytes
        .get(place..)
        .and_then(<[u8]>::first_chunk)
        .copied()
        .unwrap_or([0; N])
}

fn half(bytes: &[u8], place: usize) -> u16 {
    u16::from_ne_bytes(at(bytes, place))
}

fn word(bytes: &[u8], place: usize) -> u32 {
    u32::from_ne_bytes(at(bytes, place))
}

fn long(bytes: &[u8], place: usize) -> u64 {
    u64::from_ne_bytes(at(bytes, place))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record(family: i32, kind: u8, state: u8, protocol: u16) -> [u8; RECORD] {
        let mut bytes = [0; RECORD];
        let mut put = |place: usize, value: &[u8]| bytes[place..place + value.len()].copy_from_slice(value);
        put(0, &9u64.to_ne_bytes());
        put(8, &44u64.to_ne_bytes());
        put(16, &1_239_999_999u64.to_ne_bytes());
        put(24, &77u32.to_ne_bytes());
        put(28, &5_000u32.to_ne_bytes());
        put(32, &4_026_531_840u32.to_ne_bytes());
        put(36, &1_000u32.to_ne_bytes());
        put(40, &[family as u8, kind, state, MAY_BE_SHARED]);
        put(44, &protocol.to_ne_bytes());
        put(48, &443u16.to_ne_bytes());
        put(50, &50_000u16.to_be_bytes());
        put(52, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1]);
        put(68, &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        put(84, &5u32.to_ne_bytes());
        put(88, &900u64.to_ne_bytes());
        put(96, &51u64.to_ne_bytes());
        put(104, &[1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0]);
        bytes
    }

    #[test]
    fn a_connection_with_its_counters() {
        let held = held(&record(libc::AF_INET6, 1, 8, 6)).unwrap();
        let socket = held.socket;
        assert_eq!(socket.local.to_string(), "192.0.2.1:443");
        assert_eq!(socket.remote.to_string(), "[2001:db8::1]:50000");
        assert_eq!(
            (socket.cookie, socket.inode, socket.user_id, socket.cgroup_id),
            (9, 5_000, 1_000, 44)
        );
        assert_eq!(
            (socket.state, socket.transport),
            (SocketState::CloseWait, Transport::Tcp)
        );
        // The FIN is not one of the bytes received.
        let traffic = socket.traffic.unwrap();
        assert_eq!(
            (traffic.sent_bytes, traffic.received_bytes, traffic.retransmits),
            (900, 50, 4)
        );
        assert_eq!(held.process, ProcessKey { pid: 77, start: 123 });
        assert!(held.may_be_shared && held.half_open == 5);
    }

    #[test]
    fn listeners_and_raw_sockets() {
        assert_eq!(
            held(&record(libc::AF_INET, 1, 10, 6)).unwrap().socket.traffic,
            None
        );
        let mut bytes = record(libc::AF_INET, RAW, 7, 255);
        bytes[48..50].copy_from_slice(&1u16.to_ne_bytes());
        let raw = held(&bytes).unwrap().socket;
        assert_eq!(
            (raw.transport, raw.local.port, raw.remote.port),
            (Transport::Icmp, 0, 0)
        );
        assert_eq!(held(&record(libc::AF_UNIX, 1, 1, 6)), None);
        assert_eq!(held(&record(libc::AF_INET, 1, 0, 6)), None);
        assert_eq!(held(&record(libc::AF_INET, 1, 1, 262)), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), RECORD)) {
            let _ = held(bytes.first_chunk().unwrap());
        }
    }
}
