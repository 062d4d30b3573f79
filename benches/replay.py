#!/usr/bin/env python3
"""Replay of captures: packets per CPU second, peak memory, and how far the tools agree.

    python3 benches/replay.py [--rounds 3] [--part 500000] [--less 10] [--captures mixed,short,dns,large]
                              [--tools atalaya,ndpiReader,argus,softflowd,tshark] [--keep FOLDER]

mixed: 1 GB of frames of real captures ($ATALAYA_CORPORA/flows), again and again with other addresses each time.
short: 1,000,000 short flows: a third DNS, a tenth TLS hellos, 150,000 HTTP requests, the rest refused or unanswered.
dns:   2,000,000 questions with their answers, each from a port of its own.
large: 100 transfers of 4 MB.

Atalaya reads with every protocol fact, the table of connections and all detectors on, and writes JSON Lines to a file.
tshark writes the fields that are compared, ndpiReader its CSV, argus and softflowd their flow records. First table:
Atalaya reads each capture whole, `--rounds` times (medians). Second table: every tool reads its first `--part` packets,
in alternation, Atalaya and the fast ones `--rounds` times, tshark and ndpiReader once, for they take minutes otherwise;
beside the rates, how many flows and how many different names and fingerprints each of them found, and in brackets how
many of these tshark has too. `--part 0` gives them all of it. `--less N` divides the sizes.

What cannot agree: tshark's streams (of TCP and UDP alone) and argus's flows, put together by their ends, know no
time-outs: the same ends used again are one flow there; a tool that does not look into tunnels counts the tunnel alone.
"""

import argparse
import collections
import json
import os
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import measure

