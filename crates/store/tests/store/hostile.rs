//! Hostile statements: each is refused, or stopped in time, and no byte of any file has changed.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use atalaya_store::console::{Answer, Cell, Console, ConsoleOptions, Question, Refusal};

use crate::console::story;
use crate::sample::NOW;

/// What would change the database, another file, the connection or the library; `FOLDER` is the database's.
const REFUSED: &[&str] = &[
    // Writes.
    "INSERT INTO gap (id) VALUES (1)",
    "INSERT INTO connections (id) VALUES (1)",
    "REPLACE INTO meta VALUES ('views', '')",
    "UPDATE meta SET value = 'x'",
    "UPDATE alert SET rule = 'x' WHERE 0",
    "DELETE FROM connection",
    "DELETE FROM sqlite_schema",
    "INSERT INTO retention DEFAULT VALUES",
    "WITH x AS (SELECT 1) INSERT INTO gap (id) SELECT * FROM x",
    "WITH x AS (SELECT 1) DELETE FROM gap",
    "INSERT INTO gap (id) VALUES (1) RETURNING id",
    "DELETE FROM gap RETURNING *",
    "EXPLAIN DELETE FROM gap",
    "EXPLAIN QUERY PLAN UPDATE meta SET value = 'x'",
    // What there is.
    "CREATE TABLE evil (a)",
    "CREATE TABLE evil AS SELECT * FROM connections",
    "CREATE TEMP TABLE evil (a)",
    "CREATE TEMPORARY TABLE evil AS SELECT 1",
    "CREATE TABLE temp.evil (a)",
    "CREATE VIEW evil AS SELECT 1",
    "CREATE TEMP VIEW connections AS SELECT 1",
    "CREATE TRIGGER evil AFTER INSERT ON gap BEGIN SELECT 1; END",
    "CREATE TEMP TRIGGER evil AFTER INSERT ON gap BEGIN SELECT 1; END",
    "CREATE INDEX evil ON gap (id)",
    "CREATE VIRTUAL TABLE evil USING fts5(a)",
    "CREATE VIRTUAL TABLE temp.evil USING fts4(a)",
    "CREATE VIRTUAL TABLE evil USING rtree(id, a, b)",
    "CREATE VIRTUAL TABLE temp.evil USING dbstat",
    "CREATE VIRTUAL TABLE evil USING csv(filename='/etc/passwd')",
    "DROP TABLE connection",
    "DROP VIEW connections",
    "DROP TRIGGER alert_unchanged",
    "DROP INDEX process_identity",
    "ALTER TABLE gap RENAME TO evil",
    "ALTER TABLE gap ADD COLUMN evil",
    "REINDEX",
    "REINDEX process_identity",
    "ANALYZE",
    "ANALYZE gap",
    // Other files.
    "ATTACH DATABASE 'FOLDER/evil.db' AS evil",
    "ATTACH ':memory:' AS evil",
    "ATTACH '' AS evil",
    "ATTACH 'file:FOLDER/story.db?mode=rw' AS evil",
    "DETACH DATABASE main",
    "VACUUM",
    "VACUUM INTO 'FOLDER/copy.db'",
    "VACUUM main INTO 'FOLDER/copy.db'",
    "SELECT load_extension('FOLDER/evil.so')",
    "SELECT load_extension('FOLDER/evil.so', 'main')",
    "SELECT writefile('FOLDER/evil', 'x')",
    "SELECT readfile('/etc/passwd')",
    "SELECT edit('x')",
    "SELECT fts3_tokenizer('simple')",
    "SELECT fts3_tokenizer('simple', x'4141414141414141')",
    "SELECT * FROM readfile('/etc/passwd')",
    "SELECT * FROM fsdir('/')",
    "SELECT * FROM csv('/etc/passwd')",
    // Settings and transactions.
    "PRAGMA query_only = OFF",
    "PRAGMA writable_schema = ON",
    "PRAGMA journal_mode = DELETE",
    "PRAGMA wal_checkpoint(TRUNCATE)",
    "PRAGMA user_version = 99",
    "PRAGMA trusted_schema = ON",
    "PRAGMA hard_heap_limit = 0",
    "PRAGMA temp_store_directory = 'FOLDER'",
    "PRAGMA mmap_size = 1099511627776",
    "PRAGMA table_info(connection)",
    "PRAGMA main.integrity_check",
    "SELECT * FROM pragma_table_info('connection')",
    "SELECT * FROM pragma_database_list",
    "SELECT * FROM pragma_journal_mode('delete')",
    "SELECT * FROM pragma_wal_checkpoint",
    "BEGIN",
    "BEGIN EXCLUSIVE",
    "BEGIN IMMEDIATE TRANSACTION",
    "COMMIT",
    "END",
    "ROLLBACK",
    "SAVEPOINT evil",
    "RELEASE evil",
    "ROLLBACK TO evil",
    // What is not for reading.
    "SELECT * FROM sqlite_schema",
    "SELECT sql FROM sqlite_master",
    "SELECT * FROM sqlite_temp_schema",
    "SELECT * FROM sqlite_sequence",
    "SELECT * FROM dbstat",
    "SELECT * FROM sqlite_dbpage",
    "SELECT * FROM bytecode('SELECT 1')",
    "SELECT * FROM memory",
    "SELECT count(*) FROM memory",
    "SELECT document FROM alert",
    "WITH alerts AS (SELECT document FROM alert) SELECT * FROM alerts",
    "WITH connections AS (SELECT * FROM memory) SELECT * FROM connections",
    "SELECT * FROM connections WHERE EXISTS (SELECT 1 FROM meta)",
    "SELECT (SELECT value FROM meta)",
    "SELECT 1 ORDER BY (SELECT bytes FROM memory)",
    "SELECT randomblob(1000000000)",
    "SELECT hex(zeroblob(1000000000))",
    "SELECT json_pretty('[[1]]', printf('%1000000s', 'x'))",
    "SELECT jsonb('[1]')",
    "SELECT sqlite_compileoption_get(1)",
    "SELECT sqlite_log(1, 'x')",
    "SELECT total_changes()",
    // More than one, or none.
    "SELECT 1; DELETE FROM gap",
    "SELECT 1; SELECT 2",
    "SELECT 1;;; DROP TABLE gap",
    "SELECT 1; /* ; */ DROP TABLE gap --",
    "SELECT 1\0; DROP TABLE gap",
    "\0DELETE FROM gap",
    "-- SELECT 1\nDELETE FROM gap",
    "/* SELECT */ DELETE FROM gap",
    "--",
    "/*",
    ";;;",
    "",
    // Too much of a statement.
    "SELECT 'DEEP'",
    "SELECT 'WIDE'",
    "SELECT 'LONG'",
    "SELECT 'UNION'",
    "SELECT 'VARIABLES'",
    "SELECT 'ARGUMENTS'",
    "SELECT 'PATTERN'",
    // Too much of a value.
    "SELECT printf('%2000000s', 'x')",
    "SELECT printf('%.*c', 1000000000, 'x')",
    "SELECT format('%0*d', 2147483647, 1)",
    "SELECT hex(printf('%1000000s', 'x'))",
    "SELECT replace(printf('%1000000s', ''), ' ', printf('%1000000s', ''))",
    "SELECT printf('%600000s', 'a') || printf('%600000s', 'b')",
    "SELECT group_concat(x.command_line || printf('%10000s', '')) FROM (SELECT 'a' AS command_line FROM connections) x",
    "SELECT json_group_array(printf('%10000s', 'x')) FROM connections",
    "SELECT trim(printf('%1000000s', 'x'), printf('%1000000s', 'y'))",
    "SELECT regexp('((((((a{50}){50}){50}){50}){50}){50})', 'a')",
    "SELECT regexp('(?:(?:\\w{100}){100}){100}', 'a')",
    "SELECT regexp(printf('%5000s', 'a'), 'a')",
    "SELECT regexp('(a*)*b', printf('%100000s', 'a'))",
    "SELECT regexp('(', 'a')",
    "SELECT json('NEST')",
];

