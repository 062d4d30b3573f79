"""Compares what a watcher told with what was done."""

from collections import defaultdict
from dataclasses import dataclass, field

# Seconds by which the start of a process may be told differently: its first look at the clock comes later.
TOLERANCE = 1.0


@dataclass
class Row:
    """One conversation as a watcher told it. What it does not tell at all is `None`."""

    transport: str
    local: tuple
    remote: tuple
    namespace: int = None
    cookie: int = None
    pid: int = None
    # Seconds since the epoch.
    start: float = None
    executable: str = None
    others: tuple = ()
    sent: int = None
    received: int = None
    opened: int = 1
    closed: int = 1
    outcome: str = None


@dataclass
class Score:
    """How much of a scenario was told."""

    done: int = 0
    seen: int = 0
    right: int = 0
    exact: int = 0
    twice: int = 0
    outcome: int = 0
    named: int = 0
    bytes_done: int = 0
    bytes_told: int = None
    # Of the two ends by themselves: (done, right process).
    ends: dict = field(default_factory=dict)
    # The first of what was not told right.
    failures: list = field(default_factory=list)

    def fail(self, what, end):
        if len(self.failures) < 50:
            keys = ("end", "transport", "pid", "cookie", "local", "remote", "sent", "received")
            about = {key: end[key] for key in keys}
            self.failures.append(f"{what}: {about}")

    def complaints(self, explained):
        """What is not complete, though the watcher says that it lost at most so many."""
        counts = {what: getattr(self, what) for what in ("right", "named", "outcome")}
        found = [f"{what} {count} of {self.seen}" for what, count in counts.items() if count < self.seen]
        if self.seen + explained < self.done:
            found.append(f"seen {self.seen} of {self.done}")
        if self.twice:
            found.append(f"told twice: {self.twice}")
        return found

    def deviation(self):
        """Of all bytes together, as a share; `None` where the watcher counts none."""
        if self.bytes_told is None or not self.bytes_done:
            return None
        return self.bytes_told / self.bytes_done - 1


class Index:
    """The rows of a watcher, to be claimed by what was done."""

    def __init__(self, rows):
        self.by_cookie = defaultdict(list)
        self.by_names = defaultdict(list)
        for row in rows:
            if row.cookie:
                self.by_cookie[row.cookie].append(row)
            self.by_names[(row.transport, row.local, row.remote)].append(row)
        self.claimed = set()

    def find(self, end):
        """The row of this conversation, and how many more say the same."""
        remote, local = tuple(end["remote"]), tuple(end["local"])
        same = self.by_cookie.get(end["cookie"], []) if end["cookie"] else []
        found = [row for row in same if row.remote == remote]
        if not found and end["transport"] not in ("tcp", "udp"):
            # What has no ports may be told with the ports of something inside.
            found = [row for row in same if row.remote[0] == remote[0]] or same
        if not found:
            names = self.by_names.get((end["transport"], local, remote), [])
            found = [row for row in names if row.namespace in (None, end["namespace"])]
        fresh = [row for row in found if id(row) not in self.claimed]
        if not fresh:
            return None, 0
        same_socket = [row for row in fresh if row.cookie == fresh[0].cookie]
        for row in same_socket:
            self.claimed.add(id(row))
        return fresh[0], len(same_socket) - 1


def is_process(row, end, began):
    """Does the row name the process of this end?"""
    if row.pid not in end["pids"] and not any(pid == end["pid"] for pid in row.others):
        return False
    if len(end["pids"]) > 1 or row.start is None:
        return True
    return abs(row.start - began) < TOLERANCE


def score(ends, index, executable, began):
    """What of these ends was told. `began` gives the start of an end's process."""
    result = Score()
    counts = defaultdict(lambda: [0, 0])
    for end in ends:
        result.done += 1
        result.bytes_done += end["sent"] + end["received"]
        counts[end["end"]][0] += 1
        row, more = index.find(end)
        if row is None:
            result.fail("not seen", end)
            continue
        result.twice += more + max(0, row.opened - 1) + max(0, row.closed - 1)
        if row.opened and row.closed:
            result.seen += 1
        else:
            result.fail(f"opened {row.opened} times, closed {row.closed} times", end)
        if is_process(row, end, began(end)):
            result.right += 1
            counts[end["end"]][1] += 1
        else:
            result.fail(f"process {row.pid}", end)
        result.named += row.executable is None or row.executable.endswith(executable)
        result.outcome += row.outcome in (None, "unknown", end["outcome"])
        if row.sent is not None:
            result.bytes_told = (result.bytes_told or 0) + row.sent + row.received
            if (row.sent, row.received) == (end["sent"], end["received"]):
                result.exact += 1
            else:
                result.fail(f"sent {row.sent}, received {row.received}", end)
    result.ends = {end: tuple(values) for end, values in counts.items()}
    return result
