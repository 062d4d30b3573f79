//! A snapshot as one JSON document.
//!
//! The flat keys are those that scripts for simple network monitors expect: `protocol`, `local_address`, `severity`
//! in upper case, `rule_name` as [`s3_rule_name`] gives it. Beside them every socket and alert has its whole record
//! under `ecs`, with names, ids and severities in lower case as everywhere else.

use std::fmt::Write as _;
use std::io::{self, Write};

use atalaya_format::ecs::{self, Context};
use atalaya_format::sentence::{self, Part};
use atalaya_model::fields::Record;
use atalaya_model::{Alert, Connection, Listener, Process, ProcessKey};

use super::{Snapshot, Statistics, listener_state, state_name};

/// How the document is written.
#[derive(Clone, Debug)]
pub struct JsonOptions {
    /// Host name, program version and language of the records.
    pub context: Context,
    /// One member a line, for people; else the whole document on one line.
    pub pretty: bool,
}

/// Bytes gathered before they go to the writer.
const CHUNK: usize = 64 << 10;

/// Writes the document and a newline. Sockets are written as they are walked; the writer gets chunks of about 64 KiB.
///
/// # Errors
/// When the writer fails.
pub fn write_json<'a, C, L>(
    snapshot: &Snapshot<'a, C, L>,
    options: &JsonOptions,
    out: &mut dyn Write,
) -> io::Result<()>
where
    C: Iterator<Item = &'a Connection> + Clone,
    L: Iterator<Item = &'a Listener> + Clone,
{
    let statistics = snapshot.statistics();
    let mut json = Json::new(options.pretty);
    json.open('{');
    json.key("timestamp");
    json.text(&snapshot.timestamp.rfc3339());
    json.key("duration");
    json.plain(snapshot.duration.as_seconds());
    json.key("host");
    json.text(snapshot.host);
    json.key("total_connections");
    json.plain(statistics.total);
    json.key("alert_count");
    json.plain(snapshot.alerts.len());
    json.key("alerts");
    json.open('[');
    for alert in snapshot.alerts {
        json.item();
        write_alert(&mut json, alert, &options.context);
        json.pass_on(out)?;
    }
    json.close(']');
    json.key("statistics");
    write_statistics(&mut json, &statistics);
    json.key("not_seen");
    write_not_seen(&mut json, snapshot);
    json.key("connections");
    json.open('[');
    for connection in snapshot.connections.clone() {
        json.item();
        write_connection(&mut json, connection, &options.context);
        json.pass_on(out)?;
    }
    for listener in snapshot.listeners.clone() {
        json.item();
        write_listener(&mut json, listener, &options.context);
        json.pass_on(out)?;
    }
    json.close(']');
    json.close('}');
    json.bytes.push('\n');
    out.write_all(json.bytes.as_bytes())?;
    out.flush()
}

/// The upper-case name that the JSON document gives a rule: for the five rules that simple monitors have, too, the
/// name they use (`HIGH_CONNECTION_COUNT`); for every other our own in upper case.
pub fn s3_rule_name(rule: &str) -> String {
    match rule {
        "excessive_connections" => "HIGH_CONNECTION_COUNT".to_owned(),
        "many_external" => "EXTERNAL_CONNECTIONS".to_owned(),
        "unusual_listener" => "UNUSUAL_LISTENERS".to_owned(),
        "dns_rate" => "DNS_TUNNELING".to_owned(),
        other => other.to_uppercase(),
    }
}

fn write_alert(json: &mut Json, alert: &Alert, context: &Context) {
    let finding = &alert.finding;
    let language = context.language;
    json.open('{');
    json.key("rule_name");
    json.text(&s3_rule_name(&finding.rule));
    json.key("severity");
    json.text(&finding.severity.name().to_uppercase());
    for (key, part) in [
        ("title", Part::Title),
        ("description", Part::Sentence),
        ("recommendation", Part::Recommendation),
        ("silence", Part::Silence),
    ] {
        json.key(key);
        json.text(&sentence::render(finding, language, part));
    }
    json.key("connections");
    json.open('[');
    for connection in &finding.connections {
        json.item();
        json.open('{');
        write_flat_connection(json, connection);
        json.close('}');
    }
    json.close(']');
    json.key("ecs");
    ecs::record(&mut json.bytes, Record::Alert(alert), context);
    json.close('}');
}

