"""What an agent has made is on one node at a time, also where nothing of the group runs any more.

That is promised where a group starts elsewhere only on evidence that its node is dead (`fence=` of
hactl, `fencing.required`). It is not promised of a node whose death somebody vouched for wrongly,
whose clock stood still, whose record is lost, or where an operator has said that all is mended.

Neither is a node that has banned itself from a group tried before its ban ends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mosha.core.cluster.state import LogRecord
from mosha.core.instance_names import single
from mosha.core.status import Grade
from tests.sim.checks import Checker

SLACK = 0.98
"""Clocks differ by half a percent."""

ORDER_ARRIVES_S = 120.0
"""So long after it was given at most another node reads an order: twice the longest T."""


class Leftovers(Checker):
    """What agents have made, on which nodes; and bans."""

    name = "leftovers"

    def __init__(
        self, blame_s: float, apart: Callable[[int, int], bool], asked: Mapping[str, Grade]
    ) -> None:
        self._blame_s = blame_s
        self._apart = apart
        self._asked = asked
        self._made: dict[tuple[str, int], float] = {}
        self._excused: set[tuple[str, int]] = set()
        self._doubted: dict[int, float] = {}  # nodes of which the others may be wrong
        self._bans: dict[tuple[int, str], tuple[float, int]] = {}
        self._ordered_at: dict[str, float] = {}
        self._terms: dict[tuple[int, str], int] = {}

    def made(self, node: int, group: str) -> None:
        """Judge something that an agent makes on a node."""
        for (name, other), since in self._made.items():
            if name != group or other == node:
                continue
            if self._asked[single(group)] is Grade.LEASE_ELAPSED:
                self.truth.cover("rule leftover without evidence of a death")
            elif (group, other) in self._excused or self._in_doubt(node) or self._in_doubt(other):
                self.truth.cover("rule leftover excused")
            elif not self._apart(node, other):
                raise self.truth.violated(
                    self.name,
                    f"the agent of {group} makes something on node {node}, and what it made on"
                    f" node {other} at {since:.4f} is still there",
                )
        self._made[group, node] = self.truth.now()
        if self._in_doubt(node):
            self._excused.add((group, node))

    def unmade(self, node: int, group: str) -> None:
        """Take in that nothing of it is left on a node."""
        self._made.pop((group, node), None)
        self._excused.discard((group, node))

    def excuse(self, node: int, group: str = "") -> None:
        """Take in that a node may not know what is left there, of a group or of all."""
        for name, other in self._made:
            if other == node and group in ("", name):
                self._excused.add((name, other))

    def noted(self, node: int, note: LogRecord) -> None:
        """Take in what a node has decided."""
        if note.event == "group_banned":
            self.banned(node, str(note.fields["group"]), float(str(note.fields["ban_s"])))
        elif note.event == "order_given":
            group = str(note.fields.get("group", ""))
            self._ordered_at[single(group)] = self.truth.now()
            self.lifted(group)

    def banned(self, node: int, group: str, ban_s: float) -> None:
        """Take in that a node bans itself, unless an order that ends that may be under way."""
        ordered_at = max(self._ordered_at.get(it, -ORDER_ARRIVES_S) for it in ("", single(group)))
        if self.truth.now() < ordered_at + ORDER_ARRIVES_S:
            return
        ends_at = self.truth.now() + SLACK * ban_s
        self._bans[node, group] = ends_at, self._terms.get((node, group), 0)

    def lifted(self, group: str = "", node: int = 0) -> None:
        """Take in that bans are void: an operator has ordered something, or a monitor is new."""
        for key in [
            key
            for key in self._bans
            if group in ("", key[1], single(key[1])) and node in (0, key[0])
        ]:
            del self._bans[key]

    def started(self, node: int, group: str, term: int, level: str, *, clinit: int) -> None:
        del clinit
        ends_at, known = self._bans.get((node, group), (0.0, 0))
        if term > known and self.truth.now() < ends_at:
            raise self.truth.violated(
                self.name, f"{group} starts at {level} on node {node}, which has banned itself"
            )
        self._terms[node, group] = max(term, self._terms.get((node, group), 0))

    def stood_still(self, node: int) -> None:
        self._doubt(node)

    def receipt(self, node: int, inc: int, grade: Grade, *, honest: bool) -> None:
        del inc, grade
        if not honest:
            self._doubt(node)

    def killed(self, node: int) -> None:
        for group, other in tuple(self._made):
            if other == node:
                self.unmade(node, group)

    def _doubt(self, node: int) -> None:
        self._doubted[node] = self.truth.now()
        self.excuse(node)

    def _in_doubt(self, node: int) -> bool:
        since = self._doubted.get(node)
        return since is not None and self.truth.now() - since < self._blame_s
