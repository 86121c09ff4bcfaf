"""Who may shoot: one that hears a majority (O4), and not right after its own start (H3.6).

Nobody is shot that said it had left, nor, where it was not silent, that does not ask for it (F1);
and nobody while fencing is disarmed. An operator may have a node shot all the same: that begins
while he waits for it, at the life of it that he saw, or never.

What a node "hears" is the truth: when it last read something new of each of the others. Those
count whom it heard later than T after the victim: what cut off the victim did not cut off them.
Who is silent is judged by the clock of the shooter, which may have stood still.
"""

from __future__ import annotations

from typing import NamedTuple

from mosha.core.cluster.fencing import FenceOrder
from mosha.core.cluster.shots import ASKED_S
from mosha.core.status import NodeState, Status
from tests.sim.checks import Checker
from tests.sim.world import World

# T of a slow clock.
PART_OF_T = 0.99

LATE_S = 4.0
"""So much later at most a status lands than it was composed, in seconds, and one for rounding."""
LONG_SILENT = 0.6
"""A node that was not heard for this part of T counts as silent, whatever the clocks."""


class Shooter(NamedTuple):
    """When the monitor of a shooter was started, and which times and nodes it counts with.

    `now` is by its own clock.
    """

    began_s: float
    timeout_s: float
    nodes: frozenset[int]
    now: float


class Disarmed(NamedTuple):
    """What a node has heard of disarming, from whom it counts, until when, and when it heard."""

    number: int
    node: int
    until: float
    at: float


