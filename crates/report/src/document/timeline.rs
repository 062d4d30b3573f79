//! *What is known of this?* Everything about one process, file, address or name, in the order in which it happened.

use std::net::IpAddr;
use std::ops::Range;

use atalaya_format::Language;
use atalaya_format::sentence::{self, Part};
use atalaya_model::fields::Kind;
use atalaya_model::filter::Expression;
use atalaya_model::{Connection, Message, Process, Protocol, Span, Text, Time, Value};
use atalaya_store::{Ask, Reader, Searched, StoreError, Stored, Subject};

use super::{Column, Document, Number, Said, Section, Shape, Table, column, number, text, until_now};

/// What a timeline shall tell.
pub struct Question<'a> {
    /// What it is about.
    pub subject: Subject,
    /// As somebody wrote it.
    pub word: Text,
    /// The time that counts.
    pub range: Range<Time>,
    /// When it is.
    pub now: Time,
    /// Rows, at most; of more, the newest.
    pub limit: usize,
    /// In which language alerts speak.
    pub language: Language,
    /// Where it is kept.
    pub source: Text,
    /// The version of this program.
    pub version: Text,
    /// Is it time to answer with what was found?
    pub is_over: &'a dyn Fn() -> bool,
}

const COLUMNS: &[Column] = &[
    column("time", "Time", Shape::Time),
    column("event", "Event", Shape::Term),
    column("subject", "What", Shape::Code),
    column("remote", "Remote", Shape::Code),
    column("name", "Name", Shape::Word),
    column("pid", "Pid", Shape::Number),
    column("process", "Process", Shape::Code),
    column("user", "User", Shape::Word),
    column("received_bytes", "Received", Shape::Bytes),
    column("sent_bytes", "Sent", Shape::Bytes),
    column("severity", "Severity", Shape::Severity),
    column("detail", "Detail", Shape::Sentence),
    column("sha256", "SHA-256", Shape::Under),
];

/// One row, before it is put in order.
#[derive(Default)]
struct Entry {
    time: Time,
    event: &'static str,
    subject: Option<Value>,
    remote: Option<Value>,
    name: Option<Value>,
    process: Option<std::sync::Arc<Process>>,
    bytes: Option<(u64, u64)>,
    severity: Option<&'static str>,
    detail: Option<Value>,
    sha256: Option<Value>,
}

impl Entry {
    fn row(self) -> Vec<Option<Value>> {
        let process = self.process.as_ref();
        vec![
            Some(Value::Time(self.time)),
            Some(Value::from(self.event)),
            self.subject,
            self.remote,
            self.name,
            process.and_then(|process| number(process.key.pid.into())),
            process.map(|process| Value::from(process.program())),
            process.and_then(|process| text(process.user_name.as_ref())),
            self.bytes.map(|(_, received)| Value::Bytes(received)),
            self.bytes.map(|(sent, _)| Value::Bytes(sent)),
            self.severity.map(Value::from),
            self.detail,
            self.sha256,
        ]
    }
}

/// Makes the timeline.
///
/// # Errors
/// When the store cannot be read.
pub fn timeline(reader: &Reader, question: &Question<'_>) -> Result<Document, StoreError> {
    let ask = Ask {
        range: question.range.clone(),
        limit: question.limit,
        filter: question.subject.expression(),
        is_over: question.is_over,
    };
    let mut entries = Vec::new();
    let mut cut: Option<Searched> = None;
    let mut is_whole = true;
    for kind in [Kind::Process, Kind::Listener, Kind::Alert, Kind::Connection] {
        let (found, searched) = match (kind, &question.subject) {
            // Of one address an index knows the conversations.
            (Kind::Connection, Subject::Network(network))
                if network.prefix_len() == network.max_prefix_len() =>
            {
                of_address(reader, network.addr(), &ask)?
            }
            _ => reader.within(kind, &ask)?,
        };
        is_whole &= searched.complete;
        if kind == Kind::Connection && !searched.complete && (found.len() < question.limit) {
            cut = Some(searched);
        }
        for record in found {
            tell(record, question, &mut entries);
        }
    }
    let (said, searched) = reader.said_within(&question.subject, &ask)?;
    is_whole &= searched.complete;
    entries.extend(
        said.into_iter()
            .map(|(time, protocol)| spoken(time, &protocol, question.language)),
    );
    entries.retain(|entry: &Entry| question.range.contains(&entry.time));
    // What begins comes before what it leads to: the sort keeps the order of one microsecond.
    entries.sort_by_key(|entry| entry.time);
    let all = entries.len();
    let left_out = all.saturating_sub(question.limit);
    entries.drain(..left_out);
    let (gaps, all_gaps) = reader.gaps_within(&question.range, 1)?;
    let mut unseen = Vec::new();
    let whole = |count: u64| Value::Integer(i64::try_from(count).unwrap_or(i64::MAX));
    if left_out > 0 || !is_whole {
        unseen.push(Said::new(
            "Only the newest {0} are listed; `--limit` lists more.",
            vec![whole(entries.len() as u64)],
        ));
    }
    if let Some(searched) = cut {
        unseen.push(Said::new(
            "The newest {0} connections of the time were searched; a shorter time is searched wholly.",
            vec![whole(searched.rows)],
        ));
    }
    if let Some(gap) = gaps.first() {
        unseen.push(Said::new(
            "Gaps told in this time: {0}; the last at {1}: {2}",
            vec![whole(all_gaps), Value::Time(gap.time), Value::from(&gap.reason)],
        ));
    }
    let times = entries
        .first()
        .zip(entries.last())
        .map(|(first, last)| (first.time, last.time));
    let count = entries.len() as u64;
    Ok(Document {
        kind: "timeline",
        title: Said::new("Timeline of {0}", vec![Value::from(&question.word)]),
        source: question.source.clone(),
        range: Some(until_now(&question.range, question.now)),
        made: question.now,
        version: question.version.clone(),
        worst: None,
        verdict: match times {
            None => Said::plain("Nothing is known of it in this time."),
            Some((first, last)) => Said::new(
                "From {1} to {2}; events: {0}.",
                vec![whole(count), Value::Time(first), Value::Time(last)],
            ),
        },
        numbers: vec![Number {
            name: "events",
            label: "events",
            value: whole(count),
        }],
        news: Vec::new(),
        unseen,
        sections: vec![Section::from(Table::new(
            "timeline",
            "Timeline",
            COLUMNS,
            entries.into_iter().map(Entry::row).collect(),
            is_whole.then_some(all as u64),
        ))],
        method: vec![
            ("Made at", Value::Time(question.now)),
            ("Program", Value::from(format!("atalaya {}", question.version))),
        ],
    })
}

