//! The words of a statement with their places, found without understanding it: comments and quoted texts are left out.

use super::{Refusal, limits};

/// A word, a number or a sign of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Word<'a> {
    text: &'a str,
    /// Byte of the statement where it begins.
    at: usize,
}

/// Refuses what is not one statement of a fair size, before SQLite sees it.
pub(super) fn check(sql: &str) -> Result<(), Refusal> {
    if sql.len() > limits::STATEMENT {
        return Err(Refusal::statement(
            sql,
            None,
            format!(
                "the statement has {} bytes; {} is the most",
                sql.len(),
                limits::STATEMENT
            ),
            None,
        ));
    }
    if let Some(at) = sql.find('\0') {
        let hint = "SQLite would not read on there".to_owned();
        return Err(Refusal::statement(
            sql,
            Some(at),
            "the statement has a NUL byte".to_owned(),
            Some(hint),
        ));
    }
    let mut words = words(sql);
    let Some(first) = words.find(|word| word.text != ";") else {
        return Err(Refusal::statement(
            sql,
            None,
            "there is no statement".to_owned(),
            Some("`atalaya query --schema` says what may be asked".to_owned()),
        ));
    };
    // Of what changes something SQLite may first find something else wrong.
    if is_verb(first.text) {
        return Err(Refusal::only_select(sql));
    }
    let ended = words.any(|word| word.text == ";");
    if ended && let Some(second) = words.find(|word| word.text != ";") {
        return Err(Refusal::statement(
            sql,
            Some(second.at),
            "a second statement begins here; one is answered at a time".to_owned(),
            None,
        ));
    }
    Ok(())
}

/// What statements begin with that are not answered.
const VERBS: &[&str] = &[
    "alter",
    "analyze",
    "attach",
    "begin",
    "commit",
    "create",
    "delete",
    "detach",
    "drop",
    "end",
    "insert",
    "pragma",
    "reindex",
    "release",
    "replace",
    "rollback",
    "savepoint",
    "update",
    "vacuum",
];

/// The word that says what the statement does, where that is not reading. It may stand after a `WITH` or `EXPLAIN`.
pub(super) fn verb(sql: &str) -> Option<&str> {
    words(sql).map(|word| word.text).find(|word| is_verb(word))
}

fn is_verb(word: &str) -> bool {
    VERBS.iter().any(|verb| verb.eq_ignore_ascii_case(word))
}

/// Where a word stands, in any case; in brackets and double quotes, too.
pub(super) fn place(sql: &str, wanted: &str) -> Option<usize> {
    let bare = |text: &str| text.trim_matches(['"', '`', '[', ']']).to_ascii_lowercase();
    let wanted = bare(wanted);
    words(sql)
        .find(|word| bare(word.text) == wanted)
        .map(|word| word.at)
}

fn words(sql: &str) -> impl Iterator<Item = Word<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let rest = &sql[at..];
            let first = rest.chars().next()?;
            let begin = at;
            if rest.starts_with("--") {
                at += rest.find('\n').map_or(rest.len(), |end| end + 1);
            } else if rest.starts_with("/*") {
                at += rest.find("*/").map_or(rest.len(), |end| end + 2);
            } else if first.is_whitespace() {
                at += first.len_utf8();
            } else if let Some(close) = closing(first) {
                at += quoted(rest, close);
                if first != '\'' {
                    return Some(Word {
                        text: &sql[begin..at],
                        at: begin,
                    });
                }
            } else {
                let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$');
                let length = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
                at += length.max(first.len_utf8());
                return Some(Word {
                    text: &sql[begin..at],
                    at: begin,
                });
            }
        }
    })
}

const fn closing(open: char) -> Option<char> {
    match open {
        '\'' | '"' | '`' => Some(open),
        '[' => Some(']'),
        _ => None,
    }
}

/// The length of the quoted text that begins here. A doubled quote is a quote within.
fn quoted(rest: &str, close: char) -> usize {
    let mut characters = rest.char_indices().skip(1).peekable();
    while let Some((at, c)) = characters.next() {
        if c == close {
            if close != ']' && characters.peek().is_some_and(|(_, next)| *next == close) {
                characters.next();
                continue;
            }
            return at + c.len_utf8();
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_texts_are_no_words() {
        let sql = "select /* ; */ 'a;''b' -- ; x\n , \"c;d\" , [e;] from t;";
        let texts: Vec<_> = words(sql).map(|word| word.text).collect();
        assert_eq!(texts, ["select", ",", "\"c;d\"", ",", "[e;]", "from", "t", ";"]);
        assert!(check(sql).is_ok());
        assert_eq!(place(sql, "C;D"), Some(sql.find('"').unwrap()));
    }

    #[test]
    fn one_statement_only() {
        for sql in ["select 1;;", ";select 1", "select 1; -- more", "select ';drop'"] {
            assert!(check(sql).is_ok(), "{sql}");
        }
        for sql in [
            "",
            ";",
            "-- nothing",
            "/* open",
            "select 1; select 2",
            "select 1;x",
            "select\0 1",
        ] {
            assert!(check(sql).is_err(), "{sql}");
        }
    }

    #[test]
    fn what_never_closes_ends_with_the_statement() {
        for sql in ["select 'a", "select \"a''", "select [é", "'", "é", "select /*"] {
            words(sql).count();
        }
    }
}
