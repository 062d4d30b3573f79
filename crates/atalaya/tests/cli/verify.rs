//! `atalaya verify`: over tables and the store, in both languages and every output, with documented exits.

use serde_json::Value;

use crate::documents::world;
use crate::home::{Home, calm, installed, skip};

const HEADER: &str =
    "Timestamp,PID,Nombre,Usuario,Ruta Ejecutable,Línea de Comandos,PPID,Hash SHA256,Conexiones\n";

fn row(name: &str, path: &str, content: char) -> String {
    let digest = content.to_string().repeat(64);
    format!("2026-11-20 21:00:00,7,{name},ana,{path},{name} -x,1,{digest},\n")
}

/// A table of processes with one program that was replaced.
fn replaced() -> String {
    let mut table = HEADER.to_owned();
    for content in ['a', 'a', 'a', 'a', 'b'] {
        table.push_str(&row("cron", "/usr/sbin/cron", content));
    }
    table + &row("sshd", "/usr/sbin/sshd", 'c').repeat(9)
}

#[test]
fn a_replaced_program_is_told_in_both_languages_with_status_1() {
    let home = Home::new();
    let table = home.write("procesos.csv", &replaced());
    let english = home.run(&["verify", "processes", &table]);
    assert_eq!((english.code, english.err.as_str()), (1, ""), "{english:?}");
    assert!(
        english.out.contains("HIGH  cron  Differs in: SHA-256"),
        "{}",
        english.out
    );
    assert!(!english.out.contains("/usr/sbin/sshd"), "{}", english.out);
    let spanish = home.run(&["verify", "processes", &table, "--lang", "es", "--rare", "0"]);
    assert_eq!(spanish.code, 1);
    assert!(
        spanish.out.starts_with("Verificación de procesos\n"),
        "{}",
        spanish.out
    );
    assert!(
        spanish.out.contains("ALTA  cron  Difiere en: SHA-256"),
        "{}",
        spanish.out
    );
    assert!(
        spanish
            .out
            .contains("Hay que mirar: cron (la misma ruta, otro contenido)."),
        "{}",
        spanish.out
    );
    // From a pipe, and with nothing odd in it.
    let calm = HEADER.to_owned() + &row("sshd", "/usr/sbin/sshd", 'c').repeat(9);
    let ran = home.run_with(&["verify", "processes", "-"], calm.as_bytes());
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.out.contains("standard input") && ran.out.contains("Nothing stands out."),
        "{}",
        ran.out
    );
}

