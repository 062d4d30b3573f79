#!/usr/bin/env python3
"""What `watch --packets` costs, and what it loses: a veth pair between two namespaces, one sender at the highest rate that
it reaches, then short connections, then silence. A watch with packets, one without, and no watch at all take turns.

    sudo python3 benches/packets.py [--frames 1000000] [--bytes 18 400 1400] [--connections 4000] [--idle 30]
                                    [--rounds 3] [--assert] [--no-build] [--binary FILE]

The watch is the whole program: it takes frames apart, follows conversations, reads protocols, joins them with the kernel's,
asks the detectors, and counts the bandwidth. The datagrams of the flood are for nobody, so that nothing but the watch costs
anything. CPU seconds are the watch's own word before and after each load; the sender's are told beside them, since the kernel
fills the ring in its time. With --assert it fails where a frame was lost, or where a watch without packets has a ring.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import measure

HERE, THERE, NOBODY = "10.77.0.1", "10.77.0.2", "10.77.0.99"
PORT = 7000
WATCHES = {
    "with packets of the wire": ["--packets", "wire0"],
    "without packets": [],
    "no watch": None,
}


class Wire:
    """A wire from this namespace to another one, and what is sent over it from there."""

    def __init__(self, folder, binary):
        self.sender = binary.parent / "examples" / "ring_rate"
        self.load = folder / "load"
        sources = sorted((measure.ROOT / "benches" / "completeness" / "load").glob("*.c"))
        subprocess.run(["cc", "-O1", "-o", self.load, *sources], check=True)
        self.far = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo ready; exec cat"],
                                    stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.far.stdout.readline()
        here = lambda command: subprocess.run(["sh", "-ec", command], check=True)
        silent = "sysctl -qw net.ipv6.conf.default.disable_ipv6=1"
        here(f"{silent}; ip link add wire0 type veth peer name wire0 netns {self.far.pid}")
        here(f"ip addr add {HERE}/24 dev wire0; ip link set wire0 up")
        show = subprocess.run(["ip", "-o", "link", "show", "wire0"], capture_output=True, text=True).stdout
        address = re.search(r"link/ether (\S+)", show).group(1)
        subprocess.run(self.there("sh", "-ec", f"{silent}; ip link set lo up; ip addr add {THERE}/24 dev wire0; "
                                  f"ip link set wire0 up; ip neigh add {NOBODY} lladdr {address} dev wire0"), check=True)
        self.server = subprocess.Popen([self.load, "serve", "tcp", HERE, str(PORT)],
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        while "ready" not in self.server.stdout.readline():
            pass
        # Each end is told of as it goes; nobody reads it.
        self.reader = subprocess.Popen(["cat"], stdin=self.server.stdout, stdout=subprocess.DEVNULL)
        time.sleep(1)

    def there(self, *command):
        return ["nsenter", "--net", "--target", str(self.far.pid), "--", *command]

    def flood(self, count, size):
        """Frames, seconds, and the sender's CPU seconds."""
        command = self.there(str(self.sender), "send", f"{NOBODY}:9", str(count), str(size))
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        took, cpu = (int(number) / 1e6 for number in re.search(r"in_us (\d+) cpu_us (\d+)", said).groups())
        return count, took, cpu

    def connect(self, count):
        """The same of short connections: each of at least nine frames."""
        before, began = os.times().children_user + os.times().children_system, time.monotonic()
        command = self.there(str(self.load), "tcp", "small", HERE, str(PORT), str(count), "116", "2000", "0")
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        took = time.monotonic() - began
        return 9 * count, took, os.times().children_user + os.times().children_system - before

    def end(self):
        for process in (self.server, self.far):
            process.stdin.close()
            process.wait()
        self.reader.wait()


