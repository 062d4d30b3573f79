"""A watcher and how it is run, and Atalaya by each of its tiers. All watchers have the host's processes, mounts and
control groups in sight."""

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
from completeness.score import Row

# Seconds within which a watcher has to be ready, and to have told everything.
PATIENCE = 30


def seconds(text):
    """RFC 3339 as seconds since the epoch."""
    return timegm(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S")) + float("0" + text[19:-1] or 0)


def listed(numbers):
    return ",".join(map(str, numbers))


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

    def wait_for(self, count):
        """Waits, for a while, until it has told the end of so many conversations of ours: what a socket had with
        further peers is told when the kernel's tables are walked over next, the later the more sockets are open."""
        end = time.monotonic() + PATIENCE / 2
        while (self.told or self.store) and self.ended() < count and time.monotonic() < end:
            time.sleep(0.5)

    def ended(self):
        ours = set(self.world.inodes.values())
        if self.store:
            query = f"SELECT count(*) FROM connections WHERE end_time > 0 AND network_namespace IN ({listed(ours)})"
            with closing(sqlite3.connect(self.output.with_suffix(".db"))) as store:
                return store.execute(query).fetchone()[0]
        pattern = rb'"action":"connection_closed".{0,600}?"namespace":(\d+)'
        return sum(int(inode) in ours for inode in re.findall(pattern, self.output.read_bytes()))

    def is_tier(self):
        """Did it really watch by this tier?"""
        return any(f"by tier `{self.tier}`" in line for line in self.said)

    def explained(self):
        """How many conversations it says that it may have lost."""
        return sum(count for what, count in self.gaps.items() if not what.startswith("late_lookups"))

    def stored_rows(self):
        """What the history has of it."""
        columns = (
            "transport, side, source_ip, source_port, destination_ip, destination_port, network_namespace, cookie, "
            "source_bytes, destination_bytes, pid, process_start, executable, end_time, outcome"
        )
        query = f"SELECT {columns} FROM connections WHERE network_namespace IN ({listed(self.world.inodes.values())})"
        with closing(sqlite3.connect(self.output.with_suffix(".db"))) as store:
            for stage, reason, lost in store.execute("SELECT stage, reason, lost FROM gaps"):
                self.gaps[f"{stage}: {reason}"] += lost
            for transport, side, *ends, namespace, cookie, up, down, pid, start, path, ended, how in store.execute(
                query
            ):
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
