//! The interfaces of a network namespace, by rtnetlink: asked for, and told when they change.
//!
//! Layouts from `linux/rtnetlink.h` and `linux/if_link.h`. Every read is checked.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use atalaya_wire::LinkType;
use netlink_sys::protocols::NETLINK_ROUTE;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;
const DONE: u16 = 3;
const ERROR: u16 = 2;
const REQUEST_DUMP: u16 = 0x301;
/// The multicast group that tells changes.
const GROUP: u32 = 1;
const NAME: u16 = 3;
const PARENT: u16 = 5;
const MASTER: u16 = 10;
const INFORMATION: u16 = 18;
const KIND: u16 = 1;
const PARENT_NAMESPACE: u16 = 37;
const HEADER: usize = 16;
/// Most interfaces read.
const MOST: usize = 16_384;

/// One interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) number: u32,
    pub(super) name: String,
    /// `ARPHRD_*`
    pub(super) hardware: u16,
    pub(super) is_up: bool,
    /// The interface that it lies upon, in the same namespace.
    parent: Option<u32>,
    /// The bridge or bond that it is a part of.
    master: Option<u32>,
    /// `vlan`, `bridge`, `bond`, `veth` and so on; empty for hardware.
    kind: String,
}

impl Link {
    /// What its frames begin with, as a raw packet socket gives them; `None` where that is nothing we know.
    ///
    /// A device without a link layer of its own (tunnels, PPP) gives IP packets.
    pub(super) fn link_type(&self) -> Option<LinkType> {
        match self.hardware {
            libc::ARPHRD_ETHER | libc::ARPHRD_LOOPBACK => Some(LinkType::ETHERNET),
            libc::ARPHRD_NONE | RAW_IP | libc::ARPHRD_PPP => Some(LinkType::RAW),
            libc::ARPHRD_TUNNEL | libc::ARPHRD_TUNNEL6 | libc::ARPHRD_SIT => Some(LinkType::RAW),
            libc::ARPHRD_IPGRE | IPV6_GRE => Some(LinkType::RAW),
            libc::ARPHRD_CISCO => Some(LinkType::CISCO_HDLC),
            libc::ARPHRD_IEEE80211 => Some(LinkType::IEEE802_11),
            libc::ARPHRD_IEEE80211_PRISM => Some(LinkType::PRISM),
            libc::ARPHRD_IEEE80211_RADIOTAP => Some(LinkType::RADIOTAP),
            _ => None,
        }
    }

    pub(super) const fn is_loopback(&self) -> bool {
        self.hardware == libc::ARPHRD_LOOPBACK
    }

    /// Another of these carries its frames, too, so that each would be counted twice.
    pub(super) fn is_seen_elsewhere(&self, all: &[Self]) -> bool {
        let find = |number: Option<u32>| all.iter().find(|link| Some(link.number) == number);
        match self.kind.as_str() {
            "vlan" => find(self.parent).is_some(),
            "bridge" => all.iter().any(|link| link.master == Some(self.number)),
            _ => find(self.master).is_some_and(|master| matches!(master.kind.as_str(), "bond" | "team")),
        }
    }
}

const RAW_IP: u16 = 519;
const IPV6_GRE: u16 = 823;

/// Reads the list, and tells when it may have changed.
#[derive(Debug)]
pub(super) struct Links {
    asked: netlink_sys::Socket,
    told: netlink_sys::Socket,
    buffer: Box<[u8]>,
    sequence: u32,
}

impl Links {
    /// Of the calling thread's namespace.
    pub(super) fn open() -> io::Result<Self> {
        let mut asked = netlink_sys::Socket::new(NETLINK_ROUTE)?;
        asked.bind_auto()?;
        let mut told = netlink_sys::Socket::new(NETLINK_ROUTE)?;
        told.bind_auto()?;
        told.add_membership(GROUP)?;
        Ok(Self {
            asked,
            told,
            buffer: vec![0; 64 << 10].into_boxed_slice(),
            sequence: 0,
        })
    }

    /// Forgets the changes that were told: the list is about to be read.
    pub(super) fn forget_changes(&mut self) {
        for _ in 0..MOST {
            match recv(&self.told, &mut *self.buffer, RecvFlags::DONTWAIT) {
                Ok(_) | Err(Errno::NOBUFS | Errno::INTR) => {}
                Err(_) => return,
            }
        }
    }

