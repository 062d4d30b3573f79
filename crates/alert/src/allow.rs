//! The allow-list: what the owner of the host knows and does not want to be told.

use std::fmt;
use std::net::IpAddr;

use atalaya_model::{Connection, Direction, Finding, Listener, Problem, Process, Span, Time, Value};
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de};

use crate::pattern;

/// One entry `[[allow]]`. A finding is allowed when every part given here matches it; an entry needs at least one of
/// `process`, `port`, `destination` and `rule`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Allow {
    /// Path of the executable or script (`/usr/bin/curl`, `/opt/backup/*`), or a name without `/`. Globs with `*` and
    /// `?`. A path is safer: a process chooses its own name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<String>,
    /// The port that answers: of the remote side for outgoing connections, of this host for incoming ones and for
    /// listeners.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The remote side: an address, a CIDR, or a glob of its name (`*.example.org`). For listeners the address they
    /// are bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
    /// Only findings of this rule (a glob).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Why it is allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Until when: a date (that day included) or a time in RFC 3339.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "date_or_text"
    )]
    #[schemars(with = "Option<String>")]
    pub expires: Option<String>,
}

/// Entries ready to be matched.
#[derive(Debug, Default)]
pub struct AllowList(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    process: Option<String>,
    port: Option<u16>,
    destination: Option<Destination>,
    rule: Option<String>,
    expires: Option<Time>,
}

#[derive(Debug)]
enum Destination {
    Network(IpNet),
    Name(String),
}

impl AllowList {
    /// Reads entries. Bad and expired ones are left out, each with a problem; `path` is the file they stand in.
    /// `rules` are the rules there are, to notice a mistyped one; empty skips that check.
    pub fn compile(entries: &[Allow], path: &str, now: Time, rules: &[&str]) -> (Self, Vec<Problem>) {
        let mut list = Vec::with_capacity(entries.len());
        let mut problems = Vec::new();
        for (number, entry) in (1..).zip(entries) {
            match Entry::read(entry, now, rules) {
                Ok(entry) => list.push(entry),
                Err((message, hint)) => problems.push(Problem {
                    path: path.to_owned(),
                    line: None,
                    column: None,
                    message: format!("`[[allow]]` entry {number}{}: {message}", Comment(entry)),
                    hint: Some(hint),
                }),
            }
        }
        (Self(list), problems)
    }

    /// Is this finding allowed at `now`?
    pub fn allows(&self, finding: &Finding, now: Time) -> bool {
        self.0.iter().any(|entry| entry.allows(finding, now))
    }

    /// How many entries are in force.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Is nothing allowed?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Entry {
    fn read(entry: &Allow, now: Time, rules: &[&str]) -> Result<Self, (String, String)> {
        let nothing = entry.process.is_none()
            && entry.port.is_none()
            && entry.destination.is_none()
            && entry.rule.is_none();
        if nothing {
            let hint = "give at least one of `process`, `port`, `destination` and `rule`";
            return Err(("would allow everything".into(), hint.into()));
        }
        for (key, text) in [("process", &entry.process), ("rule", &entry.rule)] {
            if text.as_ref().is_some_and(|text| text.trim().is_empty()) {
                return Err((
                    format!("`{key}` is empty"),
                    format!("leave `{key}` out, or fill it in"),
                ));
            }
        }
        if let Some(rule) = &entry.rule
            && !rules.is_empty()
            && !rules.iter().any(|known| pattern::matches(rule, known))
        {
            let hint = format!("the rules are {}", rules.join(", "));
            return Err((format!("there is no rule `{rule}`"), hint));
        }
        let expires = entry.expires.as_deref().map(read_expiry).transpose()?;
        if let (Some(expires), Some(text)) = (expires, &entry.expires)
            && expires <= now
        {
            let hint = "remove the entry, or give it a later date";
            return Err((format!("expired at {text} and is ignored"), hint.into()));
        }
        Ok(Self {
            process: entry.process.clone(),
            port: entry.port,
            destination: entry.destination.as_deref().map(Destination::read).transpose()?,
            rule: entry.rule.clone(),
            expires,
        })
    }

    fn allows(&self, finding: &Finding, now: Time) -> bool {
        self.expires.is_none_or(|expires| now < expires)
            && self
                .rule
                .as_ref()
                .is_none_or(|rule| pattern::matches(rule, &finding.rule))
            && self.process.as_ref().is_none_or(|pattern| {
                finding
                    .process
                    .as_ref()
                    .is_some_and(|process| is_process(pattern, process))
            })
            && self.allows_network(finding)
    }

