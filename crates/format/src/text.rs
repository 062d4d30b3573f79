//! Lines and blocks for people: the console, the log file, pipes that are read with eyes.
//!
//! Everything that comes from outside is escaped here, and every line has a limit. Colour is a flag that the caller
//! decides on (terminal, `NO_COLOR`); the words are there without it, too.

mod details;
mod lines;
mod said;
mod words;

use atalaya_model::Severity;

use crate::catalogue::{Language, term};
use crate::sentence;

pub use details::details;
pub use lines::{alert_line, connection, dated_alert_line, event, listener, log_line, process, record};
pub use said::said;
pub use words::{end, flags, how};

/// How text is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// Use colours (of the sixteen that every terminal has).
    pub colour: bool,
    /// The language of words and sentences.
    pub language: Language,
}

/// The severity's name in capitals, eight columns wide or more, in its colour.
pub fn severity(severity: Severity, style: Style) -> String {
    let word = sentence::severity(severity, style.language).to_uppercase();
    paint(&format!("{word:8}"), colour_of(severity), style)
}

/// The colour of a severity as an SGR parameter: reds, yellows, blue.
const fn colour_of(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "1;31",
        Severity::High => "31",
        Severity::Medium => "1;33",
        Severity::Low => "33",
        Severity::Info => "34",
    }
}

fn paint(text: &str, colour: &str, style: Style) -> String {
    if style.colour {
        format!("\x1b[{colour}m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}

/// Grey: what stands beside the matter.
fn faint(text: &str, style: Style) -> String {
    paint(text, "2", style)
}

/// A label of ours; those that only this module uses stand here and not in the catalogue.
fn label(english: &str, language: Language) -> &str {
    match (language, english) {
        (Language::Spanish, "Flags") => "Marcas",
        (Language::Spanish, "Exit code") => "Código de salida",
        (Language::Spanish, "Values") => "Valores",
        (Language::Spanish, "Working directory") => "Directorio de trabajo",
        _ => term(english, language),
    }
}