class Shots(Checker):
    """A shot comes from a node that hears a majority and is past its grace time."""

    name = "shots"

    def __init__(self, world: World) -> None:
        self.world = world
        self.heard: dict[tuple[int, int], float] = {}
        self.before: dict[tuple[int, int], float] = {}
        self.heard_own: dict[tuple[int, int], float] = {}
        self.left: set[tuple[int, int]] = set()
        self.asks: set[tuple[int, int]] = set()
        self.shown: dict[int, Status] = {}
        self.disarmed: dict[int, Disarmed] = {}
        self._asked: dict[tuple[int, int], tuple[int, float]] = {}

    def landed(self, node: int, status: Status, *, late: bool) -> None:
        if not late:
            self.shown[node] = status
            self._hear_of_disarming(node, status)

    def asked(self, shooter: int, victim: int, inc: int, now: float) -> None:
        """Take in that an operator orders a node to be shot, in the life that he saw.

        `now` is by the clock of the shooter: where it stands still, he waits as long.
        """
        self._asked[shooter, victim] = inc, now

    def _hear_of_disarming(self, reader: int, status: Status) -> None:
        now = self.truth.now()
        for number, said in status.disarms.items():
            left_s = (said.left_s - LATE_S) * PART_OF_T  # it is rounded up, and lands late
            found = Disarmed(number, said.node, now + left_s, now)
            if found[:2] > self.disarmed.get(reader, found)[:2] or reader not in self.disarmed:
                self.disarmed[reader] = found

    def _judge_asked(self, shooter: int, order: FenceOrder, by: Shooter) -> None:
        """A shot by order begins while somebody waits for it, at the life that he saw."""
        inc, at = self._asked.pop((shooter, order.node), (0, 0.0))
        if order.inc != inc or by.now - at > ASKED_S + self.world.ipc_s:
            raise self.truth.violated(
                self.name, f"node {shooter} shoots {order.node}, life {order.inc}, unasked"
            )
        self.truth.cover("rule shot by order")
        disarmed = self.disarmed.get(shooter)
        if disarmed is not None and self.truth.now() < disarmed.until:
            self.truth.cover("rule shot while disarmed, by order")

    def _judge_restraint(self, shooter: int, victim: int, by: Shooter, shown: Status) -> None:
        """A shot is not fired while disarmed, nor where many went silent."""
        now = self.truth.now()
        disarmed = self.disarmed.get(shooter)
        if disarmed is not None and by.began_s <= disarmed.at and now < disarmed.until:
            raise self.truth.violated(
                self.name,
                f"node {shooter} shoots node {victim}, and node {disarmed.node} has disarmed it",
            )
        at = self.heard_own.get((shooter, victim), 0.0)
        together = [
            node
            for node in by.nodes - {shooter}
            if (shooter, node) in self.heard_own
            and (shooter, node) not in self.left
            and node not in shown.fenced
            and by.now - (heard := self.heard_own[shooter, node]) > by.timeout_s * LONG_SILENT
            and abs(heard - at) < by.timeout_s * PART_OF_T
            and self.before.get((shooter, node), -1.0) > by.began_s
        ]
        if len(together) >= max(2, -(-len(by.nodes) // 3)):
            raise self.truth.violated(
                self.name, f"node {shooter} shoots node {victim}; all silent together: {together}"
            )

    def hears(self, reader: int, status: Status, *, at: float) -> None:
        """Take in that a node reads news of another, at this time of its own clock."""
        link = (reader, status.node)
        self.heard_own[link] = at
        self.before[link] = self.heard.get(link, -1.0)  # the first one proves no life
        self.heard[link] = self.truth.now()
        self._hear_of_disarming(reader, status)
        if status.state is NodeState.LEFT:
            self.left.add(link)
        else:
            self.left.discard(link)
        (self.asks.add if status.asks_to_be_shot else self.asks.discard)(link)

    def _judge_request(self, shooter: int, victim: int, by: Shooter) -> None:
        """A node that is heard is shot only if it asks, and few others do."""
        if (shooter, victim) not in self.asks:
            raise self.truth.violated(
                self.name, f"node {shooter} shoots node {victim}, which does not ask for it"
            )
        now, limit_s = self.truth.now(), by.timeout_s * LONG_SILENT
        asking = [
            node
            for node in by.nodes
            if (shooter, node) in self.asks and now - self.heard[shooter, node] < limit_s
        ]
        if len(asking) >= max(2, -(-len(by.nodes) // 3)):
            raise self.truth.violated(
                self.name, f"node {shooter} shoots node {victim}; all ask for it: {asking}"
            )
        self.truth.cover("rule shot that was asked for")

    def ordered(self, shooter: int, order: FenceOrder, by: Shooter) -> None:
        """Judge the order of a shot, by what the shooter's monitor counts with."""
        timing, now, victim = self.world.timing, self.truth.now(), order.node
        shown = self.shown.get(shooter)
        if shown is None or victim not in shown.shots:
            raise self.truth.violated(
                self.name, f"node {shooter} shoots node {victim}, and its status does not show it"
            )
        if order.asked:
            self._judge_asked(shooter, order, by)
            return
        if now - by.began_s < timing.start_grace_s * 0.99:
            raise self.truth.violated(
                self.name,
                f"node {shooter} shoots node {victim} {now - by.began_s:.3f} s after its start",
            )
        self._judge_restraint(shooter, victim, by, shown)
        if (shooter, victim) in self.left:
            raise self.truth.violated(
                self.name, f"node {shooter} shoots node {victim}, which said that it had left"
            )
        if order.requested:
            self._judge_request(shooter, victim, by)
        if self.world.adaptive:
            return  # it has a majority of those it counts with, which nobody else may count
        missed = self.heard.get((shooter, victim), 0.0) + by.timeout_s * PART_OF_T
        if order.requested:
            missed = now - by.timeout_s / PART_OF_T
        hears = [n for n in by.nodes if self.heard.get((shooter, n), -1.0) >= missed]
        count = len(set(hears) - {shooter, victim}) + 1
        if 2 * count < len(by.nodes):
            raise self.truth.violated(
                self.name, f"node {shooter} shoots node {victim} and hears only {hears}"
            )
        half = 2 * count == len(by.nodes)
        self.truth.cover(f"rule shot {'by half of the nodes' if half else 'with a majority'}")
