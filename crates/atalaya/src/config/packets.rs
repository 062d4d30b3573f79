//! The table `[packets]`.

use std::path::PathBuf;

use atalaya_model::Severity;
use atalaya_model::setting::Size;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The table `[packets]`: how packets are read, by `watch --packets`, `replay` and `capture`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Packets {
    /// Read packets in every watch, as `watch --packets` does.
    pub enabled: bool,
    /// Interfaces to read from; empty for all, also those that come later.
    pub interfaces: Vec<String>,
    /// Ask the network card for frames that are meant for others, too.
    pub promiscuous: bool,
    /// Bytes of each frame that are read; longer frames are counted whole and read in part.
    pub snap_length: u32,
    /// Memory that the kernel fills while nobody reads, for all interfaces together.
    pub ring: Size,
    /// Keep the query strings of HTTP requests; they often hold secrets.
    pub query_strings: bool,
    /// Most conversations that are followed at once; beyond nine tenths of it, those that nobody answers and those
    /// that are silent are let go sooner.
    pub max_connections: u32,
    /// The flight recorder: the last packets on disk, kept when a high alert is raised.
    pub recorder: Recorder,
}

impl Default for Packets {
    fn default() -> Self {
        Self {
            enabled: false,
            interfaces: Vec::new(),
            promiscuous: false,
            snap_length: 65_535,
            ring: Size(32 << 20),
            query_strings: false,
            max_connections: 250_000,
            recorder: Recorder::default(),
        }
    }
}

/// The table `[packets.recorder]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Recorder {
    /// Record, where packets are read.
    pub enabled: bool,
    /// Bytes of the last packets that are kept on disk.
    pub size: Size,
    /// Freeze what is recorded into a file of its own when an alert of this severity or worse is raised: info, low,
    /// medium, high, critical.
    #[schemars(with = "String")]
    pub severity: Severity,
    /// Frozen files that are kept; the oldest go first.
    pub keep: u32,
    /// Folder of the recording and of what was frozen. Default: `packets` beside the store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folder: Option<PathBuf>,
}

impl Default for Recorder {
    fn default() -> Self {
        Self {
            enabled: false,
            size: Size(256_000_000),
            severity: Severity::High,
            keep: 16,
            folder: None,
        }
    }
}
