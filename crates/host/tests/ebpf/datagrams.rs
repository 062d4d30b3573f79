//! Conversations without connection: UDP, ICMP echo, raw sockets.

use atalaya_model::connection::{Outcome, Side};
use atalaya_model::observation::SocketEvent;
use atalaya_model::{SocketState, Transport};

use crate::script::Script;
use crate::watch::{Watch, bytes, outcome, packets, user};

#[test]
fn a_socket_may_have_many_peers() {
    let Some(mut watch) = Watch::start() else { return };
    let mut script = Script::start(
        r"
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(('127.0.0.1', 0))
clients = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(100)]
for n, client in enumerate(clients):
    client.sendto(bytes(n), server.getsockname())
    client.sendto(bytes(n), server.getsockname())
    server.recv(999)
    _, peer = server.recvfrom(999)
    server.sendto(bytes(500), peer)
    client.recv(999)
say(server=address(server), clients=','.join(str(client.getsockname()[1]) for client in clients))
for client in clients:
    client.close()
wait()
server.close()
",
    );
    script.listen();
    let (server, pid) = (script.address("server"), Some(script.number("pid")));
    let ports: Vec<u16> = script.said["clients"]
        .split(',')
        .map(|port| port.parse().unwrap())
        .collect();
    let ends = |told: &crate::watch::Told, is_client: bool| -> Vec<SocketEvent> {
        let of = |event: &&SocketEvent| {
            let (here, there) = (event.socket.local.port, event.socket.remote.port);
            let (here, there) = if is_client { (there, here) } else { (here, there) };
            here == server.port() && ports.contains(&there) && outcome(event).is_some()
        };
        told.events.iter().filter(of).cloned().collect()
    };
    watch.until("the clients' ends", |told| ends(told, true).len() == 100);
    for event in ends(&watch.told, true) {
        let n = ports
            .iter()
            .position(|port| *port == event.socket.local.port)
            .unwrap() as u64;
        assert_eq!((bytes(&event), packets(&event)), ((2 * n, 500), (2, 1)));
        assert_eq!((event.side, user(&event)), (Some(Side::Source), pid));
        assert_eq!(
            (outcome(&event), event.socket.transport),
            (Some(Outcome::Finished), Transport::Udp)
        );
    }
    // The server's go on, and are told while they do.
    watch.until("the server's conversations", |told| {
        ports.iter().all(|port| {
            told.at_port(server.port())
                .any(|event| event.socket.remote.port == *port)
        })
    });
    assert!(ends(&watch.told, false).is_empty());
    script.go_on();
    watch.until("the server's ends", |told| ends(told, false).len() == 100);
    for event in ends(&watch.told, false) {
        let n = ports
            .iter()
            .position(|port| *port == event.socket.remote.port)
            .unwrap() as u64;
        assert_eq!((bytes(&event), packets(&event)), ((500, 2 * n), (1, 2)));
        assert_eq!((event.side, user(&event)), (Some(Side::Destination), pid));
        assert!(event.started <= event.time);
    }
}

#[test]
fn packets_that_are_cut_later_are_counted_as_many() {
    let Some(mut watch) = Watch::start() else { return };
    let mut script = Script::start(
        r"
server = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
server.bind(('::1', 0))
client = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
client.setsockopt(socket.IPPROTO_UDP, 103, 1000)
client.connect(server.getsockname())
client.send(bytes(5500))
got = sum(len(server.recv(9999)) for _ in range(6))
say(got=got, client=address(client), server=address(server))
client.close()
server.close()
",
    );
    script.listen();
    assert_eq!(script.number("got"), 5500);
    let (client, server) = (script.address("client"), script.address("server"));
    let event = watch.closed(Transport::Udp, client, server);
    assert_eq!((bytes(&event), packets(&event)), ((5500, 0), (6, 0)));
    let event = watch.closed(Transport::Udp, server, client);
    assert_eq!((bytes(&event), packets(&event)), ((0, 5500), (0, 6)));
}

#[test]
fn a_port_that_waits_is_told() {
    let Some(mut watch) = Watch::start() else { return };
    let mut script = Script::start_alone(
        "true",
        r"
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(('0.0.0.0', 5300))
wait()
",
    );
    script.listen();
    let (namespace, pid) = (script.number("namespace"), Some(script.number("pid")));
    let is = |event: &&SocketEvent| event.socket.namespace == namespace;
    watch.until("the port", |told| told.at_port(5300).any(|event| is(&event)));
    let began = watch.told.at_port(5300).find(is).unwrap().clone();
    assert_eq!(
        (began.socket.state, began.socket.remote.to_string()),
        (SocketState::Close, "0.0.0.0:0".into())
    );
    assert_eq!((outcome(&began), user(&began)), (None, pid));
    script.go_on();
    drop(script);
    watch.until("its end", |told| {
        told.at_port(5300)
            .any(|event| is(&event) && outcome(event) == Some(Outcome::Finished))
    });
}

