//! A detector's remark: a rule and its numbers, never prose.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Connection, Listener, Process, Severity, Text, Time, Value};

/// A detector says "odd". Many and cheap; whether it is worth telling is decided in `alert`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The rule that fired (`suspicious_port`).
    pub rule: Text,
    /// When.
    pub time: Time,
    /// The severity that this finding deserves.
    pub severity: Severity,
    /// What makes two findings of a rule the same thing (`/usr/bin/nc → 4444`). Repeats are counted, not told again.
    pub key: Text,
    /// Named numbers, thresholds, names: everything that the sentence about it needs.
    pub values: Vec<(Text, Value)>,
    /// The process to look at.
    pub process: Option<Arc<Process>>,
    /// Examples, at most five.
    pub connections: Vec<Arc<Connection>>,
    /// The listener it is about.
    pub listener: Option<Arc<Listener>>,
}

impl Finding {
    /// How many example connections a finding may carry.
    pub const MAX_EXAMPLES: usize = 5;

    /// The value of this name.
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.values
            .iter()
            .find(|(key, _)| &**key == name)
            .map(|(_, value)| value)
    }
}
