//! Conversations with addresses that a list names.

use std::path::PathBuf;

use atalaya_model::{Event, Fact, Severity, Value};
use serde::{Deserialize, Serialize};

use crate::detector::{Detector, Findings, Scene};
use crate::draft::{Draft, about, identity, is_attempt};
use crate::lists::{Blocklist, Lists, Network};
use crate::registry::Entry;

/// The name of the list that stands in the configuration itself.
pub const OWN_LIST: &str = "configuration";

/// `[detect.blocklisted_address]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Look for it at all.
    pub enabled: bool,
    /// Addresses and networks (CIDR) that nothing here should talk to.
    pub addresses: Vec<Network>,
    /// Files with one address or network a line; `#` begins a comment.
    pub files: Vec<PathBuf>,
    /// Also when such an address connects to this host.
    pub inbound: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            enabled: true,
            addresses: Vec::new(),
            files: Vec::new(),
            inbound: true,
        }
    }
}

pub(crate) const ENTRY: Entry = Entry {
    id: "blocklisted_address",
    sentence: "A process talks with an address that is on a blocklist.",
    severity: Severity::High,
    other_severities: &[],
    techniques: &[("T1071", "Application Layer Protocol", "command-and-control")],
    values: &[
        "program",
        "pid",
        "user_id",
        "destination",
        "name",
        "port",
        "state",
        "address",
        "entry",
        "list",
        "variant",
    ],
    variants: &["inbound", "attempt"],
    limits: "As good as its lists. Unconnected UDP sockets have no peer to compare.",
    build: |options, lists| {
        let options = &options.blocklisted_address;
        options
            .enabled
            .then(|| Box::new(BlocklistedAddress::new(options, lists)) as _)
    },
};

struct BlocklistedAddress {
    list: Blocklist,
    inbound: bool,
}

impl BlocklistedAddress {
    fn new(options: &Options, lists: &Lists) -> Self {
        let mut list = lists.blocklist.clone();
        for network in &options.addresses {
            list.add(OWN_LIST, network.0);
        }
        Self {
            list,
            inbound: options.inbound,
        }
    }
}

impl Detector for BlocklistedAddress {
    fn look_at(&mut self, scene: &Scene<'_>, event: &Event, out: &mut Findings) {
        let Fact::ConnectionOpened(connection) = &event.fact else {
            return;
        };
        if !connection.is_initiator() && !self.inbound {
            return;
        }
        let address = connection.remote().ip;
        let Some((entry, list)) = self.list.find(address) else {
            return;
        };
        let who = identity(connection.process.as_ref(), connection.user_id);
        let key = if connection.is_initiator() {
            format!("{who} → {address}")
        } else {
            format!("{who} ← {address}")
        };
        let mut draft = about(Draft::new(ENTRY.id, scene.time, ENTRY.severity, key), connection)
            .value("address", address)
            .value("entry", Value::Network(entry))
            .value("list", list);
        if !connection.is_initiator() {
            draft = draft.value("variant", "inbound");
        } else if is_attempt(connection) {
            draft = draft.value("variant", "attempt");
        }
        out.findings.push(draft.done());
    }
}

#[cfg(test)]
mod tests {
    use atalaya_model::Severity;

    use super::*;
    use crate::stage::{Stage, inbound, outbound, program};

    fn listed() -> Stage {
        let mut lists = Lists::default();
        lists.blocklist.add_text("feed", "feed.txt", "198.51.100.0/24\n");
        let mut options = crate::Options::default();
        options.blocklisted_address.addresses = vec![Network("2001:db8::/32".parse().unwrap())];
        Stage::with(options, lists)
    }

    #[test]
    fn listed_addresses_are_told_with_their_list() {
        let mut stage = listed();
        let curl = program(7, "/usr/bin/curl", "aa");
        let findings = stage.opens(outbound(1, &curl, "198.51.100.7:443"));
        let found = findings.of("blocklisted_address");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].severity, Severity::High);
        assert_eq!(found[0].value("list"), Some(&"feed".into()));
        assert_eq!(
            found[0].value("entry"),
            Some(&Value::Network("198.51.100.0/24".parse().unwrap()))
        );
        let findings = stage.opens(outbound(2, &curl, "[2001:db8::1]:443"));
        assert_eq!(
            findings.of("blocklisted_address")[0].value("list"),
            Some(&OWN_LIST.into())
        );
        let mut trying = outbound(4, &curl, "198.51.100.9:443");
        trying.state = atalaya_model::SocketState::SynSent;
        let findings = stage.opens(trying);
        let found = findings.of("blocklisted_address");
        assert_eq!(found[0].value("variant"), Some(&"attempt".into()));
        let findings = stage.opens(inbound(3, &curl, "192.0.2.1:80", "198.51.100.8:50000"));
        let found = findings.of("blocklisted_address");
        assert_eq!(found[0].value("variant"), Some(&"inbound".into()));
    }

    #[test]
    fn their_neighbours_are_not() {
        let mut stage = listed();
        let curl = program(7, "/usr/bin/curl", "aa");
        for (id, remote) in ["198.51.101.7:443", "[2001:db9::1]:443"].into_iter().enumerate() {
            stage
                .opens(outbound(id as u64 + 1, &curl, remote))
                .silent("blocklisted_address");
        }
    }
}
