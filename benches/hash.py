#!/usr/bin/env python3
"""What it costs to hash executables that were never seen: a snapshot with four large ones running, less the same
snapshot with small ones, beside `openssl dgst -sha256` of the same files.

    python3 benches/hash.py [--megabytes 256] [--rounds 5]
"""

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tempfile

import measure


def crowd(folder, megabytes, count=4):
    """Starts `count` processes, each with a connection, from executables of this size (not one alike)."""
    real = os.path.realpath(shutil.which("sleep"))
    paths, processes = [], []
    for index in range(count):
        path = os.path.join(folder, f"program-{megabytes}-{index}")
        shutil.copy(real, path)
        with open(path, "ab") as file:
            for _ in range(megabytes):
                file.write(os.urandom(1 << 20))
        paths.append(path)
        # The socket is inherited: an executable is only hashed when its process uses the network.
        listener = socket.create_server(("127.0.0.1", 0))
        processes.append(subprocess.Popen([path, "600"], pass_fds=[listener.fileno()]))
        listener.close()
    return paths, processes


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--megabytes", type=int, default=256)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--no-build", action="store_true")
    options = options.parse_args()
    if not options.no_build:
        measure.release()
    snapshot = [str(measure.ATALAYA), "snapshot", "--all", "--hashes", "--quiet", "--output", "json"]
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        cpu, wall = {}, {}
        for megabytes in (0, options.megabytes):
            paths, processes = crowd(folder, megabytes)
            try:
                document = subprocess.run(snapshot, capture_output=True, text=True).stdout
                digest = measure_digest(paths[0])
                if digest not in document:
                    sys.exit(f"the snapshot does not show the digest of {paths[0]}: it hashes nothing")
                results = [measure.cost(snapshot) for _ in range(options.rounds)]
                openssl = [measure.cost(["openssl", "dgst", "-sha256", *paths]) for _ in range(options.rounds)]
                cpu[megabytes] = (measure.median([r[0] for r in results]), measure.median([r[0] for r in openssl]))
                wall[megabytes] = (measure.median([r[1] for r in results]), measure.median([r[1] for r in openssl]))
            finally:
                for process in processes:
                    process.kill()
                    process.wait()
    total = 4 * options.megabytes * 1.048576
    print(f"{measure.machine()}; medians of {options.rounds} rounds, 4 files of {options.megabytes} MiB\n")
    print("| tool | MB per CPU second | MB per second |\n|---|---|---|")
    for index, name in enumerate(("atalaya snapshot --hashes", "openssl dgst -sha256")):
        spent = cpu[options.megabytes][index] - cpu[0][index]
        took = wall[options.megabytes][index] - wall[0][index]
        print(f"| `{name}` | {total / spent:,.0f} | {total / took:,.0f} |")


def measure_digest(path):
    """SHA-256 by another program."""
    return subprocess.run(["sha256sum", path], capture_output=True, text=True, check=True).stdout.split()[0]


main()
