#!/usr/bin/env python3
"""Short-lived load: what is seen of 38,000 conversations of a millisecond or less, and which processes are right.

    python3 benches/short.py [--watchers ebpf,ebpf-quiet,ebpf-store,events,poll,psutil,ss,nethogs,bpftrace] [--less 10]
    python3 benches/short.py --hundred-thousand [--watchers ebpf]

20,000 TCP connections of 0.1 to 1 ms on loopback; 2,000 processes that connect once and exit; 10,000 UDP requests
with their answers, each from a fresh socket; 2,000 TCP connections over IPv6; 2,000 each way between two namespaces.
Each watcher sees a load of its own, one after the other. Atalaya is asked about both ends, wherever they are; the
others about those in the namespace that they run in, and a client or server of theirs is right by its pid.
`ebpf-quiet` writes nothing, and `ebpf-store` keeps its history in a database, which is then asked.

With --hundred-thousand: 100,000 TCP connections from 4 concurrent clients.
"""

import argparse
import subprocess
import sys
import time

import measure
from completeness import peers, scenarios, watchers
from completeness.scenarios import Scenario
from completeness.score import Index, Score, score
from completeness.world import HERE, THERE, World, why_not

ATALAYA = {
    "ebpf": {"tier": "ebpf"},
    "ebpf-quiet": {"tier": "ebpf", "told": False},
    "ebpf-store": {"tier": "ebpf", "told": False, "store": True},
    "events": {"tier": "events"},
    "poll": {"tier": "poll"},
}
PEERS = {"psutil": peers.Psutil, "ss": peers.Ss, "nethogs": peers.Nethogs, "bpftrace": peers.Bpftrace}
NAMES = {
    "ebpf": "atalaya ebpf, JSON",
    "ebpf-quiet": "atalaya ebpf --no-store",
    "ebpf-store": "atalaya ebpf --store",
    "events": "atalaya events, JSON",
    "poll": "atalaya poll, JSON",
}


