//! Established outbound connections to ports that are not on the list of ordinary ones.

use std::collections::BTreeSet;

use atalaya_model::{Connection, Direction, Event, Fact, Outcome, Scope, Severity, SocketState};
use serde::{Deserialize, Serialize};

use crate::detector::{Detector, Findings, Scene};
use crate::draft::{Draft, about, identity};
use crate::recent::Recent;
use crate::registry::Entry;

/// Most connections that are remembered as told.
const MAX_TOLD: usize = 65_536;

/// What ordinary servers and desktops connect to: file transfer and remote login, mail, names, time, directories,
/// web and its proxies, package mirrors and key servers, version control, chat, calls, monitoring, databases.
const SAFE: &[u16] = &[
    20, 21, 22, 25, 43, 53, 67, 68, 80, 88, 110, 111, 119, 123, 137, 138, 139, 143, 161, 162, 179, 389, 443,
    445, 464, 465, 500, 514, 546, 547, 554, 563, 587, 631, 636, 853, 873, 989, 990, 993, 995, 1194, 1433,
    1521, 1812, 1813, 1883, 1900, 2049, 2375, 2376, 2379, 2380, 3128, 3142, 3268, 3269, 3306, 3389, 3478,
    3479, 3690, 4190, 4460, 4500, 5060, 5061, 5222, 5223, 5228, 5269, 5349, 5351, 5353, 5355, 5432, 5671,
    5672, 6379, 6443, 6514, 6697, 8000, 8008, 8080, 8140, 8443, 8883, 8888, 9090, 9092, 9093, 9100, 9200,
    9418, 10050, 10051, 10250, 11211, 11371, 19302, 27017, 51820,
];

/// `[detect.uncommon_port]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Look for it at all.
    pub enabled: bool,
    /// The destination ports that are ordinary.
    pub safe_ports: BTreeSet<u16>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            enabled: true,
            safe_ports: SAFE.iter().copied().collect(),
        }
    }
}

pub(crate) const ENTRY: Entry = Entry {
    id: "uncommon_port",
    sentence: "A process is connected to a port that is not on the list of ordinary ones.",
    severity: Severity::Low,
    other_severities: &[],
    techniques: &[("T1571", "Non-Standard Port", "command-and-control")],
    values: &[
        "program",
        "pid",
        "user_id",
        "destination",
        "name",
        "port",
        "state",
        "service",
        "safe_ports",
    ],
    variants: &[],
    limits: "Connections within this host are left out. A connection that was shorter than the interval between two \
             looks counts when its socket was seen.",
    build: |options, _| {
        let options = &options.uncommon_port;
        options.enabled.then(|| {
            Box::new(UncommonPort {
                options: options.clone(),
                told: Recent::new(MAX_TOLD),
            }) as _
        })
    },
};

struct UncommonPort {
    options: Options,
    /// Connections by id, so that an update does not tell them again.
    told: Recent<u64>,
}

impl Detector for UncommonPort {
    fn look_at(&mut self, scene: &Scene<'_>, event: &Event, out: &mut Findings) {
        let (Fact::ConnectionOpened(connection)
        | Fact::ConnectionUpdated(connection)
        | Fact::ConnectionClosed(connection)) = &event.fact
        else {
            return;
        };
        let port = connection.destination.port;
        let wanted = is_established(connection)
            && connection.direction == Direction::Outbound
            && matches!(connection.scope, Scope::External | Scope::Private)
            && port != 0
            && !self.options.safe_ports.contains(&port);
        if !wanted || !self.told.insert(connection.id) {
            return;
        }
        let who = identity(connection.process.as_ref(), connection.user_id);
        let draft = Draft::new(ENTRY.id, scene.time, ENTRY.severity, format!("{who} → {port}"));
        let draft = about(draft, connection)
            .value(
                "service",
                connection.service.as_deref().unwrap_or("unknown service"),
            )
            .value("safe_ports", self.options.safe_ports.len());
        out.findings.push(draft.done());
    }
}

/// Is it a conversation, or was it one? Of a short life only the outcome tells.
fn is_established(connection: &Connection) -> bool {
    match connection.outcome {
        Outcome::Unknown => connection.state == SocketState::Established,
        outcome => !outcome.is_failure(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::{Stage, outbound, program};

    #[test]
    fn an_established_connection_to_7777_is_told_once() {
        let mut stage = Stage::new();
        let tool = program(7, "/usr/bin/tool", "aa");
        let mut trying = outbound(1, &tool, "198.51.100.7:7777");
        trying.state = SocketState::SynSent;
        stage.opens(trying.clone()).silent("uncommon_port");
        trying.state = SocketState::Established;
        let findings = stage.updates(trying.clone());
        let found = findings.of("uncommon_port");
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].severity, &*found[0].key),
            (Severity::Low, "/usr/bin/tool → 7777")
        );
        stage.updates(trying).silent("uncommon_port");
    }

    #[test]
    fn a_short_life_counts_by_its_outcome() {
        let mut stage = Stage::new();
        let tool = program(7, "/usr/bin/tool", "aa");
        let mut over = outbound(1, &tool, "198.51.100.7:7777");
        over.state = SocketState::Close;
        over.outcome = Outcome::Finished;
        assert_eq!(stage.opens(over).of("uncommon_port").len(), 1);
        let mut refused = outbound(2, &tool, "198.51.100.7:7778");
        refused.outcome = Outcome::Refused;
        stage.opens(refused).silent("uncommon_port");
    }

    #[test]
    fn ordinary_ports_and_this_host_are_not() {
        let mut stage = Stage::new();
        let tool = program(7, "/usr/bin/tool", "aa");
        for (id, port) in [22, 53, 80, 123, 443, 465, 587, 853, 993].into_iter().enumerate() {
            let connection = outbound(id as u64 + 1, &tool, &format!("198.51.100.7:{port}"));
            stage.opens(connection).silent("uncommon_port");
        }
        let mut local = outbound(100, &tool, "127.0.0.1:7777");
        local.direction = Direction::Local;
        local.scope = Scope::Loopback;
        stage.opens(local).silent("uncommon_port");
    }
}
