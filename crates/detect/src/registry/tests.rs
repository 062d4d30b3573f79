use std::fmt::Write as _;

use super::*;
use crate::ports::{OWN_LIST, SUSPICIOUS};

#[test]
fn entries_are_complete_and_unique() {
    let mut ids = std::collections::HashSet::new();
    for entry in ENTRIES {
        assert!(ids.insert(entry.id));
        assert!(
            entry.sentence.ends_with('.') && entry.limits.ends_with('.'),
            "{}",
            entry.id
        );
        assert!(!entry.techniques.is_empty(), "{}", entry.id);
        assert_eq!(techniques(entry.id).len(), entry.techniques.len());
        if !entry.variants.is_empty() {
            assert!(entry.values.contains(&"variant"), "{}", entry.id);
        }
    }
    assert_eq!(build(&Options::default(), &Lists::default()).len(), ENTRIES.len());
    assert!(techniques("no_such_rule").is_empty());
}

#[test]
fn options_are_read_strictly_and_have_defaults() {
    let options: Options = toml::from_str("[excessive_connections]\nthreshold = 20\n").unwrap();
    assert_eq!(options.excessive_connections.threshold, 20);
    assert!(options.excessive_connections.enabled);
    assert_eq!(options.dns_rate, Default::default());
    for bad in [
        "[excessive_connections]\ntreshold = 20\n",
        "[no_such_detector]\n",
        "[blocklisted_address]\naddresses = ['300.1.1.1']\n",
        "[dns_rate]\nwindow = 'soon'\n",
    ] {
        assert!(toml::from_str::<Options>(bad).is_err(), "{bad}");
    }
    let text = toml::to_string(&Options::default()).unwrap();
    assert_eq!(toml::from_str::<Options>(&text).unwrap(), Options::default());
}

/// `docs/detectors.md` is made here: run with `UPDATE_DOCS=1` after a change.
#[test]
fn the_documentation_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/detectors.md");
    let wanted = document();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, wanted).unwrap();
        return;
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        found == wanted,
        "docs/detectors.md is stale: run the tests with UPDATE_DOCS=1"
    );
}

fn document() -> String {
    let schema = serde_json::to_value(schemars::schema_for!(Options)).unwrap();
    let defaults = serde_json::to_value(Options::default()).unwrap();
    let mut text = "# Detectors\n\nMade from the list of detectors by a test; `UPDATE_DOCS=1 cargo test -p \
                    atalaya-detect` writes it anew.\n\nA finding carries its reasons as values; the sentences are in \
                    the message catalogue. A finding whose process is still being hashed waits for the hash, at most \
                    `detect.wait_for_hash` (2 s).\n\n| detector | severity | finds |\n|---|---|---|\n"
        .to_owned();
    for entry in ENTRIES {
        let severity = entry.severity.name();
        writeln!(
            text,
            "| [`{0}`](#{0}) | {severity} | {1} |",
            entry.id, entry.sentence
        )
        .unwrap();
    }
    for entry in ENTRIES {
        describe(&mut text, entry, &schema, &defaults[entry.id]);
    }
    text.push_str("\n## Ports known for something\n\nWhat `suspicious_port` looks for, and `unusual_listener` mentions:\n\n");
    text.push_str("| port | known for |\n|---|---|\n");
    for (port, sentence) in SUSPICIOUS {
        writeln!(text, "| {port} | {sentence} |").unwrap();
    }
    writeln!(text, "| another port of yours | {OWN_LIST} |").unwrap();
    text
}

fn describe(text: &mut String, entry: &Entry, schema: &serde_json::Value, defaults: &serde_json::Value) {
    writeln!(
        text,
        "\n## {}\n\n{} Severity: {}.",
        entry.id,
        entry.sentence,
        entry.severity.name()
    )
    .unwrap();
    for (severity, why) in entry.other_severities {
        writeln!(text, "Severity {} when {why}.", severity.name()).unwrap();
    }
    writeln!(text, "\n{}\n", entry.limits).unwrap();
    for (id, name, tactic) in entry.techniques {
        let page = id.replace('.', "/");
        writeln!(
            text,
            "- ATT&CK [{id} {name}](https://attack.mitre.org/techniques/{page}/) ({tactic})"
        )
        .unwrap();
    }
    let list = |names: &[&str]| {
        names
            .iter()
            .map(|name| format!("`{name}`"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    writeln!(text, "- values: {}", list(entry.values)).unwrap();
    if !entry.variants.is_empty() {
        writeln!(text, "- variants: {}", list(entry.variants)).unwrap();
    }
    writeln!(
        text,
        "\n| option of `[detect.{}]` | default | meaning |\n|---|---|---|",
        entry.id
    )
    .unwrap();
    let reference = schema["properties"][entry.id]["$ref"]
        .as_str()
        .unwrap_or_default();
    let name = reference.rsplit('/').next().unwrap_or_default();
    let properties = schema["$defs"][name]["properties"].as_object().unwrap();
    for (option, property) in properties {
        let meaning = property["description"]
            .as_str()
            .unwrap_or_default()
            .replace('\n', " ");
        let default = defaults[option]
            .to_string()
            .replace("\",\"", "\", \"")
            .replace(',', ", ")
            .replace(",  ", ", ");
        writeln!(text, "| `{option}` | `{default}` | {meaning} |").unwrap();
    }
}
