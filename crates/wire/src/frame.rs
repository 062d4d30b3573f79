//! A captured frame, and the kinds of link it may come from.

use atalaya_model::Time;

/// One frame as it was captured.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// When it was captured.
    pub time: Time,
    /// What its first bytes are.
    pub link: LinkType,
    /// Number of the interface in its source (a file's sections and interfaces, or the ring's list).
    pub interface: u32,
    /// Bytes on the wire; at least `data.len()`.
    pub length: u32,
    /// What was captured of it.
    pub data: &'a [u8],
    /// A VLAN tag that the network card took out of the frame: its 16 bits.
    pub vlan: Option<u16>,
}

/// The kind of a link: the number of the registry at tcpdump.org.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkType(pub u16);

impl LinkType {
    /// BSD loopback: four bytes of address family in the byte order of the host.
    pub const NULL: Self = Self(0);
    /// Ethernet.
    pub const ETHERNET: Self = Self(1);
    /// PPP.
    pub const PPP: Self = Self(9);
    /// Raw IP, by version; BSD's number in files of other systems.
    pub const RAW_BSD: Self = Self(12);
    /// Raw IP, by version; OpenBSD's number.
    pub const RAW_OPENBSD: Self = Self(14);
    /// PPP in HDLC-like framing.
    pub const PPP_HDLC: Self = Self(50);
    /// PPPoE session packets without Ethernet.
    pub const PPPOE: Self = Self(51);
    /// LLC over ATM.
    pub const ATM_RFC1483: Self = Self(100);
    /// Raw IP, by version.
    pub const RAW: Self = Self(101);
    /// Cisco HDLC.
    pub const CISCO_HDLC: Self = Self(104);
    /// 802.11 without radio head.
    pub const IEEE802_11: Self = Self(105);
    /// Frame Relay.
    pub const FRAME_RELAY: Self = Self(107);
    /// OpenBSD loopback: as `NULL`, in network byte order.
    pub const LOOP: Self = Self(108);
    /// Linux cooked capture.
    pub const LINUX_SLL: Self = Self(113);
    /// 802.11 with a Prism head.
    pub const PRISM: Self = Self(119);
    /// 802.11 with a radiotap head.
    pub const RADIOTAP: Self = Self(127);
    /// 802.11 with an AVS head.
    pub const AVS: Self = Self(163);
    /// PPP after a byte that says who sent it.
    pub const PPP_WITH_DIRECTION: Self = Self(204);
    /// Per-packet information.
    pub const PPI: Self = Self(192);
    /// Raw IPv4.
    pub const IPV4: Self = Self(228);
    /// Raw IPv6.
    pub const IPV6: Self = Self(229);
    /// Linux netfilter log.
    pub const NFLOG: Self = Self(239);
    /// Linux cooked capture, version 2.
    pub const LINUX_SLL2: Self = Self(276);
}
