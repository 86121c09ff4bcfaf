"""How often a node publishes, counts its leases, and looks around: once a heartbeat, and sooner.

What else is to be done once a heartbeat is set off by these too (`LookAround`): a process that
wakes once for three things costs hardly more than for one.
"""

from __future__ import annotations

import math

# Bursts of changes go out as one status (O5).
GATHER_S = 0.01
# Leases are counted again at most this many times in a heartbeat.
RENEWALS_PER_HEARTBEAT = 4
# They are counted so much before their time if something else is done at that moment.
EARLY = 0.5
# While much is published, it is not looked around after each status; while nothing can be, after
# somewhat more than a heartbeat all the same.
LOOK_SOONEST = 0.5
LOOK_LATEST = 1.25


class Publishing:
    """When the next status is to be written (`due`): at each heartbeat, and soon after a change.

    One at a time; `began` is when the last write was ordered.
    """

    __slots__ = ("_beat_at", "_gathered_at", "_heartbeat_s", "began", "due", "under_way")

    def __init__(self, heartbeat_s: float) -> None:
        self._heartbeat_s = heartbeat_s
        self._beat_at = self.due = self.began = -math.inf
        self._gathered_at = math.inf
        self.under_way = False

    def want(self, now: float) -> None:
        """Publish soon: the status says something new (O5)."""
        if self._gathered_at == math.inf:
            self._gathered_at = now + GATHER_S
            if not self.under_way:
                self.due = min(self.due, self._gathered_at)

    def begin(self, now: float) -> None:
        """Take in that a write begins."""
        self._beat_at, self._gathered_at = now + self._heartbeat_s, math.inf
        self.began, self.under_way, self.due = now, True, math.inf

    def over(self) -> None:
        """Take in that it has ended, well or not."""
        self.under_way = False
        self.due = min(self._beat_at, self._gathered_at)

    def stop(self) -> None:
        """Write nothing more but what is begun by hand."""
        self._beat_at = self._gathered_at = -math.inf
        self.due = math.inf


class Renewing:
    """When the leases are to be counted (`due`): at each heartbeat, and soon after news (C4)."""

    __slots__ = ("_counted_at", "_heartbeat_s", "_under_way", "_wanted", "due", "early_s")

    def __init__(self, heartbeat_s: float) -> None:
        self._heartbeat_s = heartbeat_s
        self.early_s = heartbeat_s * EARLY
        self._counted_at = self.due = -math.inf
        self._wanted = self._under_way = False

    def want(self) -> None:
        """Count the leases soon: a vote or an echo may be new."""
        if not self._wanted:
            self._wanted = True
            self._plan()

    def begin(self, now: float, *, under_way: bool) -> None:
        """Take in that the leases are counted; `under_way`: and are being handed over."""
        self._counted_at, self._wanted, self._under_way = now, False, under_way
        self._plan()

    def over(self) -> None:
        """Take in that they have been handed over, or cannot be."""
        self._under_way = False
        self._plan()

    def _plan(self) -> None:
        step_s = self._heartbeat_s / (RENEWALS_PER_HEARTBEAT if self._wanted else 1)
        self.due = math.inf if self._under_way else self._counted_at + step_s


class Looking:
    """Whether it is time to look around, which is done when something else is done anyhow."""

    __slots__ = ("_heartbeat_s", "_looked_at")

    def __init__(self, heartbeat_s: float) -> None:
        self._heartbeat_s = heartbeat_s
        self._looked_at = -math.inf

    def is_time(self, now: float, heartbeats: float) -> bool:
        """Say whether the last look is that long ago, and take this one for the last."""
        if now < self._looked_at + heartbeats * self._heartbeat_s:
            return False
        self._looked_at = now
        return True
