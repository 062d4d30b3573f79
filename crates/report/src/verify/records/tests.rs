//! Tables as they should be, and as they should not.

use proptest::prelude::*;

use super::*;

/// Gives so few bytes at a time.
struct Drip<'a>(&'a [u8], usize);

impl Read for Drip<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.0.len().min(self.1).min(out.len());
        out[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        Ok(count)
    }
}

type Read_ = (Vec<Vec<String>>, Vec<(u64, Flaw)>);

/// Header and rows, and what was left out.
fn read_by(table: &[u8], step: usize) -> Result<Read_, TableError> {
    let mut records = Records::new(Drip(table, step));
    let text = |cell: &[u8]| String::from_utf8_lossy(cell).into_owned();
    let mut rows = vec![
        records
            .header()?
            .iter()
            .map(|cell| text(cell))
            .collect::<Vec<_>>(),
    ];
    let mut bad = Vec::new();
    loop {
        match records.next()? {
            Next::Row(row) => rows.push(row.cells().map(text).collect()),
            Next::Bad { line, flaw } => bad.push((line, flaw)),
            Next::End => return Ok((rows, bad)),
        }
    }
}

#[track_caller]
fn check(table: &str, expected: &[&[&str]]) {
    for step in [1, 2, 3, 7, 1 << 20] {
        let (rows, bad) = read_by(table.as_bytes(), step).unwrap();
        assert_eq!(rows, expected, "in steps of {step}");
        assert_eq!(bad, [], "in steps of {step}");
    }
}

#[test]
fn rows_of_every_make() {
    check("a,b\n1,2\n", &[&["a", "b"], &["1", "2"]]);
    check("a,b\r\n1,\r\n\r\n\n,2", &[&["a", "b"], &["1", ""], &["", "2"]]);
    check("\u{feff}\na;b\n1,5;2\n", &[&["a", "b"], &["1,5", "2"]]);
    check("sep=|\r\na|b\n1|2", &[&["a", "b"], &["1", "2"]]);
    check("a\tb\n\"1\t\"\t2", &[&["a", "b"], &["1\t", "2"]]);
    check(
        "\"a,1\",b\n\"x \"\"y\"\"\",\"\"\r\n",
        &[&["a,1", "b"], &["x \"y\"", ""]],
    );
    check(
        "a,b\n\"two\r\nlines\",2\n3,4\n",
        &[&["a", "b"], &["two\r\nlines", "2"], &["3", "4"]],
    );
    // What is no quote is no quote.
    check(
        "a,b\n1\"2,\"3\"4\n5,6\"\n",
        &[&["a", "b"], &["1\"2", "34"], &["5", "6\""]],
    );
    check("a\n\"last\"", &[&["a"], &["last"]]);
}

#[test]
fn a_broken_quote_costs_its_own_line() {
    let table = b"a,b\n1,2\n\"3,4\n5,6\n7,\"8\"\n9,10\n";
    for step in [1, 5, 1 << 20] {
        let (rows, bad) = read_by(table, step).unwrap();
        assert_eq!(rows[1..], [["1", "2"], ["5", "6"], ["7", "8"], ["9", "10"]]);
        assert_eq!(bad.len(), 1);
        assert_eq!(bad[0].0, 3);
    }
    // Never closed, at the end.
    let (rows, bad) = read_by(b"a,b\n1,\"2\n3,4\n", 3).unwrap();
    assert_eq!(rows[1..], [["3", "4"]]);
    assert_eq!(bad, [(2, Flaw::TooLong)]);
}

