//! Processes that try to write on our screen, into our log, or past our limits.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;

use serde_json::Value;

use crate::actor::{self, Actor};
use crate::configuration::configuration;
use crate::program::Program;
use crate::watch::{ATALAYA, Watch};
use crate::world::World;
use crate::{rounds, until};

/// File names, and so process names: an escape that sets the title and the colour, lines of our own log, broken UTF-8,
/// right-to-left marks, CSV and JSON and a formula.
const NAMES: [&[u8]; 6] = [
    b"\x1b]0;owned\x07\x1b[2J\x1b[31m",
    b"a\n2030-01-01",
    b"\xff\xfe\x80bad",
    "\u{202e}txt.exe\u{9b}31m".as_bytes(),
    b"\",\"a\":{\\",
    b"=cmd|'\r\n;\x7f\x00",
];

/// Has a listener that is remarked on, under each of the names, with long and wild arguments.
fn misbehave(world: &World) -> Vec<Program> {
    let folder = world.outside("/usr/local/bin");
    let start = |(index, name): (usize, &&[u8])| {
        let name = name.split(|byte| *byte == 0).next().unwrap();
        let file = folder.join(OsStr::from_bytes(name));
        fs::copy(actor::binary(1), &file).unwrap();
        let path = std::path::Path::new("/usr/local/bin").join(OsStr::from_bytes(name));
        let mut command = world.command("sh");
        command.args(["-c", "exec \"$@\"", "sh"]).arg(&path);
        // 1 MB in arguments of the greatest length that the kernel takes, and then the wild ones.
        for _ in 0..8 {
            command.arg("x".repeat(120_000));
        }
        command.args(
            NAMES
                .iter()
                .map(|name| OsStr::from_bytes(name.split(|byte| *byte == 0).next().unwrap())),
        );
        command.arg0("nsenter");
        let mut program = world.start(command);
        until("it is ready", || {
            program.text().contains("ready") || program.ended()
        });
        program.tell(&format!("listen 0.0.0.0 {}", 31337 + index));
        program.tell("tcp 198.51.100.2 4444 1");
        until("it misbehaves", || {
            program.text().matches("done").count() == 2 || program.ended()
        });
        assert!(!program.ended(), "{}{}", program.text(), program.said());
        program
    };
    NAMES.iter().enumerate().map(start).collect()
}

/// No byte that a terminal would obey, and nothing that is no text.
#[track_caller]
fn assert_tame(what: &str, bytes: &[u8]) {
    let text = std::str::from_utf8(bytes).unwrap_or_else(|error| panic!("{what}: {error}"));
    let wild = text.char_indices().find(|(_, c)| {
        (c.is_control() && *c != '\n' && *c != '\t')
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    });
    if let Some((at, c)) = wild {
        let line = text[..at].rsplit('\n').next().unwrap().to_owned();
        panic!("{what}: {c:?} after {line:?}");
    }
}

#[test]
fn names_and_arguments_cannot_corrupt_any_output() {
    let Some(here) = World::new() else { return };
    let Some(there) = World::new() else { return };
    here.join(&there);
    actor::install(&there, "/usr/local/bin/server", 9);
    let mut server = Actor::start(&there, "/usr/local/bin/server");
    server.act("listen 0.0.0.0 4444");
    let _programs = misbehave(&here);

    let snapshot = |flags: &[&str]| {
        let output = here
            .command(ATALAYA)
            .arg("snapshot")
            .args(flags)
            .output()
            .unwrap();
        assert_eq!(
            output.status.code(),
            Some(1),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert_tame("stderr", &output.stderr);
        output.stdout
    };
    for _ in 0..rounds(1, 3) {
        let text = snapshot(&["--all"]);
        assert_tame("text", &text);
        let longest = text.split(|byte| *byte == b'\n').map(<[u8]>::len).max().unwrap();
        assert!(longest < 20_000, "a line of {longest} bytes");
        let fake = String::from_utf8_lossy(&text)
            .lines()
            .any(|line| line.starts_with("2030-01-01"));
        assert!(!fake, "a process wrote a line of its own");

        let json = snapshot(&["--all", "--output", "json"]);
        assert_eq!(
            json.iter().filter(|byte| **byte == b'\n').count(),
            1,
            "one document on one line"
        );
        assert_tame("json", &json);
        let document: Value = serde_json::from_slice(&json).unwrap();
        assert!(document["connections"].as_array().unwrap().len() >= 12);

        fs::write(here.path("all.csv"), snapshot(&["--all", "--output", "csv"])).unwrap();
        let shape = here.shell(
            "python3 -c \"import csv; rows = list(csv.reader(open('all.csv', newline='', encoding='utf-8')));\
             print(len(rows), len({len(row) for row in rows}), \
             sum(cell[:1] in ('=', '+', '@') for row in rows for cell in row))\"",
        );
        let numbers: Vec<usize> = shape
            .split_whitespace()
            .map(|number| number.parse().unwrap())
            .collect();
        assert!(numbers[0] > 12, "{shape}");
        assert_eq!(numbers[1], 1, "rows of different length");
        assert_eq!(numbers[2], 0, "a cell that a spreadsheet would compute");
    }

    // Watching: JSON lines, text, and the log.
    let mut watch = Watch::start(&here, &configuration(), &["--no-store", "--no-learning"]);
    watch.expect("suspicious_port");
    for line in watch.program.output.lock().unwrap().iter() {
        assert_tame("watch --output json", line);
    }
    assert_eq!(watch.end(), Some(0));
    for flags in [&["--verbose"][..], &["--lang", "es"]] {
        let mut command = here.command(ATALAYA);
        command.args([
            "watch",
            "--no-store",
            "--no-learning",
            "--duration",
            "2s",
            "--config",
            "atalaya.toml",
        ]);
        let output = command.args(flags).output().unwrap();
        assert_tame("watch", &output.stdout);
        assert_tame("watch, stderr", &output.stderr);
        assert!(
            !output.stdout.is_empty(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}
