//! The bytes of `sock_diag`: requests out, sockets in. Total on any input: every read is checked.
//!
//! Layouts from `linux/netlink.h`, `linux/inet_diag.h` and `linux/tcp.h`; all numbers are the host's byte order
//! except addresses and ports.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::OnceLock;

use atalaya_model::connection::Traffic;
use atalaya_model::{Endpoint, Evidence, Owners, Socket, SocketState, Transport};

/// `SOCK_DIAG_BY_FAMILY`: the request, and every answer to it.
pub const SOCK_DIAG_BY_FAMILY: u16 = 20;
/// `TCPDIAG_GETSOCK`: the older request, which covers IPv4 and IPv6 in one walk of the table.
const TCPDIAG_GETSOCK: u16 = 18;

const HEADER: usize = 16;
const INET_DIAG_MESSAGE: usize = 72;

const INET_DIAG_INFO: u16 = 2;
const INET_DIAG_PROTOCOL: u16 = 10;
const INET_DIAG_CGROUP_ID: u16 = 21;

/// One message of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// The body of a socket message.
    Socket(&'a [u8]),
    /// The dump is complete.
    Done,
    /// The kernel refuses, by error number; 0 is an acknowledgement.
    Error(i32),
    /// The rest of the buffer makes no sense.
    Malformed,
}

/// The messages in one received buffer.
#[derive(Clone, Debug)]
pub struct Messages<'a> {
    rest: &'a [u8],
    sequence: u32,
}

impl<'a> Messages<'a> {
    /// The messages of `buffer` that carry this sequence number (0 for multicast notices).
    pub const fn new(buffer: &'a [u8], sequence: u32) -> Self {
        Self {
            rest: buffer,
            sequence,
        }
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Message<'a>;

    fn next(&mut self) -> Option<Message<'a>> {
        loop {
            if self.rest.is_empty() {
                return None;
            }
            let header = (u32_at(self.rest, 0), u16_at(self.rest, 4), u32_at(self.rest, 8));
            let (Some(length), Some(kind), Some(sequence)) = header else {
                self.rest = &[];
                return Some(Message::Malformed);
            };
            let Some(body) = self.rest.get(HEADER..length as usize) else {
                self.rest = &[];
                return Some(Message::Malformed);
            };
            self.rest = self.rest.get(align(length as usize)..).unwrap_or_default();
            // An answer to an earlier request that was given up is not ours.
            if sequence != self.sequence {
                continue;
            }
            match i32::from(kind) {
                libc::NLMSG_DONE => return Some(Message::Done),
                libc::NLMSG_ERROR => {
                    let number = u32_at(body, 0).map_or(libc::EIO, |number| (number as i32).wrapping_neg());
                    return Some(Message::Error(number));
                }
                _ if kind == SOCK_DIAG_BY_FAMILY || kind == TCPDIAG_GETSOCK => {
                    return Some(Message::Socket(body));
                }
                _ => {}
            }
        }
    }
}

