//! TCP: every conversation once, with exact bytes, whichever way they went.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};

use atalaya_model::connection::{Outcome, Side};
use atalaya_model::{Owners, SocketState, Transport};

use crate::script::Script;
use crate::watch::{Watch, bytes, outcome, packets, user};

/// One conversation of 1,234 and 99 bytes; both ends' addresses.
fn talk(listener: &TcpListener, to: SocketAddr) -> (SocketAddr, SocketAddr) {
    let mut client = TcpStream::connect(to).unwrap();
    let (mut server, _) = listener.accept().unwrap();
    client.write_all(&[7; 1234]).unwrap();
    server.read_exact(&mut [0; 1234]).unwrap();
    server.write_all(&[8; 99]).unwrap();
    client.read_exact(&mut [0; 99]).unwrap();
    let addresses = (client.local_addr().unwrap(), client.peer_addr().unwrap());
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(server.read(&mut [0; 1]).unwrap(), 0);
    addresses
}

#[test]
fn both_ends_are_told_with_their_bytes() {
    let Some(mut watch) = Watch::start() else { return };
    for (bound, to) in [("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("::", "127.0.0.1")] {
        let listener = TcpListener::bind((bound.parse::<IpAddr>().unwrap(), 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (client, server) = talk(&listener, SocketAddr::new(to.parse().unwrap(), port));

        let one = watch.closed(Transport::Tcp, client, server);
        assert_eq!((bytes(&one), one.side), ((1234, 99), Some(Side::Source)), "{to}");
        let other = watch.closed(Transport::Tcp, server, client);
        assert_eq!((bytes(&other), other.side), ((99, 1234), Some(Side::Destination)));
        for event in [&one, &other] {
            assert_eq!(user(event), Some(std::process::id()));
            assert_eq!(outcome(event), Some(Outcome::Finished));
            assert!(event.started < event.time && !event.started_before);
            let (sent, received) = packets(event);
            assert!((3..20).contains(&sent) && (3..20).contains(&received));
            assert_ne!((event.socket.cookie, event.socket.namespace), (0, 0));
        }
        assert!(one.started <= other.started);
        drop(listener);
        watch.until("the listener's end", |told| {
            told.at_port(port)
                .any(|event| event.socket.state == SocketState::Listen && outcome(event).is_some())
        });
        let began = watch
            .told
            .at_port(port)
            .find(|event| event.socket.state == SocketState::Listen);
        assert_eq!(user(began.unwrap()), Some(std::process::id()));
    }
}

#[test]
fn one_that_lasts_is_told_while_it_does() {
    let Some(mut watch) = Watch::start() else { return };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let port = client.local_addr().unwrap().port();
    client.write_all(&[0; 10]).unwrap();
    watch.until("ten bytes", |told| {
        told.at_port(port).any(|event| bytes(event) == (10, 0))
    });
    client.write_all(&[0; 5]).unwrap();
    watch.until("fifteen bytes", |told| {
        told.at_port(port).any(|event| bytes(event) == (15, 0))
    });
    let count = watch.told.at_port(port).count();
    for _ in 0..5 {
        watch.look();
    }
    assert_eq!(
        watch.told.at_port(port).count(),
        count,
        "nothing happened, and something was told"
    );

    // Nobody has accepted it yet: it is said to be the listener's.
    let server = listener.local_addr().unwrap().port();
    let is_waiting = |event: &atalaya_model::observation::SocketEvent| {
        event.socket.remote.port == port
            && matches!(event.socket.owners, Owners::Accepting(key) if key.pid == std::process::id())
    };
    assert!(watch.told.at_port(server).any(is_waiting));
}

#[test]
fn bytes_that_no_process_copied_are_counted() {
    let Some(mut watch) = Watch::start() else { return };
    let mut script = Script::start(
        r"
import tempfile
listener = socket.create_server(('127.0.0.1', 0))
client = socket.create_connection(listener.getsockname())
server, _ = listener.accept()
got = 0
def drain():
    global got
    while data := server.recv(1 << 16):
        got += len(data)
reader = threading.Thread(target=drain)
reader.start()
with tempfile.TemporaryFile() as file:
    file.write(bytes(2_800_001))
    file.flush()
    sent = 0
    while sent < 2_800_001:
        sent += os.sendfile(client.fileno(), file.fileno(), sent, 1 << 20)
    r, w = os.pipe()
    moved = os.splice(file.fileno(), w, 30_000, offset_src=0)
    while moved:
        moved -= os.splice(r, client.fileno(), moved)
say(client=address(client), server=address(server))
client.close()
reader.join()
say(got=got)
server.close()
",
    );
    script.listen();
    assert_eq!(script.number("got"), 2_830_001);
    let (client, server) = (script.address("client"), script.address("server"));
    let one = watch.closed(Transport::Tcp, client, server);
    assert_eq!(
        (bytes(&one), user(&one)),
        ((2_830_001, 0), Some(script.number("pid")))
    );
    let other = watch.closed(Transport::Tcp, server, client);
    assert_eq!(
        (bytes(&other), user(&other)),
        ((0, 2_830_001), Some(script.number("pid")))
    );
}

#[test]
fn multipath_connections_are_counted_once() {
    let Some(mut watch) = Watch::start() else { return };
    let mut script = Script::start(
        r"
try:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)
except OSError as error:
    say(missing=error.errno)
else:
    listener.bind(('127.0.0.1', 0))
    listener.listen()
    client = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)
    client.connect(listener.getsockname())
    server, _ = listener.accept()
    client.sendall(bytes(70_000))
    got = 0
    while got < 70_000:
        got += len(server.recv(1 << 16))
    server.sendall(bytes(300))
    got = 0
    while got < 300:
        got += len(client.recv(1 << 16))
    say(client=address(client), server=address(server))
    client.close()
    server.close()
    time.sleep(0.2)
",
    );
    script.listen();
    if script.said.contains_key("missing") {
        println!("skipped: this kernel has no multipath TCP");
        return;
    }
    let (client, server) = (script.address("client"), script.address("server"));
    let pid = Some(script.number("pid"));
    let one = watch.closed(Transport::Tcp, client, server);
    assert_eq!((bytes(&one), user(&one)), ((70_000, 300), pid));
    let other = watch.closed(Transport::Tcp, server, client);
    assert_eq!((bytes(&other), user(&other)), ((300, 70_000), pid));
    let all = watch.told.at_port(client.port());
    assert_eq!(all.filter(|event| outcome(event).is_some()).count(), 1);
}

#[test]
fn other_network_namespaces_are_seen() {
    let Some(mut watch) = Watch::start() else { return };
    let mut script = Script::start_alone(
        "true",
        r"
listener = socket.create_server(('127.0.0.1', 0))
client = socket.create_connection(listener.getsockname())
server, _ = listener.accept()
client.sendall(bytes(21))
server.recv(21, socket.MSG_WAITALL)
say(client=address(client), server=address(server))
client.close()
server.close()
",
    );
    script.listen();
    let namespace = script.number("namespace");
    let (client, server) = (script.address("client"), script.address("server"));
    let one = watch.closed_in(Some(namespace), Transport::Tcp, client, server);
    assert_eq!((bytes(&one), user(&one)), ((21, 0), Some(script.number("pid"))));
}
