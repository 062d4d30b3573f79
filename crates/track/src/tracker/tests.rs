use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use atalaya_model::connection::Traffic;
use atalaya_model::live::{Response, Rows};
use atalaya_model::observation::Look;
use atalaya_model::state::State;
use atalaya_model::{
    Certainty, Direction, Endpoint, Evidence, Owners, Scope, Side, Socket, SocketState, Transport,
};
use proptest::prelude::*;

use super::*;

mod bandwidth;
mod kernel_events;
mod short_lives;

const NAMESPACE: u32 = 4_026_531_840;

fn at(seconds: i64) -> Time {
    Time::from_seconds(1_700_000_000 + seconds)
}

fn end(text: &str) -> Endpoint {
    let address: std::net::SocketAddr = text.parse().unwrap();
    Endpoint::new(address.ip(), address.port())
}

fn key(pid: u32) -> ProcessKey {
    ProcessKey {
        pid,
        start: u64::from(pid) * 10,
    }
}

fn process(pid: u32) -> Arc<Process> {
    Arc::new(Process::bare(key(pid), format!("p{pid}").into(), at(0)))
}

fn tcp(cookie: u64, local: &str, remote: &str, state: SocketState, owners: Owners) -> Socket {
    Socket {
        transport: Transport::Tcp,
        state,
        local: end(local),
        remote: end(remote),
        namespace: NAMESPACE,
        cookie,
        inode: 7,
        user_id: 1000,
        cgroup_id: 1,
        traffic: Some(Traffic::default()),
        owners,
    }
}

fn listening(cookie: u64, local: &str, pid: u32) -> Socket {
    let any = if local.starts_with('[') {
        "[::]:0"
    } else {
        "0.0.0.0:0"
    };
    tcp(cookie, local, any, SocketState::Listen, Owners::One(key(pid)))
}

fn established(cookie: u64, local: &str, remote: &str, pid: u32) -> Socket {
    let owner = Owners::One(key(pid));
    tcp(cookie, local, remote, SocketState::Established, owner)
}

struct Bench {
    tracker: Tracker,
    second: i64,
}

impl Bench {
    fn new() -> Self {
        let mut options = Options::new(at(0));
        options.networks = Networks(vec!["203.0.113.0/24".parse().unwrap()]);
        let mut bench = Self {
            tracker: Tracker::new(options),
            second: 0,
        };
        for pid in 1..5 {
            bench.observe(Observation::Process(at(0), process(pid)));
        }
        bench
    }

    fn observe(&mut self, observation: Observation) -> Vec<Event> {
        let mut out = Vec::new();
        self.tracker.observe(observation, &mut out);
        out
    }

    fn look(&mut self, sockets: Vec<Socket>) -> Vec<Event> {
        self.second += 1;
        let time = at(self.second);
        let mut out = self.observe(Observation::Sockets(time, sockets));
        let look = Look {
            namespaces: vec![NAMESPACE],
            ..Look::default()
        };
        out.extend(self.observe(Observation::LookDone(time, look)));
        assert_eq!(
            out.last().map(|event| &event.fact),
            Some(&Fact::Tick { look: true })
        );
        out
    }

    fn closed(&mut self, socket: Socket) -> Vec<Event> {
        self.observe(Observation::SocketClosed(at(self.second), socket))
    }
}

fn actions(events: &[Event]) -> Vec<&'static str> {
    let facts = events.iter().map(|event| &event.fact);
    facts
        .filter(|fact| !matches!(fact, Fact::Tick { .. }))
        .map(Fact::action)
        .collect()
}

fn connection(event: &Event) -> Arc<atalaya_model::Connection> {
    match &event.fact {
        Fact::ConnectionOpened(c) | Fact::ConnectionUpdated(c) | Fact::ConnectionClosed(c) => c.clone(),
        other => panic!("{other:?} is about no connection"),
    }
}

