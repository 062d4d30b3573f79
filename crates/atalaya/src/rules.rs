//! `atalaya rules`: what the detectors look for.

use std::io::{self, Write};

use atalaya_detect::registry::{self, ENTRIES, Entry};
use atalaya_format::catalogue::{Language, message, term};
use serde::Serialize;
use serde_json::Value;

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
    if let Some(words) = words {
        let label = term("Recommendation", language);
        writeln!(out, "  {label}: {}", words.recommendation)?;
    }
    writeln!(out, "  [detect.{}]", entry.id)?;
    for option in options(entry.id) {
        let value = short(&option.default);
        writeln!(out, "    {} = {value}  # {}", option.name, option.meaning)?;
    }
    writeln!(out)
}

/// An option of a detector.
#[derive(Serialize)]
struct DetectorOption {
    name: String,
    default: Value,
    meaning: String,
}

/// The options of a detector, with what their doc comments say.
fn options(id: &str) -> Vec<DetectorOption> {
    let schema = schemars::schema_for!(atalaya_detect::Options);
    let schema = schema.as_value();
    let defaults = serde_json::to_value(atalaya_detect::Options::default()).unwrap_or_default();
    let reference = schema
        .pointer(&format!("/properties/{id}/$ref"))
        .and_then(Value::as_str);
    let table = reference.and_then(|path| schema.pointer(path.strip_prefix('#')?));
    let properties = table.and_then(|table| table.get("properties")?.as_object());
    let properties = properties.into_iter().flatten();
    properties
        .map(|(name, property)| DetectorOption {
            name: name.clone(),
            default: defaults
                .pointer(&format!("/{id}/{name}"))
                .cloned()
                .unwrap_or_default(),
            meaning: property
                .get("description")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .replace('\n', " "),
        })
        .collect()
}

/// A value, or the beginning of a long list.
fn short(value: &Value) -> String {
    const SHOWN: usize = 6;
    match value {
        Value::Array(items) if items.len() > SHOWN => {
            let some: Vec<_> = items.iter().take(SHOWN).map(ToString::to_string).collect();
            format!("[{}, … {} in all]", some.join(", "), items.len())
        }
        value => value.to_string(),
    }
}

/// A detector as an object.
pub fn json(entry: &Entry, language: Language) -> Value {
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
        "options": options(entry.id),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_has_its_default_and_its_meaning() {
        for entry in ENTRIES {
            let options = options(entry.id);
            assert!(
                options.iter().any(|option| option.name == "enabled"),
                "{}",
                entry.id
            );
            for option in options {
                assert!(!option.default.is_null(), "{}.{}", entry.id, option.name);
                assert!(!option.meaning.is_empty(), "{}.{}", entry.id, option.name);
            }
        }
        let threshold = options("excessive_connections")
            .into_iter()
            .find(|option| option.name == "threshold");
        assert_eq!(threshold.map(|option| option.default), Some(50.into()));
    }

    #[test]
    fn long_lists_are_cut() {
        assert_eq!(short(&serde_json::json!([1, 2])), "[1,2]");
        assert_eq!(short(&(0..40).collect()), "[0, 1, 2, 3, 4, 5, … 40 in all]");
    }
}
