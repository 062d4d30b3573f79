//! Reads Zeek's logs, as text between tabs and as JSON: `conn`, `dns`, `ssl` and `http`, and `notice` as what another
//! sensor holds for odd. Other logs are passed over.
//!
//! What our own writer adds (`process_…`) is read, too. A line tells at most one thing.

mod conn;
mod dns;
mod header;
mod row;
mod said;

use std::sync::Arc;

use atalaya_model::{Connection, Evidence, Finding, Message, Severity, Time, Transport};
use serde_json::Value;

use crate::told::{self, BadLine, Options, Told, What, bad};
use header::Header;
use row::Row;

/// Reads one log, line by line.
#[derive(Debug, Default)]
pub struct Reader {
    options: Options,
    header: Header,
    /// The log that lines of JSON belong to that do not say it: by the name of their file.
    log: Box<str>,
}

impl Reader {
    /// A reader of the file of this name: `conn.log`, `dns.2026-11-20-10.log.gz`.
    pub fn new(name: &str, options: Options) -> Self {
        let log = name.split(['.', '_', '-']).next().unwrap_or_default();
        Self {
            options,
            log: log.into(),
            ..Self::default()
        }
    }

    /// Takes a line; `None` for what is no row, or of a log that tells nothing here.
    ///
    /// # Errors
    /// A line that is not what its log demands. The next may be good.
    pub fn line(&mut self, line: &str) -> Result<Option<Told>, BadLine> {
        let line = line.trim_end_matches(['\r', '\n']);
        if line.trim().is_empty() {
            return Ok(None);
        }
        if line.starts_with('#') {
            return self.header.take(line).map(|()| None);
        }
        if line.starts_with('{') {
            let object = match serde_json::from_str(line) {
                Ok(Value::Object(object)) => object,
                Ok(_) => return Err(BadLine("it is no object of JSON".to_owned())),
                Err(error) => return Err(BadLine(format!("it is no JSON: {error}"))),
            };
            let log = object
                .get("_path")
                .and_then(Value::as_str)
                .unwrap_or(&self.log)
                .to_owned();
            return self.row(&log, &Row::Json(object));
        }
        if !self.header.is_complete() {
            return Err(BadLine(
                "it is neither JSON nor below a head (`#fields`) that names its columns".to_owned(),
            ));
        }
        let fields: Vec<_> = line
            .split(&*self.header.separator)
            .take(self.header.columns() + 1)
            .collect();
        if fields.len() != self.header.columns() {
            return Err(BadLine(format!(
                "it has {} columns, where `#fields` names {}",
                fields.len(),
                self.header.columns()
            )));
        }
        let log = self.header.path.as_deref().unwrap_or(&self.log).to_owned();
        self.row(&log, &Row::Text(&self.header, fields))
    }

    fn row(&self, log: &str, row: &Row<'_>) -> Result<Option<Told>, BadLine> {
        if !matches!(log, "conn" | "dns" | "ssl" | "http" | "notice") {
            return Ok(None);
        }
        let time = row.time("ts")?.ok_or_else(|| bad("ts", "there"))?;
        let uid = row.text_within("uid", 64).unwrap_or_default();
        if log == "notice" {
            let what = What::Odd(Box::new(notice(row, time)?));
            return Ok(Some(Told {
                written: time,
                uid,
                what,
            }));
        }
        let mut connection = ends(row, time, log)?;
        let message = match log {
            "conn" => {
                conn::read(row, &mut connection)?;
                return Ok(Some(Told {
                    written: connection.seen,
                    uid,
                    what: What::Ended(Box::new(connection)),
                }));
            }
            "dns" => Message::Dns(Box::new(dns::read(row, time)?)),
            "ssl" => Message::Tls(Box::new(said::tls(row)?)),
            _ => Message::Http(Box::new(said::http(row, self.options)?)),
        };
        let written = match &message {
            Message::Dns(dns) => dns.response.as_ref().map_or(time, |response| response.time),
            _ => time,
        };
        let what = What::Said(time, Box::new(connection), Box::new(message));
        Ok(Some(Told { written, uid, what }))
    }
}

/// Who talks to whom.
fn ends(row: &Row<'_>, time: Time, log: &str) -> Result<Connection, BadLine> {
    let source = row.end("id.orig_h", "id.orig_p")?;
    let destination = row.end("id.resp_h", "id.resp_p")?;
    let proto = row.text("proto");
    let number: Option<u8> = row.number("ip_proto").unwrap_or_default();
    let transport = match (number, proto.as_deref()) {
        (Some(number), _) => Transport::from_number(number),
        (None, Some("tcp")) => Transport::Tcp,
        (None, Some("udp")) => Transport::Udp,
        (None, Some("icmp")) if source.ip.is_ipv4() => Transport::Icmp,
        (None, Some("icmp")) => Transport::Icmpv6,
        (None, Some(_)) => Transport::Raw(u8::MAX),
        (None, None) if log == "dns" => Transport::Udp,
        (None, None) => Transport::Tcp,
    };
    let mut connection = Connection::bare(time, transport, source, destination);
    let text = |column| row.text(column).map(|text| Arc::from(&*text));
    if let Some(pid) = row.number("process_pid")? {
        let [name, executable, sha256] = ["process_name", "process_executable", "process_sha256"].map(text);
        connection.process = Some(told::process(pid, name, executable, sha256, time));
        connection.attribution = Evidence::CaptureFile.into();
    }
    Ok(connection)
}

/// What Zeek holds for odd, as a finding of the rule `zeek_notice`.
fn notice(row: &Row<'_>, time: Time) -> Result<Finding, BadLine> {
    let note = row.text_within("note", 128).ok_or_else(|| bad("note", "there"))?;
    let said = row.text_within("msg", 512).unwrap_or_default();
    let severity = match row.text("severity").as_deref() {
        Some("critical") => Severity::Critical,
        Some("high") => Severity::High,
        Some("low") => Severity::Low,
        Some("info") => Severity::Info,
        _ => Severity::Medium,
    };
    let connection = row
        .text("id.orig_h")
        .map(|_| ends(row, time, "notice"))
        .transpose()?;
    let who = row.text_within("src", 64).unwrap_or_default();
    Ok(Finding {
        rule: "zeek_notice".into(),
        time,
        severity,
        key: format!("{note} {who}").into(),
        values: vec![
            ("signature".into(), (&*note).into()),
            ("message".into(), (&*said).into()),
        ],
        process: connection.as_ref().and_then(|it| it.process.clone()),
        connections: connection.map(Arc::new).into_iter().collect(),
        listener: None,
    })
}
