//! Transports and socket states, by the kernel's numbers and the field's names.

use serde::{Deserialize, Serialize};

/// The transport of a conversation, by IP protocol number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names are the protocols' own")]
pub enum Transport {
    Icmp,
    Tcp,
    Udp,
    Dccp,
    Icmpv6,
    Sctp,
    UdpLite,
    /// Any other IP protocol, by its number.
    Raw(u8),
}

impl Transport {
    /// The IP protocol number.
    pub const fn number(self) -> u8 {
        match self {
            Self::Icmp => 1,
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Dccp => 33,
            Self::Icmpv6 => 58,
            Self::Sctp => 132,
            Self::UdpLite => 136,
            Self::Raw(number) => number,
        }
    }

    /// The transport with this IP protocol number.
    pub const fn from_number(number: u8) -> Self {
        match number {
            1 => Self::Icmp,
            6 => Self::Tcp,
            17 => Self::Udp,
            33 => Self::Dccp,
            58 => Self::Icmpv6,
            132 => Self::Sctp,
            136 => Self::UdpLite,
            other => Self::Raw(other),
        }
    }

    /// The lower-case name that ECS uses; `raw` for a transport without a name of its own.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Icmp => "icmp",
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Dccp => "dccp",
            Self::Icmpv6 => "ipv6-icmp",
            Self::Sctp => "sctp",
            Self::UdpLite => "udplite",
            Self::Raw(_) => "raw",
        }
    }
}

/// The state of a socket, by the kernel's `TCP_*` numbers; UDP and others use `Established` (connected) and `Close`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(missing_docs, reason = "the names are the kernel's own")]
pub enum SocketState {
    Established = 1,
    SynSent = 2,
    SynReceived = 3,
    FinWait1 = 4,
    FinWait2 = 5,
    TimeWait = 6,
    /// A closed TCP socket, or a UDP socket without a peer (`ss` says UNCONN).
    Close = 7,
    CloseWait = 8,
    LastAck = 9,
    Listen = 10,
    Closing = 11,
}

impl SocketState {
    /// Every state, in the kernel's order.
    pub const ALL: [Self; 11] = [
        Self::Established,
        Self::SynSent,
        Self::SynReceived,
        Self::FinWait1,
        Self::FinWait2,
        Self::TimeWait,
        Self::Close,
        Self::CloseWait,
        Self::LastAck,
        Self::Listen,
        Self::Closing,
    ];

    /// The state with this kernel number (12, `NEW_SYN_RECV`, counts as `SynReceived`).
    pub const fn from_kernel(number: u8) -> Option<Self> {
        match number {
            1..=11 => Some(Self::ALL[number as usize - 1]),
            12 => Some(Self::SynReceived),
            _ => None,
        }
    }

    /// The name that `netstat` prints and that rules and reports use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Established => "ESTABLISHED",
            Self::SynSent => "SYN_SENT",
            Self::SynReceived => "SYN_RECV",
            Self::FinWait1 => "FIN_WAIT1",
            Self::FinWait2 => "FIN_WAIT2",
            Self::TimeWait => "TIME_WAIT",
            Self::Close => "CLOSE",
            Self::CloseWait => "CLOSE_WAIT",
            Self::LastAck => "LAST_ACK",
            Self::Listen => "LISTEN",
            Self::Closing => "CLOSING",
        }
    }

    /// The state with this name, in any case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|state| state.name().eq_ignore_ascii_case(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_go_both_ways() {
        for number in 0..=255 {
            assert_eq!(Transport::from_number(number).number(), number);
        }
        for (index, state) in SocketState::ALL.into_iter().enumerate() {
            assert_eq!(SocketState::from_kernel(index as u8 + 1), Some(state));
            assert_eq!(SocketState::from_name(&state.name().to_lowercase()), Some(state));
        }
        assert_eq!(SocketState::from_kernel(0), None);
        assert_eq!(SocketState::from_kernel(13), None);
    }
}
