"""The last events of each group and of the node itself, for the message of a broken invariant.

Recorded at all times and printed at most once, so heartbeats cost nothing here, and repetitions are
one entry: a step with the same row as the last one, renewal after renewal.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from mosha.core.cluster import events
from mosha.core.cluster.node import Renewal
from mosha.core.cluster.state import LogRecord
from mosha.core.tell import Tell

EVENTS_MAX = 20

LINE_MAX_CHARS = 300
"""A status of 1000 nodes would hide what led to it."""


# Events of the node as a whole, except those at every heartbeat.
OF_THE_NODE = (
    events.StatusWritten,
    events.WriteFailed,
    events.StatusSetBack,
    events.NamesakeFound,
    events.MembersFound,
    events.ClinitLost,
    events.ClinitEnded,
    events.DeathConfirmed,
    events.SettingsChanged,
    events.LeaveAsked,
)


Handler = Callable[[Any, float], None]


class FlightRecorder:
    """The last events of each group (by its name) and of this node (by its number)."""

    def __init__(self, me: int) -> None:
        self._me = me
        self._of: dict[str | int, deque[tuple[float, object]]] = {}

    def attach(self, handlers: dict[type, Handler]) -> None:
        """Record each event of the node before its handler gets it."""
        for kind in OF_THE_NODE:
            handlers[kind] = self._recording(handlers[kind])

    def _recording(self, handler: Handler) -> Handler:
        def record_and_handle(event: object, now: float) -> None:
            self.record(self._me, now, event)
            handler(event, now)

        return record_and_handle

    def record(self, about: str | int, now: float, event: object) -> None:
        """Record an event; beyond `EVENTS_MAX` the oldest is dropped."""
        self._ring(about).append((now, event))

    def record_step(self, group: str, now: float, row: str, tell: Tell | None) -> None:
        """Record the row that decided a step, and the tell to clinit."""
        ring = self._ring(group)
        if tell is not None:
            ring.append((now, (row, tell)))
        elif not ring or ring[-1][1] != row:
            ring.append((now, row))

    def record_renewal(self, renewal: Renewal, now: float) -> None:
        """Record a renewal, replacing one just before it."""
        ring = self._ring(renewal.group)
        if ring and type(ring[-1][1]) is Renewal:
            ring.pop()
        ring.append((now, renewal))

    def record_log(self, line: LogRecord, now: float) -> None:
        """Record a log line, for the group that it is about or for this node."""
        self.record(str(line.fields.get("group", "")) or self._me, now, line)

    def story(self, about: str | int) -> str:
        """Return the events, one per line, oldest first."""
        kept = self._of.get(about, ())
        lines = (f"  at {at:.3f}: {event}"[:LINE_MAX_CHARS] for at, event in kept)
        return "\n".join(("; before that:", *lines))

    def _ring(self, about: str | int) -> deque[tuple[float, object]]:
        ring = self._of.get(about)
        if ring is None:
            ring = self._of[about] = deque(maxlen=EVENTS_MAX)
        return ring
