"""The fencing method `poison`: an order in this node's status, and its acknowledgement (F2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from mosha.core.cluster import poison
from mosha.core.cluster.events import PillOrdered, PillWithdrawn
from mosha.core.cluster.fencing import FenceOrder
from mosha.core.status import Grade
from mosha.monitor.fence_outcome import ShotOutcome

if TYPE_CHECKING:
    from mosha.monitor.daemon import Monitor

NAME = "poison"


class Pill:
    """An order of this node's monitor to the victim of a shot."""

    def __init__(self, monitor: Monitor, order: FenceOrder) -> None:
        self._monitor, self._order = monitor, order

    async def give(self, limit_s: float) -> ShotOutcome:
        """Order the victim to end all its groups, and wait at most so long until it says it has.

        One that asks to be shot has a group that it cannot end (F1): the others would end for
        nothing.
        """
        monitor, victim = self._monitor, self._order
        if victim.requested:
            return ShotOutcome("no receipt", NAME, "not ordered: it has a group that it cannot end")
        monitor.report_event(PillOrdered(victim.node, victim.inc))
        try:
            with anyio.move_on_after(limit_s):
                while not poison.acknowledged(monitor.node.state, victim.node, victim.inc):
                    await monitor.next_change(monitor.news)
                text = "it has ended all its groups, and begun a new incarnation"
                return ShotOutcome("receipt", NAME, text, Grade.COMMAND_SAID_SO)
        finally:
            monitor.report_event(PillWithdrawn(victim.node))
        text = f"not acknowledged in {limit_s:g} s: it is silent, or cannot end a group"
        return ShotOutcome("no receipt", NAME, text)
