//! Records of sockets, from bytes to what they say. Total on any input, though only the kernel writes here.

use std::net::{IpAddr, Ipv6Addr};

use atalaya_model::connection::{Outcome, Side, Traffic};
use atalaya_model::observation::{Change, SocketEvent};
use atalaya_model::{Endpoint, Evidence, Owners, ProcessKey, Socket, SocketState, Time, Transport};

/// Bytes of `struct record` in `bpf/record.h`.
const RECORD: usize = 144;

const ALIVE: u32 = 1;
const CLOSED: u32 = 2;
const LISTEN: u32 = 3;
const DEAF: u32 = 4;

const IS_ANSWERER: u32 = 1;
const IS_OLD: u32 = 2;
const IS_HELD: u32 = 4;
const IS_SHARED: u32 = 8;
const IS_KERNELS: u32 = 16;
const IS_INJECTED: u32 = 32;

/// Bits of an owner that are its process id; the others are its start.
const OWNER_BITS: u32 = 22;

/// The kind of a record: its first four bytes.
pub(super) fn kind(record: &[u8]) -> Option<u32> {
    record.first_chunk().copied().map(u32::from_ne_bytes)
}

/// What a record of a socket says. `boot` is when the host booted; addresses that nobody accepted yet have no owner.
pub(super) fn event(record: &[u8], boot: Time) -> Option<SocketEvent> {
    let record = Record(record.first_chunk()?);
    let kind = record.word(0);
    let flags = record.word(4);
    let number = record.bytes::<1>(142)[0];
    let transport = Transport::from_number(number);
    let kernel_state = record.bytes::<1>(143)[0];
    let state = SocketState::from_kernel(kernel_state).unwrap_or(SocketState::Close);
    let is_stream = transport == Transport::Tcp && flags & IS_INJECTED == 0;
    let is_listener = matches!(kind, LISTEN | DEAF);
    let change = match kind {
        ALIVE | LISTEN => Change::Alive,
        CLOSED if is_stream => Change::Closed(outcome(state, record.half(140))),
        CLOSED | DEAF => Change::Closed(Outcome::Finished),
        _ => return None,
    };
    let local = record.endpoint(104, 136);
    let remote = record.endpoint(120, 138);
    let mut cookie = record.long(24);
    if flags & IS_INJECTED != 0 && transport == Transport::Tcp {
        cookie = cookie_of_injected(cookie, remote);
    }
    let side = match flags {
        _ if is_listener || flags & IS_OLD != 0 => None,
        _ if flags & IS_ANSWERER != 0 => Some(Side::Destination),
        _ => Some(Side::Source),
    };
    let traffic = Traffic {
        sent_bytes: record.long(56),
        received_bytes: record.long(64),
        sent_packets: record.long(72),
        received_packets: record.long(80),
        round_trip: record.word(88),
        retransmits: record.word(92),
    };
    Some(SocketEvent {
        time: after(boot, record.long(8)),
        change,
        started: after(boot, record.long(16)),
        started_before: flags & IS_OLD != 0,
        side,
        socket: Socket {
            transport,
            state,
            local,
            remote: if is_listener {
                unspecified(local.ip)
            } else {
                remote
            },
            namespace: record.word(96),
            cookie,
            inode: 0,
            user_id: record.word(100),
            cgroup_id: record.long(32),
            traffic: (!is_listener).then_some(traffic),
            owners: owners(flags, record.long(40), record.long(48)),
        },
    })
}

/// The bytes of a record, by the places of its members.
struct Record<'a>(&'a [u8; RECORD]);

impl Record<'_> {
    fn bytes<const N: usize>(&self, place: usize) -> [u8; N] {
        self.0
            .get(place..)
            .and_then(|rest| rest.first_chunk())
            .copied()
            .unwrap_or([0; N])
    }

    fn half(&self, place: usize) -> u16 {
        u16::from_ne_bytes(self.bytes(place))
    }

    fn word(&self, place: usize) -> u32 {
        u32::from_ne_bytes(self.bytes(place))
    }

    fn long(&self, place: usize) -> u64 {
        u64::from_ne_bytes(self.bytes(place))
    }

    fn endpoint(&self, address: usize, port: usize) -> Endpoint {
        Endpoint::new(
            IpAddr::V6(Ipv6Addr::from(self.bytes::<16>(address))),
            self.half(port),
        )
    }
}

