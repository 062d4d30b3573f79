//! What the kernel refuses by itself is nobody's conversation.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use atalaya_model::connection::{Outcome, Side};
use atalaya_model::observation::SocketEvent;
use atalaya_model::{Endpoint, SocketState, Transport};

use crate::script::Script;
use crate::watch::{Told, Watch, outcome, user};

/// Two namespaces, joined by `left` (198.51.100.1, 2001:db8::1; ours) and `right` (.2, ::2; the peer's), and what writes
/// segments by hand. Raw sockets of the peer's namespace are made by this process too.
const PAIR: &str = r"
import ctypes, subprocess
libc = ctypes.CDLL(None, use_errno=True)
def shell(commands, **more):
    subprocess.run(['sh', '-ec', commands], check=True, **more)
def enter(namespace):
    assert libc.setns(namespace, 0x40000000) == 0
ours = os.open('/proc/self/ns/net', os.O_RDONLY)
assert libc.unshare(0x40000000) == 0
peers = os.open('/proc/self/ns/net', os.O_RDONLY)
say(peer=os.fstat(peers).st_ino)
shell(f'nsenter --net=/proc/self/fd/{ours} ip link set right netns {os.getpid()}', pass_fds=[ours])
shell('ip link set lo up; ip addr add 198.51.100.2/24 dev right; ip addr add 2001:db8::2/64 dev right nodad; ip link set right up')
enter(ours)
shell('ip addr add 198.51.100.1/24 dev left; ip addr add 2001:db8::1/64 dev left nodad; ip link set left up')
def family(address):
    return socket.AF_INET6 if ':' in address else socket.AF_INET
def total(data):
    n = sum(struct.unpack(f'!{len(data) // 2}H', data))
    while n >> 16:
        n = (n & 0xffff) + (n >> 16)
    return ~n & 0xffff
SYN, ACK = 2, 16
def segment(source, destination, flags, number=1000):
    packed = [socket.inet_pton(family(address), address) for address, _ in (source, destination)]
    tcp = struct.pack('!HHIIBBHHH', source[1], destination[1], number, 0 if flags == SYN else 1, 0x50, flags, 100, 0, 0)
    check = total(b''.join(packed) + struct.pack('!HH', 6, len(tcp)) + tcp)
    return tcp[:16] + struct.pack('!H', check) + tcp[18:]
def write(raw, source, destination, flags, number=1000):
    raw.sendto(segment(source, destination, flags, number), (destination[0], 0))
def raw(address):
    made = socket.socket(family(address), socket.SOCK_RAW, socket.IPPROTO_TCP)
    made.bind((address, 0))
    return made
";

const JOIN: &str = "ip link add left type veth peer name right";

type Pair = (SocketAddr, SocketAddr);

/// `name=LOCAL-REMOTE,LOCAL-REMOTE` as the script said it.
#[track_caller]
fn pairs(script: &Script, name: &str) -> Vec<Pair> {
    let pair = |text: &str| {
        let (local, remote) = text.split_once('-').unwrap();
        (local.parse().unwrap(), remote.parse().unwrap())
    };
    script.said[name].split(',').map(pair).collect()
}

fn endpoint(address: SocketAddr) -> Endpoint {
    Endpoint::new(address.ip(), address.port())
}

/// Every conversation that has to do with the script's namespaces or with `pairs`, either way round, by its last event.
fn conversations(told: &Told, script: &Script, pairs: &[Pair]) -> BTreeMap<String, SocketEvent> {
    let namespaces = [script.number("namespace"), script.number("peer")];
    let is = |event: &&SocketEvent| {
        let (local, remote) = (event.socket.local, event.socket.remote);
        let is_pair = |(ours, theirs): &Pair| {
            let (ours, theirs) = (endpoint(*ours), endpoint(*theirs));
            (local, remote) == (ours, theirs) || (local, remote) == (theirs, ours)
        };
        event.socket.state != SocketState::Listen
            && (namespaces.contains(&event.socket.namespace) || pairs.iter().any(is_pair))
    };
    let name = |event: &SocketEvent| {
        let socket = &event.socket;
        format!(
            "{:?} {} > {} ({})",
            socket.transport, socket.local, socket.remote, socket.cookie
        )
    };
    let events = told.events.iter().filter(is);
    events.map(|event| (name(event), event.clone())).collect()
}

/// Waits for the last of what the script's raw sockets wrote, which they hold open. The walker tells it; whatever was
/// there before is told by the end of the next walk.
#[track_caller]
fn until_all_is_told(watch: &mut Watch, last: Pair) {
    watch.until("the last segment", |told| {
        let is = |event: &SocketEvent| {
            (event.socket.local, event.socket.remote) == (endpoint(last.0), endpoint(last.1))
        };
        told.events.iter().any(is)
    });
    watch.look();
    watch.look();
}

#[test]
fn a_refused_connection_is_told_once() {
    let Some(mut watch) = Watch::start() else { return };
    // More than processors, because what the kernel answers with has one socket for each.
    let program = format!(
        "{PAIR}{}",
        r"
refused = []
for n in range(16):
    for to in ('127.0.0.1', '::1', '198.51.100.2', '2001:db8::2'):
        s = socket.socket(family(to))
        s.bind(({'198.51.100.2': '198.51.100.1', '2001:db8::2': '2001:db8::1'}.get(to, to), 0))
        try:
            s.connect((to, 9))
        except ConnectionRefusedError:
            refused.append(f'{address(s)}-[{to}]:9' if ':' in to else f'{address(s)}-{to}:9')
        s.close()
say(refused=','.join(refused))
last = raw('198.51.100.1')
write(last, ('198.51.100.1', 7001), ('198.51.100.2', 7002), SYN)
wait()
"
    );
    let mut script = Script::start_alone(JOIN, &program);
    script.listen();
    let refused = pairs(&script, "refused");
    assert_eq!(refused.len(), 64);
    let last = (
        "198.51.100.1:7001".parse().unwrap(),
        "198.51.100.2:7002".parse().unwrap(),
    );
    until_all_is_told(&mut watch, last);
    for (local, remote) in &refused {
        watch.closed(Transport::Tcp, *local, *remote);
    }
    let told = conversations(&watch.told, &script, &refused);
    assert_eq!(told.len(), 65, "{:#?}", told.keys());
    for event in told.values().filter(|event| event.socket.remote.port == 9) {
        assert_eq!(outcome(event), Some(Outcome::Refused));
        assert_eq!(
            (event.side, user(event)),
            (Some(Side::Source), Some(script.number("pid")))
        );
    }
}
