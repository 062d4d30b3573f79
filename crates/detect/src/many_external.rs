//! One process that talks with very many external addresses at once.

use std::collections::{BTreeMap, HashSet};

use atalaya_model::{Event, Fact, Finding, ProcessKey, Scope, Severity};
use serde::{Deserialize, Serialize};

use crate::detector::{Detector, Findings, Scene};
use crate::draft::{Draft, identity};
use crate::registry::Entry;

/// `[detect.many_external]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Look for it at all.
    pub enabled: bool,
    /// So many distinct external addresses at once are many for one process.
    pub threshold: usize,
    /// Count addresses that connected to the process, too: public servers have many.
    pub accepted: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            enabled: true,
            threshold: 30,
            accepted: false,
        }
    }
}

pub(crate) const ENTRY: Entry = Entry {
    id: "many_external",
    sentence: "One process is connected to many different external addresses at the same time.",
    severity: Severity::Low,
    other_severities: &[],
    techniques: &[
        ("T1046", "Network Service Discovery", "discovery"),
        ("T1041", "Exfiltration Over C2 Channel", "exfiltration"),
    ],
    values: &["program", "pid", "count", "threshold"],
    variants: &[],
    limits: "Counted after each complete look at the socket table; addresses one after the other are not added up.",
    build: |options, _| {
        let options = &options.many_external;
        options.enabled.then(|| {
            Box::new(ManyExternal {
                options: options.clone(),
                told: HashSet::new(),
            }) as _
        })
    },
};

struct ManyExternal {
    options: Options,
    /// Processes that are over the limit now.
    told: HashSet<ProcessKey>,
}

impl Detector for ManyExternal {
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
            // The oldest connection to each address, so that examples are the same in every run.
            let mut addresses = BTreeMap::new();
            for connection in scene.state.connections_of(key) {
                let counts = connection.scope == Scope::External
                    && (self.options.accepted || connection.is_initiator());
                if counts {
                    let example = addresses.entry(connection.remote().ip).or_insert(connection);
                    if connection.id < example.id {
                        *example = connection;
                    }
                }
            }
            if addresses.len() < threshold {
                continue;
            }
            over.insert(key);
            if self.told.contains(&key) {
                continue;
            }
            let process = addresses
                .values()
                .next()
                .and_then(|connection| connection.process.as_ref());
            let key = identity(process, None).to_string();
            let mut draft = Draft::new(ENTRY.id, scene.time, ENTRY.severity, key)
                .process(process, None)
                .value("count", addresses.len())
                .value("threshold", threshold);
            for connection in addresses.values().take(Finding::MAX_EXAMPLES) {
                draft = draft.example(connection);
            }
            out.findings.push(draft.done());
        }
        self.told = over;
    }
}

#[cfg(test)]
mod tests {
    use atalaya_model::Value;

    use super::*;
    use crate::stage::{Stage, outbound, program};

    #[test]
    fn thirty_addresses_are_told_once() {
        let mut stage = Stage::new();
        let tool = program(7, "/usr/bin/tool", "aa");
        for id in 1..=30 {
            stage.opens(outbound(id, &tool, &format!("198.51.100.{id}:443")));
        }
        let findings = stage.look();
        let found = findings.of("many_external");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].severity, Severity::Low);
        assert_eq!(found[0].value("count"), Some(&Value::Integer(30)));
        assert_eq!(found[0].connections.len(), 5);
        stage.look().silent("many_external");
    }

    #[test]
    fn many_connections_to_few_or_private_addresses_are_not() {
        let mut stage = Stage::new();
        let tool = program(7, "/usr/bin/tool", "aa");
        for id in 1..=45 {
            stage.opens(outbound(id, &tool, &format!("198.51.100.{}:443", id % 29)));
            let mut private = outbound(100 + id, &tool, &format!("10.0.0.{id}:443"));
            private.scope = Scope::Private;
            stage.opens(private);
        }
        stage.look().silent("many_external");
    }
}
