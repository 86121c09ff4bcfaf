"""Whose status a node finds in its own file where it has written another one itself.

An earlier life of this node, put back by a backup or a snapshot of the file system, and another
node with the same number, a namesake, look alike: the status is of a run that is not ours. But
every status that this node has ever begun has a lower stamp than the next one, for its incarnations
rise from life to life (V4b). So a greater stamp is a namesake's. A lower one is a namesake's if it
moves on without us, and else what the medium was set back to.
"""

from __future__ import annotations

import enum

from mosha.core.status import Stamp, Status

HEARTBEATS = 2.5
"""A namesake writes at least once in its own heartbeat, which may be a bit longer than ours."""


class NamesakeFinding(enum.Enum):
    """What a status in the own file shows."""

    OURS = "ours"
    UNCLEAR = "unclear"  # nothing may be written over it: it may be another node's word
    SET_BACK = "set back"  # an earlier life of this node, put back by somebody or something
    NAMESAKE = "namesake"


class OwnStatusFile:
    """Judges what is found in the own file before each write, for the life named `run`.

    `watch_s` is for how long an older status has to stay as it is to count as put back.
    """

    def __init__(self, run: str, watch_s: float) -> None:
        self._runs = {run}
        self._former: tuple[str, Stamp | None] | None = None
        self._watched: tuple[str, Stamp] | None = None
        self._since = 0.0
        self.watch_s = watch_s

    def expect(self, former: Status, *, exactly: bool) -> None:
        """Take in what was there at the start: it is no surprise until the first write.

        `exactly`: nothing of that run can land late, so whatever is newer is a namesake's.
        """
        self._former = former.run, former.stamp if exactly else None

    def remember(self, run: str) -> None:
        """Take in that a run was this node's: what it began may land late."""
        self._runs.add(run)

    def wrote(self) -> None:
        """Take in that the own status is there."""
        self._former, self._watched = None, None

    def judge(self, found: Status | None, stamp: Stamp, now: float) -> NamesakeFinding:
        """Say what was found at `now`, where the status `stamp` is to be written over it.

        `found` is None if there is nothing, or nothing whole.
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