class Watch:
    """A watch, or none."""

    def __init__(self, flags, folder, binary):
        self.binary, self.process, self.socket = str(binary), None, str(folder / "control.sock")
        if flags is None:
            return
        command = [self.binary, "watch", "--quiet", "--no-store", "--no-learning", "--interval", "1s",
                   "--socket", self.socket, *flags]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        end = time.monotonic() + 20
        while (self.status() or {}).get("processes", 0) == 0:
            if self.process.poll() is not None or time.monotonic() > end:
                sys.exit("the watch did not begin")
            time.sleep(0.1)
        # The hashes of what runs are made meanwhile.
        time.sleep(2)

    def status(self):
        command = [self.binary, "status", "--output", "json", "--socket", self.socket]
        ran = subprocess.run(command, capture_output=True)
        return json.loads(ran.stdout) if ran.returncode == 0 else None

    def read(self):
        """CPU seconds, megabytes, frames that the ring had, and all that was lost."""
        status = self.process and self.status()
        if not status:
            return 0.0, 0.0, 0, 0
        stages = {stage["stage"]: stage for stage in status["stages"]}
        count = lambda stage, what: stages.get(stage, {}).get(what, 0)
        lost = sum(count(stage, "dropped") for stage in ("packet_ring", "engine_queue"))
        return status["cpu"] / 1e6, status["memory"] / 1e6, count("packet_ring", "received"), lost

    def settled(self):
        """The same when everything has been read that waits."""
        frames = -1
        while (now := self.read())[2] != frames:
            frames = now[2]
            time.sleep(1.2)
        return now

    def end(self):
        if self.process:
            self.process.terminate()
            self.process.wait()


def rings():
    """Packet sockets of this namespace."""
    with open("/proc/net/packet") as file:
        return len(file.readlines()) - 1


def measured(name, flags, loads, wire, place, complaints):
    """By load: frames, frames lost, the watch's CPU seconds, its megabytes, the sender's CPU seconds, frames a second."""
    watch = Watch(flags, *place)
    try:
        if (rings() > 0) != bool(flags):
            complaints.append(f"{name}: {rings()} packet rings")
        results = {}
        for load, send in loads.items():
            cpu, _, frames, lost = watch.settled()
            sent, took, sender = send(wire)
            after, memory, seen, lost_after = watch.settled()
            seen, lost = seen - frames, lost_after - lost
            if flags and (lost or seen < sent):
                complaints.append(f"{name}, {load}: {sent:,} frames sent, {seen:,} seen, {lost:,} lost")
            results[load] = (seen, lost, after - cpu, memory, sender, sent / took)
        return results
    finally:
        watch.end()


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--frames", type=int, default=1_000_000)
    options.add_argument("--bytes", type=int, nargs="+", default=[18, 400, 1400])
    options.add_argument("--connections", type=int, default=4_000)
    options.add_argument("--idle", type=int, default=30, help="seconds of silence")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--assert", dest="asserts", action="store_true", help="fail where a frame was lost")
    options.add_argument("--binary", type=Path, default=measure.ATALAYA, help="this one, and the sender beside it")
    options.add_argument("--no-build", action="store_true")
    options = options.parse_args()
    if os.geteuid() != 0:
        print("skipped: packets: needs root")
        return
    if not options.no_build and not os.environ.get("ATALAYA_BENCH_ALONE"):
        measure.release()
        example = ["cargo", "build", "-q", "--release", "--locked", "-p", "atalaya-host", "--example", "ring_rate"]
        subprocess.run(example, cwd=measure.ROOT, check=True)
    measure.alone()
    loads = {f"flood, frames of {size + 42} bytes": lambda wire, size=size: wire.flood(options.frames, size)
             for size in options.bytes}
    loads["short connections"] = lambda wire: wire.connect(options.connections)

    def silence(_):
        time.sleep(options.idle)
        return 0, options.idle, 0.0

    loads[f"{options.idle} s of silence"] = silence
    print(f"{measure.machine()}; medians of {options.rounds} rounds, {options.frames:,} frames a flood, "
          f"{options.connections:,} connections\n")
    complaints, rounds = [], {name: [] for name in WATCHES}
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        wire = Wire(folder, options.binary)
        try:
            for _ in range(options.rounds):
                for name, flags in WATCHES.items():
                    rounds[name].append(measured(name, flags, loads, wire, (folder, options.binary), complaints))
        finally:
            wire.end()
    print("| load | watch | frames seen | lost | watch's CPU seconds | MB | sender's CPU seconds | frames sent a second |")
    print("|---|---|---|---|---|---|---|---|")
    for load in loads:
        for name in WATCHES:
            columns = zip(*(results[load] for results in rounds[name]))
            seen, lost, cpu, memory, sender, rate = (measure.median(list(column)) for column in columns)
            print(f"| {load} | {name} | {seen:,.0f} | {lost:,.0f} | {cpu:.2f} | {memory:.0f} | {sender:.2f} | {rate:,.0f} |")
    print("\n" + ("\n".join(complaints) if complaints else "nothing lost"))
    if options.asserts:
        sys.exit(1 if complaints else 0)


main()
