//! What packets told of a conversation stands beside its row, and goes with it.

use std::sync::Arc;

use atalaya_model::fields::{self, Kind};
use atalaya_model::filter::{Expression, parse};
use atalaya_model::*;
use atalaya_store::{Entry, Reader, Stored};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::sample::{self, NOW, open};

/// A value of a strategy, always the same.
fn one<T: std::fmt::Debug>(strategy: impl Strategy<Value = T>) -> T {
    match strategy.new_tree(&mut TestRunner::deterministic()) {
        Ok(tree) => tree.current(),
        Err(reason) => unreachable!("{reason}"),
    }
}

fn connection(id: u64, state: ConnectionState) -> Connection {
    let mut connection = one(sample::connection(id));
    connection.wire = Some(Box::new(Wire {
        state,
        history: "ShADadFf".into(),
        ..one(sample::wire())
    }));
    connection
}

#[test]
fn what_packets_told_comes_back_and_can_be_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let mut writer = open(&path);
    let opened = connection(1, ConnectionState::S1);
    let mut closed = Connection {
        ended: Some(NOW),
        ..connection(1, ConnectionState::SF)
    };
    let quiet = one(sample::connection(2));
    writer
        .write(&[
            Entry::Event(Event::new(NOW, Fact::ConnectionOpened(Arc::new(opened)))),
            Entry::Event(Event::new(NOW, Fact::ConnectionOpened(Arc::new(quiet)))),
            Entry::Event(Event::new(NOW, Fact::ConnectionClosed(Arc::new(closed.clone())))),
        ])
        .unwrap();
    drop(writer);
    let reader = Reader::open(&path).unwrap();
    let all = reader.select(Kind::Connection, &Expression::All, 10).unwrap();
    assert_eq!(all.len(), 2);
    let sf = parse("conn_state:SF history:ShADadFf").unwrap();
    let found = reader.select(Kind::Connection, &sf, 10).unwrap();
    let [Stored::Connection(found)] = &found[..] else {
        panic!("{found:?}");
    };
    // The store gives its own id.
    closed.id = found.id;
    assert_eq!(found.wire, closed.wire);
    assert!(fields::of_wire().all(|field| !field.of.contains(&Kind::Alert)));
    let database = rusqlite::Connection::open(&path).unwrap();
    let rows = || -> i64 {
        let count = database.query_row("SELECT count(*) FROM wire", [], |row| row.get(0));
        count.unwrap()
    };
    assert_eq!(rows(), 1, "a row only where packets told something");
    database.execute("DELETE FROM connection", []).unwrap();
    assert_eq!(rows(), 0);
}
