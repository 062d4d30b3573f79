"""The watchers that are compared: Atalaya by each of its tiers, and others that people use. All have the host's
processes, mounts and control groups in sight."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import time
from calendar import timegm
from collections import defaultdict
from contextlib import closing

import measure
from completeness.score import Row, Score

# Seconds within which a watcher has to be ready, and to have told everything.
PATIENCE = 30


def seconds(text):
    """RFC 3339 as seconds since the epoch."""
    return timegm(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S")) + float("0" + text[19:-1] or 0)


class Watcher:
    """A program that watches, writing to a file."""

    name = ""
    # Where it runs. Most see only their own network namespace.
    place = "here"
    # Seconds after the last conversation that it may need for one more look.
    rest = 2.5

    def __init__(self, world):
        self.world = world
        self.output = world.folder / f"{type(self).__name__}-{time.monotonic_ns()}.out"
        self.errors = self.output.with_suffix(".err")
        self.cpu = self.memory = 0.0

    def command(self):
        raise NotImplementedError

    def why_not(self):
        """Why it cannot run here, or nothing."""
        return None

    def start(self):
        self.process = self.world.start(
            self.place,
            *self.command(),
            stdin=subprocess.DEVNULL,
            stdout=self.output.open("wb"),
            stderr=self.errors.open("wb"),
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        )
        end = time.monotonic() + PATIENCE
        while not self.is_ready():
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{self.name} did not come up: {self.errors.read_text().strip()[-500:]}")
            time.sleep(0.05)

    def is_ready(self):
        return self.output.stat().st_size > 0

    def settle(self):
        """Waits until it has no more to say, and nothing more to do."""
        end, before = time.monotonic() + PATIENCE, None
        time.sleep(self.rest)
        while time.monotonic() < end:
            spent = sum(map(int, self.proc("stat").rsplit(")", 1)[1].split()[11:13]))
            size = self.output.stat().st_size
            if before and size == before[0] and spent < before[1] + 25:
                break
            before = (size, spent)
            time.sleep(0.5)
        peak = re.search(r"VmHWM:\s+(\d+)", self.proc("status"))
        self.memory = int(peak[1]) / 1024 if peak else 0.0

    def proc(self, name):
        return open(f"/proc/{self.process.pid}/{name}").read()

    def stop(self):
        """Ends it and notes what it cost."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGINT)
            timer = time.monotonic() + PATIENCE
            while True:
                pid, status, usage = os.wait4(self.process.pid, os.WNOHANG)
                if pid:
                    break
                if time.monotonic() > timer:
                    self.process.kill()
                time.sleep(0.02)
            self.process.returncode = os.waitstatus_to_exitcode(status)
            self.cpu = usage.ru_utime + usage.ru_stime

    def rows(self):
        """The conversations that it told."""
        raise NotImplementedError


