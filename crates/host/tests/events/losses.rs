//! Buffers that are too small: nothing is lost in silence.

use std::net::{TcpListener, TcpStream};

use atalaya_host::collector::{Collector as _, Options};
use atalaya_model::{Owners, Stage};

use crate::{Seen, options, start};

/// Connections from this process to itself, from as many threads as leave nobody else a CPU. Returns their ports.
fn connect(threads: usize, each: usize) -> Vec<u16> {
    let connect = move || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        for _ in 0..each {
            let client = TcpStream::connect(address).unwrap();
            drop((listener.accept().unwrap(), client));
        }
        address.port()
    };
    let threads: Vec<_> = (0..threads)
        .map(|_| std::thread::Builder::new().spawn(connect).unwrap())
        .collect();
    threads.into_iter().map(|thread| thread.join().unwrap()).collect()
}

/// How many ends were told, by tracepoints, and without them.
fn told(seen: &Seen, ports: &[u16]) -> (usize, usize) {
    let is_ours = |port: u16| ports.contains(&port);
    let alone = seen.closed.iter().filter(|socket| {
        is_ours(socket.local.port) && socket.remote.port != 0 || is_ours(socket.remote.port)
    });
    let joined = ports.iter().map(|port| seen.ends(*port).count());
    (joined.sum(), alone.count())
}

#[test]
fn a_ring_that_is_too_small_is_told_and_the_connections_are_all_the_same() {
    const COUNT: usize = 4 * 300;
    let tiny = Options {
        ring: 4096,
        ..options()
    };
    let Some((mut collector, mut seen)) = start(tiny) else {
        return;
    };
    let ports = connect(4, COUNT / 4);
    // What was lost is told with the next record of the same CPU.
    seen.wait(&mut collector, |seen| {
        connect(1, 1);
        let (joined, alone) = told(seen, &ports);
        joined + alone >= 2 * COUNT && seen.lost(Stage::KernelRing) > 0
    });
    seen.look(&mut collector);
    let (joined, alone) = told(&seen, &ports);
    println!(
        "{joined} joined, {alone} without tracepoints, {} records lost",
        seen.lost(Stage::KernelRing)
    );
    assert_eq!(joined + alone, 2 * COUNT);
    assert!(alone > 0);
    let counts = collector.ledger().counts();
    let ring = counts
        .iter()
        .find(|count| count.stage == Stage::KernelRing)
        .unwrap();
    // Of some, the end was read and only the beginning was lost: they count among the lost records alone.
    assert!(ring.dropped > 0 && ring.errors > 0, "{ring:?}");
    assert!(
        ring.errors + ring.dropped >= alone as u64,
        "{ring:?}, {alone} alone"
    );
    assert_eq!(ring.received, ring.passed + ring.dropped);
}

#[test]
fn connections_whose_notice_was_lost_are_told_without_their_bytes() {
    const COUNT: usize = 400;
    let tiny = Options {
        receive_buffer: 4096,
        ..options()
    };
    let Some((mut collector, mut seen)) = start(tiny) else {
        return;
    };
    let port = connect(1, COUNT)[0];
    seen.wait(&mut collector, |seen| seen.ends(port).count() >= 2 * COUNT);
    seen.look(&mut collector);
    let without = seen
        .ends(port)
        .filter(|(event, _)| event.socket.traffic.is_none())
        .count();
    assert_eq!(seen.ends(port).count(), 2 * COUNT);
    assert!(without > 0);
    let key = |owners: &Owners| matches!(owners, Owners::Used(key) if key.pid == std::process::id());
    assert!(seen.ends(port).all(|(event, _)| key(&event.socket.owners)));
    assert!(seen.lost(Stage::SocketEvents) >= without as u64);
    let counts = collector.ledger().counts();
    let notices = counts
        .iter()
        .find(|count| count.stage == Stage::SocketEvents)
        .unwrap();
    assert!(notices.dropped > 0 && notices.errors >= without as u64);
}