/// What would never end, or not in a lifetime.
const STOPPED: &[&str] = &[
    "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n) SELECT count(*) FROM n",
    "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n) SELECT sum(length(hex(n))) FROM n",
    "WITH RECURSIVE n(n) AS (SELECT 1 UNION SELECT n + 1 FROM n) SELECT max(n) FROM n",
    "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n) SELECT n FROM n ORDER BY n DESC",
    "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n) SELECT count(DISTINCT n) FROM n",
    "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n) SELECT n, count(*) FROM n GROUP BY n",
    "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT 1 FROM n) SELECT 1 FROM n WHERE n = 2",
    "WITH RECURSIVE a(x) AS (SELECT 'a' UNION ALL SELECT substr(x || x, 1, 100000) FROM a) SELECT count(x) FROM a",
    "SELECT count(*) FROM connections a, connections b, connections c, connections d",
    "SELECT max(a.pid + b.pid * c.pid) FROM connections a, connections b, connections c, connections d",
    "SELECT a.id FROM connections a, connections b, connections c, connections d ORDER BY a.id + b.id + c.id + d.id",
    "SELECT count(*) FROM connections WHERE (SELECT count(*) FROM connections x, connections y, connections z) > 1",
    "SELECT sum(instr(printf('%1000000s', 'b') || 'c', printf('%500000s', 'b') || 'd')) FROM connections a, connections b, connections c",
    "SELECT count(replace(printf('%900000s', 'a'), 'a', 'b')) FROM connections a, connections b, connections c",
    "SELECT sum(printf('%900000s', 'a') LIKE '%a%a%a%a%a%a%a%a%b') FROM connections a, connections b, connections c",
    "SELECT sum(printf('%900000s', 'a') GLOB '*a*a*a*a*a*a*a*a*b') FROM connections a, connections b, connections c",
    "SELECT sum(regexp('(a?){50}a{50}' || a.pid, printf('%5000s', 'aaaa'))) FROM connections a, connections b, connections c",
    "SELECT count(j.value) FROM connections a, connections b, connections c, json_each('[1,2,3,4,5,6,7,8,9]') j",
    "SELECT group_concat(x) OVER (ORDER BY x ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) FROM (SELECT a.pid AS x FROM connections a, connections b, connections c)",
    "SELECT count(*) FROM json_tree((SELECT json_group_array(id) FROM connections)) a, connections b, connections c, connections d",
    "VALUES ((WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n) SELECT count(*) FROM n))",
];

