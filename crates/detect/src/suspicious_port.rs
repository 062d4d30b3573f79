//! Connections, made or attempted, to ports that are known for malware, botnets or anonymity networks.

use std::collections::BTreeSet;

use atalaya_model::{Direction, Event, Fact, Severity};
use serde::{Deserialize, Serialize};

use crate::detector::{Detector, Findings, Scene};
use crate::draft::{Draft, about, identity, is_attempt};
use crate::ports::{OWN_LIST, SUSPICIOUS, meaning};
use crate::registry::Entry;

/// `[detect.suspicious_port]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Look for it at all.
    pub enabled: bool,
    /// The destination ports that are suspicious.
    pub ports: BTreeSet<u16>,
    /// Also connections that stay on this host (a local Tor proxy, a tunnel).
    pub local: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            enabled: true,
            ports: SUSPICIOUS.iter().map(|(port, _)| *port).collect(),
            local: true,
        }
    }
}

pub(crate) const ENTRY: Entry = Entry {
    id: "suspicious_port",
    sentence: "A process opened, or tried to open, a connection to a port known for malware, botnets or Tor.",
    severity: Severity::High,
    other_severities: &[],
    techniques: &[
        ("T1571", "Non-Standard Port", "command-and-control"),
        ("T1090.003", "Multi-hop Proxy", "command-and-control"),
    ],
    values: &[
        "program",
        "pid",
        "user_id",
        "destination",
        "name",
        "port",
        "state",
        "meaning",
        "variant",
    ],
    variants: &["attempt"],
    limits: "Only the side that begins the conversation is told, so that a chance ephemeral port is not. Malware may \
             use any port.",
    build: |options, _| {
        let options = &options.suspicious_port;
        options
            .enabled
            .then(|| Box::new(SuspiciousPort(options.clone())) as _)
    },
};

struct SuspiciousPort(Options);

impl Detector for SuspiciousPort {
    fn look_at(&mut self, scene: &Scene<'_>, event: &Event, out: &mut Findings) {
        let Fact::ConnectionOpened(connection) = &event.fact else {
            return;
        };
        let port = connection.destination.port;
        let wanted = connection.is_initiator()
            && self.0.ports.contains(&port)
            && (self.0.local || connection.direction != Direction::Local);
        if !wanted {
            return;
        }
        let who = identity(connection.process.as_ref(), connection.user_id);
        let draft = Draft::new(ENTRY.id, scene.time, ENTRY.severity, format!("{who} → {port}"));
        let mut draft = about(draft, connection).value("meaning", meaning(port).unwrap_or(OWN_LIST));
        if is_attempt(connection) {
            draft = draft.value("variant", "attempt");
        }
        out.findings.push(draft.done());
    }
}

#[cfg(test)]
mod tests {
    use atalaya_model::{Outcome, Severity, Value};

    use crate::stage::{Stage, inbound, outbound, program};

    #[test]
    fn a_connection_to_4444_is_told_with_its_process() {
        let mut stage = Stage::new();
        let nc = program(7, "/usr/bin/nc", "aa");
        let findings = stage.opens(outbound(1, &nc, "198.51.100.7:4444"));
        let found = findings.of("suspicious_port");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].severity, Severity::High);
        assert_eq!(&*found[0].key, "/usr/bin/nc → 4444");
        assert_eq!(found[0].value("port"), Some(&Value::Integer(4444)));
        assert_eq!(found[0].process.as_ref().unwrap().sha256.as_deref(), Some("aa"));
        assert_eq!(found[0].connections.len(), 1);
    }

    #[test]
    fn an_attempt_is_told_as_one() {
        let mut stage = Stage::new();
        let mut refused = outbound(1, &program(7, "/usr/bin/nc", "aa"), "198.51.100.7:4444");
        refused.outcome = Outcome::Refused;
        refused.name = Some("c2.example".into());
        let findings = stage.opens(refused);
        let found = findings.of("suspicious_port");
        assert_eq!(found[0].value("variant"), Some(&"attempt".into()));
        assert_eq!(found[0].value("state"), Some(&"refused".into()));
        assert_eq!(found[0].value("name"), Some(&"c2.example".into()));
    }

    #[test]
    fn a_client_that_calls_from_port_4444_is_not() {
        let mut stage = Stage::new();
        let sshd = program(7, "/usr/sbin/sshd", "aa");
        let findings = stage.opens(inbound(1, &sshd, "192.0.2.1:22", "198.51.100.7:4444"));
        findings.silent("suspicious_port");
        stage
            .opens(outbound(2, &sshd, "198.51.100.7:443"))
            .silent("suspicious_port");
    }
}
