"""What follows when entries of a group fail again and again: the ladder of `on-failure=` of hactl.

First rung: they are restarted in place, so many times within a time. The next failure gets the
group to the second rung, a move to another node, and when it was moved often enough, or no other
node may have it, to the last: it is stopped until an operator cleans up. Each but the first may be
missing. Decided by `core.cluster.giving_up`.
"""

from __future__ import annotations

import enum

from msgspec import Struct

from mosha.core.durations import span_text

LADDER = "(on-failure="
"""How every reason begins the ladder that it is about: of a ban, of a stop for good."""


class Rung(enum.Enum):
    """What follows when a group has failed too often to be restarted in place."""

    STAY = enum.auto()  # it is restarted all the same
    MOVE = enum.auto()
    STOP = enum.auto()


class Ladder(Struct, frozen=True):
    """`restarts` in place within `within_s` seconds, then `moves` within `moves_within_s`.

    `moves` None: as often as another node may have the group; 0: never. `stops`: then it is
    stopped, else it is restarted for ever.
    """

    restarts: int
    within_s: float
    moves: int | None = None
    moves_within_s: float = 0.0
    stops: bool = False

    @property
    def failures(self) -> int:
        """Which failure within `within_s` is not followed by a restart in place."""
        return self.restarts + 1

    def __str__(self) -> str:
        """Return it as hactl has it: `restart:3/10m,move:2/1h,stop`, or in short `move:3/10m`."""
        if self.moves is None and not self.stops:
            return f"move:{self.failures}/{span_text(self.within_s)}"
        rungs = [f"restart:{self.restarts}/{span_text(self.within_s)}"]
        if self.moves is None:
            rungs.append("move")
        elif self.moves:
            rungs.append(f"move:{self.moves}/{span_text(self.moves_within_s)}")
        return ",".join([*rungs, *["stop"] * self.stops])


def move_after(failures: int, within_s: float) -> Ladder:
    """Return what `move:N/TIME` means: as often as another node may have the group, no stop."""
    return Ladder(failures - 1, within_s)
