//! `query`: answers in every form, saved questions, refusals, and the time that it may take.

use serde_json::Value;

use crate::history::{self, CONNECTIONS};
use crate::home::{Home, Ran};

fn ask(home: &Home, words: &[&str]) -> Ran {
    history::make(home);
    let words = [&["query", "--store", "history.db"], words].concat();
    home.run(&words)
}

#[test]
fn an_answer_is_a_table_json_lines_or_csv() {
    let home = Home::new();
    let sql = "SELECT process_name, count(*) AS n FROM connections GROUP BY 1";
    let ran = ask(&home, &[sql]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
    assert_eq!(
        ran.out,
        format!("process_name   n\n=curl         {CONNECTIONS}\n")
    );
    let same = ask(&home, &[sql, "--output", "table"]);
    assert_eq!(same.out, ran.out);
    let csv = ask(&home, &[sql, "--output", "csv"]);
    assert_eq!(csv.out, format!("process_name,n\n'=curl,{CONNECTIONS}\n"));
    let lines = ask(&home, &[sql, "-o", "jsonl"]);
    assert_eq!(lines.json()[0]["n"], CONNECTIONS);
    let json = ask(&home, &[sql, "-o", "json"]);
    let json: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(
        json,
        serde_json::json!([{"process_name": "=curl", "n": CONNECTIONS}])
    );
}

#[test]
fn what_a_program_called_itself_does_not_reach_the_terminal() {
    let ran = ask(&Home::new(), &["SELECT path FROM executables"]);
    assert_eq!(ran.out, "path\n/tmp/\\x1b[2Jcurl\n");
    let ran = ask(&Home::new(), &["SELECT \"\u{1b}[2J\" FROM connections"]);
    assert_eq!(ran.code, 2);
    assert!(!ran.err.contains('\u{1b}'), "{:?}", ran.err);
}

#[test]
fn values_go_in_as_parameters() {
    let home = Home::new();
    let sql = "SELECT count(*) AS n FROM connections WHERE destination_port = :port AND ip_in(destination_ip, :net)";
    let ran = ask(&home, &[sql, "port=443", "net=203.0.113.0/24", "-o", "jsonl"]);
    assert_eq!(ran.json()[0]["n"], CONNECTIONS, "{ran:?}");
    let ran = ask(&home, &[sql, "port=1 OR 1=1", "net=10.0.0.0/8", "-o", "jsonl"]);
    assert_eq!(ran.json()[0]["n"], 0, "{ran:?}");
    for (words, hint) in [
        (
            &[sql, "port=443"][..],
            "the parameter `net` has no value; add `net=…`",
        ),
        (
            &[sql, "port=443", "net=1.2.3.4", "x=1"],
            "there is no parameter `x`; there are: port, net",
        ),
        (&[sql, "443"], "write `name=value`"),
        (&[sql, "port=443", "net=everything"], "`everything` is no network"),
    ] {
        let ran = ask(&home, words);
        assert_eq!(ran.code, 2, "{words:?}: {ran:?}");
        assert!(ran.err.contains(hint) && ran.out.is_empty(), "{words:?}: {ran:?}");
    }
}

#[test]
fn standard_input_is_read() {
    let home = Home::new();
    history::make(&home);
    let words = ["query", "--store", "history.db", "-", "n=7"];
    let ran = home.run_with(&words, b"-- a comment\nSELECT :n AS n;\n");
    assert_eq!((ran.code, ran.out.as_str()), (0, "n\n7\n"), "{ran:?}");
    let ran = home.run_with(&words, b"SELECT 1\0");
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("NUL byte"), "{ran:?}");
    let ran = home.run_with(&words, b"SELECT :n,\n'\xff\xfe'");
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.err.contains("is not UTF-8, in line 2"), "{ran:?}");
    // Longer than is read, and cut within a letter.
    let ran = home.run_with(&words, "€".repeat(1 << 17).as_bytes());
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.err.contains("65536 is the most"), "{ran:?}");
    let ran = home.run_with(&words, " ".repeat(1 << 20).as_bytes());
    assert_eq!(ran.code, 2, "{ran:?}");
}

