//! The configuration: what to watch. How to run is said by flags.
//!
//! In: one TOML file and the lists it names. Out: a checked [`Config`] with everything loaded, or every problem with
//! its line.

pub mod check;
pub mod command;
pub mod load;
pub mod packets;
pub mod reports;
pub mod seeds;
pub mod store;
pub mod template;

use std::path::PathBuf;

use atalaya_alert::outlet::OutletOptions;
use atalaya_alert::{AlertOptions, Allow};
use atalaya_model::setting::Period;
use ipnet::IpNet;
use packets::Packets;
use reports::Reports;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use store::Store;

/// Atalaya's configuration. Every key is optional; an unknown one is an error. Lengths of time are written "10s",
/// "5m", "2h", "7d"; sizes "64 MB", "1 GiB".
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How often to look, and how to begin.
    pub watch: Watch,
    /// Which networks are one's own.
    pub networks: NetworkOptions,
    /// Where addresses are.
    pub geo: Geo,
    /// What to find out about each process.
    pub collect: Collect,
    /// Packets: which are read, what is kept of them.
    pub packets: Packets,
    /// The history.
    pub store: Store,
    /// The socket on which `atalaya status` and others reach a running watcher.
    pub control: Control,
    /// Which findings are told, and how often.
    pub alerts: AlertOptions,
    /// Where alerts and events are written.
    pub outlets: OutletOptions,
    /// Reports that a watch writes by itself.
    pub report: Reports,
    /// The detectors; each has `enabled` and its thresholds.
    pub detect: atalaya_detect::Options,
    /// What is known and need not be told. Each `[[allow]]` names at least one of process, port, destination, rule.
    pub allow: Vec<Allow>,
}

/// The table `[watch]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Watch {
    /// Time between two looks.
    pub interval: Period,
    /// How long a new watch learns, silently, which listeners and executables are ordinary here.
    pub learning: Period,
    /// Folder of log files whose path is not absolute. Default: /var/log/atalaya as root, else ~/.local/state/atalaya.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_folder: Option<PathBuf>,
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            interval: Period::seconds(1),
            learning: Period::seconds(300),
            log_folder: None,
        }
    }
}

/// The table `[networks]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NetworkOptions {
    /// Ranges (CIDR) that count as internal, beside the private ones of RFC 1918, 4193 and 6598.
    #[schemars(with = "Vec<String>")]
    pub internal: Vec<IpNet>,
}

/// The table `[geo]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Geo {
    /// Databases in MaxMind's format (`.mmdb`), of countries, of autonomous systems or of both; of several the first
    /// that knows an address tells. A path that is not absolute is looked for beside this file.
    pub files: Vec<PathBuf>,
}

/// The table `[collect]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Collect {
    /// Compute the SHA-256 of executables.
    pub hashes: bool,
    /// Look up which package owns an executable, and whether its digest still agrees.
    pub packages: bool,
    /// Redact secrets in command lines before anything is kept or shown.
    pub redact: bool,
}

impl Default for Collect {
    fn default() -> Self {
        Self {
            hashes: true,
            packages: true,
            redact: true,
        }
    }
}

/// The table `[control]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Control {
    /// Open the socket.
    pub enabled: bool,
    /// Its path. Default: /run/atalaya/control.sock as root, else in $XDG_RUNTIME_DIR; with a store of its own,
    /// beside that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub socket: Option<PathBuf>,
}

impl Default for Control {
    fn default() -> Self {
        Self {
            enabled: true,
            socket: None,
        }
    }
}
