//! `atalaya report`, `timeline` and `diff`, on a world with a break-in in it.

mod browser;
mod scheduled;
pub(crate) mod world;

use serde_json::Value;

use crate::home::{Home, Ran};
use world::{DAY, FORMULA, HOSTILE, HOUR, at};

/// A home with the world's database in it.
fn home() -> Home {
    let home = Home::new();
    world::make(&home.path("web1.db"), HOSTILE, world::MASTER);
    home
}

/// Runs the program where clocks show UTC.
fn run(home: &Home, arguments: &[&str]) -> Ran {
    let mut command = home.command(crate::home::ATALAYA);
    command.env("TZ", "UTC").args(arguments);
    crate::home::finish(command)
}

const SECOND_DAY: [&str; 4] = ["--from", "2025-11-20", "--to", "2025-11-21"];

fn report(home: &Home, more: &[&str]) -> Ran {
    let ran = run(
        home,
        &[&["report", "--store", "web1.db"], &SECOND_DAY[..], more].concat(),
    );
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{more:?}");
    ran
}

fn column<'a>(table: &'a Value, name: &str) -> Vec<&'a Value> {
    table["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| &row[name])
        .collect()
}

#[test]
fn a_report_answers_what_happened_what_is_new_and_what_was_not_seen() {
    let home = home();
    let whole: Value = serde_json::from_str(&report(&home, &["--output", "json"]).out).unwrap();
    assert_eq!(whole["kind"], "report");
    assert_eq!(whole["from"], "2025-11-20T00:00:00.000000Z");
    assert_eq!(whole["until"], "2025-11-21T00:00:00.000000Z");
    assert_eq!(whole["verdict"]["severity"], "high");
    let verdict = whole["verdict"]["sentence"].as_str().unwrap();
    assert!(
        verdict.starts_with("One alert needs a look: ") && verdict.contains("4444"),
        "{verdict}"
    );
    let numbers = &whole["numbers"];
    assert_eq!(numbers["alerts"], 7);
    assert_eq!(numbers["programs"], 3);
    assert_eq!(numbers["destinations"], 10);
    let tables = &whole["tables"];
    // The points, the table by time and the rankings say the same.
    let points = whole["traffic"]["points"].as_array().unwrap();
    let sum = |rows: &[Value], name: &str| rows.iter().map(|row| row[name].as_u64().unwrap()).sum::<u64>();
    let by_time = tables["traffic"]["rows"].as_array().unwrap();
    let by_program = tables["programs"]["rows"].as_array().unwrap();
    for name in ["received_bytes", "sent_bytes", "connections"] {
        assert_eq!(sum(points, name), sum(by_time, name), "{name}");
        assert_eq!(sum(points, name), sum(by_program, name), "{name}");
    }
    assert_eq!(points.len(), 288);
    let bytes = sum(points, "received_bytes") + sum(points, "sent_bytes");
    assert_eq!(numbers["bytes"], bytes);
    assert!(bytes > 100_000_000);
    // The stranger sent fifteen times 2.5 MB.
    let strange = by_program.iter().find(|row| row["program"] == HOSTILE).unwrap();
    assert_eq!(strange["sent_bytes"], 15 * 2_500_000);
    assert_eq!(strange["connections"], 15);
    assert_eq!(
        column(&tables["changed_executables"], "path"),
        ["/opt/backup/bin/sync"]
    );
    assert_eq!(
        tables["changed_executables"]["rows"][0]["previous_sha256"][0],
        "bb".repeat(32)
    );
    assert_eq!(column(&tables["new_executables"], "path"), [HOSTILE]);
    assert_eq!(column(&tables["new_listeners"], "port"), [31_337]);
    assert_eq!(column(&tables["listeners"], "port"), [443]);
    assert_eq!(
        column(&tables["new_destinations"], "address"),
        ["203.0.113.66", "203.0.113.67"]
    );
    assert_eq!(column(&tables["new_destinations"], "program")[0], HOSTILE);
    // What was not seen.
    assert_eq!(column(&tables["unwatched"], "length"), [3.0 * HOUR as f64]);
    assert_eq!(column(&tables["gaps"], "lost"), [1_234]);
    assert_eq!(column(&tables["tiers"], "tier"), ["ebpf", "poll", "ebpf"]);
    let unseen = whole["not_seen"].to_string();
    assert!(
        unseen.contains("Nobody watched for 3h 0m of 1d 0h (stretches: 1)."),
        "{unseen}"
    );
    assert!(
        unseen.contains("Lost in kernel_ring: 1234 (told 1×: the ring was <full>)."),
        "{unseen}"
    );
    assert!(unseen.contains("Seen by tier poll"), "{unseen}");
    assert!(unseen.contains("Connections of no known process: 1."), "{unseen}");
    // The worst alert was judged to be nothing: it stands last, and does not count for the verdict.
    let states = column(&tables["alerts"], "state");
    assert_eq!(states.last().unwrap().as_str(), Some("false-positive"));
    assert_eq!(tables["alerts"]["total"], 7);
    assert_eq!(column(&tables["alerts"], "severity")[0], "high");
}

