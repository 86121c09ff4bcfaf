"""A receipt counts against no evidence (R1): nobody calls dead whom it hears.

News of a node is its second and each later status that one life of a monitor reads: the first one
may be what a dead node left behind. For T after its news nobody may say that it is dead.
"""

from __future__ import annotations

from typing import Protocol

from mosha.core.cluster.timing import Timing
from mosha.core.status import Stamp, Status
from tests.sim.checks import Checker

# T of a slow clock, and of one that was read a moment ago.
PART_OF_T = 0.9


class Hearing(Protocol):
    """One life of a monitor."""

    timing: Timing


class Evidence(Checker):
    """What each life of a monitor has heard, and what it says of who is dead."""

    name = "evidence"

    def __init__(self) -> None:
        self._first: set[tuple[int, int]] = set()
        self._news: dict[tuple[int, int], tuple[Stamp, float]] = {}

    def hears(self, reader: Hearing, node: int, stamp: Stamp) -> None:
        """Take in that a monitor reads a newer status of another node."""
        key = id(reader), node
        if key in self._first:
            self._news[key] = stamp, self.truth.now()
        self._first.add(key)

    def says(self, reader: Hearing, status: Status) -> None:
        """Judge what a monitor says of who is dead."""
        for node, receipt in status.fenced.items():
            stamp, at = self._news.get((id(reader), node), (Stamp(0, 0), 0.0))
            ago_s = self.truth.now() - at
            if (
                stamp.inc
                and receipt.inc >= stamp.inc
                and ago_s < reader.timing.timeout_s * PART_OF_T
            ):
                raise self.truth.violated(
                    self.name,
                    f"node {status.node} says that node {node} is dead ({receipt}), which it has"
                    f" heard {ago_s:.3f} s ago",
                )
