//! Configurations that make Atalaya behave like one of the five tools it grew out of: their thresholds, intervals and
//! file names. What they lack (processes' hashes, explanations, history) comes on top.

use atalaya_alert::outlet::options::{
    ConnectionsCsvOptions, EventKind, JsonOptions, LogOptions, ProcessesCsvOptions, Shape,
};
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
    detect.reverse_shell.enabled = false;
    detect.preloaded_library.enabled = false;
}

fn log(file: &str) -> LogOptions {
    LogOptions {
        file: file.to_owned(),
        verbose: false,
        ..LogOptions::default()
    }
}

/// What stands at the head of a seed's configuration.
pub const fn about(seed: Seed) -> &'static str {
    match seed {
        Seed::S1 => {
            "Like S1, the real-time network connection monitor: established outbound connections to ports other than \
             53, 80 and 443, told in alertas_red.log in the folder where the watch is started."
        }
        Seed::S2 => {
            "Like S2, the local monitoring suite: every process every two minutes in \
             monitor_seguridad_local_procesos.csv, every connection opened or closed in \
             network_connection_events.csv, new processes, changed hashes, odd paths and listening ports in two \
             general logs, all in the folder where the watch is started. `atalaya verify processes` and `atalaya \
             verify network` read both tables, that suite's own, too. Its route traces come later."
        }
        Seed::S3 => {
            "Like S3, Network Monitor: its five rules, its ports, its thresholds, a look every 30 seconds.\n\
             `atalaya watch --quiet --output json --events snapshot >> network.log` is its `--continuous --quiet \
             --output json`."
        }
        Seed::S4 => {
            "Like S4, NetSecMonitor: every detector, a baseline learnt first, history in SQL, and a log. Its port \
             scanner, dashboard and mail come later."
        }
        Seed::S5 => {
            "Like S5, the network traffic monitoring script: blocklisted addresses and more than 20 connections of \
             one process, every 10 seconds, in network_alerts.log and network_alerts.json in the folder where the \
             watch is started. The listed address is that script's sample; put yours in its place."
        }
    }
}

/// The configuration like a seed's.
pub fn like(seed: Seed) -> Config {
    let mut config = Config::default();
    // The seeds write where they are started, and begin to alert at once.
    config.watch.log_folder = Some(".".into());
    config.watch.learning = Period::seconds(0);
    match seed {
        Seed::S1 => connection_monitor(&mut config),
        Seed::S2 => monitoring_suite(&mut config),
        Seed::S3 => network_monitor(&mut config),
        Seed::S4 => {
            // Everything on, with history; baselines are learnt first.
            config.watch.learning = Period::seconds(300);
            config.outlets.log = Some(log("netsecmonitor.log"));
        }
        Seed::S5 => traffic_script(&mut config),
    }
    config
}

/// Established outbound connections to ports off a short list, one log file.
fn connection_monitor(config: &mut Config) {
    nothing(config);
    config.watch.interval = Period::seconds(10);
    config.detect.uncommon_port.enabled = true;
    config.detect.uncommon_port.safe_ports = [53, 80, 443].into();
    config.outlets.log = Some(log("alertas_red.log"));
}

/// Every process and every connection opened or closed, hashes, suspicious paths: two tables, two general logs.
fn monitoring_suite(config: &mut Config) {
    nothing(config);
    config.watch.interval = Period::seconds(10);
    config.detect.new_process.enabled = true;
    config.detect.suspicious_path.enabled = true;
    config.detect.changed_executable.enabled = true;
    config.detect.unusual_listener.enabled = true;
    config.outlets.log = Some(LogOptions {
        minimum_severity: Severity::Info,
        events: vec![EventKind::Process, EventKind::Gap, EventKind::Tier],
        status: Period::seconds(120),
        ..log("monitor_seguridad_local_general.log")
    });
    // Its alerts are in the other one; this one tells what the network did.
    config.outlets.logs = vec![LogOptions {
        minimum_severity: Severity::Critical,
        events: vec![EventKind::Connection, EventKind::Listener, EventKind::Gap],
        status: Period::seconds(10),
        ..log("network_monitor_general.log")
    }];
    config.outlets.processes_csv = Some(ProcessesCsvOptions {
        file: "monitor_seguridad_local_procesos.csv".to_owned(),
        ..ProcessesCsvOptions::default()
    });
    config.outlets.connections_csv = Some(ConnectionsCsvOptions {
        file: "network_connection_events.csv".to_owned(),
        ..ConnectionsCsvOptions::default()
    });
}

/// Five rules at the end of each look, a look every 30 seconds.
fn network_monitor(config: &mut Config) {
    nothing(config);
    config.watch.interval = Period::seconds(30);
    let detect = &mut config.detect;
    detect.suspicious_port.enabled = true;
    detect.suspicious_port.ports = [4444, 5555, 6666, 6667, 9001, 9050, 9150, 12_345, 31_337].into();
    detect.excessive_connections.enabled = true;
    detect.excessive_connections.threshold = 50;
    // That tool did not ask which side had opened a connection.
    detect.excessive_connections.accepted = true;
    detect.many_external.enabled = true;
    detect.many_external.accepted = true;
    detect.unusual_listener.enabled = true;
    detect.unusual_listener.safe_ports = STANDARD_PORTS.into_iter().collect();
    detect.dns_rate.enabled = true;
}

