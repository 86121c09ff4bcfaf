"""When each monitor of an agent is due: each depth at its own interval, one at a time.

Part of the wrapper: it imports next to nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as in typing, which the wrapper does not import
if TYPE_CHECKING:
    from collections.abc import Sequence

    from mosha.ocf.metadata import OcfMetadata

DEFAULT_INTERVAL_S = 10.0
"""For an agent that gives none."""

PAUSE_MIN_S = 1.0
"""From the end of one monitor to the next: an agent costs tens of milliseconds of CPU."""

DEPTHS_MAX = 8


class RepeatedMonitor:
    """One monitor: `due` is when it is to run next, on the clock of its user."""

    __slots__ = ("depth", "due", "interval_s", "limit_s")

    def __init__(self, depth: int, interval_s: float, limit_s: float) -> None:
        self.depth = depth
        self.interval_s = interval_s
        self.limit_s = limit_s
        self.due = interval_s

    def ran(self, began: float, now: float) -> None:
        """Note that it ran: the interval counts from one beginning to the next."""
        self.due = max(began + self.interval_s, now + PAUSE_MIN_S)


def planned_monitors(
    metadata: OcfMetadata,
    intervals: Sequence[tuple[int, float]],
    limit_s: float | None,
    now: float,
) -> list[RepeatedMonitor]:
    """Return the monitors to run; at least one of depth 0.

    `intervals` has the depths that were asked for with their intervals (0: as the agent says), and
    `limit_s` is the limit of all of them, None: as the agent says. A deeper monitor may be
    expensive, or write: it runs only if it was asked for.
    """
    wanted = {0: 0.0, **dict(intervals)}
    found = []
    for depth, interval_s in sorted(wanted.items()):
        own_s = interval_s or metadata.interval_s(depth) or DEFAULT_INTERVAL_S
        one = RepeatedMonitor(
            depth, max(own_s, PAUSE_MIN_S), limit_s or metadata.limit_s("monitor", depth)
        )
        one.due = now + one.interval_s
        found.append(one)
    return found


def next_monitor(monitors: Sequence[RepeatedMonitor]) -> RepeatedMonitor:
    """Return the one that is due first; of equals the deeper one, which is run more rarely."""
    return min(monitors, key=lambda each: (each.due, -each.depth))
