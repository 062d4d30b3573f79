//! What went by in all: enough for a summary.

use std::collections::BTreeMap;

use atalaya_model::{Application, Basis, Text, Transport};
use atalaya_wire::Packet;

use super::row::Row;

/// Connections, packets and bytes of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Conversations that ended.
    pub connections: u64,
    /// Packets of the Internet Protocol, those in tunnels among them; in all, and on an interface: frames.
    pub packets: u64,
    /// Whole frames, as long as they were on the wire.
    pub bytes: u64,
}

impl Count {
    const fn add(&mut self, packets: u64, bytes: u64) {
        self.packets += packets;
        self.bytes += bytes;
    }
}

/// What went by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Everything.
    pub all: Count,
    /// By interface: its number, and its name where known.
    pub interfaces: Vec<(u32, Option<Text>, Count)>,
    /// By transport.
    pub transports: Vec<(Transport, Count)>,
    /// By application of ended conversations; `None` where nobody knows it.
    pub applications: Vec<(Option<Application>, Count)>,
}

/// Interfaces that are counted apart; the last one counts all others.
const MOST_INTERFACES: usize = 1_024;

#[derive(Debug, Default)]
pub(super) struct Totals {
    all: Count,
    interfaces: Vec<Count>,
    transports: BTreeMap<Transport, Count>,
    applications: BTreeMap<Option<Application>, Count>,
}

impl Totals {
    pub(super) fn count(&mut self, packet: &Packet<'_>) {
        // What is inside a tunnel came in the frame of what is around it, which the decoder gave before.
        if !packet.tunnels.is_empty() {
            return;
        }
        let (packets, bytes) = (packet.frames.into(), packet.frame_bytes.into());
        self.all.add(packets, bytes);
        let interface = (packet.interface as usize).min(MOST_INTERFACES - 1);
        if self.interfaces.len() <= interface {
            self.interfaces.resize(interface + 1, Count::default());
        }
        if let Some(count) = self.interfaces.get_mut(interface) {
            count.add(packets, bytes);
        }
    }

    /// A conversation ended.
    pub(super) fn end(&mut self, row: &Row) {
        self.all.connections += 1;
        let content = row.application().filter(|(_, basis)| *basis == Basis::Content);
        let application = content.map(|(application, _)| application);
        for count in [
            self.transports.entry(row.transport()).or_default(),
            self.applications.entry(application).or_default(),
        ] {
            count.connections += 1;
            for lane in &row.lanes {
                count.add(lane.packets, lane.frame_bytes);
            }
        }
    }

    /// What went by on each interface.
    pub(super) fn interfaces(&self, names: &[Option<Text>]) -> Vec<(u32, Option<Text>, Count)> {
        let seen = (0u32..).zip(&self.interfaces);
        seen.filter(|(_, count)| count.packets > 0)
            .map(|(number, count)| (number, names.get(number as usize).cloned().flatten(), *count))
            .collect()
    }

    pub(super) fn summary(&self, names: &[Option<Text>]) -> Summary {
        Summary {
            all: self.all,
            interfaces: self.interfaces(names),
            transports: self
                .transports
                .iter()
                .map(|(key, count)| (*key, *count))
                .collect(),
            applications: self
                .applications
                .iter()
                .map(|(key, count)| (*key, *count))
                .collect(),
        }
    }
}
