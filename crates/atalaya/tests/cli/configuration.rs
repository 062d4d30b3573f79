//! `atalaya config`.

use std::fs;

use serde_json::Value;

use crate::home::Home;

/// Every template that `config init` writes.
const TEMPLATES: [&[&str]; 6] = [
    &[],
    &["--like", "s1"],
    &["--like", "s2"],
    &["--like", "s3"],
    &["--like", "s4"],
    &["--like", "s5"],
];

#[test]
fn what_init_writes_is_good() {
    let home = Home::new();
    for (number, like) in TEMPLATES.iter().enumerate() {
        let file = format!("{number}.toml");
        let ran = home.run(&[&["config", "init", "--to", &file], *like].concat());
        assert_eq!(
            (ran.code, ran.out.as_str()),
            (0, format!("wrote {file}\n").as_str()),
            "{ran:?}"
        );
        let shown = home.run(&[&["config", "init"], *like].concat());
        assert_eq!(fs::read_to_string(home.path(&file)).unwrap(), shown.out);
        let checked = home.run(&["config", "check", "--config", &file]);
        assert_eq!((checked.code, checked.err.as_str()), (0, ""), "{checked:?}");
        let planned = home.run(&["plan", "--config", &file, "--output", "json"]);
        assert_eq!(planned.code, 0, "{planned:?}");
    }
}

#[test]
fn what_show_prints_is_the_configuration_in_force() {
    let home = Home::new();
    let file = home.write("own.toml", "[watch]\ninterval = \"7s\"\n");
    let shown = home.run(&["config", "show", "--config", &file]);
    assert!(shown.out.contains("\ninterval = \"7s\"\n"), "{}", shown.out);
    let again = home.write("again.toml", &shown.out);
    assert_eq!(home.run(&["config", "show", "--config", &again]).out, shown.out);
}

