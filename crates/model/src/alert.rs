//! What is worth telling: alerts, and what people said of them. All of it is append-only.

use serde::{Deserialize, Serialize};

use crate::{Finding, Text, Time};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the usual five")]
pub enum Severity {
    Info,
    Low,
    Medium,
    High,
    Critical,
}

impl Severity {
    /// Every severity, mildest first.
    pub const ALL: [Self; 5] = [Self::Info, Self::Low, Self::Medium, Self::High, Self::Critical];

    /// The lower-case name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// The severity with this name, in any case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|severity| severity.name().eq_ignore_ascii_case(name))
    }

    /// ECS `event.severity`: 10, 30, 50, 70, 90.
    pub const fn number(self) -> i64 {
        self as i64 * 20 + 10
    }
}

/// A MITRE ATT&CK technique.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "id and name as MITRE gives them")]
pub struct Technique {
    pub id: Text,
    pub name: Text,
    pub tactic: Text,
}

/// A finding that was worth telling.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Time-ordered (milliseconds since the epoch << 20 | sequence), unique on this host, stable across restarts.
    pub id: u64,
    /// What was found.
    pub finding: Finding,
    /// The techniques it may be a sign of.
    pub techniques: Vec<Technique>,
    /// How many times an earlier alert of the same key was told before this one (re-armed after its cooldown).
    pub recurrence: u32,
}

/// What a person decided about an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Verdict {
    TruePositive,
    FalsePositive,
}

impl Verdict {
    /// The name that `--as` takes.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TruePositive => "true-positive",
            Self::FalsePositive => "false-positive",
        }
    }

    /// The verdict with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::TruePositive, Self::FalsePositive]
            .into_iter()
            .find(|verdict| verdict.name() == name)
    }
}

/// One row about alerts. Nothing is ever changed: later rows add to earlier ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertRecord {
    /// A new alert.
    Raised(Box<Alert>),
    /// The same finding came again; `count` is the total so far, the first one included.
    Repeated {
        /// The alert it belongs to.
        alert: u64,
        /// When it last came.
        time: Time,
        /// How often it came in all.
        count: u64,
    },
    /// Somebody has seen it.
    Acknowledged {
        /// The alert.
        alert: u64,
        /// When.
        time: Time,
        /// Who.
        by: Text,
        /// What they wrote.
        note: Option<Text>,
    },
    /// Somebody decided what it was.
    Closed {
        /// The alert.
        alert: u64,
        /// When.
        time: Time,
        /// Who.
        by: Text,
        /// What it was.
        verdict: Verdict,
        /// What they wrote.
        note: Option<Text>,
    },
}
