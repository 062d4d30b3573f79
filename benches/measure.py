"""What the benches share: run a program, and say what it cost."""

import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
ATALAYA = TARGET / "release" / "atalaya"

# The look that psutil offers for what a snapshot shows: every connection, and its process's name, path, command line.
PSUTIL = """
import psutil, sys
seen = {}
rows = 0
for connection in psutil.net_connections('inet'):
    rows += 1
    pid = connection.pid
    if pid is None or pid in seen:
        continue
    try:
        process = psutil.Process(pid)
        seen[pid] = (process.name(), process.exe(), process.cmdline())
    except psutil.Error:
        seen[pid] = None
print(rows, file=sys.stderr)
"""


def python():
    """A Python with psutil."""
    for candidate in (sys.executable, "/usr/bin/python3"):
        if subprocess.run([candidate, "-c", "import psutil"], capture_output=True).returncode == 0:
            return candidate
    sys.exit("psutil is missing: sudo apt-get install python3-psutil")


def launcher():
    """The small program that runs others and says what they cost, compiled where it is older than its source."""
    source, binary = ROOT / "benches" / "cost.c", TARGET / "bench-cost"
    if not binary.exists() or binary.stat().st_mtime < source.stat().st_mtime:
        subprocess.run(["cc", "-O1", "-o", str(binary), str(source)], check=True)
    return str(binary)


def cost(command):
    """(CPU seconds, wall seconds, peak MB, exit code) of one run, its output thrown away."""
    result = subprocess.run([launcher(), *command], capture_output=True, text=True, check=True)
    cpu, wall, memory, code = result.stdout.split()
    return float(cpu), float(wall), int(memory) / 1024, int(code)


def release():
    """Builds the binary that is measured."""
    subprocess.run(["cargo", "build", "--release", "--locked", "-p", "atalaya"], cwd=ROOT, check=True)


def median(values):
    return statistics.median(values)


def machine():
    """One line about where this was measured."""
    model = next(
        (line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "unknown CPU"
    )
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return f"{time.strftime('%Y-%m-%d')}, {commit.stdout.strip()}, {os.cpu_count()} × {model}, Linux {os.uname().release}"


def many_files():
    """As many descriptors as we may have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def alone():
    """Goes on in network and process namespaces of its own, so that neither this machine's other work nor what the
    last bench left behind (TIME_WAIT) is counted. Only as root; otherwise says so and stays."""
    if os.environ.get("ATALAYA_BENCH_ALONE"):
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        return
    if os.geteuid() != 0:
        print("not root: measured among everything else on this machine", file=sys.stderr)
        return
    os.environ["ATALAYA_BENCH_ALONE"] = "1"
    unshare = ["unshare", "--net", "--pid", "--mount", "--fork", "--mount-proc", "--kill-child"]
    os.execvp("unshare", [*unshare, sys.executable, *sys.argv])
