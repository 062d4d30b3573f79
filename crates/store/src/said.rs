//! One thing that somebody asks about, and what was said inside conversations about it.

use atalaya_model::fields;
use atalaya_model::filter::{Expression, Glob, Test};
use atalaya_model::{Protocol, Text, Time};
use ipnet::IpNet;
use rusqlite::params_from_iter;
use rusqlite::types::Value as Sql;

use crate::dictionary::raw;
use crate::identity::Table;
use crate::load::Loader;
use crate::panels::{Ask, Searched};
use crate::protocols::{self, FACT};
use crate::{Reader, StoreError, identity};

/// Rows of one part of a search.
const PART: i64 = 20_000;

/// A process, an address or a name: what a timeline is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Processes with this id, of any boot.
    Pid(u32),
    /// What runs this file: as executable or as script.
    Path(Text),
    /// What runs this content, by its SHA-256 in lower-case hexadecimal.
    Sha256(Text),
    /// An address, or every address of a network.
    Network(IpNet),
    /// Processes of this name, and this domain with every domain below it.
    Name(Text),
}

/// What was said, and when it was told.
pub type Spoken = (Time, Protocol);

impl Subject {
    /// What somebody means by a word: a number is a process id, what begins with `/` a path unless it is a network, 64
    /// hexadecimal digits a digest, an address or a network itself; anything else a name. `None` for an empty word.
    pub fn parse(word: &str) -> Option<Self> {
        let word = word.trim();
        if let Ok(pid) = word.parse() {
            return Some(Self::Pid(pid));
        }
        if word.starts_with('/') {
            return Some(Self::Path(word.into()));
        }
        if word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Some(Self::Sha256(word.to_ascii_lowercase().into()));
        }
        let bare = word.trim_start_matches('[').trim_end_matches(']');
        if let Ok(ip) = bare.parse::<std::net::IpAddr>() {
            return Some(Self::Network(ip.to_canonical().into()));
        }
        if let Ok(network) = word.parse::<IpNet>() {
            return Some(Self::Network(network.trunc()));
        }
        let name = word.trim_end_matches('.');
        (!name.is_empty()).then(|| Self::Name(name.into()))
    }

    /// The filter that accepts records about it.
    pub fn expression(&self) -> Expression {
        let any = |names: &[&str], test: Test| Expression::Compare {
            fields: names.iter().filter_map(|name| fields::find(name)).collect(),
            test,
        };
        match self {
            Self::Pid(pid) => {
                let pid = i64::from(*pid);
                any(&["process.pid"], Test::Range { low: pid, high: pid })
            }
            Self::Path(path) => any(
                &["process.executable", "process.script"],
                Test::Equals(path.clone()),
            ),
            Self::Sha256(digest) => any(
                &["process.hash.sha256", "process.script_sha256"],
                Test::Equals(digest.clone()),
            ),
            Self::Network(network) => any(
                &["source.ip", "destination.ip", "server.ip"],
                Test::Within(*network),
            ),
            Self::Name(name) => {
                let itself = any(
                    &["process.name", "destination.domain"],
                    Test::Equals(name.clone()),
                );
                // A domain has no wildcards of its own; what has some is no domain.
                if Glob::has_wildcard(name) {
                    return itself;
                }
                let below = Test::Glob(Glob::new(&format!("*.{name}")));
                Expression::Or(vec![itself, any(&["destination.domain"], below)])
            }
        }
    }

    /// The condition on a table of facts `f`, with its parameters.
    fn condition(&self, table: Table) -> (String, Vec<Sql>) {
        let text = |text: &Text| Sql::Text(text.to_string());
        let process = |test: &str| {
            format!(
                "f.process IN (SELECT p.id FROM process p LEFT JOIN executable x ON x.id = p.executable WHERE {test})"
            )
        };
        match self {
            Self::Pid(pid) => (process("p.pid = ?"), vec![Sql::Integer((*pid).into())]),
            Self::Path(path) => (
                process("x.path = ? OR p.script = ?"),
                vec![text(path), text(path)],
            ),
            Self::Sha256(digest) => (
                process("x.sha256 = ? OR p.script_sha256 = ?"),
                vec![text(digest), text(digest)],
            ),
            Self::Network(network) => {
                let ends = [network.network(), network.broadcast()].map(|ip| Sql::Blob(raw(ip)));
                let known = "(SELECT id FROM ip WHERE raw BETWEEN ? AND ? AND length(raw) = length(?))";
                let mut sql = format!("f.source_ip IN {known} OR f.destination_ip IN {known}");
                let [low, high] = ends;
                let mut parameters =
                    [low.clone(), high.clone(), low.clone(), low.clone(), high, low].to_vec();
                if table == Table::Dns && network.prefix_len() == network.max_prefix_len() {
                    // It was the answer to a question.
                    sql.push_str(" OR instr(f.answers, ?) > 0");
                    parameters.push(Sql::Text(format!("\"{}\"", network.addr())));
                }
                (sql, parameters)
            }
            Self::Name(name) => {
                let column = match table {
                    Table::Dns => "f.question_name",
                    Table::Tls => "f.server_name",
                    Table::Http => "f.url_domain",
                    _ => "NULL",
                };
                let sql = format!(
                    "{column} IN (SELECT id FROM text WHERE value = ? COLLATE NOCASE \
                     OR substr(lower(value), -length(?)) = ?) OR {}",
                    process("p.name = ? COLLATE NOCASE")
                );
                let below = Sql::Text(format!(".{}", name.to_ascii_lowercase()));
                (sql, vec![text(name), below.clone(), below, text(name)])
            }
        }
    }
}

