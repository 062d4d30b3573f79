#!/usr/bin/env python3
"""Replay of captures: packets per CPU second, peak memory, and how far the tools agree.

    python3 benches/replay.py [--rounds 3] [--less 10] [--tools atalaya,tshark,ndpiReader,argus,softflowd]
                              [--captures mixed,short,dns,large] [--keep FOLDER]

mixed: 1 GB of frames of real captures ($ATALAYA_CORPORA/flows), again and again with other addresses each time.
short: 1,000,000 short flows: a third DNS, a tenth TLS hellos, 150,000 HTTP requests, the rest refused or unanswered.
dns:   2,000,000 questions with their answers, each from a port of its own.
large: 100 transfers of 4 MB.

Atalaya reads with every protocol fact, the table of connections and all detectors on, and writes JSON Lines to a file.
tshark writes the fields that are compared, ndpiReader its CSV, argus and softflowd their flow records. All run in
alternation; numbers are medians. `--less N` divides the sizes.
"""

import argparse
import collections
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import measure

SIZES = {"mixed": 1_000_000_000, "short": 1_000_000, "dns": 2_000_000, "large": 100}
TSHARK_FIELDS = [
    "tls.handshake.extensions_server_name",
    "tls.handshake.ja3",
    "dns.qry.name",
    "dns.flags.response",
    "http.request.method",
    "http.host",
]


def make(kind, less, folder):
    """Makes a capture; gives its path and its number of packets."""
    path = folder / f"{kind}.pcap"
    count = folder / f"{kind}.count"
    if not path.exists() or not count.exists():
        command = [str(measure.TARGET / "release" / "examples" / "make_capture")]
        size = str(max(1, SIZES[kind] // less))
        if kind == "mixed":
            corpora = os.environ.get("ATALAYA_CORPORA")
            if not corpora:
                return None
            files = sorted(str(file) for file in Path(corpora, "flows").iterdir() if "pcap" in file.suffix)
            command += ["replicate", size, *files]
        else:
            command += [kind, size]
        with open(path, "wb") as out:
            made = subprocess.run(command, stdout=out, stderr=subprocess.PIPE, text=True, check=True)
        count.write_text(made.stderr.split()[0])
    return path, int(count.read_text())


def tool(name, capture, folder):
    """The command that reads a capture, and the file that it writes."""
    out = folder / f"{capture.stem}.{name}"
    commands = {
        "atalaya": [str(measure.ATALAYA), "replay", str(capture), "--output", "json", "--to", str(out), "--quiet"],
        "tshark": [
            "sh", "-c",
            f"exec tshark -n -r {capture} -T fields " + " ".join(f"-e {field}" for field in TSHARK_FIELDS) + f" > {out}",
        ],
        "ndpiReader": ["ndpiReader", "-q", "-i", str(capture), "-C", str(out)],
        "argus": ["argus", "-r", str(capture), "-w", str(out)],
        "softflowd": ["softflowd", "-r", str(capture), "-n", "127.0.0.1:9", "-d"],
    }
    return commands[name], out


def found_by_atalaya(path):
    """What the JSON Lines say: flows, names and fingerprints."""
    counts = collections.Counter()
    with open(path) as lines:
        for line in lines:
            row = json.loads(line)
            action = row.get("event", {}).get("action")
            if action == "connection_closed":
                counts["flows"] += 1
            elif action == "protocol_spoken":
                if "dns" in row:
                    counts["questions"] += 1
                tls = row.get("tls", {}).get("client", {})
                if "server_name" in tls:
                    counts["server names"] += 1
                if "ja3" in tls:
                    counts["ja3"] += 1
                if row.get("http", {}).get("request", {}).get("method"):
                    counts["requests"] += 1
    return counts


def found_by_tshark(path):
    counts = collections.Counter()
    with open(path, errors="replace") as lines:
        for line in lines:
            name, ja3, query, response, method, _ = (line.rstrip("\n").split("\t") + [""] * 6)[:6]
            counts["server names"] += bool(name)
            counts["ja3"] += len([one for one in ja3.split(",") if one])
            counts["questions"] += bool(query) and response in ("0", "False")
            counts["requests"] += len([one for one in method.split(",") if one])
    return counts


def found_by_ndpi(path):
    counts = collections.Counter()
    with open(path, errors="replace") as lines:
        header = next(lines, "").lstrip("#").rstrip("\n").split(",")
        for line in lines:
            counts["flows"] += 1
            row = dict(zip(header, line.rstrip("\n").split(",")))
            counts["ja3"] += bool(row.get("ja3c"))
    return counts


FOUND = {"atalaya": found_by_atalaya, "tshark": found_by_tshark, "ndpiReader": found_by_ndpi}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--less", type=int, default=1)
    parser.add_argument("--tools", default="atalaya,tshark,ndpiReader,argus,softflowd")
    parser.add_argument("--captures", default="mixed,short,dns,large")
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    measure.release()
    subprocess.run(
        ["cargo", "build", "--release", "--locked", "-p", "atalaya-wire", "--example", "make_capture"],
        cwd=measure.ROOT,
        check=True,
    )
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        print(f"{measure.machine()}; medians of {options.rounds} rounds\n")
        print("| capture | packets | tool | packets a CPU second | CPU s | peak MB | found |")
        print("|---|---|---|---|---|---|---|")
        for kind in options.captures.split(","):
            made = make(kind, options.less, folder)
            if made is None:
                print(f"{kind}: skipped: no corpora", file=sys.stderr)
                continue
            bench(kind, *made, options, folder)
            if not options.keep:
                made[0].unlink()


def bench(kind, capture, packets, options, folder):
    costs = collections.defaultdict(list)
    tools = options.tools.split(",")
    for _ in range(options.rounds):
        for name in tools:
            command, out = tool(name, capture, folder)
            # Some tools add to a file that is there.
            out.unlink(missing_ok=True)
            cpu, _, memory, code = measure.cost(command)
            # One file of the corpora has an alert: then the exit status is 1.
            if code not in (0, 1):
                sys.exit(f"{' '.join(command)} ended with {code}")
            costs[name].append((cpu, memory))
    for name in tools:
        cpu = measure.median([cpu for cpu, _ in costs[name]])
        memory = measure.median([memory for _, memory in costs[name]])
        out = tool(name, capture, folder)[1]
        found = FOUND[name](out) if name in FOUND and out.exists() else {}
        said = ", ".join(f"{count:,} {what}" for what, count in sorted(found.items()))
        rate = packets / cpu / 1000
        print(f"| {kind} | {packets:,} | {name} | {rate:,.0f} k | {cpu:.2f} | {memory:.0f} | {said} |", flush=True)
        out.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