    /// The interfaces, by number.
    pub(super) fn list(&mut self) -> io::Result<Vec<Link>> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut request = [0u8; HEADER + 16];
        request[..4].copy_from_slice(&32u32.to_ne_bytes());
        request[4..6].copy_from_slice(&RTM_GETLINK.to_ne_bytes());
        request[6..8].copy_from_slice(&REQUEST_DUMP.to_ne_bytes());
        request[8..12].copy_from_slice(&self.sequence.to_ne_bytes());
        send(&self.asked, &request, SendFlags::empty())?;
        let mut links = Vec::new();
        loop {
            let length = match recv(&self.asked, &mut *self.buffer, RecvFlags::empty()) {
                Ok((length, _)) => length,
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            };
            if read(
                self.buffer.get(..length).unwrap_or_default(),
                self.sequence,
                &mut links,
            )? {
                links.sort_unstable_by_key(|link| link.number);
                return Ok(links);
            }
        }
    }

    /// A socket of the namespace, for other questions.
    pub(super) fn socket(&self) -> BorrowedFd<'_> {
        self.asked.as_fd()
    }
}

impl AsFd for Links {
    /// Readable when the list may have changed.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.told.as_fd()
    }
}

/// Reads one buffer of an answer; says whether the answer is complete.
fn read(mut buffer: &[u8], sequence: u32, links: &mut Vec<Link>) -> io::Result<bool> {
    while let (Some(length), Some(kind), Some(number)) = (long(buffer, 0), short(buffer, 4), long(buffer, 8))
    {
        let Some(body) = buffer.get(HEADER..length as usize) else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        if number == sequence {
            match kind {
                DONE => return Ok(true),
                ERROR => {
                    let error = long(body, 0).map_or(libc::EIO, |error| (error as i32).wrapping_neg());
                    return Err(io::Error::from_raw_os_error(error));
                }
                RTM_NEWLINK if links.len() < MOST => links.extend(link(body)),
                _ => {}
            }
        }
        buffer = buffer
            .get((length as usize).next_multiple_of(4)..)
            .unwrap_or_default();
    }
    Ok(false)
}

/// The interface that one message describes.
fn link(body: &[u8]) -> Option<Link> {
    let mut link = Link {
        number: long(body, 4)?,
        hardware: short(body, 2)?,
        is_up: long(body, 8)? & 1 != 0,
        ..Link::default()
    };
    let mut is_parent_elsewhere = false;
    for (kind, value) in attributes(body.get(16..)?) {
        match kind {
            NAME => link.name = text(value),
            PARENT => link.parent = long(value, 0),
            PARENT_NAMESPACE => is_parent_elsewhere = true,
            MASTER => link.master = long(value, 0),
            INFORMATION => {
                let kind = attributes(value).find(|(kind, _)| *kind == KIND);
                link.kind = kind.map(|(_, value)| text(value)).unwrap_or_default();
            }
            _ => {}
        }
    }
    if is_parent_elsewhere {
        link.parent = None;
    }
    (link.number > 0 && !link.name.is_empty()).then_some(link)
}

fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(short(bytes, 0)?);
        let found = (short(bytes, 2)? & 0x3fff, bytes.get(4..length)?);
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(found)
    })
}

fn text(bytes: &[u8]) -> String {
    let bytes = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(bytes).into_owned()
}

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn long(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_loopback_interface_is_found() {
        let mut links = Links::open().unwrap();
        let list = links.list().unwrap();
        let lo = list.iter().find(|link| link.name == "lo").unwrap();
        assert!(lo.is_loopback() && lo.link_type() == Some(LinkType::ETHERNET));
        assert_eq!(links.list().unwrap(), list);
    }

    fn a_link(number: u32, kind: &str, parent: Option<u32>, master: Option<u32>) -> Link {
        Link {
            number,
            kind: kind.into(),
            parent,
            master,
            ..Link::default()
        }
    }

    #[test]
    fn no_frame_is_taken_twice() {
        let all = [
            a_link(1, "", None, Some(2)),
            a_link(2, "bond", None, None),
            a_link(3, "vlan", Some(2), None),
            a_link(4, "veth", None, Some(5)),
            a_link(5, "bridge", None, None),
            a_link(6, "bridge", None, None),
            a_link(7, "vlan", Some(99), None),
        ];
        let twice = |link: &Link| link.is_seen_elsewhere(&all);
        let left: Vec<_> = all
            .iter()
            .filter(|link| !twice(link))
            .map(|link| link.number)
            .collect();
        assert_eq!(left, [2, 4, 6, 7]);
    }

    proptest! {
        #[test]
        fn any_answer_is_read(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut links = Vec::new();
            drop(read(&bytes, 0, &mut links));
            drop(link(&bytes));
            prop_assert!(links.len() <= bytes.len() / HEADER);
        }
    }
}