class Atalaya(Watcher):
    """Atalaya by one tier, as on every host: in the first network namespace, from which it sees them all."""

    place = "host"

    def __init__(self, world, tier, binary=None, store=False, told=True, extra=()):
        super().__init__(world)
        self.tier, self.binary = tier, str(binary or measure.ATALAYA)
        self.store, self.told, self.extra = store, told, extra
        self.name = f"atalaya {tier}"
        self.gaps, self.processes = defaultdict(int), {}

    def command(self):
        # No configuration and no history but our own.
        empty = self.world.folder / "atalaya.toml"
        empty.touch()
        keep = ["--store", self.output.with_suffix(".db")] if self.store else ["--no-store"]
        tell = ["--output", "json", "--events", "connection,process,gap"] if self.told else []
        return [
            self.binary, "watch", "--config", empty, *keep, "--no-learning", *tell, "--tier", self.tier,
            "--socket", self.output.with_suffix(".socket"), *self.extra,
        ]

    def why_not(self):
        answer = subprocess.run([self.binary, "watch", "--help"], capture_output=True, text=True).stdout
        tiers = re.search(r"possible values: ([a-z, ]*poll[a-z, ]*)", answer)
        return None if tiers and self.tier in tiers[1].split(", ") else f"this build has no tier {self.tier}"

    def is_ready(self):
        # The first look is over when it tells of processes; without events, when it says that it watches.
        if self.told:
            return b'"action":"process_started"' in self.output.read_bytes()[: 1 << 20]
        if b"watching" not in self.errors.read_bytes():
            return False
        time.sleep(1)
        return True

    def stop(self):
        super().stop()
        # What it says of itself: the tier, and what it saw, lost and cost.
        self.said = [line.strip() for line in self.errors.read_text().splitlines() if line.strip()] or ["nothing"]

    def is_tier(self):
        """Did it really watch by this tier?"""
        return any(f"by tier `{self.tier}`" in line for line in self.said)

    def stored_rows(self):
        """What the history has of it."""
        columns = (
            "transport, side, source_ip, source_port, destination_ip, destination_port, network_namespace, cookie, "
            "source_bytes, destination_bytes, pid, process_start, executable, end_time, outcome"
        )
        ours = ",".join(map(str, self.world.inodes.values()))
        query = f"SELECT {columns} FROM connections WHERE network_namespace IN ({ours})"
        with closing(sqlite3.connect(self.output.with_suffix(".db"))) as store:
            for transport, side, *ends, namespace, cookie, up, down, pid, start, path, ended, how in store.execute(query):
                source, destination = (ends[0], ends[1] or 0), (ends[2], ends[3] or 0)
                is_source = side == "source"
                yield Row(
                    transport,
                    source if is_source else destination,
                    destination if is_source else source,
                    namespace,
                    cookie,
                    pid,
                    start and start / 1e6,
                    path,
                    sent=up if is_source else down,
                    received=down if is_source else up,
                    closed=int(ended is not None),
                    outcome=how,
                )

    def rows(self):
        if self.store:
            return list(self.stored_rows())
        found, ours = {}, set(self.world.inodes.values())
        with self.output.open("rb") as lines:
            for line in lines:
                if b'"dataset":"atalaya.connection"' in line:
                    event = json.loads(line)
                    if event["network"].get("namespace") in ours:
                        self.note(found, event)
                elif b'"dataset":"atalaya.gap"' in line:
                    gap = json.loads(line).get("gap", {})
                    self.gaps[f"{gap.get('stage')}: {gap.get('reason')}"] += gap.get("count", 0)
                elif b'"dataset":"atalaya.process"' in line and b'"process_started"' in line:
                    process = json.loads(line)["process"]
                    self.processes[process["pid"]] = process
        return list(found.values())

    @staticmethod
    def note(found, event):
        network, source, destination = event["network"], event["source"], event["destination"]
        about, process = event.get("connection", {}), event.get("process", {})
        is_source = about.get("side", "source") == "source"
        own, peer = (source, destination) if is_source else (destination, source)
        local, remote = ((end.get("ip", ""), end.get("port", 0)) for end in (own, peer))
        key = (network["transport"], network["namespace"], about.get("cookie"), local, remote)
        row = found.get(key)
        if row is None:
            row = found[key] = Row(network["transport"], local, remote, *key[1:3], opened=0, closed=0)
        action = event["event"]["action"]
        row.opened += action == "connection_opened"
        row.closed += action == "connection_closed"
        row.sent, row.received = own.get("bytes"), peer.get("bytes")
        if (row.sent is None) != (row.received is None):
            row.sent, row.received = row.sent or 0, row.received or 0
        if "pid" in process:
            row.pid, row.executable = process["pid"], process.get("executable")
            row.start = seconds(process["start"]) if "start" in process else None
        row.outcome = about.get("outcome")


class Psutil(Watcher):
    """A loop of psutil, as a Python programmer writes one; new rows are written down."""

    name = "psutil, every 1 s"
    LOOP = """
import json, psutil, socket, time
known, names = set(), {}
print("ready", flush=True)
while True:
    for connection in psutil.net_connections("inet"):
        if not connection.raddr or connection in known:
            continue
        known.add(connection)
        pid = connection.pid
        if pid is not None and pid not in names:
            try:
                process = psutil.Process(pid)
                names[pid] = (process.exe(), process.create_time())
            except psutil.Error:
                names[pid] = (None, None)
        kind = "tcp" if connection.type == socket.SOCK_STREAM else "udp"
        print(json.dumps([kind, connection.laddr, connection.raddr, pid, *names.get(pid, (None, None))]), flush=True)
    time.sleep(1)
"""

    def command(self):
        return [measure.python(), "-c", self.LOOP]

    def rows(self):
        found = {}
        for line in self.output.read_text().splitlines()[1:]:
            if not line.endswith("]"):
                continue
            transport, local, remote, pid, executable, start = json.loads(line)
            local, remote = (plain(*end) for end in (local, remote))
            row = found.setdefault((transport, local, remote), Row(transport, local, remote))
            if pid is not None:
                row.pid, row.executable, row.start = pid, executable, start
        return list(found.values())


def plain(ip, port):
    """An address as everybody else writes it."""
    return (ip.removeprefix("::ffff:"), port)


