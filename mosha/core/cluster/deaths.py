"""Which nodes were found dead, and when: the memory behind the budget of shots and probation."""

from __future__ import annotations

import math
from collections.abc import Mapping

from msgspec import Struct, field

from mosha.core.status import Receipt

KEPT_S = 3600.0
"""Probation looks back so far."""


class Deaths(Struct):
    """When which incarnations of other nodes were found dead, seconds of boottime."""

    of: dict[int, dict[int, float]] = field(default_factory=dict)

    def note(self, receipts: Mapping[int, Receipt], now: float) -> None:
        """Take in the receipts that stand; each counts when it is first heard of."""
        for node, receipt in receipts.items():
            known = self.of.setdefault(node, {})
            known.setdefault(receipt.inc, now)
            for inc in [inc for inc, at in known.items() if now - at >= KEPT_S]:
                if inc != receipt.inc:
                    del known[inc]

    def latest(self) -> dict[int, float]:
        """Return when each node was last found dead."""
        return {node: max(times.values()) for node, times in self.of.items() if times}

    def until(self, node: int, count: int) -> float:
        """Return when a node has less than `count` deaths within an hour again."""
        times = sorted(self.of.get(node, {}).values(), reverse=True)
        return times[count - 1] + KEPT_S if 0 < count <= len(times) else -math.inf