#[test]
fn every_output_tells_the_same() {
    let home = Home::new();
    let table = home.write("procesos.csv", &replaced());
    let run = |output: &str| home.run(&["verify", "processes", &table, "--output", output]);
    let json = run("json");
    assert_eq!(json.code, 1);
    let value: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(value["kind"], "verify.processes");
    assert_eq!(value["verdict"]["severity"], "high");
    assert_eq!(
        value["verdict"]["sentence"],
        "Needs a look: cron (the same path, another content)."
    );
    assert_eq!(value["numbers"]["sightings"], 14);
    assert_eq!(value["method"]["read"], table);
    let rows = value["tables"]["variations"]["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0]["differs"], serde_json::json!(["sha256"]));
    assert_eq!(
        (&rows[0]["count"], &rows[1]["count"]),
        (&Value::from(1), &Value::from(4))
    );
    let csv = run("csv");
    let mut reader = csv::Reader::from_reader(csv.out.as_bytes());
    assert_eq!(&reader.headers().unwrap()[0], "section");
    let lists: Vec<String> = reader.records().map(|row| row.unwrap()[0].to_owned()).collect();
    assert_eq!(lists, ["variations", "variations", "rare"]);
    let html = run("html");
    assert!(html.out.starts_with("<!doctype html>") && html.out.trim_end().ends_with("</html>"));
    assert!(
        html.out
            .contains("<span class=\"severity high\">HIGH</span> <span>cron</span>"),
        "{}",
        html.out
    );
    let markdown = run("md");
    assert!(
        markdown.out.starts_with("# Verification of processes\n")
            && markdown
                .out
                .contains("| HIGH | cron | SHA-256 | the same path, another content | 2 |"),
        "{}",
        markdown.out
    );
    // The ending of a file's name says how it is written.
    let ran = home.run(&["verify", "processes", &table, "--to", "page.html"]);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{ran:?}");
    let page = std::fs::read_to_string(home.path("page.html")).unwrap();
    assert!(
        page.contains("default-src 'none'") && page.contains("HIGH"),
        "{page}"
    );
    for forbidden in ["<script", "http://", "https://", "src=", "@import", "url("] {
        // A pattern of the page's own is no request.
        assert!(
            !html.out.replace("url(#hatch)", "").contains(forbidden),
            "{forbidden}"
        );
    }
}

#[test]
fn a_file_that_cannot_be_read_costs_only_itself() {
    let home = Home::new();
    let table = home.write("good.csv", &replaced());
    let other = home.write("other.csv", "colour,size\nred,1\n");
    let ran = home.run(&["verify", "processes", &table, &other, "/nonexistent.csv"]);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.out.contains("HIGH  cron"), "{}", ran.out);
    assert!(
        ran.err.contains("other.csv: line 1: no column for `ProcessName`"),
        "{}",
        ran.err
    );
    assert!(ran.err.contains("there are `colour`, `size`"), "{}", ran.err);
    assert!(
        ran.err.contains("hint: docs/verify.md lists the names"),
        "{}",
        ran.err
    );
    assert!(
        ran.err.contains("/nonexistent.csv: cannot open it: No such file"),
        "{}",
        ran.err
    );
    let ran = home.run(&["verify", "network", &other]);
    assert_eq!((ran.code, ran.out.as_str()), (3, ""), "{ran:?}");
    let folder = home.path("").display().to_string();
    let ran = home.run(&["verify", "network", &folder]);
    assert!(ran.code == 3 && ran.err.contains("it is a folder"), "{ran:?}");
    let ran = home.run(&["verify", "network", "--store", "nothing.db"]);
    assert!(
        ran.code == 3 && ran.err.contains("cannot use the store"),
        "{ran:?}"
    );
    let ran = home.run(&["verify", "network"]);
    assert!(ran.code == 3 && ran.err.contains("or name CSV files"), "{ran:?}");
    for wrong in [
        vec!["verify", "network", "--internal", "10.0.0.0/99"],
        vec!["verify", "processes", "--since", "1h", &table],
        vec!["verify", "processes", "--last", "1h", &table],
        vec!["verify", "processes", "--to", "2h", &table],
        vec!["verify", "processes", "--since", "1h", "--until", "2h"],
        vec!["verify"],
    ] {
        assert_eq!(home.run(&wrong).code, 2, "{wrong:?}");
    }
}

