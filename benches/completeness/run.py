#!/usr/bin/env python3
"""Is everything seen, with the right process, and counted? Scenarios of network use, and what watchers tell.

    python3 benches/completeness/run.py [--quick] [--tier ebpf] [--watchers ebpf,events,poll,psutil,nethogs]
                                        [--only WORD] [--json FILE] [--assert] [--verbose]

Needs root, nftables, a C compiler; psutil and nethogs for their columns. Prints a table for docs/benchmarks.md.
Of a cell `100 / 100 / exact`: conversations that were told (each end is one, opened and closed once), of these ends
those with the right process (pid and start), and how the payload bytes compare with what the generators sent and got.
"""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import measure
from completeness import peers, scenarios, watchers
from completeness.score import Index, score
from completeness.world import World, why_not

TIERS = ("ebpf", "events", "poll")
# Every scenario has ports of its own.
FIRST_PORT = 4000


def watcher_of(name, world, binary):
    if name in TIERS:
        return watchers.Atalaya(world, name, binary)
    return {"psutil": peers.Psutil, "nethogs": peers.Nethogs}[name](world)


def run(name, chosen, binary):
    """All scenarios under one watcher: {scenario: result}, and what it said of itself."""
    results, performed = {}, []
    with World() as world:
        watcher = watcher_of(name, world, binary)
        if reason := watcher.why_not():
            return {}, {"skipped": reason}
        try:
            watcher.start()
        except RuntimeError as error:
            return {}, {"skipped": str(error)}
        for index, scenario in enumerate(chosen):
            try:
                ends, counted = scenarios.perform(world, scenario, FIRST_PORT + index)
                performed.append((scenario, ends, scenarios.reference(scenario, ends, counted)))
            except scenarios.Failed as failed:
                results[scenario.name] = {"skipped": str(failed)}
        watcher.settle()
        if name == TIERS[0]:
            watcher.wait_for(sum(len(ends) for _, ends, _ in performed))
        watcher.stop()
        is_ours = name in TIERS
        rows = watcher.rows() if name != "nethogs" else []
        index = Index(rows)
        for scenario, ends, reference in performed:
            if not is_ours:
                # Others see only the host that they run on.
                ends = [end for end in ends if end["namespace"] == world.inodes[scenario.place]]
            if name == "nethogs":
                result = peers.score_totals(ends, watcher)
            else:
                result = score(ends, index, "/load", scenarios.start_of)
            to_the_byte = scenario.to_the_byte and all(end["transport"] in ("tcp", "udp") for end in ends)
            more = {"reference": reference, "deviation": result.deviation(), "to_the_byte": to_the_byte}
            if is_ours:
                more["complaints"] = result.complaints(watcher.explained())
            results[scenario.name] = {**vars(result), **more}
        about = {"cpu": watcher.cpu, "memory": watcher.memory, "code": watcher.process.returncode}
        if is_ours:
            ours = [row for row in rows if id(row) not in index.claimed]
            about |= {"gaps": dict(watcher.gaps), "said": watcher.said, "is_tier": watcher.is_tier()}
            about["unclaimed"] = [f"{row}" for row in ours[:20]]
            about["unclaimed_count"] = len(ours)
    return results, about


def share(part, whole):
    """Never rounded up to all."""
    value = 100 * part / whole if whole else 0
    return f"{value:.0f}" if value in (0, 100) else f"{min(value, 99.9):.1f}"


def cell(result):
    if result is None:
        return "–"
    if "skipped" in result:
        return "skipped"
    done, deviation = result["done"], result["deviation"]
    if deviation is None or not result["seen"]:
        size = "–"
    elif result["exact"] == done:
        size = "exact"
    elif abs(deviation) < 0.0005:
        size = "< 0.1 %"
    else:
        size = f"{100 * deviation:+.1f} %".replace("-", "−")
    return f"{share(result['seen'], done)} / {share(result['right'], done)} / {size}"