    /// Port and destination must match every example: one that does not is a reason to tell.
    fn allows_network(&self, finding: &Finding) -> bool {
        if self.port.is_none() && self.destination.is_none() {
            return true;
        }
        let connections = finding.connections.iter().all(|connection| {
            self.port.is_none_or(|port| has_port(connection, port))
                && self.destination.as_ref().is_none_or(|destination| {
                    destination.is(connection.remote().ip) || destination.is_named_in(finding)
                })
        });
        let listener = finding
            .listener
            .as_deref()
            .is_none_or(|listener| self.allows_listener(listener));
        let examples = !finding.connections.is_empty() || finding.listener.is_some();
        if examples {
            return connections && listener;
        }
        // No example: only what the detector wrote down can match.
        self.port.is_none_or(|port| {
            finding
                .value("port")
                .is_some_and(|value| *value == Value::Integer(port.into()))
        }) && self
            .destination
            .as_ref()
            .is_none_or(|destination| destination.is_named_in(finding))
    }

    fn allows_listener(&self, listener: &Listener) -> bool {
        self.port.is_none_or(|port| listener.local.port == port)
            && self
                .destination
                .as_ref()
                .is_none_or(|destination| destination.is(listener.local.ip))
    }
}

fn has_port(connection: &Connection, port: u16) -> bool {
    connection.destination.port == port
        // Where nobody knows who began, either end may be the one that answers.
        || connection.direction == Direction::Unknown && connection.source.port == port
}

fn is_process(pattern: &str, process: &Process) -> bool {
    let paths = [process.executable.as_deref(), process.script.as_deref()];
    let mut paths = paths.into_iter().flatten();
    if pattern.contains('/') {
        return paths.any(|path| pattern::matches(pattern, path));
    }
    pattern::matches(pattern, &process.name)
        || paths.any(|path| pattern::matches(pattern, path.rsplit('/').next().unwrap_or(path)))
}

impl Destination {
    fn read(text: &str) -> Result<Self, (String, String)> {
        let text = text.trim();
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Ok(Self::Network(ip.to_canonical().into()));
        }
        if let Ok(network) = text.parse::<IpNet>() {
            return Ok(Self::Network(network));
        }
        let numeric = text.chars().all(|c| c.is_ascii_digit() || c == '.');
        if text.is_empty() || text.contains(['/', ':']) || (numeric && !text.contains('*')) {
            let hint = "write an address (`192.0.2.1`), a CIDR (`10.0.0.0/8`, `2001:db8::/32`) or a name (`*.example.org`)";
            return Err((format!("`{text}` is not a destination"), hint.into()));
        }
        Ok(Self::Name(text.to_ascii_lowercase()))
    }

    fn is(&self, ip: IpAddr) -> bool {
        match self {
            Self::Network(network) => network.contains(&ip),
            Self::Name(pattern) => pattern::matches(pattern, &ip.to_string()),
        }
    }

    /// Does the detector name it in its values?
    fn is_named_in(&self, finding: &Finding) -> bool {
        finding.values.iter().any(|(key, value)| match value {
            Value::Address(ip) => self.is(*ip),
            Value::Text(text) if matches!(&**key, "domain" | "host" | "destination" | "name") => match self {
                Self::Name(pattern) => pattern::matches(pattern, &text.to_ascii_lowercase()),
                Self::Network(_) => text.parse().is_ok_and(|ip| self.is(ip)),
            },
            _ => false,
        })
    }
}

/// The moment from which an entry does not count: a bare date lasts to the end of its day.
fn read_expiry(text: &str) -> Result<Time, (String, String)> {
    let text = text.trim();
    let time = Time::parse(text).ok_or_else(|| {
        let hint = "write a date (`2027-01-31`) or a time in RFC 3339 (`2027-01-31T18:00:00Z`)";
        (format!("`{text}` is not a date"), hint.to_owned())
    })?;
    let is_date = text.len() == "2027-01-31".len();
    Ok(if is_date {
        time.after(Span::from_seconds(86_400))
    } else {
        time
    })
}

/// The entry's comment in brackets: it tells the owner which entry is meant.
struct Comment<'a>(&'a Allow);

impl fmt::Display for Comment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.comment {
            Some(comment) => write!(f, " ({})", comment.escape_debug()),
            None => Ok(()),
        }
    }
}

