"""Which nodes were shot or found dead, and when: the memory behind the budget and probation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from collections.abc import Set as AbstractSet

from msgspec import Struct, field

from mosha.core.status import Receipt, Status

KEPT_S = 3600.0
"""Probation looks back so far."""


class Deaths(Struct):
    """When which incarnations of other nodes were found dead, seconds of boottime.

    `last` is when each node was last shot: also one that lives on, for something was switched off.
    Of what happened before this monitor started its own status tells: `last` then, and `kept` until
    when a node is on probation.
    """

    of: dict[int, dict[int, float]] = field(default_factory=dict)
    last: dict[int, float] = field(default_factory=dict)
    kept: dict[int, float] = field(default_factory=dict)

    def resume(self, former: Status, now: float) -> None:
        """Go on with what this node's former status says: as if no time had passed since."""
        self.last = {node: now - ago_s for node, ago_s in former.deaths.items()}
        self.kept = {node: now + left_s for node, left_s in former.probations.items()}

    def shot(self, node: int, now: float) -> None:
        """Take in that a node was shot, or something else in its place."""
        self.last[node] = now

    def note(self, receipts: Mapping[int, Receipt], now: float) -> None:
        """Take in the receipts that stand; each counts when it is first heard of."""
        for node, receipt in receipts.items():
            known = self.of.setdefault(node, {})
            known.setdefault(receipt.inc, now)
            for inc in [inc for inc, at in known.items() if now - at >= KEPT_S]:
                if inc != receipt.inc:
                    del known[inc]

    def latest(self) -> dict[int, float]:
        """Return when each node was last shot or found dead."""
        found = dict(self.last)
        for node, times in self.of.items():
            found[node] = max([*times.values(), found.get(node, -math.inf)])
        return found

    def until(self, node: int, count: int) -> float:
        """Return when a node has less than `count` deaths within an hour again."""
        times = sorted(self.of.get(node, {}).values(), reverse=True)
        own = times[count - 1] + KEPT_S if 0 < count <= len(times) else -math.inf
        return max(own, self.kept.get(node, -math.inf))

    @property
    def nodes(self) -> AbstractSet[int]:
        """The nodes of whose deaths anything is known."""
        return self.of.keys() | self.kept.keys()