#[test]
fn the_ranges_and_folders_of_flags_and_configuration_count() {
    let home = Home::new();
    let mut table = "process,path,remote address,remote port,protocol\n".to_owned();
    for (ip, path) in [
        ("203.0.113.1", "/srv/drop/x"),
        ("198.51.100.1", "/usr/bin/x"),
        ("192.0.2.77", "/opt/own/x"),
    ] {
        table.push_str(&format!("x,{path},{ip},443,tcp\n"));
    }
    let table = home.write("c.csv", &table);
    let config = calm(
        "[networks]\ninternal = [\"192.0.2.0/24\"]\n[detect.suspicious_path]\npaths = [\"/opt/own/*\"]\n",
    );
    let config = home.write("own.toml", &config);
    let ran = home.run(&[
        "verify",
        "network",
        &table,
        "--config",
        &config,
        "--internal",
        "203.0.113.0/24,10.0.0.0/8",
        "--suspicious-path",
        "/DROP/",
        "--output",
        "json",
    ]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let document: Value = serde_json::from_str(&ran.out).unwrap();
    let lists = &document["tables"];
    let scopes: Vec<_> = lists["scopes"]["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            (
                row["scope"].as_str().unwrap().to_owned(),
                row["connections"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(scopes, [("internal".to_owned(), 2), ("external".to_owned(), 1)]);
    let paths: Vec<_> = lists["suspicious_paths"]["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["path"].as_str().unwrap(), row["pattern"].as_str().unwrap()))
        .collect();
    assert_eq!(paths, [("/opt/own/x", "/opt/own/*"), ("/srv/drop/x", "/drop/")]);
}

#[test]
fn what_a_watch_wrote_is_verified_from_its_tables_and_its_store() {
    let home = Home::new();
    let config = "[watch]\nlearning = \"0s\"\nlog_folder = \".\"\n[control]\nenabled = false\n\
                  [outlets.processes_csv]\n[outlets.connections_csv]\n";
    let config = home.write("tables.toml", config);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let _stream = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let ran = home.run(&[
        "watch",
        "--config",
        &config,
        "--tier",
        "poll",
        "--interval",
        "200ms",
        "--duration",
        "1s",
        "--store",
        "a.db",
        "--quiet",
    ]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let port = u64::from(listener.local_addr().unwrap().port());
    let json = |arguments: &[&str]| {
        let ran = home.run(&[&["verify"], arguments, &["--output", "json", "--limit", "0"]].concat());
        assert!([0, 1].contains(&ran.code), "{ran:?}");
        serde_json::from_str::<Value>(&ran.out).unwrap()
    };
    for from in [
        vec!["network", "connection_events.csv"],
        vec!["network", "--store", "a.db"],
    ] {
        let document = json(&from);
        let lists = &document["tables"];
        let has_port = |list: &str| {
            let rows = lists[list]["rows"].as_array().unwrap();
            rows.iter().any(|row| row["port"] == port)
        };
        assert!(
            has_port("listening") && has_port("rare_endpoints"),
            "{from:?}: {document:#}"
        );
    }
    for from in [
        vec!["processes", "processes.csv"],
        vec!["processes", "--store", "a.db"],
    ] {
        let document = json(&from);
        let names = document["numbers"]["processes"].as_u64().unwrap();
        assert!(names > 1, "{from:?}: {document:#}");
    }
    // A table is read by other programs, too.
    if !installed("python3") {
        skip("python3 is not installed");
        return;
    }
    let script = "\
import csv, sys
rows = list(csv.DictReader(open('processes.csv', newline='')))
assert rows and all(None not in row and None not in row.values() for row in rows), 'columns'
assert all(row['pid'].isdigit() and row['connection_count'].isdigit() for row in rows)
events = list(csv.DictReader(open('connection_events.csv', newline='')))
assert {row['event'] for row in events} <= {'opened', 'closed'}
try:
    import pandas
except ImportError:
    print('csv'); sys.exit()
table = pandas.read_csv('connection_events.csv', parse_dates=['timestamp'])
assert len(table) == len(events) and str(table.timestamp.dtype).startswith('datetime64'), table.dtypes
print('pandas')
";
    home.write("read.py", script);
    let mut python = home.command("python3");
    python.arg("read.py");
    let read = crate::home::finish(python);
    assert_eq!(read.code, 0, "{read:?}");
    if read.out.trim() == "csv" {
        skip("pandas is not installed: the tables were read by Python's csv alone");
    }
}

#[test]
fn rows_of_a_clock_that_was_ahead_are_verified_too() {
    let home = Home::new();
    let store = home.path("ahead.db");
    let (now, day) = (atalaya_host::clock::now(), 86_400);
    let mut diary = world::Diary::open(&store, "boot", now);
    let tomorrow = now.after(atalaya_model::Span::from_seconds(day));
    let talk = world::Talk {
        process: None,
        remote: [203, 0, 113, 9].into(),
        port: 443,
        name: None,
        bytes: (1, 2),
    };
    diary.talk(tomorrow, &talk);
    diary.close(tomorrow.after(atalaya_model::Span::from_seconds(20)));
    let ran = home.run(&["verify", "network", "--store", "ahead.db", "--output", "json"]);
    let document: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(
        document["until"].as_str(),
        Some(&*tomorrow.rfc3339()),
        "{document:#}"
    );
}
