#!/usr/bin/env python3
"""What watching costs: the load with and without the watcher, alternated; the watcher itself; each hook.

    python3 benches/overhead.py [--tier ebpf] [--rounds 7] [--less 1] [--only storm] [--no-hooks]

The load runs on loopback in a network namespace of its own. Its CPU seconds are user + system of its processes; those
of the whole machine (without the watcher's) are beside them, as the kernel charges some work to whom it interrupts:
they are only worth something where nothing else runs. The cost of each hook is measured by the kernel itself
(`kernel.bpf_stats_enabled`) in a run of its own, as measuring costs, too.
"""

import argparse
import glob
import json
import os
import re
import subprocess
import sys
import time
from collections import defaultdict

import measure
from completeness import scenarios, watchers
from completeness.world import World, why_not

# name: (client, server, bar)
TO = ["127.0.0.1", "PORT"]
STORM_BAR, REQUEST_BAR = "≤ +15 %, never > +18 %", "≤ +20 %, never > +25 %"
LOADS = {
    "connection storm": (["tcp", "small", *TO, 10_000, 116, 100], "tcp", STORM_BAR),
    "UDP request/reply, fresh": (["udp", "fresh", *TO, 15_000, 100], "udp", REQUEST_BAR),
    "UDP request/reply, one socket": (["udp", "echo", *TO, 25_000, 100], "udp", REQUEST_BAR),
    "one-byte ping-pong": (["tcp", "pingpong", *TO, 25_000], "tcp", "≤ +8 %"),
    "bulk transfer": (["tcp", "exchange", *TO, 2 << 30, 0], "tcp", "within noise"),
}
# Each load runs so often in a round; the cheapest counts.
REPEATS = 3
# The same number of events as the bars speak of: each of 40,000 connections opens and closes at both ends.
EVENTS, CONNECTIONS = 160_000, 40_000
TICK = os.sysconf("SC_CLK_TCK")


def words_of(client, port, less):
    """The generator's words, with fewer of what it counts."""
    words = [port if word == "PORT" else word for word in client]
    words[4] = words[4] // less
    return [str(word) for word in words]


def machine_cpu():
    """CPU seconds that the whole machine has spent, whoever is charged."""
    numbers = [int(word) for word in open("/proc/stat").readline().split()[1:]]
    user, nice, system, _, _, irq, softirq = numbers[:7]
    return (user + nice + system + irq + softirq) / TICK


