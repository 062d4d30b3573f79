//! Writes a configuration with every key, each under the sentence that documents it.
//!
//! The sentences are the doc comments of the option structs, through their JSON Schema, so that the file, the schema
//! and the code cannot disagree. What is not set is shown as an example, switched off by a `#` without a space.

use std::fmt::Write as _;

use atalaya_alert::outlet::options::{EventKind, JsonOptions, LogOptions};
use atalaya_alert::{Allow, Period};
use atalaya_detect::registry;
use atalaya_model::{Severity, Span};
use schemars::Schema;
use serde_json::Value;

use super::Config;
use super::reports::{At, Weekly};
use crate::paths::Places;

/// Lines longer than this are wrapped where they are comments or lists.
const WIDTH: usize = 110;

/// The commented text of `config`, whose schema is `schema`; the lines of `about` stand at its head.
///
/// # Errors
/// When a value cannot be written as TOML.
pub fn write(about: &str, config: &Config, schema: &Schema) -> Result<String, toml::ser::Error> {
    let set = toml::Table::try_from(config)?;
    let plain = toml::to_string(&with_examples(config))?;
    let writer = Writer {
        root: schema.as_value(),
    };
    let mut text = String::new();
    about.lines().for_each(|line| comment(&mut text, line));
    if !about.is_empty() {
        text.push('\n');
    }
    writer.preamble(&mut text);
    let mut path: Vec<String> = Vec::new();
    let mut lines = plain.lines();
    while let Some(line) = lines.next() {
        if let Some(header) = line.strip_prefix('[') {
            let entered: Vec<String> = header
                .trim_matches(['[', ']'])
                .split('.')
                .map(|key| key.trim_matches('"').to_owned())
                .collect();
            text.push('\n');
            // Of several `[[allow]]` only the first is explained.
            if entered != path {
                writer.explain_table(&mut text, &entered);
            }
            path = entered;
            put(&mut text, line, is_set(&set, &path, line.starts_with("[[")));
        } else if let Some((key, value)) = line.split_once(" = ") {
            let key = key.trim_matches('"').to_owned();
            path.push(key);
            writer.explain(&mut text, &path);
            put(&mut text, &wrapped(line, value), is_set(&set, &path, false));
            // A text of several lines is an owner's own, and goes on as it is.
            let quote = ["\"\"\"", "'''"]
                .into_iter()
                .find(|quote| value.starts_with(quote));
            if let Some(quote) = quote.filter(|quote| value.len() < 6 || !value.ends_with(quote)) {
                for line in lines.by_ref() {
                    put(&mut text, line, true);
                    if line.ends_with(quote) {
                        break;
                    }
                }
            }
            path.pop();
        }
    }
    Ok(text)
}

/// The configuration with something in every place that may be empty.
fn with_examples(config: &Config) -> Config {
    let mut full = config.clone();
    let places = Places::of_user(true);
    full.watch.log_folder.get_or_insert(places.logs);
    let recordings = places.store.with_file_name("packets");
    full.packets.recorder.folder.get_or_insert(recordings);
    let reports = places.store.with_file_name("reports");
    full.report.folder.get_or_insert(reports);
    full.report.daily.get_or_insert(At { minute: 7 * 60 });
    let monday = Weekly {
        weekday: 0,
        at: At { minute: 7 * 60 },
    };
    full.report.weekly.get_or_insert(monday);
    full.store.path.get_or_insert(places.store);
    let months = |count: i64| Period::seconds(count * 30 * 86_400);
    full.store.keep_protocols.get_or_insert(months(1));
    full.store.keep_alerts.get_or_insert(months(1));
    full.store.keep_rollups.get_or_insert(months(4));
    full.control.socket.get_or_insert(places.socket);
    full.outlets.log.get_or_insert_with(LogOptions::default);
    if full.outlets.logs.is_empty() {
        full.outlets.logs.push(LogOptions {
            file: "connections.log".into(),
            events: vec![EventKind::Connection, EventKind::Listener],
            ..LogOptions::default()
        });
    }
    full.outlets.json.get_or_insert_with(JsonOptions::default);
    full.outlets.processes_csv.get_or_insert_with(Default::default);
    full.outlets.connections_csv.get_or_insert_with(Default::default);
    if full.alerts.cooldown_by_severity.is_empty() {
        let hours = [(Severity::Info, 24), (Severity::High, 4)];
        full.alerts.cooldown_by_severity = hours
            .map(|(severity, hours)| (severity, Period(Span::from_seconds(hours * 3_600))))
            .into();
    }
    if full.allow.is_empty() {
        full.allow.push(Allow {
            process: Some("/opt/backup/bin/*".into()),
            port: Some(9_102),
            destination: Some("10.20.0.0/16".into()),
            rule: Some("uncommon_port".into()),
            comment: Some("the backup server; ticket 4711".into()),
            expires: Some("2030-12-31".into()),
        });
    }
    full
}

