//! What a person and a program see of a few processes, with every awkward thing among them.

use std::sync::Arc;

use atalaya_format::catalogue::Language;
use atalaya_format::ecs::Context;
use atalaya_model::process::{Ancestor, Container};
use atalaya_model::{Endpoint, Process, ProcessKey, ProcessUse, Span, Text, Time, Transport, Usage};

use super::*;

const NOW: Time = Time::from_seconds(1_763_674_023);

fn key(pid: u32) -> ProcessKey {
    ProcessKey {
        pid,
        start: u64::from(pid),
    }
}

fn ancestors(pids: &[u32]) -> Arc<[Ancestor]> {
    let named = pids.iter().map(|pid| Ancestor {
        key: key(*pid),
        name: format!("program-{pid}").into(),
        executable: None,
    });
    named.collect()
}

fn row(pid: u32, path: &str, above: &[u32]) -> ProcessUse {
    let mut usage = Usage {
        open: 1,
        closed: u64::from(pid % 7),
        bytes: Some((1_234 * u64::from(pid), 56)),
        ..Usage::default()
    };
    usage.see(NOW, NOW);
    let name = path.rsplit('/').next().unwrap_or_default();
    ProcessUse {
        process: Arc::new(Process {
            executable: Some(path.into()),
            user_id: Some(1000),
            user_name: Some("ana".into()),
            parent: above.first().map(|pid| key(*pid)),
            ancestors: ancestors(above),
            sha256: Some(format!("{pid:064x}").into()),
            ..Process::bare(key(pid), name.into(), NOW.after(Span::from_seconds(-90_000)))
        }),
        boot: None,
        usage,
    }
}

fn change(row: &mut ProcessUse, change: impl FnOnce(&mut Process)) {
    change(Arc::make_mut(&mut row.process));
}

fn rows() -> Vec<ProcessUse> {
    let mut sshd = row(812, "/usr/sbin/sshd", &[1]);
    for port in [22, 2222, 2200] {
        sshd.usage
            .name_listener(Transport::Tcp, Endpoint::new([0, 0, 0, 0].into(), port));
        sshd.usage.listening += 1;
    }
    sshd.usage.bytes = None;
    change(&mut sshd, |process| process.unit = Some("ssh.service".into()));
    let mut shell = row(4_242, "/usr/bin/dash", &[4_000, 900, 812, 1]);
    change(&mut shell, |process| {
        process.flags.standard_socket = true;
        process.flags.deleted = true;
        process.script = Some("/tmp/run.sh".into());
        process.container = Some(Container {
            runtime: "docker".into(),
            id: "4c01db0b339c7be6a1f2".into(),
        });
    });
    let mut hostile = row(666, "/tmp/\u{202e}gpj\n\u{1b}[31m.exe", &[900, 812, 1]);
    change(&mut hostile, |process| {
        process.name = "=x\u{1b}[2J\n".into();
        process.ended = Some(NOW);
        process.exit_code = Some(137);
        process.preload = Some("/tmp/\u{1b}[1m.so".into());
        process.flags.preload = true;
    });
    vec![sshd, shell, hostile, row(5_000, "/usr/bin/curl", &[1])]
}

fn list<'a>(rows: &'a [ProcessUse], source: Source) -> Processes<'a> {
    Processes {
        rows,
        total: rows.len(),
        now: NOW,
        source,
        idle: false,
        filtered: false,
        not_seen: &[],
    }
}

