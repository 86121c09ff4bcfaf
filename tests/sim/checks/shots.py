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
        self.left: set[tuple[int, int]] = set()

    def hears(self, reader: int, status: Status) -> None:
        """Take in that a node reads news of another."""
        link = (reader, status.node)
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
        if (shooter, victim) in self.left:
            raise self.truth.violated(
                self.name, f"node {shooter} shoots node {victim}, which said that it had left"
            )
        if self.world.adaptive:
            return  # it has a majority of those it counts with, which nobody else may count
        missed = self.heard.get((shooter, victim), 0.0) + by.timeout_s * PART_OF_T
        hears = [n for n in by.nodes if self.heard.get((shooter, n), -1.0) >= missed]
        if len(set(hears) - {shooter, victim}) + 1 < len(by.nodes) // 2 + 1:
            raise self.truth.violated(
                self.name, f"node {shooter} shoots node {victim} and hears only {hears}"
            )
        self.truth.cover("rule shot with a majority")