/// Does the configuration itself say something at this path, or, of a list of tables, in an element of it?
fn is_set(set: &toml::Table, path: &[String], element: bool) -> bool {
    let Some((key, rest)) = path.split_first() else {
        return true;
    };
    match set.get(key) {
        Some(toml::Value::Table(inner)) => is_set(inner, rest, element),
        Some(toml::Value::Array(items)) if element || !rest.is_empty() => !items.is_empty(),
        Some(_) => true,
        None => false,
    }
}

struct Writer<'a> {
    root: &'a Value,
}

impl Writer<'_> {
    fn preamble(&self, text: &mut String) {
        let about = self.root.get("description").and_then(Value::as_str);
        comment(text, about.unwrap_or_default());
        comment(
            text,
            "Lines that begin with `#` and no space are not set; the values in them are defaults or examples.",
        );
    }

    /// The schema at a path of keys, references followed; lists are entered.
    fn at(&self, path: &[String]) -> Option<&Value> {
        let mut schema = self.root;
        for key in path {
            schema = self.inner(schema).get("properties")?.get(key)?;
        }
        Some(schema)
    }

    /// What a reference, an optional value or a list is of.
    fn inner<'s>(&'s self, schema: &'s Value) -> &'s Value {
        let mut schema = schema;
        // Schemas of options nest less than this.
        for _ in 0..8 {
            let reference = schema.get("$ref").and_then(Value::as_str);
            let name = reference.and_then(|name| name.strip_prefix("#/$defs/"));
            let next = name
                .and_then(|name| self.root.get("$defs")?.get(name))
                .or_else(|| schema.get("anyOf")?.get(0))
                .or_else(|| schema.get("items"));
            match next {
                Some(next) => schema = next,
                None => break,
            }
        }
        schema
    }

    /// Writes the sentences about the table at `path`.
    fn explain_table(&self, text: &mut String, path: &[String]) {
        if let [room, rule] = path
            && room == "detect"
            && let Some(entry) = registry::find(rule)
        {
            comment(text, entry.sentence);
            comment(text, &format!("Severity: {}.", entry.severity.name()));
            return;
        }
        self.explain(text, path);
    }

    /// Writes the sentence about the key at `path`, and what may stand there if that is one of a few words.
    fn explain(&self, text: &mut String, path: &[String]) {
        let Some(schema) = self.at(path) else { return };
        let described = schema
            .get("description")
            .and_then(Value::as_str)
            .unwrap_or_default();
        comment(text, described);
        let words = words(self.inner(schema));
        if !words.is_empty() && !words.iter().all(|word| described.contains(word)) {
            let several = schema.get("type").is_some_and(|kind| kind == "array");
            let some = if several { "Any of" } else { "One of" };
            comment(text, &format!("{some}: {}.", words.join(", ")));
        }
    }
}

/// The words that a schema of names allows.
fn words(schema: &Value) -> Vec<&str> {
    let mut words: Vec<&str> = Vec::new();
    let choices = schema.get("oneOf").and_then(Value::as_array);
    for choice in choices.into_iter().flatten().chain([schema]) {
        let names = choice.get("enum").and_then(Value::as_array);
        words.extend(names.into_iter().flatten().filter_map(Value::as_str));
        words.extend(choice.get("const").and_then(Value::as_str));
    }
    words
}

/// Writes the lines of an entry, switched off if it is not set.
fn put(text: &mut String, lines: &str, set: bool) {
    for line in lines.lines() {
        let off = if set { "" } else { "#" };
        // Writing to a String cannot fail.
        writeln!(text, "{off}{line}").unwrap_or_default();
    }
}

/// A sentence as comment lines of at most [`WIDTH`].
fn comment(text: &mut String, sentence: &str) {
    let mut line = String::from("#");
    for word in sentence.split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > WIDTH {
            put(text, &line, true);
            line = String::from("#");
        }
        line.push(' ');
        line.push_str(word);
    }
    if line.len() > 1 {
        put(text, &line, true);
    }
}
/// A long list, several elements a line.
fn wrapped(line: &str, value: &str) -> String {
    if line.chars().count() <= WIDTH || !value.starts_with('[') {
        return line.to_owned();
    }
    let mut text = String::new();
    let mut column = 0;
    for (index, part) in elements(line).into_iter().enumerate() {
        let width = part.chars().count();
        if index > 0 && column + width > WIDTH {
            text.truncate(text.trim_end().len());
            text.push_str("\n  ");
            column = 2;
        }
        column += width;
        text.push_str(part);
    }
    text
}

