//! What people get wrong. Each gives a message with file, line and hint, the right exit code, and costs nothing else.

use std::fs;
use std::path::Path;

use crate::configuration::configuration;
use crate::watch::{ATALAYA, Watch};
use crate::world::World;

/// A short watch with this configuration and these flags; what it said and how it ended.
fn watch(world: &World, configuration: &str, flags: &[&str]) -> (i32, String) {
    fs::write(world.path("wrong.toml"), configuration).unwrap();
    let mut command = world.command(ATALAYA);
    command.args([
        "watch",
        "--duration",
        "1s",
        "--config",
        "wrong.toml",
        "--socket",
        "/run/other.sock",
    ]);
    let output = command.args(flags).output().unwrap();
    let code = output.status.code().expect("it ends by itself");
    (code, String::from_utf8(output.stderr).unwrap())
}

/// Every file in the world's folder and where Atalaya keeps its own by default, with its content.
fn content(world: &World) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![
        world.folder().to_path_buf(),
        world.outside("/var/lib/atalaya"),
        world.outside("/var/log"),
    ];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.ends_with("layers") || path.ends_with("wrong.toml") || path.is_symlink() {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push((path.display().to_string(), fs::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

/// The configuration is refused with all these words, and nothing is touched.
#[track_caller]
fn refused(configuration: &str, words: &[&str]) {
    let Some(world) = World::new() else { return };
    let before = content(&world);
    let (code, said) = watch(&world, configuration, &[]);
    assert_eq!(code, 2, "{said}");
    for word in words {
        assert!(said.contains(word), "no {word:?} in: {said}");
    }
    assert_eq!(content(&world), before, "something was written");
    // `config check` says the same.
    let output = world
        .command(ATALAYA)
        .args(["config", "check", "--config", "wrong.toml"])
        .output()
        .unwrap();
    let checked = [output.stdout, output.stderr].concat();
    let checked = String::from_utf8(checked).unwrap();
    assert_eq!(output.status.code(), Some(2), "{checked}");
    for word in words {
        assert!(checked.contains(word), "config check: no {word:?} in: {checked}");
    }
}

#[test]
fn unknown_key() {
    refused(
        "[watch]\nintervall = \"1s\"\n",
        &["wrong.toml:2", "intervall", "did you mean `interval`?"],
    );
}

#[test]
fn unknown_table() {
    refused(
        "[wach]\ninterval = \"1s\"\n",
        &["wrong.toml:1", "wach", "`watch`"],
    );
}

#[test]
fn wrong_type() {
    refused(
        "[watch]\nlearning = \"2s\"\ninterval = true\n",
        &["wrong.toml:3", "expected"],
    );
}

#[test]
fn wrong_length_of_time() {
    refused(
        "[watch]\ninterval = \"soon\"\n",
        &["wrong.toml:2", "soon", "hint"],
    );
}

#[test]
fn bad_cidr() {
    refused(
        "[networks]\ninternal = [\"10.0.0.0/8\",\n  \"10.0.0.0/40\"]\n",
        &["wrong.toml:3"],
    );
}

#[test]
fn bad_address_in_the_block_list() {
    refused(
        "[detect.blocklisted_address]\naddresses = [\n  \"203.0.113.0/24\",\n  \"203.0.113.\"\n]\n",
        &["wrong.toml", "203.0.113."],
    );
}

#[test]
fn broken_toml() {
    refused("[watch\n", &["wrong.toml:1"]);
}

#[test]
fn every_problem_at_once() {
    refused(
        "[watch]\nintervall = \"1s\"\nlearning = 3\n",
        &["wrong.toml:2", "wrong.toml:3"],
    );
}

#[test]
fn missing_list_file() {
    refused(
        "[detect.blocklisted_address]\nfiles = [\"absent.txt\"]\n",
        &["absent.txt", "No such file"],
    );
}

#[test]
fn unreadable_list_file() {
    refused(
        "[detect.blocklisted_address]\nfiles = [\"/run\"]\n",
        &["/run", "not a regular file"],
    );
}

#[test]
fn bad_line_in_a_list_file_costs_nothing_else() {
    let Some(world) = World::new() else { return };
    fs::write(
        world.path("list.txt"),
        "# ours\n198.51.100.7\nnonsense here\n203.0.113.0/24\n",
    )
    .unwrap();
    let (code, said) = watch(
        &world,
        "[detect.blocklisted_address]\nfiles = [\"list.txt\"]\n",
        &["--no-store"],
    );
    assert!(said.contains("list.txt:3"), "{said}");
    assert!(matches!(code, 0 | 2), "{code}: {said}");
}

#[test]
fn missing_configuration() {
    let Some(world) = World::new() else { return };
    let output = world
        .command(ATALAYA)
        .args(["watch", "--config", "absent.toml"])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("absent.toml"), "{said}");
}

#[test]
fn bad_filter_points_at_the_place() {
    let Some(world) = World::new() else { return };
    for verb in ["watch", "snapshot"] {
        let flags = [verb, "--filter", "process.name:ssh destination.prt:22"];
        let output = world.command(ATALAYA).args(flags).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains('^') && said.contains("destination.port"), "{said}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn database_of_a_newer_version() {
    let Some(world) = World::new() else { return };
    let (code, said) = watch(&world, &configuration(), &["--store", "atalaya.db"]);
    assert_eq!(code, 0, "{said}");
    // `PRAGMA user_version` is four bytes of the header.
    let mut bytes = fs::read(world.path("atalaya.db")).unwrap();
    bytes[60..64].copy_from_slice(&9999u32.to_be_bytes());
    fs::write(world.path("atalaya.db"), bytes).unwrap();
    let before = fs::read(world.path("atalaya.db")).unwrap();
    let (code, said) = watch(&world, &configuration(), &["--store", "atalaya.db"]);
    assert!(matches!(code, 2 | 3), "{code}: {said}");
    for word in ["atalaya.db", "9999", "newer"] {
        assert!(said.contains(word), "no {word:?} in: {said}");
    }
    assert!(
        fs::read(world.path("atalaya.db")).unwrap() == before,
        "the database was touched"
    );
}

#[test]
fn a_file_that_is_no_database() {
    let Some(world) = World::new() else { return };
    let text = "These are my notes.\n".repeat(500);
    fs::write(world.path("notes.txt"), &text).unwrap();
    let (code, said) = watch(&world, &configuration(), &["--store", "notes.txt"]);
    assert!(matches!(code, 2 | 3), "{code}: {said}");
    assert!(said.contains("notes.txt") && said.contains("database"), "{said}");
    assert_eq!(
        fs::read_to_string(world.path("notes.txt")).unwrap(),
        text,
        "it was overwritten"
    );
}

#[test]
fn a_database_of_somebody_else() {
    let Some(world) = World::new() else { return };
    world.shell(
        "python3 -c \"import sqlite3; b = sqlite3.connect('other.db'); b.execute('CREATE TABLE t (x)')\"",
    );
    let before = fs::read(world.path("other.db")).unwrap();
    let (code, said) = watch(&world, &configuration(), &["--store", "other.db"]);
    assert!(matches!(code, 2 | 3), "{code}: {said}");
    assert!(said.contains("other.db"), "{said}");
    assert!(
        fs::read(world.path("other.db")).unwrap() == before,
        "it was overwritten"
    );
}

#[test]
fn no_permission_for_the_log_folder() {
    let Some(world) = World::new() else { return };
    world.shell("mkdir -m 700 logs; mkdir -m 777 open");
    let log = world.path("logs");
    let text = format!("[watch]\nlog_folder = \"{}\"\n{LOG}", log.display());
    fs::write(world.path("wrong.toml"), text).unwrap();
    let mut command = world.command("setpriv");
    command.args([
        "--reuid",
        "65534",
        "--regid",
        "65534",
        "--clear-groups",
        ATALAYA_COPY,
    ]);
    world.shell(&format!("install -m 755 {ATALAYA} {ATALAYA_COPY}"));
    command.args([
        "watch",
        "--duration",
        "1s",
        "--no-store",
        "--config",
        "wrong.toml",
        "--socket",
    ]);
    command.arg(world.path("open").join("socket"));
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        matches!(output.status.code(), Some(2 | 3)),
        "{:?}: {said}",
        output.status
    );
    assert!(
        said.contains(log.to_str().unwrap()) && said.to_lowercase().contains("permission"),
        "{said}"
    );
    assert_eq!(fs::read_dir(log).unwrap().count(), 0);
}

#[test]
fn a_full_disk_until_the_end_of_a_table() {
    let Some(world) = World::new() else { return };
    let logs = world.path("logs").display().to_string();
    // By its whole name: the working folder is one of outside.
    world.shell(&format!(
        "mkdir {logs}; mount -t tmpfs -o size=4k tmpfs {logs}; head -c 4096 /dev/zero > {logs}/fill"
    ));
    let text = format!("[watch]\nlog_folder = \"{logs}\"\n\n[outlets.processes_csv]\ninterval = \"1h\"\n");
    // The only scan is made when it ends.
    let (code, said) = watch(&world, &text, &["--store", "full.db"]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("could not be written to outlets"), "{said}");
    let mut query = world.command(ATALAYA);
    query.args(["query", "--store", "full.db", "--output", "csv"]);
    query.arg("SELECT count(*) FROM gaps WHERE stage = 'outlet' AND lost > 0");
    let told = String::from_utf8(query.output().unwrap().stdout).unwrap();
    assert_eq!(told, "count(*)\n1\n");
}

/// Where another user may run it from.
const ATALAYA_COPY: &str = "/usr/local/bin/atalaya";

/// A log file in the log folder.
const LOG: &str = "\n[outlets.log]\nfile = \"atalaya.log\"\n";

#[test]
fn a_second_watcher() {
    let Some(world) = World::new() else { return };
    let mut first = Watch::start(&world, &configuration(), &["--store", "atalaya.db"]);
    let (code, said) = watch(&world, &configuration(), &["--store", "atalaya.db"]);
    assert!(matches!(code, 2 | 3), "{code}: {said}");
    assert!(
        said.contains("atalaya.db") && said.contains(&first.program.inner_pid.to_string()),
        "{said}"
    );
    first.settle();
    assert_eq!(
        first.end(),
        Some(0),
        "the first one goes on: {}",
        first.program.said()
    );
}

#[test]
fn config_init_overwrites_nothing() {
    let Some(world) = World::new() else { return };
    fs::write(world.path("mine.toml"), "# mine\n").unwrap();
    let output = world
        .command(ATALAYA)
        .args(["config", "init", "--to", "mine.toml"])
        .output()
        .unwrap();
    assert!(matches!(output.status.code(), Some(2 | 3)));
    assert!(String::from_utf8_lossy(&output.stderr).contains("mine.toml"));
    assert_eq!(fs::read_to_string(world.path("mine.toml")).unwrap(), "# mine\n");
}

#[test]
fn plan_touches_nothing() {
    let Some(world) = World::new() else { return };
    let before = content(&world);
    for flags in [
        &["plan"][..],
        &["watch", "--plan"],
        &["snapshot", "--plan"],
        &["--plan"],
    ] {
        let output = world.command(ATALAYA).args(flags).output().unwrap();
        assert_eq!(
            output.status.code(),
            Some(0),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(
            text.contains("\ntier            ") && text.contains("suspicious_port"),
            "{text}"
        );
    }
    assert_eq!(content(&world), before, "something was written");
    assert!(!Path::new(&world.outside("/run/atalaya")).exists());
}
