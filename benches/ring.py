#!/usr/bin/env python3
"""What it costs to read every frame of a flood from the packet ring, beside tcpdump and dumpcap which write it to
/dev/null, alternating: a veth pair between two namespaces of its own, one sender, at the highest rate that it reaches.

    sudo benches/ring.py [--frames 1000000] [--bytes 18 400 1400] [--rounds 5]
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import time

import measure

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROGRAM = os.path.join(ROOT, "target/release/examples/ring_rate")


def namespace():
    """A process in a network namespace of its own."""
    process = subprocess.Popen(["unshare", "--net", "sh", "-c", "ip link set lo up; echo ready; exec cat"],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    process.stdout.readline()
    return process


def inside(process, *command):
    return ["nsenter", "--net", "--target", str(process.pid), "--", *command]


def wire(near, far):
    """A wire; frames to 10.77.0.99 arrive, and are for nobody, so that nothing but the capture costs anything."""
    run = lambda place, command: subprocess.run(inside(place, "sh", "-ec", command), check=True)
    run(near, f"ip link add wire0 type veth peer name wire0 netns {far.pid}; ip link set wire0 up")
    run(far, "ip addr add 10.77.0.2/24 dev wire0; ip link set wire0 up")
    show = subprocess.run(inside(near, "ip", "-o", "link", "show", "wire0"), capture_output=True, text=True).stdout
    address = re.search(r"link/ether (\S+)", show).group(1)
    run(far, f"ip neigh add 10.77.0.99 lladdr {address} dev wire0")
    time.sleep(1)


def atalaya(near):
    process = subprocess.Popen(inside(near, PROGRAM, "read", "wire0"), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               text=True)
    process.stdout.readline()
    return process


def end_atalaya(process):
    process.stdin.close()
    text = process.stdout.read()
    numbers = dict(re.findall(r"(frames|lost) (\d+)", text))
    return int(numbers["frames"]), int(numbers["lost"])


def tcpdump(near):
    # The same ring: 16 MiB.
    command = ["tcpdump", "-i", "wire0", "-n", "-B", "16384", "-w", "/dev/null"]
    process = subprocess.Popen(inside(near, *command), stderr=subprocess.PIPE, text=True)
    while "listening" not in process.stderr.readline():
        pass
    time.sleep(0.3)
    return process


def end_tcpdump(process):
    time.sleep(1.2)
    process.send_signal(2)
    text = process.stderr.read()
    return (int(re.search(r"(\d+) packets? captured", text).group(1)),
            int(re.search(r"(\d+) packets? dropped by kernel", text).group(1)))


def dumpcap(near):
    command = ["dumpcap", "-q", "-i", "wire0", "-B", "16", "-w", "/dev/null"]
    process = subprocess.Popen(inside(near, *command), stderr=subprocess.PIPE, text=True)
    while "File:" not in process.stderr.readline():
        pass
    time.sleep(0.3)
    return process


def end_dumpcap(process):
    time.sleep(1.2)
    process.send_signal(2)
    text = process.stderr.read()
    counts = re.search(r"received/dropped on interface 'wire0': (\d+)/(\d+)", text)
    return int(counts.group(1)), int(counts.group(2))


def measured(reader, near, far, count, size):
    """Frames seen, frames lost, the reader's CPU seconds, the sender's, and frames per second of the sender."""
    begin, end = reader
    process = begin(near)
    command = inside(far, PROGRAM, "send", "10.77.0.99:9", str(count), str(size))
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    took, sender = (int(number) / 1e6 for number in re.search(r"in_us (\d+) cpu_us (\d+)", text).groups())
    frames, lost = end(process)
    _, _, usage = os.wait4(process.pid, 0)
    process.returncode = 0
    return frames, lost, usage.ru_utime + usage.ru_stime, sender, count / took


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--frames", type=int, default=1_000_000)
    options.add_argument("--bytes", type=int, nargs="+", default=[18, 400, 1400])
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--no-build", action="store_true")
    options = options.parse_args()
    if not options.no_build:
        subprocess.run(["cargo", "build", "-q", "--release", "-p", "atalaya-host", "--example", "ring_rate"],
                       cwd=ROOT, check=True)
    readers = {"atalaya's ring": (atalaya, end_atalaya), "`tcpdump -w /dev/null`": (tcpdump, end_tcpdump),
               "`dumpcap -w /dev/null`": (dumpcap, end_dumpcap)}
    if not shutil.which("dumpcap"):
        del readers["`dumpcap -w /dev/null`"]
    near, far = namespace(), namespace()
    print(f"{measure.machine()}; medians of {options.rounds} rounds, {options.frames:,} frames each\n")
    print("| frame | reader | seen | dropped by the kernel | reader's CPU seconds | frames per second of the sender |")
    print("|---|---|---|---|---|---|")
    try:
        wire(near, far)
        for size in options.bytes:
            results = {name: [] for name in readers}
            for _ in range(options.rounds):
                for name, reader in readers.items():
                    results[name].append(measured(reader, near, far, options.frames, size))
            for name, rounds in results.items():
                seen, lost, cpu, _, rate = (measure.median(list(column)) for column in zip(*rounds))
                print(f"| {size + 42} bytes | {name} | {seen:,.0f} | {lost:,.0f} | {cpu:.2f} | {rate:,.0f} |")
                sys.stdout.flush()
    finally:
        for process in (near, far):
            process.stdin.close()
            process.wait()


main()
