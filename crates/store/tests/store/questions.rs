//! The questions that come with the program, asked of databases in which the answer is known.

use std::sync::Arc;

use atalaya_model::*;
use atalaya_store::Entry;
use atalaya_store::console::{Cell, Question, SavedQuestion};

use crate::console::{CONNECTIONS, console, conversation, question, story};
use crate::sample::{NOW, open};

#[test]
fn every_question_that_comes_with_the_program_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let mut console = console(&story(folder.path()));
    let mut names = Vec::new();
    for saved in SavedQuestion::built_in() {
        assert!(saved.about.ends_with('.'), "{}", saved.name);
        let declared: Vec<_> = saved.parameters.iter().map(|it| it.name.clone()).collect();
        let mut used = console
            .parameters(&saved.sql)
            .unwrap_or_else(|error| panic!("{}: {error}", saved.name));
        used.sort();
        let mut sorted = declared.clone();
        sorted.sort();
        assert_eq!(used, sorted, "{}", saved.name);
        assert!(
            saved.parameters.iter().all(|it| !it.about.is_empty()),
            "{}",
            saved.name
        );
        let given = [("ip", "203.0.0.0/16"), ("name", "curl")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let given: Vec<_> = given
            .into_iter()
            .filter(|(name, _)| declared.contains(name))
            .collect();
        let values = saved.values(&given);
        let answer = console.ask(
            &Question {
                values: &values,
                ..question(&saved.sql)
            },
            || false,
        );
        let answer = answer.unwrap_or_else(|error| panic!("{}: {error}", saved.name));
        let expected = match &*saved.name {
            "top-destinations" => 21,
            "top-processes" => 3,
            "rare-destinations" | "tls-clients" | "listeners" | "alerts-by-rule" | "open-alerts"
            | "long-connections" => 0,
            "one-address" => CONNECTIONS as usize,
            "one-process" => 100,
            "domains" | "not-seen" => 1,
            "uploads" | "failed-attempts" => 21,
            // Five hours of conversations begin somewhere within an hour.
            "traffic-by-hour" | "hours-of-week" => answer.rows.len().clamp(5, 6),
            "new-executables" | "odd-paths" => 3,
            other => panic!("what should {other} answer?"),
        };
        assert_eq!(answer.rows.len(), expected, "{}", saved.name);
        assert!(!answer.columns.is_empty());
        names.push(saved.name);
    }
    assert!(names.len() >= 12, "{names:?}");
}

/// What a saved question answers of these entries, the cells of a row joined by `|`.
fn saved(name: &str, batch: &[Entry]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("saved.db");
    let mut writer = open(&path);
    writer.write(batch).unwrap();
    writer.close(NOW).unwrap();
    let saved = SavedQuestion::built_in()
        .find(|saved| saved.name == name)
        .unwrap();
    let question = Question {
        values: &saved.values(&[]),
        ..question(&saved.sql)
    };
    let answer = console(&path).ask(&question, || false).unwrap();
    let text = |cell: &Cell| match cell {
        Cell::Text(text) => text.clone(),
        Cell::Integer(number) => number.to_string(),
        Cell::Null => String::new(),
        other => format!("{other:?}"),
    };
    let rows = answer.rows.iter();
    rows.map(|row| row.iter().map(text).collect::<Vec<_>>().join("|"))
        .collect()
}

fn opened(connection: Connection) -> Entry {
    Entry::Event(Event::new(
        connection.started,
        Fact::ConnectionOpened(connection.into()),
    ))
}

#[test]
fn of_a_conversation_from_outside_the_other_side_is_the_caller() {
    let server = ProcessKey { pid: 80, start: 7 };
    let server = Arc::new(Process {
        executable: Some("/usr/sbin/httpd".into()),
        ..Process::bare(server, "httpd".into(), NOW)
    });
    let outbound = conversation(299, &server);
    let inbound = Connection {
        id: 1_000,
        source: Endpoint::new("198.51.100.7".parse().unwrap(), 51_000),
        destination: Endpoint::new("192.0.2.1".parse().unwrap(), 80),
        side: Side::Destination,
        direction: Direction::Inbound,
        cookie: 1_000,
        name: None,
        ..outbound.clone()
    };
    let batch = [opened(outbound), opened(inbound)];
    let addresses = |name: &str, place: usize| -> Vec<String> {
        let rows = saved(name, &batch);
        let mut found: Vec<_> = rows
            .iter()
            .map(|row| row.split('|').nth(place).unwrap().to_owned())
            .collect();
        found.sort();
        found
    };
    assert_eq!(addresses("top-destinations", 0), ["198.51.100.7", "203.0.2.6"]);
    assert_eq!(addresses("uploads", 1), ["198.51.100.7", "203.0.2.6"]);
    // Who calls is no destination.
    assert_eq!(addresses("rare-destinations", 0), ["203.0.2.6"]);
}

#[test]
fn a_name_that_nobody_registered_is_told_as_it_is() {
    let process = Arc::new(Process::bare(ProcessKey { pid: 1, start: 7 }, "curl".into(), NOW));
    let named = |number: i64, name: &str| {
        opened(Connection {
            name: Some(name.into()),
            ..conversation(number, &process)
        })
    };
    let batch = [
        named(297, "localhost"),
        named(298, "printer"),
        named(299, "www.example.co.uk"),
    ];
    let mut rows = saved("domains", &batch);
    rows.sort();
    let domains: Vec<_> = rows.iter().map(|row| row.split('|').next().unwrap()).collect();
    assert_eq!(domains, ["example.co.uk", "localhost", "printer"]);
}

#[test]
fn an_executable_is_new_once_though_its_digest_comes_later() {
    let started = |pid: u32, path: &str, sha256: Option<&str>| {
        let process = Process {
            executable: Some(path.into()),
            sha256: sha256.map(|digit| digit.repeat(64).into()),
            ..Process::bare(ProcessKey { pid, start: 7 }, "new".into(), NOW)
        };
        Entry::Event(Event::new(NOW, Fact::ProcessStarted(process.into())))
    };
    let batch = [
        started(1, "/opt/a", None),
        started(2, "/opt/a", Some("a")),
        started(3, "/opt/a", Some("b")),
        started(4, "/opt/gone", None),
    ];
    let mut rows = saved("new-executables", &batch);
    rows.sort();
    let digests: Vec<_> = rows
        .iter()
        .map(|row| row.split('|').skip(2).collect::<Vec<_>>().join(" "))
        .map(|row| row.chars().take(10).collect::<String>())
        .collect();
    assert_eq!(digests, ["/opt/a aaa", "/opt/a bbb", "/opt/gone "]);
}

#[test]
fn a_rule_without_false_positives_has_none() {
    let alert = Alert {
        id: 1,
        finding: Finding {
            rule: "dns_rate".into(),
            time: NOW,
            severity: Severity::High,
            key: "key".into(),
            values: Vec::new(),
            process: None,
            connections: Vec::new(),
            listener: None,
        },
        techniques: Vec::new(),
        recurrence: 0,
    };
    let rows = saved(
        "alerts-by-rule",
        &[Entry::Alert(AlertRecord::Raised(alert.into()))],
    );
    assert!(
        rows.len() == 1 && rows[0].starts_with("dns_rate|high|1|1|1|0|"),
        "{rows:?}"
    );
}
