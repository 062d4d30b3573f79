#!/usr/bin/env python3
"""How much memory a replay takes in the worst of cases: peaks of `atalaya replay`, JSON Lines thrown away.

    python3 benches/flood.py [--sources 10000000] [--flows 1000000] [--rounds 1]

- flood: a SYN from each of ten million addresses, 100,000 a second, nobody answers; the limit on conversations is the
  default. A run with half of them shows whether the peak is a plateau.
- concurrent: a million connections opened within 8 seconds that stay open; the limit is raised for them.
- lookups, hellos, requests: the same, and in each something is said: a question of DNS and its answer, a client's hello
  by TLS that is not answered yet, a request of HTTP and its answer.

Bytes each: of the peak what a run with one conversation does not take. The captures are made on the fly by
crates/wire/examples/make_capture.rs. CPU seconds are those of the replay alone.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import measure


def replay(kind, count, config, folder):
    """(CPU seconds, peak MB) of one replay of a capture that is made meanwhile."""
    pipe = Path(folder) / "capture.pcap"
    os.mkfifo(pipe)
    make = measure.TARGET / "release" / "examples" / "make_capture"
    # The shell opens the pipe, so that nobody waits here for a reader.
    maker = subprocess.Popen(["sh", "-c", f"exec {make} {kind} {count} > {pipe} 2>/dev/null"])
    command = [str(measure.ATALAYA), "replay", str(pipe), "--config", str(config)]
    cpu, _, memory, code = measure.cost([*command, "--output", "json", "--to", "/dev/null", "--quiet"])
    # A flood may well raise an alert: then the exit status is 1.
    if code not in (0, 1):
        maker.kill()
        sys.exit(f"replay of {kind} {count} ended with {code}")
    if maker.wait() != 0:
        sys.exit(f"make_capture {kind} {count} ended with {maker.returncode}")
    pipe.unlink()
    return cpu, memory


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sources", type=int, default=10_000_000)
    parser.add_argument("--flows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    measure.release()
    subprocess.run(
        ["cargo", "build", "--release", "--locked", "-p", "atalaya-wire", "--example", "make_capture"],
        cwd=measure.ROOT,
        check=True,
    )
    print(f"{measure.machine()}; medians of {options.rounds} rounds\n")
    print("| what | limit | CPU s | peak MB | bytes each |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "atalaya.toml"
        limit = options.flows + options.flows // 5
        raised = f"[packets]\nmax_connections = {limit}\n"
        config.write_text(raised)
        _, empty = replay("concurrent", 1, config, folder)
        runs = [("flood", options.sources // 2, "", "default"), ("flood", options.sources, "", "default")]
        runs += [(kind, options.flows, raised, f"{limit:,}") for kind in ("concurrent", "lookups", "hellos", "requests")]
        for kind, count, text, said in runs:
            config.write_text(text)
            costs = [replay(kind, count, config, folder) for _ in range(options.rounds)]
            cpu = measure.median([cpu for cpu, _ in costs])
            memory = measure.median([memory for _, memory in costs])
            each = "–" if kind == "flood" else f"{(memory - empty) * 1024 * 1024 / count:.0f}"
            print(f"| {kind}: {count:,} | {said} | {cpu:.2f} | {memory:.0f} | {each} |", flush=True)


if __name__ == "__main__":
    main()
