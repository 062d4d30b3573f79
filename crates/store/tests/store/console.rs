//! Questions in SQL: what is answered, how an answer is cut, and what is said of a wrong statement.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use atalaya_model::connection::Traffic;
use atalaya_model::*;
use atalaya_store::console::{Answer, Cell, Console, ConsoleOptions, Cut, FUNCTIONS, Question, Refusal};
use atalaya_store::{Entry, views};

use proptest::prelude::*;

use crate::sample::{NOW, open};

/// Conversations in the story.
pub(crate) const CONNECTIONS: i64 = 300;

fn human_bytes(bytes: u64) -> String {
    format!("{bytes} B")
}

pub(crate) fn console(path: &Path) -> Console {
    let options = ConsoleOptions {
        now: NOW,
        human_bytes,
        memory: None,
    };
    Console::open(path, options).unwrap()
}

pub(crate) fn conversation(number: i64, process: &Arc<Process>) -> Connection {
    let started = Time(NOW.0 - (CONNECTIONS - number) * 60_000_000);
    let destination = format!("203.0.{}.{}", number % 3, number % 7 + 1)
        .parse()
        .unwrap();
    Connection {
        id: number.cast_unsigned() + 1,
        direction: Direction::Outbound,
        scope: Scope::External,
        network_namespace: 1,
        cookie: number.cast_unsigned(),
        user_id: Some(0),
        traffic: Some(Traffic {
            sent_bytes: 10_000_000,
            received_bytes: 100,
            ..Traffic::default()
        }),
        outcome: if number % 10 == 0 {
            Outcome::Refused
        } else {
            Outcome::Finished
        },
        name: Some(format!("www{}.example.co.uk", number % 4).into()),
        name_source: Some(NameSource::Resolver),
        process: Some(process.clone()),
        attribution: Evidence::KernelEvent.into(),
        ..Connection::bare(
            started,
            Transport::Tcp,
            Endpoint::new("192.0.2.1".parse().unwrap(), 40_000),
            Endpoint::new(destination, 443),
        )
    }
}

/// A database with a little of everything that is no alert; no writer has it open.
pub(crate) fn story(folder: &Path) -> PathBuf {
    let path = folder.join("story.db");
    let mut writer = open(&path);
    let processes: Vec<_> = ["curl", "=evil()", "\u{1b}[2Jsh"]
        .into_iter()
        .zip(1..)
        .map(|(name, pid)| {
            Arc::new(Process {
                executable: Some(format!("/tmp/{name}").into()),
                sha256: Some("00".repeat(32).into()),
                ..Process::bare(ProcessKey { pid, start: 7 }, name.into(), NOW)
            })
        })
        .collect();
    let mut batch = Vec::new();
    for (number, process) in (0..CONNECTIONS).zip(processes.iter().cycle()) {
        let opened = conversation(number, process);
        let mut closed = opened.clone();
        let at = Time(opened.started.0 + 90_000_000);
        closed.ended = Some(at);
        batch.push(Entry::Event(Event::new(
            opened.started,
            Fact::ConnectionOpened(opened.into()),
        )));
        batch.push(Entry::Event(Event::new(
            at,
            Fact::ConnectionClosed(closed.into()),
        )));
    }
    let gap = Gap {
        time: NOW,
        stage: Stage::Store,
        count: 3,
        reason: "a test".into(),
    };
    batch.push(Entry::Event(Event::new(NOW, Fact::Gap(gap))));
    writer.write(&batch).unwrap();
    writer.close(NOW).unwrap();
    path
}

pub(crate) fn question(sql: &str) -> Question<'_> {
    Question {
        sql,
        values: &[],
        rows: 1_000,
        bytes: 1 << 20,
    }
}

fn ask(sql: &str) -> Result<Answer, Refusal> {
    let folder = tempfile::tempdir().unwrap();
    console(&story(folder.path())).ask(&question(sql), || false)
}