#[test]
fn a_connection_opens_changes_and_closes() {
    let mut bench = Bench::new();
    let socket = established(9, "192.0.2.1:50000", "198.51.100.7:443", 1);
    let first = bench.look(vec![socket.clone()]);
    assert_eq!(actions(&first), ["connection_opened"]);
    let opened = connection(&first[0]);
    assert!(opened.started_before);
    assert_eq!(
        (opened.side, opened.direction),
        (Side::Source, Direction::Outbound)
    );
    assert_eq!(opened.scope, Scope::External);
    assert_eq!(opened.service.as_deref(), Some("https"));
    assert_eq!(opened.attribution, Evidence::Descriptor.into());
    assert_eq!(bench.tracker.connection_count(), 1);

    assert_eq!(
        actions(&bench.look(vec![socket.clone()])),
        [""; 0],
        "nothing changed"
    );
    let mut busier = socket;
    busier.traffic = Some(Traffic {
        sent_bytes: 10,
        ..Traffic::default()
    });
    assert_eq!(actions(&bench.look(vec![busier])), ["connection_updated"]);

    let last = bench.look(vec![]);
    assert_eq!(actions(&last), ["connection_closed"]);
    let closed = connection(&last[0]);
    assert_eq!(closed.ended, Some(at(4)));
    assert_eq!(closed.bytes(), Some((10, 0)));
    assert_eq!(closed.attribution.evidence, Evidence::SeenBefore);
    assert_eq!(bench.tracker.connection_count(), 0);
    assert_eq!(State::connection_count(&bench.tracker, key(1)), 0);
}

#[test]
fn a_destroyed_socket_waits_without_opening_again() {
    let mut bench = Bench::new();
    let socket = established(9, "192.0.2.1:50000", "198.51.100.7:443", 1);
    bench.look(vec![socket.clone()]);
    let mut last = socket.clone();
    last.owners = Owners::Unknown(Evidence::KernelOwned);
    last.state = SocketState::Close;
    last.traffic = Some(Traffic {
        received_bytes: 77,
        ..Traffic::default()
    });
    let closed = bench.closed(last.clone());
    assert_eq!(actions(&closed), ["connection_closed"]);
    assert_eq!(connection(&closed[0]).traffic.unwrap().received_bytes, 77);
    assert_eq!(connection(&closed[0]).process.as_ref().unwrap().key, key(1));
    assert_eq!(connection(&closed[0]).state, SocketState::Established);
    assert_eq!(bench.closed(last), [], "told once");

    // A row of the look that was under way, and then the kernel's remains of it.
    assert_eq!(actions(&bench.look(vec![socket.clone()])), [""; 0]);
    let mut waiting = socket;
    waiting.state = SocketState::TimeWait;
    waiting.owners = Owners::Unknown(Evidence::KernelOwned);
    assert_eq!(actions(&bench.look(vec![waiting.clone()])), [""; 0]);
    assert_eq!(bench.tracker.connections().count(), 0);
    let row = bench.tracker.sockets().next().unwrap();
    assert_eq!(row.state, SocketState::TimeWait);
    assert_eq!(row.process.as_ref().unwrap().key, key(1));
    assert_eq!(actions(&bench.look(vec![])), [""; 0]);
    assert_eq!(bench.tracker.sockets().count(), 0);
}

#[test]
fn without_a_notice_time_wait_closes() {
    let mut bench = Bench::new();
    let socket = established(9, "192.0.2.1:50000", "198.51.100.7:443", 1);
    bench.look(vec![socket.clone()]);
    let mut waiting = socket;
    waiting.state = SocketState::TimeWait;
    waiting.owners = Owners::Unknown(Evidence::KernelOwned);
    assert_eq!(actions(&bench.look(vec![waiting.clone()])), ["connection_closed"]);
    // And one that was never seen alive.
    waiting.cookie = 10;
    let events = bench.look(vec![waiting]);
    assert_eq!(actions(&events), ["connection_opened", "connection_closed"]);
    assert_eq!(connection(&events[0]).attribution, Evidence::KernelOwned.into());
}

#[test]
fn what_lived_between_two_looks_is_told_with_both_ends() {
    let mut bench = Bench::new();
    bench.look(vec![]);
    let mut socket = established(9, "192.0.2.1:50000", "198.51.100.7:53", 1);
    socket.owners = Owners::Unknown(Evidence::BetweenLooks);
    let events = bench.closed(socket);
    assert_eq!(actions(&events), ["connection_opened", "connection_closed"]);
    let closed = connection(&events[1]);
    assert_eq!(closed.user_id, Some(1000));
    assert_eq!(closed.attribution, Evidence::BetweenLooks.into());
    assert!(!closed.started_before);
    assert_eq!(actions(&bench.look(vec![])), [""; 0]);
}

