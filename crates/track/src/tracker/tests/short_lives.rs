//! Connections that live between two looks.

use super::*;

#[test]
fn a_short_life_waits_for_the_listener_that_the_next_look_brings() {
    let mut bench = Bench::new();
    bench.look(vec![]);
    // Both ports are a client's; the server's is the higher one, and its listener is not known yet.
    let between = Owners::Unknown(Evidence::BetweenLooks);
    let (server, client) = ("127.0.0.1:55000", "127.0.0.1:50050");
    let accepted = tcp(20, server, client, SocketState::Close, between.clone());
    let opened = tcp(21, client, server, SocketState::Close, between);
    assert!(bench.closed(accepted).is_empty());
    assert!(bench.closed(opened).is_empty());
    let events = bench.look(vec![listening(22, server, 1)]);
    let told: Vec<_> = events
        .iter()
        .filter(|event| event.fact.action() == "connection_closed")
        .collect();
    assert_eq!(told.len(), 2, "{events:?}");
    for event in told {
        let connection = connection(event);
        assert_eq!(
            (connection.source, connection.destination),
            (end(client), end(server))
        );
        assert_eq!(event.time, at(1), "it keeps its own time");
    }
}

#[test]
fn a_short_life_is_told_even_when_no_look_follows() {
    let mut bench = Bench::new();
    bench.look(vec![]);
    let owners = Owners::Unknown(Evidence::BetweenLooks);
    let socket = tcp(
        20,
        "192.0.2.1:55000",
        "198.51.100.7:50050",
        SocketState::Close,
        owners,
    );
    assert!(bench.closed(socket).is_empty());
    let mut events = Vec::new();
    bench.tracker.finish(&mut events);
    assert_eq!(actions(&events), ["connection_opened", "connection_closed"]);
}

#[test]
fn the_exit_code_comes_with_the_end_and_is_no_change_of_its_own() {
    let mut bench = Bench::new();
    let mut process = Process::bare(ProcessKey { pid: 7, start: 70 }, "brief".into(), at(0));
    let started = bench.observe(Observation::Process(at(0), Arc::new(process.clone())));
    process.exit_code = Some(3);
    let last = bench.observe(Observation::Process(at(0), Arc::new(process.clone())));
    let ended = bench.observe(Observation::ProcessGone(at(0), process.key));
    assert_eq!(actions(&started), ["process_started"]);
    assert_eq!(actions(&last), [""; 0]);
    assert_eq!(actions(&ended), ["process_ended"]);
    assert!(matches!(&ended[0].fact, Fact::ProcessEnded(process) if process.exit_code == Some(3)));
}

#[test]
fn a_notice_that_comes_after_the_look_tells_no_second_life() {
    let mut bench = Bench::new();
    let socket = established(20, "192.0.2.1:55000", "198.51.100.7:443", 5);
    bench.look(vec![socket.clone()]);
    // It is destroyed after the notices were read, and before the table was.
    assert_eq!(actions(&bench.look(vec![])), ["connection_closed"]);
    assert_eq!(actions(&bench.closed(socket.clone())), [""; 0]);
    // Were it there again, it would be another conversation.
    bench.look(vec![socket.clone()]);
    assert_eq!(actions(&bench.closed(socket)), ["connection_closed"]);
}
