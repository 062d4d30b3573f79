use atalaya_store::console::{Answer, Cell, ResultColumn, SavedQuestion};
use proptest::prelude::*;

use super::*;

fn column(name: &str, kind: Option<&'static str>) -> ResultColumn {
    ResultColumn {
        name: name.into(),
        kind,
    }
}

fn answer() -> Answer {
    Answer {
        columns: vec![
            column("process_name", Some("text")),
            column("bytes", Some("bytes")),
            column("live", Some("boolean")),
            column("raw", None),
        ],
        rows: vec![
            vec![
                Cell::Text("=cmd|' /C calc'!A0".into()),
                Cell::Integer(12),
                Cell::Integer(1),
                Cell::Blob(vec![0, 255]),
            ],
            vec![
                Cell::Text("\u{1b}[2J,\"x\"\n\u{202e}".into()),
                Cell::Real(0.5),
                Cell::Null,
                Cell::Real(f64::INFINITY),
            ],
        ],
        cut: None,
    }
}

fn written(write: impl Fn(&mut dyn Write) -> io::Result<()>) -> String {
    let mut out = Vec::new();
    write(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn text(answer: &Answer, width: usize) -> String {
    let options = TextOptions { colour: false, width };
    written(|out| write_text(answer, &options, out))
}

#[test]
fn a_table_is_aligned_and_harmless() {
    assert_eq!(
        text(&answer(), 80),
        "process_name           bytes  live  raw\n\
         =cmd|' /C calc'!A0        12  true  x'00ff'\n\
         \\x1b[2J,\"x\"\\n\\u{202e}    0.5  -     inf\n"
    );
}

#[test]
fn what_is_too_wide_becomes_blocks() {
    let shown = text(&answer(), 20);
    assert_eq!(
        shown,
        "-- 1 --\nprocess_name  =cmd|' /C calc'!A0\nbytes         12\nlive          true\nraw           x'00ff'\n\
         -- 2 --\nprocess_name  \\x1b[2J,\"x\"\\n\\u{202e}\nbytes         0.5\nraw           inf\n"
    );
}

#[test]
fn long_cells_are_cut_only_where_they_must_be() {
    let mut answer = answer();
    answer.columns.truncate(2);
    answer.rows = vec![vec![Cell::Text("x".repeat(100)), Cell::Integer(1)]];
    assert!(text(&answer, 110).contains(&"x".repeat(100)));
    let cut = format!(
        "process_name{}bytes\n{}…      1\n",
        " ".repeat(50),
        "x".repeat(59)
    );
    assert_eq!(text(&answer, 80), cut);
    assert!(text(&answer, 60).starts_with("-- 1 --\n"));
}

#[test]
fn nothing_has_a_head_and_no_rows() {
    let mut empty = answer();
    empty.rows.clear();
    assert_eq!(text(&empty, 10), "process_name  bytes  live  raw\n");
    assert_eq!(written(|out| write_json(&empty, out)), "[]\n");
    assert_eq!(written(|out| write_jsonl(&empty, out)), "");
    assert_eq!(
        written(|out| write_csv(&empty, out)),
        "process_name,bytes,live,raw\n"
    );
    empty.columns.clear();
    assert_eq!(text(&empty, 10) + &written(|out| write_csv(&empty, out)), "");
}

#[test]
fn times_are_local_only_where_the_column_is_a_time() {
    let time = atalaya_model::Time(1_795_210_023_000_000);
    let mut answer = answer();
    answer.columns = vec![column("time", Some("time")), column("x", None)];
    answer.rows = vec![vec![Cell::Integer(time.0), Cell::Integer(time.0)]];
    assert_eq!(
        text(&answer, 80),
        format!(
            "time                                x\n{}  {}\n",
            time.local(),
            time.0
        )
    );
    let line = written(|out| write_jsonl(&answer, out));
    assert_eq!(line, format!("{{\"time\":{0},\"x\":{0}}}\n", time.0));
    // A count that was given the name of a time.
    answer.rows = vec![vec![Cell::Integer(9_273), Cell::Null]];
    assert_eq!(text(&answer, 80), "time  x\n9273  -\n");
}

#[test]
fn csv_is_no_formula() {
    assert_eq!(
        written(|out| write_csv(&answer(), out)),
        "process_name,bytes,live,raw\n'=cmd|' /C calc'!A0,12,1,00ff\n\"\\x1b[2J,\"\"x\"\"\\n\\u{202e}\",0.5,,inf\n"
    );
}

#[test]
fn json_is_an_array_and_lines_are_its_objects() {
    let whole: serde_json::Value = serde_json::from_str(&written(|out| write_json(&answer(), out))).unwrap();
    let lines = written(|out| write_jsonl(&answer(), out));
    let lines: Vec<serde_json::Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(whole.as_array().unwrap(), &lines);
    assert_eq!(lines[0]["bytes"], 12);
    assert_eq!(lines[0]["raw"], "00ff");
    assert_eq!(lines[1]["process_name"], "\u{1b}[2J,\"x\"\n\u{202e}");
    assert!(lines[1]["live"].is_null() && lines[1]["raw"].is_null());
}

#[test]
fn the_schema_is_told_as_text_and_json() {
    let views = atalaya_store::views();
    let told = written(|out| write_schema(&views, true, out));
    let lines = written(|out| write_schema_json(&views, true, out));
    for view in &views {
        assert!(told.contains(&format!("{}: ", view.name)));
    }
    assert!(told.contains("ip_in(address"));
    let columns: usize = views.iter().map(|view| view.columns.len()).sum();
    assert_eq!(
        lines.lines().count(),
        columns + atalaya_store::console::FUNCTIONS.len()
    );
    for line in lines.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
}

#[test]
fn questions_are_listed_with_their_parameters() {
    let text = "-- What\u{1b}[2J is there.\n-- :since = 24h, how far back\n-- :ip, the address\nSELECT 1";
    let questions = [
        SavedQuestion::read("mine", text),
        SavedQuestion::read("other-one", "SELECT 2"),
    ];
    assert_eq!(
        written(|out| write_list(&questions, out)),
        "mine       What\\x1b[2J is there.\n             since=24h  how far back\n             ip=…  the address\nother-one\n"
    );
    let lines = written(|out| write_list_json(&questions, out));
    let first: serde_json::Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert_eq!(first["parameters"], "since=24h ip=…");
    assert_eq!(first["sql"], text);
}

proptest! {
    #[test]
    fn whatever_is_in_a_cell_a_row_stays_a_row(texts in prop::collection::vec(any::<String>(), 1..4), width in 1_usize..90) {
        let columns: Vec<_> = texts.iter().map(|name| column(name, None)).collect();
        let row: Vec<_> = texts.iter().cloned().map(Cell::Text).collect();
        let answer = Answer { columns, rows: vec![row.clone(), row], cut: None };
        for shown in [text(&answer, width), written(|out| write_csv(&answer, out)), written(|out| write_jsonl(&answer, out))] {
            let hidden = |c: char| c != '\n' && c.is_control();
            prop_assert!(!shown.chars().any(hidden));
        }
        prop_assert_eq!(written(|out| write_jsonl(&answer, out)).lines().count(), 2);
        let csv = written(|out| write_csv(&answer, out));
        let mut reader = ::csv::Reader::from_reader(csv.as_bytes());
        for record in reader.records() {
            for (cell, text) in record.unwrap().iter().zip(&texts) {
                prop_assert_eq!(cell, csv::text(text));
                prop_assert!(!cell.split(';').any(|part| part.trim_start().starts_with(['=', '+', '-', '@'])));
            }
        }
    }
}