/// The cells of a row, as text.
fn row(sql: &str) -> Vec<String> {
    let answer = ask(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    assert_eq!((answer.rows.len(), answer.cut), (1, None), "{sql}");
    let text = |cell: &Cell| match cell {
        Cell::Null => "NULL".to_owned(),
        Cell::Integer(number) => number.to_string(),
        Cell::Real(number) => number.to_string(),
        Cell::Text(text) => text.clone(),
        Cell::Blob(bytes) => format!("{bytes:02x?}"),
    };
    answer.rows[0].iter().map(text).collect()
}

#[test]
fn every_view_can_be_asked() {
    let folder = tempfile::tempdir().unwrap();
    let path = story(folder.path());
    for view in views() {
        let answer = console(&path).ask(&question(&format!("SELECT * FROM {}", view.name)), || false);
        let mut kept: Vec<_> = answer
            .unwrap()
            .columns
            .into_iter()
            .map(|column| column.name)
            .collect();
        let mut told: Vec<_> = view.columns.into_iter().map(|column| column.name).collect();
        kept.sort();
        told.sort();
        assert_eq!(told, kept, "{}", view.name);
    }
}

#[test]
fn a_name_means_the_same_in_every_view() {
    let columns: Vec<_> = views().into_iter().flat_map(|view| view.columns).collect();
    for column in &columns {
        let same = columns.iter().filter(|other| other.name == column.name);
        assert!(
            same.into_iter().all(|other| other.kind == column.kind),
            "{}",
            column.name
        );
    }
}

#[test]
fn an_answer_has_names_types_and_rows() {
    let answer =
        ask("SELECT start_time, pid AS who, pid AS who, x'00ff' AS raw FROM connections ORDER BY id LIMIT 2")
            .unwrap();
    let columns: Vec<_> = answer
        .columns
        .iter()
        .map(|column| (&*column.name, column.kind))
        .collect();
    assert_eq!(
        columns,
        [
            ("start_time", Some("time")),
            ("who", None),
            ("who_2", None),
            ("raw", None)
        ]
    );
    assert_eq!(answer.rows.len(), 2);
    assert_eq!(
        answer.rows[0],
        [
            Cell::Integer(NOW.0 - CONNECTIONS * 60_000_000),
            Cell::Integer(1),
            Cell::Integer(1),
            Cell::Blob(vec![0, 255])
        ]
    );
    assert_eq!(answer.cut, None);
}

#[test]
fn a_text_that_is_no_text_is_still_shown() {
    assert_eq!(row("SELECT CAST(x'61ff62' AS TEXT)"), ["a\u{fffd}b"]);
    assert_eq!(row("SELECT NULL, 1.5, 9e999"), ["NULL", "1.5", "inf"]);
}

#[test]
fn functions_of_addresses_and_names() {
    for (sql, expected) in [
        ("ip_in('10.1.2.3', '10.0.0.0/8')", "1"),
        ("ip_in('10.1.2.3', '192.168.0.0/16, 10.1.2.3')", "1"),
        ("ip_in('::ffff:10.1.2.3', '10.0.0.0/8')", "1"),
        ("ip_in(x'0a010203', '10.0.0.0/8')", "1"),
        ("ip_in('2001:db8::1', 'fd00::/8 2001:db8::/32')", "1"),
        ("ip_in('11.1.2.3', '10.0.0.0/8')", "0"),
        ("ip_in('no address', '10.0.0.0/8')", "NULL"),
        ("ip_in(NULL, '10.0.0.0/8')", "NULL"),
        ("ip_in('10.1.2.3', NULL)", "NULL"),
        ("registrable_domain('a.b.example.co.uk')", "example.co.uk"),
        ("registrable_domain('Example.COM.')", "example.com"),
        ("registrable_domain('foo.github.io')", "foo.github.io"),
        ("registrable_domain('com')", "NULL"),
        ("registrable_domain('192.0.2.1')", "NULL"),
        ("registrable_domain(NULL)", "NULL"),
        ("registrable_domain('')", "NULL"),
        // The specification's own vector.
        (
            "community_id('tcp', '128.232.110.120', 34855, '66.35.250.204', 80)",
            "1:LQU9qZlK+B5F3KDmev6m5PMibrg=",
        ),
        (
            "community_id(6, '66.35.250.204', 80, '128.232.110.120', 34855)",
            "1:LQU9qZlK+B5F3KDmev6m5PMibrg=",
        ),
        ("community_id('tcp', NULL, 80, '1.2.3.4', 1)", "NULL"),
    ] {
        assert_eq!(row(&format!("SELECT {sql}")), [expected], "{sql}");
    }
    let answer = row(
        "SELECT count(*), sum(community_id = community_id(transport, source_ip, source_port, destination_ip, destination_port)) FROM connections",
    );
    assert_eq!(answer, [CONNECTIONS.to_string(), CONNECTIONS.to_string()]);
}

#[test]
fn functions_of_texts() {
    for (sql, expected) in [
        ("'ab12' REGEXP '^[a-z]+\\d{2}$'", "1"),
        ("regexp('(?i)B', 'ab')", "1"),
        ("regexp('x', 'ab')", "0"),
        ("regexp(NULL, 'ab')", "NULL"),
        ("regexp('x', NULL)", "NULL"),
        ("instr('añb', 'b')", "3"),
        ("instr('abc', 'x')", "0"),
        ("instr(123, 2)", "2"),
        ("replace('aXbX', 'X', 'yy')", "ayybyy"),
        ("replace('ab', '', 'x')", "ab"),
        ("trim('  a ')", "a"),
        ("ltrim('xxaxx', 'x') || rtrim('xxaxx', 'x')", "axxxxa"),
        ("human_bytes(1234)", "1234 B"),
        ("human_bytes(-1)", "-1 B"),
        ("human_bytes(NULL)", "NULL"),
    ] {
        assert_eq!(row(&format!("SELECT {sql}")), [expected], "{sql}");
    }
}

#[test]
fn functions_of_times() {
    let now = NOW.0;
    for (sql, expected) in [
        ("now()".to_owned(), now.to_string()),
        ("ago('24h')".to_owned(), (now - 86_400_000_000).to_string()),
        (
            "at('2026-11-20T21:27:03Z')".to_owned(),
            "1795210023000000".to_owned(),
        ),
        (
            "iso(1795210023000000)".to_owned(),
            "2026-11-20T21:27:03.000000Z".to_owned(),
        ),
        (
            "iso(bucket(1795210023000000, '1h'))".to_owned(),
            "2026-11-20T21:00:00.000000Z".to_owned(),
        ),
        ("bucket(-1, '1s')".to_owned(), "-1000000".to_owned()),
        ("human_span(200000000)".to_owned(), "3m 20s".to_owned()),
        (
            "local(1795210023000000)".to_owned(),
            Time(1_795_210_023_000_000).local(),
        ),
        (
            "hour_of_week(1795210023000000)".to_owned(),
            Time(1_795_210_023_000_000).hour_of_week().to_string(),
        ),
        ("iso(NULL)".to_owned(), "NULL".to_owned()),
    ] {
        assert_eq!(row(&format!("SELECT {sql}")), [expected], "{sql}");
    }
    let found = row("SELECT count(*) FROM connections WHERE id >= id_at(ago('1h'))");
    assert_eq!(
        found,
        [row("SELECT count(*) FROM connections WHERE start_time >= ago('1h')")[0].clone()]
    );
    assert_eq!(found, ["60"]);
}

#[test]
fn every_function_that_is_described_is_there() {
    for function in FUNCTIONS {
        let error = ask(&format!("SELECT {}(1,2,3,4,5,6,7,8,9)", function.name)).unwrap_err();
        assert!(
            error.to_string().contains("wrong number of arguments"),
            "{}: {error}",
            function.name
        );
        assert!(function.about.ends_with(['.', '`']), "{}", function.name);
    }
}

#[test]
fn parameters_are_bound_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let mut console = console(&story(folder.path()));
    let sql = "SELECT :n AS n, typeof(:n), :text AS text, @x, $y";
    assert_eq!(console.parameters(sql).unwrap(), ["n", "text", "x", "y"]);
    let values = [("n", "443"), ("text", "' OR 1=1 --"), ("x", "1.5"), ("y", "007")];
    let values = values.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let answer = console
        .ask(
            &Question {
                values: &values,
                ..question(sql)
            },
            || false,
        )
        .unwrap();
    assert_eq!(
        answer.rows[0],
        [
            Cell::Integer(443),
            Cell::Text("integer".into()),
            Cell::Text("' OR 1=1 --".into()),
            Cell::Real(1.5),
            Cell::Text("007".into())
        ]
    );
    let mut refused = |sql: &str, values: &[(String, String)]| {
        let refusal = console
            .ask(
                &Question {
                    values,
                    ..question(sql)
                },
                || false,
            )
            .unwrap_err();
        assert!(refusal.is_mistake());
        refusal.to_string()
    };
    assert_eq!(
        refused("SELECT :n", &[]),
        "the parameter `n` has no value; add `n=…`"
    );
    let stray = [("m".to_owned(), "1".to_owned())];
    assert_eq!(
        refused("SELECT :n", &stray),
        "there is no parameter `m`; there are: n"
    );
    assert!(refused("SELECT ?", &[]).starts_with("a parameter has no name\n  at line 1, column 8:"));
}