fn after(boot: Time, nanoseconds: u64) -> Time {
    Time(boot.0.saturating_add_unsigned(nanoseconds / 1_000))
}

/// No address, of the same family as this one.
fn unspecified(ip: IpAddr) -> Endpoint {
    let none: IpAddr = match ip {
        IpAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    Endpoint::new(none, 0)
}

/// TCP conversations are told apart by their cookie, but a packet socket may carry many. So each gets one of its own,
/// of the upper half, which the kernel does not reach.
fn cookie_of_injected(cookie: u64, remote: Endpoint) -> u64 {
    let IpAddr::V6(ip) = (match remote.ip {
        IpAddr::V4(ip) => IpAddr::V6(ip.to_ipv6_mapped()),
        ip @ IpAddr::V6(_) => ip,
    }) else {
        return cookie;
    };
    // FNV-1a, 64 bits.
    let port = remote.port.to_be_bytes();
    let bytes = ip.octets().into_iter().chain(port).chain(cookie.to_be_bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash | 1 << 63
}

fn owners(flags: u32, now: u64, former: u64) -> Owners {
    let key = |owner: u64| ProcessKey {
        pid: (owner & ((1 << OWNER_BITS) - 1)) as u32,
        start: owner >> OWNER_BITS,
    };
    if flags & IS_KERNELS != 0 {
        return Owners::Unknown(Evidence::KernelOwned);
    }
    // Nobody yet, or a process outside of our pid namespace.
    if key(now).pid == 0 {
        return Owners::Unknown(Evidence::NotFound);
    }
    if flags & IS_SHARED != 0 && key(former).pid != 0 {
        let mut both = [key(now), key(former)];
        both.sort_unstable_by_key(|key| (key.start, key.pid));
        return Owners::Many(both.into());
    }
    if flags & IS_HELD != 0 {
        Owners::One(key(now))
    } else {
        Owners::Used(key(now))
    }
}

/// How a TCP conversation went, by its last state and the error that the kernel left in the socket.
fn outcome(before: SocketState, error: u16) -> Outcome {
    let error = i32::from(error);
    if matches!(before, SocketState::SynSent | SocketState::SynReceived) {
        return match error {
            libc::ECONNREFUSED | libc::ECONNRESET => Outcome::Refused,
            libc::ETIMEDOUT => Outcome::Unanswered,
            0 | libc::ECONNABORTED => Outcome::Abandoned,
            _ => Outcome::Unreachable,
        };
    }
    match error {
        libc::ECONNRESET | libc::EPIPE | libc::ECONNABORTED | libc::ECONNREFUSED => Outcome::Reset,
        // Closed from one side at once, without waiting for the other: with data unread, or by a linger time of 0.
        0 if matches!(before, SocketState::Established | SocketState::CloseWait) => Outcome::Reset,
        0 => Outcome::Finished,
        _ => Outcome::TimedOut,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn put(record: &mut [u8; RECORD], place: usize, bytes: &[u8]) {
        record[place..place + bytes.len()].copy_from_slice(bytes);
    }

    /// A client of 192.0.2.1:443, closed in order.
    fn sample() -> [u8; RECORD] {
        let mut record = [0; RECORD];
        put(&mut record, 0, &CLOSED.to_ne_bytes());
        put(&mut record, 8, &3_000_000_000u64.to_ne_bytes());
        put(&mut record, 16, &1_000_000_000u64.to_ne_bytes());
        put(&mut record, 24, &77u64.to_ne_bytes());
        put(&mut record, 40, &(5_000u64 << OWNER_BITS | 1_234).to_ne_bytes());
        put(&mut record, 56, &20u64.to_ne_bytes());
        put(&mut record, 64, &100u64.to_ne_bytes());
        put(&mut record, 96, &4_026_531_840u32.to_ne_bytes());
        put(&mut record, 114, &[0xff, 0xff, 10, 0, 0, 1]);
        put(&mut record, 130, &[0xff, 0xff, 192, 0, 2, 1]);
        put(&mut record, 136, &40_000u16.to_ne_bytes());
        put(&mut record, 138, &443u16.to_ne_bytes());
        put(&mut record, 142, &[6, 9]);
        record
    }

    #[test]
    fn a_closed_connection() {
        let event = event(&sample(), Time::from_seconds(100)).unwrap();
        assert_eq!(
            (event.started, event.time),
            (Time::from_seconds(101), Time::from_seconds(103))
        );
        assert_eq!(event.change, Change::Closed(Outcome::Finished));
        assert_eq!(event.side, Some(Side::Source));
        assert_eq!(event.socket.local.to_string(), "10.0.0.1:40000");
        assert_eq!(event.socket.remote.to_string(), "192.0.2.1:443");
        let owner = ProcessKey {
            pid: 1_234,
            start: 5_000,
        };
        assert_eq!(event.socket.owners, Owners::Used(owner));
        let traffic = event.socket.traffic.unwrap();
        assert_eq!((traffic.sent_bytes, traffic.received_bytes), (20, 100));
        assert_eq!(event.socket.namespace, 4_026_531_840);
    }

    #[test]
    fn owners_say_how_they_are_known() {
        let (first, second) = (1u64 << OWNER_BITS | 10, 2u64 << OWNER_BITS | 20);
        let keys = [ProcessKey { pid: 10, start: 1 }, ProcessKey { pid: 20, start: 2 }];
        assert_eq!(owners(0, 0, 0), Owners::Unknown(Evidence::NotFound));
        assert_eq!(
            owners(IS_KERNELS, first, 0),
            Owners::Unknown(Evidence::KernelOwned)
        );
        assert_eq!(owners(IS_HELD, first, 0), Owners::One(keys[0]));
        assert_eq!(owners(0, second, first), Owners::Used(keys[1]));
        assert_eq!(owners(IS_SHARED, second, first), Owners::Many(keys.into()));
    }

    #[test]
    fn outcomes() {
        use SocketState::{CloseWait, Established, FinWait2, LastAck, SynSent};
        let cases = [
            (SynSent, libc::ECONNREFUSED, Outcome::Refused),
            (SynSent, libc::ETIMEDOUT, Outcome::Unanswered),
            (SynSent, libc::EHOSTUNREACH, Outcome::Unreachable),
            (SynSent, libc::ENETUNREACH, Outcome::Unreachable),
            (SynSent, 0, Outcome::Abandoned),
            (Established, libc::ECONNRESET, Outcome::Reset),
            (CloseWait, libc::EPIPE, Outcome::Reset),
            (Established, 0, Outcome::Reset),
            (Established, libc::ETIMEDOUT, Outcome::TimedOut),
            (LastAck, 0, Outcome::Finished),
            (FinWait2, 0, Outcome::Finished),
        ];
        for (state, error, expected) in cases {
            assert_eq!(outcome(state, error as u16), expected, "{state:?} {error}");
        }
    }

    #[test]
    fn injected_segments_are_told_apart_by_their_peers() {
        let mut record = sample();
        put(&mut record, 4, &IS_INJECTED.to_ne_bytes());
        let one = event(&record, Time(0)).unwrap();
        put(&mut record, 138, &444u16.to_ne_bytes());
        let other = event(&record, Time(0)).unwrap();
        assert_ne!(one.socket.cookie, other.socket.cookie);
        assert!(one.socket.cookie >> 63 == 1 && other.socket.cookie >> 63 == 1);
        assert_eq!(one.change, Change::Closed(Outcome::Finished));
    }

    #[test]
    fn a_listener_has_no_peer() {
        let mut record = sample();
        put(&mut record, 0, &LISTEN.to_ne_bytes());
        let event = event(&record, Time(0)).unwrap();
        assert_eq!((event.change, event.side), (Change::Alive, None));
        assert_eq!(event.socket.remote.to_string(), "0.0.0.0:0");
        assert_eq!(event.socket.traffic, None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200), boot: i64) {
            let decoded = event(&bytes, Time(boot));
            prop_assert!(bytes.len() >= RECORD || decoded.is_none());
        }
    }
}
