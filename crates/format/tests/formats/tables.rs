//! The tables that a watch writes, read back by another program's rules: whatever a name says, a row stays a row, a cell
//! stays a cell, and none is a formula.

use std::sync::Arc;

use atalaya_format::csv::unguarded;
use atalaya_format::csv::watched::{self, Running};
use atalaya_format::escape;
use atalaya_model::{Event, Fact, Process};
use proptest::prelude::*;

use crate::samples::{START, connection, process};

const SIGNS: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];

/// Texts as nobody should write them: what means something to CSV, spreadsheets and terminals, and anything else.
fn nasty() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[\"',;|=+@＝＋－＠\r\n\t\u{1b}\u{7}\u{85}\u{2028}\u{202e}\u{feff} 1a-]{0,12}",
        1 => any::<String>(),
    ]
}

/// The rows below a header as the csv crate reads them; each must be one line.
fn read(table: &str, columns: usize) -> Result<Vec<Vec<String>>, TestCaseError> {
    let mut reader = csv::Reader::from_reader(table.as_bytes());
    let rows = reader.records().collect::<Result<Vec<_>, _>>();
    let rows = rows.map_err(|error| TestCaseError::fail(error.to_string()))?;
    prop_assert_eq!(rows.len() + 1, table.lines().count());
    prop_assert!(rows.iter().all(|row| row.len() == columns));
    // Also to a spreadsheet that parts cells at `;`.
    let begins_formula = |cell: &str| cell.split(';').any(|part| part.trim_start().starts_with(SIGNS));
    prop_assert!(!rows.iter().flatten().any(begins_formula), "{:?}", rows);
    let is_plain = !table.contains(['\r', '\t', '\u{1b}', '\u{202e}', '\u{2028}']);
    prop_assert!(is_plain, "{:?}", table);
    Ok(rows
        .iter()
        .map(|row| row.iter().map(str::to_owned).collect())
        .collect())
}

/// What was said in a cell: the guard before a formula is taken off.
fn said(cell: &str) -> String {
    unguarded(cell).into_owned()
}

/// What a cell of this text must say.
fn expected(text: &str) -> String {
    escape::text(text).into_owned()
}

fn named([name, path, line, user]: &[String; 4]) -> Process {
    Process {
        name: name.as_str().into(),
        executable: Some(path.as_str().into()),
        command_line: Some(line.as_str().into()),
        user_name: Some(user.as_str().into()),
        ..process()
    }
}

proptest! {
    #[test]
    fn processes_are_read_back(all in prop::collection::vec([nasty(), nasty(), nasty(), nasty()], 1..8)) {
        let mut table = watched::header(&watched::PROCESSES);
        for texts in &all {
            let running = Running {
                process: Arc::new(named(texts)),
                connections: vec![Arc::new(connection(process()))],
                listeners: Vec::new(),
                count: 1,
            };
            watched::process(&mut table, START, &running);
        }
        let rows = read(&table, watched::PROCESSES.len())?;
        prop_assert_eq!(rows.len(), all.len());
        for (row, [name, path, line, user]) in rows.iter().zip(&all) {
            for (column, text) in [("name", name), ("path", path), ("command_line", line), ("user", user)] {
                let place = watched::PROCESSES.iter().position(|known| *known == column).unwrap();
                prop_assert_eq!(said(&row[place]), expected(text), "{}", column);
            }
        }
    }

    #[test]
    fn connections_are_read_back(all in prop::collection::vec(([nasty(), nasty(), nasty(), nasty()], nasty()), 1..8)) {
        let mut table = watched::header(&watched::CONNECTIONS);
        for (texts, asked) in &all {
            let mut it = connection(named(texts));
            it.name = Some(asked.as_str().into());
            let it = Arc::new(it);
            watched::event(&mut table, &Event::new(START, Fact::ConnectionOpened(Arc::clone(&it))));
            watched::event(&mut table, &Event::new(START, Fact::ConnectionClosed(it)));
        }
        let rows = read(&table, watched::CONNECTIONS.len())?;
        prop_assert_eq!(rows.len(), 2 * all.len());
        for (pair, ([process, path, line, user], asked)) in rows.chunks(2).zip(&all) {
            prop_assert_eq!([&pair[0][1], &pair[1][1]], ["opened", "closed"]);
            for row in pair {
                for (column, text) in
                    [("process", process), ("path", path), ("command_line", line), ("user", user), ("name", asked)]
                {
                    let place = watched::CONNECTIONS.iter().position(|known| *known == column).unwrap();
                    prop_assert_eq!(said(&row[place]), expected(text), "{}", column);
                }
            }
        }
    }
}
