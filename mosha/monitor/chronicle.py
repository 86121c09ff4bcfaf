"""Keeps the latest transitions for `mosha events`, and hands new ones to those who follow."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime

from mosha.clock import boottime
from mosha.core.seat import Mind
from mosha.core.transitions import Picture, picture, transitions
from mosha.formats.happenings import Happening, happening, render_happenings

KEPT_MAX = 1000
"""Some minutes of the worst, days of an ordinary cluster; the log has the rest."""

LOOK_MIN_S = 0.02
LOOK_SHARE = 0.05
"""What looking may cost: that part of a processor, while everything changes."""


class Chronicle:
    """The transitions that this node has seen since its monitor started."""

    def __init__(self) -> None:
        self._kept: deque[Happening] = deque(maxlen=KEPT_MAX)
        self._last: Picture | None = None
        self._seq = 0
        self._tell: list[Callable[[bytes], bool]] = []
        self.pause_s = LOOK_MIN_S

    def look(self, mind: Mind) -> None:
        """Take down what has changed since the last look, and tell the followers."""
        began = boottime()
        now = picture(mind)
        before, self._last = self._last, now
        if before is not None:
            self._add(mind.me, before, now)
        self.pause_s = max(LOOK_MIN_S, (boottime() - began) / LOOK_SHARE)

    def _add(self, me: int, before: Picture, now: Picture) -> None:
        stamp = datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="milliseconds")
        found: list[Happening] = []
        for transition in transitions(before, now):
            self._seq += 1
            found.append(happening(transition, seq=self._seq, time=stamp, said_by=me))
        self._kept.extend(found)
        if found and self._tell:
            data = render_happenings(found)
            self._tell = [tell for tell in self._tell if tell(data)]

    def kept(self) -> bytes:
        """Return the latest transitions, the oldest first, as JSON."""
        return render_happenings(list(self._kept))

    def follow(self, tell: Callable[[bytes], bool]) -> None:
        """Hand every new list of transitions to `tell`, until that returns False."""
        self._tell.append(tell)
