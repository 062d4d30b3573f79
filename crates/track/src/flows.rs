//! Conversations as packets tell of them: who talks to whom, how much, how far it came, and what was said.
//!
//! In: decoded packets and the passing of time. Out: `ConnectionOpened`, `ConnectionUpdated` (progress of long ones),
//! `ConnectionClosed` and `Protocol`. Bounded: at the limit of rows, the one whose time would be over first is ended
//! early and counted; above nine tenths of it, time-outs are cut. See [`FlowOptions`].

mod account;
mod expected;
mod history;
mod key;
mod losses;
mod owners;
mod row;
mod server_ports;
mod shown;
mod table;
mod talk;
mod tcp;
mod tell;
mod timeouts;
mod totals;
mod touched;
mod wheel;

use atalaya_model::{Basis, Event, Networks, Text, Time, Wire};
use atalaya_wire::capture::Whose;
use atalaya_wire::{Limits, Packet, Said};
use foldhash::HashMap;

use self::expected::Expected;
use self::key::Key;
use self::owners::Owners;
use self::row::Row;
use self::table::Table;
use self::touched::Touched;
use self::wheel::Wheel;

pub use self::losses::StreamLosses;
pub(crate) use self::talk::Talk;
pub(crate) use self::tell::turn;
pub use self::timeouts::TimeOuts;
pub use self::totals::Count;
pub(crate) use self::touched::Flowed;
use crate::services::ServiceNames;

/// How conversations are followed.
#[derive(Clone, Debug)]
pub struct FlowOptions {
    /// Most conversations at once. A row takes 320 bytes, its index 9; who speaks in it about 1 KB more.
    pub most: usize,
    /// How long each kind is waited for.
    pub times: TimeOuts,
    /// How much is read.
    pub limits: Limits,
    /// Conversations can be taken out by their ids (which costs 24 bytes each), and are counted for the bandwidth (4
    /// more): where the kernel tells of them too.
    pub by_id: bool,
    /// The same addresses and ports in another VLAN are another conversation.
    pub apart_by_vlan: bool,
}

impl Default for FlowOptions {
    /// 400,000 conversations, Zeek's time-outs, VLANs apart.
    fn default() -> Self {
        Self {
            most: 400_000,
            times: TimeOuts::default(),
            limits: Limits::default(),
            by_id: false,
            apart_by_vlan: true,
        }
    }
}

/// What of the tracker is needed to tell of a flow.
pub(crate) struct Ground<'a> {
    pub(crate) networks: &'a Networks,
    pub(crate) services: &'a mut ServiceNames,
    pub(crate) names: &'a mut crate::names::Names,
    pub(crate) atlas: &'a mut crate::atlas::Cache,
    pub(crate) last_id: &'a mut u64,
}

/// The table of conversations.
#[derive(Debug)]
pub(crate) struct Flows {
    options: FlowOptions,
    table: Table,
    wheel: Wheel,
    /// The latest time that was seen.
    clock: Time,
    /// Rows by the ids of their connections, where that is asked for.
    ids: HashMap<u64, u32>,
    /// Whose they are, as a capture says.
    owners: Owners,
    interfaces: Vec<Option<Text>>,
    totals: totals::Totals,
    expected: Expected,
    /// For the bandwidth, where that is counted.
    touched: Option<Touched>,
    /// Conversations that were ended early since the last gap, for want of room.
    hurried: u64,
    lost: losses::Losses,
    /// Packets that were counted already on another interface.
    seen_again: u64,
    /// Rows whose second was there, and that were not looked at yet.
    due: Vec<u32>,
    /// Rows that are still to be ended, the last first, while everything ends.
    ending: Vec<u32>,
    said: Vec<Said>,
}

/// Rows that are looked at before a packet, at most: more than packets can add.
const AT_ONCE: usize = 64;

impl Flows {
    pub(crate) fn new(options: FlowOptions) -> Self {
        Self {
            touched: options.by_id.then(Touched::default),
            options,
            table: Table::default(),
            wheel: Wheel::new(),
            clock: Time(i64::MIN),
            ids: HashMap::default(),
            owners: Owners::default(),
            interfaces: Vec::new(),
            totals: totals::Totals::default(),
            expected: Expected::default(),
            hurried: 0,
            lost: losses::Losses::default(),
            seen_again: 0,
            due: Vec::new(),
            ending: Vec::new(),
            said: Vec::new(),
        }
    }