/// Blocklisted addresses and more than 20 connections of a process, every 10 seconds, a log and JSON.
fn traffic_script(config: &mut Config) {
    nothing(config);
    config.watch.interval = Period::seconds(10);
    let detect = &mut config.detect;
    detect.blocklisted_address.enabled = true;
    detect.blocklisted_address.addresses = ["104.22.55.228"].into_iter().filter_map(network).collect();
    detect.excessive_connections.enabled = true;
    // That script told of more than 20, whoever had opened them; ours tells of so many or more.
    detect.excessive_connections.threshold = 21;
    detect.excessive_connections.accepted = true;
    config.outlets.log = Some(log("network_alerts.log"));
    config.outlets.json = Some(JsonOptions {
        file: "network_alerts.json".to_owned(),
        shape: Shape::Basic,
        ..JsonOptions::default()
    });
    config.outlets.console.heartbeat = true;
}

/// Ports on which services ordinarily listen: files, shells, mail, names, time, the web, directories, printers,
/// databases.
const STANDARD_PORTS: [u16; 26] = [
    20, 21, 22, 25, 53, 67, 68, 80, 110, 123, 143, 389, 443, 465, 587, 631, 636, 993, 995, 3306, 3389, 5353,
    5432, 6379, 8080, 8443,
];

fn network(text: &str) -> Option<Network> {
    text.parse::<std::net::IpAddr>().ok().map(|ip| Network(ip.into()))
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    /// The detectors that are on.
    fn on(config: &Config) -> Vec<String> {
        let detect = serde_json::to_value(&config.detect).unwrap();
        let tables = detect.as_object().unwrap().iter();
        tables
            .filter(|(_, table)| table.get("enabled").is_some_and(|on| on == true))
            .map(|(name, _)| name.clone())
            .collect()
    }

    fn file(log: &LogOptions) -> &str {
        &log.file
    }

    #[test]
    fn s1_tells_of_ports_off_a_short_list() {
        let config = like(Seed::S1);
        assert_eq!(on(&config), ["uncommon_port"]);
        assert_eq!(config.detect.uncommon_port.safe_ports, [53, 80, 443].into());
        assert_eq!(config.outlets.log.as_ref().map(file), Some("alertas_red.log"));
        assert_eq!(config.outlets.json, None);
    }

    #[test]
    fn s2_writes_its_four_files() {
        let config = like(Seed::S2);
        let wanted = [
            "changed_executable",
            "new_process",
            "suspicious_path",
            "unusual_listener",
        ];
        assert_eq!(on(&config), wanted);
        assert_eq!(config.watch.interval, Period::seconds(10));
        let (processes, network) = (config.outlets.log.unwrap(), &config.outlets.logs[0]);
        assert_eq!(file(&processes), "monitor_seguridad_local_general.log");
        assert_eq!(processes.minimum_severity, Severity::Info);
        assert_eq!(file(network), "network_monitor_general.log");
        assert!(network.events.contains(&EventKind::Connection));
        assert_eq!(processes.status, Period::seconds(120));
        let (table, events) = (
            config.outlets.processes_csv.unwrap(),
            config.outlets.connections_csv.unwrap(),
        );
        assert_eq!(table.file, "monitor_seguridad_local_procesos.csv");
        assert_eq!(table.interval, Period::seconds(120));
        assert_eq!(events.file, "network_connection_events.csv");
        assert_eq!(events.interval, Period::seconds(10));
        assert!(about(Seed::S2).contains("Its route traces come later."));
    }

    #[test]
    fn s3_has_its_five_rules_ports_and_threshold() {
        let config = like(Seed::S3);
        let wanted = [
            "dns_rate",
            "excessive_connections",
            "many_external",
            "suspicious_port",
            "unusual_listener",
        ];
        assert_eq!(on(&config), wanted);
        assert_eq!(config.watch.interval, Period::seconds(30));
        let detect = &config.detect;
        assert_eq!(detect.excessive_connections.threshold, 50);
        assert!(detect.excessive_connections.accepted && detect.many_external.accepted);
        let ports = [4444, 5555, 6666, 6667, 9001, 9050, 9150, 12_345, 31_337];
        assert_eq!(detect.suspicious_port.ports, ports.into());
        assert!(detect.unusual_listener.safe_ports.contains(&443));
    }

    #[test]
    fn s4_has_everything_and_history() {
        let config = like(Seed::S4);
        assert_eq!(on(&config).len(), atalaya_detect::registry::ENTRIES.len());
        assert!(config.store.enabled);
        assert_eq!(config.watch.learning, Period::seconds(300));
    }

    #[test]
    fn s5_tells_of_more_than_twenty() {
        let config = like(Seed::S5);
        assert_eq!(on(&config), ["blocklisted_address", "excessive_connections"]);
        assert_eq!(config.watch.interval, Period::seconds(10));
        assert_eq!(config.detect.excessive_connections.threshold, 21);
        assert!(config.detect.excessive_connections.accepted);
        let listed = &config.detect.blocklisted_address.addresses;
        assert_eq!(
            listed
                .iter()
                .map(|network| network.0.to_string())
                .collect::<Vec<_>>(),
            ["104.22.55.228/32"]
        );
        assert_eq!(config.outlets.log.as_ref().map(file), Some("network_alerts.log"));
        let json = config.outlets.json.unwrap();
        assert_eq!(
            (json.file.as_str(), json.shape),
            ("network_alerts.json", Shape::Basic)
        );
        assert!(config.outlets.console.heartbeat);
    }

    #[test]
    fn only_s4_learns_first() {
        for seed in Seed::value_variants() {
            let config = like(*seed);
            assert_eq!(config.watch.learning.0.0 > 0, *seed == Seed::S4);
            assert_eq!(
                config.watch.log_folder.as_deref(),
                Some(std::path::Path::new("."))
            );
            assert!(about(*seed).contains(&format!("Like {seed:?}, ")));
        }
    }
}