#[test]
fn a_wrong_statement_is_told_with_its_place() {
    let home = Home::new();
    let ran = ask(&home, &["SELECT pidd FROM connections"]);
    assert_eq!(ran.code, 2);
    let page =
        std::fs::read_to_string(format!("{}/../../docs/query.md", env!("CARGO_MANIFEST_DIR"))).unwrap();
    assert!(page.contains(&ran.err), "the page should show:\n{}", ran.err);
    for (sql, told) in [
        ("DELETE FROM alerts", "`DELETE` is not allowed here"),
        ("PRAGMA user_version = 9", "`PRAGMA` is not allowed here"),
        ("ATTACH 'x.db' AS x", "`ATTACH` is not allowed here"),
        ("SELECT 1; SELECT 2", "a second statement begins here"),
        ("SELECT * FROM sqlite_schema", "may not be read"),
    ] {
        let ran = ask(&home, &[sql]);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{sql}: {ran:?}");
        assert!(ran.err.contains(told), "{sql}: {}", ran.err);
    }
    assert!(!home.path("x.db").exists());
    let ran = home.run(&["query", "--store", "none.db", "SELECT 1"]);
    assert_eq!(ran.code, 3, "{ran:?}");
    let ran = home.run(&["query"]);
    assert_eq!(ran.code, 2, "{ran:?}");
}

#[test]
fn an_answer_that_is_cut_says_so() {
    let home = Home::new();
    let sql = "SELECT pid FROM connections";
    let ran = ask(&home, &[sql, "--limit", "3", "-o", "csv"]);
    assert_eq!((ran.code, ran.out.lines().count()), (0, 4), "{ran:?}");
    assert!(
        ran.err.contains("first 3 rows; `--limit 0` gives all"),
        "{}",
        ran.err
    );
    let ran = ask(&home, &[sql, "--limit", "0", "-o", "csv"]);
    assert_eq!(
        (ran.code, ran.out.lines().count(), ran.err.as_str()),
        (0, CONNECTIONS + 1, "")
    );
    // It ends because of its time, whichever machine this is.
    let endless = "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n) SELECT count(*) FROM n";
    let ran = ask(&home, &[endless, "--timeout", "200ms"]);
    assert_eq!((ran.code, ran.out.as_str()), (3, "count(*)\n"), "{ran:?}");
    assert!(
        ran.err.contains("stopped after 200ms") && ran.err.contains("id_at"),
        "{}",
        ran.err
    );
    let rows = "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n) SELECT n, printf('%1000s', n) FROM n";
    let ran = ask(&home, &[rows, "--limit", "0", "--timeout", "60s", "-o", "jsonl"]);
    assert_eq!(ran.code, 3);
    assert!(ran.err.contains("longer than 67 MB"), "{}", ran.err);
    assert!(ran.out.lines().count() > 10_000);
}

#[test]
fn memory_is_bounded() {
    let hungry = "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n) \
                  SELECT count(*) FROM (SELECT DISTINCT printf('%1000d', n) AS x FROM n)";
    let ran = ask(&Home::new(), &[hungry, "--timeout", "60s"]);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.err.contains("more than 268 MB of memory"), "{}", ran.err);
}

