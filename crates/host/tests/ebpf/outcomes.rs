//! How attempts fail, and how conversations break off.

use atalaya_model::Transport;
use atalaya_model::connection::{Outcome, Side};

use crate::script::Script;
use crate::watch::{Watch, outcome, user};

#[test]
fn every_failure_has_its_name() {
    let Some(mut watch) = Watch::start() else { return };
    // One neighbour has an address that nobody listens for, the others have none.
    let commands = "ip link add left type veth peer name right && ip link set left up && ip link set right up && \
                    ip addr add 198.51.100.1/24 dev left && ip addr add 203.0.113.1/24 dev left && \
                    ip neigh add 198.51.100.9 lladdr 02:00:00:00:00:09 dev left nud permanent && \
                    echo 50 > /proc/sys/net/ipv4/neigh/left/retrans_time_ms";
    let mut script = Script::start_alone(
        commands,
        r"
def attempt(name, to, timeout=None):
    s = socket.socket()
    if name == 'unanswered':
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 500)
    s.settimeout(timeout)
    s.bind((to[0].rsplit('.', 1)[0] + '.1', 0))
    try:
        s.connect(to)
    except OSError:
        pass
    say(**{name: address(s)})
    s.close()
unreachable = threading.Thread(target=attempt, args=('unreachable', ('203.0.113.9', 81)))
unreachable.start()
attempt('refused', ('127.0.0.1', 81))
attempt('abandoned', ('198.51.100.9', 81), 0.05)
attempt('unanswered', ('198.51.100.9', 82))
unreachable.join()
",
    );
    script.listen();
    let namespace = Some(script.number("namespace"));
    let cases = [
        ("refused", "127.0.0.1:81", Outcome::Refused),
        ("abandoned", "198.51.100.9:81", Outcome::Abandoned),
        ("unanswered", "198.51.100.9:82", Outcome::Unanswered),
        ("unreachable", "203.0.113.9:81", Outcome::Unreachable),
    ];
    for (name, remote, expected) in cases {
        let local = script.address(name);
        let event = watch.closed_in(namespace, Transport::Tcp, local, remote.parse().unwrap());
        assert_eq!(outcome(&event), Some(expected), "{name}");
        assert_eq!(
            (event.side, user(&event)),
            (Some(Side::Source), Some(script.number("pid")))
        );
    }
}

#[test]
fn resets_of_both_sides_are_told() {
    let Some(mut watch) = Watch::start() else { return };
    let mut script = Script::start(
        r"
listener = socket.create_server(('127.0.0.1', 0))
def pair(name):
    client = socket.create_connection(listener.getsockname())
    server, _ = listener.accept()
    say(**{name: address(client)})
    return client, server
client, server = pair('linger')
client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
client.close()
server.close()
client, server = pair('unread')
server.sendall(b'never read')
time.sleep(0.05)
client.close()
server.close()
say(server=address(listener))
",
    );
    script.listen();
    let server = script.address("server");
    for name in ["linger", "unread"] {
        let client = script.address(name);
        for (local, remote) in [(client, server), (server, client)] {
            let event = watch.closed(Transport::Tcp, local, remote);
            assert_eq!(outcome(&event), Some(Outcome::Reset), "{name}");
        }
    }
}
