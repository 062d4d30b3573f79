//! What packets say of the bandwidth: taken once a second, and given to whom it belongs a little later.

use atalaya_model::{Side, Span, Time};

use crate::flows::Flowed;
use crate::join::Join;
use crate::meter::{Meter, Part, Whose};
use crate::tracker::Tracker;

/// How long an amount waits until the kernel has told of its socket.
const DELAY: Span = Span::from_seconds(2);

impl Tracker {
    /// Takes what went by until `now`, where the kernel tells of sockets, too; at most once a second.
    pub(super) fn meter_packets(&mut self, now: Time) {
        let Some(packets) = self.packets.as_deref_mut() else {
            return;
        };
        let now = now.min(packets.read_until);
        let Some(join) = &packets.join else {
            return;
        };
        if now == Time(i64::MIN) || !packets.rates.is_due(now) {
            return;
        }
        packets.rates.take(now, packets.flows.interface_counts());
        let mut flowed = Vec::new();
        let rest = packets.flows.take_flowed(&mut flowed);
        packets.flowed.push_back((now, flowed, rest));
        let is_over = |time| now.since(time) >= DELAY || now < time;
        while let Some((time, flowed, rest)) = packets.flowed.pop_front_if(|(time, ..)| is_over(*time)) {
            flowed
                .iter()
                .for_each(|flowed| give(flowed, join, &mut self.meter));
            self.meter.add(Whose::NOBODY, rest);
            self.meter.pass(time);
        }
    }
}

/// Gives what went by in a conversation to the processes at its ends; what nobody has is told apart all the same.
fn give(flowed: &Flowed, join: &Join, meter: &mut Meter) {
    let whole = if flowed.is_inside {
        Part::Inside
    } else {
        Part::Whole
    };
    let [source, destination] = join.owners(flowed.transport, flowed.source, flowed.destination);
    let sides = match (&source, &destination) {
        (None, None) => [true, false].map(|is_source| is_source == (flowed.side == Side::Source)),
        _ => [source.is_some(), destination.is_some()],
    };
    let mut part = whole;
    for (is_there, owner, remote, amount) in [
        (sides[0], source, flowed.destination, flowed.amount),
        (sides[1], destination, flowed.source, flowed.amount.turned()),
    ] {
        if is_there {
            let whose = Whose {
                process: owner.and_then(|owner| owner.process),
                remote: Some(remote.ip),
                name: owner.and_then(|owner| owner.name),
                spoken: flowed.spoken,
                part,
            };
            meter.add(whose, amount);
            part = Part::Again;
        }
    }
}