#[test]
fn questions_are_saved_listed_and_asked() {
    let home = Home::new();
    history::make(&home);
    let config = home.write("atalaya.toml", "");
    let run = |words: &[&str]| {
        home.run(&[&["query", "--store", "history.db", "--config", &config], words].concat())
    };
    let all = run(&["--list"]);
    assert!(
        all.code == 0 && all.out.contains("top-destinations") && all.out.contains("since=24h"),
        "{all:?}"
    );
    for saved in run(&["--list", "-o", "jsonl"]).json() {
        let name = saved["name"].as_str().unwrap();
        let mut words = vec!["--saved", name];
        if saved["parameters"].as_str().unwrap().contains("ip=…") {
            words.push("ip=203.0.113.0/24");
        }
        if saved["parameters"].as_str().unwrap().contains("name=…") {
            words.push("name==curl");
        }
        let ran = run(&words);
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{name}: {ran:?}");
    }
    let uploads = run(&["--saved", "uploads", "times=2", "-o", "csv"]);
    assert!(
        uploads.out.contains(",203.0.113.9,www.example.com,30,270 MB,0 B"),
        "{}",
        uploads.out
    );
    let sql = "\n-- Who used a port.\n-- :port = 443, the port\nSELECT DISTINCT pid FROM connections WHERE destination_port = :port";
    let ran = run(&["--save", "by-port", sql]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
    assert!(
        ran.out
            .contains("queries/by-port.sql; ask it with `atalaya query --saved by-port port=…`"),
        "{}",
        ran.out
    );
    assert_eq!(run(&["--saved", "by-port"]).out, "pid\n  7\n");
    assert_eq!(run(&["--saved", "by-port", "port=80"]).out, "pid\n");
    assert!(run(&["--list"]).out.contains("Who used a port."));
    for (words, told) in [
        (
            &["--save", "by-port", "SELECT 1"][..],
            "exists and was left as it is",
        ),
        (&["--save", "uploads", "SELECT 1"], "comes with the program"),
        (&["--save", "../x", "SELECT 1"], "is no name for a question"),
        (&["--save", "wrong", "SELECT wrong"], "no such column"),
        (
            &["--save", "wrong", "DELETE FROM gaps"],
            "`DELETE` is not allowed here",
        ),
        (
            &["--saved", "nothing"],
            "there is no saved question `nothing`; there are: top-destinations",
        ),
        (&["--saved", "one-address"], "the parameter `ip` has no value"),
        (&["--saved", "uploads", "--list"], "cannot be used with"),
    ] {
        let ran = run(words);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{words:?}: {ran:?}");
        assert!(ran.err.contains(told), "{words:?}: {}", ran.err);
    }
    assert_eq!(std::fs::read_dir(home.path("queries")).unwrap().count(), 1);
    // Of a mistake in a file of one's own the file is named.
    home.write("queries/broken.sql", "SELECT wrong");
    let ran = run(&["--saved", "broken"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(
        ran.err.contains("queries/broken.sql: ") && ran.err.contains("no such column"),
        "{}",
        ran.err
    );
}

#[test]
fn the_schema_is_printed_whole_or_by_view() {
    let home = Home::new();
    let all = home.run(&["query", "--schema"]);
    assert_eq!((all.code, all.err.as_str()), (0, ""));
    for word in [
        "connections: ",
        "executables: ",
        "destination_domain",
        "ip_in(address",
    ] {
        assert!(all.out.contains(word), "no {word}");
    }
    let one = home.run(&["query", "--schema", "gaps", "-o", "jsonl"]).json();
    assert!(one.iter().all(|column| column["view"] == "gaps"));
    assert_eq!(one.len(), 5);
    let ran = home.run(&["query", "--schema", "nothing"]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("there are: connections"), "{}", ran.err);
    for words in [
        &["query", "--schema", "-o", "csv"][..],
        &["query", "--list", "-o", "json"],
    ] {
        assert_eq!(home.run(words).code, 2, "{words:?}");
    }
}

#[test]
fn the_commands_of_the_page_work() {
    let home = Home::new();
    history::make(&home);
    home.write("atalaya.toml", "");
    home.write(
        "ports.sql",
        "SELECT * FROM connections WHERE destination_port = :port",
    );
    let page =
        std::fs::read_to_string(format!("{}/../../docs/query.md", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let blocks = page
        .split("```sh\n")
        .skip(1)
        .map(|block| block.split("```").next().unwrap());
    let mut ran = 0;
    for line in blocks.flat_map(str::lines) {
        let mut command = home.command("sh");
        let line = line.replacen("atalaya", crate::home::ATALAYA, 1);
        // Nothing of the machine's own.
        let ours = "--store history.db --config atalaya.toml";
        let line = match line.split_once(" < ") {
            Some((line, file)) => format!("{line} {ours} < {file}"),
            None => format!("{line} {ours}"),
        };
        command.args(["-c", &line]);
        let shown = crate::home::finish(command);
        assert_eq!((shown.code, shown.err.as_str()), (0, ""), "{line}: {shown:?}");
        assert!(!shown.out.is_empty(), "{line}");
        ran += 1;
    }
    assert!(ran >= 13, "{ran}");
}
