//! Very many DNS queries, by process or else by user.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use atalaya_model::{Connection, Event, Fact, Finding, ProcessKey, Severity, Span, Time};
use serde::{Deserialize, Serialize};

use crate::detector::{Detector, Findings, Scene};
use crate::draft::{Draft, identity};
use crate::registry::Entry;

/// Most processes and users counted at once; more are not.
const MAX_ASKERS: usize = 16_384;
/// The window is counted in so many parts: that exact is its length.
const PARTS: i64 = 60;

/// `[detect.dns_rate]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Look for it at all.
    pub enabled: bool,
    /// So many DNS sockets of one process, or user, within the window are too many.
    pub threshold: u32,
    /// The window.
    #[serde(with = "atalaya_model::setting::span")]
    #[schemars(with = "String")]
    pub window: Span,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            enabled: true,
            threshold: 300,
            window: Span::from_seconds(60),
        }
    }
}

pub(crate) const ENTRY: Entry = Entry {
    id: "dns_rate",
    sentence: "A process, or the short-lived processes of a user, sent very many DNS queries.",
    severity: Severity::High,
    other_severities: &[],
    techniques: &[
        ("T1071.004", "DNS", "command-and-control"),
        (
            "T1048.003",
            "Exfiltration Over Unencrypted Non-C2 Protocol",
            "exfiltration",
        ),
    ],
    values: &[
        "program",
        "pid",
        "user_id",
        "count",
        "threshold",
        "window",
        "variant",
    ],
    variants: &["user", "unknown"],
    limits: "Counts sockets to remote port 53 that were seen open or destroyed, since most resolvers use a new one for \
             each query. Many queries over one socket count once, and UDP sockets that were never connected do not show \
             their destination at all. The default of 300 in 60 s is several times what a browser full of tabs needs.",
    build: |options, _| {
        let options = &options.dns_rate;
        options.enabled.then(|| {
            Box::new(DnsRate {
                options: options.clone(),
                askers: HashMap::new(),
            }) as _
        })
    },
};

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Asker {
    Process(ProcessKey),
    User(Option<u32>),
}

/// One asker's sockets within the window.
#[derive(Default)]
struct Count {
    /// (part of the window, sockets), oldest first.
    parts: VecDeque<(i64, u32)>,
    total: u32,
    told: bool,
    examples: VecDeque<Arc<Connection>>,
}

struct DnsRate {
    options: Options,
    askers: HashMap<Asker, Count>,
}

impl Detector for DnsRate {
    fn look_at(&mut self, scene: &Scene<'_>, event: &Event, out: &mut Findings) {
        match &event.fact {
            Fact::ConnectionOpened(connection)
                if connection.destination.port == 53 && connection.is_initiator() =>
            {
                self.count(scene, connection, out);
            }
            Fact::Tick { .. } => {
                let part = self.part(scene.time);
                let threshold = self.options.threshold.max(1);
                self.askers.retain(|_, count| {
                    count.forget_before(part - PARTS + 1);
                    count.told &= count.total >= threshold;
                    count.total > 0
                });
            }
            _ => {}
        }
    }
}

impl DnsRate {
    fn part(&self, time: Time) -> i64 {
        time.0.div_euclid((self.options.window.0 / PARTS).max(1))
    }

    fn count(&mut self, scene: &Scene<'_>, connection: &Arc<Connection>, out: &mut Findings) {
        let asker = match &connection.process {
            Some(process) => Asker::Process(process.key),
            None => Asker::User(connection.user_id),
        };
        let part = self.part(scene.time);
        if self.askers.len() >= MAX_ASKERS && !self.askers.contains_key(&asker) {
            return;
        }
        let count = self.askers.entry(asker).or_default();
        count.forget_before(part - PARTS + 1);
        match count.parts.back_mut() {
            Some((last, sockets)) if *last >= part => *sockets += 1,
            _ => count.parts.push_back((part, 1)),
        }
        count.total += 1;
        count.examples.push_back(connection.clone());
        if count.examples.len() > Finding::MAX_EXAMPLES {
            count.examples.pop_front();
        }
        if count.total < self.options.threshold.max(1) || count.told {
            return;
        }
        count.told = true;
        let process = connection.process.as_ref();
        let key = identity(process, connection.user_id).to_string();
        let mut draft = Draft::new(ENTRY.id, scene.time, ENTRY.severity, key)
            .process(process, connection.user_id)
            .value("count", count.total)
            .value("threshold", self.options.threshold)
            .value("window", self.options.window);
        if process.is_none() {
            let is_known = connection.user_id.is_some();
            draft = draft.value("variant", if is_known { "user" } else { "unknown" });
        }
        for example in &count.examples {
            draft = draft.example(example);
        }
        out.findings.push(draft.done());
    }
}

impl Count {
    fn forget_before(&mut self, part: i64) {
        while let Some((_, sockets)) = self.parts.pop_front_if(|(old, _)| *old < part) {
            self.total -= sockets;
        }
    }
}

#[cfg(test)]
mod tests {
    use atalaya_model::{Transport, Value};

    use super::*;
    use crate::stage::{Stage, outbound, program};

    fn query(id: u64, process: Option<&Arc<atalaya_model::Process>>) -> Connection {
        let someone = program(1, "/usr/bin/x", "aa");
        let mut connection = outbound(id, process.unwrap_or(&someone), "198.51.100.53:53");
        connection.transport = Transport::Udp;
        if process.is_none() {
            connection.process = None;
        }
        connection
    }

    #[test]
    fn a_burst_of_queries_is_told_once() {
        let mut stage = Stage::new();
        let tunnel = program(7, "/usr/bin/tunnel", "aa");
        let mut found = Vec::new();
        for id in 1..=600 {
            found.extend(stage.opens(query(id, Some(&tunnel))).of("dns_rate"));
            if id % 10 == 0 {
                found.extend(stage.pass(1).of("dns_rate"));
            }
        }
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].severity, Severity::High);
        assert_eq!(found[0].value("count"), Some(&Value::Integer(300)));
        assert_eq!(found[0].connections.len(), 5);
    }

    #[test]
    fn sockets_without_a_process_count_for_their_user() {
        let mut stage = Stage::new();
        let mut found = Vec::new();
        for id in 1..=300 {
            found.extend(stage.opens(query(id, None)).of("dns_rate"));
        }
        assert_eq!(found.len(), 1);
        assert_eq!(&*found[0].key, "user 1000");
        assert_eq!(found[0].value("variant"), Some(&"user".into()));
    }

    #[test]
    fn as_many_queries_over_a_longer_time_are_not() {
        let mut stage = Stage::new();
        let browser = program(7, "/usr/bin/browser", "aa");
        for id in 1..=1_200 {
            stage.opens(query(id, Some(&browser))).silent("dns_rate");
            if id % 4 == 0 {
                stage.pass(1).silent("dns_rate");
            }
        }
    }

    #[test]
    fn a_user_that_is_not_known_is_not_named() {
        let mut stage = Stage::new();
        let mut found = Vec::new();
        for id in 1..=300 {
            let mut connection = query(id, None);
            (connection.process, connection.user_id) = (None, None);
            found.extend(stage.opens(connection).of("dns_rate"));
        }
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].value("variant"), Some(&"unknown".into()));
        assert_eq!(found[0].value("user_id"), None);
    }
}