#[test]
fn an_incident_stands_first_with_its_alerts_and_why() {
    let home = home();
    let quiet = report(&home, &["--output", "text"]).out;
    assert!(quiet.contains("Nothing in: Incidents."), "{quiet}");
    let connection = rusqlite::Connection::open(home.path("web1.db")).unwrap();
    let worst: i64 = connection
        .query_row(
            "SELECT id FROM alert WHERE rule = 'suspicious_port' LIMIT 1",
            [],
            |row| row.get(0),
        )
        .unwrap();
    let opened = at(DAY + 12 * HOUR).0;
    let story =
        r#"{"title": "<b>Back door</b>", "kind": "intrusion", "explanation": "A new program =1+1 talked."}"#;
    connection
        .execute(
            "INSERT INTO incident VALUES (7, ?1, ?1, 90, 'open', ?2)",
            (opened, story),
        )
        .unwrap();
    for alert in [worst, 1] {
        connection
            .execute("INSERT INTO incident_alert VALUES (7, ?1)", [alert])
            .unwrap();
    }
    let whole: Value = serde_json::from_str(&report(&home, &["--output", "json"]).out).unwrap();
    let table = &whole["tables"]["incidents"];
    assert_eq!(table["total"], 1);
    let row = &table["rows"][0];
    assert_eq!(row["title"], "<b>Back door</b>");
    assert_eq!(row["severity"], "critical");
    assert_eq!(row["explanation"], "A new program =1+1 talked.");
    assert_eq!(row["alerts"], 2);
    // The one that is gone has nothing to say.
    let told = row["alert_sentences"].as_array().unwrap();
    assert!(
        told.len() == 1 && told[0].as_str().unwrap().contains("4444"),
        "{told:?}"
    );
    let page = report(&home, &["--output", "html", "--lang", "es"]).out;
    let place = |text: &str| page.find(text).unwrap_or_else(|| panic!("no {text}"));
    assert!(place("<section id=\"incidents\"><h2>Incidentes (1)") < place("<section id=\"alerts\""));
    assert!(page.contains("&lt;b&gt;Back door&lt;/b&gt;") && page.contains("CRÍTICA"));
    // A time before has none.
    let before = run(
        &home,
        &[
            "report",
            "--store",
            "web1.db",
            "--from",
            "2025-11-19",
            "--to",
            "2025-11-20",
            "--output",
            "json",
        ],
    );
    let before: Value = serde_json::from_str(&before.out).unwrap();
    assert_eq!(before["tables"]["incidents"]["total"], 0);
}

#[test]
fn a_quiet_time_a_missing_one_and_the_first_day_say_so() {
    let home = home();
    let verdict = |from: &str, to: &str| {
        let ran = run(
            &home,
            &[
                "report", "--store", "web1.db", "--from", from, "--to", to, "--output", "json",
            ],
        );
        assert_eq!((ran.code, ran.err.as_str()), (0, ""));
        let whole: Value = serde_json::from_str(&ran.out).unwrap();
        (
            whole["verdict"]["sentence"].as_str().unwrap().to_owned(),
            whole["new"].to_string(),
        )
    };
    assert_eq!(
        verdict("2025-11-20T00:00", "2025-11-20T03:00").0,
        "Nothing odd was seen."
    );
    assert_eq!(
        verdict("2025-11-20T02:00", "2025-11-20T07:00").0,
        "Nothing odd was seen in the time that was watched."
    );
    assert_eq!(
        verdict("2020-01-01", "2020-01-02").0,
        "Nothing is known of this time: nobody watched."
    );
    let (_, news) = verdict("2025-11-18", "2025-11-20");
    assert!(
        news.contains("The history begins at 2025-11-19 00:00:00"),
        "{news}"
    );
}