/// Text, or a date that stands without quotes in TOML: its deserialiser shows one as a map of one private key.
fn date_or_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    struct Visitor;
    impl<'de> de::Visitor<'de> for Visitor {
        type Value = Option<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a date, such as 2027-01-31, or a time in RFC 3339")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
            Ok(Some(text.to_owned()))
        }

        fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let (_, text): (String, String) = map
                .next_entry()?
                .ok_or_else(|| de::Error::custom("expected a date"))?;
            Ok(Some(text))
        }
    }
    deserializer.deserialize_any(Visitor)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::desk::samples;

    const NOW: Time = Time::from_seconds(1_763_674_023);

    fn allows(entry: &str, finding: &Finding) -> bool {
        let entry: Allow = toml::from_str(entry).unwrap();
        let (list, problems) = AllowList::compile(&[entry], "test.toml", NOW, &[]);
        assert!(problems.is_empty(), "{problems:?}");
        list.allows(finding, NOW)
    }

    #[track_caller]
    fn problem(entry: &str) -> String {
        let entry: Allow = toml::from_str(entry).unwrap();
        let (list, problems) = AllowList::compile(&[entry], "test.toml", NOW, &["dns_rate"]);
        assert!(list.is_empty());
        problems[0].to_string()
    }

    /// `/usr/bin/nc` (named `nc`) connected to 203.0.113.9:4444.
    fn found() -> Finding {
        samples::connected("suspicious_port", "203.0.113.9:4444")
    }

    #[test]
    fn every_given_part_must_match() {
        let yes = [
            "process = '/usr/bin/nc'",
            "process = 'nc'",
            "process = '/usr/*'",
            "port = 4444",
            "destination = '203.0.113.9'",
            "destination = '203.0.113.0/24'",
            "destination = '203.0.113.*'",
            "rule = 'suspicious_*'",
            "process = 'n?'\nport = 4444\ndestination = '203.0.0.0/16'\nrule = 'suspicious_port'",
        ];
        for entry in yes {
            assert!(allows(entry, &found()), "{entry}");
        }
        let no = [
            "process = '/usr/bin/ncat'",
            "process = 'bin/nc'",
            "port = 4445",
            "destination = '203.0.112.0/24'",
            "destination = '*.example.org'",
            "rule = 'dns_rate'",
            "process = 'nc'\nport = 443",
        ];
        for entry in no {
            assert!(!allows(entry, &found()), "{entry}");
        }
    }

    #[test]
    fn one_example_that_does_not_match_is_told() {
        let mut finding = found();
        let mut other = (*finding.connections[0]).clone();
        other.destination.ip = "198.51.100.1".parse().unwrap();
        finding.connections.push(Arc::new(other));
        assert!(!allows("destination = '203.0.113.9'", &finding));
        assert!(allows("port = 4444", &finding));
    }

    #[test]
    fn listeners_match_by_bound_port_and_address() {
        let finding = samples::listening("unusual_listener", "0.0.0.0:8080");
        assert!(allows("port = 8080", &finding));
        assert!(allows("port = 8080\ndestination = '0.0.0.0'", &finding));
        assert!(!allows("port = 8081", &finding));
        assert!(!allows("port = 8080\ndestination = '127.0.0.0/8'", &finding));
    }

    #[test]
    fn a_finding_without_examples_matches_by_its_values_only() {
        let mut finding = samples::finding("dns_rate", "nc");
        assert!(!allows("port = 53", &finding));
        finding.values.push(("port".into(), Value::Integer(53)));
        finding.values.push(("domain".into(), "T.Example.ORG".into()));
        assert!(allows("port = 53\ndestination = '*.example.org'", &finding));
    }

    #[test]
    fn expired_entries_are_ignored_and_reported() {
        let text = problem("port = 4444\nexpires = '2025-11-19'\ncomment = 'until the move'");
        assert_eq!(
            text,
            "test.toml: `[[allow]]` entry 1 (until the move): expired at 2025-11-19 and is ignored\n  hint: remove the entry, or give it a later date"
        );
        // TOML's own dates, without quotes, too.
        assert!(problem("port = 1\nexpires = 2025-11-19").contains("expired"));
        assert!(problem("port = 1\nexpires = 2025-11-20T21:00:00Z").contains("expired"));
        assert!(allows("port = 4444\nexpires = 2026-01-01", &found()));
        let entry = Allow {
            port: Some(4444),
            expires: Some("2025-11-20T21:27:04Z".into()),
            ..Allow::default()
        };
        let (list, _) = AllowList::compile(&[entry], "", NOW, &[]);
        assert!(list.allows(&found(), NOW));
        assert!(!list.allows(&found(), NOW.after(Span::from_seconds(1))));
    }

    #[test]
    fn mistakes_are_reported_and_allow_nothing() {
        for (entry, message) in [
            ("", "would allow everything"),
            ("comment = 'all of it'", "would allow everything"),
            ("process = ''", "`process` is empty"),
            (
                "destination = '10.0.0.0/33'",
                "`10.0.0.0/33` is not a destination",
            ),
            ("destination = '10.0.0'", "`10.0.0` is not a destination"),
            ("destination = '2001:db8::zz'", "is not a destination"),
            ("rule = 'dns_rat'", "there is no rule `dns_rat`"),
            ("port = 1\nexpires = 'soon'", "`soon` is not a date"),
        ] {
            let text = problem(entry);
            assert!(
                text.contains(message) && text.contains("hint: "),
                "{entry}: {text}"
            );
        }
        assert!(toml::from_str::<Allow>("prt = 5").is_err());
        assert!(toml::from_str::<Allow>("port = 70000").is_err());
    }
}
