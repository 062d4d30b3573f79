//! Reads EVE JSON, as Suricata and our own writer write it: `flow`, `dns` (versions 1 to 3), `tls`, `http`, and `alert`
//! as what another sensor holds for odd. Other events are passed over.
//!
//! Questions and answers of DNS have lines of their own: a question waits for its answer, among so many.

mod dns;
mod flow;
mod members;
mod said;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use atalaya_model::protocol::Dns;
use atalaya_model::{Connection, Endpoint, Evidence, Finding, Message, Severity, Time, Transport};
use serde_json::Value;

use crate::told::{self, BadLine, Options, Told, What, bad};
use members::{address, number, text, texts, time};

/// Questions that wait for their answers, at most; the oldest are told without.
const MOST: usize = 16_384;

/// A question, by its conversation and number.
type Exchange = (Box<str>, u16);

/// Reads one file, line by line.
#[derive(Debug, Default)]
pub struct Reader {
    options: Options,
    asked: HashMap<Exchange, (Time, Box<Connection>, Box<Dns>)>,
    order: VecDeque<Exchange>,
}

impl Reader {
    /// A reader.
    pub fn new(options: Options) -> Self {
        Self {
            options,
            ..Self::default()
        }
    }

    /// Takes a line, and appends what it tells.
    ///
    /// # Errors
    /// A line that is not what its kind of event demands. The next may be good.
    pub fn line(&mut self, line: &str, out: &mut Vec<Told>) -> Result<(), BadLine> {
        if line.trim().is_empty() {
            return Ok(());
        }
        let value: Value =
            serde_json::from_str(line).map_err(|error| BadLine(format!("it is no JSON: {error}")))?;
        let kind = text(&value, "event_type", 32).ok_or_else(|| bad("event_type", "there"))?;
        if !matches!(&*kind, "flow" | "dns" | "tls" | "http" | "alert") {
            return Ok(());
        }
        let at = time(&value, "timestamp").ok_or_else(|| bad("timestamp", "a time"))?;
        let uid: Box<str> = match &value["flow_id"] {
            Value::Number(id) => id.to_string().into(),
            _ => Box::default(),
        };
        let part = &value[&*kind];
        if !part.is_object() {
            return Err(bad(&kind, "an object"));
        }
        if &*kind == "alert" {
            let connection = ends(&value, at).ok();
            let what = What::Odd(Box::new(alert(part, at, connection)));
            out.push(Told {
                written: at,
                uid,
                what,
            });
            return Ok(());
        }
        let mut connection = ends(&value, at)?;
        match &*kind {
            "flow" => {
                flow::read(&value, &mut connection)?;
                let what = What::Ended(Box::new(connection));
                out.push(Told {
                    written: at,
                    uid,
                    what,
                });
            }
            "dns" => self.dns(part, at, uid, connection, out)?,
            "tls" => {
                let tls = said::tls(part)?;
                let what = What::Said(at, Box::new(connection), Box::new(Message::Tls(Box::new(tls))));
                out.push(Told {
                    written: at,
                    uid,
                    what,
                });
            }
            // Only how a side of HTTP/2 is set.
            _ if part["http2"].is_object() && part.get("http_method").or(part.get("status")).is_none() => {}
            _ => {
                let http = said::http(part, self.options)?;
                let what = What::Said(at, Box::new(connection), Box::new(Message::Http(Box::new(http))));
                out.push(Told {
                    written: at,
                    uid,
                    what,
                });
            }
        }
        Ok(())
    }

    /// The file is over: questions that nobody answered are told.
    pub fn finish(&mut self, out: &mut Vec<Told>) {
        while let Some(exchange) = self.order.pop_front() {
            self.unanswered(&exchange, out);
        }
    }

    fn unanswered(&mut self, exchange: &Exchange, out: &mut Vec<Told>) {
        if let Some((time, connection, dns)) = self.asked.remove(exchange) {
            out.push(Told {
                written: time,
                uid: exchange.0.clone(),
                what: What::Said(time, connection, Box::new(Message::Dns(dns))),
            });
        }
    }

