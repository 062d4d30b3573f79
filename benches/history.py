#!/usr/bin/env python3
"""A week of a host, ten million connections: what writing it costs, how large it is, and how fast the dashboard's panels
answer; beside DuckDB with the same rows.

    python3 benches/history.py [--connections 10000000] [--folder /var/tmp/history] [--rounds 100] [--no-duckdb]

Needs some 3 GB in the folder. DuckDB: `pip install duckdb` (left out where it is missing).
"""

import argparse
import statistics
import subprocess
import time
from pathlib import Path

import measure

PROGRAM = measure.TARGET / "release" / "examples" / "history"

# The same questions, of the rows themselves: DuckDB keeps no sums.
QUESTIONS = {
    "top addresses, 24 h": """SELECT remote_ip, count(*), sum(sent + received) AS bytes FROM c
        WHERE start >= {day} GROUP BY 1 ORDER BY 3 DESC LIMIT 100""",
    "top programs, 24 h": """SELECT program, count(*), sum(sent + received) AS bytes FROM c
        WHERE start >= {day} GROUP BY 1 ORDER BY 3 DESC LIMIT 100""",
    "top ports, 24 h": """SELECT transport, port, count(*), sum(sent + received) AS bytes FROM c
        WHERE start >= {day} GROUP BY 1, 2 ORDER BY 4 DESC LIMIT 100""",
    "bytes a minute, 24 h": """SELECT start // 60000000, sum(sent), sum(received) FROM c
        WHERE start >= {day} GROUP BY 1 ORDER BY 1""",
    "addresses by program": "SELECT program, count(DISTINCT remote_ip) FROM c GROUP BY 1 ORDER BY 2 DESC LIMIT 100",
    "rare destinations": """SELECT remote_ip, count(*), max(start) FROM c WHERE outbound GROUP BY 1
        HAVING count(*) <= 2 AND max(start) >= {day} ORDER BY 3 DESC LIMIT 100""",
    "an address, newest 500": "SELECT * FROM c WHERE remote_ip = '{ip}' ORDER BY start DESC LIMIT 500",
    "process tree": """SELECT pid, program, count(*), sum(sent + received) AS bytes FROM c
        WHERE start >= {day} GROUP BY 1, 2 ORDER BY 4 DESC LIMIT 100""",
}


def run(*arguments):
    subprocess.run([str(PROGRAM), *map(str, arguments)], check=True)


def duckdb(folder, database, rounds):
    try:
        import duckdb as engine
    except ImportError:
        print("\nskipped: DuckDB is not installed (pip install duckdb)")
        return
    rows = folder / "rows.csv"
    run("export", database, rows)
    file = folder / "rows.duckdb"
    file.unlink(missing_ok=True)
    connection = engine.connect(str(file))
    before = time.monotonic(), time.process_time()
    connection.execute(f"CREATE TABLE c AS SELECT * FROM read_csv('{rows}', header = true, delim = ',')")
    connection.execute("CHECKPOINT")
    wall, cpu = time.monotonic() - before[0], time.process_time() - before[1]
    count, newest = connection.execute("SELECT count(*), max(start) FROM c").fetchone()
    print(
        f"\nDuckDB {engine.__version__}: {count} rows loaded from CSV at once in {cpu:.1f} CPU s ({wall:.1f} s); "
        f"{file.stat().st_size / count:.1f} bytes a connection"
    )
    day = newest - 86_400_000_000
    (ip,) = connection.execute(
        f"SELECT remote_ip FROM c WHERE start >= {day} GROUP BY 1 ORDER BY count(*) DESC LIMIT 1 OFFSET 20"
    ).fetchone()
    for name, sql in QUESTIONS.items():
        walls = []
        used = time.process_time()
        for _ in range(min(rounds, 7)):
            begun = time.monotonic()
            found = connection.execute(sql.format(day=day, ip=ip)).fetchall()
            walls.append((time.monotonic() - begun) * 1000)
        used = (time.process_time() - used) * 1000 / len(walls)
        print(f"  {name:<24} {len(found):>5} rows: median {statistics.median(walls):>7.2f} ms, {used:>7.2f} ms CPU")
    connection.close()
    rows.unlink()
    file.unlink()


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--connections", type=int, default=10_000_000)
    options.add_argument("--batch", type=int, default=10_000)
    options.add_argument("--rounds", type=int, default=100)
    options.add_argument("--rate", type=int, default=5_000)
    options.add_argument("--folder", type=Path, default=Path("/var/tmp/history"))
    options.add_argument("--no-duckdb", action="store_true")
    options.add_argument("--keep", action="store_true", help="go on with the database that is there")
    options = options.parse_args()
    build = ["cargo", "build", "--release", "--locked", "-p", "atalaya-store", "--example", "history"]
    subprocess.run(build, cwd=measure.ROOT, check=True)
    options.folder.mkdir(parents=True, exist_ok=True)
    database = options.folder / "history.db"
    print(measure.machine(), flush=True)
    if not (options.keep and database.exists()):
        for path in options.folder.glob("history.db*"):
            path.unlink()
        run("fill", database, options.connections, options.batch)
    print("\npanels, nobody writes:", flush=True)
    run("panels", database, options.rounds)
    print("\npanels under filters, two seconds each:", flush=True)
    run("filters", database)
    if not options.no_duckdb:
        duckdb(options.folder, database, options.rounds)
    print(f"\npanels while {options.rate} connections a second are written, then retention of a day:", flush=True)
    run("live", database, options.rate, 4 * options.rounds)
    run("sizes", database)


if __name__ == "__main__":
    main()
