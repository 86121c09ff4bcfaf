"""How a node leaves in an orderly way: halt groups, end clinit, write a last status, end.

Without clinit it is not known that nothing runs here any more. Then the node ends after a while
as if it had died, and its groups are taken over after `timeout`.
"""

from __future__ import annotations

import enum
import math

from mosha.core.cluster.effects import Effect, EndClinit, EndMonitor
from mosha.core.cluster.node import Node

# Longer than the start of another clinit takes, if one is to start. systemd does not start one
# while it stops the monitor, if clinit died just before.
WITHOUT_CLINIT_S = 10.0


class Stage(enum.Enum):
    """How far it has got."""

    STAYS = "stays"
    HALTS = "halts its groups"
    ENDS_CLINIT = "ends clinit"
    WRITES_LAST = "writes its last status"
    GONE = "gone"


# What is asked after every event: Python 3.11 takes ten times as long to find it in its class.
_HALTS = Stage.HALTS


class Leaving:
    """Leaving, as a state machine; `go_on` does what is due."""

    __slots__ = ("_lost_at", "stage")

    def __init__(self) -> None:
        self.stage = Stage.STAYS
        self._lost_at = math.inf

    def begin(self) -> None:
        """Handle: the groups are being halted."""
        self.stage = Stage.HALTS

    def clinit_lost(self, now: float) -> None:
        """Handle: clinit does not answer."""
        self._lost_at = min(self._lost_at, now)

    def clinit_found(self) -> None:
        """Handle: clinit answers."""
        self._lost_at = math.inf

    def clinit_ended(self) -> None:
        """Handle: clinit has ended as ordered."""
        self.stage = Stage.WRITES_LAST

    def due(self, node: Node) -> float:
        """Return when `go_on` is due."""
        if self.stage is not _HALTS:
            return math.inf
        return -math.inf if node.halted() else self._lost_at + WITHOUT_CLINIT_S

    def go_on(self, node: Node) -> list[Effect]:
        """Return the next effects."""
        if node.halted():
            self.stage = Stage.ENDS_CLINIT
            return [EndClinit()]
        self.stage = Stage.GONE
        return [EndMonitor(stranded=True)]

    def wrote_last(self) -> list[Effect]:
        """Return the effects after the last status, whether it was written or not."""
        if self.stage is Stage.GONE:
            return []
        self.stage = Stage.GONE
        return [EndMonitor()]