#[test]
fn an_answer_is_cut_where_it_is_too_long() {
    let folder = tempfile::tempdir().unwrap();
    let mut console = console(&story(folder.path()));
    let sql = "SELECT pid FROM connections";
    for (rows, cut) in [
        (10, Some(Cut::Rows)),
        (CONNECTIONS as usize, None),
        (CONNECTIONS as usize - 1, Some(Cut::Rows)),
    ] {
        let answer = console
            .ask(
                &Question {
                    rows,
                    ..question(sql)
                },
                || false,
            )
            .unwrap();
        assert_eq!(
            (answer.rows.len(), answer.cut),
            (rows.min(CONNECTIONS as usize), cut)
        );
    }
    let answer = console
        .ask(
            &Question {
                bytes: 160,
                ..question(sql)
            },
            || false,
        )
        .unwrap();
    assert_eq!((answer.rows.len(), answer.cut), (10, Some(Cut::Bytes)));
}

#[test]
fn what_takes_too_long_is_stopped_with_what_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let mut console = console(&story(folder.path()));
    let mut looks = 0;
    let endless = "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n) SELECT n FROM n";
    let answer = console
        .ask(
            &Question {
                rows: usize::MAX,
                bytes: usize::MAX,
                ..question(endless)
            },
            move || {
                looks += 1;
                looks > 100
            },
        )
        .unwrap();
    assert_eq!(answer.cut, Some(Cut::Time));
    assert!(answer.rows.len() > 100, "{}", answer.rows.len());
    // And the next question is answered.
    assert_eq!(console.ask(&question("SELECT 1"), || false).unwrap().cut, None);
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    for (sql, expected) in [
        (
            "SELECT pidd FROM connections",
            "no such column: pidd\n  at line 1, column 8:\n  SELECT pidd FROM connections\n         ^\nhint: ",
        ),
        ("SELECT *\nFROM conections", "no such table: conections"),
        (
            "SELECT * FORM connections",
            "near \"FORM\": syntax error\n  at line 1, column 10:",
        ),
        (
            "SELECT * FROM connections WHERE process_name = \"ssh\"",
            "should this be a string literal in single-quotes?",
        ),
        (
            "SELECT nosuch(1)",
            "no such function: nosuch\n  at line 1, column 8:",
        ),
        ("SELECT count(* FROM connections", "syntax error"),
        ("SELECT 'a", "unrecognized token: \"'a\"\n  at line 1, column 8:"),
        (
            "SELECT * FROM memory",
            "`memory` may not be read\n  at line 1, column 15:",
        ),
        (
            "SELECT 1; SELECT 2",
            "a second statement begins here; one is answered at a time\n  at line 1, column 11:",
        ),
        ("", "there is no statement\nhint: "),
        (
            "SELECT load_extension('x')",
            "the function `load_extension` is not allowed\n  at line 1, column 8:",
        ),
        (
            "delete from alerts",
            "`DELETE` is not allowed here\n  at line 1, column 1:",
        ),
        ("SELECT regexp('(', 'a')", "regex parse error"),
        ("SELECT ago('soon')", "a span is wanted"),
        ("SELECT iso('soon')", "a number is wanted"),
    ] {
        let refusal = ask(sql).unwrap_err();
        let text = refusal.to_string();
        assert!(text.contains(expected), "{sql}: {text}");
        assert!(refusal.is_mistake(), "{sql}");
    }
}

