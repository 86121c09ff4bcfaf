"""A node that others say is on probation makes no claim."""

from __future__ import annotations

from typing import NamedTuple

from mosha.core.status import NodeState, Status
from tests.sim.checks import Checker

# Of T: who was heard within this is believed. And a second per second of a slow clock.
LATELY = 0.5
CLOCKS = 0.99


class _Kept(NamedTuple):
    at: float
    left_s: float


class Probation(Checker):
    """What a node has read of its own probation, and whether it minds."""

    name = "probation"

    def __init__(self, timeout_s: float, *, counts: bool) -> None:
        self.timeout_s, self.counts = timeout_s, counts
        self._kept: dict[tuple[int, int], _Kept] = {}  # (reader, who was read)

    def hears(self, reader: int, status: Status) -> None:
        """Take in that a node reads news of another."""
        there = status.state is not NodeState.LEFT  # who has left says nothing any more
        left_s = status.probations.get(reader, 0) if there else 0
        kept = _Kept(self.truth.now(), left_s)
        self._kept[reader, status.node] = kept
        if kept.left_s:
            self.truth.cover("rule heard to be on probation")

    def born(self, node: int) -> None:
        """Forget what the former monitor of a node read: the next one reads it anew."""
        for link in [link for link in self._kept if link[0] == node]:
            del self._kept[link]

    def claimed(self, node: int, group: str) -> None:
        """Judge a claim that a node makes."""
        for (reader, judge), kept in self._kept.items() if self.counts else ():
            age_s = self.truth.now() - kept.at
            lately = reader == node and age_s < LATELY * self.timeout_s
            if lately and age_s < kept.left_s * CLOCKS:
                raise self.truth.violated(
                    self.name,
                    f"node {node} claims {group}, and node {judge} keeps it on probation",
                )
