"""Nothing runs beyond `kill_at`: each start has a deadline, and nothing outlives it.

The deadline is that of clinit; here it is looked up at every step by those who hold it.
"""

from __future__ import annotations

from tests.sim.checks import Checker

EPSILON_S = 1e-6


class Leases(Checker):
    """What needs a lease has one when it starts and is gone when that has run out."""

    name = "leases"

    def __init__(self) -> None:
        self.running: set[tuple[int, int, str]] = set()

    def started(self, node: int, group: str, term: int, level: str, *, clinit: int) -> None:
        del term, level
        self.running.add((node, clinit, group))

    def ended(self, node: int, group: str, *, clinit: int) -> None:
        self.running.discard((node, clinit, group))

    def look(self, node: int, clinit: int, group: str, kill_at: float | None, now: float) -> None:
        """Judge one running group; both times are those of the node's own clock."""
        if (node, clinit, group) not in self.running:
            return
        if kill_at is None or now > kill_at + EPSILON_S:
            raise self.truth.violated(
                self.name,
                f"{group} runs on node {node} at {now:.4f} of its clock; kill_at was {kill_at}",
            )
