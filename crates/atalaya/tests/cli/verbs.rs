//! Help, manual, completions, and what each exit status means.

use std::io::Write as _;
use std::process::Stdio;

use atalaya::cli::Cli;
use clap::CommandFactory as _;

use crate::home::{Home, finish, installed, skip};

/// Every verb, each with the verbs below it.
fn verbs() -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut waiting = vec![(Vec::new(), Cli::command())];
    while let Some((path, command)) = waiting.pop() {
        for verb in command.get_subcommands().filter(|verb| verb.get_name() != "help") {
            let path = [&path[..], &[verb.get_name().to_owned()]].concat();
            waiting.push((path, verb.clone()));
        }
        found.push(path);
    }
    found
}

#[test]
fn every_verb_explains_itself() {
    let home = Home::new();
    let verbs = verbs();
    assert!(verbs.len() > 18, "{verbs:?}");
    for verb in verbs {
        for flag in ["--help", "-h"] {
            let words: Vec<&str> = verb.iter().map(String::as_str).chain([flag]).collect();
            let ran = home.run(&words);
            assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{words:?}");
            let usage = format!(
                "Usage: {}",
                [&["atalaya"], &words[..words.len() - 1]].concat().join(" ")
            );
            assert!(ran.out.contains(&usage), "no {usage:?} in {}", ran.out);
        }
    }
}

#[test]
fn the_manual_names_every_verb_and_flag() {
    let ran = Home::new().run(&["man"]);
    assert_eq!(ran.code, 0);
    assert!(ran.out.contains(".TH atalaya 1"), "{}", ran.out);
    let plain = ran
        .out
        .replace("\\-", "-")
        .replace("\\fB", "")
        .replace("\\fR", "");
    for verb in verbs() {
        let name = verb.join(" ");
        assert!(plain.contains(&name), "no `{name}` in the manual");
    }
    for flag in [
        "--duration",
        "--no-learning",
        "--like",
        "--as",
        "--fail-on",
        "--open",
    ] {
        assert!(plain.contains(flag), "no `{flag}` in the manual");
    }
    if !installed("man") {
        return skip("man is not installed");
    }
    let home = Home::new();
    home.write("atalaya.1", &ran.out);
    let mut command = home.command("man");
    command
        .args(["--warnings=mac", "-l", "atalaya.1"])
        .env("MANWIDTH", "100");
    let shown = finish(command);
    assert_eq!((shown.code, shown.err.as_str()), (0, ""), "{shown:?}");
}

#[test]
fn completions_are_what_the_shells_read() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish"] {
        let ran = home.run(&["completions", shell]);
        assert_eq!((ran.code, ran.err.as_str()), (0, ""));
        for word in ["snapshot", "no-learning", "acknowledge"] {
            assert!(ran.out.contains(word) || shell == "bash", "no {word} for {shell}");
        }
        if !installed(shell) {
            skip(&format!("{shell} is not installed"));
            continue;
        }
        let mut command = home.command(shell);
        command.arg("-n").stdin(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(ran.out.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{shell}: {output:?}");
    }
}

#[test]
fn a_wrong_command_line_is_2_with_a_hint() {
    let home = Home::new();
    for (words, hint) in [
        (&["--bogus"][..], "try '--help'"),
        (&["snaphot"], "'snapshot'"),
        (&["watch", "--durations", "1s"], "'--duration'"),
        (&["watch", "--interval", "0"], "a number above 0 and a unit"),
        (&["watch", "--events", "packets"], "connection, process, listener"),
        (&["watch", "--store", "a.db", "--no-store"], "cannot be used with"),
        (&["watch", "--tier", "magic"], "possible values: auto"),
        (&["snapshot", "--filter", "no.such.field:1"], "hint: "),
        (&["snapshot", "--filter", "pid:("], "^"),
        (&["rules", "nothing"], "suspicious_port"),
        (
            &["alerts", "close", "1", "--as", "unclear"],
            "true-positive or false-positive",
        ),
        (&["config", "init", "--like", "s6"], "s1, s2, s3, s4, s5"),
    ] {
        let ran = home.run(words);
        assert_eq!(ran.code, 2, "{words:?}: {ran:?}");
        assert!(ran.err.contains(hint), "{words:?}: no {hint:?} in {}", ran.err);
        assert_eq!(ran.out, "", "{words:?}");
    }
}

#[test]
fn a_run_that_fails_is_3() {
    let home = Home::new();
    home.write("text.db", &"this is no database\n".repeat(100));
    for words in [
        &["watch", "--store", "text.db", "--duration", "1s"][..],
        &["alerts", "list", "--store", "text.db"],
        &["watch", "--store", "/proc/none/atalaya.db", "--duration", "1s"],
        &["status", "--socket", "nobody.sock"],
        &["config", "init", "--to", "no/such/folder/a.toml"],
    ] {
        let ran = home.run(words);
        assert_eq!(ran.code, 3, "{words:?}: {ran:?}");
        assert!(!ran.err.is_empty() && !ran.err.contains("panicked"), "{words:?}");
    }
    let text = std::fs::read_to_string(home.path("text.db")).unwrap();
    assert_eq!(text, "this is no database\n".repeat(100));
}

#[test]
fn rules_are_told_in_both_languages_and_as_json() {
    let home = Home::new();
    let english = home.run(&["rules", "--lang", "en"]);
    let spanish = home.run(&["rules", "--lang", "es"]);
    assert_ne!(english.out, spanish.out);
    let all = home.run(&["rules", "--output", "json"]).json();
    assert_eq!(all.len(), atalaya_detect::registry::ENTRIES.len());
    for rule in &all {
        assert!(english.out.contains(rule["rule"].as_str().unwrap()));
        assert!(rule["recommendation"].is_string(), "{rule}");
    }
    let one = home.run(&["rules", "dns_rate", "--output", "json"]).json();
    assert_eq!(one[0]["rule"], "dns_rate");
}

#[test]
fn a_plan_touches_nothing() {
    let home = Home::new();
    let before = format!("{:?}", std::fs::read_dir(home.path("")).unwrap().count());
    for words in [
        &["plan"][..],
        &["watch", "--plan"],
        &["snapshot", "--plan"],
        &["--plan"],
    ] {
        let ran = home.run(words);
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{words:?}: {ran:?}");
        assert!(ran.out.contains("\ntier            ") && ran.out.contains("Nothing was changed."));
    }
    let plan = &home.run(&["plan", "--output", "json"]).json()[0];
    // The best tier that works here, and a reason for each better one.
    let worse = match plan["tier"]["tier"].as_str() {
        Some("ebpf") => 0,
        Some("events") => 1,
        tier => {
            assert_eq!(tier, Some("poll"));
            2
        }
    };
    let reasons = plan["tier"]["unavailable"].as_array().unwrap();
    assert_eq!(reasons.len(), worse, "{plan}");
    let forced = &home
        .run(&["watch", "--plan", "--tier", "poll", "--output", "json"])
        .json()[0];
    assert_eq!(forced["tier"]["tier"], "poll", "{forced}");
    assert_eq!(plan["interval"], 1.0);
    assert_eq!(plan["kept"]["rollup_days"], 120, "{plan}");
    let after = format!("{:?}", std::fs::read_dir(home.path("")).unwrap().count());
    assert_eq!(before, after);
}