#[test]
fn directions() {
    let mut bench = Bench::new();
    // Connections come before the listeners of the same look.
    let events = bench.look(vec![
        established(1, "192.0.2.1:8080", "198.51.100.7:40000", 1),
        established(2, "[2001:db8::1]:22", "[2001:db8::9]:40000", 1),
        established(3, "192.0.2.1:22", "203.0.113.5:40000", 1),
        established(4, "127.0.0.1:50001", "127.0.0.1:8080", 2),
        established(5, "127.0.0.1:8080", "127.0.0.1:50001", 1),
        established(6, "192.0.2.1:50002", "192.0.2.1:8080", 2),
        established(7, "127.0.0.1:50003", "127.0.0.1:9999", 2),
        established(8, "127.0.0.1:9999", "127.0.0.1:50003", 2),
        tcp(
            9,
            "192.0.2.1:8080",
            "198.51.100.9:4444",
            SocketState::SynSent,
            Owners::One(key(1)),
        ),
        listening(20, "0.0.0.0:8080", 1),
        listening(21, "[::]:22", 1),
    ]);
    let found: BTreeMap<u64, _> = events
        .iter()
        .filter(|event| event.fact.action() == "connection_opened")
        .map(connection)
        .map(|row| (row.cookie, (row.side, row.direction)))
        .collect();
    let (source, destination) = (Side::Source, Side::Destination);
    assert_eq!(found[&1], (destination, Direction::Inbound));
    assert_eq!(found[&2], (destination, Direction::Inbound));
    assert_eq!(
        found[&3],
        (destination, Direction::Inbound),
        "`::` takes IPv4 too"
    );
    assert_eq!(found[&4], (source, Direction::Local));
    assert_eq!(found[&5], (destination, Direction::Local));
    assert_eq!(found[&6], (source, Direction::Local), "our own address");
    assert_eq!(
        found[&7],
        (source, Direction::Local),
        "no listener left: lower port"
    );
    assert_eq!(found[&8], (destination, Direction::Local));
    assert_eq!(found[&9], (source, Direction::Outbound), "SYN_SENT has begun it");

    // A listener that took its only caller and left.
    let events = bench.look(vec![established(30, "192.0.2.1:8080", "198.51.100.8:40000", 1)]);
    let opened = events
        .iter()
        .find(|event| event.fact.action() == "connection_opened");
    assert_eq!(connection(opened.unwrap()).direction, Direction::Inbound);
    assert_eq!(bench.tracker.listener_count(), 0);
}

#[test]
fn listeners_appear_change_and_go() {
    let mut bench = Bench::new();
    let mut shared = listening(5, "0.0.0.0:80", 1);
    shared.owners = Owners::Many([key(1), key(2), key(3)].into());
    let events = bench.look(vec![shared.clone()]);
    assert_eq!(actions(&events), ["listener_appeared"]);
    let listener = bench.tracker.listeners().next().unwrap();
    assert_eq!(listener.process.as_ref().unwrap().key, key(1), "the oldest");
    assert_eq!(listener.attribution.certainty, Certainty::Likely);
    assert_eq!(*listener.shared_with, [key(2), key(3)]);

    let mut hashed = Process::clone(&process(1));
    hashed.sha256 = Some("ab".into());
    let events = bench.observe(Observation::Process(at(1), Arc::new(hashed)));
    assert_eq!(actions(&events), ["process_updated", "listener_updated"]);

    shared.owners = Owners::One(key(1));
    assert_eq!(actions(&bench.look(vec![shared.clone()])), ["listener_updated"]);
    shared.owners = Owners::Unknown(Evidence::NoPermission);
    assert_eq!(actions(&bench.look(vec![shared])), [""; 0]);
    let events = bench.look(vec![]);
    assert_eq!(actions(&events), ["listener_gone"]);
}

#[test]
fn a_udp_socket_becomes_a_connection_when_it_is_given_a_peer() {
    let mut bench = Bench::new();
    let mut socket = tcp(
        5,
        "0.0.0.0:40000",
        "0.0.0.0:0",
        SocketState::Close,
        Owners::One(key(1)),
    );
    socket.transport = Transport::Udp;
    socket.traffic = None;
    assert_eq!(actions(&bench.look(vec![socket.clone()])), ["listener_appeared"]);
    let mut connected = socket.clone();
    connected.local = end("192.0.2.1:40000");
    connected.remote = end("198.51.100.53:53");
    connected.state = SocketState::Established;
    let events = bench.look(vec![connected]);
    assert_eq!(actions(&events), ["listener_gone", "connection_opened"]);
    assert_eq!(connection(&events[1]).direction, Direction::Outbound);
    let events = bench.look(vec![socket]);
    assert_eq!(actions(&events), ["listener_appeared", "connection_closed"]);
}

