"""At most one: no two nodes run processes of one group at the same true time.

If a fence said "done" about a node that lives, overlap with that node is the fence's fault:
it is counted and attributed, for as long as what ran there at that time may still run. The
adaptive quorum promises less (H2.3): where nodes that live were hidden from each other, so
that two of them count with electorates that need not share a voter, the overlap is its fault.
A process that is alive long after its SIGKILL, longer than the arithmetic of the times allows, or
that cannot be sent one, overlaps by its own fault, if nothing else of its group is left there.
"""

from __future__ import annotations

from collections.abc import Callable

from mosha.core.instance_names import INSTANCE_MARK
from mosha.core.status import Grade
from tests.sim.checks import Checker
from tests.sim.spreading import rivals_in


class Exclusion(Checker):
    """A group runs once, and not beside an instance, except where a fence lied about a node."""

    name = "exclusion"

    def __init__(
        self,
        blame_s: float,
        apart: Callable[[int, int], bool],
        outlived: Callable[[int, int, str], bool],
    ) -> None:
        self.blame_s = blame_s
        self.outlived = outlived
        self.apart = apart
        self.running: dict[str, dict[tuple[int, int], tuple[float, int]]] = {}
        self.undoing: dict[str, dict[tuple[int, int], tuple[float, int]]] = {}
        self.lied: dict[int, float] = {}
        self.ghosts: dict[int, float] = {}

    def started(self, node: int, group: str, term: int, level: str, *, clinit: int) -> None:
        self._alone(node, group, clinit, f"{group} starts at {level} on node {node} (term {term})")
        self.running.setdefault(group, {}).setdefault((node, clinit), (self.truth.now(), term))
        if INSTANCE_MARK in group:
            self.truth.cover("rule instance started")
        if rivals_in(group, self.running):
            became = "instances" if INSTANCE_MARK in group else "a single group"
            self.truth.cover(f"rule started after rivals, as {became}")

    def undoes(self, node: int, group: str, term: int, *, clinit: int) -> None:
        """Handle an entry of `stop`: what it undoes must not run on another node yet."""
        self._alone(node, group, clinit, f"{group} runs `stop` on node {node} (term {term})")
        self.undoing.setdefault(group, {}).setdefault((node, clinit), (self.truth.now(), term))

    def _alone(self, node: int, group: str, clinit: int, what: str) -> None:
        rivals = rivals_in(group, {**self.running, **self.undoing})
        found = [
            (name, *one)
            for name in (group, *rivals)
            for lives in (self.running, self.undoing)
            for one in lives.get(name, {}).items()
        ]
        for name, (other, other_clinit), (since, other_term) in found:
            if name == group and (other, other_clinit) == (node, clinit):
                continue
            if self.outlived(other, other_clinit, group):
                self.truth.cover("rule overlap attributed to a process that outlived its kill")
            elif self._ghost(node) or self._ghost(other):
                self.truth.cover("rule overlap attributed to a clock that stood still")
            elif self._blamed(node) or self._blamed(other):
                self.truth.cover("rule overlap attributed to a lying fence")
            elif self.apart(node, other):
                self.truth.cover("rule overlap attributed to the adaptive quorum")
            else:
                raise self.truth.violated(
                    self.name,
                    f"{what} while {name} runs on node {other} since {since:.4f} (term"
                    f" {other_term})",
                )

    def overlapping(self, node: int) -> list[str]:
        """Return the groups that run on this node, and with a higher term on another one."""
        return [
            group
            for group, running in self.running.items()
            for (here, clinit), (_, term) in running.items()
            if here == node
            and any(
                o != node and t > term
                for name in (group, *rivals_in(group, self.running))
                for (o, _), (_, t) in self.running[name].items()
            )
            and not self.outlived(node, clinit, group)
        ]

    def _ghost(self, node: int) -> bool:
        since = self.ghosts.get(node)
        return since is not None and self.truth.now() - since < self.blame_s

    def _blamed(self, node: int) -> bool:
        lied = self.lied.get(node)
        return lied is not None and self.truth.now() - lied < self.blame_s

    def ended(self, node: int, group: str, *, clinit: int) -> None:
        self.running.get(group, {}).pop((node, clinit), None)

    def undone(self, node: int, group: str, *, clinit: int) -> None:
        self.undoing.get(group, {}).pop((node, clinit), None)

    def stood_still(self, node: int) -> None:
        self.ghosts[node] = self.truth.now()

    def receipt(self, node: int, inc: int, grade: Grade, *, honest: bool) -> None:
        del inc, grade
        if not honest:
            self.lied[node] = self.truth.now()
