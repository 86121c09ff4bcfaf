"""No receipt, no start: where a group asks for receipts, it does not move from a silent owner.

A receipt has to be of the grade that the group asks for, or better.

An owner's hold is over when a later status of it has said so, or its death is certified. What
counts are the statuses that landed, not what anybody has read. A cluster in which a voter
lost its directory can have forgotten the owner; then the lease alone protects (V5). What a
node does of which a fence said "done" though it lives is the fence's fault, and what two nodes do
that count with electorates which need not share a voter is that of the adaptive quorum (H2.3).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec import Struct

from mosha.core.instance_names import single
from mosha.core.status import Grade, Receipt, Stamp, Status
from tests.sim.checks import Checker
from tests.sim.spreading import rivals_in


class Owner(Struct, frozen=True):
    """Who started a group last, and has not said since that it let it go."""

    node: int
    inc: int
    term: int


class Receipts(Checker):
    """A start elsewhere needs the former owner's release, or a receipt of its death."""

    name = "receipts"

    def __init__(
        self, blame_s: float, apart: Callable[[int, int], bool], asked: Mapping[str, Grade]
    ) -> None:
        self.blame_s = blame_s
        self.apart = apart
        self.asked = asked
        self.owners: dict[str, Owner] = {}
        self.inc: dict[int, int] = {}
        self.newest: dict[int, Stamp] = {}
        self.dead: dict[int, list[Receipt]] = {}
        self.lied: dict[int, float] = {}

    def started(self, node: int, group: str, term: int, level: str, *, clinit: int) -> None:
        del clinit
        asked = self.asked[single(group)]
        for name in (group, *rivals_in(group, self.owners)):
            owner = self.owners.get(name)
            if asked is not Grade.LEASE_ELAPSED and owner is not None and owner.node != node:
                self._judge(node, f"{group} at {level} (term {term})", owner, asked)
        self.owners[group] = Owner(node, self.inc.get(node, 0), term)

    def _judge(self, node: int, what: str, owner: Owner, asked: Grade) -> None:
        blamed = self.truth.now() - self.lied.get(node, float("-inf")) < self.blame_s
        if any(known.covers(owner.inc, asked) for known in self.dead.get(owner.node, ())):
            self.truth.cover("rule started after a receipt")
        elif self.apart(node, owner.node):
            self.truth.cover("rule missing receipt attributed to the adaptive quorum")
        elif not blamed:
            raise self.truth.violated(
                self.name,
                f"node {node} starts {what} without a receipt for {owner}, which has not"
                " released it",
            )

    def landed(self, node: int, status: Status, *, late: bool) -> None:
        if late and status.stamp <= self.newest.get(node, status.stamp):
            return  # nobody who has read a later one takes it
        self.inc[node], self.newest[node] = status.inc, status.stamp
        for group, owner in tuple(self.owners.items()):
            if owner.node == node and status.claims.get(group) != owner.term:
                del self.owners[group]

    def forgot(self, node: int) -> None:
        del node
        self.owners.clear()

    def stood_still(self, node: int) -> None:
        self.lied[node] = self.truth.now()

    def receipt(self, node: int, inc: int, grade: Grade, *, honest: bool) -> None:
        self.dead.setdefault(node, []).append(Receipt(inc, "", grade))
        if not honest:
            self.lied[node] = self.truth.now()
