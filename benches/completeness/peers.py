"""Others that people watch their network with. Most see only the network namespace that they run in."""

import json
import os
import re

import measure
from completeness.score import Row, Score
from completeness.watchers import Watcher


def is_installed(program):
    folders = os.environ["PATH"].split(":")
    return any(os.access(os.path.join(folder, program), os.X_OK) for folder in folders)


class Psutil(Watcher):
    """A loop of psutil, as a Python programmer writes one; new rows are written down."""

    name = "psutil, every 1 s"
    LOOP = """
import json, psutil, socket, time
known, names = set(), {}
print("ready", flush=True)
while True:
    for connection in psutil.net_connections("inet"):
        if not connection.raddr or connection in known:
            continue
        known.add(connection)
        pid = connection.pid
        if pid is not None and pid not in names:
            try:
                process = psutil.Process(pid)
                names[pid] = (process.exe(), process.create_time())
            except psutil.Error:
                names[pid] = (None, None)
        kind = "tcp" if connection.type == socket.SOCK_STREAM else "udp"
        print(json.dumps([kind, connection.laddr, connection.raddr, pid, *names.get(pid, (None, None))]), flush=True)
    time.sleep(1)
"""

    def command(self):
        return [measure.python(), "-c", self.LOOP]

    def rows(self):
        found = {}
        for line in self.output.read_text().splitlines()[1:]:
            if not line.endswith("]"):
                continue
            transport, local, remote, pid, executable, start = json.loads(line)
            local, remote = (plain(*end) for end in (local, remote))
            row = found.setdefault((transport, local, remote), Row(transport, local, remote))
            if pid is not None:
                row.pid, row.executable, row.start = pid, executable, start
        return list(found.values())


def plain(ip, port):
    """An address as everybody else writes it."""
    return (ip.removeprefix("::ffff:"), port)


class Nethogs(Watcher):
    """NetHogs in trace mode: totals for each process, and the names of connections whose process it does not find."""

    name = "nethogs"
    LINE = re.compile(r"^(.+)/(\d+)/(\d+)\t([\d.]+)\t([\d.]+)$")
    NAMES = re.compile(r"^(.+):(\d+)-(.+):(\d+)$")

    def command(self):
        return ["nethogs", "-t", "-v", "2", "-d", "1", "-C", "-a"]

    def why_not(self):
        return None if is_installed("nethogs") else "nethogs is not installed"

    def is_ready(self):
        return b"Refreshing" in self.output.read_bytes()

    def totals(self):
        """{pid: (sent, received)} and the connections without a process."""
        processes, unknown = {}, set()
        for line in self.output.read_text(errors="replace").splitlines():
            match = self.LINE.match(line)
            name, pid, _, sent, received = match.groups() if match else (line.split(": ")[-1], 0, 0, 0, 0)
            if int(pid):
                processes[int(pid)] = (float(sent), float(received))
            elif names := self.NAMES.match(name):
                unknown.add(((names[1], int(names[2])), (names[3], int(names[4]))))
        return processes, unknown


def score_totals(ends, watcher):
    """NetHogs tells of processes, and of connections only where it finds no process."""
    processes, unknown = watcher.totals()
    result = Score(done=len(ends), bytes_told=0)
    result.ends = {end: [0, 0] for end in ("client", "server")}
    named = {end["pid"] for end in ends if end["pid"] in processes}
    for end in ends:
        is_unknown = (tuple(end["local"]), tuple(end["remote"])) in unknown
        result.seen += end["pid"] in named or is_unknown
        result.right += end["pid"] in named
        result.ends[end["end"]][0] += 1
        result.ends[end["end"]][1] += end["pid"] in named
        result.bytes_done += end["sent"] + end["received"]
    result.bytes_told = sum(int(sum(processes[pid])) for pid in named) if named else None
    return result


class Ss(Watcher):
    """`ss -tunp` again and again, as fast as it gets."""

    name = "ss -tunp, again and again"
    PATTERN = re.compile(r'pid=(\d+)')

    def command(self):
        return ["sh", "-c", "while :; do ss -tunapH; done"]

    def is_ready(self):
        return True

    def rows(self):
        found = {}
        with self.output.open(errors="replace") as lines:
            for line in lines:
                words = line.split()
                if len(words) < 6 or words[0] not in ("tcp", "udp"):
                    continue
                try:
                    local, remote = (split(word) for word in words[4:6])
                except ValueError:
                    continue
                row = found.setdefault((words[0], local, remote), Row(words[0], local, remote))
                if match := self.PATTERN.search(line):
                    row.pid = int(match[1])
        return list(found.values())


def split(word):
    """`[::1]:80`, `127.0.0.1%lo:80`"""
    host, port = word.rsplit(":", 1)
    return plain(host.strip("[]").split("%")[0].strip("[]"), int(port))


class Bpftrace(Watcher):
    """bpftrace on the kernel's tracepoint of TCP states: who connects where."""

    name = "bpftrace, a tracepoint"
    PROGRAM = """
BEGIN { printf("ready\\n"); }
tracepoint:sock:inet_sock_set_state /args->newstate == 2/ { @by[args->skaddr] = pid; }
tracepoint:sock:inet_sock_set_state /args->oldstate == 2 && args->newstate == 1 && args->family == 2/ {
  printf("%d %s %d %s %d\\n", @by[args->skaddr], ntop(args->saddr), args->sport, ntop(args->daddr), args->dport);
  delete(@by[args->skaddr]);
}
tracepoint:sock:inet_sock_set_state /args->oldstate == 2 && args->newstate == 1 && args->family == 10/ {
  printf("%d %s %d %s %d\\n", @by[args->skaddr], ntop(args->saddr_v6), args->sport, ntop(args->daddr_v6),
    args->dport);
  delete(@by[args->skaddr]);
}
"""

    def command(self):
        # Where nobody has mounted tracefs, it is mounted for bpftrace alone.
        mount = "[ -d /sys/kernel/tracing/events ] || mount -t tracefs nodev /sys/kernel/tracing"
        return ["unshare", "--mount", "sh", "-c", f'{mount}; exec bpftrace -e "$1"', "sh", self.PROGRAM]

    def why_not(self):
        return None if is_installed("bpftrace") else "bpftrace is not installed"

    def is_ready(self):
        return b"ready" in self.output.read_bytes()

    def rows(self):
        found = []
        for line in self.output.read_text(errors="replace").splitlines():
            words = line.split()
            if len(words) == 5 and words[0].isdigit():
                local, remote = plain(words[1], int(words[2])), plain(words[3], int(words[4]))
                found.append(Row("tcp", local, remote, pid=int(words[0])))
        return found
