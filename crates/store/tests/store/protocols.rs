//! What was said inside conversations: kept, told again, asked for by SQL.

use std::sync::Arc;

use atalaya_model::protocol::dns::{Answer, Data, Dns, Question, Response};
use atalaya_model::protocol::tls::{ClientHello, Tls};
use atalaya_model::protocol::{Http, Message, Other, Protocol};
use atalaya_model::*;
use atalaya_store::{Entry, Reader};
use rusqlite::types::Value as Sql;

use crate::sample::{NOW, open};
use crate::sums::{Talk, connection};

fn dns() -> Dns {
    Dns {
        id: 7,
        asked: Some(NOW),
        questions: [Question {
            name: "www.example.org".into(),
            as_sent: None,
            kind: 1,
            class: 1,
        }]
        .into(),
        response: Some(Response {
            time: Time(NOW.0 + 1_500),
            answers: [Answer {
                name: "www.example.org".into(),
                kind: 1,
                class: 1,
                ttl: 60,
                data: Data::Address("203.0.113.7".parse().unwrap()),
            }]
            .into(),
            ..Response::default()
        }),
        ..Dns::default()
    }
}

fn messages() -> Vec<Message> {
    let tls = Tls {
        version: Some(0x0303),
        client: Some(ClientHello {
            server_name: Some("example.org".into()),
            protocols: ["h2".into(), "http/1.1".into()].into(),
            ja4: "t13d1516h2_8daaf6152771_b186095e22b6".into(),
            ..ClientHello::default()
        }),
        ..Tls::default()
    };
    let http = Http {
        version: 11,
        method: Some("GET".into()),
        host: Some("example.org".into()),
        path: Some("/a?b=1".into()),
        status: Some(404),
        ..Http::default()
    };
    let other = Other {
        application: Application::BitTorrent,
        attributes: vec![("peer".into(), "x".into())],
    };
    vec![
        Message::Dns(dns().into()),
        Message::Tls(tls.into()),
        Message::Http(http.into()),
        Message::Other(other.into()),
    ]
}

fn talk() -> Talk {
    Talk {
        program: 1,
        remote: 7,
        port: 443,
        inbound: false,
        started_before: false,
        bytes: (1, 1),
    }
}

/// Facts before, within and after the batch in which their conversation ends, and one of a conversation never told.
pub(crate) fn story(path: &std::path::Path) -> Vec<Event> {
    let at = |offset: i64| Time(NOW.0 + offset);
    let it = Arc::new(connection(5, NOW, talk()));
    let unknown = Arc::new(connection(99, NOW, talk()));
    let said = |time: Time, of: &Arc<Connection>, message: Message| {
        let connection = of.clone();
        let fact = Protocol {
            time: NOW,
            connection,
            message,
        };
        Event::new(time, Fact::Protocol(Arc::new(fact)))
    };
    let [dns, tls, http, other] = <[Message; 4]>::try_from(messages()).unwrap();
    let closed = Connection {
        ended: Some(at(4)),
        ..Connection::clone(&it)
    };
    let events = vec![
        Event::new(NOW, Fact::ConnectionOpened(it.clone())),
        said(at(1), &it, dns.clone()),
        said(at(2), &it, tls),
        said(at(3), &it, http),
        Event::new(at(4), Fact::ConnectionClosed(Arc::new(closed))),
        said(at(5), &it, other),
        said(at(6), &unknown, dns),
    ];
    let mut writer = open(path);
    for chunk in events.chunks(2) {
        let entries: Vec<_> = chunk.iter().cloned().map(Entry::Event).collect();
        writer.write(&entries).unwrap();
    }
    events
}

#[test]
fn facts_come_back_with_their_conversation() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let written = story(&path);
    let found: Vec<_> = Reader::open(&path)
        .unwrap()
        .history(Time(0)..Time(i64::MAX))
        .map(Result::unwrap)
        .filter(|event| matches!(event.fact, Fact::Protocol(_)))
        .collect();
    let said = |event: &Event| match &event.fact {
        Fact::Protocol(it) => (event.time, it.time, it.message.clone(), it.connection.cookie),
        other => panic!("{other:?}"),
    };
    let wanted: Vec<_> = written
        .iter()
        .filter(|event| matches!(&event.fact, Fact::Protocol(it) if it.connection.id == 5))
        .map(said)
        .collect();
    assert_eq!(wanted.len(), 4);
    assert_eq!(found.iter().map(said).collect::<Vec<_>>(), wanted);
}

#[test]
fn facts_can_be_asked_for_by_sql() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    story(&path);
    let database = rusqlite::Connection::open(&path).unwrap();
    let ask = |sql: &str| -> Vec<Vec<Sql>> {
        let mut statement = database.prepare(sql).unwrap();
        let columns = statement.column_count();
        let rows = statement.query_map([], |row| (0..columns).map(|place| row.get(place)).collect());
        rows.unwrap().map(Result::unwrap).collect()
    };
    let text = |text: &str| Sql::Text(text.into());
    let rows = ask(
        "SELECT dns_question_name, dns_question_type, dns_response_code, dns_answers, dns_response_time, \
         destination_ip, destination_port, pid, connection IS NULL FROM dns ORDER BY id",
    );
    assert_eq!(rows.len(), 2);
    let wanted = [
        text("www.example.org"),
        text("A"),
        text("NOERROR"),
        text(r#"["203.0.113.7"]"#),
        Sql::Integer(1_500),
        text("203.0.113.7"),
        Sql::Integer(443),
        Sql::Integer(1),
    ];
    assert_eq!(rows[0][..8], wanted);
    assert_eq!((&rows[0][8], &rows[1][8]), (&Sql::Integer(0), &Sql::Integer(1)));
    let rows = ask("SELECT server_name, alpn, ja4, tls_version, ja3 FROM tls");
    let wanted = [
        text("example.org"),
        text(r#"["h2","http/1.1"]"#),
        text("t13d1516h2_8daaf6152771_b186095e22b6"),
        text("1.2"),
        Sql::Null,
    ];
    assert_eq!(rows, [wanted.to_vec()]);
    let rows = ask("SELECT http_method, url_domain, url_path, http_status, transport FROM http");
    let wanted = [
        text("GET"),
        text("example.org"),
        text("/a"),
        Sql::Integer(404),
        text("tcp"),
    ];
    assert_eq!(rows, [wanted.to_vec()]);
    let rows = ask("SELECT protocol, document -> '$.other.attributes[0]' FROM protocols");
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0][1], text(r#"["peer","x"]"#));
    // Every view answers, also those that nothing fills yet.
    for row in ask("SELECT name FROM sqlite_schema WHERE type = 'view'") {
        let Sql::Text(name) = &row[0] else {
            panic!("{row:?}")
        };
        ask(&format!("SELECT * FROM {name}"));
    }
    for view in [
        "executables",
        "programs",
        "addresses",
        "incidents",
        "scans",
        "runs",
        "traffic_by_minute",
    ] {
        ask(&format!("SELECT * FROM {view}"));
    }
}
