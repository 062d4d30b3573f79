//! The grammar against its page, against real records, and against anything at all.

use std::sync::Arc;

use proptest::prelude::*;

use super::value::network;
use super::*;
use crate::fields::{self, Record, Type};
use crate::*;

const PAGE: &str = include_str!("../../../../docs/filter.md");

/// The lines of the page's boxes of this kind.
fn boxes(kind: &str) -> Vec<&'static str> {
    let mut lines = Vec::new();
    let mut inside = false;
    for line in PAGE.lines() {
        if let Some(info) = line.strip_prefix("```") {
            inside = info == kind;
        } else if inside {
            lines.push(line);
        }
    }
    lines
}

#[test]
fn every_example_of_the_page_parses() {
    let examples = boxes("filter");
    assert!(examples.len() > 40, "{}", examples.len());
    for line in examples {
        let expression = parse(line).unwrap_or_else(|error| panic!("{error}"));
        let shown = expression.to_string();
        assert_eq!(parse(&shown).as_ref(), Ok(&expression), "{line} became {shown}");
    }
}

#[test]
fn every_error_of_the_page_is_one() {
    let examples = boxes("filter-error");
    assert!(examples.len() > 10);
    for line in examples {
        let error = parse(line).expect_err(line);
        assert!(error.offset <= line.len());
        assert!(error.to_string().contains('^'));
    }
    let shown = boxes("text").join("\n");
    assert_eq!(
        parse("process.name:ssh destination.prt:443")
            .unwrap_err()
            .to_string(),
        shown
    );
}

fn process() -> Arc<Process> {
    let key = ProcessKey { pid: 42, start: 7 };
    let mut process = Process::bare(key, "ssh".into(), Time::from_seconds(1_000));
    process.executable = Some("/usr/bin/ssh".into());
    process.command_line = Some("ssh -p 443 bob@example.org".into());
    process.ancestors = Arc::from([process::Ancestor {
        key: ProcessKey { pid: 9, start: 1 },
        name: "bash".into(),
        executable: None,
    }]);
    Arc::new(process)
}

fn connection() -> Connection {
    Connection {
        id: 1,
        seen: Time::parse("2026-11-20T21:37:03.5Z").unwrap(),
        direction: Direction::Outbound,
        scope: Scope::External,
        network_namespace: 4_026_531_840,
        cookie: 5,
        user_id: Some(1000),
        traffic: Some(connection::Traffic {
            sent_bytes: 1_500_000,
            received_bytes: 10,
            ..Default::default()
        }),
        outcome: Default::default(),
        service: Some("https".into()),
        process: Some(process()),
        attribution: Evidence::Descriptor.into(),
        ..Connection::bare(
            Time::parse("2026-11-20T21:27:03.5Z").unwrap(),
            Transport::Tcp,
            Endpoint::new("192.168.1.50".parse().unwrap(), 45_123),
            Endpoint::new("203.0.113.7".parse().unwrap(), 443),
        )
    }
}

#[track_caller]
fn check(filter: &str, expected: bool) {
    let connection = connection();
    let expression = parse(filter).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(
        expression.matches(&Record::Connection(&connection)),
        expected,
        "{filter}"
    );
}

#[test]
fn what_matches() {
    for filter in [
        "",
        "*",
        "ssh",
        "SSH",
        "process.name:SSH",
        "NAME:s*",
        "exe:/usr/bin/ssh",
        "exe:/usr/*/ssh",
        "exe:/bin/",
        "exe:/SSH$/i",
        "cmdline:\"ssh -p 443 bob@example.org\"",
        "cmdline~\"-p 443\"",
        "192.168.1.50",
        "ip:203.0.113.0/24",
        "203.0.113",
        "\"203.0.113.7\"",
        "dst:203.0.*",
        "port:443",
        "port:45123",
        "dport:80,443",
        "dport:400..500",
        "dport>=443 dport<=443 !dport>443 !dport<443",
        "bytes>1.5MB",
        "src.bytes:1500kB",
        "duration:10m",
        "duration>5m",
        "start:2026-11-20T21:27:03Z",
        "start>2026-11-20T21:27:03Z",
        "start:..2026-11-20T21:27:03Z",
        "time<2026-11-20T21:27:04Z",
        "ancestors:\"bash(9)\"",
        "state:established scope:external",
        "started_before:no",
        "name:nope or name:ssh",
        "name:nope name:nope or name:ssh",
        "name!=nope",
        "!user:root",
        "service:https",
    ] {
        check(filter, true);
    }
}

#[test]
fn what_does_not() {
    for filter in [
        "name:ss",
        "name:\"ss*\"",
        "exe:/SSH$/",
        "ip:203.0.113.8",
        "203.0.113.70",
        "port:44",
        "bytes>1500010",
        "deleted:true",
        "user:root",
        "user:*",
        "listen.port:443",
        "rule:*",
        "severity>=info",
        "start:2026-11-20T21:27:03.6Z",
        "name:nope (name:nope or name:ssh)",
        "!ssh",
        "not (a or ssh)",
    ] {
        check(filter, false);
    }
}

#[test]
fn kinds_without_a_field_fail_the_comparison() {
    let process = process();
    let record = Record::Process(&process);
    assert!(!parse("destination.port:443").unwrap().matches(&record));
    assert!(parse("!destination.port:443").unwrap().matches(&record));
    assert!(parse("name:ssh").unwrap().matches(&record));
}

#[test]
fn severities_compare_by_rank() {
    let parsed = parse("severity>low").unwrap();
    assert_eq!(parsed, parse("event.severity>30").unwrap());
    assert!(parse("severity>=7").is_err());
}