    fn dns(
        &mut self,
        part: &Value,
        at: Time,
        uid: Box<str>,
        mut connection: Connection,
        out: &mut Vec<Told>,
    ) -> Result<(), BadLine> {
        let mut dns = dns::read(part, at)?;
        let exchange = (uid, dns.id);
        if dns.asked.is_some() {
            // The same number again: the first question had no answer.
            self.unanswered(&exchange, out);
            self.asked
                .insert(exchange.clone(), (at, Box::new(connection), Box::new(dns)));
            self.order.push_back(exchange);
            while self.order.len() > MOST
                && let Some(oldest) = self.order.pop_front()
            {
                self.unanswered(&oldest, out);
            }
            return Ok(());
        }
        let mut began = at;
        if let Some((time, asker, question)) = self.asked.remove(&exchange) {
            began = time;
            connection = *asker;
            dns = Dns {
                response: dns.response,
                ..*question
            };
        } else if connection.destination.port != 53 && connection.source.port == 53 {
            // An answer alone names its sender first.
            std::mem::swap(&mut connection.source, &mut connection.destination);
        }
        out.push(Told {
            written: at,
            uid: exchange.0,
            what: What::Said(began, Box::new(connection), Box::new(Message::Dns(Box::new(dns)))),
        });
        Ok(())
    }
}

/// Who talks to whom.
fn ends(line: &Value, at: Time) -> Result<Connection, BadLine> {
    let ip = |key: &str| address(line, key).ok_or_else(|| bad(key, "an address"));
    let (source, destination) = (ip("src_ip")?, ip("dest_ip")?);
    let proto = text(line, "proto", 32).unwrap_or_default().to_ascii_uppercase();
    let transport = match &*proto {
        "TCP" => Transport::Tcp,
        "UDP" => Transport::Udp,
        "ICMP" => Transport::Icmp,
        "IPV6-ICMP" => Transport::Icmpv6,
        "SCTP" => Transport::Sctp,
        other => Transport::from_number(other.parse().unwrap_or(u8::MAX)),
    };
    let control = matches!(transport, Transport::Icmp | Transport::Icmpv6);
    let keys = match control {
        true => ["icmp_type", "icmp_code"],
        false => ["src_port", "dest_port"],
    };
    let [first, second] = keys.map(|key| number::<u16>(line, key));
    let source = Endpoint::new(source, first?.unwrap_or(0));
    let destination = Endpoint::new(destination, second?.unwrap_or(0));
    let mut connection = Connection::bare(at, transport, source, destination);
    let who = &line["process"];
    if let Some(pid) = number(who, "pid")? {
        let word = |key| text(who, key, told::MAX_TEXT).map(|text| Arc::from(&*text));
        let mut process = told::process(pid, word("name"), word("executable"), word("sha256"), at);
        if let Some(user) = word("user") {
            Arc::make_mut(&mut process).user_name = Some(user);
        }
        connection.process = Some(process);
        connection.attribution = Evidence::CaptureFile.into();
    }
    Ok(connection)
}

/// What a signature holds for odd, as a finding of the rule `suricata_alert`.
fn alert(part: &Value, time: Time, connection: Option<Connection>) -> Finding {
    let word = |key| text(part, key, 512).unwrap_or_default();
    let id: u64 = number(part, "signature_id").unwrap_or_default().unwrap_or(0);
    let grade: Option<u64> = number(part, "severity").unwrap_or_default();
    let severity = match grade {
        Some(1) => Severity::High,
        Some(2) | None => Severity::Medium,
        Some(3) => Severity::Low,
        Some(_) => Severity::Info,
    };
    let peer = connection
        .as_ref()
        .map(|it| format!("{} → {}", it.source.ip, it.destination.ip));
    let mut values = vec![
        ("signature".into(), (&*word("signature")).into()),
        ("signature_id".into(), id.into()),
        ("category".into(), (&*word("category")).into()),
        ("action".into(), (&*word("action")).into()),
    ];
    let techniques = texts(&part["metadata"], "mitre_technique_id");
    if !techniques.is_empty() {
        values.push(("technique".into(), (&*techniques.join(", ")).into()));
    }
    Finding {
        rule: "suricata_alert".into(),
        time,
        severity,
        key: format!("{id} {}", peer.unwrap_or_default()).into(),
        values,
        process: connection.as_ref().and_then(|it| it.process.clone()),
        connections: connection.map(Arc::new).into_iter().collect(),
        listener: None,
    }
}
