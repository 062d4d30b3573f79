//! Connections: each once, with its process, its bytes and how it went.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

use atalaya_host::collector::Collector as _;
use atalaya_model::{Change, Outcome, Owners, Side, SocketState, Tier};
use rustix::net::{AddressFamily, SocketType, bind, getsockname, sockopt};

use crate::actors::Actor;
use crate::{options, start, user};

#[test]
fn every_short_connection_is_told_once_with_both_processes_and_exact_bytes() {
    const CLIENTS: usize = 5;
    const EACH: usize = 100;
    let Some((mut collector, mut seen)) = start(options()) else {
        return;
    };
    assert_eq!(collector.report().tier, Tier::Events);
    let mut server = Actor::start("serve", &[]);
    let address = server.hear();
    let port = address.rsplit_once(':').unwrap().1.parse().unwrap();
    let mut clients: Vec<Actor> = (0..CLIENTS)
        .map(|_| Actor::start(&format!("connect {address} {EACH}"), &[]))
        .collect();
    for client in &mut clients {
        assert_eq!(client.hear(), "done");
    }
    seen.look(&mut collector);
    seen.wait(&mut collector, |seen| {
        seen.ends(port).count() >= 2 * CLIENTS * EACH
    });
    seen.look(&mut collector);

    let mut by_client: BTreeMap<u32, BTreeSet<(u64, u64)>> = BTreeMap::new();
    let mut served = Vec::new();
    let mut cookies = BTreeSet::new();
    for (event, outcome) in seen.ends(port) {
        let socket = &event.socket;
        assert_eq!(outcome, Outcome::Finished, "{event:?}");
        assert!(cookies.insert(socket.cookie), "told twice: {event:?}");
        assert!(!event.started_before && event.started <= event.time);
        let traffic = socket.traffic.unwrap();
        let bytes = (traffic.sent_bytes, traffic.received_bytes);
        match event.side {
            Some(Side::Source) => {
                by_client.entry(user(socket).unwrap()).or_default().insert(bytes);
            }
            Some(Side::Destination) => {
                assert_eq!(user(socket), Some(server.pid()), "{event:?}");
                served.push((bytes.1, bytes.0));
            }
            None => panic!("{event:?}"),
        }
    }
    let expected: BTreeSet<(u64, u64)> = (100..100 + EACH as u64).map(|wanted| (10, wanted)).collect();
    let pids: BTreeSet<u32> = clients.iter().map(Actor::pid).collect();
    assert_eq!(by_client.keys().copied().collect::<BTreeSet<_>>(), pids);
    assert!(
        by_client.values().all(|bytes| *bytes == expected),
        "{by_client:?}"
    );
    assert_eq!(served.len(), CLIENTS * EACH);
    assert_eq!(served.into_iter().collect::<BTreeSet<_>>(), expected);
    assert!(
        seen.closed
            .iter()
            .all(|socket| socket.local.port != port && socket.remote.port != port)
    );
}

#[test]
fn a_connection_in_another_namespace_is_told_with_it() {
    let Some((mut collector, mut seen)) = start(options()) else {
        return;
    };
    let name = format!("atalaya-events-{}", std::process::id());
    let ip = |arguments: &[&str]| {
        let done = Command::new("ip").args(arguments).status();
        done.is_ok_and(|status| status.success())
    };
    if !ip(&["netns", "add", &name]) {
        println!("skipped: no network namespace to be had");
        return;
    }
    let prefix = ["ip", "netns", "exec", &name];
    let prepared = ip(&["-n", &name, "link", "set", "lo", "up"]);
    let inode = std::fs::metadata(format!("/run/netns/{name}")).map(|file| {
        use std::os::unix::fs::MetadataExt as _;
        file.ino() as u32
    });
    let work = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        assert!(prepared);
        seen.look(&mut collector); // the namespace is entered
        let mut server = Actor::start("serve", &prefix);
        let address = server.hear();
        let port = address.rsplit_once(':').unwrap().1.parse().unwrap();
        let mut client = Actor::start(&format!("connect {address} 50"), &prefix);
        assert_eq!(client.hear(), "done");
        let inode = inode.unwrap();
        let ours = |seen: &crate::Seen| {
            seen.ends(port)
                .filter(|(event, _)| event.socket.namespace == inode)
                .count()
        };
        seen.wait(&mut collector, |seen| ours(seen) >= 100);
        for (event, _) in seen
            .ends(port)
            .filter(|(event, _)| event.socket.namespace == inode)
        {
            // `ip` becomes the program that it starts.
            let expected = match event.side {
                Some(Side::Source) => client.pid(),
                _ => server.pid(),
            };
            assert_eq!(user(&event.socket), Some(expected), "{event:?}");
            assert!(
                event
                    .socket
                    .traffic
                    .is_some_and(|traffic| traffic.sent_bytes >= 10)
            );
        }
        assert_eq!(ours(&seen), 100);
    }));
    ip(&["netns", "del", &name]);
    if let Err(panic) = work {
        std::panic::resume_unwind(panic);
    }
}

