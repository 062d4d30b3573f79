#!/usr/bin/env python3
"""One look at everything, with process, path and command line: Atalaya beside ss, lsof and psutil, in alternation.

    python3 benches/snapshot.py [--connections 1000,10000,50000] [--rounds 7] [--here]

Prints a table for docs/benchmarks.md: medians of CPU seconds, peak memory and wall time.
"""

import argparse
import subprocess
import sys

import measure

TOOLS = {
    "atalaya snapshot --all": lambda: [str(measure.ATALAYA), "snapshot", "--all", "--quiet", "--output", "json"],
    "atalaya snapshot": lambda: [str(measure.ATALAYA), "snapshot", "--quiet"],
    "ss -tunap": lambda: ["ss", "-tunap"],
    "lsof -nP -i": lambda: ["lsof", "-nP", "-i"],
    "psutil": lambda: [measure.python(), "-c", measure.PSUTIL],
}


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--connections", default="1000,10000,50000")
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--no-build", action="store_true")
    options.add_argument("--here", action="store_true", help="not in namespaces of its own (N = 0: this very host)")
    options = options.parse_args()
    if not options.no_build:
        measure.release()
    if not options.here:
        measure.alone()
    measure.many_files()
    commands = {name: command() for name, command in TOOLS.items()}
    print(f"{measure.machine()}; medians of {options.rounds} rounds\n")
    print("| N | tool | CPU s | peak MB | wall s |\n|---|---|---|---|---|")
    for count in map(int, options.connections.split(",")):
        crowd = None
        if count:
            crowd = subprocess.Popen(
                [sys.executable, str(measure.ROOT / "benches" / "crowd.py"), str(count)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            if crowd.stdout.readline() != b"ready\n":
                sys.exit("the crowd did not come up")
        costs = {name: [] for name in commands}
        try:
            for command in commands.values():
                measure.cost(command)  # warm caches for everybody
            for _ in range(options.rounds):
                for name, command in commands.items():
                    result = measure.cost(command)
                    if result[3] not in (0, 1):
                        sys.exit(f"{name} ended with {result[3]}")
                    costs[name].append(result)
        finally:
            if crowd:
                crowd.stdin.close()
                crowd.wait()
        for name, results in costs.items():
            cpu, wall, memory = (measure.median([result[i] for result in results]) for i in (0, 1, 2))
            print(f"| {count:,} | `{name}` | {cpu:.3f} | {memory:.0f} | {wall:.3f} |", flush=True)


main()
