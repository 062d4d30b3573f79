//! What the exit status means, for every verb. Scripts rely on it.

use std::process::ExitCode;

use atalaya_model::Severity;

/// How a run ended. Where two apply, the higher number wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// Done; nothing of high or critical severity was found.
    Clean = 0,
    /// Done; at least one high or critical alert was found (for `watch`, with `--fail-on`); for `diff`, a difference.
    Found = 1,
    /// The command line or the configuration is wrong; nothing was done.
    Usage = 2,
    /// The run failed.
    Failed = 3,
}

impl Exit {
    /// The exit of a run that found alerts up to `worst`, when findings from `threshold` on count.
    pub fn of_findings(worst: Option<Severity>, threshold: Severity) -> Self {
        if worst.is_some_and(|worst| worst >= threshold) {
            Self::Found
        } else {
            Self::Clean
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A failure that tells the user what to do, and which exit it deserves.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Something the user wrote is wrong.
    #[error("{0}")]
    Usage(String),
    /// Problems in a configuration or list, one a line.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Problems(Vec<atalaya_model::Problem>),
    /// The run failed.
    #[error("{0}")]
    Failed(String),
}

impl Failure {
    /// The exit status for it.
    pub const fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) | Self::Problems(_) => Exit::Usage,
            Self::Failed(_) => Exit::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_beats_findings() {
        assert!(Exit::Failed > Exit::Usage && Exit::Usage > Exit::Found && Exit::Found > Exit::Clean);
        assert_eq!(
            Exit::of_findings(Some(Severity::Medium), Severity::High),
            Exit::Clean
        );
        assert_eq!(
            Exit::of_findings(Some(Severity::Critical), Severity::High),
            Exit::Found
        );
        assert_eq!(Exit::of_findings(None, Severity::Info), Exit::Clean);
    }
}
