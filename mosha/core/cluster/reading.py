"""When to read which node's status.

A node is read when its file has changed, about once per heartbeat in any case, and once per poll
where no change events arrive. Every attempt counts from when it was ordered, also one that hangs:
so a node whose mount died with it becomes stale too (O3). One read per node at a time.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from msgspec import Struct

from mosha.core.cluster.timers import Timers
from mosha.core.cluster.timing import Timing
from mosha.core.status import Status

# A server that does not answer within two heartbeats is too late anyway; a busy machine may take
# half a second for anything.
LIMIT_PER_HEARTBEAT = 2.0
LIMIT_MIN_S = 0.5
# But a hang must be known long before the node could become stale because of it.
LIMIT_PER_TIMEOUT = 0.25
# A mount that is known to hang gets little time, so that each attempt ends within the heartbeat in
# which it began.
HUNG_LIMIT_PER_HEARTBEAT = 0.5
HUNG_LIMIT_MAX_S = 0.25

# The event of a node's next status comes a heartbeat and some milliseconds after the last: a timer
# of one heartbeat would fire just before each and double all reads for nothing.
REREAD_PER_HEARTBEAT = 1.25

# A read that may find a node stale must begin after that moment, not at it (O3).
AFTER_S = 1e-4

# A node that is silent for this many heartbeats may soon have to be taken over.
LATE_HEARTBEATS = 2.5


class PeerReading(Struct):
    """The reads of one node."""

    node: int
    wanted: bool = True
    under_way: bool = False
    began: float = -math.inf
    judge_at: float = math.inf
    hung_since: float | None = None
    often: bool = False
    status: Status | None = None  # the last one read, and whether it was fresh then
    fresh: bool = False


class ReadSchedule:
    """The reads of all watched nodes."""

    def __init__(self, timing: Timing) -> None:
        self._poll_s = timing.poll_s
        self._reread_s = timing.heartbeat_s * REREAD_PER_HEARTBEAT
        self._limit_s = min(
            max(timing.heartbeat_s * LIMIT_PER_HEARTBEAT, LIMIT_MIN_S),
            timing.timeout_s * LIMIT_PER_TIMEOUT,
        )
        self._hung_limit_s = min(timing.heartbeat_s * HUNG_LIMIT_PER_HEARTBEAT, HUNG_LIMIT_MAX_S)
        self._late_s = timing.timeout_s - LATE_HEARTBEATS * timing.heartbeat_s
        self._of: dict[int, PeerReading] = {}
        self.timers: Timers[int] = Timers()

    @property
    def nodes(self) -> frozenset[int]:
        """Which nodes are read."""
        return frozenset(self._of)

    def watch(self, nodes: Iterable[int]) -> None:
        """Read these nodes from now on, the new ones at once, and no others."""
        wanted = set(nodes)
        for node in self._of.keys() - wanted:
            self.timers.set(node, math.inf)
            del self._of[node]
        for node in sorted(wanted - self._of.keys()):
            reading = self._of[node] = PeerReading(node)
            self._plan(reading)

    def want(self, node: int, now: float) -> float:
        """Handle a change of a node's file; return the time limit of the read that begins now.

        If a read is in progress, another one follows it: the limit is 0 then.
        """
        reading = self._of.get(node)
        if reading is None:
            return 0.0
        if reading.under_way:
            reading.wanted = True
            return 0.0
        self.timers.set(node, math.inf)
        return self._begin(reading, now)

    def begin_due(self, now: float) -> list[tuple[int, float]]:
        """Return the nodes to read now, each with the time limit of the read in seconds."""
        return [(node, self._begin(self._of[node], now)) for node in self.timers.take_due(now)]

    def _begin(self, reading: PeerReading, now: float) -> float:
        reading.wanted, reading.under_way, reading.began = False, True, now
        return self._limit_s if reading.hung_since is None else self._hung_limit_s

    def ended(self, node: int, *, often: bool, hung: bool) -> PeerReading | None:
        """Handle the end of a read; return None if the node is no longer watched.

        `often`: the file sends no events, or it was half written. Call `judge` next.
        """
        reading = self._of.get(node)
        if reading is None or not reading.under_way:
            return None
        reading.under_way, reading.often = False, often
        reading.hung_since = (reading.hung_since or reading.began) if hung else None
        return reading

    def judge(self, reading: PeerReading, judge_at: float, now: float) -> bool:
        """Schedule the next read, at the latest just after `judge_at`; say whether that is near."""
        reading.judge_at = judge_at
        self._plan(reading)
        return judge_at - self._late_s < now

    def _plan(self, reading: PeerReading) -> None:
        if reading.under_way:
            return
        when = -math.inf
        if not reading.wanted:
            often = reading.often and reading.hung_since is None
            when = reading.began + (self._poll_s if often else self._reread_s)
            when = min(when, reading.judge_at + AFTER_S)
        self.timers.set(reading.node, when)
