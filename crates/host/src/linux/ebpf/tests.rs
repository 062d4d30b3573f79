//! The programs alone, with small tables and short silences.

use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

use atalaya_model::observation::{Change, SocketEvent};
use atalaya_model::{Owners, Time, Transport};

use super::decode;
use super::loader::{Kernel, Sizes};
use super::ring::Lost;
use super::walker::Walk;

/// Conversations beyond the first of a socket that fit.
const PEERS: u32 = 16;

/// `None` where these tests have to be left out, which is said.
fn kernel() -> Option<Kernel> {
    kernel_for(PEERS, 1 << 20)
}

/// The same with room for so many peers, and so many bytes of records.
fn kernel_for(peers: u32, ring: usize) -> Option<Kernel> {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: not root");
        return None;
    }
    let sizes = Sizes {
        peers,
        ..Sizes::with_ring(ring)
    };
    Some(Kernel::load(sizes).unwrap())
}

/// What was told of conversations of the socket with this port.
fn told(kernel: &mut Kernel, port: u16) -> Vec<SocketEvent> {
    let mut events = Vec::new();
    kernel.ring.drain(&mut |record| {
        events.extend(decode::event(record, Time(0)));
    });
    events.retain(|event| event.socket.transport == Transport::Udp && event.socket.local.port == port);
    events
}

/// How many conversations with this port were told to have ended.
fn ended(kernel: &mut Kernel, port: u16) -> u64 {
    let mut count = 0;
    kernel.ring.drain(&mut |record| {
        let event = decode::event(record, Time(0));
        count += u64::from(event.is_some_and(|event| {
            event.socket.remote.port == port && matches!(event.change, Change::Closed(_))
        }));
    });
    count
}

#[test]
fn silence_ends_a_conversation_and_a_packet_begins_another() {
    let Some(mut kernel) = kernel() else { return };
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    for (word, second) in [(b"first", 0), (b"again", 1)] {
        socket.send_to(word, "127.0.0.1:9").unwrap();
        kernel.walker.silence = Some(Duration::from_secs(60));
        kernel.walk(Walk::Quick).unwrap();
        let alive = told(&mut kernel, port);
        assert_eq!(alive.len(), 1, "{alive:?}");
        assert_eq!(alive[0].change, Change::Alive);
        assert!(matches!(alive[0].socket.owners, Owners::Used(key) if key.pid == std::process::id()));

        std::thread::sleep(Duration::from_millis(30));
        kernel.walker.silence = Some(Duration::from_millis(10));
        kernel.walk(Walk::Quick).unwrap();
        let ended = told(&mut kernel, port);
        assert_eq!(ended.len(), 1, "round {second}: {ended:?}");
        assert!(matches!(ended[0].change, Change::Closed(_)));
        assert_eq!(ended[0].started, alive[0].started);
        assert_eq!(ended[0].socket.traffic.unwrap().sent_bytes, 5);
        // It ended with its last packet, not as that was noticed.
        assert!(ended[0].time < alive[0].time);
    }
    drop(socket);
    assert_eq!(told(&mut kernel, port), []);
}

#[test]
fn the_next_socket_at_an_address_does_not_take_over_conversations() {
    const SOCKETS: u64 = 2_000;
    let Some(mut kernel) = kernel_for(1 << 14, 1 << 22) else {
        return;
    };
    kernel.ring.lost();
    let servers = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
    let addresses = servers.each_ref().map(|server| server.local_addr().unwrap());
    let mut ends = 0;
    for _ in 0..SOCKETS {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        for address in addresses {
            socket.send_to(b"1", address).unwrap();
        }
        drop(socket);
        ends += ended(&mut kernel, addresses[1].port());
    }
    kernel.walk(Walk::Quick).unwrap();
    ends += ended(&mut kernel, addresses[1].port());
    // Others on this host may fill the ring.
    let lost = kernel.ring.lost().ends;
    assert!(
        ends <= SOCKETS && ends + lost >= SOCKETS,
        "{ends} and {lost} lost"
    );
}

#[test]
fn ends_that_the_walker_tells_wait_for_room() {
    const CONVERSATIONS: u64 = 2_000;
    // Room for 200 before it is half full.
    let Some(mut kernel) = kernel_for(1 << 14, 1 << 16) else {
        return;
    };
    let server = UdpSocket::bind("0.0.0.0:0").unwrap();
    let port = server.local_addr().unwrap().port();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for number in 0..CONVERSATIONS {
        let ip = Ipv4Addr::from_bits(Ipv4Addr::LOCALHOST.to_bits() + number as u32);
        socket.send_to(b"1", (ip, port)).unwrap();
    }
    drop(socket);
    let mut ends = ended(&mut kernel, port);
    for _ in 0..1_000 {
        if ends == CONVERSATIONS {
            break;
        }
        kernel.walk(Walk::Quick).unwrap();
        ends += ended(&mut kernel, port);
    }
    assert_eq!(ends, CONVERSATIONS, "{:?}", kernel.ring.lost());
}

#[test]
fn a_full_table_is_counted() {
    let Some(mut kernel) = kernel() else { return };
    kernel.ring.lost();
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    let clients: Vec<_> = (0..3 * PEERS)
        .map(|_| UdpSocket::bind("127.0.0.1:0").unwrap())
        .collect();
    for client in &clients {
        client.send_to(b"1", server.local_addr().unwrap()).unwrap();
    }
    let lost = kernel.ring.lost();
    drop((server, clients));
    kernel.walker.silence = Some(Duration::from_secs(60));
    kernel.walk(Walk::Quick).unwrap();
    let seen = told(&mut kernel, port).len() as u64;
    // Its first peer is in the entry of the socket; others may have taken room of the rest.
    assert!((1..=1 + u64::from(PEERS)).contains(&seen), "{seen}");
    assert!(seen + lost.entries >= u64::from(3 * PEERS), "{seen} {lost:?}");
    assert_eq!(Lost { entries: 0, ..lost }, Lost::default());
}
