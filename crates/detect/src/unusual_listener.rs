//! Listeners that were not there while the host was learnt.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use atalaya_model::memory::Memory;
use atalaya_model::{Event, Fact, Listener, Severity, Span, Text, Transport};
use serde::{Deserialize, Serialize};

use crate::detector::{Detector, Findings, Scene};
use crate::draft::{Draft, identity};
use crate::ports::{FIRST_EPHEMERAL, meaning};
use crate::recent::Recent;
use crate::registry::Entry;

/// Ports on which a server listens openly as a matter of course: SSH, mail, DNS, web. Databases and the like do, too,
/// but should not.
const USUAL: [u16; 12] = [22, 25, 53, 80, 110, 143, 443, 465, 587, 853, 993, 995];
/// Ports of DHCP, time, NetBIOS and multicast names: clients have them open on most hosts.
const USUAL_UDP: [u16; 9] = [67, 68, 123, 137, 138, 546, 547, 5353, 5355];
const VERSION: u16 = 1;
/// Most (program, transport, port) that are held to be ordinary.
const MAX_BASELINE: usize = 16_384;
/// Most UDP sockets that wait to be judged; more are judged at once.
const MAX_WAITING: usize = 4_096;

/// `[detect.unusual_listener]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Look for it at all.
    pub enabled: bool,
    /// Ports on which any program may listen.
    pub safe_ports: std::collections::BTreeSet<u16>,
    /// Also tell, as low, of listeners that only this host can reach.
    pub loopback: bool,
    /// A UDP socket without a peer counts as a listener when it is older than this: clients have them for a moment.
    #[serde(with = "atalaya_model::setting::span")]
    #[schemars(with = "String")]
    pub udp_after: Span,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            enabled: true,
            safe_ports: Default::default(),
            loopback: true,
            udp_after: Span::from_seconds(5),
        }
    }
}

pub(crate) const ENTRY: Entry = Entry {
    id: "unusual_listener",
    sentence: "A program listens on a port on which it was never seen to listen.",
    severity: Severity::Medium,
    other_severities: &[(
        Severity::Low,
        "it listens on a loopback address only; or in a snapshot of a host of which nothing is known, unless the port is \
         a suspicious one",
    )],
    techniques: &[
        ("T1133", "External Remote Services", "persistence"),
        ("T1571", "Non-Standard Port", "command-and-control"),
    ],
    values: &[
        "program",
        "pid",
        "user_id",
        "local",
        "port",
        "transport",
        "reach",
        "wildcard",
        "meaning",
        "variant",
    ],
    variants: &[
        "wildcard",
        "suspicious",
        "loopback",
        "first_look",
        "first_look_suspicious",
    ],
    limits: "What is ordinary is learnt as (program, transport, port), with all ephemeral ports as one; a UDP socket on \
             an ephemeral port is held to be a client's. A snapshot without a baseline tells only what other hosts may \
             reach, on ports that are not usual ones.",
    build: |options, _| {
        let options = &options.unusual_listener;
        options.enabled.then(|| {
            Box::new(UnusualListener {
                options: options.clone(),
                baseline: Recent::new(MAX_BASELINE),
                judged: HashSet::new(),
                waiting: BTreeMap::new(),
            }) as _
        })
    },
};

struct UnusualListener {
    options: Options,
    /// What is ordinary: `program|tcp|8080`.
    baseline: Recent<Text>,
    /// Listeners, by id, that were told or are ordinary. Goes down with the listeners.
    judged: HashSet<u64>,
    /// UDP sockets that are too young to be judged.
    waiting: BTreeMap<u64, Arc<Listener>>,
}

impl Detector for UnusualListener {
    fn look_at(&mut self, scene: &Scene<'_>, event: &Event, out: &mut Findings) {
        match &event.fact {
            Fact::ListenerAppeared(listener) => self.meet(scene, listener, out),
            Fact::ListenerUpdated(listener) => {
                if let Some(waiting) = self.waiting.get_mut(&listener.id) {
                    *waiting = listener.clone();
                } else if self.judged.contains(&listener.id) {
                    if scene.learning {
                        self.learn(listener, out);
                    }
                } else {
                    self.meet(scene, listener, out);
                }
            }
            Fact::ListenerGone(listener) => {
                self.judged.remove(&listener.id);
                self.waiting.remove(&listener.id);
            }
            Fact::Tick { .. } => {
                let after = self.options.udp_after;
                let old = |_: &u64, listener: &mut Arc<Listener>| scene.time.since(listener.started) >= after;
                let grown: Vec<_> = self.waiting.extract_if(.., old).collect();
                for (_, listener) in grown {
                    self.judge(scene, &listener, out);
                }
            }
            _ => {}
        }
    }

