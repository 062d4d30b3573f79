"""What is done on the network, and who was doing it."""

import json
import shutil
import subprocess
import time
from dataclasses import dataclass, field

from completeness import world as places
from completeness.world import DEAF_PORT, HERE, MANY, THERE, THERE6, THERE_FOR_BOX

# Seconds that a generator may take.
PATIENCE = 100


@dataclass
class Scenario:
    """Generators that run one after the other against their servers.

    In their words `PORT` stands for a port of the scenario's own."""

    name: str
    clients: list = field(default_factory=list)
    servers: list = field(default_factory=list)
    # Where the clients and the servers run.
    place: str = "here"
    peer: str = "there"
    # Sockets that more than one process may be called the process of.
    shared: bool = False
    # What the peer's counters can be compared by.
    counted: tuple = ("tcp",)
    is_v6: bool = False
    # Are TCP and UDP to be counted to the byte?
    to_the_byte: bool = True


def sizes(quick):
    """(bytes of a bulk transfer, datagrams of a flood, a factor for counts)."""
    return (8 << 20, 2_000, 10) if quick else (256 << 20, 20_000, 1)


def all_of(quick):
    bulk, flood, less = sizes(quick)

    def tcp(*clients, peer=THERE, server="tcp", **more):
        return {"clients": list(clients), "servers": [["serve", server, peer, "PORT"]], **more}

    def udp(*clients, peer=THERE, port="PORT", **more):
        return {"clients": list(clients), "servers": [["serve", "udp", peer, port]], "counted": ("udp",), **more}

    def exchange(up, down, how="plain", to=THERE):
        return ["tcp", "exchange", to, "PORT", up, down, how]

    def small(count, down=100, to=THERE):
        return ["tcp", "small", to, "PORT", count, 116, down]

    def send(count, size, how="plain", to=THERE, port="PORT"):
        return ["udp", "up", to, port, count, size, how]

    def receive(count, size, how="plain"):
        return ["udp", "down", THERE, "PORT", count, size, how]

    def fresh(count, size, to=THERE):
        return ["udp", "fresh", to, "PORT", count, size]

    def other(number, kind):
        client = ["raw", "protocol", THERE, number, 2000 // less, 1400]
        return {"clients": [client], "servers": [["serve", "raw", THERE, number]], "counted": (kind,)}

    peers = [["udp", "echo", THERE, "PORT", 200, 500], ["udp", "many", MANY, "PORT", 250, 100]]
    pings = [["raw", "ping", THERE, 100, 1400], ["raw", "ping", THERE6, 100, 1400]]
    injection = ["raw", "packet", "eth0", "MAC", HERE, THERE, "PORT", 2000 // less, 1400]
    loopback = {
        "clients": [exchange(bulk // 8, bulk // 8, to="127.0.0.1"), fresh(100, 200, "127.0.0.1")],
        "servers": [["serve", kind, "127.0.0.1", "PORT"] for kind in ("tcp", "udp")],
    }
    container = {
        "clients": [small(100, 1000, THERE_FOR_BOX), fresh(50, 100, THERE_FOR_BOX)],
        "servers": [["serve", kind, THERE_FOR_BOX, "PORT"] for kind in ("tcp", "udp")],
    }
    scenarios = {
        "TCP bulk up": tcp(exchange(bulk, 0)),
        "TCP bulk down": tcp(exchange(16, bulk)),
        "TCP duplex": tcp(exchange(bulk // 2, bulk // 2)),
        "UDP up": udp(send(flood, 1200)),
        "UDP down": udp(receive(flood // 4, 1200)),
        "UDP, 250 peers of one socket": udp(*peers, peer="0.0.0.0"),
        "ICMP flood": {"clients": [["raw", "icmp", THERE, 5000 // less, 1400]], "counted": ("icmp",)},
        "ping sockets, IPv4 and IPv6": {"clients": pings, "counted": ()},
        "UDP/443, segmented by the kernel": udp(send(flood, 1200, "gso", port=443), port=443),
        "IPv6 TCP": tcp(exchange(bulk // 8, bulk // 8, to=THERE6), peer=THERE6, is_v6=True),
        "IPv6 UDP": udp(send(flood // 4, 1200, to=THERE6), fresh(20, 100, THERE6), peer=THERE6, is_v6=True),
        "SCTP (protocol 132 over a raw socket)": other(132, "sctp"),
        "UDP/53 flood of small packets": udp(send(flood, 40, port=53), port=53),
        "raw IP protocol 253": other(253, "raw"),
        f"{1000 // less:,} short-lived processes": tcp(["processes", "each", 1000 // less, THERE, "PORT"]),
        "injection by packet socket": udp(injection),
        "io_uring up": tcp(["uring", "tcp", THERE, "PORT", bulk // 8, 0]),
        "io_uring down": tcp(["uring", "tcp", THERE, "PORT", 16, bulk // 8]),
        "io_uring UDP": udp(["uring", "udp", THERE, "PORT", flood // 10, 1200]),
        "sendfile": tcp(exchange(bulk // 4, 0, "sendfile")),
        "splice, both ways": tcp(exchange(bulk // 8, bulk // 8, "splice")),
        "sendmmsg": udp(send(flood, 1200, "mmsg")),
        "recvmmsg": udp(receive(flood // 4, 1200, "mmsg")),
        "loopback only, TCP and UDP": {**loopback, "peer": "here", "counted": ()},
        "container: namespaces, control group, chroot": {**container, "place": "box", "counted": ("tcp", "udp")},
        "low and slow: a byte now and then": tcp(["tcp", "drip", THERE, "PORT", 16, 500 // less]),
        f"{20000 // less:,} small TCP connections": tcp(small(20000 // less)),
        "burst from 16 processes": tcp(["processes", "burst", 16, 50 // less, THERE, "PORT"]),
        # Its headers are of many lengths, and it may send bytes again above TCP, on the same connection, too.
        "MPTCP": tcp(exchange(bulk // 8, bulk // 8, "mptcp"), server="mptcp", counted=(), to_the_byte=False),
        "accepted, passed to another process": tcp(*[exchange(100_000, 100_000)] * 3, server="pass"),
        "connected, used by a child": tcp(["processes", "hand", THERE, "PORT", 5], shared=True),
        "server that forks for each connection": tcp(small(50, 1000), server="fork"),
        "accepted by a forked worker, never used": tcp(["tcp", "untouched", THERE, "PORT", 20], server="untouched"),
        "ended by a reset": tcp(["tcp", "reset", THERE, "PORT", 20]),
        "refused": {"clients": [["tcp", "refused", THERE, 9002, 20]]},
        "nobody answers, given up": {"clients": [["tcp", "unanswered", THERE, DEAF_PORT, 3, 300]]},
    }
    return [Scenario(name, **how) for name, how in scenarios.items()]


class Failed(Exception):
    """A generator could not do its part; the text names the system call."""


def told(path, pids):
    """The lines of a generator. Processes in the container are known by their pid outside."""
    lines = [json.loads(line) for line in path.read_bytes().splitlines() if line.startswith(b"{")]
    outside = {}
    for line in lines:
        if "boxed" in line:
            outside = {1: line["boxed"]}
        if "failed" in line:
            raise Failed(line["failed"])
    ends = [line for line in lines if "end" in line]
    for end in ends:
        end["pid"] = outside.get(end["pid"], end["pid"])
        end["pids"] = {end["pid"], *pids}
    return ends


def perform(world, scenario, port):
    """Does it, and gives (what every process did, what the peer counted)."""
    fill = {"PORT": port, "MAC": world.peer_mac}

    def filled(words):
        return [str(fill.get(word, word)) for word in words]

    ends, servers = [], []
    world.counted()
    try:
        for index, words in enumerate(scenario.servers):
            path = world.folder / f"server-{port}-{index}"
            words = [world.load, *filled(words)]
            server = world.start(scenario.peer, *words, stdin=subprocess.PIPE, stdout=path.open("ab"))
            servers.append((server, path))
        for server, path in servers:
            wait_until_ready(server, path)
        for index, words in enumerate(scenario.clients):
            path = world.folder / f"client-{port}-{index}"
            command, place = [world.load, *filled(words)], scenario.place
            if place == "box":
                command, place = boxed(world, filled(words)), "here"
            client = world.start(place, *command, stdin=subprocess.DEVNULL, stdout=path.open("ab"))
            try:
                code = client.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                raise Failed(f"{words[0]} {words[1]}: not done in {PATIENCE} s") from None
            mine = told(path, {client.pid} if scenario.shared else set())
            if code:
                raise Failed(f"{words[0]} {words[1]}: ended with {code}")
            ends += [{**end, "namespace": world.inodes[scenario.place]} for end in mine]
        # What the last one sent may still be on its way into the servers.
        time.sleep(0.05)
    finally:
        for server, _ in servers:
            server.stdin.close()
        for server, _ in servers:
            try:
                server.wait(10)
            except subprocess.TimeoutExpired:
                server.kill()
    counted = world.counted()
    for _, path in servers:
        ends += [{**end, "namespace": world.inodes[scenario.peer]} for end in told(path, set())]
    return ends, counted


def wait_until_ready(server, path):
    end = time.monotonic() + 10
    while not path.read_bytes():
        if server.poll() is not None or time.monotonic() > end:
            raise Failed("a server did not come up")
        time.sleep(0.01)
    told(path, set())


def boxed(world, words):
    """A generator in a container of its own."""
    group = world.box_group()
    if group is None:
        raise Failed("mount(cgroup2): no unified control groups on this machine")
    root = world.folder / "root"
    if not root.exists():
        root.mkdir()
        shutil.copy2(world.load, root / "load")
    network = f"/run/netns/{world.names['box']}"
    return [world.load, "processes", "boxed", group / "cgroup.procs", root, network, *words]


def reference(scenario, ends, counted):
    """How far the peer's own counters are from what the generators said, as a share; `None` where it saw nothing."""
    if not scenario.counted:
        return None
    counts = sum(sum(places.payload(counted, transport, scenario.is_v6)) for transport in scenario.counted)
    clients = [end["sent"] + end["received"] for end in ends if end["end"] == "client"]
    says = sum(clients) + sum(end["again"] for end in ends)
    return counts / says - 1 if says else None


def start_of(end):
    """When its process began, in seconds since the epoch."""
    return end["start"] + time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