/// The socket that one message describes; owners are not known yet. `None` when the message is too short or of a
/// kind that cannot be (an unknown family or state).
///
/// `transport` is what was asked for; a notice that names its protocol overrides it.
pub fn socket(body: &[u8], transport: Transport, namespace: u32) -> Option<Socket> {
    let fixed: &[u8; INET_DIAG_MESSAGE] = body.first_chunk()?;
    let ip = |at: usize| -> Option<IpAddr> {
        match i32::from(fixed[0]) {
            libc::AF_INET => Some(IpAddr::V4(Ipv4Addr::from(*fixed.get(at..)?.first_chunk::<4>()?))),
            libc::AF_INET6 => Some(IpAddr::V6(Ipv6Addr::from(*fixed.get(at..)?.first_chunk::<16>()?))),
            _ => None,
        }
    };
    let port = |at: usize| u16_at(fixed, at).map(u16::from_be);
    let mut socket = Socket {
        transport,
        state: SocketState::from_kernel(fixed[1])?,
        local: Endpoint::new(ip(8)?, port(4)?),
        remote: Endpoint::new(ip(24)?, port(6)?),
        namespace,
        cookie: u64::from(u32_at(fixed, 44)?) | u64::from(u32_at(fixed, 48)?) << 32,
        inode: u32_at(fixed, 68)?,
        user_id: user(u32_at(fixed, 64)?, u32_at(fixed, 68)?, keeps_users()),
        cgroup_id: 0,
        traffic: None,
        owners: Owners::Unknown(Evidence::NotFound),
    };
    let mut information = None;
    let mut rest = body.get(INET_DIAG_MESSAGE..).unwrap_or_default();
    while let (Some(length), Some(kind)) = (u16_at(rest, 0), u16_at(rest, 2)) {
        let Some(value) = rest.get(4..usize::from(length)) else {
            break;
        };
        match kind {
            INET_DIAG_INFO => information = Some(value),
            INET_DIAG_PROTOCOL => {
                socket.transport = value
                    .first()
                    .map_or(transport, |number| Transport::from_number(*number));
            }
            INET_DIAG_CGROUP_ID => socket.cgroup_id = u64_at(value, 0).unwrap_or(0),
            _ => {}
        }
        rest = rest.get(align(usize::from(length))..).unwrap_or_default();
    }
    if let Transport::Raw(_) = socket.transport {
        // A raw socket has a protocol where others have a port.
        socket.transport = Transport::from_number(socket.local.port.to_le_bytes()[0]);
        (socket.local.port, socket.remote.port) = (0, 0);
    }
    if socket.transport == Transport::Tcp && socket.state != SocketState::Listen {
        socket.traffic = information.and_then(|information| traffic(information, socket.state));
    }
    Some(socket)
}

/// Before Linux 6.17 the user of a socket is asked of its inode: one that has none (closed, not accepted yet) says 0,
/// whoever's it is.
const fn user(told: u32, inode: u32, keeps_users: bool) -> u32 {
    if told == 0 && inode == 0 && !keeps_users {
        Socket::NO_USER
    } else {
        told
    }
}

/// Does this kernel know the user of a socket without an inode?
fn keeps_users() -> bool {
    static ANSWER: OnceLock<bool> = OnceLock::new();
    *ANSWER.get_or_init(|| {
        let name = rustix::system::uname();
        name.release()
            .to_str()
            .is_ok_and(|release| is_at_least(release, (6, 17)))
    })
}

/// Is a release such as `6.1.0-28-amd64` this version or a later one?
fn is_at_least(release: &str, version: (u32, u32)) -> bool {
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) >= version,
        _ => false,
    }
}

/// The counters of `struct tcp_info`, which grows from kernel to kernel: what is not there counts 0.
fn traffic(information: &[u8], state: SocketState) -> Option<Traffic> {
    let (acked, received) = (u64_at(information, 120)?, u64_at(information, 128)?);
    // Before Linux 4.19 there is no `bytes_sent`; `bytes_acked` then counts the SYN as well.
    let sent = match (u64_at(information, 200), u64_at(information, 208)) {
        (Some(sent), Some(again)) => sent.saturating_sub(again),
        _ => acked.saturating_sub(1),
    };
    let data_segments = u32_at(information, 152);
    Some(Traffic {
        sent_bytes: sent,
        received_bytes: received.saturating_sub(u64::from(fin_is_counted(state, received, data_segments))),
        sent_packets: u32_at(information, 136).unwrap_or(0).into(),
        received_packets: u32_at(information, 140).unwrap_or(0).into(),
        round_trip: u32_at(information, 68)?,
        retransmits: u32_at(information, 100)?,
    })
}