    fn recall(&mut self, memory: &Memory) {
        if &*memory.detector == ENTRY.id && memory.version == VERSION && memory.bytes.is_some() {
            self.baseline.insert(memory.key.clone());
        }
    }

    fn remember(&self) -> Vec<Memory> {
        self.baseline.iter().cloned().map(memory).collect()
    }
}

impl UnusualListener {
    fn meet(&mut self, scene: &Scene<'_>, listener: &Arc<Listener>, out: &mut Findings) {
        let is_udp = listener.transport != Transport::Tcp;
        if is_udp && listener.local.port >= FIRST_EPHEMERAL {
            return;
        }
        if is_udp && !listener.started_before && self.waiting.len() < MAX_WAITING {
            self.waiting.insert(listener.id, listener.clone());
        } else {
            self.judge(scene, listener, out);
        }
    }

    fn judge(&mut self, scene: &Scene<'_>, listener: &Arc<Listener>, out: &mut Findings) {
        if !self.judged.insert(listener.id) {
            return;
        }
        if scene.learning {
            self.learn(listener, out);
            if scene.first_look {
                self.judge_alone(scene, listener, out);
            }
            return;
        }
        let port = listener.local.port;
        let ordinary = self.options.safe_ports.contains(&port)
            || self.baseline.contains(&key(listener))
            || (listener.is_loopback() && !self.options.loopback);
        if ordinary {
            return;
        }
        let (reach, severity, variant) = if listener.is_wildcard() {
            ("on every address", Severity::Medium, Some("wildcard"))
        } else if listener.is_loopback() {
            ("on this host only", Severity::Low, Some("loopback"))
        } else {
            ("on one address", Severity::Medium, None)
        };
        let mut draft = Draft::new(ENTRY.id, scene.time, severity, key(listener).replace('|', " "))
            .process(listener.process.as_ref(), listener.user_id)
            .listener(listener)
            .value("local", listener.local.to_string())
            .value("port", port)
            .value("transport", listener.transport.name())
            .value("reach", reach)
            .value("wildcard", listener.is_wildcard());
        let meaning = meaning(port).filter(|_| !listener.is_loopback());
        if let Some(meaning) = meaning {
            draft = draft.value("meaning", meaning);
        }
        if let Some(variant) = meaning.map(|_| "suspicious").or(variant) {
            draft = draft.value("variant", variant);
        }
        out.findings.push(draft.done());
    }

    /// With nothing to compare with, what other hosts may reach is told unless its port is a usual one.
    fn judge_alone(&self, scene: &Scene<'_>, listener: &Arc<Listener>, out: &mut Findings) {
        let port = listener.local.port;
        let is_usual = USUAL.contains(&port)
            || self.options.safe_ports.contains(&port)
            || (listener.transport == Transport::Udp && USUAL_UDP.contains(&port));
        if listener.is_loopback() || is_usual {
            return;
        }
        let meaning = meaning(port);
        let (severity, variant) = match meaning {
            Some(_) => (Severity::Medium, "first_look_suspicious"),
            None => (Severity::Low, "first_look"),
        };
        let mut draft = Draft::new(ENTRY.id, scene.time, severity, key(listener).replace('|', " "))
            .process(listener.process.as_ref(), listener.user_id)
            .listener(listener)
            .value("local", listener.local.to_string())
            .value("port", port)
            .value("transport", listener.transport.name())
            .value("wildcard", listener.is_wildcard())
            .value("variant", variant);
        if let Some(meaning) = meaning {
            draft = draft.value("meaning", meaning);
        }
        out.findings.push(draft.done());
    }

    fn learn(&mut self, listener: &Listener, out: &mut Findings) {
        let key = key(listener);
        if key.len() <= Memory::MAX_KEY && self.baseline.insert(key.clone()) {
            out.remember(memory(key));
        }
    }
}

fn key(listener: &Listener) -> Text {
    let program = identity(listener.process.as_ref(), listener.user_id);
    let transport = listener.transport.name();
    match listener.local.port {
        FIRST_EPHEMERAL.. => format!("{program}|{transport}|ephemeral").into(),
        port => format!("{program}|{transport}|{port}").into(),
    }
}

