//! What the kernel tells by itself.

use atalaya_model::{Change, NameSource, Outcome, Resolution, SocketEvent};

use super::*;

const SERVER: &str = "192.0.2.1:443";
const CLIENT: &str = "198.51.100.7:50000";

fn event(second: i64, change: Change, socket: Socket) -> SocketEvent {
    SocketEvent {
        time: at(second),
        change,
        started: at(1),
        started_before: false,
        side: Some(Side::Source),
        socket,
    }
}

fn used(cookie: u64, local: &str, remote: &str, pid: u32) -> Socket {
    let owner = Owners::Used(key(pid));
    tcp(cookie, local, remote, SocketState::Established, owner)
}

fn datagrams(cookie: u64, remote: &str, sent: u64) -> Socket {
    Socket {
        transport: Transport::Udp,
        traffic: Some(Traffic {
            sent_bytes: sent,
            sent_packets: 1,
            ..Traffic::default()
        }),
        ..used(cookie, CLIENT, remote, 1)
    }
}

impl Bench {
    fn told(&mut self, events: Vec<SocketEvent>) -> Vec<Event> {
        let mut told = self.observe(Observation::SocketEvents(events));
        told.retain(|event| !matches!(event.fact, Fact::Tick { .. }));
        told
    }

    /// A look that concludes nothing from absence.
    fn light_look(&mut self) -> Vec<Event> {
        self.second += 1;
        self.observe(Observation::LookDone(at(self.second), Look::default()))
    }
}

#[test]
fn a_whole_life_is_told_in_one_word() {
    let mut bench = Bench::new();
    bench.look(vec![]);
    bench.light_look();
    let mut socket = used(9, CLIENT, SERVER, 2);
    socket.traffic = Some(Traffic {
        sent_bytes: 20,
        received_bytes: 100,
        ..Traffic::default()
    });
    let events = bench.told(vec![event(3, Change::Closed(Outcome::Finished), socket)]);
    assert_eq!(actions(&events), ["connection_opened", "connection_closed"]);
    assert_eq!((events[0].time, events[1].time), (at(1), at(3)));
    let closed = connection(&events[1]);
    assert_eq!(closed.process.as_ref().map(|process| process.key), Some(key(2)));
    assert_eq!(closed.attribution, Evidence::KernelEvent.into());
    assert_eq!((closed.started, closed.ended), (at(1), Some(at(3))));
    assert_eq!(closed.bytes(), Some((20, 100)));
    assert_eq!(closed.outcome, Outcome::Finished);
    assert_eq!(closed.direction, Direction::Outbound);
    assert_eq!(closed.service.as_deref(), Some("https"));
    assert_eq!(bench.tracker.connection_count(), 0);
    assert_eq!(bench.tracker.sockets.len(), 0, "no row is left");
}

#[test]
fn a_long_life_is_updated_and_light_looks_do_not_end_it() {
    let mut bench = Bench::new();
    bench.look(vec![]);
    let alive = event(2, Change::Alive, used(9, CLIENT, SERVER, 2));
    assert_eq!(actions(&bench.told(vec![alive.clone()])), ["connection_opened"]);
    assert!(bench.told(vec![alive.clone()]).is_empty(), "nothing changed");
    bench.light_look();
    assert_eq!(bench.tracker.connection_count(), 1);
    let mut grown = alive.clone();
    grown.socket.traffic = Some(Traffic {
        sent_bytes: 5,
        ..Traffic::default()
    });
    assert_eq!(actions(&bench.told(vec![grown])), ["connection_updated"]);
    let mut closed = alive;
    closed.change = Change::Closed(Outcome::Reset);
    let events = bench.told(vec![closed]);
    assert_eq!(actions(&events), ["connection_closed"]);
    assert_eq!(connection(&events[0]).outcome, Outcome::Reset);
    assert_eq!(bench.tracker.connection_count(), 0);
    assert!(
        bench
            .light_look()
            .iter()
            .all(|event| event.fact.action() == "tick")
    );
}

