"""Groups whose time is over although something of them may be alive."""

from __future__ import annotations

from collections.abc import Mapping

from mosha.core.supervision.unit import Unit


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