def load(less):
    """The 38,000 as scenarios; `less` divides every count."""

    def small(to, count, pause=0):
        return ["tcp", "small", to, "PORT", count // less, 116, 100, pause]

    def tcp(client, where, **more):
        return {"clients": [client], "servers": [["serve", "tcp", where, "PORT"]], **more}

    local = {"peer": "here"}
    parts = {
        "TCP on loopback": tcp(small("127.0.0.1", 20_000, 100), "127.0.0.1", **local),
        "processes": tcp(["processes", "each", 2_000 // less, "127.0.0.1", "PORT"], "127.0.0.1", **local),
        "UDP": {
            "clients": [["udp", "fresh", "127.0.0.1", "PORT", 10_000 // less, 100]],
            "servers": [["serve", "udp", "127.0.0.1", "PORT"]],
            **local,
        },
        "IPv6": tcp(small("::1", 2_000), "::1", **local),
        "to a namespace": tcp(small(THERE, 2_000), THERE),
        "from a namespace": tcp(small(HERE, 2_000), HERE, place="there", peer="here"),
    }
    return [Scenario(name, **how) for name, how in parts.items()]


def perform(world, less):
    """Does all of it; gives what was done and how long it took."""
    ends, began = [], time.monotonic()
    for index, scenario in enumerate(load(less)):
        ends += scenarios.perform(world, scenario, 4000 + index)[0]
    return ends, time.monotonic() - began


def perform_together(world, less):
    """100,000 connections from four clients at a time, each with its own server."""
    count, crowd, began = 25_000 // less, [], time.monotonic()
    for index in range(4):
        paths = [world.folder / f"{end}-{index}" for end in ("server", "client")]
        server = world.start("here", world.load, "serve", "tcp", "127.0.0.1", 4000 + index, **pipes(paths[0]))
        scenarios.wait_until_ready(server, paths[0])
        crowd.append((server, paths))
    clients = [
        world.start("here", world.load, "tcp", "small", "127.0.0.1", 4000 + index, count, 116, 100, **pipes(paths[1]))
        for index, (_, paths) in enumerate(crowd)
    ]
    for client in clients:
        client.wait(scenarios.PATIENCE)
    took = time.monotonic() - began
    ends = []
    for server, paths in crowd:
        server.stdin.close()
        server.wait(10)
        ends += [{**end, "namespace": world.inodes["here"]} for path in paths for end in scenarios.told(path, set())]
    return ends, took


def pipes(path):
    return {"stdin": subprocess.PIPE, "stdout": path.open("ab")}


def run(name, perform, less, binary):
    """(score, watcher, seconds that the load took) or the reason why not."""
    with World() as world:
        is_ours = name in ATALAYA
        watcher = watchers.Atalaya(world, **ATALAYA[name], binary=binary) if is_ours else PEERS[name](world)
        if reason := watcher.why_not():
            return reason
        try:
            watcher.start()
            ends, took = perform(world, less)
        except (RuntimeError, scenarios.Failed) as error:
            return str(error)
        watcher.settle()
        if is_ours and watcher.tier == "ebpf":
            watcher.wait_for(len(ends))
        watcher.stop()
        if not is_ours:
            ends = [end for end in ends if end["namespace"] == world.inodes["here"]]
        if name == "nethogs":
            result = peers.score_totals(ends, watcher)
        elif is_ours and not (watcher.told or watcher.store):
            result = Score()
        else:
            result = score(ends, Index(watcher.rows()), "/load", scenarios.start_of)
        return result, watcher, took


def share(part, whole):
    """Per cent, never rounded up to all nor down to none."""
    value = 100 * part / whole if whole else 0
    if 0 < part < whole:
        value = min(max(value, 0.01), 99.99)
    return f"{value:.2f}" if 0 < part < whole else f"{value:.0f}"


def line(name, result, watcher, took):
    said = f"{watcher.cpu:.2f} | {watcher.memory:.0f} | {took:.1f} |"
    label = NAMES.get(name, watcher.name)
    if not result.done:
        return f"| {label} | | | | | {said}"
    clients, servers = (result.ends.get(end, (0, 0)) for end in ("client", "server"))
    exact = share(result.exact, result.done) if name in ATALAYA else "–"
    cells = [share(result.seen, result.done), share(*reversed(clients)), share(*reversed(servers)), exact]
    return f"| {label} | {' | '.join(cells)} | {said}"


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--watchers")
    options.add_argument("--hundred-thousand", action="store_true")
    options.add_argument("--less", type=int, default=1, help="divide every count by this")
    options.add_argument("--binary", help="this Atalaya instead of the release build")
    options.add_argument("--assert", dest="asserts", action="store_true", help="fail unless everything was seen")
    options.add_argument("--verbose", action="store_true", help="say what was missed")
    options.add_argument("--no-build", action="store_true")
    options = options.parse_args()
    if reason := why_not():
        print(f"skipped: short-lived load: {reason}")
        return
    if not options.no_build and not options.binary:
        measure.release()
    chosen = options.watchers or ("ebpf,ebpf-quiet" if options.hundred_thousand else ",".join([*ATALAYA, *PEERS]))
    print(f"{measure.machine()}\n")
    print("| watcher | ends seen % | client's process right % | server's % | bytes exact % | CPU s | MB | load s |")
    print("|---|---|---|---|---|---|---|---|")
    notes, complaints = [], []
    for name in chosen.split(","):
        outcome = run(name, perform_together if options.hundred_thousand else perform, options.less, options.binary)
        if isinstance(outcome, str):
            notes.append(f"skipped: {name}: {outcome}")
            continue
        print(line(name, *outcome), flush=True)
        result, watcher, _ = outcome
        if name in ATALAYA:
            complaints += [f"{name}: {one}" for one in result.complaints(watcher.explained())]
            if result.exact < result.seen and result.done:
                complaints.append(f"{name}: bytes exact for {result.exact} of {result.seen}")
            lost = ", ".join(f"{count} {what}" for what, count in watcher.gaps.items()) or "nothing"
            doubled = f", told twice: {result.twice}" if result.twice else ""
            ends = f"{result.done:,} ends; gaps: {lost}{doubled}; " if result.done else ""
            notes.append(f"{name}: {ends}{watcher.said[-1]}")
        if options.verbose:
            notes += [f"  {failure}" for failure in result.failures[:8]]
    print("\n" + "\n".join(notes))
    if options.asserts:
        print("\n".join(complaints) if complaints else "complete")
        sys.exit(1 if complaints else 0)


main()
