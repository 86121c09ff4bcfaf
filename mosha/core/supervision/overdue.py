"""Groups whose time is over although something of them may be alive, or whose stop has failed."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from mosha.core.status import GroupState
from mosha.core.supervision.unit import Unit
from mosha.core.tables import STOP_LEVEL


class StuckGroup(Struct, frozen=True):
    """A group that a node cannot end: from `since` (boottime) on the node is to fence itself.

    `outlives`: because processes outlive `kill_at`, which the caller checks; else its stop failed.
    """

    name: str
    since: float
    outlives: bool


def overdue(units: Mapping[str, Unit], now: float, after_s: float) -> list[str]:
    """Return the groups whose `kill_at` passed more than `after_s` ago.

    A group at rest has no deadlines. A tell with new ones takes a group off the list: under them
    its processes may run.
    """
    return [
        name
        for name, unit in units.items()
        if unit.group.deadlines is not None and now > unit.group.deadlines.kill_at + after_s
    ]


def stuck_groups(
    units: Mapping[str, Unit], *, after_s: float, with_failed_stops: bool
) -> list[StuckGroup]:
    """Return the groups that were killed at `kill_at` and are not at rest, and failed stops.

    The former count from `after_s` after `kill_at` on, the latter at once.
    """
    found = []
    for name, unit in units.items():
        group = unit.group
        if group.killed and group.deadlines is not None:
            found.append(StuckGroup(name, group.deadlines.kill_at + after_s, outlives=True))
        elif with_failed_stops and (group.level, group.state) == (STOP_LEVEL, GroupState.FAILED):
            found.append(StuckGroup(name, group.since, outlives=False))
    return found