def table(chosen, columns):
    names = {"ebpf": "`ebpf`", "events": "`events`", "poll": "`poll`", "psutil": "psutil, 1 s"}
    lines = ["| scenario | ends | peer's counters | " + " | ".join(names.get(name, name) for name in columns) + " |"]
    lines += ["|---" * (3 + len(columns)) + "|"]
    skipped = {}
    for scenario in chosen:
        cells = [results.get(scenario.name) for results, _ in columns.values()]
        known = next((one for one in cells if one and "skipped" not in one), None)
        for one in cells:
            if one and "skipped" in one:
                skipped[scenario.name] = one["skipped"]
        ends, far = (known["done"], known["reference"]) if known else (0, None)
        far = "–" if far is None else "exact" if far == 0 else f"{100 * far:+.2f} %"
        lines += [f"| {scenario.name} | {ends:,} | {far} | " + " | ".join(map(cell, cells)) + " |"]
    lines += [""] + [f"skipped: {name}: {reason}" for name, reason in skipped.items()]
    for name, (_, about) in columns.items():
        if "skipped" in about:
            lines += [f"skipped: {name}: {about['skipped']}"]
        elif "gaps" in about:
            lost = ", ".join(f"{count} {what}" for what, count in about["gaps"].items()) or "nothing"
            lines += [f"{name}: lost {lost}; {about['cpu']:.2f} CPU s, {about['memory']:.0f} MB"]
        else:
            lines += [f"{name}: {about['cpu']:.2f} CPU s, {about['memory']:.0f} MB"]
    return "\n".join(lines)


def complaints(chosen, results, about, least):
    """What keeps a tier from being complete."""
    found = [] if about["is_tier"] else [f"it watched by another tier: {about['said'][:3]}"]
    ran = 0
    for scenario in chosen:
        result = results[scenario.name]
        if "skipped" in result:
            continue
        ran += 1
        deviation = result["deviation"]
        wrong = result["complaints"]
        if deviation is None and result["bytes_done"] and result["seen"]:
            wrong += ["bytes are not told"]
        elif result["to_the_byte"] and result["bytes_done"] and result["exact"] < result["seen"]:
            wrong += [f"bytes exact for {result['exact']} of {result['seen']}"]
        elif deviation and abs(deviation) > 0.01 and result["seen"] == result["done"]:
            wrong += [f"bytes off by {100 * deviation:+.2f} %"]
        found += [f"{scenario.name}: {one}" for one in wrong]
        if result["reference"] and abs(result["reference"]) > 0.01:
            found += [f"{scenario.name}: the peer counted {100 * result['reference']:+.2f} %"]
    if ran < least:
        found += [f"only {ran} scenarios ran"]
    if found and about["gaps"]:
        found += [f"it lost: {about['gaps']}"]
    return found


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--quick", action="store_true", help="small sizes")
    options.add_argument("--tier", help="only this tier of Atalaya")
    options.add_argument("--watchers", default="ebpf,events,poll,psutil,nethogs")
    options.add_argument("--only", help="only scenarios whose name contains this")
    options.add_argument("--binary", help="this Atalaya instead of the release build")
    options.add_argument("--json", help="everything, into this file")
    options.add_argument("--assert", dest="asserts", action="store_true", help="fail unless everything was seen")
    options.add_argument("--verbose", action="store_true", help="say what was missed")
    options.add_argument("--no-build", action="store_true")
    options = options.parse_args()
    if reason := why_not():
        print(f"skipped: the completeness matrix: {reason}")
        return
    if not options.no_build and not options.binary:
        measure.release()
    chosen = [one for one in scenarios.all_of(options.quick) if not options.only or options.only in one.name]
    names = [options.tier] if options.tier else options.watchers.split(",")
    columns = {name: run(name, chosen, options.binary) for name in names}
    if any(results for results, _ in columns.values()):
        print(f"{measure.machine()}\n\n{table(chosen, columns)}")
    if options.json:
        plain = {name: {"scenarios": results, "about": about} for name, (results, about) in columns.items()}
        Path(options.json).write_text(json.dumps(plain, indent=1, default=str))
    if options.verbose:
        for name, (results, about) in columns.items():
            print(f"\n{name}: {about}")
            for scenario, result in results.items():
                for failure in result.get("failures", [])[:3]:
                    print(f"  {scenario}: {failure}")
    if options.asserts:
        if reason := columns[names[0]][1].get("skipped"):
            print(f"skipped: the completeness matrix: {reason}")
            return
        found = complaints(chosen, *columns[names[0]], 1 if options.only else 23)
        print("\n".join(found) if found else "complete")
        sys.exit(1 if found else 0)


main()