fn text(processes: &Processes<'_>, options: TextOptions) -> String {
    let mut out = Vec::new();
    write_text(processes, &options, &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    // What depends on the machine's time zone.
    let (day, started) = (NOW.local(), NOW.after(Span::from_seconds(-90_000)).local());
    text.replace(&started, "(the day before)")
        .replace(&day, "(now)")
        .replace(&day[11..], "HH:MM:SS")
        .replace(&started[..10], "YYYY-MM-DD")
}

#[test]
fn a_list_in_english() {
    let rows = rows();
    let not_seen = ["processes of other users: run as root".to_owned()];
    let processes = Processes {
        total: 9,
        not_seen: &not_seen,
        ..list(&rows, Source::Watcher { pid: 77 })
    };
    insta::assert_snapshot!(text(&processes, TextOptions::default()));
}

#[test]
fn a_tree_in_spanish() {
    let rows = rows();
    let options = TextOptions {
        tree: true,
        language: Language::Spanish,
        width: 90,
        ..TextOptions::default()
    };
    insta::assert_snapshot!(text(&list(&rows, Source::Look), options));
}

#[test]
fn everything_about_each() {
    let rows = rows();
    let options = TextOptions {
        verbose: true,
        ..TextOptions::default()
    };
    insta::assert_snapshot!(text(&list(&rows[1..3], Source::Look), options));
}

#[test]
fn an_empty_list_is_said_to_be_one() {
    let said = |source, idle, filtered| {
        let processes = Processes {
            idle,
            filtered,
            ..list(&[], source)
        };
        text(&processes, TextOptions::default())
    };
    assert_eq!(
        said(Source::Look, false, false),
        "No process uses the network, by one look\n"
    );
    assert_eq!(
        said(Source::Watcher { pid: 7 }, true, true),
        "No process (filtered), says the watcher (pid 7)\n"
    );
    let range = NOW.after(Span::from_seconds(-90_000))..Time(i64::MAX);
    assert_eq!(
        said(Source::Store(range), false, false),
        "No process used the network, says the store, from (the day before) to (now)\n"
    );
}

#[test]
fn nothing_hostile_reaches_the_terminal_and_colour_is_only_a_coat() {
    let rows = rows();
    for tree in [false, true] {
        let options = TextOptions {
            tree,
            verbose: true,
            ..TextOptions::default()
        };
        let plain = text(&list(&rows, Source::Look), options);
        let hostile = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
        assert!(!plain.chars().any(hostile), "{plain}");
        let colour = TextOptions {
            colour: true,
            ..options
        };
        let coloured = text(&list(&rows, Source::Look), colour);
        assert!(coloured.contains("\u{1b}[1;33msocket as standard input"));
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
}

#[test]
fn json_has_the_record_and_the_use() {
    let rows = rows();
    let context = Context {
        host_name: "web1".into(),
        host_id: None,
        version: "0.1.0".into(),
        language: Language::English,
        of_captures: false,
    };
    let mut out = Vec::new();
    write_json(&list(&rows, Source::Look), &context, &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    let lines: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 4);
    assert!(!text.contains('\u{1b}'));
    assert_eq!(lines[0]["process"]["pid"], 812);
    let usage = &lines[0]["atalaya"]["usage"];
    assert_eq!(usage["source"], "look");
    assert_eq!(usage["connections"]["open"], 1);
    assert!(usage.get("bytes").is_none(), "nobody counted: {usage}");
    assert_eq!(usage["listeners"][0]["port"], 22);
    assert_eq!(lines[2]["process"]["exit_code"], 137);
    assert_eq!(lines[2]["process"]["name"], "=x\u{1b}[2J\n");
    assert_eq!(lines[2]["atalaya"]["usage"]["bytes"]["received"], 56);
    let whole = format!("{:064x}", 666);
    assert_eq!(lines[2]["process"]["hash"]["sha256"], whole);
}

#[test]
fn csv_has_a_row_each() {
    let rows = rows();
    let mut out = Vec::new();
    write_csv(&list(&rows, Source::Look), &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert_eq!(text.lines().count(), 5);
    let mut reader = ::csv::Reader::from_reader(text.as_bytes());
    let header = reader.headers().unwrap().clone();
    let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
    let cell = |row: usize, name: &str| {
        let place = header.iter().position(|column| column == name).unwrap();
        &rows[row][place]
    };
    assert_eq!(
        cell(0, "listeners"),
        "tcp 0.0.0.0:22; tcp 0.0.0.0:2200; tcp 0.0.0.0:2222"
    );
    assert_eq!((cell(0, "sent_bytes"), cell(1, "connections_open")), ("", "1"));
    assert_eq!(cell(2, "process_name"), r"'=x\x1b[2J\n");
    assert_eq!(cell(2, "exit_code"), "137");
}

#[test]
fn every_order_puts_its_most_first() {
    let first = |order| {
        let mut rows = rows();
        sort(&mut rows, order);
        rows[0].process.key.pid
    };
    assert_eq!(first(Order::Pid), 666);
    assert_eq!(first(Order::Bytes), 5_000);
    assert_eq!(first(Order::Connections), 5_000);
    assert_eq!(
        first(Order::Received),
        666,
        "equal ones by pid, those that nobody counted last"
    );
    let mut named = rows();
    change(&mut named[3], |process| process.name = "aaa".into());
    sort(&mut named, Order::Name);
    assert_eq!(&*named[1].process.name, "aaa");
}

#[test]
fn trees_of_any_shape_are_drawn_once() {
    // A ring, as only a broken record could have it, and a chain that is deeper than what is drawn.
    let mut rows = vec![row(1, "/a", &[2]), row(2, "/b", &[1])];
    rows.extend((10..2_000).map(|pid| row(pid, "/c", &[pid - 1])));
    let lines = forest::grow(&rows);
    let mut seen: Vec<_> = lines.iter().filter_map(|line| line.row).collect();
    seen.sort_unstable();
    assert_eq!(seen, (0..rows.len()).collect::<Vec<_>>());
    assert!(lines.iter().all(|line| line.lead.chars().count() < 100));
    // The same numbers of another boot are other processes.
    let mut elsewhere = row(5, "/x", &[]);
    elsewhere.boot = Some(Text::from("earlier"));
    let lines = forest::grow(&[row(5, "/x", &[]), elsewhere]);
    assert_eq!(lines.len(), 2);
}
