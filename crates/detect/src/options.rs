//! The options of all detectors: `[detect.NAME]` in the configuration.

use atalaya_model::Span;
use serde::{Deserialize, Serialize};

use crate::{
    blocklisted_address, changed_executable, deleted_executable, dns_rate, excessive_connections,
    many_external, new_executable, new_process, preloaded_library, reverse_shell, suspicious_path,
    suspicious_port, uncommon_port, unusual_listener,
};

/// One table of options for each detector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "one table a detector")]
pub struct Options {
    /// How long a finding may wait for its executable's hash and package before it is told without.
    #[serde(with = "atalaya_model::setting::span")]
    #[schemars(with = "String")]
    pub wait_for_hash: Span,
    pub suspicious_port: suspicious_port::Options,
    pub blocklisted_address: blocklisted_address::Options,
    pub uncommon_port: uncommon_port::Options,
    pub excessive_connections: excessive_connections::Options,
    pub many_external: many_external::Options,
    pub unusual_listener: unusual_listener::Options,
    pub suspicious_path: suspicious_path::Options,
    pub new_process: new_process::Options,
    pub new_executable: new_executable::Options,
    pub changed_executable: changed_executable::Options,
    pub deleted_executable: deleted_executable::Options,
    pub dns_rate: dns_rate::Options,
    pub reverse_shell: reverse_shell::Options,
    pub preloaded_library: preloaded_library::Options,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            wait_for_hash: Span::from_seconds(2),
            suspicious_port: Default::default(),
            blocklisted_address: Default::default(),
            uncommon_port: Default::default(),
            excessive_connections: Default::default(),
            many_external: Default::default(),
            unusual_listener: Default::default(),
            suspicious_path: Default::default(),
            new_process: Default::default(),
            new_executable: Default::default(),
            changed_executable: Default::default(),
            deleted_executable: Default::default(),
            dns_rate: Default::default(),
            reverse_shell: Default::default(),
            preloaded_library: Default::default(),
        }
    }
}
