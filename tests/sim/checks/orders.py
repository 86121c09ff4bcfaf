"""An order that was acknowledged was carried out: what it ends has ended, what it forbids is not.

A node acknowledges by a status that has landed. Judged are those orders of which that can be said
whatever the weather is: after a restart no process of before runs, after a cleanup no ban of before
stands, and a node on standby starts nothing under a claim that it did not have then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec import Struct

from mosha.core.status import Order, Stamp, Status, Verb
from tests.sim.checks import Checker

StillRuns = Callable[[], bool]
"""Says whether processes that ran when an order was given run, and are not being ended."""

NEVER_OBEYED = Stamp(0, 0)

# Of the orders of one world, so many are watched at a time: the oldest are forgotten.
WATCHED_MAX = 50


class Watched(Struct, eq=False):
    """An order, and those who have not acknowledged it yet."""

    issuer: int
    order: Order
    stamp: Stamp
    at: float
    runs: dict[int, StillRuns]


def _acknowledges(status: Status, watched: Watched) -> bool:
    stamp = watched.stamp
    begun = status.obeyed.get(watched.issuer, NEVER_OBEYED) >= stamp
    return begun and status.unfinished.get((watched.issuer, stamp.seq)) != stamp.inc


class Obedience(Checker):
    """The orders that were given, and what came of them."""

    name = "orders"

    def __init__(self) -> None:
        self._watched: list[Watched] = []
        self._standby: dict[int, Mapping[str, int]] = {}  # node -> the claims that it had then
        self._banned: dict[tuple[int, str], float] = {}

    def given(self, issuer: int, order: Order, stamp: Stamp, runs: Mapping[int, StillRuns]) -> None:
        """Take in that an order was given, with what runs on the nodes that it concerns."""
        self.truth.cover(f"rule {order.verb} ordered")
        if order.verb == Verb.UNSTANDBY:
            self._standby.pop(order.node, None)
        self._watched.append(Watched(issuer, order, stamp, self.truth.now(), dict(runs)))
        del self._watched[:-WATCHED_MAX]

    def banned(self, node: int, group: str) -> None:
        """Take in that a node bans itself from a group."""
        self._banned[node, group] = self.truth.now()

    def failure_obeyed(self, node: int, group: str, still_runs: StillRuns) -> None:
        """Judge what came of a failure that was reported, where nothing hindered the node."""
        if still_runs():
            raise self.truth.violated(
                self.name, f"{group} was reported to have failed on node {node}, and runs on"
            )
        self.truth.cover("rule failure obeyed")

    def landed(self, node: int, status: Status, *, late: bool) -> None:
        if late or not self._watched:
            return
        for watched in tuple(self._watched):
            if (
                _acknowledges(status, watched)
                and (still_runs := watched.runs.pop(node, None)) is not None
            ):
                self._judge(node, status, watched, still_runs)
                if not watched.runs:
                    self._watched.remove(watched)

    def _judge(self, node: int, status: Status, watched: Watched, still_runs: StillRuns) -> None:
        order = watched.order
        self.truth.cover(f"rule {order.verb} obeyed")
        wrong = ""
        if order.verb == Verb.RESTART and still_runs():
            wrong = "runs as before"
        elif order.verb == Verb.CLEANUP and order.group in status.bans:
            since = self._banned.get((node, order.group), 0.0)
            wrong = "is banned as before" if since < watched.at else ""
        elif order.verb == Verb.STANDBY and not self._may_be_undone(node):
            self._standby[node] = dict(status.claims)
        if wrong:
            raise self.truth.violated(
                self.name,
                f"node {node} has obeyed {order} of node {watched.issuer}, given at"
                f" {watched.at:.4f}: {order.group} {wrong}",
            )

    def _may_be_undone(self, node: int) -> bool:
        """Say whether a node may still hear of an order to end its standby."""
        return any(
            it.order.verb == Verb.UNSTANDBY and it.order.node == node for it in self._watched
        )

    def started(self, node: int, group: str, term: int, level: str, *, clinit: int) -> None:
        del clinit
        claims = self._standby.get(node)
        if claims is not None and term > claims.get(group, 0):
            raise self.truth.violated(
                self.name, f"node {node} is on standby and starts {group} at {level} (term {term})"
            )

    def forgot(self, node: int) -> None:
        self._standby.pop(node, None)