class Nethogs(Watcher):
    """NetHogs in trace mode: totals for each process, and the names of connections whose process it does not find."""

    name = "nethogs"
    LINE = re.compile(r"^(.+)/(\d+)/(\d+)\t([\d.]+)\t([\d.]+)$")
    NAMES = re.compile(r"^(.+):(\d+)-(.+):(\d+)$")

    def command(self):
        return ["nethogs", "-t", "-v", "2", "-d", "1", "-C", "-a"]

    def why_not(self):
        found = any(os.access(os.path.join(folder, "nethogs"), os.X_OK) for folder in os.environ["PATH"].split(":"))
        return None if found else "nethogs is not installed"

    def is_ready(self):
        return b"Refreshing" in self.output.read_bytes()

    def totals(self):
        """{pid: (sent, received)} and the connections without a process."""
        processes, unknown = {}, set()
        for line in self.output.read_text(errors="replace").splitlines():
            match = self.LINE.match(line)
            name, pid, _, sent, received = match.groups() if match else (line.split(": ")[-1], 0, 0, 0, 0)
            if int(pid):
                processes[int(pid)] = (float(sent), float(received))
            elif names := self.NAMES.match(name):
                unknown.add(((names[1], int(names[2])), (names[3], int(names[4]))))
        return processes, unknown


def score_totals(ends, watcher):
    """NetHogs tells of processes, and of connections only where it finds no process."""
    processes, unknown = watcher.totals()
    result = Score(done=len(ends), bytes_told=0)
    result.ends = {end: [0, 0] for end in ("client", "server")}
    named = {end["pid"] for end in ends if end["pid"] in processes}
    for end in ends:
        is_unknown = (tuple(end["local"]), tuple(end["remote"])) in unknown
        result.seen += end["pid"] in named or is_unknown
        result.right += end["pid"] in named
        result.ends[end["end"]][0] += 1
        result.ends[end["end"]][1] += end["pid"] in named
        result.bytes_done += end["sent"] + end["received"]
    result.bytes_told = sum(int(sum(processes[pid])) for pid in named)
    return result


class Ss(Watcher):
    """`ss -tunp` again and again, as fast as it gets."""

    name = "ss -tunp, again and again"
    PATTERN = re.compile(r'pid=(\d+)')

    def command(self):
        return ["sh", "-c", "while :; do ss -tunapH; done"]

    def is_ready(self):
        return True

    def rows(self):
        found = {}
        with self.output.open(errors="replace") as lines:
            for line in lines:
                words = line.split()
                if len(words) < 6 or words[0] not in ("tcp", "udp"):
                    continue
                try:
                    local, remote = (split(word) for word in words[4:6])
                except ValueError:
                    continue
                row = found.setdefault((words[0], local, remote), Row(words[0], local, remote))
                if match := self.PATTERN.search(line):
                    row.pid = int(match[1])
        return list(found.values())


def split(word):
    """`[::1]:80`, `127.0.0.1%lo:80`"""
    host, port = word.rsplit(":", 1)
    return plain(host.strip("[]").split("%")[0].strip("[]"), int(port))


class Bpftrace(Watcher):
    """bpftrace on the kernel's tracepoint of TCP states: who connects where."""

    name = "bpftrace, a tracepoint"
    PROGRAM = """
BEGIN { printf("ready\\n"); }
tracepoint:sock:inet_sock_set_state /args->newstate == 2/ { @pid[args->skaddr] = pid; }
tracepoint:sock:inet_sock_set_state /args->oldstate == 2 && args->newstate == 1 && args->family == 2/ {
  printf("%d %s %d %s %d\\n", @pid[args->skaddr], ntop(args->saddr), args->sport, ntop(args->daddr), args->dport);
  delete(@pid[args->skaddr]);
}
tracepoint:sock:inet_sock_set_state /args->oldstate == 2 && args->newstate == 1 && args->family == 10/ {
  printf("%d %s %d %s %d\\n", @pid[args->skaddr], ntop(args->saddr_v6), args->sport, ntop(args->daddr_v6), args->dport);
  delete(@pid[args->skaddr]);
}
"""

    def command(self):
        # Where nobody has mounted tracefs, it is mounted for bpftrace alone.
        mount = "[ -d /sys/kernel/tracing/events ] || mount -t tracefs nodev /sys/kernel/tracing"
        return ["unshare", "--mount", "sh", "-c", f'{mount}; exec bpftrace -e "$1"', "sh", self.PROGRAM]

    def why_not(self):
        found = any(os.access(os.path.join(folder, "bpftrace"), os.X_OK) for folder in os.environ["PATH"].split(":"))
        return None if found else "bpftrace is not installed"

    def is_ready(self):
        return b"ready" in self.output.read_bytes()

    def rows(self):
        found = []
        for line in self.output.read_text(errors="replace").splitlines():
            words = line.split()
            if len(words) == 5 and words[0].isdigit():
                local, remote = plain(words[1], int(words[2])), plain(words[3], int(words[4]))
                found.append(Row("tcp", local, remote, pid=int(words[0])))
        return found
