//! `atalaya rules`: what the detectors look for.

use std::io::{self, Write};

use atalaya_detect::registry::{self, ENTRIES, Entry};
use atalaya_format::catalogue::{Language, message};

use crate::cli::{Output, RulesArgs};
use crate::exit::{Exit, Failure};
use crate::setup;
use crate::terminal::ignore_closed_pipe;

/// Runs the verb.
///
/// # Errors
/// When there is no such detector.
pub fn run(args: &RulesArgs, out: &mut dyn Write) -> Result<Exit, Failure> {
    let language = setup::language(args.lang);
    let entries: Vec<&Entry> = match &args.name {
        Some(name) => vec![registry::find(name).ok_or_else(|| {
            let known: Vec<_> = ENTRIES.iter().map(|entry| entry.id).collect();
            Failure::Usage(format!(
                "there is no detector `{name}`; there are: {}",
                known.join(", ")
            ))
        })?],
        None => ENTRIES.iter().collect(),
    };
    let written = match args.output {
        Output::Text => entries
            .iter()
            .try_for_each(|entry| write_text(entry, language, out)),
        Output::Json => entries
            .iter()
            .try_for_each(|entry| writeln!(out, "{}", json(entry, language))),
    };
    ignore_closed_pipe(written)?;
    Ok(Exit::Clean)
}

fn write_text(entry: &Entry, language: Language, out: &mut dyn Write) -> io::Result<()> {
    let words = message(entry.id, language);
    writeln!(
        out,
        "{}  [{}]",
        entry.id,
        atalaya_format::sentence::severity(entry.severity, language)
    )?;
    if let Some(words) = words {
        writeln!(out, "  {}", words.title)?;
    }
    writeln!(out, "  {}", entry.sentence)?;
    for (id, name, tactic) in entry.techniques {
        writeln!(out, "  ATT&CK {id} {name} ({tactic})")?;
    }
    if !entry.limits.is_empty() {
        writeln!(out, "  {}", entry.limits)?;
    }
    writeln!(out)
}

/// A detector as an object.
pub fn json(entry: &Entry, language: Language) -> serde_json::Value {
    let words = message(entry.id, language);
    serde_json::json!({
        "rule": entry.id,
        "severity": entry.severity.name(),
        "title": words.map(|words| words.title),
        "sentence": entry.sentence,
        "recommendation": words.map(|words| words.recommendation),
        "techniques": entry.techniques.iter()
            .map(|(id, name, tactic)| serde_json::json!({"id": id, "name": name, "tactic": tactic}))
            .collect::<Vec<_>>(),
        "limits": entry.limits,
    })
}