fn write_statistics(json: &mut Json, statistics: &Statistics) {
    json.open('{');
    json.key("established_count");
    json.plain(statistics.established);
    for (key, counts) in [
        ("by_protocol", &statistics.by_protocol),
        ("by_state", &statistics.by_state),
    ] {
        json.key(key);
        json.open('{');
        for (name, count) in counts {
            json.key(name);
            json.plain(count);
        }
        json.close('}');
    }
    json.key("by_process");
    json.open('{');
    for row in &statistics.by_process {
        json.key(row.name.as_deref().unwrap_or("unknown"));
        json.plain(row.connections);
    }
    json.close('}');
    for (key, ports) in [
        ("listening_ports", &statistics.listening_ports),
        ("udp_ports", &statistics.udp_ports),
    ] {
        json.key(key);
        json.open('[');
        for port in ports {
            json.item();
            json.plain(port);
        }
        json.close(']');
    }
    json.key("external_ips");
    json.plain(statistics.external_ips);
    json.key("top_external_ips");
    json.open('{');
    for (ip, count) in &statistics.top_external_ips {
        json.key(&ip.to_string());
        json.plain(count);
    }
    json.close('}');
    json.close('}');
}

fn write_not_seen<C, L>(json: &mut Json, snapshot: &Snapshot<'_, C, L>) {
    json.open('{');
    json.key("tier");
    json.text(snapshot.tier.tier.name());
    json.key("unavailable");
    json.open('{');
    for (tier, reason) in &snapshot.tier.unavailable {
        json.key(tier.name());
        json.text(reason);
    }
    json.close('}');
    json.key("limits");
    json.open('[');
    for limit in &snapshot.tier.limits {
        json.item();
        json.open('{');
        json.key("what");
        json.text(&limit.what);
        json.key("remedy");
        json.text(&limit.remedy);
        json.close('}');
    }
    json.close(']');
    json.key("unread_processes");
    json.open('{');
    for (reason, count) in snapshot.unread {
        json.key(reason);
        json.plain(count);
    }
    json.close('}');
    json.key("lost");
    json.open('{');
    for stage in snapshot.stages.iter().filter(|stage| stage.dropped > 0) {
        json.key(stage.stage.name());
        json.plain(stage.dropped);
    }
    json.close('}');
    json.close('}');
}

fn write_connection(json: &mut Json, connection: &Connection, context: &Context) {
    json.open('{');
    write_flat_connection(json, connection);
    json.key("ecs");
    ecs::record(&mut json.bytes, Record::Connection(connection), context);
    json.close('}');
}

fn write_flat_connection(json: &mut Json, connection: &Connection) {
    let (local, remote) = (connection.local(), connection.remote());
    json.key("protocol");
    json.text(connection.transport.name());
    json.key("local_address");
    json.quoted(local.ip);
    json.key("local_port");
    json.plain(local.port);
    json.key("remote_address");
    json.quoted(remote.ip);
    json.key("remote_port");
    json.plain(remote.port);
    json.key("state");
    json.text(state_name(connection.transport, connection.state));
    write_process(json, connection.process.as_deref(), &connection.shared_with);
}

fn write_listener(json: &mut Json, listener: &Listener, context: &Context) {
    json.open('{');
    json.key("protocol");
    json.text(listener.transport.name());
    json.key("local_address");
    json.quoted(listener.local.ip);
    json.key("local_port");
    json.plain(listener.local.port);
    json.key("remote_address");
    json.plain("null");
    json.key("remote_port");
    json.plain("null");
    json.key("state");
    json.text(listener_state(listener));
    write_process(json, listener.process.as_deref(), &listener.shared_with);
    json.key("ecs");
    ecs::record(&mut json.bytes, Record::Listener(listener), context);
    json.close('}');
}