SIZES = {"mixed": 1_000_000_000, "short": 1_000_000, "dns": 2_000_000, "large": 100}
SLOW = ("tshark", "ndpiReader")
FOUND = ("flows", "names asked for", "server names", "JA3", "HTTP hosts")
TSHARK_FIELDS = [
    "tcp.stream",
    "udp.stream",
    "tls.handshake.extensions_server_name",
    "tls.handshake.ja3",
    "dns.qry.name",
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


def part_of(path, packets, most, folder):
    """A capture of the first packets of another one, and how many they are."""
    if most == 0 or packets <= most:
        return path, packets
    part = folder / f"{path.stem}.part.pcap"
    with open(path, "rb") as capture, open(part, "wb") as out:
        out.write(capture.read(24))
        for _ in range(most):
            head = capture.read(16)
            out.write(head)
            out.write(capture.read(struct.unpack_from("<I", head, 8)[0]))
    return part, most


def tool(name, capture, folder):
    """The command that reads a capture, and the file that it writes."""
    out = folder / f"{capture.stem}.{name}"
    fields = " ".join(f"-e {field}" for field in TSHARK_FIELDS)
    commands = {
        "atalaya": [str(measure.ATALAYA), "replay", str(capture), "--output", "json", "--to", str(out), "--quiet"],
        "tshark": ["sh", "-c", f"exec tshark -n -r {capture} -T fields {fields} > {out}"],
        "ndpiReader": ["ndpiReader", "-q", "-i", str(capture), "-C", str(out)],
        "argus": ["argus", "-r", str(capture), "-w", str(out)],
        "softflowd": ["sh", "-c", f"exec softflowd -r {capture} -n 127.0.0.1:9 -d > {out} 2>&1"],
    }
    return commands[name], out


def found_by_atalaya(path):
    """What the JSON Lines say: a number of flows, sets of names and fingerprints."""
    flows, (asked, servers, ja3, hosts) = 0, (set(), set(), set(), set())
    with open(path) as lines:
        for line in lines:
            row = json.loads(line)
            action = row.get("event", {}).get("action")
            flows += action == "connection_closed"
            if action == "protocol_spoken":
                client = row.get("tls", {}).get("client", {})
                asked.add(row.get("dns", {}).get("question", {}).get("name"))
                servers.add(client.get("server_name"))
                ja3.add(client.get("ja3"))
                hosts.add(row.get("url", {}).get("domain"))
    return found(flows, asked, servers, ja3, hosts)


def found(flows, *sets):
    """By the columns of the table; names in lower case."""
    sets = [{one.lower() for one in values if one} for values in sets]
    return dict(zip(FOUND, (flows, *sets)))


def found_by_tshark(path):
    streams, sets = set(), (set(), set(), set(), set())
    with open(path, errors="replace") as lines:
        for line in lines:
            tcp, udp, server, ja3, asked, host = (line.rstrip("\n").split("\t") + [""] * 6)[:6]
            # The last of several is that of the innermost packet.
            streams.update((kind, one.split(",")[-1]) for kind, one in (("tcp", tcp), ("udp", udp)) if one)
            for values, said in zip(sets, (asked, server, ja3, host)):
                values.update(said.split(","))
    return found(len(streams), *sets)


def found_by_ndpi(path):
    flows, servers, ja3 = 0, set(), set()
    with open(path, errors="replace") as lines:
        header = next(lines, "").lstrip("#").rstrip("\n").split(",")
        for line in lines:
            row = dict(zip(header, line.rstrip("\n").split(",")))
            flows += 1
            if row.get("ja3c"):
                ja3.add(row["ja3c"])
                servers.add(row.get("server_name_sni"))
    _, _, servers, ja3, _ = found(flows, (), servers, ja3, ()).values()
    return {"flows": flows, "server names": servers, "JA3": ja3}


def found_by_argus(path):
    """Its records put together by their ends, where its reader is installed."""
    try:
        read = subprocess.run(
            ["racluster", "-r", str(path), "-n", "-s", "proto"], capture_output=True, text=True, errors="replace"
        )
    except FileNotFoundError:
        return {}
    return {"flows": max(0, len(read.stdout.splitlines()) - 1)}


def found_by_softflowd(path):
    for line in path.read_text(errors="replace").splitlines():
        if line.startswith("Flows expired:"):
            return {"flows": int(line.split()[2])}
    return {}


FINDERS = {
    "atalaya": found_by_atalaya,
    "tshark": found_by_tshark,
    "ndpiReader": found_by_ndpi,
    "argus": found_by_argus,
    "softflowd": found_by_softflowd,
}


def cost(name, capture, folder):
    """(CPU seconds, peak MB) of one reading."""
    command, out = tool(name, capture, folder)
    # Some tools add to a file that is there.
    out.unlink(missing_ok=True)
    cpu, _, memory, code = measure.cost(command)
    # One file of the corpora has an alert: then the exit status is 1.
    if code not in (0, 1):
        sys.exit(f"{' '.join(command)} ended with {code}")
    return cpu, memory


def rate(packets, costs):
    """Columns for the median of some readings."""
    cpu = measure.median([cpu for cpu, _ in costs])
    memory = measure.median([memory for _, memory in costs])
    return f"{packets / cpu / 1000:,.0f} k | {cpu:.2f} | {memory:.0f}"


def whole(kind, capture, packets, options, folder):
    """Atalaya alone; gives a line of the first table."""
    costs = [cost("atalaya", capture, folder) for _ in range(options.rounds)]
    size = tool("atalaya", capture, folder)[1]
    written = size.stat().st_size / 1e6
    size.unlink()
    bytes_each = (capture.stat().st_size - 24) / packets - 16
    return f"| {kind} | {packets:,} | {bytes_each:.0f} | {rate(packets, costs)} | {written:,.0f} |"


def beside(kind, capture, packets, options, folder):
    """Every tool; gives lines of the second table."""
    costs = collections.defaultdict(list)
    tools = options.tools.split(",")
    for turn in range(options.rounds):
        for name in tools:
            if turn == 0 or name not in SLOW:
                costs[name].append(cost(name, capture, folder))
    all_found = {}
    for name in tools:
        out = tool(name, capture, folder)[1]
        all_found[name] = FINDERS[name](out) if out.exists() else {}
        out.unlink(missing_ok=True)
    reference = all_found.get("tshark", {})
    for name in tools:
        counts = " | ".join(shown(all_found[name].get(what), reference.get(what)) for what in FOUND)
        yield f"| {kind} | {packets:,} | {name} | {rate(packets, costs[name])} | {counts} |"


def shown(found, reference):
    """How many there are, and how many of them the reference has too."""
    if not isinstance(found, set):
        return "–" if found is None else f"{found:,}"
    common = f" ({len(found & reference):,})" if reference else ""
    return f"{len(found):,}{common}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--part", type=int, default=500_000)
    parser.add_argument("--less", type=int, default=1)
    parser.add_argument("--tools", default="atalaya,ndpiReader,argus,softflowd,tshark")
    parser.add_argument("--captures", default="mixed,short,dns,large")
    parser.add_argument("--keep", type=Path, help="where captures are made, and kept for the next time")
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
        print("| capture | packets | mean bytes | packets a CPU second | CPU s | peak MB | JSON MB |")
        print("|---|---|---|---|---|---|---|")
        later = []
        for kind in options.captures.split(","):
            made = make(kind, options.less, folder)
            if made is None:
                print(f"{kind}: skipped: no corpora", file=sys.stderr)
                continue
            print(whole(kind, *made, options, folder), flush=True)
            part = part_of(*made, options.part, folder)
            later.append((kind, *part))
            if not options.keep and part[0] != made[0]:
                made[0].unlink()
        print("\n| first packets of | packets | tool | packets a CPU second | CPU s | peak MB | " + " | ".join(FOUND) + " |")
        print("|---" * (6 + len(FOUND)) + "|")
        for kind, capture, packets in later:
            for line in beside(kind, capture, packets, options, folder):
                print(line, flush=True)


if __name__ == "__main__":
    main()
