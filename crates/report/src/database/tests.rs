use atalaya_model::Time;
use atalaya_store::Damaged;

use super::*;

fn written(write: impl Fn(&mut dyn Write) -> io::Result<()>) -> String {
    let mut out = Vec::new();
    write(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn check() -> Check {
    let damaged = |table: &str, rows, is_readable, problem: &str| Damaged {
        table: table.into(),
        rows,
        is_readable,
        problems: vec![problem.to_owned()],
    };
    Check {
        sound: vec![("gap".into(), 3)],
        damaged: vec![
            damaged("connection", 12, false, "Tree 7 page 9: \u{1b}[2J"),
            damaged("process", 4, true, "row 1 missing from index x"),
        ],
        file: vec!["Freelist: size is 1 but should be 2".into()],
        sums: vec!["rollup_minute: 1 row differs".into()],
    }
}

#[test]
fn a_check_says_what_survives() {
    let english = written(|out| write_check(&check(), Language::English, out));
    assert_eq!(
        english,
        "gap                    3 rows  whole\n\
         connection            12 rows  damaged: only these rows can be read\n  \
           Tree 7 page 9: \\x1b[2J\n\
         process                4 rows  rows whole, an index or a rule broken\n  \
           row 1 missing from index x\n\
         Freelist: size is 1 but should be 2\n\
         Sums that are not what the rows say:\n  \
           rollup_minute: 1 row differs\n\
         The database is damaged.\n"
    );
    let spanish = written(|out| write_check(&check(), Language::Spanish, out));
    assert!(
        spanish.contains("filas  entera") && spanish.ends_with("La base de datos está dañada.\n"),
        "{spanish}"
    );
    let whole = written(|out| write_check(&Check::default(), Language::English, out));
    assert_eq!(whole, "The database is whole.\n");
    let value: serde_json::Value =
        serde_json::from_str(&written(|out| write_check_json(&check(), out))).unwrap();
    assert_eq!(value["whole"], false);
    assert_eq!(value["tables"][0]["state"], "whole");
    assert_eq!(value["tables"][1]["state"], "damaged");
    assert_eq!(value["tables"][2]["problems"][0], "row 1 missing from index x");
    assert_eq!(value["file"].as_array().unwrap().len(), 1);
    assert_eq!(value["sums"][0], "rollup_minute: 1 row differs");
    let empty = written(|out| write_check_json(&Check::default(), out));
    assert_eq!(empty, "{\"whole\":true,\"tables\":[],\"file\":[],\"sums\":[]}\n");
}

#[test]
fn sizes_are_for_people_and_for_programs() {
    let table = |name: &str, rows, bytes, index_bytes| TableSize {
        table: name.into(),
        rows,
        bytes,
        index_bytes,
    };
    let tables = [
        table("connection", 1_000, 95_000, 5_000),
        table("gap", 0, 8_192, 0),
    ];
    let extent = Extent {
        bytes: 120_000,
        free_bytes: 8_192,
        first: Some(Time(1_795_210_023_000_000)),
        last: Some(Time(1_795_210_024_000_000)),
    };
    let text = written(|out| write_sizes(&tables, &extent, Language::English, out));
    let local = |time: Option<Time>| time.unwrap().local();
    assert_eq!(
        text,
        format!(
            "Table       Rows   Bytes  Indexes  Bytes/row\n\
             connection  1000   95 kB   5.0 kB        100\n\
             gap            0  8.2 kB      0 B          -\n\
             120 kB in the file, 8.2 kB of it free\n{} – {}\n",
            local(extent.first),
            local(extent.last)
        )
    );
    let spanish = written(|out| write_sizes(&tables, &extent, Language::Spanish, out));
    assert!(
        spanish.starts_with("Tabla") && spanish.contains("en el archivo"),
        "{spanish}"
    );
    let value: serde_json::Value =
        serde_json::from_str(&written(|out| write_sizes_json(&tables, &extent, out))).unwrap();
    assert_eq!(value["first"], "2026-11-20T21:27:03.000000Z");
    assert_eq!(value["tables"][0]["index_bytes"], 5_000);
    let empty = written(|out| write_sizes_json(&[], &Extent::default(), out));
    let empty: serde_json::Value = serde_json::from_str(&empty).unwrap();
    assert!(empty["first"].is_null());
}

#[test]
fn where_nothing_survives_it_says_what_to_do() {
    let check = Check {
        file: vec!["database disk image is malformed".into()],
        ..Check::default()
    };
    for (language, advice) in [
        (
            Language::English,
            "No table of it can be read. Put a backup in its place",
        ),
        (
            Language::Spanish,
            "No se puede leer ninguna tabla. Ponga una copia de seguridad",
        ),
    ] {
        let mut out = Vec::new();
        write_check(&check, language, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.lines().last().unwrap().starts_with(advice), "{text}");
    }
}
