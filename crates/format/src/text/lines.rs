//! One line for one thing.

use atalaya_model::fields::Record;
use atalaya_model::{AlertRecord, Connection, Event, Fact, Listener, Process, Verdict};

use super::{Style, end, faint, how, said, severity};
use crate::catalogue::Language;
use crate::sentence::{self, Part, render};
use crate::{escape, numbers};

/// Longest sentence in a line, in characters.
const MAX_SENTENCE: usize = 1_000;
/// Longest name or path in a line, in characters.
const MAX_NAME: usize = 60;

/// `tcp 192.168.1.50:45123 -> 10.0.0.5:4444 example.org (ESTABLISHED)`: from the side that began it, with the name that
/// was asked for. An attempt that failed has the reason where others have the state.
pub fn connection(connection: &Connection, language: Language) -> String {
    let name = connection.name.as_ref();
    let name = name.map(|name| format!(" {}", escape::end(name, MAX_NAME)));
    format!(
        "{} {} -> {}{} ({})",
        connection.transport.name(),
        connection.source,
        connection.destination,
        name.unwrap_or_default(),
        how(connection, language)
    )
}

/// `tcp 0.0.0.0:22 (LISTEN)`.
pub fn listener(listener: &Listener) -> String {
    format!("{} {} (LISTEN)", listener.transport.name(), listener.local)
}

/// `/usr/sbin/sshd (pid 812, user root)`.
pub fn process(process: &Process, language: Language) -> String {
    let user = match language {
        Language::English => "user",
        Language::Spanish => "usuario",
    };
    let label = escape::end(process.label(), MAX_NAME);
    let pid = process.key.pid;
    match (&process.user_name, process.user_id) {
        (Some(name), _) => format!("{label} (pid {pid}, {user} {})", escape::start(name, MAX_NAME)),
        (None, Some(id)) => format!("{label} (pid {pid}, {user} {id})"),
        (None, None) => format!("{label} (pid {pid})"),
    }
}

/// What a record is, and whose: a line for lists.
pub fn record(record: &Record<'_>, language: Language) -> String {
    let what = match record {
        Record::Connection(it) => {
            let bytes = it.bytes().map(|(out, back)| out.saturating_add(back));
            let bytes = bytes.filter(|bytes| *bytes > 0);
            let bytes = bytes.map(|bytes| format!(" {}", numbers::bytes(bytes)));
            format!("{}{}", connection(it, language), bytes.unwrap_or_default())
        }
        Record::Listener(it) => listener(it),
        Record::Process(it) => return process(it, language),
        Record::Alert(alert) => {
            let said = render(&alert.finding, language, Part::Sentence);
            return escape::start(&said, MAX_SENTENCE);
        }
        Record::Gap(gap) => {
            let reason = escape::start(&gap.reason, MAX_SENTENCE);
            return format!("{} ({}): {reason}", gap.stage.name(), gap.count);
        }
        Record::Protocol(protocol) => {
            let what = connection(&protocol.connection, language);
            format!("{what} {}", said(protocol, language))
        }
    };
    match record.process() {
        Some(it) => format!("{what} {}", process(it, language)),
        None => what,
    }
}

/// An event as a line with the local time, `None` for ticks.
pub fn event(event: &Event, style: Style) -> Option<String> {
    let (english, spanish) = match &event.fact {
        Fact::ConnectionOpened(it) if it.outcome.is_failure() => ("tried", "intentada"),
        Fact::ConnectionOpened(_) => ("opened", "abierta"),
        Fact::ConnectionUpdated(_) => ("updated", "actualizada"),
        Fact::ConnectionClosed(it) if it.outcome.is_failure() => ("failed", "fallida"),
        Fact::ConnectionClosed(_) => ("closed", "cerrada"),
        Fact::ProcessStarted(_) => ("started", "iniciado"),
        Fact::ProcessUpdated(_) => ("updated", "actualizado"),
        Fact::ProcessEnded(_) => ("ended", "terminado"),
        Fact::ListenerAppeared(_) => ("listens", "escucha"),
        Fact::ListenerUpdated(_) => ("updated", "actualizado"),
        Fact::ListenerGone(_) => ("listens no more", "ya no escucha"),
        Fact::Protocol(it) => (it.message.kind(), it.message.kind()),
        Fact::Gap(_) => ("lost", "perdido"),
        Fact::TierChanged(_) => ("tier", "modo"),
        Fact::Tick { .. } => return None,
    };
    let verb = match style.language {
        Language::English => english,
        Language::Spanish => spanish,
    };
    let what = match (&event.fact, crate::ecs::record_of(event)) {
        (_, Some(it)) => record(&it, style.language),
        (Fact::TierChanged(report), _) => {
            let better = report.unavailable.last();
            let why = better.map(|(tier, why)| format!(" ({}: {why})", tier.name()));
            escape::start(
                &format!("{}{}", report.tier.name(), why.unwrap_or_default()),
                MAX_SENTENCE,
            )
        }
        (Fact::Protocol(it), _) => said(it, style.language),
        _ => String::new(),
    };
    let end = match &event.fact {
        Fact::ProcessEnded(it) => it.exit_code.and_then(|code| end(code, style.language)),
        _ => None,
    };
    let end = end.map(|end| format!(", {end}")).unwrap_or_default();
    let clock = faint(&event.time.local_clock(), style);
    Some(format!("{clock} {verb:8} {what}{end}"))
}

