//! A snapshot for a person: calm until something matters.

mod layout;
mod sockets;

use std::io::{self, Write};

use atalaya_format::catalogue::Language;
use atalaya_format::escape;
use atalaya_format::sentence::{self, Part, render};
use atalaya_format::text::{how, process};
use atalaya_model::{Alert, Connection, Listener, Outcome, Process, Severity};

use super::labels::label;
use super::{Snapshot, Statistics, state_name};
use layout::Page;

/// How the report is written.
#[derive(Clone, Copy, Debug)]
pub struct TextOptions {
    /// Use colour.
    pub colour: bool,
    /// Language of labels and sentences.
    pub language: Language,
    /// Columns that a line may have, at least 60.
    pub width: usize,
    /// List every connection, and listeners without a limit.
    pub all: bool,
}

impl Default for TextOptions {
    fn default() -> Self {
        Self {
            colour: false,
            language: Language::English,
            width: 100,
            all: false,
        }
    }
}

/// Rows of a ranking that are shown.
const RANKED: usize = 10;

/// Writes the report: header, alerts, statistics, listeners, connections with `all`, and what was not seen.
///
/// # Errors
/// When the writer fails.
pub fn write_text<'a, C, L>(
    snapshot: &Snapshot<'a, C, L>,
    options: &TextOptions,
    out: &mut dyn Write,
) -> io::Result<()>
where
    C: Iterator<Item = &'a Connection> + Clone,
    L: Iterator<Item = &'a Listener> + Clone,
{
    let statistics = snapshot.statistics();
    let mut buffer = io::BufWriter::with_capacity(64 << 10, out);
    let page = &mut Page::new(&mut buffer, options);
    header(page, snapshot, &statistics)?;
    alerts(page, snapshot.alerts)?;
    numbers(page, &statistics)?;
    sockets::listeners(page, snapshot.listeners.clone(), options.all)?;
    if options.all {
        sockets::connections(page, snapshot.connections.clone())?;
    }
    not_seen(page, snapshot)?;
    buffer.flush()
}

fn header<C, L>(
    page: &mut Page<'_>,
    snapshot: &Snapshot<'_, C, L>,
    statistics: &Statistics,
) -> io::Result<()> {
    let language = page.language;
    page.title(label("Network report", language), snapshot.host)?;
    page.fact("Timestamp", &snapshot.timestamp.local(), "")?;
    let seconds = format!(
        "{:.3} {}",
        snapshot.duration.as_seconds(),
        label("seconds", language)
    );
    page.fact("Duration", &seconds, "")?;
    let parts = [
        (statistics.established, "established"),
        (statistics.listeners, "listening"),
        (statistics.external_ips, "external addresses"),
    ];
    let parts = parts.map(|(count, what)| format!("{count} {}", label(what, language)));
    page.fact(
        "Total connections",
        &statistics.total.to_string(),
        &parts.join(" · "),
    )?;
    let by_severity = Severity::ALL.iter().rev().filter_map(|severity| {
        let count = snapshot
            .alerts
            .iter()
            .filter(|alert| alert.finding.severity == *severity)
            .count();
        (count > 0).then(|| format!("{count} {}", sentence::severity(*severity, language)))
    });
    let by_severity: Vec<_> = by_severity.collect();
    page.fact(
        "Alerts generated",
        &snapshot.alerts.len().to_string(),
        &by_severity.join(" · "),
    )
}

fn alerts(page: &mut Page<'_>, alerts: &[Alert]) -> io::Result<()> {
    page.heading("Alerts")?;
    if alerts.is_empty() {
        return page.calm("No anomalies detected.");
    }
    let mut worst_first: Vec<&Alert> = alerts.iter().collect();
    worst_first.sort_by_key(|alert| std::cmp::Reverse(alert.finding.severity));
    for (index, alert) in worst_first.into_iter().enumerate() {
        if index > 0 {
            page.blank()?;
        }
        one_alert(page, alert)?;
    }
    Ok(())
}

