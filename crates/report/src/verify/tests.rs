//! Tables with planted oddities: exactly these are found, whatever language the headers speak.

use std::collections::BTreeSet;

use atalaya_format::Language;
use atalaya_format::csv::watched;
use atalaya_model::Severity;
use proptest::prelude::*;

use super::*;
use crate::document::write::{plain, write_csv, write_html, write_json, write_text};

mod planted;
mod stored;

/// What is suspicious here.
fn options() -> Options {
    let globs = ["/tmp/*", "/dev/shm/*"].map(str::to_owned);
    Options {
        rare: 1,
        internal: vec!["203.0.113.0/24".parse().unwrap()],
        suspicious: SuspiciousPaths::new(&globs, &[]),
        limit: 50,
    }
}

fn sources(notes: Vec<Said>) -> Sources {
    Sources {
        names: vec!["table.csv".into()],
        left_out: notes,
        ..Sources::default()
    }
}

fn processes(table: &[u8]) -> Result<Document, String> {
    let mut processes = Processes::new(options());
    let notes = read_processes(table, "table.csv", &mut processes).map_err(|error| error.to_string())?;
    Ok(processes.finish(sources(notes)))
}

fn network(table: &[u8]) -> Result<Document, String> {
    let mut network = Network::new(options());
    let notes = read_network(table, "table.csv", &mut network).map_err(|error| error.to_string())?;
    Ok(network.finish(sources(notes)))
}

/// Some columns of a list, row by row.
fn rows(document: &Document, list: &str, columns: &[&str]) -> Vec<Vec<String>> {
    let table = document.table(list).unwrap();
    (0..table.rows.len())
        .map(|row| {
            let value = |column: &&str| table.value(row, column).map_or_else(String::new, plain);
            columns.iter().map(value).collect()
        })
        .collect()
}