#[test]
fn echoes_belong_to_who_asked() {
    let Some(mut watch) = Watch::start() else { return };
    // Both get every answer; each is told only those to its own requests.
    let mut script = Script::start_alone(
        "true",
        r"
def request(ident, n):
    packet = struct.pack('!BBHHH', 8, 0, 0, ident, n) + bytes(48)
    words = sum(struct.unpack('!28H', packet))
    words = (words & 0xffff) + (words >> 16)
    return packet[:2] + struct.pack('!H', ~words & 0xffff) + packet[4:]
one = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
two = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
for n in range(3):
    one.sendto(request(7, n), ('127.0.0.1', 0))
two.sendto(request(8, 0), ('127.0.0.1', 0))
time.sleep(0.2)
one.close()
two.close()
",
    );
    script.listen();
    let (namespace, pid) = (script.number("namespace"), Some(script.number("pid")));
    let ends = |told: &crate::watch::Told| -> Vec<SocketEvent> {
        let is = |event: &&SocketEvent| {
            event.socket.namespace == namespace
                && event.socket.transport == Transport::Icmp
                && outcome(event).is_some()
        };
        told.events.iter().filter(is).cloned().collect()
    };
    watch.until("both", |told| ends(told).len() == 2);
    for (event, count) in ends(&watch.told).iter().zip([3, 1]) {
        assert_eq!(
            (bytes(event), packets(event)),
            ((56 * count, 56 * count), (count, count))
        );
        assert_eq!((event.side, user(event)), (Some(Side::Source), pid));
    }
}

#[test]
fn raw_sockets_of_any_protocol_are_told() {
    let Some(mut watch) = Watch::start() else { return };
    let mut script = Script::start_alone(
        "ip addr add 192.0.2.1/32 dev lo",
        r"
for protocol in (253, 132):
    ours = socket.socket(socket.AF_INET, socket.SOCK_RAW, protocol)
    ours.bind(('127.0.0.1', 0))
    theirs = socket.socket(socket.AF_INET, socket.SOCK_RAW, protocol)
    theirs.bind(('192.0.2.1', 0))
    for _ in range(10):
        ours.sendto(bytes(700), ('192.0.2.1', 0))
        theirs.recv(999)
    ours.close()
    theirs.close()
",
    );
    script.listen();
    let (namespace, pid) = (Some(script.number("namespace")), Some(script.number("pid")));
    let (ours, theirs) = ("127.0.0.1:0".parse().unwrap(), "192.0.2.1:0".parse().unwrap());
    for transport in [Transport::Raw(253), Transport::Sctp] {
        let event = watch.closed_in(namespace, transport, ours, theirs);
        assert_eq!((bytes(&event), packets(&event)), ((7000, 0), (10, 0)));
        assert_eq!((event.side, user(&event)), (Some(Side::Source), pid));
        let event = watch.closed_in(namespace, transport, theirs, ours);
        assert_eq!((bytes(&event), packets(&event)), ((0, 7000), (0, 10)));
        assert_eq!((event.side, user(&event)), (Some(Side::Destination), pid));
    }
}

#[test]
fn packets_shorter_than_their_headers_say_have_no_bytes() {
    let Some(mut watch) = Watch::start() else { return };
    let mut script = Script::start_alone(
        "true",
        r"
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
raw.sendto(struct.pack('!BBHHHBBH4s4s', 0x45, 0, 24, 1, 0, 64, 17, 0, bytes([127, 0, 0, 1]), bytes([127, 0, 0, 9]))
    + struct.pack('!HH', 5, 7010), ('127.0.0.9', 0))
raw.sendto(struct.pack('!BBHHHBBH4s4s', 0x45, 0, 28, 1, 0, 64, 17, 0, bytes([127, 0, 0, 1]), bytes([127, 0, 0, 9]))
    + struct.pack('!HHHH', 5, 7011, 8, 0), ('127.0.0.9', 0))
raw.close()
# The extension header claims to be 2048 bytes long.
raw = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW)
here = socket.inet_pton(socket.AF_INET6, '::1')
raw.sendto(struct.pack('!IHBB16s16s', 0x60000000, 8, 60, 64, here, here) + bytes([58, 255, 0, 0, 0, 0, 0, 0]), ('::1', 0))
raw.close()
",
    );
    script.listen();
    let namespace = script.number("namespace");
    let (ours, theirs) = ("127.0.0.1:5".parse().unwrap(), "127.0.0.9:7011".parse().unwrap());
    watch.closed_in(Some(namespace), Transport::Udp, ours, theirs);
    let all = || {
        let events = watch.told.events.iter();
        events.filter(|event| event.socket.namespace == namespace)
    };
    assert!(all().any(|event| event.socket.remote.port == 7010));
    assert!(
        all().all(|event| bytes(event) == (0, 0)),
        "{:?}",
        all().collect::<Vec<_>>()
    );
}