#[test]
fn failed_and_broken_connections_say_how() {
    let Some((mut collector, mut seen)) = start(options()) else {
        return;
    };
    // Bound, so that nobody else listens there, and not listening.
    let closed = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&closed, &"127.0.0.1:0".parse::<std::net::SocketAddr>().unwrap()).unwrap();
    let address = std::net::SocketAddr::try_from(getsockname(&closed).unwrap()).unwrap();
    let client = Actor::start(&format!("knock {address}"), &[]);
    let pid = client.pid();
    client.finish();
    seen.wait(&mut collector, |seen| seen.ends(address.port()).count() > 0);
    let (event, outcome) = seen.ends(address.port()).next().unwrap();
    assert_eq!(outcome, Outcome::Refused);
    assert_eq!((user(&event.socket), event.side), (Some(pid), Some(Side::Source)));
    let bytes = event
        .socket
        .traffic
        .map(|traffic| (traffic.sent_bytes, traffic.received_bytes));
    assert_eq!(bytes, Some((0, 0)));

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut server, _) = listener.accept().unwrap();
    client.write_all(b"hello").unwrap();
    server.read_exact(&mut [0; 5]).unwrap();
    sockopt::set_socket_linger(&server, Some(std::time::Duration::ZERO)).unwrap();
    drop(server);
    assert!(client.read(&mut [0; 1]).is_err());
    drop(client);
    seen.wait(&mut collector, |seen| seen.ends(port).count() >= 2);
    for (event, outcome) in seen.ends(port) {
        assert_eq!(outcome, Outcome::Reset, "{event:?}");
        assert_eq!(user(&event.socket), Some(std::process::id()));
        let bytes = event
            .socket
            .traffic
            .map(|traffic| (traffic.sent_bytes, traffic.received_bytes));
        // The kernel clears the counters of whoever cuts off.
        let expected = (event.side == Some(Side::Source)).then_some((5, 0));
        assert_eq!(bytes, expected, "{event:?}");
    }
}

#[test]
fn a_connection_that_lives_is_told_once_and_belongs_to_who_uses_it() {
    let Some((mut collector, mut seen)) = start(options()) else {
        return;
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, _) = listener.accept().unwrap();
    // Another process is given the accepted socket; nobody else keeps it.
    let input: OwnedFd = server.into();
    let output = input.try_clone().unwrap();
    let mut cat = Command::new("cat")
        .stdin(Stdio::from(input))
        .stdout(Stdio::from(output))
        .spawn()
        .unwrap();
    seen.look(&mut collector);
    seen.look(&mut collector);
    let alive: Vec<_> = seen
        .events
        .iter()
        .filter(|event| event.change == Change::Alive)
        .filter(|event| event.socket.local.port == port || event.socket.remote.port == port)
        .collect();
    assert_eq!(alive.len(), 3, "{alive:?}");
    for event in alive {
        assert!(!event.started_before && event.started < event.time);
        let is_listener = event.socket.state == SocketState::Listen;
        assert_eq!(event.side.is_none(), is_listener);
        if event.side != Some(Side::Destination) {
            // Named by the tracepoint, or by the look where that came first.
            let is_ours = matches!(&event.socket.owners, Owners::Used(key) | Owners::One(key) if key.pid == std::process::id());
            assert!(is_ours, "{event:?}");
        }
    }

    client.write_all(b"hello").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut echo = String::new();
    client.read_to_string(&mut echo).unwrap();
    assert_eq!(echo, "hello");
    cat.wait().unwrap();
    drop((client, listener));
    seen.wait(&mut collector, |seen| seen.ends(port).count() >= 2);
    for (event, outcome) in seen.ends(port) {
        let expected = match event.side {
            Some(Side::Source) => std::process::id(),
            _ => cat.id(),
        };
        assert_eq!(user(&event.socket), Some(expected), "{event:?}");
        assert_eq!(outcome, Outcome::Finished, "{event:?}");
        let traffic = event.socket.traffic.unwrap();
        assert_eq!((traffic.sent_bytes, traffic.received_bytes), (5, 5), "{event:?}");
    }
    // The listener too.
    seen.wait(&mut collector, |seen| {
        let ends = |event: &&atalaya_model::SocketEvent| matches!(event.change, Change::Closed(_));
        seen.events
            .iter()
            .filter(ends)
            .any(|event| event.socket.state == SocketState::Listen && event.socket.local.port == port)
    });
}