/// The process by its flat keys, and the pids of the others that hold the same socket.
fn write_process(json: &mut Json, process: Option<&Process>, shared_with: &[ProcessKey]) {
    match process {
        Some(process) => {
            json.key("pid");
            json.plain(process.key.pid);
            json.key("process");
            json.text(&process.name);
        }
        None => {
            json.key("pid");
            json.plain("null");
            json.key("process");
            json.plain("null");
        }
    }
    if !shared_with.is_empty() {
        let pids: Vec<_> = shared_with.iter().map(|key| key.pid.to_string()).collect();
        json.key("shared_with");
        json.plain(format_args!("[{}]", pids.join(",")));
    }
}

/// JSON on its way out, compact or with a line a member.
struct Json {
    bytes: String,
    pretty: bool,
    depth: usize,
    /// Nothing stands yet between the last bracket and here.
    fresh: bool,
}

impl Json {
    fn new(pretty: bool) -> Self {
        Self {
            bytes: String::with_capacity(CHUNK + (CHUNK >> 2)),
            pretty,
            depth: 0,
            fresh: true,
        }
    }

    fn open(&mut self, bracket: char) {
        self.bytes.push(bracket);
        self.depth += 1;
        self.fresh = true;
    }

    fn close(&mut self, bracket: char) {
        self.depth -= 1;
        if !self.fresh {
            self.line();
        }
        self.fresh = false;
        self.bytes.push(bracket);
    }

    /// Before each element of a list.
    fn item(&mut self) {
        if !self.fresh {
            self.bytes.push(',');
        }
        self.fresh = false;
        self.line();
    }

    fn key(&mut self, key: &str) {
        self.item();
        self.text(key);
        self.bytes.push_str(if self.pretty { ": " } else { ":" });
    }

    fn line(&mut self) {
        if self.pretty {
            self.bytes.push('\n');
            (0..self.depth).for_each(|_| self.bytes.push_str("  "));
        }
    }

    /// What shows itself as JSON already.
    fn plain(&mut self, value: impl std::fmt::Display) {
        // Writing to a String cannot fail.
        write!(self.bytes, "{value}").unwrap_or_default();
    }

    /// What needs no escapes, in quotes.
    fn quoted(&mut self, value: impl std::fmt::Display) {
        write!(self.bytes, "\"{value}\"").unwrap_or_default();
    }

    /// A text. Besides what JSON demands, everything but letters, digits and ordinary marks is escaped, so that a
    /// document on a terminal cannot act on it.
    fn text(&mut self, text: &str) {
        self.bytes.push('"');
        let mut rest = text;
        while let Some(at) = rest.find(needs_escape) {
            self.bytes.push_str(&rest[..at]);
            let mut characters = rest[at..].chars();
            match characters.next() {
                Some(c @ ('"' | '\\')) => {
                    self.bytes.push('\\');
                    self.bytes.push(c);
                }
                Some(c) => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        write!(self.bytes, "\\u{unit:04x}").unwrap_or_default();
                    }
                }
                None => {}
            }
            rest = characters.as_str();
        }
        self.bytes.push_str(rest);
        self.bytes.push('"');
    }

    fn pass_on(&mut self, out: &mut dyn Write) -> io::Result<()> {
        if self.bytes.len() >= CHUNK {
            out.write_all(self.bytes.as_bytes())?;
            self.bytes.clear();
        }
        Ok(())
    }
}

fn needs_escape(c: char) -> bool {
    if c.is_ascii() {
        return matches!(c, '"' | '\\' | '\0'..='\x1f' | '\x7f');
    }
    !(c.is_alphanumeric() || "¿¡«»–—→…·’‘“”€§°".contains(c))
}

#[cfg(test)]
mod tests;