#[test]
fn new_facts_of_a_process_reach_its_connections() {
    let mut bench = Bench::new();
    let mut socket = established(9, "192.0.2.1:50000", "198.51.100.7:443", 1);
    socket.owners = Owners::Many([key(1), key(2)].into());
    let events = bench.look(vec![socket.clone()]);
    assert_eq!(
        connection(&events[0]).process.as_ref().unwrap().key,
        key(2),
        "the youngest"
    );
    let mut hashed = Process::clone(&process(2));
    hashed.sha256 = Some("ab".into());
    let events = bench.observe(Observation::Process(at(1), Arc::new(hashed.clone())));
    assert_eq!(actions(&events), ["process_updated"]);
    let row = bench.tracker.connections().next().unwrap();
    assert_eq!(row.process.as_ref().unwrap().sha256.as_deref(), Some("ab"));
    let again = bench.observe(Observation::Process(at(1), Arc::new(hashed)));
    assert_eq!(again, [], "nothing new");

    // Handed on to another process, which then ends.
    socket.owners = Owners::One(key(1));
    assert_eq!(actions(&bench.look(vec![socket.clone()])), ["connection_updated"]);
    let tracker = &bench.tracker;
    assert_eq!(
        (
            State::connection_count(tracker, key(1)),
            State::connection_count(tracker, key(2))
        ),
        (1, 0)
    );
    let events = bench.observe(Observation::ProcessGone(at(2), key(1)));
    assert_eq!(actions(&events), ["process_ended"]);
    assert_eq!(bench.tracker.process_count(), 3);
    socket.owners = Owners::Unknown(Evidence::KernelOwned);
    let events = bench.look(vec![socket]);
    assert_eq!(connection(&events[0]).attribution.evidence, Evidence::SeenBefore);
    bench.look(vec![]);
    bench.observe(Observation::Gap(Gap {
        time: at(60),
        stage: Stage::Hashes,
        count: 1,
        reason: "x".into(),
    }));
    let mut out = Vec::new();
    bench.tracker.tick(at(60), &mut out);
    assert!(
        bench.tracker.process(key(1)).is_none(),
        "forgotten half a minute later"
    );
}

#[test]
fn full_tables_are_counted_and_do_not_grow() {
    let mut options = Options::new(at(0));
    options.max_sockets = 10;
    options.max_processes = 2;
    let mut bench = Bench {
        tracker: Tracker::new(options),
        second: 0,
    };
    for pid in 1..6 {
        bench.observe(Observation::Process(at(0), process(pid)));
    }
    let many = (0..50).map(|n| established(n + 1, "192.0.2.1:50000", "198.51.100.7:443", 1));
    let events = bench.look(many.collect());
    let gaps: Vec<_> = events
        .iter()
        .filter_map(|event| match &event.fact {
            Fact::Gap(gap) => Some((gap.stage, gap.count)),
            _ => None,
        })
        .collect();
    assert_eq!(gaps, [(Stage::Tables, 40), (Stage::Tables, 3)]);
    assert_eq!(
        (bench.tracker.connection_count(), bench.tracker.process_count()),
        (10, 2)
    );
}

#[test]
fn another_namespace_is_left_alone() {
    let mut bench = Bench::new();
    let mut other = established(9, "192.0.2.1:50000", "198.51.100.7:443", 1);
    other.namespace = 5;
    assert_eq!(actions(&bench.look(vec![other])), ["connection_opened"]);
    assert_eq!(
        actions(&bench.look(vec![])),
        [""; 0],
        "that namespace was not read"
    );
}

#[test]
fn pages_are_cut_from_a_stable_order() {
    let mut bench = Bench::new();
    let many = (0..50).map(|n| established(n + 1, "192.0.2.1:50000", "198.51.100.7:443", 1));
    bench.look(many.collect());
    let page = bench.tracker.page(Rows::Connections, &|_| true, 10, 5);
    let Response::Connections(page) = page else {
        panic!("wrong kind of page");
    };
    assert_eq!(page.total, 50);
    let ids: Vec<_> = page.rows.iter().map(|row| row.id).collect();
    assert_eq!(ids, [11, 12, 13, 14, 15]);
    let page = bench
        .tracker
        .page(Rows::Processes, &|record| record.process().is_none(), 0, 5);
    assert!(matches!(page, Response::Processes(page) if page.total == 0 && page.rows.is_empty()));
}

/// One step of a made-up life.
#[derive(Clone, Debug)]
enum Step {
    Process(u32, u8),
    Gone(u32),
    Look(Vec<(u64, u8, u32)>),
    Closed(u64, u8, u32),
}

