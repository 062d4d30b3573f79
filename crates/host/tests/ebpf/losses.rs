//! A small ring: what does not fit is counted, and nothing stays that is over.

use std::collections::HashSet;
use std::net::{TcpListener, TcpStream};

use atalaya_host::collector::{Collector as _, Options};
use atalaya_model::{Observation, Stage};

use crate::watch::{Watch, is_root, options, outcome};

/// Runs alone, see `.config/nextest.toml`: what others do would be lost as well.
#[test]
fn seen_and_lost_are_all_there_was() {
    if !is_root() {
        return;
    }
    let tiny = Options { ring: 1, ..options() };
    let mut small = Watch::with(tiny);
    let mut large = Watch::with(options());
    small.look();
    large.look();
    (small.told.gaps, small.told.events) = Default::default();
    (large.told.gaps, large.told.events) = Default::default();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let lasting = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let kept = listener.accept().unwrap();
    small.look();
    // Told while it lived, and its end will find no room.
    let ghost = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let port = ghost.local_addr().unwrap().port();
    let accepted = listener.accept().unwrap();
    small.until("the one to be lost", |told| told.at_port(port).next().is_some());
    for _ in 0..1_000 {
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        drop((client, listener.accept().unwrap()));
    }
    drop((ghost, accepted));
    large.until("the last end", |told| {
        told.at_port(port).any(|event| outcome(event).is_some())
    });
    small.told.sockets.clear();
    small.told.listed.clear();
    small.until("a complete list", |told| !told.listed.is_empty());

    let ends = |watch: &Watch| -> HashSet<(u64, u16)> {
        let ends = watch.told.events.iter().filter(|event| outcome(event).is_some());
        ends.map(|event| (event.socket.cookie, event.socket.remote.port))
            .collect()
    };
    large.look();
    let (seen, all) = (ends(&small), ends(&large));
    // The smaller one began earlier and may have seen more, of others.
    let unseen = all.difference(&seen).count() as u64;
    let lost: u64 = small
        .told
        .gaps
        .iter()
        .filter(|gap| gap.stage == Stage::KernelRing && gap.reason.starts_with("ends of conversations"))
        .map(|gap| gap.count)
        .sum();
    assert!(all.len() > 2_000 && unseen > 100, "{unseen} of {}", all.len());
    assert_eq!(lost, unseen, "seen {} of {}", seen.len(), all.len());
    let counts = small.collector.ledger().counts();
    let ring = counts
        .iter()
        .find(|count| count.stage == Stage::KernelRing)
        .unwrap();
    assert_eq!(ring.received, ring.passed + ring.dropped);
    assert!(ring.dropped >= lost);
    assert_eq!(large.told.gaps, []);

    // The list has what lives, and not what was told alive and has ended unseen.
    let cookie = |watch: &Watch, port: u16| watch.told.at_port(port).next().unwrap().socket.cookie;
    let is_listed = |cookie: u64| small.told.sockets.iter().any(|socket| socket.cookie == cookie);
    assert!(is_listed(cookie(&small, lasting.local_addr().unwrap().port())));
    assert!(!is_listed(cookie(&small, port)));
    drop((lasting, kept));
}

#[test]
fn a_list_that_follows_a_loss_is_complete() {
    if !is_root() {
        return;
    }
    let tiny = Options {
        ring: 1 << 14,
        ..options()
    };
    // Nobody holds the other end of this one, and the programs have not seen it begin.
    let waiting = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(waiting.local_addr().unwrap()).unwrap();
    let mut watch = Watch::with(tiny);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let held: Vec<_> = (0..400)
        .map(|_| {
            let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            (client, listener.accept().unwrap())
        })
        .collect();
    for _ in 0..400 {
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        drop((client, listener.accept().unwrap()));
    }
    // Far more than the ring has room for at once.
    let mut listed = HashSet::new();
    let mut is_done = false;
    for _ in 0..50 {
        let mut is_look_of_its_own = false;
        watch
            .collector
            .look(&mut |observation| match observation {
                Observation::Sockets(_, sockets) => listed.extend(
                    sockets
                        .iter()
                        .map(|socket| (socket.local.port, socket.remote.port)),
                ),
                Observation::LookDone(_, look) if !look.namespaces.is_empty() => {
                    // What was told before is not taken for listed.
                    assert!(is_look_of_its_own);
                    is_done = true;
                }
                Observation::LookDone(..) => {
                    is_look_of_its_own = true;
                    listed.clear();
                }
                _ => {}
            })
            .unwrap();
        if is_done {
            break;
        }
        listed.clear();
    }
    assert!(is_done, "no complete list");
    let missing = held.iter().filter(|(client, _)| !listed.contains(&ports(client)));
    assert_eq!(missing.count(), 0);
    let (near, far) = ports(&client);
    assert!(listed.contains(&(far, near)), "it waits to be accepted");
}

fn ports(stream: &TcpStream) -> (u16, u16) {
    (
        stream.local_addr().unwrap().port(),
        stream.peer_addr().unwrap().port(),
    )
}
