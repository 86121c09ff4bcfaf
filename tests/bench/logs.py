"""`mosha logs`: how many lines a second, and whether it keeps up with three nodes that rotate.

The live part is a promise, not only a figure: a writer stamps 50 000 lines a second into the
logs of three nodes, which are rotated under way, and `mosha logs -f` has to print each of them
once, in the order of time.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.bench.figures import Aim, Figure, Plan, median, percentile, spread

NODES = 3
RATE = 50_000
TICK_S = 0.02
ROTATE_S = 1.5
KEEP = 3
LIMIT_S = 60.0
PIPE_BYTES = 1 << 20
READY, DONE = b'"ready"', b'"the end"'

COMMAND = [sys.executable, "-m", "mosha.cli.main", "logs"]
# What nobody can do without: Python that reads the same lines and decodes each of them.
FLOOR = """
import json, sys
for path in sys.argv[1:]:
    with open(path, "rb") as file:
        for line in file:
            sys.stdout.write(str(json.loads(line)["event"]) + "\\n")
"""


def run(plan: Plan) -> list[Figure]:
    return [*_from_files(plan), *_live(plan)]


def line(number: int, node: int, when: datetime) -> bytes:
    """Return one of the lines that a busy cluster writes."""
    stamp = when.isoformat(timespec="microseconds")[:-6].encode()
    kind = number % 4
    if kind == 0:
        told = b'"group": "web", "from": "test DONE", "to": "start STARTING", "cause": "tell"'
        event = b"group_changed"
    elif kind == 1:
        told, event = b'"peer": 3, "from": "fresh", "to": "stale"', b"peer_changed"
    else:
        told = b'"group": "db", "tag": "dbd", "pid": 4711, "stream": "stdout", "text": "request"'
        event = b"output"
    return b'{"node": %d, "n": %d, %s, "event": "%s", "level": "info", "timestamp": "%sZ"}\n' % (
        node,
        number,
        told,
        event,
        stamp,
    )


# --- from files ------------------------------------------------------------------------


def _from_files(plan: Plan) -> list[Figure]:
    count = plan.rounds(600_000, 150_000)
    paths = _write(plan.directory("files"), count)
    found: dict[str, list[float]] = {"people": [], "json": [], "filter": [], "floor": []}
    commands = {
        "people": COMMAND,
        "json": [*COMMAND, "--json"],
        "filter": [*COMMAND, "--group", "web", "--level", "info"],
        "floor": [sys.executable, "-c", FLOOR],
    }
    for number in range(plan.rounds(5, 2)):
        for name, words in commands.items():
            plan.say(f"{name} {number + 1}")
            before = _children_cpu_s()
            subprocess.run([*words, *paths], check=True, stdout=subprocess.DEVNULL)
            found[name].append(_children_cpu_s() - before)
    floor = count / median(found["floor"]) / 1000
    return [
        Figure(
            bench="logs",
            what=f"lines of {NODES} files in order, a second of CPU, {what}",
            unit="k/s",
            value=count / median(found[name]) / 1000,
            samples=len(found[name]),
            floor=floor,
            floor_is="Python that reads them one after the other with json.loads",
            parts={"seconds": median(found[name])} | spread(found[name]),
        )
        for name, what in (
            ("people", "people"),
            ("json", "--json"),
            ("filter", "--group"),
        )
    ]


def _children_cpu_s() -> float:
    """Return what ended children have used: on a busy machine the time on the wall says little."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _write(directory: Path, count: int) -> list[str]:
    """Write the logs of three nodes with lines that interleave."""
    begin = datetime(2025, 11, 22, tzinfo=UTC)
    paths = [directory / f"node{node}.log" for node in range(1, NODES + 1)]
    files = [path.open("wb") for path in paths]
    for number in range(count):
        node = number % NODES
        when = begin + timedelta(microseconds=20 * number)
        files[node].write(line(number, node + 1, when))
    for file in files:
        file.close()
    return [str(path) for path in paths]


# --- live ------------------------------------------------------------------------------


class Writer:
    """Three nodes that write `RATE` lines a second together, each into a log that rotates."""

    def __init__(self, directory: Path, seconds: float) -> None:
        self.paths = [directory / f"node{node}.log" for node in range(1, NODES + 1)]
        self.count = int(RATE * seconds)
        self.rotations = 0
        self.late_s = 0.0
        self._files = [os.open(path, _FLAGS, 0o644) for path in self.paths]

    def write(self) -> None:
        """Write all lines in time, then a last one in each file."""
        began = time.monotonic()
        done, rotated = 0, 0.0
        while done < self.count:
            passed = time.monotonic() - began
            due = min(int(passed * RATE), self.count)
            self._lines(range(done, due))
            self.late_s = max(self.late_s, time.monotonic() - began - due / RATE)
            done = due
            if passed - rotated >= ROTATE_S:
                rotated = passed
                self._rotate(self.rotations % NODES)
                self.rotations += 1
            time.sleep(TICK_S)
        for fd in self._files:
            os.write(fd, b'{"event": %s, "timestamp": "%s"}\n' % (DONE, _stamp()))
            os.close(fd)

    def _lines(self, numbers: range) -> None:
        for node, fd in enumerate(self._files):
            # A batch has the time at which it is written, as lines of one burst have.
            own = [number for number in numbers if number % NODES == node]
            now = datetime.now(UTC)
            os.write(fd, b"".join([line(number, node + 1, now) for number in own]))

    def _rotate(self, node: int) -> None:
        path = self.paths[node]
        for number in range(KEEP, 0, -1):
            younger = path.with_name(f"{path.name}.{number - 1}") if number > 1 else path
            if younger.exists():
                younger.rename(path.with_name(f"{path.name}.{number}"))
        os.close(self._files[node])
        self._files[node] = os.open(path, _FLAGS, 0o644)