def ended(process):
    """Waits for a process, and gives its CPU seconds."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{process.args} ended with {process.returncode}")
    return usage.ru_utime + usage.ru_stime


def perform(world, port, client, server, less):
    """(CPU seconds of the load's processes, of the whole machine)."""
    path = world.folder / f"server-{port}"
    quiet = {"stdin": subprocess.PIPE, "env": {**os.environ, "LOAD_QUIET": "1"}}
    serving = world.start("here", world.load, "serve", server, "127.0.0.1", port, stdout=path.open("wb"), **quiet)
    scenarios.wait_until_ready(serving, path)
    before = machine_cpu()
    clients = world.start("here", world.load, *words_of(client, port, less), stdout=subprocess.DEVNULL, **quiet)
    cpu = ended(clients)
    serving.stdin.close()
    cpu += ended(serving)
    return cpu, machine_cpu() - before


def chosen_loads(options):
    return {name: load for name, load in LOADS.items() if not options.only or options.only in name}


def threads_of(pid):
    """CPU nanoseconds of each thread, by its name."""
    found = defaultdict(int)
    for task in glob.glob(f"/proc/{pid}/task/*"):
        try:
            found[open(f"{task}/comm").read().strip()] += int(open(f"{task}/schedstat").read().split()[0])
        except OSError:
            pass
    return found


def measured(world, watcher, port, client, server, less):
    """(CPU seconds of the load's processes, of the whole machine but for the watcher)."""
    before = watcher and sum(threads_of(watcher.process.pid).values())
    cpu, machine = perform(world, port, client, server, less)
    own = (sum(threads_of(watcher.process.pid).values()) - before) / 1e9 if watcher else 0.0
    return cpu, machine - own


def one_round(options, watched):
    """{load: (process CPU, machine CPU)} of one round."""
    results = {}
    with World() as world:
        watcher = start(world, options) if watched else None
        for index, (name, (*load, _)) in enumerate(chosen_loads(options).items()):
            runs = [measured(world, watcher, 4000 + 10 * index + turn, *load, options.less) for turn in range(REPEATS)]
            results[name] = min(runs)
        if watcher:
            watcher.stop()
    return results


def start(world, options, **how):
    watcher = watchers.Atalaya(world, options.tier, options.binary, told=False, **how)
    try:
        watcher.start()
    except RuntimeError as error:
        sys.exit(str(error))
    time.sleep(0.5)
    return watcher


def load_overhead(options):
    results = {False: defaultdict(list), True: defaultdict(list)}
    for round_number in range(options.rounds):
        for watched in (False, True) if round_number % 2 else (True, False):
            for name, costs in one_round(options, watched).items():
                results[watched][name].append(costs)
    print(f"{measure.machine()}; {options.rounds} rounds\n")
    print("| load | CPU s without | with | more: median of rounds | minima | whole machine | bar |")
    print("|---|---|---|---|---|---|---|")
    for name, (_, _, bar) in chosen_loads(options).items():
        without, watched = ([cpu for cpu, _ in results[on][name]] for on in (False, True))
        whole = [[cpu for _, cpu in results[on][name]] for on in (False, True)]
        # Each round is compared with itself: what else the machine does changes from minute to minute.
        cells = [more(without, watched), f"{100 * (min(watched) / min(without) - 1):+.1f} %", more(*whole)]
        middles = f"{measure.median(without):.3f} | {measure.median(watched):.3f}"
        print(f"| {name} | {middles} | {' | '.join(cells)} | {bar} |", flush=True)


def more(without, watched):
    """How much more, in the middle one of the rounds."""
    return f"{100 * (measure.median([one / other for one, other in zip(watched, without)]) - 1):+.1f} %"


def watcher_cost(options):
    """What the watcher itself spends on 160,000 events."""
    print(f"\nThe watcher on {EVENTS:,} events ({CONNECTIONS:,} connections, both ends), CPU ms by thread:\n")
    print("| command | all | of these the collector | others | bar |\n|---|---|---|---|---|")
    for label, how, bar in (
        ("watch --no-store", {}, "≤ 400, collector ≤ 100"),
        ("watch --store", {"store": True}, "≤ 2,000"),
    ):
        totals = []
        for _ in range(3):
            with World() as world:
                watcher = start(world, options, **how)
                before = threads_of(watcher.process.pid)
                client = ["tcp", "small", *TO, CONNECTIONS, 116, 100]
                perform(world, 4000, client, "tcp", options.less)
                watcher.settle()
                after = threads_of(watcher.process.pid)
                totals.append({name: (after[name] - before.get(name, 0)) / 1e6 for name in after})
                watcher.stop()
        best = min(totals, key=lambda spent: sum(spent.values()))
        collector = sum(spent for name, spent in best.items() if "collect" in name)
        rest = sorted(((spent, name) for name, spent in best.items() if "collect" not in name), reverse=True)
        others = ", ".join(f"{name} {spent:.0f}" for spent, name in rest if spent >= 1)
        print(f"| `{label}` | {sum(best.values()):.0f} | {collector:.0f} | {others} | {bar} |", flush=True)


def programs_of(pid):
    """{name: (runs, nanoseconds)} of the BPF programs that a process holds."""
    ids = set()
    for path in glob.glob(f"/proc/{pid}/fdinfo/*"):
        try:
            ids.update(map(int, re.findall(r"^prog_id:\s*(\d+)", open(path).read(), re.MULTILINE)))
        except OSError:
            pass
    answer = subprocess.run(["bpftool", "-j", "prog", "show"], capture_output=True, text=True, check=True).stdout
    found = defaultdict(lambda: (0, 0))
    for program in json.loads(answer):
        if program["id"] in ids:
            name = program.get("name", str(program["id"]))
            runs, spent = found[name]
            found[name] = (runs + program.get("run_cnt", 0), spent + program.get("run_time_ns", 0))
    return found


def hooks(options):
    setting = "/proc/sys/kernel/bpf_stats_enabled"
    before = open(setting).read()
    try:
        open(setting, "w").write("1")
        print("\nEach hook, by the kernel's own clock: runs × nanoseconds for each.\n")
        columns, rows = list(chosen_loads(options)), defaultdict(dict)
        with World() as world:
            watcher = start(world, options)
            for index, (name, (client, server, _)) in enumerate(chosen_loads(options).items()):
                old = programs_of(watcher.process.pid)
                perform(world, 4000 + index, client, server, options.less)
                for hook, (runs, spent) in programs_of(watcher.process.pid).items():
                    rows[hook][name] = (runs - old[hook][0], spent - old[hook][1])
            watcher.stop()
    finally:
        open(setting, "w").write(before)
    print("| hook | " + " | ".join(columns) + " |\n|---" + "|---" * len(columns) + "|")
    for hook, costs in sorted(rows.items()):
        cells = [f"{runs:,} × {spent / runs:.0f}" if runs else "" for runs, spent in (costs[name] for name in columns)]
        if any(cells):
            print(f"| `{hook}` | " + " | ".join(cells) + " |")
    # The walk is done by the watcher in its own time.
    hot = [costs for hook, costs in rows.items() if hook != "walk"]
    totals = (sum(costs[name][1] for costs in hot) / 1e6 for name in columns)
    print("| all but the walk, ms | " + " | ".join(f"{total:.0f}" for total in totals) + " |")


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--tier", default="ebpf")
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--less", type=int, default=1, help="divide every count by this")
    options.add_argument("--only", help="only loads whose name contains this")
    options.add_argument("--binary", help="this Atalaya instead of the release build")
    options.add_argument("--no-watcher", action="store_true", help="not what the watcher itself spends")
    options.add_argument("--no-hooks", action="store_true", help="not what each hook costs")
    options.add_argument("--no-build", action="store_true")
    options = options.parse_args()
    if reason := why_not():
        sys.exit(f"overhead.py: {reason}")
    if not options.no_build and not options.binary:
        measure.release()
    load_overhead(options)
    if not options.no_watcher:
        watcher_cost(options)
    if options.tier == "ebpf" and not options.no_hooks:
        hooks(options)


main()
