//! The summary as text: what it was, what was spoken, who talked most, which names, what is odd, what was not read.

use std::fmt::Write as _;

use atalaya_format::catalogue::Language;
use atalaya_format::text::{Style, severity};
use atalaya_format::{escape, numbers};
use atalaya_model::Basis;

use super::{Traffic, Volume};

/// Rows of a ranking that are shown.
const RANKED: usize = 10;
/// Columns of a name.
const NAME: usize = 44;

/// The words of the summary.
pub struct Labels {
    capture: &'static str,
    logs: &'static str,
    packets: &'static str,
    connections: &'static str,
    bytes: &'static str,
    protocols: &'static str,
    unknown: &'static str,
    by_port: &'static str,
    sources: &'static str,
    destinations: &'static str,
    processes: &'static str,
    names: &'static str,
    times: &'static str,
    alerts: &'static str,
    no_alerts: &'static str,
    left_out: &'static str,
    others: &'static str,
}

const ENGLISH: Labels = Labels {
    capture: "Capture",
    logs: "Logs",
    packets: "packets",
    connections: "connections",
    bytes: "bytes",
    protocols: "Protocols",
    unknown: "unknown",
    by_port: "(by port)",
    sources: "Who began most",
    destinations: "Who was asked most",
    processes: "Processes, as the capture says",
    names: "Names",
    times: "times",
    alerts: "Alerts",
    no_alerts: "Alerts: none.",
    left_out: "Not read",
    others: "others",
};

const SPANISH: Labels = Labels {
    capture: "Captura",
    logs: "Registros",
    packets: "paquetes",
    connections: "conexiones",
    bytes: "bytes",
    protocols: "Protocolos",
    unknown: "desconocido",
    by_port: "(por el puerto)",
    sources: "Quién inició más",
    destinations: "A quién se preguntó más",
    processes: "Procesos, según la captura",
    names: "Nombres",
    times: "veces",
    alerts: "Alertas",
    no_alerts: "Alertas: ninguna.",
    left_out: "No leído",
    others: "otros",
};

impl Traffic {
    /// The summary, for people.
    pub fn text(&self, style: Style) -> String {
        let words = match style.language {
            Language::English => &ENGLISH,
            Language::Spanish => &SPANISH,
        };
        let mut text = String::new();
        self.head(&mut text, words);
        let protocols = self
            .protocols
            .top(RANKED * 2, |volume| (volume.bytes, volume.connections));
        let rows = protocols.into_iter().map(|((application, basis), volume)| {
            let name = application.map_or(words.unknown, |application| application.name());
            let guess = if *basis == Some(Basis::Port) {
                words.by_port
            } else {
                ""
            };
            (format!("{name} {guess}").trim_end().to_owned(), *volume)
        });
        volumes(&mut text, words.protocols, words, rows);
        for (title, ranking) in [
            (words.sources, &self.sources),
            (words.destinations, &self.destinations),
        ] {
            let rows = ranking.top(RANKED, |volume| (volume.bytes, volume.connections));
            let rows = rows.into_iter().map(|(ip, volume)| (ip.to_string(), *volume));
            let others =
                (ranking.others != Volume::default()).then(|| (words.others.to_owned(), ranking.others));
            volumes(&mut text, title, words, rows.chain(others));
        }
        let processes = self
            .processes
            .top(RANKED, |volume| (volume.bytes, volume.connections));
        let rows = processes.into_iter().map(|((program, user), volume)| {
            let name = escape::end(program, NAME);
            let user = user.as_ref().map(|user| format!(" ({user})"));
            (format!("{name}{}", user.unwrap_or_default()), *volume)
        });
        let others = &self.processes.others;
        let others = (*others != Volume::default()).then(|| (words.others.to_owned(), *others));
        volumes(&mut text, words.processes, words, rows.chain(others));
        self.names(&mut text, words);
        self.alerts(&mut text, words, style);
        if !self.left_out.is_empty() {
            line(&mut text, format_args!("\n{}", words.left_out));
            for (reason, count) in &self.left_out {
                let reason = escape::start(reason, 100);
                line(&mut text, format_args!("  {count:>12}  {reason}"));
            }
        }
        text
    }

    fn head(&self, text: &mut String, words: &Labels) {
        line(
            text,
            format_args!(
                "{}: {} {}, {}, {} {}",
                if self.is_hearsay {
                    words.logs
                } else {
                    words.capture
                },
                self.frames,
                words.packets,
                numbers::bytes(self.bytes),
                self.connections,
                words.connections,
            ),
        );
        if let Some((first, last)) = self.times {
            line(text, format_args!("  {first} … {last} ({})", last.since(first)));
        }
    }

    fn names(&self, text: &mut String, words: &Labels) {
        let names = self.names.top(RANKED, |count| *count);
        if names.is_empty() {
            return;
        }
        line(text, format_args!("\n{:NAME$}  {:>12}", words.names, words.times));
        for (name, count) in names {
            let name = escape::start(name, NAME);
            line(text, format_args!("  {name:width$}{count:>14}", width = NAME - 2));
        }
    }

    fn alerts(&self, text: &mut String, words: &Labels, style: Style) {
        if self.rules.is_empty() {
            line(text, format_args!("\n{}", words.no_alerts));
            return;
        }
        line(text, format_args!("\n{}", words.alerts));
        let mut rules: Vec<_> = self.rules.iter().collect();
        rules.sort_by(|a, b| (b.1, b.2, &a.0).cmp(&(a.1, a.2, &b.0)));
        for (rule, worst, count) in rules {
            line(
                text,
                format_args!("  {count:>6}  {}  {rule}", severity(*worst, style)),
            );
        }
    }
}

fn volumes(text: &mut String, title: &str, words: &Labels, rows: impl Iterator<Item = (String, Volume)>) {
    let mut rows = rows.peekable();
    if rows.peek().is_none() {
        return;
    }
    line(
        text,
        format_args!(
            "\n{title:NAME$}  {:>12}  {:>12}  {:>10}",
            words.connections, words.packets, words.bytes
        ),
    );
    for (name, volume) in rows {
        let name = escape::start(&name, NAME);
        line(
            text,
            format_args!(
                "  {name:width$}{:>14}  {:>12}  {:>10}",
                volume.connections,
                volume.packets,
                numbers::bytes(volume.bytes),
                width = NAME - 2
            ),
        );
    }
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    writeln!(text, "{line}").unwrap_or_default();
}
