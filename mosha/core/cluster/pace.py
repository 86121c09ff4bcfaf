"""How often a node publishes, counts its leases, and looks around: once per heartbeat, or sooner.

Other work once per heartbeat is started by these too (`LookAround`): one wake-up for three things
costs hardly more than for one.
"""

from __future__ import annotations

import math

# Bursts of changes go out as one status (O5).
GATHER_S = 0.01
# Leases are counted again at most this many times per heartbeat.
RENEWALS_PER_HEARTBEAT = 4
# They are counted this much early if something else is done at that moment.
EARLY = 0.5
# With frequent publications the node does not look around after each; without any, it does so
# after somewhat more than a heartbeat.
LOOK_SOONEST = 0.5
LOOK_LATEST = 1.25


class Publishing:
    """When the next status is due (`due`): at each heartbeat, and soon after a change.

    One write at a time; `began` is when the last one was ordered.
    """

    __slots__ = ("_beat_at", "_gathered_at", "_heartbeat_s", "began", "due", "under_way")

    def __init__(self, heartbeat_s: float) -> None:
        self._heartbeat_s = heartbeat_s
        self._beat_at = self.due = self.began = -math.inf
        self._gathered_at = math.inf
        self.under_way = False

    def want(self, now: float) -> None:
        """Publish soon: the status has changed (O5)."""
        if self._gathered_at == math.inf:
            self._gathered_at = now + GATHER_S
            if not self.under_way:
                self.due = min(self.due, self._gathered_at)

    def begin(self, now: float) -> None:
        """Record that a write begins."""
        self._beat_at, self._gathered_at = now + self._heartbeat_s, math.inf
        self.began, self.under_way, self.due = now, True, math.inf

    def over(self) -> None:
        """Record that it has ended, well or not."""
        self.under_way = False
        self.due = min(self._beat_at, self._gathered_at)

    def stop(self) -> None:
        """Schedule no more writes; only `begin` still starts one."""
        self._beat_at = self._gathered_at = -math.inf
        self.due = math.inf


class Renewing:
    """When counting the leases is due (`due`): at each heartbeat, and soon after changes (C4)."""

    __slots__ = ("_counted_at", "_heartbeat_s", "_under_way", "_wanted", "due", "early_s")

    def __init__(self, heartbeat_s: float) -> None:
        self._heartbeat_s = heartbeat_s
        self.early_s = heartbeat_s * EARLY
        self._counted_at = self.due = -math.inf
        self._wanted = self._under_way = False

    def want(self) -> None:
        """Count the leases soon: there may be a new vote or echo."""
        if not self._wanted:
            self._wanted = True
            self._plan()

    def begin(self, now: float, *, under_way: bool) -> None:
        """Record that the leases are counted; `under_way`: renewals are being sent."""
        self._counted_at, self._wanted, self._under_way = now, False, under_way
        self._plan()

    def over(self) -> None:
        """Record that the renewals were sent, or cannot be."""
        self._under_way = False
        self._plan()

    def _plan(self) -> None:
        step_s = self._heartbeat_s / (RENEWALS_PER_HEARTBEAT if self._wanted else 1)
        self.due = math.inf if self._under_way else self._counted_at + step_s


class Looking:
    """Whether it is time to look around, which is combined with other work."""

    __slots__ = ("_heartbeat_s", "_looked_at")

    def __init__(self, heartbeat_s: float) -> None:
        self._heartbeat_s = heartbeat_s
        self._looked_at = -math.inf

    def is_time(self, now: float, heartbeats: float) -> bool:
        """Say whether the last look is that many heartbeats ago; if so, record this one."""
        if now < self._looked_at + heartbeats * self._heartbeat_s:
            return False
        self._looked_at = now
        return True
