//! Configurations that make Atalaya behave like one of the five tools it grew out of: their thresholds, intervals and
//! file names. What they lack (processes' hashes, explanations, history) comes on top.

use atalaya_alert::outlet::options::{EventKind, JsonOptions, LogOptions, Shape};
use atalaya_detect::blocklisted_address;
use atalaya_detect::lists::Network;
use atalaya_model::Severity;
use atalaya_model::setting::Period;

use super::Config;
use crate::cli::Seed;

/// Every detector off.
fn nothing(config: &mut Config) {
    let detect = &mut config.detect;
    detect.suspicious_port.enabled = false;
    detect.blocklisted_address.enabled = false;
    detect.uncommon_port.enabled = false;
    detect.excessive_connections.enabled = false;
    detect.many_external.enabled = false;
    detect.unusual_listener.enabled = false;
    detect.suspicious_path.enabled = false;
    detect.new_process.enabled = false;
    detect.new_executable.enabled = false;
    detect.changed_executable.enabled = false;
    detect.deleted_executable.enabled = false;
    detect.dns_rate.enabled = false;
}

fn log(file: &str) -> LogOptions {
    LogOptions {
        file: file.to_owned(),
        verbose: false,
        ..LogOptions::default()
    }
}

/// The configuration like a seed's.
pub fn like(seed: Seed) -> Config {
    let mut config = Config::default();
    // The seeds write where they are started, and begin to alert at once.
    config.watch.log_folder = Some(".".into());
    config.watch.learning = Period::seconds(0);
    match seed {
        Seed::S1 => {
            // Established outbound connections to ports off a short list, one log file.
            nothing(&mut config);
            config.watch.interval = Period::seconds(10);
            config.detect.uncommon_port.enabled = true;
            config.detect.uncommon_port.safe_ports = [53, 80, 443].into();
            config.outlets.log = Some(log("alertas_red.log"));
        }
        Seed::S2 => {
            // Every process and every connection opened or closed, suspicious paths, two general logs.
            nothing(&mut config);
            config.watch.interval = Period::seconds(10);
            config.detect.new_process.enabled = true;
            config.detect.suspicious_path.enabled = true;
            config.detect.changed_executable.enabled = true;
            config.outlets.log = Some(LogOptions {
                minimum_severity: Severity::Info,
                events: vec![EventKind::Connection, EventKind::Process, EventKind::Gap],
                ..log("monitor_seguridad_local_general.log")
            });
        }
        Seed::S3 => {
            // Five rules at the end of each look, a look every 30 seconds.
            nothing(&mut config);
            config.watch.interval = Period::seconds(30);
            config.detect.suspicious_port.enabled = true;
            config.detect.suspicious_port.ports =
                [4444, 5555, 6666, 6667, 9001, 9050, 9150, 12_345, 31_337].into();
            config.detect.excessive_connections.enabled = true;
            config.detect.excessive_connections.threshold = 50;
            config.detect.many_external.enabled = true;
            config.detect.unusual_listener.enabled = true;
            config.detect.dns_rate.enabled = true;
        }
        Seed::S4 => {
            // Everything on, with history; baselines are learnt first.
            config.watch.learning = Period::seconds(300);
            config.outlets.log = Some(log("netsecmonitor.log"));
        }
        Seed::S5 => {
            // Blocklisted addresses and more than 20 connections of a process, every 10 seconds, a log and JSON.
            nothing(&mut config);
            config.watch.interval = Period::seconds(10);
            config.detect.blocklisted_address = blocklisted_address::Options {
                enabled: true,
                addresses: ["104.22.55.228"].into_iter().filter_map(network).collect(),
                ..blocklisted_address::Options::default()
            };
            config.detect.excessive_connections.enabled = true;
            // That tool told of more than 20; ours tells of so many or more.
            config.detect.excessive_connections.threshold = 21;
            config.outlets.log = Some(log("network_alerts.log"));
            config.outlets.json = Some(JsonOptions {
                file: "network_alerts.json".to_owned(),
                shape: Shape::Basic,
                ..JsonOptions::default()
            });
            config.outlets.console.heartbeat = true;
        }
    }
    config
}

fn network(text: &str) -> Option<Network> {
    text.parse::<std::net::IpAddr>().ok().map(|ip| Network(ip.into()))
}
