//! What packets tell of a connection, beside what is said in it. Each function writes the value of one member, and says
//! whether there is one.

use atalaya_model::Wire;

use crate::json::{self, object};

/// A word of ours.
fn word(out: &mut String, word: &str) -> bool {
    out.push('"');
    out.push_str(word);
    out.push('"');
    true
}

pub(super) fn application(out: &mut String, wire: &Wire) -> bool {
    wire.application
        .is_some_and(|(application, _)| word(out, application.name()))
}

pub(super) fn basis(out: &mut String, wire: &Wire) -> bool {
    wire.application.is_some_and(|(_, basis)| word(out, basis.name()))
}

pub(super) fn vlan(out: &mut String, wire: &Wire) -> bool {
    let outer = wire.vlans[0];
    if outer > 0 {
        object(out, |it| it.number("id", outer));
    }
    outer > 0
}

pub(super) fn inner(out: &mut String, wire: &Wire) -> bool {
    let inner = wire.vlans[1];
    if inner > 0 {
        object(out, |it| it.object("vlan", |it| it.number("id", inner)));
    }
    inner > 0
}

pub(super) fn tunnel(out: &mut String, wire: &Wire) -> bool {
    wire.tunnel
        .as_deref()
        .map(|tunnel| json::text(out, tunnel))
        .is_some()
}

pub(super) fn ingress(out: &mut String, wire: &Wire) -> bool {
    let name = wire.interface.as_deref();
    let write = |name| object(out, |it| it.object("interface", |it| it.text("name", name)));
    name.map(write).is_some()
}

/// Segments that either side sent again, where any was.
pub(super) fn sent_again(wire: &Wire) -> Option<u64> {
    let sum = u64::from(wire.source.retransmits) + u64::from(wire.destination.retransmits);
    (sum > 0).then_some(sum)
}

/// Segments that overtook others, where any did.
pub(super) fn out_of_order(wire: &Wire) -> Option<u64> {
    let sum = u64::from(wire.source.out_of_order) + u64::from(wire.destination.out_of_order);
    (sum > 0).then_some(sum)
}

/// State and history with the names under which Filebeat keeps Zeek's.
pub(super) fn zeek(out: &mut String, wire: &Wire) -> bool {
    object(out, |it| {
        it.object("connection", |it| {
            it.word("state", wire.state.name());
            if !wire.history.is_empty() {
                it.text("history", &wire.history);
            }
            let missed = wire
                .source
                .missed_bytes
                .saturating_add(wire.destination.missed_bytes);
            if missed > 0 {
                it.number("missed_bytes", missed);
            }
        });
    });
    true
}