#[test]
fn the_first_look_and_the_kernel_speak_of_the_same_socket() {
    let mut bench = Bench::new();
    // Hooks are in place before the look: either may come first.
    let early = event(1, Change::Alive, used(9, CLIENT, SERVER, 2));
    assert_eq!(actions(&bench.told(vec![early])), ["connection_opened"]);
    let gone = event(1, Change::Closed(Outcome::Finished), used(8, CLIENT, SERVER, 2));
    assert_eq!(actions(&bench.told(vec![gone])).len(), 2);
    let rest = tcp(
        8,
        CLIENT,
        SERVER,
        SocketState::TimeWait,
        Owners::Unknown(Evidence::KernelOwned),
    );
    let events = bench.look(vec![established(9, CLIENT, SERVER, 2), rest]);
    let new: Vec<_> = actions(&events)
        .into_iter()
        .filter(|action| *action != "connection_updated")
        .collect();
    assert!(new.is_empty(), "{events:?}");
    assert_eq!(bench.tracker.connection_count(), 1);
    bench.light_look();
    assert_eq!(bench.tracker.sockets.len(), 1, "what is over is let go");
}

#[test]
fn one_socket_talks_with_many_peers() {
    let mut bench = Bench::new();
    bench.look(vec![]);
    bench.light_look();
    let peers = ["192.0.2.1:53", "192.0.2.2:53", "192.0.2.2:54"];
    for (sent, peer) in (1..).zip(peers) {
        let events = bench.told(vec![event(2, Change::Alive, datagrams(5, peer, sent))]);
        assert_eq!(actions(&events), ["connection_opened"]);
    }
    assert_eq!(bench.tracker.connection_count(), 3);
    let end = Change::Closed(Outcome::Finished);
    let events = bench.told(vec![event(3, end, datagrams(5, peers[1], 9))]);
    assert_eq!(actions(&events), ["connection_closed"]);
    assert_eq!(connection(&events[0]).bytes(), Some((9, 0)));
    assert_eq!(bench.tracker.connection_count(), 2);
    // Another way of seeing takes over, and does not know the others.
    assert!(
        actions(&bench.look(vec![])).is_empty(),
        "told since the last look"
    );
    assert_eq!(actions(&bench.look(vec![])), ["connection_closed"; 2]);
}

#[test]
fn a_socket_that_was_passed_on_names_its_new_user() {
    let mut bench = Bench::new();
    bench.look(vec![]);
    let mut accepted = used(9, CLIENT, SERVER, 1);
    accepted.owners = Owners::Accepting(key(1));
    let first = bench.told(vec![event(2, Change::Alive, accepted)]);
    assert_eq!(connection(&first[0]).attribution, Evidence::Listener.into());
    let events = bench.told(vec![event(2, Change::Alive, used(9, CLIENT, SERVER, 2))]);
    let worker = connection(&events[0]);
    assert_eq!(worker.process.as_ref().map(|process| process.key), Some(key(2)));
    assert!(worker.shared_with.is_empty(), "a listener is no user");
    let events = bench.told(vec![event(2, Change::Alive, used(9, CLIENT, SERVER, 3))]);
    assert_eq!(*connection(&events[0]).shared_with, [key(2)]);
    assert_eq!(bench.tracker.processes.connections(key(3)).len(), 1);
    assert_eq!(bench.tracker.processes.connections(key(2)).len(), 0);
}

#[test]
fn listeners_come_and_go_by_themselves() {
    let mut bench = Bench::new();
    bench.look(vec![]);
    let listener = listening(4, "0.0.0.0:22", 1);
    let events = bench.told(vec![event(2, Change::Alive, listener.clone())]);
    assert_eq!(actions(&events), ["listener_appeared"]);
    bench.light_look();
    assert_eq!(bench.tracker.listener_count(), 1);
    let gone = event(3, Change::Closed(Outcome::Unknown), listener);
    assert_eq!(actions(&bench.told(vec![gone])), ["listener_gone"]);
}

#[test]
fn a_connection_is_called_by_the_name_that_its_process_asked_for() {
    let mut bench = Bench::new();
    bench.look(vec![]);
    bench.light_look();
    bench.observe(Observation::Resolved(Resolution {
        time: at(1),
        process: key(2),
        name: "www.example.org".into(),
        addresses: vec![end(SERVER).ip],
        source: NameSource::Resolver,
    }));
    let name = |events: &[Event]| {
        let connection = connection(&events[0]);
        (connection.name.clone(), connection.name_source)
    };
    let end = Change::Closed(Outcome::Finished);
    let short = bench.told(vec![event(2, end, used(9, CLIENT, SERVER, 2))]);
    let long = bench.told(vec![event(2, Change::Alive, used(10, CLIENT, SERVER, 2))]);
    let others = bench.told(vec![event(2, end, used(11, CLIENT, SERVER, 3))]);
    let expected = (Some("www.example.org".into()), Some(NameSource::Resolver));
    assert_eq!(name(&short), expected);
    assert_eq!(name(&long), expected);
    assert_eq!(name(&others), (None, None));
}