fn one_alert(page: &mut Page<'_>, alert: &Alert) -> io::Result<()> {
    let language = page.language;
    let finding = &alert.finding;
    page.alert_head(
        finding.severity,
        &render(finding, language, Part::Title),
        &finding.rule,
    )?;
    page.paragraph("", &render(finding, language, Part::Sentence))?;
    for (name, part) in [
        ("Recommendation", Part::Recommendation),
        ("To silence it", Part::Silence),
    ] {
        let text = render(finding, language, part);
        if !text.is_empty() {
            page.paragraph(label(name, language), &text)?;
        }
    }
    if let Some(listener) = &finding.listener {
        page.sample(
            &format!("{} {}", listener.transport.name(), listener.local),
            super::listener_state(listener),
            &holder(
                listener.process.as_deref().or(finding.process.as_deref()),
                language,
            ),
        )?;
    }
    if !finding.connections.is_empty() {
        page.paragraph(label("Sample connections", language), "")?;
    }
    for connection in &finding.connections {
        let name = connection.name.as_ref();
        let name = name.map(|name| format!(" {name}")).unwrap_or_default();
        let ends = format!(
            "{} {} → {}{name}",
            connection.transport.name(),
            connection.source,
            connection.destination
        );
        let state = match connection.outcome {
            Outcome::Unknown => state_name(connection.transport, connection.state),
            _ => how(connection, language),
        };
        let process = connection.process.as_deref().or(finding.process.as_deref());
        page.sample(&ends, state, &holder(process, language))?;
    }
    Ok(())
}

fn holder(of: Option<&Process>, language: Language) -> String {
    of.map(|it| process(it, language)).unwrap_or_default()
}

fn numbers(page: &mut Page<'_>, statistics: &Statistics) -> io::Result<()> {
    let language = page.language;
    page.heading("Statistics")?;
    for (name, counts) in [
        ("By protocol", &statistics.by_protocol),
        ("By state", &statistics.by_state),
    ] {
        let mut counts: Vec<_> = counts.iter().collect();
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let counts: Vec<_> = counts
            .iter()
            .map(|(what, count)| format!("{what} {count}"))
            .collect();
        page.fact(name, &counts.join(" · "), "")?;
    }
    let ports: Vec<_> = statistics.listening_ports.iter().map(u16::to_string).collect();
    page.fact("Listening ports", &ports.join(" "), "")?;
    let most = statistics.by_process.first().map_or(0, |row| row.connections);
    let rows = statistics.by_process.iter().take(RANKED).map(|row| {
        let name = match &row.name {
            Some(name) => escape::start(name, 28),
            None => label("unknown process", language).to_owned(),
        };
        let several = format!("{} {}", row.processes, label("processes", language));
        (
            name,
            row.connections,
            if row.processes > 1 { several } else { String::new() },
        )
    });
    page.ranking("By process", rows, most)?;
    let most = statistics.top_external_ips.first().map_or(0, |(_, count)| *count);
    let rows = statistics
        .top_external_ips
        .iter()
        .take(RANKED)
        .map(|(ip, count)| (ip.to_string(), *count, String::new()));
    page.ranking("External addresses", rows, most)
}

fn not_seen<C, L>(page: &mut Page<'_>, snapshot: &Snapshot<'_, C, L>) -> io::Result<()> {
    let language = page.language;
    page.heading("What was not seen")?;
    page.fact("Tier", snapshot.tier.tier.name(), "")?;
    for (tier, why) in &snapshot.tier.unavailable {
        page.note(&format!(
            "{} {}: {why}",
            tier.name(),
            label("unavailable", language)
        ))?;
    }
    for limit in &snapshot.tier.limits {
        page.note(&limit.what)?;
        if !limit.remedy.is_empty() {
            page.remedy(&limit.remedy)?;
        }
    }
    for (reason, count) in snapshot.unread {
        page.note(&format!(
            "{count} {}: {reason}",
            label("processes not read", language)
        ))?;
    }
    let lost = snapshot.stages.iter().filter(|stage| stage.dropped > 0);
    for stage in lost.clone() {
        let name = stage.stage.name().replace('_', " ");
        page.note(&format!("{name}: {} {}", stage.dropped, label("lost", language)))?;
    }
    if snapshot.tier.limits.is_empty() && snapshot.unread.is_empty() && lost.count() == 0 {
        page.calm("Nothing is known to be missing.")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