    /// Calls an interface by name from now on.
    pub(crate) fn name_interface(&mut self, number: u32, name: Text) {
        /// More have no name.
        const MOST: usize = 4_096;
        let number = number as usize;
        if number < MOST {
            let length = self.interfaces.len().max(number + 1);
            self.interfaces.resize(length, None);
            self.interfaces[number] = Some(name);
        }
    }

    /// Conversations that are followed now.
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    /// Bytes that the table takes, without what its speakers keep.
    pub(crate) fn bytes(&self) -> usize {
        let rows = self.table.slots().filter_map(|slot| self.table.get(slot));
        self.table.bytes() + rows.map(Row::heap_bytes).sum::<usize>()
    }

    /// Ends a conversation. Only where they are kept by id.
    pub(crate) fn end_by_id(&mut self, id: u64, ground: &mut Ground<'_>, out: &mut Vec<Event>) {
        if let Some(&slot) = self.ids.get(&id) {
            self.end(slot, ground, out);
        }
    }

    /// Forgets what time it is: what comes next may be older. Only when nothing is followed.
    pub(crate) fn rewind(&mut self) {
        self.clock = Time(i64::MIN);
        self.wheel = Wheel::new();
        self.due.clear();
    }

    /// Takes a row out of everything.
    fn remove(&mut self, slot: u32) -> Option<Row> {
        self.wheel.remove(slot, &mut self.table);
        let row = self.table.remove(slot)?;
        if self.options.by_id {
            self.ids.remove(&row.id);
        }
        if let Some(touched) = &mut self.touched {
            touched.end(slot, &row);
        }
        Some(row)
    }

    fn wire_of(&self, row: &Row) -> Wire {
        let interface = self.interfaces.get(usize::from(row.interface));
        Wire {
            interface: interface.cloned().flatten(),
            ..row.wire()
        }
    }

    /// Takes a packet, and whose it is where a capture says so.
    pub(crate) fn packet(
        &mut self,
        packet: &Packet<'_>,
        whose: Whose<'_>,
        ground: &mut Ground<'_>,
        out: &mut Vec<Event>,
    ) {
        self.pass(packet.time, AT_ONCE, ground, out);
        let vlans = if self.options.apart_by_vlan {
            packet.vlans
        } else {
            [0; 3]
        };
        let (key, end) = Key::of(packet, vlans);
        let known = self.table.find(&key);
        let slot = match known {
            Some(slot) if self.is_another(slot, packet) => {
                self.end(slot, ground, out);
                self.begin(key, end, packet, ground, out)
            }
            Some(slot) => slot,
            None => self.begin(key, end, packet, ground, out),
        };
        if whose.process.is_some()
            && let Some(row) = self.table.get_mut(slot)
        {
            self.owners.learn(row, end, whose, ground.networks);
        }
        self.account(slot, end, packet, ground, out);
    }

    /// The conversation in the table is over, and this packet begins another.
    fn is_another(&self, slot: u32, packet: &Packet<'_>) -> bool {
        let Some(row) = self.table.get(slot) else {
            return false;
        };
        packet.time > row.deadline(&self.options.times) || account::begins_anew(row, packet)
    }

    /// A new row; makes room where there is none.
    fn begin(
        &mut self,
        key: Key,
        end: key::End,
        packet: &Packet<'_>,
        ground: &mut Ground<'_>,
        out: &mut Vec<Event>,
    ) -> u32 {
        while self.table.len() >= self.options.most.max(1) {
            let Some(slot) = self.wheel.first().or_else(|| self.due.pop()) else {
                break;
            };
            self.hurried += 1;
            self.end(slot, ground, out);
        }
        *ground.last_id += 1;
        let mut row = Row::new(key, end, packet, ground.networks, *ground.last_id);
        if row.is_tcp() && !self.expected.is_empty() {
            let announced = self.expected.take(key.endpoint(!row.source), packet.time);
            row.application = announced.map(|application| (application, Basis::Content));
        }
        let id = row.id;
        let slot = self.table.insert(row);
        if self.options.by_id {
            self.ids.insert(id, slot);
        }
        slot
    }

