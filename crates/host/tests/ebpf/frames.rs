//! What is written past the network stack.

use atalaya_model::Transport;
use atalaya_model::connection::Side;
use atalaya_model::observation::{Change, SocketEvent};

use crate::script::Script;
use crate::watch::{Watch, bytes, packets, user};

#[test]
fn injected_packets_are_told_with_their_process() {
    let Some(mut watch) = Watch::start() else { return };
    // UDP and TCP from a packet socket, and TCP from a raw one.
    let mut script = Script::start_alone(
        "ip link add left type veth peer name right && ip addr add 203.0.113.1/24 dev left && ip link set left up && \
         ip link set right up && ip neigh add 203.0.113.9 lladdr 02:00:00:00:00:09 dev left nud permanent",
        r"
def ip(protocol, payload):
    return struct.pack('!BBHHHBBH4s4s', 0x45, 0, 20 + len(payload), 1, 0, 64, protocol, 0,
        socket.inet_aton('203.0.113.1'), socket.inet_aton('203.0.113.9')) + payload
udp = struct.pack('!HHHH', 1111, 2222, 108, 0) + bytes(100)
tcp = struct.pack('!HHIIBBHHH', 3333, 4444, 0, 0, 0x50, 2, 100, 0, 0)
other = struct.pack('!HHIIBBHHH', 5555, 6666, 0, 0, 0x60, 2, 100, 0, 0) + bytes(4) + b'data'
frame = b'\x02\0\0\0\0\x09' + b'\x02\0\0\0\0\x01' + b'\x08\0'
injector = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
injector.bind(('left', 0))
for _ in range(5):
    injector.send(frame + ip(17, udp))
    injector.send(frame + ip(6, tcp))
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
raw.sendto(ip(6, other), ('203.0.113.9', 0))
wait()
injector.close()
raw.close()
wait()
",
    );
    script.listen();
    script.go_on();
    let (namespace, pid) = (Some(script.number("namespace")), Some(script.number("pid")));
    let at = |ip: &str, port: u16| format!("{ip}:{port}").parse().unwrap();
    let cases = [
        (Transport::Udp, 1111, 2222, 500, 5),
        (Transport::Tcp, 3333, 4444, 0, 5),
        (Transport::Tcp, 5555, 6666, 4, 1),
    ];
    for (transport, ours, theirs, sent, count) in cases {
        let (local, remote) = (at("203.0.113.1", ours), at("203.0.113.9", theirs));
        let event = watch.closed_in(namespace, transport, local, remote);
        assert_eq!(
            (bytes(&event), packets(&event)),
            ((sent, 0), (count, 0)),
            "{remote}"
        );
        assert_eq!((event.side, user(&event)), (Some(Side::Source), pid));
    }
}

#[test]
fn each_of_many_short_lived_injectors_is_told() {
    let Some(mut watch) = Watch::start() else { return };
    // A packet socket often gets the address of the one before, whose end nobody has told yet.
    let mut script = Script::start_alone(
        "ip link add left type veth peer name right && ip link set left up && ip link set right up",
        r"
packet = struct.pack('!BBHHHBBH4s4s', 0x45, 0, 28, 1, 0, 64, 17, 0,
    socket.inet_aton('203.0.113.1'), socket.inet_aton('203.0.113.9')) + struct.pack('!HHHH', 1111, 2222, 8, 0)
for _ in range(40):
    injector = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    injector.bind(('left', 0))
    injector.send(bytes(12) + b'\x08\0' + packet)
    injector.close()
",
    );
    script.listen();
    let namespace = script.number("namespace");
    watch.until("40 ends", |told| {
        let is = |event: &&SocketEvent| {
            event.socket.namespace == namespace && matches!(event.change, Change::Closed(_))
        };
        let ends: Vec<_> = told.events.iter().filter(is).collect();
        assert!(ends.iter().all(|event| packets(event) == (1, 0)), "{ends:?}");
        ends.len() == 40
    });
}