#[test]
fn an_existing_file_is_left_as_it_is() {
    let home = Home::new();
    let file = home.write("mine.toml", "# mine\n");
    let ran = home.run(&["config", "init", "--to", &file]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.err.contains("exists and was left as it is"), "{}", ran.err);
    assert_eq!(fs::read_to_string(&file).unwrap(), "# mine\n");
    std::os::unix::fs::symlink(home.path("nowhere"), home.path("link")).unwrap();
    let ran = home.run(&["config", "init", "--to", "link"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(!home.path("nowhere").exists(), "a link was followed");
}

#[test]
fn a_new_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = Home::new();
    home.run(&["config", "init", "--to", "new.toml"]);
    let mode = fs::metadata(home.path("new.toml")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn every_problem_is_told_with_its_place_and_a_hint() {
    let home = Home::new();
    let text = "[watch]\ninteral = \"1s\"\nlearning = \"soon\"\n\n[networks]\ninternal = [\"10.0.0.0/99\"]\n\n\
                [detect.dns_rate]\nthreshold = \"many\"\n\n[[allow]]\ndestination = \"10.0.0.0/99\"\n\n\
                [detect.blocklisted_address]\nfiles = [\"missing.txt\"]\n";
    home.write("bad.toml", text);
    let ran = home.run(&["config", "check", "--config", "bad.toml"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert_eq!(ran.out, "");
    for place in [
        "bad.toml:2:1: ",
        "bad.toml:3:12: ",
        "bad.toml:6:13: ",
        "bad.toml:9:13: ",
    ] {
        assert!(ran.err.contains(place), "no {place:?} in:\n{}", ran.err);
    }
    for words in [
        "unknown key `interal`",
        "did you mean `interval`?",
        "`soon` is not a length of time",
        "missing.txt",
        "`[[allow]]` entry 1",
    ] {
        assert!(ran.err.contains(words), "no {words:?} in:\n{}", ran.err);
    }
    for verb in [
        &["snapshot"][..],
        &["watch", "--no-store"],
        &["plan"],
        &["status"],
    ] {
        let ran = home.run(&[verb, &["--config", "bad.toml"]].concat());
        assert_eq!(ran.code, 2, "{verb:?}: {ran:?}");
    }
}

#[test]
fn a_missing_file_is_a_mistake_only_when_it_was_named() {
    let home = Home::new();
    let ran = home.run(&["config", "check", "--config", "none.toml"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(
        ran.err.contains("none.toml") && ran.err.contains("hint: "),
        "{}",
        ran.err
    );
}

#[test]
fn an_entry_that_has_expired_is_only_warned_of() {
    let home = Home::new();
    let text = "[[allow]]\nport = 8080\nexpires = \"2020-01-31\"\ncomment = \"the old proxy\"\n";
    home.write("old.toml", text);
    let ran = home.run(&["config", "check", "--config", "old.toml"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, "old.toml: good\n"), "{ran:?}");
    assert!(
        ran.err.contains("expired") && ran.err.contains("the old proxy"),
        "{}",
        ran.err
    );
}

#[test]
fn two_outlets_may_not_share_a_file() {
    let home = Home::new();
    home.write(
        "one.toml",
        "[outlets.log]\nfile = \"a\"\n[[outlets.logs]]\nfile = \"b\"\n[[outlets.logs]]\nfile = \"a\"\n",
    );
    let ran = home.run(&["config", "check", "--config", "one.toml"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(
        ran.err.contains("`a` is the file of another outlet"),
        "{}",
        ran.err
    );
}

/// The schema that a `$ref`, an optional value or a list stands for.
fn resolve<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let reference = schema.get("$ref").and_then(Value::as_str);
    let next = match reference {
        Some(reference) => Some(
            root.pointer(reference.strip_prefix('#').unwrap())
                .expect(reference),
        ),
        None => schema.get("anyOf").and_then(|any| any.get(0)),
    };
    next.map_or(schema, |next| resolve(root, next))
}

/// Checks a value against a schema, as far as these schemas go.
fn validate(root: &Value, schema: &Value, value: &Value, path: &str) {
    let schema = resolve(root, schema);
    let kind = schema.get("type");
    // A value that may be absent has a list of types, its own first.
    let kind = kind.and_then(|kind| kind.as_str().or_else(|| kind.get(0)?.as_str()));
    match value {
        Value::Object(table) => {
            assert_eq!(kind, Some("object"), "{path}");
            for (key, value) in table {
                let known = schema["properties"].get(key);
                let known = known.unwrap_or_else(|| panic!("{path}.{key} is not in the schema"));
                validate(root, known, value, &format!("{path}.{key}"));
            }
        }
        Value::Array(items) => {
            assert_eq!(kind, Some("array"), "{path}");
            for item in items {
                validate(root, &schema["items"], item, path);
            }
        }
        Value::String(text) => {
            let choices = schema.get("oneOf").and_then(Value::as_array);
            let fits = kind == Some("string") || choices.is_some_and(|choices| !choices.is_empty());
            assert!(fits, "{path}: {text:?} does not fit {schema}");
        }
        Value::Number(_) => assert!(matches!(kind, Some("integer" | "number")), "{path}"),
        Value::Bool(_) => assert_eq!(kind, Some("boolean"), "{path}"),
        Value::Null => panic!("{path} is null"),
    }
}

#[test]
fn the_schema_knows_every_key_of_every_template() {
    let home = Home::new();
    let schema: Value = serde_json::from_str(&home.run(&["config", "schema"]).out).unwrap();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    let mut references = Vec::new();
    gather(&schema, &mut references);
    assert!(references.len() > 20);
    for reference in references {
        let target = reference.strip_prefix('#').and_then(|path| schema.pointer(path));
        assert!(target.is_some(), "{reference} leads nowhere");
    }
    for like in TEMPLATES {
        let text = home.run(&[&["config", "init"], like].concat()).out;
        let value: toml::Table = toml::from_str(&text).unwrap();
        validate(&schema, &schema, &serde_json::to_value(value).unwrap(), "");
    }
}

fn gather(value: &Value, references: &mut Vec<String>) {
    match value {
        Value::Object(table) => {
            references.extend(table.get("$ref").and_then(Value::as_str).map(str::to_owned));
            table.values().for_each(|value| gather(value, references));
        }
        Value::Array(items) => items.iter().for_each(|value| gather(value, references)),
        _ => {}
    }
}

#[test]
fn a_plan_tells_what_is_kept_and_ages_that_contradict_each_other_are_refused() {
    let home = Home::new();
    let store = "[store]\nkeep = \"7d\"\nkeep_protocols = \"2d\"\nkeep_alerts = \"0s\"\nmax_size = \"0\"\n";
    let file = home.write("own.toml", store);
    let plan = home.run(&["plan", "--config", &file]);
    let line =
        "\nhistory         connections 7 d, protocols 2 d, alerts for ever, rollups 28 d; of any size\n";
    assert!(plan.out.contains(line), "{}", plan.out);
    let without = home.run(&["watch", "--plan", "--no-store", "--config", &file]);
    assert!(!without.out.contains("\nhistory "), "{}", without.out);
    let file = home.write(
        "bad.toml",
        "[store]\nkeep = \"7d\"\nkeep_protocols = \"8d\"\nkeep_rollups = \"6d\"\n",
    );
    let ran = home.run(&["config", "check", "--config", &file]);
    assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{ran:?}");
    for words in ["keep_protocols is longer", "keep_rollups is shorter"] {
        assert!(ran.err.contains(words), "{}", ran.err);
    }
    assert_eq!(ran.err.matches("hint: ").count(), 2, "{}", ran.err);
}
