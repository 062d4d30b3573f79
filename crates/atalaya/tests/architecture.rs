//! The shape of the house: which room may know which, how long a file may be, and what no room may contain.
//!
//! The table of edges is the one of the design; whoever changes one changes both, and says why.

#[cfg(test)]
mod shape {
    use std::collections::BTreeMap;
    use std::fs;
    use std::path::{Path, PathBuf};

    use serde_json::Value;

    /// Room → what it may import of the workspace.
    const EDGES: &[(&str, &[&str])] = &[
        ("model", &[]),
        ("wire", &["model"]),
        ("host", &["model", "wire"]),
        ("track", &["model", "wire"]),
        ("detect", &["model"]),
        ("alert", &["model", "format"]),
        ("format", &["model"]),
        ("store", &["model"]),
        ("report", &["model", "format", "store"]),
        ("probe", &["model", "wire", "host"]),
        ("tui", &["model", "format", "store", "report"]),
        ("web", &["model", "format", "store", "report"]),
    ];

    /// The room that may import all others.
    const APP: &str = "atalaya";

    /// Longest file.
    const MAX_LINES: usize = 700;

    /// Names that say nothing about the job of a module.
    const FORBIDDEN: &[&str] = &[
        "utils", "util", "common", "helpers", "helper", "types", "core", "misc",
    ];

    fn metadata() -> Value {
        #[expect(clippy::disallowed_methods, reason = "a test asks cargo about the workspace")]
        let output = std::process::Command::new(env!("CARGO"))
            .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn root() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../..")
            .canonicalize()
            .unwrap()
    }

    /// Every Rust file of the workspace, with its text.
    fn sources() -> Vec<(PathBuf, String)> {
        fn walk(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
            let mut entries: Vec<_> = fs::read_dir(folder)
                .unwrap()
                .map(|entry| entry.unwrap().path())
                .collect();
            entries.sort();
            for path in entries {
                if path.is_dir() {
                    if path.file_name().is_none_or(|name| name != "target") {
                        walk(&path, found);
                    }
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    let text = fs::read_to_string(&path).unwrap();
                    found.push((path, text));
                }
            }
        }
        let mut found = Vec::new();
        walk(&root().join("crates"), &mut found);
        assert!(found.len() > 20, "the walk lost its way: {} files", found.len());
        found
    }

    /// The room that a file belongs to.
    fn room(path: &Path) -> String {
        let inside = path.strip_prefix(root().join("crates")).unwrap();
        inside
            .components()
            .next()
            .unwrap()
            .as_os_str()
            .to_string_lossy()
            .into_owned()
    }

    /// A line without its comment and its texts, roughly: enough to find words of code.
    fn code(line: &str) -> String {
        let mut kept = String::new();
        let mut characters = line.chars().peekable();
        let mut in_text = false;
        while let Some(character) = characters.next() {
            match character {
                '\\' if in_text => _ = characters.next(),
                '"' => in_text = !in_text,
                '/' if !in_text && characters.peek() == Some(&'/') => break,
                _ if in_text => {}
                _ => kept.push(character),
            }
        }
        kept
    }

    fn fail_if_any(problems: &[String], rule: &str) {
        assert!(problems.is_empty(), "{rule}:\n  {}", problems.join("\n  "));
    }

    #[test]
    fn rooms_import_only_what_the_design_allows() {
        let allowed: BTreeMap<_, _> = EDGES.iter().copied().collect();
        let metadata = metadata();
        let mut problems = Vec::new();
        for package in metadata["packages"].as_array().unwrap() {
            let name = package["name"].as_str().unwrap();
            let Some(room) = name.strip_prefix("atalaya-") else {
                assert_eq!(name, APP, "a package outside the house: {name}");
                continue;
            };
            let folder = Path::new(package["manifest_path"].as_str().unwrap())
                .parent()
                .unwrap();
            if folder.file_name().is_none_or(|folder| folder != room) {
                problems.push(format!("{name} lives in {}", folder.display()));
            }
            let Some(allowed) = allowed.get(room) else {
                problems.push(format!("{name} is no room of the design"));
                continue;
            };
            for dependency in package["dependencies"].as_array().unwrap() {
                let dependency = dependency["name"].as_str().unwrap();
                let inside = dependency == APP || dependency.starts_with("atalaya-");
                let imported = dependency.trim_start_matches("atalaya-");
                if inside && imported != room && !allowed.contains(&imported) {
                    problems.push(format!("{name} imports {dependency}"));
                }
            }
        }
        fail_if_any(&problems, "edges that the design does not allow");
    }

