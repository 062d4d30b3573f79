#!/usr/bin/env python3
"""A minute of watching: 1,000 open connections and 10 new ones a second. Atalaya beside loops of psutil and ss.

    python3 benches/watch.py [--seconds 60] [--connections 1000] [--new 10]

All watch at the same time, so that all see the same. Prints a table: share of one core over the whole run and, for
Atalaya, once it has begun (from the fifth second on, by its own word); peak memory.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time

import measure

PSUTIL_LOOP = (
    "import time\nend = time.monotonic() + SECONDS\nwhile time.monotonic() < end:\n"
    + "".join(f"    {line}\n" for line in measure.PSUTIL.strip().splitlines())
    + "    time.sleep(1)\n"
)
SS_LOOP = "end=$(($(date +%s) + SECONDS)); while [ $(date +%s) -lt $end ]; do ss -tunap >/dev/null; sleep 1; done"


def churn(new, stop):
    """Opens `new` connections a second, each for half a second."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    held = []
    while not stop.wait(1 / new):
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
        held.append((time.monotonic(), client, server))
        while held and held[0][0] < time.monotonic() - 0.5:
            _, client, server = held.pop(0)
            client.close()
            server.close()


def used(control):
    """CPU seconds of the watcher behind this socket so far, and when."""
    command = [str(measure.ATALAYA), "status", "--output", "json", "--socket", control]
    status = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return status["cpu"] / 1e6, time.monotonic()


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=int, default=60)
    options.add_argument("--connections", type=int, default=1000)
    options.add_argument("--new", type=int, default=10)
    options.add_argument("--no-build", action="store_true")
    options = options.parse_args()
    if not options.no_build:
        measure.release()
    measure.alone()
    crowd = subprocess.Popen(
        [sys.executable, str(measure.ROOT / "benches" / "crowd.py"), str(options.connections), "10", "0"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    if crowd.stdout.readline() != b"ready\n":
        sys.exit("the crowd did not come up")
    stop = threading.Event()
    threading.Thread(target=churn, args=(options.new, stop), daemon=True).start()
    seconds = options.seconds
    folder = tempfile.TemporaryDirectory()
    watch = [str(measure.ATALAYA), "watch", "--quiet", "--interval", "1s", "--duration", f"{seconds}s"]
    controls = {}

    def atalaya(*flags):
        name = "atalaya watch " + " ".join(flags)
        controls[name] = os.path.join(folder.name, f"{len(controls)}.sock")
        kept = ["--store", os.path.join(folder.name, f"{len(controls)}.db")] if "--store" in flags else []
        plain = [flag for flag in flags if flag != "--store"]
        return name, watch + plain + kept + ["--socket", controls[name]]

    commands = dict(
        [
            atalaya("--tier", "ebpf", "--no-store"),
            atalaya("--tier", "ebpf", "--store"),
            atalaya("--tier", "poll", "--no-store"),
        ]
    ) | {
        "psutil every 1 s": [measure.python(), "-c", PSUTIL_LOOP.replace("SECONDS", str(seconds))],
        "ss -tunap every 1 s": ["sh", "-c", SS_LOOP.replace("SECONDS", str(seconds))],
    }
    results, begun, steady = {}, {}, {}

    def run(name, command):
        results[name] = measure.cost(command)

    threads = [threading.Thread(target=run, args=item) for item in commands.items()]
    for thread in threads:
        thread.start()
    time.sleep(5)
    for name, control in controls.items():
        begun[name] = used(control)
    time.sleep(max(0, seconds - 8))
    for name, control in controls.items():
        cpu, when = used(control)
        steady[name] = 100 * (cpu - begun[name][0]) / (when - begun[name][1])
    for thread in threads:
        thread.join()
    stop.set()
    crowd.stdin.close()
    crowd.wait()
    print(f"{measure.machine()}; {seconds} s, {options.connections} open connections, {options.new} new a second\n")
    print("| watcher | % of a core | once begun | peak MB |\n|---|---|---|---|")
    for name, (cpu, wall, memory, code) in results.items():
        note = "" if code == 0 else f" (ended with {code})"
        later = f"{steady[name]:.2f}" if name in steady else ""
        print(f"| `{name}`{note} | {100 * cpu / wall:.2f} | {later} | {memory:.0f} |")


main()
