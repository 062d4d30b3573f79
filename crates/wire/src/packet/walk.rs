//! The way through one frame, layer by layer.

use atalaya_model::Time;

use super::fragments::Fragments;
use super::{Counts, Ip, Options, Packet, Segment, Tunnel, Undecoded};

/// Layers that may be taken off one frame, all its branches together: bounds time and stack on frames made of headers.
pub(super) const LAYERS: u32 = 32;

/// Tunnels that may be opened one inside the other, whatever the options ask.
pub(super) const DEEPEST: usize = 8;

/// What is known around a layer.
#[derive(Clone, Copy)]
pub(super) struct Around<'t> {
    pub(super) time: Time,
    pub(super) interface: u32,
    pub(super) frames: u32,
    pub(super) frame_bytes: u32,
    pub(super) vlans: [u16; 3],
    pub(super) tunnels: &'t [Tunnel],
}

impl Around<'_> {
    /// Inside of one more VLAN; beyond the third they are not told.
    pub(super) fn tagged(mut self, tag: u16) -> Self {
        if let Some(free) = self.vlans.iter_mut().find(|vlan| **vlan == 0) {
            *free = tag & 0x0fff;
        }
        self
    }
}

/// One frame on its way through the layers.
pub(super) struct Walk<'d> {
    pub(super) options: Options,
    pub(super) counts: &'d mut Counts,
    pub(super) fragments: &'d mut Fragments,
    pub(super) take: &'d mut dyn FnMut(&Packet<'_>),
    /// Packets given so far.
    pub(super) given: u32,
    /// Layers that may still be taken off.
    pub(super) layers: u32,
}

impl Walk<'_> {
    /// Takes note of one more layer that is not on the shortest way.
    pub(super) fn step(&mut self) -> Result<(), Undecoded> {
        self.layers = self.layers.checked_sub(1).ok_or(Undecoded::Damaged)?;
        Ok(())
    }

    #[inline]
    pub(super) fn give(&mut self, ip: &Ip, segment: Segment<'_>, around: &Around<'_>) {
        self.given += 1;
        self.counts.packets += 1;
        (self.take)(&Packet {
            time: around.time,
            interface: around.interface,
            frames: around.frames,
            frame_bytes: around.frame_bytes,
            vlans: around.vlans,
            tunnels: around.tunnels,
            ip: *ip,
            segment,
        });
    }
}
