"""Who may shoot: one that hears a majority (O4), and not right after its own start (H3.6).

Nobody is shot that said it had left.

What a node "hears" is the truth: when it last read something new of each of the others. Those
count whom it heard later than T after the victim: what cut off the victim did not cut off them.
"""

from __future__ import annotations

from typing import NamedTuple

from mosha.core.status import NodeState, Status
from tests.sim.checks import Checker
from tests.sim.world import World

# T of a slow clock.
PART_OF_T = 0.99
LONG_SILENT = 0.6
"""A node that was not heard for this part of T counts as silent, whatever the clocks."""


class Shooter(NamedTuple):
    """When the monitor of a shooter was started, and which times and nodes it counts with."""

    began_s: float
    timeout_s: float
    nodes: frozenset[int]


class Shots(Checker):
    """A shot comes from a node that hears a majority and is past its grace time."""

    name = "shots"

    def __init__(self, world: World) -> None:
        self.world = world
        self.heard: dict[tuple[int, int], float] = {}
        self.before: dict[tuple[int, int], float] = {}
        self.left: set[tuple[int, int]] = set()
        self.shown: dict[int, Status] = {}

    def landed(self, node: int, status: Status, *, late: bool) -> None:
        if not late:
            self.shown[node] = status

    def _judge_restraint(self, shooter: int, victim: int, by: Shooter) -> None:
        """A shot is shown before, and not fired while disarmed, nor where many went silent."""
        now, shown = self.truth.now(), self.shown.get(shooter)
        if shown is None or victim not in shown.shots:
            raise self.truth.violated(
                self.name, f"node {shooter} shoots node {victim}, and its status does not show it"
            )
        if any(it.left_s for it in shown.disarms.values()):
            raise self.truth.violated(
                self.name, f"node {shooter} shoots node {victim}, and says that it is disarmed"
            )
        at = self.heard.get((shooter, victim), 0.0)
        together = [
            node
            for node in by.nodes - {shooter}
            if (shooter, node) in self.heard
            and (shooter, node) not in self.left
            and node not in shown.fenced
            and now - (heard := self.heard[shooter, node]) > by.timeout_s * LONG_SILENT
            and abs(heard - at) < by.timeout_s * PART_OF_T
            and self.before.get((shooter, node), -1.0) > by.began_s
        ]
        if len(together) >= max(2, -(-len(by.nodes) // 3)):
            raise self.truth.violated(
                self.name, f"node {shooter} shoots node {victim}; all silent together: {together}"
            )

    def hears(self, reader: int, status: Status) -> None:
        """Take in that a node reads news of another."""
        link = (reader, status.node)
        self.before[link] = self.heard.get(link, -1.0)  # the first one proves no life
        self.heard[link] = self.truth.now()
        if status.state is NodeState.LEFT:
            self.left.add(link)
        else:
            self.left.discard(link)

    def ordered(self, shooter: int, victim: int, by: Shooter) -> None:
        """Judge the order of a shot, by what the shooter's monitor counts with."""
        timing, now = self.world.timing, self.truth.now()
        if now - by.began_s < timing.start_grace_s * 0.99:
            raise self.truth.violated(
                self.name,
                f"node {shooter} shoots node {victim} {now - by.began_s:.3f} s after its start",
            )
        self._judge_restraint(shooter, victim, by)
        if (shooter, victim) in self.left:
            raise self.truth.violated(
                self.name, f"node {shooter} shoots node {victim}, which said that it had left"
            )
        if self.world.adaptive:
            return  # it has a majority of those it counts with, which nobody else may count
        missed = self.heard.get((shooter, victim), 0.0) + by.timeout_s * PART_OF_T
        hears = [n for n in by.nodes if self.heard.get((shooter, n), -1.0) >= missed]
        count = len(set(hears) - {shooter, victim}) + 1
        if 2 * count < len(by.nodes):
            raise self.truth.violated(
                self.name, f"node {shooter} shoots node {victim} and hears only {hears}"
            )
        half = 2 * count == len(by.nodes)
        self.truth.cover(f"rule shot {'by half of the nodes' if half else 'with a majority'}")