#[test]
fn limits_hold() {
    assert!(parse(&"a".repeat(MAX_TEXT + 1)).is_err());
    assert!(parse(&"a".repeat(MAX_TEXT)).is_ok());
    assert!(parse(&format!("{}a{}", "(".repeat(MAX_DEPTH), ")".repeat(MAX_DEPTH))).is_ok());
    assert!(parse(&format!("{}a", "!".repeat(MAX_DEPTH + 1))).is_err());
    assert!(parse(&"(".repeat(MAX_TEXT)).is_err());
    let list = |count: usize| format!("port:{}", vec!["1"; count].join(","));
    assert!(parse(&list(MAX_LIST)).is_ok());
    assert!(parse(&list(MAX_LIST + 1)).is_err());
    assert!(parse(&"/a/ ".repeat(MAX_REGEXES)).is_ok());
    assert!(parse(&"/a/ ".repeat(MAX_REGEXES + 1)).is_err());
}

fn a_test(kind: Type) -> BoxedStrategy<Test> {
    let word = "[a-z*?:/.éx\\\\-]{1,12}";
    let text = prop_oneof![
        any::<String>().prop_map(|text| Test::Equals(text.into())),
        word.prop_filter("not existence", |w| w != "*" && Glob::has_wildcard(w))
            .prop_filter("not a regular expression", |w| !w.starts_with('/'))
            .prop_map(|w| Test::Glob(Glob::new(&w))),
        ("[a-z/ .é]{1,8}", any::<bool>())
            .prop_map(|(source, ignore)| Test::Regex(Pattern::new(&source, ignore).unwrap())),
    ];
    let one = match kind {
        Type::Text | Type::Texts => text.boxed(),
        Type::Address => (any::<std::net::IpAddr>(), any::<u8>())
            .prop_map(|(ip, prefix)| {
                let width = if ip.is_ipv4() { 33 } else { 129 };
                network(&format!("{ip}/{}", u32::from(prefix) % width)).unwrap()
            })
            .prop_map(Test::Within)
            .boxed(),
        Type::Bool => any::<bool>().prop_map(Test::Is).boxed(),
        Type::Time => (-300_000_000_000_000_000..200_000_000_000_000_000i64, any::<u32>())
            .prop_map(|(low, more)| Test::Range {
                low,
                high: low + i64::from(more),
            })
            .boxed(),
        Type::Integer | Type::Bytes | Type::Span => (any::<i64>(), any::<i64>(), 0..3)
            .prop_map(|(a, b, open)| Test::Range {
                low: if open == 0 { i64::MIN } else { a.min(b) },
                high: if open == 1 { i64::MAX } else { a.max(b) },
            })
            .boxed(),
    };
    let contains = any::<String>().prop_map(|text| Test::Contains(text.into()));
    let textual = matches!(kind, Type::Text | Type::Texts | Type::Address);
    prop_oneof![
        6 => one.clone(),
        1 => Just(Test::Exists),
        2 => proptest::collection::vec(one.clone(), 2..4).prop_map(Test::Any),
        2 => if textual { contains.boxed() } else { one },
    ]
    .boxed()
}

fn a_comparison() -> impl Strategy<Value = Expression> {
    let names: Vec<&str> = fields::all()
        .map(|field| field.name)
        .chain(names::GROUPS.iter().map(|(name, ..)| *name))
        .collect();
    proptest::sample::select(names).prop_flat_map(|name| {
        let named = names::find(name).unwrap();
        let fields = named.fields;
        a_test(named.kind).prop_map(move |test| Expression::Compare {
            fields: fields.clone(),
            test,
        })
    })
}

fn an_expression() -> impl Strategy<Value = Expression> {
    let leaf = prop_oneof![1 => Just(Expression::All), 9 => a_comparison()];
    leaf.prop_recursive(4, 16, 3, |inner| {
        let several = proptest::collection::vec(inner.clone(), 2..4);
        prop_oneof![
            several.clone().prop_map(Expression::And),
            several.prop_map(Expression::Or),
            inner.prop_map(|item| Expression::Not(Box::new(item))),
        ]
    })
}

proptest! {
    #[test]
    fn shown_and_read_again_it_is_the_same(expression in an_expression()) {
        let shown = expression.to_string();
        if shown.len() <= MAX_TEXT {
            let read = parse(&shown).unwrap_or_else(|error| panic!("{error}"));
            prop_assert_eq!(&read, &expression, "{}", shown);
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in any::<String>()) {
        if let Err(error) = parse(&text) {
            let shown = error.to_string();
            prop_assert!(!shown.contains('\u{1b}'), "an escape got through");
        }
    }

    #[test]
    fn no_near_filter_makes_it_panic(
        parts in proptest::collection::vec(
            proptest::sample::select(vec![
                "name", "port", "ip", "time", "bytes", ":", "~", ">", "<=", "!", "(", ")", "/", "\"", "\\", ",", " ",
                "or", "not", "*", "..", "10.0.0.0/8", "5m", "2026-11-20", "é", "\n", "-", "1",
            ]),
            0..24,
        ),
    ) {
        let text = parts.concat();
        match parse(&text) {
            Ok(expression) => {
                expression.matches(&Record::Connection(&connection()));
                let shown = expression.to_string();
                prop_assert_eq!(&parse(&shown), &Ok(expression), "{}", text);
            }
            Err(error) => prop_assert!(error.offset <= text.len()),
        }
    }
}