/// A received FIN takes one number of the sequence, and the kernel counts it as a byte. A closed socket no longer says
/// whether it got one, unless it got nothing else.
pub(crate) fn fin_is_counted(state: SocketState, received: u64, data_segments: Option<u32>) -> bool {
    match state {
        SocketState::CloseWait | SocketState::LastAck | SocketState::Closing | SocketState::TimeWait => true,
        SocketState::Close => received == 1 && data_segments == Some(0),
        _ => false,
    }
}

/// A dump request for one transport of one address family, every state.
pub fn request(transport: Transport, family: u8, sequence: u32) -> Vec<u8> {
    let mut body = [0; 56];
    body[0] = family;
    body[1] = match transport {
        // Raw sockets are all in one table; the protocol field asks for it.
        Transport::Raw(_) => libc::IPPROTO_RAW as u8,
        other => other.number(),
    };
    body[4..8].copy_from_slice(&u32::MAX.to_ne_bytes());
    with_header(SOCK_DIAG_BY_FAMILY, sequence, &body)
}

/// A dump request for TCP over both families with `tcp_info`; each bit of `states` is a state, by its number.
pub fn request_tcp(states: u32, sequence: u32) -> Vec<u8> {
    let mut body = [0; 60];
    // The family field of this older request is not looked at: it stands for both.
    body[3] = 1 << (INET_DIAG_INFO - 1);
    body[52..56].copy_from_slice(&states.to_ne_bytes());
    with_header(TCPDIAG_GETSOCK, sequence, &body)
}