/// A row about an alert as a line for the console: time, severity or what was done, sentence.
pub fn alert_line(row: &AlertRecord, style: Style) -> String {
    dated(row, style, atalaya_model::Time::local_clock)
}

/// As [`alert_line`], with the date: for what happened on other days.
pub fn dated_alert_line(row: &AlertRecord, style: Style) -> String {
    dated(row, style, atalaya_model::Time::local)
}

fn dated(row: &AlertRecord, style: Style, show: fn(atalaya_model::Time) -> String) -> String {
    let (time, head, said) = parts(row, style.language);
    let clock = faint(&show(time), style);
    let head = match row {
        AlertRecord::Raised(alert) => severity(alert.finding.severity, style),
        _ => faint(&format!("{head:8}"), style),
    };
    format!("{clock} {head} {said}")
}

/// A row about an alert as a line for a log file: local date and time, severity, rule, sentence.
pub fn log_line(row: &AlertRecord, language: Language) -> String {
    let (time, head, said) = parts(row, language);
    let rule = match row {
        AlertRecord::Raised(alert) => format!(" {}:", escape::start(&alert.finding.rule, MAX_NAME)),
        _ => String::new(),
    };
    format!("{} [{head}]{rule} {said}", time.local())
}

/// Time, word in front, and sentence (escaped) of a row.
fn parts(row: &AlertRecord, language: Language) -> (atalaya_model::Time, String, String) {
    let english = language == Language::English;
    match row {
        AlertRecord::Raised(alert) => {
            let finding = &alert.finding;
            let word = sentence::severity(finding.severity, language).to_uppercase();
            let mut said = render(finding, language, Part::Sentence);
            if alert.recurrence > 0 {
                said.push_str(&match english {
                    true => format!(" (told {} times before)", alert.recurrence),
                    false => format!(" (avisado {} veces antes)", alert.recurrence),
                });
            }
            (finding.time, word, escape::start(&said, MAX_SENTENCE))
        }
        AlertRecord::Repeated { alert, time, count } => {
            let said = match english {
                true => format!("alert {alert} came again, {count} times in all"),
                false => format!("la alerta {alert} se repitió, {count} veces en total"),
            };
            (*time, if english { "AGAIN" } else { "REPETIDA" }.to_owned(), said)
        }
        AlertRecord::Acknowledged {
            alert,
            time,
            by,
            note,
        } => {
            let said = match english {
                true => format!("alert {alert} was seen by {by}"),
                false => format!("la alerta {alert} fue vista por {by}"),
            };
            (
                *time,
                if english { "SEEN" } else { "VISTA" }.to_owned(),
                noted(said, note.as_deref()),
            )
        }
        AlertRecord::Closed {
            alert,
            time,
            by,
            verdict,
            note,
        } => {
            let verdict = match (verdict, english) {
                (verdict, true) => verdict.name(),
                (Verdict::TruePositive, false) => "verdadero positivo",
                (Verdict::FalsePositive, false) => "falso positivo",
            };
            let said = match english {
                true => format!("alert {alert} was closed as {verdict} by {by}"),
                false => format!("la alerta {alert} fue cerrada como {verdict} por {by}"),
            };
            (
                *time,
                if english { "CLOSED" } else { "CERRADA" }.to_owned(),
                noted(said, note.as_deref()),
            )
        }
    }
}

fn noted(said: String, note: Option<&str>) -> String {
    let said = note.map_or_else(|| said.clone(), |note| format!("{said}: {note}"));
    escape::start(&said, MAX_SENTENCE)
}
