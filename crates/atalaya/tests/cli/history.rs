//! A database with some history, for verbs that ask it.

use std::path::PathBuf;
use std::sync::Arc;

use atalaya_host::clock;
use atalaya_model::connection::Traffic;
use atalaya_model::*;
use atalaya_store::{Entry, Options, Writer};

use crate::home::Home;

/// Conversations in it, one a minute until now.
pub(crate) const CONNECTIONS: usize = 30;

/// Writes `history.db`, where it is not there yet: conversations of one process that bears a hostile name.
pub(crate) fn make(home: &Home) -> PathBuf {
    let path = home.path("history.db");
    if path.exists() {
        return path;
    }
    let now = clock::now();
    let mut writer = Writer::open(&path, &Options::new("boot", "0.1.0", now)).unwrap();
    let process = Arc::new(Process {
        executable: Some("/tmp/\u{1b}[2Jcurl".into()),
        ..Process::bare(ProcessKey { pid: 7, start: 7 }, "=curl".into(), now)
    });
    let batch: Vec<_> = (0..CONNECTIONS)
        .map(|number| {
            let started = now.after(Span(-60_000_000 * (CONNECTIONS - number) as i64));
            let connection = Connection {
                id: number as u64 + 1,
                ended: Some(started),
                direction: Direction::Outbound,
                scope: Scope::External,
                state: SocketState::Close,
                network_namespace: 1,
                cookie: number as u64,
                user_id: Some(0),
                traffic: Some(Traffic {
                    sent_bytes: 9_000_000,
                    ..Traffic::default()
                }),
                outcome: Outcome::Finished,
                name: Some("www.example.com".into()),
                name_source: Some(NameSource::Resolver),
                process: Some(process.clone()),
                attribution: Evidence::KernelEvent.into(),
                ..Connection::bare(
                    started,
                    Transport::Tcp,
                    Endpoint::new("192.0.2.1".parse().unwrap(), 40_000),
                    Endpoint::new("203.0.113.9".parse().unwrap(), 443),
                )
            };
            Entry::Event(Event::new(started, Fact::ConnectionClosed(connection.into())))
        })
        .collect();
    writer.write(&batch).unwrap();
    writer.close(now).unwrap();
    path
}
