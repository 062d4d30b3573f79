//! The frames in one block of a ring: total on any bytes.
//!
//! Layouts from `linux/if_packet.h`: a block has a head of 48 bytes and more, its frames a `tpacket3_hdr` of 48 bytes,
//! then a `sockaddr_ll`.

use atalaya_model::Time;
use atalaya_wire::{Frame, LinkType};

use crate::packets::Captured;

/// Where in a block its status stands.
pub(super) const STATUS: usize = 8;
/// The kernel took the VLAN tag out of the frame and tells it.
const VLAN_VALID: u32 = 1 << 4;
/// Where in a frame its `sockaddr_ll` begins, and in that the kind of packet.
const KIND: usize = 48 + 10;
/// `PACKET_OUTGOING`
const OUTGOING: u8 = 4;

/// What all frames of a ring share.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    pub(super) interface: u32,
    pub(super) link: LinkType,
    pub(super) is_loopback: bool,
}

/// The frames of a block in order.
#[derive(Clone, Debug)]
pub struct Frames<'a> {
    block: &'a [u8],
    offset: usize,
    left: u32,
    origin: Origin,
}

impl<'a> Frames<'a> {
    pub(super) fn new(block: &'a [u8], origin: Origin) -> Self {
        Self {
            block,
            offset: number(block, 16).unwrap_or(0) as usize,
            left: number(block, 12).unwrap_or(0),
            origin,
        }
    }

    /// Frames that the kernel says are left.
    pub(super) fn left(&self) -> u64 {
        u64::from(self.left)
    }

    fn read(&self) -> Option<Captured<'a>> {
        let head = self.block.get(self.offset..)?;
        let (captured, length) = (number(head, 12)? as usize, number(head, 16)?);
        let start = usize::from(u16::from_ne_bytes(*head.get(24..)?.first_chunk()?));
        let status = number(head, 20)?;
        let vlan = (status & VLAN_VALID != 0).then(|| number(head, 32)).flatten();
        let frame = Frame {
            time: Time(i64::from(number(head, 4)?) * 1_000_000 + i64::from(number(head, 8)?) / 1_000),
            link: self.origin.link,
            interface: self.origin.interface,
            length,
            data: head.get(start..)?.get(..captured)?,
            vlan: vlan.map(|tag| (tag & 0xffff) as u16),
        };
        let is_outgoing = *head.get(KIND)? == OUTGOING;
        Some(Captured { frame, is_outgoing })
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Captured<'a>;

    fn next(&mut self) -> Option<Captured<'a>> {
        while self.left > 0 {
            let captured = self.read()?;
            let step = number(self.block, self.offset)? as usize;
            self.left = if step == 0 { 0 } else { self.left - 1 };
            self.offset = self.offset.checked_add(step)?;
            // It will come again, or has come, as one that arrives.
            if !(self.origin.is_loopback && captured.is_outgoing) {
                return Some(captured);
            }
        }
        None
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ORIGIN: Origin = Origin {
        interface: 2,
        link: LinkType::ETHERNET,
        is_loopback: false,
    };

    fn put(bytes: &mut [u8], at: usize, value: u32) {
        bytes[at..at + 4].copy_from_slice(&value.to_ne_bytes());
    }

    /// A block as the kernel writes it.
    fn block(frames: &[(&[u8], u8, Option<u16>)]) -> Vec<u8> {
        let mut block = vec![0; 48];
        put(&mut block, 12, u32::try_from(frames.len()).unwrap());
        put(&mut block, 16, 48);
        for (place, (data, kind, vlan)) in frames.iter().enumerate() {
            let mut frame = vec![0; 80];
            frame.extend_from_slice(data);
            frame.resize(frame.len().next_multiple_of(16), 0);
            let next = if place + 1 == frames.len() { 0 } else { frame.len() };
            let size = u32::try_from(data.len()).unwrap();
            let status = if vlan.is_some() { VLAN_VALID } else { 0 };
            let tag = u32::from(vlan.unwrap_or(0));
            let numbers = [
                (0, u32::try_from(next).unwrap()),
                (4, 100),
                (8, 5_999),
                (12, size),
                (16, size + 9),
            ];
            for (at, value) in numbers.into_iter().chain([(20, status), (32, tag)]) {
                put(&mut frame, at, value);
            }
            frame[24..26].copy_from_slice(&80u16.to_ne_bytes());
            frame[KIND] = *kind;
            block.extend(frame);
        }
        block
    }

    #[test]
    fn frames_come_in_order_with_what_the_kernel_tells() {
        let block = block(&[
            (b"first", 0, None),
            (b"", OUTGOING, Some(0x3005)),
            (b"third one of 17 b", 3, None),
        ]);
        let all: Vec<_> = Frames::new(&block, ORIGIN).collect();
        let seen: Vec<_> = all
            .iter()
            .map(|it| (it.frame.data, it.is_outgoing, it.frame.vlan))
            .collect();
        assert_eq!(
            seen,
            [
                (&b"first"[..], false, None),
                (b"", true, Some(0x3005)),
                (b"third one of 17 b", false, None)
            ]
        );
        assert_eq!((all[0].frame.time, all[0].frame.length), (Time(100_000_005), 14));
        let loopback = Origin {
            is_loopback: true,
            ..ORIGIN
        };
        assert_eq!(Frames::new(&block, loopback).count(), 2);
    }

    proptest! {
        #[test]
        fn any_bytes_give_a_bounded_number_of_frames(mut bytes in prop::collection::vec(any::<u8>(), 0..600), first in 0..600u32) {
            if bytes.len() > 20 {
                put(&mut bytes, 16, first);
            }
            let claimed = number(&bytes, 12).unwrap_or(0) as usize;
            prop_assert!(Frames::new(&bytes, ORIGIN).take(10_000).count() <= claimed);
        }

        #[test]
        fn damage_is_survived(places in prop::collection::vec((0..400usize, any::<u8>()), 1..8)) {
            let mut bytes = block(&[(b"first", 0, None), (b"second", 4, Some(1)), (b"third", 0, None)]);
            for (at, value) in places {
                let size = bytes.len();
                bytes[at % size] = value;
            }
            for captured in Frames::new(&bytes, ORIGIN).take(1_000) {
                prop_assert!(captured.frame.data.len() <= bytes.len());
            }
        }
    }
}