#[test]
fn a_replayed_capture_is_reported_of_its_own_time() {
    let home = Home::new();
    crate::replay::shop(&home);
    let ran = home.run(&["replay", "shop.pcapng", "--store", "case.db", "--quiet"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let report = |times: &[&str]| -> Value {
        let words = [&["report", "--store", "case.db", "--output", "json"], times].concat();
        let ran = run(&home, &words);
        assert_eq!((ran.code, ran.err.as_str()), (0, ""));
        serde_json::from_str(&ran.out).unwrap()
    };
    let whole = report(&["--from", "2023-11-14T22:00", "--to", "2023-11-14T23:00"]);
    let (news, unseen) = (whole["new"].to_string(), whole["not_seen"].to_string());
    assert!(
        news.contains("The history begins at 2023-11-14 22:13:20"),
        "{news}"
    );
    assert!(unseen.contains("Some of it was read from captures"), "{unseen}");
    assert!(!unseen.contains("Sums are complete up to"), "{unseen}");
    let unwatched = column(&whole["tables"]["unwatched"], "until");
    assert!(
        unwatched
            .iter()
            .any(|until| **until == "2023-11-14T22:13:20.000000Z"),
        "{unwatched:?}"
    );
    // Of yesterday nothing is known: it says of which time there is something.
    let unseen = report(&["--last", "24h"])["not_seen"].to_string();
    assert!(
        unseen.contains("What is kept is of another time: from 2023-11-14 22:13:20 to "),
        "{unseen}"
    );
    assert!(!unseen.contains("captures"), "{unseen}");
}

#[test]
fn nothing_hostile_acts_in_any_format() {
    let home = home();
    for arguments in [
        vec!["report", "--store", "web1.db", "--limit", "1000"],
        vec!["timeline", HOSTILE, "--store", "web1.db"],
        vec!["timeline", "203.0.113.66", "--store", "web1.db"],
        vec![
            "diff",
            "--store",
            "web1.db",
            "2025-11-19..2025-11-20",
            "2025-11-20..2025-11-21",
        ],
    ] {
        for format in ["html", "markdown", "text", "csv", "json"] {
            let mut words = arguments.clone();
            words.extend(["--output", format]);
            if words[0] == "report" {
                words.extend(SECOND_DAY);
            }
            let ran = run(&home, &words);
            assert!(
                ran.code == 0 || words[0] == "diff" && ran.code == 1,
                "{words:?}: {}",
                ran.err
            );
            let out = ran.out;
            assert!(out.len() > 300, "{words:?}");
            let hidden = |c: char| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c);
            if format != "json" {
                assert!(!out.contains(hidden), "{words:?}");
            } else {
                serde_json::from_str::<Value>(&out).unwrap();
            }
            match format {
                "html" => {
                    for sign in [
                        "<script",
                        "<img",
                        "<b>made",
                        "<i>",
                        "<full>",
                        "onerror=alert(1)>",
                        "http:",
                        "https:",
                    ] {
                        assert!(!out.contains(sign), "{words:?}: {sign}");
                    }
                }
                "markdown" => {
                    for sign in ["<script", "<img", "<b>", "<i>", "<full>", "`x`"] {
                        assert!(!out.contains(sign), "{words:?}: {sign}");
                    }
                    tables_are_straight(&out);
                }
                "csv" => {
                    let mut reader = csv::Reader::from_reader(out.as_bytes());
                    let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
                    assert!(!rows.is_empty());
                    for cell in rows.iter().flatten() {
                        assert!(!cell.starts_with(['=', '+', '-', '@']), "{cell}");
                    }
                }
                _ => {}
            }
        }
    }
}

/// Every row of a Markdown table has as many cells as its head.
fn tables_are_straight(text: &str) {
    let cells = |line: &str| line.replace(r"\|", "").matches('|').count();
    let mut head = None;
    for line in text.lines() {
        if !line.starts_with('|') {
            head = None;
            continue;
        }
        assert_eq!(*head.get_or_insert(cells(line)), cells(line), "{line}");
    }
}

#[test]
fn reports_go_where_they_are_sent() {
    let home = home();
    for (file, begin) in [
        ("a.html", "<!doctype html>\n<html lang=\"es\">"),
        ("a.md", "# Actividad de red de web1.db"),
        ("a.json", "{\n"),
        ("a.csv", "section,opened,changed,severity,"),
        ("a.txt", "Actividad de red de web1.db\n"),
        ("noending", "<!doctype html>"),
    ] {
        let ran = report(&home, &["--to", file, "--lang", "es"]);
        assert_eq!(ran.out, "");
        let text = std::fs::read_to_string(home.path(file)).unwrap();
        assert!(text.starts_with(begin), "{file}: {}", text.get(..80).unwrap());
        use std::os::unix::fs::PermissionsExt as _;
        let mode = home.path(file).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    for (words, said) in [
        (&["report", "--store", "none.db"][..], "none.db does not exist"),
        (
            &["report", "--store", "web1.db", "--to", "no/such/folder.html"],
            "cannot write",
        ),
    ] {
        let ran = run(&home, words);
        assert_eq!(ran.code, 3, "{words:?}");
        assert!(ran.err.contains(said), "{}", ran.err);
    }
    for (words, said) in [
        (
            &["report", "--store", "web1.db", "--to", "a.html", "--to", "b.html"][..],
            "two files",
        ),
        (
            &["report", "--store", "web1.db", "--to", "1h", "--to", "2h"],
            "twice",
        ),
        (
            &["report", "--store", "web1.db", "--last", "1h", "--to", "2h"],
            "--last",
        ),
        (
            &["report", "--store", "web1.db", "--from", "1h", "--to", "2h"],
            "no earlier",
        ),
        (
            &["timeline", " ", "--store", "web1.db"],
            "what the timeline is about",
        ),
        (&["diff", "web1.db", "1h..", "--store", "web1.db"], "both sides"),
    ] {
        let ran = run(&home, words);
        assert_eq!(ran.code, 2, "{words:?}: {}", ran.err);
        assert!(ran.err.contains(said), "{words:?}: {}", ran.err);
    }
    // A report is bounded by its rows, however much there is.
    let most = report(&home, &["--limit", "1"]).out;
    assert!(most.len() < 120_000, "{}", most.len());
    assert!(most.contains("Alerts (1 of 7)"), "the cut is told");
}

#[test]
fn a_timeline_has_everything_in_order() {
    let home = home();
    let timeline = |subject: &str, more: &[&str]| -> Value {
        let words = [
            &["timeline", subject, "--store", "web1.db", "--output", "json"],
            more,
        ]
        .concat();
        let ran = run(&home, &words);
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{words:?}");
        serde_json::from_str(&ran.out).unwrap()
    };
    let whole = timeline("6666", &[]);
    let table = &whole["tables"]["timeline"];
    let times: Vec<_> = column(table, "time")
        .into_iter()
        .map(|time| time.as_str().unwrap().to_owned())
        .collect();
    assert!(times.is_sorted());
    let events = column(table, "event");
    let count = |event: &str| events.iter().filter(|it| it.as_str() == Some(event)).count();
    assert_eq!((count("process started"), count("process ended")), (1, 1));
    assert_eq!((count("connection opened"), count("connection closed")), (15, 15));
    assert_eq!((count("listener appeared"), count("alert")), (1, 7));
    let closed = table["rows"]
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["event"] == "connection closed")
        .unwrap();
    assert_eq!(closed["sent_bytes"], 2_500_000);
    assert_eq!(closed["remote"], "203.0.113.66:4444");
    let ended = table["rows"]
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["event"] == "process ended")
        .unwrap();
    assert_eq!(ended["detail"], "signal 9");
    // By each of its names the same connections.
    let opened = |subject: &str| {
        let whole = timeline(subject, &[]);
        let events = column(&whole["tables"]["timeline"], "event");
        events
            .iter()
            .filter(|event| event.as_str() == Some("connection opened"))
            .count()
    };
    for subject in [HOSTILE, &"ee".repeat(32), "203.0.113.66"] {
        assert_eq!(opened(subject), 15, "{subject}");
    }
    assert_eq!(opened("203.0.113.0/24"), 16);
    assert_eq!(opened("backup.example.org"), opened("2001:db8::42"));
    assert!(
        opened("example.org") > opened("mail.example.org"),
        "what is below it, too"
    );
    assert_eq!(opened("firefox"), opened("/usr/lib/firefox/firefox"));
    // The newest are kept, and the cut is told.
    let cut = timeline("firefox", &["--limit", "10"]);
    let rows = cut["tables"]["timeline"]["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 10);
    assert!(
        cut["not_seen"][0]
            .as_str()
            .unwrap()
            .starts_with("Only the newest 10"),
        "{cut}"
    );
    assert_eq!(rows[9]["time"], (at(2 * DAY - 600 + 20)).rfc3339());
    let none = timeline("198.51.100.250", &[]);
    assert_eq!(
        none["verdict"]["sentence"],
        "Nothing is known of it in this time."
    );
}

#[test]
fn a_diff_says_what_is_new_gone_and_changed() {
    let home = home();
    let days = ["2025-11-19..2025-11-20", "2025-11-20..2025-11-21"];
    let diff = |a: &str, b: &str, more: &[&str]| run(&home, &[&["diff", a, b], more].concat());
    let store = ["--store", "web1.db", "--output", "json"];
    let ran = diff(days[0], days[1], &store);
    assert_eq!((ran.code, ran.err.as_str()), (1, ""));
    let whole: Value = serde_json::from_str(&ran.out).unwrap();
    let tables = &whole["tables"];
    assert_eq!(column(&tables["new_executables"], "path"), [HOSTILE]);
    assert_eq!(
        column(&tables["changed_executables"], "path"),
        ["/opt/backup/bin/sync"]
    );
    assert_eq!(column(&tables["new_listeners"], "port"), [31_337]);
    assert_eq!(
        column(&tables["new_destinations"], "address"),
        ["203.0.113.66", "203.0.113.67"]
    );
    for gone in ["gone_executables", "gone_listeners", "gone_destinations"] {
        assert_eq!(tables[gone]["total"], 0, "{gone}");
    }
    // The other way round it is gone.
    let back: Value = serde_json::from_str(&diff(days[1], days[0], &store).out).unwrap();
    assert_eq!(column(&back["tables"]["gone_listeners"], "port"), [31_337]);
    assert_eq!(back["tables"]["gone_destinations"]["total"], 2);
    let same = diff(days[0], days[0], &["--store", "web1.db"]);
    assert_eq!((same.code, same.err.as_str()), (0, ""));
    assert!(same.out.contains("No difference."), "{}", same.out);

    // Two hosts: the other one has only the first ten hours of the ordinary.
    let mut diary = world::Diary::open(&home.path("web2.db"), "boot-9", at(0));
    let server = world::process(99, "/usr/sbin/nginx", "cc", at(0));
    let other = world::process(100, FORMULA, "ff", at(0));
    for process in [&server, &other] {
        diary.tell(
            at(0),
            atalaya_model::Fact::ProcessStarted(std::sync::Arc::clone(process)),
        );
    }
    diary.listen(
        at(5),
        &server,
        atalaya_model::Endpoint::new([0, 0, 0, 0].into(), 443),
    );
    diary.close(at(10));
    let hosts: Value = serde_json::from_str(&diff("web2.db", "web1.db", &["--output", "json"]).out).unwrap();
    assert_eq!(column(&hosts["tables"]["new_listeners"], "port"), [31_337]);
    assert_eq!(column(&hosts["tables"]["gone_executables"], "path"), [FORMULA]);
    assert_eq!(hosts["tables"]["new_destinations"]["total"], 10);
    let text = diff("web2.db", "web1.db", &["--lang", "es"]);
    assert_eq!(text.code, 1);
    assert!(text.out.starts_with("De web2.db a web1.db\n"), "{}", text.out);
}
