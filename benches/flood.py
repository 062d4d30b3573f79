#!/usr/bin/env python3
"""How much memory a replay takes in the worst of cases: peaks of `atalaya replay -`, JSON Lines thrown away.

    python3 benches/flood.py [--sources 10000000] [--flows 1000000]

- flood: a SYN from each of ten million addresses, 100,000 a second, nobody answers; the limit on conversations is the
  default. A second run with half of them shows whether the peak is a plateau.
- concurrent: a million connections opened within 30 seconds that stay open; the limit is raised for them.

The captures are made on the fly by crates/wire/examples/make_capture.rs.
"""

import argparse
import subprocess
import tempfile
from pathlib import Path

import measure


def peak(kind, count, config):
    """(CPU seconds, with those of who makes the capture; peak MB) of one replay."""
    make = measure.TARGET / "release" / "examples" / "make_capture"
    replay = f"{measure.ATALAYA} replay - --config {config} --output json --to /dev/null --quiet"
    cpu, _, memory, code = measure.cost(["sh", "-c", f"{make} {kind} {count} 2>/dev/null | {replay}"])
    # A flood may well raise an alert: then the exit status is 1.
    if code not in (0, 1):
        raise SystemExit(f"replay of {kind} {count} ended with {code}")
    return cpu, memory


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sources", type=int, default=10_000_000)
    parser.add_argument("--flows", type=int, default=1_000_000)
    options = parser.parse_args()
    measure.release()
    subprocess.run(
        ["cargo", "build", "--release", "--locked", "-p", "atalaya-wire", "--example", "make_capture"],
        cwd=measure.ROOT,
        check=True,
    )
    print(f"{measure.machine()}\n")
    print("| what | limit | CPU s | peak MB |")
    print("|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "atalaya.toml"
        limit = options.flows + options.flows // 5
        for kind, count, text, said in [
            ("flood", options.sources // 2, "", "default"),
            ("flood", options.sources, "", "default"),
            ("concurrent", options.flows, f"[packets]\nmax_connections = {limit}\n", f"{limit:,}"),
        ]:
            config.write_text(text)
            cpu, memory = peak(kind, count, config)
            print(f"| {kind}: {count:,} | {said} | {cpu:.2f} | {memory:.0f} |", flush=True)


if __name__ == "__main__":
    main()
