"""Reads the demo's witness file and finds processes of one group that ran together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from itertools import combinations

from msgspec import Struct

WORDS = ("start", "alive", "stop")


class Ran(Struct, frozen=True):
    """One process of a group: when it ran, in seconds of boottime, both ends included.

    If it was killed it may have run a little longer than `until`, never shorter.
    """

    group: str
    node: str
    term: int
    pid: int
    since: float
    until: float

    def overlaps(self, other: Ran) -> bool:
        """Say whether both ran at some moment."""
        return self.since <= other.until and other.since <= self.until


class Overlap(Struct, frozen=True):
    """Two processes of one group that ran at the same time."""

    first: Ran
    second: Ran

    def __str__(self) -> str:
        """Return which two ran together, and for how long."""
        since = max(self.first.since, self.second.since)
        until = min(self.first.until, self.second.until)
        both = (self.first, self.second)
        names = (f"node {ran.node} (pid {ran.pid}, term {ran.term})" for ran in both)
        return f"{self.first.group}: {' and '.join(names)} together for {until - since:.3f} s"


class UnreadableWitness(ValueError):  # noqa: N818 - it describes the file
    """A line of the witness file cannot be parsed: nothing can be concluded from the file."""


def read_witness(text: str) -> list[Ran]:
    """Return every process in a witness file, in the order of their starts.

    A `start` begins a new process, even if the pid was seen before. A line that was cut off by a
    crash of the machine can only be the last one, and is skipped.

    Raises:
        UnreadableWitness: with the first line that cannot be read.
    """
    lines = text.splitlines()
    if lines and not text.endswith("\n"):
        lines.pop()
    spans: dict[tuple[str, str, int], list[Ran]] = defaultdict(list)
    for number, line in enumerate(lines, 1):
        ran, word = _read_line(number, line)
        known = spans[ran.group, ran.node, ran.pid]
        if word == "start" or not known:
            known.append(ran)
        else:
            last = known[-1]
            known[-1] = Ran(last.group, last.node, last.term, last.pid, last.since, ran.until)
    return sorted((ran for known in spans.values() for ran in known), key=lambda ran: ran.since)


def _read_line(number: int, line: str) -> tuple[Ran, str]:
    try:
        time, group, node, term, pid, word = line.split(" ")
        if word in WORDS:
            at = float(time)
            return Ran(group, node, int(term), int(pid), at, at), word
    except ValueError:
        pass
    raise UnreadableWitness(f"line {number} of the witness file makes no sense: {line[:80]!r}")


def overlaps(ran: Iterable[Ran]) -> list[Overlap]:
    """Return each pair of processes of one group that ran at the same time."""
    groups: dict[str, list[Ran]] = defaultdict(list)
    for one in ran:
        groups[one.group].append(one)
    return [
        Overlap(first, second)
        for same in groups.values()
        for first, second in combinations(same, 2)
        if first.overlaps(second)
    ]