fn socket_of((cookie, kind, pid): (u64, u8, u32)) -> Socket {
    let states = [
        SocketState::Established,
        SocketState::SynSent,
        SocketState::TimeWait,
        SocketState::CloseWait,
    ];
    let owners = match kind % 3 {
        0 => Owners::One(key(pid)),
        1 => Owners::Unknown(Evidence::KernelOwned),
        _ => Owners::Many([key(1), key(pid.max(2))].into()),
    };
    match kind % 7 {
        0 => listening(cookie, "0.0.0.0:80", pid),
        1 => {
            let mut socket = tcp(cookie, "0.0.0.0:5353", "0.0.0.0:0", SocketState::Close, owners);
            socket.transport = Transport::Udp;
            socket
        }
        _ => tcp(
            cookie,
            if kind > 60 {
                "127.0.0.1:80"
            } else {
                "192.0.2.1:50000"
            },
            if kind > 90 {
                "127.0.0.1:4000"
            } else {
                "198.51.100.7:443"
            },
            states[usize::from(kind) % states.len()],
            owners,
        ),
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let socket = (1..12u64, 0..120u8, 1..5u32);
    let step = prop_oneof![
        (1..5u32, 0..3u8).prop_map(|(pid, hash)| Step::Process(pid, hash)),
        (1..5u32).prop_map(Step::Gone),
        prop::collection::vec(socket.clone(), 0..10).prop_map(Step::Look),
        socket.prop_map(|(cookie, kind, pid)| Step::Closed(cookie, kind, pid)),
    ];
    prop::collection::vec(step, 0..40)
}

proptest! {
    #[test]
    fn events_are_a_true_history(steps in steps()) {
        let mut bench = Bench::new();
        let mut events: Vec<Event> = (1..5)
            .map(|pid| Event::new(at(0), Fact::ProcessStarted(process(pid))))
            .collect();
        for step in steps {
            bench.second += 1;
            let time = at(bench.second);
            events.extend(match step {
                Step::Process(pid, hash) => {
                    let mut process = Process::clone(&process(pid));
                    process.sha256 = Some(hash.to_string().into());
                    bench.observe(Observation::Process(time, Arc::new(process)))
                }
                Step::Gone(pid) => bench.observe(Observation::ProcessGone(time, key(pid))),
                Step::Look(sockets) => bench.look(sockets.into_iter().map(socket_of).collect()),
                Step::Closed(cookie, kind, pid) => bench.closed(socket_of((cookie, kind, pid))),
            });
        }
        // Each connection is opened once, then changes, then closes; its owner's certainty is never overdrawn.
        let mut open = BTreeSet::new();
        let mut ever = BTreeSet::new();
        for event in &events {
            match &event.fact {
                Fact::ConnectionOpened(row) => {
                    prop_assert!(ever.insert(row.id));
                    open.insert(row.id);
                }
                Fact::ConnectionUpdated(row) => prop_assert!(open.contains(&row.id)),
                Fact::ConnectionClosed(row) => {
                    prop_assert!(open.remove(&row.id));
                    prop_assert!(row.ended.is_some());
                }
                _ => {}
            }
            if let Fact::ConnectionOpened(row) | Fact::ConnectionUpdated(row) = &event.fact {
                prop_assert!(row.attribution.certainty <= row.attribution.evidence.certainty());
                prop_assert_eq!(row.process.is_some(), row.attribution.certainty > Certainty::Unknown);
            }
        }
        // History replayed leads to the same tables.
        let mut replayed = Tracker::new(Options::new(at(0)));
        for event in &events {
            replayed.apply(event);
        }
        let live = &bench.tracker;
        let ids = |tracker: &Tracker| tracker.connections().map(|row| row.id).collect::<BTreeSet<_>>();
        prop_assert_eq!(ids(live), open.clone());
        prop_assert_eq!(ids(&replayed), open);
        let bound = |tracker: &Tracker| tracker.listeners().map(|row| row.id).collect::<BTreeSet<_>>();
        prop_assert_eq!(bound(live), bound(&replayed));
        for pid in 1..5 {
            let count = State::connection_count(live, key(pid));
            prop_assert_eq!(count, State::connection_count(&replayed, key(pid)));
            prop_assert_eq!(count, live.connections_of(key(pid)).count());
            prop_assert!(live.connections_of(key(pid)).all(|row| row.process.as_ref().is_some_and(|p| p.key == key(pid))));
        }
        prop_assert_eq!(live.connected_processes().count(), replayed.connected_processes().count());
    }
}

/// What a dump says of a connection in TIME_WAIT.
fn waiting(cookie: u64, local: &str, remote: &str) -> Socket {
    let unknown = Owners::Unknown(Evidence::KernelOwned);
    let mut socket = tcp(cookie, local, remote, SocketState::TimeWait, unknown);
    (socket.inode, socket.user_id, socket.traffic) = (0, 0, None);
    socket
}

/// The notice of a socket that no look has seen.
fn short(cookie: u64, local: &str, remote: &str) -> Socket {
    let unknown = Owners::Unknown(Evidence::BetweenLooks);
    let mut socket = tcp(cookie, local, remote, SocketState::Close, unknown);
    socket.inode = 0;
    socket
}

#[test]
fn time_wait_under_another_cookie_is_not_a_second_connection() {
    let (local, remote) = ("192.0.2.1:50000", "198.51.100.7:443");
    let mut bench = Bench::new();
    bench.look(vec![]);
    let events = bench.closed(short(9, local, remote));
    assert_eq!(actions(&events), ["connection_opened", "connection_closed"]);
    for _ in 0..3 {
        let events = bench.look(vec![waiting(10, local, remote)]);
        assert_eq!(actions(&events), [""; 0]);
        assert_eq!(bench.tracker.sockets().count(), 1, "it is listed as what lingers");
    }
    assert_eq!(actions(&bench.look(vec![])), [""; 0]);
    assert_eq!(
        (bench.tracker.sockets.len(), bench.tracker.partings.len()),
        (0, 0)
    );
}

#[test]
fn time_wait_seen_before_the_notice_waits_for_it() {
    let (local, remote) = ("192.0.2.1:50000", "198.51.100.7:443");
    let mut bench = Bench::new();
    bench.look(vec![]);
    assert_eq!(actions(&bench.look(vec![waiting(10, local, remote)])), [""; 0]);
    let events = bench.closed(short(9, local, remote));
    assert_eq!(actions(&events), ["connection_opened", "connection_closed"]);
    let closed = connection(&events[1]);
    assert_eq!((closed.user_id, closed.traffic.is_some()), (Some(1000), true));
    assert_eq!(actions(&bench.look(vec![waiting(10, local, remote)])), [""; 0]);
    assert_eq!(actions(&bench.look(vec![])), [""; 0]);
}

#[test]
fn time_wait_without_a_notice_is_told_once_a_look_later_and_without_a_user() {
    let (local, remote) = ("192.0.2.1:50000", "198.51.100.7:443");
    let mut bench = Bench::new();
    bench.look(vec![]);
    assert_eq!(actions(&bench.look(vec![waiting(10, local, remote)])), [""; 0]);
    let events = bench.look(vec![waiting(10, local, remote)]);
    assert_eq!(actions(&events), ["connection_opened", "connection_closed"]);
    assert_eq!(connection(&events[0]).user_id, None);
    assert_eq!(actions(&bench.look(vec![waiting(10, local, remote)])), [""; 0]);
    bench.look(vec![waiting(11, local, "198.51.100.8:443")]);
    let events = bench.look(vec![]);
    assert_eq!(actions(&events), ["connection_opened", "connection_closed"]);
    assert_eq!(
        (bench.tracker.sockets.len(), bench.tracker.partings.len()),
        (0, 0)
    );
}

#[test]
fn a_user_that_the_kernel_does_not_tell_is_unknown() {
    let mut bench = Bench::new();
    bench.look(vec![]);
    let mut socket = short(9, "192.0.2.1:50000", "198.51.100.7:443");
    socket.user_id = Socket::NO_USER;
    assert_eq!(connection(&bench.closed(socket)[1]).user_id, None);
}

#[test]
fn what_was_accepted_by_a_listener_that_is_gone_is_inbound() {
    let mut bench = Bench::new();
    let events = bench.look(vec![
        established(1, "192.0.2.1:31337", "198.51.100.7:50000", 1),
        established(2, "192.0.2.1:900", "198.51.100.7:2049", 1),
        established(3, "192.0.2.1:50001", "198.51.100.7:40000", 1),
    ]);
    let directions: Vec<_> = events[..3]
        .iter()
        .map(|event| connection(event).direction)
        .collect();
    assert_eq!(
        directions,
        [Direction::Inbound, Direction::Outbound, Direction::Outbound]
    );
}