fn with_header(kind: u16, sequence: u32, body: &[u8]) -> Vec<u8> {
    let flags = (libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16;
    let mut bytes = Vec::with_capacity(HEADER + body.len());
    bytes.extend(((HEADER + body.len()) as u32).to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend(sequence.to_ne_bytes());
    bytes.extend(0u32.to_ne_bytes());
    bytes.extend(body);
    bytes
}

const fn align(length: usize) -> usize {
    // A length below its own header would never advance; 4 is the smallest step.
    let aligned = (length + 3) & !3;
    if aligned < 4 { 4 } else { aligned }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = ((value.len() + 4) as u16).to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(value);
        bytes.resize(align(bytes.len()), 0);
        bytes
    }

    fn body(family: i32, state: u8) -> Vec<u8> {
        let mut body = vec![0; INET_DIAG_MESSAGE];
        body[0] = family as u8;
        body[1] = state;
        body[4..6].copy_from_slice(&443u16.to_be_bytes());
        body[6..8].copy_from_slice(&50_000u16.to_be_bytes());
        body[44..52].copy_from_slice(&[1, 0, 0, 0, 2, 0, 0, 0]);
        body[64..68].copy_from_slice(&1000u32.to_ne_bytes());
        body[68..72].copy_from_slice(&77u32.to_ne_bytes());
        body
    }

    fn information(sent: u64, again: u64, received: u64) -> Vec<u8> {
        let mut information = vec![0; 248];
        information[128..136].copy_from_slice(&received.to_ne_bytes());
        information[200..208].copy_from_slice(&sent.to_ne_bytes());
        information[208..216].copy_from_slice(&again.to_ne_bytes());
        information
    }

    #[test]
    fn mapped_addresses_cookie_and_counters() {
        let mut bytes = body(libc::AF_INET6, 8);
        bytes[8..24].copy_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1]);
        bytes.extend(attribute(INET_DIAG_INFO, &information(1000, 100, 51)));
        bytes.extend(attribute(8, &[1]));
        bytes.extend(attribute(INET_DIAG_CGROUP_ID, &44u64.to_ne_bytes()));
        let socket = socket(&bytes, Transport::Tcp, 5).unwrap();
        assert_eq!(socket.local.to_string(), "192.0.2.1:443");
        assert_eq!(socket.state, SocketState::CloseWait);
        assert_eq!(
            (socket.cookie, socket.inode, socket.user_id, socket.cgroup_id),
            (1 | 2 << 32, 77, 1000, 44)
        );
        let traffic = socket.traffic.unwrap();
        // 900 sent once, and the FIN is not one of the 50 bytes received.
        assert_eq!((traffic.sent_bytes, traffic.received_bytes), (900, 50));
    }

    #[test]
    fn an_old_kernel_does_not_know_whose_a_closed_socket_was() {
        assert_eq!(user(0, 0, false), Socket::NO_USER);
        assert_eq!(
            (user(0, 0, true), user(0, 7, false), user(33, 0, false)),
            (0, 0, 33)
        );
        for (release, expected) in [
            ("6.1.0-28-amd64", false),
            ("6.16.3", false),
            ("6.17-rc1", true),
            ("6.18.44-fc", true),
            ("10.0", true),
            ("", false),
            ("strange", false),
        ] {
            assert_eq!(is_at_least(release, (6, 17)), expected, "{release}");
        }
    }

    #[test]
    fn an_old_kernel_has_a_short_tcp_info() {
        let mut bytes = body(libc::AF_INET, 1);
        let mut short = vec![0; 136];
        short[120..128].copy_from_slice(&21u64.to_ne_bytes());
        short[128..136].copy_from_slice(&9u64.to_ne_bytes());
        bytes.extend(attribute(INET_DIAG_INFO, &short));
        let traffic = socket(&bytes, Transport::Tcp, 5).unwrap().traffic.unwrap();
        assert_eq!((traffic.sent_bytes, traffic.received_bytes), (20, 9));
    }

    #[test]
    fn a_notice_names_its_protocol() {
        let mut bytes = body(libc::AF_INET, 7);
        bytes.extend(attribute(INET_DIAG_PROTOCOL, &[17]));
        assert_eq!(
            socket(&bytes, Transport::Tcp, 5).unwrap().transport,
            Transport::Udp
        );
    }

    #[test]
    fn a_raw_socket_has_a_protocol_and_no_ports() {
        let mut bytes = body(libc::AF_INET, 7);
        bytes[4..6].copy_from_slice(&1u16.to_be_bytes());
        let socket = socket(&bytes, Transport::Raw(255), 5).unwrap();
        assert_eq!(
            (socket.transport, socket.local.port, socket.remote.port),
            (Transport::Icmp, 0, 0)
        );
    }

    #[test]
    fn other_families_and_states_are_refused() {
        assert_eq!(socket(&body(libc::AF_INET, 0), Transport::Tcp, 5), None);
        assert_eq!(socket(&body(1, 1), Transport::Tcp, 5), None);
        assert_eq!(socket(&body(libc::AF_INET, 1)[..71], Transport::Tcp, 5), None);
    }

    #[test]
    fn done_errors_and_other_sequences() {
        let mut bytes = with_header(SOCK_DIAG_BY_FAMILY, 8, &body(libc::AF_INET, 1));
        bytes.extend(with_header(SOCK_DIAG_BY_FAMILY, 9, &body(libc::AF_INET, 1)));
        bytes.extend(with_header(libc::NLMSG_ERROR as u16, 9, &(-2i32).to_ne_bytes()));
        bytes.extend(with_header(libc::NLMSG_DONE as u16, 9, &[0; 4]));
        let seen: Vec<_> = Messages::new(&bytes, 9).collect();
        assert!(
            matches!(seen[..], [Message::Socket(_), Message::Error(2), Message::Done]),
            "{seen:?}"
        );
    }

    proptest! {
        #[test]
        fn any_bytes_end(bytes in proptest::collection::vec(any::<u8>(), 0..2000), sequence in 0u32..3) {
            prop_assert!(Messages::new(&bytes, sequence).count() <= bytes.len() / HEADER + 1);
            let _ = socket(&bytes, Transport::Tcp, 1);
        }

        #[test]
        fn any_attributes_end(tail in proptest::collection::vec(any::<u8>(), 0..600), state in 1u8..12) {
            let mut bytes = body(libc::AF_INET6, state);
            bytes.extend(tail);
            prop_assert!(socket(&bytes, Transport::Tcp, 1).is_some());
        }
    }
}