/// What statements are made of, and what they should not be made of.
fn statement() -> BoxedStrategy<String> {
    let words = prop::sample::select(vec![
        "SELECT",
        "*",
        "FROM",
        "connections",
        "gaps",
        "memory",
        "WHERE",
        "pid",
        "id",
        ">=",
        "1",
        "'a'",
        "\"b\"",
        "(",
        ")",
        ",",
        ";",
        "--",
        "/*",
        "*/",
        "\0",
        "WITH",
        "RECURSIVE",
        "AS",
        "UNION ALL",
        "VALUES",
        "DELETE",
        "INSERT INTO",
        "PRAGMA",
        "ATTACH",
        "ip_in(",
        "ago('1h')",
        "regexp(",
        "json_each(",
        "ORDER BY",
        "LIMIT",
        ":p",
        "?",
        "[x",
        "'",
        "é",
        "\u{202e}",
    ]);
    let sentence = prop::collection::vec(words, 1..12).prop_map(|words| words.join(" "));
    let wild = any::<String>();
    prop_oneof![4 => sentence.clone(), 2 => sentence.prop_map(|rest| format!("SELECT {rest}")), 1 => wild]
        .boxed()
}

#[test]
fn whatever_is_asked_is_answered_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = story(folder.path());
    let before = std::fs::read(&path).unwrap();
    let console = std::cell::RefCell::new(console(&path));
    proptest!(ProptestConfig::with_cases(400), |(sql in statement())| {
        let mut looks = 0;
        let stop = move || {
            looks += 1;
            looks > 50
        };
        if let Err(refusal) = console.borrow_mut().ask(&question(&sql), stop) {
            prop_assert!(refusal.is_mistake(), "{sql:?}: {refusal}");
            prop_assert!(!refusal.to_string().is_empty());
        }
    });
    assert!(std::fs::read(&path).unwrap() == before);
}