    /// Lets time pass: ends what is over, and tells of what lasts. Looks at `most` rows; the others wait for the next
    /// call, so that a second in which many end does not fill memory with what is to be told of them.
    pub(crate) fn pass(&mut self, now: Time, most: usize, ground: &mut Ground<'_>, out: &mut Vec<Event>) {
        self.clock = self.clock.max(now);
        if now.seconds() > self.wheel.now() {
            self.wheel.advance(now.seconds(), &mut self.table, &mut self.due);
            if self.hurried > 0 {
                let count = std::mem::take(&mut self.hurried);
                out.push(tell::hurried(now, count));
            }
            self.lost.tell(now, false, out);
        }
        out.reserve(self.count_over(&self.due, most));
        for _ in 0..most {
            let Some(slot) = self.due.pop() else {
                return;
            };
            self.look_at(slot, ground, out);
        }
    }

    /// How many of the last `most` rows are over. Rows that nobody looked at for long are in no cache of the processor:
    /// to ask for many before the first is dealt with is to wait for memory once.
    fn count_over(&self, slots: &[u32], most: usize) -> usize {
        let rows = slots.iter().rev().take(most);
        let rows = rows.filter_map(|slot| self.table.get(*slot));
        rows.filter(|row| row.deadline(&self.options.times) <= self.clock)
            .count()
    }

    /// A row's second is there.
    fn look_at(&mut self, slot: u32, ground: &mut Ground<'_>, out: &mut Vec<Event>) {
        let now = self.clock;
        let is_crowded = self.table.len() / 9 > self.options.most / 10;
        let Some(row) = self.table.get(slot) else {
            return;
        };
        let ordinary = row.deadline(&self.options.times);
        if ordinary <= now {
            self.end(slot, ground, out);
        } else if is_crowded && row.deadline(&self.options.times.hurried()) <= now {
            self.hurried += 1;
            self.end(slot, ground, out);
        } else {
            self.tell_progress(slot, ground, out);
            self.schedule(slot);
        }
    }

    /// Puts a row where it is looked at next.
    fn schedule(&mut self, slot: u32) {
        let Some(row) = self.table.get(slot) else {
            return;
        };
        let progress = row.started.after(timeouts::progress(row.progress));
        let next = row.deadline(&self.options.times).min(progress);
        self.wheel.remove(slot, &mut self.table);
        self.wheel
            .insert(next.seconds().saturating_add(1), slot, &mut self.table);
    }

    /// Ends `most` conversations; false when there are no more.
    pub(crate) fn finish(&mut self, most: usize, ground: &mut Ground<'_>, out: &mut Vec<Event>) -> bool {
        if self.ending.is_empty() {
            self.ending = self.table.slots().collect();
            let id = |slot: &u32| self.table.get(*slot).map(|row| row.id);
            self.ending.sort_by_cached_key(|slot| std::cmp::Reverse(id(slot)));
        }
        out.reserve(self.count_over(&self.ending, most));
        for _ in 0..most {
            let Some(slot) = self.ending.pop() else {
                break;
            };
            self.end(slot, ground, out);
        }
        if !self.ending.is_empty() {
            return true;
        }
        if self.hurried > 0 {
            let count = std::mem::take(&mut self.hurried);
            out.push(tell::hurried(self.clock, count));
        }
        self.lost.tell(self.clock, true, out);
        false
    }

    /// Packets that crossed more than one captured interface, each time but the first.
    pub(crate) const fn seen_again(&self) -> u64 {
        self.seen_again
    }

    /// What was lost in streams so far.
    pub(crate) const fn stream_losses(&self) -> StreamLosses {
        self.lost.all()
    }

    /// What went by on each interface so far.
    pub(crate) fn interface_counts(&self) -> Vec<(u32, Option<Text>, Count)> {
        self.totals.interfaces(&self.interfaces)
    }
}

#[cfg(test)]
mod tests;
