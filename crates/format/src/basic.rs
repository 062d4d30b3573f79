//! The two record shapes of the simplest of scripts: alerts about blocklisted addresses and excessive connections,
//! for who has tools that read just these. Every other rule has no line in this format.

use atalaya_model::{Alert, Value};

use crate::json;

/// Appends the alert's lines, each one JSON object and a newline; nothing for the rules that have no shape here.
///
/// `blocklisted_address` gives one line for each example connection: `timestamp` (`YYYY-MM-DD HH:MM:SS`, local time),
/// `pid`, `local_ip`, `local_port`, `remote_ip`, `remote_port`, `reason`. `excessive_connections` gives one line:
/// `timestamp`, `pid`, `connections`, `reason`. A `pid` that is not known is `null`.
pub fn alert(out: &mut String, alert: &Alert) {
    let finding = &alert.finding;
    match &*finding.rule {
        "blocklisted_address" => {
            for connection in &finding.connections {
                let process = connection.process.as_ref().or(finding.process.as_ref());
                begin(out, alert, process.map(|process| process.key.pid));
                for (side, end) in [("local", connection.local()), ("remote", connection.remote())] {
                    json::key(out, &format!("{side}_ip"));
                    json::text(out, &end.ip.to_string());
                    json::key(out, &format!("{side}_port"));
                    json::number(out, end.port);
                }
                finish(out, "Blacklisted IP");
            }
        }
        "excessive_connections" => {
            begin(
                out,
                alert,
                finding.process.as_ref().map(|process| process.key.pid),
            );
            json::key(out, "connections");
            match finding.value("count") {
                Some(Value::Integer(count)) => json::number(out, count),
                _ => json::number(out, finding.connections.len()),
            }
            finish(out, "Excessive connections");
        }
        _ => {}
    }
}

fn begin(out: &mut String, alert: &Alert, pid: Option<u32>) {
    out.push('{');
    json::key(out, "timestamp");
    json::text(out, &alert.finding.time.local());
    json::key(out, "pid");
    match pid {
        Some(pid) => json::number(out, pid),
        None => out.push_str("null"),
    }
}

fn finish(out: &mut String, reason: &str) {
    json::key(out, "reason");
    json::text(out, reason);
    out.push_str("}\n");
}
