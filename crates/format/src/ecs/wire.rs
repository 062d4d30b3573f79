//! What packets tell of a connection: the members that stand beside others, and those that stand alone.

use atalaya_model::Wire;

use super::said::{self, Much};
use crate::json::Object;

/// Of `network`.
pub(super) fn network(it: &mut Object<'_>, wire: &Wire) {
    if let Some((application, _)) = wire.application {
        it.word("application", application.name());
    }
    let [outer, inner, _] = wire.vlans;
    if outer > 0 {
        it.object("vlan", |it| it.number("id", outer));
    }
    if inner > 0 {
        it.object("inner", |it| it.object("vlan", |it| it.number("id", inner)));
    }
}

/// Of `connection`.
pub(super) fn connection(it: &mut Object<'_>, wire: &Wire) {
    if let Some((_, basis)) = wire.application {
        it.word("application_basis", basis.name());
    }
    it.some_text("tunnel", wire.tunnel.as_deref());
    it.number("source_ip_bytes", wire.source.ip_bytes);
    it.number("destination_ip_bytes", wire.destination.ip_bytes);
    for (name, count) in [
        ("segments_sent_again", wire.sent_again()),
        ("segments_out_of_order", wire.out_of_order()),
    ] {
        if count > 0 {
            it.number(name, count);
        }
    }
}

/// Objects of their own: state and history with the names under which Filebeat keeps Zeek's, and what was spoken.
pub(super) fn spoken(line: &mut Object<'_>, wire: &Wire) {
    line.object("zeek", |it| {
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
    if let Some(tls) = &wire.tls {
        said::tls(line, tls, Much::Little);
    }
    if let Some(http) = &wire.http {
        said::http(line, http);
    }
    if let Some(ssh) = &wire.ssh {
        said::ssh(line, ssh);
    }
}
