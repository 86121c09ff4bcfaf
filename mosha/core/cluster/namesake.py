"""Whose status is in this node's file when it is not the one that this run wrote last.

A status of an earlier run of this node, restored by a backup or a snapshot of the file system, and
one of another node with the same number, a namesake, look alike: both are of another run. But
every status that this node has ever begun has a lower stamp than its next one, since its
incarnations rise from run to run (V4b). So a greater stamp is a namesake's. A lower one is a
namesake's if it changes without us, and otherwise what the medium was set back to.
"""

from __future__ import annotations

import enum

from mosha.core.status import Stamp, Status

HEARTBEATS = 2.5
"""A namesake writes at least once per heartbeat of its own, which may be a bit longer than ours."""


class NamesakeFinding(enum.Enum):
    """What a status in this node's file shows."""

    OURS = "ours"
    UNCLEAR = "unclear"  # must not be overwritten: it may be another node's
    SET_BACK = "set back"  # an earlier run of this node, restored
    NAMESAKE = "namesake"


class OwnStatusFile:
    """Judges what is in this node's file before each write, for the run named `run`.

    `watch_s` is how long an older status has to stay unchanged to count as set back.
    """

    def __init__(self, run: str, watch_s: float) -> None:
        self._runs = {run}
        self._former: tuple[str, Stamp | None] | None = None
        self._watched: tuple[str, Stamp] | None = None
        self._since = 0.0
        self.watch_s = watch_s

    def expect(self, former: Status, *, exactly: bool) -> None:
        """Set what was there at the start: it is expected until the first write.

        `exactly`: no write of that run can land late, so anything newer is a namesake's.
        """
        self._former = former.run, former.stamp if exactly else None

    def remember(self, run: str) -> None:
        """Record that a run was this node's: its last writes may land late."""
        self._runs.add(run)

    def wrote(self) -> None:
        """Record that this run's status is there."""
        self._former, self._watched = None, None

    def judge(self, found: Status | None, stamp: Stamp, now: float) -> NamesakeFinding:
        """Judge what was found at `now`, before the status `stamp` overwrites it.

        `found` is None if there is no file, or no complete one.
        """
        if found is None or found.run in self._runs or self._expects(found):
            self._watched = None
            return NamesakeFinding.OURS
        if found.stamp > stamp:
            return NamesakeFinding.NAMESAKE
        seen, before = (found.run, found.stamp), self._watched
        if seen == before:
            return (
                NamesakeFinding.SET_BACK
                if now >= self._since + self.watch_s
                else NamesakeFinding.UNCLEAR
            )
        if before is not None and before[0] == found.run and found.stamp > before[1]:
            return NamesakeFinding.NAMESAKE
        self._watched, self._since = seen, now
        return NamesakeFinding.UNCLEAR

    def _expects(self, found: Status) -> bool:
        if self._former is None or self._former[0] != found.run:
            return False
        return self._former[1] in {None, found.stamp}
