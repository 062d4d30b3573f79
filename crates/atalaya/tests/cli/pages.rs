//! The pages of `docs` that tell of configuration, JSON and the library: made here, or checked here.

use std::collections::BTreeSet;
use std::fs;
use std::net::{TcpListener, TcpStream};

use atalaya_model::fields;
use serde_json::Value;

use crate::home::{Home, calm};

const MARK: &str = "<!-- From here on";

fn page(name: &str) -> (String, String) {
    let path = format!("{}/../../docs/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(&path).unwrap();
    (path, text)
}

/// The fenced blocks of this language.
fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    let parts = text.split(&fence).skip(1);
    parts.map(|part| part.split("```").next().unwrap()).collect()
}

/// Tables of every key, from the text of `config init`.
fn tables(text: &str) -> String {
    let mut made = String::new();
    let mut said: Vec<&str> = Vec::new();
    let mut lines = text.lines().skip_while(|line| !line.is_empty()).peekable();
    while let Some(line) = lines.next() {
        if let Some(sentence) = line.strip_prefix("# ") {
            said.push(sentence);
            continue;
        }
        let bare = line.strip_prefix('#').unwrap_or(line);
        let set = bare.len() == line.len();
        if bare.starts_with('[') {
            made.push_str(&format!("\n## `{bare}`\n\n{}", said.join("\n")));
            made.push_str(if set {
                "\n"
            } else {
                " Not there unless you write it.\n"
            });
            made.push_str("\n| key | default | meaning |\n|---|---|---|\n");
            said.clear();
        } else if let Some((key, value)) = bare.split_once(" = ") {
            let mut value = value.to_owned();
            while let Some(more) = lines.next_if(|line| line.trim_start_matches('#').starts_with("  ")) {
                value = format!("{value} {}", more.trim_start_matches('#').trim());
            }
            let default = if set {
                format!("`{value}`")
            } else {
                format!("not set; such as `{value}`")
            };
            made.push_str(&format!(
                "| `{key}` | {default} | {} |\n",
                said.join(" ").replace('|', "\\|")
            ));
            said.clear();
        }
    }
    made
}

#[test]
fn the_page_of_the_configuration_has_every_key() {
    let (path, kept) = page("configuration.md");
    let (head, rest) = kept.split_once(MARK).expect("the mark is there");
    let mark = format!("{MARK}{}\n", rest.lines().next().unwrap());
    let made = format!(
        "{head}{mark}{}",
        tables(&Home::new().run(&["config", "init"]).out)
    );
    assert!(made.matches("\n| `").count() > 60, "{made}");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &made).unwrap();
        return;
    }
    assert!(
        kept == made,
        "docs/configuration.md is stale: run `UPDATE_DOCS=1 cargo test -p atalaya --test cli pages`"
    );
}

#[test]
fn the_mistakes_that_the_page_shows_are_told_so() {
    let home = Home::new();
    let text = "[watch]\ninteral = \"1s\"\n\n\n[networks]\ninternal = [\"10.0.0.0/99\"]\n";
    home.write("atalaya.toml", text);
    let ran = home.run(&["config", "check", "--config", "atalaya.toml"]);
    let (_, page) = page("configuration.md");
    assert!(page.contains(&ran.err), "the page should show:\n{}", ran.err);
}

/// The paths of keys in a record; lists are entered.
fn paths(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(table) => {
            for (key, value) in table {
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                paths(value, &path, found);
            }
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            items.iter().for_each(|item| paths(item, path, found));
        }
        _ => {
            found.insert(path.to_owned());
        }
    }
}

/// Every JSON value of a page.
fn examples() -> Vec<Value> {
    let (_, text) = page("json.md");
    let blocks = blocks(&text, "json");
    let values = blocks
        .iter()
        .flat_map(|block| serde_json::Deserializer::from_str(block).into_iter());
    values.map(|value| value.expect("the page shows JSON")).collect()
}

#[test]
fn every_key_that_the_page_of_json_shows_is_known() {
    let known: BTreeSet<&str> = fields::all().map(|field| field.name).collect();
    let text = page("fields.md").1 + &page("json.md").1;
    let mut records = 0;
    for example in examples()
        .iter()
        .filter(|example| example.get("@timestamp").is_some())
    {
        records += 1;
        let mut found = BTreeSet::new();
        paths(example, "", &mut found);
        for path in found {
            let explained = [
                "atalaya.",
                "host.",
                "observer.",
                "ecs.",
                "threat.",
                "event.",
                "log.",
                "rule.",
            ];
            let is_known = known.contains(path.as_str())
                || text.contains(&format!("`{path}`"))
                || explained.iter().any(|prefix| path.starts_with(prefix))
                || ["@timestamp", "message"].contains(&path.as_str());
            assert!(is_known, "what is {path}?");
        }
    }
    assert!(records >= 7, "{records}");
}

#[test]
fn what_the_page_of_json_shows_is_what_is_written() {
    let home = Home::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let _stream = TcpStream::connect(address).unwrap();
    let config = calm(&format!(
        "[detect.suspicious_port]\nports = [{}]\n",
        address.port()
    ));
    let config = home.write("high.toml", &config);
    let filter = format!("destination.port:{}", address.port());
    let ran = home.run(&[
        "snapshot", "--config", &config, "--output", "json", "--filter", &filter,
    ]);
    let written = &ran.json()[0];
    let shown = examples();
    let shown = shown
        .iter()
        .find(|example| example.get("statistics").is_some())
        .unwrap();
    let keys = |value: &Value| -> BTreeSet<String> { value.as_object().unwrap().keys().cloned().collect() };
    for pointer in ["", "/alerts/0", "/statistics", "/not_seen", "/connections/0"] {
        let [written, shown] = [written, shown].map(|value| keys(value.pointer(pointer).unwrap()));
        assert_eq!(written, shown, "{pointer}");
    }
}

#[test]
fn the_page_of_the_library_names_calls_that_exist() {
    let (_, text) = page("library.md");
    let (_, source) = page("../crates/atalaya/src/monitor.rs");
    for call in [
        "plan",
        "documentation",
        "snapshot",
        "watch",
        "statistics",
        "with_config",
    ] {
        assert!(text.contains(&format!("{call}(")), "{call}");
        assert!(source.contains(&format!("pub fn {call}(")), "{call}");
    }
}