/// The newest conversations with an address.
fn of_address(reader: &Reader, ip: IpAddr, ask: &Ask<'_>) -> Result<(Vec<Stored>, Searched), StoreError> {
    let one_more = Ask {
        range: ask.range.clone(),
        limit: ask.limit.saturating_add(1),
        filter: Expression::All,
        is_over: ask.is_over,
    };
    let history = reader.address_history(ip, &one_more)?;
    let complete =
        history.newest.len() <= ask.limit && history.searched.is_none_or(|searched| searched.complete);
    let newest = history.newest.into_iter().take(ask.limit);
    let found: Vec<_> = newest.map(Stored::Connection).collect();
    let rows = found.len() as u64;
    Ok((found, Searched { rows, complete }))
}

/// What a record tells: a beginning, and an end.
fn tell(record: Stored, question: &Question<'_>, entries: &mut Vec<Entry>) {
    match record {
        Stored::Process(process) => {
            let entry = |time, event, detail| Entry {
                time,
                event,
                subject: text(process.script.as_ref().or(process.executable.as_ref())),
                sha256: text(process.sha256.as_ref()),
                process: Some(process.clone()),
                detail,
                ..Entry::default()
            };
            entries.push(entry(
                process.started,
                "process started",
                text(process.command_line.as_ref()),
            ));
            if let Some(ended) = process.ended {
                let code = process.exit_code;
                let code = code.and_then(|code| atalaya_format::text::end(code, question.language));
                entries.push(entry(ended, "process ended", code.map(Value::from)));
            }
        }
        Stored::Connection(connection) => {
            let opened = match connection.started_before {
                true => "connection first seen",
                false => "connection opened",
            };
            entries.push(of_connection(&connection, connection.started, opened));
            if let Some(ended) = connection.ended {
                let mut entry = of_connection(&connection, ended, "connection closed");
                let traffic = connection.traffic.as_ref();
                entry.bytes = traffic.map(|traffic| (traffic.sent_bytes, traffic.received_bytes));
                let lasted = Span(ended.since(connection.started).0.max(0));
                entry.detail = Some(Value::from(format!("{}, {lasted}", connection.outcome.name())));
                entries.push(entry);
            }
        }
        Stored::Listener(listener) => {
            let entry = |time, event| Entry {
                time,
                event,
                subject: Some(Value::from(format!(
                    "{} {}",
                    listener.transport.name(),
                    listener.local
                ))),
                process: listener.process.clone(),
                ..Entry::default()
            };
            entries.push(entry(
                listener.started,
                match listener.started_before {
                    true => "listener first seen",
                    false => "listener appeared",
                },
            ));
            entries.extend(listener.ended.map(|ended| entry(ended, "listener gone")));
        }
        Stored::Alert(alert) => {
            let finding = &alert.finding;
            entries.push(Entry {
                time: finding.time,
                event: "alert",
                subject: Some(Value::from(&finding.rule)),
                process: finding.process.clone(),
                severity: Some(finding.severity.name()),
                detail: Some(Value::from(sentence::render(
                    finding,
                    question.language,
                    Part::Sentence,
                ))),
                ..Entry::default()
            });
        }
        Stored::Gap(_) => {}
    }
}

fn of_connection(connection: &Connection, time: Time, event: &'static str) -> Entry {
    let transport = connection.transport.name();
    let direction = connection.direction.name();
    Entry {
        time,
        event,
        subject: Some(Value::from(format!(
            "{direction} {transport} {}",
            connection.local()
        ))),
        remote: Some(Value::from(connection.remote().to_string())),
        name: text(connection.name.as_ref()),
        process: connection.process.clone(),
        ..Entry::default()
    }
}

/// What was said inside a conversation.
fn spoken(time: Time, protocol: &Protocol, language: Language) -> Entry {
    let event = match &protocol.message {
        Message::Dns(_) => "DNS",
        Message::Tls(_) => "TLS",
        Message::Http(_) => "HTTP",
        _ => "protocol",
    };
    Entry {
        detail: Some(Value::from(atalaya_format::text::said(protocol, language))),
        ..of_connection(&protocol.connection, time, event)
    }
}