fn text(document: &Document, language: Language) -> String {
    let mut out = Vec::new();
    write_text(document, language, 0, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn summed(document: &Document, name: &str) -> Value {
    let found = document.numbers.iter().find(|number| number.name == name);
    found.unwrap().value.clone()
}

#[test]
fn an_empty_table_finds_nothing_and_says_so() {
    let document = processes(b"Nombre,Hash SHA256\n").unwrap();
    assert_eq!((document.worst, document.range.clone()), (None, None));
    let tables = || document.sections.iter().map(|section| &section.table);
    assert!(tables().all(|table| table.rows.is_empty() && table.total == Some(0)));
    let spanish = text(&document, Language::Spanish);
    assert!(
        spanish.contains("Nada destaca.") && spanish.contains("Nada en: Un nombre, varios programas; "),
        "{spanish}"
    );
}

#[test]
fn unknown_headers_are_refused_with_what_is_missing() {
    let error = processes(b"a,b\n1,2\n").unwrap_err();
    assert!(
        error.starts_with("table.csv: line 1: no column for `ProcessName`"),
        "{error}"
    );
    let error = network(b"PID,Nombre,Hash SHA256\n").unwrap_err();
    assert!(
        error.contains("`RemoteAddress`") && error.contains("verify processes"),
        "{error}"
    );
    assert_eq!(processes(b"").unwrap_err(), "table.csv: it is empty");
}

#[test]
fn broken_rows_cost_themselves_and_are_named() {
    let table = b"Nombre,Ruta\nsh,/bin/sh\nsh\n\"sh,/bin/sh\nsh,/bin/sh\nsh,/bin/sh,x\nsh\nsh\n";
    let document = processes(table).unwrap();
    assert_eq!(summed(&document, "sightings"), Value::Integer(2));
    let english = text(&document, Language::English);
    assert!(
        english.contains("table.csv, line 3: left out, for it has 1 columns and the header 2"),
        "{english}"
    );
    assert!(
        english.contains("table.csv, line 4: left out, for it"),
        "{english}"
    );
    assert!(english.contains("table.csv: 2 more rows left out"), "{english}");
    let spanish = text(&document, Language::Spanish);
    assert!(
        spanish.contains("table.csv, línea 3: omitida, porque tiene 1 columnas y la cabecera 2"),
        "{spanish}"
    );
}

#[test]
fn hostile_cells_stay_in_their_places() {
    let table = "Nombre,Ruta Ejecutable,Línea de Comandos,Hash SHA256\n\
        \"<script>alert(1)</script>\u{1b}[2J\",/tmp/x,\"=cmd|' /C calc'!A0\",zz\n\
        \u{0},/tmp/y,a\u{0}b,\n";
    let mut bytes = table.as_bytes().to_vec();
    bytes.extend(b"\xff\xfe,/tmp/\xe9,,\n");
    let document = processes(&bytes).unwrap();
    assert_eq!(summed(&document, "processes"), Value::Integer(3));
    let text = text(&document, Language::English);
    assert!(
        text.contains(r"\x1b[2J") && !text.contains('\u{1b}') && !text.contains('\0'),
        "{text}"
    );
    let mut html = Vec::new();
    write_html(&document, Language::English, &mut html).unwrap();
    let html = String::from_utf8(html).unwrap();
    assert!(
        !html.contains("<script") && html.contains("&lt;script&gt;"),
        "{html}"
    );
    let mut csv = Vec::new();
    write_csv(&document, &mut csv).unwrap();
    let mut reader = csv::Reader::from_reader(&csv[..]);
    let cells: Vec<String> = reader
        .records()
        .flat_map(|row| row.unwrap().iter().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    assert!(cells.iter().any(|cell| cell.starts_with("'=cmd")), "{cells:?}");
    assert!(!cells.iter().any(|cell| cell.starts_with('=')), "{cells:?}");
    let mut json = Vec::new();
    write_json(&document, Language::English, &mut json).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    let names: Vec<_> = json["tables"]["suspicious_paths"]["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["process"].as_str().unwrap().to_owned())
        .collect();
    // What is no UTF-8 is read as Latin-1.
    assert_eq!(
        names,
        ["\0", "<script>alert(1)</script>\u{1b}[2J", "\u{ff}\u{fe}"]
    );
}

#[test]
fn no_name_hides_a_process() {
    let names = [
        "null",
        "unknown",
        "none",
        "nan",
        "-",
        "?",
        "n/a",
        "N/A x",
        "PID 1 (Terminado?)",
        "",
    ];
    let mut ours = watched::header(&watched::PROCESSES);
    let mut others = "pid,name,path\n".to_owned();
    for (pid, name) in (1..).zip(names) {
        let key = atalaya_model::ProcessKey { pid, start: 1 };
        let mut process = atalaya_model::Process::bare(key, name.into(), Time(0));
        process.executable = Some("/tmp/null".into());
        let running = watched::Running {
            process: process.into(),
            connections: Vec::new(),
            listeners: Vec::new(),
            count: 0,
        };
        watched::process(&mut ours, Time(0), &running);
        others.push_str(&format!("{pid},{name},/tmp/null\n"));
    }
    let found = |table: &str| {
        let found = rows(
            &processes(table.as_bytes()).unwrap(),
            "suspicious_paths",
            &["process"],
        );
        found.concat().into_iter().collect::<BTreeSet<_>>()
    };
    let mut expected: BTreeSet<_> = names.map(str::to_owned).into();
    // Without a name it has that of its file.
    expected.remove("");
    assert_eq!(found(&ours), expected);
    // Where others say that they know no name, it has that of its file, too.
    assert_eq!(found(&others), BTreeSet::from(["null".to_owned()]));
}

/// A process as a table has it.
fn process() -> impl Strategy<Value = (String, String, String)> {
    (
        "[ -~é€\n\"';=＝＠-]{1,20}|null|-|\\?|unknown",
        "[ -~é]{0,20}",
        "[ -~\n\t\"',;=+@-]{0,40}",
    )
}

proptest! {
    /// What our own tables say is read as it was: but for escapes, and spaces around it.
    #[test]
    fn our_own_table_is_read_as_it_was_written(all in prop::collection::vec(process(), 1..20)) {
        let mut table = watched::header(&watched::PROCESSES);
        let mut expected = BTreeSet::new();
        for (number, (name, path, line)) in (1..).zip(&all) {
            let key = atalaya_model::ProcessKey { pid: number, start: 1 };
            let mut process = atalaya_model::Process::bare(key, name.as_str().into(), Time(0));
            process.executable = Some(path.as_str().into());
            process.command_line = Some(line.as_str().into());
            let running = watched::Running {
                process: process.into(),
                connections: Vec::new(),
                listeners: Vec::new(),
                count: 0,
            };
            watched::process(&mut table, Time(0), &running);
            expected.insert(atalaya_format::escape::text(name).into_owned());
        }
        prop_assert_eq!(table.lines().count(), all.len() + 1);
        let mut options = options();
        options.rare = u64::MAX;
        options.limit = usize::MAX;
        let mut processes = Processes::new(options);
        let notes = read_processes(table.as_bytes(), "table.csv", &mut processes).unwrap();
        prop_assert!(notes.is_empty(), "{:?}", notes);
        let document = processes.finish(sources(notes));
        let names: BTreeSet<String> = rows(&document, "rare", &["what", "value"])
            .into_iter()
            .filter(|row| row[0] == "process")
            .map(|row| row[1].clone())
            .collect();
        prop_assert_eq!(names, expected);
    }

    #[test]
    fn no_table_is_too_odd(
        header in 0usize..4,
        body in prop::collection::vec(prop_oneof![
            Just("\"".to_owned()), Just(",".to_owned()), Just("\n".to_owned()), Just("LISTEN".to_owned()),
            Just("ConnectionOpened".to_owned()), Just("192.0.2.1:443".to_owned()), Just("::1:9".to_owned()),
            "\\PC{0,6}".prop_map(|text| text),
        ], 0..120),
    ) {
        let headers = [
            "Timestamp,PID,Nombre,Usuario,Ruta Ejecutable,Línea de Comandos,PPID,Hash SHA256,Conexiones",
            "EventType,PID,ProcessName,ProcessPath,LocalAddress,RemoteAddress,Status,Protocol",
            "process;remote address;remote port;sent bytes",
            "",
        ];
        let table = format!("{}\n{}", headers[header], body.concat());
        for document in [processes(table.as_bytes()), network(table.as_bytes())].into_iter().flatten() {
            let shown = text(&document, Language::English);
            prop_assert!(!shown.chars().any(|c| c.is_control() && c != '\n'));
        }
    }
}

#[test]
fn everything_that_is_said_is_in_the_catalogue() {
    use atalaya_format::catalogue::term;
    let planted = planted::tables();
    let documents = [
        processes(planted.processes.as_bytes()).unwrap(),
        network(planted.network.as_bytes()).unwrap(),
    ];
    for document in &documents {
        crate::document::tests::speaks_spanish(document);
    }
    for pattern in commands::PATTERNS {
        let spanish = term(pattern.meaning, Language::Spanish);
        assert_ne!(spanish, pattern.meaning);
    }
    assert_eq!(documents[0].worst, Some(Severity::High));
}
