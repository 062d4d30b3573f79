//! What went by on each interface.

use atalaya_model::Text;
use atalaya_wire::Packet;

/// Frames and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Frames.
    pub packets: u64,
    /// They as long as they were on the wire.
    pub bytes: u64,
}

/// Interfaces that are counted apart; the last one counts all others.
const MOST_INTERFACES: usize = 1_024;

#[derive(Debug, Default)]
pub(super) struct Totals(Vec<Count>);

impl Totals {
    pub(super) fn count(&mut self, packet: &Packet<'_>) {
        // What is inside a tunnel came in the frame of what is around it, which the decoder gave before.
        if !packet.tunnels.is_empty() {
            return;
        }
        let interface = (packet.interface as usize).min(MOST_INTERFACES - 1);
        if self.0.len() <= interface {
            self.0.resize(interface + 1, Count::default());
        }
        if let Some(count) = self.0.get_mut(interface) {
            count.packets += u64::from(packet.frames);
            count.bytes += u64::from(packet.frame_bytes);
        }
    }

    /// What went by on each interface: its number, its name where known, and how much.
    pub(super) fn interfaces(&self, names: &[Option<Text>]) -> Vec<(u32, Option<Text>, Count)> {
        let seen = (0u32..).zip(&self.0);
        seen.filter(|(_, count)| count.packets > 0)
            .map(|(number, count)| (number, names.get(number as usize).cloned().flatten(), *count))
            .collect()
    }
}
