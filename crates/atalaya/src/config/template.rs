//! Writes a configuration with every key, each under the sentence that documents it.
//!
//! The sentences are the doc comments of the option structs, through their JSON Schema, so that the file, the schema
//! and the code cannot disagree.

use std::fmt::Write as _;

use schemars::Schema;
use serde::Serialize;
use serde_json::Value;

/// Lines longer than this are wrapped where they are comments or lists.
const WIDTH: usize = 110;

/// The commented text of `config`, whose schema is `schema`.
///
/// # Errors
/// When a value cannot be written as TOML.
pub fn write<T: Serialize>(config: &T, schema: &Schema) -> Result<String, toml::ser::Error> {
    let plain = toml::to_string(config)?;
    let writer = Writer {
        root: schema.as_value(),
    };
    let mut text = String::new();
    let mut path: Vec<String> = Vec::new();
    let mut written: Vec<String> = Vec::new();
    for line in plain.lines() {
        if let Some(header) = line.strip_prefix('[') {
            writer.absent(&mut text, &path, &written);
            written.clear();
            path = header
                .trim_matches(['[', ']'])
                .split('.')
                .map(|key| key.trim_matches('"').to_owned())
                .collect();
            text.push('\n');
            writer.comment(&mut text, &path);
            writeln_to(&mut text, line);
        } else if let Some((key, value)) = line.split_once(" = ") {
            let key = key.trim_matches('"').to_owned();
            let full: Vec<String> = path.iter().cloned().chain([key.clone()]).collect();
            writer.comment(&mut text, &full);
            writeln_to(&mut text, &wrapped(line, value));
            written.push(key);
        }
    }
    writer.absent(&mut text, &path, &written);
    Ok(text)
}

struct Writer<'a> {
    root: &'a Value,
}

impl Writer<'_> {
    /// The schema at a path of keys, references followed; lists are entered.
    fn at(&self, path: &[String]) -> Option<&Value> {
        let mut schema = self.root;
        for key in path {
            schema = self.resolve(schema);
            if let Some(items) = schema.get("items") {
                schema = self.resolve(items);
            }
            schema = schema.get("properties")?.get(key)?;
        }
        Some(schema)
    }

    fn resolve<'s>(&'s self, schema: &'s Value) -> &'s Value {
        let nullable = schema.get("anyOf").and_then(|any| any.get(0));
        let schema = nullable.unwrap_or(schema);
        let name = schema
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|name| name.strip_prefix("#/$defs/"));
        name.and_then(|name| self.root.get("$defs")?.get(name))
            .unwrap_or(schema)
    }

    /// Writes the sentence about the key at `path`.
    fn comment(&self, text: &mut String, path: &[String]) {
        let Some(schema) = self.at(path) else { return };
        let own = schema.get("description");
        let described = own
            .or_else(|| self.resolve(schema).get("description"))
            .and_then(Value::as_str);
        for line in described.unwrap_or_default().lines() {
            comment_lines(text, line);
        }
    }

    /// Writes, commented out, the keys of a table that have no default.
    fn absent(&self, text: &mut String, path: &[String], written: &[String]) {
        let Some(schema) = self.at(path).map(|schema| self.resolve(schema)) else {
            return;
        };
        let schema = schema.get("items").map_or(schema, |items| self.resolve(items));
        let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
            return;
        };
        for (key, property) in properties {
            let is_table = self.resolve(property).get("properties").is_some();
            if is_table || written.contains(key) {
                continue;
            }
            let full: Vec<String> = path.iter().cloned().chain([key.clone()]).collect();
            self.comment(text, &full);
            let kinds = self
                .resolve(property)
                .get("type")
                .or_else(|| property.get("type"));
            let kinds = kinds.map(ToString::to_string).unwrap_or_default();
            let example = match kinds {
                kinds if kinds.contains("array") => "[]",
                kinds if kinds.contains("integer") => "0",
                kinds if kinds.contains("boolean") => "false",
                kinds if kinds.contains("object") => "{}",
                _ => "\"…\"",
            };
            writeln_to(text, &format!("# {key} = {example}"));
        }
    }
}

fn writeln_to(text: &mut String, line: &str) {
    // Writing to a String cannot fail.
    writeln!(text, "{line}").unwrap_or_default();
}

/// A sentence as comment lines of at most [`WIDTH`].
fn comment_lines(text: &mut String, sentence: &str) {
    let mut line = String::from("#");
    for word in sentence.split_whitespace() {
        if line.len() + 1 + word.len() > WIDTH {
            writeln_to(text, &line);
            line = String::from("#");
        }
        line.push(' ');
        line.push_str(word);
    }
    if line.len() > 1 {
        writeln_to(text, &line);
    }
}

/// A long list, several elements a line.
fn wrapped(line: &str, value: &str) -> String {
    if line.chars().count() <= WIDTH || !value.starts_with('[') {
        return line.to_owned();
    }
    let mut text = String::new();
    let mut column = 0;
    for (index, part) in line.split_inclusive(", ").enumerate() {
        if index > 0 && column + part.chars().count() > WIDTH {
            text.truncate(text.trim_end().len());
            text.push_str("\n  ");
            column = 2;
        }
        column += part.chars().count();
        text.push_str(part);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

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
    }
}