fn memory(key: Text) -> Memory {
    Memory {
        detector: ENTRY.id.into(),
        version: VERSION,
        key,
        bytes: Some(Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::{Stage, listener, program};

    #[test]
    fn a_new_listener_on_every_address_is_told() {
        let mut stage = Stage::new();
        let nc = program(7, "/usr/bin/nc", "aa");
        let findings = stage.listens(listener(1, &nc, Transport::Tcp, "0.0.0.0:31337"));
        let found = findings.of("unusual_listener");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].severity, Severity::Medium);
        assert_eq!(found[0].value("variant"), Some(&"suspicious".into()));
        assert_eq!(found[0].value("wildcard"), Some(&true.into()));
        assert_eq!(&*found[0].key, "/usr/bin/nc tcp 31337");
        assert!(found[0].listener.is_some());
        let findings = stage.listens(listener(2, &nc, Transport::Tcp, "127.0.0.1:8000"));
        assert_eq!(findings.of("unusual_listener")[0].severity, Severity::Low);
        let findings = stage.listens(listener(3, &nc, Transport::Tcp, "[::]:8001"));
        assert_eq!(
            findings.of("unusual_listener")[0].value("variant"),
            Some(&"wildcard".into())
        );
    }

    #[test]
    fn a_learnt_listener_is_not_also_after_a_restart() {
        let mut stage = Stage::learning();
        let sshd = program(7, "/usr/sbin/sshd", "aa");
        let findings = stage.listens(listener(1, &sshd, Transport::Tcp, "0.0.0.0:22"));
        findings.silent("unusual_listener");
        let memories = findings.memories.clone();
        assert_eq!(
            memories
                .iter()
                .filter(|memory| &*memory.detector == ENTRY.id)
                .count(),
            1
        );

        let mut later = Stage::new();
        for memory in &memories {
            later.detectors.recall(memory);
        }
        let sshd = program(9, "/usr/sbin/sshd", "aa");
        later
            .listens(listener(1, &sshd, Transport::Tcp, "192.0.2.1:22"))
            .silent("unusual_listener");
        let findings = later.listens(listener(2, &sshd, Transport::Tcp, "0.0.0.0:2222"));
        assert_eq!(
            findings.of("unusual_listener").len(),
            1,
            "the same program, another port"
        );
    }

    #[test]
    fn udp_clients_are_not_and_udp_servers_are() {
        let mut stage = Stage::new();
        let tool = program(7, "/usr/bin/tool", "aa");
        for (id, local) in [(1, "0.0.0.0:45000"), (2, "0.0.0.0:5000"), (3, "0.0.0.0:6000")] {
            stage
                .listens(listener(id, &tool, Transport::Udp, local))
                .silent("unusual_listener");
        }
        stage.gone(3);
        stage.pass(4).silent("unusual_listener");
        let findings = stage.pass(2);
        let found = findings.of("unusual_listener");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].value("local"), Some(&"0.0.0.0:5000".into()));
    }

    #[test]
    fn the_first_look_tells_what_others_may_reach_on_unusual_ports() {
        let mut stage = Stage::first_look();
        let nc = program(7, "/usr/bin/nc", "aa");
        for (id, transport, local) in [
            (1, Transport::Tcp, "0.0.0.0:22"),
            (2, Transport::Tcp, "[::]:443"),
            (3, Transport::Tcp, "127.0.0.1:31337"),
            (4, Transport::Udp, "0.0.0.0:5353"),
        ] {
            stage
                .listens(listener(id, &nc, transport, local))
                .silent("unusual_listener");
        }
        let told = |outcome: crate::stage::Outcome| {
            let found = outcome.of("unusual_listener");
            assert_eq!(found.len(), 1);
            (found[0].severity, found[0].value("variant").cloned())
        };
        let outcome = stage.listens(listener(5, &nc, Transport::Tcp, "0.0.0.0:31337"));
        assert_eq!(
            told(outcome),
            (Severity::Medium, Some("first_look_suspicious".into()))
        );
        let outcome = stage.listens(listener(6, &nc, Transport::Tcp, "192.0.2.1:7001"));
        assert_eq!(told(outcome), (Severity::Low, Some("first_look".into())));
    }
}
