//! What a person sees.

use super::*;
use crate::snapshot::samples;

fn written(host: &samples::Host, options: TextOptions) -> String {
    let mut out = Vec::new();
    write_text(&host.snapshot(), &options, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// The only line that depends on the machine's time zone.
fn without_zone(text: &str) -> String {
    text.replace(&samples::NOW.local(), "(local time)")
}

#[test]
fn the_report_in_english() {
    let text = written(
        &samples::host(),
        TextOptions {
            all: true,
            ..TextOptions::default()
        },
    );
    insta::assert_snapshot!(without_zone(&text));
}

#[test]
fn the_report_in_spanish() {
    let options = TextOptions {
        language: Language::Spanish,
        width: 80,
        ..TextOptions::default()
    };
    insta::assert_snapshot!(without_zone(&written(&samples::host(), options)));
}

#[test]
fn a_quiet_host() {
    insta::assert_snapshot!(without_zone(&written(&samples::empty(), TextOptions::default())));
}

#[test]
fn nothing_hostile_reaches_the_terminal_and_colour_is_only_a_coat() {
    let host = samples::host();
    let options = TextOptions {
        all: true,
        ..TextOptions::default()
    };
    let plain = written(&host, options);
    assert!(
        !plain
            .chars()
            .any(|c| c != '\n' && (c.is_control() || c == '\u{202e}')),
        "{plain}"
    );
    let coloured = written(
        &host,
        TextOptions {
            colour: true,
            ..options
        },
    );
    assert!(coloured.contains("\u{1b}["));
    let mut bare = String::new();
    let mut rest = coloured.as_str();
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        bare.push_str(before);
        rest = after.split_once('m').unwrap().1;
    }
    bare.push_str(rest);
    let trimmed: Vec<_> = bare.lines().map(str::trim_end).collect();
    assert_eq!(trimmed, plain.lines().collect::<Vec<_>>());
}

#[test]
fn every_connection_is_listed_only_when_asked_for() {
    let host = samples::host();
    let brief = written(&host, TextOptions::default());
    let all = written(
        &host,
        TextOptions {
            all: true,
            ..TextOptions::default()
        },
    );
    assert!(!brief.contains("10.0.0.2:5432"));
    for connection in &host.connections {
        assert!(all.contains(&connection.remote().to_string()));
    }
}

#[test]
fn many_listeners_are_cut_and_said_to_be() {
    let mut host = samples::host();
    let listener = host.listeners[0].clone();
    host.listeners = (0..80)
        .map(|n| {
            let mut listener = listener.clone();
            listener.local.port = 1_000 + n;
            listener
        })
        .collect();
    let brief = written(&host, TextOptions::default());
    assert!(brief.contains("30 more; `--all` lists them"), "{brief}");
    assert!(!brief.contains("0.0.0.0:1079") && brief.contains("0.0.0.0:1049"));
}