impl Reader {
    /// What was told within the range, inside conversations that are kept, of a subject: newest first, at most the limit of
    /// each protocol. The filter of what is asked does not count.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn said_within(
        &self,
        subject: &Subject,
        ask: &Ask<'_>,
    ) -> Result<(Vec<Spoken>, Searched), StoreError> {
        let mut found = Vec::new();
        let mut searched = Searched {
            rows: 0,
            complete: true,
        };
        let mut loader = Loader::default();
        for table in [Table::Dns, Table::Tls, Table::Http, Table::Protocol] {
            let of_table = self.facts(table, subject, ask, &mut loader, &mut found)?;
            searched.rows += of_table.rows;
            searched.complete &= of_table.complete;
        }
        found.sort_by_key(|(time, _)| std::cmp::Reverse(*time));
        Ok((found, searched))
    }

    fn facts(
        &self,
        table: Table,
        subject: &Subject,
        ask: &Ask<'_>,
        loader: &mut Loader,
        found: &mut Vec<Spoken>,
    ) -> Result<Searched, StoreError> {
        let name = table.name();
        let (condition, parameters) = subject.condition(table);
        let mut part = self.connection().prepare(&format!(
            "SELECT min(id), count(*) FROM (SELECT id FROM {name} WHERE id >= ?1 AND id < ?2 \
             ORDER BY id DESC LIMIT {PART})"
        ))?;
        let mut statement = self.connection().prepare(&format!(
            "SELECT {FACT} FROM {name} f WHERE id >= ? AND id < ? AND ({condition}) ORDER BY id DESC"
        ))?;
        let from = identity::first(ask.range.start);
        let mut before = identity::first(ask.range.end);
        let mut searched = Searched {
            rows: 0,
            complete: true,
        };
        let mut left = ask.limit;
        loop {
            let (first, count): (Option<i64>, i64) =
                part.query_row([from, before], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let Some(first) = first else { return Ok(searched) };
            if left == 0 || (searched.rows > 0 && (ask.is_over)()) {
                searched.complete = false;
                return Ok(searched);
            }
            let range = [first, before].map(Sql::Integer);
            let mut rows = statement.query(params_from_iter(
                range.into_iter().chain(parameters.iter().cloned()),
            ))?;
            while let Some(row) = rows.next()? {
                if left == 0 {
                    searched.complete = false;
                    return Ok(searched);
                }
                if let Some(fact) = protocols::read(self.connection(), loader, row)? {
                    found.push(fact);
                    left -= 1;
                }
            }
            searched.rows += count.cast_unsigned();
            before = first;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_what_it_looks_like() {
        let network = |text: &str| Some(Subject::Network(text.parse().unwrap()));
        for (word, expected) in [
            ("4242", Some(Subject::Pid(4_242))),
            ("/usr/bin/nc", Some(Subject::Path("/usr/bin/nc".into()))),
            ("192.0.2.7", network("192.0.2.7/32")),
            ("::ffff:192.0.2.7", network("192.0.2.7/32")),
            ("[2001:db8::1]", network("2001:db8::1/128")),
            ("10.1.2.3/8", network("10.0.0.0/8")),
            ("example.com.", Some(Subject::Name("example.com".into()))),
            ("python3.11", Some(Subject::Name("python3.11".into()))),
            (" ", None),
        ] {
            assert_eq!(Subject::parse(word), expected, "{word}");
        }
        let digest = "AB".repeat(32);
        assert_eq!(
            Subject::parse(&digest),
            Some(Subject::Sha256("ab".repeat(32).into()))
        );
    }
}
