"""Where the load runs: network namespaces of its own, so that nothing else on the machine takes part.

`here` is the host that is watched, `there` its peer at the other end of a wire, `box` a container's network. The peer
counts with nftables what comes in and goes out: a reference that depends neither on watchers nor on generators.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import measure

HERE, THERE = "198.51.100.1", "198.51.100.2"
HERE6, THERE6 = "2001:db8::1", "2001:db8::2"
BOX, THERE_FOR_BOX = "203.0.113.1", "203.0.113.2"
# Addresses that the peer has by the hundred.
MANY, MANY_NET = "192.0.2.1", "192.0.2.0/24"
# Nobody answers here.
DEAF_PORT = 9001

# Headers that the peer counts and no program sent: IPv4, and TCP with its time stamps, 8 bytes more in a SYN.
HEADERS = {"tcp": 20 + 32, "udp": 20 + 8, "icmp": 20, "sctp": 20, "raw": 20}
HEADERS6 = {"tcp": 40 + 32, "udp": 40 + 8, "icmpv6": 40}
PROTOCOLS = {"tcp": "tcp", "udp": "udp", "icmp": "icmp", "icmpv6": "icmpv6", "sctp": "132", "raw": "253"}


def generator():
    """The generators' program, compiled where it is older than its sources."""
    sources = sorted((measure.ROOT / "benches" / "completeness" / "load").glob("*.[ch]"))
    binary = measure.TARGET / "bench-load"
    if not binary.exists() or binary.stat().st_mtime < max(source.stat().st_mtime for source in sources):
        fresh = binary.with_suffix(f".{os.getpid()}")
        files = [str(source) for source in sources if source.suffix == ".c"]
        subprocess.run(["cc", "-O2", "-static", "-o", str(fresh), *files], check=True)
        fresh.rename(binary)
    return binary


def run(*command, **options):
    """Runs a program that has to succeed."""
    return subprocess.run(command, check=True, capture_output=True, text=True, **options).stdout


