"""The term is a fencing token: each owner's is greater than all before it, per group.

As with exclusion, a node of which a fence said "done" though it lives may start with the
term it has after its successor started with the next one: that is the fence's fault.
"""

from __future__ import annotations

from collections.abc import Callable

from mosha.core.status import Grade
from tests.sim.checks import Checker
from tests.sim.spreading import rivals_in


class Terms(Checker):
    """Whoever starts a group has a term above that of every other owner before."""

    name = "terms"

    def __init__(self, blame_s: float, apart: Callable[[int, int], bool]) -> None:
        self.blame_s = blame_s
        self.apart = apart
        self.last: dict[str, tuple[int, int]] = {}
        self.lied: dict[int, float] = {}

    def started(self, node: int, group: str, term: int, level: str, *, clinit: int) -> None:
        del clinit
        last_term, owner = self.last.get(group, (0, node))
        falls = term < last_term or (term == last_term and owner != node)
        for rival in rivals_in(group, self.last):
            if term <= self.last[rival][0]:
                falls, (last_term, owner) = True, self.last[rival]
        if falls:
            if self.truth.now() - self.lied.get(node, float("-inf")) < self.blame_s:
                self.truth.cover("rule old term attributed to a lying fence")
                return
            if self.apart(node, owner):
                self.truth.cover("rule old term attributed to the adaptive quorum")
                return
            raise self.truth.violated(
                self.name,
                f"node {node} starts {group} at {level} with term {term}, after node {owner}"
                f" had term {last_term}",
            )
        self.last[group] = (term, node)

    def stood_still(self, node: int) -> None:
        self.lied[node] = self.truth.now()

    def receipt(self, node: int, inc: int, grade: Grade, *, honest: bool) -> None:
        del inc, grade
        if not honest:
            self.lied[node] = self.truth.now()