/// What is heavy and yet comes to an end: answered, and cut where it is long.
const ANSWERED: &[&str] = &[
    "SELECT printf('%1000000s', 'x')",
    "SELECT printf('%1000000s', 'x') FROM connections",
    "SELECT instr(printf('%1000000s', 'b') || 'c', printf('%500000s', 'b') || 'd')",
    "SELECT trim(printf('%1000000s', 'x'))",
    "SELECT printf('%1000000s', 'a') LIKE '%a%a%a%a%a%a%a%a%a%a%a%b'",
    "SELECT regexp('(a|aa)+$', printf('%60000s', 'b'))",
    "SELECT regexp('(x+x+)+y', 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx')",
    "SELECT '; DROP TABLE gap; --'",
    "SELECT 'a' /* ; DELETE FROM gap; */ -- ; DELETE",
    "SELECT * FROM connections;",
    "EXPLAIN QUERY PLAN SELECT * FROM connections",
    "SELECT * FROM connections a JOIN processes b ON a.pid = b.pid",
];

/// Statements that are too long to write down.
fn blown_up(sql: &str, folder: &Path) -> String {
    let many = |count: usize, text: &str| vec![text; count].join(",");
    match sql {
        "SELECT 'DEEP'" => format!("SELECT {}1{}", "(".repeat(5_000), ")".repeat(5_000)),
        "SELECT 'WIDE'" => format!("SELECT {}", many(3_000, "1")),
        "SELECT 'LONG'" => format!("SELECT 1 {}", " ".repeat(1 << 20)),
        "SELECT 'UNION'" => format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(400)),
        "SELECT 'VARIABLES'" => format!(
            "SELECT {}",
            (0..200).map(|n| format!(":v{n}")).collect::<Vec<_>>().join(",")
        ),
        "SELECT 'ARGUMENTS'" => format!("SELECT max({})", many(500, "1")),
        "SELECT 'PATTERN'" => format!("SELECT 'a' LIKE '{}'", "%a".repeat(1_000)),
        sql => sql
            .replace("FOLDER", &folder.display().to_string())
            .replace("NEST", &"[".repeat(20_000)),
    }
}