def why_not():
    """Why this machine cannot run the benches, or nothing."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    for program in ("ip", "nft", "nsenter", "setpriv", "cc"):
        if not shutil.which(program):
            return f"{program} is not installed"
    return None


def unified_groups():
    """Where version 2 control groups are mounted."""
    for line in open("/proc/mounts"):
        words = line.split()
        if words[2] == "cgroup2":
            return Path(words[1])
    return None


class World:
    """The namespaces, for as long as a `with` lasts."""

    def __init__(self):
        self.names = {role: f"atalaya-{os.getpid()}-{role}" for role in ("here", "there", "box")}
        self.folder = Path(tempfile.mkdtemp(prefix="atalaya-bench-"))
        self.folder.chmod(0o755)
        # A program of our own name at a path of our own: no other process of this host has it.
        self.load = self.folder / "load"
        shutil.copy2(generator(), self.load)
        self.group = None
        self.processes = []

    def __enter__(self):
        signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
        try:
            self.build()
        except subprocess.CalledProcessError as error:
            self.__exit__()
            sys.exit(f"{' '.join(map(str, error.cmd))}: {error.stderr.strip()}")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()
        for name in self.names.values():
            subprocess.run(["ip", "netns", "delete", name], capture_output=True)
        if self.group:
            try:
                self.group.rmdir()
            except OSError:
                pass
        shutil.rmtree(self.folder, ignore_errors=True)

    def build(self):
        for left in re.findall(r"^(atalaya-(\d+)-\w+)", run("ip", "netns", "list"), re.MULTILINE):
            # One that was killed could not tidy up.
            if not Path("/proc", left[1]).exists():
                run("ip", "netns", "delete", left[0])
        for name in self.names.values():
            run("ip", "netns", "add", name)
        self.wire("here", (HERE, HERE6), "there", (THERE, THERE6), "eth0")
        self.wire("box", (BOX,), "there", (THERE_FOR_BOX,), "eth1")
        for role in self.names:
            self.inside(role, "ip", "link", "set", "lo", "up")
            self.inside(role, "sysctl", "-q", "-w", "net.ipv4.ip_local_port_range=10000 65535")
            self.inside(role, "sysctl", "-q", "-w", "net.ipv4.ping_group_range=0 2147483647")
            self.inside(role, "sysctl", "-q", "-w", "net.ipv4.tcp_max_syn_backlog=8192")
            self.inside(role, "sysctl", "-q", "-w", "net.ipv4.icmp_ratelimit=0")
        self.inside("here", "ip", "route", "add", MANY_NET, "via", THERE)
        self.inside("there", "ip", "route", "add", "local", MANY_NET, "dev", "lo")
        self.count()
        self.inodes = {role: os.stat(f"/run/netns/{name}").st_ino for role, name in self.names.items()}
        self.peer_mac = json.loads(run("ip", "-j", "-n", self.names["there"], "link", "show", "eth0"))[0]["address"]

    def wire(self, one, addresses, other, peers, name):
        ends = (["netns", self.names[role]] for role in (one, other))
        run("ip", "link", "add", name, *next(ends), "type", "veth", "peer", "name", name, *next(ends))
        for role, own in ((one, addresses), (other, peers)):
            for address in own:
                dad = ["nodad"] if ":" in address else []
                run("ip", "-n", self.names[role], "addr", "add", f"{address}/{64 if dad else 24}", "dev", name, *dad)
            run("ip", "-n", self.names[role], "link", "set", name, "up")

    def count(self):
        """Has the peer count packets and bytes of each protocol, each way."""
        script = ["table inet reference {"]
        chains = {"in": "input", "out": "output"}
        for way in chains:
            script += [f"counter {way}_{name} {{}}" for name in [*PROTOCOLS, "syn"]]
        for way, hook in chains.items():
            device = "iifname" if way == "in" else "oifname"
            script += [f"chain {way} {{ type filter hook {hook} priority -300;", f'{device} "lo" return']
            script += [f"tcp flags & syn != 0 counter name {way}_syn"]
            script += [f"meta l4proto {number} counter name {way}_{name}" for name, number in PROTOCOLS.items()]
            if way == "in":
                script += [f"tcp dport {DEAF_PORT} drop"]
            script += ["}"]
        script += ["}"]
        self.inside("there", "nft", "-f", "-", input="\n".join(script))

    def counted(self):
        """What the peer has counted since it was last asked: {counter: (packets, bytes)}."""
        answer = json.loads(self.inside("there", "nft", "-j", "reset", "counters"))
        found = (item["counter"] for item in answer["nftables"] if "counter" in item)
        return {counter["name"]: (counter["packets"], counter["bytes"]) for counter in found}

    def command(self, role, *words):
        """A command in one of the namespaces, or in the "host"'s own; mounts and control groups stay the host's."""
        if role == "host":
            return list(map(str, words))
        return ["nsenter", f"--net=/run/netns/{self.names[role]}", "--", *map(str, words)]

    def inside(self, role, *words, **options):
        return run(*self.command(role, *words), **options)

    def start(self, role, *words, **options):
        """Starts a program there that ends with this world at the latest, and with this process however that ends."""
        process = subprocess.Popen(self.command(role, "setpriv", "--pdeathsig", "KILL", *words), **options)
        self.processes.append(process)
        return process

    def box_group(self):
        """A control group named as Docker names them, made at the first call."""
        if not self.group:
            root = unified_groups()
            if root is None:
                return None
            self.group = root / f"docker-{os.getpid():064x}.scope"
            self.group.mkdir(exist_ok=True)
        return self.group


def payload(counted, transport, is_v6=False):
    """Payload bytes that (came to, went from) the peer by its counters."""
    headers = (HEADERS6 if is_v6 else HEADERS)[transport]
    result = []
    for way in ("in", "out"):
        packets, size = counted[f"{way}_{transport}"]
        syns = counted[f"{way}_syn"][0] if transport == "tcp" else 0
        result.append(size - packets * headers - 8 * syns)
    return tuple(result)
