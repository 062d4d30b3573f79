//! A finding being written.

use std::sync::Arc;

use atalaya_model::process::Package;
use atalaya_model::{
    Connection, Finding, Listener, Outcome, Process, Severity, SocketState, Text, Time, Value,
};

pub(crate) struct Draft(Finding);

impl Draft {
    pub(crate) fn new(rule: &str, time: Time, severity: Severity, key: String) -> Self {
        Self(Finding {
            rule: rule.into(),
            time,
            severity,
            key: key.into(),
            values: Vec::new(),
            process: None,
            connections: Vec::new(),
            listener: None,
        })
    }

    pub(crate) fn value(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.values.push((name.into(), value.into()));
        self
    }

    /// The process, with `program` and `pid`; where there is none, the user who owns the socket as `user_id`.
    pub(crate) fn process(mut self, process: Option<&Arc<Process>>, user_id: Option<u32>) -> Self {
        match process {
            Some(process) => {
                self.0.process = Some(process.clone());
                self.value("program", process.program())
                    .value("pid", process.key.pid)
            }
            None => match user_id {
                Some(id) => self.value("user_id", id),
                None => self,
            },
        }
    }

    /// The package that accounts for a change: `package`, with its version where it is known.
    pub(crate) fn package(self, package: &Package) -> Self {
        match &package.version {
            Some(version) => self.value("package", format!("{} {version}", package.name)),
            None => self.value("package", &package.name),
        }
    }

    /// An example, with its process as the finding's; at most [`Finding::MAX_EXAMPLES`] are kept.
    pub(crate) fn example(mut self, connection: &Arc<Connection>) -> Self {
        if self.0.connections.len() < Finding::MAX_EXAMPLES {
            self.0.connections.push(connection.clone());
        }
        self
    }

    /// The name by which the process asked for the destination: `name`, where it is known.
    pub(crate) fn name(self, connection: &Connection) -> Self {
        match &connection.name {
            Some(name) => self.value("name", name),
            None => self,
        }
    }

    pub(crate) fn listener(mut self, listener: &Arc<Listener>) -> Self {
        self.0.listener = Some(listener.clone());
        self
    }

    pub(crate) fn done(self) -> Finding {
        self.0
    }
}

/// Who it is in a finding's key: the program, which outlives its process, or the user where none is known.
pub(crate) fn identity(process: Option<&Arc<Process>>, user_id: Option<u32>) -> Text {
    match (process, user_id) {
        (Some(process), _) => process.program().into(),
        (None, Some(id)) => format!("user {id}").into(),
        (None, None) => "unknown".into(),
    }
}

/// The facts of a connection that most findings carry. The state of an attempt that failed is why.
pub(crate) fn about(draft: Draft, connection: &Arc<Connection>) -> Draft {
    let state = match connection.outcome {
        outcome if outcome.is_failure() => outcome.name(),
        _ => connection.state.name(),
    };
    draft
        .process(connection.process.as_ref(), connection.user_id)
        .example(connection)
        .value("destination", connection.destination.to_string())
        .name(connection)
        .value("port", connection.destination.port)
        .value("state", state)
}

/// Is it only an attempt so far, or was it never more?
pub(crate) fn is_attempt(connection: &Connection) -> bool {
    connection.outcome.is_failure()
        || connection.outcome == Outcome::Unknown && connection.state == SocketState::SynSent
}