_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_APPEND


def _stamp() -> bytes:
    return datetime.now(UTC).isoformat(timespec="microseconds")[:-6].encode() + b"Z"


def _live(plan: Plan) -> list[Figure]:
    seconds = plan.rounds(15, 4)
    directory = plan.directory("live")
    paths = [directory / f"node{node}.log" for node in range(1, NODES + 1)]
    for path in paths:
        path.write_bytes(b'{"event": %s, "timestamp": "%s"}\n' % (READY, _stamp()))
    words = [*COMMAND, "-f", "--json", *map(str, paths)]
    writing = [sys.executable, "-m", "tests.bench.logs", str(directory), str(seconds)]
    # On a busy machine a small pipe would be what is measured: a switch for each 64 KiB.
    with subprocess.Popen(words, stdout=subprocess.PIPE, pipesize=PIPE_BYTES) as process:
        plan.say("live")
        seen = Seen(process)
        try:
            seen.read(READY)  # what its start takes is not counted
            before = _ran_and_waited_s(process.pid)
            with subprocess.Popen(writing, stdout=subprocess.PIPE) as writer:
                seen.read(DONE)
                told, _ = writer.communicate()
            after = _ran_and_waited_s(process.pid)
        finally:
            process.kill()
    written = json.loads(told)
    numbers = seen.numbers
    lost = written["lines"] - len(set(numbers))
    doubled = len(numbers) - len(set(numbers))
    return [
        Figure(
            bench="logs",
            what=f"{RATE} lines a second of {NODES} nodes followed: behind, 99 %",
            unit="ms",
            value=percentile(seen.behind_s, 99) * 1000,
            samples=len(seen.behind_s),
            aim=Aim(at_most=1000),
            parts={
                "median": median(seen.behind_s) * 1000,
                "most": max(seen.behind_s) * 1000,
                "writer late by": written["late_s"] * 1000,
                "waited for a processor": f"{after[1] - before[1]:.1f} s of {seconds}",
            },
        ),
        Figure(
            bench="logs",
            what="the part of a processor that it takes",
            unit="%",
            value=(after[0] - before[0]) / seconds * 100,
            samples=written["lines"],
            aim=Aim(at_most=50),
        ),
        Figure(
            bench="logs",
            what="lost, doubled or out of order meanwhile",
            unit="",
            value=lost + doubled + seen.disordered,
            samples=written["lines"],
            aim=Aim(at_most=0),
            parts={"rotations": written["rotations"], "lost": lost, "doubled": doubled},
        ),
    ]


class Seen:
    """What came out: numbers of lines, how late each portion was, and disorder."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.numbers: list[int] = []
        self.behind_s: list[float] = []
        self.disordered = 0

    def read(self, until: bytes) -> None:
        """Read until this line of each node, or for `LIMIT_S`."""
        ends, before = 0, b""
        for block in self._blocks():
            now = datetime.now(UTC)
            for raw in block:
                if until in raw:
                    ends += 1
                    continue
                start = raw.index(b'"n": ') + 5
                self.numbers.append(int(raw[start : raw.index(b",", start)]))
                stamp = raw[-29:-2]
                self.disordered += stamp < before
                before = stamp
            if before:
                last = datetime.fromisoformat(before.decode())
                self.behind_s.append((now - last).total_seconds())
            if ends == NODES:
                return

    def _blocks(self) -> Iterator[list[bytes]]:
        deadline = time.monotonic() + LIMIT_S
        rest = b""
        assert self._process.stdout is not None
        fd = self._process.stdout.fileno()
        while time.monotonic() < deadline and (chunk := os.read(fd, 1 << 20)):
            *whole, rest = (rest + chunk).split(b"\n")
            yield whole


def _ran_and_waited_s(pid: int) -> tuple[float, float]:
    """Return how long a process ran, and how long it was ready to and had to wait (proc(5))."""
    ran, waited, _ = Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()
    return int(ran) / 1e9, int(waited) / 1e9


if __name__ == "__main__":
    _writer = Writer(Path(sys.argv[1]), float(sys.argv[2]))
    _writer.write()
    json.dump(
        {"lines": _writer.count, "rotations": _writer.rotations, "late_s": _writer.late_s},
        sys.stdout,
    )
