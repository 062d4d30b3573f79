//! What was there before the programs.

use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};

use atalaya_model::{Endpoint, Owners, Socket, SocketState, Transport};

use crate::script::Script;
use crate::watch::{Watch, bytes, is_root, keys, options, outcome, user};

#[test]
fn what_exists_is_listed_and_its_end_is_told() {
    if !is_root() {
        return;
    }
    let mut script = Script::start_alone(
        "true",
        r"
listener = socket.create_server(('127.0.0.1', 80))
client = socket.create_connection(listener.getsockname())
server, _ = listener.accept()
client.sendall(bytes(11))
server.recv(99)
bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
bound.bind(('127.0.0.1', 53))
asker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
asker.connect(('127.0.0.1', 53))
asker.send(bytes(20))
say(client=address(client), server=address(server), asker=address(asker), bound=address(bound))
wait()
client.sendall(bytes(5))
server.recv(99)
bound.recv(99)
for s in (client, server, listener, asker, bound):
    s.close()
wait()
",
    );
    script.listen();
    let (namespace, pid) = (script.number("namespace"), script.number("pid"));
    let mut watch = Watch::with(options());
    assert!(watch.told.listed.contains(&namespace));
    let listed: Vec<_> = watch
        .told
        .sockets
        .iter()
        .filter(|socket| socket.namespace == namespace)
        .collect();
    assert_eq!(listed.len(), 5, "{listed:?}");
    for socket in &listed {
        assert!(keys(&socket.owners).iter().all(|key| key.pid == pid));
        assert!(matches!(socket.owners, Owners::One(_)));
    }
    let own = |event: &&atalaya_model::observation::SocketEvent| event.socket.namespace == namespace;
    // Where some namespaces could not be entered, the programs tell what the list lacks, and more.
    watch.look();
    let again: Vec<_> = watch.told.events.iter().filter(own).collect();
    assert!(
        again
            .iter()
            .all(|event| event.started_before && outcome(event).is_none()),
        "{again:?}"
    );

    script.go_on();
    let (client, server) = (script.address("client"), script.address("server"));
    let event = watch.closed_in(Some(namespace), Transport::Tcp, client, server);
    assert_eq!((bytes(&event), user(&event)), ((16, 0), Some(pid)));
    assert!(event.started_before && event.side.is_none());
    let asker = script.address("asker");
    watch.closed_in(Some(namespace), Transport::Udp, asker, script.address("bound"));
    watch.until("the ends of both that wait", |told| {
        let ended = |port: u16| {
            told.at_port(port)
                .any(|event| own(&event) && event.socket.remote.port == 0 && outcome(event).is_some())
        };
        ended(80) && ended(53)
    });
}

#[test]
fn a_socket_that_waited_to_be_accepted_is_its_users() {
    if !is_root() {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let mut watch = Watch::with(options());
    let (local, remote) = (client.peer_addr().unwrap(), client.local_addr().unwrap());
    let (mut server, _) = listener.accept().unwrap();
    std::io::Write::write_all(&mut server, b"12").unwrap();
    drop((server, client));
    let event = watch.closed(Transport::Tcp, local, remote);
    assert_eq!((bytes(&event), user(&event)), ((2, 0), Some(std::process::id())));
    assert!(event.started_before);
}

#[test]
fn shadows_are_not_listed() {
    if !is_root() {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let address = client.local_addr().unwrap();
    drop(listener.accept().unwrap());
    drop(client);
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let watch = Watch::with(options());
    let own = std::os::unix::fs::MetadataExt::ino(&std::fs::metadata("/proc/self/ns/net").unwrap());
    let there = |address: SocketAddr| {
        let address = Endpoint::new(address.ip(), address.port());
        let is = move |socket: &&Socket| socket.local == address && u64::from(socket.namespace) == own;
        watch.told.sockets.iter().filter(is).count()
    };
    assert_eq!(there(address), 0);
    assert!(
        watch
            .told
            .sockets
            .iter()
            .all(|socket| socket.state != SocketState::TimeWait)
    );
    assert_eq!(there(udp.local_addr().unwrap()), 1);
}