    #[test]
    fn files_are_short() {
        let mut lengths: Vec<(usize, PathBuf)> = sources()
            .into_iter()
            .map(|(path, text)| (text.lines().count(), path))
            .collect();
        lengths.sort();
        let median = lengths[lengths.len() / 2].0;
        let (longest, path) = lengths.last().unwrap();
        println!(
            "{} files, median {median} lines, longest {longest} ({})",
            lengths.len(),
            path.display()
        );
        let problems: Vec<_> = lengths
            .iter()
            .filter(|(lines, _)| *lines > MAX_LINES)
            .map(|(lines, path)| format!("{lines} lines: {}", path.display()))
            .collect();
        fail_if_any(&problems, &format!("files over {MAX_LINES} lines"));
    }

    #[test]
    fn names_say_what_is_inside() {
        let problems: Vec<_> = sources()
            .into_iter()
            .filter(|(path, _)| {
                path.strip_prefix(root())
                    .unwrap()
                    .with_extension("")
                    .components()
                    .any(|part| FORBIDDEN.iter().any(|name| part.as_os_str() == *name))
            })
            .map(|(path, _)| path.display().to_string())
            .collect();
        fail_if_any(&problems, "modules whose name says nothing");
    }

    #[test]
    fn unsafe_lives_in_host_and_explains_itself() {
        let mut problems = Vec::new();
        for (path, text) in sources() {
            let lines: Vec<_> = text.lines().collect();
            for (index, line) in lines.iter().enumerate() {
                let code = code(line);
                let words = || code.split(|c: char| !(c.is_alphanumeric() || c == '_'));
                if !words().any(|word| word == "unsafe") {
                    continue;
                }
                let place = format!("{}:{}", path.display(), index + 1);
                if room(&path) != "host" {
                    problems.push(format!("{place}: unsafe outside `host`"));
                } else if code.contains("unsafe {") {
                    let before = &lines[index.saturating_sub(8)..=index];
                    if !before.iter().any(|line| line.contains("SAFETY")) {
                        problems.push(format!("{place}: no SAFETY comment above"));
                    }
                }
            }
        }
        fail_if_any(&problems, "unsafe code");
    }

    #[test]
    fn lints_are_expected_not_allowed() {
        let mut problems = Vec::new();
        for (path, text) in sources() {
            for (index, line) in text.lines().enumerate() {
                let code = code(line);
                if code.contains("#[allow(") || code.contains("#![allow(") || code.contains("#[ignore") {
                    problems.push(format!("{}:{}: {}", path.display(), index + 1, line.trim()));
                }
            }
        }
        fail_if_any(&problems, "use #[expect(…, reason = …)], and no #[ignore]");
    }

    #[test]
    fn every_room_introduces_itself() {
        let mut problems = Vec::new();
        for (path, text) in sources() {
            if !path.ends_with("src/lib.rs") {
                continue;
            }
            let opening = text.lines().take_while(|line| line.starts_with("//!")).count();
            if !(3..=40).contains(&opening) {
                problems.push(format!("{} opens with {opening} lines of `//!`", path.display()));
            }
        }
        fail_if_any(
            &problems,
            "a room's lib.rs says its job, what comes in, what goes out, what it must not know",
        );
    }

    #[test]
    fn lines_of_code_are_told_from_comments_and_texts() {
        assert_eq!(code("let x = \"unsafe \\\" // no\"; // unsafe"), "let x = ; ");
        assert_eq!(code("unsafe { f() }"), "unsafe { f() }");
    }
}
