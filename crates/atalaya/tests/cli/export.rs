//! Rows of any table and range, in every format.

use std::fs;

use atalaya_store::views;
use serde_json::Value;

use crate::home::Home;
use crate::replay::{lines, shop};

fn prepared() -> Home {
    let home = Home::new();
    shop(&home);
    let ran = home.run(&["replay", "shop.pcapng", "--store", "case.db", "--quiet"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    home
}

fn export(home: &Home, args: &[&str]) -> String {
    let ran = home.run(&[&["export"][..], args, &["--store", "case.db"]].concat());
    assert_eq!(ran.code, 0, "{args:?}: {}", ran.err);
    ran.out
}

#[test]
fn every_table_comes_as_csv_and_as_json() {
    let home = prepared();
    for view in views() {
        let text = export(&home, &[view.name]);
        let mut table = csv::Reader::from_reader(text.as_bytes());
        let columns = view.columns.iter().filter(|column| column.kind != "blob");
        let names: Vec<_> = columns.map(|column| column.name.as_str()).collect();
        assert_eq!(
            table.headers().unwrap().iter().collect::<Vec<_>>(),
            names,
            "{}",
            view.name
        );
        let rows: Vec<_> = table.records().map(Result::unwrap).collect();
        let objects = lines(&export(&home, &[view.name, "--format", "jsonl"]));
        assert_eq!(rows.len(), objects.len(), "{}", view.name);
        for (row, object) in rows.iter().zip(&objects) {
            for (name, cell) in names.iter().zip(row) {
                let value = object.get(name);
                assert_eq!(
                    value.is_none(),
                    cell.is_empty() && value != Some(&Value::from("")),
                    "{name}"
                );
                if let Some(Value::Number(number)) = value {
                    assert_eq!(number.to_string(), cell, "{name}");
                }
            }
        }
    }
    let rows = lines(&export(&home, &["dns", "--format", "jsonl"]));
    assert_eq!(
        rows[0]["dns_answers"].as_array().map(Vec::len),
        Some(1),
        "{rows:#?}"
    );
    assert!(rows[0]["document"].is_object());
}

#[test]
fn ranges_and_filters_choose() {
    let home = prepared();
    let count = |args: &[&str]| export(&home, args).lines().count() - 1;
    let all = count(&["connections"]);
    assert!(all >= 2);
    // The capture is of 2023-11-14.
    assert_eq!(
        count(&[
            "connections",
            "--since",
            "2023-11-14T22:00Z",
            "--until",
            "2023-11-14T23:00Z"
        ]),
        all
    );
    assert_eq!(count(&["connections", "--until", "2023-11-14T22:00Z"]), 0);
    assert_eq!(count(&["connections", "--last", "1h"]), 0);
    assert_eq!(count(&["traffic_by_minute", "--from", "2023-11-15"]), 0);
    assert_eq!(count(&["connections", "--filter", "dport:80"]), 1);
    assert_eq!(count(&["http", "--filter", "dport:80"]), count(&["http"]));
    assert_eq!(count(&["http", "--filter", "dport:81"]), 0);
    // The oldest first.
    let starts: Vec<_> = lines(&export(&home, &["connections", "--format", "jsonl"]));
    let starts: Vec<_> = starts
        .iter()
        .map(|row| row["start_time"].as_str().unwrap().to_owned())
        .collect();
    assert!(starts.is_sorted(), "{starts:?}");
}

#[test]
fn zeek_s_lines_are_those_of_the_replay() {
    let home = prepared();
    let ran = home.run(&["replay", "shop.pcapng", "--output", "zeek", "--quiet"]);
    let of = |log: &str| -> Vec<Value> {
        let rows = lines(&ran.out).into_iter().filter(|row| row["_path"] == log);
        rows.map(without_uid).collect()
    };
    for (table, log) in [("connections", "conn"), ("dns", "dns"), ("http", "http")] {
        let rows = lines(&export(&home, &[table, "--format", "zeek"]));
        assert_eq!(
            rows.into_iter().map(without_uid).collect::<Vec<_>>(),
            of(log),
            "{table}"
        );
    }
}

fn without_uid(mut row: Value) -> Value {
    row.as_object_mut().unwrap().remove("uid");
    row
}

#[test]
fn files_are_written_and_mistakes_refused() {
    let home = prepared();
    assert_eq!(export(&home, &["connections", "--to", "out.csv"]), "");
    assert!(
        fs::read_to_string(home.path("out.csv"))
            .unwrap()
            .starts_with("id,live,start_time,")
    );
    for (args, words) in [
        (
            &["conections"][..],
            "there is no table `conections`; known are connections, ",
        ),
        (
            &["runs", "--filter", "dport:80"],
            "--filter has nothing to look at in runs",
        ),
        (
            &["processes", "--format", "zeek"],
            "Zeek has no log like processes",
        ),
        (&["connections", "--filter", "no.such:1"], "no.such"),
        (&["connections", "--to", "case.db"], "--to names the database"),
    ] {
        let ran = home.run(&[&["export"][..], args, &["--store", "case.db"]].concat());
        assert_eq!(ran.code, 2, "{args:?}");
        assert!(ran.err.contains(words), "{words} in {}", ran.err);
    }
    assert_eq!(home.run(&["export", "connections", "--store", "none.db"]).code, 3);
    let ran = home.run(&[
        "export",
        "connections",
        "--store",
        "case.db",
        "--to",
        "no/such/folder",
    ]);
    assert_eq!(ran.code, 3);
    assert!(ran.err.contains("cannot write no/such/folder"), "{}", ran.err);
}