#[test]
fn rows_of_other_columns_and_huge_ones_are_left_out() {
    let flaw = |found| Flaw::Columns { found, expected: 2 };
    let (rows, bad) = read_by(b"a,b\n1\n1,2,3\n1,2\n", 4).unwrap();
    assert_eq!(rows[1..], [["1", "2"]]);
    assert_eq!(bad, [(2, flaw(1)), (3, flaw(3))]);
    for quote in ["", "\""] {
        let mut table = b"a,b\n1,2\n".to_vec();
        table.extend(quote.bytes());
        table.extend(vec![b'x'; 3 * MAX_ROW]);
        table.extend(quote.bytes());
        table.extend(b",y\n3,4\n");
        let mut records = Records::new(Drip(&table, 100_000));
        records.header().unwrap();
        let mut bad = Vec::new();
        let mut rows = 0;
        loop {
            match records.next().unwrap() {
                Next::Row(_) => rows += 1,
                Next::Bad { line, flaw } => bad.push((line, flaw)),
                Next::End => break,
            }
            assert!(records.buffer.len() < 5 * MAX_ROW, "{}", records.buffer.len());
        }
        assert_eq!((rows, bad), (2, vec![(3, Flaw::TooLong)]));
    }
    let wide = format!("a,b\n{}\n1,2\n", ",".repeat(50_000));
    let (rows, bad) = read_by(wide.as_bytes(), 1 << 20).unwrap();
    assert_eq!((rows.len(), bad), (2, vec![(2, flaw(MAX_COLUMNS + 1))]));
    let wide = format!("a,b\n\"\"{}\n1,2\n", ",".repeat(50_000));
    let (rows, bad) = read_by(wide.as_bytes(), 1 << 20).unwrap();
    assert_eq!((rows.len(), bad.len()), (2, 1));
}

#[test]
fn what_is_no_table_is_said_so_with_its_line() {
    let fails = |table: &[u8]| read_by(table, 1 << 16).unwrap_err().to_string();
    assert_eq!(fails(b""), "it is empty");
    assert_eq!(fails(b"\r\n\n"), "it is empty");
    assert!(fails(b"\xff\xfea\0,\0").starts_with("it is UTF-16"));
    let wide = ",".repeat(10_000);
    assert!(fails(format!("\n{wide}\n").as_bytes()).starts_with("line 2: more than 1000 columns"));
    assert!(fails(&vec![b'a'; 2 * MAX_ROW]).starts_with("line 1: the header is longer"));
    let mut table = b"a,b\n".to_vec();
    table.extend(b"1\n".repeat(20_000));
    let error = fails(&table);
    assert!(
        error.starts_with("line 10002: more rows are broken than whole"),
        "{error}"
    );
    assert!(error.ends_with("in line 2"), "{error}");
}

/// A quote at every line, lengths and bytes of all kinds: no panic, no long search.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        Just(b"\"".to_vec()),
        Just(b"\"\"".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b",".to_vec()),
        Just(b"\0".to_vec()),
        Just(b"\xff\xfe".to_vec()),
        prop::collection::vec(any::<u8>(), 0..12),
    ];
    prop::collection::vec(part, 0..200).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn anything_is_read_alike_in_every_step(table in hostile(), step in 1usize..40) {
        let all = read_by(&table, 1 << 20).map_err(|error| error.to_string());
        let few = read_by(&table, step).map_err(|error| error.to_string());
        prop_assert_eq!(all, few);
    }

    #[test]
    fn what_a_csv_writer_writes_is_read(
        rows in prop::collection::vec(prop::collection::vec("[ -~\n\r\t\"é€]{0,12}", 3), 1..20),
        always in any::<bool>(),
        semicolons in any::<bool>(),
    ) {
        let style = if always { csv::QuoteStyle::Always } else { csv::QuoteStyle::Necessary };
        let delimiter = if semicolons { b';' } else { b',' };
        let mut writer = csv::WriterBuilder::new()
            .quote_style(style)
            .delimiter(delimiter)
            .from_writer(Vec::new());
        writer.write_record(["a", "b", "c"]).unwrap();
        for row in &rows {
            writer.write_record(row).unwrap();
        }
        let bytes = writer.into_inner().unwrap();
        let (read, bad) = read_by(&bytes, 11).unwrap();
        prop_assert_eq!(bad, vec![]);
        prop_assert_eq!(&read[1..], &rows[..]);
    }
}