/// Everything that is in a folder: name, mode, size and content.
fn content(folder: &Path) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .map(|path| {
            let mode = std::fs::metadata(&path).unwrap().mode();
            let bytes = if path.is_dir() {
                Vec::new()
            } else {
                std::fs::read(&path).unwrap()
            };
            (path, (mode, bytes))
        })
        .collect()
}

struct Attack {
    console: Console,
    folder: tempfile::TempDir,
    before: BTreeMap<PathBuf, (u32, Vec<u8>)>,
}

impl Attack {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = story(folder.path());
        let options = ConsoleOptions {
            now: NOW,
            human_bytes: |bytes| bytes.to_string(),
            memory: Some(256 << 20),
        };
        let before = content(folder.path());
        let console = Console::open(&path, options).unwrap();
        Self {
            console,
            folder,
            before,
        }
    }

    /// Asks, and stops after so many looks at a clock that is none: it does not matter how fast this machine is.
    fn ask(&mut self, sql: &str) -> Result<Answer, Refusal> {
        let sql = blown_up(sql, self.folder.path());
        let mut looks = 0;
        let question = Question {
            sql: &sql,
            values: &[],
            rows: 1_000,
            bytes: 4 << 20,
        };
        self.console.ask(&question, move || {
            looks += 1;
            looks > 2_000
        })
    }

    /// The database and everything beside it are as they were.
    fn unchanged(&mut self) {
        let of_reading = |path: &PathBuf| {
            path.extension()
                .is_some_and(|end| end == "db-shm" || end == "db-wal")
        };
        let mut after = content(self.folder.path());
        // A reader of a database with a write-ahead log has an empty log and an index of it beside the file while it
        // reads, as always.
        after.retain(|path, (_, bytes)| {
            !of_reading(path)
                || self.before.contains_key(path)
                || path.ends_with("db-wal") && !bytes.is_empty()
        });
        assert!(after == self.before, "{:?}", after.keys());
        let answer = self.ask("SELECT count(*) FROM connections").unwrap();
        assert_eq!(answer.rows[0][0], Cell::Integer(crate::console::CONNECTIONS));
    }
}

#[test]
fn there_are_enough_of_them() {
    assert!(REFUSED.len() + STOPPED.len() >= 60);
    let all: std::collections::BTreeSet<_> = REFUSED.iter().chain(STOPPED).chain(ANSWERED).collect();
    assert_eq!(all.len(), REFUSED.len() + STOPPED.len() + ANSWERED.len());
}

#[test]
fn what_may_not_be_asked_is_refused_and_nothing_changes() {
    let mut attack = Attack::new();
    for sql in REFUSED {
        let refusal = match attack.ask(sql) {
            Err(refusal) => refusal,
            Ok(answer) => panic!("{sql:?} was answered: {:?} {:?}", answer.cut, answer.rows.first()),
        };
        println!("{sql:?}\n  {}", refusal.to_string().replace('\n', "\n  "));
        assert!(refusal.is_mistake(), "{sql:?}: {refusal}");
    }
    attack.unchanged();
}

#[test]
fn what_does_not_end_is_stopped_and_nothing_changes() {
    let mut attack = Attack::new();
    for sql in STOPPED {
        let answer = attack.ask(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        println!("{sql}\n  {:?}, {} rows", answer.cut, answer.rows.len());
        assert!(answer.cut.is_some(), "{sql}");
    }
    attack.unchanged();
}

#[test]
fn what_is_heavy_but_ends_is_answered_and_nothing_changes() {
    let mut attack = Attack::new();
    for sql in ANSWERED {
        let answer = attack.ask(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        println!("{sql}\n  {:?}, {} rows", answer.cut, answer.rows.len());
    }
    attack.unchanged();
}
