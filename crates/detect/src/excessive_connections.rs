//! One process with very many connections at once.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use atalaya_model::{Connection, Event, Fact, ProcessKey, Severity};
use serde::{Deserialize, Serialize};

use crate::detector::{Detector, Findings, Scene};
use crate::draft::Draft;
use crate::registry::Entry;

/// `[detect.excessive_connections]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Look for it at all.
    pub enabled: bool,
    /// So many concurrent connections of one process are too many.
    pub threshold: usize,
    /// Count connections that others made to the process, too: busy servers have many.
    pub accepted: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            enabled: true,
            threshold: 50,
            accepted: false,
        }
    }
}

pub(crate) const ENTRY: Entry = Entry {
    id: "excessive_connections",
    sentence: "One process has opened very many connections that exist at the same time.",
    severity: Severity::Medium,
    other_severities: &[],
    techniques: &[
        ("T1046", "Network Service Discovery", "discovery"),
        ("T1498", "Network Denial of Service", "impact"),
    ],
    values: &[
        "program",
        "pid",
        "count",
        "threshold",
        "destinations",
        "top_port",
        "top_count",
    ],
    variants: &[],
    limits: "Counted after each complete look at the socket table. Connections that others made to the process count \
             only with `accepted = true`.",
    build: |options, _| {
        let options = &options.excessive_connections;
        options.enabled.then(|| {
            Box::new(ExcessiveConnections {
                options: options.clone(),
                told: HashSet::new(),
            }) as _
        })
    },
};

struct ExcessiveConnections {
    options: Options,
    /// Processes that are over the limit now.
    told: HashSet<ProcessKey>,
}

impl Detector for ExcessiveConnections {
    fn look_at(&mut self, scene: &Scene<'_>, event: &Event, out: &mut Findings) {
        if event.fact != (Fact::Tick { look: true }) {
            return;
        }
        let threshold = self.options.threshold.max(1);
        let busy = scene.state.connected_processes();
        let mut busy: Vec<_> = busy
            .filter(|key| scene.state.connection_count(*key) >= threshold)
            .collect();
        // The same order in every run, so that a replay gives the same alerts.
        busy.sort_unstable();
        let mut over = HashSet::new();
        for key in busy {
            let counted = scene.state.connections_of(key);
            let counted: Vec<_> = counted
                .filter(|connection| self.options.accepted || connection.is_initiator())
                .collect();
            if counted.len() < threshold {
                continue;
            }
            over.insert(key);
            if !self.told.contains(&key) {
                out.findings.push(tell(scene, &counted, threshold));
            }
        }
        self.told = over;
    }
}

fn tell(scene: &Scene<'_>, counted: &[&Arc<Connection>], threshold: usize) -> atalaya_model::Finding {
    let mut ports: HashMap<u16, usize> = HashMap::new();
    let mut destinations = HashSet::new();
    for connection in counted {
        *ports.entry(connection.destination.port).or_default() += 1;
        destinations.insert(connection.remote().ip);
    }
    let top = ports
        .into_iter()
        .max_by_key(|(port, count)| (*count, std::cmp::Reverse(*port)));
    let (top_port, top_count) = top.unwrap_or_default();
    let process = counted.first().and_then(|connection| connection.process.as_ref());
    let program = crate::draft::identity(process, None);
    let mut draft = Draft::new(ENTRY.id, scene.time, ENTRY.severity, program.to_string())
        .process(process, None)
        .value("count", counted.len())
        .value("threshold", threshold)
        .value("destinations", destinations.len())
        .value("top_port", top_port)
        .value("top_count", top_count);
    let mut examples: Vec<_> = counted.to_vec();
    examples.sort_unstable_by_key(|connection| connection.id);
    for connection in examples.into_iter().take(atalaya_model::Finding::MAX_EXAMPLES) {
        draft = draft.example(connection);
    }
    draft.done()
}

#[cfg(test)]
mod tests {
    use atalaya_model::Value;

    use super::*;
    use crate::stage::{Stage, inbound, outbound, program};

    #[test]
    fn sixty_connections_are_told_once_until_they_are_fewer() {
        let mut stage = Stage::new();
        let tool = program(7, "/usr/bin/tool", "aa");
        for id in 1..=60 {
            let remote = format!("198.51.100.{}:443", id % 4 + 1);
            stage
                .opens(outbound(id, &tool, &remote))
                .silent("excessive_connections");
        }
        let findings = stage.look();
        let found = findings.of("excessive_connections");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].severity, Severity::Medium);
        assert_eq!(found[0].value("count"), Some(&Value::Integer(60)));
        assert_eq!(found[0].value("destinations"), Some(&Value::Integer(4)));
        assert_eq!(found[0].value("top_port"), Some(&Value::Integer(443)));
        assert_eq!(found[0].connections.len(), 5);
        stage.look().silent("excessive_connections");
        stage.closes(1..=20);
        stage.look().silent("excessive_connections");
        for id in 101..=120 {
            stage.opens(outbound(id, &tool, "198.51.100.1:443"));
        }
        assert_eq!(stage.look().of("excessive_connections").len(), 1, "armed again");
    }

    #[test]
    fn fortynine_connections_and_a_busy_server_are_not() {
        let mut stage = Stage::new();
        let tool = program(7, "/usr/bin/tool", "aa");
        for id in 1..=49 {
            stage.opens(outbound(id, &tool, "198.51.100.1:443"));
        }
        let server = program(8, "/usr/sbin/nginx", "bb");
        for id in 101..=300 {
            let caller = format!("198.51.100.1:{}", 40_000 + id);
            stage.opens(inbound(id, &server, "192.0.2.1:443", &caller));
        }
        stage.look().silent("excessive_connections");
    }
}