/// The line, cut after each comma that is not inside a quoted text.
fn elements(line: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut begin, mut quote, mut escaped) = (0, None, false);
    for (place, c) in line.char_indices() {
        match (quote, c) {
            (Some('"'), '\\') if !escaped => {
                escaped = true;
                continue;
            }
            (Some(open), c) if c == open && !escaped => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, ' ') if line[..place].ends_with(',') => {
                parts.push(&line[begin..=place]);
                begin = place + 1;
            }
            _ => {}
        }
        escaped = false;
    }
    parts.push(&line[begin..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Seed;
    use crate::config::{check, command, seeds};
    use clap::ValueEnum as _;

    /// Every configuration that `config init` writes.
    fn written() -> Vec<(Config, String)> {
        let seeds = Seed::value_variants().iter().map(|seed| seeds::like(*seed));
        let all = std::iter::once(Config::default()).chain(seeds);
        all.map(|config| {
            let text = command::text(&config).unwrap();
            (config, text)
        })
        .collect()
    }

    #[test]
    fn what_is_written_reads_back_the_same() {
        for (config, text) in written() {
            let (read, problems) = check::read::<Config>("written.toml", &text);
            assert!(problems.is_empty(), "{problems:#?}\n{text}");
            assert_eq!(read, config, "{text}");
        }
    }

    #[test]
    fn what_is_switched_off_can_be_switched_on() {
        for (config, text) in written() {
            let on: Vec<&str> = text
                .lines()
                .map(|line| match line.strip_prefix('#') {
                    Some(rest) if rest.starts_with("  ") || !rest.starts_with(' ') => rest,
                    _ => line,
                })
                .collect();
            let (read, problems) = check::read::<Config>("written.toml", &on.join("\n"));
            assert!(problems.is_empty(), "{problems:#?}\n{text}");
            assert_eq!(read, with_examples(&config), "{text}");
        }
    }

    #[test]
    fn every_key_is_explained_and_no_line_is_long() {
        for (_, text) in written() {
            let mut explained = false;
            let mut table = "";
            for line in text.lines() {
                assert!(line.chars().count() <= WIDTH + 2, "{line}");
                let bare = line.strip_prefix('#').unwrap_or(line);
                if line.starts_with("# ") {
                    explained = true;
                } else if bare.starts_with('[') {
                    assert!(explained, "nothing is said about {line}");
                    (table, explained) = (bare, false);
                } else if !bare.starts_with(' ') && bare.contains(" = ") {
                    // The keys of this table are severities; the table's own sentence says it all.
                    let named = table == "[alerts.cooldown_by_severity]";
                    assert!(explained || named, "nothing is said about {line} in {table}");
                    explained = false;
                }
            }
        }
    }

    #[test]
    fn entries_of_ones_own_are_shown_as_they_are() {
        let entry = |port, comment: &str| Allow {
            port: Some(port),
            comment: Some(comment.into()),
            ..Allow::default()
        };
        let config = Config {
            allow: vec![entry(1, "one"), entry(2, "a \"b\" = 'c'\n[d]\n# e")],
            ..Config::default()
        };
        let text = command::text(&config).unwrap();
        assert_eq!(text.matches("\n[[allow]]\n").count(), 2, "{text}");
        let (read, problems) = check::read::<Config>("written.toml", &text);
        assert!(problems.is_empty(), "{problems:#?}\n{text}");
        assert_eq!(read, config);
    }

    #[test]
    fn long_lists_wrap_and_still_parse() {
        let numbers: Vec<String> = (0..200).map(|n| n.to_string()).collect();
        let line = format!("ports = [{}]", numbers.join(", "));
        let text = wrapped(&line, line.split_once(" = ").unwrap().1);
        assert!(text.lines().all(|line| line.len() <= WIDTH + 2));
        assert_eq!(
            toml::from_str::<toml::Table>(&text).unwrap(),
            toml::from_str::<toml::Table>(&line).unwrap()
        );
        let texts = vec![r#"a, "b", \", 'c', d"#; 20];
        let config = Config {
            detect: atalaya_detect::Options {
                suspicious_path: atalaya_detect::suspicious_path::Options {
                    paths: texts.into_iter().map(Into::into).collect(),
                    ..Default::default()
                },
                ..Default::default()
            },
            ..Config::default()
        };
        let (read, problems) = check::read::<Config>("written.toml", &command::text(&config).unwrap());
        assert!(problems.is_empty(), "{problems:#?}");
        assert_eq!(read, config);
    }
}
